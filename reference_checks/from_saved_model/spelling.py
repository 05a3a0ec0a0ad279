"""What several nodes spell together: biases, and batch norms written with constants."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_checks.from_saved_model.constants import Fixed
from reference_checks.graph import Graph, Op, tidy

if TYPE_CHECKING:
    from reference_checks.from_saved_model.reader import Reader


def spelt_together(reader: Reader, outputs: tuple[int, ...]) -> Graph:
    """The graph of what was read, with every scale and shift as what it is."""
    graph = Graph(tuple(reader.ops), outputs, (), "", tuple(reader.tensors))
    norms = {i: found for i in reader.by if (found := _norm(reader, graph, i))}
    within = {graph.ops[i].inputs[0] for i in norms}  # the scale before the shift
    ops = dict(enumerate(graph.ops))
    for index in reader.by:
        if index in norms:
            ops[index] = _as_norm(reader, graph, index, *norms[index])
        elif index not in within:
            bias = _as_bias(reader, graph, index)
            ops[index] = bias or _as_it_stands(reader, graph, index)
    graph = replace(graph, variables=tuple(reader.variables))
    return _without_scope(tidy(ops, outputs, graph))


def _alone(graph: Graph, index: int) -> bool:
    """Whether only one op reads this one."""
    return len(graph.consumers[index]) == 1 and index not in graph.outputs


def _norm(
    reader: Reader, graph: Graph, index: int
) -> tuple[dict[str, Fixed], float] | None:
    """The weights by role, and epsilon, if x * c + d at `index` is a batch norm.

    c = gamma / sqrt(variance + epsilon) and d = beta - mean * c, of which gamma and beta
    may be missing: `tf.nn.batch_normalization`.
    """
    scale = graph.ops[index].inputs[0]
    kinds = (graph.ops[scale].kind, graph.ops[index].kind)
    if (
        kinds != ("scale", "shift")
        or scale not in reader.by
        or not _alone(graph, scale)
    ):
        return None
    factor, offset = reader.by[scale].plain, reader.by[index].plain
    roles: dict[str, Fixed] = {}
    root = factor
    if factor.kind == "Mul":
        parts = [part.plain for part in factor.parts]
        root, roles["gamma"] = sorted(parts, key=lambda part: part.kind != "Rsqrt")
    spread = root.parts[0].plain if root.kind == "Rsqrt" else None
    if spread is None or spread.kind not in ("Add", "AddV2"):
        return None
    roles["variance"], epsilon = sorted(
        (part.plain for part in spread.parts), key=lambda part: part.value.ndim == 0
    )
    subtracts = offset.kind == "Sub"
    if subtracts:
        roles["beta"], offset = (part.plain for part in offset.parts)
    parts = [part.plain for part in offset.parts]
    if offset.kind != "Mul" or factor not in parts:
        return None
    mean = parts[1 - parts.index(factor)]
    if not subtracts and mean.kind != "Neg":
        return None
    roles["mean"] = mean if subtracts else mean.parts[0].plain
    sizes = {fixed.value.size for fixed in roles.values()}
    if epsilon.variables or epsilon.value.ndim or sizes != {graph.ops[index].shape[-1]}:
        return None
    return roles, epsilon.number()


def _as_norm(
    reader: Reader, graph: Graph, index: int, roles: dict[str, Fixed], epsilon: float
) -> Op:
    op = graph.ops[index]
    weights = tuple(
        reader.weight(role, roles[role], op.shape[-1:], op.layer)
        for role in ("gamma", "beta", "mean", "variance")
        if role in roles
    )
    inputs = graph.ops[op.inputs[0]].inputs
    attrs = {"epsilon": epsilon}
    return replace(op, kind="batch_norm", inputs=inputs, attrs=attrs, weights=weights)


def _as_bias(reader: Reader, graph: Graph, index: int) -> Op | None:
    """The convolution or dense layer with what is added to each channel, if it is that."""
    op, by = graph.ops[index], reader.by[index]
    (source,) = op.inputs
    before, channels = graph.ops[source], op.shape[-1]
    if op.kind != "shift" or before.kind not in ("conv", "dense"):
        return None
    if by.value.shape[-1:] != (channels,) or by.value.size != channels:
        return None
    if not _alone(graph, source):
        return None
    bias = reader.weight("bias", by, (channels,), before.layer)
    return before.but(weights=(*before.weights, bias), tensor=op.tensor)


def _as_it_stands(reader: Reader, graph: Graph, index: int) -> Op:
    """A scale or a shift by numbers, or by a weight."""
    op, by = graph.ops[index], reader.by[index]
    shape = by.value.shape
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    if by.variables or (not reader.captured and by.value.size > 1):
        return op.but(weights=(reader.weight("by", by, shape, op.layer),))
    return op.but(attrs={"by": replace(by, value=by.value.reshape(shape)).number()})


def _without_scope(graph: Graph) -> Graph:
    """Layers without the model's own name, where all of them are in its scope."""
    layers = [op.layer for op in graph.ops if op.kind != "input"]
    scopes = {layer.split("/")[0] for layer in layers}
    if len(scopes) != 1 or not all("/" in layer for layer in layers):
        return graph
    (scope,) = scopes
    ops = (op.but(layer=op.layer.removeprefix(scope + "/")) for op in graph.ops)
    return replace(graph, ops=tuple(ops), name=scope)
