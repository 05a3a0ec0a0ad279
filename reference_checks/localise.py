"""Where two networks with the same weights part: the first operation that is wrong by itself.

Outputs that differ do not say where.  So operations are compared one by one in
topological order, both fed the same input, each against its own a-priori bound
(`bounds`): an error made before does not arrive, and one made here is not amplified by
what follows.  The two op graphs, which differ in weights; and each model's own tensors
against the op graph read from it, which differ where a layer, on one side only, computes
something else than was read.  Every operation runs a few times: O(layers).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from reference_checks.alignment import align
from reference_checks.bounds import Traced, allowed, traced
from reference_checks.diff import describe, differences
from reference_checks.equivalence import Subject, before_prefix, distance
from reference_checks.errors import InputError, out_of_memory
from reference_checks.execute import weights_of
from reference_checks.graph import Graph, Values
from reference_checks.rewrites import canonical
from reference_checks.rewrites.normalisation import after_prefix

if TYPE_CHECKING:
    from reference_checks.from_saved_model import Frozen

BROKEN = "not finite"


@dataclass(frozen=True)
class Outside:
    """An operation outside its bound, and where it is furthest outside.

    `index` is the op's in the graph, `at` counts pictures first, `values` are what the two
    sides have there, `bound` is how far they may be apart.  `weights` are the roles whose
    values differ, or that are not finite, with how far by.
    """

    index: int
    at: tuple[int, ...]
    values: tuple[float, float]
    bound: float
    weights: Mapping[str, str] = field(default_factory=dict)


def first_outside(
    a: Graph, b: Graph, pairs: Mapping[int, int], values: tuple[Values, Values],
    x: np.ndarray,
) -> Outside | None:  # fmt: skip
    """The first op of `a` that computes something else than its pair in `b`.

    Both graphs are canonical and isomorphic (`pairs`), `values` are those of their
    variables; both ops are fed what `b` computes of the batch `x`, in its precision.
    What is not finite is outside, on both sides too.  None: all are within their bounds.

    Raises:
        GraphError: an operation that is not run.
    """
    left = Counter({i: len(readers) for i, readers in enumerate(a.consumers)})
    fed: dict[int, Traced] = {}
    for index, op in enumerate(a.ops):
        other = b.ops[pairs[index]]
        if op.kind == "input":
            fed[index] = Traced.exact(ops.convert_to_tensor(x))
            found = outside(index, fed[index], fed[index])
        else:
            back = {pairs[i]: i for i in op.inputs}
            sides = ((op, op.inputs), (other, [back[j] for j in other.inputs]))
            weights = [
                weights_of(o, v, x.dtype)
                for (o, _), v in zip(sides, values, strict=True)
            ]
            mine, theirs = (
                traced(o, [fed[i] for i in inputs], w)
                for (o, inputs), w in zip(sides, weights, strict=True)
            )
            found = outside(index, mine, theirs, _differing(*weights))
            fed[index] = Traced.exact(theirs.value)
        if found is not None:
            return found
        for source in op.inputs:
            left[source] -= 1
            if not left[source]:
                fed.pop(source, None)
    return None


def outside(
    index: int, mine: Traced, theirs: Traced, weights: Mapping[str, str] | None = None
) -> Outside | None:
    """Where two evaluations are furthest outside their bound; None, where they are not.

    A weight that is not finite is outside wherever it leads.
    """
    weights = weights or {}
    left, right = (ops.convert_to_numpy(t.value) for t in (mine, theirs))
    finite = np.isfinite(left) & np.isfinite(right)
    broken = BROKEN in weights.values()
    if np.array_equal(left, right) and finite.all() and not broken:
        return None
    with np.errstate(all="ignore"):
        gap = np.abs(left - right)
        bound = np.maximum(allowed(mine), allowed(theirs))
        # NaN compares as false with anything: held is what is known to hold.
        if (finite & (gap <= bound)).all() and not broken:
            return None
        excess = np.where(finite, gap / np.where(bound > 0, bound, 5e-324), np.inf)
    at = np.unravel_index(np.argmax(excess), excess.shape)
    values = float(left[at]), float(right[at])
    return Outside(index, tuple(map(int, at)), values, float(bound[at]), weights)


def _differing(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, str]:
    """The weights that differ by more than rounding, or are not finite."""
    found = {}
    for role, weight in mine.items():
        pair = [ops.convert_to_numpy(w) for w in (weight, theirs[role])]
        if not all(np.isfinite(p).all() for p in pair):
            found[role] = BROKEN
            continue
        gap, scale = np.linalg.norm(pair[0] - pair[1]), np.linalg.norm(pair[1])
        if gap > 4 * np.finfo(pair[0].dtype).eps * scale:
            found[role] = f"{gap / scale if scale else np.inf:.2g} apart"
    return found


def misread(source: Subject | Frozen, x: np.ndarray) -> dict[int, Outside]:
    """The ops whose result in the model is not what the op graph makes of its input.

    The op graph is fed the model's own tensors for the batch `x`; where a rewrite left
    none, bounds add up to the next.  Ops are those of the canonical graph, in its order;
    the first of `values` is the model's.

    Raises:
        GraphError: an operation that is not run.
    """
    reading = _Reading(source.graph, source.values, x)
    if isinstance(source, Subject):
        source.run(x, see=reading.see)
    else:
        numbers = list(reading.number)
        results = source.run(before_prefix(source.graph, x), numbers)
        for number, value in zip(numbers, results[-len(numbers) :], strict=True):
            reading.check(number, value)
    return dict(sorted(reading.found.items()))


class _Reading:
    """The op graph, run from each of the model's own tensors to the next.

    `number` has the op for each tensor, in the order of the graph.
    """

    def __init__(self, graph: Graph, values: Values, x: np.ndarray) -> None:
        self.graph, self.values, self.x = canonical(graph), values, x
        self.found: dict[int, Outside] = {}
        self.fed: dict[int, Traced] = {}
        self.left = Counter(
            {i: len(readers) for i, readers in enumerate(self.graph.consumers)}
        )
        self.tensors = {id(tensor): k for k, tensor in enumerate(graph.tensors)}
        self.number: dict[int, int] = {}
        # The model may rescale its input itself, and goes on from what comes out.
        fed = graph.ops[after_prefix(graph)]
        for index, op in enumerate(self.graph.ops):
            tensor = fed.tensor if op.kind == "input" else op.tensor
            if tensor is not None and not (op.kind == fed.kind == "input"):
                self.number[tensor] = index

    def see(self, tensor: Any, value: Any) -> None:
        """As `Subject.run` shows the model's tensors."""
        if id(tensor) in self.tensors:
            self.check(self.tensors[id(tensor)], value)

    def check(self, tensor: int, value: Any) -> None:
        index = self.number.get(tensor)
        if index is None:
            return
        op = self.graph.ops[index]
        value = ops.convert_to_tensor(value)
        if tuple(value.shape[1:]) != op.shape:  # a rewrite has left out a reshape
            value = ops.reshape(value, (len(value), *op.shape))
        own = Traced.exact(value)
        if op.kind != "input":
            found = outside(index, own, self._run(index, value.dtype))
            if found is not None:
                self.found[index] = found
        self.fed[index] = own

    def _run(self, index: int, dtype: Any) -> Traced:
        op, inputs = self.graph.ops[index], []
        for source in op.inputs:
            if source not in self.fed:
                self.fed[source] = self._run(source, dtype)
            inputs.append(self.fed[source])
            self.left[source] -= 1
            if not self.left[source]:
                del self.fed[source]
        if op.kind == "input":
            return Traced.exact(ops.cast(ops.convert_to_tensor(self.x), dtype))
        dtype = keras.backend.standardize_dtype(dtype)
        return traced(op, inputs, weights_of(op, self.values, dtype))


@dataclass(frozen=True)
class Side:
    """A model that was run, and the weights that it had then; a Keras model needs none now."""

    name: str
    source: Subject | Frozen
    values: Values

    def misread(self, x: np.ndarray) -> dict[int, Outside]:
        if not isinstance(self.source, Subject):
            return misread(self.source, x)
        self.source.assign(self.values)
        try:
            return misread(self.source, x)
        finally:
            self.source.release()


def differing_most(compared: Iterable[tuple[np.ndarray, np.ndarray]]) -> slice:
    """The picture whose results differ most, of arrays with one entry for each picture."""
    gaps = [
        [distance(*pair) for pair in zip(*arrays, strict=True)] for arrays in compared
    ]
    worst = int(np.argmax(np.max(gaps, axis=0)))
    return slice(worst, worst + 1)


def localise(
    sides: Callable[[], tuple[Side, Side]], x: np.ndarray, rows: Iterable[str] = ()
) -> str:
    """In words: the first row and operation that are wrong by themselves on the batch `x`.

    Both networks are the same after rewriting.  Keras models hold no weights afterwards.
    What hinders is said and not raised: the comparison has failed all the same.
    """
    try:
        return _localise(*sides(), x.astype(np.float64), tuple(rows))
    except InputError as error:
        return f"not localised: {error}"
    except Exception as error:
        if not out_of_memory(error):
            raise
        return "not localised: out of memory"


def _localise(mine: Side, theirs: Side, x: np.ndarray, rows: tuple[str, ...]) -> str:
    a, b = canonical(mine.source.graph), canonical(theirs.source.graph)
    pairs = align(a, b).pairs

    def words(found: Outside, said: str, *more: str) -> str:
        op, other = a.ops[found.index], b.ops[pairs[found.index]]
        row = a.row_of(rows)[found.index]
        names = op.layer if op.layer == other.layer else f"{op.layer} ↔ {other.layer}"
        place = ", ".join(map(str, found.at[1:]))
        where = [f"first row {row}"] if row else []
        where.append(f"first operation {names} ({describe(op)}), fed the same: {said}")
        finite = (
            np.isfinite(found.values).all() and BROKEN not in found.weights.values()
        )
        at = f" at ({place}), " + (f"bound {found.bound:.2g}" if finite else BROKEN)
        unlike = ", ".join(differences(op, other)) or "the same"
        return "; ".join([", ".join(where) + at, f"attributes {unlike}", *more])

    found = first_outside(a, b, pairs, (mine.values, theirs.values), x)
    one, two = mine.misread(x), theirs.misread(x)
    two = {i: replace(two[j], index=i) for i, j in pairs.items() if j in two}
    # What both layers do alike, a constant that the library rounds, makes no difference.
    alike = one.keys() & two.keys()
    index = min(one.keys() ^ two.keys(), default=None)
    if found is not None and (index is None or found.index <= index):
        first, second = _apart(found.values)
        weights = [f"{role} {how}" for role, how in found.weights.items()]
        return words(found, f"{mine.name} {first}, {theirs.name} {second}", *weights)
    if index is None:
        index = min(alike, default=None)
    if index is None:
        return "every operation by itself is within its bound"
    side, found = (theirs, two[index]) if index in two else (mine, one[index])
    first, second = _apart(found.values)
    said = f"{side.name} {first}, the operation as it was read {second}"
    both = " on both sides" if index in alike else ""
    more = f"the layer computes something else than was read{both}"
    return words(found, said, more)


def _apart(values: tuple[float, float]) -> tuple[str, str]:
    """Both numbers with as few digits as show that they differ, from nine on."""
    for digits in range(9, 18):
        first, second = (f"{value:.{digits}g}" for value in values)
        if first != second:
            break
    return first, second
