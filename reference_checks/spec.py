"""The data of a spec: what `papers/*.yaml` may say, and nothing else.

These frozen structs are the single definition of the format: the loader converts into
them, `papers/schema.json` is generated from them, and their descriptions are what an
editor shows on hover.  Printed values stay strings, digit for digit: the number of digits
is data.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

MAX_BYTES = 2_000_000  # of a spec


def about(description: str, *examples: object) -> Meta:
    """What an editor says of a key: what stands there, and how it looks."""
    return Meta(description=description, examples=list(examples))


Identifier = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_.]*$")]
Slug = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]*$")]
Text = Annotated[str, Meta(min_length=1)]
Where = Annotated[
    str,
    Meta(min_length=1),
    about(
        "Table, figure, section or equation; or the URL of a later source.",
        "Table 1", "Section 4.2", "Figure 3",
    ),
]  # fmt: skip
Printed = Annotated[
    str,
    Meta(min_length=1),
    about(
        "The value digit for digit, in quotes: the digits decide what rounds.",
        "3.8x10^9", "60,000", "5.3M", "25.0", "18%",
    ),
]  # fmt: skip
PerVariant = int | Mapping[str, int]
Unit = Literal["thousand", "million", "billion", "percent"]

MEASURED = (
    "params",
    "multiply_adds",
    "depth",
    "depthwise_layers",
    "projections",
    "connections",
    "neurons",
    "channels",
    "activation_bytes",
    "model_bytes",
)
RECORDED = (
    "top1_error",
    "top5_error",
    "top1_accuracy",
    "top5_accuracy",
    "error",
    "map",
    "miou",
    "cpu_ms",
    "recorded_params",
    "recorded_multiply_adds",
)
Quantity = Literal[MEASURED + RECORDED]
Counted = Literal[
    "kernel", "bias", "norm", "statistics", "fixed",
    "conv", "dense", "pool", "activation", "add", "lrn",
]  # fmt: skip
Counts = Annotated[
    list[Counted],
    about(
        "What is counted.  Parameters: kernel, bias, norm (gamma and beta), statistics"
        " (moving mean and variance), fixed (set by hand, never trained).  Operations:"
        " conv, dense, and, rarely, norm, bias, activation, pool, add, lrn.",
        ["kernel", "bias", "norm"], ["conv", "dense"],
    ),
]  # fmt: skip
RowErratum = Annotated[
    str | None,
    about("The entry under `errata` that accounts for the row or a size.", "stride"),
]


class Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """Keys with values; a key that is not declared is an error."""


class Convention(Entry):
    """What the paper counts when it prints a quantity."""

    counts: Counts
    source: Where
    factor: Annotated[
        Literal[1, 2],
        about("2 where the paper counts a multiply-add as two operations.", 2),
    ] = 1


class Conventions(Entry):
    """The paper's conventions; a claim may name its own."""

    params: Annotated[
        Convention | None,
        about(
            "What counts as a parameter; if left out: kernel, bias and norm.",
            {"counts": ["kernel", "bias"], "source": "Table 1"},
        ),
    ] = None
    multiply_adds: Annotated[
        Convention | None,
        about(
            "What counts as a multiply-add; if left out: conv and dense.",
            {"counts": ["conv", "dense"], "source": "Table 1"},
        ),
    ] = None


class Silent(Entry):
    """What the paper leaves open, what is chosen here, and from where."""

    what: Annotated[Text, about("What the paper does not say.", "padding of conv1")]
    chosen: Annotated[Text, about("What the implementation does.", "none", "1e-5")]
    source: Where


class OneSource(Entry):
    """Printed numbers that stand in one source alone: a slip of it would go unseen."""

    what: Annotated[Text, about("Which numbers.", "SVHN's errors in Table 2")]
    source: Annotated[
        Text, about("Where they were read.", "a text copy", "the PDF, from memory")
    ]
    held: Annotated[
        Text | None,
        about(
            "What speaks for them all the same.",
            "the network counts to the printed digits",
        ),
    ] = None


class Claim(Entry):
    """One number that the paper prints."""

    quantity: Annotated[
        Quantity,
        about(
            "What the number counts.  Errors, accuracies, times and `recorded_…` are"
            " printed results that are not measured here.",
            "params",
            "multiply_adds",
            "depth",
            "top1_error",
        ),
    ]
    printed: Printed
    source: Where
    unit: Annotated[
        Unit | None,
        about("The unit that the table's heading gives to the digits.", "million"),
    ] = None
    row: Annotated[
        str | None,
        about(
            "The row whose output, or up to whose end, the number counts.", "conv2_x"
        ),
    ] = None
    counts: Counts = field(default_factory=list)
    relative_to: Annotated[
        str | None,
        about("A variant: the printed value is a ratio to its quantity.", "vgg19"),
    ] = None
    minus: Annotated[
        str | None,
        about(
            "A variant: the printed value is the difference to its quantity.", "vgg16"
        ),
    ] = None
    at: Annotated[
        str | None, about("The map size that the number is printed for.", "56x56")
    ] = None
    erratum: Annotated[
        str | None,
        about("The entry under `errata` that accounts for it.", "all-neurons"),
    ] = None
    protocol: Annotated[
        str | None, about("How a result was measured.", "10-crop, val")
    ] = None
    note: Annotated[
        str | None,
        about("What a reader needs to understand it.", "Printed as an upper bound."),
    ] = None


class Row(Entry):
    """One row of a layer table.

    `columns` hold the printed cell of each column (`all` for every column), in the layer-table
    notation; sizes are printed as `112x112` or `112x112x64`.
    """

    columns: Annotated[
        Mapping[str, str],
        about(
            "Column name (or `all`) to its cell, in layer-table notation.",
            {"all": "7x7, 64, stride 2"},
            {"18-layer": "[3x3, 64; 3x3, 64] x2"},
        ),
    ] = field(default_factory=dict)
    input: Annotated[
        str | None, about("Printed size entering.", "224x224x3", "56x56")
    ] = None
    output: Annotated[
        str | None, about("Printed size leaving.", "112x112x64", "56x56")
    ] = None
    symbols: Annotated[
        Mapping[str, int],
        about(
            "The row's own columns of numbers, as the paper calls them.",
            {"t": 6, "c": 24, "n": 2, "s": 2},
        ),
    ] = field(default_factory=dict)
    shortcut: Annotated[
        Mapping[str, str],
        about(
            "Variant, column (or `all`) to the row's shortcuts that are not the identity,"
            " in order; layer tables leave them out.  `identity` where there is none.",
            {"50-layer": "1x1, 256"},
        ),
    ] = field(default_factory=dict)
    claims: Annotated[
        list[Claim],
        about(
            "Numbers printed for this row alone.",
            [{"quantity": "params", "printed": "112K", "source": "Table 1"}],
        ),
    ] = field(default_factory=list)
    erratum: RowErratum = None


class Module(Entry):
    """A building block that cells name, in layer-table notation over symbols."""

    notation: Annotated[
        Text,
        about(
            "The block as a cell, over the table's symbols.",
            "1x1, s, relu; {1x1, e1, relu | 3x3, e3, relu}",
        ),
    ]
    source: Where


class Table(Entry):
    """A layer table of the paper, row by row."""

    source: Where
    rows: Annotated[
        dict[Identifier, Row],
        about(
            "The rows in the paper's order, by the paper's names: every layer of the"
            " implementation starts with the name of its row.",
            {"conv1": {"output": "112x112", "columns": {"all": "7x7, 64, stride 2"}}},
        ),
    ]
    modules: Annotated[
        Mapping[Identifier, Module],
        about(
            "Building blocks that the cells name.",
            {"fire": {"notation": "1x1, s; 3x3, e", "source": "Figure 1"}},
        ),
    ] = field(default_factory=dict)
    totals: Annotated[
        list[Claim],
        about(
            "Printed totals that the rows' claims add up to.",
            [{"quantity": "params", "printed": "1,248,424", "source": "Table 1"}],
        ),
    ] = field(default_factory=list)


class Official(Entry):
    """A model that a library ships under this variant's name."""

    model: Annotated[
        str,
        Meta(pattern=r"^(keras|keras_cv|keras_hub|tf_keras|tfhub):.+$"),
        about("Its name.", "keras:ResNet50", "keras:MobileNetV2,alpha=1.4"),
    ]
    deviations: Annotated[
        list[Slug],
        about(
            "The entries under `deviations` that it has, all of them.",
            ["conv-bias", "norm-epsilon"],
        ),
    ] = field(default_factory=list)


class Variant(Entry):
    """One network of the paper."""

    name: Annotated[Text, about("As the paper calls it.", "ResNet-50")]
    network: Annotated[
        Identifier | None,
        about("The implementation's variant, where it has another name.", "resnet50"),
    ] = None
    table: Annotated[
        str | None, about("The entry under `tables` that it is printed in.", "table_1")
    ] = None
    column: Annotated[str | None, about("Its column of the table.", "50-layer")] = None
    printed: Annotated[
        bool,
        about(
            "False where the table lends its row names but prints another size.", False
        ),
    ] = True
    input: Annotated[
        list[int],
        Meta(min_length=3, max_length=3),
        about("Height, width, channels.", [224, 224, 3]),
    ] = field(default_factory=lambda: [224, 224, 3])
    classes: Annotated[int, about("Of the classifier.", 1000, 10)] = 1000
    symbols: Annotated[
        Mapping[str, int],
        about("What the table's symbols stand for in this variant.", {"n": 18}),
    ] = field(default_factory=dict)
    claims: Annotated[
        list[Claim],
        about(
            "Numbers printed for the network as a whole.",
            [{"quantity": "depth", "printed": "50", "source": "Table 1"}],
        ),
    ] = field(default_factory=list)
    official: Annotated[
        list[Official],
        about("Models that libraries ship.", [{"model": "keras:ResNet50"}]),
    ] = field(default_factory=list)


class Deviation(Entry):
    """What an official model does differently, and what that costs, exactly.

    Either a rewrite absorbs it (`absorbed_by`, with the two values where an attribute
    differs) or no rewrite can and the implementation has a knob for it.
    """

    what: Annotated[
        Text,
        about("The difference, in one sentence.", "Convolutions keep a bias."),
    ]
    source: Where
    absorbed_by: Annotated[
        str | None, about("The rewrite's name.", "bias into norm", "norm constants")
    ] = None
    attribute: Annotated[str | None, about("What differs.", "bias", "epsilon")] = None
    ours: Annotated[
        str | None,
        about(
            "The attribute's value in the faithful network; where it differs from layer to"
            " layer, the smallest and the largest.",
            "1e-5",
            "0.00588235 to 0.1",
        ),
    ] = None
    official: Annotated[
        str | None,
        about("The attribute's value in the official model.", "1.001e-5"),
    ] = None
    layers: Annotated[
        PerVariant | None,
        about("In how many layers, of all variants or of each.", 53, {"resnet50": 53}),
    ] = None
    at: Annotated[
        str | None,
        about(
            "The first of these layers, by its name in the implementation, or in the"
            " official model if the implementation has nothing there.",
            "fc_1_dropout",
        ),
    ] = None
    knob: Annotated[
        str | None, about("Keyword of the implementation's `build`.", "pool_pad")
    ] = None
    value: Annotated[
        str | int | float | bool | list | None,
        about("The knob's value for the official model.", [[1, 1], [1, 1]], True),
    ] = None
    params: Annotated[
        PerVariant,
        about(
            "Parameters more than the faithful network's, of all variants or of each.",
            26560,
            {"resnet50": 26560},
        ),
    ] = 0
    multiply_adds: Annotated[
        PerVariant,
        about(
            "Multiply-adds more than the faithful network's, of all variants or of each.",
            -375717888,
        ),
    ] = 0


class Erratum(Entry):
    """Where the paper contradicts itself, its code, or what can be measured.

    `measured` is the exact value (an integer, a size, or the row's notation) that every
    run finds again.  With `counts`, a convention under which the printed digits come out,
    or `cost`, what exactly is too much or too little in the printed row, the difference is
    accounted for and the verdict is *explained*; with `tried` alone it stays *unexplained*.
    """

    what: Annotated[
        Text,
        about(
            "What is printed, and what holds.",
            "Table 1 prints 13x12x512; the map is square.",
        ),
    ]
    source: Where
    measured: Annotated[
        int | float | str | Mapping[str, int] | None,
        about(
            "The exact measured value, size, or row in notation; or one value for each"
            " variant.",
            659272,
            "13x13x512",
            "3x3 depthwise, relu",
            {"resnet50": 25636712},
        ),
    ] = None
    counts: Counts = field(default_factory=list)
    cost: Annotated[
        Mapping[str, int],
        about(
            "What the printed value has more than the measured one, exactly.",
            {"params": 1152, "multiply_adds": 12845056},
        ),
    ] = field(default_factory=dict)
    tried: Annotated[
        list[Text],
        about(
            "What was computed to account for it, in vain, with what came out.",
            ["with the biases: 60.97M", "at 227x227: 61.1M"],
        ),
    ] = field(default_factory=list)


class Spec(Entry):
    """One paper, transcribed."""

    title: Annotated[
        Text,
        about(
            "As the paper prints it.", "Deep Residual Learning for Image Recognition"
        ),
    ]
    authors: Annotated[
        list[Text],
        about("In the paper's order.", ["Kaiming He", "Xiangyu Zhang"]),
    ]
    year: Annotated[int, about("Of its first version.", 2015)]
    venue: Annotated[Text, about("Where it appeared.", "CVPR 2016", "arXiv")]
    idea: Annotated[
        Text,
        about(
            "What was new, in one sentence.",
            "Blocks learn a correction to the identity, so that depth stops hurting.",
        ),
    ]
    limits: Annotated[
        Text,
        about(
            "What it does not solve, in one sentence.",
            "The dense layers hold nine tenths of the parameters.",
        ),
    ]
    tables: Annotated[
        Mapping[Identifier, Table],
        about(
            "The layer tables, by names of their own.",
            {"table_1": {"source": "Table 1", "rows": {}}},
        ),
    ]
    variants: Annotated[
        dict[Identifier, Variant],
        about(
            "The networks, by the names that commands and `build` know them by.",
            {"resnet50": {"name": "ResNet-50", "table": "table_1"}},
        ),
    ]
    arxiv: Annotated[
        Annotated[str, Meta(pattern=r"^\d{4}\.\d{4,5}(v\d+)?$")] | None,
        about("Its number, with the version that is transcribed.", "1512.03385v1"),
    ] = None
    url: Annotated[
        str | None,
        about("Where to read it, if not on arXiv.", "https://example.org/paper.pdf"),
    ] = None
    conventions: Annotated[
        Conventions,
        about(
            "What the paper counts.",
            {"params": {"counts": ["kernel", "bias"], "source": "Table 1"}},
        ),
    ] = field(default_factory=Conventions)
    silent: Annotated[
        list[Silent],
        about(
            "What the paper leaves open, what is chosen, and from where.",
            [{"what": "epsilon", "chosen": "1e-5", "source": "authors' code"}],
        ),
    ] = field(default_factory=list)
    one_source: Annotated[
        list[OneSource],
        about(
            "Printed numbers that no second, independent source was found for.",
            [{"what": "Table 2", "source": "a text copy"}],
        ),
    ] = field(default_factory=list)
    no_official: Annotated[
        str | None,
        about(
            "Why there is no official model, where there is none.",
            "Keras, KerasCV, KerasHub and TF Hub ship none.",
        ),
    ] = None
    others: Annotated[
        Mapping[str, list[Claim]],
        about(
            "Variants of other papers to what this paper prints about them.",
            {"vgg16": [{"quantity": "params", "printed": "138M", "source": "Table 8"}]},
        ),
    ] = field(default_factory=dict)
    deviations: Annotated[
        Mapping[Slug, Deviation],
        about(
            "What official models do differently, by names of their own.",
            {"conv-bias": {"what": "Convolutions keep a bias.", "source": "its code"}},
        ),
    ] = field(default_factory=dict)
    errata: Annotated[
        Mapping[Slug, Erratum],
        about(
            "Where the paper contradicts itself or what is measured, by names of their own.",
            {"all-neurons": {"what": "650,000 are 659,272.", "source": "Abstract"}},
        ),
    ] = field(default_factory=dict)
