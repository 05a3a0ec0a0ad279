"""`pytest papers/x.yaml`: one item for each claim, and what each verdict becomes."""

from __future__ import annotations

import pytest
from conftest import official_tiny, write_tiny

from reference_checks import processes


@pytest.fixture(scope="module", autouse=True)
def imported(tmp_path_factory):
    """Pytester forgets what is imported inside, and much of it loads only once."""
    import keras

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.applications, "Tiny", official_tiny, raising=False)
        tiny = write_tiny(tmp_path_factory.mktemp("tiny"))
        tiny.records("tiny/tiny/keras:Tiny", run=True)


@pytest.fixture
def suite(pytester, library, monkeypatch):
    """The tiny project, to be run by pytest in this process, where the library is."""
    monkeypatch.setattr(
        processes, "run_alone", lambda *a: next(processes.run_units([a[0]], *a[1:], 0))
    )
    write_tiny(pytester.path)
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider -p no:hypothesispytest")
    return pytester


def plant(suite, file, old, new):
    path = suite.path / file
    text = path.read_text()
    assert 1 == text.count(old)
    path.write_text(text.replace(old, new))


def run(suite, *arguments):
    return suite.runpytest_inprocess("papers", *arguments)


def test_each_claim_is_an_item(suite):
    """Ids name variant, quantity or check, row and source."""
    result = run(suite, "--collect-only", "-q")
    ids = [line for line in result.outlines if line.startswith("papers/")]
    assert [
        "papers/tiny.yaml::tiny::input size::stem::Table 1",
        "papers/tiny.yaml::tiny::output size::stem::Table 1",
        "papers/tiny.yaml::tiny::output size::block::Table 1",
        "papers/tiny.yaml::tiny::rows::stem::Table 1",
        "papers/tiny.yaml::tiny::rows::block::Table 1",
        "papers/tiny.yaml::tiny::rows::head::Table 1",
        "papers/tiny.yaml::tiny::depth::Table 1",
        "papers/tiny.yaml::tiny::params::Table 2",
        "papers/tiny.yaml::tiny::multiply_adds::Table 2",
        "papers/tiny.yaml::tiny::top1_error::Table 3",
    ] == ids[:10]
    assert all("::tiny::keras:Tiny::" in item for item in ids[10:])
    assert "papers/tiny.yaml::tiny::keras:Tiny::structure" in ids


def test_what_holds_passes_and_what_is_recorded_is_skipped(suite):
    """Results that are not measured again are no passes; the summary counts verdicts."""
    result = run(suite, "-rs")
    counts = result.parseoutcomes()
    assert (1, 0) == (counts["skipped"], counts.get("failed", 0))
    assert counts["passed"] >= 16
    result.stdout.fnmatch_lines(
        ["paperspec verdicts:*exact*1 recorded*", "*SKIPPED*: recorded"]
    )


def test_a_contradiction_fails_in_two_lines(suite):
    """What the paper prints and where, then what was measured; no traceback."""
    plant(suite, "papers/tiny.yaml", '"379"', '"380"')
    result = run(suite, "-m", "not official")
    assert 1 == result.parseoutcomes()["failed"]
    result.stdout.fnmatch_lines(
        [
            "*_ tiny::params::Table 2 _*",
            "tiny/tiny params: the paper prints 380 (Table 2, papers/tiny.yaml:*)",
            "  measured 379",
        ],
        consecutive=True,
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*plugin.py*")


def test_an_official_contradiction_fails_its_own_item(suite):
    """Another epsilon is a deviation; structure and outputs hold."""
    plant(suite, "implementations/tiny.py", "epsilon=1e-5", "epsilon=1e-4")
    result = run(suite)
    assert 1 == result.parseoutcomes()["failed"]
    result.stdout.fnmatch_lines(
        ["FAILED papers/tiny.yaml::tiny::keras:Tiny::deviation*"]
    )


def test_official_models_can_be_left_out(suite):
    """By the marker that the tox environments use."""
    result = run(suite, "-m", "not official")
    counts = result.parseoutcomes()
    assert (9, 1) == (counts["passed"], counts["skipped"])


@pytest.mark.parametrize(
    ("id", "count"),
    [("::tiny::depth::Table 1", 1), ("::tiny::rows", 3), ("::tiny::rows::stem", 1)],
)
def test_items_can_be_run_alone(id, count, suite):
    """By the whole of their id or its first parts."""
    result = suite.runpytest_inprocess("papers/tiny.yaml" + id)
    result.assert_outcomes(passed=count)


def test_the_networks_of_a_unit_are_built_once(suite, monkeypatch):
    """For all of its items."""
    from reference_checks import networks

    built, honest = [], networks.build_paper
    monkeypatch.setattr(
        networks, "build_paper", lambda *a: built.append(a) or honest(*a)
    )
    run(suite, "-m", "not official").assert_outcomes(passed=9, skipped=1, deselected=10)
    assert 1 == len(built)


def test_a_malformed_spec_is_one_line_at_its_place(suite):
    """File, line, column; the collection fails without a traceback."""
    plant(suite, "papers/tiny.yaml", "year: 2020", "yeer: 2020")
    result = run(suite)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*papers/tiny.yaml:3:1: *yeer*year*"])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("from keras import", "from kreas import", "*tiny.py: *kreas*"),
        (
            "layers.GlobalAveragePooling2D(name=",
            "layers.GlobalMaxPooling2D(name=",
            "*layer 'head_pool'*",
        ),
    ],
)
def test_code_that_cannot_be_read_is_one_line(old, new, line, suite):
    """The reason, named; no traceback."""
    plant(suite, "implementations/tiny.py", old, new)
    result = suite.runpytest_inprocess("papers/tiny.yaml::tiny::depth::Table 1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([line])
    result.stdout.no_fnmatch_line("*reference_checks/*.py:*")


def test_other_yaml_files_are_nobodys(suite):
    """Only those in a folder named papers are specs."""
    (suite.path / "other").mkdir()
    (suite.path / "other" / "config.yaml").write_text("a: 1")
    assert 5 == suite.runpytest_inprocess("other").ret  # nothing collected
