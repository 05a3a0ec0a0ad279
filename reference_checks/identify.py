"""Identify: which paper's network a model is, and how it differs.

Cheap things first.  Variants whose printed depth or size is far from the model's are not
even built; the rest are ranked by the operations they have in common, regardless of order; and
only the best few are aligned and compared in full.  No weight is allocated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from reference_checks.diff import Diff, diff
from reference_checks.graph import Graph
from reference_checks.measure import depth, params, params_by_class
from reference_checks.networks import Networks
from reference_checks.printed import read
from reference_checks.rewrites import canonical
from reference_checks.spec import Claim

FULL = 3
"""So many candidates are aligned in full."""


@dataclass(frozen=True)
class Match:
    """A candidate: shares (0 to 1) of what agrees in order, and what differs.

    `operations` and `params` count what is aligned and computes the same, of the larger
    of the two networks.
    """

    paper: str
    variant: str
    operations: float
    params: float
    same: bool
    differences: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def identify(networks: Networks, model: Graph, count: int = FULL) -> list[Match]:
    """The `count` nearest variants of all papers, the nearest first."""
    target = _signatures(canonical(model))
    ranked = sorted(
        _candidates(networks, model),
        key=lambda found: -_overlap(target, _signatures(canonical(found[2]))),
    )
    matches = [
        _match(paper, variant, diff(graph, model))
        for paper, variant, graph in ranked[:count]
    ]
    return sorted(matches, key=lambda m: (-m.operations, -m.params))


def _candidates(networks: Networks, model: Graph) -> Iterator[tuple[str, str, Graph]]:
    """The variants worth building: what their papers print is not far from the model."""
    size = list(model.ops[model.inputs[0]].shape)
    measured = {"depth": depth(model), "params": params(model)}
    for stem, paper in networks.papers.items():
        for variant, entry in paper.spec.variants.items():
            # One network at several input sizes is one candidate, at the model's size.
            if entry.network is not None and entry.input != size:
                continue
            if all(_near(claim, measured) for claim in entry.claims):
                yield stem, variant, networks.graph(paper, variant)


def _near(claim: Claim, measured: dict[str, int]) -> bool:
    """Whether a printed depth or size is within a factor of two of the measured one."""
    other = claim.row or claim.relative_to or claim.minus
    if other or claim.quantity not in measured:
        return True
    value = read(claim.printed, claim.unit).value
    return value / 2 <= measured[claim.quantity] <= value * 2


def _signatures(graph: Graph) -> Counter[tuple]:
    return Counter(op.signature for op in graph.ops)


def _overlap(a: Counter[tuple], b: Counter[tuple]) -> float:
    """Common operations, of all of either (Jaccard, on multisets)."""
    return (a & b).total() / (a | b).total()


def _match(paper: str, variant: str, found: Diff) -> Match:
    same = [
        found.a.ops[i]
        for i, j in found.alignment.pairs.items()
        if found.a.ops[i].signature == found.b.ops[j].signature
    ]
    largest = max(len(found.a.ops), len(found.b.ops))
    totals = [sum(params_by_class(g).values()) for g in (found.a, found.b)]
    shared = sum(params_by_class(found.a, same).values())
    return Match(
        paper, variant, len(same) / largest, shared / max(*totals, 1), found.same,
        found.summary(),
    )  # fmt: skip
