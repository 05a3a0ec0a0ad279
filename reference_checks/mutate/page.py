"""The sensitivity matrix as a page: over all, by class, by paper, and what remains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from reference_checks.mutate import MUTATIONS
from reference_checks.mutate.kept import Mutants
from reference_checks.mutate.result import COLUMNS, Result, counts, scores

HEAD = """\
# Can it be fooled?

What would these checks have caught?
A mutant is our implementation with one mistake in it, of a class that people make in ports; the chain is run on it as if it were ours.
This page is written by `{command}`: {mutants} mutants of {classes} classes, at up to {sites} sites of each in each of {networks} networks (seed {seed}), in {minutes:.0f} minutes of processor time.
Without a selection it takes one official model of each paper, that with the fewest multiply-adds among those whose layer table the paper prints; here it took {names}.

- **Detected**: at least one check of the chain fails that does not fail without the mutation.
- **Located**: what is named as different, by the diff, by a deviation or by the first operation whose output differs (where the rewrites see no difference, by a row of the paper's table), is what was mutated; **alone**: and nothing else is named.
- **Equivalent**: the rewrites prove that nothing has changed, and float64 outputs and a training step agree.
- **Paper's numbers only**: the printed rows, parameters, multiply-adds, depth and other numbers see it.
- **Float32 only**: the weights do not fit, or the outputs of one photograph differ by more than float32 explains ({factor} times the network's own error in it, [derived](tolerance.md)). This is what a careful comparison of outputs sees; some mutants compute the same (a momentum, a dropout, padding that no window reaches, a stride before or after a 1x1 convolution).
"""


def page(matrix: Mutants) -> str:
    """The matrix in Markdown."""
    from reference_checks.equivalence import K

    results, plan = matrix.results, matrix.plan
    run = [part for part in matrix.networks if part.mutants]
    blocks = [
        HEAD.format(
            command="paperspec mutate --static" if plan.static else "paperspec mutate",
            mutants=f"{len(results):,}", classes=len({r.mutation for r in results}),
            sites=plan.sites, networks=len(run), seed=plan.seed, factor=K,
            minutes=sum(part.cpu for part in run) / 60,
            names=", ".join(r for r in dict.fromkeys(r.official for r in results)),
        ),
        *(f"Not run: {p.unit}: {p.missing}.\n" for p in matrix.networks if p.missing),
        "## By paper\n",
        *_summary("network", results, lambda r: f"{r.variant} ↔ {r.official}"),
        "\n## By class\n",
        *_summary("mutation", results, lambda r: _class(r.mutation)),
        "\n## By check\n",
        "Outputs in float64 and a training step are run where the structure is the same,"
        " as in the chain; outputs in float32 wherever the weights fit, and count where"
        " they do not.\nDropout is off in the training step, as no two masks can be compared:"
        " its rate is compared as a number.\n",
        *_checks(results),
        "\n## What is equivalent\n",
        *_equivalent(results),
        "\n## What remains\n",
        *_rest(results),
    ]  # fmt: skip
    return "\n".join(blocks) + "\n"


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
    # Rounded down: all but one are not 100 %.
    return f"{number} ({100 * number // total} %)" if total else "–"


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
            cells = counts(found).values()
            yield [name, str(len(found)), *(str(n) if n else "" for n in cells)]

    yield from _table(["mutation", "mutants", *COLUMNS], rows())


def _equivalent(results: Sequence[Result]) -> Iterator[str]:
    found: dict[tuple[str, ...], list[Result]] = {}
    for r in results:
        if r.status == "equivalent":
            found.setdefault((r.mutation, r.variant, ", ".join(r.proof)), []).append(r)
    if not found:
        yield "Nothing."
        return

    def rows() -> Iterator[Sequence[str]]:
        for (mutation, variant, proof), group in found.items():
            sites = ", ".join(f"`{r.site}`" for r in group)
            yield [mutation, variant, sites, proof]

    yield from _table(["mutation", "network", "at", "proved by"], rows())


def _rest(results: Sequence[Result]) -> Iterator[str]:
    rest = [r for r in results if r.status != "equivalent" and not r.found]
    if not rest:
        yield "Nothing: every mutant that is not equivalent is detected and located."
        return

    def rows() -> Iterator[Sequence[str]]:
        for r in rest:
            seen = ", ".join(r.by) or "**nothing**"
            names = ", ".join(r.named[:4]) or "nothing"
            yield [r.mutation, r.variant, f"`{r.site}`", seen, names]

    yield from _table(["mutation", "network", "at", "seen by", "named instead"], rows())
