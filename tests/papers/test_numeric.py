"""What only the run of the networks sees: the graphs agree, the numbers do not.

MobileNetV2 (0.35) at 32x32 is the whole chain in small; the tiny network says the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from html import escape

import numpy as np
import pytest
from conftest import official_tiny

from reference_checks import equivalence, proof
from reference_checks.checks import run_unit
from reference_checks.cli import main
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


def said(records, row):
    (record,) = [r for r in records if (r.check, r.row) == ("activations", row)]
    return record.detail


def in_double(record):
    return record.claim.startswith("float64")


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
    """Two norms of one size swapped: the first row that fails, and operation, is theirs."""
    monkeypatch.setattr(proof, "transfer", bent_transfer(swap_first_pair))
    records = small.records(MOBILENET, run=True)
    found = failing(records)
    rows = [row for check, row in found if check == "activations"]
    assert "conv_1" == rows[0]
    assert set(found) >= ALL_OUTPUTS
    where = "first row conv_1, first operation conv_1_norm ↔ bn_Conv1 (batch norm)"
    assert {"conv_1"} == {row for row in rows if where in said(records, row)}
    failed = [r for r in records if r.check == "outputs" and in_double(r)]
    failed = [r for r in failed if r.verdict is Verdict.CONTRADICTED]
    assert all(where in r.detail for r in failed)


@pytest.mark.parametrize("unit", [TINY])
def test_a_weight_off_by_a_millionth_is_contradicted(unit, tiny, monkeypatch):
    """Float64 sees it, in its row and all after, and its weight; rows before it hold."""
    monkeypatch.setattr(proof, "transfer", bent_transfer(nudge))
    records = tiny.records(unit, run=True)
    found = failing(records)
    where = (
        "first row block, first operation block_norm ↔ bn1 (batch norm), fed the same:"
    )
    assert said(records, "block").startswith(where)
    assert "; beta " in said(records, "block")
    assert "first operation" not in said(records, "head")
    assert ["block", "head"] == [row for check, row in found if check == "activations"]
    assert set(found) >= {
        ("outputs", "float64, photographs"),
        ("outputs", "float64, noise"),
    }


def test_weights_that_are_not_numbers_are_contradicted(tiny, monkeypatch):
    """NaN on both sides is a difference, of the first operation that has it."""

    def bad(graph, seed):
        values = random_values(graph, seed)
        return {i: np.full_like(v, np.nan) for i, v in values.items()}

    random_values = equivalence.random_values
    monkeypatch.setattr(equivalence, "random_values", bad)
    records = tiny.records(TINY, run=True)
    found = failing(records)
    assert set(found) >= ALL_OUTPUTS
    assert ["stem", "block", "head"] == [r for c, r in found if c == "activations"]
    assert said(records, "stem").startswith(
        "first row stem, first operation stem ↔ conv0"
    )
    assert "not finite; attributes the same; kernel not finite" in said(records, "stem")


def test_activations_that_are_not_numbers_are_contradicted(tiny, library):
    """A layer that divides by zero, on one side or on both; the weights are sound."""

    def broken(**options):
        model = official_tiny(**options)
        layer = model.get_layer("act1")
        honest = layer.call
        layer.call = lambda x: honest(x) / 0.0
        return model

    library(broken)
    records = tiny.records(TINY, run=True)
    assert "block" == next(r for c, r in failing(records) if c == "activations")
    where = "first row block, first operation block_relu ↔ act1 (relu), fed the same: keras:Tiny"
    assert said(records, "block").startswith(where)
    assert ", not finite; " in said(records, "block")


def test_a_layer_that_is_not_what_was_read_is_named(tiny, library, capsys, tmp_path):
    """The graphs agree, the outputs do not: on the terminal, in JSON and in HTML."""

    def bent(**options):
        model = official_tiny(**options)
        layer = model.get_layer("bn1")
        honest = layer.call
        layer.call = lambda x, **more: honest(x, **more) * (1 + 1e-8)
        return model

    library(bent)
    file, folder = tmp_path / "results.json", tmp_path / "reports"
    papers = ("--papers", str(tiny.root / "papers"))
    reports = ("--json", str(file), "--report", str(folder))
    assert 1 == main([*papers, "check", "keras:Tiny", "-n", "0", *reports])
    where = (
        "first row block, first operation block_norm ↔ bn1 (batch norm), fed the same:"
    )
    lines = capsys.readouterr().out.splitlines()
    (head,) = (n for n, line in enumerate(lines) if "outputs (float64, noise," in line)
    assert lines[head].startswith("✗ tiny/tiny keras:Tiny outputs")
    assert where in lines[head + 1]
    assert "the layer computes something else than was read" in lines[head + 1]
    records = json.loads(file.read_text())["records"]
    noise = next(r for r in records if r["claim"] == "float64, noise")
    assert noise["detail"].startswith(where)
    assert escape(where) in (folder / "tiny.html").read_text()


def test_a_network_of_zeros_is_contradicted(tiny, monkeypatch):
    """A network that returns zeros is no candidate, however small the outputs are."""
    run = equivalence.Subject.run
    calls = []

    def zeros(subject, *arguments, **options):
        calls.append(subject)
        found = run(subject, *arguments, **options)
        return [np.zeros_like(r) if len(calls) == 1 else r for r in found]

    monkeypatch.setattr(equivalence.Subject, "run", zeros)
    found = failing(tiny.records(TINY, run=True))
    assert ("outputs", "float64, noise") in found


def test_float32_that_passes_for_float64_is_not_run(tiny, monkeypatch):
    """What the backend computed in float32 gives no verdict in float64."""
    run = equivalence.Subject.run

    def demoted(subject, *arguments, **options):
        found = run(subject, *arguments, **options)
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
