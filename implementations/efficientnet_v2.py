"""EfficientNetV2.

Tan, Le, "EfficientNetV2: Smaller Models and Faster Training", 2021; column S of STAGES mirrors
Table 4 of the last arXiv version, S (v1) that of the first.

Silent in the paper, chosen from the authors' code: the other columns, and how far B0 is scaled;
widths are rounded to multiples of 8, repeats up; Fused-MBConv1 is one convolution; only MBConv
has squeeze-and-excitation, a quarter of the channels that enter the block; a shortcut joins
blocks of equal size; biases in squeeze-and-excitation only; "same" padding; epsilon 1e-3.
"""

from math import ceil

from keras import Input, Model, layers


def scaled(filters, width):
    return int(filters * width + 4) // 8 * 8


def norm(x, name, swish=True):
    x = layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=name + "_norm")(x)
    return layers.Activation("silu", name=name + "_swish")(x) if swish else x


def conv(x, filters, kernel, stride, name, swish=True):
    x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)(x)
    return norm(x, name, swish)


def mbconv(x, t, c, s, name):
    """Figure 2: expand, filter each channel, gate it by the means of all, project linearly."""
    k = x.shape[-1]
    y = conv(x, t * k, 1, 1, name + "_expand")
    y = layers.DepthwiseConv2D(3, s, padding="same", use_bias=False, name=name + "_depthwise")(y)
    y = norm(y, name + "_depthwise")
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=name + "_squeeze")(y)
    gate = layers.Conv2D(k // 4, 1, activation="silu", name=name + "_squeeze_reduce")(gate)
    gate = layers.Conv2D(t * k, 1, activation="sigmoid", name=name + "_squeeze_expand")(gate)
    y = layers.Multiply(name=name + "_excite")([y, gate])
    return conv(y, c, 1, 1, name + "_project", swish=False)


def fused(x, t, c, s, name):
    """Figure 2, Fused-MBConv: one ordinary convolution expands and filters, or is all if t is 1."""
    y = conv(x, t * x.shape[-1] if t > 1 else c, 3, s, name + "_expand")
    return conv(y, c, 1, 1, name + "_project", swish=False) if t > 1 else y


# fmt: off
STAGES = (  # operator    t  s  S: c, n    S (v1)     B0        M          L          XL
    ("stage_1", fused,  1, 1, (24, 2),   (24, 2),   (16, 1),  (24, 3),   (32, 4),   (32, 4)),
    ("stage_2", fused,  4, 2, (48, 4),   (48, 4),   (32, 2),  (48, 5),   (64, 7),   (64, 8)),
    ("stage_3", fused,  4, 2, (64, 4),   (64, 4),   (48, 2),  (80, 5),   (96, 7),   (96, 8)),
    ("stage_4", mbconv, 4, 2, (128, 6),  (128, 6),  (96, 3),  (160, 7),  (192, 10), (192, 16)),
    ("stage_5", mbconv, 6, 1, (160, 9),  (160, 9),  (112, 5), (176, 14), (224, 19), (256, 24)),
    ("stage_6", mbconv, 6, 2, (256, 15), (272, 15), (192, 8), (304, 18), (384, 25), (512, 32)),
    ("stage_7", mbconv, 6, 1, None,      None,      None,     (512, 5),  (640, 7),  (640, 8)),
)
VARIANTS = {  #         column first last width depth size dropout
    "efficientnet_v2_s":    (0, 24, 1280, 1.0, 1.0, 384, 0.2),
    "efficientnet_v2_s_v1": (1, 24, 1792, 1.0, 1.0, 384, 0.2),
    "efficientnet_v2_b0":   (2, 32, 1280, 1.0, 1.0, 224, 0.2),
    "efficientnet_v2_b1":   (2, 32, 1280, 1.0, 1.1, 240, 0.2),
    "efficientnet_v2_b2":   (2, 32, 1280, 1.1, 1.2, 260, 0.3),
    "efficientnet_v2_b3":   (2, 32, 1280, 1.2, 1.4, 300, 0.3),
    "efficientnet_v2_m":    (3, 24, 1280, 1.0, 1.0, 480, 0.3),
    "efficientnet_v2_l":    (4, 32, 1280, 1.0, 1.0, 480, 0.4),
    "efficientnet_v2_xl":   (5, 32, 1280, 1.0, 1.0, 512, 0.4),
}
# fmt: on


def build(variant, *, input_shape=None, classes=1000):
    """A column of STAGES between a first and a last convolution; ends in probabilities."""
    column, first, last, width, depth, size, dropout = VARIANTS[variant]
    x = inputs = Input(input_shape or (size, size, 3))
    x = conv(x, scaled(first, width), 3, 2, "stage_0")
    stages = [(*row[:4], *row[4 + column]) for row in STAGES if row[4 + column]]
    blocks = [
        (operator, t, scaled(c, width), s if i == 0 else 1, f"{row}_{i + 1}")
        for row, operator, t, s, c, n in stages
        for i in range(ceil(depth * n))
    ]
    for i, (operator, t, c, s, name) in enumerate(blocks):
        y = operator(x, t, c, s, name)
        if s == 1 and x.shape[-1] == c:
            # Section 5.1: survival probability 0.8, by Huang et al. 2016 that of the last block.
            rate = 0.2 * i / len(blocks)
            drop = layers.Dropout(rate, noise_shape=(None, 1, 1, 1), name=name + "_drop")
            y = drop(y) if rate else y
            y = layers.Add(name=name + "_add")([x, y])
        x = y
    name = f"stage_{len(stages) + 1}"
    x = conv(x, scaled(last, width), 1, 1, name)
    x = layers.GlobalAveragePooling2D(name=name + "_pool")(x)
    x = layers.Dropout(dropout, name=name + "_dropout")(x)
    x = layers.Dense(classes, activation="softmax", name=name + "_fc")(x)
    return Model(inputs, x, name=variant)
