"""How a number comes about, row by row, and what may lie between it and the printed one.

Where they differ, the known causes are tried alone and in pairs.  What reproduces the
printed digits is a candidate, no more: wide digits are reproduced by chance, so that the
number of trials is said too.  Only a source confirms one, as an erratum of the spec.
Nothing is run and nothing allocated; other sizes and classes are built anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any

from reference_checks import measure, printed
from reference_checks.causes import Counting
from reference_checks.claims import Subject
from reference_checks.errors import InputError, nearest
from reference_checks.load import Paper
from reference_checks.networks import Networks
from reference_checks.problems import Where
from reference_checks.record import Record, Verdict
from reference_checks.spec import MEASURED, RECORDED, Claim, Erratum
from reference_checks.trials import DEFAULT, Fit, Search, Value
from reference_checks.units import Unit, claims_of

ROWS = ("params", "multiply_adds", "depth", "neurons", "connections")
"""What a row has a part of."""


@dataclass(frozen=True)
class Part:
    """A row's part of the number, with what the paper prints for it."""

    row: str
    value: int
    printed: str | None = None


@dataclass(frozen=True)
class Candidate:
    """Causes that together reproduce the printed digits; `confirmed` names the erratum."""

    causes: tuple[str, ...]
    value: int | float
    fit: Verdict
    confirmed: str | None = None


@dataclass(frozen=True)
class Account:
    """A printed number beside the measured one, and what was tried to bring them together.

    `explanation` is what the spec says of the difference; `tried` has each cause with the value that it gives, None where it cannot be built;
    `pairs` is the number of pairs.
    """

    claim: Record
    explanation: str = ""
    candidates: tuple[Candidate, ...] = ()
    tried: Mapping[str, int | float | None] = field(default_factory=dict)
    pairs: int = 0


@dataclass(frozen=True)
class Explanation:
    """All about one quantity of one variant; `kinds` is what there is to count."""

    paper: str
    variant: str
    quantity: str
    measured: int | None
    counts: tuple[str, ...]
    rows: tuple[Part, ...]
    kinds: Mapping[str, int]
    accounts: tuple[Account, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def explain(networks: Networks, variant: str, name: str) -> Explanation:
    """The quantity `name` of a variant, explained.

    Raises:
        InputError: no spec has the variant, or the quantity is not measured here.
    """
    known = [v for paper in networks.papers.values() for v in paper.spec.variants]
    home = networks.home(variant)
    if home is None:
        raise InputError(f"no variant {variant!r}: {nearest(variant, known)}")
    if name not in MEASURED:
        what = "printed but not measured here" if name in RECORDED else "not known"
        raise InputError(f"{name!r} is {what}; {nearest(name, MEASURED)}")
    graph = networks.graph(home, variant)
    found = list(_claims(networks, home, variant, name))
    convention = getattr(home.spec.conventions, name, None)
    counts = tuple(convention.counts if convention else DEFAULT.get(name, ()))
    whole = Claim(quantity=name, printed="", source="")
    rows, total = (), None
    if name in ROWS:
        subject = Subject(networks, home, variant, graph)
        total = subject.measure(whole, None, ())
        rows = tuple(_parts(subject, whole, found))
    kinds: Mapping[str, int] = {}
    if name == "params":
        kinds = measure.params_by_class(graph)
    elif name == "multiply_adds":
        kinds = Counter()
        for op in graph.ops:
            kinds.update(measure.operations(graph, op))
    return Explanation(
        home.stem, variant, name, total, counts, rows, dict(kinds),
        tuple(_account(networks, variant, *claim) for claim in found),
    )  # fmt: skip


def _claims(
    networks: Networks, home: Paper, variant: str, name: str
) -> Iterator[tuple[Paper, Where, str | None, Claim]]:
    """What all papers print of the quantity: its own one's rows, totals and variant first."""
    units = [Unit(home, variant)]
    units += [
        Unit(paper, variant, foreign=True)
        for paper in networks.papers.values()
        if variant in paper.spec.others
    ]
    for unit in units:
        for path, row, claim in claims_of(unit):
            if claim.quantity == name:
                yield unit.paper, path, row, claim


def _parts(
    subject: Subject, whole: Claim, found: Sequence[tuple[Paper, Where, str | None, Claim]]
) -> Iterator[Part]:  # fmt: skip
    own = {row: claim for _, path, row, claim in found if path[0] == "tables" and row}
    for row in subject.rows:
        claim = own.get(row)
        value = subject.measure(whole, row, claim.counts if claim else ())
        yield Part(row, value, claim and claim.printed)


def _account(
    networks: Networks, variant: str, paper: Paper, path: Where, row: str | None, claim: Claim
) -> Account:  # fmt: skip
    home = networks.home(variant)
    graph = networks.graph(home, variant)
    subject = Subject(networks, paper, variant, graph)
    record = subject.claim(claim, path, row)
    if record.measured is None:  # the network has no such row
        return Account(record)
    number = printed.read(claim.printed, claim.unit)
    measured = subject.measure(claim, row or claim.row, claim.counts)
    if printed.verdict(number, measured).passes:
        return Account(record)
    trials = Search(subject, home, claim, row or claim.row).run(number)
    erratum = paper.spec.errata.get(claim.erratum or "")
    explained = record.verdict is Verdict.EXPLAINED
    candidates = tuple(
        Candidate(
            fit.causes, _shown(fit.value), fit.verdict,
            claim.erratum if explained and _same(erratum, claim, fit, measured) else None,
        )
        for fit in trials.fits
    )  # fmt: skip
    tried = {what: None if v is None else _shown(v) for what, v in trials.alone.items()}
    text = erratum.what if explained else record.detail
    return Account(record, text, candidates, tried, trials.pairs)


def _same(erratum: Erratum, claim: Claim, fit: Fit, measured: Value) -> bool:
    """Whether the erratum accounts for the number in the way of the candidate."""
    if erratum.counts:
        return fit.counting == Counting(frozenset(erratum.counts))
    return abs(fit.value - measured - erratum.cost[claim.quantity]) < 1


def _shown(value: Value) -> int | float:
    exact = Fraction(value)
    return int(exact) if exact.denominator == 1 else float(exact)
