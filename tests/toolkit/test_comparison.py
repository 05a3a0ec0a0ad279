"""How far apart two results are, and how far they may be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_checks.equivalence.comparison import (
    ROUNDOFF,
    K,
    budget,
    distance,
    in_float64,
)

nan, inf = float("nan"), float("inf")
vectors = st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=8, unique=True)


def array(*values):
    return np.array(values, dtype=np.float64)


@given(vectors)
def test_an_array_has_no_distance_to_itself(values):
    """Zero, whatever the values."""
    assert 0.0 == distance(array(*values), array(*values))


@given(vectors)
def test_a_permutation_is_a_distance(values):
    """Means and sums of a permutation agree; the distance does not."""
    reference = array(*values)
    assert 0 < distance(np.roll(reference, 1), reference)


@given(vectors, st.integers(0, 7), st.sampled_from([nan, inf, -inf]))
def test_what_is_not_finite_is_infinitely_far(values, place, bad):
    """On either side, and on both sides at once: nothing was compared."""
    good, broken = array(*values), array(*values)
    broken[place % len(broken)] = bad
    for pair in ((good, broken), (broken, good), (broken, broken)):
        assert inf == distance(*pair)


def test_differences_of_opposite_sign_do_not_cancel():
    """The norm sums squares."""
    assert pytest.approx(1.0) == distance(array(2, 0), array(1, 1))


def test_the_distance_is_relative_to_the_reference():
    """Small outputs are not close for being small."""
    assert 1.0 == distance(array(0, 0), array(1e-9, 0))


def test_nothing_is_close_to_zeros_but_zeros():
    """A relative distance to zeros is none or infinite."""
    assert inf == distance(array(1e-30, 0), array(0, 0))
    assert 0.0 == distance(array(0, 0), array(0, 0))


def test_other_shapes_are_infinitely_far():
    """(1, 2) and (2, 1) broadcast; they are not compared.  Nor is nothing."""
    assert inf == distance(np.ones((1, 2)), np.ones((2, 1)))
    assert inf == distance(np.ones((0, 2)), np.ones((0, 2)))


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1.0, 1e200])
def test_the_distance_is_a_number_at_any_size(size):
    """Squares that overflow made it none, which no budget is smaller than."""
    assert pytest.approx(1.0) == distance(array(2 * size), array(size))
    assert 0.0 == distance(array(size, -size), array(size, -size))
    assert inf == distance(array(1e308, 0), array(1e-300, 0))


def test_the_distance_is_taken_in_float64():
    """Whatever is compared: two float16 numbers have no difference to 1e-12."""
    half = np.array([1.0, 1 / 3], np.float16)
    expected = abs(float(half[1]) - 1 / 3) / np.hypot(1, 1 / 3)
    assert pytest.approx(expected, rel=1e-12) == distance(half, array(1, 1 / 3))  # fmt: skip


def test_float64_errs_as_float32_does_in_its_own_roundings():
    """2^29 times less, and never less than a rounding."""
    assert 2.0**-29 == in_float64([0.25, 1.0])
    assert 2.0**-53 == in_float64([0.0])


def test_nothing_is_closer_than_the_rounding_of_its_own_numbers():
    """A floor of zero, of networks that happen to be exact, is none."""
    assert K * 2.0**-24 == budget("float32", [0.0])
    assert K * 2.0**-8 == budget("bfloat16", [1e-4, 1e-3])
    assert K * 1e-2 == budget("bfloat16", [1e-4, 1e-2])
    assert ROUNDOFF["tf32"] == ROUNDOFF["float16"] > ROUNDOFF["float32"]
