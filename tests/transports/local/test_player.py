from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from antiphon.transports.local.player import RATE_HZ, AudioPlayer

CHUNK = RATE_HZ * 40 // 1000
BLOCK = RATE_HZ // 100


def sound(ms: int, value: int = 1000) -> NDArray[np.int16]:
    return np.full(RATE_HZ * ms // 1000, value, np.int16)


def ms_until_sound(player: AudioPlayer, limit_ms: int = 1000) -> int:
    for passed in range(0, limit_ms, 10):
        if player.pull(BLOCK).any():
            return passed
    raise AssertionError("no sound came")


def play_out(player: AudioPlayer, limit_ms: int = 10_000) -> NDArray[np.int16]:
    blocks = []
    for _ in range(limit_ms // 10):
        blocks.append(player.pull(BLOCK))
        if not player.is_playing:
            break
    return np.concatenate(blocks)


def test_an_item_starts_as_soon_as_its_jitter_buffer_is_full() -> None:
    player = AudioPlayer(jitter_ms=120)
    player.push("a", sound(80))
    assert not player.pull(BLOCK).any()
    player.push("a", sound(40))
    assert player.pull(BLOCK).all()


def test_an_answer_shorter_than_the_buffer_plays_completely() -> None:
    player = AudioPlayer(jitter_ms=120)
    player.push("a", sound(60))
    player.complete("a")
    played = play_out(player)
    assert np.count_nonzero(played) == len(sound(60))
    assert player.playout("a").is_done
    assert player.playout("a").played_ms == player.playout("a").received_ms == 60


def test_an_item_that_trickles_waits_a_quarter_of_a_second_and_no_longer() -> None:
    player = AudioPlayer(jitter_ms=120)
    player.push("a", sound(20))
    assert ms_until_sound(player) == 250


@pytest.mark.parametrize("seed", range(100))
def test_deltas_up_to_100_ms_late_make_no_underrun(seed: int) -> None:
    rng = random.Random(seed)
    player = AudioPlayer(jitter_ms=120)
    # Deltas of 20 ms leave the service every 20 ms and come 0 to 100 ms late, in order.
    arrivals = []
    for number in range(100):
        arrivals.append(max(number * 20 + rng.uniform(0, 100), arrivals[-1] if arrivals else 0.0))
    first, pushed, started = arrivals[0], 0, None
    for at_ms in range(0, 3000, 10):
        while pushed < len(arrivals) and arrivals[pushed] <= at_ms:
            player.push("a", sound(20))
            pushed += 1
            if pushed == len(arrivals):
                player.complete("a")
        if player.pull(BLOCK).any() and started is None:
            started = at_ms
    assert player.underruns == 0
    assert player.playout("a").played_ms == 2000
    assert started is not None
    assert started - first <= 120 + 20 + 100


def test_deltas_in_time_start_within_the_buffer_and_one_chunk() -> None:
    player = AudioPlayer(jitter_ms=120)
    for at_ms in range(0, 500, 10):
        if at_ms % 40 == 0:
            player.push("a", sound(40))
        if player.pull(BLOCK).any():
            break
    assert at_ms <= 120 + 40


def test_an_underrun_plays_silence_counts_once_and_fills_the_buffer_again() -> None:
    events: list[tuple[str, str]] = []
    player = AudioPlayer(jitter_ms=120, on_event=lambda kind, item_id: events.append((kind, item_id)))
    player.push("a", sound(120))
    assert np.count_nonzero(np.concatenate([player.pull(BLOCK) for _ in range(20)])) == len(sound(120))
    assert player.playout("a").played_ms == 120
    player.push("a", sound(100))
    assert not player.pull(BLOCK).any()
    player.push("a", sound(20))
    assert player.pull(BLOCK).all()
    assert player.underruns == 1
    assert events == [("started", "a"), ("underrun", "a")]


def test_items_play_in_the_order_of_their_first_delta_and_never_mix() -> None:
    player = AudioPlayer(jitter_ms=120)
    player.push("a", sound(100, 1))
    player.push("b", sound(100, 2))
    player.push("a", sound(100, 1))
    player.complete("a")
    player.complete("b")
    played = play_out(player)
    heard = played[played != 0]
    assert heard.tolist() == [1] * len(sound(200)) + [2] * len(sound(100))
    assert player.playout("a").played_ms == 200


def test_flush_is_silent_within_5_ms_and_later_sound_of_the_item_is_dropped() -> None:
    player = AudioPlayer(jitter_ms=120)
    player.push("a", sound(1000))
    player.pull(CHUNK)
    assert player.flush() == ["a"]
    after = player.pull(CHUNK)
    assert 0 < np.count_nonzero(after) <= RATE_HZ * 5 // 1000
    assert not after[RATE_HZ * 5 // 1000 :].any()
    player.push("a", sound(40))
    assert not player.pull(CHUNK).any()
    assert player.dropped["cancelled"] == len(sound(1000)) - CHUNK + len(sound(40))
    assert 40 <= player.playout("a").played_ms <= 45
    assert player.playout("a").was_flushed


def test_the_stream_is_open_for_the_next_answer_after_a_flush() -> None:
    player = AudioPlayer(jitter_ms=120)
    player.push("a", sound(500))
    player.pull(BLOCK)
    player.flush()
    player.push("b", sound(120))
    player.complete("b")
    assert np.count_nonzero(play_out(player)[RATE_HZ * 5 // 1000 :]) >= len(sound(115))
    assert player.playout("b").played_ms == 120


def test_flush_before_the_first_sample_plays_nothing() -> None:
    player = AudioPlayer(jitter_ms=120)
    player.push("a", sound(80))
    assert player.current == "a"
    player.flush()
    assert not player.pull(CHUNK).any()
    assert player.playout("a").played_ms == 0
    assert player.current is None


def test_what_is_inside_the_device_is_not_yet_played() -> None:
    player = AudioPlayer(jitter_ms=20)
    player.latency_s = 0.05
    player.push("a", sound(100))
    player.complete("a")
    player.pull(RATE_HZ // 10)
    assert player.playout("a").played_ms == 50
    assert player.is_playing
    assert player.current == "a"
    player.pull(RATE_HZ * 60 // 1000)
    assert player.playout("a").played_ms == 100
    assert not player.is_playing
    assert player.current is None


def test_too_much_sound_is_dropped_counted_and_told() -> None:
    events: list[tuple[str, str]] = []
    player = AudioPlayer(max_s=1, on_event=lambda kind, item_id: events.append((kind, item_id)))
    player.push("a", sound(900))
    player.push("a", sound(200))
    assert events == [("overflow", "a")]
    assert player.dropped["queue_full"] == len(sound(200))
    assert player.held_ms == 900


def test_a_lost_end_of_an_item_does_not_hold_up_the_next() -> None:
    player = AudioPlayer(jitter_ms=120)
    player.push("a", sound(200))
    player.push("b", sound(200, 2))
    player.complete("b")
    assert np.count_nonzero(play_out(player)) == len(sound(400))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.sampled_from("abc"), st.integers(0, 3000)),
        st.tuples(st.just("complete"), st.sampled_from("abc"), st.just(0)),
        st.tuples(st.just("flush"), st.just(""), st.just(0)),
        st.tuples(st.just("pull"), st.just(""), st.integers(1, 4000)),
    ),
    max_size=40,
)


@given(steps=STEPS, latency_ms=st.integers(0, 100))
def test_every_sample_is_played_held_or_dropped(steps: list[tuple[str, str, int]], latency_ms: int) -> None:
    player = AudioPlayer(jitter_ms=40, max_s=0.3)
    player.latency_s = latency_ms / 1000
    pushed = heard = 0
    for step, item_id, count in steps:
        if step == "push":
            player.push(item_id, np.ones(count, np.int16) * 30_000)
            pushed += count
        elif step == "pull":
            heard += np.count_nonzero(player.pull(count))
        elif step == "complete":
            player.complete(item_id)
        else:
            player.flush()
        for known in "abc":
            state = player.playout(known)
            assert 0 <= state.played_ms <= state.received_ms
    held = player.held_ms * RATE_HZ // 1000
    # A fade is played and counted as dropped too: at most 5 ms for each flush.
    fades = 120 * sum(step == "flush" for step, _, _ in steps)
    total = heard + held + sum(player.dropped.values())
    assert pushed - RATE_HZ // 1000 <= total <= pushed + fades
