"""Documents that can be followed to the letter: their blocks, read and carried out.

A fenced block is

    console     commands after "$ ", each with what it prints; "…" leaves lines out
    diff        an edit of the file after ---, its parts between lines @@
    python      an excerpt of the file that its first line names, or examples with >>>
    yaml        an excerpt of the file that its first line names, or a recipe

An excerpt shows a file as it is at that place of the document.  Files are known at the
end, where they are those of the repository; earlier stages have the later edits undone.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"(?:#|---) (\w+/\w+\.\w+)\n")
PROGRAMS = {
    "paperspec": ["-m", "reference_checks.cli"],
    "pytest": ["-m", "pytest", "-p", "no:cacheprovider"],
    "python": [],
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a document, at a line."""

    kind: str
    text: str
    line: int

    @property
    def file(self) -> str | None:
        """The file that an excerpt is of, or that an edit is made in."""
        named = NAMED.match(self.text)
        return named[1] if named else None

    @property
    def commands(self) -> list[tuple[str, list[str]]]:
        """Commands, with the lines that they print."""
        found: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line.rstrip())
        return found

    @property
    def edits(self) -> Iterator[tuple[str, str]]:
        """Of a diff, what was there and what is there then, part by part."""
        for part in self.text.split("\n", 1)[1].split("@@\n"):
            lines = part.splitlines(keepends=True)
            yield (
                "".join(line[1:] for line in lines if line[0] in " -"),
                "".join(line[1:] for line in lines if line[0] in " +"),
            )


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a Markdown file, in order."""
    text = path.read_text()
    return [
        Block(found[1], found[2], text.count("\n", 0, found.start()) + 1)
        for found in FENCE.finditer(text)
    ]


def missing(shown: list[str], there: list[str]) -> str | None:
    """The first line shown that is not there, after those before it."""
    for line in shown:
        if line.strip() not in ("", "…", "# …"):
            if line.rstrip() not in there:
                return line
            there = there[there.index(line.rstrip()) + 1 :]
    return None


def run(command: str, folder: Path) -> tuple[int, list[str]]:
    """The exit code and the lines that a command prints, in a process of its own.

    There Keras numbers layers from the first, and a failure leaves nothing behind.
    """
    program, *arguments = shlex.split(command)
    done = subprocess.run(
        [sys.executable, *PROGRAMS[program], *arguments],
        cwd=folder,
        env=os.environ
        | {"COLUMNS": "100", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, [line.rstrip() for line in done.stdout.splitlines()]


def workspace(folder: Path, without: str | None = None) -> Path:
    """A copy of what commands read and write, without one paper's files."""
    leave_out = shutil.ignore_patterns("__pycache__", f"{without}.*")
    for name in ("papers", "implementations"):
        shutil.copytree(ROOT / name, folder / name, ignore=leave_out)
    (folder / "tests").symlink_to(ROOT / "tests")
    shutil.copy(ROOT / "tox.ini", folder)
    return folder


def first_stage(document: list[Block], file: str) -> str:
    """The file as it is before the document's edits: the repository's, with them undone."""
    text = (ROOT / file).read_text()
    for block in reversed(document):
        if block.kind == "diff" and block.file == file:
            for old, new in reversed(list(block.edits)):
                assert 1 == text.count(new), f"line {block.line}: not there:\n{new}"
                text = text.replace(new, old)
    return text


def follow(document: list[Block], folder: Path) -> Iterator[str]:
    """Carry out the document in the folder; what is not as it says, with its line."""
    for block in document:
        where = f"line {block.line}"
        if block.kind == "console":
            for command, shown in block.commands:
                _, printed = run(command, folder)
                line = missing(shown, printed)
                if line is not None:
                    yield f"{where}: {command} does not print {line!r}, but:\n" + (
                        "\n".join(printed)
                    )
        elif block.kind == "diff":
            path = folder / block.file
            for old, new in block.edits:
                assert 1 == path.read_text().count(old), f"{where}: not there:\n{old}"
                path.write_text(path.read_text().replace(old, new))
        elif block.file is not None:
            path = folder / block.file
            if "TODO: " in path.read_text():
                path.write_text(first_stage(document, block.file))
            line = missing(block.text.splitlines()[1:], path.read_text().splitlines())
            if line is not None:
                yield f"{where}: {block.file} has no line {line!r}"
