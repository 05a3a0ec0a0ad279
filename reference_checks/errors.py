"""What went wrong with the input, for a person: one line with the way out."""

from __future__ import annotations

from collections.abc import Iterable


class InputError(Exception):
    """Bad input; the command ends with the message and exit code 2."""


def out_of_memory(error: BaseException) -> bool:
    """Python's own error, or what TensorFlow, JAX and torch raise in its place.

    By name and text: none of them is imported here.
    """
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ in ("ResourceExhaustedError", "OutOfMemoryError")
        or any(text in str(error) for text in OUT_OF_MEMORY)
    )


OUT_OF_MEMORY = (
    "RESOURCE_EXHAUSTED",  # XlaRuntimeError, and TensorFlow's errors from within XLA
    "can't allocate memory",  # torch on a CPU, a RuntimeError
)


def nearest(word: str, known: Iterable[str]) -> str:
    """The way out for a name that is not known: the nearest ones, or the first of all."""
    from difflib import get_close_matches  # costs more than a run without errors

    names = sorted(known)[:1000]
    close = get_close_matches(word[:80], names, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    more = ", …" if len(names) > 12 else ""
    return f"known: {', '.join(names[:12])}{more}" if names else "there is none"
