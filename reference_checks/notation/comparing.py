"""Comparing a printed cell with a measured one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, groupby, zip_longest

from reference_checks.notation.items import (
    POOLS,
    Block,
    Branches,
    Item,
    Residual,
    Step,
    Wiring,
    strides_of,
    unroll,
)
from reference_checks.notation.wirings import pairing
from reference_checks.notation.writing import render


def difference(
    printed: Iterable[Item], measured: Iterable[Item], shortcut: Iterable[Item] = ()
) -> str | None:
    """The first difference between a printed row and a measured one, or None.

    What is not said in print agrees with anything, but for strides: see the module's
    docstring.  Of a block with a stride, exactly one step on each path has it.  A
    measured softmax may be left out in print.  `shortcut` has the shortcuts of the
    first additions, in order; those of all others are identities.
    """
    measured = tuple(measured)
    return _compare(printed, measured) or _compare_shortcuts(tuple(shortcut), measured)


def _compare(
    printed: Iterable[Item],
    measured: Iterable[Item],
    where: str = "",
    free: bool = False,
) -> str | None:
    """`free`: in a strided repetition, whose strides are compared as a whole."""
    wanted = list(unroll(printed))
    found = [item for item, _ in unroll(measured)]
    if not any(item == Step("softmax") for item, _ in wanted):
        found = [item for item in found if item != Step("softmax")]
    start = 0
    for around, run in groupby(wanted, key=lambda pair: pair[1]):
        run = [item for item, _ in run]
        part = found[start : start + len(run)]
        for number, pair in enumerate(zip_longest(run, part), start + 1):
            problem = _mismatch(
                *pair, f"{where}step {number}", free or around is not None
            )
            if problem:
                return problem
        if around:
            strides = strides_of(part)
            if strides != ({()} if around.stride == 1 else {(around.stride,)}):
                steps = f"{where}steps {start + 1} to {start + len(run)}"
                said = (
                    f"stride {around.stride} once"
                    if around.stride != 1
                    else "no stride"
                )
                return f"{steps}: printed {said}, measured {render(part)}"
        start += len(run)
    if start < len(found):
        text = render(found[start : start + 1])
        return f"{where}step {start + 1}: nothing printed, measured {text}"
    return None


def _mismatch(
    want: Step | Branches | Wiring,
    have: Step | Branches | Wiring | None,
    where: str,
    free: bool,
) -> str | None:
    if isinstance(want, Branches) and isinstance(have, Branches):
        if len(want.branches) != len(have.branches):
            printed, measured = len(want.branches), len(have.branches)
            return f"{where}: printed {printed} branches, measured {measured}"
        for number, pair in enumerate(
            zip(want.branches, have.branches, strict=True), 1
        ):
            problem = _compare(*pair, f"{where}, branch {number}, ", free)
            if problem:
                return problem
        return None
    if isinstance(want, Wiring) and isinstance(have, Wiring):
        return pairing(want, have, where, lambda *pair: _compare(*pair, "", free))
    if isinstance(want, Step) and isinstance(have, Step) and _agree(want, have, free):
        return None
    activations = isinstance(want, Step) and want.activation is not None
    printed = render([want], activations=activations)
    if have is None:
        return f"{where}: printed {printed}, nothing measured"
    measured = render([have], activations=activations)
    return f"{where}: printed {printed}, measured {measured}"


def _agree(want: Step, have: Step, free: bool) -> bool:
    """Whether the measured step does all that the printed one says."""
    stride = want.stride
    if stride is None and not free and want.kind not in POOLS:
        stride = 1
    return (want.kind, want.maps) == (have.kind, have.maps) and all(
        said is None or said == measured
        for said, measured in (
            (want.kernel, have.kernel),
            (want.units, have.units),
            (stride, have.stride or 1),
            (want.groups, have.groups or 1),
            (want.activation, have.activation or "linear"),
            (want.squeeze, have.squeeze),
        )
    )


def _compare_shortcuts(
    shortcut: tuple[Item, ...], measured: Iterable[Item]
) -> str | None:
    shortcuts = [addition.shortcut for addition in _additions(measured)]
    problem = _compare(shortcut, chain.from_iterable(shortcuts), "shortcut, ")
    if problem:
        return problem
    weighted = [number for number, items in enumerate(shortcuts, 1) if items]
    if weighted != list(range(1, len(weighted) + 1)):
        return f"shortcut: printed for the first additions, measured for {weighted}"
    return None


def _additions(items: Iterable[Item]) -> Iterator[Residual]:
    for item in items:
        match item:
            case Residual(main):
                yield item
                yield from _additions(main)
            case Block(inner, repeats):
                for _ in range(repeats):
                    yield from _additions(inner)
            case Branches() | Wiring():
                yield from _additions(chain.from_iterable(item.branches))
