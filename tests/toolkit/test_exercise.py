"""What exercises a network, and the check that it is exercised."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from reference_checks import equivalence
from reference_checks.equivalence import coverage, training
from reference_checks.model_files import deep_recursion

SIZE = (8, 8, 3)


def ready(build, x=None, seed=1, calibrated=True):
    """A subject with calibrated weights, and its inputs."""
    subject = equivalence.subject(build)
    x = equivalence.inputs(SIZE, seed) if x is None else x
    subject.assign(equivalence.random_values(subject.graph, seed))
    if calibrated:
        equivalence.calibrate(subject, x, seed)
    return subject, x


def deep(normed):
    """1,000 narrow layers without a shortcut."""

    def build():
        x = inputs = keras.Input(SIZE)
        for index in range(1000):
            x = layers.Conv2D(4, 1, use_bias=not normed, name=f"c{index}")(x)
            x = layers.BatchNormalization(name=f"n{index}")(x) if normed else x
            x = layers.ReLU(name=f"r{index}")(x)
        return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))

    return build


def widths_of(subject, x):
    relus = [op.tensor for op in subject.graph.ops if op.layer.startswith("r")]
    found = subject.run(x, relus)[1:]
    # Over pictures and places: channels that differ and say nothing are dead as well.
    return np.array([np.std(a, axis=(0, 1, 2)).max() for a in found])


@pytest.mark.parametrize("normed", [True, False])
def test_a_thousand_layers_neither_vanish_nor_explode(normed):
    """With norms, and with biases alone: all of four channels, and none is far off."""
    with deep_recursion():
        subject, x = ready(deep(normed))
        wild = widths_of(*ready(deep(normed), calibrated=False))
    assert wild[-1] < 1e-3 or wild[-1] > 10  # what calibration is for
    widths = widths_of(subject, x)
    assert 1000 == len(widths)
    assert 1e-3 < widths.min() < widths.max() < 10
    assert 0.1 < np.median(widths[-100:])


def kinked(function):
    def build():
        x = inputs = keras.Input(SIZE)
        x = layers.Conv2D(4, 3, name="c")(x)
        x = layers.Activation(function, name="kinked")(
            layers.BatchNormalization(name="n")(x)
        )
        return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))

    return build


@pytest.mark.parametrize("function", ["relu", "relu6", "hard_sigmoid", "hard_silu"])
def test_all_pieces_of_an_activation_are_visited(function):
    """ReLU6 above 6 as well, where a ReLU would differ from it."""
    subject, x = ready(kinked(function))
    pieces = coverage.Pieces(subject)
    subject.run(x, (), pieces)
    assert [("kinked", [])] == [(layer, pieces.missed()) for layer in pieces.seen]


@pytest.mark.parametrize("shift", [-100.0, 100.0])
def test_an_activation_on_one_side_only_is_missed(shift):
    """Dead, or as good as linear."""
    subject, x = ready(kinked("relu"))
    subject.model.get_layer("n").beta.assign([shift] * 4)
    pieces = coverage.Pieces(subject)
    subject.run(x, (), pieces)
    assert ["kinked"] == pieces.missed()


def test_a_dead_region_has_no_gradient():
    """Neither the weights that lead to it nor those that it leads to."""
    subject, x = ready(kinked("relu"))
    alive = training.gradients(subject, x, 1).weights
    assert all(np.any(g != 0) for g in alive.values())
    subject.model.get_layer("n").beta.assign([-100.0] * 4)
    dead = training.gradients(subject, x, 1).weights
    assert 4 + 1 == sum(coverage.without_effect(g) == g.size for g in dead.values())
    assert coverage.constant(np.zeros((2, 3, 3, 4)))
    assert not coverage.constant(np.arange(4.0))


@pytest.mark.parametrize(
    ("channels", "filters", "groups", "options"),
    [
        (4, 6, 2, {"strides": 2, "activation": "tanh"}),
        (4, 4, 4, {"padding": "same", "use_bias": False}),
    ],
)
def test_grouped_convolutions_have_the_gradients_of_their_outputs(
    channels, filters, groups, options
):
    """Against differences of the network itself: TensorFlow has none on a CPU."""

    def build():
        x = inputs = keras.Input(SIZE)
        x = layers.Conv2D(channels, 1, name="c")(x)
        return keras.Model(
            inputs, layers.Conv2D(filters, 3, groups=groups, name="g", **options)(x)
        )

    subject, x = ready(build)
    found = training.gradients(subject, x, 1).weights
    shape = subject.run(x)[0].shape
    projection = np.random.default_rng(1).standard_normal(shape)
    for index, gradient in found.items():
        values, ends = dict(subject.values), []
        step = np.random.default_rng(2).standard_normal(gradient.shape)
        for side in (1, -1):
            subject.assign({**values, index: values[index] + side * 1e-5 * step})
            ends.append(np.sum(subject.run(x)[0] * projection))
        subject.assign(values)
        slope = (ends[0] - ends[1]) / 2e-5
        assert slope == pytest.approx(np.sum(gradient * step), rel=1e-6, abs=1e-6)


def classifier():
    x = inputs = keras.Input(SIZE)
    x = layers.Conv2D(4, 3, name="c")(x)
    x = layers.Dense(50)(layers.GlobalAveragePooling2D()(layers.ReLU()(x)))
    return keras.Model(inputs, layers.Softmax()(x))


def test_a_softmax_is_not_saturated():
    """An error before it shows behind it; with untouched weights it would not."""
    found = []
    for calibrated in (True, False):
        subject, x = ready(classifier)
        dense = subject.model.layers[-2]
        if not calibrated:  # as large as logits get without calibration
            dense.bias.assign(1000.0 * np.arange(50.0))
        (right,) = subject.run(x)
        dense.bias.assign(
            keras.ops.convert_to_numpy(dense.bias.value) + 1e-6 * np.arange(50.0)
        )
        (wrong,) = subject.run(x)
        found.append(equivalence.distance(wrong, right))
    assert found[0] > 1e-7
    assert 0 == found[1]


def test_tensors_are_let_go_on_the_way():
    """The walk holds what is still to be read, not all that was computed."""
    import weakref

    from reference_checks.equivalence.subject import walk

    subject, x = ready(classifier)
    known, most = [], []

    def see(tensor, value):
        known.append(weakref.ref(value))
        most.append(sum(ref() is not None for ref in known))

    walk(subject.model, subject.feed(x), subject.model.outputs, see=see)
    assert max(most) <= 3 < len(most)


def test_released_weights_take_no_memory_and_can_be_given_again():
    """The outputs are the same."""
    subject, x = ready(classifier)
    (before,), values = subject.run(x), dict(subject.values)
    subject.release()
    assert {True} == {w._value is None for w in subject.model.weights}
    subject.assign(values)
    assert np.array_equal(before, subject.run(x)[0])
