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
from keras import ops

from reference_checks.equivalence import distance
from reference_checks.equivalence.derivatives import derivatives
from reference_checks.equivalence.training import GRADIENT_BUDGET
from reference_checks.execute import apply
from reference_checks.graph import Graph, Op, Values
from reference_checks.precision import floatx

ROUNDING = 1e-9
"""Of the largest: a bias before a norm has no gradient in training, but for rounding."""

Step = dict[tuple[int, str], np.ndarray]
"""By variable: its `gradient`, or its value `after` the step where it is a statistic.

Both flat: a variable may be stored in another shape than the one in which it is read."""


def step(graph: Graph, values: Values, x: np.ndarray, seed: int) -> Step:
    """The gradients and the moving statistics for the batch `x`, in its precision."""
    rng = np.random.default_rng(seed)
    ends = [rng.standard_normal((len(x), *graph.ops[i].shape)) for i in graph.outputs]
    with floatx(x.dtype.name):
        held = [
            keras.Variable(np.asarray(values[i], x.dtype), trainable=variable.trainable)
            for i, variable in enumerate(graph.variables)
        ]
        moved: set[int] = set()

        def loss(fed: Any) -> Any:
            results: list[Any] = []
            for op in graph.ops:
                weights = {
                    w.role: ops.reshape(held[w.variables[0]], w.shape)
                    for w in op.weights
                }
                arriving = [results[i] for i in op.inputs]
                if op.kind == "input":
                    results.append(fed)
                elif op.kind == "batch_norm":
                    y, statistics = _batch_norm(op, arriving[0], weights)
                    results.append(y)
                    for role, value in statistics.items():
                        index = op.weight(role).variables[0]
                        held[index].assign(ops.reshape(value, held[index].shape))
                        moved.add(index)
                else:
                    results.append(apply(op, arriving, weights))
            return sum(
                ops.sum(results[i] * ops.convert_to_tensor(end.astype(x.dtype)))
                for i, end in zip(graph.outputs, ends, strict=True)
            )

        trained = [i for i, v in enumerate(graph.variables) if v.trainable]
        still = [v for v in held if not v.trainable]
        _, *found = derivatives(
            loss, ops.convert_to_tensor(x), [held[i] for i in trained], still
        )
        after = {(i, "after"): np.ravel(ops.convert_to_numpy(held[i])) for i in moved}
    gradients = {
        (i, "gradient"): np.ravel(ops.convert_to_numpy(g))
        for i, g in zip(trained, found, strict=True)
    }
    return after | gradients


def _batch_norm(
    op: Op, x: Any, weights: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """The batch normalised by its own statistics, and the moving ones after it."""
    mean, variance = ops.moments(x, list(range(len(x.shape) - 1)))
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
