from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from antiphon.wire.reading import FrameOrder


def accepted(numbers: list[int]) -> tuple[list[int], int]:
    order = FrameOrder()
    return [number for number in numbers if order.accept(number)], order.missing


def test_frames_in_order_are_all_good() -> None:
    assert accepted([1, 2, 3]) == ([1, 2, 3], 0)


def test_the_numbering_may_start_anywhere() -> None:
    assert accepted([0, 1, 2]) == ([0, 1, 2], 0)
    assert accepted([812, 813]) == ([812, 813], 0)


def test_a_frame_that_comes_twice_or_late_is_refused() -> None:
    assert accepted([1, 2, 2, 3, 1, 2, 4]) == ([1, 2, 3, 4], 0)


def test_frames_that_never_come_are_counted_and_the_next_is_good() -> None:
    assert accepted([1, 2, 5, 6, 9]) == ([1, 2, 5, 6, 9], 4)


def test_a_frame_that_comes_late_stays_missing() -> None:
    assert accepted([1, 3, 2, 4]) == ([1, 3, 4], 1)


def test_one_forged_number_does_not_silence_the_stream() -> None:
    for forged in (10**18, 50_000):
        assert accepted([1, 2, forged, 3, 4]) == ([1, 2, 3, 4], 0)
        assert accepted([forged, 1, 2, 3]) == ([forged, 2, 3], 0)


def test_a_new_numbering_is_believed_at_its_second_frame() -> None:
    assert accepted([9_000, 9_001, 1, 2, 3]) == ([9_000, 9_001, 2, 3], 0)
    assert accepted([1, 2, 70_000, 70_001, 70_002]) == ([1, 2, 70_001, 70_002], 0)


def test_frames_without_a_number_are_always_good() -> None:
    assert accepted([-1, -1, 1, -1, 2, 2]) == ([-1, -1, 1, -1, 2], 0)


@given(st.lists(st.integers(0, 60), max_size=80))
def test_good_frames_only_ever_rise_and_the_holes_between_them_are_counted(numbers: list[int]) -> None:
    good, missing = accepted(numbers)
    assert all(later > earlier for earlier, later in pairwise(good))
    assert missing == (good[-1] - good[0] + 1 - len(good) if good else 0)
