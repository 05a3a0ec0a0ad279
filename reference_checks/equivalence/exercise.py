"""Weights and inputs that exercise a network: nothing is zero, one or switched off."""

from __future__ import annotations

from math import prod

import numpy as np

from reference_checks.graph import Graph
from reference_checks.measure import param_class
from reference_checks.model_files import package
from reference_checks.rewrites import canonical

SPREAD = {"relu6": 3.0, "hard_sigmoid": 3.0, "hard_silu": 3.0}
"""How widely inputs of an activation scatter, so that they visit all of its pieces."""
BRANCH = 1 / 3
"""How widely a residual branch scatters: as wide as the trunk, rounding errors grow by
the block, and EfficientNet-B7 is off by 4e-3 in float32 after 55 of them."""


def random_values(graph: Graph, seed: int) -> dict[int, np.ndarray]:
    """Float64 weights by role: every one of them changes what the network computes."""
    rng = np.random.default_rng(seed)
    wide = spreads(graph)
    values: dict[int, np.ndarray] = {}
    for op in graph.ops:
        for weight in op.weights:
            (index,) = weight.variables
            if index in values:
                continue
            shape = graph.variables[index].shape
            match weight.role, param_class(graph, op, weight):
                case "kernel", _:
                    scale = np.sqrt(2 / prod(weight.shape[:-1]))
                    value = rng.standard_normal(shape) * scale
                case "gamma", _:
                    value = rng.uniform(0.5, 1.5, shape) * wide.get(index, 1.0)
                case ("variance", _) | ("by", "kernel"):
                    value = rng.uniform(0.5, 1.5, shape)
                case _, "fixed":
                    value = rng.choice((-1.0, 1.0), shape)
                case _:
                    value = rng.standard_normal(shape) * 0.1
            values[index] = value
    return values


def spreads(graph: Graph) -> dict[int, float]:
    """How widely the outputs of an op should scatter, by the variable that scales them.

    Without norms to do it, the kernels of convolutions and dense layers must be scaled by
    what comes out of them; those that a norm follows are left out.
    """
    known, found = canonical(graph), {}
    for op, readers in zip(known.ops, known.consumers, strict=True):
        scale = op.weight("gamma" if op.kind == "batch_norm" else "kernel")
        after = [known.ops[i] for i in readers]
        if scale is None or (after and all(r.kind == "batch_norm" for r in after)):
            continue
        functions = [r.attrs["function"] for r in after if r.kind == "activation"]
        branch = after and all(r.kind == "add" for r in after)
        usual = BRANCH if branch else 1.0
        for index in scale.variables:
            found[index] = max((SPREAD.get(f, 1.0) for f in functions), default=usual)
    return found


def photographs(size: tuple[int, int, int]) -> np.ndarray:
    """Two photographs (from scikit-image) as (2, height, width, channels) in [-1, 1].

    Raises:
        NotAvailable: scikit-image is not installed.
    """
    package("skimage")
    from skimage import data, transform

    pictures = []
    for picture in (data.astronaut(), data.coffee()):
        side = min(picture.shape[:2])
        square = transform.resize(picture[:side, :side], size[:2], anti_aliasing=True)
        if size[2] == 1:
            square = square.mean(axis=-1, keepdims=True)
        pictures.append(2 * square - 1)
    return np.stack(pictures)


def inputs(size: tuple[int, int, int], seed: int) -> np.ndarray:
    """Two photographs and one picture of noise: (3, height, width, channels)."""
    noise = np.random.default_rng(seed).standard_normal((1, *size))
    return np.concatenate([photographs(size), noise])
