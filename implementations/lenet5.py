"""LeNet-5.

LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document
Recognition", Proceedings of the IEEE, 1998; Section II.B.  C3 mirrors Table I.

Silent in the paper: the sub-sampling's initial coefficient (here 1/4, so that it starts as
an average).  The output's centres are set by hand to -1 and +1 and printed as pictures
only; they are drawn at random here, as Section II.B says they could have been.
"""

from keras import Input, Model, layers, ops, random

# fmt: off
TABLE_I = (  # the maps of S2 that each map of C3 reads
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)
# fmt: on


def squash(x):
    """Equation 6 and Appendix A: f(a) = A tanh(S a)."""
    return 1.7159 * ops.tanh(2 / 3 * x)


def signs(shape, dtype=None):
    """-1 and +1 with equal probability."""
    return ops.cast(2 * random.randint(shape, 0, 2, seed=1998) - 1, dtype or "float32")


class Subsampling(layers.Layer):
    """Four inputs added, times one coefficient, plus one bias for each map."""

    def build(self, shape):
        maps = (shape[-1],)
        self.coefficient = self.add_weight(
            shape=maps, name="coefficient", initializer=lambda s, dtype: ops.full(s, 0.25, dtype)
        )
        self.bias = self.add_weight(shape=maps, name="bias", initializer="zeros")

    def call(self, x):
        total = 4 * ops.average_pool(x, 2, strides=2)
        return total * self.coefficient + self.bias


class EuclideanRBF(layers.Layer):
    """Equation 7: the squared distance to each class' centre, which is never trained."""

    def __init__(self, classes, **kwargs):
        super().__init__(**kwargs)
        self.classes = classes

    def build(self, shape):
        self.centres = self.add_weight(
            shape=(self.classes, shape[-1]), name="centres", initializer=signs, trainable=False
        )

    def call(self, x):
        return ops.sum(ops.square(ops.expand_dims(x, 1) - self.centres), axis=-1)


def build(variant="lenet5", *, input_shape=(32, 32, 1), classes=10):
    """LeNet-5 for characters centred in `input_shape`; ends in one penalty per class."""
    x = inputs = Input(input_shape)
    x = layers.Conv2D(6, 5, activation=squash, name="c1")(x)
    x = layers.Activation(squash, name="s2_squash")(Subsampling(name="s2")(x))
    maps = [
        layers.Conv2D(1, 5, activation=squash, name=f"c3_{i}")(ops.take(x, wired, axis=-1))
        for i, wired in enumerate(TABLE_I)
    ]
    x = layers.Concatenate(name="c3")(maps)
    x = layers.Activation(squash, name="s4_squash")(Subsampling(name="s4")(x))
    x = layers.Conv2D(120, 5, activation=squash, name="c5")(x)
    x = layers.Flatten(name="f6_flat")(x)
    x = layers.Dense(84, activation=squash, name="f6")(x)
    x = EuclideanRBF(classes, name="output")(x)
    return Model(inputs, x, name=variant)
