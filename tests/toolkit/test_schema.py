"""What editors know of a spec: papers/schema.json, made from the definition."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from reference_checks.load import discover
from reference_checks.schema import schema, schema_text

ROOT = Path(__file__).parents[2]


def keys(made: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key that a spec may have, as Class.key, with what is said of it."""
    for name, definition in made["$defs"].items():
        for key, said in definition.get("properties", {}).items():
            yield f"{name}.{key}", said


def silent(made: dict[str, Any]) -> list[str]:
    """The keys without a description or an example."""
    return [
        key
        for key, said in keys(made)
        if not (said.get("description") and said.get("examples"))
    ]


def unfit(made: dict[str, Any]) -> list[str]:
    """The keys with an example that the key does not allow."""
    return [
        key
        for key, said in keys(made)
        for example in said.get("examples", ())
        if not jsonschema_rs.is_valid({"$defs": made["$defs"], **said}, example)
    ]


def test_the_schema_is_a_schema_and_forbids_what_it_does_not_know() -> None:
    """Editors find typing errors with it, too."""
    jsonschema_rs.meta.validate(schema())
    objects = [d for d in schema()["$defs"].values() if "properties" in d]
    assert objects
    assert [False] * len(objects) == [d["additionalProperties"] for d in objects]
    assert '"null"' not in schema_text()


def test_the_schema_file_is_up_to_date() -> None:
    """papers/schema.json is generated; `paperspec lint` uses the definition."""
    text = (ROOT / "papers" / "schema.json").read_text(encoding="utf-8")
    assert json.loads(text) == schema()
    assert schema_text() == text


def test_every_key_says_what_stands_there_and_how_it_looks() -> None:
    """Editors show it on hover and complete with it."""
    assert len(list(keys(schema()))) > 60
    assert [] == silent(schema())


def test_every_example_is_one() -> None:
    """It fits the key that it stands at."""
    assert [] == unfit(schema())


@pytest.mark.parametrize("missing", ["description", "examples"])
def test_a_key_that_says_nothing_is_seen(missing) -> None:
    """The planted error of the tests above."""
    made = copy.deepcopy(schema())
    del made["$defs"]["Row"]["properties"]["output"][missing]
    assert ["Row.output"] == silent(made)


def test_an_example_that_is_none_is_seen() -> None:
    """The planted error of the test above that."""
    made = copy.deepcopy(schema())
    made["$defs"]["Spec"]["properties"]["arxiv"]["examples"] = ["arXiv 1512"]
    assert ["Spec.arxiv"] == unfit(made)


@pytest.mark.parametrize(
    "path", discover(ROOT / "papers").values(), ids=lambda path: path.stem
)
def test_a_spec_names_its_schema_in_its_first_line(path) -> None:
    """As yaml-language-server reads it: a path from the spec's own folder."""
    first, _, schema_path = path.read_text().splitlines()[0].partition("$schema=")
    assert "# yaml-language-server: " == first
    assert schema() == json.loads((path.parent / schema_path).read_text())
