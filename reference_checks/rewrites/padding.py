"""Spellings of padding and of pooling."""

from __future__ import annotations

from dataclasses import replace
from math import isclose, prod

from reference_checks.graph import Graph, Op
from reference_checks.rewrites.rule import Replacements, together
from reference_checks.rewrites.spelling import stepped_over

NONNEGATIVE = frozenset(
    {"relu", "relu6", "sigmoid", "hard_sigmoid", "softmax", "softplus", "exponential"}
)


def explicit_padding(graph: Graph, index: int, op: Op) -> Replacements | None:
    """Zeros around a map are the padding of the convolution that reads it.

    A convolution pads with zeros.  Max pooling pads with minus infinity, which is the same
    as zeros where the map has no negative values and every window meets the map.
    """
    if op.kind not in ("conv", "pool"):
        return None
    pad = graph.ops[op.inputs[0]]
    if (
        pad.kind != "pad"
        or pad.attrs["value"] != 0
        or pad.attrs["padding"][2] != (0, 0)
    ):
        return None
    padding = _sum(pad.attrs["padding"][:2], op.attrs["padding"])
    if op.kind == "pool":
        met = all(
            max(pair) < w for pair, w in zip(padding, op.attrs["window"], strict=True)
        )
        if (
            op.attrs["mode"] != "max"
            or not met
            or not _nonnegative(graph, pad.inputs[0])
        ):
            return None
    absorbed = together((*pad.absorbed, *op.absorbed))
    return {
        index: op.but(inputs=pad.inputs, attrs={"padding": padding}, absorbed=absorbed)
    }


def _nonnegative(graph: Graph, index: int) -> bool:
    """Whether the op's values cannot be negative, as the activations before it show."""
    waiting, seen = [index], {index}
    while waiting:
        op = graph.ops[waiting.pop()]
        if op.kind == "activation":
            if op.attrs["function"] not in NONNEGATIVE:
                return False
            continue
        kept = op.kind in ("pool", "mean", "reshape", "slice", "take", "concat", "add")
        if not (kept or (op.kind == "pad" and op.attrs["value"] >= 0)):
            return False
        waiting.extend(i for i in op.inputs if i not in seen)
        seen.update(op.inputs)
    return True


def merged_padding(graph: Graph, index: int, op: Op) -> Replacements | None:
    """Padding a padded map with the same value is one padding; with nothing, none."""
    if op.kind != "pad":
        return None
    if op.shape == graph.in_shape(op):
        return stepped_over(graph, index, op.absorbed)
    inner = graph.ops[op.inputs[0]]
    if inner.kind != "pad" or inner.attrs["value"] != op.attrs["value"]:
        return None
    padding = _sum(op.attrs["padding"], inner.attrs["padding"])
    absorbed = together((*inner.absorbed, *op.absorbed))
    return {
        index: op.but(
            inputs=inner.inputs, attrs={"padding": padding}, absorbed=absorbed
        )
    }


def unread_padding(graph: Graph, index: int, op: Op) -> Replacements | None:
    """Padding that no window reaches does nothing, at this size of the map.

    Windows start every stride; what is left behind the last of them is not read.  Of all
    paddings at the end that leave the windows as they are it is written as the one at the
    start, if that is among them, and otherwise as the least.
    """
    if op.kind not in ("conv", "pool") or None in graph.in_shape(op)[:2]:
        return None
    window = op.attrs.get("window") or op.weight("kernel").shape[:2]
    dilation = op.attrs.get("dilation", (1, 1))
    padding = []
    for size, number, wide, spread, stride, (start, _) in zip(
        graph.in_shape(op), op.shape, window, dilation, op.attrs["strides"],
        op.attrs["padding"], strict=False,
    ):  # fmt: skip
        read = (number - 1) * stride + (wide - 1) * spread + 1 - size - start
        same = read <= start < read + stride
        padding.append((start, start if same else max(read, 0)))
    if tuple(padding) == op.attrs["padding"]:
        return None
    return {index: op.but(attrs={"padding": tuple(padding)})}


Padding = tuple[tuple[int, int], ...]


def _sum(first: Padding, second: Padding) -> Padding:
    return tuple((a + c, b + d) for (a, b), (c, d) in zip(first, second, strict=True))


def pooling_spelling(graph: Graph, index: int, op: Op) -> Replacements | None:
    """Global average pooling is a mean over height and width, however it is spelt.

    One window over the whole map is that mean (padding never counts), and so is the sum
    divided by the number of positions.  A reshape that only drops or adds axes of size one
    is its `keepdims`.  Pooling single positions only picks them, averaged or not.
    """
    match op.kind:
        case "pool":
            return _pool(graph, index, op)
        case "scale":
            return _divided_sum(graph, index, op)
        case "sum" if all(graph.in_shape(op)[axis] == 1 for axis in op.attrs["axes"]):
            return {index: replace(op, kind="mean")}
        case "reshape":
            return _reshape(graph, index, op)
    return None


def _pool(graph: Graph, index: int, op: Op) -> Replacements | None:
    window, padding = op.attrs["window"], op.attrs["padding"]
    height, width, _ = graph.in_shape(op)
    if _averages(op) and op.shape[:2] == (1, 1) and None not in (height, width):
        covered = (w - before for w, (before, _) in zip(window, padding, strict=True))
        if all(n <= end for n, end in zip((height, width), covered, strict=True)):
            attrs = {"axes": (0, 1), "keepdims": True}
            return {index: replace(op, kind="mean", attrs=attrs)}
    if window == (1, 1) and padding == ((0, 0), (0, 0)):
        if op.attrs["strides"] == (1, 1):
            return stepped_over(graph, index, op.absorbed)
        return {index: op.but(attrs={"mode": "max"})} if _averages(op) else None
    return None


def _averages(op: Op) -> bool:
    return op.attrs["mode"] == "average"


def _divided_sum(graph: Graph, index: int, op: Op) -> Replacements | None:
    total, by = graph.ops[op.inputs[0]], op.attrs.get("by")
    if total.kind != "sum" or not isinstance(by, float):
        return None
    sizes = [graph.in_shape(total)[axis] for axis in total.attrs["axes"]]
    if None in sizes or not isclose(by * prod(sizes), 1.0, rel_tol=1e-15):
        return None
    absorbed = together((*total.absorbed, *op.absorbed))
    return {
        index: replace(
            op, kind="mean", inputs=total.inputs, attrs=total.attrs, absorbed=absorbed
        )
    }


def _reshape(graph: Graph, index: int, op: Op) -> Replacements | None:
    (source,) = op.inputs
    inner = graph.ops[source]
    if op.shape == inner.shape:
        return stepped_over(graph, index, op.absorbed)
    absorbed = together((*inner.absorbed, *op.absorbed))
    if inner.kind == "reshape":
        return {index: op.but(inputs=inner.inputs, absorbed=absorbed)}
    if inner.kind != "mean":
        return None
    before, axes = graph.in_shape(inner), inner.attrs["axes"]
    for keepdims in (False, True):
        kept = [1 if i in axes else n for i, n in enumerate(before)]
        shape = [n for i, n in enumerate(kept) if keepdims or i not in axes]
        if op.shape == tuple(shape):
            changes = {"shape": op.shape, "tensor": op.tensor, "absorbed": absorbed}
            return {index: inner.but(attrs={"keepdims": keepdims}, **changes)}
    return None
