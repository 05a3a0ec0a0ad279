"""Every rewrite keeps what a network computes, and refuses what would change it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interpreter import distance, evaluate, random_inputs, random_values
from networks import (
    Architecture,
    Conv,
    Network,
    Spelling,
    architectures,
    examples,
)

from reference_checks.alignment import align
from reference_checks.graph import Absorbed, Graph, GraphError
from reference_checks.rewrites import RULES, canonical, folded_norm, sweep
from reference_checks.rewrites.normalisation import after_prefix
from reference_checks.rewrites.rule import together

BUDGET = 1e-12
few = examples(25)
seeds = st.integers(0, 2**16)
sizes = st.integers(1, 6)


def results(graph: Graph, seed: int, values=None) -> list[np.ndarray]:
    values = random_values(graph, seed) if values is None else values
    return evaluate(graph, values, *random_inputs(graph, seed))


def gap(graph: Graph, other: Graph, seed: int) -> float:
    """The largest relative difference of the outputs, with the same variables."""
    values = random_values(graph, seed)
    pairs = zip(results(graph, seed, values), results(other, seed, values), strict=True)
    return max(distance(y, x) for x, y in pairs)


def rewritten(graph: Graph, name: str, seed: int) -> Graph:
    """The graph with one rule applied as often as it can be, and checked numerically."""
    found = canonical(graph, [RULES[name]])
    assert found is not graph, "the rule does not apply"
    assert gap(graph, found, seed) <= BUDGET
    return found


def refused(graph: Graph, name: str) -> None:
    assert sweep(graph, RULES[name]) is graph


def kinds(graph: Graph) -> list[str]:
    return [op.kind for op in graph.ops]


def notes(graph: Graph) -> Counter:
    return Counter(
        (n.rewrite, n.attribute, n.value, n.params)
        for op in graph.ops
        for n in op.absorbed
    )


# Spelling ------------------------------------------------------------------------------


@few
@given(
    st.lists(st.sampled_from(["dropout", "identity", "shift", "scale"]), min_size=1),
    seeds,
)
def test_what_acts_in_training_only_is_left_out(wrappers, seed):
    """Dropout, identity, + 0 and * 1 go, and the rates of dropout are noted."""
    net = Network(4, 4, 3)
    x = net.conv(net.input, 2)
    for kind in wrappers:
        attrs = {"dropout": {"rate": 0.3}, "shift": {"by": 0.0}, "scale": {"by": 1.0}}
        x = net.add(kind, x, net.shape(x), **attrs.get(kind, {}))
    found = rewritten(net.graph(), "inference identity", seed)
    assert ["input", "conv"] == kinds(found)
    noted = wrappers.count("dropout")
    assert noted == sum(n.value == 0.3 for n in found.ops[-1].absorbed)


def test_momentum_does_nothing_at_inference():
    net = Network(4, 4, 3)
    net.norm(net.input, momentum=0.9)
    found = rewritten(net.graph(), "inference identity", 0)
    assert {("inference identity", "momentum", 0.9, 0): 1} == notes(found)
    assert "momentum" not in found.ops[-1].attrs


@pytest.mark.parametrize(
    ("rule", "steps"),
    [
        ("selection", [lambda net, x: net.slice(x, 0, 4)]),
        ("selection", [lambda net, x: net.slice(x, 1, 4), lambda net, x: net.slice(x, 1, 3)]),
        ("pooling spelling", [lambda net, x: net.pool(x, 1, 1)]),
        ("pooling spelling", [lambda net, x: net.reshape(x, *net.shape(x))]),
        ("pooling spelling", [lambda net, x: net.reshape(x, 8, 8), lambda net, x: net.reshape(x, 64)]),
        ("explicit padding", [lambda net, x: net.pad(x, ((1, 0), (0, 1))), lambda net, x: net.conv(x, 4)]),
        ("merged padding", [lambda net, x: net.pad(x, ((1, 0), (0, 1)))] * 2),
        ("associative", [lambda net, x: net.plus(x, net.act(net.input))] * 2),
    ],
)  # fmt: skip
def test_what_was_noted_stays_noted(rule, steps):
    """A dropout before, between or after what another rule takes out, or makes one."""
    rules = [RULES[name] for name in ("inference identity", rule)]
    for place in range(len(steps) + 1):
        net = Network(4, 4, 4)
        x = net.conv(net.input, 4)
        for step in (*steps[:place], lambda net, x: net.drop(x, 0.3), *steps[place:]):
            x = step(net, x)
        net.act(x)
        found = canonical(net.graph(), rules)
        assert gap(net.graph(), found, 0) <= BUDGET
        assert len(found.ops) < len(net.ops) - 1
        assert {("inference identity", "dropout", 0.3, 0): 1} == notes(found)


def test_notes_that_say_the_same_are_one_of_the_first_layer():
    """What they cost is added."""
    said = [Absorbed("rule", "bias", True, n, f"layer_{n}") for n in (2, 3)]
    (one,) = together(said)
    assert (5, "layer_2") == (one.params, one.layer)
    other = Absorbed("rule", "bias", False, 4, "layer_4")
    assert 2 == len(together([*said, other]))


def test_a_scale_that_is_not_one_stays():
    net = Network(4, 4, 3)
    net.scale(net.input, 1.0 + 1e-9)
    refused(net.graph(), "inference identity")


@few
@given(st.sampled_from(["add", "concat"]), st.integers(1, 4), seeds)
def test_nested_sums_and_concatenations_are_one(kind, depth, seed):
    net = Network(4, 4, 3)
    join = (
        (lambda *xs: net.plus(*xs)) if kind == "add" else (lambda *xs: net.concat(xs))
    )
    x = net.conv(net.input, 2)
    for _ in range(depth):
        x = join(x, net.conv(net.input, 2))
    found = rewritten(net.graph(), "associative", seed) if depth > 1 else net.graph()
    assert depth + 1 == len(found.ops[-1].inputs)


def test_a_sum_that_others_read_stays():
    net = Network(4, 4, 3)
    inner = net.plus(net.conv(net.input, 2), net.conv(net.input, 2))
    outer = net.plus(inner, net.conv(net.input, 2))
    refused(net.graph(outer, inner), "associative")


@few
@given(st.integers(0, 3), st.integers(1, 4), seeds)
def test_taking_consecutive_channels_is_a_slice(start, count, seed):
    net = Network(3, 3, 9)
    net.take(net.slice(net.input, 1, 8), range(start, start + count))
    found = rewritten(net.graph(), "selection", seed)
    assert ["input", "slice"] == kinds(found)
    assert (start + 1, start + 1 + count) == found.ops[-1].attrs["ranges"][-1]


@pytest.mark.parametrize("indices", [(0, 2), (2, 1), (-1, 0), (-2, -1)])
def test_taking_channels_out_of_order_stays(indices):
    net = Network(3, 3, 4)
    net.take(net.input, indices)
    refused(net.graph(), "selection")


def spelt(net: Network, x: int, function: str, way: int) -> int:
    """An activation written out, in one of several ways."""
    match function:
        case "silu":
            gate = net.act(x, "sigmoid")
            return net.times(x, gate) if way % 2 else net.times(gate, x)
        case "hard_sigmoid":
            return net.scale(net.act(net.shift(x, 3.0), "relu6"), 1 / 6)
        case "hard_silu":
            gate = net.act(net.shift(x, 3.0), "relu6")
            ways = (
                lambda: net.times(x, net.scale(gate, 1 / 6)),
                lambda: net.scale(net.times(gate, x), 1 / 6),
                lambda: net.times(net.scale(x, 1 / 6), gate),
                lambda: net.times(net.act(x, "hard_sigmoid"), x),
            )
            return ways[way % 4]()
        case "gelu":
            gate = net.shift(net.act(net.scale(x, math.sqrt(0.5)), "erf"), 1.0)
    if function == "gelu_tanh":
        cube = net.power(x, 3) if way % 2 else net.times(x, net.times(x, x))
        total = net.plus(x, net.scale(cube, 0.044715))
        squash = net.act(net.scale(total, math.sqrt(2 / math.pi)), "tanh")
        gate = net.shift(squash, 1.0)
    if way < 2:
        return net.times(net.scale(x, 0.5), gate)
    return net.scale(net.times(gate, x), 0.5)


@few
@given(
    st.sampled_from(["silu", "hard_sigmoid", "hard_silu", "gelu", "gelu_tanh"]),
    st.integers(0, 3), seeds,
)  # fmt: skip
def test_an_activation_written_out_is_that_activation(function, way, seed):
    net = Network(4, 4, 3)
    spelt(net, net.conv(net.input, 2), function, way)
    found = rewritten(net.graph(), "activation spelling", seed)
    assert ["input", "conv", "activation"] == kinds(found)
    attrs = {"gelu_tanh": {"function": "gelu", "approximate": True}}
    attrs["gelu"] = {"function": "gelu", "approximate": False}
    assert attrs.get(function, {"function": function}) == found.ops[-1].attrs


def test_an_activation_of_a_product_is_recognised():
    """x itself may be a product, as in squeeze and excitation."""
    net = Network(4, 4, 3)
    x = net.times(net.conv(net.input, 2), net.conv(net.input, 2))
    spelt(net, x, "silu", 0)
    assert (
        "silu"
        == rewritten(net.graph(), "activation spelling", 1).ops[-1].attrs["function"]
    )


def test_an_activation_of_what_is_scaled_is_recognised():
    """The scale is no part of the formula, cubed or not."""
    for way in range(4):
        net = Network(4, 4, 3)
        spelt(net, net.scale(net.conv(net.input, 2), 0.7), "gelu_tanh", way)
        found = rewritten(net.graph(), "activation spelling", 1)
        assert ["input", "conv", "scale", "activation"] == kinds(found)


@pytest.mark.parametrize(
    "number", [0.044715, math.sqrt(2 / math.pi), math.sqrt(0.5), 1 / 6]
)
@pytest.mark.parametrize("off", [1e-3, 1e-10])
def test_an_activation_with_another_constant_stays(number, off):
    """Any that differs before the last digits: the planted error of one formula each."""
    functions = {1 / 6: "hard_silu", math.sqrt(0.5): "gelu"}
    net = Network(4, 4, 3)
    spelt(net, net.conv(net.input, 2), functions.get(number, "gelu_tanh"), 2)
    for k, op in enumerate(net.ops):
        if op.attrs.get("by") == number:
            net.ops[k] = op.but(attrs={"by": number * (1 + off)})
    refused(net.graph(), "activation spelling")


@pytest.mark.parametrize("miss", ["another map", "constant", "offset", "quick gelu"])
def test_a_formula_that_is_nearly_an_activation_stays(miss):
    net = Network(4, 4, 3)
    x, y = net.conv(net.input, 2), net.conv(net.input, 2)
    match miss:
        case "another map":
            net.times(y, net.act(x, "sigmoid"))
        case "constant":
            net.times(x, net.scale(net.act(net.shift(x, 3.0), "relu6"), 0.1667))
        case "offset":
            net.scale(net.act(net.shift(x, 2.5), "relu6"), 1 / 6)
        case "quick gelu":
            net.times(x, net.act(net.scale(x, 1.702), "sigmoid"))
    refused(net.graph(), "activation spelling")


# Padding and pooling --------------------------------------------------------------------

pairs = st.tuples(st.integers(0, 2), st.integers(0, 2))


@few
@given(pairs, pairs, pairs, st.integers(1, 2), seeds)
def test_zeros_before_a_convolution_are_its_padding(rows, columns, more, stride, seed):
    net = Network(5, 5, 2)
    x = net.pad(net.pad(net.input, (rows, columns)), (more, more))
    net.conv(x, 3, stride=stride, padding=(more, columns))
    found = canonical(net.graph(), [RULES["merged padding"], RULES["explicit padding"]])
    assert ["input", "conv"] == kinds(found)
    assert gap(net.graph(), found, seed) <= BUDGET


def test_padding_twice_with_one_value_is_padding_once():
    """With another value it is not."""
    for values in ((0.5, 0.5), (0.5, 0.0)):
        net = Network(4, 4, 2)
        x = net.pad(net.input, ((1, 0), (2, 0)), values[0])
        net.pad(x, ((1, 1), (0, 1)), values[1])
        if len(set(values)) == 1:
            found = rewritten(net.graph(), "merged padding", 0)
            assert ((2, 1), (2, 1)) == found.ops[-1].attrs["padding"][:2]
        else:
            refused(net.graph(), "merged padding")


@few
@given(st.sampled_from(["relu", "relu6", "sigmoid"]), st.booleans(), seeds)
def test_zeros_before_max_pooling_are_its_padding_after_relu(function, joined, seed):
    net = Network(6, 6, 2)
    x = net.act(net.conv(net.input, 3), function)
    if joined:
        x = net.concat([x, net.act(net.conv(net.input, 2))])
    net.pool(net.pad(x, ((1, 0), (0, 1))), 3, 2)
    found = rewritten(net.graph(), "explicit padding", seed)
    assert "pad" not in kinds(found)


@pytest.mark.parametrize(
    "kept",
    [
        lambda net, x: net.slice(x, 1, 4),
        lambda net, x: net.take(x, (3, 0)),
        lambda net, x: net.reshape(x, 6, 6, 4),
        lambda net, x: net.pool(x, 3, 1, "average", padding=1),
        lambda net, x: net.mean(x, keepdims=True),
        lambda net, x: net.pad(x, ((0, 1), (1, 0))),
        lambda net, x: net.plus(x, net.act(net.conv(net.input, 4))),
    ],
)
def test_what_is_made_of_no_negative_values_has_none(kept):
    """Parts, means and sums of what a relu leaves."""
    net = Network(6, 6, 2)
    x = kept(net, net.act(net.conv(net.input, 4)))
    net.pool(net.pad(x, ((1, 0), (0, 1))), 2, 1)
    assert "pad" not in kinds(rewritten(net.graph(), "explicit padding", 0))


@pytest.mark.parametrize(
    "miss",
    ["average", "negative", "in part", "ones", "whole window", "twice", "below zero"],
)
def test_padding_that_counts_stays(miss):
    """Planted: each of these changes what the pooling, or the convolution, computes."""
    net = Network(6, 6, 2)
    x = net.conv(net.input, 3)
    relu = net.act(x)
    around = ((1, 1), (1, 1))
    match miss:
        case "average":
            net.pool(net.pad(relu, around), 3, 2, "average")
        case "negative":
            net.pool(net.pad(x, around), 3, 2)
        case "in part":
            net.pool(net.pad(net.concat([x, relu]), around), 3, 2)
        case "ones":
            net.conv(net.pad(x, around, value=1.0), 2)
        case "whole window":
            net.pool(net.pad(relu, ((2, 2), (2, 2))), 2, 2)
        case "twice":
            net.pool(net.pad(relu, around), 2, 2, padding=1)
        case "below zero":
            below = net.pad(relu, around, value=-1.0)
            net.pool(net.pad(below, around), 2, 2)
    refused(net.graph(), "explicit padding")
    # And it would be wrong: the same without the padding layer is another function.
    graph = net.graph()
    last = graph.ops[-1]
    pad = graph.ops[last.inputs[0]]
    added = tuple(
        (a + c, b + d)
        for (a, b), (c, d) in zip(pad.attrs["padding"], last.attrs["padding"])
    )
    wrong = last.but(inputs=pad.inputs, attrs={"padding": added})
    forced = Graph((*graph.ops[:-1], wrong), graph.outputs, graph.variables)
    assert any(not gap(graph, forced, seed) <= BUDGET for seed in range(8))


@few
@given(
    st.integers(3, 9), st.integers(1, 3), st.integers(1, 4), st.integers(0, 2),
    st.integers(0, 3), st.sampled_from(["conv", "max", "average"]), seeds,
)  # fmt: skip
def test_padding_that_no_window_reaches_is_none(
    size, window, stride, before, after, kind, seed
):
    """All ends that leave the windows as they are have one form, which computes the same."""
    forms, graphs = [], []
    before = min(before, window - 1)
    for more in range(after, after + stride):
        net = Network(size, size, 2)
        if kind != "conv":
            more = min(more, window - 1)  # a window of nothing has no mean
        padding = ((before, more), (before, before))
        if kind == "conv":
            net.conv(net.input, 3, window, stride, padding)
        else:
            net.pool(net.input, window, stride, kind, padding)
        graph = net.graph()
        form = canonical(graph, [RULES["unread padding"]])
        assert gap(graph, form, seed) <= BUDGET
        assert form is canonical(form, [RULES["unread padding"]])
        forms.append(form)
        graphs.append(graph)
    for graph, form in zip(graphs, forms, strict=True):
        if graph.ops[-1].shape == graphs[0].ops[-1].shape:
            assert forms[0].ops[-1].signature == form.ops[-1].signature


def test_one_row_of_padding_more_is_the_same_network_where_no_window_reads_it():
    """The stem of ResNet: 3 on both sides of 224, of which the last is not read."""
    stems = {}
    for padding in (((3, 2), (3, 2)), ((3, 3), (3, 3)), ((2, 3), (2, 3)), ((3, 4), (3, 4))):  # fmt: skip
        net = Network(224, 224, 3)
        net.conv(net.input, 64, 7, 2, padding)
        stems[padding[0]] = canonical(net.graph())
    assert align(stems[3, 2], stems[3, 3]).isomorphic
    assert ((3, 3), (3, 3)) == stems[3, 2].ops[-1].attrs["padding"]
    assert not align(stems[3, 3], stems[2, 3]).isomorphic
    assert not align(stems[3, 3], stems[3, 4]).isomorphic


@pytest.mark.parametrize("mode", ["max", "average"])
def test_what_no_window_of_a_pooling_reads_is_written_in_one_way(mode):
    net = Network(8, 8, 2)
    net.pool(net.input, 3, 2, mode, ((1, 0), (1, 0)))
    found = rewritten(net.graph(), "unread padding", 0)
    assert ((1, 1), (1, 1)) == found.ops[-1].attrs["padding"]


def test_a_dilated_window_reads_farther():
    net = Network(8, 8, 2)
    net.conv(net.input, 3, 3, 2, ((2, 1), (2, 1)), dilation=2)
    found = rewritten(net.graph(), "unread padding", 0)
    assert ((2, 2), (2, 2)) == found.ops[-1].attrs["padding"]


@pytest.mark.parametrize("miss", ["read", "start", "unknown size"])
def test_padding_that_is_read_stays(miss):
    """The planted errors: a row that a window reads, the first row, any size at all."""
    net = Network(*((None, None) if miss == "unknown size" else (8, 8)), 2)
    padding = {"read": (0, 1), "start": (1, 1), "unknown size": (1, 2)}[miss]
    weights = [net.weight("kernel", (3, 3, 2, 4))]
    size = {"read": 4, "start": 4, "unknown size": None}[miss]
    net.add(
        "conv", net.input, (size, size, 4), weights=weights, strides=(2, 2),
        padding=(padding, padding), dilation=(1, 1), groups=1,
    )  # fmt: skip
    refused(net.graph(), "unread padding")


@few
@given(
    sizes, sizes, st.sampled_from(["pool", "wide pool", "sum"]), st.booleans(), seeds
)
def test_global_average_pooling_has_one_spelling(height, width, way, flat, seed):
    net = Network(height, width, 3)
    match way:
        case "pool":
            x = net.pool(net.input, (height, width), 1, "average")
        case "wide pool":
            around = ((1, 1), (0, 2))
            window = (height + 2, width + 2)
            x = net.pool(net.input, window, 5, "average", padding=around)
        case "sum":
            total = net.mean(net.input, keepdims=True, kind="sum")
            x = net.scale(total, 1 / (height * width))
    if flat:
        net.reshape(x, 3)
    found = canonical(net.graph())
    plain = Network(height, width, 3)
    plain.mean(plain.input, keepdims=not flat)
    assert align(found, canonical(plain.graph())).isomorphic
    assert gap(net.graph(), found, seed) <= BUDGET


@few
@given(st.booleans(), seeds)
def test_a_reshape_that_keeps_the_channels_is_the_means_keepdims(keepdims, seed):
    net = Network(4, 3, 2)
    x = net.mean(net.input, keepdims)
    net.reshape(x, *((2,) if keepdims else (1, 1, 2)))
    found = rewritten(net.graph(), "pooling spelling", seed)
    assert keepdims != found.ops[-1].attrs["keepdims"]


def test_a_sum_over_single_positions_is_their_mean():
    net = Network(1, 1, 3)
    net.mean(net.input, kind="sum")
    assert ["input", "mean"] == kinds(rewritten(net.graph(), "pooling spelling", 0))


def test_pooling_that_is_not_global_stays():
    """A window that misses a column, and a sum divided by another number."""
    net = Network(4, 4, 2)
    net.pool(net.input, (4, 3), 2, "average")
    refused(net.graph(), "pooling spelling")
    net = Network(4, 4, 2)
    net.scale(net.mean(net.input, kind="sum"), 1 / 15)
    refused(net.graph(), "pooling spelling")


@few
@given(st.integers(2, 3), seeds)
def test_pooling_single_positions_averages_nothing(stride, seed):
    net = Network(6, 6, 2)
    net.pool(net.input, 1, stride, "average")
    assert (
        "max" == rewritten(net.graph(), "pooling spelling", seed).ops[-1].attrs["mode"]
    )


# Normalisation --------------------------------------------------------------------------


@few
@given(st.booleans(), st.booleans(), st.sampled_from(["conv", "dense"]), seeds)
def test_a_bias_before_a_norm_moves_into_its_mean(gamma, beta, kind, seed):
    net = Network(4, 4, 3)
    x = net.conv(net.input, 5) if kind == "conv" else net.dense(net.input, 5)
    net.norm(x, gamma=gamma, beta=beta)
    found = rewritten(net.graph(), "bias into norm", seed)
    assert found.ops[1].weight("bias") is None
    assert [5] == [note.params for note in found.ops[2].absorbed]


@pytest.mark.parametrize(
    "miss", ["two readers", "output", "relu between", "shared", "shared mean"]
)
def test_a_bias_that_others_see_stays(miss):
    net = Network(4, 4, 3)
    x = net.conv(net.input, 3)
    match miss:
        case "two readers":
            graph = net.graph(net.norm(x), net.act(x))
        case "output":
            graph = net.graph(net.norm(x), x)
        case "relu between":
            graph = net.graph(net.norm(net.act(x)))
        case "shared":
            again = net.ops[x].but(inputs=(net.norm(x),))
            net.ops.append(again)
            graph = net.graph()
        case "shared mean":
            y = net.norm(x)
            again = net.ops[y].but(inputs=(net.conv(y, 3),))
            net.ops.append(again)
            graph = net.graph()
    refused(graph, "bias into norm")


@few
@given(st.booleans(), st.booleans(), st.floats(1e-6, 0.1), seeds)
def test_a_norm_without_gamma_beta_or_with_another_epsilon_is_a_norm(
    gamma, beta, e, seed
):
    net = Network(4, 4, 3)
    net.norm(net.conv(net.input, 2, bias=False), gamma=gamma, beta=beta, epsilon=e)
    found = rewritten(net.graph(), "norm constants", seed)
    assert ["gamma", "beta", "mean", "variance"] == [
        w.role for w in found.ops[-1].weights
    ]
    lacks = ["gamma"] * (not gamma) + ["beta"] * (not beta)
    expected = [("norm constants", role, False, -2) for role in lacks]
    assert Counter([*expected, ("norm constants", "epsilon", e, 0)]) == notes(found)


@pytest.mark.parametrize("kind", ["conv", "dense"])
def test_a_layer_without_a_bias_has_zeros(kind):
    """As many as it has filters or units; what they would cost is noted."""
    net = Network(4, 4, 3)
    getattr(net, kind)(net.input, 5, bias=False)
    found = rewritten(net.graph(), "norm constants", 0)
    assert (5,) == found.ops[-1].weight("bias").shape
    assert {("norm constants", "bias", False, -5): 1} == notes(found)


def test_epsilon_on_one_side_is_noted_as_a_difference():
    """Networks that differ in epsilon are not said to be equal without a word."""
    graphs = []
    for epsilon in (1e-3, 1e-5):
        net = Network(4, 4, 3)
        net.norm(net.conv(net.input, 2), epsilon=epsilon)
        graphs.append(canonical(net.graph()))
    assert notes(graphs[0]) != notes(graphs[1])


@few
@given(
    st.sampled_from(["conv", "dense"]), st.integers(1, 2), st.booleans(), st.booleans(),
    seeds,
)  # fmt: skip
def test_a_folded_norm_reads_as_a_convolution_with_bias(
    kind, groups, bias, gamma, seed
):
    net = Network(4, 4, 4)
    x = (
        net.conv(net.input, 6, bias=bias, groups=groups)
        if kind == "conv"
        else net.dense(net.input, 6, bias=bias)
    )
    net.norm(x, gamma=gamma)
    graph = net.graph()
    found = canonical(graph, [*RULES.values(), folded_norm])
    assert ["input", "conv"] == kinds(found)
    assert gap(graph, found, seed) <= BUDGET
    assert ("folded norm", "batch norm", True, 18) in notes(found)
    # All that was noted on the way is what the norm, and the bias before it, had more.
    others = graph.variables[1:]
    more = sum(v.size for v in others) - 6
    assert more == sum(n.params for n in found.ops[-1].absorbed)
    assert [(6,)] == [w.shape for w in found.ops[-1].weights if w.role == "bias"]
    read = {i for w in found.ops[-1].weights for i in w.variables}
    assert set(range(len(graph.variables))) == read


@pytest.mark.parametrize("miss", ["epsilon", "shared bias", "two readers"])
def test_a_norm_that_is_not_folded_stays(miss):
    """While it has an epsilon of its own; after a bias that is not its alone."""
    net = Network(4, 4, 3)
    x = net.conv(net.input, 3, bias=miss == "shared bias")
    y = net.norm(x)
    if miss == "shared bias":
        net.ops.append(net.ops[x].but(inputs=(net.act(y),)))
    graph = net.graph(*((x, y) if miss == "two readers" else ()))
    if miss != "epsilon":
        graph = canonical(graph)
    assert sweep(graph, folded_norm) is graph


def test_a_folded_norm_is_found_where_the_norm_was():
    """By what runs the model: its output is that of the norm's layer."""
    net = Network(4, 4, 3)
    y = net.norm(net.dense(net.input, 2, bias=False))
    net.ops[y] = net.ops[y].but(tensor=7)
    found = canonical(net.graph(), [RULES["norm constants"], folded_norm])
    assert [("input", None), ("dense", 7)] == [(op.kind, op.tensor) for op in found.ops]


def test_a_norm_that_is_folded_cannot_be_written_back():
    net = Network(4, 4, 3)
    net.norm(net.conv(net.input, 2))
    found = canonical(net.graph(), [*RULES.values(), folded_norm])
    kernel = found.ops[-1].weight("kernel")
    with pytest.raises(GraphError, match="cannot be unfolded"):
        kernel.write(np.zeros(kernel.shape))
    assert "batch_norm" in kinds(canonical(net.graph()))


per_channel = st.one_of(
    st.floats(0.1, 3), st.tuples(*[st.floats(0.1, 3)] * 3), st.just(1 / 127.5)
)


@few
@given(
    st.lists(st.tuples(st.sampled_from(["scale", "shift"]), per_channel), min_size=1),
    seeds,
)
def test_constants_at_the_input_are_preprocessing(steps, seed):
    """Fed with what the prefix makes of the input, the rest computes the same."""
    net = Network(4, 4, 3)
    x = net.input
    for kind, by in steps[:4]:
        x = getattr(net, kind)(x, by)
    net.conv(x, 2)
    graph = net.graph()
    found = canonical(graph, [RULES["input prefix"]])
    assert ["input", "conv"] == kinds(found)
    said = {n.attribute: np.asarray(n.value) for n in found.ops[0].absorbed}
    values, (given_,) = random_values(graph, seed), random_inputs(graph, seed)
    fed = given_ * said.get("scale", 1.0) + said.get("shift", 0.0)
    expected, result = evaluate(graph, values, given_), evaluate(found, values, fed)
    assert distance(result[0], expected[0]) <= BUDGET


def test_one_normalisation_of_the_input_is_noted_alike_however_it_is_spelt():
    noted = []
    for first, second in ((("scale", 1 / 127.5), ("shift", -1.0)),
                          (("shift", -127.5), ("scale", 1 / 127.5))):  # fmt: skip
        net = Network(4, 4, 3)
        x = getattr(net, second[0])(
            getattr(net, first[0])(net.input, first[1]), second[1]
        )
        net.conv(x, 2)
        noted.append(notes(canonical(net.graph(), [RULES["input prefix"]])))
    assert noted[0] == noted[1]


def test_equal_constants_for_each_channel_are_one_constant():
    """And what a layer did is said with its name."""
    for by in (2.0, (2.0, 2.0, 2.0)):
        net = Network(4, 4, 3)
        net.conv(net.scale(net.input, by, layer="rescale"), 2)
        (note,) = canonical(net.graph(), [RULES["input prefix"]]).ops[0].absorbed
        assert ("scale", 2.0, "rescale") == (note.attribute, note.value, note.layer)


def test_what_the_input_comes_to_stand_for_is_after_the_prefix():
    """What follows that does nothing counts too; a network without has its input."""
    net = Network(4, 4, 3)
    x = net.shift(net.scale(net.input, 2.0), (1.0, 2.0, 3.0))
    x = net.add("identity", x, net.shape(x))
    net.scale(net.conv(x, 2), 0.5)
    assert x == after_prefix(net.graph())
    assert 0 == after_prefix(Spelling().build(Architecture((Conv(4),))))


@pytest.mark.parametrize(
    "miss", ["two readers", "per position", "each value", "weight", "later"]
)
def test_a_scale_that_is_not_preprocessing_stays(miss):
    net = Network(2, 2, 3)
    x = net.conv(net.input, 3) if miss == "later" else net.input
    match miss:
        case "two readers":
            net.plus(net.input, net.scale(x, 2.0))
        case "per position":
            net.scale(x, (((1.0,), (2.0,)), ((3.0,), (4.0,))))
        case "each value":
            net.scale(x, (((1.0, 2.0, 3.0),) * 2,) * 2)
        case "weight":
            net.add("scale", x, (2, 2, 3), weights=[net.weight("by", (3,))])
        case "later":
            net.scale(x, 2.0)
    refused(net.graph(), "input prefix")


@few
@given(st.sampled_from([3, 5]), st.booleans(), seeds)
def test_local_response_normalisation_written_out_is_one_op(size, once, seed):
    net = Network(2, 2, 6)
    square = net.power(net.input, 2)
    padded = net.pad(square, ((0, 0), (0, 0), (size // 2, size // 2)))
    total = net.plus(*(net.slice(padded, k, k + 6) for k in range(size)))
    factor = net.power(net.shift(net.scale(total, 1e-2), 2.0), -0.75 if once else 0.75)
    factor = factor if once else net.power(factor, -1)
    net.times(net.input, factor)
    assert ["input", "lrn"] == kinds(
        rewritten(net.graph(), "local response norm", seed)
    )


axes = st.sampled_from([(-1,), (-3, -2, -1), (-2, -1), (-3,)])


@few
@given(axes, st.booleans(), st.booleans(), st.booleans(), st.booleans(), seeds)
def test_layer_normalisation_written_out_is_one_op(
    axes, gamma, beta, root, square, seed
):
    """With its gamma and its beta, where they are shaped as trailing axes."""
    trailing = axes[-1] == -1
    gamma, beta = gamma and trailing, beta and trailing
    net = Network(2, 3, 4)
    net.written_norm(net.input, 1e-3, gamma, beta, axes, root, square)
    found = rewritten(net.graph(), "layer norm", seed)
    assert ["input", "layer_norm"] == kinds(found)
    plain = Network(2, 3, 4)
    plain.layer_norm(plain.input, "", 1e-3, gamma, beta, axes)
    assert align(canonical(net.graph()), canonical(plain.graph())).isomorphic


@pytest.mark.parametrize(
    "miss",
    [
        "other axes",
        "other mean",
        "not centred",
        "cubes",
        "not the root",
        "plus",
        "weight",
        "sum of squares",
        "times epsilon",
    ],
)
def test_what_is_nearly_a_layer_normalisation_stays(miss):
    """Planted: each computes something else."""
    net = Network(2, 3, 4)
    x = net.input

    def mean(y, *at):
        kept = [1 if k in at else n for k, n in enumerate(net.shape(y))]
        return net.add("mean", y, kept, axes=at, keepdims=True)

    centre = mean(x, 1) if miss == "other axes" else mean(x, 2)
    if miss == "other mean":
        centre = mean(net.act(x), 2)
    minus = net.scale(centre, 1.0 if miss == "plus" else -1.0)
    centred = net.add("add", (x, minus), net.shape(x))
    squares = net.power(
        x if miss == "not centred" else centred, 3 if miss == "cubes" else 2
    )
    variance = mean(squares, 2)
    match miss:
        case "weight":
            shifted = net.weigh(variance, "shift")
        case "times epsilon":
            shifted = net.scale(variance, 1e-3)
        case "sum of squares":
            net.ops[variance] = replace(net.ops[variance], kind="sum")
            shifted = net.shift(variance, 1e-3)
        case _:
            shifted = net.shift(variance, 1e-3)
    net.times(centred, net.power(shifted, -1 if miss == "not the root" else -0.5))
    refused(net.graph(), "layer norm")


@pytest.mark.parametrize(
    "miss", ["gamma", "beta", "shift first", "two readers", "other shape", "other axes"]
)
def test_a_weight_after_a_norm_that_is_not_its_own_stays(miss):
    """It has one, or beta came first, or the weight is none of the normalised axes."""
    net = Network(2, 3, 4)
    axes = (-2,) if miss == "other axes" else (-1,)
    x = net.layer_norm(
        net.input,
        gamma=miss == "gamma",
        beta=miss in ("beta", "shift first"),
        axes=axes,
    )
    y = net.weigh(
        x, "shift" if miss == "beta" else "scale",
        axes=(-2, -1) if miss == "other shape" else axes,
    )  # fmt: skip
    refused(net.graph(x, y) if miss == "two readers" else net.graph(), "layer norm")


@few
@given(st.booleans(), st.booleans(), axes, seeds)
def test_a_layer_norm_without_gamma_or_beta_has_ones_and_zeros(gamma, beta, axes, seed):
    net = Network(2, 3, 4)
    net.layer_norm(net.input, gamma=gamma, beta=beta, axes=axes)
    if gamma and beta:
        refused(net.graph(), "norm constants")
        return
    found = rewritten(net.graph(), "norm constants", seed)
    assert ["gamma", "beta"] == [w.role for w in found.ops[-1].weights]
    missing = math.prod(net.shape(0)[axis] for axis in axes) * (2 - gamma - beta)
    assert -missing == sum(note.params for note in found.ops[-1].absorbed)


def test_another_epsilon_of_a_layer_norm_is_another_network():
    """Planted: no weight holds the variance, so that nothing absorbs it."""
    graphs = []
    for epsilon in (1e-5, 1e-6):
        net = Network(4, 4, 3)
        net.layer_norm(net.input, epsilon=epsilon)
        graphs.append(canonical(net.graph()))
    assert not align(*graphs).isomorphic


@few
@given(
    st.sampled_from(["conv", "dense"]), st.booleans(), st.sampled_from([1, 2, 4]), seeds
)
def test_a_layer_scale_is_in_the_kernel_and_the_bias(kind, bias, groups, seed):
    """A depthwise kernel too; the adapters write the scale back as one."""
    net = Network(4, 4, 4)
    x = (
        net.conv(net.input, 4, bias=bias, groups=groups)
        if kind == "conv"
        else net.dense(net.input, 4, bias=bias)
    )
    y = net.weigh(x, layer="scale")
    net.ops[y] = net.ops[y].but(tensor=7)
    graph = net.graph()
    found = rewritten(graph, "layer scale", seed)
    assert [("input", None), (kind, 7)] == [(op.kind, op.tensor) for op in found.ops]
    assert ("layer scale", "scale", True, 4) in notes(found)
    values, written = random_values(graph, seed), {}
    for weight in found.ops[-1].weights:
        written |= weight.write(weight.read(values))
    assert np.array_equal(np.ones(4), written[len(graph.variables) - 1])
    assert distance(results(graph, seed, written)[0], results(graph, seed, values)[0]) <= BUDGET  # fmt: skip


@pytest.mark.parametrize(
    "miss", ["two readers", "output", "gelu between", "positions", "shared", "constant"]
)
def test_a_scale_that_is_no_layer_scale_stays(miss):
    net = Network(4, 4, 4)
    x = net.conv(net.input, 4)
    match miss:
        case "two readers":
            graph = net.graph(net.weigh(x), net.act(x))
        case "output":
            graph = net.graph(net.weigh(x), x)
        case "gelu between":
            graph = net.graph(net.weigh(net.act(x, "gelu")))
        case "positions":
            graph = net.graph(net.weigh(x, axes=(-2, -1)))
        case "shared":
            y = net.weigh(x)
            again = net.ops[y].but(inputs=(net.conv(y, 4),))
            net.ops.append(again)
            graph = net.graph()
        case "constant":
            graph = net.graph(net.scale(x, 0.5))
    refused(graph, "layer scale")


# Convolutions ---------------------------------------------------------------------------


@few
@given(sizes, st.booleans(), seeds)
def test_a_dense_layer_on_a_map_is_a_1x1_convolution(side, bias, seed):
    net = Network(side, side, 3)
    if side == 1:
        net.reshape(net.act(net.conv(net.input, 4, 1, bias=bias)), 4)
    else:
        net.dense(net.input, 4, bias=bias)
    found = rewritten(net.graph(), "dense is 1x1", seed)
    assert ("dense" if side == 1 else "conv") in kinds(found)


@pytest.mark.parametrize("axes", [(-1,), (-2, -1)])
def test_a_reshape_moves_before_a_norm_of_the_channels_alone(axes):
    """The head of a network, on a map of one position or without the map."""
    net = Network(4, 4, 3)
    x = net.layer_norm(net.mean(net.input, keepdims=True), axes=axes)
    net.reshape(x, 3)
    if axes == (-1,):
        found = rewritten(net.graph(), "dense is 1x1", seed=0)
        assert ["input", "mean", "reshape", "layer_norm"] == kinds(found)
    else:
        refused(net.graph(), "dense is 1x1")


def test_a_reshape_of_more_than_one_position_stays():
    net = Network(1, 4, 3)
    net.reshape(net.act(net.input), 4, 3)
    refused(net.graph(), "dense is 1x1")


@few
@given(st.integers(2, 4), st.integers(2, 4), st.booleans(), seeds)
def test_a_kernel_as_large_as_the_map_is_a_dense_layer(height, width, activated, seed):
    net = Network(height, width, 3)
    x = net.conv(net.input, 4, (height, width), padding=0)
    x = net.act(x) if activated else x
    net.dense(net.reshape(x, 4), 2)
    plain = Network(height, width, 3)
    y = plain.dense(plain.reshape(plain.input, height * width * 3), 4)
    plain.dense(plain.act(y) if activated else y, 2)
    found = rewritten(net.graph(), "whole-map kernel", seed)
    assert "dense" in kinds(found)
    assert align(canonical(net.graph()), canonical(plain.graph())).isomorphic


@pytest.mark.parametrize("size", [(2, 1), (1, 2)])
def test_a_map_of_one_row_or_column_is_a_whole_map(size):
    """What is put before the dense layer is of its name."""
    net = Network(*size, 3)
    net.conv(net.input, 4, size, padding=0, layer="whole")
    found = rewritten(net.graph(), "whole-map kernel", 0)
    assert [("input", "input"), ("reshape", "whole"), ("dense", "whole")] == [
        (op.kind, op.layer) for op in found.ops
    ]


@pytest.mark.parametrize("miss", ["padded", "padded once", "smaller", "grouped"])
def test_a_kernel_that_is_not_the_whole_map_stays(miss):
    net = Network(3, 3, 4)
    match miss:
        case "padded":
            net.conv(net.input, 4, 3, padding=1)
        case "padded once":
            net.conv(net.input, 4, 3, 5, padding=1)
        case "smaller":
            net.conv(net.input, 4, 2, padding=0)
        case "grouped":
            net.conv(net.input, 4, 3, padding=0, groups=2)
    refused(net.graph(), "whole-map kernel")


def split(net: Network, x: int, n: int, steps: list[str], order=None) -> int:
    """The channels of x in n parts, each through the same steps, and concatenated."""
    size = net.shape(x)[-1] // n
    arms = []
    for k in range(n) if order is None else order:
        arm = net.slice(x, k * size, (k + 1) * size)
        for step in steps:
            match step:
                case "conv":
                    arm = net.conv(arm, 2)
                case "norm":
                    arm = net.norm(arm)
                case "pool":
                    arm = net.pool(arm)
                case _:
                    arm = net.act(arm, step)
        arms.append(arm)
    return net.concat(arms)


steps = st.lists(st.sampled_from(["conv", "norm", "relu"]), max_size=3)


@few
@given(st.integers(2, 4), steps, st.booleans(), seeds)
def test_equal_convolutions_of_parts_are_one_with_groups(n, more, pooled, seed):
    net = Network(4, 4, 12)
    split(net, net.input, n, ["conv", *more, *["pool"] * pooled])
    found = rewritten(net.graph(), "grouped convolution", seed)
    assert "concat" not in kinds(found)
    assert {n} == {op.attrs["groups"] for op in found.ops if op.kind == "conv"}


@pytest.mark.parametrize("spelt", ["conv", "dense"])
@pytest.mark.parametrize("other", ["conv", "dense"])
def test_groups_of_dense_layers_are_those_of_1x1_convolutions(spelt, other):
    net = Network(4, 4, 6)
    parts = [net.slice(net.input, k, k + 3) for k in (0, 3)]
    ways = {"conv": lambda x: net.conv(x, 2, 1), "dense": lambda x: net.dense(x, 2)}
    net.concat([ways[way](part) for way, part in zip((spelt, other), parts)])
    found = rewritten(net.graph(), "grouped convolution", 0)
    assert [("input", None), ("conv", 2)] == [
        (op.kind, op.attrs.get("groups")) for op in found.ops
    ]


def test_groups_of_groups_are_so_many_groups():
    net = Network(4, 4, 12)
    parts = [net.slice(net.input, k, k + 6) for k in (0, 6)]
    net.concat([net.conv(part, 4, groups=2) for part in parts])
    found = rewritten(net.graph(), "grouped convolution", 0)
    assert ["input", "conv"] == kinds(found)
    assert 4 == found.ops[-1].attrs["groups"]


@pytest.mark.parametrize(
    "miss",
    [
        "swapped",
        "unequal",
        "a part left out",
        "shared",
        "softmax",
        "more channels",
        "a channel left out",
    ],
)
def test_parts_that_are_no_groups_stay(miss):
    net = Network(4, 4, 6)
    match miss:
        case "swapped":
            split(net, net.input, 2, ["conv"], order=(1, 0))
        case "unequal":
            a, b = net.slice(net.input, 0, 3), net.slice(net.input, 3, 6)
            net.concat([net.conv(a, 2, 3), net.conv(b, 2, 1)])
        case "a part left out":
            split(net, net.input, 3, ["conv"], order=(0, 1))
        case "shared":
            a, b = net.slice(net.input, 0, 3), net.slice(net.input, 3, 6)
            x = net.conv(a, 2)
            net.ops.append(net.ops[x].but(inputs=(b,)))
            net.concat([x, x + 1])
        case "softmax":
            split(net, net.input, 2, ["conv", "softmax"])
        case "a channel left out":
            split(net, net.conv(net.input, 7), 3, ["conv"])
        case "more channels":
            parts = [net.slice(net.input, k, k + 3) for k in (0, 3)]
            around = ((0, 0), (0, 0), (1, 0))
            net.concat([net.pad(net.conv(part, 2), around) for part in parts])
    refused(net.graph(), "grouped convolution")


# All of them ----------------------------------------------------------------------------

spellings = st.randoms(use_true_random=False)


@few
@given(architectures, spellings, seeds)
def test_the_canonical_form_computes_the_same(architecture, random, seed):
    graph = Spelling(random).build(architecture)
    form = canonical(graph)
    assert gap(graph, form, seed) <= BUDGET
    layers = {op.layer for op in graph.ops}
    assert {n.layer for op in form.ops for n in op.absorbed} <= layers


@few
@given(architectures, spellings, seeds)
def test_adapters_write_what_they_read(architecture, random, seed):
    """Weights written back through the adapters give a model that computes the same."""
    graph = Spelling(random).build(architecture)
    form, values = canonical(graph), random_values(graph, seed)
    written = {}
    for op in form.ops:
        for weight in op.weights:
            written |= weight.write(weight.read(values))
    assert set(range(len(graph.variables))) == set(written)
    assert (
        distance(results(graph, seed, written)[0], results(graph, seed, values)[0])
        <= BUDGET
    )


@few
@given(architectures, spellings)
def test_the_order_of_rules_does_not_matter(architecture, random):
    """Rules one by one in random order end in the canonical form, notes and all."""
    graph = Spelling(random).build(architecture)
    expected = canonical(graph)
    rules = list(RULES.values())
    while True:
        random.shuffle(rules)
        rule = next((r for r in rules if sweep(graph, r) is not graph), None)
        if rule is None:
            break
        graph = sweep(graph, rule)
    assert align(expected, graph).isomorphic
    assert notes(expected) == notes(graph)


ends = st.tuples(st.integers(0, 2), st.integers(0, 3))
padded = st.tuples(
    st.sampled_from(["conv", "relu", "max", "average", "pad"]), st.integers(1, 3),
    st.integers(1, 3), ends, ends,
)  # fmt: skip


@few
@given(st.lists(padded, min_size=1, max_size=4), spellings, seeds)
def test_padding_has_one_form_whatever_the_order_of_rules(layers, random, seed):
    """However much of it no window reads, in layers of its own or not."""
    net = Network(9, 9, 2)
    x = net.input
    for kind, window, stride, rows, columns in layers:
        padding = (rows, columns)
        if kind == "pad":
            x = net.pad(x, padding)
        elif kind == "relu":
            x = net.act(x)
        elif min(net.shape(x)[:2]) >= window:
            if kind != "conv":  # a window of nothing has no mean
                padding = tuple(tuple(min(n, window - 1) for n in p) for p in padding)
            x = (
                net.conv(x, 2, window, stride, padding) if kind == "conv"
                else net.pool(x, window, stride, kind, padding)
            )  # fmt: skip
    graph = net.graph(x)
    expected, form = canonical(graph), graph
    assert gap(graph, expected, seed) <= BUDGET
    assert expected is canonical(expected)
    rules = list(RULES.values())
    while True:
        random.shuffle(rules)
        rule = next((r for r in rules if sweep(form, r) is not form), None)
        if rule is None:
            break
        form = sweep(form, rule)
    assert align(expected, form).isomorphic


@few
@given(architectures, spellings)
def test_the_canonical_form_is_its_own(architecture, random):
    form = canonical(Spelling(random).build(architecture))
    assert form is canonical(form)


def test_the_rules_that_were_applied_are_named():
    """In the order in which they are worth reading."""
    net = Network(4, 4, 3)
    net.drop(net.norm(net.conv(net.input, 2)))
    names = ("inference identity", "bias into norm", "norm constants")
    assert names == canonical(net.graph()).rewritten


def test_every_rule_says_why():
    """The first sentence of its docstring is the justification."""
    assert all(rule.__doc__ and "." in rule.__doc__ for rule in RULES.values())
