"""Commands that run checks: show, explain, check, report."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_checks.backend import start_keras
from reference_checks.cli.common import console, load_papers, print_json, select
from reference_checks.cli.running import run
from reference_checks.errors import InputError
from reference_checks.load import Paper

if TYPE_CHECKING:
    from reference_checks.mutate.kept import Mutants


def show(arguments: argparse.Namespace) -> int:
    papers = load_papers(arguments)
    units = [u for u in select(papers, [arguments.variant]) if not u.foreign]
    # A variant may have its paper's name.
    units = [u for u in units if u.variant == arguments.variant] or units
    variants = {unit.variant for unit in units}
    if len(variants) > 1:
        raise InputError(
            f"{arguments.variant}: show one of {', '.join(sorted(variants))}"
        )
    start_keras()
    from reference_checks.checks import run_unit
    from reference_checks.networks import Networks
    from reference_checks.units import Options

    networks, records = Networks(papers), []
    for unit in units:
        records.extend(run_unit(unit, networks, Options(run=False)))
    if arguments.json:
        print_json([r.as_dict() for r in records])
        return 0
    from reference_checks.report.side_by_side import layer_table

    spec = units[0].paper.spec
    layer_table(records, spec, units[0].variant, console())
    return 0


def explain(arguments: argparse.Namespace) -> int:
    papers = load_papers(arguments)
    start_keras()
    from reference_checks.explain import explain as find
    from reference_checks.networks import Networks

    found = find(Networks(papers), arguments.variant, arguments.quantity)
    if arguments.json:
        print_json(found.as_dict())
        return 0
    from reference_checks.report.explained import render

    render(found, console())
    return 0


def check(arguments: argparse.Namespace) -> int:
    if arguments.backend is not None:  # Keras reads it when it is imported
        os.environ["KERAS_BACKEND"] = arguments.backend
    from reference_checks.results import Results, environment, identity

    papers = load_papers(arguments)
    units = select(papers, arguments.select)
    if arguments.model is not None:
        return _check_own(arguments, papers, units)
    options = _options(arguments)
    processes = arguments.processes
    if processes is None:
        processes = 0 if arguments.static else 1
    device = None
    if options.device is not None:
        units = [unit for unit in units if unit.official is not None]
        device = _device(arguments, units, processes)
    if arguments.resume and arguments.json in (None, "-"):
        raise InputError("--resume needs --json FILE: the file to go on with")
    old = _old(arguments)
    if arguments.report is not None:
        from reference_checks.report import svg

        svg.require()  # what is missing is found now, not after the work
    stems = {unit.paper.stem for unit in units}
    identities = {
        stem: identity(paper) for stem, paper in papers.items() if stem in stems
    }
    about = environment(device=device and device.name)
    results = Results(about, identities, {}, (), device=device)
    path = None if arguments.json in (None, "-") else Path(arguments.json)
    if path is not None:
        if arguments.resume and path.exists():
            results = _resumed(path, Results.read(path), results)
        results.write(path)  # an unwritable folder is found now, not after the work
    results, errors, complete = run(units, papers, options, results, path, processes)
    if arguments.json == "-":
        import msgspec

        print_json(msgspec.to_builtins(results.plain()))
    else:
        _shown(results, old)
    _write_reports(arguments, results, old)
    if errors:
        if len(units) > 1:  # said when they happened, and that is far above
            said = f"{len(errors)} of {len(units)} units did not run, and are missing:"
            print(said, file=sys.stderr)
            for name, _, reason in (error.partition(": ") for error in errors):
                print(f"  {name}: {reason.splitlines()[-1]}", file=sys.stderr)
        return 2
    from reference_checks.results import failed

    if failed(results.records):
        return 1
    return 0 if complete else 3


def _write_reports(
    arguments: argparse.Namespace, results: Any, old: Any = None
) -> None:
    """Reports beside the output, if the command names a folder for them."""
    if arguments.report is not None:
        from reference_checks.report import write_all

        write_all(results, arguments.report, old)
        print(f"reports: {arguments.report / 'index.html'}", file=sys.stderr)


def _shown(results: Any, old: Any) -> None:
    """The results on the terminal, what changed, and, on GitHub, where it is wrong."""
    from reference_checks.report.terminal import render, render_changes

    render(results, console())
    if old is not None:
        render_changes(old, results, console())
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from reference_checks.report import github

        for command in github.render(results):
            print(command)


def _check_own(
    arguments: argparse.Namespace, papers: Mapping[str, Paper], units: Sequence[Any]
) -> int:
    """A model of the user's own against one variant: verdicts, then the difference."""
    chosen = {(u.paper.stem, u.variant) for u in units if not u.foreign}
    named = {pair for pair in chosen if pair[1] in arguments.select}
    chosen = named or chosen
    if len(chosen) != 1:
        names = ", ".join(sorted(variant for _, variant in chosen))
        raise InputError(f"--model is held against one variant; name one of {names}")
    ((stem, variant),) = chosen
    start_keras()
    from reference_checks.networks import Networks
    from reference_checks.own import check_own
    from reference_checks.record import ENDED
    from reference_checks.report.side_by_side import render
    from reference_checks.report.terminal import render as verdicts
    from reference_checks.results import Results, environment, failed, identity

    paper = papers[stem]
    records, found = check_own(
        Networks(papers), paper, variant, arguments.model,
        run=not arguments.static, trust=arguments.trust,
    )  # fmt: skip
    about = {stem: identity(paper)}
    results = Results(environment(), about, {}, tuple(records))
    if arguments.json not in (None, "-"):
        results.write(arguments.json)
    if arguments.json == "-":
        import msgspec

        print_json(msgspec.to_builtins(results.plain()))
    else:
        verdicts(results, console())
        render(found, f"paper:{variant}", arguments.model, console())
    _write_reports(arguments, results)
    if failed(results.records):
        return 1
    return 3 if any(record.check == ENDED for record in records) else 0


def _options(arguments: argparse.Namespace) -> Any:
    """What the run does beyond the static checks.

    Raises:
        InputError: one of the options makes no sense beside another.
    """
    from reference_checks.units import Options

    for name in ("device", "keep", "against"):
        if arguments.static and getattr(arguments, name) is not None:
            raise InputError(f"--{name} runs networks: leave out --static")
    if arguments.evidence is not None and arguments.device is None:
        raise InputError("--evidence is of a device: name it with --device")
    if arguments.device is not None:
        if arguments.keep is not None or arguments.weights == "imagenet":
            raise InputError("--keep and --weights imagenet are without --device")
        from reference_checks.device import GROWING

        for name, value in GROWING.items():
            os.environ.setdefault(name, value)
    return Options(
        run=not arguments.static,
        published=arguments.weights == "imagenet",
        keep=arguments.keep and str(arguments.keep),
        against=arguments.against and str(arguments.against),
        device=arguments.device,
    )


def _device(arguments: argparse.Namespace, units: Sequence[Any], processes: int) -> Any:
    """The device that the command names; its evidence is where results go."""
    if not units:
        raise InputError("--device is for official models, and none is selected")
    from reference_checks.evidence import file_name
    from reference_checks.processes import find_device

    device = find_device(arguments.device, processes)
    path = arguments.evidence
    if path is not None:
        path = path if path.suffix == ".json" else path / file_name(device)
        arguments.json = str(path)
    return device


def _resumed(path: Path, old: Any, new: Any) -> Any:
    """The old results with the papers of both and the new environment.

    Raises:
        InputError: they are of another device.
    """
    from dataclasses import replace

    if old.device != new.device:
        was, now = (r.device.name if r.device else "no device" for r in (old, new))
        raise InputError(
            f"{path}: is of {was}, this run of {now} (with its driver and backend):"
            " write to another file"
        )
    return replace(
        old, environment=new.environment, papers={**old.papers, **new.papers}
    )


def _old(arguments: argparse.Namespace) -> Any:
    """The results to compare with; read before they can be overwritten."""
    if arguments.compare is None:
        return None
    from reference_checks.results import Results

    return Results.read(arguments.compare)


def _mutants(path: Path) -> Mutants:
    from reference_checks.mutate.kept import Mutants

    return Mutants.read(path)


def report(arguments: argparse.Namespace) -> int:
    from reference_checks.report import coverage, readme, write_all
    from reference_checks.results import Results

    for path in arguments.results:
        if not path.is_file():
            raise InputError(f"{path}: no results; paperspec check --json {path}")
    wanted = (arguments.out, arguments.readme, arguments.coverage)
    if wanted == (None, None, None):
        raise InputError(
            "say what to write: --out DIR, --readme FILE or --coverage FILE"
        )
    old = _old(arguments)
    results = reduce(Results.joined, map(Results.read, arguments.results))
    if arguments.readme is not None:
        readme.write(results, arguments.readme)
        print(f"the table of networks in {arguments.readme}")
    if arguments.coverage is not None:
        start_keras()
        coverage.write(results, arguments.coverage)
        print(f"what is not covered: {arguments.coverage}")
    if arguments.out is not None:
        mutants = arguments.mutants and _mutants(arguments.mutants)
        paths = write_all(results, arguments.out, old, mutants)
        print(
            f"{len(paths)} files in {arguments.out}; open {arguments.out / 'index.html'}"
        )
    return 0
