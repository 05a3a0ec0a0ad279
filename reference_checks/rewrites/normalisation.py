"""Spellings around normalisation: biases, constants, folding, the input's scale."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from reference_checks.graph import Absorbed, Graph, GraphError, Op, Weight
from reference_checks.rewrites.adapters import constant
from reference_checks.rewrites.rule import Replacements, alone, shared, together


def _normed(graph: Graph, index: int) -> bool:
    """Whether all that reads the op is one batch norm."""
    return (
        alone(graph, index)
        and graph.ops[graph.consumers[index][0]].kind == "batch_norm"
    )


def bias_into_norm(graph: Graph, index: int, op: Op) -> Replacements | None:
    """A bias before batch normalisation moves into the moving mean: (x + b) - m = x - (m - b).

    In training it has no effect at all, since the batch mean moves with it.  A bias or a
    mean that another op shares stays: there the other op would see it moved.
    """
    if op.kind != "batch_norm":
        return None
    source = op.inputs[0]
    conv = graph.ops[source]
    bias = conv.weight("bias")
    mean = op.weight("mean")
    if bias is None or not _normed(graph, source) or shared(graph, bias, mean):
        return None
    bare = conv.but(
        weights=tuple(w for w in conv.weights if w.role != "bias"),
        absorbed=tuple(n for n in conv.absorbed if n.attribute != "bias"),
        tensor=None,
    )
    if not bias.variables:
        return {source: bare}
    shifted = Weight(
        "mean",
        mean.shape,
        mean.variables + bias.variables,
        lambda values: mean.read(values) - bias.read(values),
        lambda value: mean.write(value) | bias.write(np.zeros(bias.shape, value.dtype)),
        {**mean.taken, **dict.fromkeys(bias.variables, "bias into norm")},
    )
    size = sum(graph.variables[i].size for i in bias.variables)
    noted = Absorbed("bias into norm", "bias", True, size, conv.layer)
    weights = tuple(shifted if w.role == "mean" else w for w in op.weights)
    return {
        source: bare,
        index: op.but(weights=weights, absorbed=(*op.absorbed, noted)),
    }


def norm_constants(graph: Graph, index: int, op: Op) -> Replacements | None:
    """A missing gamma is ones, a missing beta or bias zeros, and epsilon is part of the variance.

    sqrt(v + e) = sqrt((v + e - e') + e'): an epsilon that differs shifts the variance that is
    stored.  Layer normalisation stores none, so that its epsilon stays.
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
            variance.taken,
        )
        weights = tuple(shifted if w.role == "variance" else w for w in op.weights)
        noted = Absorbed("norm constants", "epsilon", epsilon, layer=op.layer)
        norm = replace(op, attrs=attrs, weights=weights, absorbed=(*op.absorbed, noted))
        return {index: _complete(norm, variance.shape)}
    if op.kind == "layer_norm" and len(op.weights) < 2:
        return {index: _complete(op, tuple(op.shape[a] for a in op.attrs["axes"]))}
    if op.kind in ("conv", "dense") and not op.weight("bias"):
        if _normed(graph, index):
            return None
        bias = constant("bias", op.shape[-1:], 0.0, op.layer)
        # Negative: what this side saves against one that keeps the bias.
        noted = Absorbed("norm constants", "bias", False, -op.shape[-1], op.layer)
        return {
            index: op.but(weights=(*op.weights, bias), absorbed=(*op.absorbed, noted))
        }
    return None


def _complete(norm: Op, shape: tuple[int, ...]) -> Op:
    """The norm with ones and zeros for the gamma and the beta that it lacks."""
    weights, noted = list(norm.weights), []
    for role, value in (("beta", 0.0), ("gamma", 1.0)):
        if norm.weight(role) is None:
            weights.append(constant(role, shape, value, norm.layer))
            noted.append(
                Absorbed("norm constants", role, False, -prod(shape), norm.layer)
            )
    # In one order, whichever of them was there.
    weights.sort(key=lambda w: ("gamma", "beta", "mean", "variance").index(w.role))
    return replace(norm, weights=tuple(weights), absorbed=(*norm.absorbed, *noted))


def folded_norm(graph: Graph, index: int, op: Op) -> Replacements | None:
    """A norm after a convolution scales its kernel and shifts its bias.

    g * (x * k - m) / s + b = x * (k * g / s) + (b - m * g / s), with s the deviation.  Four
    weights become two, so that it can be read from the norm's side and not written back:
    this rule is not one of `RULES`, and networks that differ in it are not the same.
    """
    if op.kind != "batch_norm" or "epsilon" in op.attrs:
        return None
    source = op.inputs[0]
    conv = graph.ops[source]
    if conv.kind not in ("conv", "dense") or not _normed(graph, source):
        return None
    if conv.weight("bias"):
        return None  # shared, or it would be in the norm
    gamma, beta, mean, variance = map(op.weight, ("gamma", "beta", "mean", "variance"))
    if None in (gamma, beta, mean, variance):
        return None
    kernel = conv.weight("kernel")

    def factor(values) -> np.ndarray:
        return gamma.read(values) / np.sqrt(variance.read(values))

    def refuse(value: np.ndarray) -> dict[int, np.ndarray]:
        raise GraphError(f"layer {op.layer!r}: a folded norm cannot be unfolded")

    own = [i for w in (gamma, beta, mean, variance) for i in w.variables]
    scaled = Weight(
        "kernel",
        kernel.shape,
        kernel.variables + gamma.variables + variance.variables,
        lambda values: kernel.read(values) * factor(values),
        refuse,
    )
    bias = Weight(
        "bias",
        beta.shape,
        tuple(own),
        lambda values: beta.read(values) - mean.read(values) * factor(values),
        refuse,
    )
    # Beta becomes the bias; what the norm lacked, or took from another op, is noted already.
    noted = Absorbed("folded norm", "batch norm", True, 3 * beta.shape[0], op.layer)
    return {
        index: conv.but(
            weights=(scaled, bias),
            absorbed=together((*conv.absorbed, *op.absorbed, noted)),
            tensor=op.tensor,
        )
    }


def input_prefix(graph: Graph, index: int, op: Op) -> Replacements | None:
    """A constant scale and shift at the input, one or one per channel, is preprocessing.

    The input then stands for what the network computes of it: a side that rescales inside
    must be fed what the other is fed outside, and the difference says so.
    """
    by = _preprocessing(graph, op)
    if by is None or graph.ops[op.inputs[0]].kind != "input":
        return None
    source = op.inputs[0]
    before = graph.ops[source]
    known = {n.attribute: n.value for n in before.absorbed if n.rewrite == PREFIX}
    scale, shift = (
        np.asarray(known.get("scale", 1.0)),
        np.asarray(known.get("shift", 0.0)),
    )
    if op.kind == "scale":
        scale, shift = scale * by, shift * by
    else:
        shift = shift + by
    kept = tuple(n for n in (*before.absorbed, *op.absorbed) if n.rewrite != PREFIX)
    noted = tuple(
        Absorbed(PREFIX, name, _plain(value), layer=op.layer)
        for name, value, nothing in (("scale", scale, 1.0), ("shift", shift, 0.0))
        if _plain(value) != nothing
    )
    return {index: source, source: before.but(absorbed=kept + noted)}


PREFIX = "input prefix"


def after_prefix(graph: Graph) -> int:
    """The op of a graph as imported whose output is what the input comes to stand for."""
    (index,) = graph.inputs
    while len(graph.consumers[index]) == 1:
        (after,) = graph.consumers[index]
        op = graph.ops[after]
        if op.kind != "identity" and _preprocessing(graph, op) is None:
            break
        index = after
    return index


def _preprocessing(graph: Graph, op: Op) -> np.ndarray | None:
    """The constant, one or one per channel, that alone scales or shifts the op's input."""
    if op.kind not in ("scale", "shift") or "by" not in op.attrs or op.weights:
        return None
    return (
        _per_channel(op.attrs["by"], op.shape[-1])
        if alone(graph, op.inputs[0])
        else None
    )


def _per_channel(by, channels: int | None) -> np.ndarray | None:
    """The constant as a number or (channels,); None if it varies over positions."""
    value = np.asarray(by, dtype=np.float64)
    if value.size == 1:
        return value.reshape(())
    if value.shape[-1] != channels or value.size != channels:
        return None
    return value.reshape(-1)


def _plain(value: np.ndarray):
    """A number, or a tuple of them, without the last digit, which the order decides."""
    numbers = [float(f"{v:.15g}") for v in value.reshape(-1)]
    return numbers[0] if len(set(numbers)) == 1 else tuple(numbers)


def local_response_norm(graph: Graph, index: int, op: Op) -> Replacements | None:
    """x * (k + a * sum of squares over neighbouring channels) ** -b is one operation."""
    if op.kind != "multiply" or len(op.inputs) != 2:
        return None
    for source, factor in (op.inputs, op.inputs[::-1]):
        found = _lrn_factor(graph, factor, source)
        if found:
            return {index: replace(op, kind="lrn", inputs=(source,), attrs=found)}
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
        if (
            square is None
            or square.attrs["exponent"] != 2
            or square.inputs[0] != source
        ):
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
