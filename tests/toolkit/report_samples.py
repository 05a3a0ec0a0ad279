"""A run over two papers, for the tests of what is made of it."""

from dataclasses import replace

from reference_checks.measured import Network, RowCosts
from reference_checks.record import Record, Verdict
from reference_checks.results import Identity, Results
from reference_checks.spec import Deviation, Erratum, Silent

OFFICIAL = "keras:ResNet50"
HOSTILE = '<script>alert("x")</script> | [red]&amp;'
STRIDE = Record(
    "resnet", "resnet50", "paper", "multiply_adds", Verdict.CONTRADICTED,
    claim="Table 1", printed="3.8x10^9", measured=4089184256,
    detail="neither rounds nor truncates to the printed digits",
    at="papers/resnet.yaml:41:9",
)  # fmt: skip


CODE = """\
from keras import Input, Model, layers

ROWS = ("conv2_x", "conv3_x")


def build(variant):
    x = inputs = Input((224, 224, 3))
    x = layers.Conv2D(64, 7, 2, name="conv1")(x)
    return Model(inputs, x, name="<variant> & more")
"""


def resnet():
    """ResNet-50 and what Keras ships under its name, with one thing not run."""
    rows = {
        "conv1": ("112x112", 64, "7x7, 64, stride 2"),
        "conv2_x": ("56x56", 256, "[1x1, 64; 3x3, 64; 1x1, 256] x3"),
        "conv3_x": ("28x28", 512, "[1x1, 128; 3x3, 128; 1x1, 512] x4"),
        "conv4_x": ("14x14", 1024, "[1x1, 256; 3x3, 256; 1x1, 1024] x6"),
        "conv5_x": ("7x7", 2048, "[1x1, 512; 3x3, 512; 1x1, 2048] x3"),
    }
    cost = "params 26,560; multiply-adds 0"
    bias = "conv-bias: every convolution keeps a bias"
    paired = "161 paired, 53 absorbed by bias into norm, 0 left over"
    exact, close = Verdict.EXACT, Verdict.WITHIN_BUDGET
    ours = [  # check, verdict, row, claim, printed, measured, detail
        (
            "multiply_adds",
            Verdict.TRUNCATES,
            None,
            "Table 1",
            "3.8x10^9",
            3857973248,
            "",
        ),
        ("depth", exact, None, "Table 1", "50", 50, ""),
        (
            "top1_error",
            Verdict.RECORDED,
            None,
            "Table 3",
            "22.85 percent",
            None,
            "10-crop, val",
        ),
    ]
    official = [
        ("deviation", exact, None, "conv-bias", cost, cost, ""),
        ("accounting", exact, None, "params", "25,636,712", 25636712, ""),
        ("accounting", exact, None, "multiply_adds", "3,857,973,248", 3857973248, ""),
        ("structure", Verdict.PROVEN, None, None, None, None, "174 operations paired"),
        ("transfer", exact, None, "ours → official", None, None, "161 paired"),
        ("transfer", exact, None, "official → ours", None, None, paired),
        ("outputs", close, None, "float64, photographs", None, 8.71e-15, ""),
        ("activations", close, "conv2_x", None, None, 2.11e-15, ""),
        ("activations", Verdict.BIT_EQUAL, "conv1", None, None, 0.0, ""),
        ("published weights", Verdict.NOT_RUN, None, None, None, None, "offline"),
    ]
    for row, (size, channels, cell) in rows.items():
        whole = f"{size}x{channels}"
        ours.append(("rows", exact, row, "Table 1", cell, cell, ""))
        ours.append(("output size", exact, row, "Table 1", size, whole, ""))
        same = (exact, row, "Table 1", cell, cell, "")
        biased = (Verdict.EXPLAINED, row, "Table 1", cell, cell, bias)
        official.append(("rows", *(biased if row == "conv2_x" else same)))
    for subject, found in (("paper", ours), (OFFICIAL, official)):
        for fields in found:
            record = Record("resnet", "resnet50", subject, *fields)
            used = ("bias into norm",) if record.check == "structure" else ()
            yield replace(record, rewrites=used)


def sample(*more, title="Deep Residual Learning for Image Recognition"):
    """A run over two papers: one holds, of the other a number stays unexplained."""
    papers = {
        "mobilenet_v2": Identity(
            title="MobileNetV2: Inverted Residuals and Linear Bottlenecks",
            authors=["Mark Sandler", "Andrew Howard"],
            year=2018,
            venue="CVPR 2018",
            idea="Thin bottlenecks carry the shortcut, wide layers do the work.",
            limits="Depthwise convolutions leave large accelerators idle.",
            digest="b" * 64,
            url="https://arxiv.org/abs/1801.04381",
            no_official="no library under test ships this width",
            variants={"mobilenet_v2_1.4": "MobileNetV2 (1.4)"},
            errata={
                "params-1.4": Erratum(
                    "The width 1.4 prints 6.9M parameters.", "Table 4",
                    measured=6108776,
                    tried=["batch-norm statistics counted", "1024² for a million"],
                )
            },
        ),
        "resnet": Identity(
            title=title,
            authors=["Kaiming He", "Xiangyu Zhang", "Shaoqing Ren", "Jian Sun"],
            year=2015,
            venue="CVPR 2016",
            idea="Residual blocks learn a correction, so depth stops hurting.",
            limits="On their own plain ResNets are no longer state of the art.",
            digest="a" * 64,
            source=CODE,
            url="https://arxiv.org/abs/1512.03385",
            variants={"resnet50": "50-layer"},
            silent=[Silent("batch-norm epsilon", "1e-5", "authors' Caffe prototxt")],
            deviations={
                "conv-bias": Deviation(
                    "Convolutions before batch normalisation keep a bias.",
                    "https://github.com/keras-team/keras/pull/16363",
                    absorbed_by="bias into norm", attribute="bias", ours="no",
                    official="yes", params={"resnet50": 26560},
                )
            },
        ),
    }  # fmt: skip
    width = Record(
        "mobilenet_v2", "mobilenet_v2_1.4", "paper", "params", Verdict.UNEXPLAINED,
        claim="Table 4", printed="6.9M", measured=6108776, detail="see params-1.4",
    )  # fmt: skip
    environment = {
        "date": "2026-11-22T12:00:00+00:00",
        "python": "3.11.7",
        "platform": "Linux",
        "backend": "tensorflow",
        "device": "CPU",
        "packages": {"keras": "3.15.1", "tensorflow": "2.21.0"},
    }
    sizes = {
        "conv1": RowCosts(9536, 118013952, [112, 112, 64], [8], 8),
        "conv2_x": RowCosts(215808, 667942912, [56, 56, 256], [3, 8], 3),
        "conv3_x": RowCosts(1219584, 950534144, [28, 28, 512], [3, 8], 3),
        "conv4_x": RowCosts(7098368, 1387266048, [14, 14, 1024]),
        "fc": RowCosts(2049000, 2048000, [1000]),
    }
    networks = {
        "resnet/resnet50": Network(25557032, 3857973248, [224, 224, 3], 1000, sizes),
        "mobilenet_v2/mobilenet_v2_1.4": Network(
            6108776, 582207616, [224, 224, 3], 1000
        ),
    }
    records = (width, *resnet(), *more)
    return Results(environment, papers, {}, records, networks)


def mutants(*more):
    """What the checks would have caught in the network of the sample."""
    from reference_checks.mutate.kept import Mutants, Part, Plan
    from reference_checks.mutate.result import Result

    about = ("resnet", "resnet50", OFFICIAL)
    seen = ("rows", "structure")
    results = (
        Result(*about, "stride moved", "conv3_x_1", seen, "detected", True, True, ("conv3_x_1",), True),
        Result(*about, "momentum", "conv1_norm", ("training step",), "detected", True, True, ("conv1_norm",), False),
        Result(*about, "padding size", "conv1", (), "equivalent", False, False, (), False, ("unread padding",)),
        *more,
    )  # fmt: skip
    unit = f"resnet/resnet50/{OFFICIAL}"
    missing = Part("googlenet/googlenet/tfhub:x", "", missing="offline")
    parts = (Part(unit, "abc", results, cpu=90.0), missing)
    return Mutants(
        Plan(("stride moved", "momentum", "padding size"), 3, 7, False), parts
    )
