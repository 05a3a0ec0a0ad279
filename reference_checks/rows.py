"""Rows of a layer table, read back from the op graph.

A row is the part of the graph whose layers carry its name.  Read backwards from its last
op, it decomposes into sequences, residual additions, concatenated branches and, where
branches share more than what enters, wirings (`wirings`), in the
notation of the printed tables, so that measured and printed cells can be compared and
shown side by side.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from reference_checks.graph import Graph, Op
from reference_checks.notation import Block, Branches, Item, Residual, Step, Wiring
from reference_checks.wirings import wiring

WORDS = {"silu": "swish", "hard_silu": "hard-swish"}


@dataclass(frozen=True)
class Row:
    """What a row of the graph does: sizes as (height, width, channels), steps, op numbers."""

    entering: tuple[int | None, ...]
    leaving: tuple[int | None, ...]
    items: tuple[Item, ...]
    ops: tuple[int, ...]


def read(graph: Graph, rows: Sequence[str | None]) -> dict[str, Row]:
    """Each row of the graph; `rows` says, op by op, to which row it belongs."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        if row is not None:
            members[row].append(index)
    found = {}
    for row, ops in members.items():
        inside = frozenset(ops)
        first = next((i for i in ops if graph.ops[i].inputs), ops[0])
        entering = graph.in_shape(graph.ops[first]) if graph.ops[first].inputs else ()
        items = _repeated(_sequence(graph, ops[-1], inside, None))
        found[row] = Row(entering, graph.ops[ops[-1]].shape, items, tuple(ops))
    return found


def _sequence(
    graph: Graph, end: int, inside: frozenset[int], stop: int | None
) -> tuple[Item, ...]:
    """The items from (not including) `stop`, or the row's entry, to `end`."""
    items: list[Item] = []
    at: int | None = end
    while at is not None and at in inside and at != stop:
        op = graph.ops[at]
        if len(set(op.inputs)) > 1:
            fork = _fork(graph, op.inputs)
            if op.kind == "concat" and _entangled(graph, op.inputs, inside, fork):
                found = wiring(
                    graph, at, inside, lambda i: _step(graph, i, graph.ops[i])
                )
                if found is not None:
                    item, at = found
                    items.append(item)
                    continue
            branches = [_sequence(graph, i, inside, fork) for i in op.inputs]
            gate = _squeeze_excite(branches) if op.kind == "multiply" else None
            # A concatenation with its own input is a shortcut too (DenseNet).
            if gate is not None:
                items.append(gate)
            elif op.kind == "concat" and all(branches):
                items.append(_branches(graph, op.inputs, inside, fork))
            else:
                *others, main = sorted(branches, key=_steps)
                items.append(Residual(main, tuple(s for b in others for s in b)))
            at = fork
            continue
        step = _step(graph, at, op)
        if step is not None:
            items.append(step)
        at = op.inputs[0] if op.inputs else None
    return tuple(reversed(items))


def _branches(
    graph: Graph, ends: Sequence[int], inside: frozenset[int], fork: int | None
) -> Branches:
    """The concatenated branches; neighbours that part later are branches within one."""
    branches = []
    for group in _groups(graph, ends, inside, fork):
        parting = _fork(graph, group)
        items = _sequence(graph, parting, inside, fork)
        if len(group) > 1:
            items = (*items, _branches(graph, group, inside, parting))
        branches.append(items)
    return Branches(tuple(branches))


def _groups(
    graph: Graph, ends: Sequence[int], inside: frozenset[int], fork: int | None
) -> list[list[int]]:
    """The ends of branches, with neighbours that part later than at the fork together."""
    groups: list[list[int]] = []
    for end in ends:
        parting = _fork(graph, (groups[-1][0], end)) if groups else None
        if parting in inside and parting not in (fork, groups[-1][0], end):
            groups[-1].append(end)
        else:
            groups.append([end])
    return groups


def _entangled(
    graph: Graph, ends: Sequence[int], inside: frozenset[int], fork: int | None
) -> bool:
    """Whether branches have an op in common after the fork."""
    seen: set[int] = set()
    for group in _groups(graph, ends, inside, fork):
        branch: set[int] = set()
        waiting = [i for i in group if i in inside and i != fork]
        while waiting:
            index = waiting.pop()
            if index in seen:
                return True
            branch.add(index)
            waiting.extend(
                i
                for i in graph.ops[index].inputs
                if i in inside and i != fork and i not in branch
            )
        seen |= branch
    return False


def _repeated(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """The items with equal cells that follow each other as one block."""
    cells: list[tuple[Item, ...]] = []
    start = 0
    for number, item in enumerate(items, 1):
        if isinstance(item, Wiring):
            cells.append(items[start:number])
            start = number
    blocks: list[Item] = []
    for cell, run in groupby(cells):
        times = len(list(run))
        blocks.extend([Block(cell, times)] if times > 1 else cell)
    return (*blocks, *items[start:])


def _steps(items: tuple[Item, ...]) -> int:
    return sum(
        _steps(item.main) if isinstance(item, Residual) else 1
        for item in items
        # An unweighted step (option A's sub-sampling) is no main path.
        if not (isinstance(item, Step) and item.units is None and len(items) == 1)
    )


def _squeeze_excite(branches: Sequence[tuple[Item, ...]]) -> Step | None:
    """A map times what two layers make of its means, one step (Hu et al. 2018)."""
    match sorted(branches, key=len):
        case (), (
            Step("average pool", None),
            Step("conv" | "dense", units=squeeze),
            Step("conv" | "dense"),
        ):
            return Step("squeeze-excite", squeeze=squeeze)
    return None


def _fork(graph: Graph, ends: Sequence[int]) -> int | None:
    """The nearest op through which every path to the ends goes; a single end itself."""
    heap = [-i for i in set(ends)]
    heapq.heapify(heap)
    waiting = set(ends)
    while len(heap) > 1:
        index = -heapq.heappop(heap)
        for source in graph.ops[index].inputs:
            if source not in waiting:
                waiting.add(source)
                heapq.heappush(heap, -source)
        if not graph.ops[index].inputs:
            return None
    return -heap[0]


def _step(graph: Graph, index: int, op: Op) -> Step | None:
    """The op as a step of the notation; None if layer tables do not list its kind."""
    match op.kind:
        case "conv":
            height, width, _, filters = op.weight("kernel").shape
            groups = op.attrs["groups"]
            depthwise = 1 < groups == graph.in_shape(op)[-1]
            return Step(
                "depthwise" if depthwise else "conv",
                kernel=(height, width),
                units=None if depthwise and groups == filters else filters,
                stride=_stride(op),
                groups=None if depthwise or groups == 1 else groups,
                activation=_activation(graph, index),
            )
        case "dense":
            return Step(
                "dense", units=op.shape[-1], activation=_activation(graph, index)
            )
        case "pool":
            kernel, stride = op.attrs["window"], _stride(op)
            if _trainable(graph, index):
                after = _activation(graph, index)
                return Step(
                    "sub-sampling", kernel=kernel, stride=stride, activation=after
                )
            return Step(f"{op.attrs['mode']} pool", kernel=kernel, stride=stride)
        case "mean":
            return Step("average pool")
        case "lrn":
            return Step("lrn")
        case "activation" if op.attrs["function"] == "softmax":
            return Step("softmax")
        case "take":
            return Step("maps", maps=op.attrs["indices"])
        case "shift" if op.weights and len(op.weights[0].shape) == 2:
            return Step("rbf", units=op.weights[0].shape[0])
    return None


def _stride(op: Op) -> int | str:
    """One number, or both where they differ, which is no stride that a table prints."""
    height, width = op.attrs["strides"]
    return height if height == width else f"{height}x{width}"


def _downstream(graph: Graph, index: int):
    """The ops after this one, as long as each has a single reader."""
    while len(graph.consumers[index]) == 1:
        index = graph.consumers[index][0]
        yield graph.ops[index]


def _activation(graph: Graph, index: int) -> str:
    """The activation that the op's output goes through, or "linear"."""
    for op in _downstream(graph, index):
        if op.kind == "activation":
            name = op.attrs["function"]
            return "linear" if name == "softmax" else WORDS.get(name, name)
        if op.kind not in ("batch_norm", "layer_norm", "scale", "shift"):
            break
    return "linear"


def _trainable(graph: Graph, index: int) -> bool:
    """Whether the pooled sums are scaled and shifted by weights (LeCun et al. 1998)."""
    weighted = 0
    for op in _downstream(graph, index):
        if op.kind not in ("scale", "shift"):
            break
        weighted += bool(op.weights)
    return weighted == 2
