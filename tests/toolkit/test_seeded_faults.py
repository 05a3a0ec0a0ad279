"""Faults seeded in the comparison itself: each hides an error that it sees as it is written.

What a tool of this kind has got wrong: NaN set to zero, means or signed sums compared, any
transpose that fits accepted, a maximum over nothing.  A test of a check is worth what it
says when the check is broken.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from types import SimpleNamespace
from typing import Any, NamedTuple

import interpreter
import numpy as np
import pytest
from keras import ops
from networks import Network

from reference_checks import equivalence, localise, precision, proof, proof_training
from reference_checks.alignment import align
from reference_checks.bounds import Traced, traced
from reference_checks.execute import apply, weights_of
from reference_checks.localise import first_outside
from reference_checks.record import Record, Verdict
from reference_checks.rewrites import canonical

PAIR: Any = SimpleNamespace(
    entry=SimpleNamespace(table=None),
    record=lambda check, verdict, **more: Record(
        "paper", "variant", "official", check, verdict, **more
    ),
)
RANDOM = np.random.default_rng(0)
RIGHT = RANDOM.standard_normal((3, 4, 4, 2))
"""Three pictures, 4x4 places, two channels."""


@pytest.fixture(autouse=True)
def _double() -> None:
    """Float64 is float64 on every backend, as it is in a process that compares models."""
    with precision.floatx("float64"):
        pass


class Fault(NamedTuple):
    """A broken distance, and two arrays that it takes to be the same."""

    name: str
    distance: Callable[[np.ndarray, np.ndarray], float]
    candidate: np.ndarray
    reference: np.ndarray = RIGHT


def relative(gap: Any, reference: Any) -> float:
    return float(np.linalg.norm(gap) / np.linalg.norm(reference))


def with_nan(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array[1, 2, 3, 0] = np.nan
    return array


def moved(array: np.ndarray, by: float) -> np.ndarray:
    """As much added at one place as is taken away at another."""
    array = array.copy()
    array[0, 0, 0, 0] += by
    array[2, 3, 1, 1] -= by
    return array


def transposed(candidate: np.ndarray, reference: np.ndarray) -> float:
    fitting = (
        candidate.transpose(axes) for axes in permutations(range(candidate.ndim))
    )
    return min(
        relative(c - reference, reference)
        for c in fitting
        if c.shape == reference.shape
    )


honest = equivalence.distance
FAULTS = [
    Fault(
        "what is no number set to zero",
        lambda a, b: honest(np.nan_to_num(a), np.nan_to_num(b)),
        with_nan(RIGHT), with_nan(RIGHT),
    ),
    Fault(
        "NaN that compares as not larger",
        lambda a, b: relative(a - b, b), with_nan(RIGHT),
    ),
    Fault(
        "NaN left out of the sum",
        lambda a, b: float(np.sqrt(np.nansum((a - b) ** 2) / np.nansum(b**2))),
        with_nan(RIGHT),
    ),
    Fault(
        "means compared",
        lambda a, b: abs(float(a.mean() / b.mean()) - 1), RIGHT[:, ::-1, ::-1],
    ),
    Fault(
        "signed differences summed",
        lambda a, b: abs(float(np.sum(a - b))) / np.linalg.norm(b), moved(RIGHT, 0.5),
    ),
    Fault(
        "the largest difference without its sign",
        lambda a, b: max(float(np.max(a - b)), 0.0), RIGHT - 0.1,
    ),
    Fault("any transpose that fits", transposed, RIGHT.swapaxes(1, 2)),
    Fault(
        "shapes broadcast",
        lambda a, b: relative(a - b, b), RIGHT[:1], np.repeat(RIGHT[:1], 3, axis=0),
    ),
    Fault(
        "the first picture only", lambda a, b: honest(a[:1], b[:1]),
        np.concatenate([RIGHT[:2], -RIGHT[2:]]),
    ),
    Fault(
        "a tolerance that is not relative",
        lambda a, b: float(np.max(np.abs(a - b))), -1e-14 * RIGHT, 1e-14 * RIGHT,
    ),
    Fault(
        "NumPy's own tolerance",
        lambda a, b: 0.0 if np.allclose(a, b) else 1.0, RIGHT * (1 + 1e-6),
    ),
    Fault(
        "the share of numbers that differ",
        lambda a, b: float(np.mean(~np.isclose(a, b)) > 0.1), moved(RIGHT, 0.5),
    ),
    Fault(
        "one of the sides rounded to float32 first",
        lambda a, b: honest(a.astype(np.float32), b.astype(np.float32)),
        RIGHT * (1 + 1e-9),
    ),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_broken_distance_hides_what_the_check_sees(fault, monkeypatch):
    """Contradicted as it is written, and passed with the fault."""

    def verdict() -> Verdict:
        return proof.compare(PAIR, "outputs", fault.candidate, fault.reference).verdict

    assert Verdict.CONTRADICTED is verdict()
    monkeypatch.setattr(equivalence, "distance", fault.distance)
    with np.errstate(all="ignore"):
        assert verdict().passes


def test_nan_set_to_zero_would_pass_a_network_of_nan(tiny, monkeypatch):
    """The whole run of the small network, whose weights are no numbers."""
    random_values = equivalence.random_values

    def bad(graph, seed):
        values = random_values(graph, seed)
        return {i: np.full_like(v, np.nan) for i, v in values.items()}

    def verdicts() -> set[Verdict]:
        records = tiny.records("tiny/tiny/keras:Tiny", run=True)
        claims = ("float64, photographs", "float64, noise")
        return {r.verdict for r in records if r.claim in claims}

    monkeypatch.setattr(equivalence, "random_values", bad)
    assert {Verdict.CONTRADICTED} == verdicts()
    fault = FAULTS[0].distance
    monkeypatch.setattr(
        equivalence, "distance", lambda a, b: 0.0 if np.isnan(a).all() else fault(a, b)
    )
    assert {Verdict.WITHIN_BUDGET} == verdicts()


def test_a_float64_that_is_taken_at_its_word_would_pass(monkeypatch):
    """What both sides computed in float32 is not run; believed, it is bit-equal."""
    single = RIGHT.astype(np.float32).astype(np.float64)
    assert Verdict.NOT_RUN is proof.compare(PAIR, "outputs", single, single).verdict
    monkeypatch.setattr(
        precision, "counterfeit", lambda values: values.dtype != np.float64
    )
    assert Verdict.BIT_EQUAL is proof.compare(PAIR, "outputs", single, single).verdict


def test_arrays_of_nothing_are_no_agreement():
    """The largest of no differences would be zero."""
    nothing = RIGHT[:0]
    assert Verdict.CONTRADICTED is proof.compare(PAIR, "rows", nothing, nothing).verdict
    assert 0.0 == float(np.max(np.abs(nothing - nothing), initial=0.0))


def test_gradients_of_nothing_are_no_agreement():
    """Were the alignment empty, the largest error of no tensor would be zero."""
    found = proof_training._compare(PAIR, "gradients", iter(()))
    assert Verdict.CONTRADICTED is found.verdict
    assert max((), default=0.0) <= 1e-11  # what it would have been


# Localisation -----------------------------------------------------------------------------


def amplifying():
    """Two convolutions, and a norm that divides by next to nothing."""
    net = Network(8, 8, 3)
    x = net.conv(net.conv(net.input, 4, layer="first"), 4, layer="second")
    net.norm(x, "norm", epsilon=1e-30)
    raw = net.graph()
    values = interpreter.random_values(raw, 1)
    (x,) = interpreter.random_inputs(raw, 1)
    graph = canonical(raw)
    values[graph.ops[-1].weight("variance").variables[0]] = np.full(4, 1e-20)
    return graph, align(graph, graph).pairs, values, x


def named(graph, wrong, values, x) -> str | None:
    pairs = align(graph, graph).pairs
    found = first_outside(graph, graph, pairs, (wrong, values), x)
    return None if found is None else graph.ops[found.index].layer


def slightly_wrong(graph, values, layer="first"):
    (op,) = (op for op in graph.ops if op.layer == layer)
    (index,) = op.weight("kernel").variables
    return {**values, index: values[index] * (1 + 3e-13)}


def test_operations_that_are_fed_their_own_results_name_the_wrong_one():
    """An error under the budget where it is made and far over it behind the norm."""
    graph, _, values, x = amplifying()
    wrong = slightly_wrong(graph, values)
    assert "first" == named(graph, wrong, values, x)

    def fed_their_own() -> str:
        results: list[tuple] = []
        for op in graph.ops:
            if op.kind == "input":
                results.append((ops.convert_to_tensor(x),) * 2)
                continue
            pair = tuple(
                apply(
                    op, [results[i][k] for i in op.inputs], weights_of(op, v, x.dtype)
                )
                for k, v in enumerate((wrong, values))
            )
            gap = equivalence.distance(*map(ops.convert_to_numpy, pair))
            if gap > equivalence.FLOAT64_BUDGET:
                return op.layer
            results.append(pair)
        return "nothing"

    assert fed_their_own() in ("norm", "nothing")


WIDE = {
    "a tolerance that was picked": lambda t: (
        1e-8 + 1e-5 * np.abs(ops.convert_to_numpy(t.value))
    ),
    "one bound for all, of the largest number": lambda t: np.full(
        t.value.shape, 1e-12 * np.max(ops.convert_to_numpy(t.size))
    ),
    "no bound": lambda t: np.full(t.value.shape, np.inf),
}


@pytest.mark.parametrize("fault", WIDE.values(), ids=WIDE)
def test_a_bound_that_is_too_wide_hides_a_weight(fault, monkeypatch):
    """A kernel that is wrong in its thirteenth digit."""
    graph, _, values, x = amplifying()
    wrong = slightly_wrong(graph, values, "second")
    assert "second" == named(graph, wrong, values, x)
    monkeypatch.setattr(localise, "allowed", fault)
    assert "second" != named(graph, wrong, values, x)


def test_a_bound_of_the_sum_and_not_of_its_terms_blames_what_is_right():
    """Terms that cancel leave their rounding: without absolute values it looks like a bug."""
    net = Network(1000)
    net.dense(net.input, 1, bias=False)
    graph = net.graph()
    half = RANDOM.standard_normal(500)
    x = np.concatenate([half, -half])[None]
    values = {0: np.ones((1000, 1))}
    found = []
    for order in (slice(None), RANDOM.permutation(1000)):
        (op,) = (op for op in graph.ops if op.kind == "dense")
        fed = Traced.exact(ops.convert_to_tensor(x[:, order]))
        found.append(traced(op, [fed], weights_of(op, values, x.dtype)))
    assert np.any(ops.convert_to_numpy(found[0].value != found[1].value))
    assert localise.outside(0, *found) is None
    sums = [Traced(t.value, ops.abs(t.value), t.roundings) for t in found]
    assert localise.outside(0, *sums) is not None


def test_what_is_not_finite_would_be_held_if_only_larger_differences_counted():
    """NaN is larger than nothing: a comparison the wrong way round lets it pass."""
    nan = Traced.exact(ops.convert_to_tensor(with_nan(RIGHT)))
    found = localise.outside(0, nan, nan)
    assert (1, 2, 3, 0) == found.at
    gap = np.abs(with_nan(RIGHT) - with_nan(RIGHT))
    assert not np.any(gap > 0)  # what the other way round would ask
