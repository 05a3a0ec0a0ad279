"""Spellings of what transformers brought to convolutional networks."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from reference_checks.graph import Absorbed, Graph, Op, Weight
from reference_checks.rewrites.adapters import reshaped
from reference_checks.rewrites.rule import Replacements, alone, shared, together


def layer_scale(graph: Graph, index: int, op: Op) -> Replacements | None:
    """A weight per channel after a convolution or dense layer scales its kernel and bias.

    g * (x * k + b) = x * (g * k) + g * b (layer scale, Touvron et al. 2021).  Written
    back, the scale is one.  Exact at inference; training takes another path with it.  A
    scale, a kernel or a bias that another op shares stays.
    """
    by = op.weight("by") if op.kind == "scale" else None
    if by is None or prod(by.shape) != op.shape[-1] or by.shape[-1] != op.shape[-1]:
        return None
    source = op.inputs[0]
    inner = graph.ops[source]
    if (
        inner.kind not in ("conv", "dense")
        or not alone(graph, source)
        or shared(graph, by, *inner.weights)
    ):
        return None
    size = sum(graph.variables[i].size for i in by.variables)
    noted = Absorbed("layer scale", "scale", True, size, op.layer)
    factor = reshaped(by, op.shape[-1:])
    return {
        index: inner.but(
            shape=op.shape,
            weights=tuple(_times(w, factor) for w in inner.weights),
            absorbed=together((*inner.absorbed, *op.absorbed, noted)),
            tensor=op.tensor,
        )
    }


def _times(weight: Weight, factor: Weight) -> Weight:
    """The weight with its last axis multiplied by the factor, which goes to one."""
    if not weight.variables:
        return weight  # no bias: zeros stay zeros

    def write(value: np.ndarray) -> dict[int, np.ndarray]:
        ones = np.ones(factor.shape, value.dtype)
        return weight.write(value) | factor.write(ones)

    return Weight(
        weight.role,
        weight.shape,
        weight.variables + factor.variables,
        lambda values: weight.read(values) * factor.read(values),
        write,
        {**weight.taken, **dict.fromkeys(factor.variables, "layer scale")},
    )


def layer_norm(graph: Graph, index: int, op: Op) -> Replacements | None:
    """(x - mean) / sqrt(variance + epsilon), over some axes, is layer normalisation.

    The variance is the mean of the squares of x - mean, over the same axes (Ba, Kiros and
    Hinton 2016).  A weight that scales the result is its gamma, one that shifts it then its
    beta.
    """
    if op.kind == "multiply" and len(op.inputs) == 2:
        for centred, factor in (op.inputs, op.inputs[::-1]):
            found = _written_out(graph, centred, factor)
            if found is not None:
                source, attrs, through = found
                notes = (n for i in through for n in graph.ops[i].absorbed)
                return {
                    index: replace(
                        op, kind="layer_norm", inputs=(source,), attrs=attrs,
                        absorbed=together((*notes, *op.absorbed)),
                    )
                }  # fmt: skip
    if op.kind in ("scale", "shift") and op.weights:
        return _weighted(graph, index, op, "gamma" if op.kind == "scale" else "beta")
    return None


def _written_out(
    graph: Graph, centred: int, factor: int
) -> tuple[int, dict, list[int]] | None:
    """(x, the norm's axes and epsilon, ops gone through), if factor is 1 / x's deviation."""
    total = graph.ops[centred]
    if total.kind != "add" or len(total.inputs) != 2:
        return None
    exponent, through = 1.0, [centred, factor]
    while "exponent" in graph.ops[through[-1]].attrs:
        exponent *= graph.ops[through[-1]].attrs["exponent"]
        through.append(graph.ops[through[-1]].inputs[0])
    shifted = graph.ops[through[-1]]
    epsilon = shifted.attrs.get("by") if shifted.kind == "shift" else None
    if exponent != -0.5 or not isinstance(epsilon, float):
        return None
    variance = graph.ops[shifted.inputs[0]]
    if variance.kind != "mean" or not variance.attrs["keepdims"]:
        return None
    square = graph.ops[variance.inputs[0]]
    power = {"multiply": len(square.inputs), "power": square.attrs.get("exponent")}
    if power.get(square.kind) != 2 or set(square.inputs) != {centred}:
        return None
    through += [shifted.inputs[0], variance.inputs[0]]
    for source, minus in (total.inputs, total.inputs[::-1]):
        negated = graph.ops[minus]
        mean = graph.ops[negated.inputs[0]] if negated.inputs else negated
        if (
            (negated.kind, negated.attrs.get("by"), mean.kind)
            == ("scale", -1.0, "mean")
            and mean.attrs == variance.attrs
            and mean.inputs == (source,)
        ):
            axes = tuple(sorted(a - len(total.shape) for a in mean.attrs["axes"]))
            attrs = {"axes": axes, "epsilon": epsilon}
            return source, attrs, [*through, minus, negated.inputs[0]]
    return None


def _weighted(graph: Graph, index: int, op: Op, role: str) -> Replacements | None:
    """The norm with the weight as its gamma or beta, where it has none of its own."""
    source = op.inputs[0]
    norm = graph.ops[source]
    if norm.kind != "layer_norm" or not alone(graph, source):
        return None
    own = {w.role for w in norm.weights if w.variables}
    axes = norm.attrs["axes"]
    trailing = axes == tuple(range(-len(axes), 0))
    if own - {"gamma"} or role in own or not trailing:
        return None
    shape, by = op.shape[axes[0] :], op.weight("by")
    if by.shape[-len(shape) :] != shape or prod(by.shape) != prod(shape):
        return None
    weight = replace(reshaped(by, shape), role=role)
    kept = [w for w in norm.weights if w.role != role]
    weights = sorted((*kept, weight), key=lambda w: w.role != "gamma")
    notes = [n for n in norm.absorbed if n.attribute != role]
    return {
        index: norm.but(
            weights=tuple(weights),
            absorbed=together((*notes, *op.absorbed)),
            tensor=op.tensor,
        )
    }
