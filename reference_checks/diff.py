"""Diff: what two networks do differently, named and counted.

Differences that a rewrite absorbs (a redundant bias, another epsilon, a dropout rate) are
listed with the rewrite that proves them harmless.  Everything else is structural.  An op
that differs only because other channels or sizes arrive at it follows from what is before
it.  All costs together, and what the same operations cost on other sizes, are the
difference of the totals.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from reference_checks.alignment import Alignment, align
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
    "AbsorbedDifference", "Change", "Diff", "absorbed_differences", "agreeing", "describe",
    "diff", "differences", "size", "text",
]  # fmt: skip

PRESENCE = {"": ((None, True), (False, None)), "no ": ((True, None), (None, False))}
"""What is there in B and not in A, and the other way round."""


@dataclass(frozen=True)
class AbsorbedDifference:
    """One attribute that differs in `layers` aligned ops and that a rewrite absorbs.

    `a` and `b` are the values (None: not there), or, where many differ by one factor or are
    not there, from the lowest to the highest; `params` is what B has more.  `at` is the
    first of the layers, in A if it is there.
    """

    rewrite: str
    attribute: str
    a: Any
    b: Any
    layers: int
    params: int
    at: str = field(default="", compare=False)

    def __str__(self) -> str:
        what = f"{self.attribute} {text(self.a)} → {text(self.b)}"
        for word, cases in PRESENCE.items():
            if any(self.a is a and self.b is b for a, b in cases):
                what = word + self.attribute
        cost = f", {self.params:+,} parameters" if self.params else ""
        layers = f"{self.layers} layer" + "s" * (self.layers != 1)
        return f"{what} in {layers} (absorbed by {self.rewrite}{cost})"


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


# What rewrites absorb -------------------------------------------------------------------


def absorbed_differences(
    a: Graph, b: Graph, alignment: Alignment
) -> Iterator[AbsorbedDifference]:
    """What rewrites took out of one side and not, or with another value, of the other."""
    groups: dict[tuple, list[int]] = defaultdict(list)
    first: dict[tuple, str] = {}
    edges = _Edges(a, b, alignment.pairs)
    for i, j in alignment.pairs.items():
        for key, params, layer in _absorbed(edges, i, j):
            groups[key].append(params)
            first.setdefault(key, layer)
    for keys in _by_factor(groups):
        rewrite, attribute, *_ = keys[0]
        sizes = [params for key in keys for params in groups[key]]
        value, other = (_span([key[side] for key in keys]) for side in (2, 3))
        yield AbsorbedDifference(
            rewrite, attribute, value, other, len(sizes), sum(sizes), first[keys[0]]
        )


def _by_factor(keys: Iterable[tuple]) -> Iterable[list[tuple]]:
    """Differences by one factor together: a dropout rate that grows with the depth.

    A number that one side has and the other has not is of one kind too, however large.
    """
    together: dict[tuple, list[tuple]] = defaultdict(list)
    for key in keys:
        *what, value, other = key
        match value, other:
            case float(), float() if value:
                factor = f"{other / value:.9g}"
            case (float(), None) | (None, float()):
                factor = (value is None, other is None)
            case _:
                factor = (value, other)
        together[*what, factor].append(key)
    return together.values()


def _span(values: list[Any]) -> Any:
    """The one value, or from the lowest to the highest."""
    if len(set(values)) == 1:
        return values[0]
    return f"{text(min(values))} to {text(max(values))}"


def agreeing(found: Diff, rewrite: str, attribute: str) -> tuple[str, ...]:
    """The layers of A that had what a rewrite takes out, just as B's had."""
    key, layers = (rewrite, attribute), []
    for i, j in found.alignment.pairs.items():
        mine, theirs = _noted(found.a.ops[i]), _noted(found.b.ops[j])
        if key in mine and key in theirs and mine[key][0] == theirs[key][0]:
            layers.append(mine[key][2])
    return tuple(layers)


def _absorbed(edges: _Edges, i: int, j: int) -> Iterator[tuple[tuple, int, str]]:
    """((rewrite, attribute, A's value, B's value), parameters that B has more, layer)."""
    mine, theirs = _noted(edges.a.ops[i]), _noted(edges.b.ops[j])
    for key in dict.fromkeys((*mine, *theirs)):
        value, params, layer = mine.get(key, (None, 0, ""))
        other_value, other_params, other_layer = theirs.get(key, (None, 0, ""))
        # No bias before a norm that only one side has: that difference is the norm's.
        named = key[1] == "bias" and edges.inserted_norm(i, j)
        if value != other_value and not named:
            yield (
                (*key, value, other_value),
                other_params - params,
                layer or other_layer,
            )


def differences(op: Op, other: Op) -> Iterator[str]:
    """What paired ops of two graphs do differently, what a rewrite absorbs included."""
    for name, mine, theirs in attributes(op, other):
        yield f"{name} {mine} → {theirs}"
    mine, theirs = _noted(op), _noted(other)
    for key in dict.fromkeys((*mine, *theirs)):
        value, more = (
            noted[key][0] if key in noted else None for noted in (mine, theirs)
        )
        if value != more:
            yield f"{key[1]} {text(value)} → {text(more)}"


def _noted(op: Op) -> dict[tuple[str, str], tuple[Any, int, str]]:
    """Value, parameters and layer by rewrite and attribute; several values are a tuple."""
    values: dict[tuple[str, str], list[Any]] = defaultdict(list)
    params: Counter[tuple[str, str]] = Counter()
    layers: dict[tuple[str, str], str] = {}
    for note in op.absorbed:
        key = note.rewrite, note.attribute
        values[key].append(note.value)
        params[key] += note.params
        layers.setdefault(key, note.layer or op.layer)
    return {
        key: (
            found[0] if len(found) == 1 else tuple(sorted(found)),
            params[key],
            layers[key],
        )
        for key, found in values.items()
    }


# What nothing absorbs -------------------------------------------------------------------


def _changes(
    a: Graph, b: Graph, pairs: Mapping[int, int], rows: tuple[str, ...]
) -> Iterator[Change]:
    """In the order of A; what only B has stands where B has it."""
    row_a, row_b = a.row_of(rows), b.row_of(rows)
    edges = _Edges(a, b, pairs)
    back = edges.back
    # Where a norm is inserted the bias before it goes: a part of the norm, and of its cost.
    moved: Counter[tuple[str, int]] = Counter()
    place: list[int] = []
    for j, op in enumerate(b.ops):
        place.append(back.get(j, max((place[k] for k in op.inputs), default=-1)))
    order = [(i, 0, i, pairs.get(i)) for i in range(len(a.ops))]
    order += [(place[j], 1, None, j) for j in range(len(b.ops)) if j not in back]
    for _, _, i, j in sorted(order, key=lambda o: (o[0], o[1], o[3] or 0)):
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
        params -= sum(more for _, more, _ in _absorbed(edges, i, j))
        norm = edges.inserted_norm(i, j)
        if norm is not None:
            moved[norm] += params
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
                if channels == 1 and attrs["groups"] == arriving:
                    attrs["groups"], filters = "depthwise", filters // arriving
                return attrs, kernel, filters, op.weight("bias") is None
            case "dense":
                return op.shape[-1], op.weight("bias") is None
            case "batch_norm" | "layer_norm":
                return attrs
            case "reshape":
                return len(op.shape)
        return op.signature

    arriving = [[g.in_shape(o, k) for k in range(len(o.inputs))] for g, o in ((a, op), (b, other))]  # fmt: skip
    return arriving[0] != arriving[1] and own(a, op) == own(b, other)


@dataclass(frozen=True)
class _Edges:
    """Paired ops and what is around them: what they read and share, differently."""

    a: Graph
    b: Graph
    pairs: Mapping[int, int]

    @cached_property
    def back(self) -> Mapping[int, int]:
        return {j: i for i, j in self.pairs.items()}

    def differences(self, i: int, j: int) -> Iterator[str]:
        yield from self._inputs(i, j)
        ends = i in self.a.outputs, j in self.b.outputs
        if ends[0] != ends[1] and len(self.a.outputs) != len(self.b.outputs):
            yield f"an output only in {'A' if ends[0] else 'B'}"
        mine, theirs = self._twin(self.a, i), self._twin(self.b, j)
        if self.pairs.get(mine, mine) != theirs and {mine, theirs} != {None}:
            side, other = ("A", mine) if mine is not None else ("B", theirs)
            name = (self.a if side == "A" else self.b).ops[other].layer
            yield f"weights shared with {name} in {side}"

    def _inputs(self, i: int, j: int) -> Iterator[str]:
        """Reads that paired ops do not have in common, if no op without a pair says why."""
        mapped = [self.pairs.get(k) for k in self.a.ops[i].inputs]
        theirs = [k if k in self.back else None for k in self.b.ops[j].inputs]
        left, right = Counter(mapped), Counter(theirs)
        unpaired_a, unpaired_b = left.pop(None, 0), right.pop(None, 0)
        more, less = list((left - right).elements()), list((right - left).elements())
        if len(more) > unpaired_b or len(less) > unpaired_a:
            if more:
                names = ", ".join(self.a.ops[self.back[k]].layer for k in more)
                yield f"reads {names} only in A"
            if less:
                names = ", ".join(self.b.ops[k].layer for k in less)
                yield f"reads {names} only in B"
        elif not (more or less or unpaired_a or unpaired_b or mapped == theirs):
            yield from () if self.a.ops[i].commutes else ("inputs in another order",)

    @cached_property
    def _first(self) -> tuple[dict, dict]:
        """Who reads a set of variables first, on each side."""
        found: tuple[dict, dict] = ({}, {})
        for first, graph in zip(found, (self.a, self.b), strict=True):
            for index, op in enumerate(graph.ops):
                for weight in op.weights:
                    first.setdefault(weight.variables, index)
        return found

    def _twin(self, graph: Graph, index: int) -> int | None:
        """The first op that reads the same weights, if it is another."""
        first = self._first[graph is self.b]
        found = {first[w.variables] for w in graph.ops[index].weights if w.variables}
        return min(found - {index}, default=None)

    def inserted_norm(self, i: int, j: int) -> tuple[str, int] | None:
        """The norm that one side alone has after these, as (side, number)."""
        biased = [o.weight("bias") is not None for o in (self.a.ops[i], self.b.ops[j])]
        if biased[0] == biased[1]:
            return None
        side = (
            ("a", self.a, i, self.pairs) if biased[1] else ("b", self.b, j, self.back)
        )
        name, graph, index, paired = side
        after = graph.consumers[index]
        alone = len(after) == 1 and graph.ops[after[0]].kind == "batch_norm"
        return (name, after[0]) if alone and after[0] not in paired else None
