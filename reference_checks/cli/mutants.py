"""The command `mutate`: what would the checks have caught?"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING

from reference_checks.backend import start_keras
from reference_checks.cli.common import console, load_papers, select
from reference_checks.errors import InputError, nearest

if TYPE_CHECKING:
    from reference_checks.mutate.kept import Part
    from reference_checks.mutate.result import Result


def mutate(arguments: argparse.Namespace) -> int:
    papers = load_papers(arguments)
    units = [unit for unit in select(papers, arguments.select) if unit.official]
    if not units:
        raise InputError("no variant of these has an official model to be held against")
    start_keras()
    from reference_checks.mutate import MUTATIONS
    from reference_checks.mutate.kept import Mutants, Plan
    from reference_checks.mutate.page import page
    from reference_checks.mutate.runs import key, representatives, run
    from reference_checks.mutate.weights import WEIGHTS
    from reference_checks.results import save

    classes = [*MUTATIONS, *WEIGHTS]
    if arguments.list:
        for name in classes:
            what = MUTATIONS[name].what if name in MUTATIONS else "values misplaced"
            print(f"{name}: {what}")
        return 0
    for name in arguments.classes or ():
        if name not in classes:
            raise InputError(f"no class {name!r}: {nearest(name, classes)}")
    if not arguments.select:
        units = representatives(papers, units)
    chosen = tuple(arguments.classes or classes)
    plan = Plan(chosen, arguments.sites, arguments.seed, arguments.static)
    terminal = console(stderr=arguments.json == "-")
    path = Path(arguments.json) if arguments.json and arguments.json != "-" else None
    before = Mutants(plan)
    if arguments.resume:
        if path is None:
            raise InputError("--resume goes on with what --json FILE has kept")
        before = Mutants.read(path) if path.exists() else before
    done: dict[str, Part] = {}
    for unit in units:
        part = before.part(unit.name)
        if part is not None and part.digest == key(unit, plan) and not part.missing:
            done[unit.name] = part
    left = [unit for unit in units if unit.name not in done]

    def found() -> Mutants:
        """What is done, in the order of the papers."""
        return Mutants(plan, tuple(done[u.name] for u in units if u.name in done))

    died = False
    try:
        for part in run(papers, left, plan, arguments.processes or 0):
            done[part.unit] = part
            if path is not None:
                found().write(path)
            for line in _told(part):
                terminal.print(line, markup=False)
    except BrokenProcessPool:
        terminal.print("a process died, perhaps for want of memory; --resume goes on")
        died = True
    matrix = found()
    if not matrix.results:
        raise InputError("none of these classes applies, or no official model is there")
    terminal.print(f"all: {_line(matrix.results)}")
    if arguments.json == "-":
        print(matrix.text().decode(), end="")
    if arguments.markdown:
        save(arguments.markdown, page(matrix).encode())
    if died:
        return 3
    return 1 if any(result.status == "missed" for result in matrix.results) else 0


def _told(part: Part) -> Iterator[str]:
    """What a person is told of a network when it is done."""
    if part.missing:
        yield f"{part.unit}: not run: {part.missing}"
        return
    yield f"{part.unit}: {_line(part.mutants)}; {part.cpu:.0f} s"
    for result in part.mutants:
        if result.status != "equivalent" and not result.found:
            yield "  " + _rest(result)


def _line(results: Sequence[Result]) -> str:
    from reference_checks.mutate.result import scores

    cells = scores(results)
    return ", ".join(f"{name} {n} of {total}" for name, (n, total) in cells.items())


def _rest(result: Result) -> str:
    if result.status != "detected":
        return f"{result.status}: {result.mutation} at {result.site}"
    names = ", ".join(result.named[:4]) or "nothing"
    return f"not located: {result.mutation} at {result.site}; named: {names}"
