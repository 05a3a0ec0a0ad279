"""The chain, run on a mutant as if it were our implementation: which check sees it.

The mutant is held against the printed numbers and against the official model, by the
same functions as ever; a check sees it if it fails and does not fail without the
mutation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from reference_checks import models
from reference_checks.alignment import Ambiguous, isomorphism
from reference_checks.claims import check_variant
from reference_checks.diff import Diff, diff
from reference_checks.graph import Graph
from reference_checks.load import Paper
from reference_checks.mutate.mutants import Mutant, Site, mutants_at, mutate, names
from reference_checks.mutate.result import OFFICIAL, PRINTED
from reference_checks.networks import Networks
from reference_checks.official import SHOWN, Pair
from reference_checks.record import Record, Verdict
from reference_checks.rewrites import canonical
from reference_checks.spec import Official

REACH = 40
"""How far from what diff names a block can end."""

ROWS = ("rows", "output size", "input size")
COLUMNS = {
    **dict.fromkeys(ROWS, "rows"), "params": "params", "multiply_adds": "multiply-adds",
    "depth": "depth", "accounting": "accounting", "structure": "structure",
    "deviation": "deviations",
}  # fmt: skip


@dataclass
class MutatedNetworks(Networks):
    """The networks of all papers, with one change in every form of one variant."""

    plain: Networks = field(kw_only=True)
    of: tuple[str, str] = field(kw_only=True)
    site: Site = field(kw_only=True)

    def graph(self, paper: Paper, variant: str, **knobs: object) -> Graph:
        graph = self.plain.graph(paper, variant, **knobs)
        if (paper.stem, variant) != self.of:
            return graph
        key = (variant, repr(sorted(knobs.items())))
        if key not in self.known:
            self.known[key] = mutate(graph, self.site)
        return self.known[key]


@dataclass(frozen=True)
class Seen:
    """What the static chain says of a mutant.

    `by` are the checks that fail, `named` the layers that are said to differ by
    themselves, `located` whether the mutated one is among them, and `alone` whether no
    other is; `deviations` are recorded ones that no longer hold.  `same` if nothing at all
    differs: the rewrites prove it equivalent.
    """

    by: tuple[str, ...]
    named: tuple[str, ...] = ()
    located: bool = False
    alone: bool = False
    same: bool = False
    deviations: tuple[str, ...] = ()


@dataclass
class Chain:
    """A variant and its official model, with what is needed again for every mutant."""

    networks: Networks
    paper: Paper
    variant: str
    official: Official

    @cached_property
    def pair(self) -> Pair:
        return self._pair(self.networks)

    def _pair(self, networks: Networks) -> Pair:
        entry = self.paper.spec.variants[self.variant]
        return Pair(networks, self.paper, self.variant, entry, self.official)

    @cached_property
    def theirs(self) -> Graph:
        """The official model's graph.

        Raises:
            NotAvailable: its package, or the network, is missing.
        """
        name = self.official.model
        return models.read(name, self.networks.papers, **self.pair.sizes).graph

    @cached_property
    def ours(self) -> Graph:
        """Our implementation's, with the recorded deviations."""
        return self.networks.graph(self.paper, self.variant, **self.pair.knobs)

    @cached_property
    def found(self) -> Diff:
        return diff(self.ours, self.theirs)

    @cached_property
    def failing(self) -> frozenset[tuple]:
        """What fails without a mutation."""
        records = self._records(self.networks, self.found)
        return frozenset(map(_key, _failed(records)))

    def _records(self, networks: Networks, found: Diff | None) -> Iterator[Record]:
        yield from check_variant(networks, self.paper, self.variant)
        pair = self._pair(networks)
        yield from pair.accounting(self.theirs)
        if found is None:
            yield pair.record("structure", Verdict.CONTRADICTED)
            return
        yield pair.structure(found)
        yield from pair.deviations(found, self.theirs)
        if found.same:
            yield from pair.rows(found)

    def see(self, mutant: Mutant) -> Seen:
        """Run the static chain on a mutant of `ours`."""
        networks = MutatedNetworks(
            self.networks.papers, plain=self.networks,
            of=(self.paper.stem, self.variant), site=mutant.site,
        )  # fmt: skip
        try:
            found = diff(mutant.graph, self.theirs)
        except Ambiguous:
            found = None
        failed = _failed(self._records(networks, found))
        failed = [r for r in failed if _key(r) not in self.failing]
        by = {_column(r) for r in failed}
        seen = tuple(c for c in (*PRINTED, *OFFICIAL) if c in by)
        if found is None:
            return Seen(seen)
        mine, theirs = self._truth(mutant)
        roots = [(c.a, c.b) for c in found.changes if not c.follows]
        roots += [(name, name) for name in self._absorbed(found)]
        if found.same and not roots:
            roots = [(name, None) for name in self._printed(failed)]
        right = [a in mine or b in theirs for a, b in roots]
        if not any(right):
            right = [self._alike(mutant, a, b) for a, b in roots]
        return Seen(
            seen,
            tuple(str(a or b) for a, b in roots),
            any(right),
            any(right) and all(right),
            found.same and found.absorbed == self.found.absorbed,
            tuple(str(r.claim) for r in failed if r.check == "deviation"),
        )

    def _absorbed(self, found: Diff) -> Iterator[str]:
        """Layers that a record of a deviation names, and would not without the mutation."""
        before = {(d.rewrite, d.attribute, d.a, d.b): d for d in self.found.absorbed}
        changed: set[tuple[str, str]] = set()
        for group in found.absorbed:
            key = group.rewrite, group.attribute, group.a, group.b
            if key not in before:
                yield group.at
            if key not in before or before[key].layers != group.layers:
                changed.add((group.rewrite, group.attribute))
        for what in sorted(changed):
            without, known = found.agreeing(*what), self.found.agreeing(*what)
            if len(without) <= SHOWN:
                yield from (layer for layer in without if layer not in known)
        for entry in self.pair.entries.values():
            kind = entry.absorbed_by, entry.attribute
            there = any(kind == (d.rewrite, d.attribute) for d in found.absorbed)
            if entry.at is not None and found.same and not there:
                yield entry.at

    def _printed(self, failed: Iterable[Record]) -> Iterator[str]:
        """The layers of rows that are printed otherwise, though they compute the same."""
        entry = self.pair.entry
        if entry.table is not None:
            wrong = {record.row for record in failed} - {None}
            rows = self.ours.row_of(self.paper.spec.tables[entry.table].rows)
            yield from dict.fromkeys(
                op.layer
                for op, row in zip(self.ours.ops, rows, strict=True)
                if row in wrong
            )

    def _alike(self, mutant: Mutant, a: str | None, b: str | None) -> bool:
        """Whether the same change at the op that is named makes the same network."""
        pairs = self.found.alignment.pairs.items()
        ops = [(self.found.a.ops[i].layer, self.found.b.ops[j].layer) for i, j in pairs]
        near = {mine for mine, theirs in ops if mine == a or theirs == b}
        at = [i for i, op in enumerate(self.ours.ops) if op.layer in near]
        around = {i for k in at for i in range(max(k - REACH, 0), k + REACH)}
        around &= set(range(len(self.ours.ops)))
        graph = canonical(mutant.graph)
        return any(
            near & ({self.ours.ops[i].layer for i in other.touched} | {*other.new})
            and isomorphism(canonical(other.graph), graph) is not None
            for other in mutants_at(self.ours, mutant.site.mutation, sorted(around))
        )

    def _truth(self, mutant: Mutant) -> tuple[set[str], set[str]]:
        """The layers that the mutation touched, in ours and in the official model."""
        known = frozenset(op.layer for op in self.found.a.ops)
        mine = names(self.ours, mutant.touched, known) | set(mutant.new)
        theirs: set[str] = set()
        for i, j in self.found.alignment.pairs.items():
            other = self.found.b.ops[j]
            if self.found.a.ops[i].layer in mine:
                theirs |= {other.layer} | {note.layer for note in other.absorbed}
        return mine, theirs


def _failed(records: Iterable[Record]) -> list[Record]:
    return [r for r in records if r.verdict is Verdict.CONTRADICTED]


def _key(record: Record) -> tuple:
    return record.subject, record.check, record.row, record.claim


def _column(record: Record) -> str:
    return COLUMNS.get(record.check, "other numbers")
