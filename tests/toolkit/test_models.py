"""Every source of models gives the same form, or says in one line why not."""

from __future__ import annotations

import json
import os
import pickle
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from reference_checks import hdf5_probe, model_files
from reference_checks.alignment import align
from reference_checks.from_keras import from_keras
from reference_checks.graph import Graph
from reference_checks.models import Model, ModelError, NotAvailable, build, parse, read
from reference_checks.rewrites import canonical

tf = pytest.importorskip("tensorflow", reason="SavedModels and TF Hub are TensorFlow's")
tf_keras = pytest.importorskip("tf_keras")

# TensorFlow's variables, given to NumPy as Keras does when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

CV_BACKBONE = (
    "keras_cv:ResNetBackbone,stackwise_filters=[8,16],stackwise_blocks=[1,1],"
    "stackwise_strides=[1,2],include_rescaling=false"
)
HUB_BACKBONE = (
    "keras_hub:ResNetBackbone,input_conv_filters=[64],input_conv_kernel_sizes=[7],"
    "stackwise_num_filters=[64,16],stackwise_num_blocks=[1,1],"
    "stackwise_num_strides=[1,2],block_type=basic_block"
)


def network(kind=keras, **options):
    """A backbone nested in a model with a head; the same in both Kerases."""
    x = inner = kind.Input((12, 12, 3), name="pixels")
    x = kind.layers.Conv2D(4, 3, 2, padding="same", name="conv", **options)(x)
    x = kind.layers.BatchNormalization(name="norm")(x)
    x = kind.layers.DepthwiseConv2D(3, name="depthwise", **options)(x)
    backbone = kind.Model(inner, kind.layers.ReLU(name="relu")(x), name="backbone")
    x = inputs = kind.Input((12, 12, 3), name="image")
    x = kind.layers.GlobalAveragePooling2D(name="pool")(backbone(x))
    x = kind.layers.Dense(7, name="head")(x)
    return kind.Model(inputs, kind.layers.Softmax(name="scores")(x), name="classifier")


def same(a: Graph, b: Graph) -> bool:
    return align(canonical(a), canonical(b)).isomorphic


def agree(read_model: Model, model) -> bool:
    """Whether both give one output for one input, and it is not trivial."""
    x = np.random.default_rng(0).standard_normal((2, 12, 12, 3)).astype(np.float32)
    expected = np.asarray(model(x, training=False))
    (found,) = read_model.run(x)
    assert 0 < expected.std()
    return np.allclose(expected, found, rtol=1e-2 if expected.dtype == "f2" else 1e-5)


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    return network()


# Names ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("paper:resnet50", ("paper", "resnet50", {})),
        ("keras:MobileNetV2,alpha=0.35", ("keras", "MobileNetV2", {"alpha": 0.35})),
        (
            "keras:X,input_shape=[64,64,3],pooling=avg,include_top=false",
            (
                "keras",
                "X",
                {"input_shape": (64, 64, 3), "pooling": "avg", "include_top": False},
            ),
        ),
        ("file:a, b.keras", ("file", "a, b.keras", {})),
        ("file:dir,signature=logits", ("file", "dir", {"signature": "logits"})),
        ("tfhub:https://x.org/a/1", ("tfhub", "https://x.org/a/1", {})),
        ("python:a.b:c,n=[1,[2]]", ("python", "a.b:c", {"n": [1, [2]]})),
    ],
)
def test_a_name_is_a_source_a_target_and_arguments(name, expected):
    assert expected == parse(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("resnet50", "names no source: write paper:resnet50"),
        ("kears:ResNet50", "did you mean keras"),
        ("keras:ResNet50,classes", "'classes' is not a keyword argument"),
        ("keras:", "names no model"),
        ("file:,signature=x", "names no model"),
    ],
)
def test_a_malformed_name_says_how_to_write_it(name, reason):
    with pytest.raises(ModelError, match=reason):
        parse(name)


# Sources -------------------------------------------------------------------------------


def test_a_paper_is_read_with_its_rows(tiny):
    papers = tiny.papers()
    found = read("paper:tiny", papers)
    assert ("stem", "block", "head") == found.rows
    assert "tiny" == found.graph.name
    with pytest.raises(ModelError, match="did you mean tiny"):
        read("paper:tinny", papers)


def test_a_model_that_is_not_allocated_has_no_values():
    """Random initial values would look like weights."""
    found = read("keras:MobileNetV2,alpha=0.35,input_shape=[32,32,3],classes=3")
    assert (3,) == found.graph.ops[-1].shape
    assert all(weight._value is None for weight in found.keras.weights)
    for use in (lambda: found.values, lambda: found.run(np.zeros((1, 32, 32, 3)))):
        with pytest.raises(ModelError, match="read without its weights"):
            use()


def test_options_fill_in_what_the_name_lacks():
    options = {"input_shape": (32, 32, 3), "classes": 5}
    found = read("keras:MobileNetV2,alpha=0.35,classes=3", **options)
    assert (32, 32, 3) == found.graph.ops[0].shape
    assert (3,) == found.graph.ops[-1].shape


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_keras_file_is_the_model_that_was_saved(tmp_path, name, dtype):
    """Nested, of a custom size, with a head of its own."""
    saved = network(dtype=dtype)
    saved.save(tmp_path / name)
    found = read(f"file:{tmp_path / name}", allocate=True)
    assert same(from_keras(saved), found.graph)
    for expected, value in zip(saved.weights, found.values.values(), strict=True):
        np.testing.assert_array_equal(expected.numpy(), value)
    assert agree(found, saved)
    assert found.keras.count_params() == saved.count_params()
    assert same(read(f"file:{tmp_path / name}").graph, found.graph)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_a_legacy_keras_file_is_read_by_legacy_keras(tmp_path, name, model):
    """Keras 3 refuses legacy depthwise convolutions."""
    legacy = network(tf_keras)
    legacy.save(tmp_path / name)
    found = read(f"file:{tmp_path / name}", allocate=True)
    assert same(from_keras(model), found.graph)
    assert agree(found, legacy)
    assert found.keras is None
    with pytest.raises(ModelError, match="not a Keras model: it is read, not built"):
        build(f"file:{tmp_path / name}")


@pytest.mark.parametrize("source", ["file", "tfhub"])
@pytest.mark.parametrize("allocate", [True, False])
def test_a_saved_model_folder_is_the_model_that_was_exported(
    tmp_path, source, allocate, model
):
    model.export(tmp_path / "folder", verbose=False)
    found = read(f"{source}:{tmp_path / 'folder'}", allocate=allocate)
    assert same(from_keras(model), found.graph)
    assert agree(found, model)
    named = read(f"{source}:{tmp_path / 'folder'},signature=serve")
    assert same(named.graph, found.graph)


def test_a_tf_hub_handle_is_found_in_its_cache(tmp_path, monkeypatch, model):
    """As TF Hub does it, without the network."""
    import hashlib

    handle = "https://tfhub.dev/example/classifier/1"
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    model.export(tmp_path / hashlib.sha1(handle.encode()).hexdigest(), verbose=False)
    assert same(from_keras(model), read(f"tfhub:{handle}").graph)


def test_without_a_network_a_tf_hub_handle_is_not_available(tmp_path, monkeypatch):
    import urllib.error

    def offline(*_):
        raise urllib.error.URLError("no network")

    hub = model_files.package("tensorflow_hub")
    monkeypatch.setattr(hub, "resolve", offline)
    handle = "https://tfhub.dev/example/classifier/1"
    with pytest.raises(
        NotAvailable, match=f"offline: {handle} is not in TF Hub's cache"
    ):
        read(f"tfhub:{handle}")
    with pytest.raises(ModelError, match="no network"):
        read("tfhub:folder/that/is/not/there")


def test_a_legacy_application_with_grouped_convolutions_is_read():
    """RegNet, which Keras 3 has not."""
    found = read("tf_keras:RegNetX002,classes=3", input_shape=(32, 32, 3))
    assert (3,) == found.graph.ops[-1].shape
    groups = [op.attrs["groups"] for op in found.graph.ops if op.kind == "conv"]
    assert 13 == sum(count > 1 for count in groups)
    legacy = tf_keras.applications.RegNetX002(
        weights=None, classes=3, input_shape=(32, 32, 3)
    )
    assert legacy.count_params() == sum(v.size for v in found.graph.variables)
    with pytest.raises(ModelError, match="applications has no 'RegNet'"):
        read("tf_keras:RegNet")


@pytest.mark.parametrize(("name", "filters"), [(CV_BACKBONE, 64), (HUB_BACKBONE, 16)])
def test_a_backbone_is_built_from_its_arguments(name, filters):
    pytest.importorskip(name.partition(":")[0])
    found = read(name, input_shape=(32, 32, 3), classes=10)
    assert (32, 32, 3) == found.graph.ops[0].shape
    assert (4, 4, filters) == found.graph.ops[-1].shape


def test_a_backbone_that_stands_for_a_preset_is_not_available_offline(monkeypatch):
    class Preset:
        def __init__(self):
            raise OSError("no network")

    keras_cv = pytest.importorskip("keras_cv")
    monkeypatch.setattr(keras_cv.models, "Preset", Preset, raising=False)
    with pytest.raises(NotAvailable, match="offline: keras_cv fetches the config"):
        read("keras_cv:Preset")
    with pytest.raises(ModelError, match=r"did you mean .*ResNetBackbone"):
        read("keras_cv:ResNetBakbone")


@pytest.mark.parametrize(
    ("name", "package", "install"),
    [
        ("keras_hub:X", "keras_hub", "keras-hub"),
        ("keras_cv:X", "keras_cv", "'paperspec.official.'"),
        ("tf_keras:X", "tf_keras", "'paperspec.official.'"),
        ("tfhub:X", "tensorflow_hub", "'paperspec.official.'"),
    ],
)
def test_a_missing_package_is_named_with_how_to_install_it(
    monkeypatch, name, package, install
):
    class Missing:
        @staticmethod
        def find_spec(found, *_):
            if found == package:
                raise ModuleNotFoundError(f"No module named {found!r}", name=found)

    monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Missing, *sys.meta_path])
    with pytest.raises(NotAvailable, match=f"{package} is not .*install {install}"):
        read(name)


def test_a_function_of_a_module_is_called_with_the_arguments(tmp_path, monkeypatch):
    text = """
import keras, tf_keras

def build(classes, kind=keras):
    inputs = kind.Input((4,))
    return kind.Model(inputs, kind.layers.Dense(classes)(inputs))

def legacy(classes):
    return build(classes, tf_keras)

def nothing():
    return 3

def wrong():
    raise ValueError("first line\\nsecond line")
"""
    (tmp_path / "own_models.py").write_text(text)
    (tmp_path / "broken_models.py").write_text("import nowhere")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    ours = read("python:own_models:build,classes=3", allocate=True)
    assert (3,) == ours.graph.ops[-1].shape
    assert same(ours.graph, read("python:own_models:legacy,classes=3").graph)
    for name, reason in (
        ("own_models", "names no function"),
        ("own_models:biuld", "has no function 'biuld'"),
        ("own_models:build", "TypeError: build.. missing 1 required"),
        ("own_models:nothing", "int is not a Keras model"),
        ("own_models:wrong", "ValueError: first line$"),
        ("broken_models:build", "No module named 'nowhere'"),
    ):
        with pytest.raises(ModelError, match=reason):
            read(f"python:{name}")
    assert before == sys.path


# Files that are not what they say ------------------------------------------------------


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-400])


def refused(name: str, **options) -> str:
    """The one line with which a model is refused."""
    with pytest.raises(ModelError) as caught:
        read(name, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_damaged_keras_file_is_refused(tmp_path, model, name):
    path = tmp_path / name
    assert f"{path}: no such file" == refused(f"file:{path}")
    model.save(path)
    assert "only a SavedModel takes arguments" in refused(f"file:{path},signature=x")
    cut(path)
    assert str(path) in refused(f"file:{path}")
    path.write_bytes(pickle.dumps([1, 2]))
    assert "not a" in refused(f"file:{path}")
    path.write_bytes(b"")
    assert "not a" in refused(f"file:{path}")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    path = tmp_path / "model.keras"
    os.mkfifo(path)
    assert f"{path}: not a file" == refused(f"file:{path}")


def test_a_file_of_weights_only_is_refused(tmp_path, model):
    model.save_weights(tmp_path / "my.weights.h5")
    assert "holds weights only" in refused(f"file:{tmp_path / 'my.weights.h5'}")


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_file_that_hdf5_never_finishes_is_refused(tmp_path, monkeypatch, name):
    """In a heap of texts, what follows an object of no size is that object again."""
    path, inside = tmp_path / name, tmp_path / "inside.h5"
    with h5py.File(inside, "w") as file:
        file.attrs["model_config"] = "{}"
    data = bytearray(inside.read_bytes())
    free = data.index(b"GCOL") + 16 + 16 + 8  # after the header and one text
    data[free : free + 16] = bytes(16)
    if name == "model.h5":
        path.write_bytes(data)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("model.weights.h5", data)
    monkeypatch.setattr(model_files, "PATIENCE", 2)
    assert f"{path}: damaged: HDF5 does not come to an end" == refused(f"file:{path}")


def test_the_file_in_an_archive_is_read_once(tmp_path, monkeypatch, model):
    """From its start at every step back, one of 800 MB took 35 s and counted as damaged."""

    def backwards(*_):
        pytest.fail("zipfile went back to the start")

    model.save(tmp_path / "my.keras")
    monkeypatch.setattr(zipfile.ZipExtFile, "seek", backwards)
    hdf5_probe.read(str(tmp_path / "my.keras"))


def test_a_file_that_hdf5_dies_of_is_refused(tmp_path, monkeypatch, model):
    path, probe = tmp_path / "model.h5", tmp_path / "probe.py"
    model.save(path)
    probe.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.setattr(model_files, "PROBE", probe)
    assert "damaged: HDF5 ends the process" in refused(f"file:{path}")


def test_a_pickle_is_refused_unread(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    assert "pickles are not read" in refused(f"file:{path}")


def test_an_archive_without_a_network_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{" * 9)
    assert "there is no metadata.json in it" in refused(f"file:{path}")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("metadata.json", "{}")
    assert "JSONDecodeError" in refused(f"file:{path}")
    monkeypatch.setattr(model_files, "MAX_CONFIG", 8)
    assert "config.json is over 8 bytes" in refused(f"file:{path}")


def test_a_damaged_saved_model_is_refused(tmp_path, model):
    assert "there is no saved_model.pb" in refused(f"file:{tmp_path}")
    model.export(tmp_path, verbose=False)
    path = tmp_path / "saved_model.pb"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert str(tmp_path) in refused(f"file:{tmp_path}")
    path.write_bytes(whole)
    (tmp_path / "variables" / "variables.index").unlink()
    assert str(tmp_path) in refused(f"file:{tmp_path}")


# Files that bring code along -----------------------------------------------------------


@pytest.mark.parametrize("kind", [keras, tf_keras])
@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_a_lambda_layer_is_refused_unless_the_file_is_trusted(tmp_path, kind, name):
    inputs = kind.Input((4,))
    outputs = kind.layers.Lambda(lambda x: x * 2.0, name="double")(inputs)
    kind.Model(inputs, outputs).save(tmp_path / name)
    message = refused(f"file:{tmp_path / name}")
    assert "layer 'double' is a Lambda" in message
    assert "allow it with --trust" in message
    found = read(f"file:{tmp_path / name}", trust=True)
    assert {"by": 2.0} == found.graph.ops[-1].attrs


def test_an_object_from_another_module_is_refused(tmp_path, model):
    """A file could name any function of any module."""
    path = tmp_path / "model.keras"
    model.save(path)
    altered(path, module="subprocess")
    assert "'Softmax' comes from the module 'subprocess'" in refused(f"file:{path}")


@pytest.mark.parametrize("key", ["module", "class_name"])
def test_what_a_file_says_is_cut_to_a_line(tmp_path, model, key):
    """Keras shows the whole description of a network that it cannot read."""
    path = tmp_path / "model.keras"
    model.save(path)
    altered(path, **{key: "x" * 10_000})
    assert len(refused(f"file:{path}")) < len(str(path)) + 1000


def altered(path, **changes):
    """Changes what a .keras file says of the network's last layer."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    config["config"]["layers"][-1].update(changes)
    parts["config.json"] = json.dumps(config)
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)


@pytest.mark.parametrize("source", ["file", "tfhub"])
def test_a_saved_model_that_touches_files_is_refused_before_it_is_loaded(
    tmp_path, source
):
    """What it does when it is loaded is up to it."""
    read_from = tmp_path / "secret"
    read_from.write_text("secret")

    class Program(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 3))])
        def __call__(self, x):
            return x + tf.strings.to_number(tf.io.read_file(str(read_from)))

    tf.saved_model.save(Program(), str(tmp_path / "folder"))
    name = f"{source}:{tmp_path / 'folder'}"
    assert "is ReadFile, so that loading it could run code" in refused(name)


# Proof that the comparisons above compare ----------------------------------------------


def test_another_network_is_not_the_same(model):
    x = inputs = keras.Input((12, 12, 3))
    x = layers.ReLU()(layers.DepthwiseConv2D(3)(layers.Conv2D(4, 3, 2)(x)))
    x = layers.Dense(7)(layers.GlobalAveragePooling2D()(x))
    other = keras.Model(inputs, layers.Softmax()(x))
    assert not same(from_keras(model), from_keras(other))
