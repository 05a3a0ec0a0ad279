"""Partial alignment: what two different graphs have in common.

Ops with a neighbourhood that both graphs have once are pairs.  From these and the inputs
what agrees is paired forwards, from the outputs backwards.  What is left between is put in
order, and the shortest edit script of the two sequences pairs the rest (Myers 1986; unique
neighbourhoods first, as in a patience diff).  Last, ops of one kind that read, or feed,
what is paired are the same op with another attribute.

Every step is linear in the size of the graphs, or in their number of differences times a
bound; nothing depends on names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from reference_checks.graph import Graph, Op, topological
from reference_checks.sequences import in_order

RADIUS = 4  # of the neighbourhoods that tell siblings apart
RIVALS = 16  # candidates that are looked at for one op
ROUNDS = 16  # of pairing changed ops, and what follows from each


def partial(a: Graph, b: Graph) -> dict[int, int]:
    """Pairs of op numbers of graphs that differ: each op at most once."""
    match = _Match(_Side.of(a), _Side.of(b))
    _describe(match.a, match.b)
    for i, j in zip(a.inputs, b.inputs, strict=False):
        match.pair(i, j)
    # What is equal from either end on comes first: of equal blocks in a row the next but one
    # may look more like one beside a change than its own counterpart does.
    _forwards(match)
    _backwards(match)
    _unique(match)
    _forwards(match)
    _backwards(match)
    for token in (
        lambda side, i: side.tokens[i],
        lambda side, i: side.graph.ops[i].kind,
    ):
        _in_order(match, token)
        _spread(match)
    return dict(sorted(match.forth.items()))


@dataclass(eq=False)
class _Side:
    """A graph with, for each op, what pairing asks of it."""

    graph: Graph
    tokens: list[tuple]
    readings: list[list[tuple[int, int]]]
    order: list[int]
    below: list[list[int]] = field(default_factory=list)
    above: list[list[int]] = field(default_factory=list)

    @classmethod
    def of(cls, graph: Graph) -> _Side:
        readings: list[list[tuple[int, int]]] = [[] for _ in graph.ops]
        for index, op in enumerate(graph.ops):
            for place, source in enumerate(op.inputs):
                readings[source].append((index, 0 if op.commutes else place))
        for place, index in enumerate(graph.outputs):
            readings[index].append((-1 - place, 0))
        return cls(graph, [_token(op) for op in graph.ops], readings, _order(graph))


@dataclass(eq=False)
class _Match:
    """Pairs found so far, in both directions."""

    a: _Side
    b: _Side
    forth: dict[int, int] = field(default_factory=dict)
    back: dict[int, int] = field(default_factory=dict)

    def pair(self, i: int, j: int) -> None:
        self.forth[i], self.back[j] = j, i

    def unpair(self, i: int) -> None:
        del self.back[self.forth.pop(i)]


def _token(op: Op) -> tuple:
    """What an op computes, but for a bias: a norm that is inserted takes it away."""
    kind, attrs, weights, shape = op.signature
    return (kind, attrs, tuple(w for w in weights if w[0] != "bias"), shape)


def _describe(*sides: _Side) -> None:
    """For each op what is below and above it, nearer first, comparable between graphs.

    The last entry has no bound: all that flows in, or all that flows out.
    """
    number: dict[tuple, int] = {}

    def intern(key: Hashable) -> int:
        return number.setdefault(key, len(number))

    for side in sides:
        ops = side.graph.ops
        own = [intern(token) for token in side.tokens]
        side.below, side.above = [own], [own]
        for _ in range(RADIUS):
            last = side.below[-1]
            side.below.append(
                [
                    intern((own[i], *sorted((last[k] if k >= 0 else k, p) for k, p in reads)))
                    for i, reads in enumerate(side.readings)
                ]
            )  # fmt: skip
            last = side.above[-1]
            side.above.append(
                [intern((own[i], *_arranged(op, last))) for i, op in enumerate(ops)]
            )
        every = [0] * len(ops)
        for i in range(len(ops) - 1, -1, -1):
            reads = ((every[k] if k >= 0 else k, p) for k, p in side.readings[i])
            every[i] = intern(("all", own[i], *sorted(reads)))
        side.below.append(every)
        every = []
        for i, op in enumerate(ops):
            every.append(intern(("all", own[i], *_arranged(op, every))))
        side.above.append(every)


def _arranged(op: Op, colour: Sequence[int]) -> list[int]:
    before = [colour[k] for k in op.inputs]
    return sorted(before) if op.commutes else before


def _order(graph: Graph) -> list[int]:
    """Ops in topological order, branch after branch, the longest of a sum's first."""
    depth: list[int] = []
    for op in graph.ops:
        depth.append(1 + max((depth[k] for k in op.inputs), default=0))

    def inputs(index: int) -> Sequence[int]:
        op = graph.ops[index]
        return sorted(op.inputs, key=lambda k: -depth[k]) if op.commutes else op.inputs

    return topological(graph.outputs, inputs)


def _unique(match: _Match) -> None:
    """Ops whose neighbourhood both graphs have, once."""
    found = []
    for side in (match.a, match.b):
        seen: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, key in enumerate(
            zip(side.above[RADIUS], side.below[RADIUS], strict=True)
        ):
            seen[key].append(index)
        found.append({key: at[0] for key, at in seen.items() if len(at) == 1})
    for key, i in found[0].items():
        j = found[1].get(key)
        if j is not None and i not in match.forth and j not in match.back:
            match.pair(i, j)


# What agrees with what is paired ------------------------------------------------------


def _forwards(match: _Match) -> None:
    """Ops that compute the same from what is paired, in topological order."""
    a, b = match.a, match.b

    def key(side: _Side, index: int, inputs: Iterable[int | None]) -> tuple:
        op = side.graph.ops[index]
        arranged = tuple(inputs)
        if op.commutes and None not in arranged:
            arranged = tuple(sorted(arranged))
        return (side.tokens[index], arranged)

    tried: set[tuple] = set()
    for i, op in enumerate(a.graph.ops):
        if i in match.forth or not op.inputs:
            continue
        mapped = [match.forth.get(k) for k in op.inputs]
        wanted = key(a, i, mapped)
        if None in mapped or wanted in tried:
            continue
        tried.add(wanted)
        rivals = [
            j
            for j in dict.fromkeys(k for k, _ in b.readings[mapped[0]] if k >= 0)
            if j not in match.back and key(b, j, b.graph.ops[j].inputs) == wanted
        ]
        siblings = [
            k
            for k in dict.fromkeys(k for k, _ in a.readings[op.inputs[0]] if k >= 0)
            if k not in match.forth
            and key(a, k, map(match.forth.get, a.graph.ops[k].inputs)) == wanted
        ]
        _nearest(match, siblings, rivals, a.below, b.below)


def _backwards(match: _Match) -> None:
    """Ops that compute the same for what is paired, against topological order."""
    a, b = match.a, match.b
    ends = {-1 - place: -1 - place for place in range(len(a.graph.outputs))}
    if len(a.graph.outputs) != len(b.graph.outputs):
        ends = {}
    own = {**ends, **{j: j for j in range(len(b.graph.ops))}}

    def key(side: _Side, index: int, to: dict[int, int]) -> tuple | None:
        reads = [(to.get(k), place) for k, place in side.readings[index]]
        if not reads or any(k is None for k, _ in reads):
            return None
        return (side.tokens[index], *sorted(reads))

    to = {**ends, **match.forth}
    tried: set[tuple] = set()
    for i in range(len(a.graph.ops) - 1, -1, -1):
        wanted = None if i in match.forth else key(a, i, to)
        if wanted is None or wanted in tried:
            continue
        tried.add(wanted)
        reader = a.readings[i][0][0]
        if reader < 0:
            near = ([a.graph.outputs[-1 - reader]], [b.graph.outputs[-1 - reader]])
        else:
            near = (a.graph.ops[reader].inputs, b.graph.ops[to[reader]].inputs)
        siblings = [
            k
            for k in dict.fromkeys(near[0])
            if k not in match.forth and key(a, k, to) == wanted
        ]
        rivals = [
            j
            for j in dict.fromkeys(near[1])
            if j not in match.back and key(b, j, own) == wanted
        ]
        _nearest(match, siblings, rivals, a.above, b.above)
        to.update((k, match.forth[k]) for k in siblings if k in match.forth)


def _nearest(
    match: _Match,
    siblings: list[int],
    rivals: list[int],
    mine: list[list[int]],
    theirs: list[list[int]],
) -> None:
    """Pair siblings with those that have most around them in common."""
    for colour, other in zip(reversed(mine), reversed(theirs), strict=True):
        if not siblings or not rivals:
            return
        waiting: dict[int, list[int]] = defaultdict(list)
        for j in reversed(rivals):
            waiting[other[j]].append(j)
        for i in siblings:
            if waiting[colour[i]]:
                match.pair(i, waiting[colour[i]].pop())
        siblings = [i for i in siblings if i not in match.forth]
        rivals = [j for j in rivals if j not in match.back]


# What is left, in order ----------------------------------------------------------------


def _in_order(match: _Match, token) -> None:
    """Pair along the shortest edit script of what is left, where the edges agree."""
    a = [i for i in match.a.order if i not in match.forth]
    b = [j for j in match.b.order if j not in match.back]
    near_a = [_around(match.a, i, token) for i in a]
    near_b = [_around(match.b, j, token) for j in b]
    tokens_a = [token(match.a, i) for i in a]
    tokens_b = [token(match.b, j) for j in b]
    found = in_order(tokens_a, tokens_b, near_a, near_b)
    fresh = [(a[p], b[q]) for p, q in found]
    for i, j in fresh:
        match.pair(i, j)
    for i, j in fresh:
        if not _agreement(match, i, j):
            match.unpair(i)


def _around(side: _Side, index: int, token) -> tuple:
    return (token(side, index), side.below[2][index], side.above[2][index])


# What has changed ----------------------------------------------------------------------


def _agreement(match: _Match, i: int, j: int) -> int:
    """How many edges of the two ops lead to ops that are paired, or out of both graphs."""
    inputs = match.b.graph.ops[j].inputs
    readers = {k for k, _ in match.b.readings[j]}
    before = sum(match.forth.get(k) in inputs for k in match.a.graph.ops[i].inputs)
    return before + sum(
        (k if k < 0 else match.forth.get(k)) in readers for k, _ in match.a.readings[i]
    )


def _spread(match: _Match) -> None:
    """Pair changed ops of one kind by their edges, and what then agrees."""
    for _ in range(ROUNDS):
        found = sorted(_changed(match), reverse=True)
        for _, _, i, j in found:
            if -i not in match.forth and -j not in match.back:
                match.pair(-i, -j)
        before = len(match.forth)
        _forwards(match)
        _backwards(match)
        if not found and len(match.forth) == before:
            return


def _changed(match: _Match) -> Iterator[tuple[int, bool, int, int]]:
    """Candidates as (agreement, whether alike, -i, -j): the best and the first sort last."""
    a, b = match.a, match.b
    for i in a.order:
        if i in match.forth:
            continue
        op = a.graph.ops[i]
        near: dict[int, None] = {}
        for k in op.inputs:
            if k in match.forth:
                near.update((m, None) for m, _ in b.readings[match.forth[k]] if m >= 0)
        for k, _ in a.readings[i]:
            if k in match.forth:
                near.update((m, None) for m in b.graph.ops[match.forth[k]].inputs)
            elif k < 0 and len(a.graph.outputs) == len(b.graph.outputs):
                near[b.graph.outputs[-1 - k]] = None
        free = [
            j for j in near if j not in match.back and b.graph.ops[j].kind == op.kind
        ]
        for j in free[:RIVALS]:
            score = _agreement(match, i, j)
            if score > 0:
                yield score, a.tokens[i] == b.tokens[j], -i, -j
