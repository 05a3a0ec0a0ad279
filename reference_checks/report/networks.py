"""One line for each network: size, printed error, efficiency, verdicts, proofs.

An error is the first that the paper prints for one crop of one model, else the first
that it prints, else the first that another paper prints of the network; how it was
measured stands beside it, because papers differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from reference_checks import printed
from reference_checks.measured import Network
from reference_checks.record import Record, Verdict
from reference_checks.report.verdicts import Cell, number, overall, tone
from reference_checks.results import Results, in_order

IMAGENET = 1000  # classes
ONE_CROP = re.compile(
    r"\b(?:1|one|single)[ -](?:crop|patch|frame|view)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Error:
    """A printed error in percent, and how, where and by which paper it is printed."""

    percent: float
    shown: str
    protocol: str
    one_crop: bool
    claim: str
    paper: str

    @property
    def accuracy(self) -> float:
        """In percent, to the digits that are printed."""
        return round(100 - self.percent, 6)


@dataclass(frozen=True)
class Official:
    """An official model of a network: whether it is proven, and whether it holds."""

    subject: str
    structure: Verdict
    verdict: Cell


@dataclass(frozen=True)
class Entry:
    """A network of a paper, as the index shows it; `params` and the like show claims."""

    paper: str
    variant: str
    name: str
    year: int
    size: Network | None
    params: Cell
    multiply_adds: Cell
    top1: Error | None
    top5: Error | None
    verdict: Cell
    official: Sequence[Official]

    @property
    def protocol(self) -> str:
        """How the errors were measured, and which paper prints them if not its own."""
        said = {}
        for name, error in (("top-1", self.top1), ("top-5", self.top5)):
            if error is not None:
                by = [] if error.paper == self.paper else [f"in {error.paper}"]
                said[name] = ", ".join([error.protocol or "not named", *by])
        if len(set(said.values())) > 1:
            return "; ".join(f"{name}: {text}" for name, text in said.items())
        return next(iter(said.values()), "")

    @property
    def imagenet(self) -> bool:
        return self.size is not None and self.size.classes == IMAGENET

    @property
    def parameter_efficiency(self) -> float | None:
        """Points of top-1 accuracy for each million parameters."""
        return self._efficiency("params", 1e6)

    @property
    def computational_efficiency(self) -> float | None:
        """Points of top-1 accuracy for each billion (10^9) multiply-adds."""
        return self._efficiency("multiply_adds", 1e9)

    def _efficiency(self, what: str, unit: float) -> float | None:
        cost = getattr(self.size, what) if self.imagenet else 0
        return self.top1.accuracy * unit / cost if self.top1 and cost else None


def entries(results: Results) -> list[Entry]:
    """The networks of all papers, oldest paper first, each paper's in its own order."""
    grouped: dict[tuple[str, str], list[Record]] = {}
    for record in results.records:
        grouped.setdefault((record.paper, record.variant), []).append(record)
    stems = sorted(results.papers, key=lambda stem: (results.papers[stem].year, stem))
    return [
        _entry(results, stem, variant, grouped)
        for stem in stems
        for variant in results.papers[stem].variants
    ]


def _entry(
    results: Results, stem: str, variant: str, grouped: Mapping[tuple, Sequence[Record]]
) -> Entry:
    own = grouped.get((stem, variant), ())
    others = [
        record
        for (paper, name), records in grouped.items()
        if name == variant and paper != stem
        for record in records
    ]
    ours = [record for record in own if record.subject == "paper"]
    paper = results.papers[stem]
    return Entry(
        paper=stem,
        variant=variant,
        name=paper.variants[variant],
        year=paper.year,
        size=results.networks.get(f"{stem}/{variant}"),
        params=number(ours, "params"),
        multiply_adds=number(ours, "multiply_adds"),
        top1=error("top1", ours, others),
        top5=error("top5", ours, others),
        verdict=overall(own) if own else Cell(),
        official=_official(own),
    )


def error(which: str, own: Iterable[Record], others: Iterable[Record]) -> Error | None:
    """The error that stands for a network: see above."""
    for records in (own, others):
        found = [e for e in (_printed(which, r) for r in records) if e is not None]
        if found:
            return next((e for e in found if e.one_crop), found[0])
    return None


def _printed(which: str, record: Record) -> Error | None:
    if record.verdict is not Verdict.RECORDED or record.row or not record.printed:
        return None
    if record.check not in (f"{which}_error", f"{which}_accuracy"):
        return None
    text, _, unit = record.printed.rpartition(" ")
    if unit not in printed.UNITS:
        text, unit = record.printed, None
    try:
        number = printed.read(text, unit, remark=True)
    except ValueError:
        return None
    share = number.value
    percent = 100 * (share if record.check.endswith("error") else Fraction(1) - share)
    if not 0 <= percent <= 100:
        return None
    # As many decimals as are printed: 27.0 stays 27.0, and 0.790 is 21.0.
    decimals = max(0, len(str((1 / (100 * number.ulp)).__ceil__())) - 1)
    return Error(
        float(percent),
        f"{float(percent):.{decimals}f}",
        record.detail,
        bool(ONE_CROP.search(record.detail)),
        record.claim or "",
        record.paper,
    )


def _official(records: Iterable[Record]) -> list[Official]:
    grouped: dict[str, list[Record]] = {}
    for record in records:
        if record.subject != "paper":
            grouped.setdefault(record.subject, []).append(record)
    found = []
    for subject, own in grouped.items():
        structure = in_order(record for record in own if record.check == "structure")
        verdict = structure[0].verdict if structure else Verdict.NOT_RUN
        found.append(Official(subject, verdict, overall(own)))
    return found


def proof(official: Sequence[Official]) -> Cell:
    """Whether all official models of a network are proven to be it, up to deviations."""
    if not official:
        return Cell()
    proven = sum(o.structure is Verdict.PROVEN for o in official)
    worst = next(
        (o.structure for o in official if o.structure is not Verdict.PROVEN),
        Verdict.PROVEN,
    )
    return Cell((f"{proven} of {len(official)} proven",), tone(worst))
