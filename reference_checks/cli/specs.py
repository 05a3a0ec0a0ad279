"""Commands that need specs alone: list, lint, new, claims, schema."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from reference_checks.cli.common import (
    folder,
    load_papers,
    print_json,
    select,
)
from reference_checks.errors import InputError
from reference_checks.load import discover
from reference_checks.problems import Problem, SpecError, shown


def list_(arguments: argparse.Namespace) -> int:
    papers = load_papers(arguments)
    units = select(papers, arguments.select)
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
        print_json(rows)
        return 0
    lines, before = (
        [("paper", "variant", "in the paper", "official", "last verdict")],
        None,
    )
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
    if arguments.watch:
        return _watch(arguments)
    problems, count = _problems(arguments)
    if arguments.json:
        print_json(
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
        return 2 if problems else 0
    return _print_problems(problems, count)


def _problems(arguments: argparse.Namespace) -> tuple[list[Problem], int]:
    """What is wrong in the specs that the command names, and how many specs they are."""
    from reference_checks.lint import lint as find

    paths = arguments.specs or list(discover(folder(arguments)).values())
    if not paths:
        raise InputError(f"{folder(arguments)}: no specs (*.yaml)")
    return find(paths), len(paths)


def _print_problems(problems: list[Problem], count: int) -> int:
    for problem in problems:
        print(problem, flush=True)
    if not problems:
        specs = "spec" if count == 1 else "specs"
        print(f"{count} {specs}, no problems", file=sys.stderr)
    return 2 if problems else 0


def _watch(arguments: argparse.Namespace) -> int:
    """Lint now and after every change, until interrupted; the last exit code."""
    try:
        from watchfiles import watch
    except ImportError:
        raise InputError(
            "--watch needs watchfiles: python -m pip install 'paperspec[contribute]'"
        ) from None
    folders = {path.parent for path in arguments.specs} or {folder(arguments)}
    # The folder, not the file: many editors replace a file when they save it.
    changes = watch(
        *folders, watch_filter=lambda _, path: path.endswith(".yaml"), recursive=False
    )
    code = 0
    try:
        while True:
            try:
                code = _print_problems(*_problems(arguments))
            except SpecError as error:  # a file whose name is no stem
                code = _print_problems(list(error.problems), 0)
            print("watching for changes; Ctrl-C ends", file=sys.stderr, flush=True)
            next(changes)
            print(file=sys.stderr)
    except KeyboardInterrupt:
        return code


def new(arguments: argparse.Namespace) -> int:
    from reference_checks.scaffold import scaffold

    if arguments.papers is None and not Path("papers").is_dir():
        raise InputError("no folder papers here: go to the repository, or make one")
    spec, implementation = scaffold(
        folder(arguments), arguments.name, arguments.title, arguments.arxiv, arguments.year
    )  # fmt: skip
    print(f"{shown(spec)}\n{shown(implementation)}")
    print(
        f"next: paperspec lint --watch {shown(spec)}, which says what is still to do;\n"
        f"then paperspec check {arguments.name} --static",
        file=sys.stderr,
    )
    return 0


def claims(arguments: argparse.Namespace) -> int:
    from reference_checks.units import claims_of

    papers = load_papers(arguments)
    chosen = select(papers, arguments.select)
    found = [(unit, *claim) for unit in chosen for claim in claims_of(unit)]
    if arguments.json:
        rows = [
            {
                "paper": unit.paper.stem,
                "variant": unit.variant,
                **{name: getattr(claim, name) for name in claim.__struct_fields__},
            }
            | {"row": row, "where": unit.paper.at(*path)}
            for unit, path, row, claim in found
        ]
        print_json(rows)
        return 0
    for unit, _, row, claim in found:
        where = f"{unit.paper.stem}/{unit.variant}"
        inside = f" {row}" if row else ""
        counted = f" {claim.unit}" if claim.unit else ""
        print(
            f"{where:32}{claim.quantity}{inside}: {claim.printed}{counted}"
            f"  ({claim.source})"
        )
    return 0


def schema(arguments: argparse.Namespace) -> int:
    from reference_checks.schema import schema_text

    print(schema_text(), end="")
    return 0
