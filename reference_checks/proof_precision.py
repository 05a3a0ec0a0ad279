"""The proof in working precision: what a correct run may err is measured, not picked.

The official model is evaluated several times in the precision, each time rightly; the
largest error to float64 of these is the floor F.  Ours is within budget if it errs no more
than K times F, one K for all networks.  Where K times F hides a mistake that ports really
make, or all of the signal, there is no verdict: docs/tolerance.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import keras
import numpy as np

from reference_checks import equivalence
from reference_checks.equivalence.comparison import K, budget, distance, in_float64
from reference_checks.equivalence.reevaluations import as_built, on_graph
from reference_checks.equivalence.sensitivity import Sensitivity
from reference_checks.graph import Graph, Values
from reference_checks.precision import arithmetic
from reference_checks.record import Record, Verdict

if TYPE_CHECKING:
    from reference_checks.official import Pair

PRECISIONS = ("float32", "bfloat16", "float16")
"""What every device has; "tf32" is known too, for those that have it."""


@dataclass(frozen=True)
class Oracle:
    """What a working precision is held against: a float64 result, and how it came about.

    `ours` and `theirs` are the weights that are alike, `graph` is the official model's
    after rewriting; `reference` is what the official
    model makes of the batch `x`, which is called `inputs`, in float64, and ours is `gap`
    off from it.
    """

    ours: Values
    theirs: Values
    graph: Graph
    x: np.ndarray
    reference: np.ndarray
    sensitivity: Sensitivity
    gap: float
    inputs: str = "all inputs"

    def blind(self, floor: Floor) -> bool:
        """Whether what correct runs err hides a mistake: then there is no verdict.

        Where the outputs are no numbers even in float64 there is one.
        """
        hidden = floor.errors and floor.budget >= self.sensitivity.limit
        return bool(hidden and np.all(np.isfinite(self.reference)))

    def of_noise(self) -> Oracle:
        """The last picture alone."""
        last = {"x": self.x[-1:], "reference": self.reference[-1:]}
        return replace(self, **last, inputs="noise")


@dataclass(frozen=True)
class Floor:
    """Errors of correct runs in a precision, by how they came about; `whole` is one."""

    precision: str
    errors: dict[str, float]
    whole: np.ndarray | None

    @property
    def largest(self) -> float:
        return max(self.errors.values())

    @property
    def budget(self) -> float:
        return budget(self.precision, self.errors.values())


def floor(build: Callable[[], keras.Model], precision: str, oracle: Oracle) -> Floor:
    """The official model evaluated in the precision, until noise is known to hide too much.

    The graph comes first: for that no model is built.
    """
    found = Floor(precision, {}, None)
    x, kind = oracle.x, dtype(precision)
    with arithmetic(precision):
        for name, outputs in on_graph(oracle.graph, oracle.theirs, x, kind):
            found.errors[name] = distance(outputs, oracle.reference)
        if oracle.blind(found):
            return found
        single = equivalence.subject(build, kind)
        single.assign(oracle.theirs)
        whole = None
        for name, outputs in as_built(single, x):
            whole = outputs if whole is None else whole
            found.errors[name] = distance(outputs, oracle.reference)
            if oracle.blind(found):
                break
        single.release()
    return replace(found, whole=whole)


def dtype(precision: str) -> str:
    """What a model is built in."""
    return "float32" if precision == "tf32" else precision


def working_precision(pair: Pair, precision: str, oracle: Oracle) -> Iterator[Record]:
    """Ours against the float64 result; the official model's own errors measure it."""
    claim = f"{precision}, {oracle.inputs}"
    found = floor(pair.build_official, precision, oracle)
    errors = ", ".join(f"{name} {error:.2g}" for name, error in found.errors.items())
    own = f"the official model's own: {errors}"
    if oracle.blind(found):
        yield pair.record(
            "outputs", Verdict.NO_VERDICT, claim=claim, measured=found.largest,
            detail=f"{own}; {K} times that hides {oracle.sensitivity.hidden(found.budget)}",
        )  # fmt: skip
        return
    single = equivalence.subject(pair.build_ours, dtype(precision))
    single.assign(oracle.ours)
    with arithmetic(precision):
        mine = single.run(oracle.x)[0]
    single.release()
    gap = distance(mine, oracle.reference)
    if np.array_equal(mine, found.whole) and np.isfinite(gap):
        verdict = Verdict.BIT_EQUAL
    else:
        # Infinite where the outputs are no numbers, and so is the budget then.
        held = np.isfinite(gap) and gap <= found.budget
        verdict = Verdict.WITHIN_BUDGET if held else Verdict.CONTRADICTED
    said = [
        f"error to float64; the budget is {found.budget:.2g}", own,
        f"would have seen {oracle.sensitivity.seen(found.budget)}",
    ]  # fmt: skip
    if precision == "float32":
        derived = K * in_float64(found.errors.values())
        kept = "keeps" if oracle.gap <= derived else "does not keep"
        said.append(f"float64 {kept} {derived:.2g}, which follows from it")
    yield pair.record(
        "outputs", verdict, claim=claim, measured=gap, detail="; ".join(said)
    )
