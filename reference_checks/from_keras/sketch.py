"""Build a model that is only read: without what Keras keeps for training and saving it.

Most of the time that Keras takes to build a layer goes into what calling it with other
arguments, training or saving could need: watching each attribute for weights and layers
in it, once for itself and once for TensorFlow; binding arguments, masks and scopes at each
call; asking again and again for the same signatures.  None of it is in the graph.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import keras

from reference_checks.from_keras.layers import LAYERS

SIGNATURES = 1024  # that are remembered


@contextmanager
def sketched() -> Iterator[None]:
    """Models built inside have their layers and weights, and can be read; no more.

    Layers that are read as what they are (`LAYERS`) are built as they are shown, any other
    one as ever.  Some of these names are private to Keras: where one is gone, all are.
    """
    with ExitStack() as stack:
        with suppress(ImportError, AttributeError):
            for owner, name, new in list(_patches()):
                stack.enter_context(patch.object(owner, name, new))
        yield


def _patches() -> Iterator[tuple[Any, str, Any]]:
    from keras.src import initializers
    from keras.src.layers import layer
    from keras.src.utils import naming

    if keras.config.is_nnx_enabled():  # which adds to the same methods
        return
    yield keras.Layer, "__setattr__", _setting(keras.Layer.__setattr__)
    fits = keras.Layer._assert_input_compatibility
    yield keras.Layer, "__call__", _calling(keras.Layer.__call__, fits)
    yield keras.Layer, "compute_output_spec", _shaped(keras.Layer.compute_output_spec)
    yield keras.Operation, "__new__", _new(keras.Operation.__new__)
    yield initializers, "get", _remembered(initializers.get)
    remembering = {**vars(inspect), "signature": _signature}
    yield layer, "inspect", SimpleNamespace(**remembering)
    yield naming, "to_snake_case", cache(naming.to_snake_case)
    if keras.backend.backend() == "tensorflow":
        from keras.src.backend.tensorflow.trackable import KerasAutoTrackable

        yield KerasAutoTrackable, "__setattr__", object.__setattr__


def _setting(watched: Callable) -> Callable:
    def set_attribute(self: Any, name: str, value: Any) -> None:
        """Weights come from `add_weight`, which keeps them; there are no layers inside."""
        known = type(self) in LAYERS
        (object.__setattr__ if known else watched)(self, name, value)

    return set_attribute


def _calling(whole: Callable, fits: Callable) -> Callable:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        """The layer's weights, and a node; masks and casts are not in the graph."""
        given = args[0] if len(args) == 1 and not kwargs else None
        tensors = given if type(given) is list else [given]
        drawn = all(isinstance(t, keras.KerasTensor) for t in tensors)
        if type(self) not in LAYERS or not drawn:
            return whole(self, *args, **kwargs)
        fits(self, given)
        if not self.built:
            shapes = [t.shape for t in tensors]
            self.build(shapes if tensors is given else shapes[0])
            fits(self, given)
        return keras.Operation.symbolic_call(self, given)

    return call


def _shaped(whole: Callable) -> Callable:
    def compute_output_spec(self: Any, *args: Any, **kwargs: Any) -> Any:
        if type(self) not in LAYERS or len(args) != 1 or kwargs:
            return whole(self, *args, **kwargs)
        shape = self.compute_output_shape(args[0].shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    return compute_output_spec


def _new(configured: Callable) -> Callable:
    def new(cls: type, *args: Any, **kwargs: Any) -> Any:
        """One that knows its own configuration needs no second, automatic one."""
        if getattr(cls.get_config, "_is_default", False):
            return configured(cls, *args, **kwargs)
        return object.__new__(cls)

    return new


def _remembered(get: Callable) -> Callable:
    by_name = cache(get)

    def get_initializer(identifier: Any) -> Any:
        if isinstance(identifier, keras.Initializer):
            return identifier
        return (by_name if isinstance(identifier, str) else get)(identifier)

    return get_initializer


@lru_cache(SIGNATURES)
def _of_function(function: Callable) -> inspect.Signature:
    found = inspect.signature(function)
    return found.replace(parameters=list(found.parameters.values())[1:])


def _signature(function: Callable) -> inspect.Signature:
    """Remembered of a method: each layer of a class has the same."""
    if inspect.ismethod(function):
        return _of_function(function.__func__)
    return inspect.signature(function)
