"""Specs from disk: read strictly, validated, with a position for every value.

A spec is untrusted input: nothing in it is run, and whatever is wrong is a `Problem`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import msgspec

from reference_checks.kept import Kept
from reference_checks.problems import Problem, SpecError, Where, shown
from reference_checks.spec import MAX_BYTES, Spec

STEM = re.compile(r"[a-z][a-z0-9_]*")
MAX_PROBLEMS = 100
READERS = ("spec.py", "spec_yaml.py")
"""The sources that decide what a text means and what is refused."""


@dataclass(frozen=True)
class Paper:
    """A spec as read from `path`.

    `marks` gives the 1-based line and column of the value at each path of keys, as in
    ("variants", "resnet50", "claims", 0, "printed").
    """

    stem: str
    path: Path
    spec: Spec
    text: str = field(repr=False)

    @cached_property
    def marks(self) -> Mapping[Where, tuple[int, int]]:
        from reference_checks.spec_yaml import places  # few runs ask

        return places(self.text)[0]

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the text."""
        return sha256(self.text.encode()).hexdigest()

    @property
    def implementation(self) -> Path:
        """`implementations/<stem>.py` beside the folder of the spec."""
        root = self.path.resolve().parent.parent
        return root / "implementations" / f"{self.stem}.py"

    @property
    def source(self) -> str:
        """The text of the implementation; empty, where there is none."""
        file = self.implementation
        return file.read_text(errors="replace") if file.is_file() else ""

    def mark(self, *where: str | int) -> tuple[int, int]:
        """Line and column of a value, or of the nearest thing around it."""
        while where not in self.marks:
            where = where[:-1]
        return self.marks[where]

    def at(self, *where: str | int) -> str:
        """Where a value stands, as "papers/resnet.yaml:41:9"."""
        line, column = self.mark(*where)
        return f"{shown(self.path)}:{line}:{column}"

    def inside(self, where: Where, value: str, offset: int) -> tuple[int, int]:
        """Line and column of the character at `offset` of the string at `where`.

        Folding changes white space only, so that it is enough to count the rest.
        """
        line, column = self.mark(*where)
        lines = self.text.splitlines()[line - 1 :]
        start = column - 1
        match lines[0][start : start + 1]:
            case "|" | ">":
                start = len(lines[0])
            case "'" | '"':
                start += 1
        ended = not value[offset:].strip()  # then it is the place after the last one
        before = len("".join(value[:offset].split())) - ended
        for number, content in enumerate(lines):
            for position in range(start, len(content)):
                if not content[position].isspace():
                    if before == 0:
                        return line + number, position + 1 + ended
                    before -= 1
            start = 0
        return line, column


def discover(folder: Path) -> dict[str, Path]:
    """The specs in a folder, by stem.

    Raises:
        SpecError: a file's name is no stem, so that no module could be named after it.
    """
    paths = sorted(folder.glob("*.yaml"))
    problems = [
        Problem(path, 1, 1, "rename the file: small letters, digits and _ only")
        for path in paths
        if not STEM.fullmatch(path.stem)
    ]
    if problems:
        raise SpecError(problems)
    return {path.stem: path for path in paths}


def load(path: Path) -> Paper:
    """The spec at `path`, validated against the schema.

    Raises:
        SpecError: with all problems found.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError([Problem(path, 1, 1, f"cannot be read: {reason}")]) from None
    kept = Kept(path.stem, READERS, data)
    spec = kept.get(Spec)
    if spec is None:
        spec = _read(path, data)
        kept.put(spec)
    return Paper(path.stem, path, spec, data.decode())


def load_all(folder: Path) -> dict[str, Paper]:
    """All specs of a folder, by stem.

    Raises:
        SpecError: with every problem of every spec.
    """
    papers, problems = {}, []
    for stem, path in discover(folder).items():
        try:
            papers[stem] = load(path)
        except SpecError as error:
            problems.extend(error.problems)
    if problems:
        raise SpecError(problems)
    return papers


def _read(path: Path, data: bytes) -> Spec:
    """The spec in `data`, the contents of `path`."""
    from reference_checks.spec_yaml import Reader

    reader = Reader(path)
    content = reader.read(data)
    if reader.complete:
        try:
            spec = msgspec.convert(content, Spec)
        except msgspec.ValidationError:
            reader.validate(content)  # it says what is wrong, more slowly
    if reader.problems:
        raise SpecError(_first(sorted(reader.problems)))
    return spec


def _first(problems: list[Problem]) -> list[Problem]:
    """As many as anyone reads."""
    more = len(problems) - MAX_PROBLEMS
    if more <= 0:
        return problems
    last = problems[MAX_PROBLEMS]
    rest = Problem(last.path, last.line, last.column, f"… and {more} more problems")
    return [*problems[:MAX_PROBLEMS], rest]
