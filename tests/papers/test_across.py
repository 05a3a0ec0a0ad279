"""Across backends and devices: what is kept is compared, and what is not true is seen."""

from __future__ import annotations

import zipfile
from itertools import takewhile
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import official_tiny, write_tiny

from reference_checks import equivalence, kept_run, proof, proof_across
from reference_checks.cli import main
from reference_checks.kept_run import KeptRun, KeptRunError
from reference_checks.networks import Networks
from reference_checks.official import Pair
from reference_checks.record import Verdict
from reference_checks.units import Options, digest, select

UNIT = "tiny/tiny/keras:Tiny"
FILE = "tiny.tiny.keras_Tiny.npz"
ROWS = ["stem", "block", "head"]


def pair(project):
    papers = project.papers()
    variant = papers["tiny"].spec.variants["tiny"]
    networks = Networks(papers)
    return Pair(networks, papers["tiny"], "tiny", variant, *variant.official)


def across(project, folder):
    """The records of the comparison alone, by row; None is the output."""
    records = proof.run(pair(project), Options(against=str(folder)))
    return {r.row: r for r in takewhile(lambda r: r.check == "across", records)}


def official_graph():
    return equivalence.subject(official_tiny).graph


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A folder with the tiny network's run; not to be changed."""
    root = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.applications, "Tiny", official_tiny, raising=False)
        records = proof.run(pair(write_tiny(root)), Options(keep=str(root)))
        assert "kept" == next(records).check
    return root / FILE


@pytest.fixture
def arrays(honest):
    with np.load(honest) as file:
        return {name: file[name] for name in file.files}


def keep(path, origin, arrays):
    """Written as a run is, with digests that are true of these arrays."""

    def part(name):
        found = [n for n in arrays if n.startswith(name)]
        return [arrays[f"{name}_{i}"] for i in range(len(found))]

    weights, rows = dict(enumerate(part("weight"))), part("row")
    named = dict(zip(origin.rows, rows, strict=True))
    kept_run.write(path, origin, weights, arrays["input"], arrays["output"], named)


def test_what_was_kept_is_what_the_same_backend_computes(tiny, honest):
    """Bit for bit, the output and every row; the record names both places."""
    found = across(tiny, honest.parent)
    assert [None, *ROWS] == list(found)
    assert {Verdict.BIT_EQUAL} == {r.verdict for r in found.values()}
    here = f"{keras.config.backend()} on cpu"
    assert f"{here} → {here}" == found[None].claim


def test_what_the_network_has_seen_is_kept_and_not_what_it_was_given(
    tiny, honest, tmp_path
):
    """Input layers round as the backend does: EfficientNet-B0 makes 7e-13 of it."""
    official = pair(tiny)
    known, _ = proof_across.read(str(honest.parent), official, official_graph())
    seen = known.x + 1e-15
    found = known._replace(seen=seen)
    proof_across.keep(str(tmp_path), official, official_graph(), found, "here")
    assert np.array_equal(seen, KeptRun(tmp_path / FILE, UNIT).arrays().input)


def test_a_weight_that_was_another_is_contradicted_from_its_row_on(
    tiny, honest, arrays, tmp_path
):
    """The second convolution had one number that is off by a millionth."""
    origin = KeptRun(honest, UNIT).origin
    (index,) = [i for i, (n, _) in enumerate(origin.variables) if "conv1/kernel" in n]
    kernel = arrays[f"weight_{index}"] = arrays[f"weight_{index}"].copy()
    kernel[0, 0, 0, 0] *= 1 + 1e-6
    keep(tmp_path / "k" / FILE, origin, arrays)
    found = across(tiny, tmp_path / "k")
    assert [None, "block", "head"] == [
        row for row, r in found.items() if r.verdict is Verdict.CONTRADICTED
    ]


def test_an_output_that_was_another_is_contradicted(tiny, honest, arrays, tmp_path):
    """One score of one picture, by the last digits that count."""
    arrays["output"] = arrays["output"].copy()
    arrays["output"][0, 0] += 1e-11
    keep(tmp_path / "k" / FILE, KeptRun(honest, UNIT).origin, arrays)
    found = across(tiny, tmp_path / "k")
    assert [None] == [
        row for row, r in found.items() if r.verdict is Verdict.CONTRADICTED
    ]


def truncated(path, arrays):
    path.write_bytes(path.read_bytes()[:-1000])


def flipped(path, arrays):
    """Past the file's own check sums, which a new archive has."""
    arrays["weight_3"] = arrays["weight_3"] + 1e-9
    np.savez(path, **arrays)


def without_output(path, arrays):
    del arrays["output"]
    np.savez(path, **arrays)


def with_code(path, arrays):
    arrays["input"] = np.array([print], dtype=object)
    np.savez(path, **arrays)


def text(path, arrays):
    path.write_text("no archive")


def one_array(path, arrays):
    with path.open("wb") as file:
        np.save(file, arrays["input"])


def other_format(path, arrays):
    arrays["origin"] = np.array(
        arrays["origin"].item().replace('"format":1', '"format":2')
    )
    np.savez(path, **arrays)


def folder(path, arrays):
    path.unlink()
    path.mkdir()


def test_a_kept_run_is_read_as_it_was_written(honest, arrays):
    """Every weight and row, under its name."""
    found = KeptRun(honest, UNIT).arrays()
    assert np.array_equal(arrays["input"], found.input)
    assert np.array_equal(arrays["output"], found.output)
    assert [arrays[f"weight_{i}"].tolist() for i in range(14)] == [
        found.weights[i].tolist() for i in range(14)
    ]
    assert ROWS == list(found.rows)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (truncated, "damaged"), (flipped, "weight_3 is not what was kept"),
        (without_output, "output"), (with_code, "damaged"), (text, "damaged"),
        (one_array, "damaged"), (other_format, "format 2, not 1"),
        (folder, "no such file"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_one_line(damage, said, honest, arrays, tmp_path):
    """Which file, what is wrong, what to do; nothing in it is executed."""
    path = tmp_path / FILE
    path.write_bytes(honest.read_bytes())
    damage(path, dict(arrays))
    with pytest.raises(KeptRunError) as caught:
        KeptRun(path, UNIT).arrays()
    message = str(caught.value)
    assert 1 == len(message.splitlines())
    assert message.startswith(f"{path}: ")
    assert said in message


def test_the_file_of_another_unit_is_refused(honest):
    """Renamed by hand, perhaps."""
    with pytest.raises(KeptRunError, match="it is of tiny/tiny/keras:Tiny, not of "):
        KeptRun(honest, "tiny/tiny/keras:Other")


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("papers/tiny.yaml", "It is small.\nlimits", "Small.\nlimits", "the spec"),
        ("implementations/tiny.py", '"""Tiny."""', '"""T."""', "the implementation"),
    ],
)
def test_a_stale_file_is_refused(file, old, new, said, tiny, honest):
    """Rows are named by both."""
    tiny.plant(file, old, new)
    with pytest.raises(
        KeptRunError, match=f"stale: {said} changed since; keep it again"
    ):
        across(tiny, honest.parent)


def test_the_weights_of_another_network_are_refused(tiny, honest, library):
    """The library ships another model under the name, such as of another version."""

    def without_bias(**options):
        return keras.models.clone_model(
            official_tiny(**options),
            clone_function=lambda layer: type(layer).from_config(
                layer.get_config()
                | ({"use_bias": False} if layer.name == "conv0" else {})
            ),
        )

    library(without_bias)
    with pytest.raises(KeptRunError, match=r"stale: weight .*bias"):
        across(tiny, honest.parent)


def test_a_file_that_cannot_be_written_leaves_nothing_behind(honest, arrays, tmp_path):
    """The old file stays, whole."""
    origin = KeptRun(honest, UNIT).origin
    path = tmp_path / FILE
    path.mkdir()
    with pytest.raises(KeptRunError, match="cannot be written"):
        keep(path, origin, arrays)
    assert [path] == list(Path(tmp_path).iterdir())


def test_a_unit_is_run_again_when_what_was_kept_is_another(tiny, honest, tmp_path):
    """`--resume` keeps what was held against the same file."""
    (unit,) = select(tiny.papers(), ["keras:Tiny"])
    options = Options(against=str(tmp_path))
    digests = [digest(unit, options)]
    (tmp_path / FILE).write_bytes(honest.read_bytes())
    digests += [digest(unit, options), digest(unit, options)]
    (tmp_path / FILE).write_bytes(b"another")
    digests.append(digest(unit, options))
    assert 3 == len(set(digests))
    assert digests[1] == digests[2]


def test_a_file_is_an_archive_of_plain_arrays(honest):
    """That any NumPy reads."""
    with zipfile.ZipFile(honest) as archive:
        assert {
            "origin.npy",
            "input.npy",
            "output.npy",
            "weight_0.npy",
            "row_0.npy",
        } <= {*archive.namelist()}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--against", "nowhere"],
            "no such file; make it with paperspec check keras:Tiny",
        ),
        (["--against", "nowhere", "--static"], "--against runs networks"),
        (["--evidence", "e.json"], "--evidence is of a device"),
        (["--device", "cpu", "--keep", "k"], "are without --device"),
    ],
)
def test_the_command_says_in_a_line_what_is_wrong(
    words, said, tiny, monkeypatch, capsys
):
    """Exit code 2."""
    monkeypatch.chdir(tiny.root)
    assert 2 == main(["check", "keras:Tiny", "-n", "0", *words])
    assert said in capsys.readouterr().err
