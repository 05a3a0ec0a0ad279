"""Derivatives on each backend of Keras, in the precision that the model computes in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras


def derivatives(
    loss: Callable[[Any], Any], fed: Any, trained: Sequence[keras.Variable],
    still: Sequence[keras.Variable] = (),
) -> list[Any]:  # fmt: skip
    """Of the number `loss(fed)`: with respect to `fed`, then to the `trained` variables.

    They are the backend's tensors: a large network's in both forms are gigabytes.
    What has no part in the loss has a derivative of zeros.  Variables that `loss` assigns
    to (moving statistics, among the `still` ones) have their new values afterwards.
    """
    backend = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    return list(backend[keras.config.backend()](loss, fed, trained, still))


def _tensorflow(loss: Any, fed: Any, trained: Any, still: Any) -> Sequence[Any]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(fed)
        value = loss(fed)
    sources = [fed, *(variable.value for variable in trained)]
    return tape.gradient(value, sources, unconnected_gradients="zero")


def _jax(loss: Any, fed: Any, trained: Any, still: Any) -> Sequence[Any]:
    """Of a function without side effects, as `keras.Model.stateless_call` makes one.

    Operation by operation, not compiled: layers of one shape share what is compiled then,
    and so do both networks.
    """
    import jax

    from reference_checks.equivalence.depthwise import by_taps

    def pure(fed: Any, values: Sequence[Any]) -> tuple[Any, list[Any]]:
        known = zip(trained, values, strict=True)
        with keras.StatelessScope(known, initialize_variables=False) as scope:
            value = loss(fed)
        return value, [scope.get_current_value(variable) for variable in still]

    values = [variable.value for variable in trained]
    slope = jax.grad(pure, argnums=(0, 1), has_aux=True)
    with by_taps():
        (of_input, of_weights), moved = slope(fed, values)
    for variable, value in zip(still, moved, strict=True):
        if value is not None:
            variable.assign(value)
    return [of_input, *of_weights]


def _torch(loss: Any, fed: Any, trained: Any, still: Any) -> Sequence[Any]:
    import torch

    fed = fed.detach().requires_grad_()
    sources = [fed, *(variable.value for variable in trained)]
    return torch.autograd.grad(loss(fed), sources, materialize_grads=True)
