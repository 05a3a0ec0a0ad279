"""Processes of their own: deaths, interruptions, memory, and what the parent holds."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT

from reference_checks.cli import main
from reference_checks.processes import Outcome, _Pool
from reference_checks.units import Options, Unit

LIBRARY = '''\
"""A library in the place of tf_keras, which every process can import."""

import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

from tests.conftest import official_tiny


def sound(**options):
    with open("built", "a") as file:
        file.write(f"{os.getpid()}\\n")
    return official_tiny(**options)


def killed(**options):
    os.kill(os.getpid(), signal.SIGKILL)


def full(**options):
    raise MemoryError


def exhausted(**options):
    raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes.")


def slow(**options):
    Path("slow").touch()
    time.sleep(600)


applications = SimpleNamespace(
    sound=sound, killed=killed, full=full, exhausted=exhausted, slow=slow
)
'''
OFFICIAL = '      - {model: "keras:Tiny", deviations:'
UNIT = "tiny/tiny/tf_keras:"


@pytest.fixture
def here(tiny, monkeypatch):
    """The tiny project with official models that any process can build."""
    monkeypatch.chdir(tiny.root)
    (tiny.root / "tf_keras.py").write_text(LIBRARY)
    return tiny


def ship(project, *names):
    """The tiny network is held against these functions of the library, in this order."""
    lines = [OFFICIAL.replace("keras:Tiny", f"tf_keras:{name}") for name in names]
    rest = " [conv-bias, norm-epsilon, stride-padding]}\n"
    project.plant(
        "papers/tiny.yaml", OFFICIAL + rest, "".join(line + rest for line in lines)
    )


def command(*argv):
    environment = os.environ | {
        "PYTHONPATH": f".:{ROOT}",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "reference_checks.cli", "check", *argv],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def check(*argv):
    done = command("--json", "results.json", *argv)
    _, err = done.communicate(timeout=300)
    results = json.loads(Path("results.json").read_text())
    return done.returncode, err, results


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("killed", "out of memory, or killed: died with signal 9"),
        ("full", "out of memory"),
        ("exhausted", "out of memory"),
    ],
)
def test_a_unit_that_dies_is_not_run_and_the_others_are(name, reason, here):
    """Its record says why, exit 3, and it is not done: --resume runs it again."""
    ship(here, name, "sound")
    code, _, results = check("-n", "2")
    assert 3 == code
    assert {"tiny/tiny/paper", UNIT + "sound"} == set(results["done"])
    (lost,) = [r for r in results["records"] if r["subject"].endswith(name)]
    assert ("run", "not run", reason) == (
        lost["check"],
        lost["verdict"],
        lost["detail"],
    )
    (here.root / "tf_keras.py").write_text(
        LIBRARY.replace(f"{name}={name}", f"{name}=sound")
    )
    code, _, results = check("-n", "1", "--resume")
    assert (0, 3) == (code, len(results["done"]))


def test_a_backend_that_is_not_there_is_one_line(here):
    """Said by the process that would have run the first unit; exit 2, and nothing is run."""
    ship(here, "sound")
    (here.root / "torch.py").write_text("raise ModuleNotFoundError('no torch here')\n")
    done = command("--backend", "torch", "-n", "2")
    _, err = done.communicate(timeout=300)
    (line,) = err.splitlines()
    assert (2, True) == (
        done.returncode,
        "Keras' backend 'torch' does not start" in line,
    )
    assert "install it, or name another with --backend" in line
    assert not (here.root / "built").exists()


def test_a_mistake_of_our_own_loses_one_unit(here, monkeypatch):
    """Its traceback is its problem, and the others have their records."""
    from reference_checks import checks
    from reference_checks.load import load_all
    from reference_checks.processes import run_units
    from reference_checks.units import Options, select

    ship(here, "sound")
    papers, run_unit = load_all(here.root / "papers"), checks.run_unit

    def mistaken(unit, networks, options):
        if unit.official is not None:
            raise ZeroDivisionError("planted")
        return run_unit(unit, networks, options)

    monkeypatch.setattr(checks, "run_unit", mistaken)
    outcomes = list(run_units(select(papers, []), papers, Options(run=False), 0))
    assert [True, False] == [outcome.complete for outcome in outcomes]
    assert outcomes[0].records
    assert "ZeroDivisionError: planted" in outcomes[1].problem


def test_the_order_and_number_of_processes_change_no_record(here):
    """One or two processes, or all in this one."""
    ship(here, "sound")
    found = []
    for processes in ("0", "1", "2"):
        code, _, results = check("-n", processes)
        assert 0 == code
        for record in results["records"]:
            del record["seconds"]
            if isinstance(record["measured"], float):  # sums are cut by threads
                del record["measured"], record["detail"]
        found.append(sorted(results["records"], key=repr))
    assert found[0] == found[1] == found[2]


def test_ctrl_c_keeps_what_is_finished_and_leaves_no_process(here):
    """Exit 130; the unit that hangs is ended with the others."""
    ship(here, "sound", "slow")
    running = command("-n", "2", "--json", "results.json")
    done = here.root / "results.json"
    for _ in range(600):
        kept = json.loads(done.read_text())["done"] if done.exists() else {}
        if len(kept) == 2 and (here.root / "slow").exists():
            break
        time.sleep(0.2)
    os.killpg(running.pid, signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert (130, True) == (running.returncode, "2 units are kept" in err)
    assert "Traceback" not in err
    assert {"tiny/tiny/paper", UNIT + "sound"} == set(kept)
    deadline = time.monotonic() + 30
    while alive(running.pid) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert [] == alive(running.pid)


def alive(session):
    """The processes of a session, but those that have ended and wait for their parent."""
    found = subprocess.run(
        ["ps", "-o", "stat=,args=", "-s", str(session)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return [p for p in found.stdout.splitlines() if not p.startswith("Z")]


def test_the_parent_holds_no_backend(here):
    """It plans, waits and writes."""
    ship(here, "sound")
    script = (
        "import sys\n"
        "from reference_checks.cli import main\n"
        "code = main(['check', '-n', '1'])\n"
        "print(code, sorted({'keras', 'tensorflow'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": f".:{ROOT}", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert "0 []" == done.stdout.splitlines()[-1]


def test_static_runs_may_be_shared_out(here):
    """By paper, since a paper's checks share networks."""
    from reference_checks.processes import _jobs
    from reference_checks.units import select

    text = (here.root / "papers/tiny.yaml").read_text()
    (here.root / "papers/also.yaml").write_text(text.replace("  tiny:", "  also:"))
    units = select(here.papers(), ())
    jobs = _jobs(units, Options(run=False), 2)
    assert [1, 1] == [len({unit.paper.stem for unit in job}) for job in jobs]
    jobs = _jobs(units, Options(), 2)
    assert [True, True, False, False] == [unit.official is None for (unit,) in jobs]


def test_the_plugin_runs_official_models_in_processes_of_their_own(here):
    """Also shared out by pytest-xdist, where a unit still runs once."""
    pytest.importorskip("xdist")
    ship(here, "sound", "killed")
    environment = os.environ | {"PYTHONPATH": f".:{ROOT}", "CUDA_VISIBLE_DEVICES": ""}
    arguments = ["-p", "no:cacheprovider", "-m", "official", "-n", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "papers", *arguments],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert "10 failed, 10 passed" in done.stdout
    assert "tf_keras:killed: out of memory, or killed" in done.stdout
    assert "paperspec verdicts:" in done.stdout
    pids = set((here.root / "built").read_text().splitlines())
    assert 1 == len(pids)


@pytest.mark.parametrize(
    ("known", "pairs"),
    [
        ("before", [{"a3", "b1"}, {"a2", "b2"}]),
        ("from static jobs", [{"a3", "b1"}, {"a2", "b2"}]),
        ("not", [{"a1", "b2"}, {"a2", "b1"}]),
    ],
)
def test_the_largest_networks_wait_for_each_other(monkeypatch, known, pairs):
    """Two of them do not fit into memory together; static jobs say how large they are."""
    sizes = {"a1": 3, "a2": 4, "a3": 9, "b1": 1, "b2": 2}
    networks = {
        f"{name[0]}/{name}": SimpleNamespace(params=n) for name, n in sizes.items()
    }
    together = []

    def start(pool, job):
        receiver, sender = multiprocessing.Pipe(duplex=False)
        pool.running[receiver] = (SimpleNamespace(join=lambda: None), deque(job))
        together.append({left[0].variant for _, left in pool.running.values()})
        static = job[0].official is None
        says = static and known == "from static jobs"
        sender.send(Outcome(job[0], networks=networks if says else {}))
        sender.close()
        return receiver

    def unit(name, official=None):
        return Unit(SimpleNamespace(stem=name[0]), name, official)

    monkeypatch.setattr(_Pool, "_start", start)
    jobs = deque([(unit("static_1"),), (unit("static_2"),)])
    jobs.extend((unit(name, "official"),) for name in sizes)
    before = networks if known == "before" else {}
    outcomes = list(_Pool({}, Options(), 2).run(jobs, before))
    assert len(sizes) + 2 == len(outcomes)
    assert [{"static_1", "static_2"}, *pairs] == [p for p in together if len(p) > 1]


def test_what_is_resumed_knows_how_large_networks_are(here, monkeypatch):
    """From the results that are kept: their static jobs do not run again."""
    ship(here, "killed")
    found, run = [], _Pool.run
    monkeypatch.setattr(_Pool, "run", lambda *a: found.append(list(a[2])) or run(*a))
    for _ in range(2):
        main(["check", "-n", "1", "--json", "results.json", "--resume"])
    assert [[], ["tiny/tiny"]] == found
