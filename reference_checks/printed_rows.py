"""The rows of a printed layer table: their sizes, their steps and their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_checks import notation, rows
from reference_checks.diff import size
from reference_checks.problems import Where
from reference_checks.record import Record, Verdict
from reference_checks.rewrites import RULES, canonical
from reference_checks.spec import Row, Table, Variant

if TYPE_CHECKING:
    from reference_checks.claims import Subject

READABLE = [
    RULES[n] for n in ("inference identity", "associative", "local response norm")
]
"""What is rewritten before a row is read: the printed spelling is kept otherwise."""


def check_table(subject: Subject, table: Table, entry: Variant) -> Iterator[Record]:
    """Each row of a layer table: its sizes, its steps, and the numbers printed for it."""
    readable = canonical(subject.graph, READABLE)
    found = rows.read(readable, readable.row_of(table.rows))
    channels = entry.input[-1]
    for name, row in table.rows.items():
        cell = _PrintedRow(subject, table, entry, name, row, channels)
        if name not in found:
            detail = "the implementation has no layer whose name starts with it"
            yield cell.record("rows", Verdict.CONTRADICTED, detail=detail)
            continue
        yield from cell.sizes(found[name])
        if cell.text is not None:
            yield cell.steps(found[name])
        for index, claim in enumerate(row.claims):
            yield subject.claim(claim, (*cell.path, "claims", index), name)
        channels = found[name].leaving[-1]
    for index, claim in enumerate(table.totals):
        yield subject.claim(claim, ("tables", entry.table, "totals", index))


@dataclass(frozen=True)
class _PrintedRow:
    """A row of a printed table, to be held against the graph's row of that name."""

    subject: Subject
    table: Table
    entry: Variant
    name: str
    row: Row
    channels: int | None  # that enter it

    @property
    def path(self) -> Where:
        return ("tables", self.entry.table, "rows", self.name)

    def column(self, cells: Mapping[str, str]) -> str:
        """The key of the variant's cell: its id, its column, or `all`."""
        keys = (self.subject.variant, self.entry.column)
        return next((key for key in keys if key in cells), "all")

    @property
    def text(self) -> str | None:
        return self.row.columns.get(self.column(self.row.columns))

    def record(self, check: str, verdict: Verdict, **more: object) -> Record:
        more.setdefault("at", self.subject.paper.at(*self.path))
        more.setdefault("printed", self.text)
        return Record(
            self.subject.paper.stem, self.subject.variant, "paper", check, verdict,
            row=self.name, claim=self.table.source, **more,
        )  # fmt: skip

    @property
    def misprinted_size(self) -> str | None:
        """The size that the row's erratum records, if it is about a size."""
        if self.row.erratum is None:
            return None
        text = str(self.subject.paper.spec.errata[self.row.erratum].measured)
        try:
            notation.size(text)
        except notation.NotationError:
            return None  # it records the row's steps
        return text

    def sizes(self, measured: rows.Row) -> Iterator[Record]:
        """Records of the printed sizes; an erratum accounts for one that does not hold."""
        found = [
            (key, text, shape, _same_size(text, shape))
            for key, text, shape in (
                ("input", self.row.input, measured.entering),
                ("output", self.row.output, measured.leaving),
            )
            if text is not None
        ]
        all_hold = all(same for *_, same in found)
        for key, text, shape, same in found:
            verdict = Verdict.EXACT if same else Verdict.CONTRADICTED
            detail = ""
            if self.misprinted_size is not None and (all_hold or not same):
                verdict, detail = self.judge_size(same, shape)
            yield self.record(
                f"{key} size", verdict, printed=text, measured=size(shape),
                detail=detail, at=self.subject.paper.at(*self.path, key),
            )  # fmt: skip

    def judge_size(
        self, same: bool, shape: tuple[int | None, ...]
    ) -> tuple[Verdict, str]:
        """The verdict of a size that the row's erratum is recorded for."""
        name = self.row.erratum
        if same:
            return Verdict.CONTRADICTED, (
                f"erratum {name} is recorded, but the printed sizes hold"
            )
        if not _same_size(self.misprinted_size, shape):
            return Verdict.CONTRADICTED, (
                f"erratum {name} records {self.misprinted_size}, measured {size(shape)}"
            )
        return self.accounted()

    def accounted(self) -> tuple[Verdict, str]:
        """Explained where the row's erratum has a cost, otherwise what was tried."""
        erratum = self.subject.paper.spec.errata[self.row.erratum]
        if erratum.cost:
            return Verdict.EXPLAINED, erratum.what
        return Verdict.UNEXPLAINED, f"{erratum.what} Tried: {'; '.join(erratum.tried)}."

    @property
    def residual(self) -> bool:
        """Whether the network has shortcuts: then each of its blocks has one."""
        cells = (row.shortcut for row in self.table.rows.values())
        return any(self.column(shortcuts) in shortcuts for shortcuts in cells)

    def parse(self, text: str) -> tuple[notation.Item, ...]:
        return notation.parse(
            text,
            symbols={**self.entry.symbols, **self.row.symbols},
            modules={name: m.notation for name, m in self.table.modules.items()},
            channels=self.channels,
        )

    def steps(self, measured: rows.Row) -> Record:
        printed_steps = self.parse(self.text)
        verdict, detail = self.judge(printed_steps, measured.items)
        # Activations are shown where the printed cell, or its module, says them.
        said = any(step.activation for step in notation.flat(printed_steps))
        symbols = ", ".join(f"{key} {value}" for key, value in self.row.symbols.items())
        return self.record(
            "rows", verdict, printed=self.text + (f" ({symbols})" if symbols else ""),
            measured=notation.render(measured.items, activations=said), detail=detail,
            at=self.subject.paper.at(*self.path, "columns", self.column(self.row.columns)),
        )  # fmt: skip

    def judge(
        self, wanted: tuple[notation.Item, ...], found: tuple[notation.Item, ...]
    ) -> tuple[Verdict, str]:
        """The verdict of the row's steps, with the erratum that is recorded for it."""
        shortcut = self.row.shortcut.get(self.column(self.row.shortcut))
        gap = notation.difference(
            wanted, found, self.parse(shortcut) if shortcut else ()
        )
        if gap is None and self.residual:
            gap = _plain_blocks(wanted, found)
        name = self.row.erratum
        if name is None or self.misprinted_size is not None:
            return (Verdict.EXACT, "") if gap is None else (Verdict.CONTRADICTED, gap)
        if gap is None:
            return (
                Verdict.CONTRADICTED,
                f"erratum {name} is recorded, but the row holds",
            )
        erratum = self.subject.paper.spec.errata[name]
        gap = notation.difference(self.parse(str(erratum.measured)), found)
        if gap is not None:
            return Verdict.CONTRADICTED, f"erratum {name} no longer holds: {gap}"
        return self.accounted()


def _plain_blocks(
    wanted: tuple[notation.Item, ...], found: tuple[notation.Item, ...]
) -> str | None:
    """Why blocks are not residual: layer tables leave out shortcuts that are the identity."""
    blocks = sum(i.repeats for i in wanted if isinstance(i, notation.Block))
    shortcuts = sum(isinstance(item, notation.Residual) for item in found)
    if shortcuts == blocks:
        return None
    return f"{blocks} blocks printed, {shortcuts} of them with a shortcut measured"


def _same_size(text: str, shape: tuple[int | None, ...]) -> bool:
    """A printed size agrees with a shape in all that it prints: 56x56 with 56x56x256."""
    wanted = list(notation.size(text))
    shape = (1, 1, *shape) if len(shape) == 1 else shape
    return list(shape[: len(wanted)]) == wanted
