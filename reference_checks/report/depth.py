"""Error by depth: how far official models are from ours, row by row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import ceil, inf

from reference_checks.record import Record
from reference_checks.report.svg import Chart, axes_of, colour, figure, render

WIDE, NARROW = (1080, 300), (360, 300)
STYLES = ("-", "--", ":")
BUDGET = re.compile(r"the budget is (\d\S*)")


def depth(stem: str, records: Iterable[Record]) -> list[Chart]:
    """Measured error of each row's activations, a chart for each layer table."""
    runs: dict[tuple[str, str], dict[str, Record]] = {}
    for record in records:
        if record.check == "activations" and record.row and error(record) is not None:
            runs.setdefault((record.variant, record.subject), {})[record.row] = record
    tables: dict[tuple[str, ...], dict] = {}
    for run, rows in runs.items():
        tables.setdefault(tuple(rows), {})[run] = rows
    return [
        _chart(f"{stem}-depth-{number}", rows, found)
        for number, (rows, found) in enumerate(tables.items(), start=1)
        if len(rows) > 1
    ]


def error(record: Record) -> float | None:
    """The measured error; infinite where it is written so, or where it is no number."""
    match record.measured:
        case int() | float():
            return float(record.measured)
        case "inf" | "nan":
            return inf
    return None


def _chart(
    name: str,
    rows: tuple[str, ...],
    runs: Mapping[tuple[str, str], Mapping[str, Record]],
) -> Chart:
    records = [record for found in runs.values() for record in found.values()]
    finite = [e for e in map(error, records) if 0 < e < inf]
    said = (BUDGET.search(record.detail) for record in records)
    budget = next((float(match[1].rstrip(";,.")) for match in said if match), None)
    # Logarithms have no zero, and no infinity: both stand at the edge.
    low = min(finite, default=1e-17) / 3
    high = 6 * max([*finite, budget or 0, low])
    worst = max(map(error, records))
    description = (
        f"Relative error of the activations in float64, {len(runs)} official models"
        f" over {len(rows)} rows; the largest is {worst:.2g}."
    )
    pictures = []
    for suffix, (width, height), columns in (("wide", WIDE, 3), ("narrow", NARROW, 1)):
        lines = ceil(len(runs) / columns) if len(runs) > 1 else 0
        drawn = figure(width, height + 16 * lines)
        axes = axes_of(drawn, 12 if suffix == "wide" else 10)
        tips = {}
        for number, ((variant, subject), found) in enumerate(runs.items()):
            errors = [error(found[row]) for row in rows]
            shade = colour(f"s{number % 4 + 1}")
            axes.plot(
                range(len(rows)), [min(max(e, low), high) for e in errors],
                STYLES[number // 4 % len(STYLES)], color=shade, linewidth=1.5, label=subject,
            )  # fmt: skip
            tips[f"marks-{number}"] = [
                f"{variant}, {subject}, {row}: {e:.3g} ({found[row].verdict})"
                for row, e in zip(rows, errors, strict=True)
            ]
            axes.scatter(
                range(len(rows)), [min(max(e, low), high) for e in errors], 26,
                linewidths=1.5, edgecolors=shade, gid=f"marks-{number}", zorder=3,
                facecolors=[
                    colour("paper") if e == 0 else colour("fail") if e == inf else shade
                    for e in errors
                ],
            )  # fmt: skip
        if budget is not None:
            line = {"linewidth": 1, "linestyle": (0, (4, 3))}
            axes.axhline(budget, color=colour("fail"), **line)
            axes.annotate(
                f"budget {budget:g}", (0, budget), (0, 4), textcoords="offset points",
                color=colour("fail"), fontsize=10,
            )  # fmt: skip
        axes.set_yscale("log")
        axes.set_ylim(low / 2, 2 * high)
        axes.set_xticks(range(len(rows)), rows)
        if suffix == "narrow" or len(rows) > 12:
            axes.tick_params(axis="x", labelrotation=60)
        axes.set_ylabel("relative error")
        if lines:
            axes.legend(
                frameon=False, fontsize=10, labelcolor=colour("soft"), ncols=columns,
                loc="lower left", bbox_to_anchor=(0, 1),
            )  # fmt: skip
        pictures.append(
            render(drawn, f"{name}-{suffix}", "Error by depth", description, tips)
        )
    caption = (
        f"{', '.join(subject for _, subject in runs)} against our network with the same"
        " weights, in float64: the relative error at the end of each row. Hollow marks"
        " are bit-equal."
    )
    return Chart(*pictures, caption)
