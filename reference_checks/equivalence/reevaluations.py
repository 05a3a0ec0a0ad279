"""One network evaluated again and again, each time rightly, with other rounding errors.

What a correct run may err is measured by them: no run of one program says it.
"""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np

from reference_checks import execute
from reference_checks.equivalence.subject import Subject
from reference_checks.graph import Graph, GraphError, Values
from reference_checks.rewrites import canonical


def reevaluations(subject: Subject, x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The first output for the batch `x`, under the name of how it came about."""
    yield from as_built(subject, x)
    yield from on_graph(canonical(subject.graph), subject.values, x, subject.dtype)


def as_built(subject: Subject, x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """By the model's layers.

    whole: the batch at once.  one by one: picture by picture, for which kernels cut their
    sums elsewhere.
    """
    yield "whole", subject.run(x)[0]
    if len(x) > 1:
        parts = [subject.run(x[i : i + 1])[0] for i in range(len(x))]
        yield "one by one", np.concatenate(parts)


def on_graph(
    graph: Graph, values: Values, x: np.ndarray, dtype: str
) -> Iterator[tuple[str, np.ndarray]]:
    """By the op graph after rewriting, without a model.

    Biases and the input's scaling are in the norms there, whose constants are multiplied
    first.  Nothing comes of a graph with an operation that only the model itself can run.
    """
    fed = keras.ops.convert_to_numpy(keras.ops.cast(x, dtype))
    try:
        yield "graph", execute.outputs(graph, values, fed)[0]
    except GraphError:
        return
