"""Units run in processes of their own: memory returns, and a death is one record.

A network that was run leaves memory behind that the backend does not give back, so each
model that is run has a process to itself.  Static checks leave little: they share one,
and the networks of one paper that another paper's claims are about.

Processes are forked from a server that has imported Keras and done nothing with it, so
that a unit does not pay for the import; the parent never imports a backend.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from reference_checks.backend import quiet, start_keras
from reference_checks.device import Device, find
from reference_checks.errors import InputError
from reference_checks.load import Paper
from reference_checks.record import ENDED, Record, Verdict
from reference_checks.results import Network, keras_backend
from reference_checks.units import Options, Unit


@dataclass(frozen=True)
class Outcome:
    """What came of a unit: its records, or `problem` with the input in one line.

    `networks` are the measured ones that the records are about.  `complete` is whether
    it ran to its end, so that it need not run again.
    """

    unit: Unit
    records: tuple[Record, ...] = ()
    problem: str | None = None
    complete: bool = True
    networks: Mapping[str, Network] = field(default_factory=dict)


class ChildError(Exception):
    """A mistake of our own in another process, with the traceback from there."""


def run_units(
    units: Sequence[Unit], papers: Mapping[str, Paper], options: Options,
    processes: int, known: Mapping[str, Network] | None = None,
) -> Iterator[Outcome]:  # fmt: skip
    """The units' outcomes as they come, from so many processes; 0: from this one.

    `known` are networks that were measured before.

    Raises:
        InputError: the backend does not start.
        ChildError: a check failed by itself, in another process.
    """
    if processes == 0:
        start_keras()
        yield from _outcomes(units, papers, options)
        return
    jobs = _jobs(units, options, processes)
    with _Pool(papers, options, processes) as pool:
        yield from pool.run(jobs, known or {})


def find_device(kind: str, processes: int) -> Device:
    """The device of a kind that the backend sees, from where units will run.

    Raises:
        InputError: there is none, or the backend does not start.
    """
    if processes == 0:
        return _find(kind)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_find, kind).result()


def _find(kind: str) -> Device:
    start_keras()
    with quiet():
        return find(kind)


def run_alone(unit: Unit, papers: Mapping[str, Paper], options: Options) -> Outcome:
    """The outcome of one unit, from a process of its own."""
    return next(run_units([unit], papers, options, processes=1))


def _outcomes(
    units: Sequence[Unit], papers: Mapping[str, Paper], options: Options
) -> Iterator[Outcome]:
    from reference_checks import checks
    from reference_checks.measured import measured
    from reference_checks.networks import Networks

    networks = Networks(papers)
    for unit in units:
        try:
            records = checks.run_unit(unit, networks, options)
        except InputError as error:
            yield Outcome(unit, problem=str(error), complete=False)
        except Exception:  # a mistake of our own is no reason to lose the others
            yield Outcome(unit, problem=traceback.format_exc(), complete=False)
        else:
            complete = all(r.check != ENDED for r in records)
            size = {}
            if unit.official is None and not unit.foreign:
                name = f"{unit.paper.stem}/{unit.variant}"
                size[name] = measured(networks, unit.paper, unit.variant)
            yield Outcome(unit, tuple(records), complete=complete, networks=size)


def _jobs(
    units: Sequence[Unit], options: Options, processes: int
) -> deque[tuple[Unit, ...]]:
    """Units that share a process: static ones in as many groups as there are processes."""
    runs = [unit for unit in units if options.runs(unit)]
    groups: list[list[Unit]] = [[] for _ in range(processes)]
    papers: dict[str, list[Unit]] = {}
    for unit in units:
        if not options.runs(unit):
            papers.setdefault(unit.paper.stem, []).append(unit)
    for paper in sorted(papers.values(), key=len, reverse=True):
        min(groups, key=len).extend(paper)
    static = [tuple(group) for group in groups if group]
    return deque([*static, *((unit,) for unit in runs)])


class _Pool:
    """As many processes as wanted, each with one job; a context that ends them all."""

    def __init__(
        self, papers: Mapping[str, Paper], options: Options, processes: int
    ) -> None:
        self.papers, self.options, self.processes = papers, options, processes
        self.running: dict[Connection, tuple[Any, deque[Unit]]] = {}
        self.context = multiprocessing.get_context("forkserver")
        # Other backends start threads when they are imported, which no fork survives.
        if keras_backend() == "tensorflow":
            self.context.set_forkserver_preload(["keras"])

    def __enter__(self) -> _Pool:
        # Each has its share of the cores: more threads than cores get in their own way.
        share = max(1, (os.cpu_count() or 1) // self.processes)
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(share))
        return self

    def __exit__(self, *_: object) -> None:
        for process, _left in self.running.values():
            process.kill()
            process.join()

    def run(
        self, jobs: deque[tuple[Unit, ...]], known: Mapping[str, Network]
    ) -> Iterator[Outcome]:
        """One process takes the largest network left, the others the smallest.

        The largest two do not fit into memory together.  How large they are is known, or
        the static jobs say it, which come first; else neighbours are of one paper, and
        one process takes them from the front, the others from the end.
        """
        large = None
        sizes = {name: network.params for name, network in known.items()}

        def size(job: tuple[Unit, ...]) -> float:
            return sizes.get(f"{job[0].paper.stem}/{job[0].variant}", math.inf)

        while jobs or self.running:
            while jobs and len(self.running) < self.processes:
                first = large not in self.running
                if not self.options.runs(jobs[0][0]):
                    job = jobs[0]
                elif first:
                    job = max(jobs, key=size)
                else:
                    job = min(reversed(jobs), key=size)
                jobs.remove(job)
                started = self._start(job)
                large = started if first else large
            for connection in wait(list(self.running)):
                process, left = self.running[connection]
                try:
                    outcome = connection.recv()
                except (EOFError, ConnectionResetError):
                    del self.running[connection]
                    process.join()
                    if left:  # its current unit is lost, the others are not
                        yield self._lost(left.popleft(), process.exitcode)
                    if left:
                        jobs.appendleft(tuple(left))
                    continue
                if isinstance(outcome, Exception):
                    raise outcome
                left.popleft()
                measured = outcome.networks.items()
                sizes.update({name: network.params for name, network in measured})
                yield outcome

    def _start(self, job: tuple[Unit, ...]) -> Connection:
        receiver, sender = self.context.Pipe(duplex=False)
        process = self.context.Process(
            target=_work, args=(sender, job, self.papers, self.options), daemon=True
        )
        with quiet():  # the server starts with the first process and keeps what it has
            process.start()
        sender.close()
        self.running[receiver] = (process, deque(job))
        return receiver

    def _lost(self, unit: Unit, exitcode: int | None) -> Outcome:
        if exitcode is not None and exitcode < 0:
            cause = f"died with signal {-exitcode}"
            if -exitcode == signal.SIGKILL:  # what Linux sends when memory is full
                cause = f"out of memory, or killed: {cause}"
        else:
            cause = f"its process ended with exit code {exitcode}"
        subject = "paper" if unit.official is None else unit.official.model
        record = Record(
            unit.paper.stem, unit.variant, subject, ENDED, Verdict.NOT_RUN, detail=cause
        )
        return Outcome(unit, (record,), complete=False)


def _work(
    sender: Connection,
    job: Sequence[Unit],
    papers: Mapping[str, Paper],
    options: Options,
) -> None:
    """In a process of its own: send each outcome as it comes, or what went wrong."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    with suppress(BrokenPipeError):  # the parent is gone
        try:
            start_keras()
            for outcome in _outcomes(job, papers, options):
                sender.send(outcome)
        except InputError as error:
            sender.send(InputError(str(error)))
        except Exception:
            sender.send(ChildError(traceback.format_exc()))
    sender.close()
    sys.stdout.flush()
    # Without the backend's own clean-up, which takes time and may fail.
    os._exit(0)
