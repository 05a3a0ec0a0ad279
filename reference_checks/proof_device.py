"""The proof on a device: held against the CPU in float64, and each precision that it has.

Both networks are run on the device with the weights and inputs of the CPU's float64 run,
which is made here or was kept (`--against`).  Float64 is compared as everywhere; float32
in full, as the device shortens its products (TF32), and bfloat16 have budgets.  The whole
network, compiled, is run twice, and what that costs is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from math import inf
from typing import TYPE_CHECKING

import keras
import numpy as np

from reference_checks import equivalence, proof, proof_across, proof_precision
from reference_checks.alignment import align
from reference_checks.device import placed
from reference_checks.equivalence.compiled import measured
from reference_checks.errors import out_of_memory
from reference_checks.precision import arithmetic
from reference_checks.record import Record, Verdict
from reference_checks.rewrites import canonical
from reference_checks.transfer import transfer

if TYPE_CHECKING:
    from reference_checks.official import Pair
    from reference_checks.units import Options

PRECISIONS = {"cpu": ("float32", "bfloat16"), "gpu": ("float32", "tf32", "bfloat16")}
"""TF32 is a GPU's: a CPU computes it as float32."""


def run(pair: Pair, options: Options) -> Iterator[Record]:
    """Records of a pair whose graphs are the same, run on the device of the options."""
    kind, backend = options.device, keras.config.backend()
    theirs = equivalence.subject(pair.build_official)
    ours = equivalence.subject(pair.build_ours)
    a, b = canonical(ours.graph), canonical(theirs.graph)
    pairs = align(a, b)
    points = proof.aligned_rows(pair, a, b, pairs)
    if options.against:
        known, place = proof_across.read(options.against, pair, theirs.graph)
    else:
        with placed("cpu"):
            x = proof.give_weights(pair, theirs)
            known, place = proof.reference_run(theirs, points, x), f"{backend} on cpu"
    x, mine = known.x, transfer(b, a, proof.inverse(pairs), known.values).values

    def in_float64() -> Iterator[Record]:
        theirs.assign(known.values)
        found = proof.reference_run(theirs, points, x)
        yield from proof_across.compare(
            pair, found, known, f"{place} → {backend} on {kind}"
        )
        ours.assign(mine)
        yield proof.compare(
            pair, "outputs", ours.run(known.seen)[0], known.output, known.sensitivity,
            claim=f"float64, official model: {place} → ours: {backend} on {kind}",
        )  # fmt: skip
        ours.release()

    with placed(kind):
        records = list(_each(pair, f"float64 on {kind}", in_float64()))
    yield from records
    gap = next((r.measured for r in records if r.check == "outputs"), None)
    oracle = proof_precision.Oracle(
        mine,
        known.values,
        b,
        x,
        known.output,
        known.sensitivity,
        inf if gap is None else gap,
    )
    for precision in PRECISIONS[kind]:
        claim = f"{precision} on {kind}"
        with placed(kind):
            judged = proof_precision.working_precision(pair, precision, oracle)
            yield from _each(pair, claim, _named(judged, kind))
            yield from _each(pair, claim, _twice(pair, precision, claim, mine, x))


def _named(records: Iterator[Record], kind: str) -> Iterator[Record]:
    for record in records:
        yield replace(record, claim=f"{record.claim}, on {kind}")


def _twice(
    pair: Pair, precision: str, claim: str, values: dict, x: np.ndarray
) -> Iterator[Record]:
    """Our network, compiled, on the same batch twice."""
    single = equivalence.subject(pair.build_ours, proof_precision.dtype(precision))
    single.assign(values)
    with arithmetic(precision):
        first, second, cost = measured(single, x)
    single.release()
    same = np.array_equal(first, second)
    yield pair.record(
        "two runs", Verdict.BIT_EQUAL if same else Verdict.RECORDED, claim=claim,
        measured=equivalence.distance(second.astype(np.float64), first.astype(np.float64)),
        detail="" if same else "the device gives another result each time",
    )  # fmt: skip
    batch = f"a batch of {len(x)}, {x.shape[1]}x{x.shape[2]}, compiled whole"
    yield pair.record(
        "cost", Verdict.RECORDED, claim=claim, measured=asdict(cost), detail=batch
    )


def _each(pair: Pair, claim: str, records: Iterator[Record]) -> Iterator[Record]:
    """The records, or that the device's memory is too small for them: others go on."""
    try:
        yield from records
    except Exception as error:
        if not out_of_memory(error):
            raise
        yield pair.record(
            "outputs", Verdict.NOT_RUN, claim=claim, detail="out of memory"
        )
