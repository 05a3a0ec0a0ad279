"""What all checks of specs share: a problem with its place, names, claims."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from reference_checks.errors import nearest
from reference_checks.load import Paper
from reference_checks.problems import Problem, Where
from reference_checks.spec import Claim, Spec


def wrong(paper: Paper, where: Where, message: str) -> Problem:
    return Problem(paper.path, *paper.mark(*where), message)


def unknown(
    paper: Paper, where: Where, what: str, name: str | None, known: Iterable[str]
) -> Iterator[Problem]:
    """A problem if `name` is given and is none of those that are known."""
    if name is not None and name not in (known := list(known)):
        yield wrong(paper, where, f"unknown {what} {name!r}; {nearest(name, known)}")


def all_claims(spec: Spec) -> Iterator[tuple[Where, Claim]]:
    """All claims, with their places."""
    lists: dict[Where, Sequence[Claim]] = {}
    for name, table in spec.tables.items():
        lists["tables", name, "totals"] = table.totals
        for row, entry in table.rows.items():
            lists["tables", name, "rows", row, "claims"] = entry.claims
    for name, variant in spec.variants.items():
        lists["variants", name, "claims"] = variant.claims
    for name, claims in spec.others.items():
        lists["others", name] = claims
    for where, claims in lists.items():
        for index, claim in enumerate(claims):
            yield (*where, index), claim
