"""The pytest plugin: `pytest papers/resnet.yaml` collects one item for every claim.

Ids read `papers/resnet.yaml::resnet50::multiply_adds::Table 1`, so that -k, -x, -n and
JUnit work as everywhere.  Only what was checked and held passes: recorded results, what is
unexplained and what could not be run are skipped, with the reason, and counted apart in
the summary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from reference_checks.record import Record, Verdict

OFFICIAL = (
    "deviation", "accounting", "structure", "rows", "transfer", "outputs", "activations",
)  # fmt: skip
COUNTS = pytest.StashKey[Counter]()
RUNS = pytest.StashKey[dict]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "official: holds an official model against our implementation"
    )
    config.stash[COUNTS] = Counter()
    config.stash[RUNS] = {}


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> SpecFile | None:
    """Specs: YAML files in a folder named papers."""
    if file_path.suffix == ".yaml" and file_path.parent.name == "papers":
        return SpecFile.from_parent(parent, path=file_path)
    return None


class SpecFile(pytest.File):
    """One paper; its items are known from the spec, before anything is built."""

    def collect(self) -> Iterator[Check]:
        from reference_checks.checks import Networks, claims_of, select
        from reference_checks.load import SpecError, load_all

        try:
            papers = load_all(self.path.parent)
        except SpecError as error:
            raise self.CollectError("\n".join(map(str, error.problems))) from None
        self.networks = Networks(papers)
        for unit in select({self.path.stem: papers[self.path.stem]}, ()):
            if unit.official is not None:
                for check in OFFICIAL:
                    yield self.item(unit, f"{unit.official.model}::{check}", (check,))
                continue
            for name, row in (unit.table.rows if unit.table else {}).items():
                for check, there in (
                    ("input size", row.input),
                    ("output size", row.output),
                    ("rows", row.columns),
                ):
                    if there:
                        label = f"{check}::{name}::{unit.table.source}"
                        yield self.item(unit, label, (check, name))
            for path, row, claim in claims_of(unit):
                label = "::".join(filter(None, (claim.quantity, row, claim.source)))
                at = unit.paper.at(*path)
                yield self.item(unit, label, (claim.quantity,), at)

    def item(
        self, unit: object, label: str, key: tuple[str, ...], at: str | None = None
    ) -> Check:
        item = Check.from_parent(self, name=f"{unit.variant}::{label}")
        item.unit, item.key, item.at = unit, key, at
        if unit.official is not None:
            item.add_marker("official")
        return item


class Contradiction(Exception):
    """Records that fail, to be shown in two lines each."""


class Check(pytest.Item):
    """One claim, one row or one kind of official check."""

    unit: object
    key: tuple[str, ...]
    at: str | None

    def runtest(self) -> None:
        records = [record for record in self.records() if self.mine(record)]
        self.config.stash[COUNTS].update(str(record.verdict) for record in records)
        failing = [r for r in records if r.verdict is Verdict.CONTRADICTED]
        if failing:
            raise Contradiction(failing)
        if not any(record.verdict.passes for record in records):
            first = records[0] if records else None
            reason = f"{first.verdict}: {first.detail}" if first else "nothing to check"
            pytest.skip(reason)

    def mine(self, record: Record) -> bool:
        if self.at is not None:
            return record.at == self.at
        return (record.check, record.row)[: len(self.key)] == self.key

    def records(self) -> list[Record]:
        """The unit's records; a unit runs once, for all of its items."""
        from reference_checks.checks import Options, run_unit

        runs: dict[str, list[Record]] = self.config.stash[RUNS]
        if self.unit.name not in runs:
            runs[self.unit.name] = run_unit(self.unit, self.parent.networks, Options())
        return runs[self.unit.name]

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo, style: str | None = None
    ) -> str:
        from reference_checks.models import ModelError

        if isinstance(excinfo.value, Contradiction):
            from reference_checks.report.verdicts import message

            return "\n".join("\n  ".join(message(r)) for r in excinfo.value.args[0])
        if isinstance(excinfo.value, ModelError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        line = int(self.at.split(":")[-2]) - 1 if self.at else None
        return self.path, line, self.name


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """The verdicts of all records, passes and what counts apart."""
    counts = config.stash[COUNTS]
    if counts:
        words = ", ".join(f"{n} {verdict}" for verdict, n in counts.most_common())
        terminalreporter.write_line(f"paperspec verdicts: {words}")
