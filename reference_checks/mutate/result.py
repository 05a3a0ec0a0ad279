"""What the chain says of a mutant, and what it comes to over many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

PRINTED = ("rows", "params", "multiply-adds", "depth", "other numbers")
"""Checks against what the paper prints."""
OFFICIAL = ("accounting", "structure", "deviations")
"""Checks against the official model that run no network."""

OUTPUTS, TRAINING = "outputs float64", "training step"
CHECKS = (*PRINTED, *OFFICIAL, OUTPUTS, TRAINING)
COLUMNS = (*CHECKS, "outputs float32")


@dataclass(frozen=True)
class Result:
    """One mutant: the checks that see it, what is named, and what lesser checks see.

    `status` is `detected`, `equivalent` (`proof` names the rewrites without which it is
    not, and float64 outputs and a training step agree) or `missed`.  `float32` is what a
    comparison of float32 outputs alone sees; None where no network was run.  `alone`:
    nothing but the mutated operation is named.
    """

    paper: str
    variant: str
    official: str
    mutation: str
    site: str
    by: tuple[str, ...]
    status: str
    located: bool
    alone: bool
    named: tuple[str, ...]
    float32: bool | None
    proof: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def printed(self) -> bool:
        """Whether the paper's numbers alone see it."""
        return any(check in PRINTED for check in self.by)

    @property
    def found(self) -> bool:
        """Whether it is detected and named where it is."""
        return self.status == "detected" and self.located

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Result:
        """A result as `as_dict` gave it; raises TypeError if it is none."""
        lists = {k: tuple(v) for k, v in data.items() if isinstance(v, list)}
        return cls(**{**data, **lists})

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def scores(results: Sequence[Result]) -> dict[str, tuple[int, int]]:
    """The scores as (number, of how many); equivalent mutants count for none."""
    real = [r for r in results if r.status != "equivalent"]
    run = [r for r in real if r.float32 is not None]
    return {
        "detected": (sum(r.status == "detected" for r in real), len(real)),
        "located": (sum(r.located for r in real), len(real)),
        "alone": (sum(r.alone for r in real), len(real)),
        "paper's numbers only": (sum(r.printed for r in real), len(real)),
        "float32 only": (sum(bool(r.float32) for r in run), len(run)),
        "equivalent": (len(results) - len(real), len(results)),
    }


def counts(results: Iterable[Result]) -> dict[str, int]:
    """How many each check sees, in the order of `COLUMNS`."""
    results = list(results)
    found = {check: sum(check in r.by for r in results) for check in CHECKS}
    return {**found, COLUMNS[-1]: sum(bool(r.float32) for r in results)}
