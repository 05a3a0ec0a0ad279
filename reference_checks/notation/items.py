"""What a cell says: steps, and how they are put together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

ACTIVATIONS = (
    "relu", "relu6", "tanh", "sigmoid", "swish", "hard-swish", "gelu", "linear",
)  # fmt: skip
WINDOWED = ("conv", "depthwise", "max pool", "average pool", "sub-sampling")
DENSE = {"fc": "dense", "rbf": "rbf"}
POOLS = ("max pool", "average pool", "sub-sampling")
OPTIONS = {
    "conv": ("stride", "groups", "activation"),
    "depthwise": ("stride", "activation"),
    "max pool": ("stride",),
    "average pool": ("stride",),
    "sub-sampling": ("stride", "activation"),
    "dense": ("activation",),
}
"""The kinds of step that take options, and which."""

SYNONYMS = {"maxpool": "max pool", "soft-max": "softmax"}
WORDS = (
    "conv", "depthwise", "max", "average", "pool", "sub-sampling", "fc", "rbf", "maps",
    "LRN", "softmax", "squeeze-excite", "stride", "groups", *ACTIVATIONS, *SYNONYMS,
)  # fmt: skip

MAX_STEPS = 10_000
MAX_INTEGER = 1_000_000
MAX_NESTING = 16

_SIZE = re.compile(r"([0-9]{1,6})x([0-9]{1,6})(?:x([0-9]{1,6}))?")


class NotationError(ValueError):
    """Text that is not in the notation; `column` counts from 0 in the text."""

    def __init__(self, message: str, column: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.column = column


@dataclass(frozen=True)
class Step:
    """One operation; None is what is not said.

    `kind` is conv, depthwise, max pool, average pool, sub-sampling, dense, rbf, maps,
    lrn, squeeze-excite or softmax; an average pool without kernel is over the whole map.
    `squeeze` is the width of a squeeze-and-excitation, which leaves all channels.  A
    measured `stride` is "2x1" where height and width have not the same.
    """

    kind: str
    kernel: tuple[int, int] | None = None
    units: int | None = None
    stride: int | str | None = None
    groups: int | None = None
    activation: str | None = None
    maps: tuple[int, ...] = ()
    squeeze: int | None = None


@dataclass(frozen=True)
class Block:
    """Items repeated; `stride` is that of one step, not said which, the first time."""

    items: tuple[Item, ...]
    repeats: int = 1
    stride: int | None = None


@dataclass(frozen=True)
class Branches:
    """Branches that read the same input and are concatenated in order."""

    branches: tuple[tuple[Item, ...], ...]


@dataclass(frozen=True)
class Path:
    """Items that start from a tensor by its name."""

    source: str
    items: tuple[Item, ...] = ()


@dataclass(frozen=True)
class Sum:
    """Paths added up, under a name."""

    name: str
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class Wiring:
    """Sums that start from two tensors and from each other, some of them concatenated.

    What enters is `h`; `g` is a tensor from farther back with as many channels, and how it
    is made to fit is not said.  A sum reads only those before it.  `concat` names, in order, what leaves.
    """

    sums: tuple[Sum, ...]
    concat: tuple[str, ...]

    @property
    def branches(self) -> tuple[tuple[Item, ...], ...]:
        """The items of every path."""
        return tuple(path.items for total in self.sums for path in total.paths)


@dataclass(frozen=True)
class Residual:
    """An addition, as measured: `shortcut` is () for the identity."""

    main: tuple[Item, ...]
    shortcut: tuple[Item, ...] = ()


Item = Step | Block | Branches | Residual | Wiring


def size(text: str) -> tuple[int, ...]:
    """Height and width, and channels if printed: "112x112" or "112x112x64".

    Raises:
        NotationError: the text is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise NotationError(
            f"{text[:40]!r} is no size; write '112x112' or '112x112x64'"
        )
    return tuple(int(number) for number in match.groups() if number)


def flat(items: Iterable[Item]) -> tuple[Step, ...]:
    """The steps along the main paths, repetitions expanded, branches in order."""
    steps: list[Step] = []
    for item, _ in unroll(items):
        parts = [item] if isinstance(item, Step) else map(flat, item.branches)
        steps.extend(parts if isinstance(item, Step) else chain.from_iterable(parts))
    return tuple(steps)


def leaving(items: Iterable[Item], channels: int | None) -> int | None:
    """The channels that leave `items` when `channels` enter; None is not known."""
    for item in items:
        match item:
            case Step(units=int(units)):
                channels = units
            case Step(kind="conv"):
                channels = None
            case Step(kind="maps", maps=maps):
                channels = len(maps)
            case Block(inner, repeats):
                for _ in range(repeats):
                    entering, channels = channels, leaving(inner, channels)
                    if channels == entering:
                        break  # and so would all others leave them
            case Residual(main):
                channels = leaving(main, channels)
            case Branches(branches):
                parts = [leaving(branch, channels) for branch in branches]
                channels = None if None in parts else sum(parts)
            case Wiring(sums, concat):
                known = widths(sums, channels)
                parts = [known[name] for name in concat]
                channels = None if None in parts else sum(parts)
    return channels


def widths(sums: Iterable[Sum], channels: int | None) -> dict[str, int | None]:
    """The channels of each tensor of a wiring that `channels` enter; None is not known."""
    known = {"h": channels, "g": channels}
    for total in sums:
        parts = (leaving(path.items, known[path.source]) for path in total.paths)
        known[total.name] = next((part for part in parts if part is not None), None)
    return known


@dataclass(frozen=True, eq=False)
class Repetition:
    """One repetition of a strided block: one of its steps has the stride."""

    stride: int


Unrolled = Iterator[tuple[Step | Branches | Wiring, Repetition | None]]


def unroll(items: Iterable[Item], around: Repetition | None = None) -> Unrolled:
    """Steps, branches and wirings in order, each with the strided repetition that it is in."""
    for item in items:
        match item:
            case Block(inner, repeats, None):
                for _ in range(repeats):
                    yield from unroll(inner, around)
            case Block(inner, repeats, stride):
                for number in range(repeats):
                    yield from unroll(inner, Repetition(1 if number else stride))
            case Residual(main):
                yield from unroll(main, around)
            case _:
                yield item, around


def strides_of(items: Iterable[Item]) -> set[tuple[int, ...]]:
    """The strides other than 1 along each path, the first two of them."""
    found: set[tuple[int, ...]] = {()}
    seen = None
    for item, around in unroll(items):
        here: set[tuple[int, ...]] = {()}
        if isinstance(item, Branches):
            here = set().union(*map(strides_of, item.branches))
        elif isinstance(item, Wiring):
            here = _routes(item)
        elif (item.stride or 1) != 1:
            here = {(item.stride,)}
        if around is not seen and around is not None and around.stride != 1:
            here = {(around.stride, *path) for path in here}
        seen = around
        found = {(before + after)[:2] for before in found for after in here}
    return found


def _routes(wiring: Wiring) -> set[tuple[int, ...]]:
    """The strides along each way from `h` to what leaves."""
    ways: dict[str, set[tuple[int, ...]]] = {"h": {()}, "g": set()}
    for total in wiring.sums:
        ways[total.name] = {
            (before + after)[:2]
            for path in total.paths
            for before in ways[path.source]
            for after in strides_of(path.items)
        }
    return set().union(*(ways[name] for name in wiring.concat))
