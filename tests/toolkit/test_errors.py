"""What is no fault of a model: memory, told apart from mistakes."""

from __future__ import annotations

import keras
import pytest

from reference_checks.errors import out_of_memory
from reference_checks.model_files import ModelError, call


def named(name: str, text: str = "") -> Exception:
    """An error of a library that need not be installed."""
    return type(name, (RuntimeError,), {})(text)


FULL = {
    "Python": MemoryError(),
    "TensorFlow": named("ResourceExhaustedError", "OOM when allocating tensor"),
    "XLA": named(
        "XlaRuntimeError", "RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes."
    ),
    "JAX": named(
        "JaxRuntimeError", "RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes."
    ),
    "torch on a GPU": named("OutOfMemoryError", "CUDA out of memory."),
    "torch on a CPU": RuntimeError(
        "DefaultCPUAllocator: can't allocate memory: you tried"
    ),
}
OTHERS = {
    "a shape": named("InvalidArgumentError", "shapes do not match"),
    "a key": KeyError("memory"),
    "XLA's others": named("XlaRuntimeError", "INTERNAL: unexpected"),
}


@pytest.mark.parametrize("error", FULL.values(), ids=FULL)
def test_a_full_memory_is_told_by_every_library(error):
    """By name or by text; a model that fails to build of it is no wrong model."""
    assert out_of_memory(error)

    def build():
        raise error

    with pytest.raises(type(error)):
        call("a model", build)


@pytest.mark.parametrize("error", OTHERS.values(), ids=OTHERS)
def test_other_errors_are_none_of_memory(error):
    """A model that fails to build of them is wrong."""
    assert not out_of_memory(error)

    def build():
        raise error

    with pytest.raises(ModelError):
        call("a model", build)


def test_the_backend_at_hand_says_it_so():
    """400 TB."""
    with pytest.raises(Exception) as caught:
        keras.ops.convert_to_numpy(keras.ops.zeros((10**14,)))
    assert out_of_memory(caught.value)
