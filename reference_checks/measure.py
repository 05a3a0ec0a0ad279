"""Counts on the op graph: parameters, multiply-adds, depth, connections, neurons.

Nothing is run and nothing is allocated; every number follows from shapes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from math import prod

from reference_checks.graph import Graph, Op, Weight

PARAMS = ("kernel", "bias", "norm")
MULTIPLY_ADDS = ("conv", "dense")
LAYERS = ("conv", "dense")

CONVENTIONS: dict[str, tuple[tuple[str, ...], int]] = {
    "multiply-adds": (MULTIPLY_ADDS, 1),
    "2x": (MULTIPLY_ADDS, 2),
    "with bias": ((*MULTIPLY_ADDS, "bias"), 1),
    "with norm": ((*MULTIPLY_ADDS, "norm"), 1),
    "with norm, bias, activation, pooling": (
        (*MULTIPLY_ADDS, "norm", "bias", "activation", "pool"),
        1,
    ),
}
"""The conventions in use, as what is counted and the factor."""


def operations(graph: Graph, op: Op) -> Counter[str]:
    """The op's elementary operations for one input, by class.

    conv, dense: multiply-adds, every tap of the kernel counted, on padding too.  bias,
    norm, activation, add: one per output element.  pool: one per element of each window.
    lrn: one per element of each channel window.
    """
    out = prod(op.shape)
    match op.kind:
        case "conv":
            height, width, channels, _ = op.weight("kernel").shape
            counts = Counter(conv=out * height * width * channels)
        case "dense":
            counts = Counter(dense=out * op.weight("kernel").shape[0])
        case "batch_norm" | "layer_norm":
            counts = Counter(norm=out)
        case "activation" | "add":
            counts = Counter({op.kind: out * max(1, len(op.inputs) - 1)})
        case "pool":
            counts = Counter(pool=out * prod(op.attrs["window"]))
        case "mean":
            counts = Counter(pool=prod(graph.in_shape(op)))
        case "lrn":
            counts = Counter(lrn=out * op.attrs["size"])
        case _:
            counts = Counter()
    if op.weight("bias"):
        counts["bias"] = out
    return counts


def multiply_adds(
    graph: Graph,
    counts: Collection[str] = MULTIPLY_ADDS,
    factor: int = 1,
    ops: Iterable[Op] | None = None,
) -> int:
    """Multiply-adds for one input, under a convention (`CONVENTIONS`)."""
    ops = graph.ops if ops is None else ops
    return factor * sum(
        number
        for op in ops
        for kind, number in operations(graph, op).items()
        if kind in counts
    )


def param_class(graph: Graph, op: Op, weight: Weight) -> str:
    """kernel, bias, norm (gamma, beta), statistics (mean, variance) or fixed."""
    match weight.role:
        case "gamma" | "beta":
            return "norm"
        case "mean" | "variance":
            return "statistics"
        case "by" if not all(graph.variables[i].trainable for i in weight.variables):
            return "fixed"
        case "by":
            return "bias" if op.kind == "shift" else "kernel"
        case role:
            return role


def params_by_class(graph: Graph, ops: Iterable[Op] | None = None) -> Counter[str]:
    """Parameters by class; a weight that is shared counts once."""
    classes: dict[int, str] = {}
    for op in graph.ops if ops is None else ops:
        for weight in op.weights:
            for index in weight.variables:
                classes.setdefault(index, param_class(graph, op, weight))
    totals: Counter[str] = Counter()
    for index, name in classes.items():
        totals[name] += graph.variables[index].size
    return totals


def params(
    graph: Graph, counts: Collection[str] = PARAMS, ops: Iterable[Op] | None = None
) -> int:
    """Parameters of the named classes; by default what training updates."""
    totals = params_by_class(graph, ops)
    return sum(totals[name] for name in counts)


def all_params(graph: Graph) -> int:
    """Every stored number, as Keras' `count_params` has it."""
    return sum(variable.size for variable in graph.variables)


def depth(
    graph: Graph,
    end: int | None = None,
    counts: Collection[str] = LAYERS,
    ops: Iterable[Op] | None = None,
) -> int:
    """Layers on the longest path from an input to an output, or to op `end`.

    Layers have kernels; with `pool` in `counts`, pooling is one too.  With `ops`, only
    those count: the depth of a row alone.
    """
    kinds = {*counts} | ({"mean"} if "pool" in counts else set())
    inside = None if ops is None else {id(op) for op in ops}
    longest: list[int] = []
    for op in graph.ops:
        before = max((longest[i] for i in op.inputs), default=0)
        counted = op.kind in kinds and (inside is None or id(op) in inside)
        longest.append(before + counted)
    return max(longest[i] for i in (graph.outputs if end is None else [end]))


def depthwise_layers(graph: Graph) -> int:
    """Convolutions with one channel in each group."""
    return sum(
        op.kind == "conv" and op.attrs["groups"] == graph.in_shape(op)[-1] > 1
        for op in graph.ops
    )


def connections(graph: Graph, ops: Iterable[Op] | None = None) -> int:
    """Edges into units, one for each bias among them (LeCun et al. 1998).

    A shared coefficient scales edges that pooling already has; a weight that shifts is an
    edge for each unit.
    """
    total = 0
    for op in graph.ops if ops is None else ops:
        counts = operations(graph, op)
        total += sum(counts[kind] for kind in ("conv", "dense", "pool", "bias"))
        if op.kind == "shift" and op.weights:
            total += prod(op.shape)
    return total


def neurons(graph: Graph, ops: Iterable[Op] | None = None) -> int:
    """Units: output elements of convolutions and dense layers."""
    ops = graph.ops if ops is None else ops
    return sum(prod(op.shape) for op in ops if op.kind in ("conv", "dense"))
