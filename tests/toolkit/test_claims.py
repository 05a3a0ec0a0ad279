"""Verdicts of printed numbers and rows, with what is recorded about them."""

from __future__ import annotations

import pytest

from reference_checks.checks import run_unit
from reference_checks.networks import Networks
from reference_checks.record import Verdict
from reference_checks.units import Options, select

ROW_CLAIMS = "  tiny:\n    name: Tiny\n"
ERRATA = "errata:\n  note:\n    what: It is wrong.\n    source: Table 2\n    "


def judged(
    tiny, claim: str, erratum: str = "", convention: str = ""
) -> tuple[Verdict, str]:
    """The verdict and detail of one claim that is added to the tiny spec."""
    if erratum:
        claim += ", erratum: note"
        with (tiny.root / "papers/tiny.yaml").open("a") as file:
            file.write(ERRATA + erratum + "\n")
    tiny.plant(
        "papers/tiny.yaml",
        "      - {quantity: top1_error,",
        f"      - {{{claim}, source: here}}\n      - {{quantity: top1_error,",
    )
    if convention:
        tiny.plant(
            "papers/tiny.yaml", "conventions:\n", f"conventions:\n  {convention}\n"
        )
    (record,) = [
        r for r in tiny.records("tiny/tiny/paper") if r.claim.startswith("here")
    ]
    return record.verdict, record.detail


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ('quantity: params, printed: "379"', Verdict.EXACT),
        ('quantity: params, printed: "380"', Verdict.CONTRADICTED),
        ('quantity: params, printed: "0.38", unit: thousand', Verdict.ROUNDS),
        ('quantity: params, printed: "0.37", unit: thousand', Verdict.TRUNCATES),
        ('quantity: params, printed: "0.36", unit: thousand', Verdict.CONTRADICTED),
        ('quantity: params, printed: "324", counts: [kernel]', Verdict.CONTRADICTED),
        ('quantity: params, printed: "354", counts: [kernel]', Verdict.EXACT),
        ('quantity: multiply_adds, printed: "10,398"', Verdict.EXACT),
        ('quantity: multiply_adds, printed: "6,912", row: stem', Verdict.EXACT),
        ('quantity: depth, printed: "2", row: block', Verdict.EXACT),
        ('quantity: neurons, printed: "357"', Verdict.EXACT),
        ('quantity: channels, printed: "6", row: block', Verdict.EXACT),
        ('quantity: channels, printed: "4", row: block', Verdict.CONTRADICTED),
        ('quantity: activation_bytes, printed: "192", row: block', Verdict.EXACT),
        ('quantity: model_bytes, printed: "1,516"', Verdict.EXACT),
        (
            'quantity: model_bytes, printed: "1,417", counts: [kernel]',
            Verdict.CONTRADICTED,
        ),
        ('quantity: projections, printed: "0"', Verdict.EXACT),
        ('quantity: depthwise_layers, printed: "0"', Verdict.EXACT),
        ('quantity: depth, printed: "100%", relative_to: tiny', Verdict.ROUNDS),
        ('quantity: depth, printed: "50%", relative_to: tiny', Verdict.CONTRADICTED),
        ('quantity: depth, printed: "0", minus: tiny', Verdict.EXACT),
        ('quantity: top1_error, printed: "1.5"', Verdict.RECORDED),
    ],
)
def test_a_printed_number_is_judged_by_its_digits(claim, verdict, tiny):
    """Each quantity is measured as its name says."""
    assert verdict == judged(tiny, claim)[0]


def test_connections_count_biases_as_edges(tiny):
    """Convolutions without bias, a global mean, and a dense layer with one."""
    claim = f'quantity: connections, printed: "{10398 + 4 * 4 * 6 + 5:,}"'
    verdict, _ = judged(tiny, claim)
    assert Verdict.EXACT == verdict


def test_a_papers_factor_of_two_is_counted(tiny):
    """Where the paper counts a multiply-add as two operations."""
    tiny.plant(
        "papers/tiny.yaml",
        "[conv, dense], source: Table 1}",
        "[conv, dense], factor: 2, source: Table 1}",
    )
    verdict, _ = judged(tiny, 'quantity: multiply_adds, printed: "20,796"')
    assert Verdict.EXACT == verdict


def test_a_papers_convention_for_parameters_is_counted(tiny):
    """Here with statistics."""
    verdict, _ = judged(
        tiny, 'quantity: params, printed: "399"',
        convention="params: {counts: [kernel, bias, norm, statistics], source: here}",
    )  # fmt: skip
    assert Verdict.EXACT == verdict


WRONG = 'quantity: params, printed: "500"'


@pytest.mark.parametrize(
    ("claim", "erratum", "verdict", "detail"),
    [
        # Everything that an erratum can be: what makes it hold, and what breaks it.
        (WRONG, "measured: 379\n    tried: [all]", Verdict.UNEXPLAINED, "Tried: all."),
        (WRONG, "measured: 378\n    tried: [all]", Verdict.CONTRADICTED, "records 378"),
        (WRONG, "measured: {tiny: 379}\n    tried: [all]", Verdict.UNEXPLAINED, "Tried"),
        (WRONG, "measured: 379\n    cost: {params: 121}", Verdict.EXPLAINED, "It is wrong."),
        (WRONG, "measured: 379\n    cost: {params: 120}", Verdict.CONTRADICTED, "499, not 500"),
        ('quantity: params, printed: "354"', "measured: 379\n    counts: [kernel]",
         Verdict.EXPLAINED, "Counting kernel: 354."),
        ('quantity: params, printed: "355"', "measured: 379\n    counts: [kernel]",
         Verdict.CONTRADICTED, "its convention counts 354"),
        ('quantity: params, printed: "379"', "measured: 379\n    tried: [all]",
         Verdict.CONTRADICTED, "the printed value holds"),
    ],
)  # fmt: skip
def test_an_erratum_accounts_for_the_whole_difference_or_fails(
    claim, erratum, verdict, detail, tiny
):
    """A recorded contradiction must be found again, exactly."""
    found, text = judged(tiny, claim, erratum)
    assert verdict == found
    assert detail in text


ROW = '{output: 4x4, columns: {all: "3x3, 6, stride 2, relu"}}'


@pytest.mark.parametrize("said", [True, False])
def test_a_table_may_say_that_every_shortcut_is_the_identity(said, tiny):
    """Then a block without one is contradicted; a table that says nothing agrees."""
    shortcut = ", shortcut: {all: identity}" if said else ""
    row = f'{{columns: {{all: "[3x3, 6, relu] x1, stride 2"}}{shortcut}}}'
    tiny.plant("papers/tiny.yaml", ROW, row)
    (record,) = [
        r
        for r in tiny.records("tiny/tiny/paper")
        if (r.check, r.row) == ("rows", "block")
    ]
    assert said == (record.verdict is Verdict.CONTRADICTED)
    assert said == ("1 blocks printed, 0 of them with a shortcut" in record.detail)


@pytest.mark.parametrize(
    ("row", "erratum", "verdict", "detail"),
    [
        ('{columns: {all: "3x3, 6, stride 2"}}', "", Verdict.EXACT, ""),
        ('{columns: {all: "3x3, 7, stride 2"}}', "", Verdict.CONTRADICTED, "printed 3x3, 7"),
        ('{columns: {all: "3x3, 6"}}', "", Verdict.CONTRADICTED, "measured 3x3, 6, stride 2"),
        ('{columns: {all: "3x3, 6, stride 2, relu6"}}', "", Verdict.CONTRADICTED, "relu6"),
        ('{columns: {all: "3x3, c, stride s"}, symbols: {c: 6, s: 2}}', "", Verdict.EXACT, ""),
        ('{columns: {all: "3x3, 7, stride 2"}, erratum: note}',
         'measured: "3x3, 6, stride 2"\n    cost: {params: 36}', Verdict.EXPLAINED, "wrong"),
        ('{columns: {all: "3x3, 7, stride 2"}, erratum: note}',
         'measured: "3x3, 6, stride 2"\n    tried: [all]', Verdict.UNEXPLAINED, "Tried: all"),
        ('{columns: {all: "3x3, 7, stride 2"}, erratum: note}',
         'measured: "3x3, 8, stride 2"\n    tried: [all]', Verdict.CONTRADICTED, "no longer holds"),
        ('{columns: {all: "3x3, 6, stride 2"}, erratum: note}',
         'measured: "3x3, 6, stride 2"\n    tried: [all]', Verdict.CONTRADICTED, "the row holds"),
        ('{columns: {all: "[3x3, 6] x1, stride 2"}, shortcut: {all: "1x1, 6, stride 2"}}', "",
         Verdict.CONTRADICTED, "shortcut"),
    ],
)  # fmt: skip
def test_a_row_is_judged_by_its_steps(row, erratum, verdict, detail, tiny):
    """Printed steps, with symbols, errata and shortcuts."""
    tiny.plant("papers/tiny.yaml", ROW, row)
    if erratum:
        with (tiny.root / "papers/tiny.yaml").open("a") as file:
            file.write(ERRATA + erratum + "\n")
    (record,) = [
        r
        for r in tiny.records("tiny/tiny/paper")
        if (r.check, r.row) == ("rows", "block")
    ]
    assert verdict == record.verdict
    assert detail in record.detail


@pytest.mark.parametrize(
    ("printed", "verdict"),
    [
        ("4x4", Verdict.EXACT), ("4x4x6", Verdict.EXACT),
        ("5x5", Verdict.CONTRADICTED), ("4x4x5", Verdict.CONTRADICTED),
    ],
)  # fmt: skip
def test_a_size_is_judged_by_what_it_prints(printed, verdict, tiny):
    """56x56 says nothing about channels, 56x56x256 does."""
    tiny.plant("papers/tiny.yaml", "output: 4x4,", f"output: {printed},")
    (record,) = [
        r for r in tiny.records("tiny/tiny/paper")
        if (r.check, r.row) == ("output size", "block")
    ]  # fmt: skip
    assert (verdict, printed) == (record.verdict, record.printed)


@pytest.mark.parametrize(
    ("sizes", "erratum", "verdict", "detail"),
    [
        ("output: 4x5", "measured: 4x4\n    tried: [all]", Verdict.UNEXPLAINED, "Tried: all."),
        ("output: 4x5", "measured: 4x4x6\n    cost: {neurons: 24}", Verdict.EXPLAINED, "wrong"),
        ("output: 4x5", "measured: 5x5\n    tried: [all]", Verdict.CONTRADICTED, "measured 4x4"),
        ("output: 4x4", "measured: 4x4\n    tried: [all]", Verdict.CONTRADICTED, "sizes hold"),
        ("output: 4x4, input: 9x9", "measured: 8x8\n    tried: [all]", Verdict.EXACT, ""),
    ],
)  # fmt: skip
def test_a_misprinted_size_is_accounted_for_or_fails(
    sizes, erratum, verdict, detail, tiny
):
    """An erratum that records a size is about the size that does not hold."""
    tiny.plant("papers/tiny.yaml", "{output: 4x4,", f"{{{sizes}, erratum: note,")
    with (tiny.root / "papers/tiny.yaml").open("a") as file:
        file.write(ERRATA + erratum + "\n")
    found = {r.check: r for r in tiny.records("tiny/tiny/paper") if r.row == "block"}
    assert verdict == found["output size"].verdict
    assert detail in found["output size"].detail
    assert Verdict.EXACT == found["rows"].verdict
    if "input size" in found:
        assert Verdict.UNEXPLAINED == found["input size"].verdict


def test_a_row_that_the_network_lacks_is_contradicted(tiny):
    """Its layers would carry its name."""
    tiny.plant("papers/tiny.yaml", "      block: {", "      blocks: {")
    assert ("rows", "blocks") in tiny.contradicted("tiny/tiny/paper")


def test_totals_are_judged_with_the_network(tiny):
    """What the rows of a table add up to is a claim too."""
    tiny.plant(
        "papers/tiny.yaml", "variants:\n  tiny:",
        '    totals: [{quantity: params, printed: "378", source: total}]\nvariants:\n  tiny:',
    )  # fmt: skip
    assert {("params", "total")} == tiny.contradicted("tiny/tiny/paper")


def test_a_claim_about_another_papers_network_is_judged_there(tiny):
    """Or not run, where no spec has the network."""
    with (tiny.root / "papers/tiny.yaml").open("a") as file:
        file.write(
            "others:\n  elsewhere:\n    - {quantity: depth, printed: '3', source: Table 9}\n"
        )
    papers = tiny.papers()
    (unit,) = [u for u in select(papers, ()) if u.foreign]
    (record,) = run_unit(unit, Networks(papers), Options(run=False))
    assert Verdict.NOT_RUN == record.verdict
    assert "no spec has the variant elsewhere" == record.detail


def test_a_record_says_where_its_claim_stands(tiny):
    """File, line and column of the entry."""
    text = (tiny.root / "papers/tiny.yaml").read_text().splitlines()
    line = next(i for i, t in enumerate(text, 1) if 'printed: "379"' in t)
    (record,) = [r for r in tiny.records("tiny/tiny/paper") if r.check == "params"]
    assert record.at.endswith(f"papers/tiny.yaml:{line}:9")
    assert "tiny::params::Table 2" == record.id


def test_nothing_is_allocated_for_printed_claims(tiny, monkeypatch):
    """No weight of the network ever has a value."""
    from reference_checks import networks

    built = []
    honest = networks.build_paper

    def build(*arguments):
        built.append(honest(*arguments))
        return built[-1]

    monkeypatch.setattr(networks, "build_paper", build)
    tiny.records("tiny/tiny/paper")
    assert {True} == {w._value is None for model in built for w in model.weights}
