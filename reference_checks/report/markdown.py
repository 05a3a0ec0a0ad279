"""The results as GitHub Markdown, for a job summary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from reference_checks.record import Record, Verdict
from reference_checks.report.compare import changes, summary
from reference_checks.report.verdicts import (
    ABSENT,
    COLUMNS,
    Cell,
    Line,
    lines,
    message,
    missing,
    one_line,
    per_variant,
    totals,
)
from reference_checks.results import Identity, Results, failed

MOST = 200  # changes; a job summary may have 1 MiB
MARKS = {"fail": "❌ ", "open": "❓ ", "pass": "", "apart": ""}
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "@": "&#64;"}
# An underscore between two letters is no emphasis, and rows are called `conv2_x`.
SPECIAL = re.compile(r"[\\`*\[\]~|#]|(?<![^\W_])_|_(?![^\W_])")


def render(results: Results, old: Results | None = None) -> str:
    """Totals and failures, what changed since `old`, then a section for each paper."""
    results = results.plain()
    return "\n".join(_document(results, old)) + "\n"


def escape(text: str) -> str:
    """One line of text that Markdown, GitHub's tables and HTML all show as it is."""
    text = SPECIAL.sub(r"\\\g<0>", one_line(text))
    return "".join(ENTITIES.get(character, character) for character in text)


def _document(results: Results, old: Results | None) -> Iterator[str]:
    yield f"# {escape(totals(results.records))}"
    unexplained = [
        record for record in results.records if record.verdict is Verdict.UNEXPLAINED
    ]
    yield from _messages("❌ Contradicted", failed(results.records))
    yield from _messages("❓ Unexplained", unexplained)
    reasons = missing(results.records)
    if reasons:
        yield from ("", f"Not run: {escape(reasons)}")
    if old is not None:
        yield from _changes(old.plain(), results)
    found = lines(results)
    # Papers without a record come last; they are still papers of this run.
    for stem in dict.fromkeys([*(line.paper for line in found), *results.papers]):
        own = [line for line in found if line.paper == stem]
        yield from _paper(results.papers[stem], own)


def _changes(old: Results, new: Results) -> Iterator[str]:
    found = changes(old, new)
    when = escape(str(old.environment.get("date", "the last report")))
    yield from ("", f"## Changed since {when}", "", escape(summary(found)), "")
    for change in found[:MOST]:
        mark = "❌ " if change.worse else ""
        yield f"- {mark}{escape(str(change))}"
    if len(found) > MOST:
        yield f"- … and {len(found) - MOST:,} more"


def _messages(heading: str, records: Iterable[Record]) -> Iterator[str]:
    for number, record in enumerate(records):
        if number == 0:
            yield from ("", f"## {heading}", "")
        first, second = message(record)
        yield f"- **{escape(first)}**<br>{escape(second)}"


def _paper(paper: Identity, found: list[Line]) -> Iterator[str]:
    yield from ("", f"## {escape(paper.title)}", "", escape(paper.idea))
    heads = ("network", "held against", *COLUMNS, "verdict")
    verdicts = []
    for line in found:
        cells = [line.cells[name] for name in COLUMNS]
        verdicts.append((line.variant, line.subject, *cells, line.verdict))
    yield from table(heads, verdicts)
    heads = ("deviation", "what", "params", "multiply-adds", "source")
    deviations = []
    for id, entry in paper.deviations.items():
        costs = map(per_variant, (entry.params, entry.multiply_adds))
        deviations.append((id, entry.what, *costs, entry.source))
    yield from table(heads, deviations)
    heads = ("erratum", "what", "measured", "cost", "tried", "source")
    errata = []
    for id, entry in paper.errata.items():
        costs = map(per_variant, (entry.measured, entry.cost))
        tried = "; ".join(entry.tried) or ABSENT
        errata.append((id, entry.what, *costs, tried, entry.source))
    yield from table(heads, errata)


def table(heads: Sequence[str], rows: Iterable[Sequence[str | Cell]]) -> Iterator[str]:
    """The lines of a table, after an empty one; nothing, where there are no rows."""
    for number, row in enumerate(rows):
        if number == 0:
            yield ""
            yield _row(heads)
            yield _row(["---"] * len(heads))
        yield _row(map(_cell, row))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: str | Cell) -> str:
    if isinstance(cell, str):
        return escape(cell)
    return MARKS[cell.tone] + "<br>".join(map(escape, cell.texts))
