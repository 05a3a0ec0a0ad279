"""The matrix of many networks: one of each paper, in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from time import process_time

from reference_checks.backend import start_keras
from reference_checks.errors import InputError
from reference_checks.load import Paper
from reference_checks.mutate.kept import Part, Plan
from reference_checks.units import Unit

SOURCES = Path(__file__).parents[1]
SHOWN = {"cli", "report"}
"""Folders of the toolkit that only show what is found."""


def representatives(papers: Mapping[str, Paper], units: Sequence[Unit]) -> list[Unit]:
    """One official model of each paper: that of the variant with the fewest multiply-adds.

    Variants whose layer table the paper prints come first; others are its widths.
    """
    from reference_checks.measure import multiply_adds
    from reference_checks.networks import Networks

    networks = Networks(papers)
    of: dict[str, list[Unit]] = {}
    for unit in units:
        of.setdefault(unit.paper.stem, []).append(unit)

    def size(unit: Unit) -> tuple[bool, int]:
        printed = Unit(unit.paper, unit.variant).table is not None
        return not printed, multiply_adds(networks.graph(unit.paper, unit.variant))

    return [group[0] if len(group) == 1 else min(group, key=size) for group in of.values()]  # fmt: skip


def run(
    papers: Mapping[str, Paper], units: Sequence[Unit], plan: Plan, processes: int
) -> Iterator[Part]:
    """The parts as they are done; with `processes`, so many at a time beside this one.

    Raises:
        BrokenProcessPool: a process died; what was done before is done.
    """
    if not processes:
        yield from (measured(papers, unit, plan) for unit in units)
        return
    share = str(max(1, (os.cpu_count() or 1) // processes))
    for name in ("TF_NUM_INTRAOP_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, share)
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(processes, context, max_tasks_per_child=1) as pool:
        left = {pool.submit(measured, papers, unit, plan) for unit in units}
        try:
            while left:
                done, left = wait(left, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            for future in left:
                future.cancel()


def measured(papers: Mapping[str, Paper], unit: Unit, plan: Plan) -> Part:
    """The mutants of one network."""
    start_keras()
    from reference_checks.mutate.chain import Chain
    from reference_checks.mutate.matrix import measure
    from reference_checks.networks import Networks

    start = process_time()
    about = unit.name, key(unit, plan)
    chain = Chain(Networks(papers), unit.paper, unit.variant, unit.official)
    try:
        found = measure(chain, plan.classes, plan.sites, plan.seed, not plan.static)
        mutants = tuple(found)
    except InputError as missing:  # the others can be had all the same
        return Part(*about, missing=str(missing))
    return Part(*about, mutants, cpu=round(process_time() - start, 1))


def key(unit: Unit, plan: Plan) -> str:
    """What a network's part depends on: the spec, the sources that check, and the plan."""
    what = (unit.paper.digest, unit.name, version("keras"), repr(plan))
    hashed = sha256(repr(what).encode())
    for source in (unit.paper.implementation, *sorted(SOURCES.rglob("*.py"))):
        if source.is_file() and source.parent.name not in SHOWN:
            hashed.update(source.read_bytes())
    return hashed.hexdigest()[:16]
