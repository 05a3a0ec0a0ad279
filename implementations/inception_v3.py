"""Inception-v3.

Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception Architecture for Computer
Vision", 2015; STEM mirrors the first rows of Table 1, `figure_5` to `figure_7` the figures of
that number; between them stand the variations of Figure 10 that Table 1's caption speaks of.

The paper prints no widths inside modules (a supplement had them).  They are chosen from the
authors' code (TF-Slim), as are the variations of Figure 10, which poolings average, the order of
concatenation, batch norm without scale, epsilon 1e-3, momentum 0.9997, the auxiliary head's sizes
and dropout 0.2.  The code has four modules at 17x17; the fifth repeats the fourth.
"""

from keras import Input, Model, layers

# A step is (filters, kernel), padded, or (filters, kernel, stride), not padded, or a 3x3 pooling,
# "average" with stride 1, "max" with stride 2.  A list of chains of steps is branches.
# fmt: off
STEM = {                   # input size
    "conv_1": (32, 3, 2),  # 299 x 299 x 3
    "conv_2": (32, 3, 1),  # 149 x 149 x 32
    "conv_3": (64, 3),     # 147 x 147 x 32 (padded)
    "pool_1": "max",       # 147 x 147 x 64
    "conv_4": (80, 3, 1),  # 73 x 73 x 64
    "conv_5": (192, 3, 2), # 71 x 71 x 80
    "conv_6": (288, 3),    # 35 x 35 x 192
}
RELEASED_STEM = {**STEM, "conv_4": (80, 1), "conv_5": (192, 3, 1), "conv_6": "max"}
# fmt: on


def figure_5(proj, kernel):
    return [[(64, 1)], [(48, 1), (64, kernel)], [(64, 1), (96, 3), (96, 3)], ["average", (proj, 1)]]


def figure_6(n, halves):
    """7x7 factorised, twice over in the long branch, where the halves are in this order."""
    one, two = map(tuple, halves)
    return [
        [(192, 1)],
        [(n, 1), (n, (1, 7)), (192, (7, 1))],
        [(n, 1), (n, one), (n, two), (n, one), (192, two)],
        ["average", (192, 1)],
    ]


def figure_7():
    sides = [[(384, (1, 3))], [(384, (3, 1))]]
    return [[(320, 1)], [(384, 1), sides], [(448, 1), (384, 3), sides], ["average", (192, 1)]]


def chain(x, steps, name):
    for i, step in enumerate(steps, start=1):
        x = layer(x, step, f"{name}_{i}")
    return x


def layer(x, step, name):
    if isinstance(step, list):
        branches = [chain(x, steps, name + "_" + "abcd"[i]) for i, steps in enumerate(step)]
        return layers.Concatenate(name=name)(branches)
    if step == "average":
        return layers.AveragePooling2D(3, 1, padding="same", name=name)(x)
    if step == "max":
        return layers.MaxPooling2D(3, 2, name=name)(x)
    padding = "same" if len(step) == 2 else "valid"
    x = layers.Conv2D(*step, padding=padding, use_bias=False, name=name)(x)
    x = layers.BatchNormalization(scale=False, momentum=0.9997, name=name + "_norm")(x)
    return layers.ReLU(name=name + "_relu")(x)


def auxiliary(x, classes):
    """Figure 8: a small classifier that trains along."""
    x = layers.AveragePooling2D(5, 3, name="auxiliary_pool")(x)
    x = chain(x, [(128, 1), (768, x.shape[1:3], 1)], "auxiliary")
    x = layers.Flatten(name="auxiliary_flat")(x)
    return layers.Dense(classes, activation="softmax", name="auxiliary_linear")(x)


def build(
    variant="inception_v3", *, input_shape=(299, 299, 3), classes=1000,
    released_stem=False, kernel=3, widths=(128, 160, 160, 192, 192), halves=((1, 7), (7, 1)),
):  # fmt: skip
    """Table 1, in training with Figure 8's head; ends in class probabilities."""
    x = inputs = Input(input_shape)
    for row, step in (RELEASED_STEM if released_stem else STEM).items():
        x = layer(x, step, row)
    first = figure_5(32 if released_stem else 64, kernel)
    to_17 = [[(384, 3, 2)], [(64, 1), (96, 3), (96, 3, 2)], ["max"]]
    x = chain(x, [first, *2 * [figure_5(64, kernel)], to_17], "inception_35")
    x = chain(x, [figure_6(n, halves) for n in widths], "inception_17")
    heads = [auxiliary(x, classes)] if variant == "inception_v3_training" else []
    long = [(192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2)]
    to_8 = [[(192, 1), (320, 3, 2)], long, ["max"]]
    x = layer(x, to_8, "inception_17_end")
    x = chain(x, 2 * [figure_7()], "inception_8")
    x = layers.AveragePooling2D(8, name="pool_2")(x)
    x = layers.Dropout(0.2, name="linear_dropout")(x)
    x = layers.Flatten(name="linear_flat")(x)
    x = layers.Dense(classes, name="linear")(x)
    x = layers.Softmax(name="softmax")(x)
    return Model(inputs, [x, *heads] if heads else x, name=variant)
