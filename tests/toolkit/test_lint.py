"""Lint finds each kind of contradiction inside a spec, at its line and column."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reference_checks.lint import lint
from reference_checks.load import discover, load
from reference_checks.problems import SpecError

ROOT = Path(__file__).parents[2]
ANY = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
SPEC = """\
title: Residual and Inverted Networks
authors: [A. Author]
year: 2015
venue: CVPR
idea: Shortcuts.
limits: Depth.
conventions:
  params: {counts: [kernel], source: Section 3}
tables:
  table_1:
    source: Table 1
    modules:
      bottleneck: {notation: "[1x1, t*k; 3x3 depthwise, stride s; 1x1, c] xn", source: Fig. 2}
    rows:
      conv1:
        input: 224x224x3
        output: 112x112
        columns: {all: "7x7, 64, stride 2"}
        claims:
          - {quantity: params, printed: "9.4K", source: Table 1}
      conv2_x:
        input: 112x112x64
        output: 56x56x128
        columns:
          18-layer: "3x3 max pool, stride 2; [3x3, 128; 3x3, 128] x2"
          50-layer: "3x3 max pool, stride 2; [1x1, 64; 3x3, 64; 1x1, 128] x3"
        shortcut:
          net50: "1x1, 128"
        claims:
          - {quantity: params, printed: "2K", source: Table 1}
      inverted:
        output: 28x28x24
        columns: {all: bottleneck}
        symbols: {t: 6, c: 24, n: 2, s: 2}
      fc: {output: 1x1x10, columns: {all: "average pool; 10-d fc"}, erratum: head}
    totals:
      - {quantity: params, printed: "11K", source: Table 1}
variants:
  net18:
    name: Net-18
    table: table_1
    column: 18-layer
    claims:
      - {quantity: multiply_adds, printed: "1.8x10^9", source: Table 1}
      - {quantity: params, printed: "18%", source: Section 3, relative_to: net50}
      - {quantity: channels, printed: "24", row: inverted, at: 28x28, source: Table 2}
      - {quantity: top1_error, printed: "6.43 (6.61±0.16)", source: Table 6}
    official:
      - {model: "keras:Net18", deviations: [conv-bias, stride-place]}
  net50: {name: Net-50, table: table_1, column: 50-layer}
deviations:
  conv-bias:
    what: A bias.
    source: a link
    absorbed_by: bias into norm
    attribute: bias
    params: {net18: 64}
  stride-place: {what: The stride., source: a link, knob: stride_on}
errata:
  head: {what: Ten classes., source: Table 1, measured: 10-d fc, cost: {params: 10}}
"""


def line(part: str) -> int:
    """The line of the spec that has the part."""
    return SPEC[: SPEC.index(part)].count("\n") + 1


def problems(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "net.yaml"
    path.write_text(text)
    found = lint([path])
    assert found == sorted(found)
    return [f"{p.line}:{p.column}: {p.message}" for p in found]


def test_a_consistent_spec_has_no_problems(tmp_path) -> None:
    """So that each problem below is the planted one."""
    assert [] == problems(tmp_path, SPEC)


AMEND = "correct one, or name what accounts for it under 'erratum'"
NEEDS = "needs either 'absorbed_by' and 'attribute', or 'knob' alone"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # Numbers.
        ('"1.8x10^9"', '§"1.8 x"', "'1.8 x' does not read as a number; write it as"),
        ('"1.8x10^9"', '§"1,8"', "'1,8' does not read as a number; write it as"),
        ('"6.43 (6', '§"best 6.43 (6', "'best 6.43 (6.61±0.16)' does not read as a"),
        (
            '"11K", source', '§"11K", unit: thousand, source',
            "'11K' has a unit already; leave out 'unit: thousand'",
        ),
        (
            '"18%", source: Section 3, relative_to: net50', '§"18%", source: Section 3',
            "percent of what? name the variant under 'relative_to'",
        ),
        (
            "relative_to: net50", "relative_to: net50, minus: §net50",
            "a ratio or a difference; leave 'relative_to' or 'minus' out",
        ),
        (
            '{quantity: channels, printed: "24", row: inverted, ',
            '§{quantity: channels, printed: "24", ',
            "channels of which row? name it under 'row'",
        ),
        ("at: 28x28,", "at: §big,", "'big' is no size; write '112x112' or '112x112x64'"),
        (
            "source: Table 6", "source: Table 6, erratum: §head",
            "top1_error is not measured here; leave 'erratum' out",
        ),
        # References.
        (
            "table: table_1\n", "table: §table_2\n",
            "unknown table 'table_2'; did you mean table_1",
        ),
        (
            "column: 18-layer", "column: §19-layer",
            "unknown column '19-layer'; did you mean 18-layer",
        ),
        (
            "    name: Net-18\n    table: table_1\n    column: 18-layer\n",
            "    §name: Net-18\n    table: table_1\n",
            "say the column of table 'table_1'; known: 18-layer, 50-layer",
        ),
        (
            '18-layer: "3x3', '19-layer: §"3x3',
            "unknown column '19-layer'; did you mean 18-layer",
        ),
        (
            'net50: "1x1, 128"', 'net5: §"1x1, 128"',
            "unknown column 'net5'; did you mean net50",
        ),
        (
            "[conv-bias, ", "[§conv-bais, ",
            "unknown deviation 'conv-bais'; did you mean conv-bias",
        ),
        ("erratum: head", "erratum: §haed", "unknown erratum 'haed'; did you mean head"),
        (
            'printed: "2K"', 'erratum: §heed, printed: "2K"',
            "unknown erratum 'heed'; did you mean head",
        ),
        (
            "row: inverted", "row: §invertd",
            "unknown row 'invertd'; did you mean inverted",
        ),
        (
            "relative_to: net50", "relative_to: §net51",
            "unknown variant 'net51'; did you mean net50",
        ),
        (
            "{net18: 64}", "{net81: §64}",
            "unknown variant 'net81'; did you mean net18",
        ),
        (
            "measured: 10-d fc", "measured: {net19: §10}",
            "unknown variant 'net19'; did you mean net18",
        ),
        (
            "cost: {params: 10}", "cost: {parms: §10}",
            "unknown quantity 'parms'; did you mean params",
        ),
        (
            "deviations:\n  conv", "others: {net18: §[]}\ndeviations:\n  conv",
            "'net18' is a variant of this paper; move it to its claims",
        ),
        # What is defined and not used.
        (
            "stride-place: {", "stride-site: §{",
            "no official model names 'stride-site'; name it there or leave it out",
        ),
        (
            "head: {", "neck: §{",
            "no claim or row names 'neck'; name it there or leave it out",
        ),
        (
            "variants:", "  spare: §{source: Table 9, rows: {}}\nvariants:",
            "no variant names 'spare'; name it there or leave it out",
        ),
        (
            "modules:\n", "modules:\n      spare: §{notation: LRN, source: Fig. 3}\n",
            "no cell names 'spare'; name it there or leave it out",
        ),
        # Officials and deviations.
        (
            SPEC[SPEC.index("  net18:") : SPEC.index("  net50: {n")],
            "  §net18: {name: Net-18, table: table_1, column: 18-layer}\n",
            "no variant has an 'official' model; say why under 'no_official'",
        ),
        (
            "limits: Depth.", "limits: Depth.\nno_official: §None ships.",
            "there are official models; leave 'no_official' out",
        ),
        (
            "{what: The stride.,", "§{what: The stride., attribute: bias,",
            f"'stride-place' {NEEDS}",
        ),
        (
            "{what: The stride.,", "§{what: The stride., absorbed_by: x, attribute: y,",
            f"'stride-place' {NEEDS}",
        ),
        (
            "{what: The stride., source: a link, knob: stride_on}",
            "§{what: The stride., source: a link}", f"'stride-place' {NEEDS}",
        ),
        (
            "what: A bias.\n    source: a link\n    absorbed_by: bias into norm\n"
            "    attribute: bias\n",
            "§what: A bias.\n    source: a link\n    absorbed_by: bias into norm\n",
            f"'conv-bias' {NEEDS}",
        ),
        # The table's own arithmetic.
        ('"11K"', '§"14K"', f"the rows add up to 11,400, printed is 14K; {AMEND}"),
        (
            'params, printed: "11K"', 'neurons, printed: §"11"',
            "no row prints neurons; move it to a variant's claims",
        ),
        (
            "output: 112x112\n", "output: §112 x 112\n",
            "'112 x 112' is no size; write '112x112' or '112x112x64'",
        ),
        (
            "input: 112x112x64", "input: §56x56x64",
            f"56x56x64 enters, but 112x112 leaves 'conv1'; {AMEND}",
        ),
        (
            "input: 112x112x64", "input: §112x112x32",
            f"112x112x32 enters, but with 64 channels; {AMEND}",
        ),
        (
            "input: 224x224x3", "input: §224x224x4",
            f"224x224x4 enters, but with 3 channels; {AMEND}",
        ),
        (
            "output: 112x112\n", "output: §56x56\n",
            f"height 224 leaves between 109 and 112, printed is 56x56; {AMEND}",
        ),
        (
            "output: 28x28x24", "output: §28x56x24",
            f"width 56 leaves between 25 and 28, printed is 28x56x24; {AMEND}",
        ),
        (
            "output: 28x28x24", "output: §28x28x32",
            f"24 channels leave, printed is 28x28x32; {AMEND}",
        ),
        (
            "output: 56x56x128\n", "output: §56x56x256\n",
            f"128 channels leave, printed is 56x56x256; {AMEND}",
        ),
        (
            'output: 112x112\n        columns: {all: "7x7, 64, stride 2"}',
            'columns: {all: §"7x7, 64"}',
            f"height 224 leaves between 218 and 224, printed is 112x112x64; {AMEND}",
        ),
        (
            'output: 112x112\n        columns: {all: "7x7, 64, stride 2"}',
            'columns: {all: §"(a = h; 7x7, 64 + g; 7x7, 64) {a}"}',
            f"height 224 leaves between 218 and 224, printed is 112x112x64; {AMEND}",
        ),
        # Notation, at the place inside the cell.
        ("7x7, 64, stride 2", "7x7, 64, §strid 2", "unknown option 'strid'; did you"),
        ("3x3, 128] x2", "3x3, 128 §x2", "expected ']', found 'x2'"),
        ("{all: bottleneck}", "{all: §botleneck}", "unknown word 'botleneck'; did you"),
        ('net50: "1x1, 128"', 'net50: "1x1 §128"', "expected ', filters', 'depthwise'"),
        (
            '"3x3 max pool, stride 2; [3x3, 128; 3x3, 128] x2"',
            ">-\n            3x3 max pool, stride 2;\n            [3x3, 128; 3x3, 128§) x2",
            "expected ']', found ')'",
        ),
    ],
)  # fmt: skip
def test_planted_errors_are_found_where_they_are(tmp_path, old, new, message) -> None:
    """One contradiction each, at §; its message says the way out."""
    marked = SPEC.replace(old, new, 1)
    before = marked[: marked.index("§")]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    found = problems(tmp_path, marked.replace("§", ""))
    assert any(p.startswith(f"{line}:{column}: {message}") for p in found), found


def test_an_error_inside_a_module_is_found_where_it_is_named(tmp_path) -> None:
    """With its column in the module's text."""
    assert problems(tmp_path, SPEC.replace("t*k; 3x3", "u*k; 3x3")) == [
        f"{line('all: bottleneck')}:24: in module 'bottleneck', column 7:"
        " 'u' is no number and no symbol; known: c, n, s, t"
    ]


def test_one_error_does_not_cause_others(tmp_path) -> None:
    """Channels that an unreadable cell leaves are not held against the next rows."""
    text = SPEC.replace("output: 56x56x128", "output: 56x56")
    text = text.replace("3x3, 128; 3x3, 128]", "3x3, 128; 3x3, ]")
    assert 1 == len(problems(tmp_path, text))


def test_an_erratum_accounts_for_a_contradiction(tmp_path) -> None:
    """Its row and its total are not held against their neighbours."""
    text = SPEC.replace("output: 28x28x24", "erratum: head\n        output: 29x29x9")
    assert [] == problems(tmp_path, text)
    text = SPEC.replace('"11K", source', '"13K", erratum: head, source')
    assert [] == problems(tmp_path, text)


def test_a_misprinted_size_is_one_rows_alone(tmp_path) -> None:
    """The row after it is not held against a size that an erratum says is wrong."""
    wrong = SPEC.replace("output: 112x112\n", "output: 112x110\n").replace(
        "        input: 112x112x64\n", ""
    )
    assert all("width 110 leaves" in said for said in problems(tmp_path, wrong))
    assert problems(tmp_path, wrong)
    misprint = "output: 112x110\n"
    text = wrong.replace(misprint, misprint + "        erratum: head\n")
    assert [] == problems(tmp_path, text)


def test_exact_rows_add_up_exactly(tmp_path) -> None:
    """One parameter too many is found, and with a rounded row it need not be."""
    text = SPEC.replace('"9.4K"', '"9,408"').replace('"2K"', '"2,000"')
    assert [] == problems(tmp_path, text.replace('"11K"', '"11,408"'))
    assert [
        f"{line('totals:') + 1}:37: the rows add up to 11,408, printed is 11,409; {AMEND}"
    ] == problems(tmp_path, text.replace('"11K"', '"11,409"'))
    assert [] == problems(tmp_path, SPEC.replace('"11K"', '"11,409"'))


def test_sizes_of_a_variant_with_another_input_are_not_the_tables(tmp_path) -> None:
    """`printed: false` lends the row names only."""
    lent = "  lent: {name: Lent, table: table_1, printed: false, input: [96, 96, 1]}\n"
    assert [] == problems(
        tmp_path, SPEC.replace("deviations:\n  c", lent + "deviations:\n  c")
    )


def test_papers_are_held_against_each_other(tmp_path) -> None:
    """A variant has one home; a ratio may be to another paper's variant."""
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    other = SPEC.replace("net18:", "wide18:").replace("net50", "wide50")
    one.write_text(SPEC.replace("relative_to: net50", "relative_to: wide50"))
    two.write_text(other)
    assert [] == lint([one, two])
    assert [] == lint([one])  # its neighbour is known, although it is not linted
    two.write_text(other.replace("wide50", "net50"))
    assert [
        f"{one}:{line('18%')}:76: unknown variant 'wide50'; did you mean wide18 or net50?",
        f"{two}:{line('net50: {')}:10: 'net50' is a variant at"
        f" {one}:{line('net50: {')}:10 too; rename one",
    ] == list(map(str, lint([one, two])))


def test_problems_of_loading_come_with_the_others(tmp_path) -> None:
    """A spec that does not load does not hide the problems of another."""
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("title: [")
    two.write_text(SPEC.replace('"11K"', '"13K"'))
    found = lint([two, one, tmp_path / "three.yaml"])
    assert [one, tmp_path / "three.yaml", two] == [problem.path for problem in found]


def test_our_own_specs_have_no_problems() -> None:
    """What is released is linted."""
    assert [] == lint(discover(ROOT / "papers").values())


@ANY
@given(st.binary(max_size=200))
def test_any_bytes_are_linted(tmp_path, data) -> None:
    """Random bytes are no spec, and say so."""
    path = tmp_path / "x.yaml"
    path.write_bytes(data)
    assert lint([path])


leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["params", "1K", "all", "3x3, 8", "112x112", "net18", "keras:X"]),
)  # fmt: skip
KEYS = """title authors year venue idea limits tables variants errata deviations source
    rows columns input output symbols claims all quantity printed table column official
    model what name notation modules others totals conventions"""
keys = st.sampled_from(KEYS.split())
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=6)
    ),
    max_leaves=20,
)


@ANY
@given(trees)
def test_any_yaml_is_linted(tmp_path, tree) -> None:
    """Nor do random trees of a spec's own keys raise anything."""
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    assert lint([path])


VALUES = [
    "112x112", "0x0", "1x1x1", "all", "[3x3, 8] x3, stride 2", "k-d fc", "{a | b}", "-1",
    "9" * 30, "1e40", "~5", "100%", "bottleneck", "[bottleneck] x9999", "{}", "[]", "null",
    "{all: 3}", "999999", "é", '"\\u2028"', "''", "true", "[1, 2]", "net18", "18-layer",
]  # fmt: skip
PLACES = [
    (number, line.index(":") + 1)
    for number, line in enumerate(SPEC.splitlines())
    if ": " in line
]


@ANY
@given(st.sampled_from(PLACES), st.sampled_from(VALUES) | st.text(max_size=6))
def test_any_value_anywhere_is_linted(tmp_path, place, value) -> None:
    """Whatever a key is given, lint ends with problems or without, and all have a place."""
    number, column = place
    lines = SPEC.splitlines()
    lines[number] = f"{lines[number][:column]} {value}"
    path = tmp_path / "x.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    for problem in lint([path]):
        assert 1 <= problem.line <= len(lines) + 2
        assert problem.column >= 1
        assert "\n" not in str(problem)


@ANY
@given(st.text("[]{}|;,*-xkd0123 conv", max_size=20))
def test_any_cell_is_linted(tmp_path, cell) -> None:
    """Whatever stands in a cell, the problem is in its line."""
    path = tmp_path / "x.yaml"
    path.write_text(SPEC.replace("7x7, 64, stride 2", cell), encoding="utf-8")
    assert all(problem.line in range(13, 39) for problem in lint([path]))


def test_linting_imports_no_framework(tmp_path) -> None:
    """Listing and linting start without Keras, NumPy or anything that paints."""
    code = (
        "import sys; from reference_checks.lint import lint; lint(sys.argv[1:]);"
        "print({'keras', 'tensorflow', 'numpy', 'rich', 'jinja2'} & {*sys.modules})"
    )
    path = tmp_path / "x.yaml"
    path.write_text(SPEC)
    ran = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert "set()\n" == ran.stdout


def test_a_spec_that_lints_loads(tmp_path) -> None:
    """And one that does not load says the same when linted."""
    path = tmp_path / "x.yaml"
    path.write_text("a: b")
    with pytest.raises(SpecError) as caught:
        load(path)
    assert list(caught.value.problems) == lint([path])


def test_only_what_was_right_is_kept(tmp_path, monkeypatch) -> None:
    """A right spec is checked once, a wrong one always, and all by changed checks."""
    from reference_checks.lint import paper as checks

    asked = []
    counting = (*checks.CHECKS, lambda paper: asked.append(paper.stem) or ())
    monkeypatch.setattr(checks, "CHECKS", counting)
    path = tmp_path / "net.yaml"
    path.write_text(SPEC)
    assert [] == lint([path])
    assert [] == lint([path])
    assert ["net"] == asked
    path.write_text(SPEC.replace("erratum: head}", "erratum: heap}"))
    assert lint([path])
    assert lint([path]) == lint([path])
    assert 4 == len(asked)
    path.write_text(SPEC)
    monkeypatch.setattr("reference_checks.lint.CHECKERS", ("spec.py", "lint/*.py"))
    assert [] == lint([path])
    assert 5 == len(asked)
