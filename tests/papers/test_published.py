"""Published weights end to end: Keras' cache, transfer, photographs, classes by name.

The weights file is a real one in the library's format, made here and put where the library
would have downloaded it to.
"""

from __future__ import annotations

import hashlib
import json
import urllib.error
from dataclasses import replace

import h5py
import keras
import numpy as np
import pytest
from keras.src.applications import imagenet_utils
from keras.src.backend import config
from keras.src.legacy.saving import legacy_h5_format
from keras.src.utils import file_utils

from reference_checks import equivalence, proof_published
from reference_checks.models import ModelError
from reference_checks.networks import Networks
from reference_checks.official import Pair
from reference_checks.record import Verdict

MODEL = "keras:MobileNetV2,alpha=0.35"
FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224.h5"
SIZE = (224, 224, 3)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The library's file of weights, with random ones that exercise the network."""
    path = tmp_path_factory.mktemp("weights") / FILE
    subject = equivalence.subject(
        lambda: keras.applications.MobileNetV2(SIZE, 0.35, weights=None), "float32"
    )
    subject.assign(equivalence.random_values(subject.graph, 1))
    equivalence.calibrate(subject, equivalence.inputs(SIZE, 1), 1)
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, subject.model)
    return path.read_bytes()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Keras' cache as KERAS_HOME would set it, empty; there is no network."""

    def offline(*arguments):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(config, "_KERAS_DIR", str(tmp_path))
    monkeypatch.setattr(file_utils, "urlretrieve", offline)
    monkeypatch.setattr(imagenet_utils, "CLASS_INDEX", None)
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def names(cache, monkeypatch):
    """A list of classes in the cache; Keras knows the digest of another, and checks it."""
    text = json.dumps({str(i): [f"n{i:08}", f"thing_{i}"] for i in range(1000)})
    (cache / "imagenet_class_index.json").write_text(text)
    fetch = file_utils.get_file

    def fetched(name, origin, **options):
        if name == "imagenet_class_index.json":
            assert len(options["file_hash"]) == 32
            options["file_hash"] = hashlib.md5(text.encode()).hexdigest()
        return fetch(name, origin, **options)

    monkeypatch.setattr(file_utils, "get_file", fetched)


@pytest.fixture
def pair(project):
    paper = project.papers()["mobilenet_v2"]
    variant = paper.spec.variants["mobilenet_v2_0.35"]
    (official,) = [o for o in variant.official if o.model == MODEL]
    networks = Networks({"mobilenet_v2": paper})
    return Pair(networks, paper, "mobilenet_v2_0.35", variant, official)


def classes(said):
    """For each picture the classes of the official model, then ours."""
    found = []
    for part in said.split("; ")[2:]:
        official, ours = part.split(", ours ")
        found.append(
            (official.partition(": official ")[2].split(", "), ours.split(", "))
        )
    return found


def test_published_weights_give_the_same_classes_by_name(pair, cache, names, weights):
    """From the file in the cache into both networks, on both photographs."""
    (cache / FILE).write_bytes(weights)
    (record,) = proof_published.run(pair)
    assert record.verdict.passes
    assert record.measured <= 1e-12
    both = classes(record.detail)
    assert 2 == len(both)
    for official, ours in both:
        assert 5 == len(official)
        assert official == ours
        assert all(text.startswith("thing_") for text in official)
    assert both[0] != both[1]


def test_the_classes_are_those_of_the_weights_in_the_file(pair, cache, names, weights):
    """Not of random ones: the likeliest class is what the model itself says of it."""
    (cache / FILE).write_bytes(weights)
    (record,) = proof_published.run(pair)
    model = keras.applications.MobileNetV2(SIZE, 0.35, weights=None)
    model.load_weights(cache / FILE)
    raw = 127.5 * (equivalence.photographs(SIZE) + 1)
    scores = model(
        keras.applications.mobilenet_v2.preprocess_input(raw), training=False
    )
    likeliest = keras.ops.convert_to_numpy(scores).argmax(axis=-1)
    found = [official[0].split()[0] for official, _ in classes(record.detail)]
    assert [f"thing_{i}" for i in likeliest] == found


def test_a_weight_that_changed_on_the_way_is_contradicted(
    pair, cache, names, weights, monkeypatch
):
    """The planted error: one tensor is another after the transfer."""
    (cache / FILE).write_bytes(weights)
    honest = proof_published.transfer

    def bent(*arguments):
        moved = honest(*arguments)
        index = next(i for i, v in moved.values.items() if v.ndim == 4)
        changed = np.array(moved.values[index])
        changed[..., 0] *= 1.001
        return replace(moved, values={**moved.values, index: changed})

    monkeypatch.setattr(proof_published, "transfer", bent)
    (record,) = proof_published.run(pair)
    assert Verdict.CONTRADICTED is record.verdict


def test_without_names_classes_are_numbered_and_the_reason_is_given(
    pair, cache, weights
):
    """The outputs are compared all the same."""
    (cache / FILE).write_bytes(weights)
    (record,) = proof_published.run(pair)
    assert record.verdict.passes
    assert "astronaut: official class " in record.detail
    assert "the names cannot be had: URL fetch failure" in record.detail


def test_without_weights_and_network_nothing_is_run(pair, cache, names):
    """Offline is no pass."""
    (record,) = proof_published.run(pair)
    assert Verdict.NOT_RUN is record.verdict
    assert record.detail.startswith("offline: ")


def test_a_damaged_weights_file_is_one_line(pair, cache, names, weights):
    """Half of it, as an interrupted download leaves it."""
    (cache / FILE).write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ModelError) as caught:
        list(proof_published.run(pair))
    assert 1 == len(str(caught.value).splitlines())
