"""Where models come from: a name such as `keras:ResNet50` to a model, built.

    paper:resnet50                      our implementation of the paper's variant
    keras:MobileNetV2,alpha=0.35        Keras Applications, with keyword arguments
    keras_cv:ResNetBackbone,…           KerasCV and KerasHub, from explicit arguments
    keras_hub:ResNetBackbone,…
    tf_keras:RegNetX002                 legacy Keras Applications
    tfhub:HANDLE                        a TF Hub model, through its cache
    file:my.keras, file:my.h5           a saved Keras model; nothing in it is executed
    file:folder                         a SavedModel
    python:package.module:factory       a function that returns a Keras model

Values of keyword arguments are JSON or text: `input_shape=[224,224,3]`.  Models are built
without downloading weights.  `read` gives a model from any of these in one form; `build`
gives the Keras model of the sources that make one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reference_checks import sources
from reference_checks.errors import nearest
from reference_checks.load import Paper
from reference_checks.model_files import ModelError, NotAvailable, deep_recursion

if TYPE_CHECKING:
    import numpy as np

    from reference_checks.equivalence import Subject
    from reference_checks.from_saved_model import Frozen
    from reference_checks.graph import Graph, Values

__all__ = [
    "Model",
    "ModelError",
    "NotAvailable",
    "build",
    "parse",
    "read",
]

SHORT = 80  # characters of a name that a message repeats
SCHEMES = (
    "paper",
    "keras",
    "file",
    "python",
    "tfhub",
    "keras_cv",
    "keras_hub",
    "tf_keras",
)


@dataclass(frozen=True)
class Model:
    """A model from any source: its graph, its rows' names, its weights and a run of it."""

    source: Subject | Frozen
    rows: tuple[str, ...] = ()
    allocated: bool = True

    @property
    def graph(self) -> Graph:
        return self.source.graph

    @property
    def values(self) -> Values:
        """The weights by their index in `graph.variables`."""
        return self._allocated.values

    def run(self, x: np.ndarray, tensors: Sequence[int] = ()) -> list[np.ndarray]:
        """The outputs, then `graph.tensors` of these numbers, for a batch `x`.

        `x` is what the model's own rescaling of its input gives, if it has one.
        """
        from reference_checks.equivalence import Subject, before_prefix

        source = self._allocated
        if not isinstance(source, Subject):  # which does that itself
            x = before_prefix(source.graph, x)
        return source.run(x, tensors)

    @property
    def keras(self) -> Any | None:
        """The Keras model, which can be given weights and saved; None if it is none."""
        return getattr(self.source, "model", None)

    @property
    def _allocated(self) -> Subject | Frozen:
        if not self.allocated:
            raise ModelError(
                f"{self.graph.name}: read without its weights; read(…, allocate=True)"
            )
        return self.source


def read(
    name: str,
    papers: Mapping[str, Paper] | None = None,
    *,
    allocate: bool = False,
    trust: bool = False,
    **options: Any,
) -> Model:
    """The model of a name.

    Without `allocate` a Keras model takes no memory for its weights and has no values:
    enough to count and to compare structure.  `trust` lets a file bring code along (Lambda
    layers).  `options` are keyword arguments that the name lacks, such as `input_shape`
    and `classes`; those that the source does not take are left out.

    Raises:
        ModelError: the name, or the model's code or file, is wrong.
        NotAvailable: a package or the network is missing.
        GraphError: the model is not a static graph of known operations.
    """
    from reference_checks.equivalence import Subject
    from reference_checks.from_keras import from_keras, unallocated
    from reference_checks.from_keras.sketch import sketched
    from reference_checks.from_saved_model import Frozen

    papers = papers or {}
    with nullcontext() if allocate else unallocated():
        with nullcontext() if allocate else sketched():
            built = sources.build(*parse(name), options, papers, trust)
        if isinstance(built, Frozen):
            return Model(built)
        import keras

        with deep_recursion():
            subject = Subject(built, from_keras(built), keras.config.floatx())
    return Model(subject, _rows(name, papers), allocate)


def build(
    name: str,
    papers: Mapping[str, Paper] | None = None,
    *,
    trust: bool = False,
    **options: Any,
) -> Any:
    """The Keras model of a name; as `read`, but for TensorFlow functions.

    Raises:
        ModelError, NotAvailable: as `read`; or the source makes no Keras model.
    """
    from reference_checks.from_saved_model import Frozen

    built = sources.build(*parse(name), options, papers or {}, trust)
    if isinstance(built, Frozen):
        raise ModelError(f"{name} is not a Keras model: it is read, not built")
    return built


def _rows(name: str, papers: Mapping[str, Paper]) -> tuple[str, ...]:
    """The names of the rows of the table that an implementation mirrors."""
    scheme, target, _ = parse(name)
    if scheme != "paper":
        return ()
    spec = next(p.spec for p in papers.values() if target in p.spec.variants)
    table = spec.variants[target].table
    return tuple(spec.tables[table].rows) if table else ()


# Names -----------------------------------------------------------------------------


def parse(name: str) -> tuple[str, str, dict[str, Any]]:
    """`keras:MobileNetV2,alpha=0.35` as scheme, target and keyword arguments.

    Raises:
        ModelError: no scheme, or one that is not known.
    """
    scheme, colon, rest = name.partition(":")
    short = " ".join(name.split())[:SHORT]  # what a message can say of it
    if not colon:
        raise ModelError(
            f"{short!r} names no source: write paper:{short} or keras:{short}"
        )
    if scheme not in SCHEMES:
        raise ModelError(
            f"unknown source {scheme[:SHORT]!r} in {short!r}: {nearest(scheme, SCHEMES)}"
        )
    # A comma that no name= follows belongs to a value, such as [224,224,3], or to a path.
    target, *pairs = re.split(r",(?=[A-Za-z_]\w*=)", rest)
    if scheme not in ("file", "tfhub") and "," in target:
        wrong = target.partition(",")[2]
        raise ModelError(
            f"{short!r}: {wrong[:SHORT]!r} is not a keyword argument: write key=value"
        )
    if not target:
        raise ModelError(f"{short!r} names no model")
    options = {}
    for key, _, value in (pair.partition("=") for pair in pairs):
        try:
            options[key] = json.loads(value)
        except json.JSONDecodeError:
            options[key] = value
        if key.endswith("_shape") and isinstance(options[key], list):
            options[key] = tuple(options[key])
    return scheme, target, options
