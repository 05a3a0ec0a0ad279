"""One finding of one check: what is printed or recorded, what is measured, the verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What a check says; see the README for the meaning of each word."""

    EXACT = "exact"
    ROUNDS = "rounds"
    TRUNCATES = "truncates"
    EXPLAINED = "explained"
    PROVEN = "proven"
    BIT_EQUAL = "bit-equal"
    WITHIN_BUDGET = "within budget"
    UNEXPLAINED = "unexplained"
    CONTRADICTED = "contradicted"
    RECORDED = "recorded"
    SILENT = "silent"
    NO_VERDICT = "no verdict"
    NOT_RUN = "not run"

    @property
    def passes(self) -> bool:
        """Only what was checked and held is a pass."""
        return self in PASSES


PASSES = frozenset(
    {
        Verdict.EXACT,
        Verdict.ROUNDS,
        Verdict.TRUNCATES,
        Verdict.EXPLAINED,
        Verdict.PROVEN,
        Verdict.BIT_EQUAL,
        Verdict.WITHIN_BUDGET,
    }
)


ENDED = "run"
"""The check of the record that says why a unit did not run to its end."""


@dataclass(frozen=True)
class Record:
    """A line of the results file.

    `subject` is `paper` for the faithful implementation, or the name of the model that
    was held against it (`keras:ResNet50`).  `printed` is digit for digit; `measured` is
    an exact integer, a float or a row in notation.  `at` is where in the spec the claim
    stands, as `papers/resnet.yaml:41:9`; `rewrites` are those that a proof has used.
    """

    paper: str
    variant: str
    subject: str
    check: str
    verdict: Verdict
    row: str | None = None
    claim: str | None = None
    printed: str | None = None
    measured: Any = None
    detail: str = ""
    at: str | None = None
    seconds: float = 0.0
    rewrites: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """`resnet50::multiply_adds::Table 1`, unique within a paper and a subject."""
        subject = [] if self.subject == "paper" else [self.subject]
        parts = [self.variant, *subject, self.check, self.row, self.claim]
        return "::".join(part for part in parts if part)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"verdict": str(self.verdict)}
