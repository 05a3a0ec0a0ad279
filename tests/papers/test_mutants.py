"""A sample of the sensitivity matrix (docs/sensitivity.md): a network of a paper, mutated.

One site of each class that applies, networks run where structure cannot see.  `tox -e
mutants` takes three sites in a network of each paper.
"""

from __future__ import annotations

from pathlib import Path

import keras
import pytest

from reference_checks.load import load
from reference_checks.mutate import MUTATIONS
from reference_checks.mutate.chain import Chain
from reference_checks.mutate.matrix import measure
from reference_checks.mutate.result import scores
from reference_checks.mutate.weights import WEIGHTS
from reference_checks.networks import Networks

PAPERS = Path(__file__).parents[2] / "papers"


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="others compile every mutant anew"
)
def test_what_is_planted_in_mobilenet_v3_small_is_detected_and_located():
    """By the chain as a whole, that is; the paper's numbers and float32 outputs see less."""
    paper = load(PAPERS / "mobilenet_v3.yaml")
    variant = "mobilenet_v3_small"
    (official,) = paper.spec.variants[variant].official
    chain = Chain(Networks({"mobilenet_v3": paper}), paper, variant, official)
    results = list(measure(chain, [*MUTATIONS, *WEIGHTS], 1, 1, run=True))
    assert 50 <= len(results)
    assert [] == [r for r in results if r.status != "equivalent" and not r.found]
    numbers = scores(results)
    assert numbers["paper's numbers only"][0] < numbers["float32 only"][0]
    assert numbers["float32 only"][0] < numbers["detected"][0]
