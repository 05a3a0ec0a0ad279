"""Words for ops, and for what differs between two of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reference_checks.graph import Op

Attribute = tuple[str, str, str]
"""What differs, its value in A and its value in B."""


def text(value: Any) -> str:
    """A value as a spec writes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def size(shape: tuple[int | None, ...] | None) -> str:
    """A shape as tables print it."""
    return (
        "none"
        if shape is None
        else "x".join("?" if n is None else str(n) for n in shape)
    )


def costs(params: int, operations: int) -> str:
    """Costs in words; those that are nothing are left out."""
    parts = [f"{params:+,} parameters"] if params else []
    return ", ".join(parts + ([f"{operations:+,} multiply-adds"] if operations else []))


def describe(op: Op) -> str:
    """An op in a few words."""
    match op.kind:
        case "conv":
            stride = op.attrs["strides"][0]
            grouped = f", groups {op.attrs['groups']}" if op.attrs["groups"] > 1 else ""
            strided = f", stride {stride}" if stride > 1 else ""
            return f"{noun(op)}, {op.shape[-1]}{strided}{grouped}"
        case "dense":
            return f"{op.shape[-1]}-d fc"
    return noun(op)


def noun(op: Op) -> str:
    """What an op is, without its size or its place."""
    match op.kind:
        case "conv":
            return f"{size(op.weight('kernel').shape[:2])} conv"
        case "dense":
            return "fc"
        case "activation":
            return op.attrs["function"]
        case "pool":
            return f"{size(op.attrs['window'])} {op.attrs['mode']} pool"
    return op.kind.replace("_", " ")


def attributes(a: Op, b: Op) -> Iterator[Attribute]:
    """What two ops of one kind compute differently; nothing, if they compute the same."""
    if a.signature == b.signature:
        return
    for key in dict.fromkeys((*a.attrs, *b.attrs)):
        mine, theirs = a.attrs.get(key), b.attrs.get(key)
        if mine != theirs:
            name = "stride" if key == "strides" else key
            yield name, _shown(key, mine), _shown(key, theirs)
    mine = {w.role: w.shape for w in a.weights}
    theirs = {w.role: w.shape for w in b.weights}
    differing = [
        role
        for role in dict.fromkeys((*mine, *theirs))
        if mine.get(role) != theirs.get(role)
    ]
    if a.kind in ("batch_norm", "layer_norm") and len(differing) > 1:
        yield "channels", text(a.shape[-1]), text(b.shape[-1])
        return
    for role in differing:
        # As many biases as filters: the kernel has said so.
        if role != "bias" or "kernel" not in differing or None in _lengths(a, b):
            yield role, size(mine.get(role)), size(theirs.get(role))
    if a.shape != b.shape and a.kind in ("input", "reshape"):
        yield "shape", size(a.shape), size(b.shape)


def _lengths(a: Op, b: Op) -> list[int | None]:
    return [w and w.shape[0] for w in (a.weight("bias"), b.weight("bias"))]


def _shown(key: str, value: Any) -> str:
    """(2, 2) as 2 where it is a stride or a padding, and as 2x2 where it is a window."""
    if key in ("strides", "dilation", "padding") and isinstance(value, tuple):
        while isinstance(value, tuple) and len(set(value)) == 1:
            value = value[0]
    elif key == "window" and value is not None:
        return size(value)
    return text(value)
