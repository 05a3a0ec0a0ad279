"""What the checks would have caught: the matrix of mutants, for the site."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from reference_checks.mutate import MUTATIONS
from reference_checks.mutate.kept import Mutants
from reference_checks.mutate.result import COLUMNS, Result, counts, scores

SHARES = ("detected", "located", "paper's numbers only", "float32 only")
"""Two of the chain as a whole, and two of what is seen without it."""


@dataclass(frozen=True)
class Line:
    """Mutants of one network or of one class: scores as (number, of how many)."""

    name: str
    about: str
    mutants: int
    shares: tuple[tuple[int, int], ...]
    equivalent: int
    seen: tuple[int, ...]


@dataclass(frozen=True)
class Sensitivity:
    """What a page shows; `rest` are neither equivalent nor detected and located."""

    total: Line
    networks: tuple[Line, ...]
    classes: tuple[Line, ...]
    equivalent: tuple[Result, ...]
    rest: tuple[Result, ...]
    missing: tuple[tuple[str, str], ...]
    about: str
    columns: tuple[str, ...] = COLUMNS
    heads: tuple[str, ...] = SHARES


def sensitivity(mutants: Mutants, paper: str | None = None) -> Sensitivity | None:
    """Of all networks, or of one paper's; None where nothing was planted in it."""
    parts = [
        part
        for part in mutants.networks
        if paper is None or part.unit.split("/")[0] == paper
    ]
    results = [result for part in parts for result in part.mutants]
    if not results:
        return None
    plan = mutants.plan
    minutes = sum(part.cpu for part in parts) / 60
    about = (
        f"up to {plan.sites} sites of each class in each network, seed {plan.seed};"
        f" {minutes:.0f} minutes of processor time"
    )
    return Sensitivity(
        _line("all", "", results),
        _lines(results, lambda r: (r.variant, r.official)),
        _lines(results, lambda r: (r.mutation, _what(r.mutation))),
        tuple(r for r in results if r.status == "equivalent"),
        tuple(r for r in results if r.status != "equivalent" and not r.found),
        tuple((part.unit, part.missing) for part in parts if part.missing),
        about,
    )


def _what(name: str) -> str:
    return MUTATIONS[name].what if name in MUTATIONS else "weights in the wrong place"


def _lines(
    results: Iterable[Result], key: Callable[[Result], tuple[str, str]]
) -> tuple[Line, ...]:
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return tuple(_line(*names, found) for names, found in groups.items())


def _line(name: str, about: str, results: Sequence[Result]) -> Line:
    cells: dict[str, Any] = scores(results)
    shares = tuple(cells[head] for head in SHARES)
    seen = tuple(counts(results).values())
    return Line(name, about, len(results), shares, cells["equivalent"][0], seen)
