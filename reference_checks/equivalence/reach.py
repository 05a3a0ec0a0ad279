"""Which single numbers of the weights have an effect: each must have one, or be accounted for.

A picture leaves channels of a ReLU behind zero, so that numbers before and after them have
no gradient; what one batch does not reach another may.  No slice of a weight may be left: no
output, no input, no tap of a kernel, no number of a bias, gamma or beta.  A number between
slices that are reached is 0 where its input and its output are never active at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

import numpy as np

from reference_checks.graph import Graph, Op
from reference_checks.rewrites import canonical

FURTHER, MANY = 8, 16
"""Batches of pictures that are made of others, and their size.  A unit that sees one number a
picture, in a squeeze, is beyond an activation's kink in most, and of thousands one in all of
thirty; many pictures at once cost little more than two where the map is small."""


class Reached:
    """The numbers of a graph's weights that have had a gradient in some batch."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.batches = graph, 0
        self.masks: dict[int, np.ndarray] = {}
        known = canonical(graph)
        self.padding, self.maps = _beyond(known), _flattened(known)

    def add(self, gradients: Mapping[int, np.ndarray]) -> None:
        """The gradients of one more batch, by variable."""
        self.batches += 1
        for index, gradient in gradients.items():
            mask = (gradient != 0).reshape(self.maps.get(index, gradient.shape))
            self.masks[index] = mask | self.masks.get(index, False)

    @property
    def numbers(self) -> tuple[int, int]:
        """How many have had none, and how many there are."""
        total = sum(mask.size for mask in self.masks.values())
        return total - sum(int(mask.sum()) for mask in self.masks.values()), total

    def idle(self) -> Iterator[str]:
        """Whole weights and slices of them without an effect, as `kernel[:, :, 3, :]`.

        A dense layer on a flattened map is one on rows, columns and channels.
        """
        for index, mask in self.masks.items():
            name = self.graph.variables[index].name
            if not mask.any():
                yield name
                continue
            for axis in range(mask.ndim):
                others = tuple(k for k in range(mask.ndim) if k != axis)
                for i in np.flatnonzero(~mask.any(axis=others)):
                    if i not in self.padding.get((index, axis), ()):
                        at = ", ".join(
                            str(i) if k == axis else ":" for k in range(mask.ndim)
                        )
                        yield f"{name}[{at}]"


def further(pictures: np.ndarray, batch: int, seed: int) -> Iterator[np.ndarray]:
    """Batches of so many `pictures` beside the first, then larger ones made of them.

    Each colour has a weight, noise and a shift of its own then.
    """
    for first in range(len(pictures) - batch, 0, -1):
        yield pictures[first : first + batch]
    rng = np.random.default_rng(seed)
    for _ in range(FURTHER):
        x = rng.choice(pictures, MANY)
        weight, noisy, shift = rng.standard_normal((3, MANY, 1, 1, x.shape[-1]))
        yield weight * x + noisy * rng.standard_normal(x.shape) + shift / 2


def _flattened(graph: Graph) -> dict[int, tuple[int, ...]]:
    """How kernels on flattened maps see the map: height, width, channels, outputs."""
    found = {}
    for op in graph.ops:
        if op.kind != "dense" or graph.ops[op.inputs[0]].kind != "reshape":
            continue
        (source,) = graph.ops[op.inputs[0]].inputs
        seen = graph.ops[source].shape
        for index in op.weight("kernel").variables:
            shape = graph.variables[index].shape
            if len(shape) == 2 and shape[0] == prod(seen):
                found[index] = (*seen, shape[1])
    return found


def _beyond(graph: Graph) -> dict[tuple[int, int], set[int]]:
    """Rows and columns of kernels that read padding alone, by variable and axis.

    At the size of the graph: a kernel of 7 on a map of 3 has such.
    """
    found: dict[tuple[int, int], set[int]] = {}
    for op in graph.ops:
        if op.kind != "conv":
            continue
        size = graph.ops[op.inputs[0]].shape
        for index in op.weight("kernel").variables:
            if len(graph.variables[index].shape) == 4:
                for axis in (0, 1):
                    taps = _outside(op, axis, size[axis])
                    # A kernel may be read in several places.
                    found[index, axis] = found.get((index, axis), taps) & taps
    return found


def _outside(op: Op, axis: int, size: int) -> set[int]:
    """The taps along an axis whose every reading lies outside of the input."""
    first = np.arange(op.shape[axis]) * op.attrs["strides"][axis]
    first -= op.attrs["padding"][axis][0]
    taps = range(op.weight("kernel").shape[axis])
    read = (first + tap * op.attrs["dilation"][axis] for tap in taps)
    return {
        tap
        for tap, at in zip(taps, read, strict=True)
        if np.all((at < 0) | (at >= size))
    }
