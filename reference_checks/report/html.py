"""The site: an index, a page for each paper, and one of all findings.

A page holds everything that it needs, so it opens from a folder, from an archive of a CI
run and on a phone; the templates escape every text, and only the script whose digest a
page names may run in it.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reference_checks import evidence
from reference_checks.evidence import Evidence
from reference_checks.mutate.kept import Mutants
from reference_checks.record import Record, Verdict
from reference_checks.report import svg
from reference_checks.report.accuracy import accuracy
from reference_checks.report.badges import state
from reference_checks.report.depth import depth
from reference_checks.report.networks import Entry, entries, proof
from reference_checks.report.sensitivity import sensitivity
from reference_checks.report.source import highlighted
from reference_checks.report.tables import CHECKS, layer_tables
from reference_checks.report.verdicts import (
    Cell,
    message,
    missing,
    overall,
    per_variant,
    show,
    tone,
    totals,
)
from reference_checks.results import Results, failed, in_order, save

COSTS = ("deviation", "accounting")
Found = Mapping[tuple[str, str], Sequence[Evidence]]
"""Evidence by paper and variant."""
TEMPLATES = Path(__file__).parent / "templates"


def write(
    results: Results, folder: Path | str, mutants: Mutants | None = None
) -> list[Path]:
    """Write the pages; returns their paths, the index first.

    With `mutants` there is a page of what the checks would have caught.

    Raises:
        ResultsError: the folder cannot be written.
        InputError: matplotlib, which draws the charts, is not installed.
    """
    svg.require()
    folder, results = Path(folder), results.plain()
    templates = _templates()
    networks = entries(results)
    gpu = evidence.of(results, evidence.read_all())
    pages = {
        "index.html": ("index.html.j2", _index(results, networks, gpu)),
        "findings.html": ("findings.html.j2", _all_findings(results)),
    }
    caught = mutants and sensitivity(mutants)
    if caught:
        pages["sensitivity.html"] = ("sensitivity.html.j2", {"found": caught})
    for stem in results.papers:
        own = [entry for entry in networks if entry.paper == stem]
        context = _paper(results, stem, own, gpu)
        context["caught"] = mutants and sensitivity(mutants, stem)
        pages[f"{stem}.html"] = ("paper.html.j2", context)
    for name, (template, context) in pages.items():
        text = templates.get_template(template).render(
            environment=results.environment, page=name, mutants=bool(caught), **context
        )
        save(folder / name, text.encode())
    return [folder / name for name in pages]


def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "message": message,
        "per_variant": per_variant,
        "show": show,
        "tone": tone,
        "why": why,
    }
    script = (TEMPLATES / "site.js").read_text()
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals |= {"script": Markup(script), "script_digest": digest}
    return environment


def why(record: Record) -> str:
    """Why a cell is marked: the record's own words, or what its verdict means."""
    first, second = message(record)
    return record.detail or f"{first}; {second}"


def seen(found: Sequence[Evidence] | None) -> Cell:
    """What GPUs have recorded of a network, the last device last: device, date, verdict."""
    if not found:
        return Cell(("none",))
    last = found[-1]
    cell = overall(last.records)
    said = (last.stale,) if last.stale else ()
    return Cell((last.title, *said, *cell.texts), "open" if last.stale else cell.tone)


def _index(results: Results, networks: Sequence[Entry], gpu: Found) -> dict[str, Any]:
    years = sorted({paper.year for paper in results.papers.values()})
    timeline = []
    for before, year in zip([None, *years], years, strict=False):
        stems = [s for s, paper in results.papers.items() if paper.year == year]
        timeline.append((year, 0 if before is None else year - before, stems))
    charts = [accuracy(networks, by) for by in ("multiply_adds", "params")]
    return {
        "papers": results.papers,
        **_findings(results.records),
        "timeline": timeline,
        "charts": [chart for chart in charts if chart is not None],
        "networks": [
            (entry, proof(entry.official), seen(gpu.get((entry.paper, entry.variant))))
            for entry in networks
        ],
        "states": {stem: state(results, stem) for stem in results.papers},
    }


def _findings(records: Sequence[Record]) -> dict[str, object]:
    return {
        "totals": totals(records),
        "missing": missing(records),
        "contradicted": failed(records),
        "unexplained": [
            record for record in records if record.verdict is Verdict.UNEXPLAINED
        ],
    }


def _all_findings(results: Results) -> dict[str, object]:
    deviations = [
        (stem, id, entry)
        for stem, paper in results.papers.items()
        for id, entry in paper.deviations.items()
    ]
    errata = [
        (stem, id, entry)
        for stem, paper in results.papers.items()
        for id, entry in paper.errata.items()
    ]
    return {
        "papers": results.papers,
        **_findings(results.records),
        "deviations": deviations,
        "errata": errata,
    }


def _paper(
    results: Results, stem: str, own: Sequence[Entry], gpu: Found
) -> dict[str, object]:
    records = [record for record in results.records if record.paper == stem]
    networks = {
        name.removeprefix(f"{stem}/"): network
        for name, network in results.networks.items()
        if name.startswith(f"{stem}/")
    }
    rest = [record for record in records if record.check not in CHECKS]
    costs = [record for record in rest if record.check in COSTS]
    others = [record for record in rest if record.check not in COSTS]
    proofs = [record for record in others if record.subject != "paper"]
    paper = results.papers[stem]
    tables = layer_tables(records, networks)
    first = tables[0].variant if tables else None
    return {
        "stem": stem,
        "paper": paper,
        **_findings(records),
        "networks": networks,
        "claims": _grouped(record for record in others if record.subject == "paper"),
        "tables": tables,
        "tabled": {table.variant for table in tables},
        "opened": next((t.variant for t in tables if len(t.subjects) > 1), first),
        "costs": _grouped(costs),
        "proofs": _grouped(proofs),
        "rewrites": _rewrites(proofs),
        "depth": depth(stem, proofs),
        "source": highlighted(paper.source, networks),
        "entries": [(entry, proof(entry.official)) for entry in own],
        "gpu": [
            (entry.variant, found)
            for entry in own
            for found in gpu.get((stem, entry.variant), ())
        ],
    }


def _rewrites(proofs: Iterable[Record]) -> dict[str, tuple[str, list[str]]]:
    """For each rewrite that was used, what it does and for which models."""
    used: dict[str, list[str]] = {}
    for record in proofs:
        for name in record.rewrites:
            used.setdefault(name, []).append(record.subject)
    if not used:
        return {}
    from reference_checks.rewrites import RULES

    def said(name: str) -> str:
        # Results of another version may name a rewrite that this one does not have.
        return " ".join(
            ((RULES[name].__doc__ or "") if name in RULES else "")
            .split("\n\n")[0]
            .split()
        )

    return {name: (said(name), models) for name, models in used.items()}


def _grouped(records: Iterable[Record]) -> list[tuple[str, str, list[Record]]]:
    """(variant, subject, records by urgency), in the order of the file."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.variant, record.subject), []).append(record)
    return [(*key, in_order(own)) for key, own in groups.items()]
