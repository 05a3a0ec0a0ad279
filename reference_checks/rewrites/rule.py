"""What a rewrite rule is, and how one is applied to a graph.

A rule sees one op and answers with replacements: a new op, or the number of the op that
takes its place.  A new op that replaces none stands under `~index` of the op that needs
it.  Ops that nothing needs any more are dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from reference_checks.graph import Absorbed, Graph, Op, Weight, tidy

Replacements = dict[int, Op | int]
Rule = Callable[[Graph, int, Op], Replacements | None]


def sweep(graph: Graph, rule: Rule) -> Graph:
    """The rule applied once, wherever it applies without touching an op twice."""
    replaced: Replacements = {}
    for index, op in enumerate(graph.ops):
        if index in replaced or any(i in replaced for i in op.inputs):
            continue
        found = rule(graph, index, op)
        if found and not any(i in replaced for i in found):
            replaced |= found
    if not replaced:
        return graph

    def final(index: int) -> int:
        while isinstance(replaced.get(index), int):
            index = replaced[index]
        return index

    ops = {}
    for index, op in [*enumerate(graph.ops), *replaced.items()]:
        new = replaced.get(index, op)
        if isinstance(new, Op):
            ops[index] = new.reading(tuple(map(final, new.inputs)))
    return tidy(ops, map(final, graph.outputs), graph)


def alone(graph: Graph, index: int) -> bool:
    """Whether one op reads this one, once, and nothing outside the graph does."""
    return len(graph.consumers[index]) == 1 and index not in graph.outputs


def shared(graph: Graph, *weights: Weight) -> bool:
    """Whether another op reads a variable of these weights: its value is not theirs alone."""
    known = vars(graph)  # where cached_property, too, keeps what it has computed
    if "readers" not in known:
        known["readers"] = Counter(
            i for op in graph.ops for i in {i for w in op.weights for i in w.variables}
        )
    return any(known["readers"][i] > 1 for w in weights for i in w.variables)


def together(notes: Iterable[Absorbed]) -> tuple[Absorbed, ...]:
    """Notes of ops that become one: what says the same is said once, costs added."""
    totals: Counter[tuple] = Counter()
    first: dict[tuple, str] = {}
    for note in notes:
        key = note.rewrite, note.attribute, note.value
        totals[key] += note.params
        first.setdefault(key, note.layer)
    return tuple(Absorbed(*key, params, first[key]) for key, params in totals.items())
