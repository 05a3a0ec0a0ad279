"""What is around aligned ops: what they read and share, differently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from reference_checks.graph import Graph


@dataclass(frozen=True)
class Edges:
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
        elif not (unpaired_a or unpaired_b or mapped == theirs):
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
