"""The verdict table and the messages for a terminal.

The table fits 100 columns.  Every text is a `Text`, never markup: a title such as
`[red]` shows as it is.
"""

from __future__ import annotations

from itertools import groupby

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reference_checks.record import Record, Verdict
from reference_checks.report.verdicts import (
    COLUMNS,
    PROOFS,
    Cell,
    Line,
    lines,
    message,
    missing,
    totals,
)
from reference_checks.results import Results, failed

STYLES = {"fail": "bold red", "open": "yellow", "pass": "green", "apart": "dim"}
MARKS = {Verdict.CONTRADICTED: ("✗", "fail"), Verdict.UNEXPLAINED: ("?", "open")}


def render(results: Results, console: Console) -> None:
    """Print the table, the failures, what is unexplained, and the totals."""
    results = results.plain()
    if results.records:
        console.print(_table(lines(results)), Text())
    unexplained = [
        record for record in results.records if record.verdict is Verdict.UNEXPLAINED
    ]
    for record in [*failed(results.records), *unexplained]:
        console.print(_message(record), soft_wrap=True)
    reasons = missing(results.records)
    if reasons:
        console.print(Text(f"not run: {reasons}", STYLES["apart"]), soft_wrap=True)
    tone = "fail" if failed(results.records) else ""
    console.print(Text(totals(results.records), STYLES.get(tone, "bold")))


def _table(found: list[Line]) -> Table:
    table = Table(
        title="printed above, measured below",
        title_justify="left",
        title_style="dim",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        pad_edge=False,
    )
    table.add_column(
        "network\n  held against", overflow="fold", min_width=16, max_width=25
    )
    # Early, because a narrow terminal cuts off what stands last.
    table.add_column("verdict", no_wrap=True)
    for name in COLUMNS:
        if name in PROOFS:
            table.add_column(name, max_width=9)
        else:
            table.add_column(name, justify="right", no_wrap=True)
    for paper, group in groupby(found, key=lambda line: line.paper):
        table.add_section()
        table.add_row(Text(paper, "bold"))
        for line in group:
            network = Text(f"{line.variant}\n").append(f"  {line.subject}", "dim")
            cells = (_cell(_short(name, line.cells[name])) for name in COLUMNS)
            table.add_row(network, _cell(line.verdict), *cells)
    return table


def _short(name: str, cell: Cell) -> Cell:
    # Three times "contradicted" would not fit; its own column has the word.
    if name in PROOFS and cell.tone == "fail":
        return Cell(("✗ fails",), cell.tone)
    return cell


def _cell(cell: Cell) -> Text:
    return Text("\n".join(cell.texts), STYLES[cell.tone])


def _message(record: Record) -> Text:
    mark, tone = MARKS[record.verdict]
    first, second = message(record)
    return Text(f"{mark} {first}", STYLES[tone]).append(
        f"\n  {second}", "not bold default"
    )
