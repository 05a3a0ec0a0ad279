"""Mutations of weights: what structure cannot see, because the network is the right one.

Each is a transfer that went wrong: the shapes fit, and the values stand elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

import numpy as np

from reference_checks.graph import Graph, Op

Values = dict[int, np.ndarray]
Change = Callable[[Graph, int, Values], Values | None]
"""Other values of some variables, for an op; None where it does not apply."""


@dataclass(frozen=True)
class Misplaced:
    """Weights that a transfer put in the wrong place: what changed, and in which layers."""

    mutation: str
    layers: tuple[str, ...]
    values: Values


def _value(graph: Graph, index: int, role: str, values: Values) -> np.ndarray | None:
    weight = graph.ops[index].weight(role)
    return None if weight is None else weight.read(values)


def _written(graph: Graph, index: int, **roles: np.ndarray) -> Values:
    op: Op = graph.ops[index]
    return {
        k: v for role, x in roles.items() for k, v in op.weight(role).write(x).items()
    }


def _twin(graph: Graph, index: int) -> int | None:
    """The nearest earlier op of the same kind with weights of the same shapes."""
    op = graph.ops[index]
    shapes = [(w.role, w.shape) for w in op.weights]
    for other in range(index - 1, -1, -1):
        found = graph.ops[other]
        if found.kind == op.kind and shapes == [(w.role, w.shape) for w in found.weights]:  # fmt: skip
            return other
    return None


def _zipped(kinds: tuple[str, ...]) -> Change:
    def change(graph: Graph, index: int, values: Values) -> Values | None:
        op = graph.ops[index]
        other = _twin(graph, index) if op.kind in kinds else None
        if other is None:
            return None
        mine = {w.role: w.read(values) for w in op.weights}
        theirs = {w.role: w.read(values) for w in graph.ops[other].weights}
        return _written(graph, index, **theirs) | _written(graph, other, **mine)

    return change


def _exchanged(one: str, other: str) -> Change:
    def change(graph: Graph, index: int, values: Values) -> Values | None:
        first = _value(graph, index, one, values)
        second = _value(graph, index, other, values)
        if first is None or second is None:
            return None
        return _written(graph, index, **{one: second, other: first})

    return change


def _kernel(turn: Callable[[np.ndarray], np.ndarray | None]) -> Change:
    def change(graph: Graph, index: int, values: Values) -> Values | None:
        kernel = _value(graph, index, "kernel", values)
        turned = None if kernel is None else turn(kernel)
        if turned is None or turned.shape != kernel.shape:
            return None
        return _written(graph, index, kernel=turned)

    return change


def _turned_window(kernel: np.ndarray) -> np.ndarray | None:
    square = kernel.ndim == 4 and kernel.shape[0] == kernel.shape[1] > 1
    return kernel.swapaxes(0, 1) if square else None


def _turned_channels(kernel: np.ndarray) -> np.ndarray | None:
    return kernel.swapaxes(-1, -2) if kernel.shape[-1] == kernel.shape[-2] else None


def _colours_reversed(graph: Graph, index: int, values: Values) -> Values | None:
    kernel = _value(graph, index, "kernel", values)
    if kernel is None or kernel.ndim != 4 or kernel.shape[2] != 3:
        return None
    return _written(graph, index, kernel=kernel[:, :, ::-1])


def _flattened(graph: Graph, index: int, values: Values) -> Values | None:
    op = graph.ops[index]
    if op.kind != "dense" or graph.ops[op.inputs[0]].kind != "reshape":
        return None
    shape = graph.in_shape(graph.ops[op.inputs[0]])
    if len(shape) != 3 or shape[:2] == (1, 1):
        return None
    kernel = _value(graph, index, "kernel", values)
    turned = kernel.reshape(*shape, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
    return _written(graph, index, kernel=turned)


def _left(**defaults: float) -> Change:
    def change(graph: Graph, index: int, values: Values) -> Values | None:
        op = graph.ops[index]
        if any(op.weight(role) is None for role in defaults):
            return None
        filled = {r: np.full(op.weight(r).shape, x) for r, x in defaults.items()}
        return _written(graph, index, **filled)

    return change


WEIGHTS: dict[str, Change] = {
    "kernels swapped": _zipped(("conv", "dense")),
    "norms swapped": _zipped(("batch_norm",)),
    "gamma and variance swapped": _exchanged("gamma", "variance"),
    "beta and mean swapped": _exchanged("beta", "mean"),
    "kernel height and width swapped": _kernel(_turned_window),
    "kernel channels and filters swapped": _kernel(_turned_channels),
    "colours reversed": _colours_reversed,
    "flatten order of a kernel": _flattened,
    "statistics not moved": _left(mean=0.0, variance=1.0),
    "beta not moved": _left(beta=0.0),
    "bias not moved": _left(bias=0.0),
}
"""The classes that only running the network sees, by name."""


def misplaced(
    graph: Graph, mutation: str, values: Values, sites: int, seed: int
) -> Iterator[Misplaced]:
    """Up to so many sites of a class, drawn from all where it applies."""
    order = list(range(len(graph.ops)))
    Random(f"{seed} {mutation}").shuffle(order)
    for index in order:
        if sites == 0:
            return
        changed = WEIGHTS[mutation](graph, index, values)
        if changed is None:
            continue
        sites -= 1
        touched = [
            op.layer
            for op in graph.ops
            if any(i in changed for w in op.weights for i in w.variables)
        ]
        yield Misplaced(mutation, tuple(touched), {**values, **changed})
