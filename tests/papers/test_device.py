"""The proof on a device, by way of the CPU: each precision, evidence, and what is wrong."""

from __future__ import annotations

import json
import re

import keras
import pytest

from reference_checks import evidence, proof_device
from reference_checks.checks import run_unit
from reference_checks.cli import main
from reference_checks.device import Device, default, find
from reference_checks.errors import InputError
from reference_checks.networks import Networks
from reference_checks.record import Verdict
from reference_checks.report import html
from reference_checks.results import Results, ResultsError
from reference_checks.units import Options, select

HERE = keras.config.backend()


def records(project, **options):
    papers = project.papers()
    (unit,) = select(papers, ["keras:Tiny"])
    found = run_unit(unit, Networks(papers), Options(device="cpu", **options))
    return [r for r in found if r.check in ("across", "outputs", "two runs", "cost")]


@pytest.fixture
def file(tiny, monkeypatch):
    """Evidence of the tiny network, which a CPU has made."""
    monkeypatch.chdir(tiny.root)
    path = tiny.root / "evidence" / "cpu.json"
    words = ["check", "keras:Tiny", "-n", "0", "--device", "cpu"]
    assert 0 == main([*words, "--evidence", str(path)])
    return path


def test_each_precision_of_a_device_is_held_against_the_cpu(tiny):
    """Float64 and its rows, float32 and bfloat16 with budgets, two runs, what they cost."""
    found = records(tiny)
    assert [None, "stem", "block", "head"] == [
        r.row for r in found if r.check == "across"
    ]
    assert {f"{HERE} on cpu → {HERE} on cpu"} == {
        r.claim for r in found if r.check == "across"
    }
    judged = {r.claim: r for r in found if r.check == "outputs"}
    assert {
        f"float64, official model: {HERE} on cpu → ours: {HERE} on cpu",
        "float32, all inputs, on cpu", "bfloat16, all inputs, on cpu",
    } == set(judged)  # fmt: skip
    assert judged["float32, all inputs, on cpu"].verdict.passes
    twice = [r for r in found if r.check == "two runs"]
    assert ["float32 on cpu", "bfloat16 on cpu"] == [r.claim for r in twice]
    for cost in (r.measured for r in found if r.check == "cost"):
        assert 0 < cost["run_seconds"]
        assert 0 <= cost["compile_seconds"]
        # An input, at least, where the backend says it of a CPU.
        assert cost["peak_bytes"] is None or cost["peak_bytes"] > 3 * 8 * 8 * 3
    assert not [r for r in found if r.verdict is Verdict.CONTRADICTED]


def test_a_device_that_computes_something_else_is_contradicted(tiny, monkeypatch):
    """The planted error: a weight of ours is off on the device, the official one's not."""
    honest = proof_device.transfer

    def bent(*arguments):
        moved = honest(*arguments)
        index = max(moved.values)
        moved.values[index] = moved.values[index] * 1.01
        return moved

    monkeypatch.setattr(proof_device, "transfer", bent)
    failing = {r.claim for r in records(tiny) if r.verdict is Verdict.CONTRADICTED}
    assert {
        f"float64, official model: {HERE} on cpu → ours: {HERE} on cpu",
        "float32, all inputs, on cpu",
    } == failing  # fmt: skip


def test_two_runs_that_differ_are_no_pass(tiny, monkeypatch):
    """A device that adds in another order each time, such as with atomics."""
    honest = proof_device.measured

    def unsteady(subject, x):
        first, second, cost = honest(subject, x)
        return first, second * (1 + 1e-6), cost

    monkeypatch.setattr(proof_device, "measured", unsteady)
    (found, *_) = [r for r in records(tiny) if r.check == "two runs"]
    assert Verdict.RECORDED is found.verdict
    assert not found.verdict.passes
    assert found.measured == pytest.approx(1e-6, rel=0.1)


def test_out_of_memory_in_one_precision_is_not_run_and_others_go_on(tiny, monkeypatch):
    """As a device with little memory says it."""
    honest = proof_device.measured

    def small(subject, x):
        if subject.dtype == "float32":
            raise RuntimeError("RESOURCE_EXHAUSTED: out of memory while allocating")
        return honest(subject, x)

    monkeypatch.setattr(proof_device, "measured", small)
    found = records(tiny)
    (missing,) = [r for r in found if r.verdict is Verdict.NOT_RUN]
    assert ("float32 on cpu", "out of memory") == (missing.claim, missing.detail)
    assert ["bfloat16 on cpu"] == [r.claim for r in found if r.check == "cost"]


def test_other_errors_are_not_taken_for_a_lack_of_memory(tiny, monkeypatch):
    """They are mistakes, and seen."""

    def broken(subject, x):
        raise RuntimeError("something else")

    monkeypatch.setattr(proof_device, "measured", broken)
    with pytest.raises(RuntimeError, match="something else"):
        records(tiny)


@pytest.mark.skipif(default() == "gpu", reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_one_line(tiny, monkeypatch, capsys):
    """Why not, and the way out; exit code 2, and no file that looks like evidence."""
    with pytest.raises(InputError, match=f"no GPU: Keras' backend {HERE} sees none"):
        find("gpu")
    monkeypatch.chdir(tiny.root)
    words = [
        "check",
        "keras:Tiny",
        "-n",
        "0",
        "--device",
        "gpu",
        "--evidence",
        "e.json",
    ]
    assert 2 == main(words)
    (line,) = capsys.readouterr().err.splitlines()
    assert "no GPU" in line
    assert "--device cpu" in line
    assert not (tiny.root / "e.json").exists()


def test_evidence_in_a_folder_is_named_by_its_device_and_backend(tiny, monkeypatch):
    """So that runs under several backends do not meet in one file."""
    monkeypatch.chdir(tiny.root)
    monkeypatch.setattr(proof_device, "run", lambda *_: iter(()))
    words = ["check", "keras:Tiny", "-n", "0", "--device", "cpu"]
    assert 0 == main([*words, "--evidence", "evidence"])
    (path,) = (tiny.root / "evidence").iterdir()
    assert re.fullmatch(rf"[a-z0-9_]+_{HERE}\.json", path.name)
    assert path.name == evidence.file_name(evidence.read(path).device)


def test_evidence_says_what_made_it(file):
    """The device, its backend, the date, a digest for each unit, and every record."""
    found = evidence.read(file)
    assert ("cpu", HERE) == (found.device.kind, found.device.backend)
    assert found.device.name
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*", found.environment["date"])
    assert ["tiny/tiny/keras:Tiny"] == list(found.done)
    assert {"across", "outputs", "two runs", "cost"} <= {r.check for r in found.records}


def test_evidence_goes_on_where_it_stopped(file, monkeypatch, capsys):
    """A unit that is done is not run again; another device has another file."""

    def never(*arguments):
        raise AssertionError("run again")

    words = ["check", "keras:Tiny", "-n", "0", "--device", "cpu", "--resume"]
    with monkeypatch.context() as patch:
        patch.setattr(proof_device, "run", never)
        assert 0 == main([*words, "--evidence", str(file)])
    data = json.loads(file.read_text())
    data["device"]["name"] = "another"
    file.write_text(json.dumps(data))
    capsys.readouterr()
    assert 2 == main([*words, "--evidence", str(file)])
    assert "is of another, this run of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.pop("device"), "no evidence: it names no device"),
        (lambda d: d["device"].pop("name"), "missing required field `name`"),
        (lambda d: d.update(device="H100"), "Expected `object"),
        (lambda d: d.update(schema=99), "schema 99"),
        (lambda d: d["records"][0].update(verdict="fine"), "Invalid enum value"),
    ],
)  # fmt: skip
def test_evidence_that_is_none_is_one_line(change, said, file):
    """Strictly read: what was edited by hand is refused."""
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))
    with pytest.raises(ResultsError) as caught:
        evidence.read_all(file.parent)
    assert said in str(caught.value)
    assert 1 == len(str(caught.value).splitlines())


def test_cut_evidence_is_one_line(file):
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ResultsError):
        evidence.read(file)


@pytest.fixture
def pages(file, tmp_path, monkeypatch):
    """The index and the paper's page, with the evidence of a folder."""

    def written(results):
        monkeypatch.setattr(evidence, "FOLDER", file.parent)
        out = tmp_path / "site"
        html.write(results, out)
        texts = [(out / name).read_text() for name in ("index.html", "tiny.html")]
        return [" ".join(re.sub(r"<[^>]*>", " ", text).split()) for text in texts]

    return written


def pretended(file):
    """The CPU's file, as if a GPU had made it: a device that does not exist."""
    data = json.loads(file.read_text())
    data["device"] |= {"kind": "gpu", "name": "Made up by a test", "driver": "0.0"}
    file.write_text(json.dumps(data))
    return data


def test_what_a_cpu_has_recorded_is_no_gpu_evidence(file, pages):
    """The index says none, and so does the paper's page."""
    index, paper = pages(Results.read(file))
    assert index.split("Parameter efficiency")[0]
    assert "None: no run on a GPU has been recorded for this paper." in paper
    assert "AMD" not in index.split("Where this was measured")[0]


def test_gpu_evidence_is_shown_with_device_date_and_digest(file, pages):
    """In the index and on the paper's page."""
    results = Results.read(file)
    data = pretended(file)
    index, paper = pages(results)
    date = data["environment"]["date"]
    assert f"Made up by a test, {date[:10]} passes" in index
    assert "Made up by a test" in paper
    assert f"Run on {date}, {HERE}, driver 0.0" in paper
    assert data["done"]["tiny/tiny/keras:Tiny"] in paper
    assert "stale" not in index + paper


@pytest.mark.parametrize(
    ("key", "said"), [("digest", "the spec changed"), ("source", "the implementation")]
)
def test_evidence_of_other_sources_is_stale(key, said, file, pages):
    """And still shown."""
    results = Results.read(file)
    data = pretended(file)
    data["papers"]["tiny"][key] = "0" * 64
    file.write_text(json.dumps(data))
    for page in pages(results):
        assert f"stale: {said}" in page


def test_a_device_is_described():
    """A CPU by its name."""
    found = find("cpu")
    assert Device("cpu", found.name, HERE) == found
    assert found.name
