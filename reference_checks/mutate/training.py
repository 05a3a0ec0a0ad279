"""One training step of an op graph: what neither structure nor outputs need see.

Norms use the statistics of the batch and their moving statistics take a step; dropout is
off, as it is in the chain, since no two draws of a mask can be compared.  Gradients are of
one number that all outputs have a part in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from reference_checks.equivalence import distance
from reference_checks.equivalence.training import GRADIENT_BUDGET
from reference_checks.execute import apply
from reference_checks.graph import Graph, Op, Values
from reference_checks.model_files import NotAvailable

ROUNDING = 1e-9
"""Of the largest: a bias before a norm has no gradient in training, but for rounding."""

Step = dict[tuple[int, str], np.ndarray]
"""By variable: its `gradient`, or its value `after` the step where it is a statistic.

Both flat: a variable may be stored in another shape than the one in which it is read."""


def step(graph: Graph, values: Values, x: np.ndarray, seed: int) -> Step:
    """The gradients and the moving statistics for the batch `x`, in its precision.

    Raises:
        NotAvailable: the backend has no gradients here.
    """
    if keras.config.backend() != "tensorflow":
        raise NotAvailable(f"no gradients yet under {keras.config.backend()}")
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    held = {
        i: tf.constant(np.asarray(values[i], x.dtype))
        for i, variable in enumerate(graph.variables)
    }
    moved: Step = {}
    results: list[Any] = []
    with tf.GradientTape() as tape:
        tape.watch(list(held.values()))
        for op in graph.ops:
            weights = {
                w.role: tf.reshape(held[w.variables[0]], w.shape) for w in op.weights
            }
            arriving = [results[i] for i in op.inputs]
            if op.kind == "input":
                results.append(tf.constant(x))
            elif op.kind == "batch_norm":
                y, statistics = _batch_norm(op, arriving[0], weights)
                results.append(y)
                for role, value in statistics.items():
                    index = op.weight(role).variables[0]
                    moved[index, "after"] = np.ravel(value)
            else:
                results.append(apply(op, arriving, weights))
        loss = sum(
            tf.reduce_sum(results[i] * rng.standard_normal(results[i].shape))
            for i in graph.outputs
        )
    trained = [i for i, v in enumerate(graph.variables) if v.trainable]
    found = tape.gradient(
        loss, [held[i] for i in trained], unconnected_gradients="zero"
    )
    gradients = {
        (i, "gradient"): np.ravel(g) for i, g in zip(trained, found, strict=True)
    }
    return moved | gradients


def _batch_norm(
    op: Op, x: Any, weights: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """The batch normalised by its own statistics, and the moving ones after it."""
    import tensorflow as tf

    mean, variance = tf.nn.moments(x, list(range(len(x.shape) - 1)))
    by_batch = {**weights, "mean": mean, "variance": variance}
    kept = op.attrs["momentum"]
    batch = {"mean": mean, "variance": variance}
    after = {
        role: kept * weights[role] + (1 - kept) * value
        for role, value in batch.items()
        if role in weights
    }
    return apply(op, [x], by_batch), after


def differ(mine: Step, theirs: Step, origin: Mapping[int, int]) -> bool:
    """Whether a step differs from another; `origin` are its variables in the other."""
    known = {(origin[i], what): v for (i, what), v in mine.items() if i in origin}
    if known.keys() != theirs.keys():
        return True
    rounding = ROUNDING * max(map(np.linalg.norm, theirs.values()), default=0.0)
    return any(
        distance(known[key], value) > GRADIENT_BUDGET
        for key, value in theirs.items()
        if np.linalg.norm(value) > rounding or np.linalg.norm(known[key]) > rounding
    )
