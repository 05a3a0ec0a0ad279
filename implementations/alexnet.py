"""AlexNet.

Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural
Networks", 2012; ROWS mirrors Section 3.5 and Figure 2.  Two groups are the two GPUs: the
256 kernels of 5x5x48 are those of both.

Silent in the paper, chosen from the authors' code: the first convolution is not padded and
its size is rounded up (224 leaves 55, and the last window overhangs by 3), the others are
padded by half the kernel; normalisation stays on its GPU.
"""

from keras import Input, Model, initializers, layers, ops

# fmt: off
ROWS = (  # kernels, size, stride, groups, bias, norm,  pool
    ("1",   96,      11,   4,      1,      0,    True,  True),
    ("2",   256,     5,    1,      2,      1,    True,  True),
    ("3",   384,     3,    1,      1,      0,    False, False),
    ("4",   384,     3,    1,      2,      1,    False, False),
    ("5",   256,     3,    1,      2,      1,    False, True),
)
# fmt: on


def initial(bias):
    """Section 5: weights from a narrow Gaussian; ones make units start in their linear part."""
    return {
        "kernel_initializer": initializers.RandomNormal(stddev=0.01),
        "bias_initializer": initializers.Constant(bias),
    }


class LocalResponseNorm(layers.Layer):
    """Section 3.3: x / (k + alpha * sum of squares over n neighbouring kernels) ** beta."""

    def call(self, x, k=2, n=5, alpha=1e-4, beta=0.75):
        kernels = x.shape[-1]
        squares = ops.pad(ops.square(x), ((0, 0), (0, 0), (0, 0), (n // 2, n // 2)))
        total = sum(squares[..., i : i + kernels] for i in range(n))
        return x / (k + alpha * total) ** beta


def norm(x, name):
    """Each GPU normalises its own half."""
    half = x.shape[-1] // 2
    a = LocalResponseNorm(name=name + "_a")(x[..., :half])
    b = LocalResponseNorm(name=name + "_b")(x[..., half:])
    return layers.Concatenate(name=name)([a, b])


def build(variant="alexnet", *, input_shape=(224, 224, 3), classes=1000):
    """The network of Figure 2; ends in class probabilities."""
    x = inputs = Input(input_shape)
    # Sizes are rounded up: the last of the 11x11 windows, 4 apart, may overhang.
    overhang = [(0, -(size - 11) % 4) for size in input_shape[:2]]
    x = layers.ZeroPadding2D(overhang, name="conv_1_pad")(x)
    for row, kernels, size, stride, groups, bias, normed, pooled in ROWS:
        x = layers.Conv2D(
            kernels, size, stride, padding="valid" if row == "1" else "same", groups=groups,
            activation="relu", **initial(bias), name=f"conv_{row}",
        )(x)  # fmt: skip
        if normed:
            x = norm(x, f"norm_{row}")
        if pooled:
            x = layers.MaxPooling2D(3, 2, name=f"pool_{row}")(x)
    x = layers.Flatten(name="fc_6_flat")(x)
    for name in ("fc_6", "fc_7"):
        x = layers.Dense(4096, activation="relu", **initial(1), name=name)(x)
        x = layers.Dropout(0.5, name=name + "_dropout")(x)
    x = layers.Dense(classes, **initial(0), name="fc_8")(x)
    x = layers.Softmax(name="fc_8_softmax")(x)
    return Model(inputs, x, name=variant)
