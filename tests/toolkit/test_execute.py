"""An op graph is run as its ops are defined."""

from __future__ import annotations

import interpreter
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Network, Spelling, architectures, odd_network

from reference_checks.execute import outputs
from reference_checks.from_keras import ACTIVATIONS
from reference_checks.from_keras.operations import FUNCTIONS
from reference_checks.graph import GraphError


@settings(deadline=None, max_examples=40)
@given(architectures, st.randoms(use_true_random=False))
def test_the_backend_computes_what_the_definitions_say(architecture, random):
    """Random networks, however spelt, in float64: 1e-12."""
    graph = Spelling(random).build(architecture)
    values = interpreter.random_values(graph, 7)
    (x,) = interpreter.random_inputs(graph, 7)
    (expected,) = interpreter.evaluate(graph, values, x)
    (found,) = outputs(graph, values, x)
    assert found.dtype == np.float64
    assert interpreter.distance(found, expected) < 1e-12


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_odd_operations_are_run_as_defined(dtype):
    """Unequal strides, dilation with stride, groups, padding that does not count."""
    graph = odd_network().graph()
    values = interpreter.random_values(graph, 3)
    (x,) = interpreter.random_inputs(graph, 3)
    (expected,) = interpreter.evaluate(graph, values, x)
    (found,) = outputs(graph, values, x.astype(dtype))
    assert found.dtype == dtype
    assert interpreter.distance(found, expected) < 1e3 * np.finfo(dtype).eps


READ = {a["function"]: a for a in ACTIVATIONS.values() if a["function"] != "linear"}


@pytest.mark.parametrize("function", READ)
def test_every_activation_that_is_read_is_run_as_defined(function):
    """On both sides of its kinks; operations are read as no others."""
    assert set(FUNCTIONS.values()) <= set(READ)
    net = Network(50)
    net.act(net.input, **READ[function])
    x = np.linspace(-8, 8, 50)[None]
    (expected,) = interpreter.evaluate(net.graph(), {}, x)
    (found,) = outputs(net.graph(), {}, x)
    assert interpreter.distance(found, expected) < 1e-15


def test_what_cannot_be_run_is_refused():
    """An unknown activation names its layer."""
    net = Network(4)
    net.act(net.input, "mish", layer="odd")
    with pytest.raises(GraphError, match="'odd': mish"):
        outputs(net.graph(), {}, np.zeros((1, 4)))
