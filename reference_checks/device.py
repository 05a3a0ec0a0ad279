"""The device that networks are run on: whether it is there, what it is, what it has used."""

from __future__ import annotations

import os
import platform
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reference_checks.errors import InputError

KINDS = ("cpu", "gpu")
GROWING = {
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}
"""Backends take all of a GPU's memory at once, unless their environment says this."""


@dataclass(frozen=True)
class Device:
    """What a run on a device was made with; `driver` is empty for a CPU."""

    kind: str
    name: str
    backend: str
    driver: str = ""
    runtime: str = ""


def find(kind: str) -> Device:
    """The first device of a kind that Keras' backend sees.

    Raises:
        InputError: it sees none.
    """
    import keras

    backend = keras.config.backend()
    if kind == "cpu":
        return Device(kind, _processor(), backend)
    if default() != "gpu":
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
        why = (
            "CUDA_VISIBLE_DEVICES hides all"
            if hidden
            else "there is no NVIDIA driver (nvidia-smi) here"
            if shutil.which("nvidia-smi") is None
            else "this build of it may be one for CPUs"
        )
        raise InputError(
            f"no GPU: Keras' backend {backend} sees none ({why}); nothing was run. Go to a"
            " machine with one, name a backend that sees it with --backend, or run the same"
            " checks with --device cpu"
        )
    name, runtime = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend]()
    return Device(kind, name, backend, _driver(), runtime)


def default() -> str:
    """Where Keras' backend runs what nobody has placed: `gpu` if it sees one."""
    import keras

    match keras.config.backend():
        case "tensorflow":
            import tensorflow as tf

            found = bool(tf.config.list_physical_devices("GPU"))
        case "jax":
            import jax

            found = jax.default_backend() == "gpu"
        case _:
            import torch

            found = torch.cuda.is_available()
    return "gpu" if found else "cpu"


def here() -> str:
    """`jax on cpu`: the backend, and where it runs what nobody has placed."""
    import keras

    return f"{keras.config.backend()} on {default()}"


def placed(kind: str) -> AbstractContextManager[Any]:
    """Tensors and weights that are made inside lie, and are computed with, there."""
    import keras

    return keras.device(f"{kind}:0")


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _tensorflow() -> tuple[str, str]:
    import tensorflow as tf

    details = tf.config.experimental.get_device_details(
        tf.config.list_physical_devices("GPU")[0]
    )
    built = tf.sysconfig.get_build_info()
    runtime = f"CUDA {built.get('cuda_version')}, cuDNN {built.get('cudnn_version')}"
    return details.get("device_name", "GPU"), runtime


def _jax() -> tuple[str, str]:
    import jax

    first = jax.devices("gpu")[0]
    return first.device_kind, " ".join(first.client.platform_version.split())


def _torch() -> tuple[str, str]:
    import torch

    runtime = f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    return torch.cuda.get_device_name(0), runtime


def _driver() -> str:
    """The version of NVIDIA's driver, as nvidia-smi says it."""
    import subprocess  # reading results does not need it

    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return said.stdout.split("\n")[0].strip() or "unknown"
