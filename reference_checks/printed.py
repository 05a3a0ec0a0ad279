"""Printed numbers: what the digits say, and whether a measured value fits them.

A printed number means an interval.  "3.8x10^9" has two digits, the last of which is
worth 10^8: read as rounding it means [3.75e9, 3.85e9), as truncation [3.8e9, 3.9e9).
An integer printed in full, "22,855,952", means itself.

All arithmetic is exact (`fractions`): at the edge of an interval a float would decide
by its own rounding.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache

from reference_checks.record import Verdict

UNITS = {
    "K": Fraction(10**3),
    "M": Fraction(10**6),
    "B": Fraction(10**9),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "thousand": Fraction(10**3),
    "million": Fraction(10**6),
    "billion": Fraction(10**9),
    "%": Fraction(1, 100),
    "percent": Fraction(1, 100),
}
POWERS = {name: len(str(int(unit))) - 1 for name, unit in UNITS.items() if unit > 1}
LONGEST = 40  # digits; more is a slip or an attack, and 10^(10^9) must not be computed

_NUMBER = re.compile(
    r"""
    (?P<about> ~ | about\s )? \s*
    (?P<whole> [0-9]{1,3}(?:,[0-9]{3})+ | [0-9]+ ) (?: \. (?P<decimals>[0-9]+) )?
    (?! [.,]?[0-9] )
    (?: \s*[x×·*]\s* 10\^ (?P<power>-?[0-9]+) | e (?P<exponent>[+-]?[0-9]+) )?
    (?: \s* (?P<unit> % | [KMBGT]\b | (?:thousand|million|billion|percent)\b ) )?
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Number:
    """A printed number: `digits`, read as one integer, times `ulp`.

    `ulp` is the value of one unit in the last printed digit.  `exact` holds for an
    integer printed in full: no decimals, exponent, suffix or unit, and not "about".
    `power` is the power of ten that its unit or exponent stands for: 6 for a million.
    """

    digits: int
    ulp: Fraction
    exact: bool
    approximate: bool
    power: int = field(default=0, compare=False)

    @property
    def value(self) -> Fraction:
        return self.digits * self.ulp

    @property
    def span(self) -> tuple[Fraction, Fraction]:
        """All values that round or truncate to the digits: [low, high).

        For an exact number, both ends are the number itself.
        """
        if self.exact:
            return self.value, self.value
        return self.value - self.ulp / 2, self.value + self.ulp


def read(text: str, unit: str | None = None, *, remark: bool = False) -> Number:
    """The number that `text` prints, in `unit` (a key of `UNITS`) if the table has one.

    With `remark`, something may follow the number, as in "6.43 (6.61±0.16)".

    Raises:
        ValueError: `text` is no number, or not one that a paper would print.
    """
    text = text.strip()
    match = _NUMBER.match(text)
    if match is None or not (remark or match.end() == len(text)):
        raise ValueError(
            f"{text[:LONGEST]!r} does not read as a number;"
            " write it as '60,000', '5.3M', '3.8x10^9' or '18%'"
        )
    whole, decimals = match["whole"].replace(",", ""), match["decimals"] or ""
    power = match["power"] or match["exponent"] or "0"
    if len(whole + decimals) > LONGEST or len(power) > 3 or abs(int(power)) > LONGEST:
        raise ValueError(f"{text[:LONGEST]!r}… is longer than {LONGEST} digits")
    if unit and match["unit"]:
        raise ValueError(f"{text!r} has a unit already; leave out 'unit: {unit}'")
    return Number(
        digits=int(whole + decimals),
        ulp=_scale(int(power) - len(decimals), unit or match["unit"]),
        exact=match.end("whole") == match.end() and not (match["about"] or unit),
        approximate=bool(match["about"]),
        power=int(power) + POWERS.get(unit or match["unit"], 0),
    )


@cache  # few differ
def _scale(power: int, unit: str | None) -> Fraction:
    return Fraction(10) ** power * UNITS.get(unit, Fraction(1))


def verdict(number: Number, measured: int | Fraction) -> Verdict:
    """Whether the measured value is what is printed, or rounds or truncates to it."""
    low, high = number.span
    if number.exact:
        return Verdict.EXACT if measured == low else Verdict.CONTRADICTED
    if not low <= measured < high:
        return Verdict.CONTRADICTED
    rounds = measured < number.value + number.ulp / 2
    return Verdict.ROUNDS if rounds else Verdict.TRUNCATES


def adds_up(parts: Sequence[Number], total: Number) -> bool:
    """Whether values that print as `parts` can have a sum that prints as `total`."""
    spans = [part.span for part in parts]
    low, high = map(sum, zip(*spans))
    exact = all(part.exact for part in parts)
    least, most = total.span

    def below(start: Fraction, end: Fraction, closed: bool) -> bool:
        return start < end or (closed and start == end)

    return below(low, most, total.exact) and below(least, high, exact)
