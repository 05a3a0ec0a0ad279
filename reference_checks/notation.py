"""The layer-table notation: what a cell of a layer table says, checkably.

One notation serves all papers.  A cell is a sequence of steps:

    7x7, 64, stride 2                 convolution: kernel, filters
    5x5, 256, groups 2, relu          … in groups, with its activation
    3x3 depthwise, stride 2           one filter for each channel
    3x3 max pool, stride 2            also `average pool`
    average pool                      over the whole map
    2x2 sub-sampling, stride 2, tanh  pooling with a trainable coefficient and bias
    1000-d fc                         dense; `84-d fc, tanh`
    10-d rbf                          radial basis functions (LeNet-5)
    maps 0 1 2                        goes on with these channels alone
    LRN                               local response normalisation
    softmax

`stride N`, `groups N` and an activation (relu, relu6, tanh, sigmoid, swish, hard-swish,
gelu, linear) follow in any order, where they make sense.  VGG's spelling is read too:
`conv3-64`, `maxpool`, `FC-4096`, `soft-max`.  `×` is read as `x`.  Not in the notation:
normalisation, dropout and additions, which layer tables leave out.

Steps are put together:

    a; b                              one after the other
    [a; b] x3                         repeated
    [a; b] x3, stride 2               … with stride 2 somewhere in the first repetition
    {a; b | c}                        branches, concatenated in order

The grammar, where `n` is an integer, a symbol or a product (`t*k`):

    cell    = item { ";" item }
    item    = step | module | "[" cell "]" [ "x" n ] [ ", stride" n ]
            | "{" cell { "|" cell } "}"
    step    = n "x" n "," n { option }
            | n "x" n ( "depthwise" | "max pool" | "average pool" | "sub-sampling" )
              { option }
            | n "-d" ( "fc" | "rbf" ) { option }
            | "average pool" | "LRN" | "softmax" | "maps" n { n }
    option  = "," ( "stride" n | "groups" n | activation )

A module is a name for a cell.  Symbols (t, c, n, s …) are the table's columns of
numbers.  The symbol k is reserved: the channels that enter the block, the module or the
row.  A stride that a symbol gives inside a repeated block belongs to the first
repetition, the others have stride 1 (MobileNetV2, caption of Table 2).

What a cell does not say, such as an activation, agrees with anything.  Only a stride is
said by silence: it is 1, except for pooling.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, groupby, takewhile, zip_longest
from types import MappingProxyType

ACTIVATIONS = (
    "relu", "relu6", "tanh", "sigmoid", "swish", "hard-swish", "gelu", "linear",
)  # fmt: skip
WINDOWED = ("depthwise", "max pool", "average pool", "sub-sampling")
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
    "depthwise", "max", "average", "pool", "sub-sampling", "fc", "rbf", "maps", "LRN",
    "softmax", "stride", "groups", *ACTIVATIONS, *SYNONYMS,
)  # fmt: skip

MAX_STEPS = 10_000
MAX_INTEGER = 1_000_000
MAX_NESTING = 16

_TOKEN = re.compile(
    r"(?P<word>[A-Za-z0-9_]+(?:-(?!d\b)[A-Za-z0-9_]+)*)|(?P<mark>-d\b|[][{}|;,*])|\S"
)
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
    lrn or softmax; an average pool without kernel is over the whole map.
    """

    kind: str
    kernel: tuple[int, int] | None = None
    units: int | None = None
    stride: int | None = None
    groups: int | None = None
    activation: str | None = None
    maps: tuple[int, ...] = ()


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
class Residual:
    """An addition, as measured: `shortcut` is () for the identity."""

    main: tuple[Item, ...]
    shortcut: tuple[Item, ...] = ()


Item = Step | Block | Branches | Residual


def nearest(word: str, known: Iterable[str]) -> str:
    """The way out for a word that is not known, as the end of a message."""
    from difflib import get_close_matches  # costs more than a spec without errors

    known = list(known)[:200]
    close = get_close_matches(word[:60], known, 1)
    if close:
        return f"; did you mean {close[0]!r}?"
    more = ", …" if len(known) > 12 else ""
    return f"; known: {', '.join(known[:12])}{more}" if known else "; there is none"


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
    for item, _ in _unroll(items):
        parts = [item] if isinstance(item, Step) else map(flat, item.branches)
        steps.extend(parts if isinstance(item, Step) else chain.from_iterable(parts))
    return tuple(steps)


def leaving(items: Iterable[Item], channels: int | None) -> int | None:
    """The channels that leave `items` when `channels` enter; None is not known."""
    for item in items:
        match item:
            case Step(units=int(units)):
                channels = units
            case Step(kind="maps", maps=maps):
                channels = len(maps)
            case Block(inner, repeats):
                for _ in range(repeats):
                    channels = leaving(inner, channels)
            case Residual(main):
                channels = leaving(main, channels)
            case Branches(branches):
                parts = [leaving(branch, channels) for branch in branches]
                channels = None if None in parts else sum(parts)
    return channels


@dataclass(frozen=True, eq=False)
class _Repetition:
    """One repetition of a strided block: one of its steps has the stride."""

    stride: int


Unrolled = Iterator[tuple[Step | Branches, _Repetition | None]]


def _unroll(items: Iterable[Item], around: _Repetition | None = None) -> Unrolled:
    """Steps and branches in order, each with the strided repetition that it is in."""
    for item in items:
        match item:
            case Block(inner, repeats, None):
                for _ in range(repeats):
                    yield from _unroll(inner, around)
            case Block(inner, repeats, stride):
                for number in range(repeats):
                    yield from _unroll(inner, _Repetition(1 if number else stride))
            case Residual(main):
                yield from _unroll(main, around)
            case _:
                yield item, around


def _strides(items: Iterable[Item]) -> set[tuple[int, ...]]:
    """The strides other than 1 along each path, the first two of them."""
    found: set[tuple[int, ...]] = {()}
    seen = None
    for item, around in _unroll(items):
        here: set[tuple[int, ...]] = {()}
        if isinstance(item, Branches):
            here = set().union(*map(_strides, item.branches))
        elif (item.stride or 1) != 1:
            here = {(item.stride,)}
        if around is not seen and around is not None and around.stride != 1:
            here = {(around.stride, *path) for path in here}
        seen = around
        found = {(before + after)[:2] for before in found for after in here}
    return found


# Reading


def parse(
    text: str,
    *,
    symbols: Mapping[str, int] = MappingProxyType({}),
    modules: Mapping[str, str] = MappingProxyType({}),
    channels: int | None = None,
) -> tuple[Item, ...]:
    """The items of a cell, with symbols and modules put in.

    `channels` enter the row.  Repetitions that differ, by a stride or by k, become
    blocks of their own.

    Raises:
        NotationError: the text is not in the notation, or too large.
    """
    if "k" in symbols:
        raise NotationError(
            "k is reserved for the channels entering; rename the symbol"
        )
    return _Parser(text, symbols, modules, [MAX_STEPS]).cell(channels)


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """Words and marks with their columns; the x of "x3" is a word of its own."""
    before = ""
    for match in _TOKEN.finditer(text.replace("×", "x")):
        word, column = match[0], match.start()
        if match.lastgroup is None:
            raise NotationError(f"unexpected {word!r}", column)
        if before == "]" and word[0] == "x" and len(word) > 1:
            yield "x", column
            word, column = word[1:], column + 1
        yield word, column
        before = word
    yield "", len(text.rstrip())


class _Parser:
    """Recursive descent; a repetition is read again where it may come out different."""

    def __init__(
        self,
        text: str,
        symbols: Mapping[str, int],
        modules: Mapping[str, str],
        budget: list[int],
        nesting: int = 0,
        first: bool = True,
    ) -> None:
        self.tokens = list(_tokens(text))
        self.at = 0
        self.symbols = symbols
        self.modules = modules
        self.budget = budget  # steps left, one for a cell and all its modules
        self.nesting = nesting
        self.first = first  # whether all repetitions around are the first
        self.channels: int | None = None  # entering the next step
        self.k: int | None = None  # entering the block

    def next(self) -> tuple[str, int]:
        token = self.tokens[self.at]
        self.at += bool(token[0])
        return token

    def take(self, word: str) -> bool:
        taken = self.tokens[self.at][0].lower() == word
        self.at += taken
        return taken

    def fail(self, expected: str) -> NotationError:
        word, column = self.tokens[self.at]
        found = repr(word[:40]) if word else "the end"
        return NotationError(f"expected {expected}, found {found}", column)

    def expect(self, word: str) -> None:
        if not self.take(word):
            raise self.fail(repr(word))

    def spend(self, steps: int) -> None:
        self.budget[0] -= steps
        if self.budget[0] < 0:
            column = self.tokens[self.at][1]
            raise NotationError(f"more than {MAX_STEPS:,} steps", column)

    def cell(self, channels: int | None) -> tuple[Item, ...]:
        self.channels = self.k = channels
        items = self.items()
        if self.tokens[self.at][0]:
            raise self.fail("';' or the end")
        return items

    def items(self) -> tuple[Item, ...]:
        found: list[Item] = []
        while True:
            entering = self.channels
            items = self.item()
            self.channels = leaving(items, entering)
            found.extend(items)
            if not self.take(";"):
                return tuple(found)

    def item(self) -> tuple[Item, ...]:
        word, column = self.tokens[self.at]
        if word not in ("[", "{") and word not in self.modules:
            return (self.step(),)
        if self.nesting == MAX_NESTING:
            raise NotationError(f"nested more than {MAX_NESTING} deep", column)
        self.at += 1
        self.nesting += 1
        read = {"[": self.block, "{": self.branches}.get(word, self.module)
        items = read()
        self.nesting -= 1
        return items

    def module(self) -> tuple[Item, ...]:
        name, column = self.tokens[self.at - 1]
        try:
            return _Parser(
                self.modules[name],
                self.symbols,
                self.modules,
                self.budget,
                self.nesting,
                self.first,
            ).cell(self.channels)
        except NotationError as error:
            message = error.message
            if not message.startswith("in module"):
                message = f"in module {name!r}, column {error.column + 1}: {message}"
            raise NotationError(message, column) from None

    def branches(self) -> tuple[Item, ...]:
        entering = self.channels
        found = [self.items()]
        while self.take("|"):
            self.channels = entering
            found.append(self.items())
        self.expect("}")
        return (Branches(tuple(found)),)

    def block(self) -> tuple[Item, ...]:
        start, outer, budget = self.at, (self.k, self.first), self.budget[0]
        bodies = [self.body()]
        repeats = self.number() if self.take("x") else 1
        column = self.tokens[self.at][1]
        stride = None
        if self.take(","):
            self.expect("stride")
            stride = self.stride()
        end = self.at
        self.first = False
        while len(bodies) < repeats:
            if len(bodies) > 1 and self.channels == self.k:
                # What enters is what entered before: all others are like the last.
                others = repeats - len(bodies)
                self.spend(others * (budget - self.budget[0]))
                bodies += bodies[-1:] * others
            else:
                self.at, budget = start, self.budget[0]
                bodies.append(self.body())
        self.at, (self.k, self.first) = end, outer
        blocks = [Block(body, len(list(run))) for body, run in groupby(bodies)]
        if stride is not None:
            if _strides(bodies[0]) != {()}:
                message = (
                    "the stride is said twice; leave it out of the block or its steps"
                )
                raise NotationError(message, column)
            blocks[0] = replace(blocks[0], stride=stride)
        return tuple(blocks)

    def body(self) -> tuple[Item, ...]:
        self.k = self.channels
        items = self.items()
        self.expect("]")
        return items

    def step(self) -> Step:
        self.spend(1)
        word, column = self.next()
        name = SYNONYMS.get(word.lower(), word.lower())
        if name in ("lrn", "softmax"):
            return Step(name)
        if name == "average":
            self.expect("pool")
            return Step("average pool")
        if name == "max pool":
            return self.options(Step("max pool", (2, 2), stride=2))
        if name == "maps":
            maps = [self.number(least=0)]
            while self.tokens[self.at][0].isalnum():
                maps.append(self.number(least=0))
            return Step("maps", maps=tuple(maps))
        if vgg := re.fullmatch(r"(?:conv(\d+)|fc)-(\d+)", name):
            kernel, units = (
                part and self.factor(part, column) for part in vgg.groups()
            )
            if kernel:
                return self.options(Step("conv", (kernel, kernel), units))
            return self.options(Step("dense", units=units))
        if kernel := self.kernel(word, column):
            return self.windowed(kernel)
        if not self.known(word):
            if not word or not word[0].isalnum():
                self.at -= bool(word)
                raise self.fail("a step")
            known = (*self.modules, *WORDS, *self.symbols)
            raise NotationError(
                f"unknown word {word[:40]!r}{nearest(word, known)}", column
            )
        self.at -= 1
        units = self.number()
        self.expect("-d")
        for text, kind in DENSE.items():
            if self.take(text):
                return self.options(Step(kind, units=units))
        raise self.fail("'fc' or 'rbf'")

    def windowed(self, kernel: tuple[int, int]) -> Step:
        """What follows a kernel."""
        if self.take(","):
            return self.options(Step("conv", kernel, self.number()))
        for kind in WINDOWED:
            first, _, second = kind.partition(" ")
            if self.take(first):
                if second:
                    self.expect(second)
                return self.options(Step(kind, kernel))
        word, column = self.tokens[self.at]
        if word and word[0].isalpha():
            message = f"unknown word {word[:40]!r}{nearest(word, WORDS)}"
            raise NotationError(message, column)
        raise self.fail("', filters', 'depthwise', 'max pool', 'average pool'")

    def options(self, step: Step) -> Step:
        allowed = OPTIONS.get(step.kind, ())
        while allowed and self.take(","):
            word, column = self.next()
            name = word.lower()
            option = "activation" if name in ACTIVATIONS else name
            if option not in ("stride", "groups", "activation"):
                known = nearest(name, ("stride", "groups", *ACTIVATIONS))
                raise NotationError(f"unknown option {word[:40]!r}{known}", column)
            if option not in allowed:
                raise NotationError(f"{word!r} does not go with {step.kind}", column)
            if getattr(step, option) is not None:
                raise NotationError(f"the {option} is said twice", column)
            if option == "activation":
                step = replace(step, activation=name)
            else:
                read = self.stride if option == "stride" else self.number
                step = replace(step, **{option: read()})
        return step

    def stride(self) -> int:
        """A number; from a symbol, it holds for the first repetition alone."""
        start = self.at
        value = self.number()
        symbolic = any(word[0].isalpha() for word, _ in self.tokens[start : self.at])
        return 1 if symbolic and not self.first else value

    def number(self, least: int = 1) -> int:
        column = self.tokens[self.at][1]
        value = self.factor(*self.next())
        while self.take("*"):
            value *= self.factor(*self.next())
            if value > MAX_INTEGER:
                break
        if not least <= value <= MAX_INTEGER:
            raise NotationError(f"not between {least} and {MAX_INTEGER:,}", column)
        return value

    def known(self, word: str) -> bool:
        return word.isdigit() or word == "k" or word in self.symbols

    def factor(self, word: str, column: int) -> int:
        if word.isdigit():
            return int(word) if len(word) < 10 else MAX_INTEGER + 1
        if word == "k":
            if self.k is None:
                message = "k is not known here; print the row's input with its channels"
                raise NotationError(message, column)
            return self.k
        if word in self.symbols:
            return self.symbols[word]
        if not word or not word[0].isalpha():
            self.at -= bool(word)
            raise self.fail("a number")
        known = nearest(word, self.symbols)
        raise NotationError(f"{word[:40]!r} is no number and no symbol{known}", column)

    def kernel(self, word: str, column: int) -> tuple[int, int] | None:
        """Height and width, if the word is two known numbers around an x."""
        for match in re.finditer("x", word):
            sides = word[: match.start()], word[match.end() :]
            if all(map(self.known, sides)):
                height, width = (self.factor(side, column) for side in sides)
                if not (0 < height <= MAX_INTEGER and 0 < width <= MAX_INTEGER):
                    raise NotationError(f"not between 1 and {MAX_INTEGER:,}", column)
                return height, width
        return None


# Writing


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
            parts = [f"{window}, {step.units}"]
        case "dense":
            parts = [f"{step.units}-d fc"]
        case "rbf":
            parts = [f"{step.units}-d rbf"]
        case "maps":
            parts = ["maps " + " ".join(map(str, step.maps))]
        case "lrn":
            parts = ["LRN"]
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
                and _strides(item.main) == {()}
                and _bare(item.main) == plain
            ),
            items[1:],
        )
    )
    strides = _strides(first.main)
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
            case Step():
                bare.append(replace(item, stride=None))
    return tuple(bare)


# Comparing


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
    wanted = list(_unroll(printed))
    found = [item for item, _ in _unroll(measured)]
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
            strides = _strides(part)
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
    want: Step | Branches, have: Step | Branches | None, where: str, free: bool
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
            case Branches(branches):
                yield from _additions(chain.from_iterable(branches))
