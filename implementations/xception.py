"""Xception.

Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", 2016; ROWS mirrors
the modules of Figure 5.

Silent in the paper, chosen from the author's code (Keras): the first two convolutions are not
padded, everything else is "same"; convolutions have no bias; batch norm's epsilon is 1e-3 and
its momentum 0.99.  Each shortcut starts at what enters its module, as Section 3 has it.
"""

from keras import Input, Model, layers

# fmt: off
ROWS = (  #           SeparableConv, 3x3   MaxPooling repeated
    ("entry_flow_2", (128,  128),          True,      1),
    ("entry_flow_3", (256,  256),          True,      1),
    ("entry_flow_4", (728,  728),          True,      1),
    ("middle_flow",  (728,  728,  728),    False,     8),
    ("exit_flow_1",  (728,  1024),         True,      1),
)
# fmt: on


def norm(x, name):
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=name + "_norm")(x)


def relu(x, name):
    return layers.ReLU(name=name + "_relu")(x)


def conv(x, filters, kernel, stride, name, padding="valid"):
    x = layers.Conv2D(filters, kernel, stride, padding=padding, use_bias=False, name=name)(x)
    return norm(x, name)


def separable(x, filters, name):
    """Depthwise, then 1x1, with nothing in between (Section 4.7)."""
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    return norm(x, name)


def module(x, widths, pooled, rectified, name):
    """ReLU and separable convolution for each width; the first ReLU may have been before."""
    y = x
    for i, filters in enumerate(widths, start=1):
        if i > 1 or not rectified:
            y = relu(y, f"{name}_{i}_pre")
        y = separable(y, filters, f"{name}_{i}")
    if pooled:
        y = layers.MaxPooling2D(3, 2, padding="same", name=name + "_pool")(y)
        x = conv(x, widths[-1], 1, 2, name + "_shortcut", padding="same")
    return layers.Add(name=name + "_add")([x, y])


def build(variant="xception", *, input_shape=(299, 299, 3), classes=1000):
    """Figure 5; ends in class probabilities."""
    x = inputs = Input(input_shape)
    x = relu(conv(x, 32, 3, 2, "entry_flow_1_1"), "entry_flow_1_1")
    x = relu(conv(x, 64, 3, 1, "entry_flow_1_2"), "entry_flow_1_2")
    for row, widths, pooled, repeats in ROWS:
        for i in range(1, repeats + 1):
            x = module(x, widths, pooled, row == "entry_flow_2", f"{row}_{i}")
    x = relu(separable(x, 1536, "exit_flow_2_1"), "exit_flow_2_1")
    x = relu(separable(x, 2048, "exit_flow_2_2"), "exit_flow_2_2")
    x = layers.GlobalAveragePooling2D(name="exit_flow_2_pool")(x)
    x = layers.Dropout(0.5, name="logistic_regression_dropout")(x)
    x = layers.Dense(classes, name="logistic_regression")(x)
    x = layers.Softmax(name="logistic_regression_softmax")(x)
    return Model(inputs, x, name=variant)
