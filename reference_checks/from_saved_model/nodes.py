"""What each node computes, as an op: the table `NODES`."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from reference_checks.from_saved_model.constants import Fixed, decimal

if TYPE_CHECKING:
    from reference_checks.from_saved_model.reader import Reader


def _input(reader: Reader, node: Any, ins: list) -> int:
    if not node.outputs[0].dtype.is_floating:
        raise reader.error(node, f"the input is {node.outputs[0].dtype.name}")
    return reader.emit("input", (), node)


def _window(reader: Reader, node: Any, source: int, kernel, strides, dilation):
    """The padding as numbers; TensorFlow's "same" puts the odd one out last."""
    if node.get_attr("data_format") != b"NHWC":
        raise reader.error(node, "only channels_last (NHWC) is read")
    match node.get_attr("padding"):
        case b"VALID":
            return ((0, 0), (0, 0))
        case b"EXPLICIT":
            amounts = node.get_attr("explicit_paddings")
            return tuple(zip(amounts[2:6:2], amounts[3:6:2], strict=True))
    result = []
    sizes = reader.ops[source].shape[:2]
    for size, k, s, d in zip(sizes, kernel, strides, dilation, strict=True):
        if size is None:
            if s > 1:
                raise reader.error(
                    node, "the input's size is not known: give input_shape"
                )
            total = (k - 1) * d
        else:
            total = max((ceil(size / s) - 1) * s + (k - 1) * d + 1 - size, 0)
        result.append((total // 2, total - total // 2))
    return tuple(result)


def _conv(reader: Reader, node: Any, ins: list) -> int:
    source, *_ = reader.data(node, ins)
    kernel = reader.constant(node, ins, 1)
    height, width, channels, filters = kernel.value.shape
    groups = reader.ops[source].shape[-1] // channels
    seen = kernel.value.shape
    if node.type == "DepthwiseConv2dNative":
        groups, seen = channels, (height, width, 1, channels * filters)
    strides = tuple(node.get_attr("strides")[1:3])
    dilation = tuple(node.get_attr("dilations")[1:3])
    padding = _window(reader, node, source, (height, width), strides, dilation)
    weights = (reader.weight("kernel", kernel, seen, reader.layer(node)),)
    return reader.emit(
        "conv", [source], node, weights=weights, strides=strides, padding=padding,
        dilation=dilation, groups=groups,
    )  # fmt: skip


def _dense(reader: Reader, node: Any, ins: list) -> int:
    kernel = reader.constant(node, ins, 1)
    if node.get_attr("transpose_a") or node.get_attr("transpose_b"):
        raise reader.error(node, "a transposed matrix product is not read")
    weight = reader.weight("kernel", kernel, kernel.value.shape, reader.layer(node))
    return reader.emit("dense", reader.data(node, ins), node, weights=(weight,))


def _batch_norm(reader: Reader, node: Any, ins: list) -> int:
    if node.get_attr("is_training"):
        raise reader.error(node, "normalises by the batch: export it for inference")
    if node.get_attr("data_format") != b"NHWC":
        raise reader.error(node, "only channels_last (NHWC) is read")
    weights = []
    for position, role in enumerate(("gamma", "beta", "mean", "variance"), 1):
        fixed = reader.constant(node, ins, position)
        # The node has no other way to say that there is no gamma or no beta.
        absent = {"gamma": 1, "beta": 0}.get(role)
        if fixed.variables or not np.all(fixed.value == absent):
            weights.append(
                reader.weight(role, fixed, fixed.value.shape, reader.layer(node))
            )
    return reader.emit(
        "batch_norm", reader.data(node, ins), node, weights=tuple(weights),
        epsilon=decimal(node.get_attr("epsilon")),
    )  # fmt: skip


def _bias(reader: Reader, node: Any, ins: list) -> int:
    if node.get_attr("data_format") != b"NHWC":
        raise reader.error(node, "only channels_last (NHWC) is read")
    (source,) = reader.data(node, ins)
    return reader.affine("shift", source, reader.constant(node, ins, 1), node)


def _activation(function: str, **more: Any) -> Callable:
    def activation(reader: Reader, node: Any, ins: list) -> int:
        attrs = {"function": function, **more}
        if node.type == "LeakyRelu":
            attrs["slope"] = decimal(node.get_attr("alpha"))
        return reader.emit("activation", reader.data(node, ins), node, **attrs)

    return activation


def _pool(mode: str) -> Callable:
    def pool(reader: Reader, node: Any, ins: list) -> int:
        (source,) = reader.data(node, ins)
        window = tuple(node.get_attr("ksize")[1:3])
        strides = tuple(node.get_attr("strides")[1:3])
        padding = _window(reader, node, source, window, strides, (1, 1))
        if node.get_attr("ksize")[3] != 1:
            raise reader.error(node, "pools over channels")
        return reader.emit(
            "pool", [source], node, mode=mode, window=window, strides=strides,
            padding=padding,
        )  # fmt: skip

    return pool


def _reduce(kind: str) -> Callable:
    def reduce(reader: Reader, node: Any, ins: list) -> int:
        (source,) = reader.data(node, ins)
        rank = len(reader.ops[source].shape) + 1
        axes = np.atleast_1d(reader.constant(node, ins, 1).value).tolist()
        axes = tuple(sorted(a % rank - 1 for a in axes))
        if -1 in axes:
            raise reader.error(node, "reduces over the batch")
        keepdims = bool(node.get_attr("keep_dims"))
        return reader.emit(kind, [source], node, axes=axes, keepdims=keepdims)

    return reduce


def _binary(kind: str, merged: str, invert: Callable | None = None) -> Callable:
    """x + y, or x + constant; `invert` makes - and / of + and *."""

    def binary(reader: Reader, node: Any, ins: list) -> int:
        first, second = ins
        if isinstance(second, Fixed):
            return reader.affine(
                kind, first, invert[1](second) if invert else second, node
            )
        if invert:
            second = invert[0](reader, node, second)
        if isinstance(first, Fixed):
            return reader.affine(kind, second, first, node)
        first, second = reader.data(node, [first, second], 2)
        shape = reader.shape(node)
        if kind == "shift" and any(
            reader.ops[i].shape != shape for i in (first, second)
        ):
            raise reader.error(node, "addition that broadcasts is not read")
        return reader.emit(merged, [first, second], node)

    return binary


def _minus(reader: Reader, node: Any, source: int) -> int:
    return reader.emit("scale", [source], node, shape=reader.ops[source].shape, by=-1.0)


def _inverse(reader: Reader, node: Any, source: int) -> int:
    shape = reader.ops[source].shape
    return reader.emit("power", [source], node, shape=shape, exponent=-1.0)


def _negated(fixed: Fixed) -> Fixed:
    return Fixed(fixed.node + "/neg", "Neg", -fixed.value, (fixed,))


def _reciprocal(fixed: Fixed) -> Fixed:
    one = Fixed(fixed.node + "/one", "Const", np.ones(()))
    # 1 / 6 and not 1 / 6 rounded to float32.
    exact = 1 / np.asarray(fixed.number())
    return Fixed(fixed.node + "/reciprocal", "RealDiv", exact, (one, fixed))


def _power(exponent: float | None) -> Callable:
    def power(reader: Reader, node: Any, ins: list) -> int:
        value = exponent
        if value is None:
            value = reader.constant(node, ins, 1).number()
        return reader.emit("power", reader.data(node, ins), node, exponent=value)

    return power


def _neg(reader: Reader, node: Any, ins: list) -> int:
    return _minus(reader, node, *reader.data(node, ins))


def _sum_of(reader: Reader, node: Any, ins: list) -> int:
    return reader.emit("add", reader.data(node, ins, len(ins)), node)


def _concat(reader: Reader, node: Any, ins: list) -> int:
    sources = reader.data(node, ins, len(ins) - 1)
    rank = len(reader.ops[sources[0]].shape) + 1
    axis = reader.constant(node, ins, -1).value.item() % rank - 1
    if axis < 0:
        raise reader.error(node, "concatenates batches")
    return reader.emit("concat", sources, node, axis=axis)


def _pad(reader: Reader, node: Any, ins: list) -> int:
    batch, *padding = (tuple(p) for p in reader.constant(node, ins, 1).value.tolist())
    if batch != (0, 0):
        raise reader.error(node, "pads the batch")
    value = reader.constant(node, ins, 2).number() if len(ins) > 2 else 0.0
    return reader.emit(
        "pad", reader.data(node, ins), node, padding=tuple(padding), value=value
    )


def _reshape(reader: Reader, node: Any, ins: list) -> int:
    """Squeeze, ExpandDims and Reshape; the batch stays as it is."""
    (source,) = reader.data(node, ins)
    before, shape = reader.ops[source].shape, list(reader.shape(node))
    if None not in before and shape.count(None) == 1:
        known = prod(size for size in shape if size is not None)
        shape[shape.index(None)] = prod(before) // max(known, 1)
    if None in (*before, *shape) or prod(before) != prod(shape):
        raise reader.error(node, f"{node.type} mixes the batch with other axes")
    return reader.emit("reshape", [source], node, shape=tuple(shape))


def _transpose(reader: Reader, node: Any, ins: list) -> int:
    batch, *axes = reader.constant(node, ins, 1).value.tolist()
    if batch != 0:
        raise reader.error(node, "moves the batch axis")
    axes = tuple(a - 1 for a in axes)
    return reader.emit("transpose", reader.data(node, ins), node, axes=axes)


def _slice(reader: Reader, node: Any, ins: list) -> int:
    """x[:, a:b, c:d] with steps of one."""
    (source,) = reader.data(node, ins)
    begin, end, step = (reader.constant(node, ins, i).value.tolist() for i in (1, 2, 3))
    masks = ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    if any(map(node.get_attr, masks)) or set(step) != {1}:
        raise reader.error(node, "only plain slices are read")
    open_begin, open_end = node.get_attr("begin_mask"), node.get_attr("end_mask")
    keys = [
        slice(None if open_begin >> i & 1 else a, None if open_end >> i & 1 else b)
        for i, (a, b) in enumerate(zip(begin, end, strict=True))
    ]
    if keys[0].start or keys[0].stop is not None:
        raise reader.error(node, "slices the batch")
    sizes = reader.ops[source].shape
    keys += [slice(None)] * (len(sizes) + 1 - len(keys))
    ranges = tuple(k.indices(n)[:2] for k, n in zip(keys[1:], sizes, strict=True))
    return reader.emit("slice", [source], node, ranges=ranges)


def _lrn(reader: Reader, node: Any, ins: list) -> int:
    attrs = {"k": "bias", "alpha": "alpha", "beta": "beta"}
    attrs = {key: decimal(node.get_attr(name)) for key, name in attrs.items()}
    size = 2 * node.get_attr("depth_radius") + 1
    return reader.emit("lrn", reader.data(node, ins), node, size=size, **attrs)


NODES: dict[str, Callable] = {
    "Placeholder": _input,
    "Conv2D": _conv,
    "DepthwiseConv2dNative": _conv,
    "MatMul": _dense,
    "BiasAdd": _bias,
    "FusedBatchNorm": _batch_norm,
    "FusedBatchNormV2": _batch_norm,
    "FusedBatchNormV3": _batch_norm,
    "Relu": _activation("relu"),
    "Relu6": _activation("relu6"),
    "LeakyRelu": _activation("leaky_relu"),
    "Sigmoid": _activation("sigmoid"),
    "Tanh": _activation("tanh"),
    "Erf": _activation("erf"),
    "Elu": _activation("elu"),
    "Selu": _activation("selu"),
    "Softplus": _activation("softplus"),
    "Softsign": _activation("softsign"),
    "Exp": _activation("exponential"),
    "Softmax": _activation("softmax", axis=-1),
    "Add": _binary("shift", "add"),
    "AddV2": _binary("shift", "add"),
    "AddN": _sum_of,
    "Sub": _binary("shift", "add", (_minus, _negated)),
    "Mul": _binary("scale", "multiply"),
    "RealDiv": _binary("scale", "multiply", (_inverse, _reciprocal)),
    "Neg": _neg,
    "Square": _power(2.0),
    "Sqrt": _power(0.5),
    "Rsqrt": _power(-0.5),
    "Reciprocal": _power(-1.0),
    "Pow": _power(None),
    "ConcatV2": _concat,
    "Pad": _pad,
    "PadV2": _pad,
    "MaxPool": _pool("max"),
    "AvgPool": _pool("average"),
    "Mean": _reduce("mean"),
    "Sum": _reduce("sum"),
    "Reshape": _reshape,
    "Squeeze": _reshape,
    "ExpandDims": _reshape,
    "Transpose": _transpose,
    "StridedSlice": _slice,
    "LRN": _lrn,
}
