"""MobileNetV2.

Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted Residuals and Linear
Bottlenecks", 2018; ROWS mirrors Table 2, `bottleneck` Table 1.

Silent or ambiguous in the paper, chosen from the authors' code (TF-Slim): with t = 1 there is
no expansion, as the printed 300M multiply-adds need; a shortcut joins blocks of equal size
only; widths are rounded to multiples of 8; convolutions have no bias but the last; "same"
padding; batch norm's epsilon 1e-3 and momentum 0.997; dropout 0.2.
"""

from keras import Input, Model, layers

# fmt: off
ROWS = (  # row        t  c   n  s
    ("bottleneck_1",   1, 16, 1, 1),
    ("bottleneck_2",   6, 24, 2, 2),
    ("bottleneck_3",   6, 32, 3, 2),
    ("bottleneck_4",   6, 64, 4, 2),
    ("bottleneck_5",   6, 96, 3, 1),
    ("bottleneck_6",   6, 160, 3, 2),
    ("bottleneck_7",   6, 320, 1, 1),
)
WIDTH = {
    "mobilenet_v2": 1.0,
    "mobilenet_v2_0.35": 0.35,
    "mobilenet_v2_0.5": 0.5,
    "mobilenet_v2_0.75": 0.75,
    "mobilenet_v2_1.3": 1.3,
    "mobilenet_v2_1.4": 1.4,
}
# fmt: on


def scaled(filters, width):
    """The nearest multiple of 8, never more than a tenth below."""
    exact = filters * width
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * exact else rounded


def norm(x, name, relu6=True):
    x = layers.BatchNormalization(epsilon=1e-3, momentum=0.997, name=name + "_norm")(x)
    return layers.ReLU(6, name=name + "_relu6")(x) if relu6 else x


def conv(x, filters, kernel, stride, name, relu6=True):
    x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)(x)
    return norm(x, name, relu6)


def bottleneck(x, t, c, s, name):
    """Table 1: expand to t times the channels, filter each, project linearly."""
    k, y = x.shape[-1], x
    if t > 1:
        y = conv(y, t * k, 1, 1, name + "_expand")
    y = layers.DepthwiseConv2D(3, s, padding="same", use_bias=False, name=name + "_depthwise")(y)
    y = norm(y, name + "_depthwise")
    y = conv(y, c, 1, 1, name + "_project", relu6=False)
    return layers.Add(name=name + "_add")([x, y]) if s == 1 and k == c else y


def build(variant, *, input_shape=(224, 224, 3), classes=1000):
    """Table 2 at a width; ends in class probabilities."""
    width = WIDTH[variant]
    x = inputs = Input(input_shape)
    x = conv(x, scaled(32, width), 3, 2, "conv_1")
    for row, t, c, n, s in ROWS:
        for i in range(n):
            x = bottleneck(x, t, scaled(c, width), s if i == 0 else 1, f"{row}_{i + 1}")
    # Section 4: below 1 the multiplier spares the last convolution.
    x = conv(x, scaled(1280, max(1.0, width)), 1, 1, "conv_2")
    x = layers.GlobalAveragePooling2D(keepdims=True, name="avgpool")(x)
    x = layers.Dropout(0.2, name="scores_dropout")(x)
    x = layers.Conv2D(classes, 1, name="scores")(x)
    x = layers.Flatten(name="scores_flat")(x)
    x = layers.Softmax(name="scores_softmax")(x)
    return Model(inputs, x, name=variant)
