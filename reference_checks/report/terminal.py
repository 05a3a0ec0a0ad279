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
from reference_checks.report.compare import changes, summary
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

WIDTH = 25  # of the names
MOST = 20  # changes on a screen
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
    text = Text(totals(results.records), STYLES.get(tone, "bold"))
    console.print(text, soft_wrap=True)


def render_changes(old: Results, new: Results, console: Console) -> None:
    """Print what changed since an earlier run, what fails now first."""
    found = changes(old.plain(), new.plain())
    when = old.plain().environment.get("date", "the last report")
    console.print(Text(f"since {when}: {summary(found)}", "bold"), soft_wrap=True)
    for change in found[:MOST]:
        tone = "fail" if change.worse else "pass" if change.better else ""
        console.print(Text(f"  {change}", STYLES.get(tone, "")), soft_wrap=True)
    if len(found) > MOST:
        console.print(Text(f"  … and {len(found) - MOST:,} more", STYLES["apart"]))


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
        "network\n  held against", overflow="fold", min_width=16, max_width=WIDTH
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
            # A long name breaks after the model, not within a word.
            subject = line.subject
            if len(subject) > WIDTH - 2:
                subject = subject.replace(",", ",\n  ", 1)
            network = Text(f"{line.variant}\n").append(f"  {subject}", "dim")
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
