"""Which pictures training leaves alone."""

from __future__ import annotations

import pytest

from understudy.dataset.held_back import STRETCH, held_back


def test_whole_stretches_are_kept_back_by_their_numbers_alone():
    """One in 4 of a clip from frame 1001: 1001 // 12 is 83, so the stretches that leave 2 begin at 86, 90, 94..."""
    kept = [number for number in range(1001, 1001 + 150) if held_back(number, 4)]
    assert kept == [*range(86 * 12, 87 * 12), *range(90 * 12, 91 * 12), *range(94 * 12, 95 * 12)]


@pytest.mark.parametrize("one_in", [2, 5, 20])
def test_one_in_so_many(one_in):
    numbers = range(STRETCH * one_in * 10)
    assert sum(held_back(number, one_in) for number in numbers) == len(numbers) // one_in


def test_none_by_default():
    assert not any(held_back(number, 0) for number in range(1000))
