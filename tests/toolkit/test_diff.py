"""A diff names what differs, counts it, and is silent about what only follows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from networks import (
    ACTIVATIONS,
    Branches,
    Conv,
    Inverted,
    Network,
    Pool,
    Residual,
    Spelling,
    architectures,
    examples,
)

from reference_checks.absorbed import noted
from reference_checks.diff import AbsorbedDifference, Diff, diff, differences
from reference_checks.graph import Absorbed, Graph
from reference_checks.measure import all_params, multiply_adds

few = examples(60)
randoms = st.randoms(use_true_random=False)


def roots(found: Diff) -> list:
    """The changes that do not follow from others."""
    return [change for change in found.changes if not change.follows]


@few
@given(architectures, randoms)
def test_networks_that_are_spelt_differently_are_the_same(architecture, random):
    found = diff(Spelling().build(architecture), Spelling(random).build(architecture))
    assert found.same
    assert () == found.changes


@few
@given(architectures, architectures, randoms)
def test_all_costs_together_are_the_difference_of_the_totals(first, second, random):
    """In parameters; multiply-adds also change where the same op sees another size."""
    a, b = Spelling().build(first), Spelling(random).build(second)
    found = diff(a, b)
    assert all_params(b) - all_params(a) == found.params
    named = sum(c.params for c in found.changes) + sum(d.params for d in found.absorbed)
    assert found.params == named


def changed(draw, architecture):
    """The architecture with one thing changed, and the layer that the diff must name."""
    blocks = list(architecture.blocks)
    number = draw(st.integers(0, len(blocks) - 1))
    block, layer = blocks[number], f"block{number}"
    match block:
        case Pool():
            other = {"max": "average", "average": "max"}[block.mode]
            blocks[number] = Pool(other)
        case Residual():
            what = draw(st.sampled_from(["shortcut", "inside"]))
            if what == "shortcut":
                blocks[number], layer = replace(block, shortcut=False), layer + "_add"
            else:
                hidden, name = conv_changed(draw, block.hidden, resized=False)
                blocks[number], layer = Residual(hidden), f"{layer}_hidden{name}"
        case Inverted():
            blocks[number] = replace(block, kernel={3: 5, 5: 3}[block.kernel])
            layer += "_depth"
        case Branches():
            arms = block.branches
            blocks[number] = Branches((arms[-1], *arms[1:-1], arms[0]))
            layer += "_concat"
        case Conv():
            # What comes after a residual block must keep its channels and its size.
            free = not any(
                isinstance(b, Residual | Inverted) for b in blocks[number + 1 :]
            )
            blocks[number], name = conv_changed(draw, block, resized=True, widened=free)
            layer += name
    return replace(architecture, blocks=tuple(blocks)), layer


def conv_changed(draw, conv: Conv, resized: bool, widened: bool = True):
    whats = ["kernel", "activation", "dropped activation"]
    whats += ["norm"] * conv.normed
    whats += ["filters"] * (widened and conv.groups == 1)
    whats += ["stride"] * resized + ["padding"] * (resized and conv.kernel > 1)
    match draw(st.sampled_from(whats)):
        case "kernel":
            return replace(
                conv, kernel={1: 3, 3: 5}[conv.kernel], padded=conv.padded
            ), "_conv"
        case "activation":
            others = [name for name in ACTIVATIONS if name != conv.activation]
            other = draw(st.sampled_from(others))
            return replace(conv, activation=other), "_activation"
        case "dropped activation":
            return replace(conv, activation="linear"), "_activation"
        case "norm":
            return replace(conv, normed=False), "_norm"
        case "filters":
            return replace(conv, filters=conv.filters + 2), "_conv"
        case "stride":
            return replace(conv, stride=2), "_conv"
        case "padding":
            return replace(conv, padded=not conv.padded), "_conv"


@examples(150)
@given(st.data(), architectures, randoms)
def test_one_thing_that_is_changed_is_named_and_nothing_else(
    data, architecture, random
):
    """However the changed network is spelt."""
    other, layer = changed(data.draw, architecture)
    a = Spelling().build(architecture)
    # Groups that do not divide other channels, or maps that a kernel covers, are
    # other networks in more than one place.
    assume(
        min(op.shape[0] for op in a.ops if len(op.shape) == 3 and op.kind == "conv") > 5
    )
    found = diff(a, Spelling(random).build(other))
    assert not found.same
    assert [layer] == [change.a for change in roots(found)]


# Summaries ------------------------------------------------------------------------------

ROWS = ("conv1", "conv2_x", "conv3_x", "conv4_x", "fc")


def resnet(
    *, stride_on: int = 1, size: int = 32, classes: int = 10, bias: bool = False,
    shortcut: str | None = None, norms: str | None = None, repeats: int = 2, rate: float = 0,
) -> Graph:  # fmt: skip
    """Bottlenecks in three rows; the first of a row halves the map (`stride_on`: where)."""
    net = Network(size, size, 3)

    def conv(x: int, filters: int, kernel: int, stride: int, name: str) -> int:
        x = net.conv(x, filters, kernel, stride, bias=bias or norms == name, layer=name)
        return x if norms == name else net.norm(x, name + "_norm", 1e-5)

    x = net.act(conv(net.input, 8, 3, 1, "conv1"), layer="conv1_relu")
    for row, width in (("conv2_x", 8), ("conv3_x", 16), ("conv4_x", 32)):
        for block in range(1, repeats + 1):
            name, stride = f"{row}_{block}", 2 if block == 1 else 1
            first, second = (stride, 1) if stride_on == 1 else (1, stride)
            y = net.act(conv(x, width, 1, first, name + "_1"), layer=name + "_1_relu")
            y = net.act(conv(y, width, 3, second, name + "_2"), layer=name + "_2_relu")
            y = conv(y, 2 * width, 1, 1, name + "_3")
            if block == 1:
                x = conv(x, 2 * width, 1, stride, name + "_shortcut")
            y = y if name == shortcut else net.plus(x, y, layer=name + "_add")
            x = net.act(y, layer=name + "_relu")
    x = net.mean(x, layer="fc_pool")
    x = net.drop(x, rate) if rate else x
    x = net.act(net.dense(x, classes, "fc"), "softmax", "fc_softmax")
    return net.graph(x)


def summary(**options) -> str:
    return diff(resnet(), resnet(**options), ROWS).summary()


def test_a_stride_that_moves_is_one_difference():
    more = multiply_adds(resnet(stride_on=2)) - multiply_adds(resnet())
    expected = (
        "same network up to: stride 2 moved from 1x1 conv to 3x3 conv in 3 blocks"
        f" (conv2_x, conv3_x, conv4_x; {more:+,} multiply-adds)"
    )
    assert expected == summary(stride_on=2)


def test_absorbed_differences_come_with_the_rewrite_that_proves_them():
    more = all_params(resnet(bias=True)) - all_params(resnet())
    expected = (
        f"same network up to: bias in 22 layers (absorbed by bias into norm, {more:+,}"
        " parameters)"
    )
    assert expected == summary(bias=True)
    back = diff(resnet(bias=True), resnet()).summary()
    assert expected.replace(": bias", ": no bias").replace("+", "-") == back


def test_dropout_is_a_difference_that_inference_does_not_see():
    expected = "same network up to: dropout none → 0.5 in 1 layer (absorbed by inference identity)"
    assert expected == summary(rate=0.5)


def dropped(*rates: float | None) -> Graph:
    """Convolutions with dropout after each that has a rate."""
    net = Network(8, 8, 3)
    x = net.input
    for number, rate in enumerate(rates):
        x = net.conv(x, 8, 3, layer=f"conv_{number}")
        x = net.drop(x, rate, f"drop_{number}") if rate else x
    return net.graph(x)


def test_rates_that_one_side_alone_has_are_one_difference():
    """From the lowest to the highest; a rate that both have, and differs, is another."""
    graphs = []
    for rates in ((0.1, 0.2, 0.3, 0.4), (None, None, None, 0.5)):
        net = Network(8, 8, 3)
        x = net.input
        for rate in rates:
            x = net.conv(x, 4)
            x = net.drop(x, rate) if rate else x
        graphs.append(net.graph())
    first, second = diff(*graphs).absorbed
    assert ("0.1 to 0.3", None, 3) == (first.a, first.b, first.layers)
    assert (0.4, 0.5, 1) == (second.a, second.b, second.layers)


def test_rates_that_grow_by_one_factor_are_one_difference():
    """Keras' stochastic depth in EfficientNetV2-B1: the depth of another network."""
    expected = (
        "same network up to: dropout 0.1 to 0.3 → 0.2 to 0.6 in 3 layers"
        " (absorbed by inference identity)"
    )
    assert expected == diff(dropped(0.1, 0.2, 0.3), dropped(0.2, 0.4, 0.6)).summary()


def test_a_rate_that_leaves_the_row_is_a_difference_of_its_own():
    """The planted error of the test above."""
    found = diff(dropped(0.1, 0.2, 0.3), dropped(0.2, 0.5, 0.6)).absorbed
    assert [("0.1 to 0.3", "0.2 to 0.6", 2), (0.2, 0.5, 1)] == [
        (difference.a, difference.b, difference.layers) for difference in found
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"classes": 5}, "dense: kernel 64x10 → 64x5 at fc (-325 parameters, -320 multiply-adds)"),
        ({"shortcut": "conv3_x_2"}, "add only in A at conv3_x_2_add"),
        ({"norms": "conv3_x_2_2"}, "batch norm only in A at conv3_x_2_2_norm (-48 parameters)"),
    ],
)  # fmt: skip
def test_a_single_difference_is_named_with_its_cost(options, expected):
    assert "same network up to: " + expected == summary(**options)


def test_another_input_size_is_one_difference():
    """What the same operations then cost follows from it."""
    more = multiply_adds(resnet(size=64)) - multiply_adds(resnet())
    expected = (
        "same network up to: input: shape 32x32x3 → 64x64x3; and what follows from that"
        f" ({more:+,} multiply-adds)"
    )
    assert expected == summary(size=64)


def test_blocks_that_one_side_lacks_are_a_stretch():
    found = diff(resnet(), resnet(repeats=3), ROWS)
    assert (
        "10 operations only in B in 3 blocks (conv2_x, conv3_x, conv4_x"
        in found.summary()
    )
    assert found.params == sum(change.params for change in found.changes)
    assert all(change.a is None for change in found.changes)


def test_networks_with_little_in_common_are_said_to_be_different():
    """One readable line: the share that agrees and the three biggest differences."""
    net = Network(32, 32, 3)
    x = net.input
    for k in range(12):
        x = net.act(net.conv(x, 12 + k), "tanh")
    net.dense(net.mean(x), 10)
    line = diff(resnet(), net.graph(), ROWS).summary()
    assert line.startswith("different networks: ")
    assert "% of operations agree; " in line
    assert len(line) < 600
    assert "\n" not in line


def test_the_same_network_is_said_to_be_the_same():
    assert "the same network" == summary()


def test_a_shared_layer_is_a_difference():
    graphs = []
    for shared in (False, True):
        net = Network(4, 4, 2)
        x = net.conv(net.input, 2, layer="first")
        if shared:
            net.ops.append(net.ops[x].but(inputs=(x,), layer="second"))
        else:
            net.conv(x, 2, layer="second")
        graphs.append(net.graph())
    (change,) = diff(*graphs).changes
    assert "conv: weights shared with first in B" == change.what


def test_an_op_that_reads_another_one_is_a_difference():
    """Planted: the same operations, and one shortcut from elsewhere."""
    graphs = []
    for source in (0, 1):
        net = Network(4, 4, 2)
        x = [net.conv(net.input, 2, layer="one")]
        x.append(net.act(net.conv(x[0], 2, layer="two")))
        y = net.conv(x[1], 2, 1, layer="three")
        net.plus(y, x[source], layer="add")
        graphs.append(net.graph())
    (change,) = diff(*graphs).changes
    assert ("add", "add") == (change.a, change.b)
    assert "reads" in change.what


def widened(
    stem: int,
    multiplier: int = 1,
    kernel: int = 3,
    filters: int = 3,
    kept: bool = False,
) -> Graph:
    """A convolution of so many filters, and what comes after it."""
    net = Network(6, 6, 2)
    x = net.conv(net.input, stem, layer="stem")
    x = net.conv(x, stem * multiplier, kernel, groups=stem, layer="depth")
    y = net.norm(x, "norm")
    x = net.act(net.plus(x, y) if kept else y)
    x = net.layer_norm(net.conv(x, filters, 3, layer="conv"), "layer_norm")
    flat = net.reshape(net.act(y, "tanh"), 36 * stem * multiplier, layer="flat")
    end = net.dense(flat, 5, "dense")
    last = net.norm(end)
    return net.graph(net.plus(last, end) if kept else last, x)


def following(*graphs: Graph) -> tuple[set[str], set[str]]:
    """The layers of A that differ, and those of them whose difference follows."""
    changes = [c for c in diff(*graphs).changes if c.a is not None and c.b is not None]
    return {c.a for c in changes}, {c.a for c in changes if c.follows}


@pytest.mark.parametrize("stems", [(4, 6), (6, 2), (3, 9)])
def test_what_only_sees_other_channels_follows(stems):
    """A depthwise convolution has as many filters for each channel, a dense layer as many units."""
    rest = {"depth", "norm", "conv", "flat", "dense"}
    assert (rest | {"stem"}, rest) == following(*map(widened, stems))


@pytest.mark.parametrize(
    ("change", "own"),
    [
        ({"multiplier": 2}, {"depth"}), ({"kernel": 5}, {"depth"}), ({"filters": 4}, {"conv"}),
        ({"kept": True}, {"depth", "dense"}),
    ],
)  # fmt: skip
def test_what_differs_by_itself_does_not_follow(change, own):
    """Although other channels arrive: another multiplier, kernel, width, or a bias kept."""
    found, follows = following(widened(4), widened(6, **change))
    assert own <= found
    assert not own & follows
    assert "stem" not in follows
    assert {"dense"} - own <= follows
    assert ("filters" in change) == ("layer_norm" in follows)


def test_a_change_does_not_count_what_is_absorbed_beside_it():
    """A wider convolution that also gave up its bias; and a kind is said in words."""
    graphs = []
    for filters, bias in ((4, True), (6, False)):
        net = Network(6, 6, 2)
        net.norm(net.conv(net.input, filters, bias=bias, layer="conv"), "norm")
        graphs.append(net.graph())
    found = diff(*graphs)
    conv, norm = found.changes
    assert (9 * 2 * 2, 4 * 2) == (conv.params, norm.params)
    assert [-4] == [d.params for d in found.absorbed]
    assert found.params == 9 * 2 * 2 + 4 * 2 - 4
    assert norm.what.startswith("batch norm: channels 4 → 6")


def said(*graphs: Graph) -> list[str]:
    """The changes in words, of networks that are not otherwise different."""
    return [str(change) for change in diff(*graphs).changes]


def arms(*order: int, outputs: tuple[int, ...] = ()) -> Graph:
    """Three unlike branches of one map, concatenated in an order."""
    net = Network(4, 4, 2)
    x = net.act(net.conv(net.input, 2, layer="stem"))
    branch = [net.conv(x, 2, 2 * k + 1, layer=f"arm_{k}") for k in range(3)]
    end = net.concat([branch[k] for k in order], layer="join")
    return net.graph(*(branch[k] for k in outputs), end)


def test_what_is_read_in_another_order_is_said():
    """Which matters to a concatenation, and not to a sum."""
    expected = ["join ↔ join: concat: inputs in another order"]
    assert expected == said(arms(0, 1, 2), arms(2, 1, 0))


def test_what_is_read_instead_is_said():
    """With the layers of both sides; what has no counterpart is a change of its own."""
    found = said(arms(0, 1, 2), arms(0, 1, 1))
    assert found[-1].startswith("join ↔ join: concat: ")
    found = said(arms(0, 0, 1, 2), arms(0, 1, 1, 2))
    assert [
        "join ↔ join: concat: reads arm_0 only in A, reads arm_1 only in B"
    ] == found


def test_an_output_more_is_said():
    """Of either side, where the other has fewer."""
    one, two = arms(0, 1, 2), arms(0, 1, 2, outputs=(1,))
    assert ["arm_1 ↔ arm_1: conv: an output only in B"] == said(one, two)
    assert ["arm_1 ↔ arm_1: conv: an output only in A"] == said(two, one)


def chain(*kinds: str, inputs: int = 1) -> Graph:
    """Ops one after the other, and inputs that are outputs."""
    net = Network(4, 4, 2)
    more = [net.add("input", (), (4, 4, 2), f"input_{k}") for k in range(1, inputs)]
    x = net.input
    for number, kind in enumerate(kinds):
        layer = f"{kind}_{number}"
        x = net.conv(x, 2, layer=layer) if kind == "conv" else net.act(x, kind, layer)
    return net.graph(*more, x)


def test_what_one_side_alone_has_is_said_with_its_place_and_its_cost():
    """Where in A it would stand, if after anything; costs are B's more."""
    plain, longer = chain("tanh", "conv"), chain("tanh", "conv", "sigmoid", "conv")
    cost = 4 * 4 * 9 * 2 * 2
    assert [
        "nothing after conv_1 ↔ sigmoid_2: sigmoid only in B",
        "nothing after conv_1 ↔ conv_3: 3x3 conv, 2 only in B"
        f" (+38 parameters, +{cost} multiply-adds)",
    ] == said(plain, longer)
    assert said(longer, plain) == [
        "sigmoid_2 ↔ nothing: sigmoid only in A",
        f"conv_3 ↔ nothing: 3x3 conv, 2 only in A (-38 parameters, -{cost} multiply-adds)",
    ]
    first = said(chain("conv"), chain("sigmoid", "conv"))
    assert "nothing after input ↔ sigmoid_0: sigmoid only in B" == first[0]
    assert "nothing ↔ input_1: input only in B" in said(plain, chain("tanh", "conv", inputs=2))  # fmt: skip


def test_what_has_no_row_is_of_the_row_after_which_it_stands():
    """An end that one side alone has, under a name of its own."""
    graphs = []
    for name in ("", "tail"):
        net = Network(4, 4, 2)
        x = net.conv(net.conv(net.input, 2, layer="one_conv"), 2, layer="two_conv")
        graphs.append(net.graph(net.act(x, layer=name) if name else x))
    (change,) = diff(*graphs, rows=("one", "two")).changes
    assert ("tail", "two") == (change.b, change.row)


def test_paired_ops_differ_in_what_they_compute_and_in_what_was_absorbed():
    """What localisation says of an operation that is wrong by itself."""
    net = Network(4, 4, 2)
    x = net.conv(net.input, 2)
    one = replace(net.ops[x], absorbed=(Absorbed("r", "rate", 0.5), Absorbed("r", "same", 1)))  # fmt: skip
    other = one.but(
        attrs={"strides": (2, 2)},
        absorbed=(Absorbed("r", "same", 1), Absorbed("r", "bias", True)),
    )
    expected = ["stride 1 → 2", "rate 0.5 → none", "bias none → yes"]
    assert expected == list(differences(one, other))
    assert [] == list(differences(one, one))


def test_a_diff_is_data():
    assert {
        "same": True,
        "summary": "same network up to: dropout 0.5 → 0.4 in 1 layer (absorbed by inference identity)",
        "params": 0,
        "multiply_adds": 0,
        "aligned": 2,
        "agreement": 1.0,
        "absorbed": [
            {
                "rewrite": "inference identity", "attribute": "dropout", "a": 0.5,
                "b": 0.4, "layers": 1, "params": 0, "at": "drop_0",
            }
        ],
        "changes": [],
    } == diff(dropped(0.5), dropped(0.4)).as_dict()  # fmt: skip
    found = diff(resnet(), resnet(stride_on=2), ROWS).as_dict()
    assert found["params"] == 0 != found["multiply_adds"]
    assert not found["same"]
    assert 6 == len(found["changes"])
    assert (("stride", "2", "1"),) == found["changes"][0]["attributes"]
    assert 0.9 < found["agreement"] < 1


def test_presence_reads_as_words():
    def said(a, b) -> str:
        return str(AbsorbedDifference("norm constants", "gamma", a, b, 2, 0))

    assert "gamma in 2 layers (absorbed by norm constants)" == said(False, None)
    assert "no gamma in 2 layers (absorbed by norm constants)" == said(None, False)
    assert "gamma 0 → 1 in 2 layers (absorbed by norm constants)" == said(0.0, 1.0)


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ((0.1, 0.2, 0.3, 0.4, 0.5), [("0.1 to 0.5", 5, "drop_0")]),
        # One is halved, one more is there, and one of them lacks.
        ((0.1, 0.2, 0.15, 0.4, 0.5), [("0.1 to 0.5", 4, "drop_0"), (0.15, 1, "drop_2")]),
        ((0.1, 0.2, 0.3, 0.4, 0.9), [("0.1 to 0.4", 4, "drop_0"), (0.9, 1, "drop_4")]),
        ((0.1, 0.2, None, 0.4, 0.5), [("0.1 to 0.5", 4, "drop_0")]),
        # Half of the fourth is the second once more, which two layers then have.
        ((0.1, 0.2, 0.3, 0.2, 0.5), [("0.1 to 0.5", 4, "drop_0"), (0.2, 1, "drop_3")]),
        # The fifth and sixth go on from the first, and yet leave the longest row.
        (
            (0.1, 0.2, 0.3, 0.4, 0.2, 0.4, 0.5),
            [("0.1 to 0.5", 5, "drop_0"), (0.2, 1, "drop_4"), (0.4, 1, "drop_5")],
        ),
        # No step has nine digits.
        ((1 / 6, 2 / 6, 3 / 6), [("0.166667 to 0.5", 3, "drop_0")]),
        ((0.5, 0.5), [(0.5, 2, "drop_0")]),
        ((0.5, 0.25), [(0.5, 1, "drop_0"), (0.25, 1, "drop_1")]),
    ],
)  # fmt: skip
def test_rates_of_one_side_alone_are_a_row_if_they_grow_evenly(rates, expected):
    """The planted errors are rates that leave the row."""
    none = dropped(*(None for _ in rates))
    found = diff(dropped(*rates), none).absorbed
    assert expected == [(d.a, d.layers, d.at) for d in found]
    found = diff(none, dropped(*rates)).absorbed
    assert expected == [(d.b, d.layers, d.at) for d in found]


def test_one_op_may_have_several_of_a_kind():
    """Two dropouts after one convolution are no difference in either order."""
    graphs = []
    for rates in ((0.3, 0.2), (0.2, 0.3), (0.2, 0.4)):
        net = Network(4, 4, 2)
        x = net.conv(net.input, 2)
        for rate in rates:
            x = net.drop(x, rate)
        graphs.append(net.graph())
    first, second, other = graphs
    assert () == diff(first, second).absorbed
    (found,) = diff(first, other).absorbed
    assert ((0.2, 0.3), (0.2, 0.4)) == (found.a, found.b)
    notes = (Absorbed("r", "by", 2.0, 5, "one"), Absorbed("r", "by", 1.0, 7, "two"))
    noted_ = noted(replace(first.ops[1], absorbed=notes))
    assert {("r", "by"): ((1.0, 2.0), 12, "one")} == noted_


def test_what_each_side_alone_has_is_two_differences():
    """A bias here on one side, and there on the other."""
    graphs = []
    for first in (True, False):
        net = Network(4, 4, 2)
        x = net.norm(net.conv(net.input, 2, bias=first, layer="one"))
        net.norm(net.conv(net.act(x), 2, bias=not first, layer="two"))
        graphs.append(net.graph())
    found = diff(*graphs).absorbed
    assert [(True, None, "one"), (None, True, "two")] == [(d.a, d.b, d.at) for d in found]  # fmt: skip


def test_where_a_dropout_is_missing_is_where_its_likes_have_one():
    """Next to the convolution that has none, although the others have."""
    found = diff(dropped(0.5, None, 0.5, 0.5), dropped(None, None, None, None))
    assert ("conv_1",) == found.agreeing("inference identity", "dropout")
    assert () == found.agreeing("inference identity", "momentum")
    # The first reads the input: it is not like those that read a convolution.
    found = diff(dropped(None, 0.5, 0.5, 0.5), dropped(None, None, None, None))
    assert () == found.agreeing("inference identity", "dropout")


def test_layers_that_are_as_the_other_sides_are_named_where_others_are_not():
    """Both have the rate, one of three pairs has another; and a norm that one side lacks."""
    found = diff(dropped(0.5, 0.5, 0.2), dropped(0.5, 0.4, 0.2))
    assert ("drop_0", "drop_2") == found.agreeing("inference identity", "dropout")
    found = diff(resnet(norms="conv1"), resnet())
    layers = found.agreeing("norm constants", "epsilon")
    assert len([layer for layer in layers if layer.endswith("_norm")]) == 21
    # Neither has a bias, the one that a norm follows on one side alone included.
    graphs = []
    for normed in (False, True):
        net = Network(4, 4, 2)
        x = net.conv(net.input, 2, bias=False, layer="one")
        net.conv(net.act(net.norm(x) if normed else x), 2, bias=False, layer="two")
        graphs.append(net.graph())
    assert ("one", "two") == diff(*graphs).agreeing("norm constants", "bias")
