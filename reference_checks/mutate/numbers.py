"""What running the networks sees: outputs in float64 and float32, a step of training.

The graphs themselves are run (`execute`), so that mutants that no library can build have
outputs too.  Weights are random and calibrated, as in the chain.  The networks are run at
the smallest size at which padding falls as it does at their own, as they are trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reference_checks import equivalence, models
from reference_checks.diff import Diff, diff
from reference_checks.equivalence import FLOAT64_BUDGET, budget, distance
from reference_checks.equivalence.subject import before_prefix
from reference_checks.errors import InputError
from reference_checks.execute import outputs
from reference_checks.graph import Graph
from reference_checks.localise import first_outside
from reference_checks.mutate import training
from reference_checks.mutate.chain import Chain
from reference_checks.mutate.mutants import Mutant, again
from reference_checks.mutate.weights import Misplaced
from reference_checks.proof_training import smaller
from reference_checks.transfer import transfer

SEED = 1998


@dataclass(frozen=True)
class Measured:
    """Whether outputs, and a training step, differ (None: not run); `loads` whether the
    weights fit at all.

    `located` is the layer that computes something else first.
    """

    float64: bool | None = None
    float32: bool | None = None
    training: bool | None = None
    loads: bool = True
    located: str | None = None


@dataclass
class Numbers:
    """A variant and its official model with the same weights, ready to be run.

    `size` is the input's; that of the paper, without one.
    """

    chain: Chain
    size: tuple[int, int, int] | None = None

    @classmethod
    def small(cls, chain: Chain) -> Numbers:
        """At the size at which the chain trains, if the structure is the same there."""
        native = tuple(chain.pair.entry.input)
        size = smaller(native)
        found = cls(chain, None if size == native else size)
        try:
            return found if found.found.same else found.native
        except InputError:  # a window of pooling larger than what is left of the map
            return found.native

    @cached_property
    def native(self) -> Numbers:
        """At the paper's size, for what there is none of at another."""
        return self if self.size is None else Numbers(self.chain)

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        return self.size or tuple(self.chain.pair.entry.input)

    @cached_property
    def ours(self) -> Graph:
        """Our implementation, with the recorded deviations."""
        if self.size is None:
            return self.chain.ours
        pair = self.chain.pair
        return self.chain.networks.graph(
            pair.paper, pair.variant, input_shape=self.size, **pair.knobs
        )

    @cached_property
    def found(self) -> Diff:
        if self.size is None:
            return self.chain.found
        pair = self.chain.pair
        sizes = {**pair.sizes, "input_shape": self.size}
        name, papers = pair.official.model, self.chain.networks.papers
        return diff(self.ours, models.read(name, papers, **sizes).graph)

    @cached_property
    def values(self) -> dict[int, np.ndarray]:
        """Calibrated weights of our implementation, deviations switched on."""
        build = self.chain.pair.build_ours
        subject = equivalence.subject(lambda: build(input_shape=self.shape))
        subject.assign(equivalence.random_values(subject.graph, SEED))
        equivalence.calibrate(subject, equivalence.inputs(self.shape, SEED), SEED)
        return {i: subject.values[i] for i in range(len(subject.values))}

    @cached_property
    def theirs(self) -> dict[int, np.ndarray]:
        """The same weights, moved into the official model."""
        found = self.found
        return transfer(found.a, found.b, found.alignment, self.values).values

    @cached_property
    def x(self) -> np.ndarray:
        """One photograph in float64, as the canonical graphs read it."""
        return equivalence.photographs(self.shape)[:1].astype(np.float64)

    @cached_property
    def fed(self) -> np.ndarray:
        """What our implementation rescales to `x`."""
        return before_prefix(self.ours, self.x)

    @cached_property
    def reference(self) -> np.ndarray:
        return outputs(self.ours, self.values, self.fed)[0]

    @cached_property
    def budget32(self) -> float:
        """What float32 is allowed, by the network's own errors in it."""
        rewritten = outputs(self.found.a, self.values, self.x.astype(np.float32))[0]
        errors = (
            self._gap(self.ours, self.values, np.float32),
            distance(rewritten, self.reference),
        )
        return budget("float32", errors)

    @cached_property
    def trained(self) -> training.Step:
        """A training step of our implementation, on two photographs."""
        return self._step(self.ours, self.values)

    def _step(self, graph: Graph, values: dict[int, np.ndarray]) -> training.Step:
        batch = equivalence.photographs(self.shape).astype(np.float64)
        batch = batch if self.size else batch[:1]
        return training.step(graph, values, before_prefix(self.ours, batch), SEED)

    def _gap(self, graph: Graph, values: dict[int, np.ndarray], dtype: type) -> float:
        with np.errstate(all="ignore"):
            found = outputs(graph, values, self.fed.astype(dtype))[0]
        return distance(found, self.reference)

    def run(self, mutant: Mutant, same: bool = False) -> Measured:
        """A mutated graph with the weights of the right one, if they fit.

        New weights are what a library starts with; a kernel that is new, and a weight
        that nothing takes, is a refusal to load.  Where the structure is the `same`, it is
        run in float64 too, and trained.
        """
        found = again(self.ours, mutant.site)
        if found is None:
            return self.native.run(mutant, same)
        made = found.made
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
        in32 = self._gap(made.graph, values, np.float32) > self.budget32
        if not same:
            return Measured(float32=in32)
        in64 = self._gap(made.graph, values, np.float64) > FLOAT64_BUDGET
        origin = {n: old for n, old in enumerate(made.origin) if old is not None}
        step = self._step(made.graph, values)
        return Measured(in64, in32, training.differ(step, self.trained, origin))

    def check(self, wrong: Misplaced) -> Measured:
        """Misplaced weights: the outputs, and the first op outside its bound."""
        graph, found = self.ours, self.found
        where = first_outside(
            found.a, found.b, found.alignment.pairs, (wrong.values, self.theirs), self.x
        )
        return Measured(
            self._gap(graph, wrong.values, np.float64) > FLOAT64_BUDGET,
            self._gap(graph, wrong.values, np.float32) > self.budget32,
            located=None if where is None else found.a.ops[where.index].layer,
        )
