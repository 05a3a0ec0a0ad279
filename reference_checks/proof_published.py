"""The proof with the weights that the library publishes, on photographs, by their classes.

The library fetches them by its own cache.  What both networks see in two photographs,
prepared as the library prepares its input, is named: the five likeliest classes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import keras
import numpy as np

from reference_checks import equivalence, models, precision, proof
from reference_checks.alignment import align
from reference_checks.equivalence import Subject
from reference_checks.equivalence.subject import prefix
from reference_checks.from_keras import from_keras
from reference_checks.localise import Side, differing_most
from reference_checks.record import Record, Verdict
from reference_checks.rewrites import canonical
from reference_checks.transfer import transfer

if TYPE_CHECKING:
    from reference_checks.official import Pair

CHECK = "published weights"
PICTURES = ("astronaut", "coffee")
"""What scikit-image calls the photographs."""
TOP = 5


def run(pair: Pair) -> Iterator[Record]:
    """The outputs with the published weights, where they can be had."""
    claim = "imagenet, float64"
    try:
        theirs = _subject(pair)
    except models.NotAvailable as missing:
        yield pair.record(CHECK, Verdict.NOT_RUN, claim=claim, detail=str(missing))
        return
    ours = equivalence.subject(pair.build_ours)
    a, b = canonical(ours.graph), canonical(theirs.graph)
    moved = transfer(b, a, proof.inverse(align(a, b)), theirs.values)
    ours.assign(moved.values)
    x = pictures(pair, theirs)
    scores = ours.run(theirs.sees(x))[0], theirs.run(x)[0]
    found = proof.compare(pair, CHECK, *scores, claim=claim)
    found = replace(found, detail=f"{found.detail}; {seen(*scores)}")

    def sides() -> tuple[Side, Side]:
        official = Side(pair.official.model, theirs, dict(theirs.values))
        return Side("ours", ours, moved.values), official

    yield from proof.located(pair, [found], sides, x[differing_most([scores])])


def _subject(pair: Pair) -> Subject:
    """The official model with its published weights.

    Raises:
        NotAvailable: they are not in Keras' cache, and there is no network.
    """
    with precision.floatx("float64"):
        try:
            model = pair.build_official(weights="imagenet")
        except models.ModelError as error:
            if "fetch failure" not in str(error):  # what Keras says when offline
                raise
            raise models.NotAvailable(f"offline: {error}") from error
        return Subject(model, from_keras(model), "float64")


def pictures(pair: Pair, theirs: Subject) -> np.ndarray:
    """Two photographs as what the model's own input layers make of its usual input.

    A library has a function for that beside each model; without one they stay in [-1, 1].
    """
    x = equivalence.photographs(tuple(pair.entry.input))
    _, name, _ = models.parse(pair.official.model)
    factory = getattr(keras.applications, name, None)
    prepare = getattr(
        sys.modules.get(factory.__module__) if factory else None,
        "preprocess_input",
        None,
    )
    if prepare is None:
        return x
    scale, shift = prefix(theirs.graph)
    return prepare(127.5 * (x + 1)) * scale + shift


def seen(ours: np.ndarray, theirs: np.ndarray) -> str:
    """The likeliest classes of each picture, of both networks, by name if it is known."""
    try:
        tops = [_named(scores) for scores in (ours, theirs)]
        missing = ""
    except Exception as error:  # what Keras raises depends on what is missing
        reason = " ".join(str(error).split())
        tops = [_numbered(scores) for scores in (ours, theirs)]
        missing = f" (by number, for the names cannot be had: {reason})"
    said = []
    for picture, mine, other in zip(PICTURES, *tops, strict=True):
        said.append(f"{picture}: official {', '.join(other)}, ours {', '.join(mine)}")
    return "; ".join(said) + missing


def _named(scores: np.ndarray) -> list[list[str]]:
    """By the library's own list of classes, through its cache."""
    from keras.applications.imagenet_utils import decode_predictions

    return [
        [f"{name} {share:.1%}" for _, name, share in found]
        for found in decode_predictions(scores, top=TOP)
    ]


def _numbered(scores: np.ndarray) -> list[list[str]]:
    likeliest = np.argsort(scores, axis=-1)[:, : -TOP - 1 : -1]
    return [
        [f"class {i} {picture[i]:.1%}" for i in first]
        for first, picture in zip(likeliest, scores, strict=True)
    ]
