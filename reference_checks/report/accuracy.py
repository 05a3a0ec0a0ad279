"""Accuracy as printed against what it costs as measured: the charts of the index."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi, sqrt
from typing import TYPE_CHECKING

from reference_checks.report.networks import Entry
from reference_checks.report.svg import Chart, axes_of, colour, figure, render, require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDE, NARROW = (1080, 520), (360, 430)
ERAS = ((2014, "s1"), (2016, "s2"), (2018, "s3"), (9999, "s4"))
"""The last year of each era, and its colour."""
AREA = 6.0  # square pixels for a million parameters, on the wide chart
KEY = (5, 25, 100)  # millions of parameters


def accuracy(entries: Sequence[Entry], by: str) -> Chart | None:
    """Printed top-1 accuracy against `params` or `multiply_adds`; None without any.

    With `multiply_adds` the area of a circle is the number of parameters.
    """
    shown = [e for e in entries if e.imagenet and e.top1 is not None]
    # Large circles first, so that none hides a small one.
    shown.sort(key=lambda e: -e.size.params)
    if not shown:
        return None
    what = {"params": "parameters", "multiply_adds": "multiply-adds"}[by]
    best = max(shown, key=lambda e: e.top1.accuracy)
    title = f"Top-1 accuracy against {what}"
    description = (
        f"{len(shown)} networks, from {min(e.top1.accuracy for e in shown):g} to"
        f" {best.top1.accuracy:g} percent ({best.variant}), with"
        f" {_short(min(getattr(e.size, by) for e in shown))} to"
        f" {_short(max(getattr(e.size, by) for e in shown))} {what}."
        " The table below has every value."
    )
    require()
    from matplotlib.ticker import LogLocator, NullLocator

    pictures = []
    for suffix, (width, height) in (("wide", WIDE), ("narrow", NARROW)):
        wide = suffix == "wide"
        drawn = figure(width, height)
        axes = axes_of(drawn, 12 if wide else 10.5)
        areas = [
            _area(e.size.params / (1e6 if wide else 2.2e6))
            if by == "multiply_adds"
            else 24
            for e in shown
        ]
        _circles(axes, shown, by, areas)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: _short(value))
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if wide else (1, 3)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(what)
        axes.set_ylabel("top-1 accuracy, percent")
        _label(axes, shown, by, areas, 11 if wide else 9.5)
        _key(axes, KEY if wide and by == "multiply_adds" else (), 7 if wide else 2)
        tips = {"circles": [tooltip(entry) for entry in shown]}
        name = f"{by.replace('_', '-')}-{suffix}"
        pictures.append(render(drawn, name, title, description, tips))
    absent = sum(e.imagenet and e.top1 is None for e in entries)
    caption = (
        f"{title}, as printed. Filled: one crop of one model; hollow: another protocol or"
        " none named, so that neighbours are not strictly comparable."
    )
    if by == "multiply_adds":
        caption += " The area of a circle is the number of parameters."
    if absent:
        caption += f" {absent} networks without a printed top-1 error are left out."
    return Chart(*pictures, caption)


def tooltip(entry: Entry) -> str:
    """What a circle is, with the protocol that its error was measured by."""
    error = entry.top1
    protocol = error.protocol or "no protocol named"
    by = "" if error.paper == entry.paper else f", printed in {error.paper}"
    return (
        f"{entry.variant} ({entry.year}): {error.accuracy:g}% top-1; {protocol}"
        f" ({error.claim}{by}); {_short(entry.size.params)} parameters,"
        f" {_short(entry.size.multiply_adds)} multiply-adds"
    )


def _circles(
    axes: Axes, shown: Sequence[Entry], by: str, areas: Sequence[float]
) -> None:
    from matplotlib.colors import to_rgba

    edges = [_era(e.year) for e in shown]
    faces = [
        to_rgba(edge, 0.45 if e.top1.one_crop else 0.08)
        for e, edge in zip(shown, edges, strict=True)
    ]
    axes.scatter(
        [getattr(e.size, by) for e in shown], [e.top1.accuracy for e in shown], areas,
        facecolors=faces, edgecolors=edges, linewidths=1.2, gid="circles",
    )  # fmt: skip


def _area(millions: float) -> float:
    """The square around a circle, as matplotlib wants it; large enough to point at."""
    return max(16, AREA * millions * 4 / pi)


def _era(year: int) -> str:
    return colour(next(name for last, name in ERAS if year <= last))


def _label(
    axes: Axes, shown: Sequence[Entry], by: str, areas: Sequence[float], size: float
) -> None:
    """The most accurate network of each paper is named, where there is room for it."""
    best: dict[str, Entry] = {}
    for entry in shown:
        if (
            entry.paper not in best
            or entry.top1.accuracy > best[entry.paper].top1.accuracy
        ):
            best[entry.paper] = entry
    axes.margins(0.06, 0.08)
    axes.get_figure().draw_without_rendering()
    frame = axes.get_window_extent()
    spots = [
        axes.transData.transform((getattr(e.size, by), e.top1.accuracy)) for e in shown
    ]
    radii = [sqrt(area) / 2 for area in areas]
    taken = [
        (x - 0.8 * r, y - 0.8 * r, x + 0.8 * r, y + 0.8 * r)
        for (x, y), r in zip(spots, radii, strict=True)
    ]
    for entry in sorted(best.values(), key=lambda e: -e.top1.accuracy):
        x, y = axes.transData.transform((getattr(entry.size, by), entry.top1.accuracy))
        wide, high = 0.6 * size * len(entry.variant), size
        gap = radii[shown.index(entry)] + 3
        places = [
            (x + across * (gap + wide / 2) - wide / 2, y + up * (gap + high / 2) - high / 2)
            for across, up in ((1, 0), (-1, 0), (0, 1), (0, -1), (0.8, 0.8), (-0.8, 0.8), (0.8, -0.8), (-0.8, -0.8))
        ]  # fmt: skip
        boxes = [(left, low, left + wide, low + high) for left, low in places]
        inside = [
            box for box in boxes
            if box[0] >= frame.x0 and box[2] <= frame.x1
            and box[1] >= frame.y0 and box[3] <= frame.y1
        ]  # fmt: skip
        costs = [(sum(_overlap(box, other) for other in taken), box) for box in inside]
        if not costs:
            continue
        cost, box = min(costs, key=lambda found: found[0])
        if cost > 0.1 * wide * high:
            continue  # its tooltip and the table have its name
        taken.append(box)
        left, low = axes.transData.inverted().transform(box[:2])
        axes.text(
            left, low, entry.variant, color=colour("ink"), fontsize=size, va="bottom"
        )


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(0, width) * max(0, height)


def _key(axes: Axes, sizes: Sequence[int], columns: int) -> None:
    """What colours mean, and circles of so many million parameters."""
    marks, before = [], None
    for last, name in ERAS:
        said = f"until {last}" if before is None else f"{before + 1}–{last}"
        said = f"since {before + 1}" if last == 9999 else said
        before = last
        marks.append(axes.scatter([], [], 40, color=colour(name), label=said))
    marks += [
        axes.scatter(
            [], [], _area(millions), facecolors="none", edgecolors=colour("soft"),
            label=f"{millions}M parameters",
        )
        for millions in sizes
    ]  # fmt: skip
    axes.legend(
        handles=marks, ncols=columns, loc="lower left", bbox_to_anchor=(0, 1),
        frameon=False, fontsize=11 if sizes else 10, labelcolor=colour("soft"), borderaxespad=0,
        handletextpad=0.5, columnspacing=1.6, borderpad=0.6,
    )  # fmt: skip


def _short(value: float) -> str:
    """25557032 as 25.6M, for charts; tables show it in full."""
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if value >= unit:
            number = value / unit
            return f"{number:.3g}{letter}" if number < 1000 else f"{number:.0f}{letter}"
    return f"{value:.0f}"
