"""A network compiled whole: what it computes, and what it is said to cost."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from reference_checks import equivalence
from reference_checks.equivalence.compiled import measured

SIZE = (8, 8, 3)


def network():
    """With a dropout that is off and a norm that keeps its statistics."""
    x = inputs = keras.Input(SIZE)
    x = layers.Conv2D(4, 3, name="c")(x)
    x = layers.Dropout(0.5)(layers.BatchNormalization(name="n")(x))
    return keras.Model(inputs, layers.Dense(3, name="d")(layers.Flatten()(x)))


@pytest.fixture
def ready():
    subject = equivalence.subject(network)
    subject.assign(equivalence.random_values(subject.graph, 1))
    return subject, equivalence.inputs(SIZE, 1)


def test_the_compiled_network_is_the_network(ready):
    """Both runs of it, to 1e-12 of what its layers compute one by one."""
    subject, x = ready
    (known,) = subject.run(x)
    for found in measured(subject, x)[:2]:
        assert equivalence.distance(found, known) <= 1e-12


def test_it_is_compiled_with_the_weights_that_it_has(ready):
    """The planted error: those of another time would give another output."""
    subject, x = ready
    before = measured(subject, x)[0]
    bias = subject.model.get_layer("d").bias
    bias.assign(np.array([1.0, 2.0, 3.0]))
    after = measured(subject, x)[0]
    assert equivalence.distance(after, subject.run(x)[0]) <= 1e-12
    assert equivalence.distance(before, after) > 1e-3


def test_a_run_leaves_the_weights_as_they_were(ready):
    """It is inference."""
    subject, x = ready
    before = dict(subject.values)
    measured(subject, x)
    assert all(np.array_equal(before[i], v) for i, v in subject.values.items())


def test_costs_are_said(ready):
    """Memory where the backend says it: at least weights and input, in bytes."""
    subject, x = ready
    *_, cost = measured(subject, x)
    assert 0 < cost.run_seconds < 60
    assert 0 <= cost.compile_seconds < 600
    if keras.config.backend() == "jax":
        stored = 8 * sum(v.size for v in subject.values.values())
        assert cost.peak_bytes >= stored + 8 * x.size
    else:
        assert cost.peak_bytes is None  # of a GPU alone
