"""Diff: what two networks do differently, named and counted.

Differences that a rewrite absorbs (a redundant bias, another epsilon, a dropout rate) are
listed with the rewrite that proves them harmless.  Everything else is structural.  An op
that differs only because other channels or sizes arrive at it follows from what is before
it.  All costs together, and what the same operations cost on other sizes, are the
difference of the totals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from reference_checks.absorbed import (
    AbsorbedDifference,
    absorbed,
    absorbed_differences,
    agreeing,
    noted,
)
from reference_checks.alignment import Alignment, align
from reference_checks.edges import Edges
from reference_checks.graph import Graph, Op
from reference_checks.measure import all_params, multiply_adds, params_by_class
from reference_checks.rewrites import canonical
from reference_checks.wording import (
    Attribute,
    attributes,
    costs,
    describe,
    noun,
    size,
    text,
)

__all__ = [
    "AbsorbedDifference", "Change", "Diff", "absorbed_differences", "describe", "diff",
    "differences", "size", "text",
]  # fmt: skip


@dataclass(frozen=True)
class Change:
    """An op that differs, or that only one side has; costs are B minus A.

    `attributes` are what differs with both values, `noun` what kind of op it is.  One that
    `follows` differs only in the channels or sizes that arrive at it.  `after` is where
    in A an op stands that only B has.
    """

    a: str | None
    b: str | None
    what: str
    row: str | None
    params: int
    multiply_adds: int
    noun: str = ""
    attributes: tuple[Attribute, ...] = ()
    follows: bool = False
    after: str | None = None

    def __str__(self) -> str:
        nothing = "nothing" if self.after is None else f"nothing after {self.after}"
        where = " ↔ ".join(name or nothing for name in (self.a, self.b))
        cost = costs(self.params, self.multiply_adds)
        return f"{where}: {self.what}" + (f" ({cost})" if cost else "")


@dataclass(frozen=True)
class Diff:
    """All differences of two networks; `a` and `b` are their canonical graphs."""

    a: Graph
    b: Graph
    alignment: Alignment
    absorbed: tuple[AbsorbedDifference, ...]
    changes: tuple[Change, ...]
    params: int
    multiply_adds: int

    @property
    def same(self) -> bool:
        """The same function for every input, given the same weights."""
        return self.alignment.isomorphic

    @cached_property
    def agreement(self) -> float:
        """The share (0 to 1) of the larger network's ops that the other has just so."""
        changed = sum(c.a is not None and c.b is not None for c in self.changes)
        largest = max(len(self.a.ops), len(self.b.ops), 1)
        return max(0, len(self.alignment.pairs) - changed) / largest

    def agreeing(self, rewrite: str, attribute: str) -> tuple[str, ...]:
        """The layers of A that are as B's in what a rewrite takes out elsewhere."""
        return agreeing(self.a, self.b, self.alignment.pairs, rewrite, attribute)

    def summary(self) -> str:
        """One line for a person."""
        from reference_checks.summary import summary

        return summary(self)

    def as_dict(self) -> dict[str, Any]:
        return {
            "same": self.same,
            "summary": self.summary(),
            "params": self.params,
            "multiply_adds": self.multiply_adds,
            "aligned": len(self.alignment.pairs),
            "agreement": self.agreement,
            "absorbed": [asdict(difference) for difference in self.absorbed],
            "changes": [asdict(change) for change in self.changes],
        }


def diff(raw_a: Graph, raw_b: Graph, rows: tuple[str, ...] = ()) -> Diff:
    """Compare two graphs as they were imported; `rows` name the rows of either side.

    Raises:
        Ambiguous: siblings that nothing tells apart are not symmetric either.
    """
    a, b = canonical(raw_a), canonical(raw_b)
    alignment = align(a, b)
    return Diff(
        a,
        b,
        alignment,
        tuple(absorbed_differences(a, b, alignment)),
        () if alignment.isomorphic else tuple(_changes(a, b, alignment.pairs, rows)),
        all_params(raw_b) - all_params(raw_a),
        multiply_adds(raw_b) - multiply_adds(raw_a),
    )


def differences(op: Op, other: Op) -> Iterator[str]:
    """What paired ops of two graphs do differently, what a rewrite absorbs included."""
    for name, mine, theirs in attributes(op, other):
        yield f"{name} {mine} → {theirs}"
    mine, theirs = noted(op), noted(other)
    for key in dict.fromkeys((*mine, *theirs)):
        value, more = (
            known[key][0] if key in known else None for known in (mine, theirs)
        )
        if value != more:
            yield f"{key[1]} {text(value)} → {text(more)}"


# What nothing absorbs -------------------------------------------------------------------


def _changes(
    a: Graph, b: Graph, pairs: Mapping[int, int], rows: tuple[str, ...]
) -> Iterator[Change]:
    """In the order of A; what only B has stands where B has it."""
    row_a, row_b = a.row_of(rows), b.row_of(rows)
    edges = Edges(a, b, pairs)
    back = edges.back
    # Where a norm is inserted the bias before it goes: a part of the norm, and of its cost.
    moved: Counter[tuple[str, int]] = Counter()
    place: list[int] = []
    for j, op in enumerate(b.ops):
        place.append(back.get(j, max((place[k] for k in op.inputs), default=-1)))
    order = [(i, 0, i, pairs.get(i)) for i in range(len(a.ops))]
    order += [(place[j], 1, None, j) for j in range(len(b.ops)) if j not in back]
    for _, _, i, j in sorted(order):
        mine = None if i is None else a.ops[i]
        theirs = None if j is None else b.ops[j]
        params = _size(b, theirs) - _size(a, mine)
        cost = _cost(b, theirs) - _cost(a, mine)
        before = place[j] if i is None and place[j] >= 0 else None
        row = row_a[i] if i is not None else row_b[j]
        if row is None and before is not None:
            row = row_a[before]
        names = (mine and mine.layer, theirs and theirs.layer)
        if mine is None or theirs is None:
            params += moved["a", i] if theirs is None else moved["b", j]
            what = f"{describe(mine or theirs)} only in {'A' if mine else 'B'}"
            after = None if before is None else a.ops[before].layer
            yield Change(
                *names, what, row, params, cost, noun(mine or theirs), after=after
            )
            continue
        params -= sum(one.params for one in absorbed(edges, i, j))
        norm = edges.inserted_norm(i, j)
        if norm is not None:
            moved[norm] = params
            mine, theirs, params = _unbiased(mine), _unbiased(theirs), 0
        found = tuple(attributes(mine, theirs))
        parts = [f"{name} {x} → {y}" for name, x, y in found]
        around = tuple(edges.differences(i, j))
        if parts or around:
            what = f"{mine.kind.replace('_', ' ')}: {', '.join((*parts, *around))}"
            follows = not around and _follows(a, mine, b, theirs)
            yield Change(*names, what, row, params, cost, noun(mine), found, follows)


def _size(graph: Graph, op: Op | None) -> int:
    return 0 if op is None else sum(params_by_class(graph, [op]).values())


def _cost(graph: Graph, op: Op | None) -> int:
    return 0 if op is None else multiply_adds(graph, ops=[op])


def _unbiased(op: Op) -> Op:
    return replace(op, weights=tuple(w for w in op.weights if w.role != "bias"))


def _follows(a: Graph, op: Op, b: Graph, other: Op) -> bool:
    """Whether the ops differ only in the channels or the sizes that they are given."""

    def own(graph: Graph, op: Op) -> Any:
        attrs = dict(op.attrs)
        match op.kind:
            case "conv":
                *kernel, channels, filters = op.weight("kernel").shape
                arriving = graph.in_shape(op)[-1]
                if channels == 1:
                    attrs["groups"], filters = "depthwise", filters // arriving
                return attrs, kernel, filters, op.weight("bias") is None
            case "dense":
                return op.shape[-1], op.weight("bias") is None
            case "batch_norm" | "layer_norm":
                return attrs
            case "reshape":
                return len(op.shape)
        return op.signature

    return own(a, op) == own(b, other) and a.in_shape(op) != b.in_shape(other)
