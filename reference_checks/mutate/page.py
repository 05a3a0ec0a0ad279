"""The sensitivity matrix as a page: over all, by class, by paper, and what remains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from reference_checks.mutate import MUTATIONS
from reference_checks.mutate.matrix import CHECKS, Result

HEAD = """\
# Can it be fooled?

What would these checks have caught?
A mutant is our implementation with one mistake in it, of a class that people make in ports; the chain is run on it as if it were ours.
This page is written by `paperspec mutate`: {mutants} mutants of {classes} classes, at up to {sites} sites of each in each of {networks} networks (seed {seed}).

- **Detected**: at least one check of the chain fails that does not fail without the mutation.
- **Located**: what is named as different, by the diff, by a deviation or by the first operation whose output differs, is what was mutated; **alone**: and nothing else is named.
- **Equivalent**: the rewrites prove that nothing has changed, and float64 outputs agree.
- **Paper's numbers only**: the printed rows, parameters, multiply-adds, depth and other numbers see it.
- **Float32 only**: the weights do not fit, or the outputs of one photograph differ by more than float32 explains ({factor} times the network's own error in it, [derived](tolerance.md)). This is what a careful comparison of outputs sees; some mutants compute the same (a momentum, a dropout, padding that no window reaches, a stride before or after a 1x1 convolution).
"""


def page(results: Sequence[Result], sites: int, seed: int) -> str:
    """The matrix in Markdown."""
    from reference_checks.equivalence import K

    networks = {(r.paper, r.variant, r.official) for r in results}
    classes = list(dict.fromkeys(r.mutation for r in results))
    parts = [
        HEAD.format(
            mutants=len(results), classes=len(classes), sites=sites,
            networks=len(networks), seed=seed, factor=K,
        ),
        "## By paper\n",
        *_summary("network", results, lambda r: f"{r.variant} ↔ {r.official}"),
        "\n## By class\n",
        *_summary("mutation", results, lambda r: _class(r.mutation)),
        "\n## By check\n",
        *_checks(results),
        "\n## What remains\n",
        *_rest(results),
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def _class(name: str) -> str:
    return (
        f"{name}: {MUTATIONS[name].what}" if name in MUTATIONS else f"weights: {name}"
    )


def _table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "|".join("---" if i == 0 else "--:" for i in range(len(head))) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def _share(number: int, total: int) -> str:
    return f"{number} ({100 * number / total:.0f} %)" if total else "–"


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


def _summary(
    name: str, results: Sequence[Result], key: Callable[[Result], str]
) -> Iterator[str]:
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)

    def rows() -> Iterator[Sequence[str]]:
        for label, found in [*groups.items(), ("**all**", list(results))]:
            cells = scores(found)
            yield [
                label, str(len(found)), *(_share(*cells[c]) for c in list(cells)[:-1]),
                str(cells["equivalent"][0]),
            ]  # fmt: skip

    heads = list(scores(results))
    yield from _table([name, "mutants", *heads], rows())


def _checks(results: Sequence[Result]) -> Iterator[str]:
    classes = dict.fromkeys(r.mutation for r in results)

    def rows() -> Iterator[Sequence[str]]:
        for name in classes:
            found = [r for r in results if r.mutation == name]
            cells = (sum(check in r.by for r in found) for check in CHECKS)
            yield [name, str(len(found)), *(str(n) if n else "" for n in cells)]

    yield from _table(["mutation", "mutants", *CHECKS], rows())


def _rest(results: Sequence[Result]) -> Iterator[str]:
    rest = [r for r in results if r.status == "missed" or not r.located]
    rest = [r for r in rest if r.status != "equivalent"]
    if not rest:
        yield "Nothing: every mutant that is not equivalent is detected and located."
        return

    def rows() -> Iterator[Sequence[str]]:
        for r in rest:
            seen = ", ".join(r.by) or "**nothing**"
            names = ", ".join(r.named[:4]) or "nothing"
            yield [r.mutation, r.variant, f"`{r.site}`", seen, names]

    yield from _table(["mutation", "network", "at", "seen by", "named instead"], rows())
