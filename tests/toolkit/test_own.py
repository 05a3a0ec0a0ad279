"""A model of one's own from a file, held against a variant."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from conftest import official_tiny

from reference_checks.networks import Networks
from reference_checks.own import check_own
from reference_checks.record import Verdict

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
