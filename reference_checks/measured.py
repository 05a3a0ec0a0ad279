"""What was measured of a network beside its claims: its costs, row by row, and its code.

Reports are made from a results file alone, on a machine that has neither the specs nor
Keras, so everything that they show of a network stands there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reference_checks.load import Paper
    from reference_checks.networks import Networks


@dataclass(frozen=True)
class RowCosts:
    """What a row of the layer table costs, for one input.

    `lines` are those of the implementation that build it, outside in: the table that
    names it, `build`, the functions that this calls; `first` is the one to read first.
    """

    params: int
    multiply_adds: int
    output: list[int | None]
    lines: list[int] = field(default_factory=list)
    first: int | None = None


@dataclass(frozen=True)
class Network:
    """A variant's own size: trained parameters, multiply-adds, input, classes, rows.

    `params` are kernels, biases, gammas and betas; `multiply_adds` those of convolutions
    and dense layers for one input of `input` (height, width, channels).
    """

    params: int
    multiply_adds: int
    input: list[int]
    classes: int
    rows: Mapping[str, RowCosts] = field(default_factory=dict)


def measured(networks: Networks, paper: Paper, variant: str) -> Network:
    """The variant's costs and the lines that build its rows; runs nothing.

    Raises:
        ModelError, GraphError: the implementation cannot be built or read.
    """
    from reference_checks import measure

    graph = networks.graph(paper, variant)
    calls = networks.calls(paper, variant)
    entry = paper.spec.variants[variant]
    names = tuple(paper.spec.tables[entry.table].rows) if entry.table else ()
    literals = _literals(paper.source, names)
    rows: dict[str, list[int]] = {}
    for index, row in enumerate(graph.row_of(names)):
        if row is not None:
            rows.setdefault(row, []).append(index)
    found = {}
    for name in names:
        if name not in rows:
            continue
        ops = [graph.ops[i] for i in rows[name]]
        traced = {line for op in ops for line in calls.get(op.layer, ())}
        lines = sorted(traced | literals.get(name, set()))
        found[name] = RowCosts(
            params=measure.params(graph, ops=ops),
            multiply_adds=measure.multiply_adds(graph, ops=ops),
            output=list(ops[-1].shape),
            lines=lines,
            first=min(literals.get(name) or traced, default=None),
        )
    return Network(
        params=measure.params(graph),
        multiply_adds=measure.multiply_adds(graph),
        input=list(entry.input),
        classes=entry.classes,
        rows=found,
    )


def _literals(source: str, rows: tuple[str, ...]) -> dict[str, set[int]]:
    """For each row the lines that spell its name, alone or as a prefix: `"conv2_x_pool"`."""
    found: dict[str, set[int]] = {}
    # The longest name wins, as it does for layers.
    names = sorted(rows, key=len, reverse=True)
    for text, line in _strings(source):
        for name in names:
            if text == name or text.startswith((name + "_", name + "/")):
                found.setdefault(name, set()).add(line)
                break
    return found


def _strings(source: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value, node.lineno
