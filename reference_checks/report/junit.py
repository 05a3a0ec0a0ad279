"""JUnit XML, as CI servers read it: a suite for each paper, a case for each record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from reference_checks.record import Record
from reference_checks.report.github import PLACE
from reference_checks.report.verdicts import message, tone
from reference_checks.results import Results, failed, in_order, passes


def render(results: Results) -> str:
    """The document as text; what neither passed nor failed is skipped, and says why."""
    results = results.plain()
    root = Element("testsuites", name="paperspec", **_totals(results.records))
    # As the schema of Jenkins has it: without a zone.
    when = {"timestamp": str(results.environment.get("date", ""))[:19]}
    for paper in dict.fromkeys(record.paper for record in in_order(results.records)):
        records = in_order(
            record for record in results.records if record.paper == paper
        )
        suite = SubElement(root, "testsuite", name=paper, **when, **_totals(records))
        seen: Counter[tuple[str, str]] = Counter()
        for record in records:
            key = (record.variant + record.subject, _name(record))
            seen[key] += 1
            _case(suite, record, seen[key])
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _totals(records: Sequence[Record]) -> dict[str, str]:
    failures, held = len(failed(records)), passes(records)
    return {
        "tests": str(len(records)),
        "failures": str(failures),
        "errors": "0",
        "skipped": str(len(records) - failures - held),
        "time": f"{sum(record.seconds for record in records):.3f}",
    }


def _name(record: Record) -> str:
    return "::".join(part for part in (record.check, record.row, record.claim) if part)


def _case(suite: Element, record: Record, occurrence: int) -> None:
    # Viewers take cases of one name for reruns of one test.
    again = f" ({occurrence})" if occurrence > 1 else ""
    place = PLACE.fullmatch(record.at or "")
    case = SubElement(
        suite,
        "testcase",
        classname=f"{record.paper}.{record.variant}.{record.subject}",
        name=_name(record) + again,
        time=f"{record.seconds:.3f}",
        **({"file": place["file"], "line": place["line"]} if place else {}),
    )
    printed, measured = message(record)
    if tone(record.verdict) == "fail":
        failure = SubElement(case, "failure", type=record.verdict, message=measured)
        failure.text = f"{printed}\n{measured}"
    elif not record.verdict.passes:
        reason = ": ".join(part for part in (record.verdict, record.detail) if part)
        SubElement(case, "skipped", type=record.verdict, message=reason)
    if record.detail:
        SubElement(case, "system-out").text = record.detail
