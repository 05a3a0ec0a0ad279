"""A badge for each paper: what was checked and held, or what did not."""

from __future__ import annotations

from xml.sax.saxutils import escape

from reference_checks.record import Verdict
from reference_checks.results import Results, counts, passes

# Dark enough for white letters.
COLOURS = {"fail": "#a61b1b", "open": "#7a4f00", "pass": "#1f6a3a", "apart": "#5d5c56"}
WIDTH = 6.6  # of a letter, in pixels; `textLength` makes it so in any font
TEMPLATE = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img" aria-label="{label}: {said}">
<title>{label}: {said}</title>
<rect width="{whole}" height="20" rx="3" fill="#333"/>
<path d="M{left} 0h{rest}a3 3 0 0 1 3 3v14a3 3 0 0 1 -3 3h-{rest}z" fill="{colour}"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">
<text x="{label_at}" y="14" textLength="{label_length}">{label}</text>
<text x="{said_at}" y="14" textLength="{said_length}">{said}</text>
</g>
</svg>
"""


def render(results: Results) -> dict[str, str]:
    """The badges as SVG, by the stem of the paper."""
    return {stem: badge(stem, *state(results, stem)) for stem in results.papers}


def state(results: Results, stem: str) -> tuple[str, str]:
    """What a badge says, and its tone."""
    records = [record for record in results.records if record.paper == stem]
    number, held = counts(records), passes(records)
    if wrong := number[Verdict.CONTRADICTED]:
        return f"{wrong:,} contradicted", "fail"
    if open_ := number[Verdict.UNEXPLAINED]:
        return f"{held:,} passed, {open_:,} unexplained", "open"
    return (f"{held:,} passed", "pass") if held else ("not run", "apart")


def badge(label: str, said: str, tone: str) -> str:
    """A badge with two halves."""
    left, right = (round(WIDTH * len(text)) + 12 for text in (label, said))
    return TEMPLATE.format(
        label=escape(label, {'"': "&quot;"}),
        said=escape(said, {'"': "&quot;"}),
        colour=COLOURS[tone],
        whole=left + right,
        left=left,
        rest=right - 3,
        label_at=left / 2,
        label_length=left - 12,
        said_at=left + right / 2,
        said_length=right - 12,
    )
