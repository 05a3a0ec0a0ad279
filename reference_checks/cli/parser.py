"""The command line: commands, their options and help."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reference_checks.cli import models, mutants, runs, specs

TRUST = "let a model file run the code that it brings (Lambda layers)"
COMPARE = "say what changed since these results"
RESULTS = Path("reports/results.json")

EPILOG = """\
examples:
  paperspec check                          every paper, our networks and the official models
  paperspec check resnet50 'vgg*' --static without running a network
  paperspec check --json reports/results.json --report reports
  paperspec show resnet50                  the layer table: printed | ours | official
  paperspec explain resnet50 multiply_adds how a number comes about, and why it differs
  paperspec count keras:ResNet50           parameters and multiply-adds, by layer
  paperspec diff paper:resnet50 keras:ResNet50
  paperspec transfer file:trained.keras paper:resnet50 --out ours.keras

A model is paper:VARIANT, keras:NAME[,key=value], file:PATH or python:MODULE:FUNCTION.
"""


def parser() -> argparse.ArgumentParser:
    """The command line, also for shell completion."""
    top = argparse.ArgumentParser(
        prog="paperspec",
        description="Is this network the one in the paper, and the one the library ships?",
        epilog=EPILOG,
        formatter_class=_formatter,
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
            formatter_class=_formatter,
        )  # fmt: skip
        command.set_defaults(command=function)
        return command

    select = {
        "nargs": "*",
        "metavar": "SELECT",
        "help": "paper, variant, model or glob",
    }

    command = add(
        "list", specs.list_, "papers, variants, official models, last verdicts", "list"
    )
    command.add_argument("select", **select)
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument(
        "--from", dest="results", type=Path, default=RESULTS, metavar="FILE",
        help=f"results to take the last verdicts from (default: {RESULTS})",
    )  # fmt: skip

    command = add(
        "lint", specs.lint, "check specs against the format and their own arithmetic",
        "lint papers/resnet.yaml",
    )  # fmt: skip
    command.add_argument("specs", nargs="*", type=Path, metavar="SPEC")
    once_or_again = command.add_mutually_exclusive_group()
    once_or_again.add_argument("--json", action="store_true", help="print JSON")
    once_or_again.add_argument(
        "--watch",
        action="store_true",
        help="again after every change, until interrupted",
    )

    command = add(
        "new", specs.new, "start a paper: a spec and an implementation to fill in",
        "new squeezenet --arxiv 1602.07360",
    )  # fmt: skip
    command.add_argument(
        "name", metavar="NAME", help="of both files, and of the variant"
    )
    command.add_argument("--title", help="as the paper prints it")
    command.add_argument("--arxiv", metavar="NUMBER", help="as 1602.07360")
    command.add_argument("--year", type=int, help="default: that of the arXiv number")

    command = add(
        "claims", specs.claims, "every printed number as data", "claims resnet50 --json"
    )
    command.add_argument("select", **select)
    command.add_argument("--json", action="store_true", help="print JSON")

    command = add(
        "show", runs.show, "the layer table of a variant: printed | ours | official",
        "show resnet50",
    )  # fmt: skip
    command.add_argument("variant", metavar="VARIANT")
    command.add_argument("--json", action="store_true", help="print JSON")

    command = add(
        "explain", runs.explain,
        "how a number comes about, and what may lie between it and the printed one",
        "explain resnet50 multiply_adds",
    )  # fmt: skip
    command.add_argument("variant", metavar="VARIANT")
    command.add_argument("quantity", metavar="QUANTITY")
    command.add_argument("--json", action="store_true", help="print JSON")

    command = add(
        "count", models.count,
        "parameters and multiply-adds of a model, by layer or row, under every convention",
        "count keras:MobileNetV2,alpha=0.35",
    )  # fmt: skip
    command.add_argument("model", metavar="MODEL")
    command.add_argument("--trust", action="store_true", help=TRUST)
    command.add_argument(
        "--by", choices=("layer", "row"), help="default: row for paper:"
    )
    command.add_argument("--json", action="store_true", help="print JSON")

    command = add(
        "check", runs.check, "run the checks", "check resnet50 --json results.json"
    )
    command.add_argument("select", **select)
    command.add_argument("--static", action="store_true", help="run no network")
    command.add_argument(
        "--backend", choices=("tensorflow", "jax", "torch"),
        help="the backend of Keras (default: KERAS_BACKEND, or as configured)",
    )  # fmt: skip
    command.add_argument(
        "-n", dest="processes", type=_number, metavar="N",
        help="processes beside this one, a new one for each model that is run; 0: all"
        " in this one (default: 1, and 0 with --static)",
    )  # fmt: skip
    command.add_argument(
        "--weights", choices=("random", "imagenet"), default="random",
        help="imagenet: run with the published weights as well",
    )  # fmt: skip
    command.add_argument(
        "--device", choices=("cpu", "gpu"),
        help="run official models and ours there, in each of its precisions, against the CPU",
    )  # fmt: skip
    command.add_argument(
        "--evidence", type=Path, metavar="PATH",
        help="with --device: the file for results, or a folder for one named by the device",
    )  # fmt: skip
    command.add_argument(
        "--keep", type=Path, metavar="DIR",
        help="keep what each official model computes, with its weights",
    )  # fmt: skip
    command.add_argument(
        "--against", type=Path, metavar="DIR",
        help="take weights from what was kept, and compare with what it has computed",
    )  # fmt: skip
    command.add_argument(
        "--json", metavar="FILE", help="write results as they come; - for stdout"
    )
    command.add_argument(
        "--resume", action="store_true", help="keep what FILE has done"
    )
    command.add_argument(
        "--report", type=Path, metavar="DIR",
        help="write the site, Markdown, JUnit XML and badges as well",
    )  # fmt: skip
    command.add_argument("--compare", type=Path, metavar="OLD", help=COMPARE)
    command.add_argument(
        "--model", metavar="MODEL", help="a model of your own, against one variant"
    )
    command.add_argument("--trust", action="store_true", help=TRUST)

    command = add(
        "diff", models.diff, "structural difference of two models",
        "diff paper:resnet50 keras:ResNet50",
    )  # fmt: skip
    command.add_argument("a", metavar="A")
    command.add_argument("b", metavar="B")
    command.add_argument("--trust", action="store_true", help=TRUST)
    command.add_argument("--json", action="store_true", help="print JSON")

    command = add(
        "transfer", models.transfer, "move weights from A into B and save B",
        "transfer file:trained.keras paper:resnet50 --out ours.keras",
    )  # fmt: skip
    command.add_argument("a", metavar="A")
    command.add_argument("b", metavar="B")
    command.add_argument("--trust", action="store_true", help=TRUST)
    command.add_argument("--partial", action="store_true", help="move what agrees")
    command.add_argument("--out", type=Path, required=True, metavar="FILE")
    command.add_argument("--json", action="store_true", help="print JSON")

    command = add(
        "identify", models.identify, "which paper's network a model is, and how it differs",
        "identify file:model.h5",
    )  # fmt: skip
    command.add_argument("model", metavar="MODEL")
    command.add_argument("--trust", action="store_true", help=TRUST)
    command.add_argument("--json", action="store_true", help="print JSON")

    command = add(
        "mutate", mutants.mutate,
        "plant one mistake after the other, and say which check sees it",
        "mutate resnet50 --class 'stride moved'",
    )  # fmt: skip
    command.add_argument("select", **select)
    command.add_argument(
        "--class", dest="classes", action="append", metavar="NAME",
        help="of mutations, as --list names them; may be repeated",
    )  # fmt: skip
    command.add_argument(
        "--sites", type=_positive, default=3, metavar="N", help="of each class (3)"
    )
    command.add_argument("--seed", type=int, default=1998, help="of the sites (1998)")
    command.add_argument(
        "-n", dest="processes", type=_number, metavar="N",
        help="processes beside this one, a new one for each network",
    )  # fmt: skip
    command.add_argument(
        "--resume", action="store_true", help="keep the networks that --json FILE has"
    )
    command.add_argument("--static", action="store_true", help="run no network")
    command.add_argument("--list", action="store_true", help="print the classes")
    command.add_argument("--json", metavar="FILE", help="write results; - for stdout")
    command.add_argument("--markdown", type=Path, metavar="FILE", help="write a page")

    command = add(
        "report", runs.report,
        "the site, Markdown, JUnit XML and badges from results files",
        "report --from results.json --out reports",
    )  # fmt: skip
    command.add_argument(
        "--from", dest="results", type=Path, nargs="+", default=[RESULTS], metavar="FILE",
        help=f"several are joined, paper by paper (default: {RESULTS})",
    )  # fmt: skip
    command.add_argument("--out", type=Path, metavar="DIR", help="write the site")
    command.add_argument(
        "--mutants", type=Path, metavar="FILE",
        help="show in the site what the checks would have caught (from `mutate --json`)",
    )  # fmt: skip
    command.add_argument("--compare", type=Path, metavar="OLD", help=COMPARE)
    command.add_argument(
        "--readme", type=Path, metavar="FILE", help="rewrite its table of networks"
    )
    command.add_argument(
        "--coverage", type=Path, metavar="FILE", help="write what is not covered"
    )

    command = add(
        "schema",
        specs.schema,
        "the JSON schema of specs",
        "schema > papers/schema.json",
    )

    command = add("completion", completion, "a completion script", "completion bash")
    command.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    return top


def _formatter(prog: str) -> argparse.HelpFormatter:
    # With a width: argparse imports `shutil` to ask for the terminal's, at every start.
    return argparse.RawDescriptionHelpFormatter(prog, width=88)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def completion(arguments: argparse.Namespace) -> int:
    import shtab

    print(shtab.complete(parser(), arguments.shell))
    return 0


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version")

    def __call__(self, parser: Any, *_: Any) -> None:
        from importlib.metadata import version  # not needed otherwise

        print(f"paperspec {version('paperspec')}")
        parser.exit()
