"""What an op graph computes, in float64: slow, plain, and written from the definitions."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from reference_checks.graph import Graph, Op

erf = np.vectorize(math.erf)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x), without a number as large as e^-x."""
    return np.exp(-np.logaddexp(0, -x))


FUNCTIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "sigmoid": sigmoid,
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "tanh": np.tanh,
    "erf": erf,
    "silu": lambda x: x * sigmoid(x),
    "hard_silu": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "exponential": np.exp,
    "softplus": lambda x: np.logaddexp(0, x),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "selu": lambda x: (
        1.0507009873554805
        * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))
    ),
}


def evaluate(
    graph: Graph, values: Mapping[int, np.ndarray], *inputs
) -> list[np.ndarray]:
    """The outputs for a batch of each input, with the variables' `values`."""
    given = dict(zip(graph.inputs, inputs, strict=True))
    results: list[np.ndarray] = []
    for index, op in enumerate(graph.ops):
        if op.kind == "input":
            results.append(np.asarray(given[index], np.float64))
            continue
        weights = {w.role: w.read(values) for w in op.weights}
        result = apply(op, [results[i] for i in op.inputs], weights)
        assert (len(result), *op.shape) == result.shape, (op.layer, result.shape)
        results.append(result)
    return [results[i] for i in graph.outputs]


def apply(
    op: Op, xs: list[np.ndarray], weights: Mapping[str, np.ndarray]
) -> np.ndarray:
    """The op of batches; `weights` by role."""
    x, attrs = xs[0], op.attrs
    match op.kind:
        case "conv":
            return _conv(x, weights["kernel"], attrs) + weights.get("bias", 0.0)
        case "dense":
            return x @ weights["kernel"] + weights.get("bias", 0.0)
        case "batch_norm":
            deviation = np.sqrt(weights["variance"] + attrs.get("epsilon", 0.0))
            y = (x - weights["mean"]) / deviation
            return y * weights.get("gamma", 1.0) + weights.get("beta", 0.0)
        case "layer_norm":
            return _layer_norm(x, attrs, weights)
        case "activation":
            return _activation(x, attrs)
        case "pool":
            return _pool(x, attrs)
        case "mean" | "sum":
            axes = tuple(a + 1 for a in attrs["axes"])
            return getattr(x, op.kind)(axis=axes, keepdims=attrs["keepdims"])
        case "pad":
            return np.pad(
                x, ((0, 0), *attrs["padding"]), constant_values=attrs["value"]
            )
        case "slice":
            return x[(slice(None), *(slice(*r) for r in attrs["ranges"]))]
        case "take":
            return np.take(x, attrs["indices"], axis=attrs["axis"] + 1)
        case "reshape":
            return x.reshape(len(x), *op.shape)
        case "transpose":
            return x.transpose(0, *(a + 1 for a in attrs["axes"]))
        case "concat":
            return np.concatenate(xs, axis=attrs["axis"] + 1)
        case "add":
            return sum(xs[1:], start=x)
        case "multiply":
            return math.prod(xs[1:], start=x)
        case "scale":
            return x * np.asarray(attrs["by"] if "by" in attrs else weights["by"])
        case "shift":
            return x + np.asarray(attrs["by"] if "by" in attrs else weights["by"])
        case "power":
            return x ** attrs["exponent"]
        case "lrn":
            return _lrn(x, attrs)
        case "dropout" | "identity":
            return x
    raise NotImplementedError(op.kind)


def _windows(x: np.ndarray, window, attrs, fill: float) -> np.ndarray:
    """(batch, height, width, channels, window height, window width)."""
    dilation = attrs.get("dilation", (1, 1))
    x = np.pad(x, ((0, 0), *attrs["padding"], (0, 0)), constant_values=fill)
    spread = tuple((w - 1) * d + 1 for w, d in zip(window, dilation, strict=True))
    views = sliding_window_view(x, spread, axis=(1, 2))
    (sh, sw), (dh, dw) = attrs["strides"], dilation
    return views[:, ::sh, ::sw, :, ::dh, ::dw]


def _conv(x: np.ndarray, kernel: np.ndarray, attrs) -> np.ndarray:
    groups = attrs["groups"]
    pieces = zip(
        np.split(x, groups, axis=-1), np.split(kernel, groups, axis=-1), strict=True
    )
    return np.concatenate(
        [
            np.einsum("bhwcij,ijco->bhwo", _windows(part, k.shape[:2], attrs, 0.0), k)
            for part, k in pieces
        ],
        axis=-1,
    )


def _pool(x: np.ndarray, attrs) -> np.ndarray:
    if attrs["mode"] == "max":
        return _windows(x, attrs["window"], attrs, -np.inf).max(axis=(-2, -1))
    total = _windows(x, attrs["window"], attrs, 0.0).sum(axis=(-2, -1))
    count = _windows(np.ones_like(x), attrs["window"], attrs, 0.0).sum(axis=(-2, -1))
    return total / count


def _layer_norm(x: np.ndarray, attrs, weights) -> np.ndarray:
    axes = attrs["axes"]
    y = x - x.mean(axis=axes, keepdims=True)
    y = y / np.sqrt((y**2).mean(axis=axes, keepdims=True) + attrs["epsilon"])
    # The weights have the shape of the normalised axes alone.
    shape = [n if k - x.ndim in axes else 1 for k, n in enumerate(x.shape)]
    gamma, beta = (
        np.reshape(weights[role], shape) if role in weights else neutral
        for role, neutral in (("gamma", 1.0), ("beta", 0.0))
    )
    return y * gamma + beta


def _activation(x: np.ndarray, attrs) -> np.ndarray:
    match attrs["function"]:
        case "softmax":
            e = np.exp(x - x.max(axis=attrs["axis"], keepdims=True))
            return e / e.sum(axis=attrs["axis"], keepdims=True)
        case "gelu" if attrs["approximate"]:
            inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
            return 0.5 * x * (1 + np.tanh(inner))
        case "gelu":
            return 0.5 * x * (1 + erf(x / math.sqrt(2)))
        case "leaky_relu":
            return np.where(x > 0, x, attrs["slope"] * x)
        case name:
            return FUNCTIONS[name](x)


def _lrn(x: np.ndarray, attrs) -> np.ndarray:
    radius = attrs["size"] // 2
    padded = np.pad(x**2, ((0, 0), (0, 0), (0, 0), (radius, radius)))
    total = sliding_window_view(padded, attrs["size"], axis=-1).sum(axis=-1)
    return x * (attrs["k"] + attrs["alpha"] * total) ** -attrs["beta"]


def random_values(graph: Graph, seed: int) -> dict[int, np.ndarray]:
    """Weights and statistics of a graph as built; variances are positive."""
    rng = np.random.default_rng(seed)
    positive = {
        i for op in graph.ops for w in op.weights if w.role == "variance" for i in w.variables
    }  # fmt: skip
    return {
        i: rng.uniform(0.5, 2, v.shape)
        if i in positive
        else rng.normal(0, 0.5, v.shape)
        for i, v in enumerate(graph.variables)
    }


def random_inputs(graph: Graph, seed: int, batch: int = 2) -> list[np.ndarray]:
    rng = np.random.default_rng(seed + 1)
    return [rng.standard_normal((batch, *graph.ops[i].shape)) for i in graph.inputs]


def distance(candidate: np.ndarray, reference: np.ndarray) -> float:
    """‖candidate - reference‖ / ‖reference‖, and infinite for other shapes."""
    if candidate.shape != reference.shape:
        return math.inf
    scale = np.linalg.norm(reference)
    return float(np.linalg.norm(candidate - reference) / (scale or 1.0))
