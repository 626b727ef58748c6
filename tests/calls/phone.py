"""A telephone without a network: a line that plays, a caller that speaks by script, and the call between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from antiphon.agents.agent import Agent
from antiphon.audio.convert import from_pcm
from antiphon.audio.formats import PHONE, AudioFormat
from antiphon.audio.tones import sine
from antiphon.calls.call import Call
from antiphon.calls.caller import Caller
from antiphon.calls.events import SessionEnded
from antiphon.calls.line import AudioTap
from antiphon.calls.log import CallLog, Entry
from antiphon.calls.pacer import Pacer
from antiphon.calls.policy import CallPolicy
from antiphon.calls.speech import Speech
from antiphon.calls.transferring import CarrierControl
from antiphon.calls.voice import Phrases
from antiphon.calls.watcher import ReplyWatcher
from antiphon.clock import VirtualClock
from antiphon.models.llm.contract import ChatClient
from antiphon.models.llm.scripted import ScriptedChatClient
from antiphon.models.stt.contract import STT
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.contract import TTS
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.models.turn.contract import TurnModel
from antiphon.models.vad.contract import VAD
from antiphon.models.vad.energy import EnergyVAD

SPEECH = from_pcm(sine(220, 20, rate_hz=8000, amplitude=0.3), PHONE)
SILENCE = b"\xff" * 160


@dataclass
class Parts:
    """The models of a test call."""

    stt: STT
    llm: ChatClient
    tts: TTS
    vad: VAD
    turn: TurnModel | None = None

    def names(self) -> dict[str, str]:
        return {"stt": self.stt.name, "llm": self.llm.name, "tts": self.tts.name, "vad": self.vad.name}


@dataclass
class Phone:
    """The carrier's end of the line: keeps what is sent, plays it in time, drops it on clear."""

    clock: VirtualClock
    audio: AudioFormat = PHONE
    has_marks: bool = True
    can_clear: bool = True
    can_pause: bool = True
    delay_s: float = 0.0
    """How much later than sent a silent line begins to play."""
    frames: list[tuple[float, bytes]] = field(default_factory=list)
    """When each frame was sent, and the frame."""
    clears: list[float] = field(default_factory=list)
    hung_up: str | None = None
    hung_up_at: float | None = None
    frames_after_end: int = 0
    call: Call | None = None
    _play_until: float = 0.0
    _heard: list[tuple[float, float, bytes]] = field(default_factory=list)

    def play(self, payload: bytes, speech: Speech) -> None:
        self.frames.append((self.clock.now(), payload))
        self.play_background(payload)

    def play_background(self, payload: bytes) -> None:
        self.frames_after_end += self.hung_up is not None
        now = self.clock.now()
        start = self._play_until if self._play_until > now else now + self.delay_s
        self._play_until = start + self.audio.seconds(len(payload))
        self._heard.append((start, self._play_until, payload))

    def mark(self, name: str) -> None:
        assert self.call is not None
        self.clock.call_at(self._play_until, self.call.mark_played, name)

    def clear(self) -> None:
        now = self.clock.now()
        self.clears.append(now)
        self._play_until = now
        size = self.audio.sample_bytes
        self._heard = [
            (start, min(end, now), payload[: round((min(end, now) - start) * self.audio.rate_hz) * size])
            for start, end, payload in self._heard
            if start < now
        ]

    def hang_up(self, reason: str) -> None:
        if self.hung_up is None:
            self.hung_up = reason
            self.hung_up_at = self.clock.now()

    @property
    def heard_s(self) -> float:
        """Seconds of sound that the caller has heard or will hear."""
        return sum(end - start for start, end, _ in self._heard)

    @property
    def sound(self) -> bytes:
        """All sound that the caller has heard or will hear, without the silence between."""
        return b"".join(payload for _, _, payload in self._heard)

    def longest_silence(self, start: float, end: float) -> float:
        """The longest stretch between two times in which nothing was heard."""
        longest, at = 0.0, start
        for begun, over, _ in self._heard:
            if over <= start or begun >= end:
                continue
            longest = max(longest, begun - at)
            at = max(at, over)
        return max(longest, end - at)


@dataclass
class CallUnderTest:
    """A call with its phone and everything that it told."""

    call: Call
    phone: Phone
    clock: VirtualClock
    entries: list[Entry]
    models: Any
    ended: SessionEnded | None = None
    loop_errors: list[dict[str, Any]] = field(default_factory=list)
    """What was raised where nobody could catch it: in timers and lost tasks."""

    async def run(self) -> None:
        """Be the call."""
        self.ended = await self.call.run()

    async def speak(self, seconds: float) -> None:
        """The caller speaks."""
        await self._frames(SPEECH, seconds)

    async def quiet(self, seconds: float) -> None:
        """The caller is silent."""
        await self._frames(SILENCE, seconds)

    async def tone(self, hz: float, seconds: float) -> None:
        """The caller's end of the line sounds a tone."""
        sound = from_pcm(sine(hz, seconds * 1000), PHONE)
        for start in range(0, len(sound), len(SILENCE)):
            await self._frames(sound[start : start + len(SILENCE)], 0.02)

    async def _frames(self, frame: bytes, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            await self.clock.sleep(0.02)
            if self.ended is None:
                self.call.hear(frame)

    def events(self, *kinds: type) -> list[Any]:
        """The events of these kinds, or all."""
        return [entry.event for entry in self.entries if not kinds or isinstance(entry.event, kinds)]

    def at(self, kind: type, index: int = 0) -> float:
        """When the n-th event of a kind happened."""
        return [entry.at for entry in self.entries if isinstance(entry.event, kind)][index]

    def names(self) -> list[str]:
        """The types of all events, without turn-taking's own."""
        return [event.type for event in self.events() if event.type != "floor.decision"]


def make_call(
    clock: VirtualClock,
    *,
    agent: Agent | None = None,
    stt: STT | Sequence[str] = (),
    llm: ChatClient | Sequence[Any] = (),
    tts: TTS | None = None,
    vad: VAD | None = None,
    turn: TurnModel | None = None,
    policy: CallPolicy | None = None,
    pacer: Pacer | None = None,
    name: str = "call-1",
    parameters: Mapping[str, str] | None = None,
    phone: Phone | None = None,
    tap: AudioTap | None = None,
    team: Sequence[Agent] = (),
    client_for: Callable[[Agent], ChatClient] | None = None,
    watcher: ReplyWatcher | None = None,
    control: CarrierControl | None = None,
    phrases: Phrases | None = None,
    called: str = "",
    **line: Any,
) -> CallUnderTest:
    """A call that does not run yet."""
    models = Parts(
        stt=ScriptedSTT(list(stt), clock=clock) if isinstance(stt, Sequence) else stt,
        llm=ScriptedChatClient(list(llm), clock=clock) if isinstance(llm, Sequence) else llm,
        tts=tts or ScriptedTTS(clock=clock),
        vad=vad or EnergyVAD(),
        turn=turn,
    )
    phone = phone or Phone(clock, **line)
    log = CallLog(name, clock)
    entries: list[Entry] = []
    log.subscribe(entries.append)
    call = Call(
        agent or Agent("tester", "Answer."),
        phone,
        models,
        pacer=pacer or Pacer(clock),
        clock=clock,
        policy=policy or CallPolicy(),
        log=log,
        caller=Caller(f"session of {name}", name, "test", parameters or {}, called=called),
        tap=tap,
        team=team,
        client_for=client_for,
        watcher=watcher,
        control=control,
        phrases=phrases,
    )
    phone.call = call
    return CallUnderTest(call, phone, clock, entries, models)


@asynccontextmanager
async def calling(clock: VirtualClock, *, hang_up: bool = True, **parts: Any) -> AsyncIterator[CallUnderTest]:
    """A running call in virtual time; at the end the caller hangs up and the call is awaited.

    Args:
        clock: Time.
        hang_up: Whether the caller does; else the call must end by itself.
        parts: As for ``make_call``.
    """
    under_test = make_call(clock, **parts)
    asyncio.get_running_loop().set_exception_handler(lambda _, context: under_test.loop_errors.append(context))
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(under_test.run())
        await asyncio.sleep(0)
        yield under_test
        if hang_up:
            under_test.call.line_lost()
        async with asyncio.timeout(120):
            await task
