"""Every rendering of the same results: complete, escaped, failures first."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from reference_checks import report
from reference_checks.record import Record, Verdict
from reference_checks.report import html, junit, markdown, terminal
from reference_checks.report.verdicts import lines, message, missing, show, totals
from reference_checks.results import Identity, Results, ResultsError
from reference_checks.spec import Deviation, Erratum, Silent

OFFICIAL = "keras:ResNet50"
HOSTILE = '<script>alert("x")</script> | [red]&amp;'
STRIDE = Record(
    "resnet", "resnet50", "paper", "multiply_adds", Verdict.CONTRADICTED,
    claim="Table 1", printed="3.8x10^9", measured=4089184256,
    detail="neither rounds nor truncates to the printed digits",
    at="papers/resnet.yaml:41:9",
)  # fmt: skip


def resnet():
    """ResNet-50 and what Keras ships under its name, with one thing not run."""
    rows = {
        "conv1": ("112x112", 64, "7x7, 64, stride 2"),
        "conv2_x": ("56x56", 256, "[1x1, 64; 3x3, 64; 1x1, 256] x3"),
        "conv3_x": ("28x28", 512, "[1x1, 128; 3x3, 128; 1x1, 512] x4"),
        "conv4_x": ("14x14", 1024, "[1x1, 256; 3x3, 256; 1x1, 1024] x6"),
        "conv5_x": ("7x7", 2048, "[1x1, 512; 3x3, 512; 1x1, 2048] x3"),
    }
    cost = "params 26,560; multiply-adds 0"
    bias = "conv-bias: every convolution keeps a bias"
    paired = "161 paired, 53 absorbed by bias into norm, 0 left over"
    exact, close = Verdict.EXACT, Verdict.WITHIN_BUDGET
    ours = [  # check, verdict, row, claim, printed, measured, detail
        (
            "multiply_adds",
            Verdict.TRUNCATES,
            None,
            "Table 1",
            "3.8x10^9",
            3857973248,
            "",
        ),
        ("depth", exact, None, "Table 1", "50", 50, ""),
        ("top1_error", Verdict.RECORDED, None, "Table 3", "22.85", None, ""),
    ]
    official = [
        ("deviation", exact, None, "conv-bias", cost, cost, ""),
        ("accounting", exact, None, "params", "25,636,712", 25636712, ""),
        ("accounting", exact, None, "multiply_adds", "3,857,973,248", 3857973248, ""),
        ("structure", Verdict.PROVEN, None, None, None, None, "174 operations paired"),
        ("transfer", exact, None, "ours → official", None, None, "161 paired"),
        ("transfer", exact, None, "official → ours", None, None, paired),
        ("outputs", close, None, "float64, photographs", None, 8.71e-15, ""),
        ("activations", close, "conv2_x", None, None, 2.11e-15, ""),
        ("activations", Verdict.BIT_EQUAL, "conv1", None, None, 0.0, ""),
        ("published weights", Verdict.NOT_RUN, None, None, None, None, "offline"),
    ]
    for row, (size, channels, cell) in rows.items():
        whole = f"{size}x{channels}"
        ours.append(("rows", exact, row, "Table 1", cell, cell, ""))
        ours.append(("output size", exact, row, "Table 1", size, whole, ""))
        same = (exact, row, "Table 1", cell, cell, "")
        biased = (Verdict.EXPLAINED, row, "Table 1", cell, cell, bias)
        official.append(("rows", *(biased if row == "conv2_x" else same)))
    for subject, found in (("paper", ours), (OFFICIAL, official)):
        for fields in found:
            yield Record("resnet", "resnet50", subject, *fields)


def sample(*more, title="Deep Residual Learning for Image Recognition"):
    """A run over two papers: one holds, of the other a number stays unexplained."""
    papers = {
        "mobilenet_v2": Identity(
            title="MobileNetV2: Inverted Residuals and Linear Bottlenecks",
            authors=["Mark Sandler", "Andrew Howard"],
            year=2018,
            venue="CVPR 2018",
            idea="Thin bottlenecks carry the shortcut, wide layers do the work.",
            limits="Depthwise convolutions leave large accelerators idle.",
            digest="b" * 64,
            url="https://arxiv.org/abs/1801.04381",
            no_official="no library under test ships this width",
            variants={"mobilenet_v2_1.4": "MobileNetV2 (1.4)"},
            errata={
                "params-1.4": Erratum(
                    "The width 1.4 prints 6.9M parameters.", "Table 4",
                    measured=6108776,
                    tried=["batch-norm statistics counted", "1024² for a million"],
                )
            },
        ),
        "resnet": Identity(
            title=title,
            authors=["Kaiming He", "Xiangyu Zhang", "Shaoqing Ren", "Jian Sun"],
            year=2015,
            venue="CVPR 2016",
            idea="Residual blocks learn a correction, so depth stops hurting.",
            limits="On their own plain ResNets are no longer state of the art.",
            digest="a" * 64,
            url="https://arxiv.org/abs/1512.03385",
            variants={"resnet50": "50-layer"},
            silent=[Silent("batch-norm epsilon", "1e-5", "authors' Caffe prototxt")],
            deviations={
                "conv-bias": Deviation(
                    "Convolutions before batch normalisation keep a bias.",
                    "https://github.com/keras-team/keras/pull/16363",
                    absorbed_by="bias into norm", attribute="bias", ours="no",
                    official="yes", params={"resnet50": 26560},
                )
            },
        ),
    }  # fmt: skip
    width = Record(
        "mobilenet_v2", "mobilenet_v2_1.4", "paper", "params", Verdict.UNEXPLAINED,
        claim="Table 4", printed="6.9M", measured=6108776, detail="see params-1.4",
    )  # fmt: skip
    environment = {
        "date": "2026-11-22T12:00:00+00:00",
        "python": "3.11.7",
        "platform": "Linux",
        "backend": "tensorflow",
        "device": "CPU",
        "packages": {"keras": "3.15.1", "tensorflow": "2.21.0"},
    }
    return Results(environment, papers, {}, (width, *resnet(), *more))


def shown(results, width=100, **options):
    """What the terminal shows."""
    console = Console(file=io.StringIO(), width=width, **options)
    terminal.render(results, console)
    return console.file.getvalue()


class Page(HTMLParser):
    """The elements of a page with their attributes, and its visible text in order."""

    VOID = frozenset({"meta", "br", "link"})

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
        if "style" not in self.open:
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page(results, folder, name="resnet.html"):
    html.write(results, folder)
    return Page((folder / name).read_text())


def test_totals_count_what_is_no_pass_apart():
    """Of 29 checks 26 passed; the other three are named for what they are."""
    results = sample()
    assert (
        "26 passed, 0 contradicted; counted apart:"
        " 1 unexplained, 1 not run, 1 recorded, 0 silent"
    ) == totals(results.records)
    assert 29 == len(results.records)


@pytest.mark.parametrize("verdict", ["unexplained", "not run", "recorded", "silent"])
def test_nothing_unchecked_passes_in_any_rendering(tmp_path, verdict):
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
    index = page(results, tmp_path, "index.html").text
    assert "0 passed" in index
    assert "passes" not in index
    assert verdict in index


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
    assert {"not run: offline", "recorded", "unexplained: see params-1.4"} == {
        skipped.get("message") for skipped in root.iter("skipped")
    }


@given(st.text(), st.text())
def test_junit_is_xml_whatever_a_record_says(detail, claim):
    """Control characters and surrogates are removed, the rest survives."""
    results = sample(replace(STRIDE, detail=detail, claim=claim))
    root = ElementTree.fromstring(junit.render(results))
    wanted = results.plain().records[-1].detail
    assert wanted == (root.findtext(".//failure/../system-out") or "")


def test_write_all_writes_every_form_and_says_where(tmp_path):
    results = sample(STRIDE)
    names = ["index.html", "mobilenet_v2.html", "resnet.html"]
    names += ["summary.md", "junit.xml", "results.json"]
    assert [tmp_path / name for name in names] == report.write_all(results, tmp_path)
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
    assert results == Results.read(tmp_path / "results.json")
    assert markdown.render(results) == (tmp_path / "summary.md").read_text()
    assert junit.render(results) == (tmp_path / "junit.xml").read_text()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "site").write_text("")
    with pytest.raises(ResultsError, match=r"index\.html: cannot be written"):
        report.write_all(sample(), tmp_path / "site")


@pytest.mark.parametrize("name", ["index.html", "resnet.html"])
def test_pages_show_failures_first_and_as_failures(tmp_path, name):
    """Before any table stands the message, in a section of its own."""
    found = page(sample(STRIDE), tmp_path, name)
    text = found.text
    assert text.index("Contradicted (1)") < text.index("3.8x10^9")
    assert text.index("measured 4,089,184,256") < text.index(
        "Verdicts" if name == "index.html" else "Claims"
    )
    assert {"messages fail", "fail"} & {s.get("class") for s in found.all("section")}
    assert "Contradicted" not in page(sample(), tmp_path, name).text


def test_a_paper_page_tells_everything(tmp_path):
    """Identity, claims, tables, costs, choices, proofs, and where it was measured."""
    text = page(sample(), tmp_path).text
    headings = ["Claims", "Layer table", "Sizes", "Deviations of official models"]
    headings += ["What the paper leaves open", "Proofs", "Where this was measured"]
    places = [text.rindex(heading) for heading in headings]
    assert sorted(places) == places
    for fact in (
        "Kaiming He", "no longer state of the art", "3,857,973,248", "truncates",
        "56x56x256", "conv-bias", "resnet50 26,560", "bias into norm", "25,636,712",
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
    below = text[text.index("Claims Every number") :]
    assert [] == [record for record in every if record.detail not in below]


def test_the_layer_table_stands_side_by_side():
    """A row has a cell for the paper's network and for each official one."""
    (table,) = html.side_by_side(sample().records, "rows")
    assert ["paper", OFFICIAL] == table.subjects
    assert ["conv1", "conv2_x", "conv3_x", "conv4_x", "conv5_x"] == [
        row for row, _, _ in table.rows
    ]
    _, printed, (ours, official) = table.rows[1]
    assert "[1x1, 64; 3x3, 64; 1x1, 256] x3" == printed
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


@pytest.mark.parametrize("name", ["index.html", "resnet.html", "mobilenet_v2.html"])
def test_pages_are_plain_and_accessible(tmp_path, name):
    """A language, a caption and scopes for each table; nothing is loaded."""
    found = page(sample(STRIDE), tmp_path, name)
    assert ["en"] == [element["lang"] for element in found.all("html")]
    assert 1 == len(found.all("h1"))
    assert len(found.all("table")) == len(found.all("caption"))
    assert {"col", "row", "rowgroup"} >= {cell["scope"] for cell in found.all("th")}
    assert [] == found.all("script") + found.all("img") + found.all("link")
    text = (tmp_path / name).read_text()
    assert "url(" not in text
    assert "@import" not in text


def test_links_between_pages_lead_somewhere(tmp_path):
    """Each relative link names a file that was written."""
    written = {path.name for path in html.write(sample(), tmp_path)}
    for path in tmp_path.glob("*.html"):
        targets = {a["href"] for a in Page(path.read_text()).all("a")}
        assert {t for t in targets if not t.startswith("https://")} <= written


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
    for name in ("index.html", "resnet.html"):
        found = page(results, tmp_path, name)
        assert [] == found.all("script")
        assert HOSTILE in found.text
        assert not [a for _, a in found.elements if "onclick" in a]
        assert not [a for a in found.all("a") if a["href"].startswith("javascript")]
    summary = markdown.render(results)
    assert "<script" not in summary
    assert HOSTILE.replace("|", "") not in summary


def test_a_run_without_records_renders(tmp_path):
    """The first thing that a resumed run may show."""
    empty = replace(sample(), records=())
    assert "0 passed, 0 contradicted" in shown(empty)
    assert 6 == len(report.write_all(empty, tmp_path))
