"""The documents say what is."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from reference_checks.rewrites import RULES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```console\n\$ paperspec (.*?)\n(.*?)```", README, re.DOTALL)


def rewrites_page() -> str:
    """docs/rewrites.md, from the rules' docstrings."""
    rows = []
    for name, rule in RULES.items():
        first, _, rest = inspect.getdoc(rule).partition("\n\n")
        cells = (" ".join(text.split()).replace("|", "\\|") for text in (first, rest))
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(
        [
            "# Rewrites",
            "",
            "Two correct implementations of one architecture differ in spelling.",
            "Each rewrite brings two spellings to one, with its justification; a property",
            "test in `tests/toolkit/test_rewrites.py` evaluates both sides on random graphs.",
            "",
            "| rewrite | the two spellings | why, and what happens to weights |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def test_the_table_of_rewrites_is_up_to_date():
    """docs/rewrites.md is what the rules say of themselves."""
    assert rewrites_page() == (ROOT / "docs" / "rewrites.md").read_text()


@pytest.mark.parametrize(("command", "shown"), BLOCKS, ids=[b[0] for b in BLOCKS])
def test_a_command_of_the_readme_prints_what_is_shown(command, shown):
    """Every line that the README shows is printed, in this order."""
    # In a process of its own, where Keras numbers layers from the first.
    run = subprocess.run(
        [sys.executable, "-m", "reference_checks.cli", *shlex.split(command)],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
    )
    printed = [line.rstrip() for line in run.stdout.splitlines()]
    for line in shown.splitlines():
        if line.strip() not in ("", "…"):
            assert line.rstrip() in printed
            printed = printed[printed.index(line.rstrip()) + 1 :]


def test_the_readme_shows_commands():
    """The test above has something to test."""
    assert len(BLOCKS) >= 3
