"""A whole network compiled as its backend compiles it: what it says twice, what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import keras
import numpy as np

from reference_checks.equivalence.subject import Subject, unrecorded, walk

RUNS = 5


@dataclass(frozen=True)
class Cost:
    """Of one network on one batch.

    `compile_seconds` is what the first call takes more than a later one; `run_seconds` the
    median of five later ones, each waited for; `peak_bytes` the device's memory, weights
    included, where the backend says it.
    """

    compile_seconds: float
    run_seconds: float
    peak_bytes: int | None


def measured(subject: Subject, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, Cost]:
    """The first output of two runs for the batch `x`, and what they cost."""
    fed = subject.feed(x)
    start = perf_counter()
    with unrecorded():
        call, peak = _compiled(subject, fed)
        first, seconds = call(), []
        whole = perf_counter() - start
        for _ in range(RUNS):
            start = perf_counter()
            second = call()
            seconds.append(perf_counter() - start)
        run = median(seconds)
        cost = Cost(round(max(0.0, whole - run), 4), round(run, 6), peak())
    return first, second, cost


def _compiled(
    subject: Subject, fed: Any
) -> tuple[Callable[[], np.ndarray], Callable[[], int | None]]:
    """The network as a function that waits for its output, and its peak memory after."""
    model = subject.model

    def plain(fed: Any) -> Any:
        return walk(model, fed, model.outputs[:1])[0]

    match keras.config.backend():
        case "tensorflow":
            import tensorflow as tf

            on_gpu = "GPU" in fed.device
            if on_gpu:
                tf.config.experimental.reset_memory_stats("GPU:0")
            function = tf.function(plain)

            def peak() -> int | None:
                memory = tf.config.experimental.get_memory_info
                return memory("GPU:0")["peak"] if on_gpu else None

        case "jax":
            import jax

            variables = model.variables

            def pure(values: list[Any], fed: Any) -> Any:
                known = zip(variables, values, strict=True)
                with keras.StatelessScope(known, initialize_variables=False):
                    return plain(fed)

            values = [variable.value for variable in variables]
            whole = jax.jit(pure).lower(values, fed).compile()

            def function(fed: Any) -> Any:
                return whole(values, fed)

            def peak() -> int | None:
                needs = whole.memory_analysis()
                return needs and (
                    needs.argument_size_in_bytes
                    + needs.output_size_in_bytes
                    + needs.temp_size_in_bytes
                )

        case _:
            import torch

            on_gpu = fed.is_cuda
            if on_gpu:
                torch.cuda.reset_peak_memory_stats()
            function = plain

            def peak() -> int | None:
                return torch.cuda.max_memory_allocated() if on_gpu else None

    return lambda: keras.ops.convert_to_numpy(function(fed)), peak
