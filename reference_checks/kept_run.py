"""A run of an official model in float64, kept in a file: weights, input, what came out.

What one backend or device has computed is held against by another, in a process or on a
machine of its own: both have the same weights to the last bit.  A file is NumPy's .npz,
of which nothing is executed, and says what it was made of; each array has its digest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from reference_checks.equivalence.sensitivity import Sensitivity
from reference_checks.errors import InputError
from reference_checks.whole_file import whole_file

if TYPE_CHECKING:
    from reference_checks.graph import Graph, Values
    from reference_checks.load import Paper

FORMAT = 1


class KeptRunError(InputError):
    """A kept run that cannot be used; one line with the way out."""


@dataclass(frozen=True)
class Origin:
    """Where a kept run is from: its unit and sources, and what computed it.

    `spec` and `implementation` are digests, for rows are named by both; `variables` are
    the weights' names and shapes, in the model's order; `place` is as `jax on cpu`.
    """

    unit: str
    spec: str
    implementation: str
    place: str
    date: str
    packages: Mapping[str, str]
    variables: list[tuple[str, tuple[int, ...]]]
    rows: list[str]
    sensitivity: Sensitivity
    digests: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT


def path_of(folder: Path | str, unit: str) -> Path:
    """The file of a unit: `resnet.resnet50.keras_ResNet50.npz`."""
    return Path(folder, re.sub(r"[^\w,.=-]", "_", unit.replace("/", ".")) + ".npz")


def sources(paper: Paper) -> tuple[str, str]:
    """The digests of a spec and of its implementation."""
    return paper.digest, sha256(paper.source.encode()).hexdigest()


def variables(graph: Graph) -> list[tuple[str, tuple[int, ...]]]:
    return [(v.name, tuple(v.shape)) for v in graph.variables]


def write(
    path: Path, origin: Origin, weights: Values, x: np.ndarray, output: np.ndarray,
    rows: Mapping[str, np.ndarray],
) -> None:  # fmt: skip
    """Write a run whole or not at all, the arrays as they are.

    Raises:
        KeptRunError: it cannot be written.
    """
    arrays = {f"weight_{i}": weights[i] for i in range(len(origin.variables))}
    arrays |= {"input": x, "output": output}
    arrays |= {f"row_{i}": rows[name] for i, name in enumerate(origin.rows)}
    digests = {name: digest(array) for name, array in arrays.items()}
    about = np.array(msgspec.json.encode(replace(origin, digests=digests)).decode())
    try:
        with whole_file(path) as file:
            np.savez(file, origin=about, **arrays)
    except OSError as error:
        raise KeptRunError(f"{path}: cannot be written: {error.strerror}") from None


def digest(array: np.ndarray) -> str:
    """Of the type, the shape and the numbers."""
    hashed = sha256(f"{array.dtype.str} {array.shape}".encode())
    hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()


@dataclass(frozen=True)
class Arrays:
    """What a kept run holds: weights by their index in the model, rows by name."""

    input: np.ndarray
    output: np.ndarray
    weights: dict[int, np.ndarray]
    rows: dict[str, np.ndarray]


class KeptRun:
    """A kept run: where it is from, and its arrays when they are asked for.

    Raises:
        KeptRunError: there is no such file, it is damaged, or is of another unit.
    """

    def __init__(self, path: Path, unit: str) -> None:
        self.path = path
        if not path.is_file():
            name = unit.split("/", 2)[2]
            raise KeptRunError(
                f"{path}: no such file; make it with paperspec check {name} --keep DIR"
            )
        with self._opened() as file:
            text = file["origin"].item()
            self.origin = msgspec.json.decode(text, type=Origin)
            if self.origin.format != FORMAT:
                raise ValueError(f"format {self.origin.format}, not {FORMAT}")
        if self.origin.unit != unit:
            raise KeptRunError(f"{path}: it is of {self.origin.unit}, not of {unit}")

    def require(
        self, sources: tuple[str, str], here: Sequence[tuple[str, tuple[int, ...]]]
    ) -> None:
        """That it is of these sources and weights; raises KeptRunError: it is stale."""
        if self.origin.spec != sources[0]:
            raise self._stale("the spec changed since")
        if self.origin.implementation != sources[1]:
            raise self._stale("the implementation changed since")
        for kept, own in zip(self.origin.variables, here, strict=False):
            if kept != own:
                raise self._stale(
                    f"weight {kept[0]} {kept[1]} is {own[0]} {own[1]} now"
                )
        if len(here) != self._count:
            raise self._stale(f"it has {self._count} weights, the model {len(here)}")

    def arrays(self) -> Arrays:
        """All of them, as they were kept; raises KeptRunError: they are not."""
        with self._opened() as file:

            def array(name: str) -> np.ndarray:
                found = file[name]
                if digest(found) != self.origin.digests[name]:
                    raise ValueError(f"{name} is not what was kept")
                return found

            weights = {i: array(f"weight_{i}") for i in range(self._count)}
            rows = {n: array(f"row_{i}") for i, n in enumerate(self.origin.rows)}
            return Arrays(array("input"), array("output"), weights, rows)

    @property
    def _count(self) -> int:
        return len(self.origin.variables)

    @contextmanager
    def _opened(self) -> Iterator[Mapping[str, np.ndarray]]:
        try:
            # Opened here: NumPy leaves a file open that it cannot read.
            with (
                self.path.open("rb") as stream,
                np.load(stream, allow_pickle=False) as file,
            ):
                # As they are written: no array is larger than the file that holds it.
                if any(i.compress_type for i in file.zip.infolist()):
                    raise ValueError("compressed")
                yield file
        except (
            Exception
        ) as error:  # of zipfile, of NumPy, of Python's tokenizer under it
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> KeptRunError:
        said = " ".join(str(error).split()) or type(error).__name__
        return KeptRunError(f"{self.path}: damaged ({said[:200]}); keep it again")

    def _stale(self, why: str) -> KeptRunError:
        return KeptRunError(f"{self.path}: stale: {why}; keep it again")
