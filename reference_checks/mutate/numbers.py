"""What running the networks sees: outputs in float64 and float32, op by op.

The graphs themselves are run (`execute`), so that mutants that no library can build have
outputs too.  Weights are random and calibrated, as in the chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reference_checks import equivalence
from reference_checks.equivalence import FLOAT64_BUDGET, budget, distance
from reference_checks.execute import outputs
from reference_checks.graph import Graph
from reference_checks.localise import first_outside
from reference_checks.mutate.chain import Chain
from reference_checks.mutate.mutants import Mutant
from reference_checks.mutate.weights import Misplaced
from reference_checks.transfer import transfer

SEED = 1998


@dataclass(frozen=True)
class Measured:
    """Whether float64 and float32 outputs differ; `loads` whether the weights fit at all.

    `located` is the layer that computes something else first.
    """

    float64: bool | None = None
    float32: bool | None = None
    loads: bool = True
    located: str | None = None


@dataclass
class Numbers:
    """A variant and its official model with the same weights, ready to be run."""

    chain: Chain

    @cached_property
    def values(self) -> dict[int, np.ndarray]:
        """Calibrated weights of our implementation, deviations switched on."""
        subject = equivalence.subject(self.chain.pair.build_ours)
        shape = tuple(self.chain.pair.entry.input)
        subject.assign(equivalence.random_values(subject.graph, SEED))
        equivalence.calibrate(subject, equivalence.inputs(shape, SEED), SEED)
        return {i: subject.values[i] for i in range(len(subject.values))}

    @cached_property
    def theirs(self) -> dict[int, np.ndarray]:
        """The same weights, moved into the official model."""
        found = self.chain.found
        return transfer(found.a, found.b, found.alignment, self.values).values

    @cached_property
    def x(self) -> np.ndarray:
        """One photograph in float64."""
        shape = tuple(self.chain.pair.entry.input)
        return equivalence.photographs(shape)[:1].astype(np.float64)

    @cached_property
    def reference(self) -> np.ndarray:
        return outputs(self.chain.ours, self.values, self.x)[0]

    @cached_property
    def budget32(self) -> float:
        """What float32 is allowed, by the network's own errors in it."""
        graphs = self.chain.ours, self.chain.found.a  # as read, and after rewriting
        errors = (self._gap(graph, self.values, np.float32) for graph in graphs)
        return budget("float32", errors)

    def _gap(self, graph: Graph, values: dict[int, np.ndarray], dtype: type) -> float:
        with np.errstate(all="ignore"):
            found = outputs(graph, values, self.x.astype(dtype))[0]
        return distance(found, self.reference)

    def run(self, mutant: Mutant, double: bool = False) -> Measured:
        """A mutated graph with the weights of the right one, if they fit.

        New weights are what a library starts with; a kernel that is new, and a weight
        that nothing takes, is a refusal to load.
        """
        made = mutant.made
        values: dict[int, np.ndarray] = {}
        for op in made.graph.ops:
            for weight in op.weights:
                (new,) = weight.variables
                old = made.origin[new]
                if old is not None and self.values[old].size == np.prod(weight.shape):
                    values[new] = self.values[old].reshape(weight.shape)
                elif old is None and weight.role != "kernel":
                    first = 1.0 if weight.role in ("gamma", "variance") else 0.0
                    values[new] = np.full(weight.shape, first)
                else:
                    return Measured(loads=False)
        if len({*made.origin} - {None}) < len(self.values):
            return Measured(loads=False)
        gap = self._gap(made.graph, values, np.float32)
        exact = self._gap(made.graph, values, np.float64) if double else None
        return Measured(
            None if exact is None else exact > FLOAT64_BUDGET, gap > self.budget32
        )

    def check(self, wrong: Misplaced) -> Measured:
        """Misplaced weights: the outputs, and the first op outside its bound."""
        graph, found = self.chain.ours, self.chain.found
        where = first_outside(
            found.a, found.b, found.alignment.pairs, (wrong.values, self.theirs), self.x
        )
        return Measured(
            self._gap(graph, wrong.values, np.float64) > FLOAT64_BUDGET,
            self._gap(graph, wrong.values, np.float32) > self.budget32,
            located=None if where is None else found.a.ops[where.index].layer,
        )
