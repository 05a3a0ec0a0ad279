"""Alignment: which op of one graph is which op of the other, by structure alone.

Colours are refined forwards and backwards over the DAG (Weisfeiler and Leman 1968), with
exact tuples interned as integers, so that equal colours are never a coincidence of
hashes.  Pairing then follows the edges, which makes it an isomorphism by construction;
`verify` states it again, independently of the colours.

Colours that tie are siblings which nothing around them tells apart.  Where they are
symmetric any pairing of them is an isomorphism, and one that is found and verified is
right: it moves weights to where they compute the same.  Where none is found, `Ambiguous`.

No names, no creation order, no table per model.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reference_checks.errors import InputError
from reference_checks.graph import Graph, Op
from reference_checks.partial import partial

__all__ = [
    "Alignment",
    "Ambiguous",
    "align",
    "colours",
    "isomorphism",
    "partial",
    "verify",
]

Colours = list[list[int]]


class Ambiguous(InputError, ValueError):
    """Ops that refinement cannot tell apart and that are not symmetric either."""


@dataclass(frozen=True)
class Alignment:
    """Pairs of op numbers; `isomorphic` when every op of both graphs is in one, verified."""

    pairs: Mapping[int, int]
    isomorphic: bool


def colours(*graphs: Graph, start: Sequence[Sequence[int]] | None = None) -> Colours:
    """A colour for each op, comparable between the graphs; linear in their size.

    Two ops have one colour if no refinement of what flows into them and out of them, and
    of what shares their weights, tells them apart.  `start` are colours to refine.
    """
    number: dict[tuple, int] = {}

    def intern(key: tuple) -> int:
        return number.setdefault(key, len(number))

    if start is None:
        result = [[intern(op.signature) for op in graph.ops] for graph in graphs]
    else:
        result = [[intern((colour,)) for colour in given] for given in start]
    groups = [_sharing(graph) for graph in graphs]
    classes = 0
    while True:
        result = [
            _shared(group, _backwards(graph, _forwards(graph, colour, intern), intern), intern)
            for graph, group, colour in zip(graphs, groups, result, strict=True)
        ]  # fmt: skip
        found = len(set().union(*result))
        if found == classes:
            return result
        classes = found


def _forwards(graph: Graph, colour: list[int], intern: Callable) -> list[int]:
    new: list[int] = []
    for op, own in zip(graph.ops, colour, strict=True):
        before = [new[i] for i in op.inputs]
        new.append(intern((own, *(sorted(before) if op.commutes else before))))
    return new


def _backwards(graph: Graph, colour: list[int], intern: Callable) -> list[int]:
    new = [0] * len(colour)
    after: list[list[tuple]] = [[] for _ in colour]
    for place, index in enumerate(graph.outputs):
        after[index].append((-1, place))
    for index in range(len(colour) - 1, -1, -1):
        op = graph.ops[index]
        new[index] = intern((colour[index], *sorted(after[index])))
        for place, source in enumerate(op.inputs):
            after[source].append((new[index], 0 if op.commutes else place))
    return new


def _sharing(graph: Graph) -> list[list[tuple[int, str]]]:
    """The ops, and the roles, that read the same variables, where there are several."""
    users: dict[tuple[int, ...], list[tuple[int, str]]] = defaultdict(list)
    for index, op in enumerate(graph.ops):
        for weight in op.weights:
            if weight.variables:
                users[weight.variables].append((index, weight.role))
    return [group for group in users.values() if len(group) > 1]


def _shared(
    groups: list[list[tuple[int, str]]], colour: list[int], intern: Callable
) -> list[int]:
    if not groups:
        return colour
    new = list(colour)
    for group in groups:
        seen = tuple(sorted((role, colour[i]) for i, role in group))
        for index, role in group:
            new[index] = intern((new[index], role, seen))
    return new


def align(a: Graph, b: Graph) -> Alignment:
    """Pair the ops of two canonical graphs.

    Where the graphs are the same the pairs are an isomorphism, verified.  Where they
    differ, the parts that agree are paired (see `partial`).

    Raises:
        Ambiguous: the colours agree but no pairing keeps the edges; the message lists
            the candidates.
    """
    pairs = isomorphism(a, b)
    return Alignment(partial(a, b), False) if pairs is None else Alignment(pairs, True)


def isomorphism(a: Graph, b: Graph) -> dict[int, int] | None:
    """The pairs that make two canonical graphs one, or None if they are not.

    Raises:
        Ambiguous: as `align`.
    """
    colour_a, colour_b = colours(a, b)
    if Counter(colour_a) != Counter(colour_b):
        return None
    while True:
        for pair in (_from_inputs, _from_outputs):
            pairs = pair(a, b, colour_a, colour_b)
            problem = verify(a, b, pairs)
            if problem is None:
                return dict(sorted(pairs.items()))
        colour_a, colour_b = _individualised(a, b, colour_a, colour_b, problem)


def _individualised(
    a: Graph, b: Graph, colour_a: list[int], colour_b: list[int], problem: str
) -> Colours:
    """Colours with the first op that ties told apart, on both sides alike."""
    sizes = Counter(colour_a)
    tied = next((i for i, colour in enumerate(colour_a) if sizes[colour] > 1), None)
    if tied is None:
        raise Ambiguous(problem)
    rivals = [j for j, colour in enumerate(colour_b) if colour == colour_a[tied]]
    for rival in rivals:
        start = (list(colour_a), list(colour_b))
        start[0][tied] = start[1][rival] = -1
        refined = colours(a, b, start=start)
        if Counter(refined[0]) == Counter(refined[1]):
            return refined
    names = ", ".join(b.ops[j].layer for j in rivals)
    raise Ambiguous(f"{a.ops[tied].layer!r} could be any of {names}")


def _from_inputs(
    a: Graph, b: Graph, colour_a: list[int], colour_b: list[int]
) -> dict[int, int]:
    """Ops of one colour that read paired ops, paired in topological order."""

    def key(op: Op, colour: int, inputs: list[int]) -> tuple:
        return (colour, *(sorted(inputs) if op.commutes else inputs))

    waiting: dict[tuple, list[int]] = defaultdict(list)
    for j in range(len(b.ops) - 1, -1, -1):
        waiting[key(b.ops[j], colour_b[j], list(b.ops[j].inputs))].append(j)
    pairs: dict[int, int] = {}
    for i, op in enumerate(a.ops):
        found = waiting.get(key(op, colour_a[i], [pairs[k] for k in op.inputs]))
        if not found:
            break
        pairs[i] = found.pop()
    return pairs


def _from_outputs(
    a: Graph, b: Graph, colour_a: list[int], colour_b: list[int]
) -> dict[int, int]:
    """Ops of one colour that paired ops read, paired against topological order."""
    waiting: dict[tuple, list[int]] = defaultdict(list)
    own = range(len(b.ops))
    for j, reads in enumerate(_readings(b)):
        waiting[colour_b[j], *sorted((own[k], place) for k, place in reads)].append(j)
    pairs: dict[int, int] = {}
    readings = _readings(a)
    for i in range(len(a.ops) - 1, -1, -1):
        reads = sorted((pairs[k], place) for k, place in readings[i])
        found = waiting.get((colour_a[i], *reads))
        if not found:
            break
        pairs[i] = found.pop()
    return pairs


def _readings(graph: Graph) -> list[list[tuple[int, int]]]:
    """For each op who reads it, and as which input (0 where the order has no meaning)."""
    found: list[list[tuple[int, int]]] = [[] for _ in graph.ops]
    for index, op in enumerate(graph.ops):
        for place, source in enumerate(op.inputs):
            found[source].append((index, 0 if op.commutes else place))
    return found


def verify(a: Graph, b: Graph, pairs: Mapping[int, int]) -> str | None:
    """Why `pairs` is not an isomorphism of the graphs, or None if it is one.

    Every op is paired once, paired ops compute the same, edges go to edges in order (in
    any order where the op commutes), outputs to outputs, shared weights to shared weights.
    """
    if len(pairs) != len(a.ops) or set(pairs.values()) != set(range(len(b.ops))):
        return _unpaired(a, b, pairs)
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


def _unpaired(a: Graph, b: Graph, pairs: Mapping[int, int]) -> str:
    left = next((op.layer for i, op in enumerate(a.ops) if i not in pairs), None)
    if left is None:
        taken = set(pairs.values())
        left = next(op.layer for j, op in enumerate(b.ops) if j not in taken)
    return f"some ops are not paired: {left!r}"
