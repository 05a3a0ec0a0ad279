"""An op graph is run as its ops are defined; the first op that differs is named."""

from __future__ import annotations

import interpreter
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Network, Spelling, architectures

from reference_checks.alignment import align
from reference_checks.execute import first_difference, outputs
from reference_checks.graph import GraphError
from reference_checks.rewrites import canonical


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


def odd_network() -> Network:
    """Everything that random networks lack."""
    net = Network(12, 10, 4)
    x = net.conv(net.input, 8, (3, 2), 2, ((1, 0), (0, 1)), groups=2, dilation=2)
    x = net.conv(x, 8, 3, groups=8)
    net.ops[x] = net.ops[x].but(attrs={"strides": (1, 2)}, shape=(*_half(net, x), 8))
    x = net.add("lrn", x, net.shape(x), size=5, alpha=1e-2, beta=0.75, k=2.0)
    x = net.pool(x, 3, 2, "average", 1)
    x = net.pool(x, 2, 1, "max", ((0, 1), (1, 0)))
    x = net.power(net.act(x, "sigmoid"), 0.5)
    x = net.add("transpose", x, _turned(net, x), axes=(2, 0, 1))
    x = net.take(x, (1, 0))
    x = net.act(x, "gelu", approximate=True)
    x = net.scale(net.shift(x, 0.5), 2.0)
    x = net.reshape(x, int(np.prod(net.shape(x))))
    net.dense(x, 3)
    return net


def _half(net: Network, x: int) -> tuple[int, int]:
    height, width, _ = net.shape(x)
    return height, (width + 1) // 2


def _turned(net: Network, x: int) -> tuple[int, int, int]:
    height, width, channels = net.shape(x)
    return channels, height, width


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


def test_what_cannot_be_run_is_refused():
    """An unknown activation names its layer."""
    net = Network(4)
    net.act(net.input, "mish", layer="odd")
    with pytest.raises(GraphError, match="'odd': mish"):
        outputs(net.graph(), {}, np.zeros((1, 4)))


def test_the_first_op_that_differs_is_named():
    """Two kernels of one shape swapped: the earlier convolution, and nothing before."""
    net = Network(8, 8, 3)
    x = net.act(net.conv(net.input, 4, layer="first"))
    x = net.conv(x, 4, layer="second")
    net.conv(x, 4, layer="third")
    graph = canonical(net.graph())
    pairs = align(graph, graph).pairs
    values = interpreter.random_values(graph, 1)
    (x,) = interpreter.random_inputs(graph, 1)
    assert first_difference(graph, graph, pairs, (values, values), x) is None
    second, third = (
        op.weight("kernel").variables[0] for op in graph.ops if op.layer in ("second", "third")
    )  # fmt: skip
    swapped = {**values, second: values[third], third: values[second]}
    index, gap = first_difference(graph, graph, pairs, (swapped, values), x)
    assert "second" == graph.ops[index].layer
    assert gap > 0.1
