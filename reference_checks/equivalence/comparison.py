"""How far apart two results are, and how far they may be: docs/tolerance.md derives it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

FLOAT64_BUDGET = 1e-12
K = 8
"""What a correct run may err more than the worst of a few others that are correct too.

One for all networks and precisions, set from correct evaluations (tests/benchmarks/
false_alarms.json): twice the largest ratio among them, and the next power of two.
"""
ROUNDOFF = {
    "float64": 2.0**-53,
    "float32": 2.0**-24,
    "tf32": 2.0**-11,
    "float16": 2.0**-11,
    "bfloat16": 2.0**-8,
}
"""Half the distance from 1 to the next number; TF32 is float32 with float16's digits."""
FLOAT32_WORST = 1e-2
"""A gap that float32 does not explain: a wrong network in any precision."""


def distance(candidate: np.ndarray, reference: np.ndarray) -> float:
    """‖candidate - reference‖ / ‖reference‖; infinite where anything is not finite.

    NaN on both sides is a difference, and so are empty arrays: nothing was compared.
    """
    if candidate.shape != reference.shape or not candidate.size:
        return np.inf
    if not (np.all(np.isfinite(candidate)) and np.all(np.isfinite(reference))):
        return np.inf
    mine, theirs = (array.astype(np.float64) for array in (candidate, reference))
    largest = max(theirs.max(), -theirs.min())
    if largest == 0:
        return np.inf if mine.any() else 0.0
    # In units of a power of two, which changes no digit: squares of very large or very
    # small numbers are no numbers.
    shift = -int(np.frexp(largest)[1])
    with np.errstate(over="ignore"):
        mine, theirs = np.ldexp(mine, shift), np.ldexp(theirs, shift)
    return float(np.linalg.norm(mine - theirs) / np.linalg.norm(theirs))


def budget(precision: str, errors: Iterable[float]) -> float:
    """What a correct run in a precision may err, given what others of them err.

    Nothing comes closer to float64 than the rounding of its own numbers.
    """
    return K * max(ROUNDOFF[precision], *errors)


def in_float64(errors: Iterable[float]) -> float:
    """What the same runs err in float64, given what they err in float32.

    Errors are so many roundings, and those of float64 are 2^29 times smaller.
    """
    scale = ROUNDOFF["float64"] / ROUNDOFF["float32"]
    return max(ROUNDOFF["float64"], *(error * scale for error in errors))
