"""The results file: every record of a run, the papers they are about, and where it ran.

Checks emit records, and everything that is shown is rendered from this one file.  It is
written whole and atomically, after every network that is run, static checks once a second,
so an interrupted run resumes: a unit whose digest stands under `done` need not run again.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from reference_checks.device import Device
from reference_checks.errors import InputError
from reference_checks.measured import Network
from reference_checks.record import Record, Verdict
from reference_checks.spec import Deviation, Erratum, OneSource, Silent
from reference_checks.whole_file import whole_file

if TYPE_CHECKING:
    from reference_checks.load import Paper

# What was added since has defaults, so that files of the first version still read.
SCHEMA = 1
MAX_BYTES = 256 * 1024**2
MAX_DEPTH = 16
PACKAGES = (
    "paperspec",
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "jax",
    "torch",
    "keras-cv",
    "keras-hub",
    "tf-keras",
    "tensorflow-hub",
    "numpy",
)

# Line breaks and tabs stay.  What drives a terminal, breaks XML or turns the direction
# of the text around does not.
UNPRINTABLE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
    "|[\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)

# Each stem names a page, and `index.html` is taken.
Stem = Annotated[str, msgspec.Meta(pattern=r"^(?!index\Z)[a-z][a-z0-9_]*\Z")]
Scalar = str | int | float | bool | None


class ResultsError(InputError):
    """A results file that cannot be read or written; one line that says why."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(" ".join(UNPRINTABLE.sub("", f"{path}: {reason}").split()))


@dataclass(frozen=True)
class Identity:
    """What a report says about a paper besides its records.

    `variants` maps an id to the paper's own name for it; `digest` is that of the spec;
    `source` is the text of the implementation.
    """

    title: str
    authors: list[str]
    year: int
    venue: str
    idea: str
    limits: str
    digest: str
    url: str | None = None
    no_official: str | None = None
    variants: Mapping[str, str] = field(default_factory=dict)
    silent: list[Silent] = field(default_factory=list)
    one_source: list[OneSource] = field(default_factory=list)
    deviations: Mapping[str, Deviation] = field(default_factory=dict)
    errata: Mapping[str, Erratum] = field(default_factory=dict)
    source: str = ""


def identity(paper: Paper) -> Identity:
    """The part of a spec that reports show, and its implementation."""
    spec = paper.spec
    arxiv = f"https://arxiv.org/abs/{spec.arxiv}" if spec.arxiv else None
    return Identity(
        title=spec.title,
        authors=spec.authors,
        year=spec.year,
        venue=spec.venue,
        idea=spec.idea,
        limits=spec.limits,
        digest=paper.digest,
        url=spec.url or arxiv,
        no_official=spec.no_official,
        variants={id: variant.name for id, variant in spec.variants.items()},
        silent=spec.silent,
        one_source=spec.one_source,
        deviations=spec.deviations,
        errata=spec.errata,
        source=paper.source,
    )


@dataclass(frozen=True)
class Results:
    """One run: `papers` by stem, `done` from unit to digest, `records` in order.

    A unit is `resnet/resnet50/keras:ResNet50`, or a leading part of it (`resnet`);
    `networks` is what was measured of each variant beside its claims (`resnet/resnet50`);
    `device` is what a run on a device (`check --device`) was made with.
    Raises ValueError where a record is about a paper that is not listed.
    """

    environment: Mapping[str, Scalar | Mapping[str, Scalar]]
    papers: Mapping[Stem, Identity]
    done: Mapping[str, str]
    records: tuple[Record, ...]
    networks: Mapping[str, Network] = field(default_factory=dict)
    device: Device | None = None

    def __post_init__(self) -> None:
        for number, record in enumerate(self.records):
            if record.paper not in self.papers:
                raise ValueError(f"records[{number}]: no paper {record.paper!r}")

    def is_done(self, unit: str, digest: str) -> bool:
        """Whether the unit has run on exactly these sources."""
        return self.done.get(unit) == digest

    def with_unit(
        self, unit: str, digest: str | None, records: Iterable[Record],
        networks: Mapping[str, Network] | None = None,
    ) -> Results:  # fmt: skip
        """These results with the unit's records in place of those it had before.

        Without a digest it counts as not done: it did not run to its end.

        Raises ValueError where a record is of another unit: a later run of this one
        could not replace it.
        """
        new = tuple(records)
        for record in new:
            if not _within(unit, record):
                raise ValueError(f"{record.id}: not of unit {unit}")
        kept = tuple(record for record in self.records if not _within(unit, record))
        done = {name: known for name, known in self.done.items() if name != unit}
        done |= {} if digest is None else {unit: digest}
        networks = {**self.networks, **(networks or {})}
        return replace(self, done=done, records=kept + new, networks=networks)

    def ordered(self, units: Iterable[str]) -> Results:
        """The same in the order of these units, whichever of them ended first."""
        places = {unit: place for place, unit in enumerate(units)}

        def place(*names: str) -> int:
            return places.get("/".join(names), -1)

        records = sorted(
            self.records, key=lambda r: place(r.paper, r.variant, r.subject)
        )
        networks = sorted(
            self.networks.items(), key=lambda item: place(item[0], "paper")
        )
        return replace(self, records=tuple(records), networks=dict(networks))

    def joined(self, other: Results) -> Results:
        """Both runs as one: papers of `other` take the place of ours of the same stem."""
        papers = {**self.papers, **other.papers}
        mine = [record for record in self.records if record.paper not in other.papers]

        def parted(ours: Mapping, theirs: Mapping) -> dict:
            """What is kept by names that begin with a stem."""
            kept = {
                k: v for k, v in ours.items() if k.split("/")[0] not in other.papers
            }
            return {**kept, **theirs}

        return Results(
            other.environment,
            dict(sorted(papers.items())),
            parted(self.done, other.done),
            (*mine, *other.records),
            parted(self.networks, other.networks),
        )

    def plain(self) -> Results:
        """The same, fit to be written and shown.

        Control characters and lone surrogates are gone, NaN and infinities (which JSON
        has no words for) are text, NumPy scalars are numbers.
        """
        builtins = msgspec.to_builtins(self, enc_hook=lambda scalar: scalar.item())
        return msgspec.convert(_plain(builtins), Results)

    def write(self, path: Path | str) -> None:
        """Write the file whole or not at all; raises ResultsError."""
        data = msgspec.json.encode(
            {"schema": SCHEMA, **msgspec.to_builtins(self.plain())}
        )
        save(path, msgspec.json.format(data, indent=1))

    @staticmethod
    def read(path: Path | str) -> Results:
        """Read what `write` wrote; raises ResultsError for anything else."""
        path = Path(path)
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES:,} bytes")
            content = msgspec.json.decode(data, type=dict)
            schema = content.get("schema")
            if schema != SCHEMA:
                found = json.dumps(schema)[:40] if "schema" in content else "none"
                raise ValueError(f"schema {found}; this version reads {SCHEMA}")
            return msgspec.convert(content, Results).plain()
        except OSError as error:
            raise ResultsError(path, error.strerror) from None
        except RecursionError:
            raise ResultsError(path, "nested too deeply") from None
        except ValueError as error:
            raise ResultsError(path, error) from None


def save(path: Path | str, data: bytes) -> None:
    """Replace a file in one step, so that a reader sees the old one or the new one.

    Missing folders are made.  Raises ResultsError.
    """
    try:
        with whole_file(Path(path)) as file:
            file.write(data)
    except OSError as error:
        raise ResultsError(path, f"cannot be written: {error.strerror}") from None


def environment(
    backend: str | None = None, device: str | None = None
) -> dict[str, str | dict[str, str]]:
    """What the run depends on, found without importing any of it."""
    from importlib import metadata  # slow, and reading results does not need it

    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    found = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "backend": backend or keras_backend(),
        "packages": versions,
    }
    return found | ({"device": device} if device else {})


def keras_backend() -> str:
    """The backend Keras would choose, by the rules of keras/src/backend/config.py."""
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    try:
        configured = json.loads((home / "keras.json").read_bytes()).get("backend")
    except (OSError, ValueError, AttributeError):
        configured = None
    return os.environ.get("KERAS_BACKEND") or configured or "tensorflow"


def counts(records: Iterable[Record]) -> Counter[Verdict]:
    """How many records have each verdict."""
    return Counter(record.verdict for record in records)


def passes(records: Iterable[Record]) -> int:
    """How many were checked and held; never one that was not run or not explained."""
    return sum(record.verdict.passes for record in records)


def failed(records: Iterable[Record]) -> list[Record]:
    """The contradicted records, in their order."""
    return [record for record in records if record.verdict is Verdict.CONTRADICTED]


FIRST = (Verdict.CONTRADICTED, Verdict.UNEXPLAINED, Verdict.NOT_RUN)


def urgency(record: Record) -> int:
    """Sorting key: failures, then unexplained, then not run, then the rest."""
    return FIRST.index(record.verdict) if record.verdict in FIRST else len(FIRST)


def in_order(records: Iterable[Record]) -> list[Record]:
    """The records by urgency, otherwise in their order."""
    return sorted(records, key=urgency)


def _within(unit: str, record: Record) -> bool:
    # A subject may hold slashes itself (`file:models/a.keras`), so split twice at most.
    parts = unit.split("/", 2)
    return parts == [record.paper, record.variant, record.subject][: len(parts)]


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        return UNPRINTABLE.sub("", value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {_plain(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    return value
