"""Bounds hold for correct operations and for no others; the first of those is named."""

from __future__ import annotations

from dataclasses import replace

import interpreter
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops
from networks import Network, Spelling, architectures, odd_network

from reference_checks import equivalence, execute, localise, precision
from reference_checks.alignment import align
from reference_checks.bounds import Traced, allowed, traced
from reference_checks.execute import outputs, weights_of
from reference_checks.graph import Graph
from reference_checks.localise import Side, first_outside, misread, outside
from reference_checks.rewrites import canonical
from reference_checks.transfer import transfer

PRECISIONS = [np.float64, np.float32]


@pytest.fixture(autouse=True)
def _double() -> None:
    """Float64 is float64 on every backend, as it is in a process that compares models."""
    with precision.floatx("float64"):
        pass


def ready(graph: Graph, seed: int = 1):
    """Its canonical form, aligned with itself, random weights and a batch."""
    values = interpreter.random_values(graph, seed)
    (x,) = interpreter.random_inputs(graph, seed)
    graph = canonical(graph)
    return graph, align(graph, graph).pairs, values, x


def named(graph: Graph, found) -> str | None:
    return None if found is None else graph.ops[found.index].layer


# Bounds ----------------------------------------------------------------------------------


def assert_bounds_hold(graph: Graph, dtype, carried: bool) -> None:
    """Plain definitions in float64 against the backend, op by op or errors carried on."""
    values = interpreter.random_values(graph, 7)
    (x,) = interpreter.random_inputs(graph, 7)
    known: list[tuple[np.ndarray, Traced]] = []
    for index, op in enumerate(graph.ops):
        if op.kind == "input":
            x = x.astype(dtype)
            known.append((x.astype(np.float64), Traced.exact(ops.convert_to_tensor(x))))
            continue
        weights = weights_of(op, values, dtype)
        doubles = {
            role: ops.convert_to_numpy(w).astype(np.float64)
            for role, w in weights.items()
        }
        if carried:
            inputs = [known[i] for i in op.inputs]
        else:
            inputs = [
                (
                    ops.convert_to_numpy(t.value).astype(np.float64),
                    Traced.exact(t.value),
                )
                for t in (known[i][1] for i in op.inputs)
            ]
        exact = interpreter.apply(op, [value for value, _ in inputs], doubles)
        found = traced(op, [t for _, t in inputs], weights)
        gap = np.abs(exact - ops.convert_to_numpy(found.value))
        assert np.all(gap <= allowed(found)), (index, op.layer)
        known.append((exact, found))


@settings(deadline=None, max_examples=20)
@given(
    architectures,
    st.randoms(use_true_random=False),
    st.sampled_from(PRECISIONS),
    st.booleans(),
)
def test_no_correct_operation_is_outside_its_bound(
    architecture, random, dtype, carried
):
    """Random networks, however spelt, in either precision; bounds of a chain add up."""
    assert_bounds_hold(Spelling(random).build(architecture), dtype, carried)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("carried", [False, True])
def test_odd_operations_are_within_their_bounds(dtype, carried):
    """Local response normalisation, powers, softmax over few and dilation too."""
    assert_bounds_hold(odd_network().graph(), dtype, carried)
    net = Network(6, 6, 8)
    x = net.layer_norm(net.conv(net.input, 8))
    for function in ("exponential", "softplus", "erf", "tanh", "hard_silu", "softmax"):
        x = net.act(x, function)
    for function in ("elu", "selu", "softsign"):
        x = net.act(net.conv(x, 8), function)
    net.act(x, "leaky_relu", slope=3.0)
    assert_bounds_hold(net.graph(), dtype, carried)


def test_a_long_reduction_in_another_order_is_within_the_bound():
    """100,000 terms summed forwards and backwards; and the bound is not the worst case."""
    net = Network(100_000)
    net.dense(net.input, 1)
    graph = net.graph()
    values = interpreter.random_values(graph, 1)
    (x,) = interpreter.random_inputs(graph, 1)
    (op,) = (op for op in graph.ops if op.kind == "dense")
    found = traced(
        op, [Traced.exact(ops.convert_to_tensor(x))], weights_of(op, values, x.dtype)
    )
    backwards = np.cumsum((x * values[0].T)[:, ::-1], axis=1)[:, -1:] + values[1]
    assert np.any(backwards != ops.convert_to_numpy(found.value))
    assert outside(0, Traced.exact(ops.convert_to_tensor(backwards)), found) is None
    worst = 2 * 2.0**-53 * 100_000 * ops.convert_to_numpy(found.size)
    assert np.all(allowed(found) < worst / 20)


def test_what_computes_nothing_must_be_equal():
    """Moving numbers about, and taking the largest, rounds nothing."""
    net = Network(4, 4, 2)
    for x in (
        net.pad(net.input, ((1, 1), (1, 1))),
        net.pool(net.input),
        net.reshape(net.input, 32),
        net.act(net.input, "relu6"),
    ):
        op = net.ops[x]
        found = traced(op, [Traced.exact(ops.ones((1, 4, 4, 2), dtype="float64"))], {})
        assert np.all(allowed(found) == 0)


# The first operation ------------------------------------------------------------------------


def three() -> Network:
    """Three convolutions of one shape, with activations between."""
    net = Network(8, 8, 3)
    x = net.act(net.conv(net.input, 4, layer="first"), layer="first_relu")
    x = net.conv(x, 4, layer="second")
    net.conv(net.act(x, layer="second_relu"), 4, layer="third")
    return net


def kernel(graph: Graph, layer: str) -> int:
    (op,) = (op for op in graph.ops if op.layer == layer)
    return op.weight("kernel").variables[0]


def test_two_swapped_kernels_are_named_at_the_first():
    """Nothing before it is; and what both sides have there is told, with the bound."""
    graph, pairs, values, x = ready(three().graph())
    assert first_outside(graph, graph, pairs, (values, values), x) is None
    second, third = kernel(graph, "second"), kernel(graph, "third")
    swapped = {**values, second: values[third], third: values[second]}
    found = first_outside(graph, graph, pairs, (swapped, values), x)
    assert "second" == named(graph, found)
    assert {"kernel"} == set(found.weights)
    assert found.bound < 1e-12 < abs(found.values[0] - found.values[1])
    for side, weights in zip(found.values, (swapped, values), strict=True):
        net = replace(graph, outputs=(found.index,))
        # Both are fed what the other side, which is right, computes before.
        assert side == pytest.approx(outputs(net, weights, x)[0][found.at])


def test_one_number_too_little_for_the_norm_of_the_whole_is_found():
    """A millionth of a millionth of a millionth of the tensor, and over a hundred bounds."""
    net = Network(1000, 1)
    x = net.reshape(net.input, 1000)
    net.weigh(x, layer="scaled")
    graph, pairs, values, x = ready(net.graph())
    x[:, 1:] = 1e9
    x[:, 0] = 1e-3
    (scaled,) = (op for op in graph.ops if op.layer == "scaled")
    (index,) = scaled.weight("by").variables
    wrong = {**values, index: values[index].copy()}
    wrong[index][0] *= 1 + 1e-11
    results = [outputs(graph, v, x)[0] for v in (wrong, values)]
    assert equivalence.distance(*results) < 1e-18
    found = first_outside(graph, graph, pairs, (wrong, values), x)
    assert ("scaled", (0, 0)) == (named(graph, found), found.at)


def test_an_error_that_is_amplified_later_is_named_where_it_is_made():
    """Fed their own results, the norm that divides by next to nothing would be blamed."""
    net = three()
    net.norm(len(net.ops) - 1, "norm", epsilon=1e-30)
    graph, pairs, values, x = ready(net.graph())
    norm = graph.ops[-1]
    values = {**values, norm.weight("variance").variables[0]: np.full(4, 1e-20)}
    first = kernel(graph, "first")
    wrong = {**values, first: values[first] * (1 + 1e-13)}
    (op,) = (op for op in graph.ops if op.layer == "first")
    before = [outputs(replace(graph, outputs=(1,)), v, x)[0] for v in (wrong, values)]
    assert "first" == op.layer == graph.ops[1].layer
    assert equivalence.distance(*before) < equivalence.FLOAT64_BUDGET
    found = first_outside(graph, graph, pairs, (wrong, values), x)
    assert "first" == named(graph, found)


@settings(deadline=None, max_examples=15)
@given(architectures, st.randoms(use_true_random=False), st.data())
def test_two_spellings_are_compared_operation_by_operation(architecture, random, data):
    """In another order, with weights moved by rewrites; and any kernel that is wrong is named."""
    # The plain spelling has a place for all that others have, which the others have not.
    raw = Spelling(random).build(architecture), Spelling().build(architecture)
    values = interpreter.random_values(raw[0], 1)
    (x,) = interpreter.random_inputs(raw[0], 1)
    a, b = map(canonical, raw)
    pairs = align(a, b)
    moved = dict(transfer(a, b, pairs, values).values)
    assert first_outside(a, b, pairs.pairs, (values, moved), x) is None
    kernels = [op for op in b.ops if op.weight("kernel") is not None]
    op = data.draw(st.sampled_from(kernels), "wrong kernel")
    weight = op.weight("kernel")
    # Uneven: a kernel that is off by a constant is right on what a layer norm has centred.
    right = weight.read(moved)
    bent = right + np.random.default_rng(0).uniform(1.0, 2.0, right.shape)
    found = first_outside(
        a, b, pairs.pairs, (values, {**moved, **weight.write(bent)}), x
    )
    if found is None:  # nothing comes through the ReLU before it
        fed = replace(b, outputs=op.inputs)
        assert not np.any(outputs(fed, moved, x)[0])
        return
    assert op is b.ops[pairs.pairs[found.index]]
    assert {"kernel"} == set(found.weights)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_weight_that_is_no_number_is_outside_on_both_sides(bad):
    """Both networks have it: nothing was compared."""
    graph, pairs, values, x = ready(three().graph())
    second = kernel(graph, "second")
    broken = {**values, second: values[second].copy()}
    broken[second].flat[7] = bad
    found = first_outside(graph, graph, pairs, (broken, broken), x)
    assert ("second", {"kernel": "not finite"}) == (named(graph, found), found.weights)


def test_a_weight_that_is_no_number_is_outside_even_if_nothing_comes_of_it():
    """A negative infinity before a ReLU is zero behind it."""
    graph, pairs, values, x = ready(three().graph())
    (op,) = (op for op in graph.ops if op.layer == "first")
    (bias,) = op.weight("bias").variables
    broken = {**values, bias: np.array([-np.inf, 0.0, 0.0, 0.0])}
    (result,) = outputs(replace(graph, outputs=(2,)), broken, x)
    assert np.all(np.isfinite(result))
    found = first_outside(graph, graph, pairs, (broken, broken), x)
    assert ("first", {"bias": "not finite"}) == (named(graph, found), found.weights)


def test_an_activation_that_overflows_is_outside():
    """Finite weights, finite inputs, and infinity on both sides."""
    graph, pairs, values, x = ready(three().graph())
    second = kernel(graph, "second")
    huge = {**values, second: np.full_like(values[second], 1e308)}
    with np.errstate(all="ignore"):
        found = first_outside(graph, graph, pairs, (huge, huge), 1e3 * x)
    assert ("second", {}) == (named(graph, found), found.weights)
    assert not np.any(np.isfinite(found.values))


# Models and what was read of them -----------------------------------------------------------


def small(function: str = "gelu") -> keras.Model:
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Rescaling(1 / 127.5, -1, name="rescale")(x)
    x = layers.Conv2D(4, 3, padding="same", name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Activation(function, name="act")(x)
    x = layers.SeparableConv2D(4, 3, activation="relu", name="separable")(x)
    x = layers.AveragePooling2D(2, padding="same", name="pool")(x)
    x = layers.Dense(3, name="dense")(layers.Flatten(name="flat")(x))
    return keras.Model(inputs, layers.Softmax(name="softmax")(x))


def side(name: str, build=small, bend=None) -> tuple[Side, np.ndarray]:
    """A model with random weights, one of its layers bent, and a picture."""
    subject = equivalence.subject(build)
    x = equivalence.inputs((8, 8, 3), 1)
    subject.assign(equivalence.random_values(subject.graph, 1))
    equivalence.calibrate(subject, x, 1)
    if bend is not None:
        layer = subject.model.get_layer(bend)
        honest = layer.call
        layer.call = lambda x, **options: honest(x, **options) * (1 + 1e-9)
    return Side(name, subject, dict(subject.values)), x[:1]


def test_a_model_is_read_as_it_computes():
    """Every layer's own tensor is the op's, whether a rewrite has moved weights or not."""
    one, x = side("ours", lambda: small("relu"))
    assert {} == misread(one.source, x)


@pytest.mark.parametrize("layer", ["conv", "norm", "separable", "pool", "dense"])
def test_a_layer_that_computes_something_else_than_was_read_is_named(layer):
    """By a billionth; the layers that follow are right on what they are fed."""
    one, x = side("ours", bend=layer)
    two, _ = side("official")
    said = localise.localise(lambda: (one, two), x)
    # The bias of the convolution went into the norm, and with it what can be looked at.
    name = "norm" if layer == "conv" else layer
    assert said.startswith(f"first operation {name} ("), said
    assert "fed the same: ours " in said
    assert said.endswith("the layer computes something else than was read")


def forked(turned: bool) -> keras.Model:
    """Two branches, added in one order or the other, which numbers their operations."""
    inputs = keras.Input((8, 8, 3))
    one, two = (layers.Conv2D(4, 1, name="one")(inputs), inputs)
    two = layers.Conv2D(4, 3, padding="same", name="two")(layers.ReLU(name="relu")(two))
    two = layers.Conv2D(4, 3, padding="same", name="three")(two)
    return keras.Model(
        inputs, layers.Add(name="sum")([two, one] if turned else [one, two])
    )


@pytest.mark.parametrize("bent", ["one", "two", "three"])
def test_operations_may_have_other_numbers_in_the_other_model(bent):
    """They are told apart by the alignment."""
    one, x = side("ours", lambda: forked(False))
    two, _ = side("official", lambda: forked(True), bend=bent)
    moved = align(canonical(two.source.graph), canonical(one.source.graph))
    assert any(i != j for i, j in moved.pairs.items())
    weights = transfer(
        canonical(two.source.graph), canonical(one.source.graph), moved, two.values
    )
    one = replace(one, values=weights.values)
    said = localise.localise(lambda: (one, two), x)
    assert said.startswith(f"first operation {bent} ("), said
    assert "fed the same: official " in said


@pytest.mark.parametrize(("weight", "bent"), [("norm", "dense"), ("dense", "norm")])
def test_of_two_errors_the_first_is_named(weight, bent):
    """A weight that went astray before a layer that was misread, and after it."""
    one, x = side("ours", lambda: small("relu"), bend=bent)
    two, _ = side("official", lambda: small("relu"))
    index = next(
        i
        for i, v in enumerate(one.source.graph.variables)
        if v.name in (f"{weight}/beta", f"{weight}/bias")
    )
    one.values[index] = two.values[index] + 1.0
    said = localise.localise(lambda: (one, two), x)
    assert said.startswith("first operation norm (batch norm)")


def test_networks_that_do_not_differ_have_nothing_to_name():
    """Both were read as they compute."""
    one, x = side("ours", lambda: small("relu"))
    two, _ = side("official", lambda: small("relu"))
    assert "every operation by itself is within its bound" == localise.localise(
        lambda: (one, two), x
    )


def test_what_both_models_do_alike_is_not_what_makes_them_differ():
    """TensorFlow's GELU takes a constant by way of float32: 4e-9 off, on both sides."""
    one, x = side("ours", bend="dense")
    two, _ = side("official")
    two.source.assign(two.values)
    alike = [
        named(canonical(two.source.graph), o) for o in misread(two.source, x).values()
    ]
    assert alike == (["act"] if keras.config.backend() == "tensorflow" else [])
    assert "first operation dense" in localise.localise(lambda: (one, two), x)


def test_the_words_have_values_bound_attributes_and_weights():
    """What a person needs to go and look."""
    one, x = side("ours", lambda: small("relu"))
    two, _ = side("keras:Other", lambda: small("relu"))
    (gamma,) = (
        i for i, v in enumerate(one.source.graph.variables) if v.name == "norm/gamma"
    )
    one.values[gamma] = one.values[gamma] * 1.5
    said = localise.localise(lambda: (one, two), x, ("norm", "dense"))
    assert said.startswith(
        "first row norm, first operation norm (batch norm), fed the same: ours "
    )
    for words in (
        ", keras:Other ",
        " at (",
        ", bound ",
        "; attributes the same; gamma 0.5 apart",
    ):
        assert words in said


def test_the_picture_that_differs_most_is_looked_at():
    """One that is no number most of all."""
    right = np.ones((3, 4))
    wrong = right + np.array([[0.1], [0.2], [0.0]])
    assert slice(1, 2) == localise.differing_most([(right, right), (wrong, right)])
    wrong[2, 3] = np.nan
    assert slice(2, 3) == localise.differing_most([(right, right), (wrong, right)])


def test_what_cannot_be_run_is_not_localised(monkeypatch):
    """And the layer is named; the comparison that failed has failed all the same."""

    def odd():
        x = inputs = keras.Input((8, 8, 3))
        return keras.Model(inputs, layers.Activation("softsign", name="odd")(x))

    monkeypatch.delitem(execute.FUNCTIONS, "softsign")
    one, x = side("ours", odd)
    said = localise.localise(lambda: (one, one), x)
    assert "not localised: layer 'odd': softsign is not run" == said


def test_memory_that_does_not_do_is_no_reason_to_lose_the_failure(monkeypatch):
    """It is said, and nothing is raised."""

    def full(*_):
        raise MemoryError

    one, x = side("ours")
    monkeypatch.setattr(localise, "first_outside", full)
    assert "not localised: out of memory" == localise.localise(lambda: (one, one), x)
