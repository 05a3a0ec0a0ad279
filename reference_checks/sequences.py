"""What two sequences have in common, in order (Myers 1986; anchors first, as patience)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

EDITS = 256  # beyond so many, a stretch has nothing worth pairing in order


def in_order(
    a: Sequence[Hashable], b: Sequence[Hashable],
    near_a: Sequence[Hashable], near_b: Sequence[Hashable],
) -> Iterator[tuple[int, int]]:  # fmt: skip
    """Positions of equal items, growing in both sequences, along a short edit script.

    What is `near` an item tells it from its like: where that is unique in both, the items
    are anchors, and each stretch between two anchors is compared by itself.
    """
    start = (0, 0)
    for end in [*_anchors(near_a, near_b), (len(a), len(b))]:
        for p, q in _common(a[start[0] : end[0]], b[start[1] : end[1]]):
            yield start[0] + p, start[1] + q
        if end != (len(a), len(b)):
            yield end
        start = (end[0] + 1, end[1] + 1)


def _anchors(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Positions of what is unique in both, as many as keep their order in both."""
    count_a, count_b = Counter(a), Counter(b)
    where = {key: q for q, key in enumerate(b) if count_b[key] == 1}
    found = [
        (p, where[key]) for p, key in enumerate(a) if count_a[key] == 1 and key in where
    ]
    return _increasing(found)


def _increasing(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest subsequence whose second numbers grow (patience sorting)."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int | None] = []
    for index, (_, q) in enumerate(pairs):
        at = bisect_left(tails, q)
        before.append(ends[at - 1] if at else None)
        tails[at : at + 1] = [q]
        ends[at : at + 1] = [index]
    chain = []
    index = ends[-1] if ends else None
    while index is not None:
        chain.append(pairs[index])
        index = before[index]
    return chain[::-1]


def _common(a: Sequence[Hashable], b: Sequence[Hashable]) -> Iterator[tuple[int, int]]:
    """Positions of a longest common subsequence (Myers 1986); nothing beyond `EDITS`."""
    furthest = {1: 0}
    trace: list[dict[int, int]] = []
    for edits in range(min(EDITS, len(a) + len(b)) + 1):
        trace.append(dict(furthest))
        for k in range(-edits, edits + 1, 2):
            down = k == -edits or (
                k != edits and furthest.get(k - 1, -1) < furthest.get(k + 1, -1)
            )
            x = furthest[k + 1] if down else furthest[k - 1] + 1
            while x < len(a) and x - k < len(b) and a[x] == b[x - k]:
                x += 1
            furthest[k] = x
            if x >= len(a) and x - k >= len(b):
                yield from _walked_back(trace, len(a), len(b))
                return


def _walked_back(
    trace: list[dict[int, int]], x: int, y: int
) -> Iterator[tuple[int, int]]:
    for edits in range(len(trace) - 1, -1, -1):
        furthest, k = trace[edits], x - y
        down = k == -edits or (
            k != edits and furthest.get(k - 1, -1) < furthest.get(k + 1, -1)
        )
        before = k + 1 if down else k - 1
        start = furthest[before]
        while x > max(start, 0) and y > max(start - before, 0):
            x, y = x - 1, y - 1
            yield x, y
        x, y = start, start - before
