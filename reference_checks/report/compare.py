"""What changed since an earlier run: verdicts, measured values, what came and went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from reference_checks.record import Record, Verdict
from reference_checks.report.verdicts import show, tone
from reference_checks.results import Results

ORDER = ("fail", "open", "apart", "pass")


@dataclass(frozen=True)
class Change:
    """A record that is new (`before` None), gone (`after` None), or says something else."""

    before: Record | None
    after: Record | None

    @property
    def record(self) -> Record:
        return self.after or self.before

    @property
    def worse(self) -> bool:
        """Whether something fails that did not."""
        return _fails(self.after) and not _fails(self.before)

    @property
    def better(self) -> bool:
        return _fails(self.before) and not _fails(self.after)

    def __str__(self) -> str:
        record = self.record
        subject = () if record.subject == "paper" else (record.subject,)
        place = (f"{record.paper}/{record.variant}", *subject, record.check, record.row)
        where = " ".join(part for part in place if part)
        claim = f" ({record.claim})" if record.claim else ""
        printed = dict.fromkeys(r.printed for r in (self.before, self.after) if r)
        if len(printed) > 1:
            claim += f", printed {' → '.join(map(show, printed))}"
        return f"{where}{claim}: {_said(self.before)} → {_said(self.after)}"


def changes(old: Results, new: Results) -> list[Change]:
    """The changes in the papers of `new`, what fails now first.

    Floats that were measured differ from run to run; they change with their verdict.
    """
    before, after = (
        _keyed(r for r in results.records if r.paper in new.papers)
        for results in (old, new)
    )
    found = []
    for key in dict.fromkeys([*after, *before]):
        pair = Change(before.get(key), after.get(key))
        if _differ(pair.before, pair.after):
            found.append(pair)
    return sorted(found, key=_urgency)


def summary(found: list[Change]) -> str:
    """How much changed, in a line."""
    if not found:
        return "nothing changed"
    counts = {
        "fail that did not": sum(change.worse for change in found),
        "no longer fail": sum(change.better for change in found),
        "new": sum(change.before is None for change in found),
        "gone": sum(change.after is None for change in found),
    }
    counts["otherwise changed"] = sum(
        None not in (change.before, change.after)
        and not change.worse
        and not change.better
        for change in found
    )
    return ", ".join(f"{number:,} {what}" for what, number in counts.items() if number)


def _keyed(records: Iterable[Record]) -> dict[tuple, Record]:
    """By what a record is about; the second of two alike is another."""
    seen: dict[tuple, int] = defaultdict(int)
    found = {}
    for r in records:
        key = (r.paper, r.variant, r.subject, r.check, r.row, r.claim)
        found[*key, seen[key]] = r
        seen[key] += 1
    return found


def _differ(before: Record | None, after: Record | None) -> bool:
    if before is None or after is None:
        return True
    if (before.verdict, before.printed) != (after.verdict, after.printed):
        return True
    noisy = isinstance(before.measured, float) and isinstance(after.measured, float)
    return before.measured != after.measured and not noisy


def _urgency(change: Change) -> int:
    if change.worse:
        return 0
    verdict = change.record.verdict
    return 1 + ORDER.index(tone(verdict)) + (change.after is None)


def _fails(record: Record | None) -> bool:
    return record is not None and record.verdict is Verdict.CONTRADICTED


def _said(record: Record | None) -> str:
    if record is None:
        return "nothing"
    measured = "" if record.measured is None else f" {show(record.measured)}"
    return f"{record.verdict}{measured}"
