"""A spec's YAML, read strictly: values, where they stand, and what is wrong.

The text is read event by event, so that nothing is ever constructed that a spec cannot
be: aliases, anchors, tags, several documents, deep nesting and huge files are refused
before they cost anything.  (Composing nodes would recurse on the C stack, which deep
nesting overflows.)  YAML's guesses are refused too: `no`, `012` and `1:30` have to be
quoted or written otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from reference_checks.errors import nearest
from reference_checks.problems import Problem, Where
from reference_checks.schema import schema, validator
from reference_checks.spec import MAX_BYTES

Marks = dict[Where, tuple[int, int]]

MAX_DEPTH = 20
MAX_VALUES = 100_000
MAX_PROBLEMS = 1_000  # of the schema; more are not looked for
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?[0-9]{1,20}\.[0-9]{0,20}(e[-+][0-9]{1,2})?", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_GUESSED = yaml.CSafeLoader.yaml_implicit_resolvers.keys()
"""The first characters of what YAML may take for something other than a text."""
_Scalar, _MappingEnd = yaml.ScalarEvent, yaml.MappingEndEvent
_RESOLVED = "tag:yaml.org,2002:"
ALIAS = "no anchors and aliases; write each value out"
TAG = "no tags; leave it out"


def _place(event: yaml.Event) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def places(text: str) -> tuple[Marks, Marks]:
    """Where the values and their keys stand, of a text that was read to its end.

    Few runs ask, and noting every place costs as much as reading the values.
    """
    values: Marks = {}
    keys: Marks = {}
    get = yaml.CSafeLoader(text).get_event

    def walk(event: yaml.Event, where: Where) -> None:
        values[where] = _place(event)
        if isinstance(event, yaml.SequenceStartEvent):
            index = 0
            while not isinstance(item := get(), yaml.SequenceEndEvent):
                walk(item, (*where, index))
                index += 1
        elif isinstance(event, yaml.MappingStartEvent):
            while not isinstance(key := get(), yaml.MappingEndEvent):
                inner = (*where, key.value)
                keys[inner] = _place(key)
                walk(get(), inner)

    get(), get()  # the stream and the document begin
    walk(get(), ())
    return values, keys


class _Refused(Exception):
    """The rest of the text is not read; the problem is noted."""


class Reader:
    """One file: its text, its values, and what is wrong."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: set[Problem] = set()
        self.text = ""
        self.count = 0
        self.complete = False

    def note(self, mark: tuple[int, int], message: str) -> None:
        self.problems.add(Problem(self.path, *mark, message))

    def refuse(self, mark: tuple[int, int], message: str) -> _Refused:
        self.note(mark, message)
        return _Refused()

    # YAML

    def read(self, data: bytes) -> Any:
        """The text's value; `complete` says whether it was read to the end."""
        try:
            if len(data) > MAX_BYTES:
                raise self.refuse((1, 1), f"larger than {MAX_BYTES:,} bytes")
            self.text = data.decode()
            self.events = yaml.CSafeLoader(self.text)
            self.next = self.events.get_event
            self.next()  # the stream begins
            if isinstance(self.next(), yaml.StreamEndEvent):
                raise self.refuse((1, 1), "empty; say title, authors, year, …")
            value = self.value(self.next(), 0)
            self.next()  # the document ends
            after = self.next()
            if not isinstance(after, yaml.StreamEndEvent):
                raise self.refuse(_place(after), "one document only; leave '---' out")
        except _Refused:
            return None
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self.note((line, 1), "not UTF-8; save the file as UTF-8")
            return None
        except yaml.reader.ReaderError as error:
            line = data.count(b"\n", 0, error.position) + 1
            self.note((line, 1), f"a character that is not allowed: {error.reason}")
            return None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self.note((mark.line + 1, mark.column + 1), f"no YAML: {error.problem}")
            return None
        self.complete = True
        return value

    def value(self, event: yaml.Event, depth: int) -> Any:
        """The value that begins with `event`."""
        self.count += 1
        if depth > MAX_DEPTH:
            raise self.refuse(_place(event), f"nested more than {MAX_DEPTH} deep")
        if self.count > MAX_VALUES:
            raise self.refuse(_place(event), f"more than {MAX_VALUES:,} values")
        if isinstance(event, _Scalar):
            return self.scalar(event)
        if event.anchor is not None:  # an alias has its name there, too
            self.note(_place(event), ALIAS)
        if isinstance(event, yaml.AliasEvent):
            return None
        if event.tag is not None:
            self.note(_place(event), TAG)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(item := self.next(), yaml.SequenceEndEvent):
                items.append(self.value(item, depth + 1))
            return items
        found: dict[str, Any] = {}
        keys: dict[str, yaml.Event] = {}
        while not isinstance(key := self.next(), _MappingEnd):
            if not isinstance(key, _Scalar):
                raise self.refuse(_place(key), "a key is a text; write it out")
            name = self.scalar(key)
            if not isinstance(name, str):
                self.note(_place(key), "a key is a text; put it in quotes")
                name = key.value
            if name in found:
                line, _ = _place(keys[name])
                message = f"{name[:40]!r} is said twice, first in line {line}"
                self.note(_place(key), message)
            keys[name] = key
            found[name] = self.value(self.next(), depth + 1)
        return found

    def scalar(self, event: yaml.ScalarEvent) -> Any:
        text, plain = event.value, event.implicit[0]
        if event.anchor is not None:
            self.note(_place(event), ALIAS)
        if event.tag is not None:
            self.note(_place(event), TAG)
        if not text.isprintable() and _CONTROL.search(text):
            self.note(_place(event), "a control character; leave it out")
        if not plain or text[:1] not in _GUESSED:
            return text
        tag = self.events.resolve(yaml.ScalarNode, text, event.implicit)
        match kind := tag.removeprefix(_RESOLVED):
            case "str":
                return text
            case "null":
                self.note(_place(event), "no value; give one or leave the key out")
                return text
            case "bool" if text.lower() in ("true", "false"):
                return text.lower() == "true"
            case "int" if _INTEGER.fullmatch(text):
                return int(text)
            case "float" if _FLOAT.fullmatch(text) and not float(text).is_integer():
                return float(text)
        message = f"YAML may read {text[:40]!r} as {kind}; quote it or write it out"
        self.note(_place(event), message)
        return text

    # Schema

    def validate(self, content: Any) -> None:
        """What YAML itself had to say about a place comes before the schema."""
        noted = set(self.problems)
        known = {(problem.line, problem.column) for problem in noted}
        for error in validator().iter_errors(content):
            if len(self.problems) > MAX_PROBLEMS:
                break
            self.explain(error)
        self.problems = {
            problem
            for problem in self.problems
            if (problem.line, problem.column) not in known or problem in noted
        }

    def explain(self, error: Any) -> None:
        """A problem for a violation of the schema, in the words of a spec."""
        where, kind, value = self.where(error), error.kind, error.instance

        details = kind.as_dict()
        match kind.name:
            case "additionalProperties":
                known = schema()["$defs"][error.schema_path[1]]["properties"]
                for key in details["unexpected"]:
                    message = f"unknown key {key[:40]!r}; {nearest(key, known)}"
                    self.note(self.mark((*where, key), key=True), message)
                return
            case "required":
                message = f"{_name(where)} needs {details['property']!r}"
                self.note(self.mark(where, key=True), message)
                return
            case "propertyNames":
                pattern = re.compile(details["error"].kind.as_dict()["pattern"])
                for key in value:
                    if not pattern.search(key):
                        message = f"name {key[:40]!r} does not match {pattern.pattern}"
                        self.note(self.mark((*where, key), key=True), message)
                return
            case "anyOf":
                inner = [e for branch in details["context"] for e in branch]
                deeper = [e for e in inner if len(self.where(e)) > len(where)]
                if deeper:
                    self.explain(deeper[0])
                    return
                types = [t for e in inner for t in e.kind.as_dict().get("types", ())]
                message = _type_message(value, types)
            case "type":
                message = _type_message(value, details["types"])
            case "enum":
                options = list(map(str, details["options"]))
                message = (
                    f"{_short(value)} is not known; {nearest(str(value), options)}"
                )
            case "pattern":
                message = f"{_short(value)} does not match {details['pattern']}"
            case "minLength":
                message = "empty; say it or leave the key out"
            case _:
                message = error.message[:200]
        self.note(self.mark(where), message)

    def where(self, error: Any) -> Where:
        """Where the violation is; a key such as "0" comes as a number."""
        values, where = self.places[0], ()
        for part in error.instance_path:
            known = (*where, part) in values
            where = (*where, part if known else str(part))
        return where

    def mark(self, where: Where, *, key: bool = False) -> tuple[int, int]:
        """Where a value, or the key that it has, stands."""
        values, keys = self.places
        return (keys if key else values).get(where) or values[where]

    @cached_property
    def places(self) -> tuple[Marks, Marks]:
        return places(self.text)


def _name(where: Where) -> str:
    """What the value at `where` is called: its key, or the list that it is in."""
    if not where:
        return "the spec"
    if isinstance(where[-1], int):
        return f"entry {where[-1] + 1} of {_name(where[:-1])}"
    return f"{where[-1][:40]!r}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


_TYPES = {
    "string": "a text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "keys with values",
}


def _type_message(value: Any, types: Sequence[str]) -> str:
    wanted = " or ".join(dict.fromkeys(_TYPES.get(name, name) for name in types))
    if "string" in types and isinstance(value, int | float):
        return f"{_short(value)} is a number to YAML; quote it: the digits are data"
    return f"{_short(value)} is not {wanted}"
