"""Specs are read strictly, and everything that is wrong has a place and a way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reference_checks.load import discover, load
from reference_checks.problems import Problem, SpecError, shown

ROOT = Path(__file__).parents[2]
ANY = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
SPEC = """\
title: "LeNet-5, and: more"
authors: [Yann LeCun]
year: 1998
venue: Proceedings of the IEEE
idea: Shared weights.
limits: Small images.
no_official: None ships.
tables:
  layers:
    source: Section II.B
    rows:
      c1: {output: 28x28, columns: {all: "5x5, 6; LRN"}}
      f6:
        columns:
          all: >-
            84-d fc,
            tanh
variants:
  lenet5:
    name: LeNet-5
    table: layers
    claims:
      - {quantity: params, printed: "60,000", source: Section II.A}
errata:
  figure-11:
    what: |
      Figure 11.
    source: Figure 11
    measured: 325680
"""


def wrong(tmp_path: Path, text: str | bytes) -> list[str]:
    """What is wrong with a text, as "line:column: message"."""
    path = tmp_path / "lenet.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SpecError) as caught:
        load(path)
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
    return [f"{p.line}:{p.column}: {p.message}" for p in caught.value.problems]


@pytest.fixture
def paper(tmp_path):
    path = tmp_path / "lenet.yaml"
    path.write_text(SPEC)
    return load(path)


def test_a_spec_becomes_data(paper) -> None:
    """Values arrive digit for digit, with a digest of the whole text."""
    assert "lenet" == paper.stem
    assert "60,000" == paper.spec.variants["lenet5"].claims[0].printed
    assert "84-d fc, tanh" == paper.spec.tables["layers"].rows["f6"].columns["all"]
    assert 325680 == paper.spec.errata["figure-11"].measured
    assert 64 == len(paper.digest)


def test_every_value_has_its_place(paper) -> None:
    """Marks are 1-based; what has none takes the nearest around it."""
    assert (1, 8) == paper.marks["title",]
    assert (2, 11) == paper.marks["authors", 0]
    where = ("variants", "lenet5", "claims", 0)
    assert (23, 9) == paper.mark(*where)
    assert (23, 37) == paper.mark(*where, "printed")
    assert (23, 9) == paper.mark(*where, "erratum", "x")
    assert (1, 1) == paper.mark("nowhere")
    assert f"{paper.path}:23:37" == paper.at(*where, "printed")


def test_places_are_shown_from_the_current_folder(tmp_path, monkeypatch) -> None:
    """As editors and CI annotations want them."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "papers" / "x.yaml"
    assert "papers/x.yaml:2:3: m" == str(Problem(path, 2, 3, "m"))
    assert "papers/x.yaml" == shown(Path("papers/x.yaml"))
    assert "/elsewhere/x.yaml" == shown(Path("/elsewhere/x.yaml"))


def test_a_place_inside_a_value_is_found(paper) -> None:
    """Quotes are skipped and folded lines followed."""
    c1 = ("tables", "layers", "rows", "c1", "columns", "all")
    assert (12, 43) == paper.inside(c1, "5x5, 6; LRN", 0)
    assert (12, 51) == paper.inside(c1, "5x5, 6; LRN", 8)
    assert (12, 54) == paper.inside(c1, "5x5, 6; LRN", 11)  # its end
    f6 = ("tables", "layers", "rows", "f6", "columns", "all")
    assert (16, 13) == paper.inside(f6, "84-d fc, tanh", 0)
    assert (17, 13) == paper.inside(f6, "84-d fc, tanh", 9)
    assert (17, 17) == paper.inside(f6, "84-d fc, tanh", 13)
    title = ("title",)
    assert (1, 18) == paper.inside(title, "LeNet-5, and: more", 9)
    plain = ("venue",)
    assert (4, 8) == paper.inside(plain, "Proceedings of the IEEE", 0)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            'printed: "60,000"', "printed: 60000",
            "23:37: 60000 is a number to YAML; quote it: the digits are data",
        ),
        (
            'printed: "60,000"', "printed: 60.5",
            "23:37: 60.5 is a number to YAML; quote it: the digits are data",
        ),
        (
            'printed: "60,000"', "printed: 060",
            "23:37: YAML may read '060' as int; quote it or write it out",
        ),
        (
            "year: 1998", "year: 1:30",
            "3:7: YAML may read '1:30' as int; quote it or write it out",
        ),
        (
            "year: 1998", "year: 1998.0",
            "3:7: YAML may read '1998.0' as float; quote it or write it out",
        ),
        ("year: 1998", "year: \"1998\"", "3:7: '1998' is not an integer"),
        ("year: 1998", "year: [1998]", "3:7: [1998] is not an integer"),
        (
            "year: 1998", "year: 99999999999999999999",
            "3:7: YAML may read '99999999999999999999' as int; quote it or write it out",
        ),
        (
            "idea: Shared weights.", "idea: no",
            "5:7: YAML may read 'no' as bool; quote it or write it out",
        ),
        (
            "idea: Shared weights.", "idea: 2001-01-01",
            "5:7: YAML may read '2001-01-01' as timestamp; quote it or write it out",
        ),
        (
            "idea: Shared weights.", "idea:",
            "5:6: no value; give one or leave the key out",
        ),
        (
            "idea: Shared weights.", 'idea: ""',
            "5:7: empty; say it or leave the key out",
        ),
        (
            "idea: Shared weights.", 'idea: "\\e[31m"',
            "5:7: a control character; leave it out",
        ),
        ("venue:", "venu:", "4:1: unknown key 'venu'; did you mean venue"),
        ("quantity:", "quantty:", "23:10: unknown key 'quantty'; did you mean quantity"),
        (
            "quantity: params", "quantity: parms",
            "23:20: 'parms' is not known; did you mean params",
        ),
        ("source: Section II.A", "note: x", "23:9: entry 1 of 'claims' needs 'source'"),
        ("    name: LeNet-5\n", "", "19:3: 'lenet5' needs 'name'"),
        ("  lenet5:", "  LeNet5:", "19:3: name 'LeNet5' does not match ^[a-z]"),
        ("  figure-11:", "  figure_11:", "25:3: name 'figure_11' does not match ^[a-z0-9]"),
        ("limits:", "idea:", "6:1: 'idea' is said twice, first in line 5"),
        ("authors: [Yann LeCun]", "authors: Yann", "2:10: 'Yann' is not a list"),
        ("authors: [Yann LeCun]", "authors: [{a: b}]", "2:11: {'a': 'b'} is not a text"),
        ("measured: 325680", "measured: [1]", "29:15: [1] is not an integer or a number"),
        ("measured: 325680", "measured: {a: b}", "29:19: 'b' is not an integer"),
        ("    measured: 325680", "    1: 2", "29:5: a key is a text; put it in quotes"),
        ("    measured: 325680", "    [1]: 2", "29:5: a key is a text; write it out"),
        ("    measured: 325680", "    *x : 2", "29:5: a key is a text; write it out"),
        ("    measured: 325680", "    &x a: 2", "29:5: no anchors and aliases; write"),
        ("    measured: 325680", "    <<: {}", "29:5: YAML may read '<<' as merge;"),
        ("idea: Shared", "idea: &x Shared", "5:7: no anchors and aliases; write each value out"),
        ("idea: Shared weights.", "idea: *x", "5:7: no anchors and aliases; write each value out"),
        ("idea: Shared", "idea: !!str Shared", "5:7: no tags; leave it out"),
        (
            "idea: Shared weights.", "idea: !!python/object/apply:os.abort []",
            "5:7: no tags; leave it out",
        ),
        ("idea: Shared", "idea: [Shared", "6:7: no YAML: did not find expected"),
        ("idea: Shared weights.", "idea: '", "30:1: no YAML: found unexpected end"),
        ("errata:", "---\nerrata:", "24:1: one document only; leave '---' out"),
        ("idea: Shared", "idea: \x07", "5:1: a character that is not allowed: control"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_its_place_and_a_way_out(
    tmp_path, old, new, expected
) -> None:
    """One planted error each, found at its line and column."""
    assert 1 == SPEC.count(old)
    assert any(p.startswith(expected) for p in wrong(tmp_path, SPEC.replace(old, new)))


def test_all_problems_are_said_at_once(tmp_path) -> None:
    """In the order of the text."""
    text = SPEC.replace("venue:", "venu:").replace('"60,000"', "60000")
    problems = wrong(tmp_path, text + "extra: 1\n")
    places = [problem.split(": ")[0] for problem in problems]
    assert ["1:1", "4:1", "23:37", "30:1"] == places
    assert "1:1: the spec needs 'venue'" == problems[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: empty; say title, authors, year, …"),
        ("# nothing\n", "1:1: empty; say title, authors, year, …"),
        ("[]", "1:1: [] is not keys with values"),
        ("a", "1:1: 'a' is not keys with values"),
        (b"title: \xff\n", "1:1: not UTF-8; save the file as UTF-8"),
        (b"a: b\n\xfe", "2:1: not UTF-8; save the file as UTF-8"),
        ("[" * 100_000, "1:22: nested more than 20 deep"),
        ("{a: " * 100_000, "1:85: nested more than 20 deep"),
        ("- " * 1000, "1:43: nested more than 20 deep"),
        ("? " * 1000, "1:3: a key is a text; write it out"),
        ("a" * 2_000_001, "1:1: larger than 2,000,000 bytes"),
        ("[" + "a,\n" * 100_000, "100000:1: more than 100,000 values"),
    ],
    ids=range(12),
)
def test_files_that_are_no_specs_are_refused(tmp_path, text, expected) -> None:
    """Empty, foreign, deep and huge files cost little and raise nothing else."""
    assert expected in wrong(tmp_path, text)


def test_a_flood_of_problems_is_cut_short(tmp_path) -> None:
    """The rest is counted, not hidden."""
    problems = wrong(tmp_path, SPEC + "".join(f"x{n}: 1\n" for n in range(150)))
    assert 101 == len(problems)
    assert "130:1: … and 50 more problems" == problems[-1]


def test_files_that_cannot_be_read_are_problems(tmp_path) -> None:
    """Missing files and folders give one line."""
    for path in (tmp_path / "missing.yaml", tmp_path, tmp_path / "a\0b"):
        with pytest.raises(SpecError, match=r"^[^\n]*:1:1: cannot be read: [^\n]+$"):
            load(path)


@ANY
@given(
    data=st.one_of(st.binary(), st.text("[]{}:-,&*!|>'\"%@`?#~ \nab1").map(str.encode))
)
def test_any_bytes_load_or_are_refused(tmp_path, data) -> None:
    """Nothing but SpecError comes out of any file."""
    path = tmp_path / "x.yaml"
    path.write_bytes(data)
    with pytest.raises(SpecError):
        load(path)


@ANY
@given(place=st.integers(0, len(SPEC)), cut=st.integers(0, 9), new=st.text(max_size=5))
def test_any_damage_loads_or_is_refused(tmp_path, place, cut, new) -> None:
    """What loads after all fits the published schema, so that the two agree."""
    path = tmp_path / "x.yaml"
    path.write_bytes(
        (SPEC[:place] + new + SPEC[place + cut :]).encode(errors="surrogatepass")
    )
    try:
        spec = load(path).spec
    except SpecError as error:
        assert error.problems  # noqa: PT017
    else:
        assert spec.title


def test_specs_are_discovered_by_their_stems(tmp_path) -> None:
    """A name that no module can have is refused."""
    papers = tmp_path / "papers"
    papers.mkdir()
    for name in ("resnet.yaml", "mobilenet_v2.yaml", "schema.json", "notes.yml"):
        (papers / name).touch()
    expected = {stem: papers / f"{stem}.yaml" for stem in ("mobilenet_v2", "resnet")}
    assert expected == discover(tmp_path / "papers")
    (papers / "ResNet-50.yaml").touch()
    with pytest.raises(SpecError, match=r"ResNet-50.yaml:1:1: rename the file"):
        discover(tmp_path / "papers")


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache folder."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def reads(monkeypatch) -> list[Path]:
    """The files whose YAML is read from now on."""
    from reference_checks.spec_yaml import Reader

    found, read = [], Reader.read
    monkeypatch.setattr(
        Reader, "read", lambda self, data: found.append(self.path) or read(self, data)
    )
    return found


def test_a_text_is_taken_apart_once(tmp_path, cache, reads) -> None:
    """What is kept is the same spec, with the same places."""
    path = tmp_path / "lenet.yaml"
    path.write_text(SPEC)
    first, second = load(path), load(path)
    assert [path] == reads
    assert first == second
    assert first.marks == second.marks
    assert ["lenet.json"] == [p.name for p in (cache / "paperspec").iterdir()]


def test_a_changed_text_is_read_again(tmp_path, cache, reads) -> None:
    """And so is one whose reader, or the definition of a spec, has changed."""
    path = tmp_path / "lenet.yaml"
    path.write_text(SPEC)
    load(path)
    path.write_text(SPEC.replace("60,000", "61,000"))
    assert "61,000" == load(path).spec.variants["lenet5"].claims[0].printed
    path.write_text(SPEC.replace("idea:", "idea: &x"))
    with pytest.raises(SpecError, match="no anchors"):
        load(path)
    assert 3 == len(reads)


def test_another_reader_reads_again(tmp_path, cache, reads, monkeypatch) -> None:
    """What one version of the toolkit let pass, the next may refuse."""
    path = tmp_path / "lenet.yaml"
    path.write_text(SPEC)
    load(path)
    monkeypatch.setattr("reference_checks.load.READERS", ("spec.py", "problems.py"))
    load(path)
    assert 2 == len(reads)


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: b"",
        lambda kept: kept[:-9],
        lambda kept: kept.replace(b'"printed":"60,000"', b'"printed":60000'),
        lambda kept: kept.replace(b'"idea"', b'"code"'),
        lambda kept: b"[" * 100_000,
        lambda kept: b"\x80\x04\x95\xff",
    ],
)
def test_what_is_kept_is_not_trusted(tmp_path, cache, reads, damage) -> None:
    """A file that does not fit the definition is read over and written anew."""
    path = tmp_path / "lenet.yaml"
    path.write_text(SPEC)
    good = load(path)
    kept = cache / "paperspec" / "lenet.json"
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert good == load(path)
    assert 2 == len(reads)
    assert whole == kept.read_bytes()


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch) -> None:
    """A file stands where the folder would."""
    (tmp_path / "cache").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "lenet.yaml"
    path.write_text(SPEC)
    assert load(path) == load(path)


def test_a_key_that_looks_like_a_number_has_its_place(tmp_path):
    """What is wrong inside a key such as "0" is said where it stands."""
    text = SPEC.replace("  layers:\n", '  "0":\n', 1).replace(
        "source: Section II.B", "x: y"
    )
    found = wrong(tmp_path, text)
    assert "9:3: '0' needs 'source'" in found
    assert "10:5: unknown key 'x'; known: modules, rows, source, totals" in found


def test_a_message_that_repeats_a_long_text_is_cut_short(tmp_path):
    """One line that a terminal can show."""
    assert 700 > len(str(Problem(tmp_path / "a.yaml", 1, 1, "unknown " + "x" * 5000)))


def test_a_message_is_one_line_whatever_it_repeats(tmp_path):
    problem = Problem(tmp_path / "a.yaml", 1, 1, "known: a\nb, c\u2028d")
    assert str(problem).endswith("a.yaml:1:1: known: a b, c d")
