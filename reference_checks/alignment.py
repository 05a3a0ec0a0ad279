"""Alignment: which op of one graph is which op of the other, by structure alone.

Colours are refined forwards and backwards over the DAG (Weisfeiler and Leman 1968), with
exact tuples interned as integers, so that equal colours are never a coincidence of
hashes.  Pairing then follows the edges, which makes it an isomorphism by construction;
`verify` states it again, independently of the colours.

No names, no creation order, no table per model.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from reference_checks.graph import Graph, Op


class Ambiguous(ValueError):
    """Ops that refinement cannot tell apart and that are not symmetric either."""


@dataclass(frozen=True)
class Alignment:
    """Pairs of op numbers; `isomorphic` when every op of both graphs is in one, verified."""

    pairs: Mapping[int, int]
    isomorphic: bool


def colours(*graphs: Graph) -> list[list[int]]:
    """A colour for each op, comparable between the graphs; linear in their size.

    Two ops have one colour if no refinement of what flows into them and out of them tells
    them apart.
    """
    number: dict[tuple, int] = {}

    def intern(key: tuple) -> int:
        return number.setdefault(key, len(number))

    result = [[intern(op.signature) for op in graph.ops] for graph in graphs]
    classes = 0
    while True:
        result = [
            _backwards(graph, _forwards(graph, colour, intern), intern)
            for graph, colour in zip(graphs, result, strict=True)
        ]
        found = len(set().union(*result))
        if found == classes:
            return result
        classes = found


def _forwards(graph: Graph, colour: list[int], intern) -> list[int]:
    new: list[int] = []
    for op, own in zip(graph.ops, colour, strict=True):
        before = [new[i] for i in op.inputs]
        new.append(intern((own, *(sorted(before) if op.commutes else before))))
    return new


def _backwards(graph: Graph, colour: list[int], intern) -> list[int]:
    new = [0] * len(colour)
    for index in range(len(colour) - 1, -1, -1):
        after = []
        for user in set(graph.consumers[index]):
            op = graph.ops[user]
            places = [0] if op.commutes else [
                k for k, i in enumerate(op.inputs) if i == index
            ]  # fmt: skip
            times = op.inputs.count(index)
            after.extend((new[user], place, times) for place in places)
        ends = tuple(k for k, i in enumerate(graph.outputs) if i == index)
        new[index] = intern((colour[index], ends, *sorted(after)))
    return new


def align(a: Graph, b: Graph) -> Alignment:
    """Pair the ops of two canonical graphs.

    Where the graphs are the same the pairs are an isomorphism, verified.  Where they
    differ, the parts that agree are paired from the inputs forwards (see `partial`).

    Raises:
        Ambiguous: the colours agree but no pairing keeps the edges; the message lists
            the candidates.
    """
    colour_a, colour_b = colours(a, b)
    if Counter(colour_a) != Counter(colour_b):
        return Alignment(partial(a, b), False)
    waiting: dict[tuple, list[int]] = defaultdict(list)
    for j in range(len(b.ops) - 1, -1, -1):
        waiting[_key(b.ops[j], colour_b[j], b.ops[j].inputs)].append(j)
    pairs: dict[int, int] = {}
    for i, op in enumerate(a.ops):
        mapped = tuple(pairs[k] for k in op.inputs)
        found = waiting.get(_key(op, colour_a[i], mapped))
        if not found:
            rivals = [b.ops[j].layer for j, c in enumerate(colour_b) if c == colour_a[i]]
            raise Ambiguous(f"{op.layer!r} could be any of {', '.join(rivals)}")
        pairs[i] = found.pop()
    problem = verify(a, b, pairs)
    if problem:
        raise Ambiguous(problem)
    return Alignment(pairs, True)


def _key(op: Op, colour: int, inputs: tuple[int, ...]) -> tuple:
    return (colour, tuple(sorted(inputs)) if op.commutes else inputs)


def verify(a: Graph, b: Graph, pairs: Mapping[int, int]) -> str | None:
    """Why `pairs` is not an isomorphism of the graphs, or None if it is one.

    Every op is paired once, paired ops compute the same, edges go to edges in order (in
    any order where the op commutes), outputs to outputs, shared weights to shared weights.
    """
    if len(pairs) != len(a.ops) or set(pairs.values()) != set(range(len(b.ops))):
        return "some ops are not paired"
    shared: dict[tuple, tuple] = {}
    for i, j in pairs.items():
        op, other = a.ops[i], b.ops[j]
        if op.signature != other.signature:
            return f"{op.layer!r} and {other.layer!r} do not compute the same"
        mapped = [pairs[k] for k in op.inputs]
        inputs = list(other.inputs)
        if op.commutes:
            mapped, inputs = sorted(mapped), sorted(inputs)
        if mapped != inputs:
            return f"{op.layer!r} and {other.layer!r} read different ops"
        for mine, theirs in zip(op.weights, other.weights, strict=True):
            if mine.variables and theirs.variables:
                known = shared.setdefault(mine.variables, theirs.variables)
                if known != theirs.variables:
                    return f"{op.layer!r} and {other.layer!r} share weights differently"
    if len(set(shared.values())) != len(shared):
        return "weights that are shared on one side are not on the other"
    if [pairs[i] for i in a.outputs] != list(b.outputs):
        return "the outputs are in another order"
    return None


def partial(a: Graph, b: Graph) -> dict[int, int]:
    """Pairs for graphs that differ: seeds by colour, extended along the edges.

    From each pair its neighbours are paired, first those that compute the same, then
    those of one kind; an op that only one side has is stepped over.
    """
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for i, j in zip(a.inputs, b.inputs, strict=False):
        pairs[i] = j
        taken.add(j)
    queue = list(pairs.items())
    while queue:
        i, j = queue.pop(0)
        for reach in (1, 2, 3):
            for same in (True, False):
                for k in _after(a, i, reach):
                    if k in pairs:
                        continue
                    for m in _after(b, j, reach if same else 1):
                        if m not in taken and _alike(a, k, b, m, pairs, same):
                            pairs[k] = m
                            taken.add(m)
                            queue.append((k, m))
                            break
    return pairs


def _after(graph: Graph, index: int, reach: int) -> list[int]:
    """Ops up to `reach` steps downstream, nearest first."""
    found = [index]
    frontier = [index]
    for _ in range(reach):
        frontier = [k for i in frontier for k in graph.consumers[i] if k not in found]
        found.extend(dict.fromkeys(frontier))
    return found[1:]


def _alike(
    a: Graph, i: int, b: Graph, j: int, pairs: Mapping[int, int], same: bool
) -> bool:
    op, other = a.ops[i], b.ops[j]
    if same and op.signature != other.signature:
        return False
    if op.kind != other.kind or len(op.inputs) != len(other.inputs):
        return False
    # What is paired upstream must not contradict the pairing.
    return all(pairs[k] in other.inputs for k in op.inputs if k in pairs)
