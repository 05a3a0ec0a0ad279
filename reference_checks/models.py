"""Where models come from: a name such as `keras:ResNet50` to a model, built.

    paper:resnet50                      our implementation of the paper's variant
    keras:MobileNetV2,alpha=0.35        Keras Applications, with keyword arguments
    file:my.keras, file:my.h5           a saved Keras model; nothing in it is executed
    python:package.module:factory       a function that returns a Keras model
    tfhub:HANDLE                        a TF Hub model

Models are built without downloading weights.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from reference_checks.load import Paper


class ModelError(ValueError):
    """A model that cannot be named, imported or built; one line with the way out."""


class NotAvailable(RuntimeError):
    """A model that would be checked if something were there; says what."""


SCHEMES = ("paper", "keras", "file", "python", "tfhub", "keras_cv", "keras_hub", "tf_keras")


@contextmanager
def deep_recursion(limit: int = 100_000) -> Iterator[None]:
    """Keras walks a functional model recursively: 1,202 layers need more than Python's 1,000."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, limit))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def nearest(word: str, known: Any) -> str:
    """A hint with the nearest known names, or with all of them where they are few."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known: {', '.join(known[:12])}" + (", …" if len(known) > 12 else "")


def parse(name: str) -> tuple[str, str, dict[str, Any]]:
    """`keras:MobileNetV2,alpha=0.35` as scheme, target and keyword arguments.

    Raises:
        ModelError: no scheme, or one that is not known.
    """
    scheme, colon, rest = name.partition(":")
    if not colon:
        raise ModelError(f"{name!r} names no source: write paper:{name} or keras:{name}")
    if scheme not in SCHEMES:
        raise ModelError(f"unknown source {scheme!r} in {name!r}: {nearest(scheme, SCHEMES)}")
    if scheme in ("file", "tfhub"):
        return scheme, rest, {}
    target, *pairs = rest.split(",")
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise ModelError(f"{name!r}: {pair!r} is not a keyword argument: write key=value")
        try:
            options[key] = json.loads(value)
        except json.JSONDecodeError:
            options[key] = value
    return scheme, target, options


def implementation(paper: Paper) -> ModuleType:
    """The module `implementations/<stem>.py` beside the folder of the spec.

    Raises:
        ModelError: it is not there or does not import.
    """
    path = paper.path.resolve().parent.parent / "implementations" / f"{paper.stem}.py"
    if not path.is_file():
        raise ModelError(f"{paper.path}: there is no implementation {path.name} in {path.parent}")
    module_spec = importlib.util.spec_from_file_location(
        f"implementations.{paper.stem}", path
    )
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        raise ModelError(f"{path}: does not import: {_reason(error)}") from error
    return module


def _reason(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def build_paper(
    paper: Paper, variant: str, knobs: Mapping[str, Any] | None = None
) -> Any:
    """Our implementation of a variant, at the spec's input size, as a Keras model."""
    entry = paper.spec.variants[variant]
    build = getattr(implementation(paper), "build", None)
    if build is None:
        raise ModelError(f"implementations/{paper.stem}.py has no function build(variant, …)")
    return _call(
        f"implementations/{paper.stem}.py: build({variant!r})",
        build,
        entry.network or variant,
        input_shape=tuple(entry.input),
        classes=entry.classes,
        **(knobs or {}),
    )


def build(name: str, papers: Mapping[str, Paper] | None = None, **options: Any) -> Any:
    """The Keras model of a name; `options` are keyword arguments that the name lacks.

    Raises:
        ModelError: the name, or the model's code, is wrong.
        NotAvailable: a package or the network is missing.
    """
    scheme, target, named = parse(name)
    match scheme:
        case "paper":
            by_variant = {v: p for p in (papers or {}).values() for v in p.spec.variants}
            if target not in by_variant:
                raise ModelError(f"no variant {target!r}: {nearest(target, by_variant)}")
            return build_paper(by_variant[target], target, named)
        case "keras":
            return _application(target, {**options, **named})
        case "file":
            return _file(Path(target))
        case "python":
            return _python(target, {**named})
    raise NotAvailable(f"{scheme}: models cannot be read yet")


def _call(what: str, function: Callable, *args: Any, **kwargs: Any) -> Any:
    try:
        with deep_recursion():
            return function(*args, **kwargs)
    except Exception as error:
        raise ModelError(f"{what} failed: {_reason(error)}") from error


def _application(target: str, options: dict[str, Any]) -> Any:
    import keras

    factory = getattr(keras.applications, target, None)
    if not callable(factory):
        names = [n for n, f in vars(keras.applications).items() if callable(f)]
        raise ModelError(f"Keras Applications has no {target!r}: {nearest(target, names)}")
    options = {"weights": None, **options}
    return _call(f"keras.applications.{target}", factory, **options)


def _file(path: Path) -> Any:
    import keras

    if not path.exists():
        raise ModelError(f"{path}: no such file")
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        raise ModelError(f"{path}: not a .keras or .h5 file")
    return _call(str(path), keras.saving.load_model, path, compile=False, safe_mode=True)


def _python(target: str, options: dict[str, Any]) -> Any:
    module, colon, attribute = target.partition(":")
    if not colon:
        raise ModelError(f"python:{target} names no function: write python:module:function")
    # As `python -m` does: modules of the current folder can be named.
    sys.path.insert(0, "")
    try:
        factory = getattr(importlib.import_module(module), attribute, None)
    except Exception as error:
        raise ModelError(f"module {module!r} does not import: {_reason(error)}") from error
    finally:
        sys.path.pop(0)
    if not callable(factory):
        raise ModelError(f"module {module!r} has no function {attribute!r}")
    return _call(f"{module}:{attribute}", factory, **options)
