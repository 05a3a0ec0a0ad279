"""The command `mutate`: what would the checks have caught?"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from reference_checks.backend import start_keras
from reference_checks.cli.common import console, load_papers, select
from reference_checks.errors import InputError, nearest

if TYPE_CHECKING:
    from reference_checks.mutate.matrix import Result


def mutate(arguments: argparse.Namespace) -> int:
    papers = load_papers(arguments)
    units = [unit for unit in select(papers, arguments.select) if unit.official]
    if not arguments.select:  # one of each paper: the others are widths of it
        units = list({unit.paper.stem: unit for unit in reversed(units)}.values())[::-1]
    if not units:
        raise InputError("no variant of these has an official model to be held against")
    start_keras()
    from reference_checks.models import NotAvailable
    from reference_checks.mutate import MUTATIONS
    from reference_checks.mutate.chain import Chain
    from reference_checks.mutate.matrix import measure
    from reference_checks.mutate.page import page, scores
    from reference_checks.mutate.weights import WEIGHTS
    from reference_checks.networks import Networks

    classes = [*MUTATIONS, *WEIGHTS]
    if arguments.list:
        for name in classes:
            what = MUTATIONS[name].what if name in MUTATIONS else "values misplaced"
            print(f"{name}: {what}")
        return 0
    for name in arguments.classes or ():
        if name not in classes:
            raise InputError(f"no class {name!r}: {nearest(name, classes)}")
    terminal = console(stderr=arguments.json == "-")
    results: list[Result] = []
    for unit in units:
        # One network at a time: another paper's graphs and weights are not needed.
        chain = Chain(Networks(papers), unit.paper, unit.variant, unit.official)
        try:
            chain.theirs  # noqa: B018
        except NotAvailable as missing:
            terminal.print(f"{unit.name}: not run: {missing}")
            continue
        found = list(
            measure(
                chain, arguments.classes or classes, arguments.sites, arguments.seed,
                not arguments.static,
            )
        )  # fmt: skip
        results += found
        terminal.print(f"{unit.name}: {_line(scores(found))}")
        for result in found:
            if result.status == "missed" or not result.located:
                terminal.print("  " + _rest(result), markup=False)
    if not results:
        raise InputError("none of these classes applies, or no official model is there")
    terminal.print(f"all: {_line(scores(results))}")
    _write(arguments, results, page)
    return 1 if any(result.status == "missed" for result in results) else 0


def _line(cells: dict[str, tuple[int, int]]) -> str:
    return ", ".join(f"{name} {n} of {total}" for name, (n, total) in cells.items())


def _rest(result: Result) -> str:
    if result.status != "detected":
        return f"{result.status}: {result.mutation} at {result.site}"
    names = ", ".join(result.named[:4]) or "nothing"
    return f"not located: {result.mutation} at {result.site}; named: {names}"


def _write(arguments: argparse.Namespace, results: list[Result], page: Any) -> None:
    from reference_checks.results import save

    if arguments.json:
        data = {
            "sites": arguments.sites,
            "seed": arguments.seed,
            "mutants": [result.as_dict() for result in results],
        }
        text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
        if arguments.json == "-":
            print(text, end="")
        else:
            save(arguments.json, text.encode())
    if arguments.markdown:
        text = page(results, arguments.sites, arguments.seed)
        save(arguments.markdown, text.encode())
