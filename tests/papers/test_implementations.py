"""The implementations are written as the papers are, and their constants are the papers'."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from reference_checks.networks import Networks
from reference_checks.rewrites import canonical

ROOT = Path(__file__).parents[2]
STEMS = (
    "convnext", "lenet5", "mobilenet_v2", "nasnet", "resnet", "squeezenet", "vgg",
)  # fmt: skip
MODULES = [ROOT / "implementations" / f"{stem}.py" for stem in STEMS]
by_name = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)


def imported(source: str) -> set[str]:
    """The packages that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or ".").split(".")[0])
    return found


def constants(project, stem: str, variant: str) -> list[tuple]:
    """Numbers that scale a network's tensors, and those of its normalisation."""
    papers = project.papers()
    graph = canonical(Networks(papers).graph(papers[stem], variant))
    found = []
    for op in graph.ops:
        if op.kind in ("scale", "shift") and "by" in op.attrs:
            found.append((op.kind, op.layer.split("/")[0], op.attrs["by"]))
        if op.kind == "lrn":
            found.append(
                (op.kind, *(op.attrs[k] for k in ("k", "size", "alpha", "beta")))
            )
    return found


@by_name
def test_an_implementation_imports_keras_alone(path):
    """Whoever copies the file needs Keras and nothing of this project."""
    assert {"keras"} == imported(path.read_text())


def test_another_import_is_seen():
    """The planted error of the test above."""
    assert {"keras", "numpy"} == imported(
        "import keras\ndef f():\n  import numpy.linalg"
    )


def lines_of_code(source):
    """How many lines say something to Python: no docstring, comment or empty line."""
    prose = set()
    for node in ast.walk(ast.parse(source)):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if documented and ast.get_docstring(node):
            text = node.body[0]
            prose.update(range(text.lineno, text.end_lineno + 1))
    return sum(
        number not in prose and line.strip() != "" and not line.lstrip().startswith("#")
        for number, line in enumerate(source.splitlines(), start=1)
    )


def test_lines_of_code_are_counted():
    """Three here: the rest is for people."""
    lines = (
        '"""Of the',
        'file."""',
        "",
        "# why",
        "def f(x):",
        "    'Of f.'",
        "    x = [",
        "    ]",
    )
    assert 3 == lines_of_code("\n".join(lines))


@by_name
def test_an_implementation_fits_the_page(path):
    """At most 90 lines of code, of at most 100 characters but for the literal table."""
    source = path.read_text()
    assert lines_of_code(source) <= 90
    inside, wide = False, []
    for line in source.splitlines():
        inside = line == "# fmt: off" or (inside and line != "# fmt: on")
        wide += [line] if len(line) > 100 and not inside else []
    assert [] == wide


@by_name
def test_an_implementation_says_what_it_mirrors(path):
    """The docstring gives title, year and what is silent; `build` starts with the variant."""
    tree = ast.parse(path.read_text())
    text = ast.get_docstring(tree)
    assert "Silent" in text
    assert any(f"{year}" in text for year in range(1980, 2027))
    (build,) = [
        n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "build"
    ]
    assert "variant" == build.args.args[0].arg
    assert {"input_shape", "classes"} <= {arg.arg for arg in build.args.kwonlyargs}


def test_lenet5_squashes_as_appendix_a_says(project):
    """f(a) = 1.7159 tanh(2/3 a), wherever units squash."""
    found = constants(project, "lenet5", "lenet5")
    scales = [by for kind, layer, by in found if layer in ("c1", "f6")]
    assert [2 / 3, 1.7159] * 2 == scales


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1.7159 * ops.tanh(2 / 3 * x)", "ops.tanh(x)"),
        ("1.7159 * ops.tanh(2 / 3 * x)", "1.7159 * ops.tanh(x)"),
        ("1.7159", "1.7195"),
    ],
)
def test_another_squashing_function_is_seen(old, new, project):
    """The planted error of the test above."""
    before = constants(project, "lenet5", "lenet5")
    project.plant("implementations/lenet5.py", old, new)
    assert before != constants(project, "lenet5", "lenet5")


def test_vgg_normalises_as_krizhevsky_et_al_do(project):
    """k = 2, n = 5, alpha = 1e-4, beta = 0.75: Section 2.1 refers there."""
    assert [("lrn", 2.0, 5, 1e-4, 0.75)] == constants(project, "vgg", "vgg11_lrn")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("k=2", "k=1"),
        ("n=5", "n=3"),
        ("alpha=1e-4", "alpha=2e-5"),
        ("beta=0.75", "beta=0.5"),
    ],
)
def test_another_constant_of_the_normalisation_is_seen(old, new, project):
    """The planted error of the test above."""
    project.plant("implementations/vgg.py", old, new)
    assert [("lrn", 2.0, 5, 1e-4, 0.75)] != constants(project, "vgg", "vgg11_lrn")
