"""Renderings of a results file: terminal, Markdown, JUnit XML, badges and the site.

Each form is a module of its own, imported where it is asked for: a command that shows
nothing pays for neither rich, jinja2 nor matplotlib.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reference_checks.results import Results, save

if TYPE_CHECKING:
    from reference_checks.mutate.kept import Mutants


def write_all(
    results: Results, folder: Path | str, old: Results | None = None,
    mutants: Mutants | None = None,
) -> list[Path]:  # fmt: skip
    """Write every form that is a file; `old` are results to compare with.

    `mutants` are what the checks would have caught: a page, and a part of each paper's.

    Returns the paths, the index first.

    Raises:
        ResultsError: the folder cannot be written.
        InputError: what draws the charts is not installed; the rest is written.
    """
    from reference_checks.report import badges, html, junit, markdown

    folder = Path(folder)
    texts = {
        "summary.md": markdown.render(results, old),
        "junit.xml": junit.render(results),
        **{f"badges/{name}.svg": text for name, text in badges.render(results).items()},
    }
    for name, text in texts.items():
        save(folder / name, text.encode())
    results.write(folder / "results.json")
    pages = html.write(results, folder, mutants)
    return [*pages, *(folder / name for name in (*texts, "results.json"))]
