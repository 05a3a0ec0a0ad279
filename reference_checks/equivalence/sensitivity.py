"""How small a change a comparison would have seen, to first order, from one more run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, inf, log10

import keras
import numpy as np

from reference_checks.equivalence.comparison import distance
from reference_checks.equivalence.subject import Subject

NORMS = (keras.layers.BatchNormalization, keras.layers.LayerNormalization)
HUNDREDFOLD = 99.0
"""Relative: an epsilon of 1e-3 where 1e-5 is meant."""
OTHER_SCALE = 128 / 127.5 - 1
"""Relative: an input divided by 128 where 127.5 is meant, which a first kernel absorbs."""

SIGNAL = 0.1
"""Of the outputs' own size: what is off by more is no small change, to first order."""


@dataclass(frozen=True)
class Sensitivity:
    """How far outputs move when one thing in the network does.

    `what` is changed from `value`; the outputs' relative distance is `slope` times the
    relative change.  `mistake` is the relative change that ports make by mistake.
    """

    what: str
    value: float
    slope: float
    mistake: float

    def least(self, budget: float) -> float:
        """The relative change that is as far off as the budget."""
        return budget / self.slope if self.slope else inf

    @property
    def limit(self) -> float:
        """A budget of this or more is none: it lets the mistake pass, or too much at all."""
        return min(self.slope * self.mistake, SIGNAL)

    def seen(self, budget: float) -> str:
        """`epsilon 0.001 → 0.0010000001`: the smallest change that exceeds the budget."""
        least = self.least(budget)
        if not 0 < least < inf:  # no number came out, or always the same
            return f"no change of {self.what}"
        digits = max(2, 2 + ceil(-log10(least)))
        return f"{self.what} {self.value:g} → {self.value * (1 + least):.{digits}g}"

    def hidden(self, budget: float) -> str:
        """What a budget beyond the limit lets pass."""
        if budget >= SIGNAL:
            return f"{SIGNAL:.0%} of the outputs"
        return f"{self.what} {self.value:g} → {self.value * (1 + self.mistake):g}"


def sensitivity(subject: Subject, x: np.ndarray, reference: np.ndarray) -> Sensitivity:
    """From one run with the epsilon of all norms, or else the first kernel, changed.

    `reference` is what the subject, in float64, makes of the batch `x`.
    """
    found = [n for n in subject.model._flatten_layers() if isinstance(n, NORMS)]
    if found:
        change, name, value = 1e-3, "epsilon", found[0].epsilon
        inside, mistake = _epsilons(found, 1 + change), HUNDREDFOLD
    else:
        change, name, value = 1e-6, "first kernel times", 1.0
        inside, mistake = _first_kernel(subject, 1 + change), OTHER_SCALE
    with inside:
        changed = subject.run(x)[0]
    return Sensitivity(name, value, distance(changed, reference) / change, mistake)


@contextmanager
def _epsilons(norms: list[keras.Layer], factor: float) -> Iterator[None]:
    before = [norm.epsilon for norm in norms]
    for norm in norms:
        norm.epsilon *= factor
    try:
        yield
    finally:
        for norm, epsilon in zip(norms, before, strict=True):
            norm.epsilon = epsilon


@contextmanager
def _first_kernel(subject: Subject, factor: float) -> Iterator[None]:
    index = next(
        index
        for op in subject.graph.ops
        for weight in op.weights
        if weight.role == "kernel"
        for index in weight.variables
    )
    before = subject.values[index]
    subject.model.weights[index].assign(before * factor)
    try:
        yield
    finally:
        subject.model.weights[index].assign(before)
