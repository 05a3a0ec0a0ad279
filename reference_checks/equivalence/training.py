"""Gradients, and one training step: what inference does not see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from reference_checks.equivalence.derivatives import derivatives
from reference_checks.equivalence.subject import Stored, Subject, walk
from reference_checks.graph import Values

GRADIENT_BUDGET = 1e-11


@dataclass(frozen=True)
class Gradients:
    """Of one number that all outputs have a part in: by variable, and of the input."""

    weights: Values
    input: np.ndarray


def gradients(
    subject: Subject, x: np.ndarray, seed: int, *, training: bool = False
) -> Gradients:
    """Gradients of a random projection of the outputs for the batch `x`.

    With `training` the batch's statistics are used, and the moving ones take a step.
    """
    backend = keras.config.backend()

    def call(operation: Any, args: tuple, kwargs: dict) -> Any:
        if getattr(operation, "_call_has_training_arg", False):
            kwargs["training"] = training
        grouped = isinstance(operation, keras.layers.Conv2D) and operation.groups > 1
        if grouped and backend == "tensorflow":
            return _grouped(operation, *args)
        return operation(*args, **kwargs)

    rng = np.random.default_rng(seed)
    shapes = [(len(x), *output.shape[1:]) for output in subject.model.outputs]
    directions = [rng.standard_normal(s).astype(subject.dtype) for s in shapes]

    def loss(fed: Any) -> Any:
        found = walk(subject.model, fed, subject.model.outputs, call)
        return sum(
            keras.ops.sum(output * keras.ops.convert_to_tensor(direction))
            for output, direction in zip(found, directions, strict=True)
        )

    trained = {i: w for i, w in enumerate(subject.model.weights) if w.trainable}
    still = [w for w in subject.model.weights if not w.trainable]
    of_input, *of_weights = derivatives(
        loss, subject.feed(x), list(trained.values()), still
    )
    by_weight = Stored(dict(zip(trained, of_weights, strict=True)))
    return Gradients(by_weight, keras.ops.convert_to_numpy(of_input) / subject.scale())


def _grouped(layer: keras.layers.Conv2D, x: Any) -> Any:
    """A grouped convolution, group by group, or depthwise where each has one channel.

    TensorFlow has no gradients of the whole on a CPU.
    """
    ops, options = keras.ops, {"strides": layer.strides, "padding": layer.padding}
    options["dilation_rate"] = layer.dilation_rate
    if layer.groups == x.shape[-1] == layer.filters:
        kernel = ops.transpose(layer.kernel, (0, 1, 3, 2))
        y = ops.depthwise_conv(x, kernel, **options)
    else:
        parts = (ops.split(t, layer.groups, axis=-1) for t in (x, layer.kernel))
        y = ops.concatenate(
            [ops.conv(*pair, **options) for pair in zip(*parts, strict=True)], axis=-1
        )
    return layer.activation(y if layer.bias is None else y + layer.bias)


def training_step(
    subject: Subject, x: np.ndarray, seed: int, rate: float | None = None
) -> tuple[Gradients, float]:
    """One step of gradient descent on the batch, dropout and stochastic depth off.

    The weights and moving statistics of the subject are those after the step.  Returns
    the gradients and the rate: if none is given, that which moves the weight that moves
    most, for its size, by a tenth.
    """
    with _undisturbed(subject.model):
        found = gradients(subject, x, seed, training=True)
    weights = subject.model.weights
    if rate is None:
        moves = (
            np.linalg.norm(g) / np.linalg.norm(subject.values[i])
            for i, g in found.weights.items()
        )
        rate = 0.1 / max(moves)
    for i, gradient in found.weights.items():
        weights[i].assign_sub(rate * gradient)
    return found, rate


@contextmanager
def _undisturbed(model: keras.Model) -> Iterator[None]:
    """No dropout, no stochastic depth: their rates are 0 inside."""
    before: list[tuple[Any, str, Any]] = []
    for layer in model._flatten_layers():
        for name in ("rate", "drop_path_rate"):
            value = getattr(layer, name, None)
            if isinstance(value, float):
                before.append((layer, name, value))
                setattr(layer, name, 0.0)
    try:
        yield
    finally:
        for layer, name, value in before:
            setattr(layer, name, value)
