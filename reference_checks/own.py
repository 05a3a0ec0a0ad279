"""A model of your own, held against a variant of a paper.

What the paper prints is measured on your model; its rows are found through the alignment
with our implementation, so that your layers may have any names; and where both are the
same network, weights are moved across and outputs compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from reference_checks import equivalence, models, notation, precision, rows, sources
from reference_checks.alignment import align
from reference_checks.claims import Subject, check_claims
from reference_checks.diff import Diff, diff
from reference_checks.equivalence.reevaluations import reevaluations
from reference_checks.errors import out_of_memory
from reference_checks.load import Paper
from reference_checks.localise import Side, differing_most, localise
from reference_checks.networks import Networks
from reference_checks.record import ENDED, Record, Verdict
from reference_checks.rewrites import canonical
from reference_checks.transfer import Transfer, transfer

SEED = 1998


def check_own(
    networks: Networks, paper: Paper, variant: str, name: str, *, run: bool = True,
    trust: bool = False,
) -> tuple[list[Record], Diff]:  # fmt: skip
    """The records of the model `name`, and its difference to our implementation.

    Raises:
        ModelError, GraphError: the model cannot be built or read.
    """
    entry = paper.spec.variants[variant]
    sizes = {"input_shape": tuple(entry.input), "classes": entry.classes}
    theirs = models.read(name, networks.papers, trust=trust, **sizes).graph
    knobs, found = _nearest(networks, paper, variant, theirs)

    def record(check: str, verdict: Verdict, **more: Any) -> Record:
        return Record(paper.stem, variant, name, check, verdict, **more)

    subject = Subject(networks, paper, variant, theirs)
    records = [replace(r, subject=name) for r in check_claims(subject)]
    records += _rows(paper, entry.table, found, record)
    records += [
        record(
            "deviation", Verdict.EXPLAINED, claim=knob, detail="a recorded deviation"
        )
        for knob in knobs
    ]
    records += [
        record("difference", Verdict.PROVEN, claim=d.attribute, measured=str(d))
        for d in found.absorbed
        if found.same
    ]
    if found.same:
        pairs = len(found.alignment.pairs)
        detail = f"{pairs} operations aligned one to one"
        records.append(record("structure", Verdict.PROVEN, detail=detail))
    else:
        first = next(iter(found.changes), None)
        at = {} if first is None else {"row": first.row, "detail": str(first)}
        records.append(record("structure", Verdict.CONTRADICTED, **at))
    if found.same and run:
        settings = {knob: paper.spec.deviations[knob] for knob in knobs}
        turned = {d.knob: d.value for d in settings.values()}
        try:
            records += outputs(
                networks, paper, variant, name, turned, sizes, trust, record
            )
        except Exception as error:
            if not out_of_memory(error):
                raise
            ended = record(ENDED, Verdict.NOT_RUN, detail="out of memory")
            records.append(ended)
    else:
        reason = "static run" if found.same else "the structure differs"
        records.append(record("outputs", Verdict.NOT_RUN, detail=reason))
    return records, found


def _nearest(
    networks: Networks, paper: Paper, variant: str, theirs: Any
) -> tuple[Sequence[str], Diff]:
    """Your model against ours, with those recorded deviations that make it the same.

    Where the paper is silent a library's choice is as good as ours.
    """
    names = [n for n, d in paper.spec.deviations.items() if d.knob is not None]
    table = paper.spec.variants[variant].table
    labels = tuple(paper.spec.tables[table].rows) if table else ()
    plain = None
    for chosen in ([], *([n] for n in names), names if len(names) > 1 else []):
        knobs = {
            paper.spec.deviations[n].knob: paper.spec.deviations[n].value
            for n in chosen
        }
        found = diff(networks.graph(paper, variant, **knobs), theirs, labels)
        plain = plain or found
        if found.same:
            return chosen, found
    return [], plain


def _rows(
    paper: Paper, table: str | None, found: Diff, record: Any
) -> Iterator[Record]:
    """Each row of our network and what is aligned with it in yours."""
    if table is None:
        return
    names = found.a.row_of(paper.spec.tables[table].rows)
    aligned: list[str | None] = [None] * len(found.b.ops)
    for i, j in found.alignment.pairs.items():
        aligned[j] = names[i]
    for j, op in enumerate(found.b.ops):
        if aligned[j] is None and op.inputs:  # in the row of what it reads
            aligned[j] = aligned[op.inputs[0]]
    ours, theirs = rows.read(found.a, names), rows.read(found.b, aligned)
    source = paper.spec.tables[table].source
    for name, row in ours.items():
        mine = notation.render(row.items)
        cell = notation.render(theirs[name].items) if name in theirs else "nothing"
        verdict = Verdict.EXACT if mine == cell else Verdict.CONTRADICTED
        yield record(
            "rows", verdict, row=name, claim=source, printed=mine, measured=cell
        )


def outputs(
    networks: Networks, paper: Paper, variant: str, name: str, knobs: dict[str, Any],
    sizes: dict[str, Any], trust: bool, record: Any,
) -> Iterator[Record]:  # fmt: skip
    """Your weights moved into ours, and both networks run.

    In float64 if your model can be built in it.  A model from a file keeps its own
    precision: it is held against our network in float64, with our own errors in that
    precision as the measure.
    """
    with precision.floatx("float64"):
        model = models.read(name, networks.papers, allocate=True, trust=trust, **sizes)
    double = all(value.dtype == np.float64 for value in model.values.values())
    x = equivalence.inputs(sizes["input_shape"], SEED)
    if model.keras is not None:
        dtype = "float64" if double else "float32"
        theirs = equivalence.Subject(model.keras, model.graph, dtype)
        theirs.assign(equivalence.random_values(theirs.graph, SEED))
        equivalence.calibrate(theirs, x, SEED)

    def ours(dtype: str) -> tuple[equivalence.Subject, Transfer]:
        subject = equivalence.subject(
            lambda: sources.build_paper(paper, variant, knobs), dtype
        )
        a, b = canonical(subject.graph), canonical(model.graph)
        moved = transfer(b, a, align(b, a), model.values)
        subject.assign(moved.values)
        return subject, moved

    subject, moved = ours("float64")
    yours, reference = model.run(x)[0], subject.run(x)[0]
    yield record("transfer", Verdict.EXACT, claim="yours → ours", detail=str(moved))
    gap = equivalence.distance(yours, reference)
    if double:
        budget = equivalence.FLOAT64_BUDGET
    else:
        again = reevaluations(ours("float32")[0], x)
        errors = [equivalence.distance(found, reference) for _, found in again]
        budget = equivalence.budget("float32", errors)
    if double and precision.counterfeit(yours):
        verdict = Verdict.NOT_RUN
    elif np.array_equal(yours, reference) and np.all(np.isfinite(yours)):
        verdict = Verdict.BIT_EQUAL
    else:
        # Infinite where the outputs are no numbers, and so is the budget then.
        held = np.isfinite(gap) and gap <= budget
        verdict = Verdict.WITHIN_BUDGET if held else Verdict.CONTRADICTED
    detail = f"relative error; the budget is {budget:.2g}"
    if verdict is Verdict.CONTRADICTED:
        table = paper.spec.variants[variant].table
        where = localise(
            lambda: (
                Side("ours", subject, moved.values),
                Side("yours", model.source, dict(model.values)),
            ),
            x[differing_most([(yours, reference)])],
            paper.spec.tables[table].rows if table else (),
        )
        detail = f"{where}; {detail}"
    yield record(
        "outputs", verdict, claim=f"{'float64' if double else 'float32'}, all inputs",
        measured=gap, detail=detail,
    )  # fmt: skip
