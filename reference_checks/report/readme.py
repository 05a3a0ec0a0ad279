"""The README's table of networks, between its two marks, from a results file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from reference_checks.errors import InputError
from reference_checks.measured import Network
from reference_checks.record import Record, Verdict
from reference_checks.report.markdown import table
from reference_checks.report.verdicts import ABSENT, one_line, show
from reference_checks.results import Results, in_order, passes, save

BEGIN = "<!-- networks: paperspec report --from FILE --readme README.md -->"
END = "<!-- networks end -->"
HEADS = (
    "paper", "network", "parameters: printed", "measured", "multiply-adds: printed",
    "measured", "rows", "official model", "deviations", "structure", "transfer", "outputs",
)  # fmt: skip


def write(results: Results, path: Path) -> None:
    """Put the table between the marks of the file.

    Papers that the results say nothing about keep the rows that they have.

    Raises:
        InputError: the file cannot be read or written, or has not both marks once.
    """
    text = _read(path)
    before, begin, rest = text.partition(BEGIN)
    block, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in after:
        raise InputError(f"{path}: write {BEGIN} and {END} around the table, once")
    new = [line for line in table(HEADS, rows(results.plain())) if line]
    if not new:
        raise InputError("the results say nothing about any network")
    old = [line for line in block.splitlines() if line]
    told = {_paper(line) for line in new}
    kept = [line for line in old[2:] if _paper(line) not in told]
    lines = [*new[:2], *sorted(new[2:] + kept, key=_paper), ""]
    save(path, "\n".join([before + BEGIN, "", *lines, END + after]).encode())


def _paper(line: str) -> str:
    """The first cell of a row."""
    return line.split(" | ", 1)[0]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def rows(results: Results) -> Iterator[tuple[str, ...]]:
    """A row for every official model of a network, or one where it has none."""
    found: dict[tuple[str, str], dict[str, list[Record]]] = {}
    for record in results.records:
        if record.variant in results.papers[record.paper].variants:
            subjects = found.setdefault((record.paper, record.variant), {})
            subjects.setdefault(record.subject, []).append(record)
    for (paper, variant), subjects in found.items():
        own = subjects.pop("paper", [])
        for subject, records in (subjects or {ABSENT: []}).items():
            cells = _own(own, results.networks.get(f"{paper}/{variant}"))
            yield (paper, variant, *cells, subject, *_official(records))


def _own(records: list[Record], network: Network | None) -> Iterator[str]:
    """What the paper prints about the whole network, and the verdict furthest from a pass.

    What it does not print is measured all the same.
    """
    for check in ("params", "multiply_adds"):
        whole = in_order(r for r in records if r.check == check and r.row is None)
        judged = [r for r in whole if r.measured is not None]
        if judged:
            yield one_line(judged[0].printed)
            yield f"{show(judged[0].measured)}, {judged[0].verdict}"
        else:
            yield ABSENT
            yield ABSENT if network is None else show(getattr(network, check))
    checked = [record for record in records if record.check == "rows"]
    yield f"{passes(checked)}/{len(checked)}" if checked else ABSENT


def _official(records: list[Record]) -> Iterator[str]:
    names = [
        f"{record.claim}" + ("" if record.verdict.passes else f" ({record.verdict})")
        for record in records
        if record.check == "deviation"
    ]
    yield ", ".join(names) or ABSENT
    for check in ("structure", "transfer", "outputs"):
        yield _worst(record.verdict for record in records if record.check == check)


def _worst(verdicts: Iterable[Verdict]) -> str:
    """A verdict that does not pass, or the last one, which proves the most.

    That sixteen bits have no verdict takes nothing from float64's.
    """
    every = list(verdicts)
    found = [v for v in every if v is not Verdict.NO_VERDICT] or every
    return str(next((v for v in found if not v.passes), found[-1])) if found else ABSENT
