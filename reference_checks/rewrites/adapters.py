"""Adapters: weights that are read from, and written to, variables of another form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reference_checks.graph import GraphError, Weight


def constant(role: str, shape: tuple[int, ...], value: float, layer: str) -> Weight:
    """A weight that is not stored: it reads as `value` and takes nothing else."""

    def write(given: np.ndarray) -> dict[int, np.ndarray]:
        if not np.all(given == value):
            raise GraphError(
                f"layer {layer!r} has no {role}: it stands for {value:g} and cannot take"
                " other values"
            )
        return {}

    return Weight(role, shape, (), lambda values: np.full(shape, value), write)


def reshaped(weight: Weight, shape: tuple[int, ...]) -> Weight:
    """The weight in another shape, in C order."""
    return Weight(
        weight.role,
        shape,
        weight.variables,
        lambda values: np.reshape(weight.read(values), shape),
        lambda value: weight.write(np.reshape(value, weight.shape)),
        weight.taken,
    )


def joined(weights: Sequence[Weight]) -> Weight:
    """Weights of one role and shape, side by side along the last axis."""
    first = weights[0]

    def write(value: np.ndarray) -> dict[int, np.ndarray]:
        written: dict[int, np.ndarray] = {}
        for weight, part in zip(
            weights, np.split(value, len(weights), axis=-1), strict=True
        ):
            written |= weight.write(part)
        return written

    return Weight(
        first.role,
        (*first.shape[:-1], first.shape[-1] * len(weights)),
        tuple(i for weight in weights for i in weight.variables),
        lambda values: np.concatenate([w.read(values) for w in weights], axis=-1),
        write,
        {index: by for weight in weights for index, by in weight.taken.items()},
    )
