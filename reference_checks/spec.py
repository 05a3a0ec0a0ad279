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

Identifier = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_.]*$")]
Slug = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]*$")]
Text = Annotated[str, Meta(min_length=1)]
Where = Annotated[
    str,
    Meta(
        min_length=1,
        description="Table, figure, section or equation; or the URL of a later source.",
        examples=["Table 1", "Section 4.2", "Figure 3"],
    ),
]
Printed = Annotated[
    str,
    Meta(
        min_length=1,
        description="The value digit for digit, in quotes: the digits decide what rounds.",
        examples=["3.8x10^9", "60,000", "5.3M", "25.0", "18%"],
    ),
]
Count = Annotated[int, Meta(description="An exact integer, measured.")]
PerVariant = Annotated[
    int | Mapping[str, int],
    Meta(description="One integer for all variants, or one for each variant."),
]
Unit = Annotated[
    Literal["thousand", "million", "billion", "percent"],
    Meta(description="The unit that the table's heading gives to the printed digits."),
]

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
Quantity = Annotated[
    Literal[MEASURED + RECORDED],
    Meta(
        description=(
            "What the number counts.  Errors, accuracies, times and `recorded_…` are"
            " printed results that are not measured here."
        )
    ),
]
Counted = Annotated[
    Literal[
        "kernel", "bias", "norm", "statistics", "fixed",
        "conv", "dense", "pool", "activation", "add", "lrn",
    ],
    Meta(
        description=(
            "What is counted.  Parameters: kernel, bias, norm (gamma and beta), statistics"
            " (moving mean and variance), fixed (set by hand, never trained).  Operations:"
            " conv, dense, and, rarely, norm, bias, activation, pool, add, lrn."
        )
    ),
]  # fmt: skip


class Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """Keys with values; a key that is not declared is an error."""


class Convention(Entry):
    """What the paper counts when it prints a quantity."""

    counts: list[Counted]
    source: Where
    factor: Annotated[
        Literal[1, 2],
        Meta(description="2 where the paper counts a multiply-add as two operations."),
    ] = 1


class Conventions(Entry):
    """The paper's conventions; a claim may name its own."""

    params: Convention | None = None
    multiply_adds: Convention | None = None


class Silent(Entry):
    """What the paper leaves open, what is chosen here, and from where."""

    what: Text
    chosen: Text
    source: Where


class Claim(Entry):
    """One number that the paper prints."""

    quantity: Quantity
    printed: Printed
    source: Where
    unit: Unit | None = None
    row: Annotated[
        str | None,
        Meta(
            description="The row whose output, or up to whose end, the number counts."
        ),
    ] = None
    counts: list[Counted] = field(default_factory=list)
    relative_to: Annotated[
        str | None,
        Meta(description="A variant: the printed value is a ratio to its quantity."),
    ] = None
    minus: Annotated[
        str | None,
        Meta(
            description="A variant: the printed value is the difference to its quantity."
        ),
    ] = None
    at: Annotated[
        str | None,
        Meta(
            description="The map size that the number is printed for.",
            examples=["56x56"],
        ),
    ] = None
    erratum: Annotated[
        str | None, Meta(description="The entry under `errata` that accounts for it.")
    ] = None
    protocol: Annotated[
        str | None, Meta(description="How a result was measured.", examples=["10-crop"])
    ] = None
    note: str | None = None


class Row(Entry):
    """One row of a layer table.

    `columns` hold the printed cell of each column (`all` for every column), in the layer-table
    notation; sizes are printed as `112x112` or `112x112x64`.
    """

    columns: Annotated[
        Mapping[str, str],
        Meta(
            description="Column name (or `all`) to its cell, in layer-table notation."
        ),
    ] = field(default_factory=dict)
    input: Annotated[str | None, Meta(description="Printed size entering.")] = None
    output: Annotated[str | None, Meta(description="Printed size leaving.")] = None
    symbols: Annotated[
        Mapping[str, int],
        Meta(description="The row's own columns of numbers, e.g. t, c, n, s."),
    ] = field(default_factory=dict)
    shortcut: Annotated[
        Mapping[str, str],
        Meta(
            description=(
                "Variant, column (or `all`) to the row's shortcuts that are not the identity,"
                " in order; layer tables leave them out.  `identity` where there is none."
            )
        ),
    ] = field(default_factory=dict)
    claims: Annotated[
        list[Claim], Meta(description="Numbers printed for this row alone.")
    ] = field(default_factory=list)
    erratum: Annotated[
        str | None, Meta(description="The entry under `errata` that accounts for it.")
    ] = None


class Module(Entry):
    """A building block that cells name, in layer-table notation over symbols."""

    notation: Text
    source: Where


class Table(Entry):
    """A layer table of the paper, row by row."""

    source: Where
    rows: dict[Identifier, Row]
    modules: Mapping[Identifier, Module] = field(default_factory=dict)
    totals: Annotated[
        list[Claim], Meta(description="Printed totals that the rows' claims add up to.")
    ] = field(default_factory=list)


class Official(Entry):
    """A model that a library ships under this variant's name."""

    model: Annotated[
        str,
        Meta(
            pattern=r"^(keras|keras_cv|keras_hub|tf_keras|tfhub):.+$",
            examples=["keras:ResNet50", "keras:MobileNetV2,alpha=1.4"],
        ),
    ]
    deviations: list[Slug] = field(default_factory=list)


class Variant(Entry):
    """One network of the paper."""

    name: Annotated[Text, Meta(description="As the paper calls it.")]
    network: Annotated[
        Identifier | None,
        Meta(description="The implementation's variant, where it has another name."),
    ] = None
    table: str | None = None
    column: Annotated[str | None, Meta(description="Its column of the table.")] = None
    printed: Annotated[
        bool,
        Meta(
            description="False where the table lends its row names but prints another size."
        ),
    ] = True
    input: Annotated[
        list[int],
        Meta(description="Height, width, channels.", min_length=3, max_length=3),
    ] = field(default_factory=lambda: [224, 224, 3])
    classes: int = 1000
    symbols: Mapping[str, int] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    official: list[Official] = field(default_factory=list)


class Deviation(Entry):
    """What an official model does differently, and what that costs, exactly.

    Either a rewrite absorbs it (`absorbed_by`, with the two values where an attribute
    differs) or no rewrite can and the implementation has a knob for it.
    """

    what: Text
    source: Where
    absorbed_by: Annotated[str | None, Meta(description="The rewrite's name.")] = None
    attribute: Annotated[
        str | None, Meta(description="What differs.", examples=["bias", "epsilon"])
    ] = None
    ours: Annotated[
        str | None, Meta(description="The attribute's value in the faithful network.")
    ] = None
    official: Annotated[
        str | None, Meta(description="The attribute's value in the official model.")
    ] = None
    layers: PerVariant | None = None
    knob: Annotated[
        str | None, Meta(description="Keyword of the implementation's `build`.")
    ] = None
    value: Annotated[
        str | int | float | bool | list | None,
        Meta(description="The knob's value for the official model."),
    ] = None
    params: PerVariant = 0
    multiply_adds: PerVariant = 0


class Erratum(Entry):
    """Where the paper contradicts itself, its code, or what can be measured.

    `measured` is the exact value (an integer, or the row's notation) that every run finds
    again.  With `counts`, a convention under which the printed digits come out, or `cost`,
    what exactly is too much or too little in the printed row, the difference is accounted
    for and the verdict is *explained*; with `tried` alone it stays *unexplained*.
    """

    what: Text
    source: Where
    measured: Annotated[
        int | float | str | Mapping[str, int] | None,
        Meta(description="The exact measured value, or row in notation."),
    ] = None
    counts: list[Counted] = field(default_factory=list)
    cost: Annotated[
        Mapping[str, int],
        Meta(description="Exact cost, e.g. {params: 1152, multiply_adds: 12845056}."),
    ] = field(default_factory=dict)
    tried: list[Text] = field(default_factory=list)


class Spec(Entry):
    """One paper, transcribed."""

    title: Text
    authors: list[Text]
    year: int
    venue: Text
    idea: Annotated[Text, Meta(description="What was new, in one sentence.")]
    limits: Annotated[
        Text, Meta(description="What it does not solve, in one sentence.")
    ]
    tables: Mapping[Identifier, Table]
    variants: dict[Identifier, Variant]
    arxiv: (
        Annotated[
            str, Meta(pattern=r"^\d{4}\.\d{4,5}(v\d+)?$", examples=["1512.03385"])
        ]
        | None
    ) = None
    url: str | None = None
    conventions: Conventions = field(default_factory=Conventions)
    silent: list[Silent] = field(default_factory=list)
    no_official: Annotated[
        str | None,
        Meta(description="Why there is no official model, where there is none."),
    ] = None
    others: Annotated[
        Mapping[str, list[Claim]],
        Meta(
            description="Variants of other papers to what this paper prints about them."
        ),
    ] = field(default_factory=dict)
    deviations: Mapping[Slug, Deviation] = field(default_factory=dict)
    errata: Mapping[Slug, Erratum] = field(default_factory=dict)
