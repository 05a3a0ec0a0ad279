"""How far apart two results are, and how far they may be."""

from __future__ import annotations

import numpy as np

FLOAT64_BUDGET = 1e-12
FLOAT32_FACTOR = 16
"""A correct float32 run errs up to 8.5 times another's error; a wrong network a thousand."""
FLOAT32_FLOOR = 8 * 2.0**-24
FLOAT32_WORST = 1e-2
"""A gap that float32 does not explain: a wrong network in any precision."""


def distance(candidate: np.ndarray, reference: np.ndarray) -> float:
    """‖candidate - reference‖ / ‖reference‖; infinite where anything is not finite.

    NaN on both sides is a difference, and so are empty arrays: nothing was compared.
    """
    if candidate.shape != reference.shape or not candidate.size:
        return float("inf")
    if not (np.all(np.isfinite(candidate)) and np.all(np.isfinite(reference))):
        return float("inf")
    scale = float(np.linalg.norm(reference))
    gap = float(np.linalg.norm(candidate.astype(np.float64) - reference))
    if scale == 0:
        return 0.0 if gap == 0 else float("inf")
    return gap / scale
