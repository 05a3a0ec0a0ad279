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


@contextmanager
def arithmetic(precision: str) -> Iterator[None]:
    """Products of float32 in full inside, or, for "tf32", as a device has it for speed.

    Without this the backend decides: on a GPU TensorFlow and JAX take TF32.
    """
    fast = precision == "tf32"
    match keras.config.backend():
        case "tensorflow":
            from tensorflow.config import experimental as tf

            before = tf.tensor_float_32_execution_enabled()
            tf.enable_tensor_float_32_execution(fast)
            try:
                yield
            finally:
                tf.enable_tensor_float_32_execution(before)
        case "jax":
            import jax

            with jax.default_matmul_precision("tensorfloat32" if fast else "highest"):
                yield
        case "torch":
            import torch

            parts = torch.backends.cuda.matmul, torch.backends.cudnn
            before = [part.allow_tf32 for part in parts]
            for part in parts:
                part.allow_tf32 = fast
            try:
                yield
            finally:
                for part, allowed in zip(parts, before, strict=True):
                    part.allow_tf32 = allowed


def counterfeit(values: np.ndarray) -> bool:
    """Whether an array that says float64 was computed in float32.

    What comes back then is representable in float32, every value of it.
    """
    return values.dtype != np.float64 or bool(
        np.array_equal(values, values.astype(np.float32).astype(np.float64))
    )
