"""Derivatives are right on the backend that the tests run on, whichever it is."""

from __future__ import annotations

import weakref

import keras
import numpy as np
import pytest
from keras import layers

from reference_checks import equivalence
from reference_checks.equivalence import training
from reference_checks.equivalence.derivatives import derivatives

SIZE = (8, 8, 3)


def network():
    """A norm in between, a dropout that has to be off, and a product of two branches."""
    x = inputs = keras.Input(SIZE)
    x = layers.Conv2D(4, 3, name="c")(x)
    x = layers.BatchNormalization(momentum=0.9, name="n")(x)
    x = layers.Dropout(0.5, name="drop")(layers.Activation("tanh")(x))
    x = layers.Multiply()([x, layers.DepthwiseConv2D(1, name="d")(x)])
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


@pytest.fixture
def ready():
    subject = equivalence.subject(network)
    subject.assign(equivalence.random_values(subject.graph, 1))
    return subject, equivalence.inputs(SIZE, 1)


def test_derivatives_are_the_slopes_of_the_outputs(ready):
    """Of the input and of every trained weight, by differences of the network itself."""
    subject, x = ready
    found = training.gradients(subject, x, 1)
    projection = np.random.default_rng(1).standard_normal((3, 4))

    def slope(weights, picture):
        ends = []
        for side in (1e-5, -1e-5):
            subject.assign({i: v + side * weights.get(i, 0) for i, v in values.items()})
            ends.append(np.sum(subject.run(x + side * picture)[0] * projection))
        subject.assign(values)
        return (ends[0] - ends[1]) / 2e-5

    values, rng = dict(subject.values), np.random.default_rng(2)
    for index, gradient in found.weights.items():
        step = rng.standard_normal(gradient.shape)
        expected = slope({index: step}, 0 * x)
        assert expected == pytest.approx(np.sum(gradient * step), rel=1e-6)
    step = rng.standard_normal(x.shape)
    assert slope({}, step) == pytest.approx(np.sum(found.input * step), rel=1e-6)
    assert {np.dtype("float64")} == {g.dtype for g in found.weights.values()}


def test_a_training_step_moves_statistics_by_the_momentum(ready):
    """And with dropout off: twice from the same weights it is the same step."""
    subject, x = ready
    before = dict(subject.values)
    conv = next(op.tensor for op in subject.graph.ops if op.kind == "conv")
    mean = subject.run(x, [conv])[1].mean(axis=(0, 1, 2))
    (index,) = [
        i for i, w in enumerate(subject.model.weights) if w.path.endswith("moving_mean")
    ]
    steps = []
    for _ in range(2):
        subject.assign(before)
        training.training_step(subject, x, 1, 0.01)
        steps.append({i: v.copy() for i, v in subject.values.items()})
    assert all(np.array_equal(steps[0][i], steps[1][i]) for i in before)
    expected = 0.9 * before[index] + 0.1 * mean
    np.testing.assert_allclose(steps[0][index], expected, rtol=1e-12)
    assert 0.5 == subject.model.get_layer("drop").rate


def test_inference_leaves_statistics_alone(ready):
    """Gradients for a batch at inference change nothing that is stored."""
    subject, x = ready
    before = dict(subject.values)
    training.gradients(subject, x, 1)
    assert all(np.array_equal(before[i], v) for i, v in subject.values.items())


def test_what_has_no_part_in_the_loss_has_zeros():
    """Of the shape of the variable, not nothing."""
    used, idle = keras.Variable([2.0, 3.0]), keras.Variable([[1.0, 1.0]])
    fed = keras.ops.convert_to_tensor([5.0, 7.0])
    found = derivatives(lambda x: keras.ops.sum(x * used), fed, [used, idle])
    expected = [[2.0, 3.0], [5.0, 7.0], [[0.0, 0.0]]]
    assert expected == [keras.ops.convert_to_numpy(g).tolist() for g in found]


@pytest.mark.skipif(keras.config.backend() != "jax", reason="of JAX alone")
@pytest.mark.parametrize(
    ("size", "many", "kernel", "stride", "padding", "dilation"),
    [
        ((7, 6, 5), 1, 3, 1, "SAME", 1),
        ((8, 9, 4), 2, 5, 2, "SAME", 1),
        ((9, 9, 3), 1, 3, 2, "VALID", 1),
        ((12, 11, 3), 2, 3, 1, "SAME", 2),
        ((8, 8, 4), 1, 3, 2, ((0, 1), (0, 1)), 1),
    ],
)
def test_depthwise_convolutions_by_taps_are_what_jax_computes(
    size, many, kernel, stride, padding, dilation
):
    """They and their gradients: XLA's own take a thousand times as long on a CPU."""
    import jax

    from reference_checks.equivalence.depthwise import by_taps

    def convolution(x, weights):
        return jax.lax.conv_general_dilated(
            x, weights, (stride, stride), padding, rhs_dilation=(dilation, dilation),
            dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=size[-1],
        )  # fmt: skip

    def found():
        gradients = jax.grad(lambda *both: (convolution(*both) * g).sum(), (0, 1))
        return convolution(x, weights), *gradients(x, weights)

    def written():  # a function of its own, since JAX remembers what it has traced
        return str(jax.make_jaxpr(lambda *both: convolution(*both))(x, weights))

    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, *size))
    weights = rng.standard_normal((kernel, kernel, 1, size[-1] * many))
    g = rng.standard_normal(convolution(x, weights).shape)
    own = found()
    with by_taps():
        ours = found()
        assert "conv_general_dilated" not in written()
    assert "conv_general_dilated" in written()
    for mine, theirs in zip(ours, own, strict=True):
        assert equivalence.distance(np.asarray(mine), np.asarray(theirs)) < 1e-14


@pytest.mark.skipif(keras.config.backend() != "jax", reason="of JAX alone")
@pytest.mark.parametrize("kernel", [3, 5])
def test_a_kernel_larger_than_the_map_goes_by_taps(monkeypatch, kernel):
    """What fits is left to XLA, whose kernel for that is a good one; both are right."""
    from reference_checks.equivalence import depthwise

    def network():
        x = inputs = keras.Input((3, 4, 3))
        return keras.Model(
            inputs, layers.DepthwiseConv2D(kernel, padding="same", name="d")(x)
        )

    taken, sums = [], depthwise._sum
    monkeypatch.setattr(
        depthwise, "_sum", lambda *a: taken.append(a[0].shape) or sums(*a)
    )
    subject = equivalence.subject(network)
    subject.assign(equivalence.random_values(subject.graph, 1))
    x = equivalence.inputs((3, 4, 3), 1)
    found = subject.run(x)[0]
    assert ([x.shape] if kernel > 3 else []) == taken
    expected = keras.ops.convert_to_numpy(subject.model(x))
    assert equivalence.distance(found, expected) < 1e-14


def test_what_a_model_is_built_beside_is_let_go():
    """Under JAX a layer's shape is learned from an error, which remembers all frames."""

    class Beside:
        """As large as a network's weights."""

    class Scale(layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(shape[-1],))

        def call(self, x):
            return x * self.scale

    def scaled():
        inputs = keras.Input(SIZE)
        return keras.Model(inputs, Scale()(inputs))

    def built():
        beside = Beside()
        equivalence.subject(scaled)
        return weakref.ref(beside)

    assert built()() is None
