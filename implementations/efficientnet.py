"""EfficientNet.

Tan, Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019;
STAGES mirrors Table 1, SCALING the variants of Table 2, Figure 4 and Table 7.

Silent in the paper, chosen from the authors' code: how far B1 to B7 are scaled, and their
dropout; widths are rounded to multiples of 8, repeats up; strides follow from Table 1's sizes;
squeeze-and-excitation is a quarter of the channels that enter the block; a shortcut joins
blocks of equal size; biases in squeeze-and-excitation only; "same" padding; epsilon 1e-3.
"""

from math import ceil

from keras import Input, Model, layers

# fmt: off
STAGES = (  # row   t  f  c    n  s     MBConv: expansion, kernel, channels, layers, stride
    ("stage_2",     1, 3, 16,  1, 1),
    ("stage_3",     6, 3, 24,  2, 2),
    ("stage_4",     6, 5, 40,  2, 2),
    ("stage_5",     6, 3, 80,  3, 2),
    ("stage_6",     6, 5, 112, 3, 1),
    ("stage_7",     6, 5, 192, 4, 2),
    ("stage_8",     6, 3, 320, 1, 1),
)
SCALING = {  #                width depth size dropout
    "efficientnet_b0":          (1.0, 1.0, 224, 0.2),
    "efficientnet_b1":          (1.0, 1.1, 240, 0.2),
    "efficientnet_b2":          (1.1, 1.2, 260, 0.3),
    "efficientnet_b3":          (1.2, 1.4, 300, 0.3),
    "efficientnet_b4":          (1.4, 1.8, 380, 0.4),
    "efficientnet_b5":          (1.6, 2.2, 456, 0.4),
    "efficientnet_b6":          (1.8, 2.6, 528, 0.5),
    "efficientnet_b7":          (2.0, 3.1, 600, 0.5),
    "efficientnet_b0_deeper":   (1.0, 2.0, 299, 0.2),
    "efficientnet_b0_depth":    (1.0, 4.0, 224, 0.2),
    "efficientnet_b0_width":    (2.0, 1.0, 224, 0.2),
    "efficientnet_b0_compound": (1.2, 1.4, 291, 0.2),
}
# fmt: on


def scaled(filters, width):
    """The nearest multiple of 8, never more than a tenth below."""
    rounded = int(filters * width + 4) // 8 * 8
    return rounded + 8 if rounded < 0.9 * filters * width else rounded


def norm(x, name, swish=True):
    x = layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=name + "_norm")(x)
    return layers.Activation("silu", name=name + "_swish")(x) if swish else x


def conv(x, filters, kernel, stride, name, swish=True):
    x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)(x)
    return norm(x, name, swish)


def mbconv(x, t, f, c, s, drop, name):
    """MobileNetV2's bottleneck, gated by squeeze-and-excitation, dropped whole in training."""
    k, y = x.shape[-1], x
    if t > 1:
        y = conv(y, t * k, 1, 1, name + "_expand")
    y = layers.DepthwiseConv2D(f, s, padding="same", use_bias=False, name=name + "_depthwise")(y)
    y = norm(y, name + "_depthwise")
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=name + "_squeeze")(y)
    gate = layers.Conv2D(k // 4, 1, activation="silu", name=name + "_squeeze_reduce")(gate)
    gate = layers.Conv2D(t * k, 1, activation="sigmoid", name=name + "_squeeze_expand")(gate)
    y = layers.Multiply(name=name + "_excite")([y, gate])
    y = conv(y, c, 1, 1, name + "_project", swish=False)
    if s > 1 or k != c:
        return y
    y = layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=name + "_drop")(y)
    return layers.Add(name=name + "_add")([x, y])


def build(variant, *, input_shape=None, classes=1000, normalise=False):
    """Table 1, scaled; ends in class probabilities."""
    width, depth, size, dropout = SCALING[variant]
    x = inputs = Input(input_shape or (size, size, 3))
    if normalise:
        x = layers.Rescaling(1 / 255, name="stage_1_scale")(x)
        x = layers.Normalization(name="stage_1_normalise")(x)
    x = conv(x, scaled(32, width), 3, 2, "stage_1")
    blocks = [
        (t, f, scaled(c, width), s if i == 0 else 1, f"{row}_{i + 1}")
        for row, t, f, c, n, s in STAGES
        for i in range(ceil(depth * n))
    ]
    for i, (t, f, c, s, name) in enumerate(blocks):
        # Section 5.2: survival probability 0.8, by Huang et al. 2016 that of the last block.
        x = mbconv(x, t, f, c, s, 0.2 * i / len(blocks), name)
    x = conv(x, scaled(1280, width), 1, 1, "stage_9")
    x = layers.GlobalAveragePooling2D(name="stage_9_pool")(x)
    x = layers.Dropout(dropout, name="stage_9_dropout")(x)
    x = layers.Dense(classes, activation="softmax", name="stage_9_fc")(x)
    return Model(inputs, x, name=variant)
