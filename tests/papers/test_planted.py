"""Each error planted in a whole network or spec is contradicted, and by these checks.

What a plant leaves uncontradicted says as much: the stride on another convolution keeps
every size and every parameter, so that only the multiply-adds tell.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from reference_checks.graph import GraphError
from reference_checks.record import Verdict

IMPLEMENTATIONS = "implementations/{}.py"
SPECS = "papers/{}.yaml"


class Plant(NamedTuple):
    """`old` replaced by `new` makes `found` contradicted in the unit, and nothing else."""

    name: str
    file: str
    old: str
    new: str
    unit: str
    found: set[tuple[str, str | None]]


CONVNEXT = IMPLEMENTATIONS.format("convnext")
LENET = IMPLEMENTATIONS.format("lenet5")
MOBILENET = IMPLEMENTATIONS.format("mobilenet_v2")
NASNET = IMPLEMENTATIONS.format("nasnet")
RESNET = IMPLEMENTATIONS.format("resnet")
SQUEEZENET = IMPLEMENTATIONS.format("squeezenet")
VGG = IMPLEMENTATIONS.format("vgg")

CONVNEXT_T = "convnext/convnext_t/paper"
KERAS_CONVNEXT_T = "convnext/convnext_t/keras:ConvNeXtTiny"
LENET5 = "lenet5/lenet5/paper"
RESNET50 = "resnet/resnet50/paper"
KERAS_RESNET50 = "resnet/resnet50/keras:ResNet50"
MOBILENET_V2 = "mobilenet_v2/mobilenet_v2/paper"
KERAS_MOBILENET_V2 = "mobilenet_v2/mobilenet_v2_0.35/keras:MobileNetV2,alpha=0.35"
NASNET_MOBILE = "nasnet/nasnet_a_4_1056/paper"
KERAS_NASNET_MOBILE = "nasnet/nasnet_a_4_1056/keras:NASNetMobile"
SQUEEZENETS = "squeezenet/squeezenet{}/paper"
VGG16 = "vgg/vgg16/paper"
KERAS_VGG16 = "vgg/vgg16/keras:VGG16"

RES = ("res2", "res3", "res4", "res5")
STAGES = ("conv2_x", "conv3_x", "conv4_x", "conv5_x")
BLOCKS = tuple(f"block_{i}" for i in range(1, 6))
NORMAL = tuple(f"normal_{i}" for i in range(1, 4))
REDUCTION = tuple(f"reduction_{i}" for i in range(3))
STRIDE_ON_3X3 = (
    'width, 1, stride, name + "_1", relu=True)\n    x = conv(x, width, 3, 1,',
    'width, 1, 1, name + "_1", relu=True)\n    x = conv(x, width, 3, stride,',
)
FIRST_NORM = "layers.BatchNormalization(epsilon=1e-5,"
DEVIATIONS = (
    '{model: "keras:ResNet50", deviations: [conv-bias, norm-epsilon, pool-padding]}'
)
PARAMS, MULTIPLY_ADDS = ("accounting", "params"), ("accounting", "multiply_adds")
STRUCTURE = ("structure", None)


def rows(*names: str) -> set[tuple[str, str]]:
    return {("rows", name) for name in names}


def deviations(*names: str) -> set[tuple[str, str]]:
    return {("deviation", name) for name in names}


PRINTED = [
    Plant(
        "stride on another convolution", RESNET, *STRIDE_ON_3X3, RESNET50,
        {("multiply_adds", "Table 1"), ("multiply_adds", "Section 4.1")},
    ),
    Plant(
        "missing bias", LENET,
        "layers.Conv2D(6, 5, ", "layers.Conv2D(6, 5, use_bias=False, ", LENET5,
        {
            ("params", "c1"), ("connections", "c1"),
            ("params", "Section II.A"), ("connections", "Section II.A"),
        },
    ),
    Plant(
        "wrong padding", RESNET, "ZeroPadding2D(kernel // 2,", "ZeroPadding2D(1,",
        RESNET50, {("output size", "conv1"), ("output size", "conv2_x")},
    ),
    Plant(
        "ReLU for ReLU6", MOBILENET, "layers.ReLU(6, name", "layers.ReLU(name",
        MOBILENET_V2, rows(*(f"bottleneck_{i}" for i in range(1, 8))),
    ),
    Plant(
        "dropped projection", RESNET,
        "            if option:\n", '            if option and (row, i) != ("conv4_x", 1):\n',
        RESNET50, rows("conv4_x"),
    ),
    Plant(
        "dropped identity", RESNET,
        "            if option:\n", '            if option and (row, i) != ("conv4_x", 2):\n',
        RESNET50, rows("conv4_x"),
    ),
    Plant(
        "dropped identity before any projection", RESNET,
        "            if option:\n", '            if option and (width, i) != (16, 2):\n',
        "resnet/resnet20/paper", rows("maps_32x32"),
    ),
    Plant(
        "one projection too many", RESNET,
        'option == "B" and x.shape[-1] != filters',
        'option == "B" and (x.shape[-1] != filters or "conv5_x_2" in name)',
        RESNET50,
        rows("conv5_x") | {("multiply_adds", "Table 1"), ("multiply_adds", "Section 4.1")},
    ),
    Plant(
        "option B for A", RESNET,
        '"resnet34":  (basic,      "A"', '"resnet34":  (basic,      "B"',
        "resnet/resnet34/paper", rows(*STAGES[1:]),
    ),
    Plant(
        "option A for B", RESNET,
        '"resnet34b": (basic,      "B"', '"resnet34b": (basic,      "A"',
        "resnet/resnet34b/paper", rows(*STAGES[1:]),
    ),
    Plant(
        "option B for C", RESNET,
        '"resnet34c": (basic,      "C"', '"resnet34c": (basic,      "B"',
        "resnet/resnet34c/paper", rows(*STAGES) | {("projections", "Section 4.1")},
    ),
    Plant(
        "a block too few", RESNET,
        '"resnet18":  (basic,      "A",  (2,      2,      2,',
        '"resnet18":  (basic,      "A",  (2,      2,      1,',
        "resnet/resnet18/paper",
        rows("conv4_x") | {("depth", "Table 1"), ("multiply_adds", "Table 1")},
    ),
    Plant(
        "extra filter", RESNET, "conv(x, 64, 7, 2,", "conv(x, 65, 7, 2,",
        RESNET50, rows("conv1"),
    ),
    Plant(
        "swapped branches", LENET, "(0, 1, 2), (1, 2, 3),", "(1, 2, 3), (0, 1, 2),",
        LENET5, rows("c3"),
    ),
    Plant(
        "C3 wired wrongly", LENET, "(0, 3, 4, 5),", "(1, 3, 4, 5),", LENET5, rows("c3")
    ),
    Plant(
        "C3 wired to fewer maps", LENET, "(0, 3, 4, 5),", "(0, 3, 4),", LENET5,
        rows("c3") | {
            ("params", "c3"), ("connections", "c3"), ("params", "Section II.A"),
            ("connections", "Section II.A"), ("multiply_adds", "Figure 11"),
        },
    ),
    Plant(
        "kernel 5 for 7", CONVNEXT, "DepthwiseConv2D(7,", "DepthwiseConv2D(5,", CONVNEXT_T,
        rows(*RES) | {
            ("params", "Table 9"), ("params", "Table 8"), ("params", "Table 1"),
            ("multiply_adds", "Table 9"), ("multiply_adds", "Tables 1, 8 and 12"),
            ("multiply_adds", "Table 10"),
        },
    ),
    Plant(
        "ReLU for GELU", CONVNEXT, 'Activation("gelu"', 'Activation("relu"',
        CONVNEXT_T, rows(*RES),
    ),
    Plant(
        "dropped identity in a table without projections", CONVNEXT,
        'return layers.Add(name=name + "_add")([x, y])',
        'return y if name == "res3_2" else layers.Add(name=name + "_add")([x, y])',
        CONVNEXT_T, rows("res3"),
    ),
    Plant(
        "twice the depth of an isotropic network", CONVNEXT, "(384,  18, 0.1, False)",
        "(384,  36, 0.1, False)", "convnext/convnext_s_iso/paper",
        rows("blocks") | {("params", "Table 2"), ("multiply_adds", "Table 2")},
    ),
    Plant(
        "ReLU for the squashing function", LENET,
        "return 1.7159 * ops.tanh(2 / 3 * x)", "return ops.relu(x)",
        LENET5, rows("c1", "s2", "c3", "s4", "c5", "f6"),
    ),
    Plant(
        "no local response normalisation", VGG, '"vgg11_lrn": (True,',
        '"vgg11_lrn": (False,', "vgg/vgg11_lrn/paper", rows("block_1"),
    ),
    Plant(
        "local response normalisation in A", VGG, '"vgg11":     (False,',
        '"vgg11":     (True,', "vgg/vgg11/paper", rows("block_1"),
    ),
    Plant(
        "3x3 for C's 1x1", VGG,
        "(3, 3, 1),    (3, 3, 1),    (3, 3, 1)", "(3, 3, 1),    (3, 3, 1),    (3, 3, 3)",
        "vgg/vgg16_c/paper", rows("block_5") | {("params", "Table 2")},
    ),
    Plant(
        "another kernel in a block", NASNET,
        '("a", ("separable", 5, "h"), ("separable", 3, "g"))',
        '("a", ("separable", 3, "h"), ("separable", 3, "g"))', NASNET_MOBILE,
        rows(*NORMAL) | {("multiply_adds", "Table 3")},
    ),
    Plant(
        "another state for a block", NASNET,
        '("b", ("separable", 5, "g"), ("separable", 3, "g"))',
        '("b", ("separable", 5, "h"), ("separable", 3, "g"))', NASNET_MOBILE,
        rows(*NORMAL),
    ),
    Plant(
        "another block for a block", NASNET,
        '("identity",  1, "b")', '("identity",  1, "c")', NASNET_MOBILE,
        rows(*REDUCTION),
    ),
    Plant(
        "max for average pooling in a block", NASNET,
        '("d", ("average",   3, "a")', '("d", ("max",       3, "a")', NASNET_MOBILE,
        rows(*REDUCTION),
    ),
    Plant(
        "Figure 4's concatenation of five", NASNET, '"gabcde"', '"abcde"',
        NASNET_MOBILE,
        rows(*NORMAL)
        | {("channels", "normal_3"), ("params", "Table 3"), ("multiply_adds", "Table 3")},
    ),
    Plant(
        "Figure 4's concatenation of three", NASNET, '"bcde"', '"cde"', NASNET_MOBILE,
        rows(*REDUCTION) | {("params", "Table 3"), ("multiply_adds", "Table 3")},
    ),
    Plant(
        "another order of concatenation", NASNET, '"gabcde"', '"abcdeg"',
        NASNET_MOBILE, rows(*NORMAL),
    ),
    Plant(
        "separable convolutions applied once", NASNET,
        'return conv(x, filters, kernel, 1, name + "_2", layers.SeparableConv2D)',
        "return x", NASNET_MOBILE,
        rows(*NORMAL, *REDUCTION)
        | {("params", "Table 3"), ("multiply_adds", "Table 3")},
    ),
    Plant(
        "a wrong number of filters", SPECS.format("nasnet"),
        'printed: "1056"', 'printed: "1057"', NASNET_MOBILE, {("channels", "normal_3")},
    ),
    Plant(
        "a renamed row", VGG, 'f"pool_{row}"', 'f"pooling_{row}"',
        VGG16,
        # What has no row of its own belongs to the row that reads it.
        rows(*(f"pool_{i}" for i in range(1, 6)), "fc_1", *BLOCKS[1:]),
    ),
    Plant(
        "wrong printed digit", SPECS.format("lenet5"), '"151,600"', '"151,601"',
        LENET5, {("connections", "c3")},
    ),
    Plant(
        "wrong printed digit that still rounds in one reading only",
        SPECS.format("resnet"),
        '{quantity: multiply_adds, printed: "1.8x10^9", source: Table 1}',
        '{quantity: multiply_adds, printed: "1.9x10^9", source: Table 1}',
        "resnet/resnet18/paper", {("multiply_adds", "Table 1")},
    ),
    Plant(
        "wrong printed depth of a part", SPECS.format("resnet"),
        'printed: "91"', 'printed: "92"', "resnet/resnet101/paper",
        {("depth", "conv4_x")},
    ),
    Plant(
        "wrong printed cell", SPECS.format("vgg"),
        'E: "conv3-256; conv3-256; conv3-256; conv3-256"',
        'E: "conv3-256; conv3-256; conv3-256; conv1-256"',
        "vgg/vgg19/paper", rows("block_3"),
    ),
    Plant(
        "wrong row size", SPECS.format("resnet"),
        "conv4_x:\n        output: 14x14", "conv4_x:\n        output: 15x15",
        RESNET50, {("output size", "conv4_x")},
    ),
    Plant(
        "wrong row depth", SPECS.format("lenet5"), "10x10x16", "10x10x15",
        LENET5, {("output size", "c3")},
    ),
    Plant(
        "wrong size entering", SPECS.format("mobilenet_v2"),
        "{input: 28x28x32,", "{input: 28x28x24,", MOBILENET_V2,
        {("input size", "bottleneck_4")},
    ),
    Plant(
        "an erratum that vanished", SPECS.format("lenet5"), '"401"', '"326"',
        LENET5, {("multiply_adds", "Figure 11")},
    ),
    Plant(
        "an erratum that changed", SPECS.format("lenet5"),
        "measured: 325680", "measured: 325681", LENET5, {("multiply_adds", "Figure 11")},
    ),
    Plant(
        "an erratum of a row that vanished", MOBILENET, "if t > 1:", "if t > 0:",
        MOBILENET_V2,
        rows("bottleneck_1")
        | {("multiply_adds", "Table 4"), ("multiply_adds", "Section 4")},
    ),
    Plant(
        "an erratum of a row that changed", SPECS.format("mobilenet_v2"),
        "relu6; 1x1, 16, linear", "relu6; 1x1, 24, linear", MOBILENET_V2,
        rows("bottleneck_1"),
    ),
    Plant(
        "padding of the authors' code", SQUEEZENET,
        'conv(x, classes, 1, "conv10")',
        'conv(layers.ZeroPadding2D(1, name="conv10_pad")(x), classes, 1, "conv10")',
        SQUEEZENETS.format(""), {("output size", "conv10"), ("rows", "avgpool10")},
    ),
    Plant(
        "an input that was a misprint", "papers/squeezenet.yaml",
        "    name: SqueezeNet\n    table: table_1\n    input: [227, 227, 3]\n",
        "    name: SqueezeNet\n    table: table_1\n", SQUEEZENETS.format(""),
        {
            ("rows", "avgpool10"), ("output size", "conv1"), ("output size", "conv10"),
            *(("output size", f"fire{i}") for i in range(2, 10)),
            *(("output size", f"maxpool{i}") for i in (1, 4, 8)),
        },
    ),
    Plant(
        "dropped bypass", SQUEEZENET,
        "if bypass else y", 'if bypass and row != "fire5" else y',
        SQUEEZENETS.format("_simple_bypass"), rows("fire5"),
    ),
    Plant(
        "simple for complex bypass", SQUEEZENET, 'if bypass != "complex"', "if bypass",
        SQUEEZENETS.format("_complex_bypass"),
        {
            *rows("fire2", "fire4", "fire6", "fire8"),
            ("model_bytes", "Table 3"),
        },
    ),
    Plant(
        "another squeeze ratio", SQUEEZENET, "(0.75, ", "(1.0, ",
        SQUEEZENETS.format("_sr_0.75"), {("model_bytes", "Section 5.2, Figure 3")},
    ),
]  # fmt: skip

OFFICIAL = [
    Plant(
        "stride on another convolution", RESNET, *STRIDE_ON_3X3, KERAS_RESNET50,
        {MULTIPLY_ADDS, STRUCTURE},
    ),
    Plant(
        "missing norm", RESNET, 'return conv(x, 4 * width, 1, 1, name + "_3")',
        'return layers.Conv2D(4 * width, 1, use_bias=False, name=name + "_3")(x)',
        KERAS_RESNET50, {PARAMS, STRUCTURE},
    ),
    Plant(
        "missing bias", VGG,
        'padding="same", activation', 'padding="same", use_bias=False, activation',
        KERAS_VGG16, {PARAMS, *deviations("unrecorded bias")},
    ),
    Plant(
        "missing gamma", RESNET, FIRST_NORM, FIRST_NORM + " scale=False,",
        KERAS_RESNET50, {PARAMS, *deviations("unrecorded gamma")},
    ),
    Plant(
        "the library's epsilon", RESNET, "epsilon=1e-5", "epsilon=1.001e-5",
        KERAS_RESNET50, deviations("norm-epsilon"),
    ),
    Plant(
        "another epsilon", MOBILENET, "epsilon=1e-3", "epsilon=1e-5",
        KERAS_MOBILENET_V2, deviations("unrecorded epsilon"),
    ),
    Plant(
        "another momentum", MOBILENET, "momentum=0.997", "momentum=0.99",
        KERAS_MOBILENET_V2, deviations("norm-momentum", "unrecorded momentum"),
    ),
    Plant(
        "dropped dropout", VGG,
        '        x = layers.Dropout(0.5, name=name + "_dropout")(x)\n', "",
        KERAS_VGG16, deviations("no-dropout"),
    ),
    Plant(
        "another dropout rate", MOBILENET, "Dropout(0.2", "Dropout(0.3",
        KERAS_MOBILENET_V2, deviations("no-dropout", "unrecorded dropout"),
    ),
    Plant(
        "padding on one side", RESNET, "ZeroPadding2D(kernel // 2,",
        "ZeroPadding2D(kernel // 2 if kernel < 7 else ((2, 3), (2, 3)),",
        KERAS_RESNET50, {STRUCTURE},
    ),
    Plant(
        "ReLU for ReLU6", MOBILENET, "layers.ReLU(6, name", "layers.ReLU(name",
        KERAS_MOBILENET_V2, {STRUCTURE},
    ),
    Plant(
        "missing activation", RESNET,
        '"conv1", relu=True)', '"conv1")',
        KERAS_RESNET50, {STRUCTURE},
    ),
    Plant(
        "dropped shortcut", MOBILENET, "if s == 1 and k == c else y",
        'if s == 1 and k == c and "5_2" not in name else y',
        KERAS_MOBILENET_V2, {STRUCTURE},
    ),
    Plant(
        "another state for a block", NASNET,
        '("b", ("separable", 5, "g"), ("separable", 3, "g"))',
        '("b", ("separable", 5, "h"), ("separable", 3, "g"))', KERAS_NASNET_MOBILE,
        {STRUCTURE},
    ),
    Plant(  # no printed number or row tells
        "the cell before last for the one before", NASNET,
        "g, h = g if skip_reduced else h, reduced", "g, h = g, reduced", KERAS_NASNET_MOBILE,
        {STRUCTURE},
    ),
    Plant(  # nor here
        "the same positions twice", NASNET,
        'halves = [x, layers.Cropping2D(((1, 0), (1, 0)), name=name + "_shift")(y)]',
        "halves = [x, x]", KERAS_NASNET_MOBILE, {STRUCTURE},
    ),
    Plant(
        "zeros around what is pooled, unrecorded", SPECS.format("nasnet"),
        'NASNetMobile", deviations: [pooled-zeros, no-dropout]',
        'NASNetMobile", deviations: [no-dropout]', KERAS_NASNET_MOBILE, {STRUCTURE},
    ),
    Plant(
        "extra filter", MOBILENET, 'conv(x, scaled(32, width), 3',
        'conv(x, scaled(32, width) + 1, 3',
        KERAS_MOBILENET_V2, {PARAMS, MULTIPLY_ADDS, STRUCTURE},
    ),
    Plant(
        "tanh for exact GELU", CONVNEXT, 'layers.Activation("gelu",',
        'layers.Activation(lambda v: __import__("keras").ops.gelu(v, approximate=True),',
        KERAS_CONVNEXT_T, {STRUCTURE},
    ),
    Plant(
        "missing layer scale", CONVNEXT, "    if scaled:\n", "    if False:\n",
        KERAS_CONVNEXT_T, {PARAMS, *deviations("unrecorded scale")},
    ),
    Plant(
        "another epsilon of layer normalisation", CONVNEXT, "epsilon=1e-6", "epsilon=1e-5",
        KERAS_CONVNEXT_T, {STRUCTURE},
    ),
    Plant(
        "missing layer normalisation", CONVNEXT, '    y = norm(y, name)\n', "",
        KERAS_CONVNEXT_T, {PARAMS, STRUCTURE},
    ),
    Plant(
        "another kernel", CONVNEXT, "DepthwiseConv2D(7,", "DepthwiseConv2D(5,",
        KERAS_CONVNEXT_T, {PARAMS, MULTIPLY_ADDS, STRUCTURE},
    ),
    Plant(
        "another rate of stochastic depth", CONVNEXT, "(3, 3, 9, 3),  0.1)",
        "(3, 3, 9, 3),  0.2)", KERAS_CONVNEXT_T,
        deviations("stochastic-depth-t", "unrecorded dropout"),
    ),
    Plant(
        "another normalisation of the input", SPECS.format("convnext"),
        '"(0.0171247538316637,', '"(0.0171247538316638,', KERAS_CONVNEXT_T,
        deviations("input-scale", "unrecorded scale"),
    ),
    Plant(
        "a recorded cost that no longer holds", SPECS.format("resnet"),
        "params: {resnet50: 26560,", "params: {resnet50: 26561,",
        KERAS_RESNET50, {PARAMS, *deviations("conv-bias")},
    ),
    Plant(
        "a recorded number of layers that no longer holds", SPECS.format("resnet"),
        'official: "yes"\n    layers: {resnet50: 53,',
        'official: "yes"\n    layers: {resnet50: 52,',
        KERAS_RESNET50, deviations("conv-bias"),
    ),
    Plant(
        "an unrecorded deviation", SPECS.format("resnet"), DEVIATIONS,
        DEVIATIONS.replace("norm-epsilon, ", ""),
        KERAS_RESNET50, deviations("unrecorded epsilon"),
    ),
    Plant(
        "an unrecorded knob", SPECS.format("resnet"), DEVIATIONS,
        DEVIATIONS.replace(", pool-padding", ""), KERAS_RESNET50, {STRUCTURE},
    ),
    Plant(
        "a knob that is not needed", RESNET,
        "pool_pad=((0, 1), (0, 1))", "pool_pad=((1, 1), (1, 1))",
        KERAS_RESNET50, deviations("pool-padding"),
    ),
]  # fmt: skip


def test_the_units_that_errors_are_planted_in_hold_without_them(project):
    """The networks as they are contradict nothing."""
    units = {plant.unit for plant in PRINTED + OFFICIAL}
    assert {} == {u: found for u in sorted(units) if (found := project.contradicted(u))}


@pytest.mark.parametrize("plant", PRINTED, ids=lambda plant: plant.name)
def test_what_the_paper_prints_contradicts(plant, project):
    """The printed numbers and rows contradict the planted error, and say where."""
    project.plant(plant.file, plant.old, plant.new)
    assert plant.found == project.contradicted(plant.unit)


@pytest.mark.parametrize("plant", OFFICIAL, ids=lambda plant: plant.name)
def test_the_official_model_contradicts(plant, project):
    """The library's network contradicts the planted error, and says how."""
    project.plant(plant.file, plant.old, plant.new)
    assert plant.found == project.contradicted(plant.unit)


@pytest.mark.parametrize(
    ("plant", "named"),
    [
        ("stride on another convolution", "conv3_x_1"),
        ("missing norm", "conv2_x_1_3"),
        ("padding on one side", "conv1"),
        ("ReLU for ReLU6", "relu6"),
        ("extra filter", "conv_1"),
        ("tanh for exact GELU", "gelu"),
        ("another epsilon of layer normalisation", "layer norm: epsilon 1e-05 → 1e-06"),
        ("an unrecorded knob", "conv2_x_pool"),
    ],
)
def test_a_structural_difference_is_named(plant, named, project):
    """The structure's record names the first layer that differs."""
    (plant,) = [p for p in OFFICIAL if p.name == plant]
    project.plant(plant.file, plant.old, plant.new)
    (structure,) = [r for r in project.records(plant.unit) if r.check == "structure"]
    assert named in structure.detail


def test_where_the_structure_differs_deviations_are_not_judged(project):
    """They are not run, neither held nor vanished: nothing was compared."""
    project.plant(RESNET, *STRIDE_ON_3X3)
    records = project.records(KERAS_RESNET50)
    assert {"conv-bias", "norm-epsilon"} == {
        r.claim for r in records if (r.check, r.verdict) == ("deviation", "not run")
    }


def test_a_coefficient_that_nothing_uses_is_refused(project):
    """A weight that the network only holds is an error that names it."""
    project.plant(
        LENET, "return total * self.coefficient + self.bias", "return total + self.bias"
    )
    with pytest.raises(
        GraphError, match="no operation uses the weight 's2/coefficient'"
    ):
        project.records(LENET5)


def test_sub_sampling_without_its_coefficient_is_contradicted(project):
    """The row, its parameters and the totals need the trainable coefficient."""
    text = (project.root / LENET).read_text()
    start = text.index("        self.coefficient = self.add_weight(")
    end = text.index("        self.bias = self.add_weight(")
    project.plant(LENET, text[start:end], "")
    project.plant(
        LENET, "total * self.coefficient + self.bias", "total / 4 + self.bias"
    )
    assert {
        ("rows", "s2"), ("params", "s2"), ("rows", "s4"), ("params", "s4"),
        ("params", "Section II.A"),
    } == project.contradicted(LENET5)  # fmt: skip


def test_an_erratum_for_another_papers_network_is_checked(project):
    """What one paper prints about another's network is held against that network."""
    project.plant(SPECS.format("resnet"), "counts: [conv]\n", "counts: [dense]\n")
    first, *_ = project.records("resnet/vgg16/paper")
    assert (Verdict.CONTRADICTED, "15.3 billion") == (first.verdict, first.printed)
    assert "its convention counts 123,633,664" in first.detail
