"""A model in one precision: given weights, fed, run with its memory returned on the way."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from reference_checks.from_keras import from_keras, unallocated
from reference_checks.graph import Graph, Values
from reference_checks.precision import floatx
from reference_checks.rewrites import canonical
from reference_checks.rewrites.normalisation import PREFIX, after_prefix

Call = Callable[[Any, tuple, dict], Any]
"""What runs an operation or layer on positional and keyword arguments."""
See = Callable[[Any, Any], None]
"""What is shown a model's tensor and its value."""


class Stored(Mapping[int, np.ndarray]):
    """Weights, or something else of each, by index, read from the backend when asked for."""

    def __init__(self, kept: Mapping[int, Any]) -> None:
        self.kept = kept

    def __getitem__(self, index: int) -> np.ndarray:
        value = self.kept[index]
        if isinstance(value, keras.Variable):
            value = value.value
        # By way of a tensor: NumPy 2 warns where it reads a TensorFlow variable itself.
        return keras.ops.convert_to_numpy(keras.ops.stop_gradient(value))

    def __iter__(self) -> Iterator[int]:
        return iter(self.kept)

    def __len__(self) -> int:
        return len(self.kept)


def prefix(graph: Graph) -> tuple[np.ndarray, np.ndarray]:
    """The scale and shift that a model's own input layers give its input.

    Two models that differ in them alone see the same (rewrite "input prefix").
    """
    (source,) = (op for op in canonical(graph).ops if op.kind == "input")
    known = {n.attribute: n.value for n in source.absorbed if n.rewrite == PREFIX}
    scale, shift = (
        np.asarray(known.get(name, nothing))
        for name, nothing in (("scale", 1.0), ("shift", 0.0))
    )
    return scale, shift


def before_prefix(graph: Graph, x: np.ndarray) -> np.ndarray:
    """What the model's own input layers rescale to `x`, in float64."""
    scale, shift = prefix(graph)
    return (x.astype(np.float64) - shift) / scale


@dataclass(frozen=True)
class Subject:
    """A model in one precision, with its graph as imported."""

    model: keras.Model
    graph: Graph
    dtype: str

    @property
    def values(self) -> Mapping[int, np.ndarray]:
        return Stored(dict(enumerate(self.model.weights)))

    def assign(self, values: Mapping[int, np.ndarray]) -> None:
        """Give the variables their values; a variable without memory gets it now."""
        for index, variable in enumerate(self.model.weights):
            # A counter (of a Normalization layer) stays an integer.
            dtype = variable.dtype if "int" in variable.dtype else self.dtype
            value = np.asarray(values[index], dtype)
            if variable._value is None:
                variable._initialize(keras.ops.convert_to_tensor(value))
            else:
                variable.assign(value)
        for variable in self.model.variables:  # the state of random generators
            if variable._value is None:
                variable._deferred_initialize()
        for layer in self.model._flatten_layers():
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()  # it computes with a copy of its weights

    def feed(self, x: np.ndarray) -> Any:
        """The tensor that the model's own input layers rescale to `x`."""
        raw = before_prefix(self.graph, x)
        seen = self._seen(raw)
        if seen is not None:
            # The layers cast their constants, TensorFlow by way of float32: what they
            # make of the input says how far that is off.
            raw = before_prefix(self.graph, 2 * x - seen)
        return keras.ops.convert_to_tensor(raw.astype(self.dtype))

    def sees(self, x: np.ndarray) -> np.ndarray:
        """What comes out of the model's own input layers for `x`: that, but for rounding.

        Pixels are far from the mean, and rescaled they are off by fifty roundings.
        """
        seen = self._seen(keras.ops.convert_to_numpy(self.feed(x)))
        return x if seen is None else seen

    def scale(self) -> np.ndarray:
        """What the input layers multiply their input by, as they cast their constants."""
        shape = (1, *self.model.inputs[0].shape[1:])
        ends = [self._seen(np.full(shape, value)) for value in (0.0, 1.0)]
        return prefix(self.graph)[0] if ends[0] is None else ends[1] - ends[0]

    def _seen(self, raw: np.ndarray) -> np.ndarray | None:
        """What the model's own input layers make of its input, where it has such."""
        after = self.graph.ops[after_prefix(self.graph)]
        if after.kind == "input" or after.tensor is None:
            return None
        fed = keras.ops.convert_to_tensor(raw.astype(self.dtype))
        (seen,) = walk(self.model, fed, [self.graph.tensors[after.tensor]])
        return keras.ops.convert_to_numpy(seen)

    def run(
        self, x: np.ndarray, tensors: Sequence[int] = (), see: See | None = None
    ) -> list[np.ndarray]:
        """The outputs, then the model's tensors of these numbers, for a batch `x`.

        `see` is shown every tensor on the way, before it is let go.
        """
        wanted = [*self.model.outputs, *(self.graph.tensors[i] for i in tensors)]
        with unrecorded():
            results = walk(self.model, self.feed(x), wanted, see=see)
        return [keras.ops.convert_to_numpy(r) for r in results]

    def release(self) -> Values:
        """Take the weights from the model, until `assign`; unless kept, their memory returns."""
        taken = {i: variable._value for i, variable in enumerate(self.model.weights)}
        for variable in self.model.weights:
            variable._value = None
        return Stored(taken)


@contextmanager
def affordable() -> Iterator[None]:
    """Grouped convolutions as a CPU can afford them, a hundred times as fast.

    On TensorFlow Keras takes them by XLA, which compiles every call anew: 15 seconds for
    one of 384 groups.  Under JAX those whose kernel is larger than the map become dense.
    """
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        before = tf.config.functions_run_eagerly()
        tf.config.run_functions_eagerly(True)
        try:
            yield
        finally:
            tf.config.run_functions_eagerly(before)
    elif backend == "jax":
        from reference_checks.equivalence.depthwise import by_taps

        with by_taps(larger=True):
            yield
    else:
        yield


@contextmanager
def unrecorded() -> Iterator[None]:
    """Without a record for gradients, which torch keeps of all that it computes."""
    if keras.config.backend() != "torch":
        yield
        return
    import torch

    with torch.no_grad():
        yield


def subject(build: Callable[[], keras.Model], dtype: str = "float64") -> Subject:
    """Build a model in a precision, without memory for its weights until `assign`."""
    with floatx(dtype), unallocated():
        model = build()
        found = Subject(model, from_keras(model), dtype)
    if keras.config.backend() == "jax":
        # Keras learns shapes from errors there, which keep each other and all frames that
        # were open, with the weights of other models in them: gigabytes.
        gc.collect()
    return found


def infer(operation: Any, args: tuple, kwargs: dict) -> Any:
    """A layer or an operation, called for inference."""
    if getattr(operation, "_call_has_training_arg", False):
        kwargs["training"] = False
    return operation(*args, **kwargs)


def walk(
    model: keras.Model, x: Any, wanted: Sequence[Any], call: Call = infer,
    see: See | None = None,
) -> list[Any]:  # fmt: skip
    """The values of the model's tensors `wanted` for the input `x`.

    A tensor is let go as soon as all that read it have run: a whole network's at once are
    7 GB for EfficientNet-B7 and one picture in float64, the widest moment of it 0.6.
    """
    order = _nodes(wanted)
    left = Counter(id(t) for node in order for t in node.input_tensors)
    left.update(id(t) for t in wanted)  # which nobody lets go
    values = {id(tensor): x for tensor in model.inputs}
    for node in order:
        args, kwargs = node.arguments.fill_in(values)
        with affordable():
            results = keras.tree.flatten(call(node.operation, args, kwargs))
        del args, kwargs
        for tensor, result in zip(node.output_tensors, results, strict=True):
            if see is not None:
                see(tensor, result)
            if left[id(tensor)]:
                values[id(tensor)] = result
        del results
        for tensor in node.input_tensors:
            left[id(tensor)] -= 1
            if not left[id(tensor)]:
                values.pop(id(tensor), None)
    return [values[id(tensor)] for tensor in wanted]


def _nodes(wanted: Sequence[Any]) -> list[Any]:
    """The calls of layers and operations that make these tensors, each after its inputs."""
    order, known = [], set()
    stack = [(tensor, False) for tensor in reversed(wanted)]
    while stack:
        tensor, ready = stack.pop()
        operation, index, _ = tensor._keras_history
        node = operation._inbound_nodes[index]
        if id(node) in known or node.is_input:
            continue
        if ready:
            known.add(id(node))
            order.append(node)
            continue
        stack.append((tensor, True))
        stack.extend((t, False) for t in reversed(node.input_tensors))
    return order
