"""No input makes a traceback, runs code, hangs, or writes where it was not told to.

`PAPERSPEC_FUZZ` is the number of inputs, a few hundred by default; each kind has its share
of them.  Every input comes from its kind and number alone: what fails can be had again.
"""

from __future__ import annotations

import os
import random
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import hostile
import msgspec
import numpy as np
import pytest

from reference_checks import evidence, kept_run, models, notation, printed
from reference_checks.device import Device
from reference_checks.equivalence.sensitivity import Sensitivity
from reference_checks.errors import InputError
from reference_checks.lint import lint
from reference_checks.load import load
from reference_checks.mutate.kept import Mutants, Part, Plan
from reference_checks.mutate.page import page
from reference_checks.mutate.result import Result
from reference_checks.problems import SpecError
from reference_checks.report import write_all
from reference_checks.results import Identity, Results, environment, identity

NUMBER = int(os.environ.get("PAPERSPEC_FUZZ", "400"))
SHARES = {
    "spec bytes": 0.3, "spec structure": 0.2, "spec nonsense": 0.2, "results": 0.06,
    "evidence": 0.02, "mutants": 0.02, "kept run": 0.04, "text": 0.14, "model": 0.02,
}  # fmt: skip
SECONDS = 10
KILOBYTES = 2 * 2**20


class Hang(BaseException):
    """An input that takes more than ten seconds."""


@contextmanager
def limited() -> Iterator[None]:
    """At most ten seconds of the processor, and two gigabytes more than before."""

    def stop(*_) -> None:
        raise Hang(f"over {SECONDS} s")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert used < KILOBYTES, f"{used:,} KiB more than before"


def answered(function: Callable[[], object], *also: type[Exception]) -> bool:
    """Whether the input is good; bad input is one clear line for each problem.

    Anything but an input error, or what is documented `also`, fails the test.
    """
    try:
        with limited():
            function()
    except SpecError as error:
        lines = [str(problem) for problem in error.problems] or [""]
    except (InputError, *also) as error:
        lines = [str(error)]
    else:
        return True
    for line in lines:
        assert line.strip()
        assert "\n" not in line
        assert "Traceback" not in line
        assert len(line) < 2000
    return False


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to be in; when the test is over, nothing else has been written."""
    inside = tmp_path / "a" / "b" / "c"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    monkeypatch.setenv("XDG_CACHE_HOME", str(inside / "cache"))
    yield inside
    left = {p for p in tmp_path.rglob("*") if p.is_file()}
    assert all(p.is_relative_to(inside) for p in left), left
    assert not list(tmp_path.rglob("*CANARY*"))
    assert not Path("/tmp/CANARY").exists()


def seeds(kind: str) -> Iterator[random.Random]:
    for number in range(max(5, round(SHARES[kind] * NUMBER))):
        yield random.Random(f"{kind} {number}")


def failing(kind: str, number: int, error: BaseException) -> str:
    return f"{kind} {number}: {type(error).__name__}: {error}"


def all_answered(kind: str, check: Callable[[random.Random], bool]) -> None:
    """Every input of a kind is answered; some are bad."""
    wrong, good, total = [], 0, 0
    for number, rng in enumerate(seeds(kind)):
        total += 1
        try:
            good += check(rng)
        except (Exception, Hang) as error:
            wrong.append(failing(kind, number, error))
    assert not wrong, f"{len(wrong)} of {total}:\n" + "\n".join(wrong[:20])
    assert good < total


@pytest.mark.parametrize("kind", list(hostile.SPEC_MAKERS))
def test_a_hostile_spec_is_read_or_refused(kind, place):
    """Loading and linting, by bytes, by structure, and nonsense that the schema allows."""
    path = place / "lenet5.yaml"

    def check(rng: random.Random) -> bool:
        path.write_bytes(hostile.SPEC_MAKERS[kind](rng))

        def both() -> None:
            load(path)
            problems = lint([path])
            if problems:
                raise SpecError(problems)

        return answered(both)

    all_answered(kind, check)
    assert {"lenet5.yaml"} >= {p.name for p in place.iterdir()} - {"cache"}


@pytest.mark.parametrize("kind", list(hostile.GROWING))
def test_a_spec_that_grows_is_refused(kind, place):
    """A million rows, aliases of aliases, a hundred thousand levels, an endless key."""
    path = place / "lenet5.yaml"
    path.write_bytes(hostile.GROWING[kind]())
    assert not answered(lambda: load(path))


def test_a_hostile_text_is_read_or_refused():
    """Printed numbers, cells of a table, names of models."""

    def check(rng: random.Random) -> bool:
        text = hostile.text(rng)
        found = [
            answered(lambda: printed.read(text), ValueError),
            answered(lambda: notation.parse(text), notation.NotationError),
            answered(lambda: models.parse(text)),
        ]
        return all(found)

    all_answered("text", check)


@pytest.fixture(scope="module")
def good_results() -> bytes:
    """A results file of real records."""
    import tempfile

    from reference_checks.checks import run_unit
    from reference_checks.networks import Networks
    from reference_checks.units import Options, select

    paper = load(hostile.ROOT / "papers" / "lenet5.yaml")
    papers = {"lenet5": paper}
    (unit,) = select(papers, ["lenet5"])
    records = run_unit(unit, Networks(papers), Options(run=False))
    about: dict[str, Identity] = {"lenet5": identity(paper)}
    found = Results(environment(), about, {}, ()).with_unit(unit.name, "0", records)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.json"
        found.write(path)
        return path.read_bytes()


def test_hostile_results_are_read_or_refused(place, good_results):
    """Reading, and writing every report of what was read, into its folder only."""
    path, out = place / "results.json", place / "out"
    path.write_bytes(good_results)
    write_all(Results.read(path), out)
    before = {p.name for p in out.iterdir()}
    assert before

    def check(rng: random.Random) -> bool:
        path.write_bytes(hostile.results(rng, good_results))
        return answered(lambda: write_all(Results.read(path), out))

    all_answered("results", check)
    for path in out.rglob("*.html"):
        assert "<script>alert" not in path.read_text()


def test_hostile_evidence_is_read_or_refused(place, good_results):
    """Of a GPU, held against sound results, as every report does."""
    sound = msgspec.json.decode(good_results, type=Results)
    gpu = replace(sound, device=Device("gpu", "NVIDIA H100", "jax", "580", "CUDA 13"))
    path = place / "nvidia_h100_jax.json"
    gpu.write(path)
    good = path.read_bytes()
    assert evidence.of(sound, evidence.read_all(place))

    def check(rng: random.Random) -> bool:
        path.write_bytes(hostile.results(rng, good))
        return answered(lambda: evidence.of(sound, evidence.read_all(place)))

    all_answered("evidence", check)


def test_hostile_mutants_are_read_or_refused(place):
    """What `mutate` keeps and reports show."""
    found = Result(
        "tiny", "tiny", "keras:Tiny", "bias dropped", "1 of 3: conv", ("rows",),
        "detected", True, True, ("conv",), None,
    )  # fmt: skip
    plan = Plan(("bias dropped",), 3, 1998, static=False)
    path = place / "mutants.json"
    Mutants(plan, (Part("tiny/tiny/keras:Tiny", "0", (found,)),)).write(path)
    good = path.read_bytes()

    def check(rng: random.Random) -> bool:
        path.write_bytes(hostile.results(rng, good))
        return answered(lambda: page(Mutants.read(path)))

    all_answered("mutants", check)


def test_a_hostile_kept_run_is_read_or_refused(place):
    """Weights and outputs of another backend: broken, not what its digests say, a bomb."""
    unit, path = "tiny/tiny/keras:Tiny", place / "kept.npz"
    numbers = np.arange(12.0)
    variables = [("kernel", (3, 4))]
    origin = kept_run.Origin(
        unit, "0", "1", "jax on cpu", "2026", {"keras": "3"}, variables, ["conv"],
        Sensitivity("epsilon", 1e-3, 1.0, 99.0),
    )  # fmt: skip
    kept_run.write(path, origin, {0: numbers.reshape(3, 4)}, numbers, numbers, {"conv": numbers})  # fmt: skip
    good = path.read_bytes()

    def read() -> None:
        kept = kept_run.KeptRun(path, unit)
        kept.require(("0", "1"), variables)
        kept.arrays()

    assert answered(read)

    def check(rng: random.Random) -> bool:
        path.write_bytes(hostile.kept(rng, good))
        return answered(read)

    all_answered("kept run", check)


@pytest.fixture(scope="module")
def good_models(tmp_path_factory) -> dict[str, bytes]:
    import keras
    from keras import layers

    folder = tmp_path_factory.mktemp("models")
    x = inputs = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(x))
    x = layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.ReLU()(x)))
    found = {}
    for suffix in (".keras", ".h5"):
        path = folder / f"model{suffix}"
        keras.Model(inputs, x).save(path)
        found[suffix] = path.read_bytes()
    return found


@pytest.mark.filterwarnings("ignore")
def test_a_hostile_model_file_is_read_or_refused(place, good_models):
    """Truncated, of another kind, with a Lambda, with huge shapes, with a bomb."""

    def check(rng: random.Random) -> bool:
        suffix, data = hostile.model(rng, good_models)
        path = place / f"model{suffix}"
        path.write_bytes(data)
        try:
            return answered(lambda: models.read(f"file:{path}"))
        finally:
            path.unlink()

    all_answered("model", check)
