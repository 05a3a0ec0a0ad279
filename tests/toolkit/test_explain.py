"""A planted number is traced to the cause that made it, and to no source but an erratum."""

from __future__ import annotations

import json
import re

import pytest

from reference_checks.causes import Counting, count
from reference_checks.cli import main
from reference_checks.errors import InputError
from reference_checks.explain import explain
from reference_checks.from_keras import from_keras, unallocated
from reference_checks.networks import Networks
from reference_checks.record import Verdict

EVERY_BIAS = "a bias for every convolution and dense layer"


def account(tiny, claim: str, erratum: str = ""):
    """How the tiny network's claim with the source "here" is accounted for."""
    if erratum:
        claim += ", erratum: note"
        text = (
            "errata:\n  note: {what: It is wrong., source: Table 2, " + erratum + "}\n"
        )
        with (tiny.root / "papers/tiny.yaml").open("a") as file:
            file.write(text)
    tiny.plant(
        "papers/tiny.yaml",
        "      - {quantity: top1_error,",
        f"      - {{{claim}, source: here}}\n      - {{quantity: top1_error,",
    )
    quantity = claim.split(",")[0].removeprefix("quantity: ")
    found = explain(Networks(tiny.papers()), "tiny", quantity)
    (wanted,) = [a for a in found.accounts if a.claim.claim == "here"]
    return wanted


@pytest.mark.parametrize(
    ("claim", "causes"),
    [
        ('quantity: params, printed: "374"', "biases left out"),
        ('quantity: params, printed: "359"', "normalisation left out"),
        ('quantity: params, printed: "399"', "moving statistics counted"),
        ('quantity: params, printed: "389"', EVERY_BIAS),
        ('quantity: params, printed: "344"', "without the top: all after the last map"),
        ('quantity: params, printed: "414"', "10 classes instead of 5"),
        ('quantity: params, printed: "0.370", unit: thousand', "K = 1024"),
        ('quantity: multiply_adds, printed: "20,796"', "times 2"),
        ('quantity: multiply_adds, printed: "5,199"', "halved"),
        ('quantity: multiply_adds, printed: "10,750"', "normalisation counted"),
        ('quantity: multiply_adds, printed: "10,494"', "pooling counted"),
        ('quantity: multiply_adds, printed: "10,368"', "dense layers left out"),
        ('quantity: multiply_adds, printed: "8,128,542"', "input 224x224 instead of 8x8"),
        ('quantity: neurons, printed: "352"', "without the top: all after the last map"),
        ('quantity: depth, printed: "4"', "pooling counted"),
        ('quantity: params, printed: "739"', "two digits swapped in print: 379"),
        ('quantity: params, printed: "7.39x10^2"', "two digits swapped in print: 3.79x10^2"),
        ('quantity: model_bytes, printed: "758"', "16 bits instead of 32"),
        ('quantity: model_bytes, printed: "1596"', "moving statistics counted"),
    ],
)  # fmt: skip
def test_a_single_cause_is_found_again(claim, causes, tiny):
    """The printed number is what that cause alone makes of the measured one."""
    found = account(tiny, claim)
    assert Verdict.CONTRADICTED == found.claim.verdict
    (first, *others) = found.candidates
    assert (causes,) == first.causes
    assert first.confirmed is None
    assert not [o for o in others if len(o.causes) == 1]


def test_a_pair_of_causes_is_found_again(tiny):
    """Biases for all, 357 output elements, and a multiply-add as two operations."""
    found = account(tiny, f'quantity: multiply_adds, printed: "{2 * (10398 + 357):,}"')
    # The activations, softmax too, are as many.
    for other in (EVERY_BIAS, "activations counted"):
        assert ("times 2", other) in [c.causes for c in found.candidates]
    assert {21510} == {c.value for c in found.candidates}


def test_a_pair_may_build_the_network_anew(tiny):
    """Another input size, with pooling counted."""
    total = 8_128_542 + 112 * 112 * 6
    found = account(tiny, f'quantity: multiply_adds, printed: "{total:,}"')
    pair = ("pooling counted", "input 224x224 instead of 8x8")
    assert pair in [c.causes for c in found.candidates]


def test_what_no_cause_makes_is_said_to_be_unexplained(tiny, capsys):
    """With all that was tried and what it gives."""
    found = account(tiny, 'quantity: params, printed: "1,234,567"')
    assert () == found.candidates
    assert 399 == found.tried["moving statistics counted"]
    assert 379 == found.tried["grouped convolutions left out"]
    assert found.pairs > 10
    papers = str(tiny.root / "papers")
    assert 0 == main(["--papers", papers, "explain", "tiny", "params"])
    shown = capsys.readouterr().out
    assert "no known cause reproduces the digits, alone or with another" in shown
    assert "moving statistics counted: 399" in shown
    assert re.search(r"^head +35 *$", shown, re.MULTILINE)


def test_an_erratum_confirms_a_candidate(tiny):
    """By its convention, here; all else stays a candidate."""
    claim = 'quantity: params, printed: "399"'
    found = account(
        tiny, claim, "measured: 379, counts: [kernel, bias, norm, statistics]"
    )
    assert Verdict.EXPLAINED == found.claim.verdict
    assert "It is wrong." == found.explanation
    assert "note" == found.candidates[0].confirmed


def test_an_erratum_confirms_a_candidate_by_its_cost(tiny):
    """The cost is exactly what the cause changes."""
    claim = 'quantity: params, printed: "389"'
    found = account(tiny, claim, "measured: 379, cost: {params: 10}")
    assert [((EVERY_BIAS,), "note")] == [
        (c.causes, c.confirmed) for c in found.candidates
    ]


def test_an_unexplained_erratum_confirms_nothing(tiny):
    """That something was tried is no source."""
    claim = 'quantity: params, printed: "399"'
    found = account(tiny, claim, "measured: 379, tried: [all]")
    assert Verdict.UNEXPLAINED == found.claim.verdict
    assert [None] == [c.confirmed for c in found.candidates]


def test_a_ratio_is_searched_on_both_sides(tiny):
    """What is halved on both sides is the same ratio."""
    found = account(tiny, 'quantity: params, printed: "50%", relative_to: tiny')
    assert () == found.candidates
    assert {1} == set(found.tried.values())


def test_a_ratio_may_be_of_what_is_printed(tiny):
    """Two numbers of the paper make it, whatever the networks count."""
    for number in ("500", "250"):
        tiny.plant(
            "papers/tiny.yaml",
            "      - {quantity: top1_error,",
            f'      - {{quantity: params, printed: "{number}", source: there}}\n'
            "      - {quantity: top1_error,",
        )
    found = account(tiny, 'quantity: params, printed: "2.0", relative_to: tiny')
    (candidate,) = found.candidates
    assert ("the ratio of printed numbers: 500 / 250",) == candidate.causes
    assert (2, Verdict.ROUNDS) == (candidate.value, candidate.fit)


@pytest.mark.parametrize(
    ("size", "shown"),
    [(13, "input 13x13 instead of 8x8"), (5, "input 5x5 instead of 8x8")],
)
def test_another_input_size_is_found_by_search(size, shown, tiny):
    """None that is known: the one next to the printed size whose count reaches the digits."""
    graph = Networks(tiny.papers())
    (paper,) = graph.papers.values()
    built = graph.graph(paper, "tiny", input_shape=(size, size, 3))
    number = count("multiply_adds", built, None, Counting(frozenset({"conv", "dense"})))
    found = account(tiny, f'quantity: multiply_adds, printed: "{number:,}"')
    assert (shown,) in [c.causes for c in found.candidates]


def test_a_known_size_that_is_searched_for_stays_in_pairs(tiny):
    """224x224 reaches the digits, with 30 too many: those of the dense layer."""
    claim = 'quantity: multiply_adds, printed: "8,128,512"'
    assert ("dense layers left out", "input 224x224 instead of 8x8") in [
        c.causes for c in account(tiny, claim).candidates
    ]


def test_what_the_spec_has_tried_is_shown(tiny, capsys):
    """Beside what the search finds."""
    account(
        tiny, 'quantity: params, printed: "1,234,567"', "measured: 379, tried: [all]"
    )
    papers = str(tiny.root / "papers")
    assert 0 == main(["--papers", papers, "explain", "tiny", "params"])
    assert "It is wrong. Tried: all." in capsys.readouterr().out


def test_causes_without_effect_are_named(tiny, capsys):
    """So that silence is no search."""
    account(tiny, 'quantity: depthwise_layers, printed: "7"')
    papers = str(tiny.root / "papers")
    assert 0 == main(["--papers", papers, "explain", "tiny", "depthwise_layers"])
    shown = capsys.readouterr().out
    assert "no known cause reproduces the digits, alone or with another" in shown
    assert re.search(r"tried, without effect: .*10 classes instead of 5", shown)


def test_rows_add_up_to_the_number(tiny):
    """Row by row, with what is printed for each."""
    tiny.plant(
        "papers/tiny.yaml",
        "stem:\n",
        'stem:\n        claims: [{quantity: params, printed: "116", source: Table 1}]\n',
    )
    found = explain(Networks(tiny.papers()), "tiny", "params")
    assert [("stem", 116, "116"), ("block", 228, None), ("head", 35, None)] == [
        (part.row, part.value, part.printed) for part in found.rows
    ]
    assert 379 == found.measured == sum(part.value for part in found.rows)
    assert 20 == found.kinds["statistics"]


def test_json_has_all_of_it(tiny, capsys):
    """Causes, values and fits."""
    account(tiny, 'quantity: params, printed: "399"')
    papers = str(tiny.root / "papers")
    assert 0 == main(["--papers", papers, "explain", "tiny", "params", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert ["moving statistics counted"] == found["accounts"][1]["candidates"][0][
        "causes"
    ]
    assert "exact" == found["accounts"][1]["candidates"][0]["fit"]


@pytest.mark.parametrize(
    ("variant", "quantity", "message"),
    [
        ("tinny", "params", "did you mean tiny"),
        ("tiny", "parms", "did you mean params"),
        ("tiny", "top1_error", "printed but not measured here"),
    ],
)
def test_what_is_not_known_is_refused(variant, quantity, message, tiny):
    """With the nearest names."""
    with pytest.raises(InputError, match=message):
        explain(Networks(tiny.papers()), variant, quantity)


def test_the_stride_of_a_bottleneck_is_moved():
    """In both directions: the 1x1 convolution before a wider one sees the larger map."""
    import keras

    def bottleneck(first: int, second: int):
        x = inputs = keras.Input((8, 8, 4))
        x = keras.layers.Conv2D(6, 1, first, use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
        x = keras.layers.Conv2D(6, 3, second, padding="same", use_bias=False)(x)
        with_bias = keras.Model(inputs, x)
        return from_keras(with_bias)

    with unallocated():
        narrow, wide = bottleneck(2, 1), bottleneck(1, 2)
    plain = Counting(frozenset({"conv", "norm", "activation"}))
    moved = {where: Counting(plain.counts, strides=where) for where in ("wide", "1x1")}
    low, high = (count("multiply_adds", g, None, plain) for g in (narrow, wide))
    assert low < high
    assert high == count("multiply_adds", narrow, None, moved["wide"])
    assert low == count("multiply_adds", wide, None, moved["1x1"])
    assert low == count("multiply_adds", narrow, None, moved["1x1"])


def test_groups_are_counted_as_one_or_not_at_all():
    """Three groups of four channels."""
    import keras

    with unallocated():
        inputs = keras.Input((5, 5, 12))
        layer = keras.layers.Conv2D(6, 3, groups=3, use_bias=False)
        graph = from_keras(keras.Model(inputs, layer(inputs)))
    kernel = 3 * 3 * 4 * 6
    for quantity, counts, size in (
        ("params", "kernel", kernel),
        ("multiply_adds", "conv", 9 * kernel),
    ):
        for groups, times in (("", 1), ("dense", 3), ("none", 0)):
            counting = Counting(frozenset({counts}), groups=groups)
            assert times * size == count(quantity, graph, None, counting)
