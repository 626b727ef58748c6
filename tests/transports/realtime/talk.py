"""A Realtime client without a network: it writes frames, keeps what comes back, and lets virtual time pass."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import wraps
from inspect import Signature, signature
from typing import Any

from antiphon.agents.agent import Agent
from antiphon.audio.tones import sine
from antiphon.calls.call import Call
from antiphon.calls.caller import Caller
from antiphon.calls.events import CallEvent, SessionEnded, SessionError
from antiphon.calls.log import CallLog
from antiphon.calls.pacer import Pacer
from antiphon.calls.policy import CallPolicy
from antiphon.clock import VirtualClock
from antiphon.models.llm.contract import ChatClient
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import ScriptedChatClient
from antiphon.models.stt.contract import STT
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.contract import TTS
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.models.turn.contract import TurnModel
from antiphon.models.vad.contract import VAD
from antiphon.models.vad.energy import EnergyVAD
from antiphon.telemetry import Traffic
from antiphon.transports.realtime.line import RealtimeLine
from antiphon.transports.realtime.session import RealtimeSession, SessionLimits
from antiphon.transports.realtime.socket import SocketChannel
from antiphon.transports.socket import OnClose, OnMessage, SocketLimits
from antiphon.wire.realtime.codec import RealtimeCodec
from antiphon.wire.realtime.session import SessionConfig, merged
from tests.transports.realtime.order import Order

Scenario = Callable[..., Coroutine[Any, Any, None]]

PIECE_S = 0.1
SPEECH = sine(220, 100, rate_hz=24_000, amplitude=0.3).tobytes()
SILENCE = bytes(4_800)
SAY = "Hello there."


def virtually(scenario: Scenario) -> Callable[..., None]:
    """Make a test of a scenario that gets a virtual clock as its first argument."""

    @wraps(scenario)
    def test(**given: Any) -> None:
        clock = VirtualClock()
        clock.run(scenario(clock, **given))

    parameters = list(signature(scenario).parameters.values())[1:]
    test.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return test


@dataclass
class Models:
    """What a session hears, thinks and speaks with."""

    stt: STT
    llm: ChatClient
    tts: TTS
    vad: VAD = field(default_factory=EnergyVAD)
    turn: TurnModel | None = None

    def names(self) -> dict[str, str]:
        return {"stt": self.stt.name, "llm": self.llm.name, "tts": self.tts.name, "vad": self.vad.name}


@dataclass
class Told:
    """A server event and when it came."""

    at: float
    event: dict[str, Any]


class Socket:
    """Keeps what the session sends."""

    dropped = 0

    def __init__(self, take: Callable[[str], None]) -> None:
        self.closed: list[tuple[int, str]] = []
        self.on_message: OnMessage | None = None
        self._take = take

    def attach(self, on_message: OnMessage, on_close: OnClose, limits: SocketLimits | None = None) -> None:
        self.on_message = on_message

    def send(self, text: str) -> None:
        assert not self.closed, "an event was sent behind the close"
        self._take(text)

    def send_media(self, message: str | bytes) -> None:
        raise AssertionError("a Realtime session drops nothing")

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed.append((code, reason))


class PlayedChannel(SocketChannel):
    """Carries no sound: the server plays it."""

    takes_audio = False


class Speaker:
    """Plays what it is given, in no time."""

    def play(self, payload: bytes) -> None:
        """It was heard."""

    def clear(self) -> None:
        """There is nothing to forget."""


class Client:
    """One client and the session that it talks to; every event of either side passes the ``Order``.

    Attributes:
        told: The server's events.
        both: The events of both sides, in order.
        order: Watches both sides.
        session: The other end.
    """

    def __init__(self, clock: VirtualClock, *, checks: bool = True) -> None:
        self.clock = clock
        self.told: list[Told] = []
        self.both: list[tuple[str, dict[str, Any], float]] = []
        self.order = Order()
        self.socket = Socket(self._take)
        self.session: RealtimeSession
        self.call: Call
        self.models: Models
        self.ended: SessionEnded | None = None
        self.loop_errors: list[dict[str, Any]] = []
        self.bugs: list[str] = []
        self.disorder: AssertionError | None = None
        self._count = 0
        self._checks = checks

    def note(self, event: CallEvent) -> None:
        """Keep what went wrong inside of the call."""
        if isinstance(event, SessionError) and event.code == "internal":
            self.bugs.append(event.message)

    def _take(self, text: str) -> None:
        event = json.loads(text)
        self.told.append(Told(self.clock.now(), event))
        self.both.append(("told", event, self.clock.now()))
        if self.disorder is not None or not self._checks:
            return
        try:
            self.order.told(event, self.clock.now())
        except AssertionError as error:  # raised here it would be the session's, which catches what its tasks raise
            error.add_note(f"{len(self.told)}th event at {self.clock.now():.3f}: {text[:300]}")
            self.disorder = error

    def check(self) -> None:
        """Nothing was out of order, and nothing is left to do."""
        if self.disorder is not None:
            raise self.disorder
        self.order.closed()

    # What the client does.

    def send(self, type_: str, **fields: Any) -> str:
        """Send an event; gives its id."""
        self._count += 1
        event = {"type": type_, "event_id": f"client_{self._count}", **fields}
        self.both.append(("asked", event, self.clock.now()))
        if self._checks:
            self.order.asked(event, self.clock.now())
        self.send_text(json.dumps(event))
        return str(event["event_id"])

    def send_text(self, text: str) -> None:
        """Send a frame as it is."""
        assert self.socket.on_message is not None
        self.socket.on_message(text)

    def update(self, **session: Any) -> None:
        """Change the session."""
        self.send("session.update", session={"type": self.session.config.kind, **session})

    def listen_by(self, detection: dict[str, Any] | None, **more: Any) -> None:
        """Set the turn detection, and ask for transcripts."""
        self.update(audio={"input": {"turn_detection": detection, "transcription": {"model": "any"}, **more}})

    def write(self, text: str, item_id: str = "", **fields: Any) -> None:
        """Add what the user has typed."""
        item: dict[str, Any] = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        self.send("conversation.item.create", item={"id": item_id, **item} if item_id else item, **fields)

    def ask(self, **response: Any) -> str:
        """Ask for a response, whose metadata tell that it is for this."""
        metadata = {**response.pop("metadata", {}), "asked": f"client_{self._count + 1}"}
        return self.send("response.create", response={**response, "metadata": metadata})

    def append(self, audio: bytes) -> None:
        """Send sound, whatever time it takes."""
        self.send("input_audio_buffer.append", audio=b64encode(audio).decode())

    async def speak(self, seconds: float, piece: bytes = SPEECH) -> None:
        """Make sound as long as it lasts."""
        for _ in range(round(seconds / PIECE_S)):
            await self.clock.sleep(PIECE_S)
            if self.ended is None and not self.socket.closed:
                self.append(piece)

    async def quiet(self, seconds: float) -> None:
        """Say nothing."""
        await self.speak(seconds, SILENCE)

    async def wait(self, seconds: float = 0.0) -> None:
        """Send nothing."""
        await self.clock.sleep(seconds)

    async def until(self, type_: str, count: int = 1) -> dict[str, Any]:
        """Wait for the n-th event of a type."""
        async with asyncio.timeout(120):
            while len(self.events(type_)) < count:
                await self.clock.sleep(0.01)
        return self.events(type_)[count - 1]

    async def turn(self, seconds: float = 0.6, then: float = 1.0) -> None:
        """Speak, and be silent long enough for the turn to end."""
        await self.speak(seconds)
        await self.quiet(then)

    # What the server did.

    @property
    def types(self) -> list[str]:
        """The types of its events, without the sound and words of answers."""
        return [told.event["type"] for told in self.told if not told.event["type"].endswith(".delta")]

    def events(self, type_: str) -> list[dict[str, Any]]:
        """Its events of a type."""
        return [told.event for told in self.told if told.event["type"] == type_]

    def times(self, type_: str) -> list[float]:
        """When they came."""
        return [told.at for told in self.told if told.event["type"] == type_]

    def only(self, type_: str) -> dict[str, Any]:
        """Its one event of a type."""
        (event,) = self.events(type_)
        return event

    @property
    def errors(self) -> list[tuple[str, str | None, str | None]]:
        """Code, parameter and client event of each refusal."""
        return [(e["error"]["code"], e["error"]["param"], e["error"]["event_id"]) for e in self.events("error")]

    def statuses(self) -> list[tuple[str, str | None]]:
        """Status and reason of each response that is done."""
        done = [event["response"] for event in self.events("response.done")]
        return [(each["status"], (each["status_details"] or {}).get("reason")) for each in done]

    def sound(self, item_id: str | None = None) -> bytes:
        """The sound of the answers, or of one item."""
        deltas = self.events("response.output_audio.delta")
        return b"".join(b64decode(e["delta"]) for e in deltas if item_id in (None, e["item_id"]))

    def prompt(self, index: int = -1) -> list[tuple[str, str]]:
        """What the model was asked, without the instructions: role and text."""
        llm = self.models.llm
        assert isinstance(llm, ScriptedChatClient)
        return [(m.role, _text(m)) for m in llm.requests[index].messages if m.role != "system"]


def _text(message: Message) -> str:
    if message.result is not None:
        return message.result.text
    calls = (f"{call.name}({call.arguments})" for call in message.calls)
    return " ".join(text for text in (message.text.strip(), *calls) if text)


@asynccontextmanager
async def talking(
    clock: VirtualClock,
    *,
    agent: Agent | None = None,
    stt: STT | Sequence[str] = (SAY,),
    llm: Any = None,
    tts: TTS | None = None,
    vad: VAD | None = None,
    given: dict[str, Any] | None = None,
    kind: Any = "realtime",
    policy: CallPolicy | None = None,
    limits: SessionLimits | None = None,
    team: Sequence[Agent] = (),
    greets: bool = False,
    tells_log: bool = False,
    checks: bool = True,
    hangs_up: bool = True,
    is_played: bool = False,
) -> AsyncIterator[Client]:
    """A session in virtual time; at the end the client goes away.

    Args:
        clock: Time.
        agent: Who answers.
        stt: The recogniser, or the words of each utterance.
        llm: The model, or its script.
        tts: The voice.
        vad: The detector.
        given: Of the configuration, what the connection brings.
        kind: Of session.
        policy: The server's manners.
        limits: What the session may take.
        team: Further agents.
        greets: Whether the agent speaks first.
        tells_log: Whether the client gets the call's log.
        checks: Whether the order of events is checked.
        hangs_up: Whether the client goes away; else the session must end by itself.
        is_played: Whether the server plays the answers itself, as on a WebRTC call.
    """
    agent = agent or Agent("desk", "Help.")
    script = llm if llm is not None else (lambda _messages, _options: "Good morning to you.")
    client = Client(clock, checks=checks)
    client.models = models = Models(
        stt=ScriptedSTT(list(stt), delay_s=0.05, clock=clock) if isinstance(stt, Sequence) else stt,
        llm=ScriptedChatClient(script, clock=clock) if callable(script) or isinstance(script, list) else script,
        tts=tts or ScriptedTTS(clock=clock, rate_hz=24_000),
        vad=vad or EnergyVAD(),
    )
    voice = agent.voice or models.tts.name
    base = SessionConfig(
        kind=kind,
        model=agent.name,
        instructions=agent.instructions if isinstance(agent.instructions, str) else "",
        default_instructions=agent.instructions if isinstance(agent.instructions, str) else "",
        voice=voice,
        default_voice=voice,
    )
    make_channel = PlayedChannel if is_played else SocketChannel
    channel = make_channel(client.socket, RealtimeCodec("ga"), traffic=Traffic(), limits=SocketLimits())
    client.session = session = RealtimeSession(
        channel,
        agent,
        models,
        client_for=lambda _: models.llm,
        config=merged(base, given or {})[0],
        policy=policy or CallPolicy(),
        limits=limits or SessionLimits(),
        clock=clock,
        greets=greets,
        tells_log=tells_log,
        player=Speaker() if is_played else None,
    )

    def open_call(realtime: RealtimeSession, line: RealtimeLine, manners: CallPolicy) -> tuple[Call, CallLog]:
        log = CallLog(realtime.id, clock)
        log.subscribe(lambda entry: client.note(entry.event))
        client.call = Call(
            agent,
            line,
            models,
            pacer=Pacer(clock),
            clock=clock,
            policy=manners,
            log=log,
            caller=Caller(realtime.id, realtime.id, "realtime", {}),
            team=(agent, *team),
            history=realtime.conversation,
            watcher=realtime.responses,
            greets=realtime.greets,
        )
        return client.call, log

    async def run() -> None:
        client.ended = await session.run(open_call, lambda: channel.attach(session))

    asyncio.get_running_loop().set_exception_handler(lambda _, context: client.loop_errors.append(context))
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(run())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        yield client
        if hangs_up:
            session.lost()
        async with asyncio.timeout(120):
            await task
    if client.disorder is not None:
        raise client.disorder
    assert not client.loop_errors, client.loop_errors
    assert not client.bugs, client.bugs
    left = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
    assert not left, [each.get_name() for each in left]
