"""Tensors that do not depend on the input: constants, variables, what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Fixed:
    """A constant, a variable, or what is computed from such by a node of `FOLDED`."""

    node: str
    kind: str
    value: np.ndarray
    parts: tuple[Fixed, ...] = ()
    variable: bool = False

    @property
    def variables(self) -> dict[str, Fixed]:
        """The variables that it is computed from, by the name of their node."""
        if self.variable:
            return {self.node: self}
        return {k: v for part in self.parts for k, v in part.variables.items()}

    @property
    def plain(self) -> Fixed:
        """Without the reshapes around it."""
        return self.parts[0].plain if self.kind in VIEWS else self

    def at(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Its value where the variables have other values, by their node."""
        if self.node in values:
            return values[self.node]
        if not self.parts:
            return self.value
        parts = [part.at(values) for part in self.parts]
        return FOLDED[self.kind](self.value.shape, *parts)

    def number(self) -> Any:
        """As `from_keras` writes constants: a number, or nested tuples of numbers.

        Float32 is read as what was written, 1.001e-5 or 1 / 255, not 1.0010000324e-5.
        """

        plain = float if self.value.dtype == np.float64 else decimal

        def frozen(item: Any) -> Any:
            return tuple(map(frozen, item)) if isinstance(item, list) else plain(item)

        value = self.value.reshape(()) if self.value.size == 1 else self.value
        return frozen(value.tolist())


def decimal(value: float) -> float:
    """What was meant by a float32: one over a small whole number, or a short decimal."""
    single = np.float32(value)
    whole = round(1 / float(single)) if abs(single) > 1e-3 else 0
    if whole and np.float32(1 / whole) == single:
        return 1 / whole
    return float(str(single))


VIEWS = ("Reshape", "Squeeze", "ExpandDims", "Cast", "Identity")


def _viewed(shape: tuple[int, ...], value: np.ndarray, *_: np.ndarray) -> np.ndarray:
    return np.reshape(value, shape)


FOLDED: dict[str, Callable] = dict.fromkeys(VIEWS, _viewed) | {
    "Add": lambda _, a, b: a + b,
    "AddV2": lambda _, a, b: a + b,
    "Sub": lambda _, a, b: a - b,
    "Mul": lambda _, a, b: a * b,
    "RealDiv": lambda _, a, b: a / b,
    "Maximum": lambda _, a, b: np.maximum(a, b),
    "Neg": lambda _, a: -a,
    "Fill": lambda shape, _, value: np.full(shape, value),
    "Sqrt": lambda _, a: np.sqrt(a),
    "Rsqrt": lambda _, a: 1 / np.sqrt(a),
    "Transpose": lambda _, a, axes: np.transpose(a, axes),
}
"""Nodes that are computed where their inputs are constant, on the result's shape."""
