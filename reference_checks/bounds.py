"""How far an operation's result may be off by rounding alone, derived and not picked.

Probabilistic rounding analysis (Higham and Mary 2019, "A new approach to probabilistic
rounding error analysis"): with n roundings one after the other, a result is off by less
than λ√n u times the same operation on absolute values, with probability at least
1 - 2n exp(-λ²/2); the worst case is n in the place of λ√n.  u is half the distance from 1
to the next number.  λ follows from how many numbers are looked at and how seldom a
correct operation may be called wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, prod, sqrt
from typing import Any

import numpy as np
from keras import ops

from reference_checks.execute import SELU, apply, by, lrn_divisor
from reference_checks.graph import Op

DOUBT = 1e-9
"""How probable it may be that a correct operation has a number outside its bound."""

ELEMENTWISE = 16
"""Roundings of an elementwise function, however spelt; exp, tanh and erf err by some ulp."""
FEW = 4
"""Roundings besides the reduction's: of a bias, and of a weight that a rewrite has moved."""
STEEPEST = 1.5
"""The largest slope of the activations that are not named apart: hard swish's, at 3."""

EXACT = frozenset(
    {
        "input", "pad", "slice", "take", "reshape", "transpose", "concat", "dropout",
        "identity",
    }
)  # fmt: skip
"""Kinds that compute nothing."""


@dataclass(frozen=True)
class Traced:
    """A result, the same computed of absolute values, and how many roundings it has seen."""

    value: Any
    size: Any
    roundings: int = 0

    @classmethod
    def exact(cls, value: Any) -> Traced:
        """What an operation is fed: its own error counts from here."""
        return cls(value, ops.abs(value))


def traced(op: Op, inputs: Sequence[Traced], weights: Mapping[str, Any]) -> Traced:
    """The op on its inputs, and how far off it can be; errors of the inputs add to it."""
    y = apply(op, [t.value for t in inputs], weights)
    roundings = _roundings(op, inputs[0].value.shape) + sum(t.roundings for t in inputs)
    if not roundings:
        return Traced(y, ops.abs(y))
    sizes = [t.size for t in inputs]
    return Traced(y, _size(op, inputs[0].value, sizes, weights, y), roundings)


def allowed(result: Traced) -> np.ndarray:
    """How far from each other two evaluations of the result may be, number by number."""
    y = ops.convert_to_numpy(result.value)
    if not result.roundings:
        return np.zeros(y.shape)
    unit = np.finfo(y.dtype).eps / 2
    # Below the least normal number a rounding is off by up to all of it.
    least = float(np.finfo(y.dtype).tiny)
    n = result.roundings
    likely = sqrt(2 * log(2 * n * y.size / DOUBT)) * sqrt(n)
    size = ops.convert_to_numpy(result.size).astype(np.float64)
    return 2 * (unit * (min(likely, n) * size + np.abs(y)) + n * least)


def _roundings(op: Op, arriving: tuple[int, ...]) -> int:
    """How many roundings lie between what the op reads and what it gives."""
    match op.kind:
        case kind if kind in EXACT:
            return 0
        case "conv" | "dense":
            return prod(op.weight("kernel").shape[:-1]) + FEW
        case "pool":
            window = prod(op.attrs["window"])
            return 0 if op.attrs["mode"] == "max" else window + FEW
        case "mean" | "sum":
            return prod(arriving[a + 1] for a in op.attrs["axes"]) + FEW
        case "layer_norm":
            return prod(arriving[a] for a in op.attrs["axes"]) + ELEMENTWISE
        case "activation" if op.attrs["function"] in ("relu", "relu6"):
            return 0
        case "activation" if op.attrs["function"] == "softmax":
            return arriving[op.attrs["axis"]] + ELEMENTWISE
        case "lrn":
            return op.attrs["size"] + ELEMENTWISE
        case "add" | "multiply":
            return len(op.inputs)
    return ELEMENTWISE


def _size(
    op: Op, x: Any, sizes: Sequence[Any], weights: Mapping[str, Any], y: Any
) -> Any:
    """The op on absolute values: what rounding errors are relative to."""
    size, positive = sizes[0], {role: ops.abs(w) for role, w in weights.items()}
    match op.kind:
        case "batch_norm":
            epsilon = op.attrs.get("epsilon", 0.0)
            factor = positive.get("gamma", 1.0) / ops.sqrt(
                weights["variance"] + epsilon
            )
            return (size + positive["mean"]) * factor + positive.get("beta", 0.0)
        case "layer_norm":
            return _layer_norm_size(op, x, size, positive)
        case "activation":
            return _activation_size(op, x, size, ops.abs(y))
        case "scale":
            return size * ops.abs(by(op, weights, x))
        case "shift":
            return size + ops.abs(by(op, weights, x))
        case "power":
            apart = ops.where(x == 0, 0.0, size / ops.where(x == 0, 1.0, ops.abs(x)))
            return ops.abs(y) * (1 + abs(op.attrs["exponent"]) * apart)
        case "lrn":
            share = 1 + 2 * op.attrs["beta"]
            return share * size / lrn_divisor(x, op.attrs)
        case "pad":
            positive_value = abs(op.attrs["value"])
            return apply(op.but(attrs={"value": positive_value}), sizes, positive)
    return apply(op, sizes, positive)


def _activation_size(op: Op, x: Any, size: Any, y: Any) -> Any:
    match op.attrs["function"]:
        case "softmax":  # an error of what arrives is a factor of what leaves
            largest = ops.max(size, axis=op.attrs["axis"], keepdims=True)
            return y * (1 + 2 * largest)
        case "exponential":
            return y * (1 + size)
        case "leaky_relu":
            return max(1.0, abs(op.attrs["slope"])) * size + y
        case "elu" | "selu":  # e^x may be rounded before 1 is taken from it
            steepest = SELU[0] * SELU[1] if op.attrs["function"] == "selu" else 1.0
            return steepest * (size + ops.cast(x < 0, y.dtype)) + y
    return STEEPEST * size + y


def _layer_norm_size(op: Op, x: Any, size: Any, positive: Mapping[str, Any]) -> Any:
    """The errors of the mean, of the deviation, and of what is divided by it."""
    axes = op.attrs["axes"]

    def mean(values: Any) -> Any:
        return ops.mean(values, axis=axes, keepdims=True)

    centred = x - mean(x)
    deviation = ops.sqrt(mean(centred**2) + op.attrs["epsilon"])
    off = (size + mean(size)) / deviation
    whole = off + ops.abs(centred) / deviation * (1 + ops.sqrt(mean(off**2)))
    # The op scales and shifts, after it has done nothing to what is normal already.
    rank = len(x.shape)
    shape = [n if k - rank in axes else 1 for k, n in enumerate(x.shape)]
    for role, combine in (("gamma", ops.multiply), ("beta", ops.add)):
        if role in positive:
            whole = combine(whole, ops.reshape(positive[role], shape))
    return whole
