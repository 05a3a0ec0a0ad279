"""Printed numbers are read exactly, and verdicts keep to the printed digits."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_checks.printed import UNITS, Number, adds_up, read, verdict
from reference_checks.record import Verdict


@pytest.mark.parametrize(
    ("text", "unit", "value", "ulp"),
    [
        ("60,000", None, 60_000, 1),
        ("22,855,952", None, 22_855_952, 1),
        ("50", None, 50, 1),
        ("25.0", None, 25, Fraction(1, 10)),
        ("5.3M", None, 5_300_000, 100_000),
        ("2.7K", None, 2_700, 100),
        ("1.25B", None, 1_250_000_000, 10_000_000),
        ("4.1 G", None, 4_100_000_000, 100_000_000),
        ("2T", None, 2 * 10**12, 10**12),
        ("300 million", None, 300_000_000, 1_000_000),
        ("3.6 billion", None, 3_600_000_000, 100_000_000),
        ("3.8x10^9", None, 3_800_000_000, 100_000_000),
        ("3.8×10^9", None, 3_800_000_000, 100_000_000),
        ("11.3·10^9", None, 11_300_000_000, 100_000_000),
        ("3.8e9", None, 3_800_000_000, 100_000_000),
        ("5e-4", None, Fraction(5, 10**4), Fraction(1, 10**4)),
        ("18%", None, Fraction(18, 100), Fraction(1, 100)),
        ("22.85", "percent", Fraction(2285, 10**4), Fraction(1, 10**4)),
        ("133", "million", 133_000_000, 1_000_000),
        ("401", "thousand", 401_000, 1_000),
        ("~0.27M", None, 270_000, 10_000),
        ("about 60,000", None, 60_000, 1),
    ],
)
def test_forms_in_which_papers_print_numbers(text, unit, value, ulp) -> None:
    """Value and last digit are exact, whatever the form."""
    number = read(text, unit)
    assert (value, ulp) == (number.value, number.ulp)


def test_only_an_integer_printed_in_full_is_exact() -> None:
    """Decimals, exponents, suffixes, units and "about" say that digits are missing."""
    full = ["60,000", "22,855,952", "50", "0"]
    short = ["60.0", "6e4", "6x10^4", "60K", "60 thousand", "60%", "~60", "about 60"]
    assert [True] * len(full) == [read(text).exact for text in full]
    assert [False] * len(short) == [read(text).exact for text in short]
    assert not read("60", "thousand").exact
    assert [False, True, True] == [
        read(text).approximate for text in ("60", "~60", "about 60")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "", "-3", "inf", "nan", "3.8 x", "1,00", "12,3456", "3..8", "1 2", "٣",
        "9" * 41, "1e41", "1e0006", "1e999999999", "3.8x10^99999", "1.8MM", "8.1 (test)",
    ],
)  # fmt: skip
def test_what_is_not_a_printed_number_is_refused_in_one_line(text) -> None:
    """Negative, infinite, malformed and absurdly long numbers are errors."""
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        read(text)


def test_the_longest_numbers_are_read() -> None:
    """Forty digits, and the fortieth power; what is refused says why, or how to write it."""
    assert int("9" * 40) == read("9" * 40).value
    assert 10**40 == read("1e40").value
    assert Fraction(1, 10**40) == read("1e-40").value
    with pytest.raises(ValueError, match=r"^'9{40}'… is longer than 40 digits$"):
        read("9" * 41)
    with pytest.raises(ValueError, match=r"number; write it as '60,000', '5\.3M', '3\.8x10\^9' or '18%'$"):  # fmt: skip
        read("many")


@pytest.mark.parametrize(
    ("text", "unit", "power"),
    [
        ("60", None, 0), ("18%", None, 0), ("3.8x10^9", None, 9), ("5e-4", None, -4),
        ("5.3M", None, 6), ("5.3", "million", 6), ("2", "G", 9), ("1.2e3 M", None, 9),
    ],
)  # fmt: skip
def test_the_power_of_ten_is_that_of_unit_and_exponent(text, unit, power) -> None:
    """What a reader is told the number in."""
    assert power == read(text, unit).power


def test_a_unit_is_said_once() -> None:
    """A suffix and a unit would multiply twice."""
    with pytest.raises(ValueError, match="has a unit already; leave out"):
        read("5.3M", "million")


def test_a_recorded_result_may_have_a_remark() -> None:
    """Only the number at the start is read."""
    assert read("6.43") == read("6.43 (6.61±0.16)", remark=True)
    assert read("75") == read("75ms", remark=True)
    with pytest.raises(ValueError, match="does not read"):
        read("best 6.43", remark=True)
    with pytest.raises(ValueError, match="does not read"):
        read("1,0000", remark=True)


@pytest.mark.parametrize(
    ("printed", "measured", "expected"),
    [
        # ResNet, Table 1: three round, two truncate; a stride on the 3x3 does neither.
        ("1.8x10^9", 1_814_073_344, Verdict.ROUNDS),
        ("3.6x10^9", 3_663_761_408, Verdict.TRUNCATES),
        ("3.8x10^9", 3_857_973_248, Verdict.TRUNCATES),
        ("7.6x10^9", 7_570_194_432, Verdict.ROUNDS),
        ("11.3x10^9", 11_282_415_616, Verdict.ROUNDS),
        ("3.8x10^9", 4_089_184_256, Verdict.CONTRADICTED),
        # Both ends of both intervals.
        ("3.8x10^9", 3_750_000_000, Verdict.ROUNDS),
        ("3.8x10^9", 3_749_999_999, Verdict.CONTRADICTED),
        ("3.8x10^9", 3_849_999_999, Verdict.ROUNDS),
        ("3.8x10^9", 3_850_000_000, Verdict.TRUNCATES),
        ("3.8x10^9", 3_899_999_999, Verdict.TRUNCATES),
        ("3.8x10^9", 3_900_000_000, Verdict.CONTRADICTED),
        # Integers in full pass by equality alone.
        ("22,855,952", 22_855_952, Verdict.EXACT),
        ("22,855,952", 22_855_951, Verdict.CONTRADICTED),
        ("18%", Fraction(3_663_761_408, 19_632_062_464), Verdict.TRUNCATES),
        ("6.9M", 6_108_776, Verdict.CONTRADICTED),
    ],
)
def test_verdicts_keep_to_the_digits(printed, measured, expected) -> None:
    """Half-open intervals of one unit in the last digit, and nothing outside them."""
    assert expected == verdict(read(printed), measured)


@settings(deadline=None)
@given(st.integers(0, 10**15), st.integers(0, 6), st.integers(-6, 12))
def test_digits_written_down_are_read_back(digits, decimals, power) -> None:
    """Reading is the inverse of printing, with and without separators."""
    ulp = Fraction(10) ** (power - decimals)
    whole, rest = divmod(digits, 10**decimals)
    tail = f".{rest:0{decimals}}" if decimals else ""
    expected = Number(digits, ulp, False, False)
    assert expected == read(f"{whole:,}{tail}x10^{power}")
    assert expected == read(f"{whole}{tail}e{power}")


@settings(deadline=None)
@given(st.integers(0, 10**15), st.integers(1, 9), st.data())
def test_what_is_rounded_or_truncated_passes(measured, places, data) -> None:
    """A count printed short passes as what was done to it; one off fails."""
    unit = 10**places
    floor = measured // unit
    nearest = (measured + unit // 2) // unit
    assert Verdict.ROUNDS == verdict(read(f"{nearest}e{places}"), measured)
    expected = Verdict.ROUNDS if floor == nearest else Verdict.TRUNCATES
    assert expected == verdict(read(f"{floor}e{places}"), measured)
    other = data.draw(st.sampled_from([floor - 1, floor + 2]).filter(lambda n: n >= 0))
    assert Verdict.CONTRADICTED == verdict(read(f"{other}e{places}"), measured)


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=8), st.integers(0, 5))
def test_counts_that_add_up_still_do_when_printed_short(counts, places) -> None:
    """Rounded parts and a rounded total never contradict a true sum."""
    unit = 10**places

    def short(n: int) -> Number:
        return read(f"{(n + unit // 2) // unit}e{places}" if places else str(n))

    parts = [short(n) for n in counts]
    assert adds_up(parts, short(sum(counts)))
    assert not adds_up(parts, read(str(sum(counts) + 2 * unit * (len(counts) + 1))))


def test_exact_parts_add_up_exactly_or_not_at_all() -> None:
    """LeNet-5's six trainable layers; one more parameter is one too many."""
    parts = [read(n) for n in ("156", "12", "1,516", "32", "48,120", "10,164")]
    assert adds_up(parts, read("60,000"))
    assert not adds_up(parts, read("60,001"))
    assert adds_up(parts, read("60K"))
    # 60,000 is where the interval of 59K ends: the end is not in it.
    assert not adds_up(parts, read("59K"))


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_reads_or_is_refused(text) -> None:
    """Nothing but ValueError comes out of any text."""
    try:
        number = read(text, remark=True)
    except ValueError:
        return
    assert number.value >= 0
    assert number.ulp > 0


WORDS = [*UNITS, None]


@settings(deadline=None)
@given(
    st.integers(0, 10**12), st.integers(0, 5), st.one_of(st.none(), st.integers(-9, 12)),
    st.sampled_from(WORDS), st.booleans(), st.sampled_from(["", "~", "~ ", "about "]),
    st.sampled_from(["", " "]), st.sampled_from(["x10^{}", " × 10^{}", "·10^{}", "e{}"]),
)  # fmt: skip
def test_every_form_of_a_number_is_read_back(
    digits, decimals, power, unit, commas, about, space, written
) -> None:
    """Digits, separators, decimals, exponent, unit and "about", in any combination.

    Value and last digit are what was written, the interval is half a digit below to one
    above, and only digits alone are exact.
    """
    whole, rest = divmod(digits, 10**decimals)
    text = f"{whole:,}" if commas else str(whole)
    text += f".{rest:0{decimals}}" if decimals else ""
    text += written.format(power) if power is not None else ""
    tail = "" if unit is None else f"{space if unit in '%KMBGT' else ' '}{unit}"
    ulp = Fraction(10) ** ((power or 0) - decimals) * UNITS.get(unit, 1)
    plain = not (decimals or about or unit) and power is None
    number = read(f"{about}{text}{tail}")
    assert (digits * ulp, ulp) == (number.value, number.ulp)
    assert (plain, bool(about)) == (number.exact, number.approximate)
    low, high = number.span
    assert (low, high) == (
        (number.value,) * 2 if plain else (digits * ulp - ulp / 2, (digits + 1) * ulp)
    )
    if unit is not None:  # the table's unit is the number's
        assert number == read(f"{about}{text}", unit)


@settings(deadline=None)
@given(st.integers(1, 10**9), st.integers(0, 3), st.fractions(-2, 2))
def test_a_verdict_passes_in_the_interval_alone(digits, decimals, offset) -> None:
    """Half-open: rounding below and above, truncation on from there, and no more."""
    number = read(f"{digits // 10**decimals}.{digits % 10**decimals:0{decimals}}M" if decimals else f"{digits}M")  # fmt: skip
    found = verdict(number, number.value + offset * number.ulp)
    half = Fraction(1, 2)
    if -half <= offset < half:
        assert Verdict.ROUNDS == found
    elif half <= offset < 1:
        assert Verdict.TRUNCATES == found
    else:
        assert Verdict.CONTRADICTED == found


@pytest.mark.parametrize("text", ["1.1-1.5", "1.1–1.5", "1.1 to 1.5", "60,000-70,000"])
def test_a_range_is_two_numbers(text) -> None:
    """It is no number: neither end alone is what is printed."""
    with pytest.raises(ValueError, match="does not read as a number"):
        read(text)
