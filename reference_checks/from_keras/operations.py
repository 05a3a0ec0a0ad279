"""Keras operations (`keras.ops` on symbolic tensors): what each is in the op graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import keras
import numpy as np

from reference_checks.from_keras.layers import layer_norm
from reference_checks.from_keras.padding import constant, resolved
from reference_checks.graph import GraphError

if TYPE_CHECKING:
    from reference_checks.from_keras import Reader


def _binary(kind: str, merged: str, invert: Callable | None = None) -> Callable:
    """x + y, or x + constant, or x + weight; `invert` makes - and / of + and *."""

    def binary(reader: Reader, operation, ins, shape, arguments) -> int:
        first, second = arguments[:2]
        tensors = [isinstance(a, keras.KerasTensor) for a in (first, second)]
        if all(tensors):
            if invert is not None:
                minus = invert(reader, ins[1], reader.ops[ins[1]].shape, operation.name)
                ins = [ins[0], minus]
            return reader.emit(merged, ins, shape, operation.name)
        if tensors[0]:
            other = second
        elif invert is None:
            other = first
        else:
            # constant - x and constant / x
            ins = [invert(reader, ins[0], shape, operation.name)]
            return reader.emit(kind, ins, shape, operation.name, by=constant(first))
        if isinstance(other, keras.Variable):
            if invert is _negate:
                # x - w: the sign goes to the input and comes back after the shift
                ins = [
                    _negate(reader, ins[0], reader.ops[ins[0]].shape, operation.name)
                ]
            elif invert is not None:
                raise GraphError(f"layer {operation.name!r}: division by a weight")
            weights = (reader.weight("by", other),)
            index = reader.emit(kind, ins, shape, operation.name, weights=weights)
            return _negate(reader, index, shape, operation.name) if invert else index
        value = np.asarray(keras.ops.convert_to_numpy(other), dtype=np.float64)
        if invert is not None:
            value = -value if kind == "shift" else 1 / value
        return reader.emit(kind, ins, shape, operation.name, by=constant(value))

    return binary


def _negate(reader: Reader, source: int, shape, name: str) -> int:
    return reader.emit("scale", [source], shape, name, by=-1.0)


def _reciprocal(reader: Reader, source: int, shape, name: str) -> int:
    return reader.emit("power", [source], shape, name, exponent=-1.0)


def _power(reader: Reader, operation, ins, shape, arguments) -> int:
    if isinstance(arguments[1], (keras.KerasTensor, keras.Variable)):
        raise GraphError(f"layer {operation.name!r}: the exponent is not a constant")
    exponent = constant(arguments[1])
    return reader.emit("power", ins, shape, operation.name, exponent=exponent)


def _fixed_power(exponent: float) -> Callable:
    def power(reader: Reader, operation, ins, shape, arguments) -> int:
        return reader.emit("power", ins, shape, operation.name, exponent=exponent)

    return power


def _reduce(kind: str) -> Callable:
    def reduce(reader: Reader, operation, ins, shape, arguments) -> int:
        rank = len(reader.ops[ins[0]].shape) + 1
        axes = operation.axis
        axes = range(rank) if axes is None else np.atleast_1d(axes).tolist()
        axes = tuple(sorted(a % rank - 1 for a in axes))
        if -1 in axes:
            raise GraphError(f"layer {operation.name!r}: reduces over the batch")
        return reader.emit(
            kind,
            ins,
            shape,
            operation.name,
            axes=axes,
            keepdims=bool(operation.keepdims),
        )

    return reduce


def _function(reader: Reader, operation, ins, shape, arguments) -> int:
    name = type(operation).__name__
    attrs = {"function": FUNCTIONS[name]}
    if name == "Gelu":
        attrs["approximate"] = bool(operation.approximate)
    if name == "Softmax":
        attrs["axis"] = operation.axis
    if name == "LeakyRelu":
        attrs["slope"] = float(operation.negative_slope)
    if name == "Elu" and operation.alpha != 1:
        raise GraphError(f"layer {operation.name!r}: ELU with alpha {operation.alpha}")
    return reader.emit("activation", ins, shape, operation.name, **attrs)


def _layer_norm(reader: Reader, operation, ins, shape, arguments) -> int:
    gamma, beta = arguments[1:3]
    if not all(w is None or isinstance(w, keras.Variable) for w in (gamma, beta)):
        raise GraphError(f"layer {operation.name!r}: gamma and beta are no variables")
    return layer_norm(reader, operation, ins[:1], shape, gamma, beta)


def _reshaped(reader: Reader, operation, ins, shape, arguments) -> int:
    return reader.emit("reshape", ins, shape, operation.name)


def _transposed(reader: Reader, operation, ins, shape, arguments) -> int:
    axes = operation.axes
    if axes is None or axes[0] != 0:
        raise GraphError(f"layer {operation.name!r}: moves the batch axis")
    axes = tuple(a - 1 for a in axes[1:])
    return reader.emit("transpose", ins, shape, operation.name, axes=axes)


def _joined(reader: Reader, operation, ins, shape, arguments) -> int:
    axis = operation.axis % (len(shape) + 1) - 1
    return reader.emit("concat", ins, shape, operation.name, axis=axis)


def _padded(reader: Reader, operation, ins, shape, arguments) -> int:
    constant = arguments[1] if len(arguments) > 1 else None
    if operation.mode != "constant" or tuple(operation.pad_width[0]) != (0, 0):
        raise GraphError(
            f"layer {operation.name!r}: pads the batch or not by a constant"
        )
    padding = tuple(tuple(map(int, pair)) for pair in operation.pad_width[1:])
    return reader.emit(
        "pad", ins, shape, operation.name, padding=padding, value=float(constant or 0)
    )


def _item(reader: Reader, operation, ins, shape, arguments) -> int:
    """x[:, a:b, ..., c:d] with steps of one."""
    source = reader.ops[ins[0]].shape
    key = arguments[1] if isinstance(arguments[1], tuple) else (arguments[1],)
    if Ellipsis in key:
        at = key.index(Ellipsis)
        fill = (slice(None),) * (len(source) + 2 - len(key))
        key = key[:at] + fill + key[at + 1 :]
    key = key + (slice(None),) * (len(source) + 1 - len(key))
    if not all(isinstance(k, slice) and k.step in (None, 1) for k in key):
        raise GraphError(f"layer {operation.name!r}: only plain slices are read")
    if key[0] != slice(None):
        raise GraphError(f"layer {operation.name!r}: slices the batch")
    ranges = tuple(k.indices(n)[:2] for k, n in zip(key[1:], source, strict=True))
    return reader.emit("slice", ins, shape, operation.name, ranges=ranges)


def _taken(reader: Reader, operation, ins, shape, arguments) -> int:
    indices = keras.ops.convert_to_numpy(arguments[1])
    if operation.axis is None or indices.ndim != 1:
        raise GraphError(f"layer {operation.name!r}: takes by a table of indices")
    axis = operation.axis % (len(shape) + 1) - 1
    return reader.emit(
        "take", ins, shape, operation.name, axis=axis, indices=tuple(indices.tolist())
    )


def _pooled(mode: str) -> Callable:
    def pooled(reader: Reader, operation, ins, shape, arguments) -> int:
        *size, _ = reader.ops[ins[0]].shape
        window = np.broadcast_to(operation.pool_size, len(size)).tolist()
        strides = operation.strides or window
        strides = np.broadcast_to(strides, len(size)).tolist()
        return reader.emit(
            "pool", ins, shape, operation.name, mode=mode, window=tuple(window),
            strides=tuple(strides), padding=resolved(operation, size, window, strides),
        )  # fmt: skip

    return pooled


FUNCTIONS = {
    "Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid", "Tanh": "tanh",
    "Silu": "silu", "HardSilu": "hard_silu", "HardSigmoid": "hard_sigmoid",
    "Gelu": "gelu", "Softmax": "softmax", "Exp": "exponential",
    "LeakyRelu": "leaky_relu", "Elu": "elu", "Selu": "selu", "Softplus": "softplus",
    "Softsign": "softsign",
}  # fmt: skip

OPERATIONS: dict[str, Callable] = {
    "Add": _binary("shift", "add"),
    "Subtract": _binary("shift", "add", _negate),
    "Multiply": _binary("scale", "multiply"),
    "TrueDivide": _binary("scale", "multiply", _reciprocal),
    "Divide": _binary("scale", "multiply", _reciprocal),
    "Power": _power,
    "Square": _fixed_power(2.0),
    "Sqrt": _fixed_power(0.5),
    "Reciprocal": _fixed_power(-1.0),
    "Rsqrt": _fixed_power(-0.5),
    "LayerNorm": _layer_norm,
    "Mean": _reduce("mean"),
    "Sum": _reduce("sum"),
    "Reshape": _reshaped,
    "ExpandDims": _reshaped,
    "Squeeze": _reshaped,
    "Transpose": _transposed,
    "Concatenate": _joined,
    "Pad": _padded,
    "GetItem": _item,
    "Take": _taken,
    "AveragePool": _pooled("average"),
    "MaxPool": _pooled("max"),
} | dict.fromkeys(FUNCTIONS, _function)
