"""The README's table and the page of what is not covered say what the results say."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from reference_checks.checks import run_unit
from reference_checks.cli import main
from reference_checks.errors import InputError
from reference_checks.load import Paper, load_all
from reference_checks.measured import Network, measured
from reference_checks.networks import Networks
from reference_checks.record import Record, Verdict
from reference_checks.report import coverage, readme
from reference_checks.report.verdicts import ABSENT
from reference_checks.results import Results, identity
from reference_checks.units import Options, select

ROOT = Path(__file__).parents[2]
STATIC = slice(0, 10)  # the columns that no network is run for
QUICK = ("lenet5", "alexnet", "vgg16")


@pytest.fixture(scope="module")
def papers() -> dict[str, Paper]:
    return load_all(ROOT / "papers")


def results(papers, records, networks=None) -> Results:
    found = {stem: identity(paper) for stem, paper in papers.items()}
    return Results({}, found, {}, tuple(records), networks or {})


def shown(text: str) -> list[list[str]]:
    """The rows of the table between the marks."""
    table = text.partition(readme.BEGIN)[2].partition(readme.END)[0]
    tokens = MarkdownIt("commonmark").enable("table").parse(table)
    cells = [
        t.content
        for before, t in itertools.pairwise(tokens)
        if before.type == "td_open"
    ]
    plain = [
        "".join(
            part.content
            for part in MarkdownIt("commonmark").parseInline(cell)[0].children
        )
        for cell in cells
    ]
    width = len(readme.HEADS)
    return [plain[start : start + width] for start in range(0, len(plain), width)]


README = shown((ROOT / "README.md").read_text())


def stale(rows: list[list[str]], papers: dict[str, Paper]) -> list[str]:
    """What the table says that the specs do not, and the other way round."""
    wanted = {
        (stem, variant, official.model if official else ABSENT): (entry, official)
        for stem, paper in papers.items()
        for variant, entry in paper.spec.variants.items()
        for official in (entry.official or [None])
    }
    found = {(row[0], row[1], row[7]): row for row in rows}
    wrong = [str(key) for key in wanted.keys() ^ found.keys()]
    for key in wanted.keys() & found.keys():
        (entry, official), row = wanted[key], found[key]
        table = papers[key[0]].spec.tables.get(entry.table)
        totals = table.totals if table and entry.printed else ()
        claims = [*entry.claims, *totals]
        for quantity, cell in (("params", row[2]), ("multiply_adds", row[4])):
            printed = {
                f"{c.printed} {c.unit}" if c.unit else c.printed
                for c in claims
                if c.quantity == quantity and c.row is None
            }
            if cell not in (printed or {ABSENT}):
                wrong.append(f"{key}: {quantity} {cell}")
        deviations = row[8].replace(" (not run)", "")  # TF Hub's, offline
        if deviations != (", ".join(official.deviations if official else []) or ABSENT):
            wrong.append(f"{key}: {row[8]}")
    return wrong


def test_the_readme_has_every_network_as_the_specs_have_it(papers):
    """Networks, printed numbers, official models and deviations: nothing is stale."""
    assert [] == stale(README, papers)


@pytest.mark.parametrize("column", [1, 2, 4, 7, 8])
def test_a_stale_cell_is_found(column, papers):
    """Planted in each column that comes from the specs."""
    rows = [list(row) for row in README]
    (row,) = [row for row in rows if row[7] == "keras:VGG16"]
    row[column] += "0"
    assert stale(rows, papers)


@pytest.mark.parametrize("variant", QUICK)
def test_the_readme_has_what_is_measured(variant, papers):
    """The static columns of a few small networks, measured now."""
    networks, records = Networks(papers), []
    for unit in select(papers, [variant]):
        if unit.variant == variant and not unit.foreign:
            records += run_unit(unit, networks, Options(run=False))
    stem = records[0].paper
    sizes = {f"{stem}/{variant}": measured(networks, papers[stem], variant)}
    now = [list(row) for row in readme.rows(results(papers, records, sizes))]
    table = [row for row in README if row[:2] == [stem, variant]]
    assert [row[STATIC] for row in now] == [row[STATIC] for row in table]


def test_the_page_of_what_is_not_covered_is_up_to_date(papers):
    """Its parts that come from the specs: no official model, silence, the unexplained."""
    page = (ROOT / "docs" / "coverage.md").read_text()
    lines = list(coverage.page(results(papers, []), ()))
    missing = [line for line in lines if line.startswith("| ") and line not in page]
    assert [] == [line for line in missing if not line.startswith("| ---")]
    for paper in papers.values():
        for erratum in paper.spec.errata.values():
            if erratum.tried and not (erratum.counts or erratum.cost):
                assert coverage.escape(erratum.what) in page


RECORDS = (
    Record(
        "vgg", "vgg16", "paper", "params", Verdict.ROUNDS,
        claim="Table 2", printed="138 million", measured=138357544,
    ),
    Record("vgg", "vgg16", "keras:VGG16", "deviation", Verdict.EXACT, claim="dropout"),
    Record("vgg", "vgg16", "keras:VGG16", "deviation", Verdict.CONTRADICTED, claim="b"),
    Record("vgg", "vgg16", "keras:VGG16", "structure", Verdict.PROVEN),
    Record("vgg", "vgg16", "keras:VGG16", "outputs", Verdict.WITHIN_BUDGET),
    Record("vgg", "vgg16", "keras:VGG16", "outputs", Verdict.NOT_RUN, detail="no GPU"),
    Record(
        "vgg", "vgg16", "paper", "depth", Verdict.UNEXPLAINED, claim="Table 1",
        printed="17", measured=16, detail="Tried: pooling.",
    ),
    Record("vgg", "vgg16", "paper", "top1_error", Verdict.RECORDED, claim="Table 3"),
)  # fmt: skip


def test_a_row_says_the_worst_of_each_column(papers):
    """A deviation that fails is named; what was not run is no pass."""
    (row,) = readme.rows(results(papers, RECORDS))
    expected = (
        "vgg", "vgg16", "138 million", "138,357,544, rounds", "–", "–", "–",
        "keras:VGG16", "dropout, b (contradicted)", "proven", "–", "not run",
    )  # fmt: skip
    assert expected == row


@pytest.mark.parametrize(
    ("others", "said"),
    [((Verdict.WITHIN_BUDGET,), "within budget"), ((), "no verdict")],
)
def test_sixteen_bits_without_a_verdict_do_not_hide_float64s(others, said, papers):
    """Alone it is said, and never as a pass."""
    verdicts = (*others, Verdict.NO_VERDICT)
    records = [Record("vgg", "vgg16", "keras:VGG16", "outputs", v) for v in verdicts]
    (row,) = readme.rows(results(papers, records))
    assert said == row[-1]


def test_what_is_not_printed_is_measured_all_the_same(papers):
    """Parameters that the paper prints keep their verdict; of the rest stands the number."""
    sizes = {"vgg/vgg16": Network(1, 15_470_264_320, [224, 224, 3], 1000)}
    (row,) = readme.rows(results(papers, RECORDS, sizes))
    expected = ("138 million", "138,357,544, rounds", ABSENT, "15,470,264,320")
    assert expected == row[2:6]


def test_the_page_lists_what_is_not_covered(papers):
    """Reasons, models without a paper, unexplained and recorded numbers."""
    page = "\n".join(coverage.page(results(papers, RECORDS), ["VGG16", "NewNet"]))
    assert "\n\nNewNet.\n" in page
    assert "| no GPU (1) | keras:VGG16 |" in page
    assert "| vgg/vgg16 | depth | 17 (Table 1) | 16 | Tried: pooling. |" in page
    assert "| vgg | top1_error | 1 |" in page
    assert "| lenet5 | Keras, KerasCV and TF Hub ship no LeNet-5;" in page


def test_the_page_lists_what_stands_in_one_source_alone(papers):
    """With the source, and what speaks for the numbers all the same, or that nothing does."""
    page = "\n".join(coverage.page(results(papers, RECORDS), ()))
    assert "| efficientnet_v2 | 7.4M parameters of B0 (Table 11) | the PDF" in page
    assert "| densenet | errors on SVHN in Table 2: 1.79," in page
    assert "| a text copy of Table 2 | nothing |" in page


def test_only_the_block_is_rewritten(tmp_path, papers, capsys):
    """What stands around the marks stays, and so do the rows of other papers."""
    path, results_path = tmp_path / "README.md", tmp_path / "results.json"
    results(papers, RECORDS).write(results_path)
    head = "| paper | network |\n| --- | --- |\n"
    old = head + "| xception | kept |\n| vgg | old |\n"
    path.write_text(f"before\n{readme.BEGIN}\n\n{old}\n{readme.END}\nafter\n")
    command = ["report", "--from", str(results_path), "--readme", str(path)]
    assert 0 == main(command)
    first = path.read_text()
    assert first.startswith(f"before\n{readme.BEGIN}\n\n| paper |")
    assert first.endswith(f" |\n\n{readme.END}\nafter\n")
    assert "old" not in first
    assert "- |\n| vgg | vgg16 | 138 million |" in first
    assert "|\n| xception | kept |\n\n" in first
    assert 0 == main(command)
    assert first == path.read_text()


@pytest.mark.parametrize(
    "text", ["no marks", readme.BEGIN, readme.END, readme.END + readme.BEGIN]
)
def test_a_file_without_both_marks_is_left_alone(text, tmp_path, papers):
    """One line that says what to write."""
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(InputError, match="around the table"):
        readme.write(results(papers, RECORDS), path)
    assert text == path.read_text()


def test_a_report_of_nothing_is_refused(tmp_path, papers, capsys):
    """It would be a success that did nothing."""
    path = tmp_path / "results.json"
    results(papers, RECORDS).write(path)
    assert 2 == main(["report", "--from", str(path)])
    assert "say what to write" in capsys.readouterr().err
