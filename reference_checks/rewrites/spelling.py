"""Spellings that change no weight: identities, nesting, selection, activations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from reference_checks.graph import Absorbed, Graph, Op
from reference_checks.rewrites.rule import Replacements, alone, together

IDENTITY = "inference identity"


def inference_identity(graph: Graph, index: int, op: Op) -> Replacements | None:
    """Dropout, identity, + 0, * 1 and a norm's momentum do nothing at inference.

    Dropout multiplies by a mask of mean 1 in training only; momentum only steers the
    moving statistics.
    """
    neutral = {"shift": 0.0, "scale": 1.0}.get(op.kind, object())
    if op.kind in ("dropout", "identity") or op.attrs.get("by") == neutral:
        noted = op.absorbed
        if op.kind == "dropout":
            rate = op.attrs["rate"]
            noted += (Absorbed(IDENTITY, "dropout", rate, layer=op.layer),)
        return stepped_over(graph, index, noted)
    if "momentum" in op.attrs:
        attrs = dict(op.attrs)
        value = attrs.pop("momentum")
        noted = Absorbed(IDENTITY, "momentum", value, layer=op.layer)
        return {index: replace(op, attrs=attrs, absorbed=(*op.absorbed, noted))}
    return None


def stepped_over(graph: Graph, index: int, noted: tuple[Absorbed, ...]) -> Replacements:
    """The op's input in its place; the notes go there."""
    (source,) = graph.ops[index].inputs
    if not noted:
        return {index: source}
    before = graph.ops[source]
    return {index: source, source: before.but(absorbed=before.absorbed + noted)}


def associative(graph: Graph, index: int, op: Op) -> Replacements | None:
    """A sum of sums is one sum, a concatenation of concatenations along one axis is one."""
    if op.kind not in ("add", "concat"):
        return None

    def nested(source: int) -> bool:
        inner = graph.ops[source]
        return (
            inner.kind == op.kind and inner.attrs == op.attrs and alone(graph, source)
            # A sum that broadcasts is another sum.
            and (op.kind == "concat" or inner.shape == op.shape)
        )  # fmt: skip

    merged = [source for source in op.inputs if nested(source)]
    if not merged:
        return None
    inputs: list[int] = []
    for source in op.inputs:
        inputs.extend(graph.ops[source].inputs if source in merged else [source])
    notes = [note for source in merged for note in graph.ops[source].absorbed]
    absorbed = together((*notes, *op.absorbed))
    return {index: op.but(inputs=tuple(inputs), absorbed=absorbed)}


def selection(graph: Graph, index: int, op: Op) -> Replacements | None:
    """Taking consecutive indices is a slice, a slice of all is nothing, two are one."""
    if op.kind == "take":
        axis, indices = op.attrs["axis"], op.attrs["indices"]
        if indices != tuple(range(indices[0], indices[0] + len(indices))):
            return None
        ranges = [(0, size) for size in op.shape]
        source = graph.in_shape(op)[axis]
        if source is None or not 0 <= indices[0] <= indices[-1] < source:
            return None  # numbers from the end mean other elements than they say
        ranges[axis] = (indices[0], indices[-1] + 1)
        return {index: replace(op, kind="slice", attrs={"ranges": tuple(ranges)})}
    if op.kind != "slice":
        return None
    if op.shape == graph.in_shape(op):
        return stepped_over(graph, index, op.absorbed)
    inner = graph.ops[op.inputs[0]]
    if inner.kind != "slice":
        return None
    ranges = tuple(
        (start + a, start + b)
        for (a, b), (start, _) in zip(
            op.attrs["ranges"], inner.attrs["ranges"], strict=True
        )
    )
    absorbed = together((*inner.absorbed, *op.absorbed))
    return {
        index: op.but(inputs=inner.inputs, attrs={"ranges": ranges}, absorbed=absorbed)
    }


def activation_spelling(graph: Graph, index: int, op: Op) -> Replacements | None:
    """An activation written out as its formula is that activation.

    x * sigmoid(x) is silu; relu6(x + 3) / 6 is hard sigmoid, and x times it hard silu;
    x / 2 * (1 + erf(x / sqrt(2))) is gelu (Hendrycks and Gimpel 2016), which has an
    approximation with tanh.  Constants must agree to the last digits of float64.
    """
    if op.kind == "activation" and op.attrs.get("axis", -1) >= 0:
        # The axis of a softmax counts the batch.
        return {index: op.but(attrs={"axis": op.attrs["axis"] - len(op.shape) - 1})}
    if op.kind not in ("multiply", "scale"):
        return None
    for gate in _product(graph, index)[1]:
        for source, times, constant, attrs in _formulas(graph, gate):
            number, factors, through = _product(graph, index, source)
            if (
                _equal(number, constant)
                and sorted(factors) == sorted([gate] + [source] * times)
                and op.shape == graph.ops[source].shape
            ):
                notes = (n for i in (*through, gate) for n in graph.ops[i].absorbed)
                return {
                    index: replace(
                        op, kind="activation", inputs=(source,), attrs=attrs,
                        absorbed=together(notes),
                    )
                }  # fmt: skip
    return None


Formula = tuple[int, int, float, dict]
"""The source x, how often it is a factor beside the gate, the constant, the activation."""


def _formulas(graph: Graph, gate: int) -> Iterator[Formula]:
    """Formulas of which op `gate` may be the factor that is not x."""
    op = graph.ops[gate]
    function = op.attrs.get("function")
    if function == "sigmoid":
        yield op.inputs[0], 1, 1.0, {"function": "silu"}
    if function == "hard_sigmoid":
        yield op.inputs[0], 1, 1.0, {"function": "hard_silu"}
    if (
        function == "relu6"
        and (source := _shifted(graph, op.inputs[0], 3.0)) is not None
    ):
        yield source, 0, 1 / 6, {"function": "hard_sigmoid"}
        yield source, 1, 1 / 6, {"function": "hard_silu"}
    inner = _shifted(graph, gate, 1.0)
    if inner is None:
        return
    squash = graph.ops[inner]
    gelu = {"function": "gelu", "approximate": squash.attrs.get("function") == "tanh"}
    if squash.attrs.get("function") == "erf":
        number, factors, _ = _product(graph, squash.inputs[0])
        if len(factors) == 1 and _equal(number, math.sqrt(0.5)):
            yield factors[0], 1, 0.5, gelu
    if squash.attrs.get("function") == "tanh":
        source = _cubic(graph, squash.inputs[0])
        if source is not None:
            yield source, 1, 0.5, gelu


def _cubic(graph: Graph, index: int) -> int | None:
    """x, if the op is sqrt(2 / pi) * (x + 0.044715 * x ** 3)."""
    number, factors, _ = _product(graph, index)
    total = graph.ops[factors[0]]
    if len(factors) != 1 or total.kind != "add" or len(total.inputs) != 2:
        return None
    for source, cube in (total.inputs, total.inputs[::-1]):
        inner, cubed, _ = _product(graph, cube, source)
        if (
            cubed == [source] * 3
            and _equal(inner, 0.044715)
            and _equal(number, math.sqrt(2 / math.pi))
        ):
            return source
    return None


def _shifted(graph: Graph, index: int, by: float) -> int | None:
    """What the op adds `by` to, if it does."""
    op = graph.ops[index]
    return op.inputs[0] if op.kind == "shift" and op.attrs.get("by") == by else None


def _product(
    graph: Graph, index: int, stop: int | None = None
) -> tuple[float, list[int], list[int]]:
    """The op as a number times other ops: (number, factors, ops gone through).

    `stop` is a factor whatever it is; so is what comes after the first few.
    """
    number, factors, through, waiting = 1.0, [], [], [index]
    while waiting:
        at = waiting.pop()
        op = graph.ops[at]
        times = {"scale": 1, "multiply": 1}.get(op.kind, op.attrs.get("exponent"))
        opens = at != stop and len(through) < LONGEST and times in (1, 2, 3)
        if opens and isinstance(op.attrs.get("by", 1.0), float) and not op.weights:
            number *= op.attrs.get("by", 1.0)
            through.append(at)
            waiting.extend(op.inputs * int(times))
        else:
            factors.append(at)
    return number, factors, through


LONGEST = 6  # ops that a formula's product may be written with


def _equal(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-15)
