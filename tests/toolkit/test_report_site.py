"""The pages: complete, escaped, failures first, each made from the results alone."""

import builtins
import os
import re
import subprocess
import sys
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from conftest import ROOT
from report_samples import HOSTILE, OFFICIAL, STRIDE, mutants, sample

from reference_checks import report
from reference_checks.errors import InputError
from reference_checks.mutate.result import Result
from reference_checks.record import Record, Verdict
from reference_checks.report import html, junit, markdown
from reference_checks.report.accuracy import accuracy, tooltip
from reference_checks.report.depth import depth
from reference_checks.report.networks import entries, proof
from reference_checks.report.source import highlighted
from reference_checks.report.tables import layer_tables
from reference_checks.results import Results, ResultsError
from reference_checks.spec import Deviation


class Page(HTMLParser):
    """The elements of a page with their attributes, and its visible text in order."""

    VOID = frozenset({"meta", "br", "link", "input"})

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, words = [], [], []
        self.words = words
        self.feed(text)
        self.close()
        assert [] == self.open
        self.text = " ".join(" ".join(words).split())

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag == self.open.pop()

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page(results, folder, name="resnet.html"):
    html.write(results, folder)
    return Page((folder / name).read_text())


def test_write_all_writes_every_form_and_says_where(tmp_path):
    results = sample(STRIDE)
    names = ["index.html", "findings.html", "mobilenet_v2.html", "resnet.html"]
    names += ["summary.md", "junit.xml", "badges/mobilenet_v2.svg", "badges/resnet.svg"]
    names += ["results.json"]
    assert [tmp_path / name for name in names] == report.write_all(results, tmp_path)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(tmp_path / name for name in names) == sorted(written)
    assert results == Results.read(tmp_path / "results.json")
    assert markdown.render(results) == (tmp_path / "summary.md").read_text()
    assert junit.render(results) == (tmp_path / "junit.xml").read_text()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "site").write_text("")
    with pytest.raises(ResultsError, match=r"summary\.md: cannot be written"):
        report.write_all(sample(), tmp_path / "site")


@pytest.mark.parametrize("name", ["index.html", "resnet.html"])
def test_pages_show_failures_first_and_as_failures(tmp_path, name):
    """Before any table stands the message, in a section of its own."""
    found = page(sample(STRIDE), tmp_path, name)
    text = found.text
    assert text.index("Contradicted (1)") < text.index("3.8x10^9")
    assert text.index("measured 4,089,184,256") < text.index(
        "Networks" if name == "index.html" else "Claims"
    )
    assert "messages fail" in {s.get("class") for s in found.all("section")}
    assert "Contradicted" not in page(sample(), tmp_path, name).text


def test_a_paper_page_tells_everything(tmp_path):
    """Identity, claims, tables, costs, choices, proofs, and where it was measured."""
    text = page(sample(), tmp_path).text
    headings = ["Layer tables", "Claims", "Deviations of official models"]
    headings += ["What the paper leaves open", "Proofs", "Error by depth"]
    headings += ["Implementation", "Where this was measured"]
    places = [text.rindex(heading) for heading in headings]
    assert sorted(places) == places
    for fact in (
        "Kaiming He", "no longer state of the art", "3,857,973,248", "truncates",
        "56x56 out", "conv-bias", "resnet50 26,560", "bias into norm", "25,636,712",
        "authors' Caffe prototxt", "53 absorbed by bias into norm", "8.71e-15",
        "bit-equal", "offline", "keras 3.15.1",
    ):  # fmt: skip
        assert fact in text
    assert "1024² for a million" in page(sample(), tmp_path, "mobilenet_v2.html").text


def test_every_record_is_on_its_page(tmp_path):
    """No check is unknown to the pages: a record of a new kind is shown too."""
    every = [
        Record("resnet", "resnet50", subject, check, verdict, row=row, detail=f"«{n}»")
        for n, (subject, check, verdict, row) in enumerate(
            (subject, check, verdict, row)
            for subject in ("paper", OFFICIAL)
            for check in ("rows", "input size", "output size", "deviation", "new")
            for verdict in (Verdict.CONTRADICTED, Verdict.NOT_RUN)
            for row in (None, "conv1", "conv1")
        )
    ]
    # The messages above the tables hold the contradicted ones; look below them.
    text = page(replace(sample(), records=tuple(every)), tmp_path).text
    below = text[text.index("Layer tables") :]
    assert [] == [record for record in every if record.detail not in below]


def test_the_layer_table_stands_side_by_side():
    """A row has a cell for the paper's network and for each official one."""
    (table,) = layer_tables(sample().records, {})
    assert ["paper", OFFICIAL] == table.subjects
    assert ["conv1", "conv2_x", "conv3_x", "conv4_x", "conv5_x"] == [
        row.name for row in table.rows
    ]
    row = table.rows[1]
    ours, official = row.cells
    assert "[1x1, 64; 3x3, 64; 1x1, 256] x3" == row.printed
    assert ["56x56"] == [record.printed for record in row.sizes]
    assert (["exact"], ["explained"]) == (
        [record.verdict for record in ours],
        [record.verdict for record in official],
    )


def test_cells_that_differ_are_marked(tmp_path):
    """Only those: the explained one, and a planted wrong row."""
    wrong = replace(
        STRIDE, check="rows", row="fc", printed="1000-d fc", measured="999-d fc"
    )
    cells = page(sample(wrong), tmp_path).all("td")
    marked = [c["class"] for c in cells if "differs" in c.get("class", "")]
    assert ["notation differs pass", "notation differs fail"] == marked


def test_a_marked_cell_says_why(tmp_path):
    """In words that open on click; without words of its own, what was printed and measured."""
    wrong = replace(
        STRIDE,
        check="rows",
        row="fc",
        printed="1000-d fc",
        measured="999-d fc",
        detail="",
    )
    found = page(sample(wrong), tmp_path)
    assert ["why pass", "why fail"] == [
        d["class"] for d in found.all("details") if "why" in d.get("class", "")
    ]
    assert (
        "the paper prints 1000-d fc" in found.text[found.text.index("Layer tables") :]
    )
    assert "conv-bias: every convolution keeps a bias" in found.text


PAGES = ["index.html", "findings.html", "resnet.html", "mobilenet_v2.html"]


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_plain_and_accessible(tmp_path, name):
    """A language, a caption and scopes for each table; nothing is loaded."""
    found = page(sample(STRIDE), tmp_path, name)
    assert ["en"] == [element["lang"] for element in found.all("html")]
    assert 1 == len(found.all("h1"))
    assert len(found.all("table")) == len(found.all("caption"))
    assert {"col", "row", "rowgroup"} >= {cell["scope"] for cell in found.all("th")}
    assert [{}] == found.all("script")  # in the page, with no address
    assert [] == found.all("img") + found.all("link") + found.all("iframe")
    text = (tmp_path / name).read_text()
    assert set() == {u for u in re.findall(r"url\((.*?)\)", text) if u[0] != "#"}
    assert "@import" not in text


@pytest.mark.parametrize("name", PAGES)
def test_only_our_script_may_run(tmp_path, name):
    """The page's policy names the digest of the script that it holds."""
    html.write(sample(), tmp_path)
    text = (tmp_path / name).read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    (policy,) = [m["content"] for m in Page(text).all("meta") if "http-equiv" in m]
    assert f"script-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize("name", PAGES)
def test_no_two_elements_have_one_id(tmp_path, name):
    """Charts bring ids of their own."""
    found = page(sample(), tmp_path, name)
    ids = [a["id"] for _, a in found.elements if "id" in a]
    assert sorted(set(ids)) == sorted(ids)


def test_links_between_pages_lead_somewhere(tmp_path):
    """Each link names a file that was written and, there, an element."""
    report.write_all(sample(), tmp_path)
    pages = {path.name: Page(path.read_text()) for path in tmp_path.glob("*.html")}
    ids = {
        name: {a["id"] for _, a in found.elements if "id" in a}
        for name, found in pages.items()
    }
    for name, found in pages.items():
        for link in found.all("a"):
            if not link["href"].startswith("https://"):
                file, _, place = link["href"].partition("#")
                assert (tmp_path / (file or name)).is_file()
                assert not place or place in ids[file or name]


def test_what_would_have_been_caught_is_shown_over_all_and_for_each_paper(tmp_path):
    """With the scores of the paper's numbers alone and of float32 alone beside it."""
    html.write(sample(), tmp_path, mutants())
    for name in ("sensitivity.html", "resnet.html"):
        found = Page((tmp_path / name).read_text())
        assert "sensitivity.html" in {link["href"] for link in found.all("a")}
        assert "paper's numbers only" in found.text
        assert "float32 only" in found.text
        assert re.search(r"resnet50\s*keras:ResNet50\s*3\s*2\s*100 %\s*2\s*100 %\s*1\s*50 %\s*1\s*50 %\s*1", found.text)  # fmt: skip
        assert "proved by unread padding" in found.text
        assert (
            "every mutant that is not equivalent is detected and located" in found.text
        )
    assert "googlenet/googlenet/tfhub:x: offline" in Page((tmp_path / "sensitivity.html").read_text()).text  # fmt: skip
    assert "<h2>Sensitivity" not in (tmp_path / "mobilenet_v2.html").read_text()


def test_a_mutant_that_is_missed_stands_on_the_page(tmp_path):
    """The planted error of the test above; its names are text."""
    missed = Result("resnet", "resnet50", "keras:ResNet50", "momentum", HOSTILE, (), "missed", False, False, (), False)  # fmt: skip
    html.write(sample(), tmp_path, mutants(missed))
    text = (tmp_path / "sensitivity.html").read_text()
    assert f"momentum at {HOSTILE}" in Page(text).text
    assert "every mutant that is not equivalent" not in text
    assert HOSTILE not in text


def test_all_but_one_are_not_all_in_percent(tmp_path):
    """Two thousand mutants of which one is missed: 99 %, in the site and on the page."""
    from dataclasses import replace

    from reference_checks.mutate.page import page

    right = mutants().results[0]
    missed = replace(right, status="missed", by=(), located=False)
    planted = mutants(*[right] * 2000, missed)
    html.write(sample(), tmp_path, planted)
    assert '2,002 <span class="at">99 %' in (tmp_path / "sensitivity.html").read_text()
    assert "2002 (99 %)" in page(planted)


def test_without_mutants_there_is_no_such_page(tmp_path):
    """Nor a link to it."""
    html.write(sample(), tmp_path)
    assert not (tmp_path / "sensitivity.html").exists()
    assert "sensitivity.html" not in (tmp_path / "index.html").read_text()


def test_no_text_becomes_html(tmp_path):
    """A hostile title, detail, id and address stay text, and are shown whole."""
    results = sample(
        replace(STRIDE, detail=HOSTILE, row=HOSTILE, claim="javascript:alert(1)"),
        title=HOSTILE,
    )
    paper = replace(
        results.papers["resnet"],
        url="javascript:alert(1)",
        deviations={HOSTILE: Deviation(HOSTILE, 'https://x"onclick="alert(1)')},
    )
    results = replace(results, papers={**results.papers, "resnet": paper})
    for name in ("index.html", "findings.html", "resnet.html"):
        found = page(results, tmp_path, name)
        assert [{}] == found.all("script")
        assert HOSTILE in found.text
        assert not [a for _, a in found.elements if "onclick" in a]
        assert not [a for a in found.all("a") if a["href"].startswith("javascript")]
    summary = markdown.render(results)
    assert "<script" not in summary
    assert HOSTILE.replace("|", "") not in summary


def test_a_run_without_records_renders(tmp_path):
    """The first thing that a resumed run may show."""
    empty = replace(sample(), records=())
    assert 9 == len(report.write_all(empty, tmp_path))


@pytest.mark.parametrize("verdict", ["unexplained", "not run", "recorded", "silent"])
def test_nothing_unchecked_passes_on_a_page(tmp_path, verdict):
    """Neither in the totals nor in the table of networks."""
    results = replace(
        sample(), records=(replace(STRIDE, verdict=Verdict(verdict)),), networks={}
    )
    found = page(results, tmp_path, "index.html")
    assert "0 passed" in found.text
    assert "pass" not in {row.get("data-verdict") for row in found.all("tr")}
    assert verdict in found.text


FRESH = """\
import sys
from reference_checks.cli import main
code = main(["report", "--from", "results.json", "--out", "site"])
print(code, sorted({"keras", "tensorflow", "jax", "torch"} & set(sys.modules)))
"""


def test_the_site_is_made_from_the_results_alone(tmp_path):
    """In a folder without specs, in a process without Keras or a backend."""
    sample().write(tmp_path / "results.json")
    done = subprocess.run(
        [sys.executable, "-c", FRESH],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "0 []" == done.stdout.splitlines()[-1]
    html.write(sample(), tmp_path / "here")
    for name in PAGES:
        made, here = (tmp_path / folder / name for folder in ("site", "here"))
        assert here.read_text() == made.read_text()


# What a network is shown with -------------------------------------------------------------


def entry(*more):
    (found,) = (e for e in entries(sample(*more)) if e.variant == "resnet50")
    return found


def recorded(printed, protocol="", check="top1_error", paper="resnet"):
    return Record(
        paper, "resnet50", "paper", check, Verdict.RECORDED,
        claim="Table 4", printed=printed, detail=protocol,
    )  # fmt: skip


def test_efficiency_is_accuracy_by_cost():
    """Points of top-1 accuracy by millions of parameters, by billions of multiply-adds."""
    found = entry()
    assert "22.85" == found.top1.shown
    assert found.parameter_efficiency == pytest.approx(77.15 / 25.557032)
    assert found.computational_efficiency == pytest.approx(77.15 / 3.857973248)
    assert "5 of 5 proven" != proof(found.official).texts[0] == "1 of 1 proven"


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ([recorded("24.7 percent", "single crop, val")], "24.7"),  # rather than 10-crop
        ([recorded("24.70 percent", "1-crop")], "24.70"),  # digit for digit
        ([recorded("0.790", "1 crop", "top1_accuracy")], "21.0"),
        ([recorded("75 percent", "one crop", "top1_accuracy")], "25"),
        ([recorded("20.0 percent", "11-crop")], "22.85"),  # no single crop
        ([recorded("19.0 percent", "single crop", paper="mobilenet_v2")], "22.85"),
        ([replace(recorded("9 percent", "1 crop"), row="fc")], "22.85"),
        ([recorded("not printed", "1 crop")], "22.85"),
    ],
)
def test_one_crop_of_the_papers_own_stands_for_a_network(more, shown):
    assert shown == entry(*more).top1.shown


def test_another_paper_lends_its_error_where_the_own_has_none():
    """And is named."""
    records = [r for r in sample().records if r.check != "top1_error"]
    borrowed = recorded("24.7 percent", "1 crop", paper="mobilenet_v2")
    results = replace(sample(), records=(*records, borrowed))
    (found,) = (e for e in entries(results) if e.variant == "resnet50")
    assert ("24.7", "mobilenet_v2") == (found.top1.shown, found.top1.paper)
    assert "1 crop, in mobilenet_v2" == found.protocol


def test_networks_of_other_data_have_no_efficiency():
    """Ten classes are not a thousand."""
    results = sample()
    size = replace(results.networks["resnet/resnet50"], classes=10)
    (found,) = (
        e
        for e in entries(replace(results, networks={"resnet/resnet50": size}))
        if e.variant == "resnet50"
    )
    assert None is found.parameter_efficiency
    assert None is accuracy([found], "params")


# Charts -----------------------------------------------------------------------------------


def test_a_chart_has_a_tooltip_for_each_network_with_its_protocol():
    """The text of a chart is text, its colours are the page's."""
    chart = accuracy(entries(sample()), "multiply_adds")
    for picture in (chart.wide, chart.narrow):
        assert 1 == picture.count("10-crop, val")
        assert "top-1 accuracy, percent</text>" in picture
        assert "var(--soft)" in picture
        assert "#0101" not in picture
        assert "<script" not in picture
        assert "<style" not in picture
    assert "1 networks without a printed top-1 error" in chart.caption
    assert "10-crop, val (Table 3)" in tooltip(entry())


def test_the_area_of_a_circle_is_the_number_of_parameters():
    """Four times the parameters, twice the radius."""
    results = sample()
    size = results.networks["resnet/resnet50"]
    once, four_times = (
        _extent(accuracy(entries(replace(results, networks=n)), "multiply_adds").wide)
        for n in (
            {"resnet/resnet50": size},
            {"resnet/resnet50": replace(size, params=4 * size.params)},
        )
    )
    assert four_times == pytest.approx(2 * once, rel=0.01)


def _extent(picture):
    """The width of the only circle that has a tooltip."""
    root = ElementTree.fromstring(picture)
    (mark,) = (e for e in root.iter() if any("10-crop" in (c.text or "") for c in e))
    if mark.tag.endswith("}use"):
        target = mark.get("{http://www.w3.org/1999/xlink}href")[1:]
        (mark,) = (e for e in root.iter() if e.get("id") == target)
    numbers = [float(n) for n in re.findall(r"-?\d+\.?\d*", mark.get("d"))]
    return max(numbers[::2]) - min(numbers[::2])


def test_error_by_depth_shows_every_run_row():
    """Bit-equal rows are hollow; one row alone is no line; infinity stays in sight."""
    rows = [
        Record("resnet", "resnet50", OFFICIAL, "activations", verdict, row=row,
               measured=measured, detail="relative error; the budget is 1e-12")
        for row, measured, verdict in (
            ("conv1", 0.0, Verdict.BIT_EQUAL),
            ("conv2_x", 2e-15, Verdict.WITHIN_BUDGET),
            ("fc", "inf", Verdict.CONTRADICTED),
        )
    ]  # fmt: skip
    (chart,) = depth("resnet", rows)
    assert 1 == chart.wide.count("budget 1e-12")
    for said in ("conv1: 0 (bit-equal)", "conv2_x: 2e-15", "fc: inf (contradicted)"):
        assert 1 == chart.wide.count(said)
    assert [] == depth("resnet", rows[:1])


def test_without_matplotlib_the_message_says_what_to_install(tmp_path, monkeypatch):
    """What needs no charts is written all the same."""
    real = builtins.__import__

    def missing(name, *rest):
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InputError, match=r"pip install 'paperspec\[report\]'"):
        report.write_all(sample(), tmp_path)
    assert (tmp_path / "junit.xml").is_file()
    assert not (tmp_path / "index.html").exists()


# Source -----------------------------------------------------------------------------------


def test_each_row_leads_to_the_lines_that_build_it(tmp_path):
    """A row that could not be mapped has no link."""
    found = page(sample(), tmp_path)
    links = {a["href"]: a["data-lines"] for a in found.all("a") if "data-lines" in a}
    assert {"#L8": "8", "#L3": "3 8"} == links
    lines = highlighted(*_source())
    assert [["conv2_x", "conv3_x"], ["conv1", "conv2_x", "conv3_x"]] == [
        lines[n - 1].rows for n in (3, 8)
    ]


def test_the_source_is_shown_whole_and_as_text(tmp_path):
    """Every line with its number, and no markup of its own."""
    code, networks = _source()
    lines = highlighted(code, networks)
    assert list(range(1, code.count("\n") + 1)) == [line.number for line in lines]
    assert "&lt;variant&gt; &amp; more" in lines[-1].code
    assert [] == highlighted("", {})


def _source():
    results = sample()
    return results.papers["resnet"].source, {
        "resnet50": results.networks["resnet/resnet50"]
    }
