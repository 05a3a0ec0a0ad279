"""GitHub's workflow commands: a contradiction stands at its line of the spec."""

from __future__ import annotations

import re

from reference_checks.report.verdicts import message
from reference_checks.results import Results, failed

PLACE = re.compile(r"(?P<file>.+):(?P<line>\d+):(?P<column>\d+)")
DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
PROPERTY = DATA | {":": "%3A", ",": "%2C"}


def render(results: Results) -> list[str]:
    """An error for each contradicted record, in their order."""
    found = []
    for record in failed(results.plain().records):
        properties, text = {}, "\n".join(message(record))
        if match := PLACE.fullmatch(record.at or ""):
            properties = {
                "file": match["file"],
                "line": match["line"],
                "col": match["column"],
            }
        properties["title"] = f"{record.paper}/{record.variant} {record.check}"
        listed = ",".join(
            f"{key}={_escape(value, PROPERTY)}" for key, value in properties.items()
        )
        found.append(f"::error {listed}::{_escape(text, DATA)}")
    return found


def _escape(text: str, characters: dict[str, str]) -> str:
    return "".join(characters.get(character, character) for character in text)
