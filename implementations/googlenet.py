"""GoogLeNet.

Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich, "Going Deeper
with Convolutions", 2014; TABLE_1 mirrors Table 1, `auxiliary` Section 5.

Silent in Table 1, chosen from Figure 3: "same" padding but for the average pools, and local
response normalisation after the first pooling and the second convolution.  Silent
everywhere: the normalisation's constants (here Krizhevsky et al. 2012).
"""

from keras import Input, Model, layers, ops

# fmt: off
TABLE_1 = (  # #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj
    ("inception_3a", 64,  96,  128, 16, 32,  32),
    ("inception_3b", 128, 128, 192, 32, 96,  64),
    ("pool_3",),
    ("inception_4a", 192, 96,  208, 16, 48,  64),
    ("inception_4b", 160, 112, 224, 24, 64,  64),
    ("inception_4c", 128, 128, 256, 24, 64,  64),
    ("inception_4d", 112, 144, 288, 32, 64,  64),
    ("inception_4e", 256, 160, 320, 32, 128, 128),
    ("pool_4",),
    ("inception_5a", 256, 160, 320, 32, 128, 128),
    ("inception_5b", 384, 192, 384, 48, 128, 128),
)
# fmt: on


class LocalResponseNorm(layers.Layer):
    """x / (k + alpha * sum of squares over n neighbouring channels) ** beta."""

    def call(self, x, k=2, n=5, alpha=1e-4, beta=0.75):
        channels = x.shape[-1]
        squares = ops.pad(ops.square(x), ((0, 0), (0, 0), (0, 0), (n // 2, n // 2)))
        total = sum(squares[..., i : i + channels] for i in range(n))
        return x / (k + alpha * total) ** beta


def conv(x, filters, kernel, name, stride=1, slim=False):
    x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=not slim, name=name)(x)
    if slim:
        x = layers.BatchNormalization(scale=False, momentum=0.9997, name=name + "_norm")(x)
    return layers.ReLU(name=name + "_relu")(x)


def inception(x, columns, name, slim):
    """Figure 2 (b): filters of three sizes and pooling side by side, each behind a 1x1."""
    one, reduce_3, three, reduce_5, five, proj = columns
    a = conv(x, one, 1, name + "_1x1", slim=slim)
    b = conv(x, reduce_3, 1, name + "_3x3_reduce", slim=slim)
    b = conv(b, three, 3, name + "_3x3", slim=slim)
    c = conv(x, reduce_5, 1, name + "_5x5_reduce", slim=slim)
    c = conv(c, five, 3 if slim else 5, name + "_5x5", slim=slim)
    d = layers.MaxPooling2D(3, 1, padding="same", name=name + "_pool")(x)
    d = conv(d, proj, 1, name + "_pool_proj", slim=slim)
    return layers.Concatenate(name=name)([a, b, c, d])


def classifier(x, rate, classes, name, end):
    x = layers.Dropout(rate, name=name + "_dropout")(x)
    x = layers.Dense(classes, name=name)(x)
    return layers.Softmax(name=end)(x)


def auxiliary(x, classes, name):
    """Section 5: a small network that trains along."""
    x = layers.AveragePooling2D(5, 3, name=name + "_pool")(x)
    x = conv(x, 128, 1, name + "_conv")
    x = layers.Flatten(name=name + "_flat")(x)
    x = layers.Dense(1024, activation="relu", name=name + "_fc")(x)
    return classifier(x, 0.7, classes, name + "_linear", name + "_softmax")


def build(variant="googlenet", *, input_shape=(224, 224, 3), classes=1000, slim=False):
    """Table 1, in training with Section 5's heads; ends in class probabilities."""
    heads = []
    x = inputs = Input(input_shape)
    x = conv(x, 64, 7, "conv_1", stride=2, slim=slim)
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool_1")(x)
    x = x if slim else LocalResponseNorm(name="norm_1")(x)
    x = conv(x, 64, 1, "conv_2_reduce", slim=slim)
    x = conv(x, 192, 3, "conv_2", slim=slim)
    x = x if slim else LocalResponseNorm(name="norm_2")(x)
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool_2")(x)
    for row, *columns in TABLE_1:
        if columns:
            x = inception(x, columns, row, slim)
        else:
            size = 2 if slim and row == "pool_4" else 3
            x = layers.MaxPooling2D(size, 2, padding="same", name=row)(x)
        if variant == "googlenet_training" and row in ("inception_4a", "inception_4d"):
            heads.append(auxiliary(x, classes, row.replace("inception", "auxiliary")))
    x = layers.AveragePooling2D(7, 1, name="avg_pool")(x)
    x = layers.Flatten(name="linear_flat")(x)
    x = classifier(x, 0.2 if slim else 0.4, classes + slim, "linear", "softmax")
    return Model(inputs, [x, *heads] if heads else x, name=variant)
