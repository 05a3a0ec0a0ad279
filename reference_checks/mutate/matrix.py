"""The sensitivity matrix: every class at several sites, and which check sees each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

from reference_checks.mutate import MUTATIONS
from reference_checks.mutate.chain import PRINTED, Chain
from reference_checks.mutate.mutants import mutants
from reference_checks.mutate.numbers import Numbers
from reference_checks.mutate.weights import WEIGHTS, misplaced

CHECKS = (
    "rows", "params", "multiply-adds", "depth", "other numbers", "accounting", "structure",
    "deviations", "outputs float64",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """One mutant: the checks that see it, what is named, and what lesser checks see.

    `status` is `detected`, `equivalent` (the rewrites prove it, and float64 outputs agree)
    or `missed`.  `float32` is what a comparison of float32 outputs alone sees; None where
    no network was run.  `alone`: nothing but the mutated operation is named.
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
    seconds: float = 0.0

    @property
    def printed(self) -> bool:
        """Whether the paper's numbers alone see it."""
        return any(check in PRINTED for check in self.by)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    chain: Chain, classes: Sequence[str], sites: int, seed: int, run: bool,
    progress: Callable[[Result], None] = lambda _: None,
) -> Iterator[Result]:  # fmt: skip
    """The results of a variant and its official model.

    Raises:
        NotAvailable: the official model cannot be had.
    """
    numbers = Numbers(chain)
    about = (chain.paper.stem, chain.variant, chain.official.model)
    start = perf_counter()
    for found in _results(chain, numbers, classes, sites, seed, run):
        now = perf_counter()
        result = Result(*about, **found, seconds=round(now - start, 3))
        start = now
        progress(result)
        yield result


def _results(
    chain: Chain, numbers: Numbers, classes: Sequence[str],
    sites: int, seed: int, run: bool,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    for name in (c for c in classes if c in MUTATIONS):
        for mutant in mutants(chain.ours, name, sites, seed):
            seen = chain.see(mutant)
            measured = numbers.run(mutant, double=seen.same) if run else None
            status = "detected" if seen.by else "missed"
            if seen.same and not seen.by and (measured is None or not measured.float64):
                status = "equivalent"
            yield {
                "mutation": name,
                "site": mutant.site.layer,
                "by": seen.by,
                "status": status,
                "located": seen.located,
                "alone": seen.alone,
                "named": seen.named or seen.deviations,
                "float32": None
                if measured is None
                else bool(measured.float32) or not measured.loads,
            }
    for name in (c for c in classes if c in WEIGHTS and run):
        for wrong in misplaced(chain.ours, name, numbers.values, sites, seed):
            measured = numbers.check(wrong)
            located = measured.located in wrong.layers
            yield {
                "mutation": name,
                "site": wrong.layers[-1],
                "by": ("outputs float64",) if measured.float64 else (),
                "status": "detected" if measured.float64 else "missed",
                "located": located,
                "alone": located,
                "named": () if measured.located is None else (measured.located,),
                "float32": measured.float32,
            }
