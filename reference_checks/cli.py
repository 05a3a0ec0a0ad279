"""The command `paperspec`.

`list`, `lint` and `claims` read specs and import neither Keras nor a backend; everything
heavier is imported inside the command that needs it.

Exit codes: 0, all well; 1, something is contradicted (or two models differ); 2, bad input.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reference_checks.load import Paper, SpecError, discover, load

RESULTS = Path("reports/results.json")

EPILOG = """\
examples:
  paperspec check                          every paper, our networks and the official models
  paperspec check resnet50 'vgg*' --static without running a network
  paperspec check --json reports/results.json --report reports
  paperspec show resnet50                  the layer table: printed | ours | official
  paperspec count keras:ResNet50           parameters and multiply-adds, by layer
  paperspec diff paper:resnet50 keras:ResNet50
  paperspec transfer file:trained.keras paper:resnet50 --out ours.keras

A model is paper:VARIANT, keras:NAME[,key=value], file:PATH or python:MODULE:FUNCTION.
"""


class InputError(Exception):
    """Bad input: the command ends with one line and exit code 2."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    arguments = parser().parse_args(argv)
    try:
        return arguments.command(arguments)
    except BrokenPipeError:  # `paperspec claims | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except SpecError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 2
    except Exception as error:
        if not _is_input_error(error):
            raise
        print(f"paperspec: {error}", file=sys.stderr)
        return 2


def _is_input_error(error: Exception) -> bool:
    """Errors that are the input's; their modules may be too heavy to import here."""
    names = {"InputError", "ResultsError", "ModelError", "GraphError", "TransferError"}
    names |= {"NotAvailable", "Ambiguous"}
    return type(error).__name__ in names


def parser() -> argparse.ArgumentParser:
    """The command line, also for shell completion."""
    top = argparse.ArgumentParser(
        prog="paperspec",
        description="Is this network the one in the paper, and the one the library ships?",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action=_Version)
    top.add_argument(
        "--papers", type=Path, metavar="DIR",
        help="folder of specs (default: ./papers, or the installed ones)",
    )  # fmt: skip
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    def add(
        name: str, function: Any, text: str, example: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + ".",
            epilog=f"example:\n  paperspec {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        command.set_defaults(command=function)
        return command

    select = {
        "nargs": "*",
        "metavar": "SELECT",
        "help": "paper, variant, model or glob",
    }

    command = add(
        "list", list_, "papers, variants, official models, last verdicts", "list"
    )
    command.add_argument("select", **select)
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument(
        "--from", dest="results", type=Path, default=RESULTS, metavar="FILE",
        help=f"results to take the last verdicts from (default: {RESULTS})",
    )  # fmt: skip

    command = add(
        "lint", lint, "check specs against the format and their own arithmetic",
        "lint papers/resnet.yaml",
    )  # fmt: skip
    command.add_argument("specs", nargs="*", type=Path, metavar="SPEC")
    command.add_argument("--json", action="store_true", help="print JSON")

    command = add(
        "claims", claims, "every printed number as data", "claims resnet50 --json"
    )
    command.add_argument("select", **select)
    command.add_argument("--json", action="store_true", help="print JSON")

    command = add(
        "show", show, "the layer table of a variant: printed | ours | official",
        "show resnet50",
    )  # fmt: skip
    command.add_argument("variant", metavar="VARIANT")
    command.add_argument("--json", action="store_true", help="print JSON")

    command = add(
        "count", count,
        "parameters and multiply-adds of a model, by layer or row, under every convention",
        "count keras:MobileNetV2,alpha=0.35",
    )  # fmt: skip
    command.add_argument("model", metavar="MODEL")
    command.add_argument(
        "--by", choices=("layer", "row"), help="default: row for paper:"
    )
    command.add_argument("--json", action="store_true", help="print JSON")

    command = add(
        "check", check, "run the checks", "check resnet50 --json results.json"
    )
    command.add_argument("select", **select)
    command.add_argument("--static", action="store_true", help="run no network")
    command.add_argument(
        "--weights", choices=("random", "imagenet"), default="random",
        help="imagenet: run with the published weights as well",
    )  # fmt: skip
    command.add_argument(
        "--json", metavar="FILE", help="write results after every unit; - for stdout"
    )
    command.add_argument(
        "--resume", action="store_true", help="keep what FILE has done"
    )
    command.add_argument(
        "--report", type=Path, metavar="DIR", help="write reports as well"
    )

    command = add(
        "diff", diff, "structural difference of two models",
        "diff paper:resnet50 keras:ResNet50",
    )  # fmt: skip
    command.add_argument("a", metavar="A")
    command.add_argument("b", metavar="B")
    command.add_argument("--json", action="store_true", help="print JSON")

    command = add(
        "transfer", transfer, "move weights from A into B and save B",
        "transfer file:trained.keras paper:resnet50 --out ours.keras",
    )  # fmt: skip
    command.add_argument("a", metavar="A")
    command.add_argument("b", metavar="B")
    command.add_argument("--out", type=Path, required=True, metavar="FILE")

    command = add(
        "report", report, "pages, Markdown and JUnit XML from a results file",
        "report --from results.json --out reports",
    )  # fmt: skip
    command.add_argument(
        "--from", dest="results", type=Path, default=RESULTS, metavar="FILE"
    )
    command.add_argument("--out", type=Path, required=True, metavar="DIR")

    command = add(
        "schema", schema, "the JSON schema of specs", "schema > papers/schema.json"
    )

    command = add("completion", completion, "a completion script", "completion bash")
    command.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    return top


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version")

    def __call__(self, parser: Any, *_: Any) -> None:
        from importlib.metadata import version  # not needed otherwise

        print(f"paperspec {version('paperspec')}")
        parser.exit()


# Specs -----------------------------------------------------------------------------


def folder(arguments: argparse.Namespace) -> Path:
    """The folder of specs: as given, here, or beside the package."""
    if arguments.papers is not None:
        if not arguments.papers.is_dir():
            raise InputError(f"{arguments.papers}: no such folder")
        return arguments.papers
    here = Path("papers")
    return here if here.is_dir() else Path(__file__).parent.parent / "papers"


def load_papers(arguments: argparse.Namespace) -> dict[str, Paper]:
    """All specs; every problem of every one of them at once."""
    root = folder(arguments)
    papers, problems = {}, []
    for stem, path in discover(root.resolve().parent).items():
        try:
            papers[stem] = load(path)
        except SpecError as error:
            problems.extend(error.problems)
    if problems:
        raise SpecError(problems)
    if not papers:
        raise InputError(f"{root}: no specs (*.yaml)")
    return papers


def _select(papers: Mapping[str, Paper], patterns: Sequence[str]) -> list:
    from reference_checks.checks import select

    return select(papers, patterns)


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=1, ensure_ascii=False))


def list_(arguments: argparse.Namespace) -> int:
    papers = load_papers(arguments)
    units = _select(papers, arguments.select)
    verdicts = _last_verdicts(arguments.results)
    rows = [
        {
            "paper": unit.paper.stem,
            "variant": unit.variant,
            "name": unit.paper.spec.variants[unit.variant].name,
            "official": [
                o.model for o in unit.paper.spec.variants[unit.variant].official
            ],
            "verdict": verdicts.get((unit.paper.stem, unit.variant), "not run"),
        }
        for unit in units
        if unit.official is None and not unit.foreign
    ]
    if arguments.json:
        _print_json(rows)
        return 0
    lines, before = [("paper", "variant", "in the paper", "official", "last verdict")], None
    for row in rows:
        stem = row["paper"] if row["paper"] != before else ""
        before = row["paper"]
        official = ", ".join(row["official"]) or "–"
        lines.append((stem, row["variant"], row["name"], official, row["verdict"]))
    # Not rich: importing it takes longer than everything else that is done here.
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())
    return 0


def _last_verdicts(path: Path) -> dict[tuple[str, str], str]:
    """The worst that the results file says of each variant."""
    if not path.is_file():
        return {}
    from reference_checks.results import Results, counts

    grouped: dict[tuple[str, str], list] = {}
    for record in Results.read(path).records:
        grouped.setdefault((record.paper, record.variant), []).append(record)
    found = {}
    for key, records in grouped.items():
        number = counts(records)
        passed = sum(n for verdict, n in number.items() if verdict.passes)
        parts = [f"{passed} pass"]
        parts += [
            f"{number[word]} {word}"
            for word in ("contradicted", "unexplained", "not run")
            if number[word]
        ]
        found[key] = ", ".join(parts)
    return found


def lint(arguments: argparse.Namespace) -> int:
    from reference_checks.lint import lint as find

    paths = arguments.specs or list(
        discover(folder(arguments).resolve().parent).values()
    )
    if not paths:
        raise InputError(f"{folder(arguments)}: no specs (*.yaml)")
    problems = find(paths)
    if arguments.json:
        _print_json(
            [
                {
                    "path": str(p.path),
                    "line": p.line,
                    "column": p.column,
                    "message": p.message,
                }
                for p in problems
            ]
        )
    else:
        for problem in problems:
            print(problem)
        if not problems:
            count = len(paths)
            print(
                f"{count} {'spec' if count == 1 else 'specs'}, no problems",
                file=sys.stderr,
            )
    return 2 if problems else 0


def claims(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from reference_checks.checks import claims_of

    papers = load_papers(arguments)
    found = [
        {"paper": unit.paper.stem, "variant": unit.variant, **asdict(claim)}
        | {"row": row, "where": unit.paper.at(*path)}
        for unit in _select(papers, arguments.select)
        for path, row, claim in claims_of(unit)
    ]
    if arguments.json:
        _print_json(found)
        return 0
    for claim in found:
        where = f"{claim['paper']}/{claim['variant']}"
        row = f" {claim['row']}" if claim["row"] else ""
        unit = f" {claim['unit']}" if claim["unit"] else ""
        print(
            f"{where:32}{claim['quantity']}{row}: {claim['printed']}{unit}"
            f"  ({claim['source']})"
        )
    return 0


def schema(arguments: argparse.Namespace) -> int:
    from reference_checks.load import schema_text

    print(schema_text(), end="")
    return 0


def completion(arguments: argparse.Namespace) -> int:
    import shtab

    print(shtab.complete(parser(), arguments.shell))
    return 0


# Models ----------------------------------------------------------------------------


@contextmanager
def _quiet() -> Any:
    """Native libraries write to the terminal while TensorFlow starts; nobody asked."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def _start_keras() -> None:
    with _quiet():
        import keras  # noqa: F401


def _console(stderr: bool = False) -> Any:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


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
    _start_keras()
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
        _print_json({"model": arguments.model, "by": by, "lines": lines, **totals})
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
    console = _console()
    console.print(table)
    parts = [f"{v:,} {k}" for k, v in totals["params"].items() if k != "all"]
    console.print(
        f"\nparameters     {', '.join(parts)}; {totals['trainable']:,} trainable"
    )
    for index, (name, value) in enumerate(totals["multiply_adds"].items()):
        label = "operations" if index == 0 else ""
        console.print(f"{label:15}{value:>18,}  {name}")
    console.print(
        f"depth          {totals['depth']}; {totals['neurons']:,} neurons,"
        f" {totals['connections']:,} connections"
    )


def diff(arguments: argparse.Namespace) -> int:
    papers = load_papers(arguments)
    _known(papers, arguments)
    _start_keras()
    from reference_checks.diff import diff as compare

    a, rows_a = _graph(arguments.a, papers)
    b, rows_b = _graph(arguments.b, papers)
    found = compare(a, b, tuple(dict.fromkeys((*rows_a, *rows_b))))
    if arguments.json:
        _print_json({"a": arguments.a, "b": arguments.b, **found.as_dict()})
    else:
        from reference_checks.report.side_by_side import render

        render(found, arguments.a, arguments.b, _console())
    return 0 if found.same else 1


def transfer(arguments: argparse.Namespace) -> int:
    papers = load_papers(arguments)
    _known(papers, arguments)
    if arguments.out.suffix not in (".keras", ".h5"):
        raise InputError(f"{arguments.out}: write to a .keras or .h5 file")
    if not arguments.out.resolve().parent.is_dir():
        raise InputError(f"{arguments.out.parent}: no such folder")
    _start_keras()
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


# Checks ----------------------------------------------------------------------------


def show(arguments: argparse.Namespace) -> int:
    papers = load_papers(arguments)
    units = [u for u in _select(papers, [arguments.variant]) if not u.foreign]
    # A variant may have its paper's name.
    units = [u for u in units if u.variant == arguments.variant] or units
    variants = {unit.variant for unit in units}
    if len(variants) > 1:
        raise InputError(
            f"{arguments.variant}: show one of {', '.join(sorted(variants))}"
        )
    _start_keras()
    from reference_checks.checks import Networks, Options, run_unit

    networks, records = Networks(papers), []
    for unit in units:
        records.extend(run_unit(unit, networks, Options(run=False)))
    if arguments.json:
        _print_json([r.as_dict() for r in records])
        return 0
    from reference_checks.report.side_by_side import layer_table

    spec = units[0].paper.spec
    layer_table(records, spec, units[0].variant, _console())
    return 0


def check(arguments: argparse.Namespace) -> int:
    from reference_checks.checks import Options
    from reference_checks.results import Results, environment, identity

    papers = load_papers(arguments)
    units = _select(papers, arguments.select)
    if arguments.resume and arguments.json in (None, "-"):
        raise InputError("--resume needs --json FILE: the file to go on with")
    options = Options(
        run=not arguments.static, published=arguments.weights == "imagenet"
    )
    stems = {unit.paper.stem for unit in units}
    identities = {
        stem: identity(paper.spec, paper.digest)
        for stem, paper in papers.items()
        if stem in stems
    }
    results = Results(environment(), identities, {}, ())
    path = None if arguments.json in (None, "-") else Path(arguments.json)
    if path is not None:
        if arguments.resume and path.exists():
            results = _resumed(Results.read(path), results)
        results.write(path)  # an unwritable folder is found now, not after the work
    results, errors = _run(units, papers, options, results, path)
    if arguments.json == "-":
        import msgspec

        _print_json(msgspec.to_builtins(results.plain()))
    else:
        from reference_checks.report.terminal import render

        render(results, _console())
    if arguments.report is not None:
        from reference_checks.report import write_all

        write_all(results, arguments.report)
        print(f"reports: {arguments.report / 'index.html'}", file=sys.stderr)
    if errors:
        return 2
    from reference_checks.results import failed

    return 1 if failed(results.records) else 0


def _resumed(old: Any, new: Any) -> Any:
    """The old results with the papers of both and the new environment."""
    from dataclasses import replace

    return replace(
        old, environment=new.environment, papers={**old.papers, **new.papers}
    )


def _run(
    units: Sequence[Any], papers: Mapping[str, Paper], options: Any, results: Any,
    path: Path | None,
) -> tuple[Any, list[str]]:  # fmt: skip
    """The units' records added to the results, written after each; and what went wrong."""
    from reference_checks.checks import Networks, digest, run_unit

    digests = {unit.name: digest(unit, options) for unit in units}
    waiting = [u for u in units if not results.is_done(u.name, digests[u.name])]
    if not waiting:
        return results, []
    _start_keras()
    networks, errors = Networks(papers), []
    console = _console(stderr=True)
    with _progress(console) as progress:
        task = progress.add_task("", total=len(waiting))
        for unit in waiting:
            progress.update(task, description=unit.name)
            try:
                records = run_unit(unit, networks, options)
            except Exception as error:
                if not _is_input_error(error):
                    raise
                errors.append(f"{unit.name}: {error}")
                console.print(f"paperspec: {errors[-1]}", markup=False, soft_wrap=True)
            else:
                results = results.with_unit(unit.name, digests[unit.name], records)
                if path is not None:
                    results.write(path)
            progress.advance(task)
    return results, errors


def _progress(console: Any) -> Any:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), "<", TimeRemainingColumn(),
        TextColumn("{task.description}"), console=console, transient=True,
        disable=not console.is_terminal,
    )  # fmt: skip


def report(arguments: argparse.Namespace) -> int:
    from reference_checks.report import write_all
    from reference_checks.results import Results

    if not arguments.results.is_file():
        raise InputError(
            f"{arguments.results}: no results; paperspec check --json {arguments.results}"
        )
    paths = write_all(Results.read(arguments.results), arguments.out)
    print(f"{len(paths)} files in {arguments.out}; open {arguments.out / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
