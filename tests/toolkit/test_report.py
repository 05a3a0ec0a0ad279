"""Every rendering of the same results: complete, escaped, failures first."""

import io
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from report_samples import OFFICIAL, STRIDE, sample
from rich.console import Console

from reference_checks.record import Record, Verdict
from reference_checks.report import junit, markdown, terminal
from reference_checks.report.verdicts import lines, message, missing, show, totals


def shown(results, width=100, **options):
    """What the terminal shows."""
    console = Console(file=io.StringIO(), width=width, **options)
    terminal.render(results, console)
    return console.file.getvalue()


def test_totals_count_what_is_no_pass_apart():
    """Of 29 checks 26 passed; the other three are named for what they are."""
    results = sample()
    assert (
        "26 passed, 0 contradicted; counted apart:"
        " 1 unexplained, 1 not run, 1 recorded, 0 silent"
    ) == totals(results.records)
    assert 29 == len(results.records)


@pytest.mark.parametrize(
    "verdict", ["unexplained", "no verdict", "not run", "recorded", "silent"]
)
def test_nothing_unchecked_passes_in_any_rendering(verdict):
    """A run in which nothing was checked shows no pass, nowhere."""
    only = replace(STRIDE, verdict=Verdict(verdict))
    results = replace(sample(), records=(only,))
    assert "0 passed" in shown(results)
    assert "passes" not in shown(results)
    assert "0 passed" in markdown.render(results)
    assert "passes" not in markdown.render(results)
    suites = ElementTree.fromstring(junit.render(results))
    assert ("1", "1", "0") == tuple(
        suites.get(n) for n in ("tests", "skipped", "failures")
    )
    assert verdict == suites.find(".//skipped").get("message").split(":")[0]


def test_not_run_does_not_hide_behind_what_passes():
    """A line that passes says how many of its checks did not run."""
    line = next(line for line in lines(sample()) if line.subject == OFFICIAL)
    assert ("passes", "1 not run") == line.verdict.texts


def test_the_verdict_table_holds_the_numbers_of_each_line():
    """An official model's number comes from its accounting."""
    found = {(line.variant, line.subject): line.cells for line in lines(sample())}
    cells = found["resnet50", OFFICIAL]
    assert ("25,636,712", "25,636,712") == cells["params"].texts
    assert ("5/5",) == cells["rows"].texts
    assert [("proven",), ("exact",), ("within budget",)] == [
        cells[name].texts for name in ("structure", "transfer", "outputs")
    ]
    ours = found["resnet50", "paper"]
    assert ("3.8x10^9", "3,857,973,248") == ours["multiply-adds"].texts


def test_a_contradicted_row_is_no_pass_of_the_share():
    """A planted row lowers k of k/n and colours the cell."""
    wrong = replace(STRIDE, check="rows", row="fc", printed="1000-d fc")
    found = {
        line.subject: line for line in lines(sample(wrong)) if line.paper == "resnet"
    }
    assert ("5/6",) == found["paper"].cells["rows"].texts
    assert "fail" == found["paper"].cells["rows"].tone
    assert "pass" == found[OFFICIAL].cells["rows"].tone


def test_the_worst_of_several_claims_is_shown():
    """Two tables print one quantity; the planted contradiction wins."""
    ours = next(line for line in lines(sample(STRIDE)) if line.subject == "paper")
    assert ("3.8x10^9", "4,089,184,256") == ours.cells["multiply-adds"].texts


def test_a_failure_is_two_lines():
    """What the paper prints, with its table; what was measured."""
    assert (
        "resnet/resnet50 multiply_adds: the paper prints 3.8x10^9"
        " (Table 1, papers/resnet.yaml:41:9)",
        "measured 4,089,184,256; neither rounds nor truncates to the printed digits",
    ) == message(STRIDE)


def test_a_failure_without_numbers_says_its_verdict():
    """Line breaks of a detail do not make a third line."""
    broken = Record(
        "resnet", "resnet50", OFFICIAL, "transfer", Verdict.CONTRADICTED,
        claim="ours → official", detail="1 left over:\nconv1_conv/bias",
    )  # fmt: skip
    assert (
        "resnet/resnet50 keras:ResNet50 transfer (ours → official)",
        "contradicted; 1 left over: conv1_conv/bias",
    ) == message(broken)


@pytest.mark.parametrize(
    ("text", "value"),
    [("25,557,032", 25557032), ("8.71e-15", 8.71e-15), ("nan", "nan"), ("–", None)],
)
def test_integers_are_shown_in_full(text, value):
    assert text == show(value)


def test_reasons_for_not_running_are_counted():
    twice = [replace(STRIDE, verdict=Verdict.NOT_RUN, detail="no GPU")] * 2
    assert "no GPU (2), offline (1)" == missing(sample(*twice).records)


def test_the_terminal_shows_failures_first_and_as_failures():
    """The table's first line, then the messages, then what is unexplained."""
    text = shown(sample(STRIDE))
    assert text.index("resnet50") < text.index("mobilenet_v2")
    assert text.index("✗ resnet/resnet50") < text.index("? mobilenet_v2")
    first = next(line for line in text.splitlines() if line.startswith("resnet50"))
    assert "contradicted" == first.split()[1]
    assert "26 passed, 1 contradicted" in text.splitlines()[-1]
    assert "✗" not in shown(sample())


def test_the_terminal_fits_100_columns():
    """Even where everything failed, and no word is cut; messages may be longer."""
    wrong = (
        replace(STRIDE, check=check, subject="keras:EfficientNetV2B0,classes=21843")
        for check in ("structure", "transfer", "outputs", "multiply_adds")
    )
    table = shown(sample(*wrong)).split("✗ resnet/")[0]
    assert max(map(len, table.splitlines())) <= 100
    assert 3 == table.count("✗ fails")
    assert 1 == table.count("contradicted")
    assert 1 == table.count("unexplained")
    assert "…" not in table


def test_a_narrow_terminal_keeps_the_verdicts():
    """What is cut off at 80 columns stands to the right of them."""
    table = shown(sample(STRIDE), width=80).split("✗ resnet/")[0]
    assert max(map(len, table.splitlines())) <= 80
    assert 1 == table.count("contradicted")
    assert 1 == table.count("unexplained")


def test_the_terminal_shows_markup_and_codes_as_text():
    """A detail can neither colour the screen nor disappear."""
    text = shown(sample(replace(STRIDE, detail="[red]x[/red]\x1b[2J")))
    assert "[red]x[/red]" in text
    assert "\x1b" not in text


def test_a_run_without_records_renders():
    """The first thing that a resumed run may show."""
    assert "0 passed, 0 contradicted" in shown(replace(sample(), records=()))


def test_the_terminal_honours_no_color(monkeypatch):
    """On a terminal there is colour, with NO_COLOR there is none."""
    results, colour = sample(STRIDE), re.compile(r"\x1b\[[\d;]*3[1-3]m")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert colour.search(shown(results, force_terminal=True, color_system="standard"))
    monkeypatch.setenv("NO_COLOR", "1")
    plain = shown(results, force_terminal=True, color_system="standard")
    assert not colour.search(plain)


def test_markdown_shows_failures_first():
    text = markdown.render(sample(STRIDE))
    order = [
        "1 contradicted",
        "## ❌ Contradicted",
        "4,089,184,256",
        "## ❓ Unexplained",
    ]
    order += ["6,108,776", "## Deep Residual", "## MobileNetV2"]
    places = [text.index(part) for part in order]
    assert sorted(places) == places
    assert "❌" not in markdown.render(sample())


def test_markdown_gives_deviations_and_errata_with_their_costs():
    text = markdown.render(sample())
    assert "resnet50 26,560" in text
    assert "batch-norm statistics counted; 1024² for a million" in text


@given(st.text(st.characters(blacklist_categories=["Cc", "Cs"])))
@example("__0__")
def test_markdown_shows_any_text_as_it_is(text):
    """In a table's cell, read by a CommonMark parser with GitHub's tables."""
    document = f"| head |\n| --- |\n| x{markdown.escape(text)}x |"
    parsed = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(document)
    inline = [token for token in parsed if token.type == "inline"]
    assert ["head", f"x{' '.join(text.split())}x"] == [
        "".join(child.content for child in token.children) for token in inline
    ]
    assert {"text", "text_special"} >= {c.type for t in inline for c in t.children}


def test_junit_counts_and_orders():
    """A suite for each paper, the planted failure first; each skip says why."""
    root = ElementTree.fromstring(junit.render(sample(STRIDE)))
    totals = ("tests", "failures", "errors", "skipped")
    assert ["30", "1", "0", "3"] == [root.get(name) for name in totals]
    assert ["resnet", "mobilenet_v2"] == [suite.get("name") for suite in root]
    first = root[0][0]
    assert "resnet.resnet50.paper" == first.get("classname")
    assert "multiply_adds::Table 1" == first.get("name")
    assert "\n".join(message(STRIDE)) == first.find("failure").text
    assert STRIDE.detail == first.find("system-out").text
    assert 1 == len(root.findall(".//failure"))
    assert {
        "not run: offline",
        "recorded: 10-crop, val",
        "unexplained: see params-1.4",
    } == {skipped.get("message") for skipped in root.iter("skipped")}


@given(st.text(), st.text())
def test_junit_is_xml_whatever_a_record_says(detail, claim):
    """Control characters and surrogates are removed, the rest survives."""
    results = sample(replace(STRIDE, detail=detail, claim=claim))
    root = ElementTree.fromstring(junit.render(results))
    wanted = results.plain().records[-1].detail
    assert wanted == (root.findtext(".//failure/../system-out") or "")
