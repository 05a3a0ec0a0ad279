"""SavedModels are read into the graph that the same network has in Keras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from reference_checks import models, sources
from reference_checks.alignment import align
from reference_checks.equivalence import Subject, distance
from reference_checks.from_keras import from_keras
from reference_checks.from_saved_model import Frozen, freeze, from_saved_model
from reference_checks.from_saved_model.constants import decimal
from reference_checks.graph import GraphError
from reference_checks.load import load
from reference_checks.rewrites import canonical
from reference_checks.transfer import TransferError, transfer

tf = pytest.importorskip("tensorflow", reason="SavedModels are TensorFlow's")
tf_keras = pytest.importorskip("tf_keras")

PAPERS = Path(__file__).parents[2] / "papers"
RNG = np.random.default_rng


def compared(frozen: Frozen, model: keras.Model) -> float:
    """The relative error of `model`'s outputs with the weights of `frozen`.

    Where the outputs are probabilities, of their logarithms, which hide less.
    """
    ours = Subject(model, from_keras(model), "float32")
    a, b = canonical(frozen.graph), canonical(ours.graph)
    alignment = align(a, b)
    assert alignment.isomorphic
    ours.assign(transfer(a, b, alignment, frozen.values).values)
    x = RNG(1).standard_normal((3, *a.ops[a.inputs[0]].shape)).astype(np.float32)
    (theirs,), (mine,) = frozen.run(x), ours.run(x)
    (end,) = a.outputs
    if a.ops[end].attrs.get("function") == "softmax":
        theirs, mine = np.log(theirs), np.log(mine)
    assert 0 < np.std(theirs)
    return distance(mine, theirs.astype(np.float64))


def randomised(model) -> None:
    """Random weights and statistics, so that nothing hides behind zeros and ones."""
    rng = RNG(2)
    for weight in model.weights:
        shape = tuple(weight.shape)
        if any(part in weight.name for part in ("gamma", "variance")):
            value = rng.uniform(0.5, 1.5, shape)
        elif "kernel" in weight.name:
            # A depthwise kernel reduces over height and width alone.
            fan = shape[:2] if "depthwise" in weight.name else shape[:-1]
            value = rng.standard_normal(shape) * np.sqrt(1 / np.prod(fan))
        else:
            value = rng.standard_normal(shape) * 0.1
        weight.assign(value.astype(np.float32))


def exported(path: Path, call: Callable, shape: tuple, **variables: np.ndarray) -> Path:
    """A SavedModel of call(x, variables), as hand-written TensorFlow makes it."""
    module = tf.Module()
    module.w = {
        name: tf.Variable(np.float32(value), name=name)
        for name, value in variables.items()
    }
    spec = tf.TensorSpec((None, *shape), tf.float32)
    module.__call__ = tf.function(lambda x: call(x, module.w), input_signature=[spec])
    tf.saved_model.save(module, str(path), signatures=module.__call__)
    return path


def normal(*shape: int) -> np.ndarray:
    return RNG(sum(shape)).standard_normal(shape)


def positive(*shape: int) -> np.ndarray:
    return RNG(sum(shape)).uniform(0.5, 1.5, shape)


# Official models, from another code base -----------------------------------------------


@pytest.mark.parametrize(
    ("stem", "variant", "name", "options"),
    [
        ("resnet", "resnet50", "ResNet50", {"input_shape": (64, 64, 3)}),
        ("mobilenet_v2", "mobilenet_v2", "MobileNetV2", {"input_shape": (64, 64, 3)}),
        ("vgg", "vgg16", "VGG16", {"input_shape": (32, 32, 3), "classes": 10}),
    ],
)
def test_a_legacy_official_model_is_our_implementation(
    tmp_path, stem, variant, name, options
):
    """Loaded through TF Hub: isomorphic, and equal outputs with its weights."""
    legacy = getattr(tf_keras.applications, name)(weights=None, **options)
    randomised(legacy)
    legacy.export(str(tmp_path / name))
    theirs = models.read(f"tfhub:{tmp_path / name}", allocate=True).source
    paper = load(PAPERS / f"{stem}.yaml")
    official = next(
        entry
        for entry in paper.spec.variants[variant].official
        if entry.model == f"keras:{name}"
    )
    recorded = (paper.spec.deviations[name] for name in official.deviations)
    knobs = {d.knob: d.value for d in recorded if d.knob}
    ours = sources.implementation(paper).build(variant, **options, **knobs)
    assert 1e-5 > compared(theirs, ours)


# Spellings -----------------------------------------------------------------------------


def test_a_keras_export_is_the_keras_model(tmp_path):
    """Dynamic batch, batch norms in constants, biases reshaped, activations spelt out."""
    x = inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, 2, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(6.0)(x)
    x = layers.DepthwiseConv2D(3)(x)
    x = layers.BatchNormalization(scale=False)(x)
    x = layers.Activation("swish")(x)
    x = layers.SeparableConv2D(4, (3, 1))(x)
    x = layers.BatchNormalization(center=False)(x)
    x = layers.Activation("hard_silu")(x)
    x = layers.Conv2D(4, 3, groups=2)(x)
    x = layers.AveragePooling2D(2, padding="same")(x)
    y = layers.MaxPooling2D(3, 1, padding="same")(x)
    x = layers.Concatenate()([layers.Add()([x, y]), layers.Activation("tanh")(y)])
    squeezed = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Multiply()([x, layers.Activation("sigmoid")(squeezed)])
    x = layers.Flatten()(layers.Dropout(0.1)(x))
    x = layers.BatchNormalization(scale=False, center=False)(layers.Dense(5)(x))
    model = keras.Model(inputs, layers.Softmax()(x))
    randomised(model)
    model.export(tmp_path / "model", verbose=False)
    frozen = from_saved_model(tmp_path / "model")
    assert {w.path for w in model.weights} == {v.name for v in frozen.graph.variables}
    by_path = {w.path: w.numpy() for w in model.weights}
    for index, variable in enumerate(frozen.graph.variables):
        np.testing.assert_array_equal(by_path[variable.name], frozen.values[index])
    assert 1e-5 > compared(frozen, keras.models.clone_model(model))


def test_a_grouped_convolution_that_xla_must_compile_is_inlined():
    """Legacy Keras compiles grouped convolutions apart; sizes after them are known."""
    convolution = tf_keras.layers.Conv2D(4, 3, 2, padding="same", groups=2)
    legacy = tf_keras.Sequential(
        [tf_keras.Input((9, 9, 4)), convolution, tf_keras.layers.Flatten()]
    )
    function = tf.function(lambda x: legacy(x))
    frozen = freeze(function.get_concrete_function(tf.TensorSpec((None, 9, 9, 4))))
    ours = keras.Sequential(
        [
            keras.Input((9, 9, 4)),
            layers.Conv2D(4, 3, 2, padding="same", groups=2),
            layers.Flatten(),
        ]
    )
    assert 1e-5 > compared(frozen, ours)


def padded_first(x, w):
    x = tf.pad(x, [[0, 0], [1, 2], [2, 1], [0, 0]])
    return tf.nn.bias_add(tf.nn.conv2d(x, w["kernel"], 2, "VALID"), w["bias"])


def padded_explicitly(x, w):
    edges = [[0, 0], [1, 2], [2, 1], [0, 0]]
    return tf.nn.conv2d(x, w["kernel"], 2, edges) + w["bias"]


@pytest.mark.parametrize("call", [padded_first, padded_explicitly])
def test_padding_before_a_valid_convolution_is_its_padding(tmp_path, call):
    variables = {"kernel": normal(3, 3, 2, 5), "bias": normal(5)}
    frozen = from_saved_model(exported(tmp_path, call, (8, 9, 2), **variables))
    ours = keras.Sequential(
        [
            keras.Input((8, 9, 2)),
            layers.ZeroPadding2D(((1, 2), (2, 1))),
            layers.Conv2D(5, 3, 2),
        ]
    )
    assert 1e-6 > compared(frozen, ours)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("gamma", [True, False])
@pytest.mark.parametrize("beta", [True, False])
def test_a_norm_written_with_constants_is_a_batch_norm(tmp_path, channels, gamma, beta):
    """x * c + (beta - mean * c) with c = gamma / sqrt(variance + epsilon)."""

    def call(x, w):
        moments = w["mean"], w["variance"]
        return tf.nn.batch_normalization(
            x, *moments, w.get("beta"), w.get("gamma"), 1.001e-5
        )

    variables = {"mean": normal(channels), "variance": positive(channels)}
    if gamma:
        variables["gamma"] = positive(channels)
    if beta:
        variables["beta"] = normal(channels)
    frozen = from_saved_model(exported(tmp_path, call, (3, 3, channels), **variables))
    assert ["input", "batch_norm"] == [op.kind for op in frozen.graph.ops]
    assert 1.001e-5 == frozen.graph.ops[1].attrs["epsilon"]
    norm = layers.BatchNormalization(epsilon=1.001e-5, scale=gamma, center=beta)
    ours = keras.Sequential([keras.Input((3, 3, channels)), norm])
    assert 1e-6 > compared(frozen, ours)


def without_root(x, w):
    factor = w["gamma"] * (w["variance"] + 1e-3)
    return x * factor + (w["beta"] - w["mean"] * factor)


def with_two_factors(x, w):
    factor = w["gamma"] * tf.math.rsqrt(w["variance"] + 1e-3)
    return x * factor + (w["beta"] - w["mean"] * tf.math.rsqrt(w["variance"] + 1e-3))


@pytest.mark.parametrize("call", [without_root, with_two_factors])
def test_what_is_nearly_a_norm_is_none(tmp_path, call):
    """It stays a scale and a shift by weights computed from four variables."""
    names = ("gamma", "beta", "mean")
    variables = {name: normal(4) + 2 for name in names} | {"variance": positive(4)}
    frozen = from_saved_model(exported(tmp_path, call, (2, 2, 4), **variables))
    assert ["input", "scale", "shift"] == [op.kind for op in frozen.graph.ops]
    (scale,), (shift,) = (op.weights for op in frozen.graph.ops[1:])
    x = normal(1, 2, 2, 4).astype(np.float32)
    value = x * scale.read(frozen.values) + shift.read(frozen.values)
    assert 1e-6 > distance(value, frozen.run(x)[0])
    with pytest.raises(GraphError, match="its by is computed from"):
        scale.write(np.ones(4))


def test_a_norm_folded_into_its_convolution_is_a_convolution(tmp_path):
    """A kernel times a factor is a kernel that can be read and not written."""

    def call(x, w):
        factor = w["gamma"] * tf.math.rsqrt(w["variance"] + 1e-3)
        x = tf.nn.conv2d(x, w["kernel"] * factor, 1, "SAME")
        return tf.nn.bias_add(x, w["beta"] - w["mean"] * factor)

    names = ("gamma", "beta", "mean")
    variables = {name: normal(4) + 2 for name in names} | {"variance": positive(4)}
    variables["kernel"] = normal(3, 3, 2, 4)
    frozen = from_saved_model(exported(tmp_path, call, (6, 6, 2), **variables))
    assert ["input", "conv"] == [op.kind for op in frozen.graph.ops]
    ours = keras.Sequential(
        [keras.Input((6, 6, 2)), layers.Conv2D(4, 3, padding="same")]
    )
    assert 1e-6 > compared(frozen, ours)
    a, b = canonical(frozen.graph), canonical(from_keras(ours))
    values = {i: w.numpy() for i, w in enumerate(ours.weights)}
    with pytest.raises(TransferError, match="its kernel is computed from kernel, "):
        transfer(b, a, align(b, a), values)


def mean_over(axes: list[int]) -> Callable:
    def call(x, w):
        return tf.matmul(tf.reduce_mean(x, axes), w["kernel"])

    return call


def test_a_mean_over_height_and_width_is_global_pooling(tmp_path):
    call, kernel = mean_over([1, 2]), normal(3, 5)
    frozen = from_saved_model(exported(tmp_path, call, (4, 6, 3), kernel=kernel))
    ours = keras.Sequential(
        [
            keras.Input((4, 6, 3)),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5, use_bias=False),
        ]
    )
    assert 1e-6 > compared(frozen, ours)


def test_a_function_without_variables_has_its_constants_as_weights():
    """A model that was frozen before: every array is learned, no number is."""
    kernel, bias, scale = normal(3, 3, 1, 2), normal(2), normal(2)

    @tf.function(input_signature=[tf.TensorSpec((None, 5, 5, 1))])
    def call(x):
        x = tf.nn.conv2d(x * (1 / 255), np.float32(kernel), 1, "VALID")
        return tf.nn.relu(x + np.float32(bias)) * np.float32(scale)

    frozen = freeze(call.get_concrete_function())
    kinds = ["input", "scale", "conv", "activation", "scale"]
    assert kinds == [op.kind for op in frozen.graph.ops]
    assert {"by": 1 / 255} == frozen.graph.ops[1].attrs
    expected = sorted(map(np.shape, (kernel, bias, scale)))
    assert expected == sorted(v.shape for v in frozen.graph.variables)


def test_a_variable_read_twice_is_one_weight(tmp_path):
    def call(x, w):
        return tf.matmul(tf.matmul(x, w["kernel"]), w["kernel"])

    frozen = from_saved_model(exported(tmp_path, call, (3,), kernel=normal(3, 3)))
    assert ["kernel"] == [v.name for v in frozen.graph.variables]
    assert [(), (0,), (0,)] == [
        tuple(i for w in op.weights for i in w.variables) for op in frozen.graph.ops
    ]


@pytest.mark.parametrize("value", [1.001e-5, 1e-3, 0.2, 6.0, 1 / 255, 1 / 6, 0.0])
def test_a_float32_constant_is_read_as_the_number_that_was_written(value):
    assert value == decimal(float(np.float32(value)))


# Signatures and sizes ------------------------------------------------------------------


def test_a_model_of_any_size_takes_the_size_that_is_given(tmp_path):
    def call(x, w):
        return tf.nn.conv2d(x, w["kernel"], 2, "SAME")

    path = exported(tmp_path, call, (None, None, 2), kernel=normal(3, 3, 2, 4))
    with pytest.raises(GraphError, match=r"size is not known: give input_shape"):
        from_saved_model(path)
    frozen = from_saved_model(path, input_shape=(8, 7, 2))
    assert (4, 4, 4) == frozen.graph.ops[1].shape
    assert ((0, 1), (1, 1)) == frozen.graph.ops[1].attrs["padding"]
    with pytest.raises(GraphError, match="input shape"):
        from_saved_model(path, input_shape=(8, 8, 3))


class Endpoints(tf.Module):
    """Calls for training and for inference, as TF Hub asks for, and two signatures."""

    def __init__(self):
        self.kernel = tf.Variable(np.float32(normal(3, 2)), name="kernel")

    @tf.function
    def __call__(self, x, training=False):
        y = tf.matmul(x, self.kernel)
        return tf.nn.tanh(y) if training else tf.nn.relu(y)

    @tf.function(input_signature=[tf.TensorSpec((None, 3))])
    def logits(self, x):
        return {"logits": tf.matmul(x, self.kernel)}


def test_a_signature_is_named_or_the_call_for_inference_is_taken(tmp_path):
    module = Endpoints()
    spec = tf.TensorSpec((None, 3))
    module.__call__.get_concrete_function(spec, training=True)
    module.__call__.get_concrete_function(spec, training=False)
    signatures = {"logits": module.logits, "again": module.logits}
    tf.saved_model.save(module, str(tmp_path), signatures=signatures)
    called = from_saved_model(tmp_path)
    assert "relu" == called.graph.ops[-1].attrs["function"]
    resized = from_saved_model(tmp_path, input_shape=(3,))
    assert called.graph.ops == resized.graph.ops
    assert "dense" == from_saved_model(tmp_path, "logits").graph.ops[-1].kind
    with pytest.raises(GraphError, match="no signature 'logit'; there are: again, log"):
        from_saved_model(tmp_path, "logit")


# What is refused -----------------------------------------------------------------------


def looped(x, w):
    return tf.while_loop(lambda y: tf.reduce_sum(y) < 9.0, lambda y: y + 1.0, [x])[0]


def branched(x, w):
    return tf.cond(tf.reduce_sum(x) > 0.0, lambda: tf.nn.relu(x), lambda: x * w["k"])


def training_norm(x, w):
    scale, offset = tf.ones(3), tf.zeros(3)
    return tf.compat.v1.nn.fused_batch_norm(x, scale, offset)[0]


def batch_statistic(x, w):
    return x * tf.cast(tf.shape(x)[0], tf.float32)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (looped, r"node 'while': a loop \(StatelessWhile\)"),
        (branched, r"node 'cond.*': .*only static graphs are read"),
        (lambda x, w: tf.math.erfc(x, name="odd"), "node 'odd': unknown operation 'Er"),
        (lambda x, w: tf.transpose(x, [1, 0, 2, 3]), "moves the batch axis"),
        (lambda x, w: tf.reshape(x, [-1, 3]), "Reshape mixes the batch"),
        (lambda x, w: x[1:], "slices the batch"),
        (lambda x, w: x[:, ::2], "only plain slices"),
        (lambda x, w: tf.reduce_mean(x, [0, 1]), "reduces over the batch"),
        (lambda x, w: tf.concat([x, x], 0), "concatenates batches"),
        (lambda x, w: tf.pad(x, [[1, 0]] + [[0, 0]] * 3), "pads the batch"),
        (training_norm, "normalises by the batch"),
        (batch_statistic, "rounds its input|needs a size|is not read"),
        (lambda x, w: tf.nn.max_pool(x, 2, 2, "VALID", "NCHW"), "only channels_last"),
        (lambda x, w: x + tf.zeros((2, 4, 4, 3)), "differs within the batch|broadcast"),
        (lambda x, w: tf.zeros((1, 2)) + 1.0, "does not depend on the input"),
    ],
)  # fmt: skip
def test_what_is_no_static_graph_of_known_operations_is_refused(call, reason):
    """One line that names the node."""
    weights = {"k": tf.Variable(2.0)}
    function = tf.function(lambda x: call(x, weights))
    with pytest.raises(GraphError, match=reason) as caught:
        freeze(function.get_concrete_function(tf.TensorSpec((None, 4, 4, 3))))
    assert "\n" not in str(caught.value)


def test_a_node_that_only_has_to_run_first_is_read_too(tmp_path):
    """Otherwise running the graph could write files."""
    target = tmp_path / "written"

    @tf.function(input_signature=[tf.TensorSpec((None, 3))])
    def call(x):
        with tf.control_dependencies([tf.io.write_file(str(target), "x")]):
            return tf.nn.relu(x)

    with pytest.raises(GraphError, match="unknown operation 'WriteFile'"):
        freeze(call.get_concrete_function())
    assert not target.exists()


# Planted errors ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"strides": 1},
        {"padding": "valid"},
        {"dilation_rate": 2, "strides": 1},
        {"filters": 6},
        {"groups": 2},
        {"activation": "relu6"},
    ],
)
def test_a_changed_network_is_not_the_same(tmp_path, changed):
    given = {
        "filters": 4, "kernel_size": 3, "strides": 2, "padding": "same",
        "activation": "relu",
    }  # fmt: skip

    def network(**options):
        return keras.Sequential([keras.Input((9, 9, 4)), layers.Conv2D(**options)])

    network(**given).export(tmp_path, verbose=False)
    theirs = canonical(from_saved_model(tmp_path).graph)
    assert align(theirs, canonical(from_keras(network(**given)))).isomorphic
    other = canonical(from_keras(network(**{**given, **changed})))
    assert not align(theirs, other).isomorphic


def test_swapped_values_are_seen(tmp_path):
    """Gamma for variance gives outputs that differ: the comparison compares."""
    norm = layers.BatchNormalization()
    model = keras.Sequential([keras.Input((4, 4, 3)), norm])
    randomised(model)
    model.export(tmp_path, verbose=False)
    frozen = from_saved_model(tmp_path)
    names = [v.name.rpartition("/")[2] for v in frozen.graph.variables]
    gamma, variance = names.index("gamma"), names.index("moving_variance")
    values = {**frozen.values}
    values[gamma], values[variance] = values[variance], values[gamma]
    swapped = Frozen(frozen.graph, values, frozen.function)
    assert 1e-6 > compared(frozen, keras.models.clone_model(model))
    assert 1e-2 < compared(swapped, keras.models.clone_model(model))
