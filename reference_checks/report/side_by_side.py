"""Two or three networks beside each other, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reference_checks.diff import Diff, describe, size
from reference_checks.record import Record
from reference_checks.spec import Spec

CONTEXT = 2


def layer_table(
    records: Sequence[Record], spec: Spec, variant: str, console: Console
) -> None:
    """The layer table: printed | ours | official, a line for each row, then the claims."""
    subjects = list(dict.fromkeys(r.subject for r in records if r.subject != "paper"))
    rows = list(dict.fromkeys(r.row for r in records if r.row and r.check == "rows"))
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for column in ("row", "output", "printed", "ours", *subjects):
        table.add_column(column, overflow="fold", ratio=2 if column != "row" else None)
    for row in rows:
        mine = _find(records, "paper", "rows", row)
        sizes = _find(records, "paper", "output size", row)
        cells = [
            Text(row),
            Text(sizes.printed if sizes else ""),
            Text(mine.printed or "" if mine else ""),
            _measured(mine),
        ]
        for subject in subjects:
            cells.append(_measured(_find(records, subject, "rows", row)))
        table.add_row(*cells)
    console.print(Text(f"{spec.variants[variant].name} — {spec.title}, {spec.year}"))
    if rows:
        console.print(table)
    else:
        console.print(Text(f"the paper prints no layer table for {variant}", "dim"))
    if not subjects:
        reason = spec.no_official or "Keras ships none of this variant."
        console.print(Text(f"no official model: {reason}", "dim"))
    for record in records:
        if record.check not in ("rows", "output size", "input size"):
            console.print(_line(record))


def _find(
    records: Sequence[Record], subject: str, check: str, row: str
) -> Record | None:
    wanted = (subject, check, row)
    return next((r for r in records if (r.subject, r.check, r.row) == wanted), None)


def _measured(record: Record | None) -> Text:
    if record is None:
        return Text("–", "dim")
    return Text(str(record.measured), "" if record.verdict.passes else "bold red")


def _line(record: Record) -> Text:
    subject = "" if record.subject == "paper" else f"{record.subject} "
    where = " ".join(part for part in (record.row, record.check) if part)
    measured = record.measured
    if isinstance(measured, int):
        measured = f"{measured:,}"
    values = " → ".join(str(v) for v in (record.printed, measured) if v is not None)
    claim = f" ({record.claim})" if record.claim else ""
    style = "" if record.verdict.passes else "yellow"
    return Text(f"{record.verdict:14}{subject}{where}{claim} {values}", style)


def render(found: Diff, name_a: str, name_b: str, console: Console) -> None:
    """A diff: the summary, then the regions that differ with a few lines around them."""
    console.print(Text(found.summary(), "green" if found.same else "bold red"))
    console.print(
        Text(
            f"{name_b} has {found.params:+,} parameters and {found.multiply_adds:+,}"
            f" multiply-adds against {name_a}; {len(found.alignment.pairs)} operations"
            f" aligned of {len(found.a.ops)} and {len(found.b.ops)}",
            "dim",
        )
    )
    if found.same:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "A", "B", "difference"):
        table.add_column(column, overflow="fold")
    for mark, left, right, what in _regions(found):
        style = "red" if mark else "dim"
        table.add_row(
            Text(mark), Text(left, style), Text(right, style), Text(what, style)
        )
    console.print(table)


def _regions(found: Diff) -> Iterator[tuple[str, str, str, str]]:
    """Lines in the order of A: (mark, A, B, difference), cut to what differs."""
    changes = {(change.a, change.b): change for change in found.changes}
    lines = []
    for i, op in enumerate(found.a.ops):
        j = found.alignment.pairs.get(i)
        other = None if j is None else found.b.ops[j]
        key = (op.layer, None if other is None else other.layer)
        lines.append((changes.pop(key, None), _name(op), _name(other)))
        for extra in [k for k in changes if k[0] is None and _follows(found, k[1], j)]:
            lines.append((changes.pop(extra), "", str(extra[1])))
    lines.extend(
        (change, change.a or "", change.b or "") for change in changes.values()
    )
    near = {
        n
        for k, (change, _, _) in enumerate(lines)
        if change
        for n in range(k - CONTEXT, k + CONTEXT + 1)
    }
    cut = False
    for k, (change, left, right) in enumerate(lines):
        if k in near:
            yield ("≠" if change else "", left, right, _costs(change))
        elif not cut and k and k - 1 in near:
            yield ("", "…", "…", "")
        cut = k not in near


def _follows(found: Diff, layer: str | None, j: int | None) -> bool:
    return j is not None and any(
        j in op.inputs for op in found.b.ops if op.layer == layer
    )


def _name(op) -> str:
    return "" if op is None else f"{op.layer}  {describe(op)} {size(op.shape)}"


def _costs(change) -> str:
    if change is None:
        return ""
    costs = [f"{change.params:+,} parameters"] if change.params else []
    if change.multiply_adds:
        costs.append(f"{change.multiply_adds:+,} multiply-adds")
    return change.what + (f" ({', '.join(costs)})" if costs else "")
