"""The mutants of many networks in a file, which grows network by network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from reference_checks.errors import InputError
from reference_checks.mutate.result import Result
from reference_checks.results import save

SCHEMA = 1


@dataclass(frozen=True)
class Plan:
    """What is planted in every network: at so many `sites` of each of the `classes`."""

    classes: tuple[str, ...]
    sites: int
    seed: int
    static: bool


@dataclass(frozen=True)
class Part:
    """The mutants of one network, or why there are none (`missing`).

    `cpu` are the seconds of processor time that they took; `digest` what they depend on.
    """

    unit: str
    digest: str
    mutants: tuple[Result, ...] = ()
    missing: str = ""
    cpu: float = 0.0


@dataclass(frozen=True)
class Mutants:
    """The parts that are done, and the plan that they follow."""

    plan: Plan
    networks: tuple[Part, ...] = ()

    @property
    def results(self) -> list[Result]:
        return [result for part in self.networks for result in part.mutants]

    def part(self, unit: str) -> Part | None:
        return next((part for part in self.networks if part.unit == unit), None)

    def text(self) -> bytes:
        """The contents of a file."""
        data = {"mutants_schema": SCHEMA, **msgspec.to_builtins(self)}
        return msgspec.json.format(msgspec.json.encode(data), indent=1) + b"\n"

    def write(self, path: Path) -> None:
        """Write the file whole or not at all; raises ResultsError."""
        save(path, self.text())

    @staticmethod
    def read(path: Path) -> Mutants:
        """What `write` wrote.

        Raises:
            InputError: it cannot be read, or is not such a file.
        """
        again = "write it with `paperspec mutate --json`"
        try:
            data = path.read_bytes()
            version = msgspec.json.decode(data, type=_Version).mutants_schema
            if version != SCHEMA:
                raise InputError(f"{path}: of another version; {again}")
            return msgspec.json.decode(data, type=Mutants)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(f"{path}: no mutants ({error}); {again}") from None


@dataclass(frozen=True)
class _Version:
    mutants_schema: int
