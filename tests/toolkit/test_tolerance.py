"""The tolerance is what was measured, in the code and on its page."""

from __future__ import annotations

import copy
import importlib.util
import json

import keras
import numpy as np
import pytest
from conftest import ROOT, official_tiny

from reference_checks import equivalence
from reference_checks.equivalence.comparison import ROUNDOFF, K

PAGE = ROOT / "docs" / "tolerance.md"


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


alarms = module(ROOT / "tests" / "benchmarks" / "false_alarms.py")
depth = module(ROOT / "docs" / "pictures" / "error_by_depth.py")


@pytest.fixture(scope="module")
def evidence():
    return json.loads(alarms.EVIDENCE.read_text())


def block(name):
    """The page's lines between two marks."""
    begin, end = f"<!-- {name} -->", f"<!-- {name} end -->"
    return PAGE.read_text().partition(begin)[2].partition(end)[0].strip()


def test_a_thousand_correct_evaluations_of_ten_networks_and_more(evidence):
    """All networks of the script, and each evaluation has erred, by a finite number."""
    networks = evidence["networks"]
    assert [*alarms.NETWORKS] == [*networks]
    assert len(networks) >= 10
    runs = [
        e for by in networks.values() for p in alarms.WORKING for e in by[p].values()
    ]
    errors = [error for run in runs for error in run.values()]
    assert len(errors) >= 1000
    assert all(0 < error < 10 for error in errors)
    assert all(set(alarms.FLOOR) <= set(run) for run in runs)


def test_k_is_what_the_rule_makes_of_the_evidence(evidence):
    """And the summary is that of the errors beside it."""
    assert alarms.summary(evidence["networks"]) == evidence["summary"]
    assert K == evidence["summary"]["K"]


def test_no_correct_evaluation_is_an_alarm(evidence):
    """By the budget that the check itself uses, each against the others of its floor."""
    for by_precision in evidence["networks"].values():
        for precision in alarms.WORKING:
            for errors in by_precision[precision].values():
                for name, error in errors.items():
                    floor = [errors[f] for f in alarms.FLOOR if f != name]
                    assert error <= equivalence.budget(precision, floor)


def test_an_alarm_would_change_k(evidence):
    """The planted error of the three tests above."""
    wrong = copy.deepcopy(evidence["networks"])
    errors = wrong["keras:ResNet50"]["float32"]["3"]
    errors["norms in kernels"] = 100 * max(errors.values())
    found = alarms.summary(wrong)
    assert found["K"] > K
    assert "keras:ResNet50, seed 3, norms in kernels" == found["float32"]["at"]
    assert alarms.table(wrong) != alarms.table(evidence["networks"])


@pytest.mark.parametrize(
    ("largest", "expected"), [(1.0, 2), (1.9, 4), (2.0, 4), (2.01, 8), (4.1, 16)]
)
def test_k_is_twice_the_largest_ratio_and_a_power_of_two(largest, expected):
    """The next one: never less than twice."""
    assert expected == alarms.factor(largest)


def test_none_of_a_thousand_bounds_the_rate_by_three_in_a_thousand():
    """Clopper and Pearson's interval for none."""
    assert 0.003 == pytest.approx(alarms.bound(1000), rel=0.01)
    assert 0.95 == pytest.approx(1 - (1 - alarms.bound(59)) ** 59)


def test_the_page_says_what_the_evidence_says(evidence):
    """Its tables, its K and its bounds are those of the files."""
    assert "\n".join(alarms.table(evidence["networks"])) == block("alarms")
    measured = json.loads(depth.EVIDENCE.read_text())
    assert "\n".join(depth.table(measured)) == block("depth")


def test_other_pages_name_the_same_k():
    """Wherever a number of times stands."""
    for page in ("docs/concepts.md", "docs/sensitivity.md"):
        assert f"{K} times " in (ROOT / page).read_text()


def test_the_picture_shows_three_networks_row_by_row():
    """Every row of the evidence is on it, and it is drawn from the evidence alone."""
    measured = json.loads(depth.EVIDENCE.read_text())
    picture, drawn = depth.PICTURE.read_text(), depth.draw(measured)
    assert 3 == len(measured)
    for network, found in measured.items():
        rows = [row for row in found["errors"]["float32"] if row != "outputs"]
        assert {*depth.PRECISIONS} == {*found["errors"]}
        for text in (network, *rows, *found["errors"]):
            assert f">{text}</text>" in picture
            assert f">{text}</text>" in drawn


@pytest.fixture(scope="module")
def tiny():
    found = equivalence.subject(official_tiny)
    x = equivalence.inputs((8, 8, 3), 1)
    found.assign(equivalence.random_values(found.graph, 1))
    equivalence.calibrate(found, x, 1)
    return found, x, dict(found.values)


def test_norms_in_kernels_are_the_same_network(tiny):
    """In float64 to the last digits; a factor left out is seen."""
    found, x, values = tiny
    before = found.run(x)[0]
    other = alarms.folded(found, values)
    changed = [i for i in other if other[i] is not values[i]]
    assert len(changed) == 10  # kernel, bias, gamma, mean and variance of two norms
    found.assign(other)
    assert equivalence.distance(found.run(x)[0], before) < 1e-14
    found.assign(other | {changed[0]: values[changed[0]]})
    assert equivalence.distance(found.run(x)[0], before) > 1e-3
    found.assign(values)


@pytest.mark.skipif(keras.config.backend() == "torch", reason="XLA is not torch's")
def test_a_compiled_network_is_the_same_network(tiny):
    """By XLA, with the weights that it has now."""
    found, x, _ = tiny
    program = alarms.compiled(found.model)
    outputs = keras.ops.convert_to_numpy(program(found.feed(x)))
    assert equivalence.distance(outputs, found.run(x)[0]) < 1e-14


def test_what_is_bit_equal_to_another_counts_once():
    """But for the evaluations of the floor, which are what the check takes."""
    one, other = np.ones(3), np.full(3, 2.0)
    results = {"whole": one, "one by one": one, "compiled": one, "no oneDNN": other}
    assert ["whole", "one by one", "no oneDNN"] == [
        n for n, _ in alarms.distinct(results)
    ]


def test_a_ratio_leaves_the_evaluation_itself_out():
    """One that errs far more than the others is not measured by itself."""
    errors = {"whole": 1e-5, "one by one": 1e-6, "graph": 1e-6, "compiled": 2e-5}
    found = dict(alarms.ratios(errors, ROUNDOFF["float32"]))
    assert 10 == pytest.approx(found["whole"])
    assert 2 == pytest.approx(found["compiled"])
    assert 0.1 == pytest.approx(found["graph"])
