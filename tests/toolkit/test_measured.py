"""What results say of a network beside its claims: costs by row, and the lines of code."""

from contextlib import suppress
from pathlib import Path

import pytest

from reference_checks.measured import RowCosts, measured
from reference_checks.networks import Networks
from reference_checks.provenance import watched


@pytest.fixture
def lines(tiny):
    """The numbers of the lines of the tiny implementation that hold a text."""

    def find(*texts):
        code = (tiny.root / "implementations/tiny.py").read_text().splitlines()
        return sorted(
            number
            for number, line in enumerate(code, start=1)
            if any(text in line for text in texts)
        )

    return find


def of(project):
    papers = project.papers()
    return measured(Networks(papers), papers["tiny"], "tiny")


CONV = ("ZeroPadding2D", "Conv2D", "BatchNormalization", "ReLU")


def test_rows_add_up_to_the_network(tiny):
    """Nothing is counted twice or left out."""
    network = of(tiny)
    assert ([8, 8, 3], 5) == (network.input, network.classes)
    assert ["stem", "block", "head"] == list(network.rows)
    assert (379, 10398) == (network.params, network.multiply_adds)
    assert 379 == sum(row.params for row in network.rows.values())
    assert 10398 == sum(row.multiply_adds for row in network.rows.values())
    assert [[8, 8, 4], [4, 4, 6], [5]] == [r.output for r in network.rows.values()]


def test_a_row_has_the_lines_that_build_it(tiny, lines):
    """Those of `build`, and those of the functions that it calls there."""
    rows = of(tiny).rows
    assert lines('"stem"', *CONV) == rows["stem"].lines
    assert lines('"block"', *CONV) == rows["block"].lines
    assert lines("head") == rows["head"].lines
    assert lines('"stem"') == [rows["stem"].first]


def test_a_table_that_names_a_row_belongs_to_it(tiny, lines):
    """A loop over a literal builds all rows on one line; the literal tells them apart."""
    tiny.plant(
        "implementations/tiny.py",
        '    x = conv(x, 4, 1, ((1, 1), (1, 1)), "stem")\n    x = conv(x, 6, 2, pad, "block")\n',
        "    for name, filters, stride, pad in (\n"
        '        ("stem", 4, 1, ((1, 1), (1, 1))),\n'
        '        ("block", 6, 2, pad),\n'
        "    ):\n"
        "        x = conv(x, filters, stride, pad, name)\n",
    )
    rows = of(tiny).rows
    assert lines('"stem"', "= conv(x, filters", *CONV) == rows["stem"].lines
    assert lines('"block"') == [rows["block"].first]


def test_a_row_without_layers_has_no_costs(tiny):
    """The table names it, the implementation does not."""
    tiny.plant("implementations/tiny.py", '"block")', '"other")')
    assert ["stem", "head"] == list(of(tiny).rows)


def test_lines_of_other_files_are_not_ours(tiny, lines):
    """A helper that calls layers elsewhere counts for the line that calls it."""
    (tiny.root / "elsewhere.py").write_text(
        "from keras import layers\n\n\ndef relu(x, name):\n"
        "    return layers.ReLU(name=name)(x)\n"
    )
    code = (tiny.root / "implementations/tiny.py").read_text()
    (tiny.root / "implementations/tiny.py").write_text(
        f"import sys\nsys.path.insert(0, {str(tiny.root)!r})\nimport elsewhere\n"
        + code.replace(
            'layers.ReLU(name=name + "_relu")(x)', 'elsewhere.relu(x, name + "_relu")'
        )
    )
    assert lines("elsewhere.relu")[0] in of(tiny).rows["stem"].lines


def test_keras_is_left_as_it_was():
    """Also where the block fails."""
    import keras

    before = dict(vars(keras.Operation))
    with suppress(KeyError), watched("nothing.py") as calls:
        keras.layers.ReLU(name="here")(keras.Input((2,)))
        raise KeyError
    assert {"here": set()} == calls
    assert before == dict(vars(keras.Operation))


def test_a_call_over_several_lines_counts_whole(tmp_path):
    """From its first line to its last."""
    file = tmp_path / "written.py"
    file.write_text(
        "from keras import Input, layers\n\nx = layers.Dense(\n    3,\n    name='wide',\n)(Input((2,)))\n"
    )
    with watched(str(file)) as calls:
        exec(compile(Path(file).read_text(), str(file), "exec"), {})
    assert {3, 4, 5, 6} == calls["wide"]


def test_costs_survive_the_file(tiny, tmp_path):
    """Written and read, they are the same."""
    from reference_checks.results import Results, identity

    papers = tiny.papers()
    network = of(tiny)
    results = Results({}, {"tiny": identity(papers["tiny"])}, {}, ()).with_unit(
        "tiny/tiny/paper", "d", (), {"tiny/tiny": network}
    )
    results.write(tmp_path / "r.json")
    read = Results.read(tmp_path / "r.json")
    assert network == read.networks["tiny/tiny"]
    assert isinstance(read.networks["tiny/tiny"].rows["stem"], RowCosts)
    assert '"""Tiny."""' in read.papers["tiny"].source
