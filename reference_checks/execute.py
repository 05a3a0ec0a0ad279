"""What an op graph computes, on the backend, in the precision of its inputs.

The graph alone is run, without the model that it was read from: a graph that no library
can build (a mutant) has outputs too, and every op's result can be looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import pi, prod, sqrt
from typing import Any

import keras
import numpy as np
from keras import ops

from reference_checks.graph import Graph, GraphError, Op, Values

SELU = 1.0507009873554805, 1.6732632423543772
"""Scale and alpha (Klambauer et al. 2017), of which mean 0 and variance 1 are the fixed point."""


def _elu(x: Any) -> Any:
    return ops.where(x > 0, x, ops.expm1(ops.minimum(x, 0.0)))


def _selu(x: Any) -> Any:
    scale, alpha = SELU
    return scale * ops.where(x > 0, x, alpha * _elu(x))


FUNCTIONS = {
    "relu": ops.relu,
    "relu6": ops.relu6,
    "sigmoid": ops.sigmoid,
    "hard_sigmoid": lambda x: ops.clip(x / 6 + 0.5, 0.0, 1.0),
    "tanh": ops.tanh,
    "erf": ops.erf,
    "silu": lambda x: x * ops.sigmoid(x),
    "hard_silu": lambda x: x * ops.clip(x / 6 + 0.5, 0.0, 1.0),
    "exponential": ops.exp,
    "softplus": ops.softplus,
    "softsign": lambda x: x / (1 + ops.abs(x)),
    "elu": _elu,
    "selu": _selu,
}


def outputs(graph: Graph, values: Values, x: np.ndarray) -> list[np.ndarray]:
    """The outputs for a batch `x`, with the variables' `values` in the precision of `x`.

    Raises:
        GraphError: an activation that is not known here.
    """
    results: dict[int, Any] = {}
    left = Counter({i: len(readers) for i, readers in enumerate(graph.consumers)})
    kept = set(graph.outputs)
    for index, op in enumerate(graph.ops):
        if op.kind == "input":
            results[index] = ops.convert_to_tensor(x)
        else:
            inputs = [results[i] for i in op.inputs]
            results[index] = apply(op, inputs, weights_of(op, values, x.dtype))
        for source in op.inputs:
            left[source] -= 1
            if not left[source] and source not in kept:
                del results[source]
    return [keras.ops.convert_to_numpy(results[i]) for i in graph.outputs]


def weights_of(op: Op, values: Values, dtype: Any) -> dict[str, Any]:
    """The op's weights by role, as the variables' `values` give them."""
    return {
        w.role: ops.convert_to_tensor(np.asarray(w.read(values), dtype))
        for w in op.weights
    }


def apply(op: Op, inputs: list[Any], weights: Mapping[str, Any]) -> Any:
    """The op on batches, with its weights by role."""
    x, attrs = inputs[0], op.attrs
    match op.kind:
        case "conv":
            y = _conv(x, weights["kernel"], attrs)
            return y + weights["bias"] if "bias" in weights else y
        case "dense":
            y = ops.matmul(x, weights["kernel"])
            return y + weights["bias"] if "bias" in weights else y
        case "batch_norm":
            deviation = ops.sqrt(weights["variance"] + attrs.get("epsilon", 0.0))
            factor = weights.get("gamma", 1.0) / deviation
            return (x - weights["mean"]) * factor + weights.get("beta", 0.0)
        case "layer_norm":
            return _layer_norm(x, attrs, weights)
        case "activation":
            return _activation(x, op)
        case "pool":
            return _pool(x, attrs)
        case "mean" | "sum":
            axes = tuple(a + 1 for a in attrs["axes"])
            return getattr(ops, op.kind)(x, axis=axes, keepdims=attrs["keepdims"])
        case "pad":
            return _padded(x, attrs["padding"], attrs["value"])
        case "slice":
            return x[(slice(None), *(slice(*r) for r in attrs["ranges"]))]
        case "take":
            return ops.take(x, np.array(attrs["indices"]), axis=attrs["axis"] + 1)
        case "reshape":
            return ops.reshape(x, (len(x), *op.shape))
        case "transpose":
            return ops.transpose(x, (0, *(a + 1 for a in attrs["axes"])))
        case "concat":
            return ops.concatenate(inputs, axis=attrs["axis"] + 1)
        case "add":
            return sum(inputs[1:], start=x)
        case "multiply":
            return prod(inputs[1:], start=x)
        case "scale":
            return x * by(op, weights, x)
        case "shift":
            return x + by(op, weights, x)
        case "power":
            return x ** attrs["exponent"]
        case "lrn":
            return x / lrn_divisor(x, attrs)
        case "dropout" | "identity":
            return x
    raise GraphError(f"layer {op.layer!r}: {op.kind} is not run")


def _layer_norm(x: Any, attrs: Mapping[str, Any], weights: Mapping[str, Any]) -> Any:
    axes = attrs["axes"]
    centred = x - ops.mean(x, axis=axes, keepdims=True)
    variance = ops.mean(centred**2, axis=axes, keepdims=True)
    y = centred / ops.sqrt(variance + attrs["epsilon"])
    # The weights have the shape of the normalised axes alone.
    rank = len(x.shape)
    shape = [n if k - rank in axes else 1 for k, n in enumerate(x.shape)]
    if "gamma" in weights:
        y = y * ops.reshape(weights["gamma"], shape)
    return y + ops.reshape(weights["beta"], shape) if "beta" in weights else y


def by(op: Op, weights: Mapping[str, Any], x: Any) -> Any:
    """What a scale multiplies by, and a shift adds."""
    if "by" in weights:
        return weights["by"]
    if "mean" in weights:  # of a Normalization layer
        return -weights["mean"]
    if "variance" in weights:
        return 1 / ops.sqrt(weights["variance"])
    return ops.cast(ops.convert_to_tensor(np.array(op.attrs["by"])), x.dtype)


def _padded(x: Any, padding, value: float = 0.0) -> Any:
    padding = (*padding, *((0, 0) for _ in range(len(x.shape) - 1 - len(padding))))
    if not any(a or b for a, b in padding):
        return x
    return ops.pad(x, ((0, 0), *padding), constant_values=value)


def _conv(x: Any, kernel: Any, attrs: Mapping[str, Any]) -> Any:
    x = _padded(x, attrs["padding"])
    groups, dilation = attrs["groups"], attrs["dilation"]
    strides, (down, along) = attrs["strides"], attrs["strides"]
    # Backends do not take every combination: a stride picks from the results of stride 1.
    if down != along or (dilation != (1, 1) and down > 1):
        strides = (1, 1)
    else:
        down = along = 1
    if groups == x.shape[-1] > 1:
        depthwise = ops.reshape(kernel, (*kernel.shape[:2], groups, -1))
        y = ops.depthwise_conv(x, depthwise, strides, "valid", None, dilation)
    else:
        parts = zip(
            ops.split(x, groups, axis=-1),
            ops.split(kernel, groups, axis=-1),
            strict=True,
        )
        parts = [ops.conv(p, k, strides, "valid", None, dilation) for p, k in parts]
        y = parts[0] if groups == 1 else ops.concatenate(parts, axis=-1)
    return y[:, ::down, ::along]


def _pool(x: Any, attrs: Mapping[str, Any]) -> Any:
    window, strides = attrs["window"], attrs["strides"]
    if attrs["mode"] == "max":
        return ops.max_pool(_padded(x, attrs["padding"], -np.inf), window, strides)
    y = ops.average_pool(_padded(x, attrs["padding"]), window, strides)
    if not any(a or b for a, b in attrs["padding"]):
        return y
    inside = _padded(ops.ones_like(x[:1, :, :, :1]), attrs["padding"])
    return y / ops.average_pool(inside, window, strides)  # the padding never counts


def _activation(x: Any, op: Op) -> Any:
    match op.attrs["function"]:
        case "softmax":
            return ops.softmax(x, axis=op.attrs["axis"])
        case "leaky_relu":
            return ops.where(x > 0, x, op.attrs["slope"] * x)
        case "gelu" if op.attrs["approximate"]:
            return 0.5 * x * (1 + ops.tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))
        case "gelu":
            return 0.5 * x * (1 + ops.erf(x * sqrt(0.5)))
        case name if name in FUNCTIONS:
            return FUNCTIONS[name](x)
        case name:
            raise GraphError(f"layer {op.layer!r}: {name} is not run")


def lrn_divisor(x: Any, attrs: Mapping[str, Any]) -> Any:
    """What local response normalisation divides each value by."""
    radius, channels = attrs["size"] // 2, x.shape[-1]
    squares = _padded(x**2, ((0, 0), (0, 0), (radius, radius)))
    total = sum(squares[..., i : i + channels] for i in range(attrs["size"]))
    return (attrs["k"] + attrs["alpha"] * total) ** attrs["beta"]
