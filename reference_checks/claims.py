"""printed → faithful: every number that a paper prints, held against our implementation.

Nothing here runs a network or allocates a weight.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import prod

from reference_checks import measure, notation, printed, rows
from reference_checks.graph import Graph
from reference_checks.load import Paper
from reference_checks.networks import Networks
from reference_checks.printed_rows import check_table
from reference_checks.problems import Where
from reference_checks.record import Record, Verdict
from reference_checks.spec import RECORDED, Claim, Convention, Erratum


def check_variant(networks: Networks, paper: Paper, variant: str) -> Iterator[Record]:
    """Records of all that the paper prints about a variant."""
    graph = networks.graph(paper, variant)
    entry = paper.spec.variants[variant]
    subject = Subject(networks, paper, variant, graph)
    if entry.table is not None and entry.printed:
        yield from check_table(subject, paper.spec.tables[entry.table], entry)
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
        if row is not None and row not in self.rows:
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
        value = quantity(self, claim, row, counts, convention)
        other = claim.relative_to or claim.minus
        if other is None:
            return value
        home = self.networks.home(other)
        graph = self.networks.graph(home, other)
        against = Subject(self.networks, home, other, graph)
        base = quantity(against, claim, None, counts, convention)
        return Fraction(value, base) if claim.relative_to else value - base

    @cached_property
    def rows(self) -> dict[str, rows.Row]:
        """The rows of the variant's own table, by name."""
        home = self.networks.home(self.variant)
        table = home.spec.variants[self.variant].table
        names = home.spec.tables[table].rows if table else ()
        return rows.read(self.graph, self.graph.row_of(names))


def quantity(
    subject: Subject,
    claim: Claim,
    row: str | None,
    counts: Collection[str],
    convention: Convention | None,
) -> int:
    """What a claim counts, of a graph; the claim's own convention comes first."""
    graph = subject.graph
    part = None if row is None else subject.rows[row].ops
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
            return subject.rows[row].leaving[-1]
        case "activation_bytes":
            return 2 * prod(subject.rows[row].leaving)  # 16-bit floats
        case "model_bytes":
            return 4 * measure.params(graph, counts or measure.PARAMS, ops)  # 32-bit
    raise AssertionError(claim.quantity)


def _projections(items: Collection[notation.Item]) -> int:
    return sum(
        sum(step.kind == "conv" for step in item.shortcut) + _projections(item.main)
        for item in items
        if isinstance(item, notation.Residual)
    )
