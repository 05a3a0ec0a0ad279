"""The command, in this process: output, JSON, exit codes, bad input, resuming."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import count

import pytest
from conftest import ROOT, official_tiny

from reference_checks.cli import main, running
from reference_checks.cli.running import left
from reference_checks.results import Results

IMPORTS = """\
import sys
from reference_checks.cli import main
code = main({argv!r})
heavy = {{"keras", "tensorflow", "jax", "torch", "numpy", "rich", "jinja2"}} & set(sys.modules)
print(sorted(heavy), code, file=sys.stderr)
"""
RESULTS = "results.json"


@pytest.fixture
def here(tiny, monkeypatch):
    """The tiny project as the current folder."""
    monkeypatch.chdir(tiny.root)
    monkeypatch.setenv("COLUMNS", "100")
    return tiny


def run(capsys, *argv):
    """Exit code, standard output, standard error."""
    code = main(list(argv))
    return code, *capsys.readouterr()


def run_json(capsys, *argv):
    code, out, _ = run(capsys, *argv, "--json")
    return code, json.loads(out)


def write_broken_neighbour(project):
    """A second paper, whose implementation does not import."""
    text = (project.root / "papers/tiny.yaml").read_text()
    (project.root / "papers/also.yaml").write_text(text.replace("  tiny:", "  also:"))
    (project.root / "implementations/also.py").write_text("import nothing_like_this")


# Reading specs -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "argv", [["list"], ["lint"], ["claims"], ["claims", "vgg*", "--json"]]
)
def test_reading_specs_imports_nothing_heavy(argv, project):
    """Neither Keras nor a backend, nor what only rendering needs."""
    assert "[] 0" == imported(IMPORTS.format(argv=argv), project)


def test_heavy_imports_are_seen(project):
    """The planted error of the test above."""
    source = "import numpy\n" + IMPORTS.format(argv=["list"])
    assert "['numpy'] 0" == imported(source, project)


def imported(source, project):
    """The last line that a fresh interpreter writes to standard error."""
    done = subprocess.run(
        [sys.executable, "-c", source],
        cwd=project.root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stderr.splitlines()[-1]


def test_list_shows_variants_models_and_last_verdicts(here, capsys):
    """Before a run, and after it."""
    code, out, _ = run(capsys, "list", "--from", RESULTS)
    assert 0 == code
    assert ["tiny", "tiny", "Tiny", "keras:Tiny", "not run"] == out.splitlines()[
        1
    ].split(None, 4)
    run(capsys, "check", "--static", "--json", RESULTS)
    _, rows = run_json(capsys, "list", "--from", RESULTS)
    (row,) = rows
    assert {"paper", "variant", "name", "official", "verdict"} == set(row)
    assert row["verdict"].endswith("pass, 6 not run")


def test_lint_is_silent_about_good_specs(here, capsys):
    """One line on standard error, exit 0."""
    assert (0, "", "1 spec, no problems\n") == run(capsys, "lint")
    assert (0, []) == run_json(capsys, "lint")


def test_lint_shows_every_problem_with_its_place(here, capsys):
    """file:line:column: message, nearest key; exit 2."""
    here.plant("papers/tiny.yaml", "year: 2020", "yeer: 2020")
    code, out, _ = run(capsys, "lint")
    assert 2 == code
    assert "papers/tiny.yaml:3:1:" in out
    assert "year" in out
    code, problems = run_json(capsys, "lint", "papers/tiny.yaml")
    assert 2 == code
    assert {"path", "line", "column", "message"} == set(problems[0])


def test_claims_are_data(here, capsys):
    """One for each printed number, with its place."""
    code, found = run_json(capsys, "claims", "tiny")
    assert (0, ["3", "379", "10K", "25.0"]) == (
        code,
        [claim["printed"] for claim in found],
    )
    assert all(claim["where"].startswith("papers/tiny.yaml:") for claim in found)
    _, out, _ = run(capsys, "claims")
    assert "params: 379  (Table 2)" in out


def test_the_schema_is_printed(capsys):
    """As the file beside the specs."""
    code, out, _ = run(capsys, "schema")
    assert (0, json.loads((ROOT / "papers/schema.json").read_text())) == (
        code,
        json.loads(out),
    )


def test_a_backend_that_does_not_start_is_one_line(project):
    """Named by the option; in its own process, since Keras chooses once."""
    block = "import sys; sys.modules['torch'] = None\n"
    call = "from reference_checks.cli import main\n"
    call += "sys.exit(main(['check', 'resnet20', '--static', '--backend', 'torch']))"
    done = subprocess.run(
        [sys.executable, "-c", block + call],
        cwd=project.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    (line,) = done.stderr.splitlines()
    assert (2, True) == (done.returncode, "Keras' backend 'torch' does not" in line)


# Models --------------------------------------------------------------------------------


def test_show_puts_printed_ours_and_official_side_by_side(here, capsys):
    """Row by row."""
    code, out, _ = run(capsys, "show", "tiny")
    assert 0 == code
    assert "3x3, 6, stride 2" in out
    assert "head" in out
    code, records = run_json(capsys, "show", "tiny")
    assert {"paper", "variant", "check", "verdict"} <= set(records[0])


def test_count_counts_by_row_and_by_layer(here, capsys):
    """Parameters by class, operations under every convention."""
    code, found = run_json(capsys, "count", "paper:tiny")
    assert (0, "row", 399) == (code, found["by"], found["params"]["all"])
    assert {"stem": 6912, "block": 3456, "head": 30} == {
        line["row"]: line["multiply_adds"] for line in found["lines"]
    }
    assert 2 * found["multiply_adds"]["multiply-adds"] == found["multiply_adds"]["2x"]
    _, found = run_json(capsys, "count", "keras:Tiny")
    assert ("layer", 409) == (found["by"], found["params"]["all"])
    code, out, _ = run(capsys, "count", "keras:Tiny")
    assert (0, True) == (code, "10,398" in out)
    assert 2 == run(capsys, "count", "keras:Tiny", "--by", "row")[0]


def test_diff_says_whether_models_are_the_same(here, capsys):
    """Exit 1 where they differ, and how."""
    code, found = run_json(capsys, "diff", "paper:tiny", "paper:tiny")
    assert 0 == code
    code, found = run_json(capsys, "diff", "paper:tiny", "keras:Tiny")
    assert (1, "keras:Tiny") == (code, found["b"])
    assert {"absorbed", "changes"} <= set(found)
    code, out, _ = run(capsys, "diff", "paper:tiny", "keras:Tiny")
    assert (1, True) == (code, "padding" in out)


# Keras reads its TensorFlow variables so when it saves them.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")
def test_transfer_moves_weights_into_a_file(here, capsys):
    """What is saved computes what the source computes."""
    import keras
    import numpy as np

    source = official_tiny()
    rng = np.random.default_rng(0)
    for weight in source.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    source.save("source.keras")
    (here.root / "ours.py").write_text(
        "import sys\n"
        "sys.path.insert(0, 'implementations')\n"
        "import tiny\n"
        "build = lambda: tiny.build('tiny', pad=((0, 1), (0, 1)))\n"
    )
    names = ("file:source.keras", "python:ours:build")
    code, out, err = run(capsys, "transfer", *names, "--out", "moved.keras")
    assert (0, "") == (code, err)
    assert "0 left over" in out
    x = rng.standard_normal((2, 8, 8, 3)).astype("float32")
    moved = keras.saving.load_model("moved.keras")
    np.testing.assert_allclose(
        source.predict(x, verbose=0), moved.predict(x, verbose=0), rtol=1e-4
    )


def test_transfer_between_networks_that_differ_moves_nothing(here, capsys):
    """One line that leads to diff, and no file."""
    code, _, err = run(
        capsys, "transfer", "paper:tiny", "keras:Tiny", "--out", "x.keras"
    )
    assert (2, 1) == (code, len(err.splitlines()))
    assert "paperspec diff" in err
    assert not (here.root / "x.keras").exists()


# Checks --------------------------------------------------------------------------------


def test_check_passes_and_writes_results_and_reports(here, capsys):
    """Exit 0, a results file, and a page for each paper."""
    argv = ("check", "-n", "0", "--json", RESULTS, "--report", "reports")
    code, out, _ = run(capsys, *argv)
    assert 0 == code
    assert "0 contradicted" in out
    results = json.loads((here.root / RESULTS).read_text())
    assert {"tiny/tiny/paper", "tiny/tiny/keras:Tiny"} == set(results["done"])
    names = {path.name for path in (here.root / "reports").iterdir()}
    assert {"index.html", "tiny.html", "summary.md", "junit.xml"} <= names


def test_a_contradiction_is_exit_1_and_shown_first(here, capsys):
    """In two lines: what is printed, what was measured."""
    here.plant("papers/tiny.yaml", '"379"', '"380"')
    code, out, _ = run(capsys, "check", "--static")
    assert 1 == code
    assert "the paper prints 380" in out
    assert "measured 379" in out


def test_results_can_go_to_standard_output(here, capsys):
    """And nothing else does."""
    code, out, _ = run(capsys, "check", "tiny", "--static", "--json", "-")
    assert (0, "tiny") == (code, json.loads(out)["records"][0]["paper"])


def test_reports_are_made_from_results(here, capsys):
    """Without running anything again."""
    run(capsys, "check", "--static", "--json", RESULTS)
    code, out, _ = run(capsys, "report", "--from", RESULTS, "--out", "pages")
    assert (0, True) == (code, "pages/index.html" in out)
    assert (here.root / "pages" / "tiny.html").is_file()


def test_a_report_shows_what_would_have_been_caught(here, capsys):
    """From what `mutate` has kept; anything else is bad input."""
    run(capsys, "check", "--static", "--json", RESULTS)
    run(
        capsys, "mutate", "tiny", "--static", "--class", "epsilon slightly", "--json",
        "mutants.json",
    )  # fmt: skip
    pages = ("report", "--from", RESULTS, "--out", "pages", "--mutants")
    assert 0 == run(capsys, *pages, "mutants.json")[0]
    assert "epsilon slightly" in (here.root / "pages/sensitivity.html").read_text()
    code, _, err = run(capsys, *pages, RESULTS)
    assert (2, True) == (code, "no mutants" in err)
    code, _, err = run(capsys, *pages, "nothing.json")
    assert (2, True) == (code, "nothing.json" in err)


def test_what_changed_since_the_last_report_is_told(here, capsys):
    """On the terminal and in the summary; the file may be the one that is replaced."""
    run(capsys, "check", "--static", "--json", RESULTS)
    here.plant("papers/tiny.yaml", '"379"', '"380"')
    code, out, _ = run(
        capsys, "check", "--static", "--json", RESULTS, "--compare", RESULTS,
        "--report", "reports",
    )  # fmt: skip
    assert 1 == code
    assert ": 1 fail that did not\n" in out
    changed = "(Table 2), printed 379 → 380: exact 379 → contradicted 379"
    assert f"tiny/tiny params {changed}" in out
    assert "## Changed since" in (here.root / "reports/summary.md").read_text()
    code, _, err = run(capsys, "check", "--static", "--compare", "nothing.json")
    assert (2, True) == (code, "nothing.json" in err)


def test_github_gets_its_annotations(here, capsys, monkeypatch):
    """On GitHub alone, and not among JSON."""
    here.plant("papers/tiny.yaml", '"379"', '"380"')
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert "::error" not in run(capsys, "check", "--static")[1]
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    place = next(
        f"::error file=papers/tiny.yaml,line={number},"
        for number, line in enumerate(
            (here.root / "papers/tiny.yaml").read_text().splitlines(), start=1
        )
        if '"380"' in line
    )
    assert 1 == run(capsys, "check", "--static")[1].count(place)
    json.loads(run(capsys, "check", "--static", "--json", "-")[1])


def test_reports_of_several_runs_are_one(here, capsys):
    """As CI makes them, a paper at a time."""
    text = (here.root / "papers/tiny.yaml").read_text()
    code = (here.root / "implementations/tiny.py").read_text()
    (here.root / "papers/also.yaml").write_text(text.replace("  tiny:", "  also:"))
    (here.root / "implementations/also.py").write_text(code)
    for stem in ("tiny", "also"):
        run(capsys, "check", stem, "--static", "--json", f"{stem}.json")
    code, _, _ = run(
        capsys, "report", "--from", "tiny.json", "also.json", "--out", "pages"
    )
    assert 0 == code
    joined = json.loads((here.root / "pages/results.json").read_text())
    assert ["also", "tiny"] == list(joined["papers"])
    assert {"also/also", "tiny/tiny"} == set(joined["networks"])


def test_a_log_says_how_much_is_left(here, capsys):
    """After each unit an estimate of the rest, and nothing after the last."""
    _, _, err = run(capsys, "check", "--static")
    first, second = err.splitlines()[:2]
    assert first.startswith("[1/2] tiny/tiny/paper, about ")
    assert "[2/2] tiny/tiny/keras:Tiny" == second


def test_what_is_left_counts_units_that_run_a_network_apart():
    """A hundred quick units say nothing of how long forty networks take."""
    quick, networks = [0.1] * 100, [30.0] * 2
    assert ", 40 networks still to be run" == left(
        10, {False: quick, True: []}, {False: 100, True: 40}
    )
    assert ", 1 network still to be run" == left(
        10, {False: quick, True: []}, {False: 0, True: 1}
    )
    assert ", about 19 min left" == left(
        70, {False: quick, True: networks}, {False: 0, True: 38}
    )
    assert ", about 9 min left" == left(  # two side by side
        35, {False: quick, True: networks}, {False: 100, True: 38}
    )
    assert "" == left(1000, {False: quick, True: networks * 20}, {False: 0, True: 0})


def test_output_has_no_colour_where_nobody_wants_it(here, capsys, monkeypatch):
    """NO_COLOR, even where a terminal is forced."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = run(capsys, "check", "--static")[1]
    monkeypatch.setenv("NO_COLOR", "1")
    plain = run(capsys, "check", "--static")[1]
    assert "\x1b[3" in coloured
    assert "\x1b[3" not in plain


@pytest.mark.parametrize("interrupted_by", [KeyboardInterrupt, "kill"])
def test_an_interrupted_run_keeps_what_is_finished_and_resumes(
    interrupted_by, here, capsys, monkeypatch
):
    """The units that are done are not run again; the end is as if nothing had happened."""
    from reference_checks import checks

    class Killed(BaseException):
        pass

    honest, ran = checks.run_unit, []

    def interrupted(unit, *arguments):
        ran.append(unit.name)
        if len(ran) == 2:
            raise KeyboardInterrupt if interrupted_by is KeyboardInterrupt else Killed
        return honest(unit, *arguments)

    monkeypatch.setattr(checks, "run_unit", interrupted)
    if interrupted_by is KeyboardInterrupt:
        code, _, err = run(capsys, "check", "--static", "--json", RESULTS)
        assert (130, True) == (code, "interrupted" in err)
    else:
        with pytest.raises(Killed):
            main(["check", "--static", "--json", RESULTS])
    assert ["tiny/tiny/paper"] == list(
        json.loads((here.root / RESULTS).read_text())["done"]
    )
    ran.extend(["", ""])
    code, _, _ = run(capsys, "check", "--static", "--json", RESULTS, "--resume")
    assert (0, ["tiny/tiny/keras:Tiny"]) == (code, ran[4:])
    run(capsys, "check", "--static", "--json", "whole.json")
    resumed, whole = (
        json.loads((here.root / name).read_text()) for name in (RESULTS, "whole.json")
    )
    assert whole["done"] == resumed["done"]
    for record in (*whole["records"], *resumed["records"]):
        record.pop("seconds")
    assert whole["records"] == resumed["records"]


@pytest.mark.parametrize(("seconds", "done"), [(0.0, [0, 2]), (2.0, [0, 1, 2, 2])])
def test_results_are_written_after_what_took_long_and_at_the_end(
    seconds, done, here, capsys, monkeypatch
):
    """Units that take no time are not worth a file of all results each."""
    clock, written, write = count(step=seconds), [], Results.write
    monkeypatch.setattr(running, "monotonic", lambda: next(clock))
    monkeypatch.setattr(
        Results, "write", lambda r, path: written.append(len(r.done)) or write(r, path)
    )
    assert 0 == run(capsys, "check", "--static", "--json", RESULTS)[0]
    assert done == written


def test_a_unit_runs_again_when_its_spec_or_code_changed(here, capsys, monkeypatch):
    """What is done is done for these sources only."""
    from reference_checks import checks

    honest, ran = checks.run_unit, []
    monkeypatch.setattr(
        checks, "run_unit", lambda u, *a: ran.append(u.name) or honest(u, *a)
    )
    check = ("check", "--static", "--json", RESULTS, "--resume")
    run(capsys, *check)
    run(capsys, *check)
    assert 2 == len(ran)
    here.plant("implementations/tiny.py", '"""Tiny."""', '"""Tiny!"""')
    run(capsys, *check)
    assert 4 == len(ran)
    here.plant("papers/tiny.yaml", "idea: It is small.", "idea: It is tiny.")
    run(capsys, *check)
    assert 6 == len(ran)


# Bad input -----------------------------------------------------------------------------


def test_an_implementation_that_does_not_import_does_not_stop_the_others(here, capsys):
    """Its line, exit 2, and the other paper's records."""
    write_broken_neighbour(here)
    code, _, err = run(capsys, "check", "--static", "--json", RESULTS)
    assert 2 == code
    assert "No module named 'nothing_like_this'" in err
    assert "Traceback" not in err
    results = json.loads((here.root / RESULTS).read_text())
    assert {"tiny/tiny/paper", "tiny/tiny/keras:Tiny"} == set(results["done"])
    assert {"tiny"} == {record["paper"] for record in results["records"]}


def test_a_contradiction_beside_bad_input_is_bad_input(here, capsys):
    """Exit 2 outranks exit 1: the run is not complete."""
    write_broken_neighbour(here)
    here.plant("papers/tiny.yaml", '"379"', '"380"')
    assert 2 == run(capsys, "check", "--static")[0]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("papers/tiny.yaml", "title: Tiny Networks", "title: [Tiny", "papers/tiny.yaml:"),
        ("papers/tiny.yaml", "year: 2020", "year: soon", "papers/tiny.yaml:3:7:"),
        ("papers/tiny.yaml", "idea: It is small.", "ida: It is small.", "idea"),
        ("implementations/tiny.py", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "head_pool"),
        ("implementations/tiny.py", "def build(", "def construct(", "build"),
        ("implementations/tiny.py", "return Model(", "return Modle(", "Modle"),
        ("implementations/tiny.py", "import Input", "import ( Input", "tiny.py"),
    ],
)  # fmt: skip
def test_bad_sources_are_one_line_each_and_exit_2(
    file, old, new, message, here, capsys
):
    """Named, with their place or layer, and never a traceback."""
    here.plant(file, old, new)
    code, _, err = run(capsys, "check", "tiny", "--static")
    assert 2 == code
    assert any(message in line for line in err.splitlines())
    assert "Traceback" not in err


def test_a_spec_without_implementation_is_named(here, capsys):
    """With the file that should be there."""
    (here.root / "implementations/tiny.py").unlink()
    code, _, err = run(capsys, "check", "--static")
    assert (2, True) == (code, "tiny.py" in err)


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["check", "tinny"], "did you mean tiny"),
        (["claims", "teeny*"], "tiny"),
        (["show", "tyni"], "tiny"),
        (["list", "keras:Tny"], "keras:Tiny"),
        (["count", "paper:tinny"], "did you mean tiny"),
        (["count", "keras:ResNet5O"], "ResNet50"),
        (["count", "kears:ResNet50"], "keras"),
        (["count", "tiny"], "paper:tiny"),
        (["diff", "paper:tiny", "file:nowhere.keras"], "no such file"),
        (["count", "python:nothing_like_this:f"], "nothing_like_this"),
        (["transfer", "paper:tiny", "keras:Tiny", "--out", "x.txt"], ".keras"),
        (
            ["transfer", "paper:tiny", "keras:Tiny", "--out", "no/x.keras"],
            "no such folder",
        ),
        (["report", "--from", "nothing.json", "--out", "x"], "paperspec check"),
        (["check", "--resume"], "--json FILE"),
        (["--papers", "nowhere", "list"], "no such folder"),
        (["--papers", "implementations", "list"], "papers"),
        (["lint", "nowhere.yaml"], "nowhere.yaml:1:1:"),
    ],
)
def test_a_wrong_name_is_one_line_that_leads_on(argv, hint, here, capsys):
    """Exit 2, the nearest names or the way out."""
    code, out, err = run(capsys, *argv)
    said = (err or out).strip().splitlines()
    assert (2, 1) == (code, len(said))
    assert hint in said[0]


@pytest.mark.parametrize("where", ["papers/tiny.yaml/results.json", "folder"])
def test_an_unwritable_place_is_found_before_the_work(where, here, capsys, monkeypatch):
    """One line, exit 2, and nothing was run."""
    from reference_checks import checks

    (here.root / "folder").mkdir()
    monkeypatch.setattr(checks, "run_unit", lambda *_: pytest.fail("it was run"))
    code, _, err = run(capsys, "check", "--static", "--json", where)
    assert (2, 1) == (code, len(err.splitlines()))
    assert "cannot be written" in err


def test_results_that_are_no_results_are_one_line(here, capsys):
    """A truncated file is neither resumed nor replaced."""
    (here.root / RESULTS).write_text('{"schema": 1, "rec')
    code, _, err = run(capsys, "check", "--static", "--json", RESULTS, "--resume")
    assert (2, 1) == (code, len(err.splitlines()))
    assert '{"schema": 1, "rec' == (here.root / RESULTS).read_text()


def test_an_unknown_command_is_exit_2(capsys):
    """As argparse has it."""
    with pytest.raises(SystemExit) as caught:
        main(["chekc"])
    assert 2 == caught.value.code


def test_version_and_help(capsys):
    """Help has examples for every command."""
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert 0 == caught.value.code
    assert capsys.readouterr().out.startswith("paperspec ")
    for argv in (["--help"], ["check", "--help"], ["count", "--help"]):
        with pytest.raises(SystemExit):
            main(argv)
        assert "example" in capsys.readouterr().out


def test_completion_is_a_script(capsys):
    """For the shell asked for."""
    code, out, _ = run(capsys, "completion", "bash")
    assert (0, True) == (code, "paperspec" in out)


def test_our_own_mistakes_keep_their_traceback(here, monkeypatch, capsys):
    """And each unit its own: the others run."""
    from reference_checks import checks

    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(checks, "run_unit", broken)
    code, _, err = run(capsys, "check", "--static")
    assert (2, 2) == (code, err.count("raise ZeroDivisionError"))
    *_, said, first, _second = err.splitlines()
    assert "2 of 2 units did not run, and are missing:" == said
    assert "  tiny/tiny/paper: ZeroDivisionError" == first
