"""Commands about any model: count, diff, transfer."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from reference_checks.cli.common import (
    InputError,
    console,
    load_papers,
    print_json,
    start_keras,
)
from reference_checks.load import Paper


def _graph(name: str, papers: Mapping[str, Paper]) -> tuple[Any, tuple[str, ...]]:
    """A model's op graph, without memory for weights, and its rows' names."""
    from reference_checks.from_keras import from_keras, unallocated
    from reference_checks.models import build, parse

    with unallocated():
        graph = from_keras(build(name, papers))
    scheme, target, _ = parse(name)
    rows: tuple[str, ...] = ()
    if scheme == "paper":
        spec = next(p.spec for p in papers.values() if target in p.spec.variants)
        table = spec.variants[target].table
        rows = tuple(spec.tables[table].rows) if table else ()
    return graph, rows


def _known(papers: Mapping[str, Paper], arguments: argparse.Namespace) -> None:
    """Fail on a misspelt name before anything heavy is imported."""
    from reference_checks.models import parse

    for name in (getattr(arguments, key, None) for key in ("model", "a", "b")):
        if name is not None:
            parse(name)


def count(arguments: argparse.Namespace) -> int:
    papers = load_papers(arguments)
    _known(papers, arguments)
    start_keras()
    from reference_checks import measure

    graph, rows = _graph(arguments.model, papers)
    by = arguments.by or ("row" if rows else "layer")
    if by == "row" and not rows:
        raise InputError(
            f"{arguments.model}: only paper: models have rows; use --by layer"
        )
    names = graph.row_of(rows) if by == "row" else [op.layer for op in graph.ops]
    groups: dict[str, list] = {}
    for name, op in zip(names, graph.ops, strict=True):
        if op.kind != "input":
            groups.setdefault((name or "–").split("/")[0], []).append(op)
    lines = [
        {
            by: name,
            "shape": list(ops[-1].shape),
            "params": sum(measure.params_by_class(graph, ops).values()),
            "multiply_adds": measure.multiply_adds(graph, ops=ops),
        }
        for name, ops in groups.items()
    ]
    totals = {
        "params": {"all": measure.all_params(graph), **measure.params_by_class(graph)},
        "trainable": sum(v.size for v in graph.variables if v.trainable),
        "multiply_adds": {
            name: measure.multiply_adds(graph, counts, factor)
            for name, (counts, factor) in measure.CONVENTIONS.items()
        },
        "depth": measure.depth(graph),
        "neurons": measure.neurons(graph),
        "connections": measure.connections(graph),
    }
    if arguments.json:
        print_json({"model": arguments.model, "by": by, "lines": lines, **totals})
        return 0
    _print_counts(by, lines, totals)
    return 0


def _print_counts(by: str, lines: list[dict], totals: dict) -> None:
    from rich.table import Table

    from reference_checks.diff import size

    table = Table(box=None, pad_edge=False, header_style="bold", show_footer=True)
    table.add_column(by, "total", overflow="fold")
    table.add_column("output", justify="right")
    table.add_column("parameters", f"{totals['params']['all']:,}", justify="right")
    counted = totals["multiply_adds"]["multiply-adds"]
    table.add_column("multiply-adds", f"{counted:,}", justify="right")
    for line in lines:
        # What costs nothing would hide what does.
        if by == "row" or line["params"] or line["multiply_adds"]:
            table.add_row(
                line[by], size(line["shape"]), f"{line['params']:,}",
                f"{line['multiply_adds']:,}",
            )  # fmt: skip
    terminal = console()
    terminal.print(table)
    parts = [f"{v:,} {k}" for k, v in totals["params"].items() if k != "all"]
    terminal.print(
        f"\nparameters     {', '.join(parts)}; {totals['trainable']:,} trainable"
    )
    for index, (name, value) in enumerate(totals["multiply_adds"].items()):
        label = "operations" if index == 0 else ""
        terminal.print(f"{label:15}{value:>18,}  {name}")
    terminal.print(
        f"depth          {totals['depth']}; {totals['neurons']:,} neurons,"
        f" {totals['connections']:,} connections"
    )


def diff(arguments: argparse.Namespace) -> int:
    papers = load_papers(arguments)
    _known(papers, arguments)
    start_keras()
    from reference_checks.diff import diff as compare

    a, rows_a = _graph(arguments.a, papers)
    b, rows_b = _graph(arguments.b, papers)
    found = compare(a, b, tuple(dict.fromkeys((*rows_a, *rows_b))))
    if arguments.json:
        print_json({"a": arguments.a, "b": arguments.b, **found.as_dict()})
    else:
        from reference_checks.report.side_by_side import render

        render(found, arguments.a, arguments.b, console())
    return 0 if found.same else 1


def transfer(arguments: argparse.Namespace) -> int:
    papers = load_papers(arguments)
    _known(papers, arguments)
    if arguments.out.suffix not in (".keras", ".h5"):
        raise InputError(f"{arguments.out}: write to a .keras or .h5 file")
    if not arguments.out.resolve().parent.is_dir():
        raise InputError(f"{arguments.out.parent}: no such folder")
    start_keras()
    import numpy as np

    from reference_checks.alignment import align
    from reference_checks.equivalence import Stored
    from reference_checks.from_keras import from_keras
    from reference_checks.models import build
    from reference_checks.rewrites import canonical
    from reference_checks.transfer import transfer as move

    source, target = build(arguments.a, papers), build(arguments.b, papers)
    a, b = canonical(from_keras(source)), canonical(from_keras(target))
    alignment = align(a, b)
    if not alignment.isomorphic:
        raise InputError(
            f"the networks differ, nothing was moved: paperspec diff {arguments.a}"
            f" {arguments.b}"
        )
    moved = move(a, b, alignment, Stored(source))
    for index, variable in enumerate(target.weights):
        variable.assign(np.asarray(moved.values[index], variable.dtype))
    temporary = arguments.out.with_name(f".{arguments.out.stem}{arguments.out.suffix}")
    try:
        target.save(temporary)
        temporary.replace(arguments.out)
    except OSError as error:
        raise InputError(f"{arguments.out}: cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    print(f"{arguments.out}: {moved}")
    return 0
