"""Mutations of what reads what: shortcuts, branches, repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reference_checks.mutate.convolution import BESIDE
from reference_checks.mutate.draft import Draft
from reference_checks.mutate.layers import NORM
from reference_checks.mutate.mutation import Mutation, collect

WIRING: list[Mutation] = []
mutation = collect(WIRING)
Touched = Sequence[int] | None
WEIGHTED = ("conv", "dense")


def _ends(draft: Draft, index: int) -> tuple[int, int] | None:
    """(main, shortcut) of a sum of two: the shortcut is the earlier of them."""
    op = draft.ops[index]
    if op.kind != "add" or len(set(op.inputs)) != 2 or len(op.inputs) != 2:
        return None
    return max(op.inputs), min(op.inputs)


def _identity(draft: Draft, index: int) -> tuple[int, int] | None:
    """(main, shortcut) where the shortcut is what the main branch starts from."""
    ends = _ends(draft, index)
    if ends is None or len(draft.readers(ends[1])) < 2:
        return None
    return ends if ends[1] in _before(draft, ends[0]) else None


def _before(draft: Draft, index: int, most: int = 400) -> set[int]:
    """The op and what it is computed from, the nearest first, up to a number."""
    found: set[int] = set()
    waiting = [index]
    while waiting and len(found) < most:
        at = waiting.pop()
        if at not in found:
            found.add(at)
            waiting.extend(sorted(draft.ops[at].inputs))
    return found


@mutation("a shortcut dropped")
def shortcut_dropped(draft: Draft, index: int) -> Touched:
    ends = _ends(draft, index)
    if ends is None:
        return None
    draft.read_instead(index, ends[0])
    return [index]


@mutation("an identity shortcut made a projection")
def shortcut_projected(draft: Draft, index: int) -> Touched:
    ends = _identity(draft, index)
    if ends is None:
        return None
    op, (_, shortcut) = draft.ops[index], ends
    channels = op.shape[-1]
    layer = f"{op.layer}_projection"
    kernel = draft.weight("kernel", (1, 1, channels, channels), layer)
    conv = draft.add(
        "conv", (shortcut,), layer, weights=[kernel], strides=(1, 1),
        padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1,
    )  # fmt: skip
    weights = [draft.weight(role, (channels,), f"{layer}_norm") for role in NORM]
    norm = draft.add(
        "batch_norm", (conv,), f"{layer}_norm", weights=weights, epsilon=1e-5, momentum=0.99
    )  # fmt: skip
    inputs = tuple(norm if i == shortcut else i for i in op.inputs)
    draft.ops[index] = replace(op, inputs=inputs)
    return [index, conv, norm]


@mutation("a projection shortcut made an identity, strided and filled with zeros")
def shortcut_unprojected(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "conv" or op.weight("kernel").shape[:2] != (1, 1):
        return None
    (source,) = op.inputs
    end, after = index, draft.only_reader(index)
    while after is not None and draft.ops[after].kind in BESIDE:
        end, after = after, draft.only_reader(after)
    if after is None or draft.ops[after].kind != "add" or len(draft.readers(source)) < 2:  # fmt: skip
        return None
    more = op.shape[-1] - draft.ops[source].shape[-1]
    if more < 0:
        return None
    picked = draft.add(
        "pool", (source,), op.layer, (*op.shape[:2], op.shape[-1] - more), mode="max",
        window=(1, 1), strides=op.attrs["strides"], padding=((0, 0), (0, 0)),
    )  # fmt: skip
    if more:
        picked = draft.add(
            "pad", (picked,), op.layer, op.shape, padding=((0, 0), (0, 0), (0, more)),
            value=0.0,
        )  # fmt: skip
    draft.read_instead(end, picked)
    return [index, end, picked]


@mutation("a shortcut from another op of the same shape")
def shortcut_source(draft: Draft, index: int) -> Touched:
    ends = _identity(draft, index)
    if ends is None:
        return None
    op, (_, shortcut) = draft.ops[index], ends
    for other in range(shortcut - 1, -1, -1):
        found = draft.ops[other]
        if found.shape == op.shape and found.kind in (
            "add",
            "batch_norm",
            "activation",
        ):
            inputs = tuple(other if i == shortcut else i for i in op.inputs)
            draft.ops[index] = replace(op, inputs=inputs)
            return [index]
    return None


@mutation("two branches of a concatenation swapped")
def branches_swapped(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "concat" or len(set(op.inputs)) < 2:
        return None
    first, second, *rest = op.inputs
    draft.ops[index] = replace(op, inputs=(second, first, *rest))
    return [index]


@mutation("a branch of a concatenation dropped")
def branch_dropped(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "concat" or len(op.inputs) < 2:
        return None
    inputs = op.inputs[:-1]
    if len(inputs) == 1:
        draft.read_instead(index, inputs[0])
    else:
        draft.ops[index] = replace(op, inputs=inputs)
    return [index, op.inputs[-1]]


@mutation("addition ↔ concatenation")
def add_or_concat(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind == "add":
        axis = len(op.shape) - 1
        draft.ops[index] = replace(op, kind="concat", attrs={"axis": axis})
    elif op.kind == "concat" and len({draft.ops[i].shape for i in op.inputs}) == 1:
        draft.ops[index] = replace(op, kind="add", attrs={})
    else:
        return None
    return [index]


@mutation("a squeeze that reads another map")
def squeeze_source(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "mean" or op.inputs[0] == 0:
        return None
    (source,) = op.inputs
    if len(draft.readers(source)) < 2:
        return None
    shape = draft.ops[source].shape
    for other in range(source - 1, 0, -1):
        found = draft.ops[other]
        if found.shape == shape and found.kind in ("activation", "batch_norm", "add"):
            draft.ops[index] = replace(op, inputs=(other,))
            return [index]
    return None


# Repeats --------------------------------------------------------------------------------


def _block(draft: Draft, end: int) -> tuple[int, list[int]] | None:
    """(where it starts from, its ops) of a block that ends here and keeps its shape.

    The start is the nearest op of the same shape through which everything flows.
    """
    op = draft.ops[end]
    if op.kind not in ("add", "activation", "batch_norm", "conv") or len(op.shape) != 3:
        return None
    if any(
        draft.ops[i].kind in ("batch_norm", "activation") for i in draft.readers(end)
    ):
        return None
    inside, waiting = [end], set(op.inputs)
    while waiting and len(inside) < 40:
        at = max(waiting)
        waiting.discard(at)
        found = draft.ops[at]
        weighted = any(draft.ops[i].kind in WEIGHTED for i in inside)
        if (
            not waiting
            and weighted
            and found.shape == op.shape
            and found.kind == op.kind
        ):
            return at, inside[::-1]
        inside.append(at)
        waiting.update(found.inputs)
    return None


@mutation("a block repeated once more")
def repeats_more(draft: Draft, index: int) -> Touched:
    block = _block(draft, index)
    if block is None:
        return None
    start, inside = block
    number = {start: index}
    added = []
    for at in inside:
        op = draft.ops[at]
        inputs = tuple(number.get(i, i) for i in op.inputs)
        number[at] = draft.copy(at, inputs, f"{op.layer}_new")
        added.append(number[at])
    draft.read_instead(index, added[-1], but=added)
    return [*inside, *added]


@mutation("a block repeated once less")
def repeats_less(draft: Draft, index: int) -> Touched:
    block = _block(draft, index)
    if block is None:
        return None
    start, inside = block
    draft.read_instead(index, start)
    return inside
