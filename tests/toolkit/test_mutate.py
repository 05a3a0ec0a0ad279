"""Mutants are networks, each with one mistake, and the chain sees and names them."""

from __future__ import annotations

import json
from pathlib import Path

import interpreter
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Network, Spelling, architectures

from reference_checks.alignment import isomorphism
from reference_checks.cli import main
from reference_checks.diff import diff
from reference_checks.errors import InputError
from reference_checks.load import load
from reference_checks.measure import all_params, multiply_adds
from reference_checks.mutate import MUTATIONS
from reference_checks.mutate.chain import Chain
from reference_checks.mutate.draft import Draft, Invalid
from reference_checks.mutate.kept import Mutants, Part, Plan
from reference_checks.mutate.matrix import measure
from reference_checks.mutate.mutants import mutants, mutants_at, mutate, names
from reference_checks.mutate.numbers import Numbers
from reference_checks.mutate.page import page
from reference_checks.mutate.result import scores
from reference_checks.mutate.weights import WEIGHTS
from reference_checks.networks import Networks
from reference_checks.rewrites import canonical

ROOT = Path(__file__).parents[2]


@pytest.fixture
def chain(tiny) -> Chain:
    """The tiny paper and the library's network."""
    return of(tiny)


def of(tiny) -> Chain:
    papers = tiny.papers()
    (official,) = papers["tiny"].spec.variants["tiny"].official
    return Chain(Networks(papers), papers["tiny"], "tiny", official)


def residual() -> Network:
    """A small network with whatever the classes apply to."""
    net = Network(8, 8, 3)
    x = net.act(net.norm(net.conv(net.input, 8, layer="stem"), "stem_norm"))
    for block in ("one", "two"):
        y = net.conv(x, 16, 1, bias=False, layer=f"{block}_expand")
        y = net.act(net.norm(y, f"{block}_expand_norm"), "relu6")
        y = net.conv(y, 16, groups=16, bias=False, layer=f"{block}_depthwise")
        gate = net.mean(y, keepdims=True, layer=f"{block}_squeeze")
        gate = net.act(net.conv(gate, 4, 1, layer=f"{block}_reduce"), "relu")
        gate = net.act(net.conv(gate, 16, 1, layer=f"{block}_restore"), "sigmoid")
        y = net.times(y, gate, layer=f"{block}_gate")
        y = net.norm(net.conv(y, 8, 1, layer=f"{block}_project"), f"{block}_norm")
        x = net.act(net.plus(y, x, layer=f"{block}_add"), layer=f"{block}_out")
    arms = [net.conv(x, 8, (1, 3), layer="left"), net.conv(x, 8, 3, 2, layer="down")]
    arms[1] = net.conv(net.pad(arms[1], ((0, 4), (4, 0))), 8, 1, layer="up")
    x = net.concat(arms, layer="concat")
    x = net.add("lrn", x, net.shape(x), size=5, alpha=1e-2, beta=0.75, k=2.0)
    x = net.scale(net.pool(x, 3, 2, "average", 1, layer="pool"), 0.5, layer="scaled")
    x = net.drop(net.reshape(x, int(np.prod(net.shape(x))), layer="flat"))
    x = net.act(net.dense(x, 12, "hidden"), layer="hidden_relu")
    net.act(net.dense(x, 5, "classes", bias=False), "softmax")
    return net


PLAIN = (
    "global pool kind",
    "stride moved",
    "stride of one axis",
    "shortcut unprojected",
)


def plain() -> Network:
    """Convolutions, whose sizes may be any, and a sum with a projection."""
    net = Network(8, 8, 3)
    x = net.act(net.norm(net.conv(net.input, 4, 1, 2, layer="first")))
    x = net.conv(x, 4, layer="second")
    y = net.conv(net.act(x), 6, layer="third")
    net.mean(net.plus(y, net.norm(net.conv(x, 6, 1, layer="project"))))
    return net


@pytest.mark.parametrize("name", sorted(MUTATIONS))
def test_every_class_applies_to_a_network_that_has_what_it_changes(name):
    """Its mutants differ from the network, and every shape in them follows."""
    graph = (plain() if name in PLAIN else residual()).graph()
    found = list(mutants(graph, name, 3, 0))
    assert found
    for mutant in found:
        made = mutant.graph
        assert (graph.ops, graph.outputs) != (made.ops, made.outputs)
        draft = Draft(made)
        assert [o.shape for o in made.ops] == [o.shape for o in draft.make().graph.ops]
        assert len(made.variables) == len(mutant.made.origin)
        assert mutate(graph, mutant.site).ops == made.ops


def test_a_change_of_width_reaches_whatever_follows():
    """One filter more in the expansion: the depthwise layer, its gate and the norm."""
    graph = residual().graph()
    draft = Draft(graph)
    (index,) = (i for i, op in enumerate(graph.ops) if op.layer == "one_expand")
    MUTATIONS["filters more"].edit(draft, index)
    shapes = {op.layer: op.shape for op in draft.make().graph.ops}
    for layer in ("one_expand_norm", "one_depthwise", "one_restore", "one_gate"):
        assert 17 == shapes[layer][-1], layer
    assert 8 == shapes["one_add"][-1]


def test_what_is_no_network_is_no_mutant():
    """One filter more where a shortcut is added is refused."""
    graph = residual().graph()
    draft = Draft(graph)
    (index,) = (i for i, op in enumerate(graph.ops) if op.layer == "one_project")
    MUTATIONS["filters more"].edit(draft, index)
    with pytest.raises(Invalid, match="one_add: sizes differ"):
        draft.make()


def test_a_stride_can_move_without_a_parameter():
    """The mutant of the classical mistake: same parameters, other multiply-adds."""
    graph = plain().graph()
    (mutant,) = mutants(graph, "stride moved", 3, 0)
    assert all_params(graph) == all_params(mutant.graph)
    assert multiply_adds(graph) < multiply_adds(mutant.graph)
    assert ["first", "second"] == [graph.ops[i].layer for i in mutant.touched]


def test_sites_are_drawn_by_the_seed():
    """One seed, one choice; there are others."""
    graph = residual().graph()
    chosen = [
        [m.site.layer for m in mutants(graph, "kernel size", 2, seed)]
        for seed in (1, 1, 2, 3, 4)
    ]
    assert chosen[0] == chosen[1]
    assert len({*map(tuple, chosen)}) > 1


@settings(deadline=None, max_examples=50)
@given(architectures, st.sampled_from(sorted(MUTATIONS)), st.integers(0, 99))
def test_a_change_of_a_random_network_is_named_or_proved_to_be_none(
    architecture, name, seed
):
    """What diff does not see computes the same; what it sees, it names where it is.

    Where several changes make one network, any of them is the right name.
    """
    graph = Spelling().build(architecture)
    for mutant in mutants(graph, name, 1, seed):
        found = diff(graph, mutant.graph)
        if found.same and not found.absorbed:
            if len(mutant.graph.variables) == len(graph.variables):
                assert computes_the_same(graph, mutant)
            continue
        named = {c.a or c.b for c in found.changes if not c.follows}
        named |= {d.at for d in found.absorbed}
        known = frozenset(op.layer for op in found.a.ops)
        truth = names(graph, mutant.touched, known) | {*mutant.new}
        assert named & truth or other_ways(graph, mutant, named), (named, truth)


def computes_the_same(graph, mutant) -> bool:
    values = interpreter.random_values(graph, 5)
    moved = {new: values[old] for new, old in enumerate(mutant.made.origin)}
    inputs = interpreter.random_inputs(graph, 5)
    (expected,) = interpreter.evaluate(graph, values, *inputs)
    (result,) = interpreter.evaluate(mutant.graph, moved, *inputs)
    return interpreter.distance(result, expected) < 1e-12


def other_ways(graph, mutant, named: set[str]) -> bool:
    """Whether the same change at what is named makes the same network."""
    same = canonical(mutant.graph)
    for other in mutants_at(graph, mutant.site.mutation, range(len(graph.ops))):
        layers = {graph.ops[i].layer for i in other.touched} | {*other.new}
        if layers & named and isomorphism(canonical(other.graph), same) is not None:
            return True
    return False


def test_every_mutant_of_the_tiny_network_is_detected_and_located(chain):
    """All classes that apply, the network run too; weights' classes among them."""
    results = list(measure(chain, [*MUTATIONS, *WEIGHTS], 3, 1, run=True))
    assert {r.mutation for r in results} & set(WEIGHTS)
    assert [] == [r for r in results if r.status == "missed"]
    assert [] == [r for r in results if not (r.located or r.status == "equivalent")]
    numbers = scores(results)
    assert numbers["paper's numbers only"][0] < numbers["detected"][0]
    assert numbers["float32 only"][0] < numbers["detected"][0]
    text = page(Mutants(Plan((), 3, 1, False), (Part("tiny", "", tuple(results)),)))
    assert "Nothing: every mutant" in text
    assert "| padding size | tiny | `block_pad`" in text


def test_a_blind_check_is_a_missed_mutant(chain, monkeypatch):
    """Were the stride no part of an op's signature, the moved stride would be missed."""
    from reference_checks.graph import Op

    signature = Op.signature.func

    def blind(op: Op) -> tuple:
        kind, attrs, weights, shape = signature(op)
        return kind, tuple(a for a in attrs if a[0] != "strides"), weights, shape

    monkeypatch.setattr(Op, "signature", property(blind))
    results = list(measure(chain, ["stride of one axis"], 3, 1, run=False))
    assert all("structure" not in r.by for r in results)
    assert results


def test_an_unsound_rewrite_is_a_missed_mutant(chain, monkeypatch):
    """What the rewrites call the same and float64 does not is seen by it alone."""
    from reference_checks import diff, rewrites
    from reference_checks.mutate import chain as module
    from reference_checks.rewrites.rule import sweep

    def drops_pads(graph, index, op):
        if op.kind != "conv" or op.attrs["padding"] == ((9, 9), (9, 9)):
            return None
        return {index: op.but(attrs={"padding": ((9, 9), (9, 9))})}

    def unsound(graph):
        return sweep(rewrites.canonical(graph), drops_pads)

    for place in (diff, module):
        monkeypatch.setattr(place, "canonical", unsound)
    results = list(measure(chain, ["padding side"], 3, 1, run=True))
    assert ("outputs float64", "training step") in {r.by for r in results}
    assert {"detected"} == {r.status for r in results}
    assert not any(r.located for r in results)


def test_an_equivalent_mutant_is_proved(chain):
    """Dropping an identity changes nothing: the canonical graphs are one."""
    from reference_checks.mutate import mutation

    name = "identity added"
    wrong = mutation.Mutation(
        name, "", lambda d, i: [i, d.after(i, "identity")] if i == 1 else None
    )
    MUTATIONS[name] = wrong
    try:
        (mutant,) = mutants(chain.ours, name, 3, 1)
        assert isomorphism(canonical(chain.ours), canonical(mutant.graph)) is not None
        (result,) = measure(chain, [name], 3, 1, run=True)
    finally:
        del MUTATIONS[name]
    assert ("equivalent", ()) == (result.status, result.by)
    assert (1, 1) == scores([result])["equivalent"]


def test_a_window_that_computes_the_same_is_located_by_the_printed_row(tiny):
    """The mean of a whole map, whatever the window; the paper prints one of its size."""
    pool = 'layers.GlobalAveragePooling2D(name="head_pool")(x)'
    window = 'layers.AveragePooling2D(4, name="head_pool")(x)'
    flat = f'layers.Flatten(name="head_flat")({window})'
    tiny.plant("implementations/tiny.py", pool, flat)
    tiny.plant("papers/tiny.yaml", "average pool; 5-d fc", "4x4 average pool; 5-d fc")
    (result,) = measure(of(tiny), ["pool size"], 3, 1, run=True)
    assert (("rows",), "detected", True) == (result.by, result.status, result.located)
    assert "head_pool" in result.named
    assert not {"stem", "block"} & {*result.named}


def test_misplaced_weights_of_two_layers_are_found_in_the_first(chain):
    """The first op that computes something else is the mutated one."""
    results = list(measure(chain, list(WEIGHTS), 2, 1, run=True))
    assert {"gamma and variance swapped", "statistics not moved"} <= {
        r.mutation for r in results
    }
    assert all(r.located and r.by == ("outputs float64",) for r in results)


def test_what_float32_is_allowed_is_rounding_with_input_layers_too():
    """EfficientNet rescales its input itself; rewritten, it reads it rescaled."""
    papers = {"efficientnet": load(ROOT / "papers" / "efficientnet.yaml")}
    paper = papers["efficientnet"]
    (official,) = paper.spec.variants["efficientnet_b0"].official
    chain = Chain(Networks(papers), paper, "efficientnet_b0", official)
    assert 2.0**-24 < Numbers.small(chain).budget32 < 1e-2


def test_the_command_writes_the_matrix(tiny, capsys, tmp_path):
    """JSON and a page; exit code 0, since nothing is missed."""
    folder = str(tiny.root / "papers")
    file, text = tmp_path / "m.json", tmp_path / "m.md"
    arguments = ["--papers", folder, "mutate", "tiny", "--static", "--sites", "1"]
    arguments += ["--class", "stride changed", "--class", "epsilon slightly"]
    assert 0 == main([*arguments, "--json", str(file), "--markdown", str(text)])
    assert "detected 2 of 2" in capsys.readouterr().out
    data = json.loads(file.read_text())
    (network,) = data["networks"]
    first, second = network["mutants"]
    assert ("stride changed", "epsilon slightly") == (first["mutation"], second["mutation"])  # fmt: skip
    assert ["deviations"] == second["by"]
    assert "| tiny ↔ keras:Tiny | 2 | 2 (100 %)" in text.read_text()


def mutate_tiny(tiny, *more: str) -> int:
    folder = str(tiny.root / "papers")
    classes = ("--class", "stride changed", "--class", "epsilon slightly")
    return main(["--papers", folder, "mutate", "--static", *classes, *map(str, more)])


def test_networks_that_are_done_are_kept(tiny, capsys, tmp_path, monkeypatch):
    """With --resume, as long as nothing that they depend on has changed."""
    from reference_checks.mutate import runs

    file = tmp_path / "m.json"
    assert 0 == mutate_tiny(tiny, "--json", file, "--resume")
    before, measured = Mutants.read(file), runs.measured
    ran = []
    monkeypatch.setattr(runs, "measured", lambda *a: ran.append(a) or measured(*a))
    assert 0 == mutate_tiny(tiny, "--json", file, "--resume")
    assert [] == ran
    assert before == Mutants.read(file)
    assert 0 == mutate_tiny(tiny, "--json", file, "--resume", "--sites", 1)
    assert 1 == len(ran)
    assert 2 == len(Mutants.read(file).results)
    spec = tiny.root / "papers" / "tiny.yaml"
    spec.write_text(spec.read_text() + "\n# another text\n")
    assert 0 == mutate_tiny(tiny, "--json", file, "--resume", "--sites", 1)
    assert 2 == len(ran)
    assert 2 == mutate_tiny(tiny, "--resume")
    assert "--json FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no mutants"),
        ("{}", "no mutants"),
        ('{"mutants_schema": 9}', "of another version"),
        ('{"mutants_schema": 1, "plan": [], "networks": []}', "no mutants"),
        ("[" * 100_000, "no mutants"),
    ],
)
def test_a_file_that_is_no_matrix_is_one_line(text, message, tmp_path):
    """Whatever is wrong with it; it says how it is written."""
    file = tmp_path / "m.json"
    file.write_text(text)
    with pytest.raises(InputError, match=message) as problem:
        Mutants.read(file)
    assert "paperspec mutate --json" in str(problem.value)


def test_a_paper_is_stood_for_by_its_cheapest_printed_network(tmp_path):
    """Fewest multiply-adds, a printed layer table before none."""
    from reference_checks.load import load_all
    from reference_checks.mutate.runs import representatives
    from reference_checks.units import select

    papers = load_all(ROOT / "papers")
    chosen = {}
    for stem in ("vgg", "mobilenet_v3"):
        units = [u for u in select(papers, [stem]) if u.official]
        chosen |= {u.paper.stem: u.variant for u in representatives(papers, units)}
    assert {"vgg": "vgg16", "mobilenet_v3": "mobilenet_v3_small"} == chosen


def test_the_command_names_the_nearest_class(tiny, capsys):
    """A misspelt class is bad input."""
    folder = str(tiny.root / "papers")
    assert 2 == main(["--papers", folder, "mutate", "--class", "stride chnged"])
    assert "stride changed" in capsys.readouterr().err
