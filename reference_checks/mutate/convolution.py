"""Mutations of convolutions and dense layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from reference_checks.graph import Op
from reference_checks.mutate.draft import Draft
from reference_checks.mutate.mutation import Mutation, collect

CONVOLUTION: list[Mutation] = []
mutation = collect(CONVOLUTION)
Touched = Sequence[int] | None
BESIDE = ("batch_norm", "activation", "pad", "dropout", "identity")


def _depthwise(op: Op) -> bool:
    return op.kind == "conv" and op.attrs["groups"] > 1 == op.weight("kernel").shape[2]


def _window(op: Op) -> tuple[int, int] | None:
    """The window of a convolution or of a pooling."""
    if op.kind == "pool":
        return op.attrs["window"]
    return op.weight("kernel").shape[:2] if op.kind == "conv" else None


@mutation("stride 1 → 2, or 2 → 1")
def stride_changed(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind not in ("conv", "pool") or min(op.shape[:2]) < 2:
        return None
    stride = 2 if op.attrs["strides"] == (1, 1) else 1
    draft.change(index, strides=(stride, stride))
    return [index]


@mutation("stride of one axis only")
def stride_of_one_axis(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "conv" or min(op.shape[:2]) < 2:
        return None
    height, width = op.attrs["strides"]
    draft.change(index, strides=(height, 3 - width if width < 3 else 1))
    return [index]


@mutation("stride moved to the next convolution")
def stride_moved(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "conv" or op.attrs["strides"] == (1, 1):
        return None
    at = draft.only_reader(index)
    while at is not None and draft.ops[at].kind in BESIDE:
        at = draft.only_reader(at)
    if at is None or draft.ops[at].kind != "conv":
        return None
    other = draft.ops[at]
    if other.attrs["strides"] != (1, 1):
        return None
    draft.change(index, strides=(1, 1))
    draft.change(at, strides=op.attrs["strides"])
    return [index, at]


@mutation("the padding of one side on the other side")
def padding_side(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind not in ("conv", "pool", "pad"):
        return None
    padding = op.attrs["padding"]
    if not any(before + after for before, after in padding):
        return None
    moved = tuple((a + 1, b - 1) if b else (a - 1, b + 1) if a else (a, b) for a, b in padding)  # fmt: skip
    draft.change(index, padding=moved)
    return [index]


@mutation("one more row and column of padding")
def padding_size(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    window = _window(op)
    if op.kind == "pad":
        (a, b), (c, d), *rest = op.attrs["padding"]
        draft.change(index, padding=((a, b + 1), (c, d + 1), *rest))
        return [index]
    if window is None or min(window) < 2:
        return None
    (a, b), (c, d) = op.attrs["padding"]
    draft.change(index, padding=((a, b + 1), (c, d + 1)))
    return [index]


@mutation("no padding")
def padding_dropped(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    padding = op.attrs.get("padding")
    if padding is None or not any(a + b for a, b in padding):
        return None
    draft.change(index, padding=tuple((0, 0) for _ in padding))
    return [index]


@mutation("a kernel larger by two, padded to the same size")
def kernel_size(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "conv" or op.shape[:2] == (1, 1):
        return None
    height, width, *channels = op.weight("kernel").shape
    draft.reshape_weight(index, "kernel", (height + 2, width + 2, *channels))
    padding = tuple((a + d, b + d) for (a, b), d in zip(op.attrs["padding"], op.attrs["dilation"]))  # fmt: skip
    draft.change(index, padding=padding)
    return [index]


@mutation("height and width of a kernel swapped")
def kernel_swapped(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "conv":
        return None
    height, width, *channels = op.weight("kernel").shape
    if height == width:
        return None
    draft.reshape_weight(index, "kernel", (width, height, *channels))
    draft.change(index, padding=op.attrs["padding"][::-1])
    return [index]


def _filters(draft: Draft, index: int, more: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "conv" or op.attrs["groups"] > 1 or _last(draft, index):
        return None
    *kernel, filters = op.weight("kernel").shape
    if filters + more < 1:
        return None
    draft.reshape_weight(index, "kernel", (*kernel, filters + more))
    gate = _gate(draft, index)
    if gate is not None:  # as wide as what it is multiplied with
        *kernel, _ = draft.ops[gate].weight("kernel").shape
        draft.reshape_weight(gate, "kernel", (*kernel, filters + more))
    return [index]


def _gate(draft: Draft, index: int) -> int | None:
    """The last layer of the squeeze-and-excitation that multiplies these channels."""
    channels = draft.graph.ops[index].shape[-1]
    at: int | None = index
    while at is not None and draft.graph.ops[at].shape[-1] == channels:
        for reader in draft.readers(at):
            if draft.ops[reader].kind == "multiply":
                other = max(i for i in draft.ops[reader].inputs)
                while draft.ops[other].kind not in ("conv", "dense", "multiply"):
                    other = draft.ops[other].inputs[0]
                gates = draft.ops[other].shape[:-1] in ((), (1, 1))
                return other if gates and other != index else None
        at = draft.only_reader(at)
    return None


@mutation("one filter more")
def filters_more(draft: Draft, index: int) -> Touched:
    return _filters(draft, index, 1)


@mutation("one filter less")
def filters_less(draft: Draft, index: int) -> Touched:
    return _filters(draft, index, -1)


@mutation("a width rounded to the next multiple of eight")
def width_rounding(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    filters = op.weight("kernel").shape[-1] if op.kind == "conv" else 0
    return _filters(draft, index, 8 - filters % 8)


@mutation("an expansion factor one higher")
def expansion_more(draft: Draft, index: int) -> Touched:
    return _expansion(draft, index, 1)


@mutation("an expansion factor one lower")
def expansion_less(draft: Draft, index: int) -> Touched:
    return _expansion(draft, index, -1)


def _expansion(draft: Draft, index: int, more: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "conv" or op.weight("kernel").shape[:2] != (1, 1):
        return None
    at = draft.only_reader(index)
    while at is not None and draft.ops[at].kind in BESIDE:
        at = draft.only_reader(at)
    if at is None or not _depthwise(draft.ops[at]):
        return None
    return _filters(draft, index, more * op.weight("kernel").shape[2])


@mutation("two groups for one; a depthwise convolution made ordinary")
def groups(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "conv":
        return None
    height, width, channels, filters = op.weight("kernel").shape
    number = op.attrs["groups"]
    if number > 1:
        channels, number = channels * number, 1
    elif channels % 2 or filters % 2:
        return None
    else:
        channels, number = channels // 2, 2
    draft.reshape_weight(index, "kernel", (height, width, channels, filters))
    draft.change(index, groups=number)
    return [index]


@mutation("dilation 2, padded to the same size")
def dilation(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "conv" or min(op.weight("kernel").shape[:2]) < 2:
        return None
    wider = (k - 1 for k in op.weight("kernel").shape[:2])
    padding = tuple((a + w // 2, b + w - w // 2) for (a, b), w in zip(op.attrs["padding"], wider))  # fmt: skip
    draft.change(index, dilation=(2, 2), padding=padding)
    return [index]


@mutation("a bias dropped")
def bias_dropped(draft: Draft, index: int) -> Touched:
    if draft.ops[index].weight("bias") is None:
        return None
    draft.without_weight(index, "bias")
    return [index]


@mutation("a bias added")
def bias_added(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind not in ("conv", "dense") or op.weight("bias") is not None:
        return None
    bias = draft.weight("bias", op.shape[-1:], op.layer)
    draft.ops[index] = replace(op, weights=(*op.weights, bias))
    return [index]


@mutation("one class more")
def head_size(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if not _last(draft, index):
        return None
    *kernel, units = op.weight("kernel").shape
    draft.reshape_weight(index, "kernel", (*kernel, units + 1))
    return [index]


@mutation("one unit more in a hidden dense layer")
def hidden_units(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "dense" or _last(draft, index):
        return None
    channels, units = op.weight("kernel").shape
    draft.reshape_weight(index, "kernel", (channels, units + 1))
    return [index]


def _last(draft: Draft, index: int) -> bool:
    """Whether the op is the classifier: nothing with a kernel comes after it."""
    if draft.ops[index].kind not in ("conv", "dense"):
        return False
    at: int | None = index
    while at is not None:
        at = draft.only_reader(at)
        if at is not None and draft.ops[at].kind in ("conv", "dense", "add", "concat"):
            return False
        if at is not None and at in draft.outputs:
            return True
    return index in draft.outputs


@mutation("the squeeze half as wide")
def squeeze_ratio(draft: Draft, index: int) -> Touched:
    return _squeeze(draft, index, lambda units, channels: units // 2)


@mutation("the squeeze a quarter of the channels that it reads, or a sixteenth")
def squeeze_width(draft: Draft, index: int) -> Touched:
    def other(units: int, channels: int) -> int:
        return channels // 4 if units != channels // 4 else channels // 16

    return _squeeze(draft, index, other)


def _squeeze(draft: Draft, index: int, width: Callable[[int, int], int]) -> Touched:
    op = draft.ops[index]
    if not _squeezes(draft, index):
        return None
    *kernel, channels, units = op.weight("kernel").shape
    if width(units, channels) < 1:
        return None
    draft.reshape_weight(index, "kernel", (*kernel, channels, width(units, channels)))
    return [index]


def _squeezes(draft: Draft, index: int) -> bool:
    """Whether this is the first layer of a squeeze-and-excitation gate."""
    op = draft.ops[index]
    if op.kind not in ("conv", "dense") or any(n != 1 for n in op.shape[:-1]):
        return False
    at: int | None = index
    for _ in range(8):
        at = draft.only_reader(at)
        if at is None:
            return False
        if draft.ops[at].kind == "multiply":
            return True
        if draft.ops[at].kind in ("conv", "dense") and draft.ops[at].shape[-1] < op.shape[-1]:  # fmt: skip
            return False
    return False


@mutation("two convolutions of one shape share their weights")
def weights_shared(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "conv":
        return None
    shapes = [(w.role, w.shape) for w in op.weights]
    for other in range(index - 1, -1, -1):
        found = draft.ops[other]
        if found.kind == "conv" and shapes == [(w.role, w.shape) for w in found.weights]:  # fmt: skip
            draft.ops[index] = replace(op, weights=found.weights)
            return [index, other]
    return None
