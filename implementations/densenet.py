"""DenseNet.

Huang, Liu, van der Maaten, Weinberger, "Densely Connected Convolutional Networks", 2016;
IMAGENET mirrors Table 1 of arXiv version 5, CIFAR the first columns of Table 2.

Silent in the paper, chosen from the authors' Torch code: a block has (L - 4) / 3 layers, half
as many with bottlenecks; on ImageNet norm and ReLU follow the first convolution; they also
precede the last pooling; max pooling is padded by one; convolutions have no bias; epsilon
1e-5 and momentum 0.9 (Torch's defaults).  Dropout belongs to the training without
augmentation alone (Section 4.2) and is left out.
"""

from keras import Input, Model, layers

# fmt: off
IMAGENET = {  #   dense block   (1) (2) (3) (4)
    "densenet121":             (6, 12, 24, 16),
    "densenet169":             (6, 12, 32, 32),
    "densenet201":             (6, 12, 48, 32),
    "densenet264":             (6, 12, 64, 48),
}
CIFAR = {  #                   BC     k   L
    "densenet40_k12":         (False, 12, 40),
    "densenet100_k12":        (False, 12, 100),
    "densenet100_k24":        (False, 24, 100),
    "densenet_bc100_k12":     (True,  12, 100),
    "densenet_bc250_k24":     (True,  24, 250),
    "densenet_bc190_k40":     (True,  40, 190),
}
# fmt: on


def norm_relu(x, name):
    x = layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=name + "_norm")(x)
    return layers.ReLU(name=name + "_relu")(x)


def conv(x, filters, kernel, name, stride=1):
    if kernel > 1:
        x = layers.ZeroPadding2D(kernel // 2, name=name + "_pad")(x)
    return layers.Conv2D(
        filters, kernel, stride, use_bias=False, kernel_initializer="he_normal", name=name
    )(x)


def dense_layer(x, k, bottleneck, name):
    """Section 3: k new feature maps beside all that there are, through 4k if bottlenecked."""
    y = x
    if bottleneck:
        y = conv(norm_relu(y, name + "_1"), 4 * k, 1, name + "_1")
    y = conv(norm_relu(y, name + "_2"), k, 3, name + "_2")
    return layers.Concatenate(name=name + "_concat")([x, y])


def transition(x, theta, name):
    """Section 3: theta of the feature maps, at half the size."""
    x = conv(norm_relu(x, name), int(theta * x.shape[-1]), 1, name)
    return layers.AveragePooling2D(2, name=name + "_pool")(x)


def build(variant, *, input_shape=None, classes=None):
    """A column of Table 1, or a row of Table 2; ends in class probabilities."""
    if variant in IMAGENET:
        bc, k, blocks = True, 32, IMAGENET[variant]
        x = inputs = Input(input_shape or (224, 224, 3))
        x = norm_relu(conv(x, 2 * k, 7, "convolution", stride=2), "convolution")
        x = layers.ZeroPadding2D(1, name="pooling_pad")(x)
        x = layers.MaxPooling2D(3, 2, name="pooling")(x)
    else:
        bc, k, depth = CIFAR[variant]
        blocks = 3 * ((depth - 4) // (6 if bc else 3),)
        x = inputs = Input(input_shape or (32, 32, 3))
        x = conv(x, 2 * k if bc else 16, 3, "convolution")
    for i, repeats in enumerate(blocks, start=1):
        for j in range(1, repeats + 1):
            x = dense_layer(x, k, bc, f"dense_block_{i}_{j}")
        if i < len(blocks):
            x = transition(x, 0.5 if bc else 1, f"transition_layer_{i}")
    x = norm_relu(x, "classification_layer")
    x = layers.GlobalAveragePooling2D(name="classification_layer_pool")(x)
    classes = classes or (1000 if variant in IMAGENET else 10)
    x = layers.Dense(classes, name="classification_layer_fc")(x)
    x = layers.Softmax(name="classification_layer_softmax")(x)
    return Model(inputs, x, name=variant)
