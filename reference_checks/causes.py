"""The known causes of numbers that do not agree, and a count under any of them.

Each is a way in which people, papers and tools have counted the same network differently:
another factor or unit, parts left out or counted as well, another stride, input size,
number of classes.  Sources: the issues of fvcore, thop, flops-counter.pytorch and Keras
Applications, and the papers' own errata.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import prod
from typing import Any

from reference_checks import measure
from reference_checks.graph import Graph, Op
from reference_checks.spec import Claim, Spec, Variant

SIZES = (224, 227, 256, 299)
CLASSES = (10, 100, 1000, 1001, 21841)
TOGGLED = {
    "params": ("bias", "norm", "statistics", "fixed"),
    "model_bytes": ("bias", "norm", "statistics", "fixed"),
    "multiply_adds": ("dense", "bias", "norm", "activation", "pool", "add", "lrn"),
    "depth": ("pool",),
}  # fmt: skip
"""What a convention may count or not, by quantity."""
FACTORS = {
    "multiply_adds": ("times 2", "halved"),
    "connections": ("times 2", "halved"),
    "activation_bytes": ("32 bits instead of 16", "8 bits instead of 16"),
    "model_bytes": ("64 bits instead of 32", "16 bits instead of 32"),
}
"""What twice and half of a quantity stand for."""
NAMES = {
    "norm": "normalisation",
    "statistics": "moving statistics",
    "fixed": "what is set by hand",
    "pool": "pooling",
    "activation": "activations",
    "add": "additions",
    "lrn": "local response normalisation",
    "bias": "biases",
    "dense": "dense layers",
}


BETWEEN = ("batch_norm", "activation", "scale", "shift", "pad")
"""What may stand between the two convolutions that a stride is moved along."""


@dataclass(frozen=True)
class Counting:
    """How a network is built and what of it is counted.

    `build` are arguments of the implementation; `strides` says which of a 1x1 and the
    wider convolution after it has a block's stride ("wide", "1x1", or as built).
    """

    counts: frozenset[str] = frozenset()
    build: Mapping[str, Any] = field(default_factory=dict)
    factor: Fraction = Fraction(1)
    strides: str = ""
    groups: str = ""
    top: bool = True
    dense: bool = True
    biases: bool = False
    paths: bool = False


@dataclass(frozen=True)
class Cause:
    """One change of a counting; those of one `kind` exclude each other."""

    what: str
    kind: str
    changes: Mapping[str, Any]

    def on(self, counting: Counting) -> Counting:
        """The counting with the change."""
        changes = dict(self.changes)
        if "toggle" in changes:
            changes["counts"] = counting.counts ^ {changes.pop("toggle")}
        if "build" in changes:
            changes["build"] = {**counting.build, **changes["build"]}
        if "factor" in changes:
            changes["factor"] *= counting.factor
        return replace(counting, **changes)


def causes(
    claim: Claim, power: int, spec: Spec, variant: Variant, counts: Collection[str]
) -> list[Cause]:
    """The causes that can change a claim's number, counted by `counts`.

    The number is printed in a unit of ten to the `power`.
    """
    quantity = claim.quantity
    return [
        *_units(quantity, power),
        *_parts(quantity, counts),
        *_structure(quantity),
        *_built(spec, variant),
    ]


def _units(quantity: str, power: int) -> Iterator[Cause]:
    twice, half = FACTORS.get(quantity, ("", ""))
    for what, factor in ((twice, Fraction(2)), (half, Fraction(1, 2))):
        if what:
            yield Cause(what, "factor", {"factor": factor})
    if power >= 3:
        what = ("K = 1024", "M = 1024²", "G = 1024³", "T = 1024⁴")[
            min(power // 3, 4) - 1
        ]
        factor = Fraction(1000, 1024) ** min(power // 3, 4)
        yield Cause(what, "unit", {"factor": factor})


def _parts(quantity: str, counts: Collection[str]) -> Iterator[Cause]:
    for part in TOGGLED.get(quantity, ()):
        word = "left out" if part in counts else "counted"
        kind = "top" if part == "dense" else part
        yield Cause(f"{NAMES[part]} {word}", kind, {"toggle": part})


def _structure(quantity: str) -> Iterator[Cause]:
    if quantity in ("params", "model_bytes", "multiply_adds", "neurons", "depth"):
        yield Cause("without the top: all after the last map", "top", {"top": False})
    if quantity in ("params", "model_bytes", "neurons", "depth"):
        yield Cause("dense layers left out", "top", {"dense": False})
    if quantity in ("params", "model_bytes", "multiply_adds"):
        yield Cause(
            "a bias for every convolution and dense layer", "biases", {"biases": True}
        )
        yield Cause("grouped convolutions as dense ones", "groups", {"groups": "dense"})
    if quantity in ("params", "model_bytes", "multiply_adds", "depth"):
        yield Cause("grouped convolutions left out", "groups", {"groups": "none"})
    if quantity in ("multiply_adds", "neurons"):
        for where, other in (("wide", "1x1"), ("1x1", "wide")):
            name = {"wide": "wider", "1x1": "1x1"}
            what = f"strides on the {name[where]} convolution, not the {name[other]}"
            yield Cause(what, "strides", {"strides": where})
    if quantity == "depth":
        yield Cause("layers on all paths", "paths", {"paths": True})


def _built(spec: Spec, variant: Variant) -> Iterator[Cause]:
    height, width, channels = variant.input
    others = {tuple(v.input) for v in spec.variants.values()}
    others |= {(size, size, channels) for size in SIZES}
    for size in sorted(others - {tuple(variant.input)}):
        if size[2] == channels:
            what = f"input {size[0]}x{size[1]} instead of {height}x{width}"
            yield Cause(what, "input", {"build": {"input_shape": size}})
    for classes in CLASSES:
        if classes != variant.classes:
            what = f"{classes} classes instead of {variant.classes}"
            yield Cause(what, "classes", {"build": {"classes": classes}})
    for name, deviation in spec.deviations.items():
        if deviation.knob is not None:
            knob = {deviation.knob: deviation.value}
            yield Cause(f"as deviation {name}", f"knob {deviation.knob}", {"build": knob})  # fmt: skip


def count(
    quantity: str, graph: Graph, part: Sequence[int] | None, counting: Counting
) -> int:
    """A quantity of the ops in `part` (all, if None), by what a counting says of the graph.

    Its `build` is in the graph already, and its `factor` is the caller's.
    """
    skipped = _skipped(graph, counting)
    inside = range(len(graph.ops)) if part is None else part
    ops = [index for index in inside if index not in skipped]
    scale = _moved(graph, counting.strides) if counting.strides else {}
    match quantity:
        case "params":
            return _params(graph, ops, counting)
        case "model_bytes":
            return 4 * _params(graph, ops, counting)  # 32-bit, as in claims.quantity
        case "multiply_adds":
            found = Fraction(0)
            for index in ops:
                op = graph.ops[index]
                parts = measure.operations(graph, op)
                if counting.biases and op.kind in ("conv", "dense"):
                    parts["bias"] = prod(op.shape)
                kinds = counting.counts | ({"bias"} if counting.biases else set())
                number = sum(n for kind, n in parts.items() if kind in kinds)
                found += number * scale.get(index, 1) * _groups(op, counting)
            return int(found)
        case "neurons":
            chosen = [i for i in ops if graph.ops[i].kind in ("conv", "dense")]
            return int(sum(prod(graph.ops[i].shape) * scale.get(i, 1) for i in chosen))
        case "depth":
            chosen = [op for i in ops if _groups(op := graph.ops[i], counting)]
            kinds = counting.counts
            if counting.paths:
                kinds |= {"mean"} if "pool" in kinds else set()
                return sum(op.kind in kinds for op in chosen)
            return measure.depth(graph, counts=kinds, ops=chosen)
    raise AssertionError(quantity)


def _params(graph: Graph, ops: Sequence[int], counting: Counting) -> int:
    """As `measure.params`, with groups and biases as the counting has them."""
    seen: set[int] = set()
    found = 0
    for index in ops:
        op = graph.ops[index]
        for weight in op.weights:
            fresh = set(weight.variables) - seen
            seen |= fresh
            kind = measure.param_class(graph, op, weight)
            if kind in counting.counts or (kind == "bias" and counting.biases):
                size = sum(graph.variables[i].size for i in fresh)
                found += size * (_groups(op, counting) if kind == "kernel" else 1)
        if counting.biases and op.kind in ("conv", "dense") and not op.weight("bias"):
            found += op.shape[-1]
    return found


def _groups(op: Op, counting: Counting) -> int:
    groups = op.attrs["groups"] if op.kind == "conv" else 1
    if groups == 1 or not counting.groups:
        return 1
    return groups if counting.groups == "dense" else 0


def _skipped(graph: Graph, counting: Counting) -> set[int]:
    """The ops that a counting leaves out."""
    found: set[int] = set()
    if not counting.dense:
        found |= {i for i, op in enumerate(graph.ops) if op.kind == "dense"}
    if not counting.top:
        # A gate is 1x1 too, but what it scales is a map.
        led: dict[int, bool] = {}
        for index in range(len(graph.ops) - 1, -1, -1):
            area = prod(n or 2 for n in graph.ops[index].shape[:-1])
            led[index] = area > 1 or any(led[i] for i in graph.consumers[index])
        found |= {index for index, leads in led.items() if not leads}
    return found


def _moved(graph: Graph, to: str) -> dict[int, Fraction]:
    """How much more each op does with strides moved along 1x1 → wider convolution."""
    scale: dict[int, Fraction] = {}
    for index, op in enumerate(graph.ops):
        if op.kind != "conv" or op.weight("kernel").shape[:2] != (1, 1):
            continue
        chain, at = [index], index
        while len(graph.consumers[at]) == 1:
            at = graph.consumers[at][0]
            if graph.ops[at].kind not in BETWEEN:
                break
            chain.append(at)
        wide = graph.ops[at]
        if wide.kind != "conv" or wide.weight("kernel").shape[:2] == (1, 1):
            continue
        moving = op if to == "wide" else wide
        staying = wide if to == "wide" else op
        if max(moving.attrs["strides"]) == 1 or max(staying.attrs["strides"]) > 1:
            continue
        if to == "wide":
            ratio = Fraction(prod(graph.in_shape(op)[:-1]), prod(op.shape[:-1]))
        else:
            ratio = Fraction(prod(wide.shape[:-1]), prod(op.shape[:-1]))
        scale.update(dict.fromkeys(chain, ratio))
    return scale
