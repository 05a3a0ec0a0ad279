"""MobileNetV3.

Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le, Adam, "Searching for
MobileNetV3", 2019; LARGE and SMALL mirror Tables 1 and 2 (of the last arXiv version).

Silent in the paper, chosen from the authors' code: a block expands only to more channels than
enter; a shortcut needs stride 1 too; expansions scale with what enters, and widths, expansions
and the quarter of squeeze-and-excitation are rounded to multiples of 8; the layer after the
pooling is not scaled below width 1; biases where batch norm is not; "same" padding; epsilon
1e-3; dropout is before the last layer and keeps 0.8; the minimalistic networks.
"""

from keras import Input, Model, layers

RE, HS = "relu", "hard_silu"
# fmt: off
LARGE = (  # row  f  exp  out  SE     NL  s
    ("bneck_1",   3, 16,  16,  False, RE, 1),
    ("bneck_2",   3, 64,  24,  False, RE, 2),
    ("bneck_3",   3, 72,  24,  False, RE, 1),
    ("bneck_4",   5, 72,  40,  True,  RE, 2),
    ("bneck_5",   5, 120, 40,  True,  RE, 1),
    ("bneck_6",   5, 120, 40,  True,  RE, 1),
    ("bneck_7",   3, 240, 80,  False, HS, 2),
    ("bneck_8",   3, 200, 80,  False, HS, 1),
    ("bneck_9",   3, 184, 80,  False, HS, 1),
    ("bneck_10",  3, 184, 80,  False, HS, 1),
    ("bneck_11",  3, 480, 112, True,  HS, 1),
    ("bneck_12",  3, 672, 112, True,  HS, 1),
    ("bneck_13",  5, 672, 160, True,  HS, 2),
    ("bneck_14",  5, 960, 160, True,  HS, 1),
    ("bneck_15",  5, 960, 160, True,  HS, 1),
)
SMALL = (  # row  f  exp  out  SE     NL  s
    ("bneck_1",   3, 16,  16,  True,  RE, 2),
    ("bneck_2",   3, 72,  24,  False, RE, 2),
    ("bneck_3",   3, 88,  24,  False, RE, 1),
    ("bneck_4",   5, 96,  40,  True,  HS, 2),
    ("bneck_5",   5, 240, 40,  True,  HS, 1),
    ("bneck_6",   5, 240, 40,  True,  HS, 1),
    ("bneck_7",   5, 120, 48,  True,  HS, 1),
    ("bneck_8",   5, 144, 48,  True,  HS, 1),
    ("bneck_9",   5, 288, 96,  True,  HS, 2),
    ("bneck_10",  5, 576, 96,  True,  HS, 1),
    ("bneck_11",  5, 576, 96,  True,  HS, 1),
)
LAST = {"large": (LARGE, 960, 1280), "small": (SMALL, 576, 1024)}
# fmt: on


def scaled(filters, width):
    """The nearest multiple of 8, never more than a tenth below."""
    rounded = max(8, int(filters * width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * filters * width else rounded


def norm(x, name, nl=None):
    x = layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=name + "_norm")(x)
    return layers.Activation(nl, name=name + "_nl")(x) if nl else x


def conv(x, filters, kernel, stride, name, nl=None):
    x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)(x)
    return norm(x, name, nl)


def bneck(x, f, exp, out, se, nl, s, name):
    """Figure 4: expand, filter each channel, gate it by the means of all, project linearly."""
    k, y = x.shape[-1], x
    if exp > k:
        y = conv(y, exp, 1, 1, name + "_expand", nl)
    y = layers.DepthwiseConv2D(f, s, padding="same", use_bias=False, name=name + "_depthwise")(y)
    y = norm(y, name + "_depthwise", nl)
    if se:
        gate = layers.GlobalAveragePooling2D(keepdims=True, name=name + "_squeeze")(y)
        gate = layers.Conv2D(scaled(exp, 1 / 4), 1, activation=RE, name=name + "_reduce")(gate)
        gate = layers.Conv2D(exp, 1, activation="hard_sigmoid", name=name + "_excite")(gate)
        y = layers.Multiply(name=name + "_gate")([y, gate])
    y = conv(y, out, 1, 1, name + "_project")
    return layers.Add(name=name + "_add")([x, y]) if s == 1 and k == out else y


def build(variant, *, input_shape=(224, 224, 3), classes=1000):
    """`mobilenet_v3_large` or `_small`, then a width or `minimalistic`; ends in probabilities."""
    size, _, kind = variant.removeprefix("mobilenet_v3_").partition("_")
    minimalistic = kind == "minimalistic"
    width = 1.0 if minimalistic else float(kind or 1)
    rows, before_pool, after_pool = LAST[size]
    last_nl = RE if minimalistic else HS
    x = inputs = Input(input_shape)
    x = conv(x, scaled(16, width), 3, 2, "conv_1", last_nl)
    entering = 16
    for row, f, exp, out, se, nl, s in rows:
        if minimalistic:
            f, se, nl = 3, False, RE
        exp = scaled(x.shape[-1], exp / entering)
        x = bneck(x, f, exp, scaled(out, width), se, nl, s, row)
        entering = out
    x = conv(x, scaled(before_pool, width), 1, 1, "conv_2", last_nl)
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = layers.Conv2D(scaled(after_pool, max(1.0, width)), 1, activation=last_nl, name="conv_3")(x)
    x = layers.Dropout(0.2, name="conv_4_dropout")(x)
    x = layers.Conv2D(classes, 1, name="conv_4")(x)
    x = layers.Flatten(name="conv_4_flat")(x)
    x = layers.Softmax(name="conv_4_softmax")(x)
    return Model(inputs, x, name=variant)
