"""Bugs that really happened in ports, each planted and each caught at the right operation.

A small network has whatever they are about.  What structure sees, the diff or a deviation
that nobody recorded names; what only numbers see, weights that went astray, the
localisation names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import keras
import pytest
from conftest import Project

from reference_checks import proof
from reference_checks.alignment import align
from reference_checks.diff import differences
from reference_checks.equivalence import FLOAT64_BUDGET, distance
from reference_checks.execute import outputs
from reference_checks.localise import first_outside
from reference_checks.mutate.chain import Chain
from reference_checks.mutate.mutants import mutants_at
from reference_checks.mutate.numbers import Numbers
from reference_checks.mutate.weights import WEIGHTS
from reference_checks.networks import Networks
from reference_checks.record import Record, Verdict
from reference_checks.rewrites import canonical
from reference_checks.transfer import transfer

UNIT = "port/port/keras:Port"
SPEC = """\
title: A Network to Port
authors: [A. Author]
year: 2020
venue: none
idea: It has whatever ports get wrong.
limits: It is small.
tables: {}
variants:
  port:
    name: Port
    input: [32, 32, 3]
    classes: 5
    official: [{model: "keras:Port"}]
"""
NETWORK = '''\
"""Port."""

from keras import Input, Model, layers, ops


def norm(x, name):
    return layers.BatchNormalization(epsilon=1e-5, name=name + "_norm")(x)


def build(variant=None, *, weights=None, input_shape=(32, 32, 3), classes=5):
    x = inputs = Input(input_shape)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="stem_pad")(x)
    x = norm(layers.Conv2D(8, 3, 2, use_bias=False, name="stem")(x), "stem")
    x = layers.ReLU(6, name="stem_relu")(x)
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool")(x)
    y = norm(layers.Conv2D(8, 1, 2, name="reduce")(x), "reduce")
    y = layers.ReLU(name="reduce_relu")(y)
    y = norm(layers.Conv2D(8, 3, 1, padding="same", name="middle")(y), "middle")
    y = norm(layers.Conv2D(16, 1, name="expand")(layers.ReLU()(y)), "expand")
    s = norm(layers.Conv2D(16, 1, 2, name="project")(x), "project")
    x = layers.ReLU(name="block_relu")(layers.Add(name="block_add")([y, s]))
    s = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    s = layers.Conv2D(x.shape[-1] // 4, 1, activation="relu", name="squeeze_down")(s)
    s = layers.Conv2D(16, 1, activation="sigmoid", name="squeeze_up")(s)
    x = layers.Multiply(name="squeeze_by")([x, s])
    y = layers.Conv2D(16, (1, 3), padding="same", name="plain")(x)
    y = layers.Activation("gelu", name="plain_gelu")(y)
    x = layers.Add(name="plain_add")([x, y])
    x = layers.AveragePooling2D(3, 1, padding="same", name="average")(x)
    x = layers.Dense(classes, name="classes")(layers.Flatten(name="flat")(x))
    return Model(inputs, layers.Softmax(name="softmax")(x))
'''


class Bug(NamedTuple):
    """`old` is `new` in the port; the record of `check` fails, and says `found`."""

    name: str
    old: str
    new: str
    check: str
    found: str


STRUCTURE, DEVIATION = "structure", "deviation"
EPSILON = 'epsilon=1e-5, name=name + "_norm"'
STEM_PAD = '((0, 1), (0, 1)), name="stem_pad"'
POOL = 'x = layers.MaxPooling2D(3, 2, padding="same", name="pool")(x)'
AVERAGE = 'layers.AveragePooling2D(3, 1, padding="same", name="average")'
BUGS = [
    Bug(
        "static padding for that of the size", STEM_PAD, '1, name="stem_pad"',
        STRUCTURE, "stem ↔ stem: conv: padding (0, 1) → 1",
    ),
    Bug(
        "padding on the other side", STEM_PAD, '((1, 0), (1, 0)), name="stem_pad"',
        # One more on the other side is what no window reads.
        STRUCTURE, "stem ↔ stem: conv: padding (0, 1) → 1",
    ),
    Bug(
        "batch-norm epsilon 1e-3 for 1e-5", EPSILON,
        'epsilon=1e-3 if name == "middle" else 1e-5, name=name + "_norm"', DEVIATION,
        "unrecorded epsilon; the first is middle_norm",
    ),
    Bug(
        "batch-norm epsilon 1.001e-5 for 1e-5", EPSILON,
        'epsilon=1.001e-5 if name == "middle" else 1e-5, name=name + "_norm"', DEVIATION,
        "unrecorded epsilon; the first is middle_norm",
    ),
    Bug(
        "stem padding that gives one row less", POOL, POOL.replace("same", "valid"),
        STRUCTURE, "pool ↔ pool: pool: padding (0, 1) → 0",
    ),
    Bug(
        "stride on the other convolution",
        'layers.Conv2D(8, 1, 2, name="reduce")(x), "reduce")\n'
        '    y = layers.ReLU(name="reduce_relu")(y)\n'
        "    y = norm(layers.Conv2D(8, 3, 1,",
        'layers.Conv2D(8, 1, 1, name="reduce")(x), "reduce")\n'
        '    y = layers.ReLU(name="reduce_relu")(y)\n'
        "    y = norm(layers.Conv2D(8, 3, 2,",
        STRUCTURE, "reduce ↔ reduce: conv: stride 2 → 1",
    ),
    Bug(
        "height and width of a kernel swapped", "16, (1, 3)", "16, (3, 1)",
        STRUCTURE, "plain ↔ plain: conv: padding ((0, 0), (1, 1)) → ((1, 1), (0, 0))",
    ),
    Bug(
        "ReLU for ReLU6", "layers.ReLU(6,", "layers.ReLU(",
        STRUCTURE, "stem_relu ↔ stem_relu: activation: function relu6 → relu",
    ),
    Bug(
        "tanh for erf in GELU", 'layers.Activation("gelu", name="plain_gelu")(y)',
        "ops.gelu(y, approximate=True)",
        STRUCTURE, "plain_gelu ↔ gelu: activation: approximate no → yes",
    ),
    Bug(
        "no activation in the stem", '    x = layers.ReLU(6, name="stem_relu")(x)\n', "",
        STRUCTURE, "stem_relu ↔ nothing",
    ),
    Bug(
        "a shortcut without its projection",
        'norm(layers.Conv2D(16, 1, 2, name="project")(x), "project")',
        'ops.pad(layers.MaxPooling2D(1, 2, name="shortcut")(x), '
        "((0, 0), (0, 0), (0, 0), (0, 8)))",
        STRUCTURE, "nothing after pool ↔ shortcut: 1x1 max pool only in B",
    ),
    Bug(
        "one projection too many", 'layers.Add(name="plain_add")([x, y])',
        'layers.Add(name="plain_add")([layers.Conv2D(16, 1, name="extra")(x), y])',
        STRUCTURE, "nothing after squeeze_by ↔ extra",
    ),
    Bug(
        "the bias of a convolution dropped", 'padding="same", name="plain"',
        'padding="same", use_bias=False, name="plain"',
        DEVIATION, "unrecorded bias; the first is plain",
    ),
    Bug(
        "squeeze width from the channels before the block", "x.shape[-1] // 4", "8 // 4",
        STRUCTURE, "squeeze_down ↔ squeeze_down: dense: kernel 16x4 → 16x2",
    ),
    Bug(
        "average pooling that counts the padding", f"{AVERAGE}(x)",
        f'{AVERAGE.replace("same", "valid")}(layers.ZeroPadding2D(1, name="counted")(x))',
        STRUCTURE, "nothing after plain_add ↔ counted",
    ),
    Bug(
        "rescaling inside one side only", "x = inputs = Input(input_shape)\n",
        "inputs = Input(input_shape)\n"
        '    x = layers.Rescaling(1 / 127.5, -1, name="rescaling")(inputs)\n',
        DEVIATION, "unrecorded scale; the first is rescaling",
    ),
    Bug(
        "a map flattened channels first", 'layers.Flatten(name="flat")(x)',
        'layers.Flatten(name="flat")(layers.Permute((3, 1, 2), name="turned")(x))',
        STRUCTURE, "nothing after average ↔ turned",
    ),
]  # fmt: skip

ASTRAY = {
    "kernels zipped in creation order": ("kernels swapped", "project"),
    "norms zipped in creation order": ("norms swapped", "project_norm"),
    "gamma and variance swapped": ("gamma and variance swapped", "middle_norm"),
    "beta and mean swapped": ("beta and mean swapped", "middle_norm"),
    "height and width of a square kernel swapped": (
        "kernel height and width swapped", "middle",
    ),
    "flatten order of a kernel": ("flatten order of a kernel", "classes"),
    "statistics not moved": ("statistics not moved", "stem_norm"),
}  # fmt: skip
"""By name, the class of misplaced weights and the (later) layer that has them."""


def shipped(text: str) -> Callable:
    module: dict = {}
    exec(text, module)  # the port is a text, so that a bug is a change of a line
    return module["build"]


@pytest.fixture
def port(tmp_path, library, monkeypatch) -> Project:
    """A paper with this network, and a library that ships it."""
    for folder, name, text in (
        ("papers", "port.yaml", SPEC),
        ("implementations", "port.py", NETWORK),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    monkeypatch.setattr(keras.applications, "Port", shipped(NETWORK), raising=False)
    keras.utils.clear_session()  # a layer that the port does not name is named by counting
    return Project(tmp_path)


def contradicted(records: list[Record]) -> list[Record]:
    return [r for r in records if r.verdict is Verdict.CONTRADICTED]


def test_without_a_bug_nothing_is_contradicted(port):
    """The networks are the same, and so are outputs, gradients and a training step."""
    records = port.records(UNIT, run=True)
    assert [] == contradicted(records)
    assert {"outputs", "gradients", "structure"} <= {r.check for r in records}


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_a_bug_that_structure_sees_is_named(bug, port, monkeypatch):
    """At its operation, and first."""
    assert 1 == NETWORK.count(bug.old)
    broken = shipped(NETWORK.replace(bug.old, bug.new))
    monkeypatch.setattr(keras.applications, "Port", broken)
    found = contradicted(port.records(UNIT))
    said = [
        f"{r.claim}; {r.detail}".replace("no recorded deviation says so; ", "")
        if r.check == DEVIATION
        else r.detail
        for r in found
        if r.check == bug.check
    ]
    assert said, [(r.check, r.claim, r.detail) for r in found]
    assert said[0].startswith(bug.found)


@pytest.mark.parametrize("name", ASTRAY)
def test_weights_that_went_astray_are_named(name, port, monkeypatch):
    """Shapes fit and the graphs agree; the first operation that computes otherwise."""
    mutation, layer = ASTRAY[name]
    honest = proof.transfer

    def astray(source, target, alignment, values):
        moved = honest(source, target, alignment, values)
        (index,) = (i for i, op in enumerate(target.ops) if op.layer == layer)
        changed = WEIGHTS[mutation](target, index, moved.values)
        touched = {
            op.layer
            for op in target.ops
            if any(i in changed for w in op.weights for i in w.variables)
        }
        places.append((target, touched))
        return replace(moved, values={**moved.values, **changed})

    places: list = []
    monkeypatch.setattr(proof, "transfer", astray)
    found = [
        r for r in contradicted(port.records(UNIT, run=True)) if r.check == "outputs"
    ]
    (target, touched), *_ = places
    assert layer in touched
    first = next(op.layer for op in target.ops if op.layer in touched)
    assert {"float64, photographs", "float64, noise"} <= {r.claim for r in found}
    assert f"first operation {first} " in found[0].detail


def test_only_float64_sees_an_epsilon_of_1_001e_5(port):
    """Weights as they are stored, in a network with the other epsilon: the norm is named."""
    papers = port.papers()
    (official,) = papers["port"].spec.variants["port"].official
    chain = Chain(Networks(papers), papers["port"], "port", official)
    numbers, ours = Numbers(chain), chain.ours
    (index,) = (i for i, op in enumerate(ours.ops) if op.layer == "middle_norm")
    (mutant,) = mutants_at(ours, "epsilon slightly", [index])
    assert (1e-5, 1.001e-5) == tuple(
        pytest.approx(graph.ops[index].attrs["epsilon"], rel=1e-12)
        for graph in (ours, mutant.graph)
    )
    seen = numbers.run(mutant, same=True)
    assert (True, False) == (seen.float64, seen.float32)

    values = (
        numbers.values,
        {new: numbers.values[old] for new, old in enumerate(mutant.made.origin)},
    )
    graphs = ours, mutant.graph
    results = [
        outputs(graph, known, numbers.x)[0]
        for graph, known in zip(graphs, values, strict=True)
    ]
    gap = distance(results[1], results[0])
    assert FLOAT64_BUDGET < gap < 2.0**-24
    a, b = canonical(ours), canonical(mutant.graph)
    pairs = align(a, b)
    assert pairs.isomorphic
    found = first_outside(a, b, pairs.pairs, values, numbers.x)
    op, other = a.ops[found.index], b.ops[pairs.pairs[found.index]]
    assert "middle_norm" == op.layer
    assert ["epsilon 1e-05 → 1.001e-05"] == list(differences(op, other))
    apart = abs(found.values[0] - found.values[1])
    assert found.bound < apart < 1e-6


def test_the_transfer_absorbs_an_epsilon(port):
    """With the variance moved by it, the networks agree: what is left is to record it."""
    papers = port.papers()
    (official,) = papers["port"].spec.variants["port"].official
    numbers = Numbers(Chain(Networks(papers), papers["port"], "port", official))
    ours = numbers.chain.ours
    (index,) = (i for i, op in enumerate(ours.ops) if op.layer == "middle_norm")
    (mutant,) = mutants_at(ours, "epsilon slightly", [index])
    a, b = canonical(ours), canonical(mutant.graph)
    pairs = align(a, b)
    moved = transfer(a, b, pairs, numbers.values).values
    assert first_outside(a, b, pairs.pairs, (numbers.values, moved), numbers.x) is None
