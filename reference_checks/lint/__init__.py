"""Specs held against themselves: everything that is wrong, at once, with its place.

A check is a function from a paper to problems, and none needs a network, a model or
anything but the spec.  Each message says the way out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from reference_checks.kept import Kept
from reference_checks.lint.common import all_claims, unknown, wrong
from reference_checks.load import Paper, load
from reference_checks.problems import Problem, SpecError

CHECKERS = ("spec.py", "printed.py", "lint/*.py", "notation/*.py")
"""The sources that decide what is right in a spec."""


def lint(paths: Iterable[Path]) -> list[Problem]:
    """All problems of the specs at `paths`, sorted by place."""
    problems: list[Problem] = []
    papers: list[Paper] = []
    for path in dict.fromkeys(map(Path, paths)):
        try:
            papers.append(load(path))
        except SpecError as error:
            problems.extend(error.problems)
    for paper in papers:
        problems.extend(_of_one(paper))
    problems.extend(variants_of_all(papers))
    return sorted(set(problems))


def _of_one(paper: Paper) -> list[Problem]:
    """The problems of one spec; that there are none is kept, as its checks never change."""
    clean = Kept(f"{paper.stem}.lint", CHECKERS, paper.text.encode())
    if clean.get(bool):
        return []
    from reference_checks.lint.paper import (
        CHECKS,  # not needed for what was right before
    )

    problems = [problem for check in CHECKS for problem in check(paper)]
    if not problems:
        clean.put(True)
    return problems


def variants_of_all(papers: Sequence[Paper]) -> Iterator[Problem]:
    """A variant's name is one paper's, and what is compared with is some paper's."""
    owners: dict[str, Paper] = {}
    for paper in papers:
        for name in paper.spec.variants:
            owner = owners.setdefault(name, paper)
            if owner is not paper:
                where = ("variants", name)
                message = f"{name!r} is a variant at {owner.at(*where)} too; rename one"
                yield wrong(paper, where, message)
    known = set(owners)
    beside = False
    for paper in papers:
        for where, claim in all_claims(paper.spec):
            for key in ("relative_to", "minus"):
                name = getattr(claim, key)
                if name is None or name in known:
                    continue
                if not beside:
                    known |= _variants_beside(papers)
                    beside = True
                yield from unknown(paper, (*where, key), "variant", name, sorted(known))


def _variants_beside(papers: Sequence[Paper]) -> set[str]:
    """The variants of the specs in the same folders, where they load."""
    found: set[str] = set()
    for folder in {paper.path.parent for paper in papers}:
        for path in folder.glob("*.yaml"):
            try:
                found.update(load(path).spec.variants)
            except SpecError:
                continue  # its own problems are said when it is linted
    return found
