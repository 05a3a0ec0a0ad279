"""Which lines of a file build which layer, seen while they do.

Every call of a Keras layer or operation ends in one of two methods of `keras.Operation`.
While a model is built, both look up the stack for frames of the implementation: the line
of `build` that led here, and the lines of the functions between.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from types import CodeType, FrameType

import keras

Calls = dict[str, set[int]]
"""The lines that call a layer, by the layer's name."""
EXPRESSIONS = 1024  # that are remembered


@contextmanager
def watched(file: str) -> Iterator[Calls]:
    """Lines of `file` by the name of the layer that they call, while the block runs."""
    calls: Calls = {}
    kept = {name: vars(keras.Operation)[name] for name in ("__call__", "symbolic_call")}

    def watching(method):
        def call(self, *args, **kwargs):
            if self.name not in calls:  # a layer's own call arrives here twice
                calls[self.name] = set(_lines(sys._getframe(1), file))
            return method(self, *args, **kwargs)

        return call

    for name, method in kept.items():
        setattr(keras.Operation, name, watching(method))
    try:
        yield calls
    finally:
        for name, method in kept.items():
            setattr(keras.Operation, name, method)


def _lines(frame: FrameType | None, file: str) -> Iterator[int]:
    """All lines of the expressions that the frames of `file` are in."""
    while frame is not None:
        if frame.f_code.co_filename == file:
            yield from _expression(frame.f_code, frame.f_lasti)
        frame = frame.f_back


@lru_cache(EXPRESSIONS)
def _expression(code: CodeType, instruction: int) -> range:
    """The lines of the expression that an instruction is from."""
    start, end, _, _ = next(islice(code.co_positions(), instruction // 2, None))
    return range(0) if start is None else range(start, (end or start) + 1)
