"""An implementation, highlighted, line by line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from markupsafe import Markup

from reference_checks.measured import Network


@dataclass(frozen=True)
class Line:
    """A line of code as safe HTML, and the rows that it builds, first networks first."""

    number: int
    code: Markup
    rows: list[str] = field(default_factory=list)


def highlighted(text: str, networks: Mapping[str, Network]) -> list[Line]:
    """The lines of a Python file; `networks` say which rows they build."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    if not text:
        return []
    # Pygments would strip empty lines, and lines have their numbers.
    lexer = PythonLexer(stripnl=False, ensurenl=True)
    code = highlight(text, lexer, HtmlFormatter(nowrap=True)).split("\n")[:-1]
    built: dict[int, dict[str, None]] = {}
    for network in networks.values():
        for row, costs in network.rows.items():
            for number in costs.lines:
                built.setdefault(number, {})[row] = None
    return [
        Line(number, Markup(line), list(built.get(number, ())))
        for number, line in enumerate(code, start=1)
    ]
