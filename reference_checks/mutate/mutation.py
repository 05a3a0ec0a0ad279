"""What a class of mutations is: a name, a sentence, and an edit of a draft at one op."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reference_checks.mutate.draft import Draft

Edit = Callable[[Draft, int], Sequence[int] | None]
"""Changes the draft at an op; the ops it touched, or None where it does not apply."""


@dataclass(frozen=True)
class Mutation:
    """A class of single changes; `what` says what is changed, for a person."""

    name: str
    what: str
    edit: Edit


def collect(mutations: list[Mutation]) -> Callable[[str], Callable[[Edit], Edit]]:
    """A decorator that names an edit by its function and describes it."""

    def described(what: str) -> Callable[[Edit], Edit]:
        def keep(edit: Edit) -> Edit:
            name = edit.__name__.strip("_").replace("_", " ")
            mutations.append(Mutation(name, what, edit))
            return edit

        return keep

    return described
