"""Float64 that is float64, on every backend of Keras.

Keras computes in float32 what it calls float64 off TensorFlow: its table of result types
demotes 64 bits (keras/src/backend/common/dtypes.py), and JAX has 64 bits off by default.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

TABLE = "BIT64_TO_BIT32_DTYPE"


@contextmanager
def floatx(dtype: str) -> Iterator[None]:
    """Models built inside compute and store in `dtype`, and float64 is not demoted."""
    _mend()
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def _mend() -> None:
    """Let float64 be float64, for the rest of the process: layers ask when they run.

    The table is private to Keras.  Where it is gone or does nothing, `counterfeit` tells.
    """
    backend = keras.config.backend()
    if backend == "tensorflow":
        return
    if backend == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    from keras.src.backend.common import dtypes

    table = getattr(dtypes, TABLE, None)
    if isinstance(table, dict) and "float64" in table:
        table["float64"] = "float64"


def counterfeit(values: np.ndarray) -> bool:
    """Whether an array that says float64 was computed in float32.

    What comes back then is representable in float32, every value of it.
    """
    return values.dtype != np.float64 or bool(
        np.array_equal(values, values.astype(np.float32).astype(np.float64))
    )
