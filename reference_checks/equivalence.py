"""The proof, run: two models with the same weights on the same inputs.

The verdict is given in float64, where correct networks agree to 1e-12 (‖a - b‖ / ‖b‖ over
each output) and wrong ones do not; float32 is held against the float64 result with the
official model's own float32 error as the measure.  Weights are random and calibrated,
biases, gammas and batch-norm statistics included, so that nothing hides behind zeros and
ones; inputs are two photographs and noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import keras
import numpy as np

from reference_checks.from_keras import from_keras, unallocated
from reference_checks.graph import Graph
from reference_checks.measure import param_class
from reference_checks.precision import floatx
from reference_checks.rewrites import canonical
from reference_checks.rewrites.normalisation import PREFIX, after_prefix

FLOAT64_BUDGET = 1e-12
FLOAT32_FACTOR = 16
"""A correct float32 run errs up to 8.5 times another's error; a wrong network a thousand."""
FLOAT32_FLOOR = 8 * 2.0**-24
FLOAT32_WORST = 1e-2
"""A gap that float32 does not explain: a wrong network in any precision."""


def _numpy(variable: keras.Variable) -> np.ndarray:
    # By way of a tensor: NumPy 2 warns where it reads a TensorFlow variable itself.
    return keras.ops.convert_to_numpy(keras.ops.stop_gradient(variable.value))


class Stored(Mapping[int, np.ndarray]):
    """A model's weights by their index, read from the backend when they are asked for."""

    def __init__(self, model: keras.Model) -> None:
        self.weights = model.weights

    def __getitem__(self, index: int) -> np.ndarray:
        return _numpy(self.weights[index])

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.weights)))

    def __len__(self) -> int:
        return len(self.weights)


def before_prefix(graph: Graph, x: np.ndarray) -> np.ndarray:
    """What the model's own input layers rescale to `x`, in float64.

    Two models that differ in them alone see the same (rewrite "input prefix").
    """
    (source,) = (op for op in canonical(graph).ops if op.kind == "input")
    known = {n.attribute: n.value for n in source.absorbed if n.rewrite == PREFIX}
    scale, shift = (
        np.asarray(known.get(name, nothing))
        for name, nothing in (("scale", 1.0), ("shift", 0.0))
    )
    return (x.astype(np.float64) - shift) / scale


@dataclass(frozen=True)
class Subject:
    """A model in one precision, with its graph as imported."""

    model: keras.Model
    graph: Graph
    dtype: str

    @property
    def values(self) -> Mapping[int, np.ndarray]:
        return Stored(self.model)

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
        after = self.graph.ops[after_prefix(self.graph)]
        if after.kind != "input" and after.tensor is not None:
            # The layers cast their constants, TensorFlow by way of float32: what they
            # make of the input says how far that is off.
            layers = keras.Model(self.model.inputs, self.graph.tensors[after.tensor])
            seen = layers(keras.ops.convert_to_tensor(raw.astype(self.dtype)))
            raw = before_prefix(self.graph, 2 * x - keras.ops.convert_to_numpy(seen))
        return keras.ops.convert_to_tensor(raw.astype(self.dtype))

    def run(self, x: np.ndarray, tensors: Sequence[int] = ()) -> list[np.ndarray]:
        """The outputs, then the model's tensors of these numbers, for a batch `x`."""
        outputs = [*self.model.outputs, *(self.graph.tensors[i] for i in tensors)]
        model = keras.Model(self.model.inputs, outputs)
        fed = self.feed(x)
        with uncompiled():
            results = model(fed, training=False)
        return [keras.ops.convert_to_numpy(r) for r in keras.tree.flatten(results)]


@contextmanager
def uncompiled() -> Iterator[None]:
    """Without XLA, by which Keras takes grouped convolutions on TensorFlow.

    It compiles every call anew: 15 seconds for one of 384 groups, a hundredth without.
    """
    if keras.config.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def subject(build: Callable[[], keras.Model], dtype: str = "float64") -> Subject:
    """Build a model in a precision, without memory for its weights until `assign`."""
    with floatx(dtype), unallocated():
        model = build()
        return Subject(model, from_keras(model), dtype)


def random_values(graph: Graph, seed: int) -> dict[int, np.ndarray]:
    """Float64 weights by role: every one of them changes what the network computes."""
    rng = np.random.default_rng(seed)
    values: dict[int, np.ndarray] = {}
    for op in graph.ops:
        for weight in op.weights:
            (index,) = weight.variables
            if index in values:
                continue
            shape = graph.variables[index].shape
            match weight.role, param_class(graph, op, weight):
                case "kernel", _:
                    scale = np.sqrt(2 / prod(weight.shape[:-1]))
                    value = rng.standard_normal(shape) * scale
                case ("gamma" | "variance", _) | ("by", "kernel"):
                    value = rng.uniform(0.5, 1.5, shape)
                case _, "fixed":
                    value = rng.choice((-1.0, 1.0), shape)
                case _:
                    value = rng.standard_normal(shape) * 0.1
            values[index] = value
    return values


def calibrate(subject: Subject, x: np.ndarray, seed: int) -> None:
    """Batch-norm statistics from one pass in training mode over `x`, then perturbed.

    Untouched random statistics let activations grow or vanish with depth.
    """
    norms = [
        layer
        for layer in subject.model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if not norms:
        return
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    try:
        subject.model(subject.feed(x), training=True)
    finally:
        for layer, momentum in zip(norms, momenta, strict=True):
            layer.momentum = momentum
    rng = np.random.default_rng(seed)
    for layer in norms:
        mean = _numpy(layer.moving_mean)
        variance = _numpy(layer.moving_variance)
        deviation = np.sqrt(variance) + 1e-3
        layer.moving_mean.assign(
            mean + 0.1 * deviation * rng.standard_normal(mean.shape)
        )
        layer.moving_variance.assign(
            deviation**2 * rng.uniform(0.75, 1.25, variance.shape)
        )


def photographs(size: tuple[int, int, int]) -> np.ndarray:
    """Two photographs (from scikit-image) as (2, height, width, channels) in [-1, 1]."""
    from skimage import data, transform

    pictures = []
    for picture in (data.astronaut(), data.coffee()):
        side = min(picture.shape[:2])
        square = transform.resize(picture[:side, :side], size[:2], anti_aliasing=True)
        if size[2] == 1:
            square = square.mean(axis=-1, keepdims=True)
        pictures.append(2 * square - 1)
    return np.stack(pictures)


def inputs(size: tuple[int, int, int], seed: int) -> np.ndarray:
    """Two photographs and one picture of noise: (3, height, width, channels)."""
    noise = np.random.default_rng(seed).standard_normal((1, *size))
    return np.concatenate([photographs(size), noise])


def distance(candidate: np.ndarray, reference: np.ndarray) -> float:
    """‖candidate - reference‖ / ‖reference‖; infinite where anything is not finite.

    NaN on both sides is a difference: nothing was compared.
    """
    if candidate.shape != reference.shape:
        return float("inf")
    if not (np.all(np.isfinite(candidate)) and np.all(np.isfinite(reference))):
        return float("inf")
    scale = float(np.linalg.norm(reference))
    gap = float(np.linalg.norm(candidate.astype(np.float64) - reference))
    if scale == 0:
        return 0.0 if gap == 0 else float("inf")
    return gap / scale
