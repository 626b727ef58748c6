"""The playout: in order, ahead by no more than its lead, exact about what was heard."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.audio.formats import PHONE, AudioFormat
from antiphon.calls.pacer import Pacer
from antiphon.calls.playout import Playout
from antiphon.calls.speech import Speech
from antiphon.clock import VirtualClock


@dataclass
class Line:
    """Keeps what is sent."""

    clock: VirtualClock
    audio: AudioFormat = PHONE
    has_marks: bool = False
    can_clear: bool = True
    can_pause: bool = True
    sent: list[tuple[float, bytes]] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    clears: list[float] = field(default_factory=list)

    def play(self, payload: bytes, speech: Speech) -> None:
        self.sent.append((self.clock.now(), payload))

    def mark(self, name: str) -> None:
        self.marks.append(name)

    def clear(self) -> None:
        self.clears.append(self.clock.now())

    def hang_up(self, reason: str) -> None: ...

    @property
    def bytes_sent(self) -> int:
        return sum(len(payload) for _, payload in self.sent)


@dataclass
class Told:
    """Keeps what the playout tells."""

    clock: VirtualClock
    events: list[tuple[Any, ...]] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)

    def speech_started(self, speech: Speech) -> None:
        self.events.append(("started", speech.number, round(self.clock.now(), 3)))

    def speech_over(self, speech: Speech) -> None:
        self.events.append(("over", speech.number, round(self.clock.now(), 3)))

    def speech_sent(self, speech: Speech) -> None:
        self.sent.append(speech.number)

    def silent(self, last: Speech, more: bool) -> None:
        self.events.append(("silent", last.number, more))


def make(clock: VirtualClock, *, lead_s: float = 0.2, frame_ms: int = 20, **line: Any) -> tuple[Playout, Line, Told]:
    wire, told = Line(clock, **line), Told(clock)
    playout = Playout(
        wire, told, pacer=Pacer(clock), clock=clock, lead_s=lead_s, frame_ms=frame_ms, seconds=lambda at: at
    )
    return playout, wire, told


def speech_of(ms: int, number: int = 1, *, complete: bool = True, fill: bytes = b"\x10") -> Speech:
    speech = Speech(number, "reply", turn=1, audio=PHONE)
    speech.begin_clause("some words here ", "some words here")
    speech.add_sound(fill * (8 * ms))
    if complete:
        speech.finish()
    return speech


def test_sound_leaves_at_once_and_no_more_than_the_lead() -> None:
    clock = VirtualClock()
    playout, line, told = make(clock)

    async def scenario() -> None:
        playout.attach(speech_of(1000))
        assert line.bytes_sent == 10 * 160  # 200 ms
        await clock.sleep(0.5)
        assert 0.68 <= line.bytes_sent / 8000 <= 0.72
        await clock.sleep(0.7)

    clock.run(scenario())
    assert line.bytes_sent == 8000
    assert told.events == [("started", 1, 0.0), ("over", 1, 1.0), ("silent", 1, False)]


def test_long_messages_follow_each_other_in_time_and_the_last_one_is_short() -> None:
    clock = VirtualClock()
    playout, line, told = make(clock, lead_s=0.4, frame_ms=250)

    async def scenario() -> None:
        playout.attach(speech_of(1130))
        await clock.sleep(1.3)

    clock.run(scenario())
    assert [len(payload) for _, payload in line.sent] == [2000, 2000, 2000, 2000, 1120]
    assert [round(at, 2) for at, _ in line.sent] == [0.0, 0.1, 0.36, 0.6, 0.86]
    assert line.sent[-1][1] == b"\x10" * 1040 + b"\xff" * 80
    assert told.events[-2:] == [("over", 1, 1.14), ("silent", 1, False)]


def test_a_voice_that_begins_with_a_short_piece_is_heard_without_a_hole() -> None:
    clock = VirtualClock()
    playout, line, _ = make(clock, lead_s=0.4, frame_ms=250)
    speech = speech_of(50, complete=False)

    async def scenario() -> None:
        playout.attach(speech)
        await clock.sleep(0.005)
        speech.add_sound(b"\x10" * 8 * 950)
        speech.finish()
        await clock.sleep(0.5)
        assert playout.stop() == [speech]

    clock.run(scenario())
    sizes = [len(payload) for _, payload in line.sent]
    assert sizes[:3] == [480, 2000, 2000]
    assert b"".join(payload for _, payload in line.sent).count(b"\xff") == 80
    assert speech.played == (505 - 10) * 8  # to the sample, in the middle of a message


def test_speeches_follow_each_other_without_a_gap() -> None:
    clock = VirtualClock()
    playout, _, told = make(clock)

    async def scenario() -> None:
        playout.attach(speech_of(400, 1))
        playout.attach(speech_of(400, 2))
        await clock.sleep(1)

    clock.run(scenario())
    assert [event for event in told.events if event[0] == "over"] == [("over", 1, 0.4), ("over", 2, 0.8)]
    assert told.events[-1] == ("silent", 2, False)


def test_a_filler_sounds_before_a_reply_that_has_nothing_yet() -> None:
    clock = VirtualClock()
    playout, line, told = make(clock)
    reply = Speech(1, "reply", turn=1, audio=PHONE)

    async def scenario() -> None:
        playout.attach(reply)
        playout.attach(speech_of(300, 2, fill=b"\x22"), ahead=True)
        await clock.sleep(0.1)
        reply.begin_clause("yes", "yes")
        reply.add_sound(b"\x33" * 1600)
        reply.finish()
        await clock.sleep(1)

    clock.run(scenario())
    sound = b"".join(payload for _, payload in line.sent)
    assert sound.find(b"\x33") == 2400  # the filler was not cut
    assert [event[:2] for event in told.events if event[0] == "started"] == [("started", 2), ("started", 1)]


def test_a_dropped_speech_makes_way_for_what_stands_behind_it() -> None:
    clock = VirtualClock()
    playout, line, told = make(clock)
    old, new = speech_of(1000, 1, complete=False), speech_of(400, 2, fill=b"\x22")

    async def scenario() -> None:
        playout.attach(old)
        playout.attach(new)
        await clock.sleep(0.5)
        assert playout.drop(old)
        assert old.played == 4000
        await clock.sleep(1)

    clock.run(scenario())
    assert line.clears == [0.5]
    assert told.events == [("started", 1, 0.0), ("started", 2, 0.5), ("over", 2, 0.9), ("silent", 2, False)]


def test_a_dropped_speech_with_nothing_behind_it_yet_leaves_silence_with_more_to_come() -> None:
    clock = VirtualClock()
    playout, _, told = make(clock)
    old, new = speech_of(1000, 1), Speech(2, "reply", turn=1, audio=PHONE)

    async def scenario() -> None:
        playout.attach(old)
        playout.attach(new)
        await clock.sleep(0.5)
        assert playout.drop(old)
        assert not playout.drop(old)
        await clock.sleep(0.5)
        new.finish()
        await clock.sleep(0.5)

    clock.run(scenario())
    assert told.events == [
        ("started", 1, 0.0),
        ("silent", 1, True),
        ("over", 2, 1.0),
        ("silent", 2, False),
    ]


def test_a_speech_that_was_heard_whole_is_over_when_it_is_dropped() -> None:
    clock = VirtualClock()
    playout, line, told = make(clock)
    speech = speech_of(400, complete=False)

    async def scenario() -> None:
        playout.attach(speech)
        await clock.sleep(0.6)
        assert not playout.drop(speech)

    clock.run(scenario())
    assert line.clears == []
    assert ("over", 1, 0.6) in told.events


def test_a_pause_takes_back_what_was_not_heard_and_resumes_there() -> None:
    clock = VirtualClock()
    playout, line, _ = make(clock)
    speech = speech_of(1000)

    async def scenario() -> None:
        playout.attach(speech)
        await clock.sleep(0.5)
        playout.pause()
        assert line.clears == [0.5]
        assert speech.played == speech.sent == 4000
        before = line.bytes_sent
        await clock.sleep(2)
        assert line.bytes_sent == before
        playout.resume()
        await clock.sleep(1)

    clock.run(scenario())
    assert speech.over
    assert line.bytes_sent - 8000 == 1600  # the 200 ms that were taken back were sent twice


def test_nothing_leaves_after_a_stop() -> None:
    clock = VirtualClock()
    playout, line, told = make(clock)
    speech = speech_of(1000, complete=False)

    async def scenario() -> None:
        playout.attach(speech)
        await clock.sleep(0.33)
        assert playout.stop() == [speech]
        sent = line.bytes_sent
        speech.add_sound(b"\x10" * 8000)
        speech.finish()
        await clock.sleep(1)
        assert line.bytes_sent == sent

    clock.run(scenario())
    assert abs(speech.played - 0.33 * 8000) <= 160
    assert ("over", 1, 1.0) not in told.events


def test_a_line_that_cannot_clear_has_heard_what_was_sent() -> None:
    clock = VirtualClock()
    playout, line, _ = make(clock, can_clear=False)
    speech = speech_of(1000)

    async def scenario() -> None:
        playout.attach(speech)
        await clock.sleep(0.5)
        playout.stop()

    clock.run(scenario())
    assert not line.clears
    assert speech.played == line.bytes_sent


def test_late_marks_move_what_was_heard_back() -> None:
    clock = VirtualClock()
    playout, line, _ = make(clock, has_marks=True)
    first, second = speech_of(200, 1), speech_of(1000, 2)

    async def scenario() -> None:
        playout.attach(first)
        await clock.sleep(0.35)  # the line plays 150 ms late
        playout.mark_played(line.marks[0])
        playout.attach(second)
        await clock.sleep(0.5)
        playout.stop()

    clock.run(scenario())
    assert abs(second.played_s - 0.35) <= 0.02


def test_an_incomplete_frame_waits_and_is_filled_up_before_the_line_runs_dry() -> None:
    clock = VirtualClock()
    playout, line, told = make(clock)
    speech = speech_of(110, complete=False)

    async def scenario() -> None:
        playout.attach(speech)
        assert line.bytes_sent == 5 * 160
        await clock.sleep(0.2)
        assert line.bytes_sent == 6 * 160
        assert told.events[-1] == ("silent", 1, True)
        speech.add_sound(b"\x10" * 160)
        speech.finish()
        await clock.sleep(0.2)

    clock.run(scenario())
    assert told.events[-1] == ("silent", 1, False)
    assert speech.over


def test_an_empty_speech_is_over_at_once() -> None:
    clock = VirtualClock()
    playout, line, told = make(clock)
    speech = Speech(1, "reply", turn=1, audio=PHONE)

    async def scenario() -> None:
        playout.attach(speech)
        speech.finish()

    clock.run(scenario())
    assert told.events == [("over", 1, 0.0), ("silent", 1, False)]
    assert not line.sent


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["sound", "wait", "pause", "resume", "stop", "new", "finish"]),
            st.integers(1, 400),
        ),
        max_size=30,
    )
)
def test_what_was_heard_never_exceeds_what_was_sent_or_made(steps: list[tuple[str, int]]) -> None:
    clock = VirtualClock()
    playout, line, _ = make(clock)
    speeches: list[Speech] = []

    async def scenario() -> None:
        stopped = False
        for step, ms in steps:
            if step == "new":
                speeches.append(speech_of(ms, len(speeches) + 1, complete=False))
                playout.attach(speeches[-1])
                stopped = False
            elif step == "wait":
                await clock.sleep(ms / 1000)
            elif step == "sound" and speeches and not speeches[-1].complete:
                speeches[-1].add_sound(b"\x10" * (8 * ms))
            elif step == "finish" and speeches:
                speeches[-1].finish()
            elif step == "pause":
                playout.pause()
            elif step == "resume":
                playout.resume()
            elif step == "stop":
                playout.stop()
                stopped = True
            sent = line.bytes_sent
            for speech in speeches:
                assert 0 <= speech.played <= speech.sent <= len(speech.sound)
            if stopped or playout.paused:
                await clock.sleep(0.05)
                assert line.bytes_sent == sent

    clock.run(scenario())


def test_sound_after_silence_is_told_again() -> None:
    clock = VirtualClock()
    playout, _, told = make(clock)
    speech = speech_of(100, complete=False)

    async def scenario() -> None:
        playout.attach(speech)
        await clock.sleep(0.5)
        speech.add_sound(b"\x10" * 800)
        speech.finish()
        await clock.sleep(0.5)

    clock.run(scenario())
    names = [event[0] for event in told.events]
    assert names == ["started", "silent", "started", "over", "silent"]
    assert [event[2] for event in told.events if event[0] == "silent"] == [True, False]


def test_a_pause_at_the_very_end_does_not_lose_the_silence() -> None:
    clock = VirtualClock()
    playout, _, told = make(clock)

    async def scenario() -> None:
        playout.attach(speech_of(90))
        await clock.sleep(0.109)  # heard, and the next beat has not come
        playout.pause()
        await clock.sleep(0.3)
        playout.resume()
        await clock.sleep(0.1)

    clock.run(scenario())
    assert told.events[-1] == ("silent", 1, False)
