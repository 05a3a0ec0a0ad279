"""Spellings of convolutions: dense layers, whole-map kernels, groups."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from reference_checks.graph import Graph, Op, Weight
from reference_checks.rewrites.adapters import joined, reshaped
from reference_checks.rewrites.rule import Replacements, alone, shared, together

UNIT = {
    "strides": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1,
}  # fmt: skip


def dense_is_1x1(graph: Graph, index: int, op: Op) -> Replacements | None:
    """A 1x1 convolution is a dense layer at every position.

    On a map it is written as the convolution; on a map of one position as the dense
    layer, and a reshape that only drops or adds axes of size one moves before it.
    """
    if op.kind == "conv" and op.weight("kernel").shape[:2] == (1, 1):
        channels, units = op.weight("kernel").shape[2:]
        if graph.in_shape(op) == (1, 1, channels) and op.shape == (1, 1, units):
            return {index: _as_dense(op)}
    if op.kind == "dense" and len(op.shape) == 3 and op.shape[:2] != (1, 1):
        return {index: _as_conv(op)}
    if op.kind == "reshape" and op.shape[-1:] == graph.in_shape(op)[-1:]:
        (source,) = op.inputs
        inner = graph.ops[source]
        pointwise = (
            inner.kind in ("dense", "batch_norm", "dropout")
            or (inner.kind == "layer_norm" and inner.attrs["axes"] == (-1,))
            or (inner.kind == "activation" and inner.attrs.get("axis", -1) == -1)
        )
        before = graph.in_shape(inner) if inner.inputs else ()
        if alone(graph, source) and pointwise and _ones(before) and _ones(op.shape):
            moved = op.but(
                inputs=inner.inputs, shape=(*op.shape[:-1], before[-1]), tensor=None
            )
            return {source: moved, index: inner.but(
                inputs=(source,), shape=op.shape, tensor=op.tensor
            )}  # fmt: skip
    return None


def _ones(shape: tuple[int | None, ...]) -> bool:
    return all(size == 1 for size in shape[:-1])


def _as_dense(op: Op) -> Op:
    weights = tuple(
        reshaped(w, (prod(w.shape[:-1]), w.shape[-1])) if w.role == "kernel" else w
        for w in op.weights
    )
    return replace(op, kind="dense", attrs={}, weights=weights)


def _as_conv(op: Op) -> Op:
    weights = tuple(
        reshaped(w, (1, 1, *w.shape)) if w.role == "kernel" else w for w in op.weights
    )
    return replace(op, kind="conv", attrs=UNIT, weights=weights)


def whole_map_kernel(graph: Graph, index: int, op: Op) -> Replacements | None:
    """A convolution whose kernel is the whole map is a dense layer on the flattened map.

    Both read the map in the order height, width, channels.
    """
    if op.kind != "conv" or op.weight("kernel").shape[:2] == (1, 1):
        return None
    kernel = op.weight("kernel").shape
    whole = graph.in_shape(op) == kernel[:3] and op.shape[:2] == (1, 1)
    if not whole or op.attrs["padding"] != UNIT["padding"]:
        return None
    flat = Op("reshape", op.inputs, (1, 1, prod(kernel[:3])), layer=op.layer)
    return {~index: flat, index: _as_dense(op).but(inputs=(~index,))}


CHANNELWISE = frozenset({"conv", "batch_norm", "activation", "pool", "pad"})


def grouped_convolution(graph: Graph, index: int, op: Op) -> Replacements | None:
    """Equal convolutions of equal parts of the channels, concatenated, are one with groups.

    So are chains of them with norms, activations and pooling between: each group is a
    network of its own.  Kernels are joined along the filters.
    """
    if op.kind != "concat" or op.attrs["axis"] != len(op.shape) - 1:
        return None
    arms, chain = op.inputs, []
    while len(arms) > 1 and all(alone(graph, i) for i in arms):
        ops = [graph.ops[i] for i in arms]
        if all(one.kind == "slice" for one in ops):
            return _grouped(graph, index, op, ops, chain)
        if len(op.shape) == 3:
            ops = [_as_conv(one) if one.kind == "dense" else one for one in ops]
        if not _equal_arms(graph, ops):
            return None
        chain.append((arms[0], ops))
        arms = tuple(one.inputs[0] for one in ops)
    return None


def _equal_arms(graph: Graph, ops: list[Op]) -> bool:
    first = ops[0]
    return (
        first.kind in CHANNELWISE
        and first.attrs.get("function") != "softmax"
        and first.attrs.get("padding", ())[2:] in ((), ((0, 0),))
        and all(one.signature == first.signature for one in ops)
        and not any(shared(graph, *one.weights) for one in ops)
    )


def _grouped(
    graph: Graph,
    index: int,
    op: Op,
    slices: list[Op],
    chain: list[tuple[int, list[Op]]],
) -> Replacements | None:
    """The chain (from the concatenation backwards) on all channels at once."""
    source, n = slices[0].inputs[0], len(slices)
    shape = graph.ops[source].shape
    if not chain or shape[-1] is None or shape[-1] % n:
        return None
    size = shape[-1] // n
    for k, part in enumerate(slices):
        ranges = (*((0, extent) for extent in shape[:-1]), (k * size, (k + 1) * size))
        if part.inputs != (source,) or part.attrs["ranges"] != ranges:
            return None
    if not any(ops[0].kind == "conv" for _, ops in chain):
        return None
    found: Replacements = {}
    for at, ops in reversed(chain):
        found[at] = _merged(ops, source)
        source = at
    last = found.pop(source)
    notes = together((*last.absorbed, *op.absorbed))
    found[index] = replace(last, tensor=op.tensor, layer=op.layer, absorbed=notes)
    return found


def _merged(ops: list[Op], source: int) -> Op:
    first = ops[0]
    attrs = dict(first.attrs)
    if first.kind == "conv":
        attrs["groups"] *= len(ops)
    return replace(
        first,
        inputs=(source,),
        shape=(*first.shape[:-1], first.shape[-1] * len(ops)),
        attrs=attrs,
        weights=tuple(_joined(ops, w) for w in first.weights),
        absorbed=together(note for one in ops for note in one.absorbed),
        tensor=None,
    )


def _joined(ops: list[Op], weight: Weight) -> Weight:
    return joined([op.weight(weight.role) for op in ops])
