"""The records of an official model, on the tiny network."""

from __future__ import annotations

import keras
import pytest
from conftest import official_tiny

from reference_checks import official
from reference_checks.alignment import Ambiguous
from reference_checks.models import NotAvailable
from reference_checks.record import Verdict

TINY = "tiny/tiny/keras:Tiny"
RUN = ("transfer", "outputs", "activations")


def verdicts(records, check):
    return {r.row or r.claim: r.verdict for r in records if r.check == check}


def test_a_static_run_says_what_it_did_not_run(tiny):
    """Structure and costs are proven without a network; the rest is no pass."""
    records = tiny.records(TINY)
    assert [] == [r for r in records if r.verdict is Verdict.CONTRADICTED]
    assert {"conv-bias", "norm-epsilon", "stride-padding"} == set(
        verdicts(records, "deviation")
    )
    assert {"params": Verdict.EXACT, "multiply_adds": Verdict.EXACT} == verdicts(
        records, "accounting"
    )
    (structure,) = (r for r in records if r.check == "structure")
    assert Verdict.PROVEN is structure.verdict
    assert {"bias into norm", "norm constants"} <= set(structure.rewrites)
    assert {"stem", "block", "head"} == set(verdicts(records, "rows"))
    assert [("static run", Verdict.NOT_RUN)] * 3 == [
        (r.detail, r.verdict) for r in records if r.check in RUN
    ]


def test_a_run_compares_outputs_rows_and_both_directions(tiny):
    """All precisions, photographs and noise, weights there and back."""
    records = tiny.records(TINY, run=True)
    assert {"official → ours", "ours → official"} == set(verdicts(records, "transfer"))
    assert {
        "float64, photographs", "float64, noise", "float32, all inputs",
        "bfloat16, noise", "float16, noise",
        "float64, weights moved back", "float64, batch of 2, 40x40",
    } == set(verdicts(records, "outputs"))  # fmt: skip
    assert ["stem", "block", "head"] == list(verdicts(records, "activations"))
    noisy = [r.claim for r in records if r.verdict is Verdict.NO_VERDICT]
    assert ["bfloat16, noise", "float16, noise"] == noisy
    assert all(r.verdict.passes or r.claim in noisy for r in records)


def test_the_account_shows_its_terms(tiny):
    """Ours, each deviation's cost, and their sum."""
    (record,) = [
        r for r in tiny.records(TINY) if (r.check, r.claim) == ("accounting", "params")
    ]
    assert ("409", 409, "399 +10 = 409") == (
        record.printed,
        record.measured,
        record.detail,
    )


def another(**changes):
    """What the library might ship instead."""

    def build(weights=None, input_shape=(8, 8, 3), classes=5):
        def altered(layer):
            config = layer.get_config()
            name = layer.name
            config.update(changes.get(name, {}))
            return type(layer).from_config(config)

        return keras.models.clone_model(
            official_tiny(weights, input_shape, classes), clone_function=altered
        )

    return build


@pytest.mark.parametrize(
    ("changes", "checks"),
    [
        ({}, set()),
        ({"bn1": {"epsilon": 1e-3}}, {"deviation"}),
        ({"bn0": {"momentum": 0.5}}, {"deviation"}),
        ({"conv0": {"use_bias": False}}, {"deviation", "accounting"}),
        ({"bn0": {"scale": False}}, {"deviation", "accounting"}),
        ({"bn0": {"center": False}}, {"deviation", "accounting"}),
        ({"act1": {"activation": "relu6"}}, {"structure"}),
        ({"conv1": {"dilation_rate": 2, "strides": 1}}, {"structure", "accounting"}),
        ({"predictions": {"use_bias": False}}, {"deviation", "accounting"}),
        ({"predictions": {"activation": "sigmoid"}}, {"structure"}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else str(sorted(value)),
)
def test_what_the_library_changes_is_contradicted(changes, checks, tiny, library):
    """Each change of the shipped model is seen, and by these checks."""
    library(another(**changes))
    assert checks == {check for check, _ in tiny.contradicted(TINY)}


def test_a_deviation_that_changed_shows_both_values(tiny, library):
    """What the spec records, and what was measured."""
    library(another(conv0={"use_bias": False}))
    (record,) = [r for r in tiny.records(TINY) if r.claim == "conv-bias"]
    assert "+10 parameters, +0 multiply-adds in 2 layers" == record.printed
    assert "+6 parameters, +0 multiply-adds in 1 layers" == record.measured


def test_a_vanished_deviation_says_so(tiny, library):
    """The library mended it: the spec has to follow."""
    library(another(bn0={"epsilon": 1e-5}, bn1={"epsilon": 1e-5}))
    (record,) = [r for r in tiny.records(TINY) if r.claim == "norm-epsilon"]
    assert Verdict.CONTRADICTED == record.verdict
    assert "it vanished" in record.detail


@pytest.mark.parametrize(
    ("at", "changes", "measured"),
    [
        ("stem_norm", {}, None),
        ("block_norm", {}, "2 layers from stem_norm on"),
        ("stem_norm", {"bn0": {"epsilon": 1e-5}}, "1 layers from block_norm on"),
        ("stem_norm", {f"bn{i}": {"epsilon": 1e-5} for i in (0, 1)}, "nothing"),
    ],
)
def test_a_deviation_is_where_it_is_recorded(at, changes, measured, tiny, library):
    """The first layer that has it; where it vanished, the spec says where it was."""
    spec = tiny.root / "papers" / "tiny.yaml"
    text = spec.read_text()
    text = text.replace("layers: 2\n    source", f"layers: 2\n    at: {at}\n    source")
    spec.write_text(text)
    library(another(**changes))
    (record,) = [r for r in tiny.records(TINY) if r.claim == "norm-epsilon"]
    assert f"in 2 layers from {at} on" in record.printed
    assert (measured is None) == (record.verdict == Verdict.EXACT)
    assert measured is None or measured in record.measured


@pytest.mark.parametrize(
    ("momentum", "said"),
    [(0.99, "(it vanished)"), (0.5, "(only this is left: momentum 0.99 → 0.5")],
)
def test_a_knob_that_is_not_needed_says_what_is_left(momentum, said, tiny, library):
    """The library pads as the paper does; perhaps another difference stays, absorbed."""

    def padded(weights=None, input_shape=(8, 8, 3), classes=5):
        x = inputs = keras.Input(input_shape)
        for filters, stride, pad in ((4, 1, 1), (6, 2, ((1, 0), (1, 0)))):
            x = keras.layers.ZeroPadding2D(pad)(x)
            x = keras.layers.Conv2D(filters, 3, stride)(x)
            x = keras.layers.BatchNormalization(momentum=momentum, epsilon=1.001e-5)(x)
            x = keras.layers.ReLU()(x)
        x = keras.layers.GlobalAveragePooling2D()(x)
        x = keras.layers.Dense(classes, activation="softmax")(x)
        return keras.Model(inputs, x)

    library(padded)
    (record,) = [r for r in tiny.records(TINY) if r.claim == "stride-padding"]
    assert Verdict.CONTRADICTED == record.verdict
    assert said in record.detail


def test_a_knobs_cost_is_measured(tiny):
    """A recorded cost of what costs nothing is contradicted."""
    tiny.plant(
        "papers/tiny.yaml",
        "value: [[0, 1], [0, 1]]",
        "value: [[0, 1], [0, 1]]\n    params: 1",
    )
    assert {
        ("deviation", "stride-padding"),
        ("accounting", "params"),
    } == tiny.contradicted(TINY)


def test_another_value_of_a_knob_is_another_structure(tiny):
    """Padding on all sides is not padding at the end."""
    tiny.plant("papers/tiny.yaml", "value: [[0, 1], [0, 1]]", "value: [[1, 1], [1, 1]]")
    assert ("structure", None) in tiny.contradicted(TINY)


@pytest.fixture
def missing(monkeypatch):
    """No official model can be had."""

    def read(name, papers, **options):
        raise NotAvailable("keras-cv is not installed")

    monkeypatch.setattr(official.models, "read", read)


def test_a_missing_package_is_not_run(tiny, missing):
    """Neither a pass nor a crash."""
    expected = [
        ("deviation", Verdict.NOT_RUN, "keras-cv is not installed"),
        ("structure", Verdict.NOT_RUN, "keras-cv is not installed"),
    ]
    assert expected == [(r.check, r.verdict, r.detail) for r in tiny.records(TINY)]


def test_a_knobs_cost_is_measured_without_the_official_model(tiny, missing):
    """The planted error of the test above."""
    tiny.plant(
        "papers/tiny.yaml",
        "value: [[0, 1], [0, 1]]",
        "value: [[0, 1], [0, 1]]\n    multiply_adds: 1",
    )
    assert {("deviation", "stride-padding")} == tiny.contradicted(TINY)


def test_an_ambiguous_alignment_is_contradicted(tiny, monkeypatch):
    """Nothing is guessed; the candidates are listed."""

    def ambiguous(*_):
        raise Ambiguous("'a' could be any of b, c")

    monkeypatch.setattr(official, "diff", ambiguous)
    assert {("structure", None)} == tiny.contradicted(TINY)


def test_published_weights_are_run_where_they_can_be_had(tiny, library):
    """The same comparison, with the weights that the library publishes."""
    from reference_checks.checks import run_unit
    from reference_checks.networks import Networks
    from reference_checks.units import Options, select

    library(lambda weights=None, **sizes: official_tiny(None, **sizes))
    papers = tiny.papers()
    (unit,) = select(papers, ["keras:Tiny"])
    records = run_unit(unit, Networks(papers), Options(published=True))
    assert "published weights" == records[-1].check
    assert records[-1].verdict.passes
