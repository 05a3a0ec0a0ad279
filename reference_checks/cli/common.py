"""What several commands share: specs, models, the terminal."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reference_checks.errors import InputError
from reference_checks.load import Paper, load_all


def folder(arguments: argparse.Namespace) -> Path:
    """The folder of specs: as given, here, or beside the package."""
    given = arguments.papers
    if given is not None:
        if not given.is_dir():
            raise InputError(f"{given}: no such folder")
        if given.resolve().name != "papers":
            raise InputError(f"{given}: name it papers, with implementations beside it")
        return given
    here = Path("papers")
    return here if here.is_dir() else Path(__file__).parents[2] / "papers"


def load_papers(arguments: argparse.Namespace) -> dict[str, Paper]:
    """All specs; every problem of every one of them at once."""
    root = folder(arguments)
    papers = load_all(root)
    if not papers:
        raise InputError(f"{root}: no specs (*.yaml)")
    return papers


def select(papers: Mapping[str, Paper], patterns: Sequence[str]) -> list:
    from reference_checks.units import select

    return select(papers, patterns)


def print_json(data: Any) -> None:
    print(json.dumps(data, indent=1, ensure_ascii=False))


def console(stderr: bool = False) -> Any:
    from rich.console import Console

    terminal = Console(stderr=stderr, highlight=False)
    if not terminal.is_terminal and "COLUMNS" not in os.environ:
        terminal.width = 100  # a log is not as narrow as rich takes it to be
    return terminal
