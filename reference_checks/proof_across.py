"""A proof across backends and devices: one file of weights, and what each makes of them.

`check --keep DIR` keeps the official models' runs; `check --against DIR`, under another
backend or on another device, takes weights and inputs from there and compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reference_checks import kept_run, proof
from reference_checks.graph import Graph
from reference_checks.kept_run import KeptRun, Origin
from reference_checks.record import Record, Verdict
from reference_checks.results import environment

if TYPE_CHECKING:
    from reference_checks.official import Pair


def read(folder: str, pair: Pair, graph: Graph) -> tuple[proof.Reference, str]:
    """The kept run of the pair's official model, and where it was made.

    Raises:
        KeptRunError: there is none, it is damaged, or its sources have changed since.
    """
    kept = KeptRun(kept_run.path_of(folder, pair.unit), pair.unit)
    kept.require(kept_run.sources(pair.paper), kept_run.variables(graph))
    found, origin = kept.arrays(), kept.origin
    known = proof.Reference(
        found.input,
        found.input,
        found.weights,
        found.output,
        found.rows,
        origin.sensitivity,
    )
    return known, origin.place


def keep(
    folder: str, pair: Pair, graph: Graph, found: proof.Reference, place: str
) -> Record:
    """Keep the official model's run in the folder, and say so.

    Raises:
        KeptRunError: it cannot be written.
    """
    about = environment()
    spec, implementation = kept_run.sources(pair.paper)
    origin = Origin(
        pair.unit, spec, implementation, place, about["date"], about["packages"],
        kept_run.variables(graph), list(found.rows), found.sensitivity,
    )  # fmt: skip
    path = kept_run.path_of(folder, pair.unit)
    # What the network itself has seen: input layers round as the backend does.
    kept_run.write(path, origin, found.values, found.seen, found.output, found.rows)
    size = path.stat().st_size / 2**20
    return pair.record(
        "kept", Verdict.RECORDED, claim=place, measured=path.name,
        detail=f"{len(origin.variables)} weights, {len(found.rows)} rows, {size:,.1f} MiB",
    )  # fmt: skip


def compare(
    pair: Pair, found: proof.Reference, known: proof.Reference, claim: str
) -> Iterator[Record]:
    """What the official model computes here against what it did there: output, rows."""
    yield proof.compare(
        pair, "across", found.output, known.output, known.sensitivity, claim=claim
    )
    for name, row in known.rows.items():
        yield proof.compare(
            pair, "across", found.rows[name], row, row=name, claim=claim
        )
