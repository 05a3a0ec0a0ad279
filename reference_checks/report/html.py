"""Plain pages: an index, and one page for each paper that reads from top to bottom.

A page holds everything it needs and no script, so it opens from a folder, from an
archive of a CI run and on a phone.  The templates escape every text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reference_checks.record import Record, Verdict
from reference_checks.report import junit, markdown
from reference_checks.report.verdicts import (
    COLUMNS,
    lines,
    message,
    missing,
    per_variant,
    show,
    tone,
    totals,
)
from reference_checks.results import Results, failed, in_order, save

SIZES = ("input size", "output size")
COSTS = ("deviation", "accounting")


@dataclass(frozen=True)
class SideBySide:
    """A layer table of one variant, or its sizes: printed, and what each subject has.

    `rows` are (row, printed, cells); a cell is a subject's records for the row.
    """

    variant: str
    check: str
    claim: str | None
    subjects: Sequence[str]
    rows: Sequence[tuple[str | None, str | None, Sequence[Sequence[Record]]]]


def write(results: Results, folder: Path | str) -> list[Path]:
    """Write the pages, and beside them `summary.md`, `junit.xml` and `results.json`.

    Returns the paths, the index first.  Raises ResultsError.
    """
    folder, results = Path(folder), results.plain()
    templates = _templates()
    pages = {
        "index.html": templates.get_template("index.html.j2").render(_run(results))
    }
    for stem in results.papers:
        page = templates.get_template("paper.html.j2").render(_paper(results, stem))
        pages[f"{stem}.html"] = page
    pages["summary.md"] = markdown.render(results)
    pages["junit.xml"] = junit.render(results)
    for name, text in pages.items():
        save(folder / name, text.encode())
    results.write(folder / "results.json")
    return [folder / name for name in (*pages, "results.json")]


def side_by_side(records: Iterable[Record], check: str) -> list[SideBySide]:
    """One table for each variant; the rows of a table are in the paper's order."""
    found: dict[str, list[Record]] = {}
    for record in records:
        if record.check == check:
            found.setdefault(record.variant, []).append(record)
    return [_table(variant, check, own) for variant, own in found.items()]


def _table(variant: str, check: str, records: Sequence[Record]) -> SideBySide:
    # The paper's own records name the rows in order, wherever they stand in the file.
    records = sorted(records, key=lambda record: record.subject != "paper")
    subjects = list(dict.fromkeys(["paper", *(record.subject for record in records)]))
    rows = []
    for row in dict.fromkeys(record.row for record in records):
        own = [record for record in records if record.row == row]
        printed = next((record.printed for record in own if record.printed), None)
        cells = [
            [record for record in own if record.subject == subject]
            for subject in subjects
        ]
        rows.append((row, printed, cells))
    claim = next((record.claim for record in records if record.claim), None)
    return SideBySide(variant, check, claim, subjects, rows)


def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "message": message,
        "per_variant": per_variant,
        "show": show,
        "tone": tone,
    }
    return environment


def _run(results: Results) -> dict[str, object]:
    return {
        "environment": results.environment,
        "papers": results.papers,
        "columns": COLUMNS,
        **_findings(results.records),
        "lines": [
            (stem, list(group))
            for stem, group in groupby(lines(results), key=lambda line: line.paper)
        ],
    }


def _findings(records: Sequence[Record]) -> dict[str, object]:
    return {
        "totals": totals(records),
        "missing": missing(records),
        "contradicted": failed(records),
        "unexplained": [
            record for record in records if record.verdict is Verdict.UNEXPLAINED
        ],
    }


def _paper(results: Results, stem: str) -> dict[str, object]:
    records = [record for record in results.records if record.paper == stem]
    rest = [record for record in records if record.check not in ("rows", *SIZES)]
    costs = [record for record in rest if record.check in COSTS]
    others = [record for record in rest if record.check not in COSTS]
    claims = [record for record in others if record.subject == "paper"]
    proofs = [record for record in others if record.subject != "paper"]
    return {
        "environment": results.environment,
        "paper": results.papers[stem],
        **_findings(records),
        "claims": _grouped(claims),
        "layers": side_by_side(records, "rows"),
        "sizes": [table for name in SIZES for table in side_by_side(records, name)],
        "costs": _grouped(costs),
        "proofs": _grouped(proofs),
    }


def _grouped(records: Iterable[Record]) -> list[tuple[str, str, list[Record]]]:
    """(variant, subject, records by urgency), in the order of the file."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.variant, record.subject), []).append(record)
    return [(*key, in_order(own)) for key, own in groups.items()]
