"""Models from files and packages, of which nothing is executed.

A file says what is in it before anything is built from it: a network whose file would
bring code along is refused, unless it is trusted.
"""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from reference_checks.errors import InputError, out_of_memory
from reference_checks.graph import GraphError

if TYPE_CHECKING:
    from reference_checks.from_saved_model import Frozen


class ModelError(InputError, ValueError):
    """A model that cannot be named, imported or built; one line with the way out."""


class NotAvailable(InputError, RuntimeError):
    """A model that would be checked if something were there; says what."""


@contextmanager
def deep_recursion(limit: int = 100_000) -> Iterator[None]:
    """Keras walks a functional model recursively: 1,202 layers need more than Python's 1,000."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, limit))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def short(text: str, most: int = 400) -> str:
    """Of somebody else's text what fits into a line: Keras shows all that it cannot read."""
    return text if len(text) <= most else f"{text[:most]} …"


def call(what: str, function: Callable, *args: Any, **kwargs: Any) -> Any:
    """What foreign code answers; what it raises becomes one line."""
    try:
        with deep_recursion():
            return function(*args, **kwargs)
    except (ModelError, NotAvailable, GraphError):
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
        text = short(str(error).strip().split("\n")[0])
        reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
        raise ModelError(f"{what} failed: {reason}") from error


INSTALL = {
    "keras_cv": "'paperspec[official]'",
    "keras_hub": "keras-hub",
    "skimage": "scikit-image",
    "tensorflow_hub": "'paperspec[official]'",
    "tf_keras": "'paperspec[official]'",
}


def package(name: str) -> ModuleType:
    """A package that only some models need.

    Raises:
        NotAvailable: it is not installed, or does not import.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise NotAvailable(f"{name} does not import: {error}") from error
        raise NotAvailable(
            f"{name} is not installed: pip install {INSTALL.get(name, name)}"
        ) from error
    except ImportError as error:
        raise NotAvailable(f"{name} does not import: {error}") from error


# Keras files ---------------------------------------------------------------------------

TRUST = "allow it with --trust if you know who made it"
MAX_CONFIG = 64 * 2**20
"""Bytes that the description of a network may take; real ones take one or two MiB."""
PROBE = Path(__file__).with_name("hdf5_probe.py")
PATIENCE = 8
"""Seconds of the processor to read what a file says of itself; one of 800 MB takes one."""


def load(path: Path, trust: bool = False, **options: Any) -> Any:
    """A Keras model, a legacy Keras model, or a SavedModel, which `options` are for.

    Raises:
        ModelError: it is no such file, is damaged, or would run code.
        NotAvailable: it is a legacy Keras model, and legacy Keras is not installed.
    """
    if path.is_dir():
        return load_saved_model(path, trust, **options)
    if not path.is_file():
        # A pipe would be waited for without an end.
        raise ModelError(f"{path}: {'not a' if path.exists() else 'no such'} file")
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        raise ModelError(
            f"{path}: not a .keras or .h5 file, nor the folder of a SavedModel; pickles are"
            " not read, since that runs code"
        )
    _tried(path)
    archive = path.suffix == ".keras"
    config, version = call(str(path), _in_archive if archive else _in_hdf5, path)
    if not trust and (code := next(_code(config), None)):
        raise ModelError(f"{path}: {code}, so that loading it would run code: {TRUST}")
    import keras

    options = {"compile": False, "safe_mode": not trust}
    try:
        return call(str(path), keras.saving.load_model, path, **options)
    except ModelError:
        if version.startswith("3"):
            raise
    legacy = package("tf_keras").models
    return call(str(path), legacy.load_model, path, **options)


def _tried(path: Path) -> None:
    """HDF5 never returns from some damaged files and dies of others: elsewhere, first."""
    # Without -P the modules beside it would stand before Python's own.
    command = [sys.executable, "-P", str(PROBE), str(path), str(PATIENCE)]
    ended = subprocess.run(command, capture_output=True)
    if -ended.returncode == getattr(signal, "SIGXCPU", None):
        raise ModelError(f"{path}: damaged: HDF5 does not come to an end")
    if ended.returncode < 0:
        raise ModelError(f"{path}: damaged: HDF5 ends the process that reads it")


def _in_archive(path: Path) -> tuple[Any, str]:
    """The network and the version of Keras that a .keras file states."""
    if not zipfile.is_zipfile(path):
        raise ModelError(f"{path}: not a .keras file, or cut short")
    with zipfile.ZipFile(path) as archive:
        texts = []
        for name in ("config.json", "metadata.json"):
            if name not in archive.namelist():
                raise ModelError(f"{path}: not a .keras file: there is no {name} in it")
            if archive.getinfo(name).file_size > MAX_CONFIG:
                raise ModelError(f"{path}: {name} is over {MAX_CONFIG:,} bytes")
            texts.append(archive.read(name))
    config, metadata = map(json.loads, texts)
    return config, str(metadata.get("keras_version", ""))


def _in_hdf5(path: Path) -> tuple[Any, str]:
    """The network and the version of Keras that an .h5 file states."""
    import h5py

    if not h5py.is_hdf5(path):
        raise ModelError(f"{path}: not an HDF5 file")
    with h5py.File(path) as file:
        if "model_config" not in file.attrs:
            raise ModelError(f"{path}: holds weights only, and no network")
        texts = (file.attrs["model_config"], file.attrs.get("keras_version", ""))
    config, version = (t.decode() if isinstance(t, bytes) else str(t) for t in texts)
    return json.loads(config), version


def _code(config: Any) -> Iterator[str]:
    """What in a network's description is code, or names code from elsewhere."""
    stack = [config]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        if not isinstance(item, dict):
            continue
        stack.extend(item.values())
        kind, module = item.get("class_name"), item.get("module")
        if kind in ("Lambda", "__lambda__"):
            inner = item.get("config")
            name = inner.get("name") if isinstance(inner, dict) else None
            yield f"layer {short(repr(name or kind))} is a Lambda"
        root = module.split(".")[0] if isinstance(module, str) else "keras"
        if kind is not None and root not in ("keras", "tf_keras", "builtins"):
            named, home = short(repr(kind)), short(repr(module))
            yield f"{named} comes from the module {home}"


# SavedModels ---------------------------------------------------------------------------

PROGRAMS = {
    "EagerPyFunc", "MatchingFiles", "PyFunc", "PyFuncStateless", "ReadFile", "WriteFile",
}  # fmt: skip
"""Nodes that run Python or touch files; a SavedModel may run some when it is loaded."""


def load_saved_model(
    folder: Path,
    trust: bool = False,
    signature: str | None = None,
    input_shape: Sequence[int] | None = None,
) -> Frozen:
    """A SavedModel, read; `signature` and `input_shape` as in `from_saved_model`.

    Raises:
        ModelError: it is no SavedModel, is damaged, or would run code.
        GraphError: it is not a static graph of known operations.
    """
    from reference_checks.from_saved_model import from_saved_model

    if not any(
        (folder / name).exists() for name in ("saved_model.pb", "saved_model.pbtxt")
    ):
        raise ModelError(f"{folder}: there is no saved_model.pb in this folder")
    if not trust:
        _refuse_programs(folder)
    import tensorflow as tf

    loaded = call(str(folder), tf.saved_model.load, str(folder))
    return from_saved_model(loaded, signature, input_shape)


def _refuse_programs(folder: Path) -> None:
    from tensorflow.python.saved_model.loader_impl import parse_saved_model

    saved = call(str(folder), parse_saved_model, str(folder))
    for meta in saved.meta_graphs:
        functions = (f.node_def for f in meta.graph_def.library.function)
        for nodes in (meta.graph_def.node, *functions):
            for node in nodes:
                if node.op in PROGRAMS:
                    raise ModelError(
                        f"{folder}: node {node.name!r} is {node.op}, so that loading it"
                        f" could run code: {TRUST}"
                    )


def load_hub(handle: str, trust: bool = False, **options: Any) -> Frozen:
    """A model of TF Hub, from its cache or the network, read; as `load_saved_model`.

    Raises:
        NotAvailable: tensorflow_hub or the network is missing.
        ModelError, GraphError: as `load_saved_model`.
    """
    from reference_checks.from_saved_model import from_saved_model

    hub = package("tensorflow_hub")
    try:
        folder = call(f"tfhub:{handle}", hub.resolve, handle)
    except ModelError as error:
        if "://" not in handle or not isinstance(error.__cause__, OSError):
            raise
        raise NotAvailable(
            f"offline: {handle} is not in TF Hub's cache (TFHUB_CACHE_DIR) and needs the"
            " network"
        ) from error
    if not Path(folder).is_dir():
        raise ModelError(f"{handle}: no such folder")
    if not trust:
        _refuse_programs(Path(folder))
    loaded = call(f"tfhub:{handle}", hub.load, folder)
    return from_saved_model(loaded, **options)
