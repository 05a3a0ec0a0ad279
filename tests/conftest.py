"""Projects in a temporary folder: the real one, to plant errors in, and a tiny one."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import Phase, settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background of a shell; commands under test would ignore Ctrl-C too.
    signal.signal(signal.SIGINT, signal.default_int_handler)

from reference_checks.load import Paper, load
from reference_checks.record import Record, Verdict

pytest_plugins = ["pytester"]

# `tox -e checker` asks whether a test fails: not for the least example of it, nor whether
# it fails with what another mistake has failed with; and thousands of times.
phases = [Phase.explicit, Phase.generate]
settings.register_profile("checker", phases=phases, database=None, max_examples=40)

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory) -> Iterator[None]:
    """Nothing that was kept outside the tests is used, and nothing is left behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


STEMS = (
    "convnext", "lenet5", "mobilenet_v2", "nasnet", "resnet", "squeezenet", "vgg",
)  # fmt: skip


@dataclass(frozen=True)
class Project:
    """A folder with papers/ and implementations/."""

    root: Path

    def plant(self, file: str, old: str, new: str) -> None:
        """Replace `old`, which stands in the file once."""
        path = self.root / file
        text = path.read_text()
        assert 1 == text.count(old), f"{file}: {text.count(old)} times {old!r}"
        path.write_text(text.replace(old, new))

    def papers(self) -> dict[str, Paper]:
        paths = sorted((self.root / "papers").glob("*.yaml"))
        return {path.stem: load(path) for path in paths}

    def records(self, unit: str, *, run: bool = False) -> list[Record]:
        """The records of one unit, such as `resnet/resnet50/keras:ResNet50`."""
        from reference_checks.checks import run_unit
        from reference_checks.networks import Networks
        from reference_checks.units import Options, select

        papers = self.papers()
        (found,) = [u for u in select(papers, ()) if u.name == unit]
        return run_unit(found, Networks(papers), Options(run=run))

    def contradicted(self, unit: str, *, run: bool = False) -> set[tuple[str, str]]:
        """What fails in a unit, as (check, row or else claim)."""
        return {
            (record.check, record.row or record.claim)
            for record in self.records(unit, run=run)
            if record.verdict is Verdict.CONTRADICTED
        }


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A copy of the papers that errors are planted in."""
    for folder, suffix in (("papers", ".yaml"), ("implementations", ".py")):
        (tmp_path / folder).mkdir()
        for stem in STEMS:
            shutil.copy(ROOT / folder / (stem + suffix), tmp_path / folder)
    return Project(tmp_path)


TINY_SPEC = """\
title: Tiny Networks
authors: [A. Author]
year: 2020
venue: none
idea: It is small.
limits: It is small.
conventions:
  multiply_adds: {counts: [conv, dense], source: Table 1}
tables:
  table_1:
    source: Table 1
    rows:
      stem:
        input: 8x8x3
        output: 8x8x4
        columns: {all: "3x3, 4, relu"}
      block: {output: 4x4, columns: {all: "3x3, 6, stride 2, relu"}}
      head: {columns: {all: "average pool; 5-d fc; softmax"}}
variants:
  tiny:
    name: Tiny
    table: table_1
    input: [8, 8, 3]
    classes: 5
    claims:
      - {quantity: depth, printed: "3", source: Table 1}
      - {quantity: params, printed: "379", source: Table 2}
      - {quantity: multiply_adds, printed: "10K", source: Table 2}
      - {quantity: top1_error, printed: "25.0", unit: percent, source: Table 3}
    official:
      - {model: "keras:Tiny", deviations: [conv-bias, norm-epsilon, stride-padding]}
deviations:
  conv-bias:
    what: Every convolution keeps a bias.
    absorbed_by: bias into norm
    attribute: bias
    official: "yes"
    layers: 2
    params: 10
    source: its code
  norm-epsilon:
    what: Epsilon is 1.001e-5.
    absorbed_by: norm constants
    attribute: epsilon
    ours: "1e-5"
    official: "1.001e-5"
    layers: 2
    source: its code
  stride-padding:
    what: The map is padded on the other side.
    knob: pad
    value: [[0, 1], [0, 1]]
    source: its code
"""

TINY = '''\
"""Tiny."""

from keras import Input, Model, layers


def conv(x, filters, stride, pad, name):
    x = layers.ZeroPadding2D(pad, name=name + "_pad")(x)
    x = layers.Conv2D(filters, 3, stride, use_bias=False, name=name)(x)
    x = layers.BatchNormalization(epsilon=1e-5, name=name + "_norm")(x)
    return layers.ReLU(name=name + "_relu")(x)


def build(variant, *, input_shape=(8, 8, 3), classes=5, pad=((1, 0), (1, 0))):
    x = inputs = Input(input_shape)
    x = conv(x, 4, 1, ((1, 1), (1, 1)), "stem")
    x = conv(x, 6, 2, pad, "block")
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    x = layers.Dense(classes, name="head")(x)
    return Model(inputs, layers.Softmax(name="head_softmax")(x), name=variant)
'''


def official_tiny(weights=None, input_shape=(8, 8, 3), classes=5):
    """What a library would ship: other names, biases, another epsilon and padding."""
    from keras import Input, Model, layers

    if weights is not None:
        raise OSError("URL fetch failure on https://example.org: no network")
    x = inputs = Input(input_shape)
    for index, (filters, stride) in enumerate([(4, 1), (6, 2)]):
        x = layers.Conv2D(filters, 3, stride, padding="same", name=f"conv{index}")(x)
        x = layers.BatchNormalization(epsilon=1.001e-5, name=f"bn{index}")(x)
        x = layers.Activation("relu", name=f"act{index}")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(classes, activation="softmax", name="predictions")(x)
    return Model(inputs, x, name="library_tiny")


def write_tiny(root: Path) -> Project:
    """The tiny project in `root`."""
    for folder, name, text in (
        ("papers", "tiny.yaml", TINY_SPEC),
        ("implementations", "tiny.py", TINY),
    ):
        (root / folder).mkdir(exist_ok=True)
        (root / folder / name).write_text(text)
    return Project(root)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable], None]:
    """Sets what the library ships as `keras:Tiny`; first the right model."""
    import keras

    def ships(factory: Callable) -> None:
        monkeypatch.setattr(keras.applications, "Tiny", factory, raising=False)

    ships(official_tiny)
    return ships


@pytest.fixture
def tiny(tmp_path: Path, library: Callable) -> Iterator[Project]:
    """A paper with one network of two convolutions, and a library that ships it."""
    return write_tiny(tmp_path)
