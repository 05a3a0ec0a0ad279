"""VGG.

Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", 2014; CONFIGURATIONS mirrors Table 1.

Silent in the paper: the padding of C's 1x1 convolutions (none is needed to keep the
size).  Local response normalisation takes its constants from Krizhevsky et al. 2012, to
which Section 2.1 refers.
"""

from keras import Input, Model, layers, ops

# fmt: off
FILTERS = (                     64,     128,    256,          512,          512)
CONFIGURATIONS = {  # kernels   block_1 block_2 block_3       block_4       block_5
    "vgg11":     (False,       ((3,),   (3,),   (3, 3),       (3, 3),       (3, 3))),        # A
    "vgg11_lrn": (True,        ((3,),   (3,),   (3, 3),       (3, 3),       (3, 3))),        # A-LRN
    "vgg13":     (False,       ((3, 3), (3, 3), (3, 3),       (3, 3),       (3, 3))),        # B
    "vgg16_c":   (False,       ((3, 3), (3, 3), (3, 3, 1),    (3, 3, 1),    (3, 3, 1))),     # C
    "vgg16":     (False,       ((3, 3), (3, 3), (3, 3, 3),    (3, 3, 3),    (3, 3, 3))),     # D
    "vgg19":     (False,       ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3))),  # E
}
# fmt: on


class LocalResponseNorm(layers.Layer):
    """x / (k + alpha * sum of squares over n neighbouring channels) ** beta."""

    def call(self, x, k=2, n=5, alpha=1e-4, beta=0.75):
        channels = x.shape[-1]
        squares = ops.pad(ops.square(x), ((0, 0), (0, 0), (0, 0), (n // 2, n // 2)))
        total = sum(squares[..., i : i + channels] for i in range(n))
        return x / (k + alpha * total) ** beta


def build(variant, *, input_shape=(224, 224, 3), classes=1000):
    """A column of Table 1; ends in class probabilities."""
    normalised, blocks = CONFIGURATIONS[variant]
    x = inputs = Input(input_shape)
    for row, (filters, kernels) in enumerate(zip(FILTERS, blocks), start=1):
        for i, kernel in enumerate(kernels, start=1):
            name = f"block_{row}_conv{i}"
            x = layers.Conv2D(filters, kernel, padding="same", activation="relu", name=name)(x)
        if normalised and row == 1:
            x = LocalResponseNorm(name="block_1_lrn")(x)
        x = layers.MaxPooling2D(2, name=f"pool_{row}")(x)
    x = layers.Flatten(name="fc_1_flat")(x)
    for name in ("fc_1", "fc_2"):
        x = layers.Dense(4096, activation="relu", name=name)(x)
        x = layers.Dropout(0.5, name=name + "_dropout")(x)
    x = layers.Dense(classes, name="fc_3")(x)
    x = layers.Softmax(name="softmax")(x)
    return Model(inputs, x, name=variant)
