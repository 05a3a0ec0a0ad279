"""Commands about any model: count, diff, identify, transfer."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from reference_checks.backend import start_keras
from reference_checks.cli.common import console, load_papers, print_json
from reference_checks.errors import InputError

if TYPE_CHECKING:
    from reference_checks.models import Model


def _read(arguments: argparse.Namespace, allocate: bool = False) -> list[Model]:
    """The models that the command names; a misspelt name fails before Keras starts."""
    papers = load_papers(arguments)
    names = [getattr(arguments, key, None) for key in ("model", "a", "b")]
    names = [name for name in names if name is not None]
    from reference_checks.models import parse, read

    for name in names:
        parse(name)
    start_keras()
    trust = arguments.trust
    return [read(name, papers, allocate=allocate, trust=trust) for name in names]


def count(arguments: argparse.Namespace) -> int:
    (model,) = _read(arguments)
    from reference_checks import measure

    graph, rows = model.graph, model.rows
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
    a, b = _read(arguments)
    from reference_checks.diff import diff as compare

    found = compare(a.graph, b.graph, tuple(dict.fromkeys((*a.rows, *b.rows))))
    if arguments.json:
        print_json({"a": arguments.a, "b": arguments.b, **found.as_dict()})
    else:
        from reference_checks.report.side_by_side import render

        render(found, arguments.a, arguments.b, console())
    return 0 if found.same else 1


def identify(arguments: argparse.Namespace) -> int:
    (model,) = _read(arguments)
    from reference_checks.identify import identify as find
    from reference_checks.networks import Networks

    matches = find(Networks(load_papers(arguments)), model.graph)
    if arguments.json:
        print_json([match.as_dict() for match in matches])
        return 0
    terminal = console()
    for match in matches:
        terminal.print(
            f"{match.variant} ({match.paper}): {match.operations:.1%} of the operations and"
            f" {match.params:.1%} of the parameters agree",
            style="bold" if match is matches[0] else None,
            markup=False,
        )
        terminal.print(f"  {match.differences}", markup=False, soft_wrap=True)
    if not matches:
        terminal.print("no paper's network is near")
    return 0


def transfer(arguments: argparse.Namespace) -> int:
    if arguments.out.suffix not in (".keras", ".h5"):
        raise InputError(f"{arguments.out}: write to a .keras or .h5 file")
    if not arguments.out.resolve().parent.is_dir():
        raise InputError(f"{arguments.out.parent}: no such folder")
    source, target = _read(arguments, allocate=True)
    if target.keras is None:
        raise InputError(f"{arguments.b}: weights are moved into Keras models only")
    from dataclasses import asdict

    import numpy as np

    from reference_checks.alignment import align
    from reference_checks.rewrites import canonical
    from reference_checks.transfer import transfer as move

    a, b = canonical(source.graph), canonical(target.graph)
    alignment = align(a, b)
    if not (alignment.isomorphic or arguments.partial):
        raise InputError(
            "the networks differ, nothing was moved: see paperspec diff"
            f" {arguments.a} {arguments.b}, or move what agrees with --partial"
        )
    moved = move(a, b, alignment, source.values, partial=arguments.partial)
    for index, value in moved.values.items():
        variable = target.keras.weights[index]
        variable.assign(np.asarray(value, variable.dtype))
    temporary = arguments.out.with_name(f".{arguments.out.stem}{arguments.out.suffix}")
    try:
        target.keras.save(temporary)
        temporary.replace(arguments.out)
    except OSError as error:
        raise InputError(f"{arguments.out}: cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    if arguments.json:
        fates = [asdict(fate) for fate in moved.fates]
        print_json({"out": str(arguments.out), "summary": str(moved), "weights": fates})
    else:
        print(f"{arguments.out}: {moved}")
        for fate in moved.left_over:
            print(f"  {fate}")
    return 0
