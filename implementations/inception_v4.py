"""Inception-v4 and Inception-ResNet.

Szegedy, Ioffe, Vanhoucke, Alemi, "Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning", 2016; the tables mirror the figures of their numbers (arXiv), NETWORKS
Figures 9 and 15 and Table 1.

Three slips of the figures are mended: the last convolution of Figure 3 has stride 2, the second
1x7 of Figure 5 is 7x1, and the 1154 and 2048 filters of Figures 17 and 19 are as many as enter.
Silent, chosen from the authors' code (TF-Slim): the order of concatenation, biases in place of
batch norm in the linear 1x1, batch norm without scale, epsilon 1e-3, momentum 0.9997, residuals
scaled by 0.17, 0.1 and 0.2.
"""

from keras import Input, Model, layers

# A step is (filters, kernel), padded, or (filters, kernel, stride), not padded ("V"), or a 3x3
# pooling, "average" with stride 1, "max" with stride 2 (V).  A list of chains of steps is branches.
# fmt: off
HEAD = [(32, 3, 2), (32, 3, 1), (64, 3)]
FIG_3 = [
    *HEAD,
    [["max"], [(96, 3, 2)]],
    [[(64, 1), (96, 3, 1)], [(64, 1), (64, (7, 1)), (64, (1, 7)), (96, 3, 1)]],
    [[(192, 3, 2)], ["max"]],
]
FIG_14 = [*HEAD, "max", (80, 1), (192, 3, 1), (256, 3, 2)]
RELEASED = [
    *HEAD, "max", (80, 1), (192, 3, 1), "max",
    [[(96, 1)], [(48, 1), (64, 5)], [(64, 1), (96, 3), (96, 3)], ["average", (64, 1)]],
]
FIG_4 = [[(96, 1)], [(64, 1), (96, 3)], [(64, 1), (96, 3), (96, 3)], ["average", (96, 1)]]
FIG_5 = [
    [(384, 1)],
    [(192, 1), (224, (1, 7)), (256, (7, 1))],
    [(192, 1), (192, (1, 7)), (224, (7, 1)), (224, (1, 7)), (256, (7, 1))],
    ["average", (128, 1)],
]
FIG_6 = [
    [(256, 1)],
    [(384, 1), [[(256, (1, 3))], [(256, (3, 1))]]],
    [(384, 1), (448, (1, 3)), (512, (3, 1)), [[(256, (3, 1))], [(256, (1, 3))]]],
    ["average", (256, 1)],
]
FIG_8 = [[(192, 1), (192, 3, 2)], [(256, 1), (256, (1, 7)), (320, (7, 1)), (320, 3, 2)], ["max"]]
FIG_10 = [[(32, 1)], [(32, 1), (32, 3)], [(32, 1), (32, 3), (32, 3)]]
FIG_11 = [[(128, 1)], [(128, 1), (128, (1, 7)), (128, (7, 1))]]
WIDE = [(256, 1), (384, 3, 2)]
FIG_12 = [WIDE, [(256, 1), (256, 3, 2)], [(256, 1), (256, 3), (256, 3, 2)], ["max"]]
FIG_13 = [[(192, 1)], [(192, 1), (192, (1, 3)), (192, (3, 1))]]
FIG_16 = [[(32, 1)], [(32, 1), (32, 3)], [(32, 1), (48, 3), (64, 3)]]
FIG_17 = [[(192, 1)], [(128, 1), (160, (1, 7)), (192, (7, 1))]]
FIG_18 = [WIDE, [(256, 1), (288, 3, 2)], [(256, 1), (288, 3), (320, 3, 2)], ["max"]]
FIG_19 = [[(192, 1)], [(192, 1), (224, (1, 3)), (256, (3, 1))]]
NETWORKS = {  # stem, A, k l m n of Figure 7, B, Reduction-B, C
    "inception_v4": (FIG_3, 4, FIG_4, (192, 224, 256, 384), 7, FIG_5, FIG_8, 3, FIG_6),
    "inception_resnet_v1": (FIG_14, 5, FIG_10, (192, 192, 256, 384), 10, FIG_11, FIG_12, 5, FIG_13),
    "inception_resnet_v2": (FIG_3, 5, FIG_16, (256, 256, 384, 384), 10, FIG_17, FIG_18, 5, FIG_19),
}
# fmt: on


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


def modules(x, repeats, branches, name, scale, plain_end=False):
    """Branches; with a scale, the cheap module of Figure 20: expanded linearly and added."""
    if scale is None:
        return chain(x, repeats * [branches], name)
    for i in range(1, repeats + 1):
        end = plain_end and i == repeats
        y = layer(x, branches, f"{name}_{i}")
        y = layers.Conv2D(x.shape[-1], 1, name=f"{name}_{i}_linear")(y)
        x = layers.Add(name=f"{name}_{i}_add")([x, (1.0 if end else scale) * y])
        x = x if end else layers.ReLU(name=f"{name}_{i}_relu")(x)
    return x


def build(variant, *, input_shape=(299, 299, 3), classes=1000, released=False, plain_end=False):
    """The network of Figure 9 or 15; ends in class probabilities."""
    stem, a, module_a, (k, l, m, n), b, module_b, reduction_b, c, module_c = NETWORKS[variant]
    reduction_a = [[(n, 3, 2)], [(k, 1), (l, 3), (m, 3, 2)], ["max"]]  # Figure 7
    scales = (None, None, None) if variant == "inception_v4" else (0.17, 0.1, 0.2)
    if released:
        stem, a, b, c = RELEASED, 2 * a, 2 * b, 2 * c
    inputs = Input(input_shape)
    x = chain(inputs, stem, "stem")
    x = modules(x, a, module_a, "inception_a", scales[0])
    x = layer(x, reduction_a, "reduction_a")
    x = modules(x, b, module_b, "inception_b", scales[1])
    x = layer(x, reduction_b, "reduction_b")
    x = modules(x, c, module_c, "inception_c", scales[2], plain_end)
    if released:
        x = layer(x, (1536, 1), "inception_c_end")
    x = layers.GlobalAveragePooling2D(name="average_pool")(x)
    x = layers.Dropout(0.2, name="softmax_dropout")(x)
    x = layers.Dense(classes, name="softmax_fc")(x)
    return Model(inputs, layers.Softmax(name="softmax")(x), name=variant)
