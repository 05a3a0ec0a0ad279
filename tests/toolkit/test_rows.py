"""Rows of a layer table, read back from a graph."""

from __future__ import annotations

from itertools import combinations

import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops
from networks import Network

from reference_checks import rows
from reference_checks.from_keras import from_keras, unallocated
from reference_checks.graph import Graph, Op
from reference_checks.notation import (
    Block,
    Branches,
    Residual,
    Step,
    Wiring,
    difference,
    parse,
    render,
)
from reference_checks.wirings import nearest_cut


def read(function, shape=(8, 8, 4), names=("r",)):
    with unallocated():
        x = keras.Input(shape)
        graph = from_keras(keras.Model(x, function(x)))
    return rows.read(graph, graph.row_of(names))


def conv(units, kernel=3, name="r_conv", **more):
    return layers.Conv2D(units, kernel, padding="same", name=name, **more)


def step(units=None, kernel=3, activation="linear", kind="conv", stride=1, groups=None):
    return Step(kind, (kernel, kernel), units, stride, groups, activation)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: conv(5, strides=2)(x), step(5, stride=2)),
        (lambda x: conv(6, groups=2)(x), step(6, groups=2)),
        (lambda x: layers.DepthwiseConv2D(3, padding="same", name="r_d")(x),
         step(kind="depthwise")),
        (lambda x: layers.DepthwiseConv2D(3, padding="same", name="r_d")(x[..., :2]),
         step(kind="depthwise")),
        (lambda x: layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="r_d")(x),
         step(8, kind="depthwise")),
        (lambda x: layers.Dense(7, name="r_fc")(x), Step("dense", units=7, activation="linear")),
        (lambda x: layers.MaxPooling2D(3, 2, name="r_p")(x), Step("max pool", (3, 3), stride=2)),
        (lambda x: layers.AveragePooling2D(2, name="r_p")(x),
         Step("average pool", (2, 2), stride=2)),
        (lambda x: layers.GlobalAveragePooling2D(name="r_p")(x), Step("average pool")),
        (lambda x: layers.Softmax(name="r_s")(x), Step("softmax")),
    ],
)  # fmt: skip
def test_an_op_is_a_step_of_the_notation(function, expected):
    """Kernel, units, stride and groups as measured."""
    assert (expected,) == read(function)["r"].items


@pytest.mark.parametrize("layer", [layers.Conv2D(5, 3), layers.MaxPooling2D(3)])
def test_strides_of_height_and_width_that_differ_are_no_printed_stride(layer):
    """The planted error: the right one in one direction."""
    layer.name, layer.strides = "r_a", (2, 1)
    items = read(layer)["r"].items
    assert render(items).endswith("stride 2x1")
    kind = "3x3, 5" if isinstance(layer, layers.Conv2D) else "3x3 max pool"
    for stride in (1, 2):
        assert difference(parse(f"{kind}, stride {stride}"), items) is not None


def test_a_row_may_be_the_input_alone():
    """Nothing enters it, and it does nothing."""
    net = Network(4, 4, 2)
    net.conv(net.input, 3)
    found = rows.read(net.graph(), ["start", "r"])
    assert ((), (4, 4, 2), ()) == (
        found["start"].entering, found["start"].leaving, found["start"].items,
    )  # fmt: skip
    assert (4, 4, 2) == found["r"].entering
    whole = rows.read(net.graph(), ["r", "r"])["r"]
    assert ((4, 4, 2), (step(3),)) == (whole.entering, whole.items)


@pytest.mark.parametrize(
    ("layer", "word"),
    [
        (layers.ReLU(name="r_a"), "relu"),
        (layers.ReLU(6, name="r_a"), "relu6"),
        (layers.Activation("silu", name="r_a"), "swish"),
        (layers.Activation("hard_silu", name="r_a"), "hard-swish"),
        (layers.Softmax(name="r_a"), "linear"),
        (layers.MaxPooling2D(2, name="r_a"), "linear"),
    ],
)
def test_a_step_has_the_activation_that_follows_it(layer, word):
    """Through its norm; softmax is a step of its own, and pooling ends the search."""

    def network(x):
        return layer(layers.BatchNormalization(name="r_norm")(conv(5)(x)))

    assert word == read(network)["r"].items[0].activation


@pytest.mark.parametrize(
    "between",
    [
        lambda net, x: net.layer_norm(x),
        lambda net, x: net.weigh(x),
        lambda net, x: net.shift(net.scale(x, 2.0), 1.0),
    ],
)
def test_what_scales_and_shifts_is_before_the_activation(between):
    """However it is written."""
    net = Network(4, 4, 2)
    net.act(between(net, net.conv(net.input, 3)))
    assert (step(3, activation="relu"),) == one_row(net)


def test_an_output_that_forks_has_no_activation_of_its_own():
    """What one of two readers does is not the step's."""

    def network(x):
        x = conv(4)(x)
        return layers.Add(name="r_add")([x, layers.ReLU(name="r_relu")(x)])

    first, _ = read(network)["r"].items
    assert "linear" == first.activation


def residual(project=False, inner=2):
    def network(x):
        y = x
        for i in range(inner):
            y = conv(6 if project else 4, name=f"r_{i}")(y)
        short = conv(6, 1, name="r_short")(x) if project else x
        return layers.Add(name="r_add")([short, y])

    return network


def test_an_addition_is_residual():
    """The identity is an empty shortcut."""
    (item,) = read(residual())["r"].items
    assert Residual((step(4), step(4)), ()) == item


def test_a_projection_is_the_shorter_branch_in_either_order():
    """The longer branch is the main path."""
    (item,) = read(residual(project=True))["r"].items
    assert Residual((step(6), step(6)), (step(6, 1),)) == item


def test_a_pooling_shortcut_is_no_main_path():
    """Option A: sub-sampling and zeros beside a single convolution."""

    def network(x):
        short = layers.MaxPooling2D(1, 2, name="r_short")(x)
        return layers.Add(name="r_add")([short, conv(4, strides=2)(x)])

    (item,) = read(network)["r"].items
    assert (step(4, stride=2),) == item.main
    assert (Step("max pool", (1, 1), stride=2),) == item.shortcut


@pytest.mark.parametrize("order", [1, -1])
def test_the_main_path_is_that_of_more_weighted_steps(order):
    """One convolution beside nothing, or beside a pooling; additions count what they add."""
    net = Network(4, 4, 2)
    pooled = net.pool(net.input, 1, 1)
    single = net.conv(net.input, 2)
    net.plus(*(single, net.input)[::order])
    assert (Residual((step(2),)),) == one_row(net)
    net.plus(*(single, pooled)[::order])
    pool = Step("max pool", (1, 1), stride=1)
    assert (Residual((step(2),), (pool,)),) == one_row(net)
    long = net.conv(net.conv(net.conv(net.input, 2), 2), 2)
    inner, outer = net.plus(net.input, long), net.conv(net.conv(net.input, 2, 1), 2, 1)
    net.plus(*(inner, outer)[::order])
    assert (Residual((Residual((step(2),) * 3),), (step(2, 1),) * 2),) == one_row(net)


def test_residuals_follow_each_other_and_nest():
    """Each addition ends where its paths meet."""

    def network(x):
        a = layers.Add(name="r_1")([x, conv(4, name="r_a")(x)])
        b = layers.Add(name="r_2")([a, conv(4, name="r_b")(a)])
        return layers.Add(name="r_3")([x, b])

    (outer,) = read(network)["r"].items
    assert () == outer.shortcut
    assert [Residual((step(4),)), Residual((step(4),))] == list(outer.main)


def one_row(net, *outputs):
    """The items of a network that is one row but for its input."""
    graph = net.graph(*outputs)
    names = [None if op.kind == "input" else "r" for op in graph.ops]
    return rows.read(graph, names)["r"].items


def test_a_concatenation_with_what_enters_is_residual():
    """A dense block: each layer adds channels to those before it (Huang et al. 2017)."""
    net = Network(4, 4, 2)
    net.concat([net.input, net.conv(net.conv(net.input, 8, 1), 2)])
    assert (Residual((step(8, 1), step(2))),) == one_row(net)


def test_branches_that_part_later_are_branches_within_one():
    """The 1x3 and 3x1 of Inception-v3's last blocks; what comes next is beside them."""
    net = Network(4, 4, 2)
    trunk = net.act(net.conv(net.conv(net.input, 5, 1), 6))
    parts = [net.conv(trunk, 3, (1, 3)), net.conv(trunk, 3, (3, 1))]
    ends = [net.conv(net.input, 4, 1), *parts, net.pool(net.input, 3, 1, padding=1)]
    net.concat(ends)
    inner = Branches(
        ((Step("conv", (1, 3), 3, 1, None, "linear"),),
         (Step("conv", (3, 1), 3, 1, None, "linear"),))
    )  # fmt: skip
    trunk = (step(5, 1), step(6, activation="relu"), inner)
    pooled = (Step("max pool", (3, 3), stride=1),)
    assert (Branches(((step(4, 1),), trunk, pooled)),) == one_row(net)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_three_branches_may_part_later_at_any_place(count):
    """They are within the one from which they part."""
    net = Network(4, 4, 2)
    before = [net.conv(net.input, 4 + k, 1) for k in range(count)]
    trunk = net.conv(net.input, 9)
    parts = [net.conv(trunk, 3, kernel) for kernel in (1, 3, 5)]
    net.concat([*before, *parts, net.conv(net.input, 8)])
    inner = Branches(tuple((step(3, kernel),) for kernel in (1, 3, 5)))
    first = [(step(4 + k, 1),) for k in range(count)]
    assert (Branches((*first, (step(9), inner), (step(8),))),) == one_row(net)


@pytest.mark.parametrize("beside", [0, 1, 2])
def test_branches_that_share_are_a_wiring_wherever_they_are(beside):
    """The first and the last of them, with one between that shares nothing."""
    net = Network(4, 4, 2)
    shared = net.conv(net.input, 4)
    ends = [net.plus(net.conv(shared, 3), net.conv(net.input, 3)) for _ in range(2)]
    ends.insert(beside, net.conv(net.input, 5))
    net.concat(ends)
    (item,) = one_row(net)
    assert isinstance(item, Wiring)
    assert 3 == len(item.concat)


def gated(gate):
    """A map times what is made of it."""
    net = Network(4, 4, 6)
    x = net.conv(net.input, 6, 1)
    net.conv(net.times(*gate(net, x)), 3)
    return one_row(net)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("kind", ["conv", "dense"])
def test_a_map_times_what_two_layers_make_of_its_means_is_squeeze_excite(kind, order):
    """In either order, by dense layers or 1x1 convolutions; the width is the first one's."""

    def gate(net, x):
        y = net.mean(x, keepdims=True)
        for width, end in ((2, "relu"), (6, "sigmoid")):
            y = net.conv(y, width, 1) if kind == "conv" else net.dense(y, width)
            y = net.act(y, end)
        return (x, y)[::order]

    assert Step("squeeze-excite", squeeze=2) == gated(gate)[1]


def test_a_gate_without_means_or_with_one_layer_is_none():
    """Planted: what multiplies is shown as the branch that it is."""

    def unpooled(net, x):
        return x, net.conv(net.conv(x, 2, 1), 6, 1)

    def single(net, x):
        return x, net.conv(net.mean(x, keepdims=True), 6, 1)

    assert Residual((step(2, 1), step(6, 1))) == gated(unpooled)[1]
    assert Residual((Step("average pool"), step(6, 1))) == gated(single)[1]


def test_what_is_made_of_the_means_may_also_be_added():
    """Then it is a branch, and the map is not multiplied by it."""
    net = Network(4, 4, 6)
    y = net.conv(net.conv(net.mean(net.input, keepdims=True), 2, 1), 6, 1)
    net.plus(net.input, y)
    main = (Step("average pool"), step(2, 1), step(6, 1))
    assert (Residual(main),) == one_row(net)


def test_two_paths_may_be_multiplied():
    """A gate that is no squeeze and excitation is beside what it gates."""
    net = Network(4, 4, 6)
    net.times(net.conv(net.input, 6), net.conv(net.conv(net.input, 2), 6))
    assert (Residual((step(2), step(6)), (step(6),)),) == one_row(net)


def test_what_a_row_may_also_hold_are_steps():
    """Response normalisation, radial basis functions; other words of activations."""
    net = Network(4, 4, 6)
    x = net.act(net.conv(net.input, 6, (1, 3)), "silu")
    x = net.add("lrn", x, net.shape(x), size=5, alpha=1e-4, beta=0.75, k=1.0)
    x = net.reshape(net.mean(x), 1, 6)
    x = net.add("shift", x, (10, 6), weights=[net.weight("by", (10, 6))])
    found = one_row(net)
    assert Step("conv", (1, 3), 6, 1, None, "swish") == found[0]
    assert [Step("lrn"), Step("average pool"), Step("rbf", units=10)] == [*found[1:]]


def test_a_concatenation_is_branches_in_their_order():
    """Swapped branches are another row."""

    def network(x, swapped=False):
        branches = [
            conv(2, 1, name="r_a")(x),
            conv(3, name="r_b")(conv(1, 1, name="r_c")(x)),
        ]
        return layers.Concatenate(name="r_cat")(branches[::-1] if swapped else branches)

    (item,) = read(network)["r"].items
    assert Branches(((step(2, 1),), (step(1, 1), step(3)))) == item
    (other,) = read(lambda x: network(x, swapped=True))["r"].items
    assert item != other


def test_branches_of_different_lengths_share_their_trunk():
    """What comes before the fork is not in the branches."""

    def network(x):
        x = conv(4, name="r_trunk")(x)
        long = conv(3, name="r_b")(conv(2, name="r_a")(x))
        return layers.Concatenate(name="r_cat")(
            [layers.MaxPooling2D(3, 1, "same", name="r_p")(x), long]
        )

    trunk, item = read(network)["r"].items
    assert step(4) == trunk
    assert Branches(((Step("max pool", (3, 3), stride=1),), (step(2), step(3)))) == item


def test_rows_end_where_the_next_begins():
    """Sizes entering and leaving, and the ops of each row."""

    def network(x):
        x = conv(5, strides=2, name="a_conv")(x)
        return conv(6, name="b_conv")(layers.ReLU(name="a_relu")(x))

    found = read(network, names=("a", "b"))
    assert ((8, 8, 4), (4, 4, 5)) == (found["a"].entering, found["a"].leaving)
    assert ((4, 4, 5), (4, 4, 6)) == (found["b"].entering, found["b"].leaving)
    assert (step(5, stride=2, activation="relu"),) == found["a"].items
    assert ((1, 2), (3,)) == (found["a"].ops, found["b"].ops)


def test_a_row_is_named_by_the_longest_prefix():
    """conv_10 is not a layer of conv_1."""

    def network(x):
        return conv(3, name="conv_10_a")(conv(2, name="conv_1_a")(x))

    found = read(network, names=("conv_1", "conv_10"))
    assert [2, 3] == [found[name].items[0].units for name in ("conv_1", "conv_10")]


def cell(h, g, name, wrong=None, order=1):
    """a = 3x3 h + 5x5 g, b = 3x3 a + pooled h; g, a and b are concatenated."""
    h = conv(4, 1, name=name + "_h")(h)
    source = h if wrong == "source" else g
    paths = [conv(4, name=name + "_l")(h), conv(4, 5, name=name + "_r")(source)]
    a = layers.Add(name=name + "_a")(paths[::order])
    pooled = layers.MaxPooling2D(3, 1, "same", name=name + "_p")(h)
    b = layers.Add(name=name + "_b")([conv(4, name=name + "_s")(a), pooled][::order])
    parts = [a, b] if wrong == "concat" else [g, a, b]
    return layers.Concatenate(name=name)(parts)


def fitted(g, name):
    return conv(4, 1, name=name + "_g")(layers.ReLU(name=name + "_g_relu")(g))


def searched(count, wrong=None, order=1):
    """Cells that each read what left the two before."""

    def network(x):
        g = conv(4, name="before_g")(x)
        h = conv(3, name="before_h")(conv(5, name="before_1")(g))
        for i in range(count):
            name = f"r_{i}"
            last = wrong if i == count - 1 else None
            old = fitted(g, name)
            g, h = h, cell(h, old, name, last, order)
        return h

    return network


CELL = "(a = h; 3x3, 4 + g; 5x5, 4 | b = h; 3x3 max pool, stride 1 + a; 3x3, 4) {g | a | b}"


@pytest.mark.parametrize("order", [1, -1])
def test_cells_of_two_tensors_are_wirings(order):
    """What left the cell before is h, after its 1x1; equal cells are one block."""
    (block,) = read(searched(3, order=order), names=("r", "before"))["r"].items
    assert isinstance(block, Block)
    assert f"[1x1, 4; {CELL}] x3" == render([block])


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (
            "source",
            "(a = g; 1x1, 4 | b = h; 3x3, 4 + h; 5x5, 4"
            " | c = h; 3x3 max pool, stride 1 + b; 3x3, 4) {a | b | c}",
        ),
        (
            "concat",
            "(a = g; 1x1, 4; 5x5, 4 + h; 3x3, 4"
            " | b = h; 3x3 max pool, stride 1 + a; 3x3, 4) {a | b}",
        ),
    ],
)
def test_an_error_in_one_cell_is_seen_there(wrong, text):
    """A block that reads h for g, and a concatenation without g.

    Where one path alone starts from g, how g is made to fit is of the path.
    """
    items = read(searched(3, wrong), names=("r", "before"))["r"].items
    assert f"[1x1, 4; {CELL}] x2; 1x1, 4; {text}" == render(items)


def test_a_first_cell_reads_one_tensor_twice():
    """Then nothing is g, and what both sides start from has no step."""
    found = read(lambda x: cell(x, x, "r"))["r"].items
    text = (
        "(a = h; 1x1, 4 | b = a; 3x3, 4 + h; 5x5, 4"
        " | c = a; 3x3 max pool, stride 1 + b; 3x3, 4) {h | b | c}"
    )
    assert text == render(found)


def test_cells_may_follow_what_is_in_their_row():
    """A row that starts with a convolution, from which all ways go on."""

    def network(x):
        g = conv(6, name="r_stem")(x)
        h = cell(g, g, "r_0")
        return cell(h, fitted(g, "r_1"), "r_1")

    first, *others = read(network)["r"].items
    assert step(6) == first
    assert f"1x1, 4; {CELL}" == render(others[1:])


def test_a_sum_beside_another_is_no_tensor_from_before():
    """What would be left out unsaid is not left out: then nothing is a wiring."""

    def network(x):
        a = layers.Add(name="r_a")([conv(4, name="r_1")(x), conv(4, name="r_2")(x)])
        b = layers.Add(name="r_b")([conv(4, name="r_3")(x), conv(4, name="r_4")(x)])
        left = layers.MaxPooling2D(3, 1, "same", name="r_5")(layers.ReLU(name="r_r")(a))
        both = layers.Add(name="r_c")([left, conv(4, name="r_6")(b)])
        return layers.Concatenate(name="r_cat")([conv(4, name="r_7")(a), both])

    text = (
        "(a = h; 3x3, 4 + h; 3x3, 4 | b = a; 3x3, 4 | c = h; 3x3, 4 + h; 3x3, 4"
        " | d = a; 3x3 max pool, stride 1 + c; 3x3, 4) {b | d}"
    )
    assert text == render(read(network)["r"].items)


def test_what_the_notation_does_not_list_has_no_name():
    """Two poolings of one padded map are poolings of the map."""

    def network(x):
        padded = layers.ZeroPadding2D(1, name="r_pad")(x)
        left = layers.Add(name="r_1")(
            [layers.MaxPooling2D(3, 1, name="r_p")(padded), conv(4, name="r_a")(x)]
        )
        right = layers.AveragePooling2D(3, 1, name="r_q")(padded)
        return layers.Concatenate(name="r_cat")([left, right])

    text = (
        "(a = h; 3x3 max pool, stride 1 + h; 3x3, 4"
        " | b = h; 3x3 average pool, stride 1) {a | b}"
    )
    assert text == render(read(network)["r"].items)


def ways_past(edges, end, removed):
    """What is reached from the end against the edges, without passing what is removed."""
    seen, waiting = set(), [end]
    while waiting:
        index = waiting.pop()
        if index in seen or index in removed:
            continue
        seen.add(index)
        waiting.extend(edges[index])
    return seen


@st.composite
def dags(draw):
    """For each op the earlier ones that it reads; the first two read nothing."""
    size = draw(st.integers(4, 9))
    readings = [[], []]
    for index in range(2, size):
        inputs = st.lists(st.integers(0, index - 1), min_size=1, max_size=3)
        readings.append(draw(inputs))
    return readings


@settings(deadline=None)
@given(dags(), st.sets(st.integers(0, 8)))
def test_the_nearest_cut_is_the_smallest_and_nearest(edges, uncut):
    """All sets of at most two ops are tried beside it."""
    ops_ = tuple(Op("add" if i else "input", tuple(i), (1,)) for i in edges)
    end = len(edges) - 1
    found = nearest_cut(Graph(ops_, (end,)), end, range(len(edges)), uncut)
    allowed = [i for i in range(end) if i not in uncut]
    cuts = {
        removed: ways_past(edges, end, removed)
        for size in range(3)
        for removed in combinations(allowed, size)
    }
    cuts = {c: side for c, side in cuts.items() if all(edges[i] for i in side)}
    if not cuts:
        assert found is None
        return
    smallest = [c for c in cuts if len(c) == min(map(len, cuts))]
    assert tuple(found) in smallest
    assert all(cuts[tuple(found)] <= cuts[c] for c in smallest)


class Subsampling(layers.Layer):
    """LeNet-5's, with or without its coefficient."""

    def __init__(self, coefficient):
        super().__init__(name="r_s")
        self.coefficient = coefficient

    def build(self, shape):
        if self.coefficient:
            self.scale = self.add_weight(shape=(shape[-1],), name="scale")
        self.offset = self.add_weight(shape=(shape[-1],), name="offset")

    def call(self, x):
        x = ops.average_pool(x, 2, 2)
        return (x * self.scale if self.coefficient else x) + self.offset


@pytest.mark.parametrize(
    ("coefficient", "kind"), [(True, "sub-sampling"), (False, "average pool")]
)
def test_sub_sampling_is_pooling_with_coefficient_and_bias(coefficient, kind):
    """Without either it is average pooling."""
    (first,) = read(Subsampling(coefficient))["r"].items
    assert kind == first.kind


def test_sub_sampling_has_the_activation_that_follows_it():
    """And what it pools, by which stride."""
    squash = layers.Activation("tanh", name="r_tanh")
    (item,) = read(lambda x: squash(Subsampling(True)(x)))["r"].items
    assert Step("sub-sampling", (2, 2), stride=2, activation="tanh") == item


def test_picked_maps_are_a_step():
    """Table I of LeNet-5."""
    first, second = read(lambda x: conv(1)(ops.take(x, (0, 2), axis=-1)))["r"].items
    assert (Step("maps", maps=(0, 2)), step(1)) == (first, second)
