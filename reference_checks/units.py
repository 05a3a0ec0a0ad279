"""The plan of a run: which units there are, and what each of them claims.

A unit is what is run, finished and resumed as a whole: a variant against its paper, or an
official model against a variant.
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from reference_checks.errors import InputError, nearest
from reference_checks.load import Paper
from reference_checks.problems import Where
from reference_checks.spec import Claim, Official, Table


@dataclass(frozen=True)
class Unit:
    """One variant's claims (`official` None), or one official model of it.

    `foreign` marks what a paper prints about a variant of another paper.
    """

    paper: Paper
    variant: str
    official: Official | None = None
    foreign: bool = False

    @property
    def table(self) -> Table | None:
        """The layer table that prints the unit's variant."""
        if self.official is not None or self.foreign:
            return None
        variant = self.paper.spec.variants[self.variant]
        printed = variant.table is not None and variant.printed
        return self.paper.spec.tables[variant.table] if printed else None

    @property
    def name(self) -> str:
        subject = "paper" if self.official is None else self.official.model
        return f"{self.paper.stem}/{self.variant}/{subject}"


@dataclass(frozen=True)
class Options:
    """What a run does beyond the static checks.

    `keep` is a folder for what official models compute, `against` one with what they have
    computed elsewhere; `device` is where networks are run (`cpu`, `gpu`), and nothing but
    that is held against the CPU then.
    """

    run: bool = True
    published: bool = False
    keep: str | None = None
    against: str | None = None
    device: str | None = None

    def runs(self, unit: Unit) -> bool:
        """Whether a network is run for the unit; otherwise one is only read."""
        return self.run and unit.official is not None


def select(papers: Mapping[str, Paper], patterns: Sequence[str]) -> list[Unit]:
    """The units of papers, variants, official models or globs of them; all, without any.

    Raises:
        InputError: a pattern matches nothing; the nearest names are given.
    """
    units = [unit for paper in papers.values() for unit in _units(paper)]
    if not patterns:
        return units
    chosen: set[str] = set()
    for pattern in patterns:
        matching = [unit for unit in units if _matches(unit, pattern)]
        if not matching:
            names = {name for unit in units for name in _names(unit)}
            raise InputError(
                f"nothing is called {pattern!r}: {nearest(pattern, names)}"
            )
        chosen.update(unit.name for unit in matching)
    return [unit for unit in units if unit.name in chosen]


def _units(paper: Paper) -> Iterator[Unit]:
    for variant, entry in paper.spec.variants.items():
        yield Unit(paper, variant)
        for official in entry.official:
            yield Unit(paper, variant, official)
    for variant in paper.spec.others:
        yield Unit(paper, variant, foreign=True)


def _names(unit: Unit) -> list[str]:
    names = [unit.paper.stem, unit.variant]
    return names + ([unit.official.model] if unit.official else [])


def _matches(unit: Unit, pattern: str) -> bool:
    # What one paper prints of another's network is selected by the paper that prints it.
    names = [unit.paper.stem] if unit.foreign else _names(unit)
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)


def claims_of(unit: Unit) -> Iterator[tuple[Where, str | None, Claim]]:
    """The printed numbers of a unit: where each stands, its row, and the claim."""
    spec = unit.paper.spec
    if unit.official is not None:
        return
    if unit.foreign:
        for index, claim in enumerate(spec.others[unit.variant]):
            yield ("others", unit.variant, index), claim.row, claim
        return
    variant = spec.variants[unit.variant]
    table = unit.table
    if table is not None:
        for name, row in table.rows.items():
            for index, claim in enumerate(row.claims):
                path = ("tables", variant.table, "rows", name, "claims", index)
                yield path, name, claim
        for index, claim in enumerate(table.totals):
            yield ("tables", variant.table, "totals", index), None, claim
    for index, claim in enumerate(variant.claims):
        yield ("variants", unit.variant, "claims", index), claim.row, claim


def digest(unit: Unit, options: Options) -> str:
    """What the unit's records depend on: spec, implementation, toolkit, Keras, kept run."""
    from importlib.metadata import version  # slow, and listing does not need it

    hashed = hashlib.sha256(_toolkit())
    if unit.paper.implementation.is_file():
        hashed.update(unit.paper.implementation.read_bytes())
    what = [unit.paper.digest, unit.name, version("keras"), repr(options)]
    if options.against is not None:
        from reference_checks.kept_run import path_of

        kept = path_of(options.against, unit.name)
        found = kept.stat() if kept.is_file() else None
        what.append(str(found and (found.st_size, found.st_mtime_ns)))
    hashed.update(repr(tuple(what)).encode())
    return hashed.hexdigest()[:16]


@cache
def _toolkit() -> bytes:
    """All of the toolkit's sources in one digest; this process goes on with what it has."""
    sources = sorted(Path(__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(map(Path.read_bytes, sources))).digest()
