"""Read a Keras model into the op graph.

The functional graph is walked from its outputs; nested models are inlined; a layer that
is not in the table below is expanded by calling it symbolically and walking what comes
out.  Nothing is traced or run and no backend is needed, so the graph is the same under
TensorFlow, JAX and torch, and a model built under `unallocated()` has no weights at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from reference_checks.from_keras.layers import ACTIVATIONS, LAYERS
from reference_checks.from_keras.operations import OPERATIONS
from reference_checks.graph import Graph, GraphError, Op, Variable, Weight


@contextmanager
def unallocated() -> Iterator[None]:
    """Models built inside have variables with shapes and no values: counting is free."""
    from keras.src.backend.common import global_state

    pending = "uninitialized_variables"
    before = list(global_state.get_global_attribute(pending, None) or [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        # Keras would initialise them when the next such scope ends.
        global_state.set_global_attribute(pending, before)


def from_keras(model: keras.Model) -> Graph:
    """The op graph of a functional (or built sequential) model.

    Raises:
        GraphError: the model is not a static graph, an operation is not known, or a
            layer holds weights that no operation uses.
    """
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        raise GraphError(
            f"model {model.name!r} is not a functional graph: build it from"
            " keras.Input, or give a Sequential model an input shape"
        )
    reader = Reader(model)
    outputs = reader.read(model.inputs, model.outputs, None)
    used = {i for op in reader.ops for w in op.weights for i in w.variables}
    for index, variable in enumerate(reader.variables):
        if index not in used:
            raise GraphError(f"no operation uses the weight {variable.name!r}")
    return Graph(
        tuple(reader.ops),
        tuple(outputs),
        reader.variables,
        model.name,
        tuple(reader.tensors),
    )


class Reader:
    """Ops in the order of the walk, and what they are made from."""

    def __init__(self, model: keras.Model) -> None:
        self.ops: list[Op] = []
        self.tensors: list[Any] = []
        self.variables = tuple(
            Variable(w.path, tuple(w.shape), w.trainable) for w in model.weights
        )
        self.index = {id(w): i for i, w in enumerate(model.weights)}

    def emit(
        self, kind: str, inputs: tuple[int, ...] | list[int], shape, layer: str, **attrs
    ) -> int:
        weights = attrs.pop("weights", ())
        self.ops.append(Op(kind, tuple(inputs), tuple(shape), attrs, weights, layer))
        return len(self.ops) - 1

    def weight(self, role: str, variable: Any, shape: Any = None) -> Weight:
        """The weight of an op; `shape` where the op sees the variable reshaped."""
        # An autocast or quantised layer may hand out a wrapper of its variable.
        index = self.index.get(id(variable))
        if index is None:
            raise GraphError(
                f"weight {variable.path!r} is not one of the model's weights"
            )
        return Weight.of(role, index, self.variables[index], shape)

    def read(self, inputs: list, outputs: list, bound: list[int] | None) -> list[int]:
        """Ops of a (sub)graph; `bound` are the ops that its inputs stand for."""
        at: dict[int, int] = {}
        if bound is None:
            for tensor in inputs:
                at[id(tensor)] = self.emit("input", (), tensor.shape[1:], tensor.name)
        else:
            at = {id(t): i for t, i in zip(inputs, bound, strict=True)}
        stack = [(tensor, False) for tensor in reversed(outputs)]
        while stack:
            tensor, ready = stack.pop()
            if id(tensor) in at:
                continue
            operation, node_index, _ = tensor._keras_history
            if (
                operation is None
                or not operation._inbound_nodes[node_index].input_tensors
            ):
                raise GraphError(
                    f"tensor {tensor.name!r} does not come from the inputs"
                )
            node = operation._inbound_nodes[node_index]
            if not ready:
                stack.append((tensor, True))
                stack.extend((t, False) for t in reversed(node.input_tensors))
                continue
            results = self.node(
                operation, node, [at[id(t)] for t in node.input_tensors]
            )
            for result, index in zip(node.output_tensors, results, strict=True):
                at[id(result)] = index
                if bound is None and self.ops[index].tensor is None:
                    self.ops[index] = self.ops[index].but(tensor=len(self.tensors))
                    self.tensors.append(result)
        return [at[id(tensor)] for tensor in outputs]

    def node(self, operation: Any, node: Any, ins: list[int]) -> list[int]:
        """The ops of one call of a layer or an operation."""
        shape = node.output_tensors[0].shape[1:]
        if isinstance(operation, keras.Model) and operation.inputs:
            return self.read(operation.inputs, operation.outputs, ins)
        layer = LAYERS.get(type(operation))
        if layer is not None:
            return [layer(self, operation, ins, shape)]
        if isinstance(operation, keras.Layer):
            return self.expand(operation, node, ins)
        name = type(operation).__name__
        function = OPERATIONS.get(name)
        if function is None:
            raise GraphError(f"layer {operation.name!r}: unknown operation {name!r}")
        arguments = [*node.arguments.args, *node.arguments.kwargs.values()]
        return [function(self, operation, ins, shape, arguments)]

    def expand(self, layer: keras.Layer, node: Any, ins: list[int]) -> list[int]:
        """A composite layer: called symbolically, and what it does is walked."""
        fresh = {
            id(t): keras.KerasTensor(t.shape, t.dtype, name=t.name)
            for t in node.input_tensors
        }
        args, kwargs = node.arguments.fill_in(fresh)
        if layer._call_has_training_arg:
            kwargs["training"] = False
        return self.walk(
            lambda: layer.call(*args, **kwargs), list(fresh.values()), ins, layer.name
        )

    def walk(
        self, call: Callable, inputs: list, ins: list[int], name: str
    ) -> list[int]:
        """The ops of what `call` does with `inputs`, all of them from layer `name`."""
        try:
            results = keras.tree.flatten(call())
        except Exception as error:  # whatever foreign code raises is its own text
            reason = str(error).strip().split("\n")[0]
            raise GraphError(
                f"layer {name!r} cannot be expanded into known operations: {reason}"
            ) from error
        start = len(self.ops)
        try:
            indices = self.read(inputs, results, list(ins))
        except GraphError as error:
            raise GraphError(f"in layer {name!r}, {error}") from None
        for index in range(start, len(self.ops)):
            inner = self.ops[index].layer
            self.ops[index] = self.ops[index].but(layer=f"{name}/{inner}")
        return indices

    def activate(self, source: int, function: Callable, shape, layer: str) -> int:
        """The activation argument of a layer, as an op of its own.

        A function that is not Keras' own is called symbolically and walked.
        """
        name = getattr(function, "__name__", "")
        if getattr(keras.activations, name, None) is function and name in ACTIVATIONS:
            if name == "linear":
                return source
            return self.emit("activation", [source], shape, layer, **ACTIVATIONS[name])
        tensor = keras.KerasTensor((None, *shape))
        return self.walk(lambda: function(tensor), [tensor], [source], layer)[0]
