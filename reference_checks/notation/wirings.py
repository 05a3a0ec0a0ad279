"""Comparing a printed wiring with a measured one: the names differ, the sums may not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import permutations

from reference_checks.notation.items import Item, Path, Sum, Wiring
from reference_checks.notation.writing import render

MAX_PATHS = 4
"""Paths of one sum that are tried in every order; more are taken in the order given."""

Compare = Callable[[Iterable[Item], Iterable[Item]], str | None]


def pairing(want: Wiring, have: Wiring, where: str, compare: Compare) -> str | None:
    """Why the wirings differ, or None: a sum for each sum, added in any order."""
    printed, measured = len(want.concat), len(have.concat)
    if printed != measured:
        return (
            f"{where}: printed {printed} tensors concatenated ({', '.join(want.concat)}),"
            f" measured {measured} ({', '.join(have.concat)})"
        )
    search = _Search(want, have, compare)
    pairs = {"h": "h", "g": "g"}
    for names in zip(want.concat, have.concat, strict=True):
        found = search.paired(*names, pairs)
        if found is None:
            return f"{where}: {search.gap(*names, pairs)}"
        pairs = found
    if len(pairs) != len(want.sums) + 2 or len(pairs) != len(have.sums) + 2:
        return f"{where}: printed {len(want.sums)} sums, measured {len(have.sums)}"
    return None


class _Search:
    """Pairs of names, extended from what is concatenated towards what enters."""

    def __init__(self, want: Wiring, have: Wiring, compare: Compare) -> None:
        self.want = {total.name: total for total in want.sums}
        self.have = {total.name: total for total in have.sums}
        self.compare = compare

    def paired(self, want: str, have: str, pairs: dict[str, str]) -> dict | None:
        """`pairs` and those that follow if the two names are one tensor, or None."""
        if want in pairs or have in pairs.values():
            return pairs if pairs.get(want) == have else None
        for order in self.orders(want, have):
            found: dict | None = {**pairs, want: have}
            for mine, other in order:
                if self.compare(mine.items, other.items) is not None:
                    found = None
                else:
                    found = self.paired(mine.source, other.source, found)
                if found is None:
                    break
            if found is not None:
                return found
        return None

    def orders(self, want: str, have: str) -> Iterable[list[tuple[Path, Path]]]:
        """The ways to put the paths of the two sums side by side; none if one enters."""
        if want not in self.want or have not in self.have:
            return []
        mine, others = self.want[want].paths, self.have[have].paths
        if len(mine) != len(others):
            return []
        many = len(mine) > MAX_PATHS
        ways = [others] if many else permutations(others)
        return [list(zip(mine, way, strict=True)) for way in ways]

    def gap(self, want: str, have: str, pairs: dict[str, str]) -> str:
        """The first sums that differ, as near to what enters as can be told."""
        for order in self.orders(want, have) if want not in pairs else []:
            if all(self.compare(a.items, b.items) is None for a, b in order):
                for mine, other in order:
                    names = mine.source, other.source
                    if names[0] in pairs or names[1] in pairs.values():
                        continue
                    if self.paired(*names, pairs) is None:
                        return self.gap(*names, pairs)
        left = _text(self.want.get(want), want)
        return f"printed {left}, measured {_text(self.have.get(have), have)}"


def _text(total: Sum | None, name: str) -> str:
    """The sum as it is written, or the name of a tensor that enters."""
    if total is None:
        return name
    return render([Wiring((total,), ())]).removesuffix(" {}").strip("()")
