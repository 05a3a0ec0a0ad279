"""What is wrong in a spec: where, and the way out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reference_checks.errors import InputError

Where = tuple[str | int, ...]
"""The keys that lead to a value."""


LONGEST = 600
"""Characters of a message that are shown."""


@dataclass(frozen=True, order=True)
class Problem:
    """Something wrong in a file, at a 1-based line and column, with the way out."""

    path: Path
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        # It may repeat what the spec says, however long and on however many lines.
        said = " ".join(self.message.splitlines())
        if len(said) > LONGEST:
            said = f"{said[:LONGEST]}…"
        return f"{shown(self.path)}:{self.line}:{self.column}: {said}"


class SpecError(InputError, ValueError):
    """A spec that cannot be used; all its problems, in order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def shown(path: Path) -> str:
    """The path, from the current folder if it is inside it."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
