"""Read a SavedModel, or any TensorFlow function, into the op graph, with its weights.

The function is frozen (its variables become constants, its calls are inlined) and each
node becomes an op with the same explicit semantics that `from_keras` gives.  Only nodes
whose meaning is known are read, and only they are ever run: any other is an error that
names it.  TensorFlow's own loader restores the variables.

A variable keeps its name and its values.  A constant that an op uses as a weight counts
as one; any other array is part of the op, unless the function has no variables at all:
then the model was frozen before, and its constants are its weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import Any

import numpy as np

from reference_checks.from_saved_model.reader import Reader
from reference_checks.graph import Graph, GraphError, Values

__all__ = ["Frozen", "freeze", "from_saved_model"]


@dataclass(frozen=True)
class Frozen:
    """A function that was read: its graph, and the values of its weights.

    `graph.tensors` are the names of the function's tensors.
    """

    graph: Graph
    values: Values
    function: Any = field(repr=False)

    def run(self, x: np.ndarray, tensors: Sequence[int] = ()) -> list[np.ndarray]:
        """The outputs, then the tensors of these numbers, for a batch `x`.

        In the precision that the function was saved in, as a rule float32.

        Raises:
            GraphError: the function has more than one input.
        """
        import tensorflow as tf

        function = self.function
        if len(function.inputs) != 1:
            raise GraphError(f"the function has {len(function.inputs)} inputs, not one")
        wanted = [tensor.name for tensor in function.outputs]
        wanted += [self.graph.tensors[i] for i in tensors]
        names = list(dict.fromkeys(wanted))  # a function returns a tensor only once
        if tensors:
            found = [function.graph.get_tensor_by_name(name) for name in names]
            function = function.prune(function.inputs, found)
        results = tf.nest.flatten(function(tf.constant(x, function.inputs[0].dtype)))
        values = {name: r.numpy() for name, r in zip(names, results, strict=True)}
        return [values[name] for name in wanted]


def from_saved_model(
    source: Any, signature: str | None = None, input_shape: Sequence[int] | None = None
) -> Frozen:
    """The op graph of a SavedModel, and its weights.

    `source` is the folder of a SavedModel, or what `tf.saved_model.load` or
    `tensorflow_hub.load` made of it.  `signature` is by default the one for serving, the
    only one, or the call of the object.  `input_shape` (height, width, channels) is for
    models that take any size.

    Raises:
        GraphError: there is no such signature, or the function is not a static graph of
            known operations.
    """
    if isinstance(source, (str, PathLike)):
        import tensorflow as tf

        source = tf.saved_model.load(fspath(source))
    return freeze(_function(source, signature), input_shape)


def _function(loaded: Any, signature: str | None) -> Any:
    """The concrete function of a signature of a loaded SavedModel."""
    signatures = getattr(loaded, "signatures", {})
    known = ", ".join(sorted(signatures)) or "none"
    if signature is None and "serving_default" in signatures:
        signature = "serving_default"
    if signature is None and len(signatures) == 1:
        (signature,) = signatures
    if signature is not None:
        if signature not in signatures:
            raise GraphError(f"there is no signature {signature!r}; there are: {known}")
        return signatures[signature]
    call = getattr(loaded, "__call__", None)  # noqa: B004
    for function in getattr(call, "concrete_functions", ()):
        if _inference(function):
            return function
    raise GraphError(
        "the SavedModel has no call with one tensor for inference; signatures to name:"
        f" {known}"
    )


def _inference(function: Any) -> bool:
    """Whether a concrete function takes one tensor and is not for training."""
    import tensorflow as tf

    arguments = tf.nest.flatten(function.structured_input_signature)
    tensors = [a for a in arguments if isinstance(a, tf.TensorSpec)]
    return len(tensors) == 1 and not any(a is True for a in arguments)


def freeze(function: Any, input_shape: Sequence[int] | None = None) -> Frozen:
    """The op graph of a concrete function, and its weights; as `from_saved_model`.

    Raises:
        GraphError: it is not a static graph of known operations.
    """
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    if input_shape is not None:
        function = _resized(function, input_shape)
    try:
        # Loops and branches stay what they are, to be refused by their name.
        frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
        if any("Call" in node.type for node in frozen.graph.get_operations()):
            frozen = convert_variables_to_constants_v2(
                _inlinable(frozen), lower_control_flow=False
            )
    except Exception as error:  # whatever TensorFlow cannot convert
        raise GraphError(f"the function cannot be frozen: {_line(error)}") from error
    handles = {id(v.handle): v for v in function.graph.variables}
    reader = Reader(
        {
            inner.op.name: handles[id(outer)]
            for outer, inner in function.graph.captures
            if id(outer) in handles
        }
    )
    graph = reader.read(frozen.outputs)
    return Frozen(graph, dict(enumerate(reader.values)), frozen)


def _inlinable(frozen: Any) -> Any:
    """The function without the marks that keep calls from being inlined.

    Legacy Keras has XLA compile every grouped convolution.
    """
    from tensorflow.python.eager.wrap_function import function_from_graph_def

    graph = frozen.graph.as_graph_def()
    functions = graph.library.function
    for item in (*graph.node, *functions, *(n for f in functions for n in f.node_def)):
        for mark in ("_XlaMustCompile", "_noinline"):
            item.attr.pop(mark, None)
        for value in item.attr.values():
            if value.HasField("func"):
                value.func.name += "_unmarked"
    for function in functions:  # TensorFlow knows them by their names
        function.signature.name += "_unmarked"
    names = [[tensor.name for tensor in end] for end in (frozen.inputs, frozen.outputs)]
    return function_from_graph_def(graph, *names)


def _resized(function: Any, input_shape: Sequence[int]) -> Any:
    """The function for inputs of a known size."""
    import tensorflow as tf

    arguments = function.structured_input_signature

    def call(x: Any) -> Any:
        args, kwargs = tf.nest.map_structure(
            lambda value: x if isinstance(value, tf.TensorSpec) else value, arguments
        )
        return function(*args, **kwargs)

    try:
        spec = tf.TensorSpec((None, *input_shape), function.inputs[0].dtype)
        return tf.function(call).get_concrete_function(spec)
    except Exception as error:  # a size that the function does not take
        raise GraphError(f"input shape {tuple(input_shape)}: {_line(error)}") from error


def _line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
