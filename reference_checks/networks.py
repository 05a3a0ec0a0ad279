"""The faithful networks of all papers, built when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from reference_checks.from_keras import from_keras, unallocated
from reference_checks.from_keras.sketch import sketched
from reference_checks.graph import Graph
from reference_checks.load import Paper
from reference_checks.provenance import Calls, watched
from reference_checks.sources import build_paper


@dataclass
class Networks:
    """The faithful networks of all papers, read once each."""

    papers: Mapping[str, Paper]
    known: dict[tuple, tuple[Graph, Calls]] = field(default_factory=dict)

    def home(self, variant: str) -> Paper | None:
        """The paper that a variant is of."""
        return next(
            (p for p in self.papers.values() if variant in p.spec.variants), None
        )

    def graph(self, paper: Paper, variant: str, **knobs: object) -> Graph:
        """The op graph of a variant, with nothing allocated."""
        return self._read(paper, variant, knobs)[0]

    def calls(self, paper: Paper, variant: str) -> Calls:
        """The lines of the implementation that call each layer, by the layer's name."""
        return self._read(paper, variant, {})[1]

    def _read(
        self, paper: Paper, variant: str, knobs: Mapping[str, object]
    ) -> tuple[Graph, Calls]:
        key = (paper.stem, variant, repr(sorted(knobs.items())))
        if key not in self.known:
            file = str(paper.implementation)
            # Lines are asked for of the paper's own network alone.
            seen = nullcontext({}) if knobs else watched(file)
            with unallocated(), sketched(), seen as calls:
                model = build_paper(paper, variant, knobs)
            with unallocated():
                # Without the model's tensors, which would keep the whole of it.
                graph = replace(from_keras(model), tensors=())
                self.known[key] = graph, calls
        return self.known[key]
