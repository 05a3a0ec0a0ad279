"""Evidence: what runs on GPUs have recorded, beside the toolkit, one file for each device.

A file is a results file that says what its device is (`check --device gpu --evidence`).
It holds for the spec and the implementation that it was made with; it is shown afterwards,
too, and marked stale.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from reference_checks.device import Device
from reference_checks.record import Record
from reference_checks.results import Identity, Results, ResultsError

FOLDER = Path(__file__).parent / "evidence"


@dataclass(frozen=True)
class Evidence:
    """What one device has recorded of one variant.

    `digests` are those of spec, implementation, toolkit and Keras, by official model;
    `stale` is what has changed since, or empty.
    """

    device: Device
    date: str
    digests: dict[str, str]
    stale: str
    records: tuple[Record, ...]

    @property
    def title(self) -> str:
        return f"{self.device.name}, {self.date[:10]}"


def file_name(device: Device) -> str:
    """`nvidia_h100_80gb_hbm3_jax.json`."""
    said = f"{device.name} {device.backend}".lower()
    return "_".join(re.findall("[a-z0-9]+", said)) + ".json"


def read(path: Path | str) -> Results:
    """A file of evidence; raises ResultsError for anything else."""
    found = Results.read(path)
    if found.device is None:
        raise ResultsError(Path(path), "no evidence: it names no device")
    return found


def read_all(folder: Path | None = None) -> list[Results]:
    """The evidence of all GPUs; what a CPU has recorded is none.

    Raises:
        ResultsError: a file is damaged, or is no evidence.
    """
    found = [read(path) for path in sorted((folder or FOLDER).glob("*.json"))]
    return [results for results in found if results.device.kind == "gpu"]


def of(results: Results, known: list[Results]) -> dict[tuple[str, str], list[Evidence]]:
    """Evidence by paper and variant, held against the sources of these results."""
    found: dict[tuple[str, str], list[Evidence]] = {}
    for run in known:
        grouped: dict[tuple[str, str], list[Record]] = {}
        for record in run.records:
            grouped.setdefault((record.paper, record.variant), []).append(record)
        for (stem, variant), records in grouped.items():
            if stem not in results.papers:
                continue
            unit = f"{stem}/{variant}/"
            digests = {
                name.removeprefix(unit): digest
                for name, digest in run.done.items()
                if name.startswith(unit)
            }
            stale = _changed(run.papers[stem], results.papers[stem])
            date = str(run.environment.get("date", "no date"))
            entry = Evidence(run.device, date, digests, stale, tuple(records))
            found.setdefault((stem, variant), []).append(entry)
    return found


def _changed(before: Identity, now: Identity) -> str:
    parts = (("spec", "digest"), ("implementation", "source"))
    names = [n for n, key in parts if getattr(before, key) != getattr(now, key)]
    return " and ".join(names) and f"stale: the {' and '.join(names)} changed since"
