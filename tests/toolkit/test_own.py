"""A model of one's own from a file, held against a variant."""

from __future__ import annotations

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from conftest import official_tiny

from reference_checks import models, own
from reference_checks.cli import main
from reference_checks.networks import Networks
from reference_checks.own import check_own
from reference_checks.record import Record, Verdict

tf = pytest.importorskip("tensorflow", reason="SavedModels are TensorFlow's")


def rescaled() -> keras.Model:
    """The library's network behind a rescaling of its input, with random weights."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1.0)(inputs)
    model = keras.Model(inputs, official_tiny()(x))
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in model.weights])
    return model


@pytest.mark.parametrize("name", ["model.keras", "folder"])
def test_a_rescaling_of_the_input_is_no_difference(name, tiny, tmp_path):
    """Both networks see the same behind it, from a Keras file or a SavedModel."""
    path = tmp_path / name
    model = rescaled()
    model.save(path) if path.suffix else model.export(path, verbose=False)
    papers = tiny.papers()
    records, found = check_own(Networks(papers), papers["tiny"], "tiny", f"file:{path}")
    assert found.same
    (outputs,) = [r for r in records if r.check == "outputs"]
    assert outputs.verdict in (Verdict.WITHIN_BUDGET, Verdict.BIT_EQUAL), outputs


def outputs_of(papers, name) -> Record:
    records, _ = check_own(Networks(papers), papers["tiny"], "tiny", name)
    (found,) = [r for r in records if r.check == "outputs"]
    return found


def test_weights_that_went_astray_are_named(tiny, tmp_path, monkeypatch):
    """The row, the operation, both values, the bound and the weight."""
    official_tiny().save(tmp_path / "model.keras")
    honest = own.transfer

    def astray(source, target, alignment, values):
        moved = honest(source, target, alignment, values)
        (index,) = (
            i for i, v in enumerate(target.variables) if v.name == "block_norm/gamma"
        )
        return replace(moved, values={**moved.values, index: moved.values[index] * 2})

    monkeypatch.setattr(own, "transfer", astray)
    found = outputs_of(tiny.papers(), f"file:{tmp_path / 'model.keras'}")
    assert Verdict.CONTRADICTED is found.verdict
    where = (
        "first row block, first operation block_norm ↔ bn1 (batch norm), fed the same"
    )
    assert found.detail.startswith(f"{where}: ours ")
    assert "; gamma 1 apart; relative error" in found.detail


def test_a_saved_model_that_was_misread_is_named(tiny, tmp_path, monkeypatch):
    """Its own tensors are looked at: a kernel that was read upside down."""
    model = rescaled()
    rng = np.random.default_rng(1)
    # Small, so that the softmax says what happens before it.
    model.set_weights([rng.uniform(0.1, 0.3, w.shape) for w in model.weights])
    model.export(tmp_path / "folder", verbose=False)
    read = models.read

    def upside_down(*arguments, **options):
        model = read(*arguments, **options)
        kernel = next(
            i for i, v in enumerate(model.graph.variables) if v.shape == (3, 3, 4, 6)
        )
        values = {**model.values, kernel: model.values[kernel][::-1]}
        return replace(model, source=replace(model.source, values=values))

    monkeypatch.setattr(models, "read", upside_down)
    found = outputs_of(tiny.papers(), f"file:{tmp_path / 'folder'}")
    assert Verdict.CONTRADICTED is found.verdict
    assert found.detail.startswith("first row block, first operation block")
    assert "yours " in found.detail
    assert "the layer computes something else than was read" in found.detail


def test_a_model_of_your_own_that_does_not_fit_is_not_run(tiny, tmp_path, monkeypatch):
    """What was found before stays; exit 3."""

    def full(*_):
        raise MemoryError

    monkeypatch.setattr(own, "transfer", full)
    papers, results = str(tiny.root / "papers"), tmp_path / "results.json"
    argv = ["check", "tiny", "--model", "paper:tiny", "--json", str(results)]
    assert 3 == main(["--papers", papers, *argv])
    *before, last = json.loads(results.read_text())["records"]
    assert ("run", "not run", "out of memory") == (
        last["check"], last["verdict"], last["detail"]
    )  # fmt: skip
    assert "proven" in {r["verdict"] for r in before if r["check"] == "structure"}
