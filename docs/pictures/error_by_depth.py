"""What a precision loses by depth: the figure and a table of docs/tolerance.md.

    python docs/pictures/error_by_depth.py [--draw]

Three of our networks with random, calibrated weights, on two photographs and noise: the
relative error of each row's last activation to float64, and what an epsilon moves.  The
numbers go to error_by_depth.json beside this file and are drawn from there; `--draw`
measures nothing.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EVIDENCE = HERE / "error_by_depth.json"
PICTURE = HERE / "error-by-depth.svg"
NETWORKS = {
    "ResNet-50": ("resnet", "resnet50"),
    "EfficientNet-B0": ("efficientnet", "efficientnet_b0"),
    "MobileNetV2": ("mobilenet_v2", "mobilenet_v2"),
}
PRECISIONS = {"bfloat16": "#b3452c", "float16": "#c58b1b", "float32": "#1f5fa8"}
SEED = 1998


def measure(stem: str, variant: str) -> dict[str, dict]:
    """Relative errors by precision and row, and of the outputs; and the sensitivity."""
    from reference_checks import equivalence, sources
    from reference_checks.equivalence.sensitivity import sensitivity
    from reference_checks.load import load

    paper = load(ROOT / "papers" / f"{stem}.yaml")
    entry = paper.spec.variants[variant]
    subject = equivalence.subject(lambda: sources.build_paper(paper, variant, {}))
    x = equivalence.inputs(tuple(entry.input), SEED)
    subject.assign(equivalence.random_values(subject.graph, SEED))
    equivalence.calibrate(subject, x, SEED)
    names = subject.graph.row_of(paper.spec.tables[entry.table].rows)
    last = {
        name: op.tensor
        for name, op in zip(names, subject.graph.ops, strict=True)
        if name and op.tensor is not None
    }
    reference = subject.run(x, [*last.values()])
    sensed = asdict(sensitivity(subject, x[-1:], reference[0][-1:]))
    sensed["slope"] = float(f"{sensed['slope']:.3g}")
    found = {}
    for precision in PRECISIONS:
        single = equivalence.subject(
            lambda: sources.build_paper(paper, variant, {}), precision
        )
        single.assign(subject.values)
        errors = map(equivalence.distance, single.run(x, [*last.values()]), reference)
        rounded = [float(f"{error:.3g}") for error in errors]
        found[precision] = dict(zip(["outputs", *last], rounded, strict=True))
    return {"errors": found, "sensitivity": sensed}


def table(evidence: dict[str, dict[str, dict]]) -> list[str]:
    """The page's lines: errors of the first row and of the outputs, and what they hide."""
    from reference_checks.equivalence import FLOAT64_BUDGET, budget
    from reference_checks.equivalence.sensitivity import Sensitivity

    lines = [
        "| network | precision | error of the first row | of the outputs | budget | verdict |",
        "|---|---|--:|--:|--:|---|",
    ]
    for network, found in evidence.items():
        sensed = Sensitivity(**found["sensitivity"])
        seen = f"would see {sensed.seen(FLOAT64_BUDGET)}"
        lines.append(f"| {network} | float64 | | | {FLOAT64_BUDGET:g} | {seen} |")
        for precision, errors in reversed(found["errors"].items()):
            first, outputs = list(errors.values())[1], errors["outputs"]
            allowed = budget(precision, [outputs])
            seen = f"would see {sensed.seen(allowed)}"
            if allowed >= sensed.limit:
                seen = f"none: hides {sensed.hidden(allowed)}"
            cells = (
                network,
                precision,
                f"{first:.2g}",
                f"{outputs:.2g}",
                f"{allowed:.2g}",
            )
            lines.append(f"| {' | '.join(cells)} | {seen} |")
    return lines


def draw(evidence: dict[str, dict[str, dict]]) -> str:
    """The figure: a panel for each network, a line for each precision."""
    import io

    import matplotlib
    from matplotlib.figure import Figure

    drawn = Figure((13, 4.2), layout="constrained", facecolor="white")
    panels = drawn.subplots(1, len(evidence), sharey=True)
    for axes, (network, found) in zip(panels, evidence.items(), strict=True):
        for precision, errors in found["errors"].items():
            rows = [row for row in errors if row != "outputs"]
            axes.plot(
                range(len(rows)), [errors[row] for row in rows], marker="o",
                markersize=4, color=PRECISIONS[precision], label=precision,
            )  # fmt: skip
        axes.set_title(network)
        axes.set_yscale("log")
        axes.grid(axis="y", color="#dddddd")
        axes.set_xticks(range(len(rows)), rows, rotation=60, ha="right", fontsize=8)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    panels[0].set_ylabel("relative error to float64")
    panels[-1].legend(frameon=False, loc="center right")
    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "depth"}):
        drawn.savefig(file, format="svg", metadata={"Date": None})
    lines = (line.rstrip() for line in file.getvalue().splitlines())
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    if not parser.parse_args().draw:
        evidence = {name: measure(*which) for name, which in NETWORKS.items()}
        EVIDENCE.write_text(json.dumps(evidence, indent=1) + "\n")
    evidence = json.loads(EVIDENCE.read_text())
    PICTURE.write_text(draw(evidence))
    print("\n".join(table(evidence)))


if __name__ == "__main__":
    main()
