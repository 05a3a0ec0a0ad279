"""Renderings of a results file: terminal, Markdown, JUnit XML and pages of HTML.

Each form is a module of its own, imported where it is asked for: a command that shows
nothing pays for neither rich nor jinja2.
"""

from __future__ import annotations

from pathlib import Path

from reference_checks.results import Results


def write_all(results: Results, folder: Path | str) -> list[Path]:
    """Write every form that is a file; returns the paths, raises ResultsError."""
    from reference_checks.report import html

    return html.write(results, folder)
