"""Units are run one after the other: what is done is written, what is left is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from reference_checks.cli.common import console
from reference_checks.load import Paper

SELDOM = 1.0
"""Seconds between writing the results of static checks: all results are written each time."""


def run(
    units: Sequence[Any], papers: Mapping[str, Paper], options: Any, results: Any,
    path: Path | None, processes: int,
) -> tuple[Any, list[str], bool]:  # fmt: skip
    """The units' records added to the results, written as they come, at last in order.

    A network that was run is written at once; of static checks, a kill may cost a second.

    Also what is wrong with the input, and whether all units ran to their end.
    """
    from reference_checks.units import digest

    digests = {unit.name: digest(unit, options) for unit in units}
    waiting = [u for u in units if not results.is_done(u.name, digests[u.name])]
    if not waiting:
        return results, [], True
    from reference_checks.processes import run_units

    errors, complete = [], True
    start = written = monotonic()
    took: dict[bool, list[float]] = {True: [], False: []}
    ahead = Counter(map(options.runs, waiting))
    terminal = console(stderr=True)
    with _progress(terminal) as progress:
        task = progress.add_task("", total=len(waiting))
        try:
            outcomes = run_units(waiting, papers, options, processes, results.networks)
            for number, outcome in enumerate(outcomes, start=1):
                name, runs = outcome.unit.name, options.runs(outcome.unit)
                took[runs].append(sum(record.seconds for record in outcome.records))
                ahead[runs] -= 1
                said = name + left(monotonic() - start, took, ahead)
                progress.update(task, description=said, advance=1)
                if not terminal.is_terminal:  # a log shows lines, not bars
                    terminal.print(f"[{number}/{len(waiting)}] {said}", markup=False)
                if outcome.problem is not None:
                    errors.append(f"{name}: {outcome.problem}")
                    said = f"paperspec: {errors[-1]}"
                    terminal.print(said, markup=False, soft_wrap=True)
                    continue
                complete &= outcome.complete
                known = digests[name] if outcome.complete else None
                results = results.with_unit(
                    name, known, outcome.records, outcome.networks
                )
                if path is not None and (runs or monotonic() - written >= SELDOM):
                    results.write(path)
                    written = monotonic()
        except KeyboardInterrupt:
            if path is not None:
                kept = len(results.done)
                terminal.print(f"{kept} units are kept in {path}; go on with --resume")
            raise
        finally:
            results = results.ordered(unit.name for unit in units)
            if path is not None:
                results.write(path)
    return results, errors, complete


def left(
    elapsed: float, took: Mapping[bool, Sequence[float]], ahead: Mapping[bool, int]
) -> str:
    """How long the rest takes, if each kind of unit goes on so; nothing, after the last.

    `took` are the seconds of each unit that is done, and `ahead` the number of those that
    are not, by whether they run a network: such a unit takes many times as long, and most
    of them come late, so that before the first of them no time can be said.
    """
    if ahead[True] and not took[True]:
        networks = "network" + "s" * (ahead[True] != 1)
        return f", {ahead[True]} {networks} still to be run"
    if not any(ahead.values()):
        return ""
    rest = sum(ahead[runs] * sum(t) / max(len(t), 1) for runs, t in took.items())
    together = sum(map(sum, took.values())) or 1  # over `elapsed` where side by side
    minutes, seconds = divmod(round(elapsed * rest / together), 60)
    return f", about {minutes} min left" if minutes else f", about {seconds} s left"


def _progress(terminal: Any) -> Any:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
        BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.description}"), console=terminal, transient=True,
        disable=not terminal.is_terminal,
    )  # fmt: skip
