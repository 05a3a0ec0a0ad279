"""What every rendering says: the verdict table, the totals, the two-line messages."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from reference_checks.record import Record, Verdict
from reference_checks.results import Results, counts, in_order, passes, urgency

APART = (Verdict.UNEXPLAINED, Verdict.NOT_RUN, Verdict.RECORDED, Verdict.SILENT)
PROOFS = ("structure", "transfer", "outputs")
COLUMNS = ("params", "multiply-adds", "rows", *PROOFS)
SOURCES = {"deviation": "the spec records", "accounting": "the official model counts"}
ABSENT = "–"


@dataclass(frozen=True)
class Cell:
    """A few short texts, one below the other, and their tone: see `tone`."""

    texts: tuple[str, ...] = (ABSENT,)
    tone: str = "apart"


@dataclass(frozen=True)
class Line:
    """All that was found about one network held against one thing.

    `cells` has one entry for each of COLUMNS; `verdict` sums the records up.
    """

    paper: str
    variant: str
    subject: str
    cells: Mapping[str, Cell]
    verdict: Cell


def tone(verdict: Verdict) -> str:
    """One of `fail`, `open` (unexplained), `pass`, and `apart`: nothing was checked."""
    if verdict.passes:
        return "pass"
    return {Verdict.CONTRADICTED: "fail", Verdict.UNEXPLAINED: "open"}.get(
        verdict, "apart"
    )


def lines(results: Results) -> list[Line]:
    """The verdict table: papers by urgency, and each paper's lines by urgency."""
    worst: dict[tuple[str, ...], int] = {}
    for record in results.records:
        for key in ((record.paper,), _key(record)):
            worst[key] = min(urgency(record), worst.get(key, urgency(record)))
    first = {key: place for place, key in enumerate(worst)}

    def order(record: Record) -> tuple[int, ...]:
        paper, line = (record.paper,), _key(record)
        return worst[paper], first[paper], worst[line], first[line]

    groups = groupby(sorted(results.records, key=order), key=_key)
    return [_line(*key, tuple(records)) for key, records in groups]


def totals(records: Sequence[Record]) -> str:
    """What passed and what failed, then what must not be taken for a pass."""
    number = counts(records)
    # Only runs in low precision have no verdict; where there is none, it is not named.
    few = (Verdict.NO_VERDICT,) if number[Verdict.NO_VERDICT] else ()
    apart = ", ".join(f"{number[verdict]:,} {verdict}" for verdict in (*APART, *few))
    failed = f"{number[Verdict.CONTRADICTED]:,} {Verdict.CONTRADICTED}"
    return f"{passes(records):,} passed, {failed}; counted apart: {apart}"


def missing(records: Iterable[Record]) -> str:
    """Why checks did not run, and how many for each reason; empty where all ran."""
    reasons = Counter(
        one_line(record.detail) or "no reason given"
        for record in records
        if record.verdict is Verdict.NOT_RUN
    )
    return ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common())


def message(record: Record) -> tuple[str, str]:
    """What the paper prints and where, and what was measured: two lines."""
    subject = () if record.subject == "paper" else (record.subject,)
    place = (f"{record.paper}/{record.variant}", *subject, record.check, record.row)
    where = ", ".join(part for part in (record.claim, record.at) if part)
    says = " ".join(part for part in place if part)
    if record.printed is not None:
        says += f": {SOURCES.get(record.check, 'the paper prints')} {record.printed}"
    found = "" if record.measured is None else f"measured {show(record.measured)}"
    finding = (found or str(record.verdict), record.detail)
    return (
        one_line(says + (f" ({where})" if where else "")),
        one_line("; ".join(part for part in finding if part)),
    )


def show(value: Any) -> str:
    """A measured value for people: integers in full, floats to four digits."""
    if value is None:
        return ABSENT
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value)


def per_variant(value: Any) -> str:
    """A value that is the same for all variants, or one for each."""
    if isinstance(value, Mapping):
        each = "; ".join(f"{name} {show(number)}" for name, number in value.items())
        return each or ABSENT
    return show(value)


def one_line(text: str) -> str:
    return " ".join(text.split())


def _key(record: Record) -> tuple[str, str, str]:
    return record.paper, record.variant, record.subject


def _line(paper: str, variant: str, subject: str, records: tuple[Record, ...]) -> Line:
    cells = {
        "params": number(records, "params"),
        "multiply-adds": number(records, "multiply_adds"),
        "rows": _share([record for record in records if record.check == "rows"]),
    }
    for check in PROOFS:
        found = in_order(record for record in records if record.check == check)
        cells[check] = _verdict(found[0].verdict) if found else Cell()
    return Line(paper, variant, subject, cells, overall(records))


def number(records: Iterable[Record], quantity: str) -> Cell:
    """What is printed of a quantity of the whole network, above what was measured."""
    found = in_order(
        record
        for record in records
        if record.row is None
        and (
            record.check == quantity
            or (record.check, record.claim) == ("accounting", quantity)
        )
    )
    if not found:
        return Cell()
    worst = found[0]
    printed = ABSENT if worst.printed is None else one_line(worst.printed)
    measured = worst.verdict if worst.measured is None else show(worst.measured)
    return Cell((printed, str(measured)), tone(worst.verdict))


def _share(records: Sequence[Record]) -> Cell:
    if not records:
        return Cell()
    share = f"{passes(records)}/{len(records)}"
    return Cell((share,), tone(in_order(records)[0].verdict))


def _verdict(verdict: Verdict) -> Cell:
    return Cell((str(verdict),), tone(verdict))


def overall(records: Sequence[Record]) -> Cell:
    """The worst verdict; `passes` where something passed and nothing is open."""
    worst = in_order(records)[0].verdict
    waiting = counts(records)[Verdict.NOT_RUN]
    if tone(worst) in ("fail", "open"):
        cell = _verdict(worst)
    elif passes(records):
        cell = Cell(("passes",), "pass")
    else:
        return _verdict(worst)
    return Cell((*cell.texts, f"{waiting} not run"), cell.tone) if waiting else cell
