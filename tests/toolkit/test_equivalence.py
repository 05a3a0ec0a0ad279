"""Weights and runs: what makes a comparison mean something."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import strategies as st
from keras import layers

from reference_checks import equivalence, precision
from reference_checks.from_keras import from_keras
from reference_checks.model_files import NotAvailable

RESNET = Path(__file__).parents[2] / "implementations" / "resnet.py"
nan, inf = float("nan"), float("inf")
vectors = st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=8, unique=True)


def array(*values):
    return np.array(values, dtype=np.float64)


# Weights -------------------------------------------------------------------------------


def network():
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, name="c")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="n")(x))
    x = layers.Dense(3, name="d")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, x)


def test_random_weights_are_all_different_from_their_defaults():
    """No zeros and ones for anything to hide behind."""
    values = equivalence.random_values(from_keras(network()), 1)
    assert set(range(8)) == set(values)
    for value in values.values():
        assert np.all(value != 0)
        assert np.all(value != 1)


def test_random_weights_depend_on_the_seed_alone():
    """The same for every run and both precisions."""
    graph = from_keras(network())
    first, again, other = (equivalence.random_values(graph, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(first[i], again[i]) for i in first)
    assert not any(np.array_equal(first[i], other[i]) for i in first)


def test_variances_are_positive():
    """A negative one would give NaN."""
    graph = from_keras(network())
    values = equivalence.random_values(graph, 1)
    (norm,) = [op for op in graph.ops if op.kind == "batch_norm"]
    assert np.all(norm.weight("variance").read(values) > 0)


def test_a_subject_has_no_memory_until_it_is_given_weights():
    """And then computes in its precision."""
    subject = equivalence.subject(network)
    assert {True} == {w._value is None for w in subject.model.weights}
    subject.assign(equivalence.random_values(subject.graph, 1))
    (output,) = subject.run(equivalence.inputs((16, 16, 3), 1))
    assert ((3, 3), np.float64) == (output.shape, output.dtype)
    assert not precision.counterfeit(output)


def test_precisions_agree_to_float32():
    """Both run the same network on the same weights."""
    x, outputs = equivalence.inputs((16, 16, 3), 1), []
    for dtype in ("float64", "float32"):
        subject = equivalence.subject(network, dtype)
        subject.assign(equivalence.random_values(subject.graph, 1))
        outputs.append(subject.run(x)[0])
    assert 0 < equivalence.distance(outputs[1], outputs[0]) < 1e-5


def test_stored_weights_are_read_in_the_models_order():
    """Index by index, as the graph numbers them."""
    model = network()
    stored = equivalence.Stored(dict(enumerate(model.weights)))
    assert [tuple(w.shape) for w in model.weights] == [v.shape for v in stored.values()]
    assert 8 == len(stored)


def test_calibration_keeps_a_deep_network_finite_and_alive():
    """56 layers with shortcuts; what a thousand without any do is tested beside coverage."""
    spec = importlib.util.spec_from_file_location("resnet", RESNET)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    size = (16, 16, 3)
    subject = equivalence.subject(lambda: module.build("resnet56", input_shape=size))
    x = equivalence.inputs(size, 1)
    subject.assign(equivalence.random_values(subject.graph, 1))
    relus = [op.tensor for op in subject.graph.ops if op.kind == "activation"][:-1]
    equivalence.calibrate(subject, x, 1)
    calm = subject.run(x, relus)[1:]

    def growth(activations):
        return np.std(activations[-1]) / np.std(activations[0])

    assert all(np.all(np.isfinite(a)) and np.any(a > 0) for a in calm)
    assert 0.1 < growth(calm) < 10
    (scores, *_) = subject.run(x)
    assert not np.allclose(scores[0], scores[1])


def test_calibration_gives_back_the_momentum_and_perturbs_the_statistics():
    """Statistics are near those of the batch and not equal to them."""
    subject = equivalence.subject(network)
    subject.assign(equivalence.random_values(subject.graph, 1))
    x = equivalence.inputs((16, 16, 3), 1)
    norm = subject.model.get_layer("n")
    before = norm.momentum
    equivalence.calibrate(subject, x, 1)
    assert before == norm.momentum
    conv = next(op.tensor for op in subject.graph.ops if op.kind == "conv")
    batch = subject.run(x, [conv])[1].reshape(-1, 4)
    variance = subject.values[5]
    assert np.all((0.7 < variance / batch.var(0)) & (variance / batch.var(0) < 1.3))
    assert not np.allclose(variance, batch.var(0))


def test_calibration_drops_nothing():
    """Stochastic depth would give other statistics in each run."""

    def dropping():
        x = inputs = keras.Input((8, 8, 3))
        x = layers.Dropout(0.5, noise_shape=(None, 1, 1, 1), name="drop")(x)
        return keras.Model(inputs, layers.BatchNormalization(name="n")(x))

    found = []
    for _ in range(3):
        subject = equivalence.subject(dropping)
        subject.assign(equivalence.random_values(subject.graph, 1))
        equivalence.calibrate(subject, equivalence.inputs((8, 8, 3), 1), 1)
        assert 0.5 == subject.model.get_layer("drop").rate
        norm = subject.model.get_layer("n")
        found.append(keras.ops.convert_to_numpy(norm.moving_variance).tolist())
    assert [found[0]] * 3 == found


def test_a_network_without_norms_is_left_alone():
    """There is nothing to calibrate."""
    x = keras.Input((4,))
    subject = equivalence.subject(lambda: keras.Model(x, layers.Dense(2)(x)))
    values = equivalence.random_values(subject.graph, 1)
    subject.assign(values)
    equivalence.calibrate(subject, np.ones((1, 4)), 1)
    assert all(np.array_equal(values[i], v) for i, v in subject.values.items())


# Inputs --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(16, 16, 3), (9, 12, 1)])
def test_inputs_are_two_photographs_and_noise(size):
    """In [-1, 1], of the size asked for; three different pictures."""
    x = equivalence.inputs(size, 1)
    assert (3, *size) == x.shape
    assert np.abs(x[:2]).max() <= 1
    assert x[:2].std() > 0.1
    assert not np.allclose(x[0], x[1])
    assert np.array_equal(x, equivalence.inputs(size, 1))


def test_without_scikit_image_the_way_out_is_named(monkeypatch):
    """It is no requirement of the toolkit itself."""
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(NotAvailable, match="pip install scikit-image"):
        equivalence.photographs((8, 8, 3))


def test_activations_come_with_the_outputs():
    """Tensors by number, as the graph knows them."""
    subject = equivalence.subject(network)
    subject.assign(equivalence.random_values(subject.graph, 1))
    relu = next(op.tensor for op in subject.graph.ops if op.kind == "activation")
    output, activation = subject.run(equivalence.inputs((16, 16, 3), 1), [relu])
    assert ((3, 3), (3, 14, 14, 4)) == (output.shape, activation.shape)
    assert activation.min() >= 0


# Input layers and grouped convolutions ----------------------------------------------------


def prefixed(*begin):
    """A model that begins with these layers, in float64, and the number of its prefix."""
    with precision.floatx("float64"):
        x = inputs = keras.Input((4, 4, 3))
        for layer in begin:
            x = layer()(x)
        return keras.Model(inputs, [x, layers.Conv2D(2, 1)(x)])


@pytest.mark.parametrize(
    "begin",
    [
        [],
        [lambda: layers.Rescaling(1 / 127.5, offset=-1)],
        [lambda: layers.Normalization(mean=[123.675, 116.28, 103.53], variance=[3409.8, 3262.7, 3291.9])],
        [lambda: layers.Rescaling(1 / 255), lambda: layers.Normalization(mean=[0.4] * 3, variance=[0.05] * 3)],
    ],
)  # fmt: skip
def test_a_model_is_fed_what_its_own_layers_make_the_picture_of(begin):
    """To the last digits, although the layers cast their constants by way of float32."""
    model = prefixed(*begin)
    # One output: what comes after the input layers is seen beside it.
    whole = keras.Model(model.inputs, model.outputs[1])
    subject = equivalence.Subject(whole, from_keras(whole), "float64")
    x = np.random.default_rng(0).standard_normal((2, 4, 4, 3))
    seen = keras.Model(model.inputs, model.outputs[0])(subject.feed(x))
    seen = keras.ops.convert_to_numpy(seen)
    assert equivalence.distance(seen, x) <= 1e-14
    # Another network, without such layers, is fed just this.
    assert np.array_equal(seen, subject.sees(x))


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="XLA is TensorFlow's detour"
)
def test_grouped_convolutions_are_not_compiled():
    """And what was set before is set after, whatever happens within."""
    import tensorflow

    eager = tensorflow.config.functions_run_eagerly
    within = []

    @equivalence.affordable()
    def fails():
        within.append(eager())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert [True] == within
    assert not eager()
