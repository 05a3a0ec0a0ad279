"""A run that is killed, cut off or hindered loses nothing, and nobody reads half a file.

`PAPERSPEC_KILLS` is how often runs are killed, a few times by default.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reference_checks.results import Results, ResultsError, save

KILLS = int(os.environ.get("PAPERSPEC_KILLS", "4"))
ROOT = Path(__file__).parents[2]


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "reference_checks.cli", *map(str, arguments)]


def check(file: Path, *more: str) -> list[str]:
    """A static check of a few small networks, with results in `file`."""
    return command("check", *SELECT, "--static", "--json", file, *more)


SELECT = ("lenet5", "vgg11", "vgg13", "vgg16", "alexnet")


def run(arguments: list[str], **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        arguments, cwd=ROOT, capture_output=True, text=True, timeout=300, **options
    )


def start(arguments: list[str]) -> subprocess.Popen:
    # In a group of its own, so that whatever it starts ends with it.
    return subprocess.Popen(
        arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def end(process: subprocess.Popen, how: signal.Signals) -> None:
    """Send a signal to the run and all that it has started."""
    if process.poll() is None:
        os.killpg(process.pid, how)
    process.communicate(timeout=120)


def without_times(path: Path) -> tuple[dict, list[dict]]:
    """What is done, and the records, but for how long they took."""
    content = json.loads(path.read_text())
    records = [{**r, "seconds": 0} for r in content["records"]]
    return content["done"], sorted(records, key=json.dumps)


def kept(path: Path) -> set[str]:
    """The records that a file holds, read as the command reads them."""
    records = Results.read(path).records
    return {json.dumps({**r.as_dict(), "seconds": 0}, sort_keys=True) for r in records}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """The results of a run that nobody disturbs, and how long it takes."""
    path = tmp_path_factory.mktemp("whole") / "results.json"
    begin = time.monotonic()
    done = run(check(path))
    assert 0 == done.returncode, done.stderr
    (path.parent / "seconds").write_text(str(time.monotonic() - begin))
    return path


def test_a_run_that_is_killed_loses_nothing_and_resumes(undisturbed, tmp_path):
    """kill -9 at random moments: what was finished stays, and the rest follows."""
    rng = random.Random(9)
    seconds = float((undisturbed.parent / "seconds").read_text())
    path = tmp_path / "results.json"
    before: set[str] = set()
    finished = interrupted = 0
    for _ in range(KILLS):
        process = start(check(path, "--resume"))
        try:
            process.wait(timeout=rng.uniform(0, 1.1 * seconds))
            finished += 1
        except subprocess.TimeoutExpired:
            interrupted += 1
        end(process, signal.SIGKILL)
        if path.exists():
            now = kept(path)  # it is whole whenever it is there
            assert before <= now
            before = now
        if len(before) == len(kept(undisturbed)):
            assert without_times(undisturbed) == without_times(path)
            path.unlink()
            before = set()
    assert interrupted
    assert finished + interrupted == KILLS
    assert 0 == run(check(path, "--resume")).returncode
    assert without_times(undisturbed) == without_times(path)


def test_an_interrupted_run_says_so_and_keeps_what_it_has(undisturbed, tmp_path):
    """Ctrl-C: exit code 130, one line, no traceback; resuming completes the file."""
    path = tmp_path / "results.json"
    process = start(check(path))
    while process.poll() is None and not (path.exists() and kept(path)):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert 130 == process.returncode
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert kept(path) < kept(undisturbed)
    assert 0 == run(check(path, "--resume")).returncode
    assert without_times(undisturbed) == without_times(path)


def test_two_runs_into_one_folder_leave_one_whole_file(undisturbed, tmp_path):
    """Whoever writes last, the file is a result, and nothing else is left."""
    path = tmp_path / "results.json"
    processes = [start(check(path)) for _ in range(2)]
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert 0 == process.returncode, errors
    assert without_times(undisturbed) == without_times(path)
    assert ["results.json"] == [p.name for p in tmp_path.iterdir()]


def test_a_full_disk_is_one_line_and_leaves_the_old_file(undisturbed, tmp_path):
    """No room for the new file: exit code 2, the old file as it was, nothing beside it."""
    path = tmp_path / "results.json"
    old = undisturbed.read_bytes()
    path.write_bytes(old)

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = run(check(path, "--resume"), preexec_fn=no_room)
    assert 2 == done.returncode, done.stderr
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert old == path.read_bytes()
    assert ["results.json"] == [p.name for p in tmp_path.iterdir()]


def test_a_full_device_is_one_line():
    """Printing to a device without room is no traceback."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("claims", "lenet5", "--json"), cwd=ROOT, stdout=full,
            stderr=subprocess.PIPE, text=True, timeout=60,
        )  # fmt: skip
    assert 2 == done.returncode, done.stderr
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("where", ["folder/results.json", "file/results.json"])
def test_a_place_that_cannot_be_written_is_found_before_the_work(where, tmp_path):
    """A file where a folder should be, a folder where the file should be: one line."""
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "folder" / "results.json").mkdir(parents=True)
    begin = time.monotonic()
    done = run(check(tmp_path / where))
    assert 2 == done.returncode, done.stderr
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - begin < 60


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_is_read_only_is_one_line(tmp_path):
    """Without permission nothing is written."""
    tmp_path.chmod(0o500)
    done = run(check(tmp_path / "results.json"))
    assert 2 == done.returncode
    assert "cannot be written" in done.stderr


def test_a_half_written_file_is_no_result(undisturbed, tmp_path):
    """Cut anywhere, a results file is refused in one line, by reading and by resuming."""
    data = undisturbed.read_bytes()
    rng = random.Random(3)
    path = tmp_path / "results.json"
    for _ in range(50):
        path.write_bytes(data[: rng.randrange(len(data) - 2)])
        with pytest.raises(ResultsError) as caught:
            Results.read(path)
        assert "\n" not in str(caught.value)
    done = run(check(path, "--resume"))
    assert 2 == done.returncode
    assert 1 == len(done.stderr.strip().splitlines())


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path, monkeypatch):
    """Whatever stops a write, the old file stays and no other is left."""
    path = tmp_path / "results.json"
    save(path, b"old")

    def stop(*_) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        save(path, b"new")
    assert [(b"old", "results.json")] == [
        (p.read_bytes(), p.name) for p in tmp_path.iterdir()
    ]
