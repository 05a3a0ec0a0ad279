"""The reader: nodes to ops, one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from reference_checks.from_saved_model.constants import FOLDED, Fixed
from reference_checks.from_saved_model.nodes import NODES
from reference_checks.from_saved_model.spelling import spelt_together
from reference_checks.graph import Graph, GraphError, Op, Values, Variable, Weight

PASSED = {
    "Identity",
    "IdentityN",
    "StopGradient",
    "PreventGradient",
    "Snapshot",
    "Cast",
}
"""Nodes that do nothing at inference, or change the precision only."""

SIZES = {"Shape", "Pack", "StridedSlice", "Prod", "ConcatV2", "Mul", "Cast", "GatherV2"}
"""Nodes that compute the shape of a reshape from the size of the batch."""

SIZE = object()
"""What such a node yields."""

REFUSED = {
    "While": "a loop",
    "StatelessWhile": "a loop",
    "If": "a branch that depends on data",
    "StatelessIf": "a branch that depends on data",
    "Case": "a branch that depends on data",
    "StatelessCase": "a branch that depends on data",
    "PartitionedCall": "a call that cannot be inlined",
    "StatefulPartitionedCall": "a call that cannot be inlined",
}


class Reader:
    """Ops in the order of the nodes, and what they are made from.

    `variables` are the captured ones, by the name of the node that they became.
    """

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self.captured = variables
        self.ops: list[Op] = []
        self.by: dict[int, Fixed] = {}  # what a scale or a shift is by
        self.tensors: list[str] = []
        self.variables: list[Variable] = []
        self.values: list[np.ndarray] = []
        self.index: dict[str, int] = {}

    def read(self, outputs: Sequence[Any]) -> Graph:
        """The graph of what the outputs of a frozen function are computed from."""
        at: dict[str, Any] = {}
        nodes = tuple(_in_order(outputs))
        for node in nodes:  # before the reasons that follow from it
            if node.type in REFUSED:
                reason = (
                    f"{REFUSED[node.type]} ({node.type}); only static graphs are read"
                )
                raise self.error(node, reason)
        for node in nodes:
            results = self.node(node, [at.get(tensor.name) for tensor in node.inputs])
            for tensor, result in zip(node.outputs, results, strict=False):
                at[tensor.name] = result
                if isinstance(result, int) and self.ops[result].tensor is None:
                    self.ops[result] = self.ops[result].but(tensor=len(self.tensors))
                    self.tensors.append(tensor.name)
        found = tuple(at.get(tensor.name) for tensor in outputs)
        for tensor, index in zip(outputs, found, strict=True):
            if not isinstance(index, int):
                raise GraphError(f"output {tensor.name!r} does not depend on the input")
        return spelt_together(self, found)

    def node(self, node: Any, ins: list) -> Sequence:
        """What its first outputs are: an op's index, a constant or a size."""
        if node.type == "NoOp":
            return []
        if node.type == "Const":
            import tensorflow as tf

            value = tf.make_ndarray(node.get_attr("value"))
            return [Fixed(node.name, "Const", value, (), node.name in self.captured)]
        if ins and all(isinstance(i, Fixed) for i in ins) and node.type in FOLDED:
            shape = tuple(node.outputs[0].shape)
            value = FOLDED[node.type](shape, *(i.value for i in ins))
            return [Fixed(node.name, node.type, value, tuple(ins))]
        data = [i for i in ins if isinstance(i, int)]
        if node.type == "Shape" or (node.type in SIZES and not data):
            return [SIZE]
        if node.type in PASSED:
            if node.type == "Cast" and not node.outputs[0].dtype.is_floating:
                raise self.error(node, "rounds its input to integers")
            return ins
        if node.type not in NODES:
            raise self.error(node, f"unknown operation {node.type!r}")
        if node.type != "Placeholder" and not data:
            raise self.error(node, f"{node.type} of constants is not read")
        needed = ins[:1] if node.type == "Reshape" else ins
        if SIZE in needed or None in needed:
            raise self.error(
                node, f"{node.type} needs a size or a statistic of the batch"
            )
        return [NODES[node.type](self, node, ins)]

    def error(self, node: Any, reason: str) -> GraphError:
        return GraphError(f"node {node.name!r}: {reason}")

    def layer(self, node: Any) -> str:
        """The layer that a node is from: its scope, without the calls around it."""
        name = re.sub(r"^((Stateful)?PartitionedCall(_\d+)?/)+", "", node.name)
        return name.rpartition("/")[0] or name

    def shape(self, node: Any) -> tuple[int | None, ...]:
        """Of its first output, without the batch."""
        shape = node.outputs[0].shape
        if not shape.rank:
            raise self.error(node, "the shape is not known: give input_shape")
        return tuple(shape[1:])

    def data(self, node: Any, ins: list, count: int = 1) -> list[int]:
        """The first inputs, all of which must depend on the model's input."""
        if not all(isinstance(i, int) for i in ins[:count]):
            raise self.error(node, f"{node.type} of a constant is not read")
        return ins[:count]

    def constant(self, node: Any, ins: list, position: int) -> Fixed:
        if not isinstance(ins[position], Fixed):
            raise self.error(node, f"input {position} of {node.type} is not a constant")
        return ins[position]

    def emit(self, kind: str, inputs: Sequence[int], node: Any, **more: Any) -> int:
        """A new op; its shape is the node's unless it is given."""
        weights = more.pop("weights", ())
        shape = more.pop("shape", None) or self.shape(node)
        op = Op(kind, tuple(inputs), shape, more, weights, self.layer(node))
        self.ops.append(op)
        return len(self.ops) - 1

    def affine(self, kind: str, source: int, by: Fixed, node: Any) -> int:
        """Scale or shift by a constant; `spelt_together` decides what that makes."""
        if self.shape(node) != self.ops[source].shape:
            raise self.error(node, f"{node.type} that broadcasts its input is not read")
        if by.value.ndim > len(self.ops[source].shape) and by.value.shape[0] != 1:
            raise self.error(
                node, f"the constant of {node.type} differs within the batch"
            )
        index = self.emit(kind, [source], node)
        self.by[index] = by
        return index

    def weight(
        self, role: str, fixed: Fixed, shape: Sequence[int], layer: str
    ) -> Weight:
        """A weight of an op: a variable, a constant, or computed from variables."""
        shape, fixed = tuple(shape), fixed.plain
        leaves = fixed.variables
        if fixed.variable or not leaves:
            index = self.stored(fixed, role)
            return Weight.of(role, index, self.variables[index], shape)
        stored = {name: self.stored(leaf, role) for name, leaf in leaves.items()}

        def read(values: Values) -> np.ndarray:
            given = {name: values[index] for name, index in stored.items()}
            return np.reshape(fixed.at(given), shape)

        def write(value: np.ndarray) -> dict[int, np.ndarray]:
            names = ", ".join(self.variables[i].name for i in stored.values())
            raise GraphError(f"layer {layer!r}: its {role} is computed from {names}")

        return Weight(role, shape, tuple(stored.values()), read, write)

    def stored(self, fixed: Fixed, role: str) -> int:
        """The index of a variable, or of a constant that is used as one."""
        if fixed.node not in self.index:
            name, trainable = fixed.node, role not in ("mean", "variance")
            if fixed.variable:
                variable = self.captured[fixed.node]
                name, trainable = variable.name.split(":")[0], bool(variable.trainable)
            self.index[fixed.node] = len(self.variables)
            self.variables.append(Variable(name, fixed.value.shape, trainable))
            self.values.append(fixed.value)
        return self.index[fixed.node]


def _in_order(outputs: Sequence[Any]) -> Iterator[Any]:
    """All nodes that are run for the outputs, in topological order.

    Those are also the nodes that only have to run before another one: what is not known
    among them could do anything.
    """
    done: set[str] = set()
    stack = [(tensor.op, False) for tensor in reversed(outputs)]
    while stack:
        node, ready = stack.pop()
        if node.name in done:
            continue
        if ready:
            done.add(node.name)
            yield node
            continue
        stack.append((node, True))
        stack.extend((before, False) for before in reversed(node.control_inputs))
        stack.extend((tensor.op, False) for tensor in reversed(node.inputs))
