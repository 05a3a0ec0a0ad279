"""Transfer: weights moved from one model to another through the alignment.

Every variable on both sides is paired, absorbed by a rewrite or constant; one that is
left over is an error that names it, unless a part is what was asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from reference_checks.alignment import Alignment
from reference_checks.errors import InputError
from reference_checks.graph import Graph, GraphError, Op, Values, Weight

PAIRED, ABSORBED, CONSTANT, LEFT_OVER = "paired", "absorbed", "constant", "left over"


class TransferError(InputError, ValueError):
    """Weights that cannot be moved; the message names them."""


@dataclass(frozen=True)
class Fate:
    """What became of a variable of the `source` or the `target`.

    paired: its values went straight across; absorbed `by` a rewrite: it went into, or was
    set by, a weight of another role; constant: the other side has no weight there, only
    the number that it stands for; left over: not moved, `by` says why.
    """

    side: str
    name: str
    what: str
    by: str = ""

    def __str__(self) -> str:
        return f"{self.side} {self.name}: {self.what}" + (
            f" ({self.by})" if self.by else ""
        )


@dataclass(frozen=True)
class Transfer:
    """The values for the target's variables, and what became of each weight.

    `paired` weights went straight across; `absorbed` counts, by rewrite, the variables
    that an adapter read or wrote on the way.  `fates` has every variable of both sides.
    """

    values: Mapping[int, np.ndarray]
    paired: int
    absorbed: Mapping[str, int]
    fates: tuple[Fate, ...] = field(default=(), repr=False)

    @cached_property
    def left_over(self) -> tuple[Fate, ...]:
        return tuple(fate for fate in self.fates if fate.what == LEFT_OVER)

    def __str__(self) -> str:
        parts = [f"{self.paired} weights paired"]
        parts += [f"{n} absorbed by {name}" for name, n in self.absorbed.items()]
        constants = sum(fate.what == CONSTANT for fate in self.fates)
        parts += [f"{constants} constant"] if constants else []
        return ", ".join([*parts, f"{len(self.left_over)} left over"])


def transfer(
    source: Graph,
    target: Graph,
    alignment: Alignment,
    values: Values,
    partial: bool = False,
) -> Transfer:
    """Values of the target's variables from those of the source's.

    Both graphs are canonical.  `partial` moves what is aligned and equal in shape and
    reports the rest; the target's other variables are not in `values`.

    Raises:
        TransferError: a variable is to have two values; without `partial` also: the
            graphs are not the same, or a variable is left over.
    """
    if not alignment.isomorphic and not partial:
        raise TransferError("the networks differ: nothing is moved between them")
    moved: dict[int, np.ndarray] = {}
    fates = _Fates(source, target)
    paired = 0
    for i, j in alignment.pairs.items():
        op, other = source.ops[i], target.ops[j]
        for mine, theirs in _weights(op, other):
            if mine.shape != theirs.shape:
                fates.leave(mine, theirs, "another shape")
                continue
            try:
                written = theirs.write(mine.read(values))
            except GraphError as error:
                if not partial:
                    raise TransferError(str(error)) from error
                fates.leave(mine, theirs, str(error))
                continue
            for index, value in written.items():
                if index in moved and not np.array_equal(moved[index], value):
                    name = target.variables[index].name
                    raise TransferError(
                        f"{target.name}: weight {name!r} cannot take two values"
                    )
            moved |= written
            paired += bool(mine.variables and theirs.variables)
            fates.move(op, mine, other, theirs)
    result = Transfer(moved, paired, fates.absorbed(), tuple(fates.all()))
    if result.left_over and not partial:
        names = "; ".join(map(str, result.left_over[:5]))
        raise TransferError(f"{len(result.left_over)} weights are left over: {names}")
    return result


def _weights(op: Op, other: Op) -> Iterator[tuple[Weight, Weight]]:
    """Weights of one role that both ops have."""
    for mine in op.weights:
        theirs = other.weight(mine.role)
        if theirs is not None:
            yield mine, theirs


class _Fates:
    """What has become of each variable of both sides so far: (what, by)."""

    def __init__(self, source: Graph, target: Graph) -> None:
        self.sides = (("source", source), ("target", target))
        self.known: tuple[dict, dict] = ({}, {})

    def leave(self, mine: Weight, theirs: Weight, why: str) -> None:
        for known, weight in zip(self.known, (mine, theirs), strict=True):
            for index in weight.variables:
                known.setdefault(index, (LEFT_OVER, why))

    def move(self, op: Op, mine: Weight, other: Op, theirs: Weight) -> None:
        constant = not (mine.variables and theirs.variables)
        for known, at, weight in zip(
            self.known, (op, other), (mine, theirs), strict=True
        ):
            for index in weight.variables:
                if index in weight.taken:
                    known[index] = (ABSORBED, weight.taken[index])
                else:
                    known[index] = (CONSTANT, at.layer) if constant else (PAIRED, "")

    def absorbed(self) -> Counter[str]:
        return Counter(
            by
            for known in self.known
            for what, by in known.values()
            if what == ABSORBED
        )

    def all(self) -> Iterator[Fate]:
        unpaired = (LEFT_OVER, "no counterpart")
        for (side, graph), known in zip(self.sides, self.known, strict=True):
            for index, variable in enumerate(graph.variables):
                yield Fate(side, variable.name, *known.get(index, unpaired))
