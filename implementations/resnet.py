"""ResNet.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2015; IMAGENET
mirrors Table 1, CIFAR the table of Section 4.2.

Silent in the paper, chosen from the authors' Caffe models: stride 2 is on the first convolution
of a block, padding is half the kernel, max pooling is not padded and rounds its size up (one row
and column at the end), epsilon is 1e-5, no biases.  Option A puts its zeros after the channels.
"""

from keras import Input, Model, layers, ops


def conv(x, filters, kernel, stride, name, relu=False):
    """Convolution, batch normalisation, perhaps ReLU."""
    if kernel > 1:
        x = layers.ZeroPadding2D(kernel // 2, name=name + "_pad")(x)
    x = layers.Conv2D(
        filters, kernel, stride, use_bias=False, kernel_initializer="he_normal", name=name
    )(x)
    x = layers.BatchNormalization(epsilon=1e-5, name=name + "_norm")(x)
    return layers.ReLU(name=name + "_relu")(x) if relu else x


def basic(x, width, stride, name):
    """Figure 5, left: 3x3 twice."""
    x = conv(x, width, 3, stride, name + "_1", relu=True)
    return conv(x, width, 3, 1, name + "_2")


def bottleneck(x, width, stride, name):
    """Figure 5, right: 1x1 reduces, 3x3, 1x1 restores."""
    x = conv(x, width, 1, stride, name + "_1", relu=True)
    x = conv(x, width, 3, 1, name + "_2", relu=True)
    return conv(x, 4 * width, 1, 1, name + "_3")


def shortcut(x, filters, stride, option, name):
    """Section 3.3: zero padding (A), projection where the size grows (B), always (C)."""
    if option == "C" or (option == "B" and x.shape[-1] != filters):
        return conv(x, filters, 1, stride, name)
    if x.shape[-1] != filters:
        x = layers.MaxPooling2D(1, stride, name=name)(x)
        x = ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, filters - x.shape[-1])))
    return x


# fmt: off
IMAGENET = {  # block       shortcut conv2_x conv3_x conv4_x conv5_x
    "plain18":   (basic,      None, (2,      2,      2,      2)),
    "plain34":   (basic,      None, (3,      4,      6,      3)),
    "resnet18":  (basic,      "A",  (2,      2,      2,      2)),
    "resnet34":  (basic,      "A",  (3,      4,      6,      3)),
    "resnet34b": (basic,      "B",  (3,      4,      6,      3)),
    "resnet34c": (basic,      "C",  (3,      4,      6,      3)),
    "resnet50":  (bottleneck, "B",  (3,      4,      6,      3)),
    "resnet101": (bottleneck, "B",  (3,      4,      23,     3)),
    "resnet152": (bottleneck, "B",  (3,      8,      36,     3)),
}
CIFAR = {  # n
    "resnet20": 3, "resnet32": 5, "resnet44": 7, "resnet56": 9, "resnet110": 18, "resnet1202": 200,
}
# fmt: on


def build(variant, *, input_shape=None, classes=None, pool_pad=((0, 1), (0, 1))):
    """A column of Table 1, or a network of Section 4.2; ends in class probabilities."""
    if variant in IMAGENET:
        block, option, repeats = IMAGENET[variant]
        rows = [("conv2_x", 64, 1), ("conv3_x", 128, 2), ("conv4_x", 256, 2), ("conv5_x", 512, 2)]
        x = inputs = Input(input_shape or (224, 224, 3))
        x = conv(x, 64, 7, 2, "conv1", relu=True)
        x = layers.ZeroPadding2D(pool_pad, name="conv2_x_pool_pad")(x)
        x = layers.MaxPooling2D(3, 2, name="conv2_x_pool")(x)
    else:
        block, option, repeats = basic, "A", 3 * (CIFAR[variant],)
        rows = [("maps_32x32", 16, 1), ("maps_16x16", 32, 2), ("maps_8x8", 64, 2)]
        x = inputs = Input(input_shape or (32, 32, 3))
        x = conv(x, 16, 3, 1, "maps_32x32_0", relu=True)
    for (row, width, stride), repeat in zip(rows, repeats):
        for i in range(1, repeat + 1):
            name, s = f"{row}_{i}", stride if i == 1 else 1
            y = block(x, width, s, name)
            if option:
                x = shortcut(x, y.shape[-1], s, option, name + "_shortcut")
                y = layers.Add(name=name + "_add")([x, y])
            x = layers.ReLU(name=name + "_relu")(y)
    x = layers.GlobalAveragePooling2D(name="fc_pool")(x)
    classes = classes or (1000 if variant in IMAGENET else 10)
    x = layers.Dense(classes, activation="softmax", name="fc")(x)
    return Model(inputs, x, name=variant)
