"""ResNet v2.

He, Zhang, Ren, Sun, "Identity Mappings in Deep Residual Networks", 2016; IMAGENET mirrors Table 1
of the first ResNet paper and footnote 3, CIFAR Section 4.1 and the appendix.

Silent in the paper, chosen as in the first ResNet or from the authors' Torch code: stride 2 is on
the first convolution of a unit, padding is half the kernel, max pooling is not padded and rounds
its size up, projections have no norm, convolutions no bias, epsilon is 1e-5.  Zero-padded
shortcuts take the sum itself, not its activation (chosen here).
"""

from keras import Input, Model, layers, ops

# fmt: off
SINGLE = ((3, 1),)  # kernel, times the width
BASIC = ((3, 1), (3, 1))
BOTTLENECK = ((1, 1), (3, 1), (1, 4))
IMAGENET = {  #         conv2_x conv3_x conv4_x conv5_x
    "resnet50_v2":         (3,      4,      6,      3),
    "resnet101_v2":        (3,      4,      23,     3),
    "resnet152_v2":        (3,      8,      36,     3),
    "resnet200_v2":        (3,      24,     36,     3),
}
CIFAR = {  #            unit        on each map size
    "resnet110_v2_1layer": (SINGLE,     36),
    "resnet110_v2":        (BASIC,      18),
    "resnet164_v2":        (BOTTLENECK, 18),
    "resnet1001_v2":       (BOTTLENECK, 111),
}
# fmt: on


def norm_relu(x, name):
    x = layers.BatchNormalization(epsilon=1e-5, name=name + "_norm")(x)
    return layers.ReLU(name=name + "_relu")(x)


def conv(x, filters, kernel, stride, name, bias=False):
    if kernel > 1:
        x = layers.ZeroPadding2D(kernel // 2, name=name + "_pad")(x)
    return layers.Conv2D(
        filters, kernel, stride, use_bias=bias, kernel_initializer="he_normal", name=name
    )(x)


def unit(x, kind, width, stride, name, active=False, slim=False):
    """Figure 4 (e): norm and ReLU before each convolution, nothing after the addition.

    `active`: x is an activation already, which both paths take.  `slim`: stride 2 is on the
    second convolution, and convolutions that no norm follows have a bias.
    """
    first = y = x if active else norm_relu(x, name + "_1")
    for i, (kernel, times) in enumerate(kind, start=1):
        y = y if i == 1 else norm_relu(y, f"{name}_{i}")
        s = stride if i == (2 if slim else 1) else 1
        y = conv(y, times * width, kernel, s, f"{name}_{i}", slim and i == 3)
    filters, shortcut = y.shape[-1], name + "_shortcut"
    if kind is BOTTLENECK and x.shape[-1] != filters:
        x = conv(first, filters, 1, stride, shortcut, slim)
    elif stride > 1:
        x = layers.MaxPooling2D(1, stride, name=shortcut)(x)
        x = ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, filters - x.shape[-1])))
    return layers.Add(name=name + "_add")([x, y])


def build(
    variant, *, input_shape=None, classes=None,
    pool_pad=((0, 1), (0, 1)), slim_stem=False, slim_units=False,
):  # fmt: skip
    """A network for ImageNet or CIFAR; ends in class probabilities."""
    if variant in IMAGENET:
        kind, repeats = BOTTLENECK, IMAGENET[variant]
        rows = (("conv2_x", 64), ("conv3_x", 128), ("conv4_x", 256), ("conv5_x", 512))
        x = inputs = Input(input_shape or (224, 224, 3))
        x = conv(x, 64, 7, 2, "conv1", bias=slim_stem)
        x = x if slim_stem else norm_relu(x, "conv1")
        x = layers.ZeroPadding2D(pool_pad, name="conv2_x_pool_pad")(x)
        x = layers.MaxPooling2D(3, 2, name="conv2_x_pool")(x)
        x = norm_relu(x, "conv2_x") if slim_stem else x
    else:
        kind, n = CIFAR[variant]
        rows, repeats = (("maps_32x32", 16), ("maps_16x16", 32), ("maps_8x8", 64)), 3 * (n,)
        x = inputs = Input(input_shape or (32, 32, 3))
        x = norm_relu(conv(x, 16, 3, 1, "maps_32x32_0"), "maps_32x32_0")
    for r, ((row, width), repeat) in enumerate(zip(rows, repeats)):
        for i in range(1, repeat + 1):
            # TF-Slim halves in the last unit of a row, the paper in the first of the next.
            halves = i == repeat and r < len(rows) - 1 if slim_units else i == 1 and r > 0
            stride, active = 2 if halves else 1, r == 0 and i == 1
            x = unit(x, kind, width, stride, f"{row}_{i}", active, slim_units)
    x = norm_relu(x, row)
    x = layers.GlobalAveragePooling2D(name="fc_pool")(x)
    classes = classes or (1000 if variant in IMAGENET else 10)
    x = layers.Dense(classes, activation="softmax", name="fc")(x)
    return Model(inputs, x, name=variant)
