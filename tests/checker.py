"""Mistakes planted in the checker itself, and how many its tests see: `tox -e checker`.

    python tests/checker.py                     the table of docs/checker.md, afresh
    python tests/checker.py 'PATTERN' …         some mutants: 'reference_checks.measure.*'
    python tests/checker.py '*'                 all of them, in some hours

mutmut plants them.  What it changes, and the tests that must see it, is `[tool.mutmut]` in
pyproject.toml.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
MUTANTS = ROOT / "mutants"
CORE = (
    "absorbed", "alignment", "diff", "edges", "equivalence.comparison", "measure",
    "printed", "rows", "transfer",
)  # fmt: skip
SAMPLED = ("notation", "rewrites")
"""Packages of which one mutant in five is tried: those whose number ends in 0 or 5."""

TABLE = (
    *(f"reference_checks.{name}.x*" for name in CORE),
    *(f"reference_checks.{name}.*[05]" for name in SAMPLED),
)
KILLED = {1, 3, 36, 24, -24, 152, 255}
"""How a run of the tests ends that fails, or that does not end in time."""


def tried() -> Iterator[tuple[str, dict[str, int | None]]]:
    """Each module that is changed, with the exit codes of its mutants: None, not tried."""
    for path in sorted(MUTANTS.glob("reference_checks/**/*.meta")):
        codes = json.loads(path.read_text())["exit_code_by_key"]
        name = path.relative_to(MUTANTS / "reference_checks").with_suffix("")
        yield name.as_posix(), codes


def table() -> Iterator[str]:
    """The Markdown table; a module of which only some were tried says of how many."""
    yield "| module | mutants | killed | survive |"
    yield "|---|--:|--:|--:|"
    total: Counter[str] = Counter()
    for name, codes in tried():
        known = [code for code in codes.values() if code is not None]
        if not known:
            continue
        killed = sum(code in KILLED for code in known)
        some = f" of {len(codes)}" if len(known) < len(codes) else ""
        yield f"| `{name}` | {len(known)}{some} | {killed} | {len(known) - killed} |"
        total.update(mutants=len(known), killed=killed)
    mutants, killed = total["mutants"], total["killed"]
    yield f"| all | {mutants:,} | {killed:,} | {mutants - killed:,} |"


def survivors() -> Iterator[str]:
    for _, codes in tried():
        for name, code in codes.items():
            if code is not None and code not in KILLED:
                yield name


if __name__ == "__main__":
    if not sys.argv[1:]:
        shutil.rmtree(MUTANTS, ignore_errors=True)
    patterns = sys.argv[1:] or TABLE
    command = ["mutmut", "run", "--max-children", "2", *patterns]
    subprocess.run(command, cwd=ROOT, check=True)
    print("\n".join([*table(), "", *survivors()]))
