"""Starting a paper: what `paperspec new` writes, and what `lint --watch` says of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Project

from reference_checks.cli import main
from reference_checks.lint import lint
from reference_checks.record import Verdict

NUMBER = ("--arxiv", "1602.07360")


@pytest.fixture
def empty(tmp_path, monkeypatch) -> Path:
    """A folder for specs, with none."""
    (tmp_path / "papers").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fails(capsys, *argv: str) -> str:
    """The line that a command with bad input prints."""
    assert 2 == main(list(argv))
    out, err = capsys.readouterr()
    assert "" == out
    assert 1 == len(err.splitlines())
    return err


def test_what_is_new_has_nothing_but_things_to_do(empty):
    """Each says what to write there, and has its place."""
    assert 0 == main(["new", "squeezenet", *NUMBER])
    problems = lint([Path("papers/squeezenet.yaml")])
    assert len(problems) >= 10
    assert {"TODO: "} == {problem.message[:6] for problem in problems}


def test_what_is_new_is_a_spec_once_that_is_done(empty):
    """Nothing else is missing, and the example network is what its rows say."""
    main(["new", "squeezenet", *NUMBER, "--title", "SqueezeNet: 50x fewer"])
    spec = Path("papers/squeezenet.yaml")
    spec.write_text(spec.read_text().replace("TODO: ", ""))
    assert [] == lint([spec])
    records = Project(empty).records("squeezenet/squeezenet/paper")
    assert {"rows", "input size", "output size", "top1_error"} == {
        r.check for r in records
    }
    assert {Verdict.EXACT, Verdict.RECORDED} == {r.verdict for r in records}


@pytest.mark.parametrize(
    ("options", "year", "where"),
    [
        (NUMBER, 2016, "1602.07360"),
        (("--arxiv", "1409.4842v1", "--year", "2015"), 2015, "1409.4842v1"),
        (("--year", "1998"), 1998, None),
    ],
)
def test_the_year_is_that_of_the_number_unless_it_is_said(options, year, where, empty):
    """A paper that is not on arXiv has a URL."""
    main(["new", "net", *options])
    spec = yaml.safe_load(Path("papers/net.yaml").read_text())
    assert (year, where) == (spec["year"], spec.get("arxiv"))
    assert ("url" in spec) == (where is None)


@pytest.mark.parametrize(
    "title", ['The "Deep" \\ Network', "{braces}: # and {0}", "'''", 'ends with """']
)
def test_a_title_is_kept_whatever_it_has(title, empty):
    """In the spec digit for digit, and the module still compiles."""
    main(["new", "net", *NUMBER, "--title", title])
    assert title == yaml.safe_load(Path("papers/net.yaml").read_text())["title"]
    compile(Path("implementations/net.py").read_text(), "net.py", "exec")


@pytest.mark.parametrize("name", ["Net", "../net", "net-1", "1net", "", "a" * 51, "né"])
def test_a_name_that_no_file_should_have_is_refused(name, empty, capsys):
    """It names a spec, a module, a page and tests."""
    assert "no name for a paper" in fails(capsys, "new", name, *NUMBER)
    assert [] == list(empty.rglob("*.*"))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("class", *NUMBER), "'class' is a word of Python"),
        (("index", *NUMBER), "'index' is the reports' first page"),
        (("net",), "say --year, or --arxiv"),
        (("net", "--arxiv", "16.1"), "write the arXiv number as"),
        (("net", "--year", "16"), "16: no year of a paper"),
        (("net", *NUMBER, "--title", "a\nb"), "one line of text"),
    ],
)
def test_bad_input_is_refused_with_the_way_out(argv, message, empty, capsys):
    """And nothing is written."""
    assert message in fails(capsys, "new", *argv)
    assert [] == list(empty.rglob("*.*"))


def test_a_variant_of_another_paper_is_no_name(tiny, monkeypatch, capsys):
    """The scaffold's variant would be there twice."""
    monkeypatch.chdir(tiny.root)
    tiny.plant("papers/tiny.yaml", "  tiny:\n", "  small:\n")
    assert "a variant of papers/tiny.yaml" in fails(capsys, "new", "small", *NUMBER)


@pytest.mark.parametrize("there", ["papers/net.yaml", "implementations/net.py"])
def test_nothing_is_ever_overwritten(there, empty, capsys):
    """Neither file, and with one of them there the other is not written either."""
    (empty / "implementations").mkdir()
    (empty / there).write_text("mine")
    assert f"{there} is there already" in fails(capsys, "new", "net", *NUMBER)
    assert "mine" == (empty / there).read_text()
    assert [empty / there] == list(empty.rglob("net.*"))


def test_without_a_folder_of_specs_nothing_is_written(tmp_path, monkeypatch, capsys):
    """Least of all into the installed package."""
    monkeypatch.chdir(tmp_path)
    assert "no folder papers here" in fails(capsys, "new", "net", *NUMBER)


def test_lint_watches(tiny):
    """It says what a change broke, and the exit code is that of the end."""
    path = tiny.root / "papers/tiny.yaml"
    broken = path.read_text().replace("year: 2020", "yeer: 2020")
    found = threading.Event()

    def change(process: subprocess.Popen) -> None:
        # Again and again: nobody says when the watcher has begun.
        while not found.wait(0.3) and process.poll() is None:
            saved = path.with_suffix(".new")  # as editors do
            saved.write_text(broken)
            saved.replace(path)

    with subprocess.Popen(
        [sys.executable, "-m", "reference_checks.cli", "lint", "--watch"],
        cwd=tiny.root,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        guard = threading.Timer(60, process.kill)
        guard.start()
        lines = iter(process.stderr.readline, "")
        assert next(line for line in lines if line.startswith("watching"))
        writer = threading.Thread(target=change, args=[process])
        writer.start()
        problem = process.stdout.readline()
        found.set()
        writer.join()
        assert next(line for line in lines if line.startswith("watching"))
        process.send_signal(signal.SIGINT)
        process.communicate()
        guard.cancel()
    assert "papers/tiny.yaml:1:1: the spec needs 'year'\n" == problem
    assert 2 == process.returncode


def test_watching_without_watchfiles_says_what_to_install(tiny, monkeypatch, capsys):
    """It is an extra."""
    monkeypatch.chdir(tiny.root)
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    assert "pip install 'paperspec[contribute]'" in fails(capsys, "lint", "--watch")


def hooks() -> list[dict]:
    """The hooks that pre-commit runs on specs, of users and of this repository."""
    (config,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    users = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    return [hook for hook in (*config["hooks"], *users) if "lint" in hook["id"]]


@pytest.mark.parametrize("hook", hooks(), ids=lambda hook: hook["entry"])
def test_a_hook_lints_the_specs_of_a_commit(hook, tiny, capsys, monkeypatch):
    """Specs, and nothing else in the folder; a problem fails the commit."""
    assert re.search(hook["files"], "papers/tiny.yaml")
    for other in ("papers/schema.json", "papers/old/tiny.yaml", "tests/papers/x.yaml"):
        assert not re.search(hook["files"], other)
    _, command = hook["entry"].rsplit(" ", 1)
    monkeypatch.chdir(tiny.root)
    assert 0 == main([command, "papers/tiny.yaml"])
    tiny.plant("papers/tiny.yaml", "year: 2020", "yeer: 2020")
    assert 2 == main([command, "papers/tiny.yaml"])
