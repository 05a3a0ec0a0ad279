"""A graph under change: ops by number, edited freely, then made consistent again.

An edit says what it changes.  What follows from it (channels, sizes, the shapes of
weights) is inferred here, from the inputs to the outputs, so that a mutant is a network
that somebody could have built, or is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from reference_checks.graph import Graph, Op, Variable, Weight, topological

Shape = tuple[int | None, ...]


class Invalid(ValueError):
    """A change that leaves no network: sizes that do not fit, or that are empty."""


@dataclass(frozen=True)
class Made:
    """A consistent mutated graph, and for each of its variables the one it was (or None).

    `numbers` are the new numbers of the draft's ops that are left.
    """

    graph: Graph
    origin: tuple[int | None, ...]
    numbers: Mapping[int, int]


class Draft:
    """The ops of a graph by number; new ones get numbers of their own."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.ops: dict[int, Op] = dict(enumerate(graph.ops))
        self.outputs = list(graph.outputs)
        self.variables = list(graph.variables)

    def readers(self, index: int) -> list[int]:
        """The ops that read this one in the graph as it was, once each."""
        return list(dict.fromkeys(self.graph.consumers[index]))

    def only_reader(self, index: int) -> int | None:
        """The one op that reads this one, if it is one and it reads it once."""
        readers = self.graph.consumers[index]
        return (
            readers[0]
            if len(readers) == 1 and index not in self.graph.outputs
            else None
        )

    def change(self, index: int, **attrs: Any) -> None:
        """Other attributes of an op."""
        self.ops[index] = self.ops[index].but(attrs=attrs)

    def reshape_weight(self, index: int, role: str, shape: Iterable[int]) -> None:
        """Another shape of a weight; what else the op has follows from it."""
        op = self.ops[index]
        weights = tuple(
            _reshaped(w, tuple(shape)) if w.role == role else w for w in op.weights
        )
        self.ops[index] = replace(op, weights=weights)

    def without_weight(self, index: int, role: str) -> None:
        op = self.ops[index]
        kept = tuple(w for w in op.weights if w.role != role)
        self.ops[index] = replace(op, weights=kept)

    def weight(self, role: str, shape: Iterable[int], layer: str) -> Weight:
        """A weight of a new variable."""
        variable = Variable(f"{layer}/{role}", tuple(shape), role not in STATISTICS)
        self.variables.append(variable)
        return Weight.of(role, len(self.variables) - 1, variable)

    def add(
        self, kind: str, inputs: Iterable[int], layer: str, shape: Shape | None = None,
        weights: Iterable[Weight] = (), **attrs: Any,
    ) -> int:  # fmt: skip
        """A new op, with the shape of its first input if none is given; its number."""
        inputs = tuple(inputs)
        number = max(self.ops) + 1
        shape = self.ops[inputs[0]].shape if shape is None else shape
        self.ops[number] = Op(kind, inputs, shape, attrs, tuple(weights), layer)
        return number

    def copy(self, index: int, inputs: Iterable[int], layer: str) -> int:
        """An op again, on other inputs, with weights of its own."""
        op = self.ops[index]
        weights = [self.weight(w.role, w.shape, layer) for w in op.weights]
        number = max(self.ops) + 1
        self.ops[number] = replace(
            op, inputs=tuple(inputs), weights=tuple(weights), layer=layer, tensor=None
        )
        return number

    def read_instead(self, index: int, other: int, but: Iterable[int] = ()) -> None:
        """Whatever reads `index` reads `other`; `but` and `other` itself do not."""
        for number, op in self.ops.items():
            if number != other and number not in but and index in op.inputs:
                inputs = tuple(other if i == index else i for i in op.inputs)
                self.ops[number] = replace(op, inputs=inputs)
        self.outputs = [other if i == index else i for i in self.outputs]

    def after(self, index: int, kind: str, **more: Any) -> int:
        """A new op between `index` and whatever reads it."""
        number = self.add(kind, (index,), f"{self.ops[index].layer}_new", **more)
        self.read_instead(index, number)
        return number

    def make(self) -> Made:
        """The consistent graph.

        Raises:
            Invalid: sizes do not fit.
        """
        known: dict[int, Op] = {}
        for number in topological(self.outputs, lambda i: self.ops[i].inputs):
            op = self.ops[number]
            arriving = [known[i].shape for i in op.inputs]
            declared = self._declared(number)
            known[number] = inferred(op, declared, arriving)
            if any(n is not None and n < 1 for n in known[number].shape):
                raise Invalid(f"{op.layer}: nothing is left")
        numbers = {old: new for new, old in enumerate(known)}
        index: dict[int, int] = {}
        variables: list[Variable] = []
        ops = []
        for op in known.values():
            weights = []
            for weight in op.weights:
                (old,) = weight.variables
                variable = replace(self.variables[old], shape=weight.shape)
                if old not in index:
                    index[old] = len(variables)
                    variables.append(variable)
                elif variables[index[old]].shape != weight.shape:
                    raise Invalid(f"{op.layer}: a shared weight has two shapes")
                weights.append(Weight.of(weight.role, index[old], variable))
            inputs = tuple(numbers[i] for i in op.inputs)
            ops.append(replace(op, inputs=inputs, weights=tuple(weights), tensor=None))
        outputs = tuple(numbers[i] for i in self.outputs)
        stored = len(self.graph.variables)
        origin = tuple(old if old < stored else None for old in index)
        graph = Graph(tuple(ops), outputs, tuple(variables), self.graph.name)
        return Made(graph, origin, numbers)

    def _declared(self, number: int) -> list[Shape]:
        """The shapes that arrive at the op as it is declared."""
        if number < len(self.graph.ops):
            op = self.graph.ops[number]
            if len(op.inputs) == len(self.ops[number].inputs):
                return [self.graph.ops[i].shape for i in op.inputs]
        return [self.ops[i].shape for i in self.ops[number].inputs]


STATISTICS = ("mean", "variance")


def _reshaped(weight: Weight, shape: tuple[int, ...]) -> Weight:
    return weight if weight.shape == shape else replace(weight, shape=shape)


def inferred(op: Op, declared: list[Shape], arriving: list[Shape]) -> Op:
    """The op on inputs of these shapes: its own shape and its weights' follow.

    Raises:
        Invalid: it cannot take them.
    """
    if not arriving:
        return op
    first = arriving[0]
    match op.kind:
        case "conv":
            return _conv(op, first)
        case "dense":
            kernel = op.weight("kernel").shape
            return _with(op, (*first[:-1], kernel[1]), kernel=(first[-1], kernel[1]))
        case "batch_norm":
            channels = first[-1:]
            return _with(op, first, **{w.role: channels for w in op.weights})
        case "pool":
            size = _windows(first, op.attrs["window"], op.attrs)
            return replace(op, shape=(*size, first[-1]))
        case "mean" | "sum":
            axes, kept = op.attrs["axes"], op.attrs["keepdims"]
            if max(axes) >= len(first):
                raise Invalid(f"{op.layer}: no such axis")
            shape = tuple(1 if i in axes else n for i, n in enumerate(first))
            if not kept:
                shape = tuple(n for i, n in enumerate(first) if i not in axes)
            return replace(op, shape=shape)
        case "pad":
            _same_rank(op, first, op.attrs["padding"])
            pairs = zip(first, op.attrs["padding"], strict=True)
            return replace(op, shape=tuple(n + a + b for n, (a, b) in pairs))
        case "slice":
            return _slice(op, declared[0], first)
        case "take":
            axis, indices = op.attrs["axis"], op.attrs["indices"]
            if max(indices) >= first[axis]:
                raise Invalid(f"{op.layer}: takes what is not there")
            return replace(op, shape=(*first[:axis], len(indices), *first[axis + 1 :]))
        case "reshape":
            return _reshape(op, declared[0], first)
        case "transpose":
            _same_rank(op, first, op.attrs["axes"])
            return replace(op, shape=tuple(first[a] for a in op.attrs["axes"]))
        case "concat":
            axis = op.attrs["axis"]
            for other in arriving[1:]:
                if len(other) != len(first) or any(
                    i != axis and n != m for i, (n, m) in enumerate(zip(first, other))
                ):
                    raise Invalid(f"{op.layer}: sizes differ")
            total = sum(shape[axis] for shape in arriving)
            return replace(op, shape=(*first[:axis], total, *first[axis + 1 :]))
        case "add":
            if any(shape != first for shape in arriving):
                raise Invalid(f"{op.layer}: sizes differ")
            return replace(op, shape=first)
        case "multiply":
            return replace(op, shape=_broadcast(op, arriving))
        case "scale" | "shift":
            return _constant(op, declared[0], first)
    return replace(op, shape=first)


def _conv(op: Op, arriving: Shape) -> Op:
    height, width, channels, filters = op.weight("kernel").shape
    groups, given = op.attrs["groups"], arriving[-1]
    if len(arriving) != 3:
        raise Invalid(f"{op.layer}: not a map")
    if given != channels * groups:
        if channels == 1 and groups > 1:  # depthwise: a group for each channel
            filters, groups = filters // groups * given, given
        elif given % groups:
            raise Invalid(f"{op.layer}: {given} channels in {groups} groups")
        channels = given // groups
    if filters % groups:
        raise Invalid(f"{op.layer}: {filters} filters in {groups} groups")
    size = _windows(arriving, (height, width), op.attrs)
    op = op.but(attrs={"groups": groups})
    return _with(
        op, (*size, filters), kernel=(height, width, channels, filters), bias=(filters,)
    )


def _with(op: Op, shape: Shape, **weights: tuple[int, ...]) -> Op:
    if "kernel" in weights:
        weights.setdefault("bias", (shape[-1],))
    found = tuple(_reshaped(w, weights[w.role]) for w in op.weights)
    return replace(op, shape=shape, weights=found)


def _windows(arriving: Shape, window: Iterable[int], attrs: Mapping) -> list[int]:
    dilation = attrs.get("dilation", (1, 1))
    if len(arriving) != 3:
        raise Invalid("not a map")
    return [
        (n + a + b - ((w - 1) * d + 1)) // s + 1
        for n, w, s, d, (a, b) in zip(
            arriving, window, attrs["strides"], dilation, attrs["padding"], strict=False
        )
    ]


def _same_rank(op: Op, arriving: Shape, what: Iterable) -> None:
    if len(tuple(what)) != len(arriving):
        raise Invalid(f"{op.layer}: another number of axes")


def _slice(op: Op, declared: Shape, arriving: Shape) -> Op:
    _same_rank(op, arriving, op.attrs["ranges"])
    ranges = tuple(
        (0, n) if (start, stop) == (0, before) else (start, stop)
        for (start, stop), before, n in zip(op.attrs["ranges"], declared, arriving)
    )
    if any(stop > n for (_, stop), n in zip(ranges, arriving, strict=True)):
        raise Invalid(f"{op.layer}: slices what is not there")
    shape = tuple(stop - start for start, stop in ranges)
    return op.but(attrs={"ranges": ranges}, shape=shape)


def _reshape(op: Op, declared: Shape, arriving: Shape) -> Op:
    if declared == arriving or prod(op.shape) == prod(arriving):
        return op
    if len(op.shape) == 1:
        return replace(op, shape=(prod(arriving),))
    if op.shape[-1] == declared[-1] and all(n == 1 for n in arriving[:-1]):
        return replace(op, shape=(*op.shape[:-1], arriving[-1]))
    raise Invalid(f"{op.layer}: {arriving} does not fit {op.shape}")


def _broadcast(op: Op, arriving: Iterable[Shape]) -> Shape:
    try:
        return np.broadcast_shapes(*arriving)
    except ValueError:
        raise Invalid(f"{op.layer}: sizes differ") from None


def _constant(op: Op, declared: Shape, arriving: Shape) -> Op:
    """By a number, by numbers for each channel, or by a weight."""
    weight = op.weight("by")
    if weight is not None and weight.shape[-1:] == declared[-1:]:
        op = _with(op, arriving, by=(*weight.shape[:-1], arriving[-1]))
    by = op.weight("by").shape if weight is not None else np.shape(op.attrs.get("by"))
    if op.weights and weight is None:  # a Normalization layer's own
        by = declared[-1:]
    if _broadcast(op, (by, arriving)) != arriving:
        raise Invalid(f"{op.layer}: its constants do not fit")
    return replace(op, shape=arriving)
