"""What CI shows: annotations, badges, what changed, and several runs as one."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import HOSTILE, STRIDE, sample

from reference_checks.record import Verdict
from reference_checks.report import badges, compare, github, junit, markdown
from reference_checks.results import Results

# Annotations ------------------------------------------------------------------------------


def test_a_contradiction_is_annotated_at_its_line_of_the_spec():
    """One command, the two-line message; what holds has none."""
    assert [
        "::error file=papers/resnet.yaml,line=41,col=9,"
        "title=resnet/resnet50 multiply_adds::resnet/resnet50 multiply_adds: the paper"
        " prints 3.8x10^9 (Table 1, papers/resnet.yaml:41:9)%0Ameasured 4,089,184,256;"
        " neither rounds nor truncates to the printed digits"
    ] == github.render(sample(STRIDE))
    assert [] == github.render(sample())


def test_a_contradiction_without_a_place_is_annotated_all_the_same():
    (command,) = github.render(sample(replace(STRIDE, at=None)))
    assert command.startswith("::error title=resnet/resnet50 multiply_adds::")


@given(st.text(), st.text())
def test_no_text_starts_a_command_of_its_own(detail, variant):
    """A line break, a colon or a comma cannot leave its property."""
    planted = replace(STRIDE, detail=detail + "\n::stop-commands::x", variant=variant)
    (command,) = github.render(sample(planted))
    assert not {"\n", "\r"} & set(command)
    properties = command.removeprefix("::error ").split("::")[0]
    assert ["file", "line", "col", "title"] == re.findall(r"(?:^|,)(\w+)=", properties)


# Badges -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "said", "tone"),
    [
        ([], "26 passed", "pass"),
        ([STRIDE], "1 contradicted", "fail"),
        (
            [replace(STRIDE, verdict=Verdict.UNEXPLAINED)],
            "26 passed, 1 unexplained",
            "open",
        ),
    ],
)
def test_a_badge_says_the_worst(more, said, tone):
    results = sample(*more)
    assert (said, tone) == badges.state(results, "resnet")
    root = ElementTree.fromstring(badges.render(results)["resnet"])
    assert f"resnet: {said}" == root.get("aria-label")
    assert badges.COLOURS[tone] in badges.render(results)["resnet"]


def test_a_badge_of_nothing_run_is_no_pass():
    results = replace(sample(), records=(replace(STRIDE, verdict=Verdict.NOT_RUN),))
    assert ("not run", "apart") == badges.state(results, "resnet")


def test_a_badge_escapes_its_words():
    root = ElementTree.fromstring(badges.badge(HOSTILE, HOSTILE, "pass"))
    assert f"{HOSTILE}: {HOSTILE}" == root.get("aria-label")


# What changed -----------------------------------------------------------------------------


def test_the_same_results_have_not_changed():
    """Nor has the last digit of a float."""
    old = sample()
    noisy = tuple(
        replace(r, measured=2 * r.measured) if isinstance(r.measured, float) else r
        for r in old.records
    )
    assert [] == compare.changes(old, replace(old, records=noisy))
    assert "nothing changed" == compare.summary([])


def test_what_fails_now_is_first():
    """Then what is open; what no longer fails, what is new and what is gone are counted."""
    held = replace(STRIDE, verdict=Verdict.TRUNCATES, measured=3857973248, detail="")
    gone = replace(held, check="depth", claim="Table 9")
    new = replace(held, check="params", claim="Table 8", measured=7)
    healed = replace(STRIDE, claim="Table 7"), replace(held, claim="Table 7")
    old = sample(gone, healed[0], replace(held, claim="Table 2"))
    after = sample(new, healed[1], replace(STRIDE, claim="Table 2"))
    found = compare.changes(old, after)
    assert [
        "resnet/resnet50 multiply_adds (Table 2): truncates 3,857,973,248 →"
        " contradicted 4,089,184,256",
        "resnet/resnet50 params (Table 8): nothing → truncates 7",
        "resnet/resnet50 multiply_adds (Table 7): contradicted 4,089,184,256 →"
        " truncates 3,857,973,248",
        "resnet/resnet50 depth (Table 9): truncates 3,857,973,248 → nothing",
    ] == [str(change) for change in found]
    assert "1 fail that did not, 1 no longer fail, 1 new, 1 gone" == compare.summary(
        found
    )


def test_a_measured_integer_that_moved_is_a_change():
    """Even where its verdict did not."""
    more, less = (replace(STRIDE, measured=n) for n in (4089184256, 4089184255))
    (change,) = compare.changes(sample(more), sample(less))
    assert (False, False) == (change.worse, change.better)
    assert "1 otherwise changed" == compare.summary([change])


def test_papers_that_did_not_run_are_not_gone():
    """A run of one paper is compared with that paper."""
    old = sample()
    papers = {"resnet": old.papers["resnet"]}
    records = tuple(r for r in old.records if r.paper == "resnet")
    assert [] == compare.changes(old, Results({}, papers, {}, records))


def test_two_claims_alike_are_two():
    """The second that vanishes is gone."""
    assert 1 == len(compare.changes(sample(STRIDE, STRIDE), sample(STRIDE)))


def test_the_summary_tells_what_changed():
    text = markdown.render(sample(STRIDE), sample())
    assert "## Changed since 2026-11-22T12:00:00+00:00" in text
    assert (
        "- ❌ resnet/resnet50 multiply_adds (Table 1): nothing → contradicted" in text
    )
    assert "Changed since" not in markdown.render(sample(STRIDE))


# Several runs as one ----------------------------------------------------------------------


def only(results, stem):
    return Results(
        results.environment,
        {stem: results.papers[stem]},
        {f"{stem}/x/paper": "d"},
        tuple(r for r in results.records if r.paper == stem),
        {k: v for k, v in results.networks.items() if k.startswith(f"{stem}/")},
    )


def test_runs_of_single_papers_join_to_one():
    """As if they had been one run."""
    whole = sample()
    joined = only(whole, "resnet").joined(only(whole, "mobilenet_v2"))
    assert whole.papers == joined.papers
    assert set(whole.records) == set(joined.records)
    assert whole.networks == joined.networks
    assert {"resnet/x/paper", "mobilenet_v2/x/paper"} == set(joined.done)


def test_a_later_run_of_a_paper_takes_the_place_of_the_earlier():
    """Nothing of the earlier stays."""
    later = only(sample(STRIDE), "resnet")
    assert set(later.records) == {
        r for r in sample().joined(later).records if r.paper == "resnet"
    }


# JUnit ------------------------------------------------------------------------------------


def test_every_junit_case_has_a_name_of_its_own_and_a_place():
    """Viewers take cases of one name for reruns, and show the file and the line."""
    root = ElementTree.fromstring(junit.render(sample(STRIDE, STRIDE)))
    names = [
        (case.get("classname"), case.get("name")) for case in root.iter("testcase")
    ]
    assert len(set(names)) == len(names)
    failing = root.find(".//failure/..")
    assert ("papers/resnet.yaml", "41") == (failing.get("file"), failing.get("line"))
    assert {"2026-11-22T12:00:00"} == {s.get("timestamp") for s in root}
