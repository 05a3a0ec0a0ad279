"""Counts on small networks, against sums made by hand."""

from __future__ import annotations

import keras
import pytest
from keras import layers, ops
from networks import Network

from reference_checks import measure
from reference_checks.from_keras import from_keras, unallocated


def read(function, *shapes):
    with unallocated():
        inputs = [keras.Input(shape) for shape in shapes]
        return from_keras(keras.Model(inputs, function(*inputs)))


@pytest.fixture(scope="module")
def graph():
    """8x8x3 → 3x3 conv of 4 with bias, norm, ReLU → 2x2 max pool → 5-d fc, no bias."""

    def network(x):
        x = layers.Conv2D(4, 3, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Flatten()(layers.MaxPooling2D(2)(x))
        return layers.Dense(5, use_bias=False)(x)

    return read(network, (8, 8, 3))


CONV, DENSE, MAP = 8 * 8 * 4 * 3 * 3 * 3, 4 * 4 * 4 * 5, 8 * 8 * 4


@pytest.mark.parametrize(
    ("convention", "expected"),
    [
        ("multiply-adds", CONV + DENSE),
        ("2x", 2 * (CONV + DENSE)),
        ("with bias", CONV + DENSE + MAP),
        ("with norm", CONV + DENSE + MAP),
        # norm, bias, ReLU: one for each element; pooling: four for each of a quarter.
        ("with norm, bias, activation, pooling", CONV + DENSE + 4 * MAP),
    ],
)
def test_operations_are_counted_by_convention(convention, expected, graph):
    """Each convention counts what it says, and no more."""
    counts, factor = measure.CONVENTIONS[convention]
    assert expected == measure.multiply_adds(graph, counts, factor)


def test_every_convention_is_counted_in_this_file():
    """A new convention needs its sum."""
    assert 5 == len(measure.CONVENTIONS)


def test_parameters_are_counted_by_class(graph):
    """Kernels, biases, gamma and beta, statistics."""
    kernels = 3 * 3 * 3 * 4 + 64 * 5
    assert {"kernel": kernels, "bias": 4, "norm": 8, "statistics": 8} == dict(
        measure.params_by_class(graph)
    )
    assert kernels + 4 + 8 == measure.params(graph)
    assert kernels == measure.params(graph, ["kernel"])
    assert kernels + 4 + 8 + 8 == measure.all_params(graph)


@pytest.mark.parametrize(
    ("kernel", "stride", "groups", "expected"),
    [
        (1, 1, 1, 8 * 8 * 4 * 8),
        (3, 2, 1, 4 * 4 * 9 * 4 * 8),
        (3, 1, 4, 8 * 8 * 9 * 1 * 8),
        (5, 1, 2, 8 * 8 * 25 * 2 * 8),
    ],
)
def test_grouped_convolutions_count_the_channels_they_read(
    kernel, stride, groups, expected
):
    """A group reads its own channels only."""
    conv = layers.Conv2D(8, kernel, stride, padding="same", groups=groups)
    assert expected == measure.multiply_adds(read(conv, (8, 8, 4)))


def test_depthwise_convolutions_count_one_channel():
    """And are told from other groups."""
    graph = read(
        layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2), (8, 8, 4)
    )
    assert 8 * 8 * 8 * 9 == measure.multiply_adds(graph)
    assert 1 == measure.depthwise_layers(graph)
    other = read(layers.Conv2D(8, 3, groups=2), (8, 8, 4))
    assert 0 == measure.depthwise_layers(other)


def test_a_convolution_of_one_channel_is_not_depthwise():
    """One group is no grouping."""
    assert 0 == measure.depthwise_layers(read(layers.Conv2D(8, 3), (8, 8, 1)))


def test_layer_normalisation_and_layer_scale_are_counted():
    """A layer norm as any norm is, one for each element; a layer scale by its weights."""

    class LayerScale(layers.Layer):
        def build(self, shape):
            self.gamma = self.add_weight(name="gamma", shape=shape[-1:])

        def call(self, x):
            return x * self.gamma

    graph = read(lambda x: LayerScale()(layers.LayerNormalization()(x)), (8, 8, 3))
    assert 0 == measure.multiply_adds(graph)
    assert 8 * 8 * 3 == measure.multiply_adds(graph, ["norm"])
    assert {"norm": 6, "kernel": 3} == dict(measure.params_by_class(graph))


def test_shared_weights_count_once_and_their_operations_each_time():
    """The planted error is a sum over ops."""
    shared = layers.Dense(4)
    graph = read(lambda x: shared(shared(x)), (4,))
    assert 20 == measure.params(graph)
    assert 32 == measure.multiply_adds(graph)
    assert 2 == measure.depth(graph)


def test_depth_is_that_of_the_longest_path():
    """Convolutions beside each other count once; norms and pooling not at all."""

    def network(x):
        long = layers.Conv2D(4, 1)(layers.ReLU()(layers.Conv2D(4, 1)(x)))
        return layers.Dense(2)(
            layers.GlobalAveragePooling2D()(long + layers.Conv2D(4, 1)(x))
        )

    graph = read(network, (8, 8, 4))
    assert 3 == measure.depth(graph)
    (end,) = [i for i, op in enumerate(graph.ops) if op.kind == "add"]
    assert 2 == measure.depth(graph, end)


def test_a_part_of_a_graph_is_counted_alone(graph):
    """Rows are counted so."""
    dense = [op for op in graph.ops if op.kind == "dense"]
    assert DENSE == measure.multiply_adds(graph, ops=dense)
    assert {"kernel": 320} == dict(measure.params_by_class(graph, dense))
    assert 320 == measure.params(graph, ops=dense)


def test_neurons_are_the_outputs_of_weighted_layers(graph):
    """Pooling and activations add none."""
    assert MAP + 5 == measure.neurons(graph)


def test_connections_are_edges_and_biases(graph):
    """Every tap of a kernel, every element of a pooling window, every bias."""
    assert CONV + MAP + MAP + DENSE == measure.connections(graph)


class Subsampling(layers.Layer):
    """As in LeNet-5: four inputs, one coefficient and one bias for each map."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), name="scale")
        self.offset = self.add_weight(shape=(shape[-1],), name="offset")
        self.fixed = self.add_weight(shape=(shape[-1],), name="fixed", trainable=False)

    def call(self, x):
        return ops.average_pool(x, 2, 2) * self.scale * self.fixed + self.offset


def test_sub_sampling_connects_four_inputs_and_a_bias():
    """LeCun et al. 1998: 5 connections for each unit, 2 parameters for each map."""
    graph = read(Subsampling(), (28, 28, 6))
    assert 5880 == measure.connections(graph)
    assert {"kernel": 6, "bias": 6, "fixed": 6} == dict(measure.params_by_class(graph))
    assert 12 == measure.params(graph)


def test_sums_of_several_count_their_additions():
    """x + y + z is two additions for each element; global pooling reads each element."""
    graph = read(lambda x, y: layers.Add()([x, y, x]), (4, 4, 2), (4, 4, 2))
    assert 64 == measure.multiply_adds(graph, ["add"])
    pooled = read(layers.GlobalAveragePooling2D(), (4, 4, 2))
    assert 32 == measure.multiply_adds(pooled, ["pool"]) == measure.connections(pooled)


def test_response_normalisation_counts_a_window_for_each_element():
    """Five channels around each of the map."""
    net = Network(4, 4, 6)
    net.add("lrn", net.input, (4, 4, 6), size=5, alpha=1e-4, beta=0.75, k=1.0)
    assert {"lrn": 4 * 4 * 6 * 5} == dict(measure.operations(net.graph(), net.ops[-1]))


def test_pooling_is_a_layer_where_a_paper_counts_it():
    """Windows and means over the map; and a row has the depth of its own layers."""
    net = Network(8, 8, 4)
    x = net.pool(net.conv(net.input, 4))
    x = net.dense(net.mean(net.act(net.conv(x, 2))), 3)
    graph = net.graph()
    assert 3 == measure.depth(graph)
    assert 5 == measure.depth(graph, counts=[*measure.LAYERS, "pool"])
    assert 2 == measure.depth(graph, counts=["pool"])
    assert 1 == measure.depth(graph, ops=[graph.ops[1], graph.ops[2]])


def test_two_depthwise_channels_are_enough():
    """A network of several depthwise layers counts each."""
    net = Network(4, 4, 2)
    net.conv(net.conv(net.input, 2, groups=2), 4, groups=2)
    assert 2 == measure.depthwise_layers(net.graph())


def test_units_and_edges_of_a_row_are_those_of_its_ops(graph):
    """The dense layer alone, without bias."""
    dense = [op for op in graph.ops if op.kind == "dense"]
    assert 5 == measure.neurons(graph, dense)
    assert DENSE == measure.connections(graph, dense)
