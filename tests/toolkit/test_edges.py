"""What is around paired ops: which reads and shared weights differ, in words."""

from __future__ import annotations

import pytest
from networks import Network

from reference_checks.edges import Edges
from reference_checks.graph import Graph


def join(kind: str, reads: str, more: int = 0) -> Graph:
    """Ops a, b, c and d of one input, some of them joined; `more` stand before them."""
    net = Network(4, 4, 2)
    for _ in range(more):
        net.act(net.input)
    ops = {name: net.conv(net.input, 2, layer=name) for name in "abcd"}
    shape = (4, 4, 2 * len(reads) if kind == "concat" else 2)
    net.add(kind, [ops[name] for name in reads], shape, "join", **{"axis": 2} if kind == "concat" else {})  # fmt: skip
    return net.graph()


def around(a: Graph, b: Graph, without: str = "") -> list[str]:
    """What is said of the last ops; layers of one name are a pair, but for some."""
    number = {op.layer: j for j, op in enumerate(b.ops)}
    pairs = {
        i: number[op.layer]
        for i, op in enumerate(a.ops)
        if op.layer in number and op.layer not in without
    }
    return list(Edges(a, b, pairs).differences(len(a.ops) - 1, len(b.ops) - 1))


@pytest.mark.parametrize(
    ("kind", "mine", "theirs", "without", "expected"),
    [
        ("add", "ab", "ba", "", []),
        ("concat", "ab", "ba", "", ["inputs in another order"]),
        ("add", "ab", "abb", "", ["reads b only in B"]),
        ("add", "abb", "ab", "", ["reads b only in A"]),
        ("add", "abc", "ad", "", ["reads b, c only in A", "reads d only in B"]),
        ("add", "ad", "abc", "", ["reads d only in A", "reads b, c only in B"]),
        # An op without a counterpart says why itself.
        ("concat", "ab", "ac", "bc", []),
        ("concat", "ab", "a", "b", []),
        ("concat", "a", "ab", "b", []),
        ("concat", "ab", "ac", "c", []),
        ("concat", "ab", "ac", "b", []),
        # … of one read, not of two.
        ("add", "abc", "ad", "d", ["reads b, c only in A"]),
        ("add", "ad", "abc", "d", ["reads b, c only in B"]),
    ],
)
@pytest.mark.parametrize("more", [0, 2])
def test_reads_that_are_not_common_are_said(
    kind, mine, theirs, without, expected, more
):
    """By the names of the side that has them, wherever they are numbered."""
    assert expected == around(join(kind, mine), join(kind, theirs, more), without)


def reused(first: bool, last: bool, more: int = 0) -> Graph:
    """A layer, another one, and a third that may be one of the two."""
    net = Network(4, 4, 2)
    for _ in range(more):
        net.act(net.input)
    one = net.conv(net.input, 2, layer="one")
    two = net.conv(one, 2, layer="two")
    if first or last:
        net.ops.append(net.ops[one if first else two].but(inputs=(two,), layer="end"))
    else:
        net.conv(two, 2, layer="end")
    return net.graph()


@pytest.mark.parametrize("more", [0, 2])
def test_weights_that_are_shared_with_another_layer_are_said(more):
    """On one side alone, or with another one; nothing where both share the same."""
    first, last, own = (reused(*p) for p in ((True, False), (False, True), (False, False)))  # fmt: skip
    moved = reused(True, False, more)
    assert [] == around(first, moved)
    assert ["weights shared with one in A"] == around(first, reused(False, False, more))
    assert ["weights shared with one in B"] == around(own, moved)
    assert ["weights shared with two in A"] == around(last, moved)
    assert ["weights shared with one in A"] == around(first, own, "one")


def biased(bias: bool, after: str = "") -> Graph:
    """A convolution, and what reads it."""
    net = Network(4, 4, 2)
    x = net.conv(net.input, 2, bias=bias, layer="conv")
    match after:
        case "norm":
            net.norm(x, "norm")
        case "relu":
            net.act(x, layer="relu")
        case "both":
            net.plus(net.norm(x, "norm"), x, layer="sum")
    return net.graph()


@pytest.mark.parametrize(
    ("mine", "theirs", "pairs", "expected"),
    [
        ((False, "norm"), (True, ""), {0: 0, 1: 1}, ("a", 2)),
        ((True, ""), (False, "norm"), {0: 0, 1: 1}, ("b", 2)),
        # Another op, a norm that both have, one that is not all that reads, no bias gone.
        ((False, "relu"), (True, ""), {0: 0, 1: 1}, None),
        ((False, "norm"), (True, "norm"), {0: 0, 1: 1, 2: 2}, None),
        ((False, "both"), (True, ""), {0: 0, 1: 1}, None),
        ((True, "norm"), (True, ""), {0: 0, 1: 1}, None),
    ],
)
def test_a_bias_goes_where_a_norm_is_inserted(mine, theirs, pairs, expected):
    """Then the bias is a part of that difference, and none of its own."""
    assert expected == Edges(biased(*mine), biased(*theirs), pairs).inserted_norm(1, 1)
