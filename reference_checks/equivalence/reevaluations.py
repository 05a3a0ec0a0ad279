"""One network evaluated again and again, each time rightly, with other rounding errors.

What a correct run may err is measured by them: no run of one program says it.
"""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np

from reference_checks import execute
from reference_checks.equivalence.subject import Subject
from reference_checks.graph import GraphError
from reference_checks.rewrites import canonical


def reevaluations(subject: Subject, x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The first output for the batch `x`, under the name of how it came about.

    whole: as the layers are, the batch at once.  one by one: picture by picture, for which
    kernels cut their sums elsewhere.  graph: the op graph after rewriting, where biases
    and the input's scaling are in the norms and their constants are multiplied first.
    """
    yield "whole", subject.run(x)[0]
    if len(x) > 1:
        parts = [subject.run(x[i : i + 1])[0] for i in range(len(x))]
        yield "one by one", np.concatenate(parts)
    graph = canonical(subject.graph)
    fed = keras.ops.convert_to_numpy(keras.ops.cast(x, subject.dtype))
    try:
        yield "graph", execute.outputs(graph, subject.values, fed)[0]
    except GraphError:  # an operation that only the model itself can run
        return
