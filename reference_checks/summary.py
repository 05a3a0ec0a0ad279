"""A diff in one line: what differs, alike differences together, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_checks.wording import costs

if TYPE_CHECKING:
    from reference_checks.diff import Change, Diff

NOTHING = ("0", "1", "none")
MOST = 6  # differences that fit on a line
STRETCH = 3  # ops in a row that only one side has are one difference
BIGGEST = 3  # of networks that are not the same at all


@dataclass(frozen=True)
class Group:
    """Differences that are alike, each of one change or of several that belong together."""

    what: str
    places: tuple[tuple[Change, ...], ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        return tuple(change for place in self.places for change in place)

    @property
    def params(self) -> int:
        return sum(change.params for change in self.changes)

    @property
    def multiply_adds(self) -> int:
        return sum(change.multiply_adds for change in self.changes)

    @property
    def weight(self) -> tuple[int, int, int]:
        """The biggest difference sorts first."""
        return -abs(self.multiply_adds), -abs(self.params), -len(self.changes)

    def __str__(self) -> str:
        rows = list(dict.fromkeys(c.row for c in self.changes if c.row))
        named = ", ".join(rows) if len(rows) <= 4 and len(self.changes) > 1 else ""
        more = "; ".join(filter(None, (named, costs(self.params, self.multiply_adds))))
        return f"{self.what} {self._where()}".rstrip() + (f" ({more})" if more else "")

    def _where(self) -> str:
        if len(self.places) > 1:
            word = "blocks" if len(self.places[0]) > 1 else "places"
            return f"in {len(self.places)} {word}"
        if self.changes[0].noun == "input":
            return ""
        names = [c.b or c.a or "" for c in self.changes]
        return (
            f"at {names[0]}" if len(names) == 1 else f"from {names[0]} to {names[-1]}"
        )


def summary(found: Diff) -> str:
    """One line for a person who knows the networks and not this tool."""
    if found.same and not found.absorbed:
        return "the same network"
    absorbed = [str(difference) for difference in found.absorbed]
    if found.same:
        return "same network up to: " + "; ".join(absorbed)
    roots = [change for change in found.changes if not change.follows]
    parts = groups(roots)
    if found.agreement < 0.5:
        start = f"different networks: {found.agreement:.0%} of operations agree; "
        return start + "; ".join(_named(parts, BIGGEST))
    listed = absorbed + _named(parts, MOST)
    params = found.params - sum(d.params for d in found.absorbed)
    wake = costs(
        params - sum(c.params for c in roots),
        found.multiply_adds - sum(c.multiply_adds for c in roots),
    )
    if wake:
        listed.append(f"and what follows from that ({wake})")
    return "same network up to: " + "; ".join(listed)


def _named(parts: Sequence[Group], most: int) -> list[str]:
    """The biggest of the differences in their order, and how many more there are."""
    kept = sorted(range(len(parts)), key=lambda k: parts[k].weight)[:most]
    named = [str(parts[k]) for k in sorted(kept)]
    if len(parts) > most:
        named.append(f"and {len(parts) - most} more differences")
    return named


def groups(changes: Sequence[Change]) -> list[Group]:
    """Alike differences together, in the order of the first of each."""
    found: dict[str, list[tuple[Change, ...]]] = {}
    for what, place in _differences(changes):
        found.setdefault(what, []).append(place)
    return [Group(what, tuple(places)) for what, places in found.items()]


def _differences(changes: Sequence[Change]) -> Iterator[tuple[str, tuple[Change, ...]]]:
    """Changes that are one difference: something moved, or a stretch of one side alone."""
    index = 0
    while index < len(changes):
        first = changes[index]
        end = index + 1
        what = end < len(changes) and _moved(first, changes[end])
        if what:
            end += 1
        else:
            while (
                end < len(changes) and _only(first) == _only(changes[end]) is not None
            ):
                end += 1
            # Ops of one kind that are missing everywhere are no stretch.
            if end - index < STRETCH or len({c.noun for c in changes[index:end]}) == 1:
                end, what = index + 1, first.what
            else:
                side = "A" if first.b is None else "B"
                what = f"{end - index} operations only in {side}"
        yield what, tuple(changes[index:end])
        index = end


def _only(change: Change) -> tuple[bool, str | None] | None:
    """The side that alone has the op, and its row; None if both have it."""
    both = change.a is not None and change.b is not None
    return None if both else (change.a is None, change.row)


def _moved(first: Change, second: Change) -> str | None:
    """What one op has in A and the next op that differs has in B, both of one row."""
    if (
        len(first.attributes) != 1
        or len(second.attributes) != 1
        or first.row != second.row
    ):
        return None
    (name, a, b), (other, c, d) = first.attributes[0], second.attributes[0]
    if name != other or (a, b) != (d, c):
        return None
    if b in NOTHING:
        return f"{name} {a} moved from {first.noun} to {second.noun}"
    if a in NOTHING:
        return f"{name} {b} moved from {second.noun} to {first.noun}"
    return None
