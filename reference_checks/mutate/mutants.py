"""Mutants of a graph: seeded sites for each class, and the same change in another graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

from reference_checks.graph import Graph
from reference_checks.mutate import MUTATIONS
from reference_checks.mutate.draft import Draft, Invalid, Made
from reference_checks.rewrites.normalisation import after_prefix


@dataclass(frozen=True)
class Site:
    """Where a class of mutations is applied: the nth op of a kind in a layer."""

    mutation: str
    layer: str
    kind: str
    nth: int = 0


@dataclass(frozen=True)
class Mutant:
    """A mutated graph; `touched` are ops of the graph it was made of, `new` its own.

    `graph` is consistent: channels, sizes and weights follow from the change.
    """

    site: Site
    made: Made
    touched: tuple[int, ...]
    new: tuple[str, ...]

    @property
    def graph(self) -> Graph:
        return self.made.graph


def mutants(graph: Graph, mutation: str, sites: int, seed: int) -> Iterator[Mutant]:
    """Up to so many mutants of a class, at sites drawn from all where it applies."""
    order = list(range(len(graph.ops)))
    Random(f"{seed} {mutation}").shuffle(order)
    yield from islice(mutants_at(graph, mutation, order), sites)


def mutants_at(graph: Graph, mutation: str, ops: Iterable[int]) -> Iterator[Mutant]:
    """The mutants of a class at these ops, where it applies."""
    found = (_mutant(graph, mutation, index) for index in ops)
    return (mutant for mutant in found if mutant is not None)


def again(graph: Graph, site: Site) -> Mutant | None:
    """The same change in another graph, or None where it has no such place."""
    number = 0
    for index, op in enumerate(graph.ops):
        if (op.layer, op.kind) == (site.layer, site.kind):
            if number == site.nth:
                return _mutant(graph, site.mutation, index)
            number += 1
    return None


def mutate(graph: Graph, site: Site) -> Graph:
    """The same change in another graph; the graph itself, where it has no such place."""
    found = again(graph, site)
    return graph if found is None else found.graph


def _mutant(graph: Graph, mutation: str, index: int) -> Mutant | None:
    draft = Draft(graph)
    touched = MUTATIONS[mutation].edit(draft, index)
    if touched is None:
        return None
    try:
        made = draft.make()
    except Invalid:
        return None
    op = graph.ops[index]
    same = [o for o in graph.ops[:index] if (o.layer, o.kind) == (op.layer, op.kind)]
    site = Site(mutation, op.layer, op.kind, len(same))
    old = tuple(i for i in touched if i < len(graph.ops))
    new = tuple(draft.ops[i].layer for i in touched if i >= len(graph.ops))
    return Mutant(site, made, old, new)


def names(graph: Graph, touched: Iterable[int], known: frozenset[str]) -> set[str]:
    """The layers of ops, and of what they are absorbed by, where they are (padding).

    What scales and shifts the input is one preprocessing, whichever constant changed.
    """
    prefix = _prefix(graph)
    found: set[str] = set()
    for index in touched:
        if index in prefix:
            found |= {graph.ops[i].layer for i in prefix}
        found |= {graph.ops[index].layer} | _nearest(graph, index, known)
    return found


def _prefix(graph: Graph) -> list[int]:
    """The input, and what scales and shifts it before anything else reads it."""
    index = after_prefix(graph)
    found = [index]
    while graph.ops[index].inputs:
        (index,) = graph.ops[index].inputs
        found.append(index)
    return found


def _nearest(graph: Graph, index: int, known: frozenset[str]) -> set[str]:
    op = graph.ops[index]
    if op.layer in known:
        return {op.layer}
    found: set[str] = set()
    for neighbours, back in ((graph.consumers[index], False), (op.inputs, True)):
        for near in neighbours:
            while near is not None and graph.ops[near].layer not in known:
                further = graph.ops[near].inputs if back else graph.consumers[near]
                near = further[0] if further else None
            found |= set() if near is None else {graph.ops[near].layer}
    return found
