"""Padding as numbers, and constants as values that can be compared."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from reference_checks.graph import GraphError

Pair = tuple[int, int]


def _same(
    size: int | None, kernel: int, stride: int, dilation: int, where: str
) -> Pair:
    """TensorFlow's "same" as (before, after); the odd one out comes after."""
    if size is None:
        if stride > 1:
            raise GraphError(
                f'layer {where!r}: "same" padding needs a known input size'
            )
        total = (kernel - 1) * dilation
    else:
        out = math.ceil(size / stride)
        total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def resolved(layer, size, kernel, strides, dilation=(1, 1)) -> tuple[Pair, ...]:
    if layer.padding == "valid":
        return tuple((0, 0) for _ in kernel)
    return tuple(
        _same(*item, layer.name)
        for item in zip(size, kernel, strides, dilation, strict=True)
    )


def channels_last(layer: keras.Layer) -> None:
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise GraphError(f"layer {layer.name!r}: only channels_last is read")


def constant(value: Any) -> Any:
    """A number, or nested tuples of numbers: hashable, so that it can be compared."""
    array = np.asarray(keras.ops.convert_to_numpy(value), dtype=np.float64)
    if array.size == 1:
        return float(array.reshape(()))

    def freeze(item: Any) -> Any:
        return tuple(map(freeze, item)) if isinstance(item, list) else item

    return freeze(array.tolist())
