"""faithful → official: a library's model held against our implementation.

First statically: with the recorded deviations switched on, both are the same graph after
proven rewrites, and the deviations' costs add up exactly.  Then the proof is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reference_checks import (
    models,
    notation,
    proof,
    proof_device,
    proof_published,
    rows,
    sources,
)
from reference_checks.alignment import Ambiguous, isomorphism
from reference_checks.diff import AbsorbedDifference, Diff, diff, text
from reference_checks.graph import Graph
from reference_checks.load import Paper
from reference_checks.measure import all_params, multiply_adds
from reference_checks.networks import Networks
from reference_checks.own import outputs
from reference_checks.record import Record, Verdict
from reference_checks.rewrites import RULES, canonical
from reference_checks.spec import Deviation, Official, Variant
from reference_checks.units import Options

SHOWN = 4  # layers that a record names


def check_official(
    networks: Networks, paper: Paper, variant: str, official: Official,
    options: Options,
) -> Iterator[Record]:  # fmt: skip
    """Records of an official model: deviations, structure, and, if run, equivalence."""
    entry = paper.spec.variants[variant]
    pair = Pair(networks, paper, variant, entry, official)
    try:
        model = models.read(official.model, networks.papers, **pair.sizes)
    except models.NotAvailable as missing:
        yield from pair.unseen(str(missing))
        yield pair.record("structure", Verdict.NOT_RUN, detail=str(missing))
        return
    theirs, ours = model.graph, networks.graph(paper, variant, **pair.knobs)
    try:
        found = diff(ours, theirs)
    except Ambiguous as problem:
        yield pair.record("structure", Verdict.CONTRADICTED, detail=str(problem))
        return
    yield from pair.deviations(found, theirs)
    yield from pair.accounting(theirs)
    yield pair.structure(found)
    if not found.same:
        for check in proof.CHECKS:
            yield pair.record(check, Verdict.NOT_RUN, detail="the structure differs")
        return
    yield from pair.rows(found)
    if not options.run:
        for check in proof.CHECKS:
            yield pair.record(check, Verdict.NOT_RUN, detail="static run")
        return
    if model.keras is None:  # a frozen function, with the weights that it came with
        yield from outputs(
            networks, paper, variant, official.model, pair.knobs, pair.sizes, False,
            pair.record,
        )  # fmt: skip
        return
    if options.device:
        yield from proof_device.run(pair, options)
        return
    yield from proof.run(pair, options)
    if options.published:
        yield from proof_published.run(pair)


class Pair:
    """An official model and the variant that it claims to be."""

    def __init__(
        self, networks: Networks, paper: Paper, variant: str, entry: Variant,
        official: Official,
    ) -> None:  # fmt: skip
        self.networks, self.paper, self.variant = networks, paper, variant
        self.entry, self.official = entry, official
        self.entries: Mapping[str, Deviation] = {
            name: paper.spec.deviations[name] for name in official.deviations
        }
        self.knobs = {d.knob: d.value for d in self.entries.values() if d.knob}

    def record(self, check: str, verdict: Verdict, **more: Any) -> Record:
        index = self.paper.spec.variants[self.variant].official.index(self.official)
        more.setdefault(
            "at", self.paper.at("variants", self.variant, "official", index)
        )
        return Record(
            self.paper.stem, self.variant, self.official.model, check, verdict, **more
        )

    @property
    def unit(self) -> str:
        return f"{self.paper.stem}/{self.variant}/{self.official.model}"

    @property
    def sizes(self) -> dict[str, Any]:
        return {"input_shape": tuple(self.entry.input), "classes": self.entry.classes}

    def build_official(self, **options: Any) -> Any:
        return models.build(self.official.model, **{**self.sizes, **options})

    def build_ours(self, **options: Any) -> Any:
        return sources.build_paper(self.paper, self.variant, self.knobs | options)

    # Deviations and what they cost ---------------------------------------------------

    def deviations(self, found: Diff, theirs: Graph) -> Iterator[Record]:
        """Each recorded deviation holds exactly; each difference is recorded."""
        left = list(found.absorbed) if found.same else []
        for name, entry in self.entries.items():
            path = ("deviations", name)
            if entry.knob is not None:
                verdict, measured, detail = self._knob(entry, found, theirs)
            else:
                group = next((g for g in left if _matches(entry, g)), None)
                verdict, measured, detail = self._absorbed(entry, group, found)
                if group is not None:
                    left.remove(group)
            yield self.record(
                "deviation", verdict, claim=name, printed=self._recorded(entry),
                measured=measured, detail=detail, at=self.paper.at(*path),
            )  # fmt: skip
        for group in left:
            detail = f"no recorded deviation says so; the first is {group.at}"
            yield self.record(
                "deviation", Verdict.CONTRADICTED, claim=f"unrecorded {group.attribute}",
                measured=str(group), detail=detail + self._not_in(found, group),
            )  # fmt: skip

    def unseen(self, reason: str) -> Iterator[Record]:
        """What knobs cost needs no official model; whether it has what they turn does."""
        for name, entry in self.entries.items():
            if entry.knob is None:
                continue
            printed, measured = self._recorded(entry), self._knob_cost(entry)
            same = measured == printed
            yield self.record(
                "deviation", Verdict.NOT_RUN if same else Verdict.CONTRADICTED,
                claim=name, printed=printed, measured=measured,
                detail=reason if same else entry.what,
                at=self.paper.at("deviations", name),
            )  # fmt: skip

    def _of(self, cost: int | Mapping[str, int]) -> int:
        return cost if isinstance(cost, int) else cost.get(self.variant, 0)

    def _recorded(self, entry: Deviation) -> str:
        return _cost(
            self._of(entry.params), self._of(entry.multiply_adds),
            None if entry.layers is None else self._of(entry.layers), entry.at,
        )  # fmt: skip

    def _absorbed(
        self, entry: Deviation, group: AbsorbedDifference | None, found: Diff
    ) -> tuple[Verdict, str | None, str]:
        if not found.same:
            return Verdict.NOT_RUN, None, "the structure differs"
        if group is None:
            return Verdict.CONTRADICTED, "nothing", f"{entry.what} (it vanished)"
        layers = None if entry.layers is None else group.layers
        at = None if entry.at is None else group.at
        measured = _cost(group.params, 0, layers, at)
        if measured == self._recorded(entry):
            return Verdict.EXACT, measured, entry.what
        detail = entry.what + self._not_in(found, group)
        return Verdict.CONTRADICTED, measured, detail

    def _not_in(self, found: Diff, group: AbsorbedDifference) -> str:
        """What is less than all of them is found by where it is not."""
        without = found.agreeing(group.rewrite, group.attribute)
        return f"; not in {', '.join(without)}" if 0 < len(without) <= SHOWN else ""

    def _knob(
        self, entry: Deviation, found: Diff, theirs: Graph
    ) -> tuple[Verdict, str, str]:
        """A knob's cost against the faithful network, and that it is still needed."""
        measured = self._knob_cost(entry)
        without = {k: v for k, v in self.knobs.items() if k != entry.knob}
        others = self.networks.graph(self.paper, self.variant, **without)
        if isomorphism(canonical(others), found.b) is not None:
            left = diff(others, theirs).absorbed
            rest = [group for group in left if not self._recorded_as(group)]
            why = (
                f"only this is left: {'; '.join(map(str, rest))}"
                if rest
                else "it vanished"
            )
            return Verdict.CONTRADICTED, measured, f"{entry.what} ({why})"
        same = measured == self._recorded(entry)
        return (Verdict.EXACT if same else Verdict.CONTRADICTED), measured, entry.what

    def _recorded_as(self, group: AbsorbedDifference) -> bool:
        return any(_matches(entry, group) for entry in self.entries.values())

    def _knob_cost(self, entry: Deviation) -> str:
        plain = self.networks.graph(self.paper, self.variant)
        turned = self.networks.graph(
            self.paper, self.variant, **{entry.knob: entry.value}
        )
        return _cost(
            all_params(turned) - all_params(plain),
            multiply_adds(turned) - multiply_adds(plain),
        )

    def accounting(self, theirs: Graph) -> Iterator[Record]:
        """The official count is ours plus the deviations, to the last one."""
        ours = self.networks.graph(self.paper, self.variant)
        for what, count in (("params", all_params), ("multiply_adds", multiply_adds)):
            costs = [self._of(getattr(entry, what)) for entry in self.entries.values()]
            official, total = count(theirs), count(ours) + sum(costs)
            terms = "".join(f" {cost:+,}" for cost in costs if cost)
            yield self.record(
                "accounting", Verdict.EXACT if official == total else Verdict.CONTRADICTED,
                claim=what, printed=f"{official:,}", measured=total,
                detail=f"{count(ours):,}{terms} = {total:,}",
            )  # fmt: skip

    # Structure ---------------------------------------------------------------------

    def structure(self, found: Diff) -> Record:
        """Both are one graph after rewriting: a proof for every input and weight."""
        if found.same:
            detail = f"{len(found.alignment.pairs)} operations aligned one to one"
            used = {*found.a.rewritten, *found.b.rewritten}
            names = tuple(name for name in RULES if name in used)
            return self.record(
                "structure", Verdict.PROVEN, detail=detail, rewrites=names
            )
        changes = "; ".join(str(change) for change in found.changes[:3])
        more = len(found.changes) - 3
        detail = changes + (f"; and {more} more" if more > 0 else "")
        return self.record("structure", Verdict.CONTRADICTED, detail=detail)

    def rows(self, found: Diff) -> Iterator[Record]:
        """The official model's layer table, read through the alignment."""
        if self.entry.table is None:
            return
        table = self.paper.spec.tables[self.entry.table]
        names = found.a.row_of(table.rows)
        aligned: list[str | None] = [None] * len(found.b.ops)
        for i, j in found.alignment.pairs.items():
            aligned[j] = names[i]
        ours, theirs = rows.read(found.a, names), rows.read(found.b, aligned)
        for name, row in theirs.items():
            mine, cell = (notation.render(r.items) for r in (ours[name], row))
            verdict = Verdict.EXACT if mine == cell else Verdict.CONTRADICTED
            yield self.record(
                "rows",
                verdict,
                row=name,
                claim=table.source,
                printed=mine,
                measured=cell,
            )


def _matches(entry: Deviation, group: AbsorbedDifference) -> bool:
    """Whether a measured difference is what the deviation describes."""
    return (
        (entry.absorbed_by, entry.attribute) == (group.rewrite, group.attribute)
        and _equal(entry.ours, group.a)
        and _equal(entry.official, group.b)
    )


def _equal(recorded: str | None, value: Any) -> bool:
    if recorded is None:
        return value is None
    if isinstance(value, float):
        try:
            return float(recorded) == value
        except ValueError:
            return False
    return recorded == text(value)


def _cost(
    params: int, operations: int, layers: int | None = None, at: str | None = None
) -> str:
    where = "" if layers is None else f" in {layers} layers"
    where += "" if at is None else f" from {at} on"
    return f"{params:+,} parameters, {operations:+,} multiply-adds{where}"
