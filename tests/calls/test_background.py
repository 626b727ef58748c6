"""The background: under speech and in silence, in real time, and of no account to who speaks and what was heard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from antiphon.audio.convert import from_pcm, to_pcm
from antiphon.audio.formats import PHONE, AudioFormat
from antiphon.audio.level import dbfs, rms
from antiphon.audio.tones import sine
from antiphon.calls.background import Background
from antiphon.calls.pacer import Pacer
from antiphon.calls.playout import Playout
from antiphon.calls.speech import Speech
from antiphon.clock import VirtualClock

FORMATS = (PHONE, AudioFormat("alaw", 8_000), AudioFormat("pcm16", 16_000), AudioFormat("pcm16", 24_000))
BED_HZ, SPEECH_HZ = 400.0, 1003.0


def level_at(pcm: NDArray[np.int16], hz: float, rate_hz: int) -> float:
    """Amplitude of one frequency, as part of full scale."""
    turn = np.exp(-2j * np.pi * hz / rate_hz * np.arange(len(pcm)))
    return float(2 * abs(np.mean(pcm * turn)) / 32768)


def bed(audio: AudioFormat, seconds: float = 1.0, amplitude: float = 0.2) -> NDArray[np.int16]:
    return sine(BED_HZ, seconds * 1000, rate_hz=audio.rate_hz, amplitude=amplitude)


def playing(audio: AudioFormat, *, volume: float = 1.0, loop: bool = True, amplitude: float = 0.2) -> Background:
    """A background that has faded in."""
    background = Background(audio)
    background.play(bed(audio, amplitude=amplitude), volume=volume, loop=loop)
    for _ in range(50):
        background.alone(audio.frame_bytes(20))
    return background


@dataclass
class Line:
    """A line that plays in time and keeps when everything was to be heard."""

    clock: VirtualClock
    audio: AudioFormat = PHONE
    has_marks: bool = False
    can_clear: bool = True
    can_pause: bool = True
    heard: list[tuple[float, float, bool]] = field(default_factory=list)
    """From, to, and whether it was speech."""
    frames: list[bytes] = field(default_factory=list)
    ahead_s: float = 0.0
    clears: int = 0
    _end: float = 0.0

    def _put(self, payload: bytes, is_speech: bool) -> None:
        start = max(self._end, self.clock.now())
        self._end = start + self.audio.seconds(len(payload))
        self.ahead_s = max(self.ahead_s, self._end - self.clock.now())
        self.heard.append((start, self._end, is_speech))
        self.frames.append(payload)

    def play(self, payload: bytes, speech: Speech) -> None:
        self._put(payload, True)

    def play_background(self, payload: bytes) -> None:
        self._put(payload, False)

    def mark(self, name: str) -> None: ...

    def clear(self) -> None:
        now = self.clock.now()
        self.clears += 1
        kept = [
            (start, min(end, now), is_speech, payload[: round((min(end, now) - start) * 8000) * 1])
            for (start, end, is_speech), payload in zip(self.heard, self.frames, strict=True)
            if start < now
        ]
        self.heard = [(start, end, is_speech) for start, end, is_speech, _ in kept]
        self.frames = [payload for *_, payload in kept]
        self._end = now

    def hang_up(self, reason: str) -> None: ...

    def gaps(self, start: float, end: float) -> float:
        """Seconds between two times in which nothing was heard."""
        return (end - start) - sum(max(0.0, min(b, end) - max(a, start)) for a, b, _ in self.heard)

    @property
    def pcm(self) -> NDArray[np.int16]:
        return to_pcm(b"".join(self.frames), self.audio)


class Told:
    """Keeps what the playout tells."""

    def __init__(self, clock: VirtualClock) -> None:
        self.events: list[tuple[Any, ...]] = []
        self._clock = clock

    def speech_started(self, speech: Speech) -> None:
        self.events.append(("started", speech.number, round(self._clock.now(), 3)))

    def speech_over(self, speech: Speech) -> None:
        self.events.append(("over", speech.number, round(self._clock.now(), 3)))

    def speech_sent(self, speech: Speech) -> None: ...

    def silent(self, last: Speech, more: bool) -> None:
        self.events.append(("silent", last.number, more))


class Tape:
    """A tap that keeps the agent's channel."""

    def __init__(self) -> None:
        self.sound: list[tuple[float, bytes]] = []

    def caller(self, at_s: float, payload: bytes) -> None: ...

    def agent(self, at_s: float, payload: bytes) -> None:
        self.sound.append((at_s, payload))

    def cut(self, at_s: float) -> None:
        self.sound = [
            (at, payload[: round((at_s - at) * 8000)] if at + len(payload) / 8000 > at_s else payload)
            for at, payload in self.sound
            if at < at_s
        ]


def make(
    clock: VirtualClock, *, with_bed: bool = True, frame_ms: int = 20, lead_s: float = 0.2, **line: Any
) -> tuple[Playout, Line, Told, Tape]:
    wire, told, tape = Line(clock, **line), Told(clock), Tape()
    playout = Playout(
        wire,
        told,
        pacer=Pacer(clock),
        clock=clock,
        lead_s=lead_s,
        frame_ms=frame_ms,
        tap=tape,
        seconds=lambda at: at,
    )
    if with_bed:
        lay(playout)
    return playout, wire, told, tape


def lay(playout: Playout, *, volume: float = 1.0, loop: bool = True, seconds: float = 1.0) -> None:
    assert playout.background is not None
    playout.background.play(bed(PHONE, seconds), volume=volume, loop=loop)
    playout.fill()


def speech_of(ms: float, number: int = 1, *, complete: bool = True, hz: float = SPEECH_HZ) -> Speech:
    speech = Speech(number, "reply", turn=1, audio=PHONE)
    speech.begin_clause("some words here ", "some words here")
    speech.add_sound(from_pcm(sine(hz, ms, amplitude=0.3), PHONE))
    if complete:
        speech.finish()
    return speech


# The mix.


@pytest.mark.parametrize("audio", FORMATS, ids=lambda audio: f"{audio.encoding}-{audio.rate_hz}")
def test_a_background_alone_has_its_volume_and_is_six_decibels_softer_under_speech(audio: AudioFormat) -> None:
    size, count = audio.frame_bytes(20), 50
    background = playing(audio, volume=0.5)
    alone = to_pcm(b"".join(background.alone(size) for _ in range(count)), audio)
    assert abs(dbfs(level_at(alone, BED_HZ, audio.rate_hz)) - dbfs(0.1)) < 0.2
    speech = from_pcm(sine(SPEECH_HZ, 2000, rate_hz=audio.rate_hz, amplitude=0.3), audio)
    mixed = to_pcm(b"".join(background.under(speech[at : at + size]) for at in range(0, len(speech), size)), audio)
    settled = mixed[len(mixed) // 2 :]
    assert abs(dbfs(level_at(settled, BED_HZ, audio.rate_hz)) - dbfs(0.05)) < 0.3
    assert abs(dbfs(level_at(settled, SPEECH_HZ, audio.rate_hz)) - dbfs(0.3)) < 0.1


@pytest.mark.parametrize("audio", FORMATS, ids=lambda audio: f"{audio.encoding}-{audio.rate_hz}")
def test_r47_a_tone_behind_speech_keeps_its_pitch_and_length(audio: AudioFormat) -> None:
    background = Background(audio)
    background.play(bed(audio, seconds=2.0), volume=1.0, loop=False)
    frames = []
    while background.is_on:
        frames.append(background.alone(audio.frame_bytes(20)))
    pcm = to_pcm(b"".join(frames), audio)
    assert len(pcm) == 2 * audio.rate_hz
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    assert abs(spectrum.argmax() / 2.0 - BED_HZ) <= 0.5


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1), st.floats(0.05, 1), st.integers(0, 3))
def test_speech_at_full_scale_is_never_clipped_by_what_lies_under_it(
    volume: float, loudness: float, index: int
) -> None:
    audio = AudioFormat("pcm16", 16_000)
    background = playing(audio, volume=volume, amplitude=1.0)
    speech = sine(310 + 77 * index, 20, rate_hz=audio.rate_hz, amplitude=loudness)
    mixed = to_pcm(background.under(speech.tobytes()), audio).astype(int)
    under = mixed - speech
    assert np.abs(mixed).max() <= 32767
    # What was added is the background made softer, not one with its peaks cut.
    assert np.abs(np.diff(under)).max() <= np.abs(np.diff(bed(audio, amplitude=1.0).astype(int))).max() + 2


def test_a_loop_has_no_seam_and_a_sound_that_does_not_loop_ends() -> None:
    audio = AudioFormat("pcm16", 8_000)
    looped = playing(audio)
    pcm = to_pcm(b"".join(looped.alone(320) for _ in range(150)), audio).astype(int)
    assert np.abs(np.diff(pcm)).max() <= np.abs(np.diff(bed(audio).astype(int))).max() + 2
    once = Background(audio)
    once.play(bed(audio, seconds=0.5), volume=1.0, loop=False)
    frames = [once.alone(320) for _ in range(25)]
    assert not once.is_on
    assert any(frames[-1])


def test_it_fades_in_and_out_and_into_another_sound() -> None:
    audio = AudioFormat("pcm16", 8_000)
    background = Background(audio)
    background.play(bed(audio), volume=1.0, loop=True)
    levels = [rms(to_pcm(background.alone(320), audio)) for _ in range(20)]
    assert levels[0] < 0.01 < 0.13 < levels[-1]
    background.play(sine(800, 1000), volume=1.0, loop=True)
    changing = to_pcm(b"".join(background.alone(320) for _ in range(30)), audio)
    assert level_at(changing[-1600:], 800, 8000) > 0.4
    assert level_at(changing[-1600:], BED_HZ, 8000) < 0.01
    background.stop()
    for _ in range(11):
        background.alone(320)
    assert not background.is_on


# In a call's time.


def test_silence_is_filled_in_real_time_and_only_a_little_ahead() -> None:
    clock = VirtualClock()
    playout, line, told, tape = make(clock)

    async def scenario() -> None:
        await clock.sleep(3)

    clock.run(scenario())
    assert line.gaps(0.04, 3.0) < 1e-6
    assert line.ahead_s <= 0.0601
    assert told.events == []
    assert sum(len(payload) for _, payload in tape.sound) == sum(len(frame) for frame in line.frames)
    assert not playout.sounding


def test_what_is_told_and_counted_of_speech_is_the_same_with_a_background_save_for_the_wait_behind_it() -> None:
    def tell(with_bed: bool) -> tuple[list[tuple[Any, ...]], int]:
        clock = VirtualClock()
        playout, _line, told, _tape = make(clock, with_bed=with_bed)
        first, second = speech_of(700, 1), speech_of(500, 2, complete=False)

        async def scenario() -> None:
            await clock.sleep(1)
            playout.attach(first)
            playout.attach(second)
            await clock.sleep(2)
            second.finish()
            await clock.sleep(1)

        clock.run(scenario())
        return told.events, first.played + second.played

    (plain, plain_bytes), (mixed, mixed_bytes) = tell(False), tell(True)
    assert plain_bytes == mixed_bytes == 1200 * 8
    assert [event[:2] for event in plain] == [event[:2] for event in mixed]
    for one, other in zip(plain, mixed, strict=True):
        assert one[2] == other[2] or 0 <= other[2] - one[2] <= 0.08


def test_a_barge_in_is_exact_to_the_sample_and_the_background_goes_on_without_a_gap_or_a_jump() -> None:
    clock = VirtualClock()
    playout, line, _told, tape = make(clock)
    speech = speech_of(2000)

    async def scenario() -> None:
        await clock.sleep(1.0)
        playout.attach(speech)
        await clock.sleep(0.513)
        assert playout.stop() == [speech]
        cut_at = clock.now()
        await clock.sleep(0.5)
        started = next(start for start, _, is_speech in line.heard if is_speech)
        assert speech.played == round((cut_at - started) * 8000)

    clock.run(scenario())
    assert line.clears == 1
    assert line.gaps(0.1, 2.0) < 1e-6
    assert not any(is_speech and end > 1.5131 for _, end, is_speech in line.heard)
    # The bed is a tone whose loop is seamless: its phase at every place is that of one unbroken tone.
    pcm = line.pcm[2400:].astype(float)
    turn = np.exp(-2j * np.pi * BED_HZ / 8000 * np.arange(len(pcm)))
    whole = abs(np.mean(pcm * turn))
    parts = [abs(np.mean(part)) for part in np.array_split(pcm * turn, 8)]
    assert whole > 0.95 * np.mean(parts)
    # The recording has the same sound.
    recorded = to_pcm(b"".join(payload for _, payload in tape.sound), PHONE)
    assert abs(len(recorded) - len(line.pcm)) <= 1
    assert level_at(recorded[-3200:], BED_HZ, 8000) > 0.15


def test_a_pause_keeps_the_background_and_the_speech_goes_on_where_it_was() -> None:
    clock = VirtualClock()
    playout, line, told, _tape = make(clock)
    speech = speech_of(1000)

    async def scenario() -> None:
        await clock.sleep(0.5)
        playout.attach(speech)
        await clock.sleep(0.4)
        playout.pause()
        played = speech.played
        assert speech.sent == played
        await clock.sleep(1.0)
        assert speech.played == played
        playout.resume()
        await clock.sleep(1.0)

    clock.run(scenario())
    assert line.gaps(0.1, 2.8) < 1e-6
    assert speech.over
    assert told.events[-1] == ("silent", 1, False)


def test_with_long_messages_speech_takes_the_place_of_the_background_at_once() -> None:
    clock = VirtualClock()
    playout, line, _told, _tape = make(clock, frame_ms=250, lead_s=0.4)

    async def scenario() -> None:
        await clock.sleep(1.05)
        assert {len(frame) for frame in line.frames} == {2000}
        assert len(line.frames) <= 6
        playout.attach(speech_of(700))
        await clock.sleep(1.5)

    clock.run(scenario())
    begun = next(start for start, _, is_speech in line.heard if is_speech)
    assert begun - 1.05 <= 0.1
    assert line.gaps(0.3, 2.4) < 1e-6


def test_on_a_line_that_cannot_clear_speech_waits_for_the_little_that_is_ahead() -> None:
    clock = VirtualClock()
    playout, line, _told, _tape = make(clock, can_clear=False)
    speech = speech_of(600)

    async def scenario() -> None:
        await clock.sleep(1.0)
        playout.attach(speech)
        await clock.sleep(0.3)
        playout.stop()
        await clock.sleep(1.0)

    clock.run(scenario())
    begun = next(start for start, _, is_speech in line.heard if is_speech)
    assert begun <= 1.0 + 0.0601
    assert line.clears == 0
    assert line.gaps(0.1, 2.2) < 1e-6


def test_nothing_sounds_after_the_end_and_the_pacer_rests() -> None:
    clock = VirtualClock()
    pacer = Pacer(clock)
    line = Line(clock)
    playout = Playout(line, Told(clock), pacer=pacer, clock=clock, lead_s=0.2, frame_ms=20, seconds=lambda at: at)
    lay(playout)

    async def scenario() -> None:
        await clock.sleep(0.5)
        playout.close()
        count = len(line.frames)
        await clock.sleep(0.5)
        assert len(line.frames) == count
        assert pacer._timer is None

    clock.run(scenario())


def test_a_background_that_was_stopped_leaves_the_pacer() -> None:
    clock = VirtualClock()
    pacer = Pacer(clock)
    line = Line(clock)
    playout = Playout(line, Told(clock), pacer=pacer, clock=clock, lead_s=0.2, frame_ms=20, seconds=lambda at: at)
    lay(playout)

    async def scenario() -> None:
        await clock.sleep(0.5)
        assert playout.background is not None
        playout.background.stop()
        await clock.sleep(0.5)
        assert pacer._timer is None

    clock.run(scenario())
    assert 0.6 < line.heard[-1][1] < 0.8


STEPS: dict[str, Callable[[Playout], object]] = {
    "pause": Playout.pause,
    "resume": Playout.resume,
    "stop": Playout.stop,
    "bed": lay,
    "no bed": lambda playout: playout.background.stop() if playout.background else None,
}


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([*STEPS, "sound", "wait", "new", "finish"]), st.integers(1, 400)),
        max_size=30,
    ),
    st.sampled_from([20, 250]),
    st.booleans(),
)
def test_whatever_happens_the_counts_hold_and_a_background_has_no_gap(
    steps: list[tuple[str, int]], frame_ms: int, can_clear: bool
) -> None:
    clock = VirtualClock()
    playout, line, _told, _tape = make(clock, frame_ms=frame_ms, lead_s=0.4, can_clear=can_clear, can_pause=can_clear)
    speeches: list[Speech] = []

    async def scenario() -> None:
        for step, ms in steps:
            if step == "new":
                speeches.append(speech_of(ms, len(speeches) + 1, complete=False))
                playout.attach(speeches[-1])
            elif step == "wait":
                before, gaps = clock.now(), 0.0
                was_on = playout.background is not None and playout.background.is_on
                await clock.sleep(0.04)
                await clock.sleep(ms / 1000)
                if was_on and playout.background is not None and playout.background.is_on:
                    gaps = line.gaps(before + 0.04, clock.now())
                assert gaps < 1e-6
            elif step == "sound" and speeches and not speeches[-1].complete:
                speeches[-1].add_sound(b"\x10" * (8 * ms))
            elif step == "finish" and speeches:
                speeches[-1].finish()
            elif step in STEPS:
                STEPS[step](playout)
            for speech in speeches:
                assert 0 <= speech.played <= speech.sent <= len(speech.sound)
            assert line.ahead_s <= 0.4 + 0.25

    clock.run(scenario())
