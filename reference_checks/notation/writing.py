"""Writing a cell: items to text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import takewhile

from reference_checks.notation.items import (
    POOLS,
    Block,
    Branches,
    Item,
    Residual,
    Step,
    Wiring,
    strides_of,
)


def render(items: Iterable[Item], *, activations: bool = False) -> str:
    """The notation of `items`, with equal blocks in a row written once.

    Strides are written where leaving them out would say something else.  An addition is
    its main path in brackets, "[1x1, 64; 3x3, 64; 1x1, 256]", with a weighted shortcut
    as "[… + (1x1, 256)]".  Additions that are equal but for the stride and the shortcut
    of the first are written as in layer tables, "[3x3, 128; 3x3, 128] x4, stride 2".
    """
    texts = []
    items = list(items)
    while items:
        match items[0]:
            case Step() as step:
                text, taken = _render_step(step, activations), 1
            case Branches(branches):
                parts = [render(branch, activations=activations) for branch in branches]
                text, taken = "{" + " | ".join(parts) + "}", 1
            case Wiring() as wiring:
                text, taken = _render_wiring(wiring, activations), 1
            case Block() as block:
                text, taken = _render_blocks(block, items, activations)
            case Residual() as residual:
                text, taken = _render_residuals(residual, items, activations)
        texts.append(text)
        items = items[taken:]
    return "; ".join(texts)


def _render_step(step: Step, activations: bool) -> str:
    window = "x".join(map(str, step.kernel)) if step.kernel else ""
    match step.kind:
        case "conv":
            parts = [f"{window}, {step.units}" if step.units else f"{window} conv"]
        case "dense":
            parts = [f"{step.units}-d fc"]
        case "rbf":
            parts = [f"{step.units}-d rbf"]
        case "maps":
            parts = ["maps " + " ".join(map(str, step.maps))]
        case "lrn":
            parts = ["LRN"]
        case "squeeze-excite":
            parts = [f"squeeze-excite {step.squeeze or ''}".strip()]
        case kind:
            parts = [f"{window} {kind}".strip()]
    # For pooling silence says nothing, so that stride 1 has to be said.
    if step.stride is not None and (step.stride != 1 or step.kind in POOLS):
        parts.append(f"stride {step.stride}")
    if (step.groups or 1) != 1:
        parts.append(f"groups {step.groups}")
    if activations and step.activation:
        parts.append(step.activation)
    return ", ".join(parts)


def _render_wiring(wiring: Wiring, activations: bool) -> str:
    sums = []
    for total in wiring.sums:
        paths = (
            "; ".join(
                [path.source]
                + [render(path.items, activations=activations)] * bool(path.items)
            )
            for path in total.paths
        )
        sums.append(f"{total.name} = {' + '.join(paths)}")
    return f"({' | '.join(sums)}) {{{' | '.join(wiring.concat)}}}"


def _brackets(inside: str, repeats: int, stride: int | None = None) -> str:
    times = f" x{repeats}" if repeats != 1 else ""
    return f"[{inside}]{times}" + (f", stride {stride}" if stride is not None else "")


def _render_blocks(
    block: Block, items: list[Item], activations: bool
) -> tuple[str, int]:
    """The text of the blocks that `items` start with, and how many they are."""
    taken = 1
    repeats = block.repeats
    while taken < len(items) and block.stride is None:
        match items[taken]:
            case Block(inner, more, None) if inner == block.items:
                repeats += more
                taken += 1
            case _:
                break
    inside = render(block.items, activations=activations)
    return _brackets(inside, repeats, block.stride), taken


def _render_residuals(
    first: Residual, items: list[Item], activations: bool
) -> tuple[str, int]:
    """The text of the additions that `items` start with, and how many they are."""
    equal = sum(1 for _ in takewhile(lambda item: item == first, items))
    plain = _bare(first.main)
    alike = 1 + sum(
        1
        for _ in takewhile(
            lambda item: (
                isinstance(item, Residual)
                and not item.shortcut
                and strides_of(item.main) == {()}
                and _bare(item.main) == plain
            ),
            items[1:],
        )
    )
    strides = strides_of(first.main)
    stride = next(iter(strides)) if len(strides) == 1 else (0, 0)
    if alike > equal and len(stride) < 2:
        main = plain if stride else first.main
        return _brackets(render(main, activations=activations), alike, *stride), alike
    inside = render(first.main, activations=activations)
    if first.shortcut:
        inside += f" + ({render(first.shortcut, activations=activations)})"
    return _brackets(inside, equal), equal


def _bare(items: Iterable[Item]) -> tuple[Item, ...]:
    """The items without their strides."""
    bare: list[Item] = []
    for item in items:
        match item:
            case Branches(branches):
                bare.append(Branches(tuple(map(_bare, branches))))
            case Residual(main, shortcut):
                bare.append(Residual(_bare(main), _bare(shortcut)))
            case Block(inner, repeats):
                bare.append(Block(_bare(inner), repeats))
            case Wiring(sums):
                plain = (
                    replace(
                        total,
                        paths=tuple(
                            replace(path, items=_bare(path.items))
                            for path in total.paths
                        ),
                    )
                    for total in sums
                )
                bare.append(replace(item, sums=tuple(plain)))
            case Step():
                bare.append(replace(item, stride=None))
    return tuple(bare)
