"""The workflow: which papers it checks, and what it may do."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT

TEXT = (ROOT / ".github/workflows/checks.yml").read_text()
WORKFLOW = yaml.safe_load(TEXT)
STEMS = ROOT / ".ci/stems"


@pytest.fixture
def repository(tmp_path):
    """Two papers committed; a function that commits more and says which are to check."""

    def git(*words):
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        subprocess.run(
            ["git", *who, *words], cwd=tmp_path, check=True, capture_output=True
        )

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.unlink() if text is None else path.write_text(text)
        git("add", "-A")
        git("commit", "-qm", "more")

    def to_check(files=None):
        if files is not None:
            write(files)
        run = subprocess.run(
            [sys.executable, STEMS, *(["base"] if files is not None else [])],
            cwd=tmp_path, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return json.loads(run.stdout)

    git("init", "-q")
    names = (
        "papers/vgg.yaml",
        "papers/resnet.yaml",
        "implementations/vgg.py",
        "README.md",
    )
    write(dict.fromkeys(names, "one\n"))
    git("branch", "base")
    return to_check


def test_all_papers_are_checked_without_a_base(repository):
    assert ["resnet", "vgg"] == repository()


@pytest.mark.parametrize(
    ("files", "stems"),
    [
        ({"papers/resnet.yaml": "two\n"}, ["resnet"]),
        ({"implementations/vgg.py": "two\n"}, ["vgg"]),
        ({"papers/new.yaml": "one\n", "implementations/new.py": "one\n"}, ["new"]),
        ({"README.md": "two\n"}, []),
        ({"papers/schema.json": "{}\n"}, []),
        ({"papers/vgg.yaml": None}, []),  # removed
        (
            {"papers/vgg.yaml": "two\n", "papers/resnet.yaml": "two\n"},
            ["resnet", "vgg"],
        ),
    ],
)
def test_a_pull_request_checks_what_it_touches(repository, files, stems):
    assert stems == repository(files)


def test_a_base_that_is_not_there_is_an_error(tmp_path):
    """Rather than no paper to check."""
    run = subprocess.run(
        [sys.executable, STEMS, "nowhere"], cwd=tmp_path, capture_output=True
    )
    assert 0 != run.returncode


def steps():
    return [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]


def test_every_action_is_pinned_to_a_commit():
    """With the version beside it, and to one commit each."""
    used = [step["uses"] for step in steps() if "uses" in step]
    pinned = re.findall(r"uses: (\S+@[0-9a-f]{40}) # v\d+\.\d+\.\d+\n", TEXT)
    assert sorted(used) == sorted(pinned)
    repositories = {"/".join(name.split("@")[0].split("/")[:2]) for name in used}
    assert len(repositories) == len({name.split("@")[1] for name in used})


def test_the_workflow_may_only_read():
    """No job asks for more, and no token stays in the checkout."""
    assert {"contents": "read"} == WORKFLOW["permissions"]
    assert not [name for name, job in WORKFLOW["jobs"].items() if "permissions" in job]
    for step in steps():
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_nothing_from_outside_is_pasted_into_a_command():
    """What a pull request names arrives by the environment."""
    for step in steps():
        for expression in re.findall(r"\$\{\{(.*?)\}\}", step.get("run", "")):
            assert "matrix.environment" == expression.strip()


def test_every_environment_exists():
    tox = (ROOT / "tox.ini").read_text()
    named = set(WORKFLOW["jobs"]["tox"]["strategy"]["matrix"]["environment"])
    named |= set(re.findall(r"tox -e (\w+)", TEXT))
    assert named <= set(re.findall(r"^\[testenv:(\w+)\]", tox, re.MULTILINE))
