"""Diff: what two networks do differently, named and counted.

Differences that a rewrite absorbs (a redundant bias, another epsilon, a dropout rate) are
listed with the rewrite that proves them harmless.  Everything else is structural.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from reference_checks.alignment import Alignment, align
from reference_checks.graph import Graph, Op
from reference_checks.measure import all_params, multiply_adds, params_by_class
from reference_checks.rewrites import canonical


@dataclass(frozen=True)
class AbsorbedDifference:
    """One attribute that differs in `layers` aligned ops and that a rewrite absorbs.

    `a` and `b` are the values (None: not there); `params` is what B has more.
    """

    rewrite: str
    attribute: str
    a: Any
    b: Any
    layers: int
    params: int

    def __str__(self) -> str:
        cost = f", {self.params:+,} parameters" if self.params else ""
        return (
            f"{self.attribute} {text(self.a)} → {text(self.b)} in {self.layers} layers"
            f" (absorbed by {self.rewrite}{cost})"
        )


@dataclass(frozen=True)
class Change:
    """An op that differs, or that only one side has; costs are B minus A."""

    a: str | None
    b: str | None
    what: str
    row: str | None
    params: int
    multiply_adds: int

    def __str__(self) -> str:
        where = " ↔ ".join(name or "nothing" for name in (self.a, self.b))
        costs = [f"{self.params:+,} parameters"] if self.params else []
        if self.multiply_adds:
            costs.append(f"{self.multiply_adds:+,} multiply-adds")
        return f"{where}: {self.what}" + (f" ({', '.join(costs)})" if costs else "")


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

    def summary(self) -> str:
        """One line for a person."""
        if self.same and not self.absorbed:
            return "the same network"
        parts = [str(difference) for difference in self.absorbed]
        if self.same:
            return "the same network up to: " + "; ".join(parts)
        groups: dict[str, list[Change]] = defaultdict(list)
        for change in self.changes:
            groups[change.what].append(change)
        for what, group in groups.items():
            added = sum(change.multiply_adds for change in group)
            cost = f" ({added:+,} multiply-adds)" if added else ""
            parts.append(f"{what} in {len(group)} places{cost}")
        return "different networks: " + "; ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        return {
            "same": self.same,
            "summary": self.summary(),
            "params": self.params,
            "multiply_adds": self.multiply_adds,
            "aligned": len(self.alignment.pairs),
            "absorbed": [asdict(difference) for difference in self.absorbed],
            "changes": [asdict(change) for change in self.changes],
        }


def diff(raw_a: Graph, raw_b: Graph, rows: tuple[str, ...] = ()) -> Diff:
    """Compare two graphs as they were imported; `rows` name the rows of either side."""
    a, b = canonical(raw_a), canonical(raw_b)
    alignment = align(a, b)
    return Diff(
        a,
        b,
        alignment,
        tuple(absorbed_differences(a, b, alignment)),
        () if alignment.isomorphic else tuple(_changes(a, b, alignment, rows)),
        all_params(raw_b) - all_params(raw_a),
        multiply_adds(raw_b) - multiply_adds(raw_a),
    )


def text(value: Any) -> str:
    """A value as a spec writes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def absorbed_differences(
    a: Graph, b: Graph, alignment: Alignment
) -> Iterator[AbsorbedDifference]:
    """What rewrites took out of one side and not, or with another value, of the other."""
    groups: dict[tuple, list[int]] = defaultdict(list)
    for i, j in alignment.pairs.items():
        mine, theirs = _noted(a.ops[i]), _noted(b.ops[j])
        for key in dict.fromkeys((*mine, *theirs)):
            value, size = mine.get(key, (None, 0))
            other, other_size = theirs.get(key, (None, 0))
            if value != other:
                groups[(*key, value, other)].append(other_size - size)
    for (rewrite, attribute, value, other), sizes in groups.items():
        yield AbsorbedDifference(
            rewrite, attribute, value, other, len(sizes), sum(sizes)
        )


def _noted(op: Op) -> dict[tuple[str, str], tuple[Any, int]]:
    return {(n.rewrite, n.attribute): (n.value, n.params) for n in op.absorbed}


def _changes(
    a: Graph, b: Graph, alignment: Alignment, rows: tuple[str, ...]
) -> Iterator[Change]:
    pairs = alignment.pairs
    row_a, row_b = a.row_of(rows), b.row_of(rows)
    back = {j: i for i, j in pairs.items()}
    # In the order of A; what only B has stands where B has it.
    order = [(i, pairs.get(i)) for i in range(len(a.ops))]
    place = {j: k for k, (_, j) in enumerate(order) if j is not None}
    extra = []
    for j in range(len(b.ops)):
        if j not in back:
            before = max((place.get(k, -1) for k in b.ops[j].inputs), default=-1)
            place[j] = before
            extra.append((before, j))
    for before, j in sorted(extra, reverse=True):
        order.insert(before + 1, (None, j))
    for i, j in order:
        mine = None if i is None else a.ops[i]
        theirs = None if j is None else b.ops[j]
        what = _what(mine, theirs)
        if what is None:
            continue
        yield Change(
            None if mine is None else mine.layer,
            None if theirs is None else theirs.layer,
            what,
            row_a[i] if i is not None else row_b[j],
            _size(b, theirs) - _size(a, mine),
            _cost(b, theirs) - _cost(a, mine),
        )


def _size(graph: Graph, op: Op | None) -> int:
    return 0 if op is None else sum(params_by_class(graph, [op]).values())


def _cost(graph: Graph, op: Op | None) -> int:
    return 0 if op is None else multiply_adds(graph, ops=[op])


def _what(a: Op | None, b: Op | None) -> str | None:
    """How two paired ops differ, or which one has no partner; None if they agree."""
    if b is None:
        return f"{describe(a)} only in A"
    if a is None:
        return f"{describe(b)} only in B"
    if a.signature == b.signature:
        return None
    parts = []
    for key in dict.fromkeys((*a.attrs, *b.attrs)):
        mine, theirs = a.attrs.get(key), b.attrs.get(key)
        if mine != theirs:
            parts.append(f"{key} {text(mine)} → {text(theirs)}")
    mine = {w.role: w.shape for w in a.weights}
    theirs = {w.role: w.shape for w in b.weights}
    for role in dict.fromkeys((*mine, *theirs)):
        if mine.get(role) != theirs.get(role):
            parts.append(f"{role} {size(mine.get(role))} → {size(theirs.get(role))}")
    if a.shape != b.shape and not parts:
        parts.append(f"shape {size(a.shape)} → {size(b.shape)}")
    return f"{a.kind}: " + ", ".join(parts)


def size(shape: tuple[int | None, ...] | None) -> str:
    """A shape as tables print it."""
    return "none" if shape is None else "x".join("?" if n is None else str(n) for n in shape)


def describe(op: Op) -> str:
    """An op in a few words."""
    match op.kind:
        case "conv":
            height, width, _, filters = op.weight("kernel").shape
            stride = op.attrs["strides"][0]
            grouped = f", groups {op.attrs['groups']}" if op.attrs["groups"] > 1 else ""
            strided = f", stride {stride}" if stride > 1 else ""
            return f"{height}x{width} conv, {filters}{strided}{grouped}"
        case "dense":
            return f"{op.shape[-1]}-d fc"
        case "activation":
            return op.attrs["function"]
        case "pool":
            height, width = op.attrs["window"]
            return f"{height}x{width} {op.attrs['mode']} pool"
    return op.kind.replace("_", " ")
