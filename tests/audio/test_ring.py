from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.audio.ring import ByteRing


@given(st.integers(0, 50), st.lists(st.binary(max_size=20), max_size=30))
def test_the_ring_holds_the_newest_whole_frames_that_fit(capacity: int, frames: list[bytes]) -> None:
    ring = ByteRing(capacity)
    for frame in frames:
        ring.push(frame)
        assert len(ring) <= capacity
    total = b"".join(frames)
    held = len(ring)
    taken = ring.take()
    assert len(taken) == held
    assert total.endswith(taken)
    assert ring.dropped == len(total) - held
    assert len(ring) == 0
    # Nothing was dropped without need: with the frame before it would not have fitted.
    kept = 0
    for frame in reversed(frames):
        if kept + len(frame) > capacity:
            break
        kept += len(frame)
    assert held == kept


def test_frames_come_out_oldest_first_and_once() -> None:
    ring = ByteRing(480)
    for name in (b"a", b"b", b"c", b"d"):
        ring.push(name * 160)
    assert ring.take() == b"b" * 160 + b"c" * 160 + b"d" * 160
    assert ring.dropped == 160
    assert ring.take() == b""


def test_clearing_is_no_drop() -> None:
    ring = ByteRing(480)
    ring.push(b"a" * 160)
    ring.clear()
    assert len(ring) == 0
    assert ring.dropped == 0


def test_a_negative_capacity_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 bytes"):
        ByteRing(-1)
