"""Working precision: what correct runs err measures ours, and noise gives no verdict."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
from conftest import official_tiny

from reference_checks import equivalence, proof_precision
from reference_checks.equivalence.comparison import K, budget
from reference_checks.equivalence.reevaluations import reevaluations
from reference_checks.equivalence.sensitivity import Sensitivity, sensitivity
from reference_checks.proof_precision import Oracle, working_precision
from reference_checks.record import Record, Verdict
from reference_checks.rewrites import canonical

SEED = 1998
BLIND = Sensitivity("epsilon", 1e-3, 0.0, 99.0)
SHARP = Sensitivity("epsilon", 1e-3, 1.0, 99.0)


class TinyPair:
    """The tiny official model on both sides; `wrong` alters ours."""

    def __init__(self, wrong=lambda model: None):
        self.wrong, self.built = wrong, 0

    def build_official(self, **options):
        return official_tiny(**options)

    def build_ours(self, **options):
        self.built += 1
        model = official_tiny(**options)
        self.wrong(model)
        return model

    def record(self, check, verdict, **more):
        return Record("tiny", "tiny", "keras:Tiny", check, verdict, **more)


@pytest.fixture(scope="module")
def subject():
    found = equivalence.subject(official_tiny)
    x = equivalence.inputs((8, 8, 3), SEED)
    found.assign(equivalence.random_values(found.graph, SEED))
    equivalence.calibrate(found, x, SEED)
    return found, x


@pytest.fixture
def oracle(subject):
    """Float64 outputs of the tiny model, and what an epsilon does to them."""
    found, x = subject
    reference = found.run(x)[0]
    sensed = sensitivity(found, x[-1:], reference[-1:])
    values = dict(found.values)
    return Oracle(values, values, canonical(found.graph), x, reference, sensed, 0.0)


def verdict(pair, precision, oracle):
    (record,) = working_precision(pair, precision, oracle)
    return record


def epsilon(factor):
    def wrong(model):
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.epsilon *= factor

    return wrong


def test_the_same_model_is_bit_equal_in_float32(oracle):
    """The same layers on the same kernels."""
    assert Verdict.BIT_EQUAL is verdict(TinyPair(), "float32", oracle).verdict


def test_an_epsilon_of_a_hundredfold_is_an_alarm_in_float32(oracle):
    """1e-3 where 1e-5 is meant errs more than any correct run."""
    record = verdict(TinyPair(epsilon(100)), "float32", oracle)
    assert Verdict.CONTRADICTED is record.verdict
    assert record.measured > oracle.sensitivity.limit / 2


def test_every_correct_reevaluation_is_within_the_budget_of_the_others(oracle):
    """One of them taken out, and held against what the others err."""
    single = equivalence.subject(official_tiny, "float32")
    single.assign(oracle.theirs)
    errors = {
        name: equivalence.distance(outputs, oracle.reference)
        for name, outputs in reevaluations(single, oracle.x)
    }
    assert ["whole", "one by one", "graph"] == list(errors)
    assert len(set(errors.values())) > 1  # they do round differently
    for name, error in errors.items():
        others = [e for other, e in errors.items() if other != name]
        assert 0 < error <= budget("float32", others)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_noise_yields_no_verdict_and_ours_is_not_run(precision, oracle):
    """Sixteen bits would hide an epsilon of a hundredfold, which is no pass."""
    pair = TinyPair(epsilon(100))
    record = verdict(pair, precision, oracle.of_noise())
    assert Verdict.NO_VERDICT is record.verdict
    assert not record.verdict.passes
    assert "hides epsilon 1.001e-05 → 0.001001" in record.detail
    assert 0 == pair.built


def test_sixteen_bits_have_a_verdict_where_the_mistake_is_larger(oracle):
    """The planted error of the test above: noise is not said of everything."""
    sharp = replace(oracle.of_noise(), sensitivity=SHARP)
    assert Verdict.BIT_EQUAL is verdict(TinyPair(), "float16", sharp).verdict

    def zeros(model):
        model.layers[-1].activation = lambda x: 0 * x

    record = verdict(TinyPair(zeros), "float16", sharp)
    assert Verdict.CONTRADICTED is record.verdict


def test_a_tenth_of_the_outputs_is_the_least_that_a_budget_must_see():
    """However sharply an epsilon is seen: beyond that nothing is small."""
    assert 0.1 == SHARP.limit
    assert "10% of the outputs" == SHARP.hidden(0.1)
    assert "epsilon 0.001 → 0.1" == SHARP.hidden(0.09)
    assert 0.0 == BLIND.limit
    assert "no change of epsilon" == BLIND.seen(1e-12)


@pytest.mark.parametrize("side", ["reference", "ours"])
def test_what_is_no_number_is_contradicted(side, oracle):
    """On the reference's side, and where only ours is none."""
    nan = np.full_like(oracle.reference, np.nan)
    if side == "reference":
        bad = replace(oracle, reference=nan)
    else:
        bad = replace(oracle, ours={i: v * np.nan for i, v in oracle.ours.items()})
    assert Verdict.CONTRADICTED is verdict(TinyPair(), "float32", bad).verdict


@pytest.mark.parametrize(("gap", "said"), [(1e-15, "keeps"), (1e-9, "does not keep")])
def test_what_float32_says_of_float64_stands_beside_it(gap, said, oracle):
    """A report: the verdict in float64 is 1e-12."""
    record = verdict(TinyPair(), "float32", replace(oracle, gap=gap))
    assert f"float64 {said} " in record.detail
    assert record.verdict.passes


def test_the_smallest_change_is_what_float64_sees(subject):
    """Twice the change that is printed is outside the budget, half of it within."""
    found, x = subject
    reference = found.run(x)[0]
    sensed = sensitivity(found, x, reference)
    least = sensed.least(equivalence.FLOAT64_BUDGET)
    assert f"epsilon 1.001e-05 → {1.001e-5 * (1 + least):.10g}" == sensed.seen(1e-12)
    for factor, seen in ((2, True), (0.5, False)):
        other = equivalence.subject(official_tiny)
        epsilon(1 + factor * least)(other.model)
        other.assign(found.values)
        gap = equivalence.distance(other.run(x)[0], reference)
        assert seen == (gap > equivalence.FLOAT64_BUDGET)


def test_a_measured_sensitivity_leaves_the_network_as_it_was(subject):
    """The epsilons are put back."""
    found, x = subject
    before = found.run(x)[0]
    sensitivity(found, x, before)
    assert np.array_equal(before, found.run(x)[0])


def plain():
    x = inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(5)(x))


def test_a_network_without_norms_is_measured_by_its_first_kernel():
    """An input divided by 128 where 127.5 is meant."""
    found = equivalence.subject(plain)
    x = equivalence.inputs((8, 8, 3), SEED)
    found.assign(equivalence.random_values(found.graph, SEED))
    before = found.run(x)[0]
    sensed = sensitivity(found, x, before)
    assert np.array_equal(before, found.run(x)[0])
    assert "first kernel times 1 → 1.00392" == sensed.hidden(0.05)
    assert sensed.seen(1e-12).startswith("first kernel times 1 → 1.0000000000")
    assert 0 < sensed.limit < 0.01


def test_tf32_is_float32_with_its_own_budget(oracle):
    """Without a device that has it, the same numbers, and a floor of its rounding."""
    record = verdict(TinyPair(), "tf32", oracle)
    assert record.verdict in (Verdict.BIT_EQUAL, Verdict.NO_VERDICT)
    found = proof_precision.floor(official_tiny, "tf32", oracle)
    assert K * 2.0**-11 == found.budget
