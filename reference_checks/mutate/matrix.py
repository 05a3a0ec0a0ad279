"""The sensitivity matrix: every class at several sites, and which check sees each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

from reference_checks.alignment import isomorphism
from reference_checks.graph import Graph
from reference_checks.mutate import MUTATIONS
from reference_checks.mutate.chain import Chain
from reference_checks.mutate.mutants import mutants
from reference_checks.mutate.numbers import Numbers
from reference_checks.mutate.result import OUTPUTS, TRAINING, Result
from reference_checks.mutate.weights import WEIGHTS, misplaced
from reference_checks.rewrites import RULES, canonical


def measure(
    chain: Chain, classes: Sequence[str], sites: int, seed: int, run: bool,
    progress: Callable[[Result], None] = lambda _: None,
) -> Iterator[Result]:  # fmt: skip
    """The results of a variant and its official model.

    Raises:
        NotAvailable: the official model cannot be had.
    """
    numbers = Numbers.small(chain) if run else None
    about = (chain.paper.stem, chain.variant, chain.official.model)
    start = perf_counter()
    for found in _results(chain, numbers, classes, sites, seed):
        now = perf_counter()
        result = Result(*about, **found, seconds=round(now - start, 3))
        start = now
        progress(result)
        yield result


def _results(
    chain: Chain, numbers: Numbers | None, classes: Sequence[str],
    sites: int, seed: int,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    for name in (c for c in classes if c in MUTATIONS):
        for mutant in mutants(chain.ours, name, sites, seed):
            seen = chain.see(mutant)
            measured = numbers and numbers.run(mutant, seen.same)
            by = seen.by
            if measured is not None:
                by += (OUTPUTS,) * bool(measured.float64)
                by += (TRAINING,) * bool(measured.training)
            equivalent = seen.same and not by
            yield {
                "mutation": name,
                "site": mutant.site.layer,
                "by": by,
                "status": "detected"
                if by
                else "equivalent"
                if equivalent
                else "missed",
                "located": seen.located,
                "alone": seen.alone,
                "named": seen.named or seen.deviations,
                "float32": None
                if measured is None
                else bool(measured.float32) or not measured.loads,
                "proof": _proof(chain.ours, mutant.graph) if equivalent else (),
            }
    for name in (c for c in classes if c in WEIGHTS and numbers):
        for wrong in misplaced(numbers.ours, name, numbers.values, sites, seed):
            measured = numbers.check(wrong)
            located = measured.located in wrong.layers
            yield {
                "mutation": name,
                "site": wrong.layers[-1],
                "by": (OUTPUTS,) if measured.float64 else (),
                "status": "detected" if measured.float64 else "missed",
                "located": located,
                "alone": located,
                "named": () if measured.located is None else (measured.located,),
                "float32": measured.float32,
            }


def _proof(graph: Graph, mutant: Graph) -> tuple[str, ...]:
    """The rewrites without which two equivalent graphs are not proved to be one."""

    def differ(without: str) -> bool:
        rules = [rule for name, rule in RULES.items() if name != without]
        return isomorphism(canonical(graph, rules), canonical(mutant, rules)) is None

    return tuple(name for name in canonical(mutant).rewritten if differ(name))
