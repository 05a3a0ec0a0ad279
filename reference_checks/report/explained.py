"""An explanation as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reference_checks.explain import Account, Explanation
from reference_checks.record import Verdict

MOST = 10  # candidates that are shown; JSON has all


def render(found: Explanation, console: Any) -> None:
    """The rows' parts, then every printed number with its candidates."""
    from rich.table import Table

    counted = f" ({', '.join(found.counts)})" if found.counts else ""
    if found.measured is not None:
        line = f"{found.variant}: {found.quantity} {found.measured:,}{counted}"
        console.print(line, style="bold", markup=False)
    if found.rows:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("row")
        for name in ("measured", "printed"):
            table.add_column(name, justify="right")
        for part in found.rows:
            table.add_row(part.row, f"{part.value:,}", part.printed or "")
        console.print(table)
    left = {k: n for k, n in found.kinds.items() if n and k not in found.counts}
    if left:
        parts = ", ".join(f"{kind} {number:,}" for kind, number in left.items())
        console.print(f"not counted: {parts}", soft_wrap=True)
    for account in found.accounts:
        console.print()
        for line in _lines(account):
            console.print(line, markup=False, soft_wrap=True)
    if not found.accounts:
        console.print("no paper prints it")


def _lines(account: Account) -> Iterator[str]:
    record = account.claim
    row = f", {record.row}" if record.row else ""
    yield (
        f"{record.paper}, {record.claim}{row}: printed {record.printed},"
        f" measured {_number(record.measured)}, {record.verdict}"
    )
    if account.explanation:
        yield f"  {account.explanation}"
    if not account.tried:
        return
    confirmed = sorted(account.candidates, key=lambda c: c.confirmed is None)
    for candidate in confirmed[:MOST]:
        status = (
            f"confirmed by erratum {candidate.confirmed}"
            if candidate.confirmed
            else "candidate"
        )
        causes = " and ".join(candidate.causes)
        yield f"  {status}: {causes}: {_number(candidate.value)} {candidate.fit}"
    if len(confirmed) > MOST:
        yield f"  … and {len(confirmed) - MOST} more candidates"
    values = {what: value for what, value in account.tried.items() if value is not None}
    changed = {w: v for w, v in values.items() if v != record.measured}
    idle = [what for what in values if what not in changed]
    barred = [what for what, value in account.tried.items() if value is None]
    if not account.candidates and record.verdict is not Verdict.EXPLAINED:
        yield "  no known cause reproduces the digits, alone or with another"
        for head, causes in (
            ("tried", [f"{what}: {_number(value)}" for what, value in changed.items()]),
            ("tried, without effect", idle),
            ("not tried, since the network cannot be built so", barred),
        ):
            if causes:
                yield f"  {head}: {'; '.join(causes)}"
    yield (
        f"  {len(values)} causes tried, of which {len(changed)} change it, and"
        f" {account.pairs} pairs; by chance, wide digits are met by some"
    )


def _number(value: int | float | None) -> str:
    if value is None:
        return "nothing"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.10g}"
