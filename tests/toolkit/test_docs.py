"""The documents say what is."""

from __future__ import annotations

import configparser
import doctest
import inspect
import re
import shlex
from pathlib import Path

import documents
import pytest
import yaml
from documents import ROOT, Block, blocks, follow, run, workspace

from reference_checks.cli.parser import parser
from reference_checks.rewrites import RULES

PAGES = [ROOT / "README.md", ROOT / ".github/CONTRIBUTING.md", *ROOT.glob("docs/*.md")]
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
CONSOLES = [page for page in PAGES if any(b.kind == "console" for b in blocks(page))]
OF_THE_WALK_THROUGH = "squeezenet"

# What installs from the network is not run here: what runs it, and the words there.
ELSEWHERE = {
    "python -m pip install tox && python -m tox": (".ci/run", "bin/python -m tox"),
    "python -m pip install tox && python -m tox -e report": (
        ".github/workflows/*.yml", "python -m tox -e report",
    ),
    'python -m pip install -e ".[contribute,test]"': ("pyproject.toml", "contribute = ["),
    "python -m pip install -e .": ("tox.ini", "package = editable"),
    "python -m pip install paperspec": ("pyproject.toml", 'name = "paperspec"'),
    "pre-commit install": (".pre-commit-config.yaml", "repo: local"),
    "python -m tox": (".ci/run", "bin/python -m tox"),
    "python -m tox -e lint": (".github/workflows/*.yml", "python -m tox -e lint"),
    "python -m tox -e papers -- -k resnet50": ("tox.ini", "[testenv:papers]"),
    "tox -e gpu": ("tox.ini", "[testenv:gpu]"),
    "tox -e jax": ("tox.ini", "jax: jax>="),
    "tox -e jax-official": ("tox.ini", "official: paperspec check -n 2"),
    "python docs/pictures/error_by_depth.py": ("docs/pictures/*.py", "def table("),
    "python tests/benchmarks/false_alarms.py": ("tests/benchmarks/*.py", "def table("),
    "tox -e mutants": ("tox.ini", "[testenv:mutants]"),
    "tox -e checker": ("tox.ini", "[testenv:checker]"),
}  # fmt: skip


def rewrites_page() -> str:
    """docs/rewrites.md, from the rules' docstrings."""
    rows = []
    for name, rule in RULES.items():
        first, _, rest = inspect.getdoc(rule).partition("\n\n")
        cells = (" ".join(text.split()).replace("|", "\\|") for text in (first, rest))
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(
        [
            "# Rewrites",
            "",
            "Two correct implementations of one architecture differ in spelling.",
            "Each rewrite brings two spellings to one, with its justification; a property",
            "test in `tests/toolkit/test_rewrites.py` evaluates both sides on random graphs.",
            "",
            "| rewrite | the two spellings | why, and what happens to weights |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def test_the_table_of_rewrites_is_up_to_date():
    """docs/rewrites.md is what the rules say of themselves."""
    assert rewrites_page() == (ROOT / "docs" / "rewrites.md").read_text()


@pytest.mark.parametrize("page", CONSOLES, ids=lambda page: page.stem)
def test_a_page_can_be_followed_to_the_letter(page, tmp_path):
    """Its commands print what it shows, in this order, and its edits can be made."""
    walk = page.stem == "CONTRIBUTING"
    folder = workspace(tmp_path, OF_THE_WALK_THROUGH if walk else None)
    assert [] == list(follow(blocks(page), folder))
    if walk:
        for file in ("papers/squeezenet.yaml", "implementations/squeezenet.py"):
            assert (ROOT / file).read_text() == (folder / file).read_text()


WALK = """\
```console
$ paperspec new squeezenet --arxiv 1602.07360
papers/squeezenet.yaml
{}
```
```yaml
# papers/squeezenet.yaml
tables:
{}
```
"""


@pytest.mark.parametrize(
    ("printed", "excerpt", "wrong"),
    [
        ("implementations/squeezenet.py", "  table_1:", None),
        ("implementations/squeeze.py", "  table_1:", "'implementations/squeeze.py'"),
        ("implementations/squeezenet.py", "  table_9:", "has no line '  table_9:'"),
    ],
)
def test_a_page_that_is_not_true_is_seen(printed, excerpt, wrong, tmp_path):
    """The planted errors of the test above: an output and an excerpt."""
    (tmp_path / "page.md").write_text(WALK.format(printed, excerpt))
    folder = tmp_path / "work"
    folder.mkdir()
    found = list(
        follow(blocks(tmp_path / "page.md"), workspace(folder, OF_THE_WALK_THROUGH))
    )
    assert (1 if wrong else 0) == len(found)
    assert wrong is None or wrong in found[0]


def test_an_edit_that_cannot_be_made_is_seen():
    """The planted error of the walk-through's edits."""
    edit = Block("diff", "--- papers/squeezenet.yaml\n-year: 2015\n+year: 2017\n", 1)
    with pytest.raises(AssertionError, match="not there"):
        documents.first_stage([edit], "papers/squeezenet.yaml")


@by_page
def test_the_examples_of_a_page_are_what_python_says(page, monkeypatch):
    """From the repository, as a reader would run them."""
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT)
    examples = doctest.DocTestParser().get_doctest(
        page.read_text(), {}, page.name, str(page), 0
    )
    output: list[str] = []
    doctest.DocTestRunner().run(examples, out=output.append)
    assert [] == output


def recipes() -> list[tuple[str, str]]:
    """The commands of the pages' recipes, with the kind of recipe."""
    found = []
    for page in PAGES:
        for block in blocks(page):
            if block.kind == "yaml" and block.file is None:
                assert yaml.safe_load(block.text)
            elif block.kind == "ini":
                configparser.ConfigParser().read_string(block.text)
            else:
                continue
            for line in block.text.splitlines():
                command = re.sub(r"^[\s-]*(run: |commands = )?", "", line)
                if command.startswith("paperspec "):
                    found.append((f"{page.stem}:{block.line}", command))
    return found


@pytest.mark.parametrize("command", sorted({command for _, command in recipes()}))
def test_a_recipe_runs(command, tmp_path):
    """Its example model is not the paper's: exit code 1, and the reports are there."""
    folder = workspace(tmp_path)
    code, printed = run(command, folder)
    assert 1 == code, printed
    for name in ("summary.md", "junit.xml", "index.html"):
        assert (folder / "reports" / name).is_file()


def inline(page: Path) -> list[str]:
    """Commands between back quotes or in a block that is not run, on one page."""
    text = page.read_text()
    found = [c for b in blocks(page) if not b.kind for c in b.text.splitlines()]
    found += re.findall(r"`([^`\n]+)`", documents.FENCE.sub("", text))
    return [
        c for c in found if re.match(r"(python|paperspec|pytest|tox|pre-commit) ", c)
    ]


def usable(command: str) -> bool:
    """Whether a command with placeholders is one that paperspec has."""
    words = shlex.split(re.sub(r"[\[\]…]", "", command))[1:]
    try:
        parser().parse_args(words)
    except SystemExit:
        return False
    return True


@by_page
def test_every_command_that_is_named_is_one(page, capsys):
    """paperspec's own are read by its parser, others are known to be run elsewhere."""
    for command in inline(page):
        if command.startswith("paperspec "):
            assert usable(command), command
        elif command.startswith("python -m pydoc "):
            assert run(command, ROOT)[0] == 0
        elif command.startswith("pytest "):
            assert run(f"{command} --collect-only -q", ROOT)[0] == 0
        else:
            pattern, words = ELSEWHERE[command]
            assert any(words in path.read_text() for path in ROOT.glob(pattern))


def test_a_command_that_is_none_is_seen(capsys):
    """The planted errors of the test above."""
    assert usable("paperspec lint [SPEC…]")
    assert not usable("paperspec lnit [SPEC…]")
    assert not usable("paperspec check --statik")


def test_the_pages_show_commands():
    """The tests above have something to test."""
    assert len(CONSOLES) >= 5
    assert len(recipes()) == 3
    assert sum(len(inline(page)) for page in PAGES) > 20


@by_page
def test_links_within_the_repository_lead_somewhere(page):
    """Files, and headings in them."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        file, _, heading = target.partition("#")
        path = page.parent / file if file else page
        assert path.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
            slugs = [
                re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles
            ]
            assert heading in slugs, target
