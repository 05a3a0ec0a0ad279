"""Keras layers: what each of them is in the op graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from reference_checks.from_keras.padding import channels_last, constant, resolved
from reference_checks.graph import GraphError

if TYPE_CHECKING:
    from reference_checks.from_keras import Reader

ACTIVATIONS: dict[str, dict[str, Any]] = {
    name: {"function": name}
    for name in [
        "relu",
        "relu6",
        "sigmoid",
        "hard_sigmoid",
        "tanh",
        "silu",
        "hard_silu",
        "elu",
        "selu",
        "softplus",
        "softsign",
        "exponential",
        "linear",
    ]
}
ACTIVATIONS |= {
    "swish": {"function": "silu"},
    "hard_swish": {"function": "hard_silu"},
    "leaky_relu": {"function": "leaky_relu", "slope": 0.2},
    "gelu": {"function": "gelu", "approximate": False},
    "softmax": {"function": "softmax", "axis": -1},
}


def _conv(reader: Reader, layer, ins, shape, *, kernel=None, last=True) -> int:
    """Conv2D and DepthwiseConv2D; a depthwise kernel is one with as many groups."""
    channels_last(layer)
    *size, channels = reader.ops[ins[0]].shape
    depthwise = kernel is None and isinstance(layer, keras.layers.DepthwiseConv2D)
    groups = channels if depthwise else getattr(layer, "groups", 1)
    variable = layer.kernel if kernel is None else kernel
    height, width, *_ = variable.shape
    seen = (height, width, 1, shape[-1]) if depthwise else None
    weights = [reader.weight("kernel", variable, seen)]
    if layer.use_bias:
        weights.append(reader.weight("bias", layer.bias))
    index = reader.emit(
        "conv", ins, shape, layer.name,
        weights=tuple(weights), strides=tuple(layer.strides),
        padding=resolved(layer, size, (height, width), layer.strides, layer.dilation_rate),
        dilation=tuple(layer.dilation_rate), groups=groups,
    )  # fmt: skip
    return reader.activate(index, layer.activation, shape, layer.name)


def _separable(reader: Reader, layer, ins, shape) -> int:
    """Depthwise, then 1x1 with the bias and the activation."""
    channels_last(layer)
    *size, channels = reader.ops[ins[0]].shape
    height, width, _, multiplier = layer.depthwise_kernel.shape
    middle = (*shape[:-1], channels * multiplier)
    kernel = (height, width, 1, channels * multiplier)
    source = reader.emit(
        "conv", ins, middle, layer.name,
        weights=(reader.weight("kernel", layer.depthwise_kernel, kernel),),
        strides=tuple(layer.strides), groups=channels,
        padding=resolved(layer, size, (height, width), layer.strides, layer.dilation_rate),
        dilation=tuple(layer.dilation_rate),
    )  # fmt: skip
    weights = [reader.weight("kernel", layer.pointwise_kernel)]
    if layer.use_bias:
        weights.append(reader.weight("bias", layer.bias))
    index = reader.emit(
        "conv", [source], shape, layer.name, weights=tuple(weights), strides=(1, 1),
        padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1,
    )  # fmt: skip
    return reader.activate(index, layer.activation, shape, layer.name)


def _dense(reader: Reader, layer, ins, shape) -> int:
    weights = [reader.weight("kernel", layer.kernel)]
    if layer.use_bias:
        weights.append(reader.weight("bias", layer.bias))
    index = reader.emit("dense", ins, shape, layer.name, weights=tuple(weights))
    return reader.activate(index, layer.activation, shape, layer.name)


def _batch_norm(reader: Reader, layer, ins, shape) -> int:
    axis = layer.axis[0] if isinstance(layer.axis, (list, tuple)) else layer.axis
    if axis not in (-1, len(shape)):
        raise GraphError(f"layer {layer.name!r}: batch norm is read over the last axis")
    weights = [
        reader.weight(role, variable)
        for role, variable, there in (
            ("gamma", layer.gamma, layer.scale),
            ("beta", layer.beta, layer.center),
            ("mean", layer.moving_mean, True),
            ("variance", layer.moving_variance, True),
        )
        if there
    ]
    return reader.emit(
        "batch_norm", ins, shape, layer.name, weights=tuple(weights),
        epsilon=float(layer.epsilon), momentum=float(layer.momentum),
    )  # fmt: skip


def _layer_norm(reader: Reader, layer, ins, shape) -> int:
    return layer_norm(reader, layer, ins, shape, layer.gamma, layer.beta)


def layer_norm(reader: Reader, operation, ins, shape, gamma, beta) -> int:
    """Over the last axis, or over any but the batch; the weights have the axes' shape."""
    name, rank = operation.name, len(shape) + 1
    if operation.rms_scaling:
        raise GraphError(f"layer {name!r}: scaling by the variance alone is not read")
    axes = tuple(
        sorted(a % rank - rank for a in np.atleast_1d(operation.axis).tolist())
    )
    if axes[0] == -rank:
        raise GraphError(f"layer {name!r}: normalises over the batch")
    epsilon = operation.epsilon
    weights = [("gamma", gamma), ("beta", beta)]
    return reader.emit(
        "layer_norm", ins, shape, name, axes=axes,
        weights=tuple(reader.weight(role, w) for role, w in weights if w is not None),
        epsilon=float(keras.config.epsilon() if epsilon is None else epsilon),
    )  # fmt: skip


def _activation(reader: Reader, layer, ins, shape) -> int:
    index = reader.activate(ins[0], layer.activation, shape, layer.name)
    return reader.emit("identity", ins, shape, layer.name) if index == ins[0] else index


def _relu(reader: Reader, layer, ins, shape) -> int:
    slope, top, threshold = layer.negative_slope, layer.max_value, layer.threshold
    if threshold or top not in (None, 6) or (slope and top):
        raise GraphError(
            f"layer {layer.name!r}: unknown activation ReLU(max_value={top},"
            f" negative_slope={slope}, threshold={threshold})"
        )
    if slope:
        attrs = {"function": "leaky_relu", "slope": float(slope)}
    else:
        attrs = {"function": "relu6" if top else "relu"}
    return reader.emit("activation", ins, shape, layer.name, **attrs)


def _softmax(reader: Reader, layer, ins, shape) -> int:
    return reader.emit(
        "activation", ins, shape, layer.name, function="softmax", axis=layer.axis
    )


def _pool(mode: str) -> Callable:
    def pool(reader: Reader, layer, ins, shape) -> int:
        channels_last(layer)
        *size, _ = reader.ops[ins[0]].shape
        return reader.emit(
            "pool", ins, shape, layer.name, mode=mode, window=tuple(layer.pool_size),
            strides=tuple(layer.strides),
            padding=resolved(layer, size, layer.pool_size, layer.strides),
        )  # fmt: skip

    return pool


def _global_mean(reader: Reader, layer, ins, shape) -> int:
    channels_last(layer)
    return reader.emit(
        "mean", ins, shape, layer.name, axes=(0, 1), keepdims=bool(layer.keepdims)
    )


def _edges(kind: str) -> Callable:
    def edges(reader: Reader, layer, ins, shape) -> int:
        channels_last(layer)
        amounts = layer.padding if kind == "pad" else layer.cropping
        amounts = (*(tuple(map(int, pair)) for pair in amounts), (0, 0))
        if kind == "pad":
            return reader.emit(
                "pad", ins, shape, layer.name, padding=amounts, value=0.0
            )
        source = reader.ops[ins[0]].shape
        return reader.emit(
            "slice", ins, shape, layer.name,
            ranges=tuple((a, n - b) for n, (a, b) in zip(source, amounts, strict=True)),
        )  # fmt: skip

    return edges


def _reshape(reader: Reader, layer, ins, shape) -> int:
    return reader.emit("reshape", ins, shape, layer.name)


def _permute(reader: Reader, layer, ins, shape) -> int:
    axes = tuple(d - 1 for d in layer.dims)
    return reader.emit("transpose", ins, shape, layer.name, axes=axes)


def _merge(kind: str) -> Callable:
    def merge(reader: Reader, layer, ins, shape) -> int:
        if any(reader.ops[i].shape != tuple(shape) for i in ins) and kind == "add":
            raise GraphError(
                f"layer {layer.name!r}: addition that broadcasts is not read"
            )
        return reader.emit(kind, ins, shape, layer.name)

    return merge


def _concat(reader: Reader, layer, ins, shape) -> int:
    axis = layer.axis if layer.axis >= 0 else layer.axis + len(shape) + 1
    return reader.emit("concat", ins, shape, layer.name, axis=axis - 1)


def _dropout(reader: Reader, layer, ins, shape) -> int:
    return reader.emit("dropout", ins, shape, layer.name, rate=float(layer.rate))


def _identity(reader: Reader, layer, ins, shape) -> int:
    return reader.emit("identity", ins, shape, layer.name)


def _rescaling(reader: Reader, layer, ins, shape) -> int:
    scaled = reader.emit("scale", ins, shape, layer.name, by=constant(layer.scale))
    return reader.emit("shift", [scaled], shape, layer.name, by=constant(layer.offset))


def _normalization(reader: Reader, layer, ins, shape) -> int:
    """(x - mean) / deviation: constants, or stored with the count that `adapt` keeps."""
    if layer.invert or tuple(layer.axis) not in ((-1,), (len(shape),)):
        raise GraphError(f"layer {layer.name!r}: only the last axis is normalised")
    if layer.input_mean is not None:
        # As they were given: the layer keeps them in the precision of the model.
        mean, variance = map(np.asarray, (layer.input_mean, layer.input_variance))
        shifted = reader.emit("shift", ins, shape, layer.name, by=constant(-mean))
        by = constant(1 / np.sqrt(variance))
        return reader.emit("scale", [shifted], shape, layer.name, by=by)
    weights = [
        reader.weight(role, variable)
        for role, variable in (
            ("mean", layer.adapt_mean),
            ("count", layer.count),
            ("variance", layer.adapt_variance),
        )
    ]
    shifted = reader.emit("shift", ins, shape, layer.name, weights=tuple(weights[:2]))
    return reader.emit(
        "scale", [shifted], shape, layer.name, weights=tuple(weights[2:])
    )


LAYERS: dict[type, Callable] = {
    keras.layers.Conv2D: _conv,
    keras.layers.DepthwiseConv2D: _conv,
    keras.layers.SeparableConv2D: _separable,
    keras.layers.Dense: _dense,
    keras.layers.BatchNormalization: _batch_norm,
    keras.layers.LayerNormalization: _layer_norm,
    keras.layers.Activation: _activation,
    keras.layers.ReLU: _relu,
    keras.layers.Softmax: _softmax,
    keras.layers.MaxPooling2D: _pool("max"),
    keras.layers.AveragePooling2D: _pool("average"),
    keras.layers.GlobalAveragePooling2D: _global_mean,
    keras.layers.ZeroPadding2D: _edges("pad"),
    keras.layers.Cropping2D: _edges("slice"),
    keras.layers.Flatten: _reshape,
    keras.layers.Reshape: _reshape,
    keras.layers.Permute: _permute,
    keras.layers.Add: _merge("add"),
    keras.layers.Multiply: _merge("multiply"),
    keras.layers.Concatenate: _concat,
    keras.layers.Dropout: _dropout,
    keras.layers.SpatialDropout2D: _dropout,
    keras.layers.Identity: _identity,
    keras.layers.Rescaling: _rescaling,
    keras.layers.Normalization: _normalization,
}
