"""What only the run of the networks sees: the graphs agree, the numbers do not.

MobileNetV2 (0.35) at 32x32 is the whole chain in small; the tiny network says the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from reference_checks import equivalence, proof
from reference_checks.checks import run_unit
from reference_checks.networks import Networks
from reference_checks.record import Verdict
from reference_checks.units import Options, select

MOBILENET = "mobilenet_v2/mobilenet_v2_0.35/keras:MobileNetV2,alpha=0.35"
TINY = "tiny/tiny/keras:Tiny"
RUN = ("transfer", "outputs", "activations")
ALL_OUTPUTS = {
    ("outputs", "float64, photographs"),
    ("outputs", "float64, noise"),
    ("outputs", "float32, all inputs"),
}


@pytest.fixture
def small(project):
    """MobileNetV2 (0.35) for pictures of 32x32."""
    project.plant(
        "papers/mobilenet_v2.yaml",
        "name: MobileNetV2 (0.35)\n",
        "name: MobileNetV2 (0.35)\n    input: [32, 32, 3]\n",
    )
    return project


def bent_transfer(bend: Callable) -> Callable:
    """The transfer with `bend(values, graph)` applied to what it moves."""
    honest = proof.transfer

    def transfer(source, target, alignment, values):
        moved = honest(source, target, alignment, values)
        return replace(moved, values=bend(dict(moved.values), target))

    return transfer


def swap_first_pair(values, graph):
    """The gammas of two norms of one size change places."""
    gammas = [op.weight("gamma") for op in graph.ops if op.kind == "batch_norm"]
    (first,), (second,) = next(
        (a.variables, b.variables)
        for k, a in enumerate(gammas)
        for b in gammas[k + 1 :]
        if a.shape == b.shape
    )
    values[first], values[second] = values[second], values[first]
    return values


def nudge(values, graph):
    """One number of the last norm's beta grows by a millionth."""
    norms = [op for op in graph.ops if op.kind == "batch_norm"]
    (index,) = norms[-1].weight("beta").variables
    values[index] = values[index] + 1e-6 * (np.arange(values[index].size) == 0)
    return values


def failing(records):
    return [
        (r.check, r.row or r.claim)
        for r in records
        if r.verdict is Verdict.CONTRADICTED
    ]


def test_equal_networks_agree_in_float64_and_float32(small):
    """Outputs and every row agree to 1e-12, float32 within its budget; 16 bits say nothing."""
    records = small.records(MOBILENET, run=True)
    assert [] == failing(records)
    rows = [r.row for r in records if r.check == "activations"]
    assert ["conv_1", *(f"bottleneck_{i}" for i in range(1, 8)), "conv_2"] == rows[:9]
    noisy = [r.claim for r in records if r.verdict is Verdict.NO_VERDICT]
    assert ["bfloat16, noise", "float16, noise"] == noisy
    assert all(
        r.verdict.passes for r in records if r.check in RUN and r.claim not in noisy
    )


def test_swapped_weights_of_one_shape_are_contradicted_from_their_row_on(
    small, monkeypatch
):
    """Two norms of one size swapped: the first row that fails is theirs."""
    monkeypatch.setattr(proof, "transfer", bent_transfer(swap_first_pair))
    found = failing(small.records(MOBILENET, run=True))
    rows = [row for check, row in found if check == "activations"]
    assert "conv_1" == rows[0]
    assert set(found) >= ALL_OUTPUTS


@pytest.mark.parametrize("unit", [TINY])
def test_a_weight_off_by_a_millionth_is_contradicted(unit, tiny, monkeypatch):
    """Float64 sees it, in its row and all after; rows before it hold."""
    monkeypatch.setattr(proof, "transfer", bent_transfer(nudge))
    found = failing(tiny.records(unit, run=True))
    assert ["block", "head"] == [row for check, row in found if check == "activations"]
    assert set(found) >= {
        ("outputs", "float64, photographs"),
        ("outputs", "float64, noise"),
    }


def test_weights_that_are_not_numbers_are_contradicted(tiny, monkeypatch):
    """NaN on both sides is a difference: nothing was compared."""

    def bad(graph, seed):
        values = random_values(graph, seed)
        return {i: np.full_like(v, np.nan) for i, v in values.items()}

    random_values = equivalence.random_values
    monkeypatch.setattr(equivalence, "random_values", bad)
    found = failing(tiny.records(TINY, run=True))
    assert set(found) >= ALL_OUTPUTS
    assert ["stem", "block", "head"] == [r for c, r in found if c == "activations"]


def test_a_network_of_zeros_is_contradicted(tiny, monkeypatch):
    """A network that returns zeros is no candidate, however small the outputs are."""
    run = equivalence.Subject.run
    calls = []

    def zeros(subject, *arguments):
        calls.append(subject)
        found = run(subject, *arguments)
        return [np.zeros_like(r) if len(calls) == 1 else r for r in found]

    monkeypatch.setattr(equivalence.Subject, "run", zeros)
    found = failing(tiny.records(TINY, run=True))
    assert ("outputs", "float64, noise") in found


def test_float32_that_passes_for_float64_is_not_run(tiny, monkeypatch):
    """What the backend computed in float32 gives no verdict in float64."""
    run = equivalence.Subject.run

    def demoted(subject, *arguments):
        found = run(subject, *arguments)
        return [r.astype(np.float32).astype(r.dtype) for r in found]

    monkeypatch.setattr(equivalence.Subject, "run", demoted)
    records = tiny.records(TINY, run=True)
    doubles = [
        r for r in records if r.check in RUN[1:] and r.claim.startswith("float64")
    ]
    assert {Verdict.NOT_RUN} == {r.verdict for r in doubles}
    assert {"the backend computed in float32 what it calls float64"} == {
        r.detail for r in doubles
    }


def test_published_weights_that_cannot_be_fetched_are_not_run(tiny):
    """Without a network connection the check says so, and is no pass."""
    papers = tiny.papers()
    (unit,) = select(papers, ["keras:Tiny"])
    records = run_unit(unit, Networks(papers), Options(published=True))
    published = records[-1]
    assert ("published weights", Verdict.NOT_RUN) == (
        published.check,
        published.verdict,
    )
    assert published.detail.startswith("offline: ")
