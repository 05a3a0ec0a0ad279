"""Transfer: weights moved from one model to another through the alignment.

Every variable on both sides is paired, absorbed by a rewrite or constant; one that is
left over is an error that names it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from reference_checks.alignment import Alignment
from reference_checks.graph import Graph, GraphError, Values


class TransferError(ValueError):
    """Weights that cannot be moved; the message names them."""


@dataclass(frozen=True)
class Transfer:
    """The values for the target's variables, and what became of each weight.

    `paired` weights went straight across; `absorbed` counts, by rewrite, the variables
    that an adapter read or wrote on the way.
    """

    values: Mapping[int, np.ndarray]
    paired: int
    absorbed: Mapping[str, int]

    def __str__(self) -> str:
        parts = [f"{self.paired} weights paired"]
        parts += [f"{n} absorbed by {name}" for name, n in self.absorbed.items()]
        return ", ".join([*parts, "0 left over"])


def transfer(
    source: Graph, target: Graph, alignment: Alignment, values: Values
) -> Transfer:
    """Values of the target's variables from those of the source's.

    Both graphs are canonical.

    Raises:
        TransferError: the graphs are not the same, or a variable is left over.
    """
    if not alignment.isomorphic:
        raise TransferError("the networks differ: nothing is moved between them")
    moved: dict[int, np.ndarray] = {}
    read: set[int] = set()
    absorbed: Counter[str] = Counter()
    paired = 0
    for i, j in alignment.pairs.items():
        op, other = source.ops[i], target.ops[j]
        for mine, theirs in zip(op.weights, other.weights, strict=True):
            read.update(mine.variables)
            try:
                moved |= theirs.write(mine.read(values))
            except GraphError as error:
                raise TransferError(str(error)) from error
            paired += bool(mine.variables and theirs.variables)
        for noted in (*op.absorbed, *other.absorbed):
            absorbed[noted.rewrite] += noted.params > 0
    for graph, done, what in ((source, read, "read"), (target, moved, "written")):
        for index, variable in enumerate(graph.variables):
            if index not in done:
                raise TransferError(
                    f"{graph.name}: weight {variable.name!r} is not {what}"
                )
    return Transfer(moved, paired, +absorbed)
