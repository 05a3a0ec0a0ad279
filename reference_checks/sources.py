"""What models are built from: our implementations, libraries, files, a user's function."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from reference_checks import model_files
from reference_checks.errors import nearest
from reference_checks.load import Paper
from reference_checks.model_files import ModelError, NotAvailable, call


def build(
    scheme: str,
    target: str,
    named: dict[str, Any],
    options: dict[str, Any],
    papers: Mapping[str, Paper],
    trust: bool,
) -> Any:
    """A Keras model, or a TensorFlow function that was read.

    `named` are the keyword arguments of the name, `options` those that it lacks; `trust`
    lets a file bring code along.

    Raises:
        ModelError, NotAvailable: as `models.read`.
    """
    match scheme:
        case "paper":
            by_variant = {v: p for p in papers.values() for v in p.spec.variants}
            if target not in by_variant:
                raise ModelError(
                    f"no variant {target!r}: {nearest(target, by_variant)}"
                )
            return build_paper(by_variant[target], target, named)
        case "keras":
            return _application("keras", target, {"weights": None, **options, **named})
        case "tf_keras":
            options = {"weights": None, **options, **named}
            return _legacy(_application("tf_keras", target, options))
        case "keras_cv" | "keras_hub":
            return _backbone(scheme, target, options, named)
        case "file":
            if named and not Path(target).is_dir():
                raise ModelError(f"file:{target}: only a SavedModel takes arguments")
            built = model_files.load(
                Path(target), trust, **_for_functions(options, named)
            )
        case "tfhub":
            built = model_files.load_hub(
                target, trust, **_for_functions(options, named)
            )
        case "python":
            built = _python(target, named)
    return _legacy(built)


def implementation(paper: Paper) -> ModuleType:
    """The module `implementations/<stem>.py` beside the folder of the spec.

    Raises:
        ModelError: it is not there or does not import.
    """
    path = paper.implementation
    if not path.is_file():
        raise ModelError(
            f"{paper.path}: there is no implementation {path.name} in {path.parent}"
        )
    module = ModuleType(f"implementations.{paper.stem}")
    module.__file__ = str(path)

    def run() -> None:
        # Not by the import system, whose cached bytecode misses an edit within a second.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)

    call(f"{path}: import", run)
    return module


def build_paper(
    paper: Paper, variant: str, knobs: Mapping[str, Any] | None = None
) -> Any:
    """Our implementation of a variant, as the spec has it but for `knobs`, in Keras."""
    entry = paper.spec.variants[variant]
    function = getattr(implementation(paper), "build", None)
    if function is None:
        raise ModelError(
            f"implementations/{paper.stem}.py has no function build(variant, …)"
        )
    return call(
        f"implementations/{paper.stem}.py: build({variant!r})",
        function,
        entry.network or variant,
        **{
            "input_shape": tuple(entry.input),
            "classes": entry.classes,
            **(knobs or {}),
        },
    )


def _application(package: str, target: str, options: dict[str, Any]) -> Any:
    applications = model_files.package(package).applications
    factory = getattr(applications, target, None)
    if not callable(factory):
        names = [n for n, f in vars(applications).items() if callable(f)]
        raise ModelError(
            f"{package}.applications has no {target!r}: {nearest(target, names)}"
        )
    return call(f"{package}.applications.{target}", factory, **options)


def _backbone(
    package: str, target: str, options: dict[str, Any], named: dict[str, Any]
) -> Any:
    """A backbone from its arguments; one that stands for a preset is fetched."""
    known = model_files.package(package).models
    factory = getattr(known, target, None)
    if not inspect.isclass(factory):
        names = [n for n, f in vars(known).items() if inspect.isclass(f)]
        raise ModelError(
            f"{package}.models has no {target!r}: {nearest(target, names)}"
        )
    takes = inspect.signature(factory).parameters
    options = {**options, "image_shape": options.get("input_shape")}
    given = {k: v for k, v in options.items() if k in takes and v is not None}
    try:
        return call(f"{package}.models.{target}", factory, **{**given, **named})
    except ModelError as error:
        if isinstance(error.__cause__, OSError):
            raise NotAvailable(
                f"offline: {package} fetches the configuration of {target}; name a class"
                " with its arguments instead"
            ) from error
        raise


def _python(target: str, options: dict[str, Any]) -> Any:
    module, colon, attribute = target.partition(":")
    if not colon:
        raise ModelError(
            f"python:{target} names no function: write python:module:function"
        )
    # As `python -m` does: modules of the current folder can be named.
    sys.path.insert(0, "")
    try:
        found = call(f"import of {module!r}", importlib.import_module, module)
    finally:
        sys.path.remove("")
    factory = getattr(found, attribute, None)
    if not callable(factory):
        raise ModelError(f"module {module!r} has no function {attribute!r}")
    return call(f"{module}:{attribute}", factory, **options)


def _for_functions(options: dict[str, Any], named: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `from_saved_model`; others in the name are an error."""
    takes = ("signature", "input_shape")
    for key in named:
        if key not in takes:
            raise ModelError(f"{key!r} is not an argument here: {nearest(key, takes)}")
    given = {**options, **named}
    return {key: given[key] for key in takes if key in given}


def _legacy(model: Any) -> Any:
    """A Keras model or a function as it is; a legacy Keras model is frozen and read."""
    import keras

    from reference_checks.from_saved_model import Frozen, freeze

    if isinstance(model, (keras.Model, Frozen)):
        return model
    legacy = sys.modules.get("tf_keras")
    if legacy is None or not isinstance(model, legacy.Model):
        raise ModelError(f"{type(model).__name__} is not a Keras model")
    import tensorflow as tf

    shape = getattr(getattr(model, "input", None), "shape", None)
    if shape is None:
        raise ModelError(f"legacy model {model.name!r} does not have one input")
    function = tf.function(lambda x: model(x, training=False))
    return freeze(
        function.get_concrete_function(tf.TensorSpec(shape, model.input.dtype))
    )
