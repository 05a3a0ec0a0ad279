"""The faithful networks of all papers, built when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reference_checks.from_keras import from_keras, unallocated
from reference_checks.graph import Graph
from reference_checks.load import Paper
from reference_checks.models import build_paper


@dataclass
class Networks:
    """The faithful networks of all papers, read once each."""

    papers: Mapping[str, Paper]
    known: dict[tuple, Graph] = field(default_factory=dict)

    def home(self, variant: str) -> Paper | None:
        """The paper that a variant is of."""
        return next(
            (p for p in self.papers.values() if variant in p.spec.variants), None
        )

    def graph(self, paper: Paper, variant: str, **knobs: object) -> Graph:
        """The op graph of a variant, with nothing allocated."""
        key = (paper.stem, variant, repr(sorted(knobs.items())))
        if key not in self.known:
            with unallocated():
                self.known[key] = from_keras(build_paper(paper, variant, knobs))
        return self.known[key]
