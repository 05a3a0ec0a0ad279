"""printed → faithful: every number that a paper prints, held against our implementation.

Nothing here runs a network or allocates a weight.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod

from reference_checks import measure, notation, printed, rows
from reference_checks.diff import size
from reference_checks.graph import Graph
from reference_checks.load import Paper
from reference_checks.networks import Networks
from reference_checks.problems import Where
from reference_checks.record import Record, Verdict
from reference_checks.rewrites import RULES, canonical
from reference_checks.spec import (
    RECORDED,
    Claim,
    Convention,
    Erratum,
    Row,
    Table,
    Variant,
)

READABLE = [
    RULES[n] for n in ("inference identity", "associative", "local response norm")
]
"""What is rewritten before a row is read: the printed spelling is kept otherwise."""


def check_variant(networks: Networks, paper: Paper, variant: str) -> Iterator[Record]:
    """Records of all that the paper prints about a variant."""
    graph = networks.graph(paper, variant)
    entry = paper.spec.variants[variant]
    subject = Subject(networks, paper, variant, graph)
    if entry.table is not None and entry.printed:
        yield from _check_table(subject, paper.spec.tables[entry.table], entry)
    yield from check_claims(subject)


def check_claims(subject: Subject) -> Iterator[Record]:
    """Records of what the paper prints about the variant as a whole."""
    for index, claim in enumerate(subject.paper.spec.variants[subject.variant].claims):
        yield subject.claim(claim, ("variants", subject.variant, "claims", index))


def check_others(networks: Networks, paper: Paper, variant: str) -> Iterator[Record]:
    """Records of what the paper prints about a variant of another paper."""
    home = networks.home(variant)
    for index, claim in enumerate(paper.spec.others[variant]):
        path = ("others", variant, index)
        if home is None:
            yield _record(
                paper, variant, claim, path, Verdict.NOT_RUN,
                detail=f"no spec has the variant {variant}",
            )  # fmt: skip
        else:
            graph = networks.graph(home, variant)
            yield Subject(networks, paper, variant, graph).claim(claim, path)


def _record(
    paper: Paper,
    variant: str,
    claim: Claim,
    path: Where,
    verdict: Verdict,
    **more: object,
) -> Record:
    source = claim.source if claim.at is None else f"{claim.source}, {claim.at}"
    return Record(
        paper.stem, variant, "paper", claim.quantity, verdict, claim=source,
        printed=_with_unit(claim), at=paper.at(*path), **more,
    )  # fmt: skip


def _with_unit(claim: Claim) -> str:
    return claim.printed if claim.unit is None else f"{claim.printed} {claim.unit}"


@dataclass(frozen=True)
class Subject:
    """A variant's graph with what its claims are judged by."""

    networks: Networks
    paper: Paper
    variant: str
    graph: Graph

    def claim(self, claim: Claim, path: Where, row: str | None = None) -> Record:
        """One printed number, measured and judged."""
        row = row or claim.row
        if claim.quantity in RECORDED:
            detail = claim.protocol or claim.note or ""
            return _record(
                self.paper,
                self.variant,
                claim,
                path,
                Verdict.RECORDED,
                row=row,
                detail=detail,
            )
        if row is not None and row not in self.rows():
            detail = f"the implementation has no layers of row {row}"
            return _record(
                self.paper, self.variant, claim, path, Verdict.CONTRADICTED,
                row=row, detail=detail,
            )  # fmt: skip
        value = self.measure(claim, row, claim.counts)
        number = printed.read(claim.printed, claim.unit)
        verdict, detail = printed.verdict(number, value), claim.note or ""
        if claim.erratum is not None:
            erratum = self.paper.spec.errata[claim.erratum]
            verdict, detail = self._judge(claim, row, number, value, verdict, erratum)
        shown = value if isinstance(value, int) else float(value)
        return _record(
            self.paper, self.variant, claim, path, verdict,
            row=row, measured=shown, detail=detail,
        )  # fmt: skip

    def _judge(
        self, claim: Claim, row: str | None, number: printed.Number, value: int | Fraction,
        verdict: Verdict, erratum: Erratum,
    ) -> tuple[Verdict, str]:  # fmt: skip
        """The verdict of a claim that an erratum is recorded for."""
        if verdict.passes:
            return Verdict.CONTRADICTED, (
                f"erratum {claim.erratum} is recorded, but the printed value holds"
            )
        recorded = erratum.measured
        if isinstance(recorded, Mapping):
            recorded = recorded.get(self.variant)
        if recorded not in (value, float(value)):  # a ratio is recorded as a decimal
            return Verdict.CONTRADICTED, (
                f"erratum {claim.erratum} records {recorded!r}, measured {value!r}"
            )
        if erratum.counts:
            other = self.measure(claim, row, erratum.counts)
            if printed.verdict(number, other).passes:
                counted = ", ".join(erratum.counts)
                return (
                    Verdict.EXPLAINED,
                    f"{erratum.what} Counting {counted}: {other:,}.",
                )
            return Verdict.CONTRADICTED, (
                f"erratum {claim.erratum}: its convention counts {other:,}, which does not"
                " give the printed digits either"
            )
        if claim.quantity in erratum.cost:
            other = value + erratum.cost[claim.quantity]
            if printed.verdict(number, other).passes:
                return Verdict.EXPLAINED, erratum.what
            return Verdict.CONTRADICTED, (
                f"erratum {claim.erratum}: with its cost the count is {other:,}, not"
                f" {claim.printed}"
            )
        tried = "; ".join(erratum.tried)
        return Verdict.UNEXPLAINED, f"{erratum.what} Tried: {tried}."

    def measure(
        self, claim: Claim, row: str | None, counts: Collection[str]
    ) -> int | Fraction:
        """The claim's quantity, of the row or of all, perhaps against another variant's."""
        convention = getattr(self.paper.spec.conventions, claim.quantity, None)
        value = quantity(claim, self.graph, self.rows, row, counts, convention)
        other = claim.relative_to or claim.minus
        if other is None:
            return value
        home = self.networks.home(other)
        graph = self.networks.graph(home, other)
        against = Subject(self.networks, home, other, graph)
        base = quantity(claim, graph, against.rows, None, counts, convention)
        return Fraction(value, base) if claim.relative_to else value - base

    def rows(self) -> dict[str, rows.Row]:
        """The rows of the variant's own table, by name."""
        home = self.networks.home(self.variant)
        table = home.spec.variants[self.variant].table
        names = home.spec.tables[table].rows if table else ()
        return rows.read(self.graph, self.graph.row_of(names))


def quantity(
    claim: Claim,
    graph: Graph,
    table: Callable[[], dict[str, rows.Row]],
    row: str | None,
    counts: Collection[str],
    convention: Convention | None,
) -> int:
    """What a claim counts, on a graph; the claim's own convention comes first."""
    part = None if row is None else table()[row].ops
    ops = None if part is None else [graph.ops[i] for i in part]
    counts = counts or (convention.counts if convention else ())
    match claim.quantity:
        case "params":
            return measure.params(graph, counts or measure.PARAMS, ops)
        case "multiply_adds":
            factor = convention.factor if convention else 1
            return measure.multiply_adds(
                graph, counts or measure.MULTIPLY_ADDS, factor, ops
            )
        case "depth":
            counts = counts or measure.LAYERS
            if claim.row is None:  # printed for the whole, or for a table's row alone
                return measure.depth(graph, counts=counts, ops=ops)
            return measure.depth(graph, part[-1], counts)
        case "depthwise_layers":
            return measure.depthwise_layers(graph)
        case "projections":
            whole = rows.read(graph, ["all"] * len(graph.ops))["all"]
            return _projections(whole.items)
        case "connections":
            return measure.connections(graph, ops)
        case "neurons":
            return measure.neurons(graph, ops)
        case "channels":
            return table()[row].leaving[-1]
        case "activation_bytes":
            return 2 * prod(table()[row].leaving)  # 16-bit floats
        case "model_bytes":
            return 4 * measure.params(graph, counts or measure.PARAMS, ops)  # 32-bit
    raise AssertionError(claim.quantity)


def _projections(items: Collection[notation.Item]) -> int:
    return sum(
        sum(step.kind == "conv" for step in item.shortcut) + _projections(item.main)
        for item in items
        if isinstance(item, notation.Residual)
    )


def _check_table(subject: Subject, table: Table, entry: Variant) -> Iterator[Record]:
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
