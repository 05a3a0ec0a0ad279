"""Depthwise convolutions under JAX that a CPU can afford.

XLA has no kernel for the gradients of a depthwise convolution on a CPU, nor for one whose
kernel is larger than the map: it makes a dense one of it.  In float64 the gradients of
5x5 on 1,152 channels of 3x3 take 1.8 s so, and 7x7 on 1,024 channels of 6x6 takes 27 s,
where the sum over the kernel's places below takes a thousandth (JAX 0.10, one core).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from typing import Any

import jax
from jax import lax

Pairs = tuple[tuple[int, int], ...]


@contextmanager
def by_taps(larger: bool = False) -> Iterator[None]:
    """Inside, what Keras asks of JAX as a depthwise convolution is a sum of products.

    With `larger` only where the kernel is larger than the map.
    """
    if jax.default_backend() != "cpu":
        yield
        return
    own = lax.conv_general_dilated

    def convolution(
        x: Any, kernel: Any, window_strides: Any, padding: Any, **options: Any
    ) -> Any:
        groups = options.get("feature_group_count", 1)
        dilation = tuple(options.get("rhs_dilation") or [1] * len(window_strides))
        depthwise = 1 < groups == x.shape[-1] and len(window_strides) == 2
        fits = all(k <= n for k, n in zip(kernel.shape[:2], x.shape[1:-1]))
        if not depthwise or (larger and fits):
            return own(x, kernel, window_strides, padding, **options)
        if isinstance(padding, str):
            size = [(n - 1) * d + 1 for n, d in zip(kernel.shape, dilation)]
            padding = lax.padtype_to_pads(x.shape[1:-1], size, window_strides, padding)
        pads = tuple((int(low), int(high)) for low, high in padding)
        return _sum(x, kernel, tuple(window_strides), pads, dilation)

    lax.conv_general_dilated = convolution
    try:
        yield
    finally:
        lax.conv_general_dilated = own


@partial(jax.jit, static_argnums=(2, 3, 4))
def _sum(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, ...], pads: Pairs,
    dilation: tuple[int, ...],
) -> jax.Array:  # fmt: skip
    """Of (batch, height, width, c) and (height, width, 1, c·m): (batch, h, w, c·m)."""
    places, most = kernel.shape[:2], kernel.shape[-1] // x.shape[-1]
    x = jax.numpy.pad(x, ((0, 0), *pads, (0, 0))).repeat(most, axis=-1)
    left = [
        n - (k - 1) * d for n, k, d in zip(x.shape[1:-1], places, dilation, strict=True)
    ]

    def tap(*at: int) -> jax.Array:
        rows, columns = (
            slice(i * d, i * d + n, s)
            for i, d, n, s in zip(at, dilation, left, strides, strict=True)
        )
        return x[:, rows, columns] * kernel[(*at, 0)]

    first, *others = (tap(*at) for at in product(*map(range, places)))
    return sum(others, first)
