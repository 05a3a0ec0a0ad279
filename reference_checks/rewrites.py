"""Canonical form: rewrites between spellings of the same function.

Two correct implementations of one architecture differ in spelling.  Each rewrite below is
a small local rule with its justification; where it changes weights it gives the adapter
that transfer uses, in both directions.  What it takes out of an op it records there as
`Absorbed`, so that nothing vanishes without being compared: an epsilon, a redundant bias
or a dropout rate is equal on both sides or a recorded deviation.

A rule sees one op and answers with replacements (a new op, or the number of the op that
takes its place); ops that nothing needs any more are dropped.  `canonical` applies all
rules until none applies; each of them removes something, so that it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from reference_checks.graph import Absorbed, Graph, GraphError, Op, Weight, tidy

Replacements = dict[int, Op | int]
Rule = Callable[[Graph, int, Op], Replacements | None]


def inference_identity(graph: Graph, index: int, op: Op) -> Replacements | None:
    """Dropout, identity, + 0, * 1 and a norm's momentum do nothing at inference.

    Dropout multiplies by a mask of mean 1 in training only; momentum only steers the
    moving statistics.
    """
    neutral = {"shift": 0.0, "scale": 1.0}.get(op.kind, object())
    if op.kind in ("dropout", "identity") or op.attrs.get("by") == neutral:
        (source,) = op.inputs
        before = graph.ops[source]
        noted = op.absorbed
        if op.kind == "dropout":
            noted += (Absorbed("inference identity", "dropout", op.attrs["rate"]),)
        if not noted:
            return {index: source}
        return {index: source, source: before.but(absorbed=before.absorbed + noted)}
    if "momentum" in op.attrs:
        attrs = dict(op.attrs)
        noted = Absorbed("inference identity", "momentum", attrs.pop("momentum"))
        return {index: replace(op, attrs=attrs, absorbed=(*op.absorbed, noted))}
    return None


def explicit_padding(graph: Graph, index: int, op: Op) -> Replacements | None:
    """Zeros around a map are the padding of the convolution that reads it.

    A convolution pads with zeros.  Max pooling pads with minus infinity, which is the same
    as zeros where the map has no negative values and every window meets the map.
    """
    if op.kind not in ("conv", "pool"):
        return None
    pad = graph.ops[op.inputs[0]]
    if pad.kind != "pad" or pad.attrs["value"] != 0 or pad.attrs["padding"][2] != (0, 0):
        return None
    around = pad.attrs["padding"][:2]
    if op.kind == "pool":
        met = all(max(pair) < w for pair, w in zip(around, op.attrs["window"], strict=True))
        if op.attrs["mode"] != "max" or not met or not _nonnegative(graph, pad.inputs[0]):
            return None
    padding = tuple(
        (a + c, b + d)
        for (a, b), (c, d) in zip(around, op.attrs["padding"], strict=True)
    )
    absorbed = op.absorbed + pad.absorbed
    return {
        index: op.but(inputs=pad.inputs, attrs={"padding": padding}, absorbed=absorbed)
    }


def _nonnegative(graph: Graph, index: int) -> bool:
    op = graph.ops[index]
    while op.kind in ("pool", "reshape", "pad", "slice", "take"):
        op = graph.ops[op.inputs[0]]
    functions = ("relu", "relu6", "sigmoid", "softmax", "softplus", "exponential")
    return op.kind == "activation" and op.attrs["function"] in functions


def merged_padding(graph: Graph, index: int, op: Op) -> Replacements | None:
    """Padding a padded map with the same value is one padding."""
    if op.kind != "pad":
        return None
    inner = graph.ops[op.inputs[0]]
    if inner.kind != "pad" or inner.attrs["value"] != op.attrs["value"]:
        return None
    padding = tuple(
        (a + c, b + d)
        for (a, b), (c, d) in zip(op.attrs["padding"], inner.attrs["padding"], strict=True)
    )
    return {index: op.but(inputs=inner.inputs, attrs={"padding": padding})}


def pooling_spelling(graph: Graph, index: int, op: Op) -> Replacements | None:
    """Global average pooling is a mean over height and width, however it is spelt.

    An average pooling over the whole map is that mean; a reshape that only drops or adds
    axes of size one is its `keepdims`.
    """
    if op.kind == "pool" and op.attrs["mode"] == "average":
        unpadded = all(pair == (0, 0) for pair in op.attrs["padding"])
        if unpadded and op.attrs["window"] == graph.in_shape(op)[:-1]:
            attrs = {"axes": (0, 1), "keepdims": True}
            return {index: replace(op, kind="mean", attrs=attrs)}
    if op.kind == "reshape":
        (source,) = op.inputs
        inner = graph.ops[source]
        if inner.kind == "mean" and inner.attrs["keepdims"] and op.shape == inner.shape[2:]:
            noted = inner.absorbed + op.absorbed
            return {
                index: inner.but(
                    shape=op.shape, attrs={"keepdims": False}, tensor=op.tensor,
                    absorbed=noted,
                )
            }  # fmt: skip
        if op.shape == inner.shape and not op.absorbed:
            return {index: source}
        if inner.kind == "reshape":
            return {index: op.but(inputs=inner.inputs)}
    return None


def associative(graph: Graph, index: int, op: Op) -> Replacements | None:
    """A sum of sums is one sum, a concatenation of concatenations along one axis is one."""
    if op.kind not in ("add", "concat"):
        return None

    def nested(source: int) -> bool:
        inner = graph.ops[source]
        return (
            inner.kind == op.kind
            and inner.attrs == op.attrs
            and len(graph.consumers[source]) == 1
            and source not in graph.outputs
        )

    if not any(map(nested, op.inputs)):
        return None
    inputs: list[int] = []
    for source in op.inputs:
        inputs.extend(graph.ops[source].inputs if nested(source) else [source])
    return {index: op.but(inputs=tuple(inputs))}


def _only_norm_reads(graph: Graph, index: int) -> bool:
    """Whether all that reads the op is a batch norm."""
    readers = graph.consumers[index]
    return len(readers) == 1 and graph.ops[readers[0]].kind == "batch_norm"


def bias_into_norm(graph: Graph, index: int, op: Op) -> Replacements | None:
    """A bias before batch normalisation moves into the moving mean: (x + b) - m = x - (m - b).

    Exact at inference; in training the batch mean takes the bias out again, so that it has
    no effect and no gradient.
    """
    if op.kind != "batch_norm":
        return None
    source = op.inputs[0]
    conv = graph.ops[source]
    bias = conv.weight("bias") if conv.kind in ("conv", "dense") else None
    if bias is None or not _only_norm_reads(graph, source) or source in graph.outputs:
        return None
    mean = op.weight("mean")
    shifted = Weight(
        "mean",
        mean.shape,
        mean.variables + bias.variables,
        lambda values: mean.read(values) - bias.read(values),
        lambda value: mean.write(value) | bias.write(np.zeros(bias.shape, value.dtype)),
    )
    size = bias.shape[0]
    noted = Absorbed("bias into norm", "bias", True, params=size)
    return {
        source: conv.but(
            weights=tuple(w for w in conv.weights if w.role != "bias"), tensor=None
        ),
        index: op.but(
            weights=tuple(shifted if w.role == "mean" else w for w in op.weights),
            absorbed=(*op.absorbed, noted),
        ),
    }


def norm_constants(graph: Graph, index: int, op: Op) -> Replacements | None:
    """A missing gamma is ones, a missing beta or bias zeros, and epsilon is part of the variance.

    sqrt(v + e) = sqrt((v + e - e') + e'): an epsilon that differs shifts the variance.
    """
    if op.kind == "batch_norm" and "epsilon" in op.attrs:
        attrs = dict(op.attrs)
        epsilon = attrs.pop("epsilon")
        variance = op.weight("variance")
        shifted = Weight(
            "variance",
            variance.shape,
            variance.variables,
            lambda values: variance.read(values) + epsilon,
            lambda value: variance.write(value - epsilon),
        )
        weights = [shifted if w.role == "variance" else w for w in op.weights]
        noted = [Absorbed("norm constants", "epsilon", epsilon)]
        for role, value in (("beta", 0.0), ("gamma", 1.0)):
            if op.weight(role) is None:
                weights.insert(0, _constant(role, variance.shape, value, op.layer))
                noted.append(
                    Absorbed("norm constants", role, False, params=-variance.shape[0])
                )
        return {
            index: replace(
                op, attrs=attrs, weights=tuple(weights), absorbed=(*op.absorbed, *noted)
            )
        }
    if op.kind in ("conv", "dense") and not op.weight("bias"):
        if _only_norm_reads(graph, index):
            return None
        bias = _constant("bias", op.shape[-1:], 0.0, op.layer)
        # Negative: what this side saves against one that keeps the bias.
        noted = Absorbed("norm constants", "bias", False, params=-op.shape[-1])
        return {
            index: op.but(weights=(*op.weights, bias), absorbed=(*op.absorbed, noted))
        }
    return None


def _constant(role: str, shape: tuple[int, ...], value: float, layer: str) -> Weight:
    def write(given: np.ndarray) -> dict[int, np.ndarray]:
        if not np.all(given == value):
            raise GraphError(
                f"layer {layer!r} has no {role}: it stands for {value:g} and cannot take"
                " other values"
            )
        return {}

    return Weight(role, shape, (), lambda values: np.full(shape, value), write)


def dense_is_1x1(graph: Graph, index: int, op: Op) -> Replacements | None:
    """A 1x1 convolution is a dense layer at every position.

    On a map it is written as the convolution; on a map of one position as the dense
    layer, and a reshape that only drops or adds axes of size one moves before it.
    """
    if op.kind == "conv" and op.weight("kernel").shape[:2] == (1, 1):
        channels, units = op.weight("kernel").shape[2:]
        if graph.in_shape(op) == (1, 1, channels) and op.shape == (1, 1, units):
            weights = tuple(_squeezed(w) for w in op.weights)
            return {index: replace(op, kind="dense", attrs={}, weights=weights)}
    if op.kind == "dense" and len(op.shape) == 3 and op.shape[:2] != (1, 1):
        attrs = {
            "strides": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1,
        }  # fmt: skip
        weights = tuple(
            _reshaped(w, (1, 1, *w.shape)) if w.role == "kernel" else w for w in op.weights
        )
        return {index: replace(op, kind="conv", attrs=attrs, weights=weights)}
    if op.kind == "reshape" and op.shape[-1:] == graph.in_shape(op)[-1:]:
        (source,) = op.inputs
        inner = graph.ops[source]
        alone = len(graph.consumers[source]) == 1 and source not in graph.outputs
        pointwise = inner.kind in ("dense", "batch_norm", "dropout") or (
            inner.kind == "activation" and inner.attrs.get("axis", -1) == -1
        )
        before = graph.in_shape(inner) if inner.inputs else ()
        if alone and pointwise and _ones(before) and _ones(op.shape):
            moved = op.but(
                inputs=inner.inputs, shape=(*op.shape[:-1], before[-1]), tensor=None
            )
            return {source: moved, index: inner.but(
                inputs=(source,), shape=op.shape, tensor=op.tensor
            )}  # fmt: skip
    return None


def _ones(shape: tuple[int | None, ...]) -> bool:
    return all(size == 1 for size in shape[:-1])


def _squeezed(weight: Weight) -> Weight:
    return _reshaped(weight, weight.shape[2:]) if weight.role == "kernel" else weight


def _reshaped(weight: Weight, shape: tuple[int, ...]) -> Weight:
    return Weight(
        weight.role,
        shape,
        weight.variables,
        lambda values: np.reshape(weight.read(values), shape),
        lambda value: weight.write(np.reshape(value, weight.shape)),
    )


def local_response_norm(graph: Graph, index: int, op: Op) -> Replacements | None:
    """x * (k + a * sum of squares over neighbouring channels) ** -b is one operation."""
    if op.kind != "multiply" or len(op.inputs) != 2:
        return None
    for source, factor in (op.inputs, op.inputs[::-1]):
        found = _lrn_factor(graph, factor, source)
        if found:
            return {
                index: replace(op, kind="lrn", inputs=(source,), attrs=found)
            }
    return None


def _lrn_factor(graph: Graph, index: int, source: int) -> dict | None:
    """The constants, if op `index` is (k + a * sum of squares of `source`) ** -b."""

    def single(kind: str, at: int, *attrs: str) -> Op | None:
        op = graph.ops[at]
        return op if op.kind == kind and all(a in op.attrs for a in attrs) else None

    exponent, at = 1.0, index
    while op := single("power", at, "exponent"):
        exponent *= op.attrs["exponent"]
        at = op.inputs[0]
    shift = single("shift", at, "by")
    scale = shift and single("scale", shift.inputs[0], "by")
    total = scale and single("add", scale.inputs[0])
    if total is None:
        return None
    starts = []
    for piece in total.inputs:
        cut = single("slice", piece, "ranges")
        pad = cut and single("pad", cut.inputs[0], "padding")
        square = pad and single("power", pad.inputs[0], "exponent")
        if square is None or square.attrs["exponent"] != 2 or square.inputs[0] != source:
            return None
        starts.append((cut.attrs["ranges"][-1][0], pad.attrs["padding"][-1]))
    size = len(starts)
    radius = size // 2
    if sorted(starts) != [(i, (radius, radius)) for i in range(size)]:
        return None
    return {
        "size": size, "k": shift.attrs["by"], "alpha": scale.attrs["by"],
        "beta": -exponent,
    }  # fmt: skip


RULES: dict[str, Rule] = {
    "inference identity": inference_identity,
    "explicit padding": explicit_padding,
    "merged padding": merged_padding,
    "pooling spelling": pooling_spelling,
    "associative": associative,
    "bias into norm": bias_into_norm,
    "norm constants": norm_constants,
    "dense is 1x1": dense_is_1x1,
    "local response norm": local_response_norm,
}


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
    for index, op in enumerate(graph.ops):
        new = replaced.get(index, op)
        if isinstance(new, Op):
            ops[index] = replace(new, inputs=tuple(map(final, new.inputs)))
    return tidy(ops, map(final, graph.outputs), graph)


def canonical(graph: Graph, rules: Sequence[Rule] | None = None) -> Graph:
    """The graph with all rules applied until none applies; the order does not matter."""
    rules = tuple(RULES.values()) if rules is None else rules
    while True:
        before = graph
        for rule in rules:
            graph = sweep(graph, rule)
        if graph is before:
            return graph
