"""The proof, run: an official model and ours, with the same weights on the same inputs.

Weights go across in both directions; outputs, row activations, gradients and a training
step are compared in float64, outputs in working precisions too.  One network at a time holds memory
for its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from reference_checks import (
    equivalence,
    precision,
    proof_across,
    proof_precision,
    proof_training,
)
from reference_checks.alignment import Alignment, align
from reference_checks.device import here
from reference_checks.equivalence import Subject, coverage
from reference_checks.equivalence.sensitivity import Sensitivity, sensitivity
from reference_checks.graph import Graph, Values
from reference_checks.localise import Side, differing_most, localise
from reference_checks.record import Record, Verdict
from reference_checks.rewrites import canonical
from reference_checks.transfer import transfer

if TYPE_CHECKING:
    from reference_checks.official import Pair
    from reference_checks.units import Options

SEED = 1998
CHECKS = (
    "transfer", "outputs", "activations", "coverage", "gradients", "training step",
)  # fmt: skip


class Reference(NamedTuple):
    """The official model's run in float64, and what it says of the model.

    `seen` is what its own input layers make of the batch `x`: that, but for rounding.
    """

    x: np.ndarray
    seen: np.ndarray
    values: Values
    output: np.ndarray
    rows: dict[str, np.ndarray]
    sensitivity: Sensitivity
    pieces: coverage.Pieces | None = None


def reference_run(theirs: Subject, points: Points, x: np.ndarray) -> Reference:
    """The official model, given its weights already, on the batch `x`; it has none then."""
    pieces = coverage.Pieces(theirs)
    output, *rows = theirs.run(x, [p for _, _, p in points], pieces)
    named = dict(zip((row for row, _, _ in points), rows, strict=True))
    sensed = sensitivity(theirs, x[-1:], output[-1:])
    seen = theirs.sees(x)
    return Reference(x, seen, theirs.release(), output, named, sensed, pieces)


def give_weights(pair: Pair, theirs: Subject) -> np.ndarray:
    """Random, calibrated weights for the official model; returns the batch for it."""
    x = equivalence.inputs(tuple(pair.entry.input), SEED)
    theirs.assign(equivalence.random_values(theirs.graph, SEED))
    equivalence.calibrate(theirs, x, SEED)
    return x


def run(pair: Pair, options: Options) -> Iterator[Record]:
    """All records of the run of a pair whose graphs are the same."""
    ours = equivalence.subject(pair.build_ours)
    theirs = equivalence.subject(pair.build_official)
    a, b = canonical(ours.graph), canonical(theirs.graph)
    forwards = align(a, b)
    points = aligned_rows(pair, a, b, forwards)

    if options.against:
        known, place = proof_across.read(options.against, pair, theirs.graph)
        theirs.assign(known.values)
    x = known.x if options.against else give_weights(pair, theirs)
    found = reference_run(theirs, points, x)
    if options.against:
        yield from proof_across.compare(pair, found, known, f"{place} → {here()}")
        del known
    if options.keep:
        yield proof_across.keep(options.keep, pair, theirs.graph, found, here())
    x, seen, values, reference, rows, sensed, pieces = found
    del found

    moved = transfer(b, a, inverse(forwards), values)
    ours.assign(moved.values)
    yield pair.record(
        "transfer", Verdict.EXACT, claim="official → ours", detail=str(moved)
    )
    del moved  # a large network's weights are gigabytes, and few of them fit
    # Where both have input layers, what makes them see the same is the same picture.
    own = x if np.array_equal(ours.sees(x), seen) else seen
    mine, *activations = ours.run(own, [p for _, p, _ in points])
    own_values = ours.release()
    records = [
        compare(
            pair, "outputs", mine[part], reference[part], sensed,
            claim=f"float64, {what}",
        )
        for what, part in (("photographs", slice(0, 2)), ("noise", slice(2, None)))
    ]  # fmt: skip
    dead = []
    for (row, right), left in zip(rows.items(), activations, strict=True):
        records.append(
            compare(pair, "activations", left, right, row=row, claim="float64")
        )
        if coverage.constant(right):
            dead.append(row)
    both = zip(activations, rows.values(), strict=True)
    worst = differing_most([(mine, reference), *both])
    del activations, rows
    sides = Side("ours", ours, own_values), Side(pair.official.model, theirs, values)
    yield from located(pair, records, lambda sides=sides: sides, x[worst])
    gap = equivalence.distance(mine, reference)
    oracle = proof_precision.Oracle(own_values, values, b, x, reference, sensed, gap)
    for name in proof_precision.PRECISIONS:
        against = oracle if name == "float32" else oracle.of_noise()
        yield from proof_precision.working_precision(pair, name, against)
    del against, oracle

    back = transfer(a, b, forwards, own_values)
    theirs.assign(back.values)
    yield pair.record(
        "transfer", Verdict.EXACT, claim="ours → official", detail=str(back)
    )
    del back
    again = compare(
        pair, "outputs", theirs.run(x[-1:])[0], mine[-1:],
        claim="float64, weights moved back",
    )  # fmt: skip
    sides = sides[0], replace(sides[1], values=theirs.release())
    yield from located(pair, [again], lambda sides=sides: sides, x[-1:])
    trained = proof_training.run(pair, values, pieces, dead, SEED)
    del own_values, values, sides  # it lets go of them when it can
    yield from trained


def inverse(alignment: Alignment) -> Alignment:
    pairs = {j: i for i, j in alignment.pairs.items()}
    return Alignment(pairs, alignment.isomorphic)


Points = list[tuple[str, int, int]]
"""For rows: the numbers of a tensor of ours and of theirs."""


def aligned_rows(pair: Pair, a: Graph, b: Graph, alignment: Alignment) -> Points:
    """For each row its last tensor that both models have."""
    if pair.entry.table is None:
        return []
    last: dict[str, tuple[int, int]] = {}
    names = a.row_of(pair.paper.spec.tables[pair.entry.table].rows)
    for i, op in enumerate(a.ops):
        other = b.ops[alignment.pairs[i]]
        if names[i] and op.tensor is not None and other.tensor is not None:
            last[names[i]] = (op.tensor, other.tensor)
    return [(row, *tensors) for row, tensors in last.items()]


def compare(
    pair: Pair, check: str, candidate: np.ndarray, reference: np.ndarray,
    sensed: Sensitivity | None = None, **more: Any,
) -> Record:  # fmt: skip
    """Float64 arrays: bit-equal, within 1e-12, or a contradiction."""
    gap = equivalence.distance(candidate, reference)
    demoted = precision.counterfeit(reference) or precision.counterfeit(candidate)
    if demoted and gap < equivalence.FLOAT32_WORST:
        detail = "the backend computed in float32 what it calls float64"
        return pair.record(check, Verdict.NOT_RUN, detail=detail, **more)
    if gap > equivalence.FLOAT64_BUDGET:
        verdict = Verdict.CONTRADICTED
    else:
        equal = np.array_equal(candidate, reference)
        verdict = Verdict.BIT_EQUAL if equal else Verdict.WITHIN_BUDGET
    detail = f"relative error; the budget is {equivalence.FLOAT64_BUDGET:g}"
    if sensed is not None:
        detail += f"; would have seen {sensed.seen(equivalence.FLOAT64_BUDGET)}"
    return pair.record(check, verdict, measured=gap, detail=detail, **more)


def located(
    pair: Pair, records: Sequence[Record], sides: Callable[[], tuple[Side, Side]],
    x: np.ndarray,
) -> Iterator[Record]:  # fmt: skip
    """The records; those that fail say where, of the rows the first.

    Models that hold weights may have given them back afterwards.
    """
    failing = [r for r in records if r.verdict is Verdict.CONTRADICTED]
    if failing:
        table = pair.entry.table
        where = localise(sides, x, pair.paper.spec.tables[table].rows if table else ())
        rows = [r for r in failing if r.row is not None]
        saying = [id(r) for r in failing if r.row is None or r is rows[0]]
        records = [
            replace(r, detail=f"{where}; {r.detail}") if id(r) in saying else r
            for r in records
        ]
    yield from records
