"""The pytest plugin: `pytest papers/resnet.yaml` collects one item for every claim.

Ids read `papers/resnet.yaml::resnet50::multiply_adds::Table 1`, so that -k, -x, -n and
JUnit work as everywhere.  Only what was checked and held passes: recorded results, what is
unexplained and what could not be run are skipped, with the reason, and counted apart in
the summary.  Each official model runs in a process of its own; with pytest-xdist's -n,
the items of a unit go to one worker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reference_checks.errors import InputError
from reference_checks.record import Record, Verdict

if TYPE_CHECKING:
    from reference_checks.load import Paper
    from reference_checks.units import Unit

OFFICIAL = (
    "deviation", "accounting", "structure", "rows", "transfer", "outputs", "activations",
    "coverage", "gradients", "training step",
)  # fmt: skip
COUNTS = pytest.StashKey[Counter]()
RUNS = pytest.StashKey[dict]()
NETWORKS = pytest.StashKey[dict]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "official: holds an official model against our implementation"
    )
    config.stash[COUNTS] = Counter()
    config.stash[RUNS] = {}
    config.stash[NETWORKS] = {}


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> SpecFile | None:
    """Specs: YAML files in a folder named papers."""
    if file_path.suffix == ".yaml" and file_path.parent.name == "papers":
        return SpecFile.from_parent(parent, path=file_path)
    return None


class SpecFile(pytest.File):
    """One paper; its items are known from the spec, before anything is built."""

    def collect(self) -> Iterator[Group | Check]:
        from reference_checks.load import load_all
        from reference_checks.problems import SpecError
        from reference_checks.units import select

        try:
            self.papers = load_all(self.path.parent)
        except SpecError as error:
            raise self.CollectError(str(error)) from None
        paper = {self.path.stem: self.papers[self.path.stem]}
        yield from _tree(self, [e for u in select(paper, ()) for e in _entries(u)])


class Group(pytest.Collector):
    """Items whose ids agree up to here: pytest finds an item by the parts of its id."""

    entries: list[Entry]

    def collect(self) -> Iterator[Group | Check]:
        yield from _tree(self, self.entries)


def _tree(
    parent: pytest.Collector, entries: Sequence[Entry]
) -> Iterator[Group | Check]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.parts[0], []).append(entry)
    for name, inside in groups.items():
        for entry in inside:
            if len(entry.parts) == 1:
                item = Check.from_parent(parent, name=name)
                item.entry = entry
                if entry.unit.official is not None:
                    item.add_marker("official")
                yield item
        deeper = [replace(e, parts=e.parts[1:]) for e in inside if len(e.parts) > 1]
        if deeper:
            group = Group.from_parent(parent, name=name)
            group.entries = deeper
            yield group


@dataclass(frozen=True)
class Entry:
    """An item to be: the rest of its id, and the records of the unit that are its own.

    These are those at a place in the spec, or else of a check, perhaps of one row.
    """

    parts: tuple[str, ...]
    unit: Unit
    key: tuple[str, ...]
    at: str | None = None

    def owns(self, record: Record) -> bool:
        if self.at is not None:
            return record.at == self.at
        return (record.check, record.row)[: len(self.key)] == self.key


def _entries(unit: Unit) -> Iterator[Entry]:
    from reference_checks.units import claims_of

    if unit.official is not None:
        for check in OFFICIAL:
            parts = (unit.variant, unit.official.model, check)
            yield Entry(parts, unit, (check,))
        return
    for name, row in (unit.table.rows if unit.table else {}).items():
        for check, there in (
            ("input size", row.input),
            ("output size", row.output),
            ("rows", row.columns),
        ):
            if there:
                parts = (unit.variant, check, name, unit.table.source)
                yield Entry(parts, unit, (check, name))
    for path, row, claim in claims_of(unit):
        parts = tuple(filter(None, (unit.variant, claim.quantity, row, claim.source)))
        yield Entry(parts, unit, (claim.quantity,), unit.paper.at(*path))


def _official(unit: Unit, papers: Mapping[str, Paper]) -> Sequence[Record]:
    """An official unit's records; one that did not run to its end is an error."""
    from reference_checks.processes import run_alone
    from reference_checks.units import Options

    outcome = run_alone(unit, papers, Options())
    if outcome.problem is not None:
        raise InputError(outcome.problem)
    if not outcome.complete:
        raise InputError(f"{unit.name}: {outcome.records[-1].detail}")
    return outcome.records


class Contradiction(Exception):
    """Records that fail, to be shown in two lines each."""


class Check(pytest.Item):
    """One claim, one row or one kind of official check."""

    entry: Entry

    def runtest(self) -> None:
        records = [record for record in self.records() if self.entry.owns(record)]
        self.config.stash[COUNTS].update(str(record.verdict) for record in records)
        failing = [r for r in records if r.verdict is Verdict.CONTRADICTED]
        if failing:
            raise Contradiction(failing)
        if not any(record.verdict.passes for record in records):
            first = records[0] if records else None
            said = (
                (str(first.verdict), first.detail) if first else ("nothing to check",)
            )
            pytest.skip(": ".join(filter(None, said)))

    def records(self) -> list[Record]:
        """The unit's records; a unit runs once, for all of its items."""
        runs: dict[str, Sequence[Record]] = self.config.stash[RUNS]
        unit, papers = self.entry.unit, self.getparent(SpecFile).papers
        if unit.name not in runs:
            if unit.official is not None:
                runs[unit.name] = _official(unit, papers)
            else:
                from reference_checks.checks import run_unit
                from reference_checks.networks import Networks
                from reference_checks.units import Options

                networks = self.config.stash[NETWORKS].setdefault(
                    self.path.parent, Networks(papers)
                )
                runs[unit.name] = run_unit(unit, networks, Options())
        return runs[unit.name]

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo, style: str | None = None
    ) -> str:
        if isinstance(excinfo.value, Contradiction):
            from reference_checks.report.verdicts import message

            return "\n".join("\n  ".join(message(r)) for r in excinfo.value.args[0])
        if isinstance(excinfo.value, InputError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        at = self.entry.at
        line = int(at.split(":")[-2]) - 1 if at else None
        return self.path, line, self.nodeid.partition("::")[2]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """The verdicts of all records, passes and what counts apart."""
    counts = config.stash[COUNTS]
    if counts:
        words = ", ".join(f"{n} {verdict}" for verdict, n in counts.most_common())
        terminalreporter.write_line(f"paperspec verdicts: {words}")


# pytest-xdist ----------------------------------------------------------------------


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any | None:
    """Items of an official model stay together, and the claims of a paper: one run each."""
    if config.option.dist != "load":  # whoever asked for another order gets it
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Units(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, *parts = nodeid.split("::")
            if not file.endswith(".yaml"):
                return nodeid
            official = len(parts) > 1 and ":" in parts[1]
            return "::".join([file, *parts[:2]]) if official else file

    return Units(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """The summary counts the verdicts of all workers."""
    counts = getattr(node, "workeroutput", {}).get("paperspec", {})
    node.config.stash[COUNTS].update(counts)


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["paperspec"] = dict(session.config.stash[COUNTS])
