"""Alignment pairs by structure alone: isomorphisms are found, verified, or refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from interpreter import distance, evaluate, random_inputs, random_values
from networks import Network, Spelling, architectures, examples

from reference_checks import alignment, partial
from reference_checks.alignment import Ambiguous, align, colours, verify
from reference_checks.graph import Graph, tidy
from reference_checks.rewrites import canonical
from reference_checks.transfer import transfer

few = examples(40)
randoms = st.randoms(use_true_random=False)


def shuffled(graph: Graph, random: Random) -> tuple[Graph, dict[str, str]]:
    """The graph with other names, and the inputs of its sums in another order."""
    names = {op.layer: f"layer_{k}" for k, op in enumerate(graph.ops)}
    ops = {}
    for index, op in enumerate(graph.ops):
        inputs = list(op.inputs)
        if op.commutes:
            random.shuffle(inputs)
        ops[index] = replace(op, inputs=tuple(inputs), layer=names[op.layer])
    return tidy(ops, graph.outputs, graph), names


@few
@given(architectures, randoms)
def test_a_network_is_aligned_with_itself_renamed(architecture, random):
    graph = canonical(Spelling().build(architecture))
    other, _ = shuffled(graph, random)
    found = align(graph, other)
    assert found.isomorphic
    assert verify(graph, other, found.pairs) is None


@few
@given(architectures, randoms)
def test_a_pair_swapped_is_no_isomorphism(architecture, random):
    """Planted: `verify` sees two ops of a right pairing exchanged."""
    graph = canonical(Spelling().build(architecture))
    pairs = dict(align(graph, graph).pairs)
    i, j = random.sample(range(len(graph.ops)), 2)
    pairs[i], pairs[j] = pairs[j], pairs[i]
    assert verify(graph, graph, pairs) is not None


# Siblings -------------------------------------------------------------------------------


def siblings(count: int, edges: list[tuple[int, ...]]) -> Graph:
    """Equal convolutions of one input; sums of some of them, through relu, are added."""
    net = Network(4, 4, 3)
    convs = [net.conv(net.input, 2, layer=f"conv_{k}") for k in range(count)]
    sums = [net.act(net.plus(*(convs[k] for k in edge))) for edge in edges]
    return net.graph(net.plus(*sums))


def test_symmetric_siblings_are_paired_any_way():
    """Their weights may be exchanged without changing the function."""
    graph = siblings(4, [(0, 1), (2, 3)])
    assert align(graph, siblings(4, [(0, 2), (1, 3)])).isomorphic
    assert align(graph, siblings(4, [(3, 0), (2, 1)])).isomorphic


def test_symmetric_siblings_of_symmetric_siblings_are_paired_consistently():
    """Neither end alone decides which of them belong together."""
    rings = [[(0, 1), (1, 2), (2, 3), (3, 0)], [(0, 2), (2, 1), (1, 3), (3, 0)]]
    assert align(*(siblings(4, ring) for ring in rings)).isomorphic


def test_siblings_that_are_alike_and_not_symmetric_are_refused():
    """One ring of six, and two of three: every op looks the same; candidates are listed."""
    six = [(k, (k + 1) % 6) for k in range(6)]
    threes = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)]
    with pytest.raises(
        Ambiguous, match="'conv_0' could be any of conv_0, conv_1, conv_2"
    ):
        align(siblings(6, six), siblings(6, threes))


def test_siblings_are_told_apart_by_what_reads_them():
    """The fire module of SqueezeNet: equal convolutions, one of them concatenated first."""
    graphs = []
    for order in ((0, 1), (1, 0)):
        net = Network(4, 4, 3)
        squeeze = net.act(net.conv(net.input, 2, 1))
        arms = [net.conv(squeeze, 4, 1, layer=f"arm_{k}") for k in range(2)]
        net.concat([net.act(arms[k]) for k in order])
        graphs.append(net.graph())
    a, b = graphs
    pairs = align(a, b).pairs
    names = {a.ops[i].layer: b.ops[j].layer for i, j in pairs.items()}
    assert "arm_1" == names["arm_0"]
    assert "arm_0" == names["arm_1"]


def twice(places: tuple[int, int], count: int = 3) -> Graph:
    """Equal convolutions in a row, two of which are one layer."""
    net = Network(4, 4, 2)
    x = net.input
    layers: list[int] = []
    for place in range(count):
        if place == places[1]:
            net.ops.append(net.ops[layers[places[0]]].but(inputs=(x,)))
            x = len(net.ops) - 1
        else:
            x = net.conv(x, 2, layer=f"conv_{place}")
        layers.append(x)
    used = {i for op in net.ops for w in op.weights for i in w.variables}
    assert used == set(range(len(net.variables)))
    return net.graph()


def test_a_layer_used_twice_is_paired_with_one_used_twice_at_the_same_places():
    assert align(twice((0, 1)), twice((0, 1))).isomorphic
    assert align(twice((0, 2)), twice((0, 2))).isomorphic


@pytest.mark.parametrize("places", [(0, 2), (1, 2)])
def test_a_layer_used_twice_elsewhere_is_another_network(places):
    assert align(twice((0, 1)), twice(places)).isomorphic is False


@pytest.mark.parametrize("links", [1, 2, 3, 4])
def test_what_shares_weights_is_told_apart_by_what_it_shares_them_with(links):
    """From layer to layer: kernels and biases are shared in turn, and only the last differ."""
    net = Network(4, 4, 3)
    chains = []
    for function in ("relu", "tanh"):
        chain = [net.conv(net.input, 2) for _ in range(links)]
        chain.append(net.conv(net.act(net.input, function), 2))
        for k, (first, second) in enumerate(pairwise(chain)):
            kernel, bias = net.ops[second].weights
            other = net.ops[first].weights
            weights = (kernel, other[1]) if k % 2 else (other[0], bias)
            net.ops[second] = net.ops[second].but(weights=weights)
        chains.append(chain)
    (found,) = colours(net.graph(net.plus(*chains[0], *chains[1])))
    assert all(found[i] != found[j] for i, j in zip(*chains, strict=True))
    assert all(found[i] != found[j] for i, j in pairwise(chains[0]))


def test_weight_free_twins_are_paired():
    """Two equal poolings of one map, added: NASNet has them."""
    net = Network(4, 4, 2)
    net.plus(net.pool(net.input), net.pool(net.input))
    assert align(net.graph(), net.graph()).isomorphic


def test_concatenation_in_another_order_is_another_network():
    graphs = []
    for order in ((0, 1), (1, 0)):
        net = Network(4, 4, 3)
        arms = [net.conv(net.input, 2, 1), net.conv(net.input, 2, 3)]
        net.concat([arms[k] for k in order])
        graphs.append(net.graph())
    assert not align(*graphs).isomorphic


@pytest.mark.parametrize(
    ("kernels", "orders"),
    [
        ((1, 3, 5), (("012", "120", "201"), ("021", "210", "102"))),
        ((3, 3), (("01", "01"), ("01", "10"))),
    ],
)
def test_sums_of_concatenations_in_other_orders_are_other_networks(kernels, orders):
    """Each is as often first, or is like the others; neither is ambiguous."""
    graphs = []
    for order in orders:
        net = Network(4, 4, 3)
        arms = [net.conv(net.input, 2, kernel) for kernel in kernels]
        net.plus(*(net.concat([arms[int(k)] for k in ends]) for ends in order))
        graphs.append(net.graph())
    assert not align(*graphs).isomorphic


def branched(widths=(2, 2), outputs=(0, 1), named="") -> Graph:
    """Convolutions beside each other, in the order of the outputs."""
    net = Network(4, 4, 3)
    arms = [net.conv(net.input, n, layer=f"{named}{k}") for k, n in enumerate(widths)]
    return net.graph(*(arms[k] for k in outputs))


@pytest.mark.parametrize(
    ("a", "b", "pairs", "why"),
    [
        (branched(), branched(named="b"), {0: 0, 1: 1}, "some ops are not paired: '1'"),
        (branched(), branched((2, 2, 2), named="b"), {0: 0, 1: 1, 2: 2},
         "some ops are not paired: 'b2'"),
        (branched(), branched(named="b"), {0: 0, 1: 1, 2: 1}, "some ops are not paired: 'b1'"),
        (branched(), branched((2, 3), named="b"), {0: 0, 1: 1, 2: 2},
         "'1' and 'b1' do not compute the same"),
        (branched(), branched(), {0: 0, 1: 2, 2: 1}, "the outputs are in another order"),
    ],
)  # fmt: skip
def test_what_is_no_isomorphism_is_said(a, b, pairs, why):
    """The first reason, with the layers of both."""
    assert why == verify(a, b, pairs)


def test_reads_and_shared_weights_that_differ_are_said():
    """Pairs of equal ops, by number, of networks that are not the same."""
    graphs = []
    for source in (1, 2):
        net = Network(4, 4, 2)
        convs = [
            net.conv(net.input, 2, layer="one"),
            net.conv(net.input, 2, layer="two"),
        ]
        net.plus(net.act(source, layer="relu"), *convs)
        graphs.append(net.graph())
    same = {k: k for k in range(len(graphs[0].ops))}
    assert "'relu' and 'relu' read different ops" == verify(*graphs, same)
    one, two = twice((0, 1), 4), twice((2, 3), 4)
    own = {k: k for k in range(len(one.ops))}
    assert "'conv_0' and 'conv_1' share weights differently" == verify(one, two, own)
    apart = Network(4, 4, 2)
    x = apart.input
    for _ in range(3):
        x = apart.conv(x, 2)
    said = "weights that are shared on one side are not on the other"
    assert said == verify(apart.graph(), twice((0, 1)), {k: k for k in range(4)})


def test_outputs_in_another_order_are_another_network():
    net = Network(4, 4, 3)
    a, b = net.act(net.input, "relu"), net.act(net.input, "tanh")
    assert not align(net.graph(a, b), net.graph(b, a)).isomorphic


# Adversaries ------------------------------------------------------------------------------


def equal_siblings(net: Network, x: int, random: Random) -> int:
    """Convolutions of one map that nothing but their place, or nothing at all, tells apart."""
    arms = [net.act(net.conv(x, 4, 1)) for _ in range(random.choice([2, 3]))]
    if random.random() < 0.5:
        return net.plus(*arms)
    return net.conv(net.concat(arms), 4, 1)


def squeezes(net: Network, x: int, random: Random) -> int:
    """Two squeeze branches of one map, of the same shapes."""
    for _ in range(2):
        gate = net.act(net.conv(net.mean(x, keepdims=True), 2, 1))
        x = net.times(x, net.act(net.conv(gate, 4, 1), "sigmoid"))
    return x


def parallel_arms(net: Network, x: int, random: Random) -> int:
    """Arms whose first layers are alike and whose last are not."""
    ends = random.sample(["relu", "tanh", "sigmoid"], 2)
    return net.plus(*(net.act(net.conv(net.conv(x, 4), 4), end) for end in ends))


def fused_projections(net: Network, x: int, random: Random) -> int:
    """Queries, keys and values from one layer: parts of one kernel with other uses."""
    fused = net.conv(x, 12, 1)
    q, k, v = (net.slice(fused, 4 * n, 4 * n + 4) for n in random.sample(range(3), 3))
    return net.plus(net.times(net.act(q, "sigmoid"), k), v)


def shared_layer(net: Network, x: int, random: Random) -> int:
    """A layer used twice beside one of the same shape that is not."""
    once, other = net.conv(x, 4), net.conv(x, 4)
    net.ops.append(net.ops[once].but(inputs=(net.act(random.choice([once, other])),)))
    return net.plus(len(net.ops) - 1, once, net.act(other, "tanh"))


def crossed(net: Network, x: int, random: Random) -> int:
    """Pairs of equal convolutions of pairs of sums of pairs of equal convolutions."""
    above = [[net.conv(x, 4, kernel) for _ in range(2)] for kernel in (1, 3)]
    sums = [net.plus(a, b) for a, b in zip(above[0], random.sample(above[1], 2))]
    below = [
        [net.conv(y, 4, kernel) for y in random.sample(sums, 2)] for kernel in (1, 3)
    ]
    return net.plus(*(net.act(net.plus(*pair)) for pair in zip(*below)))


ADVERSARIES = (
    equal_siblings, squeezes, parallel_arms, fused_projections, shared_layer, crossed,
)  # fmt: skip
adversaries = st.lists(st.sampled_from(ADVERSARIES), min_size=1, max_size=3)


def built(blocks, random: Random) -> Graph:
    net = Network(5, 5, 4)
    x = net.input
    for block in blocks:
        x = block(net, x, random)
    return net.graph(x)


@few
@given(adversaries, randoms, st.integers(0, 2**16))
def test_what_is_alike_is_paired_so_that_it_computes_the_same(blocks, random, seed):
    """Renamed, and built in another order, the weights still go where they belong."""
    graph = built(blocks, random)
    other, _ = shuffled(graph, random)
    found = align(graph, other)
    assert found.isomorphic
    values = random_values(graph, seed)
    moved = transfer(graph, other, found, values)
    x = random_inputs(graph, seed)
    (expected,), (result,) = evaluate(graph, values, *x), evaluate(other, moved.values, *x)  # fmt: skip
    assert distance(result, expected) <= 1e-12


@few
@given(adversaries, randoms, st.data())
def test_a_read_that_is_elsewhere_is_never_an_isomorphism(blocks, random, data):
    """The planted error: one op reads another of the same shape, of the same network.

    Where the two are one network all the same, by symmetry, the pairing is verified.
    """
    graph = canonical(built(blocks, random))
    places = [
        (i, k, j)
        for i, op in enumerate(graph.ops)
        for k, source in enumerate(op.inputs)
        for j in range(i)
        if j != source and graph.ops[j].shape == graph.ops[source].shape
    ]
    if not places:
        return
    i, k, j = data.draw(st.sampled_from(places))
    inputs = list(graph.ops[i].inputs)
    inputs[k] = j
    ops = dict(enumerate(graph.ops)) | {i: replace(graph.ops[i], inputs=tuple(inputs))}
    other = tidy(ops, graph.outputs, graph)
    try:
        found = align(graph, other)
    except Ambiguous:
        return
    if found.isomorphic:
        assert verify(graph, other, found.pairs) is None
        values = random_values(graph, 1)
        used = {n for op in graph.ops for w in op.weights for n in w.variables}
        moved = {n: values[n] for n in set(values) - used}
        for a, b in found.pairs.items():
            for mine, theirs in zip(graph.ops[a].weights, other.ops[b].weights, strict=True):  # fmt: skip
                moved |= theirs.write(mine.read(values))
        x = random_inputs(graph, 1)
        (expected,), (result,) = evaluate(graph, values, *x), evaluate(other, moved, *x)
        assert distance(result, expected) <= 1e-12
    else:
        assert len(set(found.pairs.values())) == len(found.pairs)


rings = st.lists(st.integers(3, 5), min_size=1, max_size=3)


def ringed(lengths: list[int], random: Random) -> Graph:
    """Equal convolutions, each in the sums of two neighbours of its ring, in any order."""
    edges, start = [], 0
    places = random.sample(range(sum(lengths)), sum(lengths))
    for length in lengths:
        ring = places[start : start + length]
        edges += [(ring[k - 1], ring[k]) for k in range(length)]
        start += length
    random.shuffle(edges)
    return siblings(start, edges)


@few
@given(rings, rings, randoms)
def test_rings_of_equal_siblings_are_one_network_or_refused(first, second, random):
    """Every op looks the same in all of them; only the same rings are paired."""
    a, b = ringed(first, random), ringed(second, random)
    if sorted(first) == sorted(second):
        assert align(a, b).isomorphic
    elif sum(first) != sum(second):
        assert not align(a, b).isomorphic
    else:
        with pytest.raises(Ambiguous, match="could be any of"):
            align(a, b)


@few
@given(rings, randoms)
def test_a_ring_is_its_own_however_it_is_numbered(lengths, random):
    """Neither what is read nor what reads says where to begin: any place is tried."""
    assert align(ringed(lengths, random), ringed(lengths, random)).isomorphic


def test_ties_that_what_reads_decides_are_not_guessed(monkeypatch):
    """Each guess would refine all colours again."""
    monkeypatch.setattr(
        alignment, "_individualised", lambda *args: pytest.fail("guessed")
    )
    pairs = [(2 * k, 2 * k + 1) for k in range(8)]
    others = [(k, k + 8) if k % 3 else (k + 8, k) for k in range(8)]
    assert align(siblings(16, pairs), siblings(16, others)).isomorphic


def forked(count: int, random: Random | None = None) -> Graph:
    """Equal convolutions, each read by two equal sums and by concatenations both ways."""
    net = Network(4, 4, 3)

    def mixed(items: list) -> list:
        return random.sample(items, len(items)) if random else items

    stems = [net.conv(net.input, 2) for _ in range(count)]
    pairs = [(x, net.act(x)) for x in stems]
    sums = [net.act(net.plus(*mixed([*pair]))) for pair in mixed(pairs * 2)]
    twins = [net.conv(net.input, 2, 1) for _ in range(2)]
    both = [net.concat(ends) for ends in mixed([twins, twins[::-1]])]
    return net.graph(net.plus(*mixed(sums)), net.plus(*mixed(both)))


@pytest.mark.parametrize("seed", range(4))
def test_ties_that_what_is_read_decides_are_not_guessed(monkeypatch, seed):
    monkeypatch.setattr(
        alignment, "_individualised", lambda *args: pytest.fail("guessed")
    )
    assert align(forked(6), forked(6, Random(seed))).isomorphic


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_what_a_sum_reads_decides_nothing(monkeypatch, seed):
    """Sums of two convolutions that are not alike, however they are paired and written."""
    monkeypatch.setattr(
        alignment, "_individualised", lambda *args: pytest.fail("guessed")
    )

    def paired(random: Random | None) -> Graph:
        net = Network(4, 4, 3)
        arms = [[net.conv(net.input, 2, kernel) for _ in range(6)] for kernel in (1, 3)]
        if random:
            random.shuffle(arms[0])
        pairs = [list(pair) for pair in zip(*arms, strict=True)]
        for pair in pairs if random else []:
            random.shuffle(pair)
        twins = [net.conv(net.input, 2, 5) for _ in range(2)]
        ways = [twins, twins[::-1]]
        both = [net.concat(ends) for ends in (ways[::-1] if random else ways)]
        sums = [net.act(net.plus(*pair)) for pair in pairs]
        return net.graph(net.plus(*sums), net.plus(*both))

    assert align(paired(None), paired(Random(seed))).isomorphic


def test_a_pairing_that_is_never_right_is_refused_with_the_reason(monkeypatch):
    """Planted: nothing ties, and `verify` says no all the same."""
    monkeypatch.setattr(alignment, "verify", lambda *args: "planted")
    with pytest.raises(Ambiguous, match=r"^planted$"):
        align(tower(2), tower(2))


# Graphs that differ -----------------------------------------------------------------------


def tower(blocks: int, odd: frozenset[int] = frozenset(), kernel: int = 5) -> Graph:
    """Equal residual blocks; the odd ones have another kernel."""
    net = Network(8, 8, 4)
    x = net.input
    for k in range(blocks):
        y = net.norm(
            net.conv(x, 4, kernel if k in odd else 3, bias=False, layer=f"conv_{k}")
        )
        x = net.act(net.plus(x, net.norm(net.conv(net.act(y), 4, bias=False))))
    return net.graph(x)


@given(st.sets(st.integers(0, 19), max_size=5))
@few
def test_what_is_around_changed_ops_is_paired(odd):
    """Every op has its counterpart, however many others have changed."""
    a, b = tower(20), tower(20, frozenset(odd))
    assert {k: k for k in range(len(a.ops))} == partial.partial(a, b)


@given(st.integers(1, 20), st.integers(1, 5))
@few
def test_blocks_that_one_side_lacks_are_left_out_and_nothing_else(blocks, more):
    a, b = tower(blocks), tower(blocks + more)
    found = partial.partial(a, b)
    assert len(a.ops) == len(found)
    assert all(a.ops[i].signature == b.ops[j].signature for i, j in found.items())


def test_a_change_before_equal_blocks_does_not_move_them():
    """Without the projection the second block looks like the first: both follow the pooling."""
    graphs = []
    for dropped in (True, False):
        net = Network(16, 16, 4)
        x = net.act(net.conv(net.input, 4, layer="stem"))
        y = net.pool(net.norm(net.conv(x, 4, layer="wide")), 3, 2, layer="pool")
        if dropped:
            x = y
        else:
            shortcut = net.norm(net.conv(x, 4, 1, 2, 0, layer="shortcut"), "norm")
            x = net.plus(shortcut, y, layer="sum")
        for block in range(6):
            y = x
            for part in range(3):
                y = net.norm(net.conv(net.act(y), 4, layer=f"{block}_{part}"))
            x = net.plus(y, x, layer=f"{block}_sum")
        graphs.append(net.graph(net.act(x)))
    a, b = graphs
    found = partial.partial(a, b)
    left = [op.layer for j, op in enumerate(b.ops) if j not in {*found.values()}]
    assert ["shortcut", "norm", "sum"] == left
    convs = [(i, j) for i, j in found.items() if a.ops[i].kind == "conv"]
    assert all(a.ops[i].layer == b.ops[j].layer for i, j in convs)


@given(architectures, architectures)
@few
def test_pairs_of_different_networks_are_of_one_kind_and_used_once(first, second):
    a, b = (canonical(Spelling().build(one)) for one in (first, second))
    found = partial.partial(a, b)
    assert len(found) == len(set(found.values()))
    assert all(a.ops[i].kind == b.ops[j].kind for i, j in found.items())


def test_two_poolings_of_a_wide_map_are_paired_by_what_reads_them():
    """A dropped branch does not make its sibling stand in for it."""
    graphs = []
    for dropped in (False, True):
        net = Network(8, 8, 4)
        x = net.conv(net.input, 4)
        one = [] if dropped else [net.conv(x, 4, 1, layer="one")]
        three = net.conv(net.conv(x, 4, 1, layer="reduce"), 4, 3, layer="three")
        net.concat([*one, three])
        graphs.append(net.graph())
    a, b = graphs
    found = partial.partial(a, b)
    names = {a.ops[i].layer: b.ops[j].layer for i, j in found.items()}
    assert ("reduce", "three") == (names["reduce"], names["three"])
    assert "one" not in names


def test_an_op_that_nobody_reads_has_no_counterpart():
    """An importer may leave one; the rest is paired as without it."""
    graphs = []
    for dead in (True, False):
        net = Network(8, 8, 4)
        x = net.conv(net.input, 4, layer="first")
        if dead:
            net.conv(x, 6, layer="dead")
        x = net.conv(x, 4, 3 if dead else 5, layer="second")
        graphs.append(net.graph(net.act(x)))
    a, b = graphs
    found = partial.partial(a, b)
    assert ["dead"] == [op.layer for i, op in enumerate(a.ops) if i not in found]
    assert all(a.ops[i].kind == b.ops[j].kind for i, j in found.items())


# Cost -------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [15, 1500])
def test_colours_settle_in_a_few_rounds_at_any_depth(blocks, monkeypatch):
    """So that they are linear in the size of the graphs: 9,001 ops need as many as 91."""
    rounds = []
    forwards = alignment._forwards
    monkeypatch.setattr(
        alignment, "_forwards", lambda *args: rounds.append(1) or forwards(*args)
    )
    graph = tower(blocks)
    colours(graph, graph)
    assert len(rounds) <= 2 * 3


def test_different_networks_of_ten_thousand_ops_are_compared_in_few_steps(monkeypatch):
    """Two distant changes and a block more: every op is looked at a bounded number of times."""
    looked = []
    token = partial._token
    monkeypatch.setattr(partial, "_token", lambda op: looked.append(1) or token(op))
    agreement = partial._agreement
    monkeypatch.setattr(
        partial, "_agreement", lambda *args: looked.append(1) or agreement(*args)
    )
    a, b = tower(1200), tower(1201, frozenset({3, 1100}))
    found = partial.partial(a, b)
    assert len(a.ops) == len(found)
    assert len(looked) <= 2 * (len(a.ops) + len(b.ops))
