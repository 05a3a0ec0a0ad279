"""The proof, run: two models with the same weights on the same inputs.

The verdict is given in float64, where correct networks agree to 1e-12 (‖a - b‖ / ‖b‖ over
each output) and wrong ones do not; a working precision is held against the float64 result
with the official model's own errors in it as the measure.  Weights are random and calibrated,
biases, gammas and batch-norm statistics included, so that nothing hides behind zeros and
ones; inputs are two photographs and noise.
"""

from reference_checks.equivalence.calibration import calibrate
from reference_checks.equivalence.comparison import (
    FLOAT32_WORST,
    FLOAT64_BUDGET,
    ROUNDOFF,
    K,
    budget,
    distance,
    in_float64,
)
from reference_checks.equivalence.exercise import inputs, photographs, random_values
from reference_checks.equivalence.subject import (
    Stored,
    Subject,
    affordable,
    before_prefix,
    subject,
)

__all__ = [
    "FLOAT32_WORST",
    "FLOAT64_BUDGET",
    "ROUNDOFF",
    "K",
    "Stored",
    "Subject",
    "affordable",
    "before_prefix",
    "budget",
    "calibrate",
    "distance",
    "in_float64",
    "inputs",
    "photographs",
    "random_values",
    "subject",
]
