"""A printed number tried under every known cause, alone and in pairs.

What changes is how the network is counted or built, or the print itself: two digits in the
wrong order, a ratio that was taken of two printed numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, pairwise, product

from reference_checks import measure, printed
from reference_checks.causes import Cause, Counting, causes, count
from reference_checks.claims import Subject, quantity
from reference_checks.errors import InputError
from reference_checks.graph import Graph
from reference_checks.load import Paper
from reference_checks.record import Verdict
from reference_checks.spec import Claim
from reference_checks.units import Unit, claims_of

DEFAULT = {
    "params": measure.PARAMS,
    "multiply_adds": measure.MULTIPLY_ADDS,
    "depth": measure.LAYERS,
    "model_bytes": measure.PARAMS,
}
"""What is counted where neither the claim nor the paper says."""
SIZED = ("multiply_adds", "neurons", "connections")
"""What grows with the input."""
Value = int | Fraction


@dataclass(frozen=True)
class Fit:
    """What reproduces the printed digits; `counting` is None where the print is at fault."""

    causes: tuple[str, ...]
    counting: Counting | None
    value: Value
    verdict: Verdict


@dataclass(frozen=True)
class Trials:
    """Each cause's value alone, None where the network cannot be built so; what fits."""

    alone: Mapping[str, Value | None]
    fits: tuple[Fit, ...]
    pairs: int


@dataclass(frozen=True)
class Search:
    """A claim's number under any counting; `home` is the paper that its variant is of."""

    subject: Subject
    home: Paper
    claim: Claim
    row: str | None

    @property
    def plain(self) -> Counting:
        """As the paper counts."""
        claim = self.claim
        convention = getattr(self.subject.paper.spec.conventions, claim.quantity, None)
        counts = claim.counts or (convention.counts if convention else ())
        counts = counts or DEFAULT.get(claim.quantity, ())
        factor = Fraction(convention.factor if convention else 1)
        return Counting(frozenset(counts), factor=factor)

    def run(self, number: printed.Number) -> Trials:
        """All trials; what changes nothing, fits alone or was searched is in no pair."""
        plain = self.plain
        base = self.value(plain)
        alone: dict[str, Value | None] = {}
        fits, working, seen, pairs = [], [], set(), 0
        known = self.known(number)
        searched = [c for c in self.another_size(number, base) if c not in known]
        for cause in (*known, *searched):
            counting = cause.on(plain)
            value = alone[cause.what] = self.value(counting)
            if value in (None, base) or (value, cause.kind) in seen:
                continue  # nothing changes, or it is another name for the same
            seen.add((value, cause.kind))
            verdict = printed.verdict(number, value)
            if verdict.passes:
                fits.append(Fit((cause.what,), counting, value, verdict))
            elif cause not in searched:
                working.append(cause)
        for one, other in combinations(working, 2):
            if one.kind == other.kind:
                continue
            counting = other.on(one.on(plain))
            value = self.value(counting)
            pairs += 1
            if value is None:
                continue
            verdict = printed.verdict(number, value)
            if verdict.passes:
                fits.append(Fit((one.what, other.what), counting, value, verdict))
        for fit in (*self.misprint(base), *self.ratios(number)):
            alone[fit.causes[0]] = fit.value
            if fit.verdict.passes:
                fits.append(fit)
        return Trials(alone, tuple(fits), pairs)

    def known(self, number: printed.Number) -> list[Cause]:
        """The causes of `causes` that this quantity has."""
        entry = self.home.spec.variants[self.subject.variant]
        counts = self.plain.counts
        return causes(self.claim, number.power, self.home.spec, entry, counts)

    def another_size(
        self, number: printed.Number, base: Value | None
    ) -> Iterator[Cause]:
        """The square input next to the printed one whose count reaches the digits.

        Counts grow with the input, in steps, so that halving finds it.
        """
        height, width, channels = self.home.spec.variants[self.subject.variant].input
        alone = self.claim.relative_to is None and self.claim.minus is None
        if self.claim.quantity not in SIZED or height != width or not (base and alone):
            return
        low, high = number.span

        def cause(side: int) -> Cause:
            what = f"input {side}x{side} instead of {height}x{width}"
            return Cause(
                what, "input", {"build": {"input_shape": (side, side, channels)}}
            )

        def reached(side: int) -> bool:
            value = self.value(cause(side).on(self.plain))
            if value is None:
                return False
            below = value <= high if number.exact else value < high
            return value >= low if grows else below

        grows = base < low
        guess = height * float((low if grows else high) / base) ** 0.5
        near, far = height, int(1.25 * guess + 32 if grows else 0.75 * guess)
        if not reached(far):
            return  # such a network cannot be built
        while abs(far - near) > 1:
            middle = (near + far) // 2
            near, far = (near, middle) if reached(middle) else (middle, far)
        yield cause(far)

    def misprint(self, base: Value | None) -> Iterator[Fit]:
        """Two neighbouring digits in the wrong order."""
        text = self.claim.printed
        end = text.find("10^") if "10^" in text else len(text)  # not in an exponent
        places = [index for index, sign in enumerate(text[:end]) if sign.isdigit()]
        for left, right in pairwise(places):
            one, other = text[left], text[right]
            if base is None or one == other:
                continue
            between = text[left + 1 : right]  # a point, perhaps
            swapped = text[:left] + other + between + one + text[right + 1 :]
            number = printed.read(swapped, self.claim.unit)
            what = f"two digits swapped in print: {swapped}"
            yield Fit((what,), None, base, printed.verdict(number, base))

    def ratios(self, number: printed.Number) -> Iterator[Fit]:
        """For a ratio: of two numbers that the paper prints, and not of what is counted."""
        other = self.claim.relative_to
        if other is None or self.row is not None:
            return
        for above, below in product(
            self.printed(self.subject.variant), self.printed(other)
        ):
            value = read(above) / read(below)
            what = f"the ratio of printed numbers: {said(above)} / {said(below)}"
            yield Fit((what,), None, value, printed.verdict(number, value))

    def printed(self, variant: str) -> Iterator[Claim]:
        """What the paper prints of the quantity, of the whole of a variant."""
        paper = self.subject.paper
        unit = Unit(paper, variant, foreign=variant not in paper.spec.variants)
        if unit.foreign and variant not in paper.spec.others:
            return
        names = (self.claim.quantity, f"recorded_{self.claim.quantity}")
        for _, row, claim in claims_of(unit):
            plain = row is None and not (claim.relative_to or claim.minus)
            if claim.quantity in names and plain and read(claim):
                yield claim

    def value(self, counting: Counting) -> Value | None:
        """The claim's number; None if the network cannot be built so."""
        claim, networks = self.claim, self.subject.networks
        try:
            found = self.of(self.home, self.subject.variant, self.row, counting)
            other = claim.relative_to or claim.minus
            if other is None:
                return found
            base = self.of(networks.home(other), other, None, counting)
        except InputError:
            return None
        if claim.relative_to:
            return Fraction(found) / base if base else None
        return found - base

    def of(
        self, paper: Paper, variant: str, row: str | None, counting: Counting
    ) -> Value:
        """The quantity of a variant, or of one of its rows."""
        graph = self.subject.networks.graph(paper, variant, **counting.build)
        name = self.claim.quantity
        if name in DEFAULT or name == "neurons":
            part = (
                None if row is None else _until(self.claim, graph, paper, variant, row)
            )
            return _whole(count(name, graph, part, counting) * counting.factor)
        subject = Subject(self.subject.networks, paper, variant, graph)
        found = quantity(subject, self.claim, row, (), None)
        return _whole(found * counting.factor)


def read(claim: Claim) -> Fraction:
    """The number that a claim prints."""
    return printed.read(claim.printed, claim.unit).value


def said(claim: Claim) -> str:
    """As it is printed."""
    return claim.printed if claim.unit is None else f"{claim.printed} {claim.unit}"


def _whole(value: Fraction) -> Value:
    return int(value) if Fraction(value).denominator == 1 else value


def _until(
    claim: Claim, graph: Graph, paper: Paper, variant: str, row: str
) -> list[int]:
    """The ops of a row; for a depth that is printed up to a row, all on the way to it."""
    table = paper.spec.variants[variant].table
    names = graph.row_of(paper.spec.tables[table].rows if table else ())
    inside = [index for index, name in enumerate(names) if name == row]
    if claim.quantity != "depth" or claim.row is None:
        return inside
    needed = {inside[-1]}
    for index in range(inside[-1], -1, -1):
        if index in needed:
            needed.update(graph.ops[index].inputs)
    return sorted(needed)
