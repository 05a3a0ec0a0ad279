"""Read a Keras model into the op graph.

The functional graph is walked from its outputs; nested models are inlined; a layer that
is not in the table below is expanded by calling it symbolically and walking what comes
out.  Nothing is traced or run and no backend is needed, so the graph is the same under
TensorFlow, JAX and torch, and a model built under `unallocated()` has no weights at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from reference_checks.graph import Graph, GraphError, Op, Variable, Weight

Pair = tuple[int, int]


@contextmanager
def unallocated() -> Iterator[None]:
    """Models built inside have variables with shapes and no values: counting is free."""
    from keras.src.backend.common import global_state

    pending = "uninitialized_variables"
    before = list(global_state.get_global_attribute(pending, None) or [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        # Keras would initialise them when the next such scope ends.
        global_state.set_global_attribute(pending, before)


def from_keras(model: keras.Model) -> Graph:
    """The op graph of a functional (or built sequential) model.

    Raises:
        GraphError: the model is not a static graph, an operation is not known, or a
            layer holds weights that no operation uses.
    """
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        raise GraphError(
            f"model {model.name!r} is not a functional graph: build it from"
            " keras.Input, or give a Sequential model an input shape"
        )
    reader = _Reader(model)
    outputs = reader.read(model.inputs, model.outputs, None)
    used = {i for op in reader.ops for w in op.weights for i in w.variables}
    for index, variable in enumerate(reader.variables):
        if index not in used:
            raise GraphError(f"no operation uses the weight {variable.name!r}")
    return Graph(
        tuple(reader.ops),
        tuple(outputs),
        reader.variables,
        model.name,
        tuple(reader.tensors),
    )


class _Reader:
    """Ops in the order of the walk, and what they are made from."""

    def __init__(self, model: keras.Model) -> None:
        self.ops: list[Op] = []
        self.tensors: list[Any] = []
        self.variables = tuple(
            Variable(w.path, tuple(w.shape), w.trainable) for w in model.weights
        )
        self.index = {id(w): i for i, w in enumerate(model.weights)}

    def emit(
        self, kind: str, inputs: tuple[int, ...] | list[int], shape, layer: str, **attrs
    ) -> int:
        weights = attrs.pop("weights", ())
        self.ops.append(Op(kind, tuple(inputs), tuple(shape), attrs, weights, layer))
        return len(self.ops) - 1

    def weight(self, role: str, variable: Any, shape: Any = None) -> Weight:
        """The weight of an op; `shape` where the op sees the variable reshaped."""
        # An autocast or quantised layer may hand out a wrapper of its variable.
        index = self.index.get(id(variable))
        if index is None:
            raise GraphError(
                f"weight {variable.path!r} is not one of the model's weights"
            )
        return Weight.of(role, index, self.variables[index], shape)

    def read(self, inputs: list, outputs: list, bound: list[int] | None) -> list[int]:
        """Ops of a (sub)graph; `bound` are the ops that its inputs stand for."""
        at: dict[int, int] = {}
        if bound is None:
            for tensor in inputs:
                at[id(tensor)] = self.emit("input", (), tensor.shape[1:], tensor.name)
        else:
            at = {id(t): i for t, i in zip(inputs, bound, strict=True)}
        stack = [(tensor, False) for tensor in reversed(outputs)]
        while stack:
            tensor, ready = stack.pop()
            if id(tensor) in at:
                continue
            operation, node_index, _ = tensor._keras_history
            if (
                operation is None
                or not operation._inbound_nodes[node_index].input_tensors
            ):
                raise GraphError(
                    f"tensor {tensor.name!r} does not come from the inputs"
                )
            node = operation._inbound_nodes[node_index]
            if not ready:
                stack.append((tensor, True))
                stack.extend((t, False) for t in reversed(node.input_tensors))
                continue
            results = self.node(
                operation, node, [at[id(t)] for t in node.input_tensors]
            )
            for result, index in zip(node.output_tensors, results, strict=True):
                at[id(result)] = index
                if bound is None and self.ops[index].tensor is None:
                    self.ops[index] = self.ops[index].but(tensor=len(self.tensors))
                    self.tensors.append(result)
        return [at[id(tensor)] for tensor in outputs]

    def node(self, operation: Any, node: Any, ins: list[int]) -> list[int]:
        """The ops of one call of a layer or an operation."""
        shape = node.output_tensors[0].shape[1:]
        if isinstance(operation, keras.Model) and operation.inputs:
            return self.read(operation.inputs, operation.outputs, ins)
        layer = LAYERS.get(type(operation))
        if layer is not None:
            return [layer(self, operation, ins, shape)]
        if isinstance(operation, keras.Layer):
            return self.expand(operation, node, ins)
        name = type(operation).__name__
        function = OPERATIONS.get(name)
        if function is None:
            raise GraphError(f"layer {operation.name!r}: unknown operation {name!r}")
        arguments = [*node.arguments.args, *node.arguments.kwargs.values()]
        return [function(self, operation, ins, shape, arguments)]

    def expand(self, layer: keras.Layer, node: Any, ins: list[int]) -> list[int]:
        """A composite layer: called symbolically, and what it does is walked."""
        fresh = {
            id(t): keras.KerasTensor(t.shape, t.dtype, name=t.name)
            for t in node.input_tensors
        }
        args, kwargs = node.arguments.fill_in(fresh)
        if layer._call_has_training_arg:
            kwargs["training"] = False
        return self.walk(
            lambda: layer.call(*args, **kwargs), list(fresh.values()), ins, layer.name
        )

    def walk(
        self, call: Callable, inputs: list, ins: list[int], name: str
    ) -> list[int]:
        """The ops of what `call` does with `inputs`, all of them from layer `name`."""
        try:
            results = keras.tree.flatten(call())
        except Exception as error:  # whatever foreign code raises is its own text
            reason = str(error).strip().split("\n")[0]
            raise GraphError(
                f"layer {name!r} cannot be expanded into known operations: {reason}"
            ) from error
        start = len(self.ops)
        indices = self.read(inputs, results, list(ins))
        for index in range(start, len(self.ops)):
            inner = self.ops[index].layer
            self.ops[index] = self.ops[index].but(layer=f"{name}/{inner}")
        return indices

    def activate(self, source: int, function: Callable, shape, layer: str) -> int:
        """The activation argument of a layer, as an op of its own.

        A function that is not Keras' own is called symbolically and walked.
        """
        name = getattr(function, "__name__", "")
        if getattr(keras.activations, name, None) is function and name in ACTIVATIONS:
            if name == "linear":
                return source
            return self.emit("activation", [source], shape, layer, **ACTIVATIONS[name])
        tensor = keras.KerasTensor((None, *shape))
        return self.walk(lambda: function(tensor), [tensor], [source], layer)[0]


ACTIVATIONS: dict[str, dict[str, Any]] = {
    name: {"function": name}
    for name in (
        "relu relu6 sigmoid hard_sigmoid tanh silu hard_silu elu selu softplus softsign"
        " exponential leaky_relu linear"
    ).split()
}
ACTIVATIONS |= {
    "swish": {"function": "silu"},
    "hard_swish": {"function": "hard_silu"},
    "gelu": {"function": "gelu", "approximate": False},
    "softmax": {"function": "softmax", "axis": -1},
}


# Padding ---------------------------------------------------------------------------


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


def _padding(layer, size, kernel, strides, dilation=(1, 1)) -> tuple[Pair, ...]:
    if layer.padding == "valid":
        return tuple((0, 0) for _ in kernel)
    return tuple(
        _same(*item, layer.name)
        for item in zip(size, kernel, strides, dilation, strict=True)
    )


def _last(layer: keras.Layer) -> None:
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise GraphError(f"layer {layer.name!r}: only channels_last is read")


# Layers ----------------------------------------------------------------------------


def _conv(reader: _Reader, layer, ins, shape, *, kernel=None, last=True) -> int:
    """Conv2D and DepthwiseConv2D; a depthwise kernel is one with as many groups."""
    _last(layer)
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
        padding=_padding(layer, size, (height, width), layer.strides, layer.dilation_rate),
        dilation=tuple(layer.dilation_rate), groups=groups,
    )  # fmt: skip
    return reader.activate(index, layer.activation, shape, layer.name)


def _separable(reader: _Reader, layer, ins, shape) -> int:
    """Depthwise, then 1x1 with the bias and the activation."""
    _last(layer)
    *size, channels = reader.ops[ins[0]].shape
    height, width, _, multiplier = layer.depthwise_kernel.shape
    middle = (*shape[:-1], channels * multiplier)
    kernel = (height, width, 1, channels * multiplier)
    source = reader.emit(
        "conv", ins, middle, layer.name,
        weights=(reader.weight("kernel", layer.depthwise_kernel, kernel),),
        strides=tuple(layer.strides), groups=channels,
        padding=_padding(layer, size, (height, width), layer.strides, layer.dilation_rate),
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


def _dense(reader: _Reader, layer, ins, shape) -> int:
    weights = [reader.weight("kernel", layer.kernel)]
    if layer.use_bias:
        weights.append(reader.weight("bias", layer.bias))
    index = reader.emit("dense", ins, shape, layer.name, weights=tuple(weights))
    return reader.activate(index, layer.activation, shape, layer.name)


def _batch_norm(reader: _Reader, layer, ins, shape) -> int:
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


def _activation(reader: _Reader, layer, ins, shape) -> int:
    index = reader.activate(ins[0], layer.activation, shape, layer.name)
    return reader.emit("identity", ins, shape, layer.name) if index == ins[0] else index


def _relu(reader: _Reader, layer, ins, shape) -> int:
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


def _softmax(reader: _Reader, layer, ins, shape) -> int:
    return reader.emit(
        "activation", ins, shape, layer.name, function="softmax", axis=layer.axis
    )


def _pool(mode: str) -> Callable:
    def pool(reader: _Reader, layer, ins, shape) -> int:
        _last(layer)
        *size, _ = reader.ops[ins[0]].shape
        return reader.emit(
            "pool", ins, shape, layer.name, mode=mode, window=tuple(layer.pool_size),
            strides=tuple(layer.strides),
            padding=_padding(layer, size, layer.pool_size, layer.strides),
        )  # fmt: skip

    return pool


def _global_mean(reader: _Reader, layer, ins, shape) -> int:
    _last(layer)
    return reader.emit(
        "mean", ins, shape, layer.name, axes=(0, 1), keepdims=bool(layer.keepdims)
    )


def _edges(kind: str) -> Callable:
    def edges(reader: _Reader, layer, ins, shape) -> int:
        _last(layer)
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


def _reshape(reader: _Reader, layer, ins, shape) -> int:
    return reader.emit("reshape", ins, shape, layer.name)


def _permute(reader: _Reader, layer, ins, shape) -> int:
    axes = tuple(d - 1 for d in layer.dims)
    return reader.emit("transpose", ins, shape, layer.name, axes=axes)


def _merge(kind: str) -> Callable:
    def merge(reader: _Reader, layer, ins, shape) -> int:
        if any(reader.ops[i].shape != tuple(shape) for i in ins) and kind == "add":
            raise GraphError(
                f"layer {layer.name!r}: addition that broadcasts is not read"
            )
        return reader.emit(kind, ins, shape, layer.name)

    return merge


def _concat(reader: _Reader, layer, ins, shape) -> int:
    axis = layer.axis if layer.axis >= 0 else layer.axis + len(shape) + 1
    return reader.emit("concat", ins, shape, layer.name, axis=axis - 1)


def _dropout(reader: _Reader, layer, ins, shape) -> int:
    return reader.emit("dropout", ins, shape, layer.name, rate=float(layer.rate))


def _identity(reader: _Reader, layer, ins, shape) -> int:
    return reader.emit("identity", ins, shape, layer.name)


def _rescaling(reader: _Reader, layer, ins, shape) -> int:
    scaled = reader.emit("scale", ins, shape, layer.name, by=_constant(layer.scale))
    return reader.emit("shift", [scaled], shape, layer.name, by=_constant(layer.offset))


LAYERS: dict[type, Callable] = {
    keras.layers.Conv2D: _conv,
    keras.layers.DepthwiseConv2D: _conv,
    keras.layers.SeparableConv2D: _separable,
    keras.layers.Dense: _dense,
    keras.layers.BatchNormalization: _batch_norm,
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
}


# Operations ------------------------------------------------------------------------


def _constant(value: Any) -> Any:
    """A number, or nested tuples of numbers: hashable, so that it can be compared."""
    array = np.asarray(keras.ops.convert_to_numpy(value), dtype=np.float64)
    if array.size == 1:
        return float(array.reshape(()))

    def freeze(item: Any) -> Any:
        return tuple(map(freeze, item)) if isinstance(item, list) else item

    return freeze(array.tolist())


def _binary(kind: str, merged: str, invert: Callable | None = None) -> Callable:
    """x + y, or x + constant, or x + weight; `invert` makes - and / of + and *."""

    def binary(reader: _Reader, operation, ins, shape, arguments) -> int:
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
            return reader.emit(kind, ins, shape, operation.name, by=_constant(first))
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
        return reader.emit(kind, ins, shape, operation.name, by=_constant(value))

    return binary


def _negate(reader: _Reader, source: int, shape, name: str) -> int:
    return reader.emit("scale", [source], shape, name, by=-1.0)


def _reciprocal(reader: _Reader, source: int, shape, name: str) -> int:
    return reader.emit("power", [source], shape, name, exponent=-1.0)


def _power(reader: _Reader, operation, ins, shape, arguments) -> int:
    if isinstance(arguments[1], (keras.KerasTensor, keras.Variable)):
        raise GraphError(f"layer {operation.name!r}: the exponent is not a constant")
    exponent = _constant(arguments[1])
    return reader.emit("power", ins, shape, operation.name, exponent=exponent)


def _fixed_power(exponent: float) -> Callable:
    def power(reader: _Reader, operation, ins, shape, arguments) -> int:
        return reader.emit("power", ins, shape, operation.name, exponent=exponent)

    return power


def _reduce(kind: str) -> Callable:
    def reduce(reader: _Reader, operation, ins, shape, arguments) -> int:
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


def _function(reader: _Reader, operation, ins, shape, arguments) -> int:
    name = type(operation).__name__
    attrs = {"function": FUNCTIONS[name]}
    if name == "Gelu":
        attrs["approximate"] = bool(operation.approximate)
    if name == "Softmax":
        attrs["axis"] = operation.axis
    return reader.emit("activation", ins, shape, operation.name, **attrs)


def _reshaped(reader: _Reader, operation, ins, shape, arguments) -> int:
    return reader.emit("reshape", ins, shape, operation.name)


def _transposed(reader: _Reader, operation, ins, shape, arguments) -> int:
    axes = operation.axes
    if axes is None or axes[0] != 0:
        raise GraphError(f"layer {operation.name!r}: moves the batch axis")
    axes = tuple(a - 1 for a in axes[1:])
    return reader.emit("transpose", ins, shape, operation.name, axes=axes)


def _joined(reader: _Reader, operation, ins, shape, arguments) -> int:
    axis = operation.axis % (len(shape) + 1) - 1
    return reader.emit("concat", ins, shape, operation.name, axis=axis)


def _padded(reader: _Reader, operation, ins, shape, arguments) -> int:
    constant = arguments[1] if len(arguments) > 1 else None
    if operation.mode != "constant" or tuple(operation.pad_width[0]) != (0, 0):
        raise GraphError(
            f"layer {operation.name!r}: pads the batch or not by a constant"
        )
    padding = tuple(tuple(map(int, pair)) for pair in operation.pad_width[1:])
    return reader.emit(
        "pad", ins, shape, operation.name, padding=padding, value=float(constant or 0)
    )


def _item(reader: _Reader, operation, ins, shape, arguments) -> int:
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


def _taken(reader: _Reader, operation, ins, shape, arguments) -> int:
    indices = keras.ops.convert_to_numpy(arguments[1])
    if operation.axis is None or indices.ndim != 1:
        raise GraphError(f"layer {operation.name!r}: takes by a table of indices")
    axis = operation.axis % (len(shape) + 1) - 1
    return reader.emit(
        "take", ins, shape, operation.name, axis=axis, indices=tuple(indices.tolist())
    )


def _pooled(mode: str) -> Callable:
    def pooled(reader: _Reader, operation, ins, shape, arguments) -> int:
        *size, _ = reader.ops[ins[0]].shape
        window = np.broadcast_to(operation.pool_size, len(size)).tolist()
        strides = operation.strides or window
        strides = np.broadcast_to(strides, len(size)).tolist()
        return reader.emit(
            "pool", ins, shape, operation.name, mode=mode, window=tuple(window),
            strides=tuple(strides), padding=_padding(operation, size, window, strides),
        )  # fmt: skip

    return pooled


FUNCTIONS = {
    "Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid", "Tanh": "tanh",
    "Silu": "silu", "HardSilu": "hard_silu", "HardSigmoid": "hard_sigmoid",
    "Gelu": "gelu", "Softmax": "softmax", "Exp": "exponential",
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
