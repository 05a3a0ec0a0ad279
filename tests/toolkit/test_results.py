"""The results file: what is written is read again, and nothing else is."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_checks.load import Paper
from reference_checks.record import Record, Verdict
from reference_checks.results import (
    MAX_DEPTH,
    Identity,
    Results,
    ResultsError,
    counts,
    environment,
    failed,
    identity,
    in_order,
    keras_backend,
    passes,
)
from reference_checks.spec import Deviation, Erratum, OneSource, Silent, Spec, Variant

PAPER = Identity(
    title="Deep Residual Learning",
    authors=["Kaiming He"],
    year=2015,
    venue="CVPR 2016",
    idea="Blocks learn a correction.",
    limits="A baseline.",
    digest="0" * 64,
    variants={"resnet50": "ResNet-50"},
    silent=[Silent("epsilon", "1e-5", "Caffe prototxt")],
    one_source=[OneSource("Table 2", "a text copy")],
    deviations={"bias": Deviation("A bias.", "its code", params={"resnet50": 26560})},
    errata={"typo": Erratum("A typo.", "Table 1", measured=3, tried=["2 x"])},
)
CLAIM = Record(
    "resnet", "resnet50", "paper", "params", Verdict.EXACT, measured=25557032
)
RESULTS = Results(
    {"python": "3.11", "packages": {"keras": "3"}},
    {"resnet": PAPER},
    {"resnet/resnet50/paper": "a"},
    (CLAIM,),
)


def complaint(path):
    """The one line with which a file is refused."""
    with pytest.raises(ResultsError) as refusal:
        Results.read(path)
    assert refusal.value.__suppress_context__
    line = str(refusal.value)
    assert [line] == line.splitlines()
    return line


def edited(path, change):
    """Write RESULTS, change its JSON, and give the path back."""
    RESULTS.write(path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def rename_paper(stem):
    """A change that gives the only paper another stem."""
    return lambda content: content.update(papers={stem: content["papers"]["resnet"]})


texts = st.text(max_size=30)
records = st.builds(
    Record,
    paper=st.just("resnet"),
    variant=texts,
    subject=texts,
    check=texts,
    verdict=st.sampled_from(Verdict),
    row=st.none() | texts,
    claim=st.none() | texts,
    printed=st.none() | texts,
    measured=st.none() | st.integers() | st.floats() | texts,
    detail=st.text(),
    at=st.none() | texts,
    seconds=st.floats(0, 1e6),
)


@given(st.lists(records))
def test_what_is_written_is_read_again(tmp_path_factory, found):
    """A file holds all that is fit to be shown, and reading it changes nothing."""
    path = tmp_path_factory.getbasetemp() / "results.json"
    results = replace(RESULTS, records=tuple(found))
    results.write(path)
    assert results.plain() == Results.read(path)
    assert results.plain() == results.plain().plain()


def test_ordinary_text_is_kept_as_it_is(tmp_path):
    """Accents, arrows and line breaks are no control characters."""
    record = replace(
        CLAIM, detail="ours → official\n7×7, Szegedy, Łukasz", measured=2**80
    )
    results = replace(RESULTS, records=(record,))
    results.write(tmp_path / "results.json")
    assert results == Results.read(tmp_path / "results.json")


def test_terminal_codes_surrogates_and_nan_become_plain():
    """A name of a user's file can hold any byte, and a wrong network can give NaN."""
    record = replace(
        CLAIM, detail="\x1b[31mred\x1b[0m \udc80\u202e", measured=float("nan")
    )
    plain = replace(RESULTS, records=(record,)).plain().records[0]
    assert ("red ", "nan") == (plain.detail, plain.measured)


def test_numpy_scalars_become_numbers():
    """A norm is often a float32, which JSON does not know."""
    numpy = pytest.importorskip("numpy")
    found = (numpy.float32(0.5), numpy.int64(3))
    marked = tuple(replace(CLAIM, measured=value) for value in found)
    plain = replace(RESULTS, records=marked).plain()
    assert [0.5, 3] == [record.measured for record in plain.records]


def test_a_truncated_file_is_refused_in_one_line(tmp_path):
    """Wherever the end is missing."""
    path = tmp_path / "results.json"
    RESULTS.write(path)
    whole = path.read_bytes().rstrip()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        assert complaint(path).startswith(f"{path}: ")


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | texts,
        lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    ).map(lambda value: json.dumps({"schema": 1, "records": value}).encode())
)
def test_anything_else_is_refused_in_one_line(tmp_path_factory, data):
    """No bytes give a traceback."""
    path = tmp_path_factory.getbasetemp() / "refused.json"
    path.write_bytes(data)
    assert complaint(path).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("says", "change"),
    [
        ("schema 2; this version reads 1", lambda c: c.update(schema=2)),
        ("schema none; this version reads 1", lambda c: c.pop("schema")),
        ("missing required field `records`", lambda c: c.pop("records")),
        ("$.records[0].seconds", lambda c: c["records"][0].update(seconds="1")),
        ("enum value 'ok'", lambda c: c["records"][0].update(verdict="ok")),
        ("no paper 'vgg'", lambda c: c["records"][0].update(paper="vgg")),
        ("`key` in `$.papers`", rename_paper("../x")),
        ("`key` in `$.papers`", rename_paper("index")),
        ("$.papers[...].title", lambda c: c["papers"]["resnet"].update(title=None)),
        ("$.environment", lambda c: c.update(environment=[])),
    ],
)  # fmt: skip
def test_planted_faults_are_named(tmp_path, says, change):
    """The line says where in the file the fault is, and what was expected."""
    assert says in complaint(edited(tmp_path / "results.json", change))


def test_deep_nesting_is_refused(tmp_path):
    """Neither the parser's stack nor ours is spent on it."""
    path = tmp_path / "results.json"
    for depth in (MAX_DEPTH, 100_000):
        RESULTS.write(path)
        deep = "[" * depth + "]" * depth
        path.write_text(path.read_text().replace("25557032", deep))
        assert "nested too deeply" in complaint(path)


def test_a_missing_file_is_one_line(tmp_path):
    assert "No such file" in complaint(tmp_path / "results.json")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch, step):
    """A reader sees the old results or the new ones, and no rest is left lying."""
    path = tmp_path / "results.json"
    RESULTS.write(path)

    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, step, interrupt)
        with pytest.raises(KeyboardInterrupt):
            replace(RESULTS, records=()).write(path)
    assert RESULTS == Results.read(path)
    assert [path] == list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    """Here a file stands where the folder should be."""
    (tmp_path / "out").write_text("")
    with pytest.raises(ResultsError, match=r"results\.json: cannot be written: .+"):
        RESULTS.write(tmp_path / "out" / "results.json")


def test_missing_folders_are_made(tmp_path):
    RESULTS.write(tmp_path / "a" / "b" / "results.json")
    assert RESULTS == Results.read(tmp_path / "a" / "b" / "results.json")


def test_a_unit_is_done_for_one_digest_only():
    """Where the sources have changed it runs again."""
    assert RESULTS.is_done("resnet/resnet50/paper", "a")
    assert not RESULTS.is_done("resnet/resnet50/paper", "b")
    assert not RESULTS.is_done("resnet/resnet101/paper", "a")


def test_a_unit_that_runs_again_replaces_its_records():
    """And those of other units stay, in their order."""
    other = replace(CLAIM, subject="file:paper/a.keras")
    unit = "resnet/resnet50/file:paper/a.keras"
    first = RESULTS.with_unit(unit, "a", [other])
    assert (CLAIM, other) == first.records
    again = replace(CLAIM, verdict=Verdict.CONTRADICTED)
    second = first.with_unit("resnet/resnet50/paper", "b", [again])
    assert (other, again) == second.records
    assert {"resnet/resnet50/paper": "b", unit: "a"} == second.done
    assert () == second.with_unit("resnet", "c", []).records


def test_records_are_in_the_order_of_the_plan():
    """Not in that in which units end, side by side; what is not planned stays first."""
    names = ("resnet101", "resnet50", "resnet18", "resnet34")
    records = [replace(CLAIM, variant=name) for name in names]
    networks = {f"resnet/{name}": None for name in names}
    results = replace(RESULTS, records=tuple(records), networks=networks)
    ordered = results.ordered(f"resnet/{n}/paper" for n in ("resnet50", "resnet101"))
    order = ["resnet18", "resnet34", "resnet50", "resnet101"]
    assert order == [record.variant for record in ordered.records]
    assert [f"resnet/{name}" for name in order] == list(ordered.networks)


def test_a_subject_is_not_within_a_shorter_one():
    """`file:a/b` is another model than `file:a`."""
    longer = replace(CLAIM, subject="file:a/b")
    results = replace(RESULTS, records=(longer,))
    assert (longer,) == results.with_unit("resnet/resnet50/file:a", "a", []).records


def test_a_record_of_another_unit_is_refused():
    """A planted mistake of a caller: no later run would replace the record."""
    with pytest.raises(ValueError, match="not of unit resnet/resnet101"):
        RESULTS.with_unit("resnet/resnet101/paper", "a", [CLAIM])


def test_only_what_held_counts_as_a_pass():
    """One record of each verdict: seven of them say that a check ran and held."""
    found = [replace(CLAIM, verdict=verdict) for verdict in Verdict]
    assert 7 == passes(found)
    apart = ("unexplained", "contradicted", "recorded", "silent", "not run")
    assert 0 == passes(record for record in found if record.verdict in apart)
    assert ["contradicted"] == [record.verdict for record in failed(found)]
    assert Counter(Verdict) == counts(found)


@given(st.lists(records))
def test_failures_come_first_and_nothing_is_lost(found):
    """Then unexplained, then not run, then the rest, each in their order."""
    first = ("contradicted", "unexplained", "not run")
    expected = [
        *(record for word in first for record in found if record.verdict == word),
        *(record for record in found if record.verdict not in first),
    ]
    # NaN is unequal to itself, so the objects are compared.
    assert [id(record) for record in expected] == [id(r) for r in in_order(found)]


def test_the_identity_of_a_spec_links_to_arxiv_unless_it_has_an_url(tmp_path):
    spec = Spec(
        "Title", ["A"], 2015, "CVPR", "Idea.", "Limits.", {},
        {"resnet50": Variant("ResNet-50")}, arxiv="1512.03385",
    )  # fmt: skip
    loaded = Paper("resnet", tmp_path / "papers" / "resnet.yaml", spec, "")
    paper = identity(loaded)
    assert "https://arxiv.org/abs/1512.03385" == paper.url
    assert {"resnet50": "ResNet-50"} == paper.variants
    assert (
        "https://x.org"
        == identity(
            replace(loaded, spec=msgspec.structs.replace(spec, url="https://x.org"))
        ).url
    )


def test_the_backend_is_the_one_keras_would_choose(tmp_path, monkeypatch):
    """The variable, then the file, then TensorFlow; a broken file counts as none."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert "tensorflow" == keras_backend()
    for text, backend in (('{"backend": "torch"}', "torch"), ("[", "tensorflow")):
        (tmp_path / "keras.json").write_text(text)
        assert backend == keras_backend()
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert "jax" == keras_backend()


def test_the_environment_says_what_it_was_told():
    found = environment(backend="jax", device="NVIDIA H100")
    assert ("jax", "NVIDIA H100") == (found["backend"], found["device"])
    assert "msgspec" not in found["packages"]
    assert "device" not in environment(backend="jax")


def test_results_and_environment_import_no_framework_and_no_renderer():
    """`list` shows the last verdicts and must start at once."""
    code = (
        "import sys; from reference_checks import report, results;"
        "results.environment();"
        "print({'keras', 'tensorflow', 'numpy', 'rich', 'jinja2'} & {*sys.modules})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ("set()\n", "") == (ran.stdout, ran.stderr)
