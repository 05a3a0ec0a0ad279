"""The records of a unit: its claims, or an official model, checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from time import perf_counter

from reference_checks.claims import check_others, check_variant
from reference_checks.errors import out_of_memory
from reference_checks.networks import Networks
from reference_checks.official import check_official
from reference_checks.record import ENDED, Record, Verdict
from reference_checks.units import Options, Unit


def run_unit(unit: Unit, networks: Networks, options: Options) -> list[Record]:
    """The unit's records, each with the seconds since the one before.

    Raises:
        ModelError, GraphError: the implementation cannot be built or read.
    """
    if unit.foreign:
        records = check_others(networks, unit.paper, unit.variant)
    elif unit.official is None:
        records = check_variant(networks, unit.paper, unit.variant)
    else:
        records = check_official(
            networks, unit.paper, unit.variant, unit.official,
            run=options.run, published=options.published,
        )  # fmt: skip
    return list(_timed(records, unit))


def _timed(records: Iterable[Record], unit: Unit) -> Iterator[Record]:
    start = perf_counter()
    try:
        for record in records:
            now = perf_counter()
            yield replace(record, seconds=round(now - start, 4))
            start = now
    except Exception as error:
        if not out_of_memory(error):
            raise
        subject = "paper" if unit.official is None else unit.official.model
        yield Record(
            unit.paper.stem, unit.variant, subject, ENDED, Verdict.NOT_RUN,
            detail="out of memory",
        )  # fmt: skip
