"""Layer tables held against themselves: sizes that chain, cells that lead through them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from reference_checks.lint.common import wrong
from reference_checks.load import Paper
from reference_checks.notation import (
    POOLS,
    Block,
    Branches,
    Item,
    NotationError,
    Step,
    Wiring,
    flat,
    leaving,
    parse,
    size,
)
from reference_checks.problems import Problem, Where
from reference_checks.spec import Row, Table, Variant

AMEND = "correct one, or name what accounts for it under 'erratum'"


def sizes(paper: Paper) -> Iterator[Problem]:
    """Sizes read, and what leaves a row enters the next."""
    for name, table in paper.spec.tables.items():
        before: tuple[str, Row] | None = None
        for row, entry in table.rows.items():
            where = ("tables", name, "rows", row)
            for key in ("input", "output"):
                text = getattr(entry, key)
                if text is not None:
                    yield from readable_size(paper, (*where, key), text)
            if before and not (entry.erratum or before[1].erratum):
                enters, left = _size(entry.input), _size(before[1].output)
                if any(a != b for a, b in zip(enters, left, strict=False)):
                    message = (
                        f"{entry.input} enters, but {before[1].output} leaves"
                        f" {before[0]!r}; {AMEND}"
                    )
                    yield wrong(paper, (*where, "input"), message)
            before = row, entry


def readable_size(paper: Paper, where: Where, text: str) -> Iterator[Problem]:
    try:
        size(text)
    except NotationError as error:
        yield wrong(paper, where, error.message)


def _size(text: str | None) -> tuple[int, ...]:
    """A printed size, or () if there is none that reads."""
    try:
        return size(text) if text is not None else ()
    except NotationError:
        return ()


def cells(paper: Paper) -> Iterator[Problem]:
    """Cells are in the notation and lead from the size printed before to that after."""
    for name, table in paper.spec.tables.items():
        done = set()
        for variant, entry in paper.spec.variants.items():
            if entry.table != name or not entry.printed:
                continue
            keys = (variant, entry.column)
            way = [
                (row, _key(cells.columns, keys), _key(cells.shortcut, keys))
                for row, cells in table.rows.items()
            ]
            which = repr((way, sorted(entry.symbols.items()), entry.input[-1]))
            if which not in done:
                done.add(which)
                yield from _way(paper, name, table, way, entry)


def _key(cells: Mapping[str, str], keys: Iterable[str | None]) -> str | None:
    """Where the variant's cell stands: under its own name, its column's, or "all"."""
    return next((key for key in (*keys, "all") if key in cells), None)


def _way(
    paper: Paper,
    name: str,
    table: Table,
    way: Iterable[tuple[str, str | None, str | None]],
    variant: Variant,
) -> Iterator[Problem]:
    """A variant's way down a table, with the channels on it."""
    modules = tuple((key, module.notation) for key, module in table.modules.items())
    rows = [(row, table.rows[row], keys) for row, *keys in way if keys[0] is not None]
    channels: int | None = variant.input[-1]
    before: tuple[int, ...] = ()
    for (row, entry, keys), after in zip(rows, [*rows[1:], None], strict=False):
        where = ("tables", name, "rows", row)
        enters = _size(entry.input)
        if len(enters) == 3:
            if channels not in (None, enters[2]) and entry.erratum is None:
                message = f"{entry.input} enters, but with {channels} channels; {AMEND}"
                yield wrong(paper, (*where, "input"), message)
            channels = enters[2]
        parsed: list[tuple[Item, ...] | None] = []
        for field, key in zip(("columns", "shortcut"), keys, strict=True):
            if key is None:
                parsed.append(())
                continue
            text = getattr(entry, field)[key]
            symbols = {**variant.symbols, **entry.symbols}
            try:
                # After an error above, k means nothing, but the rest is read.
                items = _parse(text, tuple(symbols.items()), modules, channels or 1)
            except NotationError as error:
                items = None
                place = paper.inside((*where, field, key), text, error.column)
                yield Problem(paper.path, *place, error.message)
            parsed.append(items)
        text = entry.output or (after[1].input if after else None)
        leaves = _size(text)
        items = parsed[0] if channels else None
        channels = leaving(items, channels) if items else None
        if items and leaves and entry.erratum is None:
            problem = _misfit(items, enters or before, leaves, channels)
            if problem:
                at = (
                    (*where, "output") if entry.output else (*where, "columns", keys[0])
                )
                yield wrong(paper, at, f"{problem}, printed is {text}; {AMEND}")
        if len(leaves) == 3:
            channels = leaves[2]
        before = () if entry.erratum else leaves


@lru_cache(1_000)  # variants share cells, and often what enters them
def _parse(
    text: str,
    symbols: tuple[tuple[str, int], ...],
    modules: tuple[tuple[str, str], ...],
    channels: int,
) -> tuple[Item, ...]:
    return parse(text, symbols=dict(symbols), modules=dict(modules), channels=channels)


def _misfit(
    items: Sequence[Item],
    enters: tuple[int, ...],
    leaves: tuple[int, ...],
    channels: int | None,
) -> str | None:
    """Why `items` cannot lead from one printed size to the other, or None."""
    if len(leaves) == 3 and channels not in (None, leaves[2]):
        return f"{channels} channels leave"
    for axis, extent in enumerate(enters[:2]):
        reach = _reach(items, (extent, extent), axis)
        if reach and not reach[0] <= leaves[axis] <= reach[1]:
            side = ("height", "width")[axis]
            return f"{side} {extent} leaves between {reach[0]} and {reach[1]}"
    return None


def _reach(
    items: Iterable[Item],
    extent: tuple[int, int],
    axis: int,
    default: int | None = None,
) -> tuple[int, int] | None:
    """The least and most that an extent becomes: without padding, and with "same".

    `default` is the stride of pooling that does not say one; None is not known.
    """
    low, high = extent
    for item in items:
        match item:
            case Step(kind="dense" | "rbf") | Step(kind="average pool", kernel=None):
                low = high = 1
            case Step(kernel=None):
                pass
            case Step(kind=kind, kernel=kernel, stride=stride):
                stride = stride or (default if kind in POOLS else 1)
                if stride is None:
                    return None
                low, high = (
                    max(1, (low - kernel[axis]) // stride + 1),
                    -(-high // stride),
                )
            case Branches(branches):
                ends = [
                    _reach(branch, (low, high), axis, default) for branch in branches
                ]
                if None in ends:
                    return None
                low, high = _common(ends)
            case Wiring(sums, concat):
                extents = {"h": (low, high), "g": None}
                for total in sums:
                    ends = [
                        _reach(path.items, extents[path.source], axis, default)
                        for path in total.paths
                        if extents[path.source]
                    ]
                    if None in ends:
                        return None
                    extents[total.name] = _common(ends)
                found = _common(filter(None, (extents[name] for name in concat)))
                if found is None:
                    return None
                low, high = found
            case Block(inner, repeats, stride):
                within = default
                if stride is not None:
                    # At worst the widest kernel has it, before all others.
                    within = 1
                    widest = max((s.kernel or (1, 1))[axis] for s in flat(inner))
                    low, high = max(1, (low - widest) // stride + 1), -(-high // stride)
                for _ in range(repeats):
                    found = _reach(inner, (low, high), axis, within)
                    if found is None:
                        return None
                    if found == (low, high):
                        break  # and so would all others leave it
                    low, high = found
    return low, high


def _common(ends: Iterable[tuple[int, int]]) -> tuple[int, int] | None:
    """The extents that all the ways leave; None where none is known."""
    ends = list(ends)
    if not ends:
        return None
    return max(low for low, _ in ends), min(high for _, high in ends)
