"""Transfer moves every weight, or says which it cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interpreter import distance, evaluate, random_inputs, random_values
from networks import Network, Spelling, architectures, examples

from reference_checks.alignment import Alignment, align
from reference_checks.graph import Graph, Variable
from reference_checks.rewrites import canonical
from reference_checks.transfer import Transfer, TransferError, transfer

few = examples(40)
randoms = st.randoms(use_true_random=False)


def moved(a: Graph, b: Graph, seed: int = 0, partial: bool = False) -> Transfer:
    """The weights of A, drawn at random, moved into B."""
    a_form, b_form = canonical(a), canonical(b)
    values = random_values(a, seed)
    return transfer(a_form, b_form, align(a_form, b_form), values, partial)


@few
@given(architectures, randoms, st.integers(0, 2**16))
def test_weights_go_from_any_spelling_to_the_plain_one(architecture, random, seed):
    """Then both compute the same, and nothing is left over."""
    a, b = Spelling(random).build(architecture), Spelling().build(architecture)
    found = moved(a, b, seed)
    x = random_inputs(a, seed)
    expected = evaluate(a, random_values(a, seed), *x)
    assert distance(evaluate(b, found.values, *x)[0], expected[0]) <= 1e-12
    assert () == found.left_over
    assert set(range(len(b.variables))) == set(found.values)


def pair(
    bias: bool, gamma: bool = True, classes: int = 3, shared: bool = False
) -> Graph:
    net = Network(6, 6, 2, name="biased" if bias else "plain")
    x = net.norm(net.conv(net.input, 4, bias=bias, layer="conv"), "norm", gamma=gamma)
    y = net.conv(net.act(x), 4, layer="again")
    if shared:
        net.ops.append(net.ops[y].but(inputs=(net.act(y),)))
        y = len(net.ops) - 1
    net.dense(net.mean(y), classes, "classes")
    return net.graph()


def test_a_bias_that_is_absorbed_is_reported_and_set_to_zero():
    found = moved(pair(True), pair(False))
    assert {"bias into norm": 1} == found.absorbed
    assert "9 weights paired, 1 absorbed by bias into norm, 0 left over" == str(found)
    back = moved(pair(False), pair(True))
    assert ["conv/bias"] == [f.name for f in back.fates if f.what == "absorbed"]
    assert np.array_equal(np.zeros(4), back.values[1])


def scaled(scale: bool, bias: bool = True) -> Graph:
    net = Network(4, 4, 2, name="scaled" if scale else "plain")
    x = net.conv(net.input, 3, bias=bias, layer="conv")
    x = net.weigh(x, layer="scale") if scale else x
    net.dense(net.mean(x), 2, "classes")
    return net.graph()


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_scale_that_is_absorbed_is_reported_and_set_to_one(bias):
    """Into a network without, and back; both compute the same."""
    a, b = scaled(True, bias), scaled(False)
    found = moved(a, b)
    assert {"layer scale": 1} == found.absorbed
    x, values = random_inputs(a, 0), random_values(a, 0)
    expected = evaluate(a, values, *x)[0]
    assert distance(evaluate(b, found.values, *x)[0], expected) <= 1e-12
    back = moved(scaled(False, bias), a)
    assert ["scale/by"] == [f.name for f in back.fates if f.what == "absorbed"]
    assert np.array_equal(np.ones(3), back.values[1 + bias])


def test_a_weight_that_is_constant_on_one_side_is_reported():
    found = moved(pair(False, gamma=False), pair(False))
    assert ["norm/gamma"] == [f.name for f in found.fates if f.what == "constant"]
    assert np.array_equal(np.ones(4), found.values[1])
    assert "8 weights paired, 1 constant, 0 left over" == str(found)
    assert "target norm/gamma: constant (norm)" in map(str, found.fates)
    assert "target norm/beta: paired" in map(str, found.fates)


def test_a_weight_that_has_the_value_of_a_constant_is_moved_into_it():
    """It is of the layer that has it, and may be left out of the other."""
    a, b = canonical(pair(False)), canonical(pair(False, gamma=False))
    values = random_values(a, 0)
    (gamma,) = (n for n, v in enumerate(a.variables) if v.name == "norm/gamma")
    values[gamma] = np.ones(4)
    found = transfer(a, b, align(a, b), values)
    assert "source norm/gamma: constant (norm)" in map(str, found.fates)
    assert () == found.left_over


def test_a_constant_takes_no_other_value():
    with pytest.raises(TransferError, match="'norm' has no gamma"):
        moved(pair(False), pair(False, gamma=False))


def test_a_weight_that_a_constant_cannot_take_is_left_over_with_the_reason():
    """Where a part is what was asked for."""
    found = moved(pair(False), pair(False, gamma=False), partial=True)
    (fate,) = found.left_over
    assert ("source", "norm/gamma") == (fate.side, fate.name)
    said = "layer 'norm' has no gamma: it stands for 1 and cannot take other values"
    assert said == fate.by


def test_what_no_op_reads_is_left_over_and_the_first_five_are_named():
    """Of either side; and nothing is moved then."""
    more = [Variable(f"more/{n}", (1,), True) for n in range(3)]
    graph = canonical(pair(False))
    other = replace(graph, variables=(*graph.variables, *more))
    pairs = Alignment({k: k for k in range(len(graph.ops))}, True)
    said = "; ".join(
        [f"source more/{n}: left over (no counterpart)" for n in range(3)]
        + [f"target more/{n}: left over (no counterpart)" for n in range(2)]
    )
    with pytest.raises(TransferError) as caught:
        transfer(other, other, pairs, random_values(graph, 0))
    assert f"6 weights are left over: {said}" == str(caught.value)


def test_networks_that_differ_are_refused():
    with pytest.raises(
        TransferError, match=r"^the networks differ: nothing is moved between them$"
    ):
        moved(pair(False), pair(False, classes=5))


def test_a_part_is_moved_on_request_and_the_rest_named():
    """Another number of classes: all but the classifier goes across."""
    found = moved(pair(True), pair(False, classes=5), partial=True)
    assert 7 == found.paired
    names = {f"{fate.side} {fate.name}" for fate in found.left_over}
    assert names == {
        f"{side} classes/{role}" for side in ("source", "target") for role in ("kernel", "bias")
    }  # fmt: skip
    assert {"another shape"} == {fate.by for fate in found.left_over}
    assert str(found).endswith("4 left over")


@few
@given(architectures, architectures, st.integers(0, 2**16))
def test_every_variable_of_both_sides_has_a_fate(first, second, seed):
    a, b = Spelling().build(first), Spelling().build(second)
    found = moved(a, b, seed, partial=True)
    names = [("source", v.name) for v in a.variables] + [
        ("target", v.name) for v in b.variables
    ]
    assert sorted(names) == sorted((fate.side, fate.name) for fate in found.fates)
    written = [b.variables[i].name for i in found.values]
    left = {fate.name for fate in found.left_over if fate.side == "target"}
    assert left.isdisjoint(written)
    assert all(b.variables[i].shape == value.shape for i, value in found.values.items())


def test_a_weight_without_a_counterpart_is_left_over():
    net = Network(6, 6, 2)
    net.conv(net.conv(net.input, 2), 2, layer="second")
    short = Network(6, 6, 2)
    short.conv(short.input, 2)
    found = moved(net.graph(), short.graph(), partial=True)
    assert {"no counterpart"} == {fate.by for fate in found.left_over}
    assert 2 == len(found.left_over)


def test_a_shared_layer_is_moved_once_for_both_of_its_places():
    found = moved(pair(False, shared=True), pair(True, shared=True))
    assert () == found.left_over


def test_a_weight_cannot_take_two_values():
    """Planted: two layers paired with one that is used twice."""
    a, b = (canonical(g) for g in (unshared(), pair(False, shared=True)))
    pairs = {k: k for k in range(len(a.ops))}
    with pytest.raises(
        TransferError, match=r"^plain: weight 'again/kernel' cannot take two values$"
    ):
        transfer(a, b, Alignment(pairs, True), random_values(a, 0))


def unshared() -> Graph:
    net = Network(6, 6, 2)
    x = net.norm(net.conv(net.input, 4, bias=False))
    y = net.conv(net.act(x), 4)
    y = net.conv(net.act(y), 4)
    net.dense(net.mean(y), 3)
    return net.graph()
