"""Keras and its backend, imported when something needs them."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from reference_checks.errors import InputError


def start_keras() -> None:
    """Import Keras, and its backend with it.

    Raises:
        InputError: the backend cannot be imported.
    """
    from reference_checks.results import keras_backend

    try:
        with quiet():
            import keras  # noqa: F401
    except (ImportError, ValueError) as error:
        raise InputError(
            f"Keras' backend {keras_backend()!r} does not start ({error});"
            " install it, or name another with --backend or KERAS_BACKEND"
        ) from error
    # A network is some hundred thousand objects that stay: the collector need not look
    # through them, and through all that was imported, every few hundred new ones.  A
    # Keras model that is let go waits for the next look: some ten of them at most.
    gc.freeze()
    gc.set_threshold(1_000_000, 20, 100)


@contextmanager
def quiet() -> Iterator[None]:
    """Native libraries write to the terminal while TensorFlow starts; nobody asked."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)
