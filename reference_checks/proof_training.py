"""The proof, run at another size and batch: outputs, coverage, gradients, a step.

Gradients need the activations of the whole network at once, so they are taken at the
smallest size that is as the native one is to a multiple of 32: then "same" padding falls
on the same sides through five halvings.  A network whose weights or poolings depend on
the size keeps its own, and has another batch alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from reference_checks import equivalence, proof
from reference_checks.alignment import Alignment, align
from reference_checks.equivalence import Subject, coverage, training
from reference_checks.graph import Graph, Op, Values, Weight
from reference_checks.localise import Side, differing_most
from reference_checks.model_files import ModelError
from reference_checks.record import Record, Verdict
from reference_checks.rewrites import canonical
from reference_checks.transfer import transfer

if TYPE_CHECKING:
    from reference_checks.official import Pair

LEAST = 96
ADAPTED = ("epsilon", "momentum")
"""What a recorded deviation may change in norms without changing inference."""


def run(
    pair: Pair, values: Values, pieces: coverage.Pieces, dead: list[str], seed: int
) -> Iterator[Record]:
    """Records of the network trained, with the official model's weights `values`."""
    theirs, ours, size, one_size = _subjects(pair, values)
    a, b = canonical(ours.graph), canonical(theirs.graph)
    pairs = align(a, b)
    if not pairs.isomorphic:
        reason = f"the structure differs at {size[0]}x{size[1]}"
        for check in ("coverage", "gradients", "training step"):
            yield pair.record(check, Verdict.NOT_RUN, detail=reason)
        return
    batch = 2 if size != tuple(pair.entry.input) else 1
    x = equivalence.inputs(size, seed + 1)[:batch]
    where = f"batch of {batch}, {size[0]}x{size[1]}"
    mine = dict(transfer(b, a, proof.inverse(pairs), values).values)
    for _, own, other in _weights(a, b, pairs):
        if _alike(a, own, b, other):
            # Inference does not see how much of a product each of its factors has.
            for i, j in zip(own.variables, other.variables, strict=True):
                mine[i] = np.reshape(values[j], a.variables[i].shape)

    # A large network's weights are gigabytes, and few of them fit: two models' at most,
    # with their gradients.
    theirs.assign(values)
    ours.assign(mine)
    del values, mine
    results = ours.run(x)[0], theirs.run(x)[0]
    outputs = proof.compare(pair, "outputs", *results, claim=f"float64, {where}")
    outputs = replace(outputs, detail=outputs.detail + _sizes(one_size))
    gradients = training.gradients(theirs, x, seed)
    covered = _coverage(pair, theirs.graph, gradients, pieces, dead, where)
    compared = _aligned(a, b, pairs, training.gradients(ours, x, seed), gradients)
    alike = _compare(pair, "gradients", compared, claim=where, backwards=True)
    del gradients, compared
    if Verdict.CONTRADICTED in (outputs.verdict, alike.verdict):
        mine = Side("ours", ours, ours.release())
        other = Side(pair.official.model, theirs, theirs.release())
        worst = x[differing_most([results])]
        found = proof.located(pair, [outputs, alike], lambda: (mine, other), worst)
        outputs, alike = list(found)
        ours.assign(mine.values)
        theirs.assign(other.values)
        del mine, other, found
    yield from (outputs, covered, alike)

    trained, rate = training.training_step(theirs, x, seed)
    yield from _absorbed(pair, b, trained, where)
    del trained
    training.training_step(ours, x, seed, rate)
    weights = (
        (op.layer, mine.role, mine.read(ours.values), other.read(theirs.values))
        for op, mine, other in _weights(a, b, pairs)
    )
    yield _compare(pair, "training step", weights, claim=where)


def _sizes(one_size: str) -> str:
    """Why the network was run at one size only, for a record."""
    return one_size and f"; one size, batches of 3 and 1: {one_size}"


def _subjects(
    pair: Pair, values: Values
) -> tuple[Subject, Subject, tuple[int, int, int], str]:
    """The official model and ours at another size, if both are the same ones there.

    Some have weights for each place of a map, some a pooling as large as it: they keep
    their own size, and the reason is given.
    """
    height, width, channels = native = tuple(pair.entry.input)
    size = smaller(native)
    if size == native:  # what is small already is made larger
        size = (height + 32, width + 32, channels)
    try:
        theirs = equivalence.subject(lambda: pair.build_official(input_shape=size))
        known = [values[i].shape for i in range(len(values))]
        if [v.shape for v in theirs.graph.variables] == known:
            return theirs, _ours(pair, theirs.graph, size), size, ""
        why = "it has weights for each place of a map"
    except ModelError as error:
        why = str(error)
    theirs = equivalence.subject(pair.build_official)
    return theirs, _ours(pair, theirs.graph, native), native, why


def _ours(pair: Pair, theirs: Graph, size: tuple[int, int, int]) -> Subject:
    return equivalence.subject(lambda: _adapted(pair, theirs, size))


def smaller(native: tuple[int, int, int]) -> tuple[int, int, int]:
    """The smallest square size that is as the native one to a multiple of 32."""
    height, width, channels = native
    side = LEAST + (height - LEAST) % 32
    return (side, side, channels) if height == width and side < height else native


def _adapted(pair: Pair, theirs: Graph, size: tuple[int, int, int]) -> keras.Model:
    """Ours with the epsilon and momentum that recorded deviations give the official one.

    At inference the variance absorbs an epsilon, and a momentum does nothing; in training
    neither is so.
    """
    model = pair.build_ours(input_shape=size)
    recorded = [d.attribute for d in pair.entries.values() if d.absorbed_by]
    for name in set(recorded) & set(ADAPTED):
        (value,) = {op.attrs[name] for op in theirs.ops if op.kind == "batch_norm"} or {
            None
        }
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                setattr(layer, name, value)
    return model


def _weights(
    a: Graph, b: Graph, pairs: Alignment
) -> Iterator[tuple[Op, Weight, Weight]]:
    """The aligned weights that both sides store."""
    for i, j in sorted(pairs.pairs.items()):
        for mine in a.ops[i].weights:
            other = b.ops[j].weight(mine.role)
            if other is not None and mine.variables and other.variables:
                yield a.ops[i], mine, other


def _alike(a: Graph, mine: Weight, b: Graph, other: Weight) -> bool:
    """Whether both make this weight of several variables, the same but for axes of 1."""
    shapes = [
        [[n for n in graph.variables[i].shape if n > 1] for i in weight.variables]
        for graph, weight in ((a, mine), (b, other))
    ]
    return shapes[0] == shapes[1] and len(shapes[0]) > 1


Compared = tuple[str, str, np.ndarray, np.ndarray]
"""A layer, what of it, ours and the official one."""


def _aligned(
    a: Graph, b: Graph, pairs: Alignment,
    ours: training.Gradients, theirs: training.Gradients,
) -> Iterator[Compared]:  # fmt: skip
    """Gradients of the input and of aligned weights, in the form in which both see them.

    Adapters of trained weights reorder and reshape, and so do they to gradients; those of
    a norm's statistics do not, and they are not trained.
    """
    yield "input", "gradient", ours.input, theirs.input
    for op, mine, other in _weights(a, b, pairs):
        if not set(mine.variables) <= set(ours.weights):
            continue
        if _alike(a, mine, b, other):
            for i, j in zip(mine.variables, other.variables, strict=True):
                name = a.variables[i].name
                theirs_too = np.reshape(theirs.weights[j], a.variables[i].shape)
                yield op.layer, name, ours.weights[i], theirs_too
        elif mine.role != "mean":
            found = mine.read(ours.weights), other.read(theirs.weights)
            yield op.layer, mine.role, *found


def _compare(
    pair: Pair, check: str, compared: Iterator[Compared], *, backwards: bool = False,
    **more: Any,
) -> Record:  # fmt: skip
    """The largest relative error of any tensor, and the first tensor outside the budget.

    An error of gradients goes from the outputs to the input, so that the tensor to be
    named is the last in the order of the network: the first of those `backwards`.
    """
    worst, count, first = 0.0, 0, None
    for layer, what, mine, other in compared:
        gap, count = equivalence.distance(mine, other), count + 1
        worst = max(worst, gap)
        if gap > training.GRADIENT_BUDGET and (first is None or backwards):
            start = "first from the outputs" if backwards else "first"
            first = f"; {start} {layer} {what}: {_furthest(mine, other)}"
    held = first is None and count > 0
    verdict = Verdict.WITHIN_BUDGET if held else Verdict.CONTRADICTED
    budget = f"the budget is {training.GRADIENT_BUDGET:g}"
    detail = f"largest relative error of {count} tensors; {budget}{first or ''}"
    return pair.record(check, verdict, measured=worst, detail=detail, **more)


def _furthest(mine: np.ndarray, other: np.ndarray) -> str:
    """Both values where they are furthest apart, and how far the whole tensors are."""
    gap = equivalence.distance(mine, other)
    with np.errstate(invalid="ignore"):
        apart = np.abs(mine - other)
    at = np.unravel_index(np.argmax(apart), apart.shape)  # NaN is the largest of all
    place = ", ".join(map(str, map(int, at)))
    return (
        f"ours {mine[at]:.9g}, official {other[at]:.9g} at ({place}), {gap:.2g} apart"
    )


def _coverage(
    pair: Pair, graph: Graph, gradients: training.Gradients, pieces: coverage.Pieces,
    dead: list[str], where: str,
) -> Record:  # fmt: skip
    """No parameter without a gradient, no dead row, no piece of an activation missed."""
    still = {i: coverage.without_effect(g) for i, g in gradients.weights.items()}
    total = sum(g.size for g in gradients.weights.values())
    idle = [
        graph.variables[i].name
        for i, n in still.items()
        if n == gradients.weights[i].size
    ]
    missed = pieces.missed()
    problems = [f"no gradient: {', '.join(idle[:3])}"] if idle else []
    problems += [f"constant: {', '.join(dead[:3])}"] if dead else []
    problems += [f"one side only: {', '.join(missed[:3])}"] if missed else []
    kept = (
        f"{len(still)} parameters have gradients ({sum(still.values()):,} of {total:,}"
    )
    kept += (
        f" numbers are 0 at {where}); {len(pieces.seen)} activations visit all pieces"
    )
    verdict = Verdict.CONTRADICTED if problems else Verdict.EXACT
    return pair.record("coverage", verdict, detail="; ".join(problems) or kept)


def _absorbed(
    pair: Pair, graph: Graph, gradients: training.Gradients, where: str
) -> Iterator[Record]:
    """A bias before a norm has no gradient in training: the batch's mean moves with it."""
    worst, count = 0.0, 0
    for op in graph.ops:
        mean = op.weight("mean") if op.kind == "batch_norm" else None
        kernel = mean and graph.ops[op.inputs[0]].weight("kernel")
        if not kernel or len(mean.variables) < 2:
            continue
        scale = np.linalg.norm(kernel.read(gradients.weights))
        bias = np.linalg.norm(gradients.weights[mean.variables[-1]])
        # A kernel without a gradient is the coverage's to say.
        worst, count = max(worst, float(bias / scale) if scale else 0.0), count + 1
    if count:
        held = worst <= training.GRADIENT_BUDGET
        verdict = Verdict.WITHIN_BUDGET if held else Verdict.CONTRADICTED
        detail = f"largest gradient of {count} absorbed biases, against their kernel's"
        yield pair.record(
            "gradients", verdict, claim=f"absorbed biases, {where}", measured=worst,
            detail=detail,
        )  # fmt: skip
