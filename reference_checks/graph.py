"""The op graph: one representation for every model.

A `Graph` is an immutable DAG of neural-network operations in topological order, with
explicit semantics ("same" padding is resolved to numbers), weights as leaves, a shape on
every op and the layer it came from.  Everything else works on it.

The kinds of op are a closed set, `KINDS`.  An operation outside it is an error that names
the layer: a measurement that leaves something out silently is worse than none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from reference_checks.errors import InputError

KINDS = frozenset(
    {
        "input",  # a tensor from outside
        "conv",  # kernel (kh, kw, in / groups, out); depthwise: groups = in
        "dense",  # kernel (in, out), on the last axis
        "batch_norm",  # gamma, beta, mean, variance over the last axis
        "layer_norm",  # gamma, beta, both shaped as `axes`, counted from the end: (-1,)
        "activation",  # elementwise, or softmax over an axis; no weights
        "pool",  # max or average over a window; the padding never counts
        "mean",  # over axes
        "sum",  # over axes
        "pad",
        "slice",
        "take",  # picks indices along an axis
        "reshape",
        "transpose",
        "concat",
        "add",
        "multiply",
        "scale",  # by constants or by a weight
        "shift",  # by constants or by a weight
        "power",
        "lrn",  # local response normalisation over channels
        "dropout",  # acts in training only
        "identity",
    }
)

Values = Mapping[int, np.ndarray]
"""Values of a model's variables by their index in `Graph.variables`."""


class GraphError(InputError, ValueError):
    """A model that the graph cannot represent; the message names the layer."""


@dataclass(frozen=True)
class Variable:
    """A stored weight of a model: what a file holds and an optimiser updates."""

    name: str
    shape: tuple[int, ...]
    trainable: bool

    @property
    def size(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class Weight:
    """A weight of an op: how it is read from the variables, and written back.

    Straight from an importer it is one variable, perhaps reshaped.  A rewrite that changes
    weights replaces `read` and `write` by its adapter; `variables` are all that it reads,
    and `taken` says of those that it took from elsewhere which rewrite did.
    """

    role: str
    shape: tuple[int, ...]
    variables: tuple[int, ...] = ()
    read: Callable[[Values], np.ndarray] = field(default=None, compare=False)
    write: Callable[[np.ndarray], dict[int, np.ndarray]] = field(
        default=None, compare=False
    )
    taken: Mapping[int, str] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, role: str, index: int, variable: Variable, shape=None) -> Weight:
        """The variable itself, seen in `shape` (C order)."""
        shape = variable.shape if shape is None else tuple(shape)
        return cls(
            role,
            shape,
            (index,),
            lambda values: np.reshape(values[index], shape),
            lambda value: {index: np.reshape(value, variable.shape)},
        )


@dataclass(frozen=True)
class Absorbed:
    """Something that a rewrite took out of an op, so that it can be compared and counted.

    `layer` is the layer that had it, or lacked it.
    """

    rewrite: str
    attribute: str
    value: Any
    params: int = 0
    layer: str = field(default="", compare=False)


@dataclass(frozen=True)
class Op:
    """An operation: `inputs` are indices of earlier ops, `shape` is without the batch."""

    kind: str
    inputs: tuple[int, ...]
    shape: tuple[int | None, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[Weight, ...] = ()
    layer: str = ""
    tensor: int | None = None  # index of the model's own tensor that holds the output
    absorbed: tuple[Absorbed, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise GraphError(f"layer {self.layer!r}: unknown operation {self.kind!r}")

    def weight(self, role: str) -> Weight | None:
        for weight in self.weights:  # asked so often that a generator shows
            if weight.role == role:
                return weight
        return None

    def but(self, **changes: Any) -> Op:
        """A copy with changes; `attrs` are merged, `weights` replaced by role."""
        if "attrs" in changes:
            changes["attrs"] = {**self.attrs, **changes["attrs"]}
        return replace(self, **changes)

    def reading(self, inputs: tuple[int, ...]) -> Op:
        """The op on other inputs; itself, where they are the same."""
        return self if inputs == self.inputs else replace(self, inputs=inputs)

    @cached_property
    def signature(self) -> tuple:
        """What the op computes, without names, weights' values or batch."""
        shape = self.shape if self.kind in ("input", "reshape") else None
        attrs = tuple(sorted(self.attrs.items()))
        weights = tuple((w.role, w.shape) for w in self.weights)
        return (self.kind, attrs, weights, shape)

    @property
    def commutes(self) -> bool:
        """Whether the order of its inputs is without meaning."""
        return self.kind in ("add", "multiply")


@dataclass(frozen=True)
class Graph:
    """Ops in topological order, the indices of the outputs, and the model's variables.

    `rewritten` names the rewrites that have changed it.
    """

    ops: tuple[Op, ...]
    outputs: tuple[int, ...]
    variables: tuple[Variable, ...] = ()
    name: str = ""
    tensors: tuple[Any, ...] = field(default=(), compare=False, repr=False)
    rewritten: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def consumers(self) -> tuple[tuple[int, ...], ...]:
        """For each op the ops that read it, once for each time they do."""
        users: list[list[int]] = [[] for _ in self.ops]
        for index, op in enumerate(self.ops):
            for source in op.inputs:
                users[source].append(index)
        return tuple(map(tuple, users))

    @property
    def inputs(self) -> tuple[int, ...]:
        return tuple(i for i, op in enumerate(self.ops) if op.kind == "input")

    def in_shape(self, op: Op, position: int = 0) -> tuple[int | None, ...]:
        return self.ops[op.inputs[position]].shape

    def row_of(self, rows: Iterable[str]) -> tuple[str | None, ...]:
        """For each op the row whose name is the longest prefix of its layer's name.

        Operations without a name of their own belong to the row that reads them.
        """
        names = sorted(rows, key=len, reverse=True)
        cache: dict[str, str | None] = {}

        def find(layer: str) -> str | None:
            for name in names:
                if layer == name or layer.startswith((name + "_", name + "/")):
                    return name
            return None

        found: list[str | None] = [None] * len(self.ops)
        for index in range(len(self.ops) - 1, -1, -1):
            op = self.ops[index]
            if op.layer not in cache:
                cache[op.layer] = find(op.layer)
            found[index] = cache[op.layer]
            if found[index] is None and op.inputs and self.consumers[index]:
                found[index] = found[self.consumers[index][0]]
        return tuple(found)


def topological(
    outputs: Sequence[int], inputs: Callable[[int], Sequence[int]]
) -> list[int]:
    """The ops that the outputs need, each after its inputs, branch after branch."""
    order: list[int] = []
    done: set[int] = set()
    stack = [(index, False) for index in reversed(outputs)]
    while stack:
        index, ready = stack.pop()
        if index in done:
            continue
        if ready:
            done.add(index)
            order.append(index)
            continue
        stack.append((index, True))
        stack.extend((i, False) for i in reversed(inputs(index)) if i not in done)
    return order


def tidy(ops: Mapping[int, Op], outputs: Iterable[int], of: Graph) -> Graph:
    """`of` with the ops that the outputs need, renumbered in topological order.

    `ops` may hold anything under any number, in any order: a rewrite only says what it
    replaces.
    """
    outputs = tuple(outputs)
    order = topological(outputs, lambda i: ops[i].inputs)
    number = {old: new for new, old in enumerate(order)}
    return replace(
        of,
        ops=tuple(
            ops[i].reading(tuple(number[j] for j in ops[i].inputs)) for i in order
        ),
        outputs=tuple(number[i] for i in outputs),
    )
