"""The JSON schema of a spec, made from its definition."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from reference_checks.spec import Spec


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of a spec, from `spec.Spec`.

    Unknown keys are errors, and so are keys without a value.
    """
    made = msgspec.json.schema(Spec)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "paperspec: a paper, transcribed",
    }
    return {**head, **_strict(made)}


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _strict(value) for key, value in node.items()}
    if isinstance(node.get("description"), str):
        node["description"] = " ".join(node["description"].split())
    if isinstance(node.get("properties"), dict) and node.get("type") == "object":
        node["additionalProperties"] = False
    if isinstance(node.get("anyOf"), list):
        options = [option for option in node["anyOf"] if option != {"type": "null"}]
        if len(options) == 1:
            del node["anyOf"]
            node = {**options[0], **node}
        else:
            node["anyOf"] = options
    if node.get("default", ...) is None:
        del node["default"]
    return node


def schema_text() -> str:
    """The contents of papers/schema.json."""
    import json

    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


@cache
def validator() -> Any:
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(schema())
