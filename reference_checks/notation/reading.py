"""Reading a cell: text to items."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from types import MappingProxyType

from reference_checks.errors import nearest
from reference_checks.notation.items import (
    ACTIVATIONS,
    DENSE,
    MAX_INTEGER,
    MAX_NESTING,
    MAX_STEPS,
    OPTIONS,
    SYNONYMS,
    WINDOWED,
    WORDS,
    Block,
    Branches,
    Item,
    NotationError,
    Path,
    Step,
    Sum,
    Wiring,
    leaving,
    strides_of,
    widths,
)

_TOKEN = re.compile(
    r"(?P<word>[A-Za-z0-9_]+(?:-(?!d\b)[A-Za-z0-9_]+)*)|(?P<mark>-d\b|[][{}()|;,*/=+])|\S"
)


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
    if text.strip() == "identity":
        return ()
    return _Parser(text, symbols, modules, [MAX_STEPS]).cell(channels)


@lru_cache(1_000)  # modules are read once for each cell, cells for each variant
def _tokens(text: str) -> tuple[tuple[str, int], ...]:
    """Words and marks with their columns; the x of "x3" is a word of its own."""
    before = ""
    found = []
    for match in _TOKEN.finditer(text.replace("×", "x")):
        word, column = match[0], match.start()
        if match.lastgroup is None:
            raise NotationError(f"unexpected {word!r}", column)
        if before == "]" and word[0] == "x" and len(word) > 1:
            found.append(("x", column))
            word, column = word[1:], column + 1
        found.append((word, column))
        before = word
    return (*found, ("", len(text.rstrip())))


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
        self.tokens = _tokens(text)
        self.at = 0
        self.symbols = symbols
        self.modules = modules
        self.budget = budget  # steps left, one for a cell and all its modules
        self.nesting = nesting
        self.first = first  # whether all repetitions around are the first
        self.channels: int | None = None  # entering the next step
        self.k: int | None = None  # entering the block
        self.varies = False  # whether k or a repetition's number was asked for

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
        if word not in ("[", "{", "(") and word not in self.modules:
            return (self.step(),)
        if self.nesting == MAX_NESTING:
            raise NotationError(f"nested more than {MAX_NESTING} deep", column)
        self.at += 1
        self.nesting += 1
        read = {"[": self.block, "{": self.branches, "(": self.wiring}
        items = read.get(word, self.module)()
        self.nesting -= 1
        return items

    def module(self) -> tuple[Item, ...]:
        name, column = self.tokens[self.at - 1]
        try:
            inside = _Parser(
                self.modules[name],
                self.symbols,
                self.modules,
                self.budget,
                self.nesting,
                self.first,
            )
            items = inside.cell(self.channels)
        except NotationError as error:
            message = error.message
            if not message.startswith("in module"):
                message = f"in module {name!r}, column {error.column + 1}: {message}"
            raise NotationError(message, column) from None
        self.varies |= inside.varies
        return items

    def branches(self) -> tuple[Item, ...]:
        entering = self.channels
        found = [self.items()]
        while self.take("|"):
            self.channels = entering
            found.append(self.items())
        self.expect("}")
        return (Branches(tuple(found)),)

    def wiring(self) -> tuple[Item, ...]:
        entering, sums = self.channels, []
        known = widths(sums, entering)
        while not sums or self.take("|"):
            name, column = self.next()
            if not name[:1].isalpha() or name in known:
                raise NotationError(f"{name[:40]!r} cannot be a new name", column)
            self.expect("=")
            paths = [self.path(known)]
            while self.take("+"):
                paths.append(self.path(known))
            sums.append(Sum(name, tuple(paths)))
            known = widths(sums, entering)
        self.expect(")")
        self.expect("{")
        concat = [self.source(known)]
        while self.take("|"):
            concat.append(self.source(known))
        self.expect("}")
        return (Wiring(tuple(sums), tuple(concat)),)

    def path(self, known: Mapping[str, int | None]) -> Path:
        self.spend(1)
        source = self.source(known)
        self.channels = known[source]
        return Path(source, self.items() if self.take(";") else ())

    def source(self, known: Mapping[str, int | None]) -> str:
        word, column = self.next()
        if word not in known:
            named = nearest(word, known)
            raise NotationError(f"{word[:40]!r} names no tensor; {named}", column)
        return word

    def block(self) -> tuple[Item, ...]:
        start, outer, budget = self.at, (self.k, self.first), self.budget[0]
        varied, self.varies = self.varies, False
        bodies = [self.body()]
        after = self.at
        repeats = self.number() if self.take("x") else 1
        column = self.tokens[self.at][1]
        stride = None
        if self.take(","):
            self.expect("stride")
            stride = self.stride()
        end = self.at
        self.first = False
        while len(bodies) < repeats:
            if not self.varies or (len(bodies) > 1 and self.channels == self.k):
                # Nothing that is asked for changes: all others are like the last.
                others, self.at = repeats - len(bodies), after
                self.spend(others * (budget - self.budget[0]))
                bodies += bodies[-1:] * others
            else:
                self.at, budget = start, self.budget[0]
                bodies.append(self.body())
        self.at, (self.k, self.first) = end, outer
        self.varies |= varied
        blocks = [Block(body, len(list(run))) for body, run in groupby(bodies)]
        if stride is not None:
            if strides_of(bodies[0]) != {()}:
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
        if name == "squeeze-excite":
            said = self.tokens[self.at][0][:1].isalnum()
            return Step(name, squeeze=self.number() if said else None)
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
        if "-" in name and (vgg := re.fullmatch(r"(?:conv(\d+)|fc)-(\d+)", name)):
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
                f"unknown word {word[:40]!r}; {nearest(word, known)}", column
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
            message = f"unknown word {word[:40]!r}; {nearest(word, WORDS)}"
            raise NotationError(message, column)
        raise self.fail("', filters', 'depthwise', 'conv', 'max pool', 'average pool'")

    def options(self, step: Step) -> Step:
        allowed = OPTIONS.get(step.kind)
        said: dict[str, int | str] = {}
        while allowed and self.take(","):
            word, column = self.next()
            name = word.lower()
            option = "activation" if name in ACTIVATIONS else name
            if option not in ("stride", "groups", "activation"):
                known = nearest(name, ("stride", "groups", *ACTIVATIONS))
                raise NotationError(f"unknown option {word[:40]!r}; {known}", column)
            if option not in allowed:
                raise NotationError(f"{word!r} does not go with {step.kind}", column)
            if option in said or getattr(step, option) is not None:
                raise NotationError(f"the {option} is said twice", column)
            if option == "activation":
                said[option] = name
            else:
                said[option] = self.stride() if option == "stride" else self.number()
        if not said:
            return step
        known = {"stride": step.stride, **said}  # as `replace`, at a third of its cost
        return Step(step.kind, step.kernel, step.units, **known)

    def stride(self) -> int:
        """A number; from a symbol, it holds for the first repetition alone."""
        start = self.at
        value = self.number()
        symbolic = any(word[0].isalpha() for word, _ in self.tokens[start : self.at])
        self.varies |= symbolic
        return 1 if symbolic and not self.first else value

    def number(self, least: int = 1) -> int:
        column = self.tokens[self.at][1]
        value = self.factor(*self.next())
        while (mark := self.tokens[self.at][0]) in ("*", "/"):
            self.at += 1
            by = self.factor(*self.next())
            value = value * by if mark == "*" else value // by if by else -1
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
            self.varies = True
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
        raise NotationError(
            f"{word[:40]!r} is no number and no symbol; {known}", column
        )

    def kernel(self, word: str, column: int) -> tuple[int, int] | None:
        """Height and width, if the word is two known numbers around an x."""
        for at in [at for at, letter in enumerate(word) if letter == "x"]:
            sides = word[:at], word[at + 1 :]
            if self.known(sides[0]) and self.known(sides[1]):
                height, width = (self.factor(side, column) for side in sides)
                if not (0 < height <= MAX_INTEGER and 0 < width <= MAX_INTEGER):
                    raise NotationError(f"not between 1 and {MAX_INTEGER:,}", column)
                return height, width
        return None
