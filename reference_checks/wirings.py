"""Cells that are not series and parallel, read back from the op graph.

A searched cell reads what left the two cells before it, and its blocks read each other.
It is what lies between its concatenation and the nearest one or two tensors that everything
in it starts from: the nearest minimum vertex cut (Menger 1927), found with augmenting paths
(Ford and Fulkerson 1956), whatever order the ops are in.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator
from itertools import count
from string import ascii_lowercase

from reference_checks.graph import Graph
from reference_checks.notation import Path, Step, Sum, Wiring, render

Read = Callable[[int], Step | None]


def wiring(
    graph: Graph, end: int, inside: Collection[int], step: Read
) -> tuple[Wiring, int] | None:
    """The concatenation `end` as named sums, and the op that enters; None if it is not one.

    `step` reads an op as a step.  Of two tensors that enter, the deeper one is `h`.
    """
    sums = _sums(graph, inside)
    cut = nearest_cut(graph, end, inside, sums)
    if cut is None:
        return None
    cell = _Cell(graph, end, cut, step)
    if cell.foreign and len(cut) == 1:
        # All cells start from one tensor; what enters this one comes after it.
        inside = {*inside} - {*cut}
        starts = {i for i in range(end) if i not in inside or not graph.ops[i].inputs}
        cut = nearest_cut(graph, end, inside, sums | starts)
        if cut is None:
            return None
        cell = _Cell(graph, end, cut, step)
    if cell.foreign or not cell.fits(inside):
        return None
    first, *second = cell.entering
    if second and cell.readers[second[0]] == 1:
        # One path starts from it: what fits it and what the cell does are not to be told apart.
        cell = _Cell(graph, end, [first, _back(graph, second[0], inside)], step, first)
    return cell.wiring(), first


def _back(graph: Graph, index: int, inside: Collection[int]) -> int:
    """The tensor that a chain of ops up to this one starts from."""
    while index in inside and len(graph.ops[index].inputs) == 1:
        (index,) = graph.ops[index].inputs
    return index


def _sums(graph: Graph, inside: Collection[int]) -> set[int]:
    """Sums, and what is made of one alone: these are of a cell and do not enter it."""
    found: set[int] = set()
    for index in sorted(inside):
        inputs = graph.ops[index].inputs
        alone = len(inputs) == 1 and inputs[0] in found
        if alone or (graph.ops[index].kind == "add" and len(inputs) > 1):
            found.add(index)
    return found


def nearest_cut(
    graph: Graph,
    end: int,
    inside: Collection[int],
    uncut: Collection[int] = (),
    most: int = 2,
) -> list[int] | None:
    """The fewest ops that all ways to `end` pass, nearest to it; None if more than `most`.

    Ways start outside of `inside`, or where nothing is read; `uncut` are not in the cut.
    """
    passed: set[int] = set()  # ops that a way goes through
    readers: dict[int, set[int]] = defaultdict(set)  # by which op a way leaves one

    def start(index: int) -> bool:
        return index not in inside or not graph.ops[index].inputs

    def onwards(index: int, below: bool) -> Iterator[tuple[int, bool]]:
        """Where the search can go on: `below` an op, its inputs can be reached."""
        if below:
            yield from ((source, False) for source in graph.ops[index].inputs)
            if index in passed:
                yield index, False
        else:
            if index not in passed or index in uncut:
                yield index, True
            yield from ((reader, True) for reader in readers[index])

    for found in count():
        came: dict[tuple[int, bool], tuple[int, bool] | None] = {(end, True): None}
        waiting = deque(came)
        last = None
        while waiting and last is None:
            at = waiting.popleft()
            for then in onwards(*at):
                if then in came:
                    continue
                came[then] = at
                waiting.append(then)
                if then[1] and start(then[0]):
                    last = then
                    break
        if last is None:
            return sorted(
                i for i in passed if (i, False) in came and (i, True) not in came
            )
        if found == most:
            return None
        while (before := came[last]) is not None:
            (here, below), (there, was_below) = last, before
            if here == there:
                (passed.add if below else passed.discard)(here)
            elif was_below:
                readers[here].add(there)
            else:
                readers[there].discard(here)
            last = before
    raise AssertionError


class _Cell:
    """The ops between a concatenation and its cut, and which of them have names."""

    def __init__(
        self,
        graph: Graph,
        end: int,
        cut: list[int],
        step: Read,
        first: int | None = None,
    ) -> None:
        self.graph, self.end, self.step = graph, end, step
        depth = _depths(graph)
        self.entering = sorted(cut, key=lambda i: (i != first, -depth[i], i))
        self.readers = readers = {end: 0}
        waiting = [end]
        while waiting:
            for source in graph.ops[waiting.pop()].inputs:
                if source not in readers and source not in cut:
                    waiting.append(source)
                readers[source] = readers.get(source, 0) + 1
        merges = {i for i in readers if len(graph.ops[i].inputs) > 1} - {end, *cut}
        self.foreign = any(graph.ops[i].kind != "add" for i in merges)
        forks = {i for i, number in readers.items() if number > 1}
        self.named = (merges | forks | {*graph.ops[end].inputs}) - {*cut}
        # What takes no step of the notation, such as padding, is the tensor that it reads.
        for index in sorted(self.named - merges):
            if not self.path(index, index)[1]:
                self.named.discard(index)
        self.texts: dict[int, tuple] = {}

    def fits(self, inside: Collection[int]) -> bool:
        """Whether what enters second is an earlier tensor, at most made to fit."""
        first, *second = self.entering
        behind = _behind(self.graph, first, inside, set())
        fit = set().union(
            *(_behind(self.graph, i, inside, behind) for i in second if i in inside)
        )
        return not any(self.graph.ops[i].kind == "add" for i in fit)

    def wiring(self) -> Wiring:
        """Sums in an order, and under names, that follow from the structure alone."""
        names = dict(zip(self.entering, ("h", "g")))
        letters = (
            letter + (str(turn) if turn else "")
            for turn in count()
            for letter in ascii_lowercase.replace("g", "").replace("h", "")
        )
        sums: list[Sum] = []

        def name(index: int) -> str:
            if index not in names:
                paths = [(name(i), items) for i, items in self.paths(index)]
                names[index] = next(letters)
                sums.append(Sum(names[index], tuple(Path(*path) for path in paths)))
            return names[index]

        concat = tuple(name(self.path(i)[0]) for i in self.graph.ops[self.end].inputs)
        return Wiring(tuple(sums), concat)

    def paths(self, index: int) -> list[tuple[int, tuple[Step, ...]]]:
        """What a named op adds up: where each path starts and its steps, in a fixed order."""
        op = self.graph.ops[index]
        ends = op.inputs if len(op.inputs) > 1 else (index,)
        return sorted((self.path(end, index) for end in ends), key=self.text)

    def path(self, at: int, of: int | None = None) -> tuple[int, tuple[Step, ...]]:
        """The named or entering op at or before `at`, though not `of`, and the steps from it."""
        steps: list[Step] = []
        while at == of or not (at in self.named or at in self.entering):
            steps.append(self.step(at))
            (at,) = self.graph.ops[at].inputs
        return at, tuple(step for step in reversed(steps) if step)

    def text(self, path: tuple[int, tuple[Step, ...]]) -> tuple:
        """A key by which paths sort in the same way in every graph that computes the same."""
        source, items = path
        if source in self.entering:
            return (render(items, activations=True), self.entering.index(source))
        if source not in self.texts:
            self.texts[source] = tuple(self.text(path) for path in self.paths(source))
        return (render(items, activations=True), 2, self.texts[source])


def _behind(
    graph: Graph, index: int, inside: Collection[int], known: set[int]
) -> set[int]:
    """The op and all inside that it needs, without what is known."""
    found: set[int] = set()
    waiting = [index]
    while waiting:
        at = waiting.pop()
        if at in inside and at not in known and at not in found:
            found.add(at)
            waiting.extend(graph.ops[at].inputs)
    return found


def _depths(graph: Graph) -> list[int]:
    """Ops on the longest way from an input to each op."""
    depth: list[int] = []
    for op in graph.ops:
        depth.append(1 + max((depth[i] for i in op.inputs), default=0))
    return depth
