"""A carrier's messages into a call, the call's audio to the carrier; with a call that only notes what it is told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from antiphon.agents.session import AgentSession
from antiphon.audio.formats import PHONE
from antiphon.calls.events import EndReason, RecordingPaused, RecordingResumed, SessionEnded, SessionError
from antiphon.calls.line import KeyLine
from antiphon.calls.log import CallLog, Entry
from antiphon.calls.recording import CallRecording
from antiphon.calls.speech import Speech
from antiphon.clock import VirtualClock
from antiphon.telemetry import Traffic
from antiphon.transports.phone import CLOSING_S, REFUSE_AFTER_S, START_TIMEOUT_S, PhoneLine
from antiphon.transports.socket import OnClose, OnMessage
from antiphon.wire.audiohook import NO_CONVERSATION
from antiphon.wire.caller import Accepted, Audio, Clear, Closed, Ending, MediaCaller, Notice, ServerMessage
from antiphon.wire.contract import Started
from antiphon.wire.table import CALLERS, CODECS

FRAME = b"\x55" * 160


@dataclass
class Socket:
    """The socket of a test: keeps what is sent."""

    dropped: int = 0
    sent: list[str | bytes] = field(default_factory=list)
    closed: list[tuple[int, str]] = field(default_factory=list)
    on_message: OnMessage | None = None
    on_close: OnClose | None = None

    def attach(self, on_message: OnMessage, on_close: OnClose) -> None:
        self.on_message, self.on_close = on_message, on_close

    def send_media(self, message: str | bytes) -> None:
        self.sent.append(message)

    def send(self, text: str) -> None:
        self.sent.append(text)

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed.append((code, reason))


class Deaf:
    """Keeps no sound."""

    def caller(self, at_s: float, payload: bytes) -> None: ...

    def agent(self, at_s: float, payload: bytes) -> None: ...

    def cut(self, at_s: float) -> None: ...


class FakeCall:
    """Notes what it is told, and ends when it is told to."""

    def __init__(self, log: CallLog) -> None:
        self.log = log
        self.recording = CallRecording(Deaf(), PHONE, log)
        self.session = AgentSession()
        self.told: list[Any] = []
        self._end: asyncio.Future[SessionEnded] = asyncio.get_running_loop().create_future()

    async def run(self) -> SessionEnded:
        return await self._end

    def finish(self, reason: EndReason) -> None:
        if not self._end.done():
            self._end.set_result(SessionEnded(reason, 1.0, 0))

    def hear(self, payload: bytes) -> None:
        self.told.append(payload)

    def mark_played(self, name: str) -> None:
        self.told.append(("mark", name))

    def line_cleared(self) -> None:
        self.told.append("cleared")

    def digit(self, digit: str) -> None:
        self.told.append(("digit", digit))

    def commit(self) -> None:
        self.told.append("commit")

    def listen_for(self, language: str) -> None:
        self.told.append(("language", language))

    def line_lost(self, reason: EndReason = "user_hangup") -> None:
        self.told.append("lost")
        self.finish(reason)


class Setting:
    """A line between a test's carrier and a test's call."""

    def __init__(
        self, clock: VirtualClock, carrier: str = "twilio", *, refuse: str | None = None, call_id: str = "CA1"
    ) -> None:
        self.socket = Socket()
        self.traffic = Traffic()
        self.carrier: MediaCaller = CALLERS[carrier]("MZ1", call_id, {"a": "b"})
        self.started: Started | None = None
        self.call: FakeCall | None = None
        self.entries: list[Entry] = []
        self._refuse = refuse
        self._clock = clock
        self.line = PhoneLine(self.socket, CODECS[carrier](), self._answer, traffic=self.traffic, clock=clock)
        self.running = asyncio.create_task(self.line.run())

    def _answer(self, started: Started, line: PhoneLine) -> Any:
        self.started = started
        if self._refuse is not None:
            return self._refuse
        log = CallLog(started.call_id, self._clock)
        log.subscribe(self.entries.append)
        self.call = FakeCall(log)
        return cast(Any, self.call), log

    def say(self, *messages: str | bytes) -> None:
        assert self.socket.on_message is not None
        for message in messages:
            self.socket.on_message(message)

    async def open(self) -> FakeCall:
        await asyncio.sleep(0)
        self.say(*self.carrier.opening())
        assert self.call is not None
        await asyncio.sleep(0)
        return self.call


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.mark.parametrize("carrier", ["twilio", "plivo"])
def test_messages_reach_the_call_before_on_message_returns(clock: VirtualClock, carrier: str) -> None:
    async def run() -> None:
        setting = Setting(clock, carrier)
        call = await setting.open()
        assert setting.started is not None
        assert (setting.started.call_id, setting.started.parameters["a"]) == ("CA1", "b")
        caller = setting.carrier
        setting.say(caller.media(FRAME), caller.mark_played("m1"), caller.dtmf("5"), caller.media(FRAME))
        assert call.told == [FRAME, ("mark", "m1"), ("digit", "5"), FRAME]
        assert setting.traffic.frames_in == 2
        call.finish("agent_hangup")
        ended = await setting.running
        assert ended is not None
        assert setting.socket.closed == [(1000, "agent_hangup")]

    clock.run(run())


def test_audio_of_the_same_breath_as_the_start_is_heard(clock: VirtualClock) -> None:
    async def run() -> None:
        setting = Setting(clock)
        await asyncio.sleep(0)
        setting.say(*setting.carrier.opening(), setting.carrier.media(FRAME))
        assert setting.call is not None
        assert setting.call.told == [FRAME]
        setting.call.finish("agent_hangup")
        await setting.running

    clock.run(run())


def test_line_sends_audio_marks_and_clears(clock: VirtualClock) -> None:
    async def run() -> None:
        setting = Setting(clock)
        call = await setting.open()
        setting.line.play(FRAME, Speech(1, "reply", turn=1, audio=PHONE))
        setting.line.mark("m1")
        setting.line.clear()
        kinds = [type(setting.carrier.receive(text)).__name__ for text in setting.socket.sent]
        assert kinds == ["Audio", "Mark", "Clear"]
        assert setting.traffic.frames_out == 1
        call.finish("agent_hangup")
        await setting.running

    clock.run(run())


@pytest.mark.parametrize(("reason", "code"), [("user_hangup", 1000), ("drained", 1001), ("error", 1011)])
def test_socket_is_closed_with_the_code_of_the_reason(clock: VirtualClock, reason: EndReason, code: int) -> None:
    async def run() -> None:
        setting = Setting(clock)
        call = await setting.open()
        call.finish(reason)
        await setting.running
        assert setting.socket.closed == [(code, reason)]

    clock.run(run())


def test_bad_frames_are_told_once_a_second(clock: VirtualClock) -> None:
    async def run() -> None:
        setting = Setting(clock)
        call = await setting.open()
        for _ in range(250):
            setting.say("{")
            await clock.sleep(0.01)
        setting.say("{")
        assert setting.traffic.frames_malformed == 251
        errors = [entry.event for entry in setting.entries]
        assert all(isinstance(error, SessionError) and error.code == "bad_frame" for error in errors)
        assert len(errors) == 3
        assert call.told == []
        call.finish("agent_hangup")
        await setting.running

    clock.run(run())


def test_socket_without_a_start_is_closed_in_time(clock: VirtualClock) -> None:
    async def run() -> None:
        setting = Setting(clock)
        await asyncio.sleep(0)
        setting.say("{", setting.carrier.media(FRAME), setting.carrier.opening()[0])
        assert await setting.running is None
        assert setting.socket.closed == [(1008, "no start")]
        assert clock.now() == pytest.approx(START_TIMEOUT_S)
        setting.say(*setting.carrier.opening())
        assert setting.call is None

    clock.run(run())


@pytest.mark.parametrize(("reason", "code"), [("not authorized", 1008), ("full", 1013)])
def test_refused_stream_is_closed_and_not_called(clock: VirtualClock, reason: str, code: int) -> None:
    async def run() -> None:
        setting = Setting(clock, refuse=reason)
        await asyncio.sleep(0)
        setting.say(*setting.carrier.opening(), setting.carrier.media(FRAME), setting.carrier.dtmf("1"))
        assert await setting.running is None
        assert setting.socket.closed == [(code, reason)]

    clock.run(run())


@pytest.mark.parametrize("when", ["before the start", "in the call", "after the stop", "after the end"])
def test_socket_that_dies_ends_the_call_once(clock: VirtualClock, when: str) -> None:
    async def run() -> None:
        setting = Setting(clock)
        if when == "before the start":
            await asyncio.sleep(0)
        else:
            call = await setting.open()
            if when == "after the stop":
                setting.say(setting.carrier.closing())
            if when == "after the end":
                call.finish("agent_hangup")
                await setting.running
        assert setting.socket.on_close is not None
        setting.socket.on_close()
        ended = await setting.running
        if when == "before the start":
            assert ended is None
            return
        assert ended is not None
        assert ended.reason == ("agent_hangup" if when == "after the end" else "user_hangup")
        told = list(call.told)
        setting.say(setting.carrier.media(FRAME), setting.carrier.mark_played("late"))
        setting.socket.on_close()
        assert call.told == told
        assert told.count("lost") == {"after the end": 0, "in the call": 1, "after the stop": 2}[when]

    clock.run(run())


def answers(setting: Setting) -> list[ServerMessage]:
    """What the server has sent since the last time, as the carrier reads it."""
    sent, setting.socket.sent = setting.socket.sent, []
    return [setting.carrier.receive(message) for message in sent]


def test_a_carrier_without_marks_may_commit_the_turn(clock: VirtualClock) -> None:
    async def run() -> None:
        setting = Setting(clock, "acs")
        call = await setting.open()
        assert (setting.line.has_marks, setting.line.frame_ms) == (False, None)
        assert setting.line.audio == setting.carrier.audio
        setting.say('{"kind":"StopAudio"}', setting.carrier.dtmf("5"))
        assert call.told == ["commit", ("digit", "5")]
        setting.line.mark("m1")
        setting.line.play(b"\1\0" * 320, Speech(1, "reply", turn=1, audio=setting.line.audio))
        setting.line.clear()
        assert answers(setting) == [Audio(b"\1\0" * 320, setting.line.audio), Clear()]
        call.finish("agent_hangup")
        await setting.running
        assert setting.socket.closed == [(1000, "agent_hangup")]

    clock.run(run())


def test_a_protocol_that_answers_is_answered_in_order(clock: VirtualClock) -> None:
    async def run() -> None:
        setting = Setting(clock, "audiohook")
        call = await setting.open()
        assert answers(setting) == [Accepted()]
        carrier: Any = setting.carrier
        setting.say(carrier.media(FRAME), carrier.control("ping"), carrier.control("update", language="es"))
        setting.line.play(FRAME, Speech(1, "reply", turn=1, audio=PHONE))
        setting.line.clear()
        assert answers(setting) == [Notice("pong"), Notice("updated"), Audio(FRAME), Clear()]
        setting.say(carrier.control("error", code=429, message="Too many messages"), carrier.dtmf("#"))
        assert call.told == [FRAME, ("language", "es"), ("digit", "#")]
        assert [entry.event for entry in setting.entries] == [SessionError("carrier_fault", "429: Too many messages")]

        call.session.state.update(order="A7", count=2, basket={"left": "out"})
        call.finish("agent_hangup")
        await asyncio.sleep(0.1)
        assert answers(setting) == [Ending("completed", {"order": "A7", "count": "2"})]
        setting.line.play(FRAME, Speech(1, "reply", turn=1, audio=PHONE))
        setting.line.clear()
        assert setting.socket.sent == []  # It is over, whatever still comes.
        setting.say(carrier.closing())
        assert answers(setting) == [Closed()]
        assert not setting.running.done()
        assert setting.socket.on_close is not None
        setting.socket.on_close()
        ended = await setting.running
        assert ended is not None
        assert clock.now() < 1

    clock.run(run())


def test_what_a_carrier_pauses_is_not_recorded_meanwhile(clock: VirtualClock) -> None:
    async def run() -> None:
        setting = Setting(clock, "audiohook")
        call = await setting.open()
        carrier: Any = setting.carrier
        setting.say(carrier.control("paused"), carrier.control("resumed", start="PT1S", discarded="PT0.5S"))
        assert [entry.event for entry in setting.entries] == [RecordingPaused("carrier"), RecordingResumed("carrier")]
        setting.line.play_background(FRAME)
        assert answers(setting) == [Accepted(), Audio(FRAME)]
        call.finish("user_hangup")
        await asyncio.sleep(0.1)
        setting.say(carrier.closing())
        assert setting.socket.on_close is not None
        setting.socket.on_close()
        await setting.running

    clock.run(run())


def test_a_carrier_that_does_not_close_is_closed(clock: VirtualClock) -> None:
    async def run() -> None:
        setting = Setting(clock, "audiohook")
        call = await setting.open()
        call.finish("drained")
        await setting.running
        assert clock.now() == pytest.approx(CLOSING_S)
        assert setting.socket.closed == [(1001, "drained")]

    clock.run(run())


@pytest.mark.parametrize("noise", ["42", "[1]", "{", "x" * 70_000])
def test_a_fatal_fault_ends_the_call_in_the_protocols_words(clock: VirtualClock, noise: str) -> None:
    async def run() -> None:
        setting = Setting(clock, "audiohook")
        call = await setting.open()
        answers(setting)
        setting.say(noise)
        assert call.told == ["lost"]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert answers(setting) == [Ending("error")]
        setting.say(noise, setting.carrier.closing() or "")
        assert answers(setting) == [Closed()]
        ended = await setting.running
        assert ended is not None
        assert ended.reason == "error"
        assert setting.traffic.frames_malformed == 2

    clock.run(run())


def test_a_stream_is_refused_in_the_protocols_words_and_not_at_once(clock: VirtualClock) -> None:
    async def run() -> None:
        setting = Setting(clock, "audiohook", refuse="not authorized")
        await asyncio.sleep(0)
        setting.say(*setting.carrier.opening())
        await clock.sleep(REFUSE_AFTER_S - 0.01)
        assert setting.socket.sent == []
        await clock.sleep(0.02)
        assert answers(setting) == [Ending("unauthorized")]
        setting.say(setting.carrier.closing() or "")
        assert await setting.running is None
        assert setting.call is None

    clock.run(run())


def test_a_connection_check_is_no_call(clock: VirtualClock) -> None:
    async def run() -> None:
        setting = Setting(clock, "audiohook", call_id=NO_CONVERSATION)
        await asyncio.sleep(0)
        setting.say(*setting.carrier.opening())
        assert answers(setting) == [Accepted()]
        setting.say(setting.carrier.closing() or "")
        assert answers(setting) == [Closed()]
        assert setting.socket.on_close is not None
        setting.socket.on_close()
        assert await setting.running is None
        assert setting.call is None
        assert clock.now() == 0

    clock.run(run())


@pytest.mark.parametrize("carrier", sorted(CODECS))
def test_keys_are_pressed_by_the_carrier_that_has_a_command_for_that(clock: VirtualClock, carrier: str) -> None:
    async def run() -> None:
        setting = Setting(clock, carrier)
        assert not setting.line.send_keys("1")  # the stream has not started
        call = await setting.open()
        setting.socket.sent.clear()
        assert isinstance(setting.line, KeyLine)
        assert setting.line.send_keys("12#") is (carrier == "plivo")
        assert not setting.line.send_keys("1w2")  # no carrier's command knows pauses: tones do
        assert setting.socket.sent == (['{"event":"sendDTMF","dtmf":"12#"}'] if carrier == "plivo" else [])
        call.finish("user_hangup")
        setting.running.cancel()  # one of the carriers would close the socket itself

    clock.run(run())
