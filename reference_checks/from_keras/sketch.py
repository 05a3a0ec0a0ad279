"""Build a model that is only read: without what Keras keeps for training and saving it.

Of the time that Keras takes to build a layer more than half goes into watching each
attribute for weights and layers in it, once for itself and once for TensorFlow, and into
asking again and again for the same signatures.  None of it is in the graph.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from types import FunctionType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import keras

PLAIN = frozenset({bool, int, float, str, type(None), FunctionType})
"""Types of values that are no tensors, and in which nothing can be tracked."""
SIGNATURES = 1024  # that are remembered


@contextmanager
def sketched() -> Iterator[None]:
    """Models built inside have their layers and weights, and can be read; no more.

    A layer that knows its own configuration has no second, automatic one, and none is
    known to TensorFlow as something to save.  Some of these names are private to Keras:
    where one is gone, models are built as ever.
    """
    with ExitStack() as stack:
        if not keras.config.is_nnx_enabled():  # which adds to the same methods
            with suppress(ImportError, AttributeError):
                for owner, name, new in list(_patches()):
                    stack.enter_context(patch.object(owner, name, new))
        yield


def _patches() -> Iterator[tuple[Any, str, Any]]:
    from keras.src import backend
    from keras.src.layers import layer as layers
    from keras.src.ops import operation as operations

    yield keras.Layer, "__setattr__", _setting(keras.Layer.__setattr__)
    yield keras.Operation, "__new__", _new(keras.Operation.__new__)
    for module in (layers, operations):
        yield module, "inspect", _INSPECT
    for module in (backend, backend.core):
        yield module, "is_tensor", _tensor(module.is_tensor)
    if backend.backend() == "tensorflow":
        from keras.src.backend.tensorflow.trackable import KerasAutoTrackable

        yield KerasAutoTrackable, "__setattr__", object.__setattr__


def _plain(value: Any) -> bool:
    kind = type(value)
    return kind in PLAIN or (kind is tuple and all(type(v) in PLAIN for v in value))


def _setting(watched: Callable) -> Callable:
    def set_attribute(self: Any, name: str, value: Any) -> None:
        if _plain(value):
            object.__setattr__(self, name, value)
        else:
            watched(self, name, value)

    return set_attribute


def _new(configured: Callable) -> Callable:
    def new(cls: type, *args: Any, **kwargs: Any) -> Any:
        if getattr(cls.get_config, "_is_default", False):
            return configured(cls, *args, **kwargs)
        return object.__new__(cls)

    return new


def _tensor(asked: Callable) -> Callable:
    def is_tensor(x: Any) -> bool:
        """TensorFlow takes much longer to say no."""
        return not (isinstance(x, keras.KerasTensor) or _plain(x)) and asked(x)

    return is_tensor


@lru_cache(SIGNATURES)
def _of_function(function: Callable, bound: bool) -> inspect.Signature:
    found = inspect.signature(function)
    return found.replace(parameters=list(found.parameters.values())[bound:])


_arguments = lru_cache(SIGNATURES)(inspect.getfullargspec)


def _signature(function: Callable) -> inspect.Signature:
    """Of a method or a constructor, remembered: each layer of a class has the same."""
    function = inspect.unwrap(function)
    if inspect.ismethod(function):
        return _of_function(function.__func__, True)
    if function.__name__ == "__init__":
        return _of_function(function, False)
    return inspect.signature(function)


_INSPECT = SimpleNamespace(
    Parameter=inspect.Parameter, signature=_signature, getfullargspec=_arguments
)
