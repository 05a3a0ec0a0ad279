"""Activations that neither vanish nor explode, through any number of layers.

One pass over the network, layer by layer, as it will be at inference: each layer is set by
what it makes of the activations that the layers before it, set already, give it.  So
nothing adds up with depth, and all pictures are in the statistics; tensors are let go on
the way, so that the largest networks need no second size.
"""

from __future__ import annotations

from math import prod
from typing import Any

import keras
import numpy as np

from reference_checks.equivalence.exercise import spreads
from reference_checks.equivalence.subject import Subject, infer, unrecorded, walk

SCALED = (
    keras.layers.Dense,
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)

FEW = 30
"""Positions that count for as much as what the other channels say."""


def calibrate(subject: Subject, x: np.ndarray, seed: int) -> None:
    """Set batch-norm statistics, and the scale and bias of layers that no norm follows.

    A norm's statistics are those of its input, then perturbed.  A layer without a norm is
    scaled, as a whole, to the spread that its activation wants and centred by its bias, if
    it has one: its logits, too, so that a softmax does not saturate.
    """
    rng = np.random.default_rng(seed)
    wide = spreads(subject.graph)
    number = {id(w): index for index, w in enumerate(subject.model.weights)}
    done: set[int] = set()

    def call(operation: Any, args: tuple, kwargs: dict) -> Any:
        first = id(operation) not in done
        done.add(id(operation))
        if first and isinstance(operation, keras.layers.BatchNormalization):
            _set_statistics(operation, args[0], rng)
        elif first and isinstance(operation, SCALED):
            kernel = getattr(operation, "pointwise_kernel", None)
            kernel = operation.kernel if kernel is None else kernel
            spread = wide.get(number.get(id(kernel)))
            if spread is not None:
                _set_scale(operation, kernel, args[0], spread)
        return infer(operation, args, kwargs)

    with unrecorded():
        walk(subject.model, subject.feed(x), subject.model.outputs, call)


def _moments(x: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance over all axes but the last."""
    found = keras.ops.moments(x, axes=tuple(range(len(x.shape) - 1)))
    return tuple(keras.ops.convert_to_numpy(m) for m in found)


def _set_statistics(layer: Any, x: Any, rng: np.random.Generator) -> None:
    mean, variance = _moments(x)
    # A few positions say little about a channel: one that hardly varies is not blown up.
    count = prod(x.shape[:-1])
    variance = (count * variance + FEW * variance.mean()) / (count + FEW)
    deviation = np.sqrt(variance) + 1e-3
    shift = 0.1 * deviation * rng.standard_normal(mean.shape)
    layer.moving_mean.assign(mean + shift)
    layer.moving_variance.assign(deviation**2 * rng.uniform(0.75, 1.25, variance.shape))


def _set_scale(layer: Any, kernel: Any, x: Any, spread: float) -> None:
    activation, layer.activation = layer.activation, keras.activations.linear
    try:
        mean, variance = _moments(layer(x))
    finally:
        layer.activation = activation
    deviation = np.sqrt(variance.mean())
    # One position of one picture has no spread of its own.
    if deviation <= 1e-3 * np.sqrt(np.mean(mean**2)):
        return
    scale = spread / deviation
    kernel.assign(kernel.value * scale)
    if layer.use_bias:
        bias = keras.ops.convert_to_numpy(keras.ops.stop_gradient(layer.bias.value))
        layer.bias.assign(bias - (mean - bias) * scale)
