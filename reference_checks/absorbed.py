"""What rewrites absorb: differences that are proven harmless, named and counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import isclose
from typing import Any

from reference_checks.alignment import Alignment
from reference_checks.edges import Edges
from reference_checks.graph import Graph, Op
from reference_checks.wording import text

PRESENCE = {"": ((None, True), (False, None)), "no ": ((True, None), (None, False))}
"""What is there in B and not in A, and the other way round."""


@dataclass(frozen=True)
class AbsorbedDifference:
    """One attribute that differs in `layers` aligned ops and that a rewrite absorbs.

    `a` and `b` are the values (None: not there), or, where many differ by one factor or
    grow evenly on one side alone, from the lowest to the highest; `params` is what B has
    more.  `at` is the first of the layers, in A if it is there.
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
class Absorbed:
    """An attribute of one pair of aligned ops that a rewrite absorbs, on either side."""

    what: tuple[str, str]
    a: Any
    b: Any
    params: int
    layer: str


def absorbed_differences(
    a: Graph, b: Graph, alignment: Alignment
) -> Iterator[AbsorbedDifference]:
    """What rewrites took out of one side and not, or with another value, of the other."""
    edges = Edges(a, b, alignment.pairs)
    found = (one for i, j in alignment.pairs.items() for one in absorbed(edges, i, j))
    for group in _kinds(found):
        first, sizes = group[0], [one.params for one in group]
        spans = _span([one.a for one in group]), _span([one.b for one in group])
        yield AbsorbedDifference(
            *first.what, *spans, len(group), sum(sizes), first.layer
        )


def absorbed(edges: Edges, i: int, j: int) -> Iterator[Absorbed]:
    """The attributes in which two aligned ops differ."""
    mine, theirs = noted(edges.a.ops[i]), noted(edges.b.ops[j])
    for key in dict.fromkeys((*mine, *theirs)):
        value, params, layer = mine.get(key, (None, 0, ""))
        other_value, other_params, other_layer = theirs.get(key, (None, 0, ""))
        # No bias before a norm that only one side has: that difference is the norm's.
        named = key[1] == "bias" and edges.inserted_norm(i, j)
        if value != other_value and not named:
            yield Absorbed(
                key, value, other_value, other_params - params, layer or other_layer
            )


def noted(op: Op) -> dict[tuple[str, str], tuple[Any, int, str]]:
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


def _kinds(differences: Iterable[Absorbed]) -> Iterator[list[Absorbed]]:
    """Differences of one kind together: of two values, or of values by one factor.

    Numbers that one side alone has are of one kind if they grow evenly, as the rates of
    stochastic depth do; one that leaves the row is a difference of its own.
    """
    groups: dict[Hashable, list[Absorbed]] = defaultdict(list)
    for one in differences:
        match one.a, one.b:
            case float(), float() if one.a:
                kind = f"{one.b / one.a:.9g}"
            case (float(), None) | (None, float()):
                kind = (one.a is None, one.b is None)
            case _:
                kind = (one.a, one.b)
        groups[one.what, kind].append(one)
    for (_, kind), group in groups.items():
        if kind not in ((False, True), (True, False)):
            yield group
            continue
        row = _even([one.a if one.b is None else one.b for one in group])
        rest: dict[Hashable, list[Absorbed]] = defaultdict(list)
        for place, one in enumerate(group):
            rest["row" if place in row else (one.a, one.b)].append(one)
        yield from rest.values()


def _even(values: Sequence[float]) -> set[int]:
    """Where the longest row of values is that grow by one step, of which few may lack.

    The step is that which most neighbours have; one pair of neighbours is no row.
    """
    steps = Counter(f"{y - x:.9g}" for x, y in pairwise(values))
    (step, often), *_ = steps.most_common(1) or [("0", 0)]
    if often < 2 or not float(step):
        return set()
    rows: list[list[int]] = []
    for place, value in enumerate(values):
        before = [
            row
            for row in rows
            if any(
                isclose(value - values[row[-1]], n * float(step), rel_tol=1e-6)
                for n in (1, 2)
            )
        ]
        rows.append([*max(before, key=len, default=[]), place])
    return set(max(rows, key=len))


def _span(values: list[Any]) -> Any:
    """The one value, or from the lowest to the highest."""
    if len(set(values)) == 1:
        return values[0]
    return f"{text(min(values))} to {text(max(values))}"


def agreeing(
    a: Graph, b: Graph, pairs: Mapping[int, int], rewrite: str, attribute: str
) -> tuple[str, ...]:
    """The layers of A that are as B's, where others differ in what a rewrite takes out.

    Either both had it, or neither although the kinds of op around are those of one that
    had it: where a dropout is left out, that is next to what was left without.
    """
    key, layers = (rewrite, attribute), []
    edges = Edges(a, b, pairs)
    differ = {
        i for i, j in pairs.items() for one in absorbed(edges, i, j) if one.what == key
    }
    around = {_around(a, i) for i in differ}
    for i, j in pairs.items():
        mine, theirs = noted(a.ops[i]), noted(b.ops[j])
        if i in differ:
            continue
        if key in mine:
            layers.append(mine[key][2])
        elif key not in theirs and _around(a, i) in around:
            layers.append(a.ops[i].layer)
    return tuple(layers)


def _around(graph: Graph, index: int) -> tuple:
    """The kinds of an op, of what it reads and of what reads it."""
    op = graph.ops[index]
    read = tuple(graph.ops[i].kind for i in op.inputs)
    readers = sorted({graph.ops[i].kind for i in graph.consumers[index]})
    return op.kind, read, *readers
