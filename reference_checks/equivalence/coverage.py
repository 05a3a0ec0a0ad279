"""Whether weights and inputs exercise a network: a dead region is an error, never a pass."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from reference_checks.equivalence.subject import Subject
from reference_checks.rewrites import canonical

PIECES = {
    "relu": (0.0,),
    "leaky_relu": (0.0,),
    "elu": (0.0,),
    "selu": (0.0,),
    "softsign": (0.0,),
    "relu6": (0.0, 6.0),
    "hard_sigmoid": (0.0, 1.0),
    "hard_silu": (0.0, 3.0),
}
"""Where the output of an activation passes from one of its pieces to the next.

A hard swish is 0 below -3 and the identity above 3.
"""


class Pieces:
    """Looks on while a network runs, and notes which pieces its activations visit."""

    def __init__(self, subject: Subject) -> None:
        graph = canonical(subject.graph)
        self.functions: dict[int, tuple[str, str]] = {}
        for op in graph.ops:
            function = op.attrs.get("function") if op.kind == "activation" else None
            if function in PIECES and op.tensor is not None:
                tensor = subject.graph.tensors[op.tensor]
                self.functions[id(tensor)] = (op.layer, function)
        self.seen: dict[str, list[bool]] = {}

    def __call__(self, tensor: Any, value: Any) -> None:
        if id(tensor) not in self.functions:
            return
        layer, function = self.functions[id(tensor)]
        least, *rest = PIECES[function]
        below = value == 0 if function == "hard_silu" else value <= least
        found = [
            below,
            value > least if not rest else (value > least) & (value < rest[0]),
        ]
        found += [value >= edge for edge in rest]
        self.seen[layer] = [bool(keras.ops.any(piece)) for piece in found]

    def missed(self) -> list[str]:
        """Layers with a piece that no value fell on."""
        return [layer for layer, pieces in self.seen.items() if not all(pieces)]


def constant(activation: np.ndarray) -> bool:
    """Whether a row says the same at every place of every picture: it is dead."""
    return bool(np.all(activation == activation.reshape(-1)[0]))


def without_effect(gradient: np.ndarray) -> int:
    """How many numbers of a parameter change nothing."""
    return int(np.sum(gradient == 0))
