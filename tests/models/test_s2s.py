"""Speech to speech: one contract, by a Realtime service over a real socket and by the script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from antiphon.audio.convert import from_pcm
from antiphon.audio.formats import PHONE
from antiphon.audio.tones import sine
from antiphon.clock import VirtualClock
from antiphon.errors import ConfigurationError, IntegrationInvalidAuthException, IntegrationUnavailableException
from antiphon.models.pool import PoolLimits
from antiphon.models.s2s.connect import speech_model
from antiphon.models.s2s.contract import (
    S2S,
    AnswerAudio,
    AnswerAudioDone,
    AnswerDone,
    AnswerText,
    Brief,
    Failed,
    FunctionCalled,
    FunctionTool,
    Ready,
    S2SEvent,
    S2SSession,
    Said,
    SpeechStarted,
    SpeechStopped,
    UserTranscript,
)
from antiphon.models.s2s.realtime import MAX_ORDERS, TRANSCRIBE_MODEL, RealtimeS2S, RealtimeSession
from antiphon.models.s2s.scripted import Calls, S2SFault, ScriptedS2S
from antiphon.realtime.reconnect import Backoff
from antiphon.settings import Settings
from tests.realtime.server import Connection, greets, in_virtual_time, service

E = TypeVar("E")

CLOCK = FunctionTool("clock", "The time.", {"type": "object", "properties": {}})
BRIEF = Brief("You answer the phone.", (CLOCK,), voice="marin", language="en-GB")
ONCE = Backoff(first_tries=1)
TONE = sine(440, 20, rate_hz=8_000)
SILENCE = np.zeros(160, np.int16)


class Told:
    """What a session told."""

    def __init__(self) -> None:
        self.events: list[S2SEvent] = []
        self._came = asyncio.Event()

    def __call__(self, event: S2SEvent) -> None:
        self.events.append(event)
        self._came.set()

    async def until(self, kind: type[E], number: int = 1) -> E:
        """Wait for the n-th event of a kind."""
        while len(self.of(kind)) < number:
            self._came.clear()
            await self._came.wait()
        return self.of(kind)[number - 1]

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def sound(self) -> NDArray[np.int16]:
        return np.concatenate([event.pcm for event in self.of(AnswerAudio)])


@asynccontextmanager
async def call(
    clock: VirtualClock | None = None,
    *,
    rate_hz: int = 8_000,
    scripts: tuple[Any, ...] = (greets,),
    history: Sequence[Said] = (),
    transcribe: str = TRANSCRIBE_MODEL,
) -> AsyncIterator[tuple[RealtimeSession, Connection, Told]]:
    """A call with a Realtime service of this test, ready."""
    told = Told()
    async with asyncio.timeout(30), service(*scripts) as there:
        model = RealtimeS2S(there.endpoint(), transcribe=transcribe, clock=clock)
        session = model.open(BRIEF, rate_hz, told, history=history)
        try:
            await told.until(Ready)
            yield session, there.connections[0], told
        finally:
            await session.aclose()


def test_both_fulfil_the_contract() -> None:
    scripted: S2S = ScriptedS2S()
    opens: Callable[..., S2SSession] = scripted.open
    assert callable(opens)
    assert scripted.name == "scripted"


async def test_brief_becomes_the_session_and_the_phones_sound_crosses_unchanged() -> None:
    async with call() as (session, connection, _told):
        [update] = connection.of("session.update")
        assert update["session"] == {
            "type": "realtime",
            "output_modalities": ["audio"],
            "instructions": "You answer the phone.",
            "tools": [
                {
                    "type": "function",
                    "name": "clock",
                    "description": "The time.",
                    "parameters": {"type": "object", "properties": {}},
                }
            ],
            "audio": {
                "input": {
                    "format": {"type": "audio/pcmu"},
                    "turn_detection": {"type": "server_vad", "create_response": True, "interrupt_response": True},
                    "transcription": {"model": "gpt-realtime-whisper", "language": "en"},
                },
                "output": {"format": {"type": "audio/pcmu"}, "voice": "marin"},
            },
        }
        for _ in range(5):
            session.feed(TONE)
        await connection.until("input_audio_buffer.append", 5)
        assert connection.sound() == from_pcm(TONE, PHONE) * 5


async def test_what_the_brief_says_of_silence_goes_to_a_service_that_finds_turns_by_it() -> None:
    brief = replace(BRIEF, detection={"silence_duration_ms": 900, "threshold": 0.4})
    by_meaning = {"type": "semantic_vad", "eagerness": "low"}
    for detection, expected in ((None, {"type": "server_vad", **brief.detection}), (by_meaning, by_meaning)):
        async with asyncio.timeout(30), service(greets) as there:
            session = RealtimeS2S(there.endpoint(), turn_detection=detection).open(brief, 8_000, Told())
            connection = await there.connection(1)
            update = await connection.until("session.update")
            heard = update["session"]["audio"]["input"]["turn_detection"]
            assert heard == {"create_response": True, "interrupt_response": True, **expected}
            session.rebrief(replace(brief, detection={"silence_duration_ms": 300}))
            update = await connection.until("session.update", 2)
            changed = update["session"].get("audio", {}).get("input", {}).get("turn_detection", {})
            assert changed.get("silence_duration_ms") == (300 if detection is None else None)
            await session.aclose()


async def test_a_turn_is_told_in_order() -> None:
    async with call() as (session, connection, told):
        await connection.hears("u1", "Hello.")
        await connection.begins("r1", "a1")
        await connection.says("r1", "a1", "Good day.", from_pcm(TONE, PHONE))
        await connection.says("r1", "a1", "", from_pcm(TONE, PHONE))
        await connection.send("response.output_audio.done", response_id="r1", item_id="a1")
        await connection.ends("r1", usage={"input_tokens": 30, "output_tokens": 20})
        await told.until(AnswerDone)
        assert told.kinds() == [
            *["Ready", "SpeechStarted", "SpeechStopped", "UserTranscript"],
            *["AnswerText", "AnswerAudio", "AnswerAudio", "AnswerAudioDone", "AnswerDone"],
        ]
        assert told.of(UserTranscript) == [UserTranscript("u1", "Hello.", is_final=True)]
        assert told.of(AnswerText) == [AnswerText("a1", "Good day.")]
        assert told.of(AnswerDone) == [AnswerDone("completed", "", 30, 20)]
        once = PHONE.frame_bytes(20)
        assert len(told.sound()) == 2 * once
        assert np.array_equal(told.sound()[:once], told.sound()[once:])
        assert session.client.conversation.turns[-1].text == "Good day."


async def test_words_of_the_caller_grow() -> None:
    async with call() as (_session, connection, told):
        for delta in ("Good", " day"):
            kind = "conversation.item.input_audio_transcription.delta"
            await connection.send(kind, item_id="u1", content_index=0, delta=delta)
        await connection.hears("u1", "Good day.")
        await told.until(UserTranscript, 3)
        assert [event.text for event in told.of(UserTranscript)] == ["Good", "Good day", "Good day."]


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 48_000])
async def test_sound_has_the_calls_rate_both_ways_and_its_length(rate_hz: int) -> None:
    async with call(rate_hz=rate_hz) as (session, connection, told):
        tone = sine(440, 1_000, rate_hz=rate_hz)
        for start in range(0, len(tone), rate_hz // 50):
            session.feed(tone[start : start + rate_hz // 50])
        wire_hz, width = (8_000, 1) if rate_hz == 8_000 else (24_000, 2)
        session.write("All is sent.")
        await connection.until("conversation.item.create")
        assert len(connection.sound()) / width / wire_hz == pytest.approx(1.0, abs=0.04)
        answer = sine(440, 1_000, rate_hz=wire_hz)
        sound = from_pcm(answer, PHONE) if width == 1 else answer.tobytes()
        await connection.begins("r1", "a1")
        for start in range(0, len(sound), 4_801):  # Half a sample at the end of a piece is no loss.
            await connection.says("r1", "a1", "", sound[start : start + 4_801])
        await connection.send("response.output_audio.done", response_id="r1", item_id="a1")
        await told.until(AnswerAudioDone)
        assert len(told.sound()) == pytest.approx(rate_hz, abs=rate_hz * 0.002)
        spectrum = np.abs(np.fft.rfft(told.sound().astype(np.float64)))
        assert int(np.argmax(spectrum)) == pytest.approx(440, abs=2)


async def test_interruption_stops_the_answer_and_tells_what_was_heard() -> None:
    async with call() as (session, connection, told):
        await connection.begins("r1", "a1")
        await connection.says("r1", "a1", "One two three four", bytes(8_000))
        await told.until(AnswerAudio)
        session.interrupt("a1", 500)
        await connection.says("r1", "a1", " five", bytes(8_000))
        cut = await connection.until("conversation.item.truncate")
        await connection.ends("r1", "cancelled", status_details={"type": "cancelled", "reason": "turn_detected"})
        await told.until(AnswerDone)
        assert cut["audio_end_ms"] == 500
        assert len(told.of(AnswerAudio)) == 1
        assert told.of(AnswerDone) == [AnswerDone("cancelled", "turn_detected")]
        assert session.client.conversation.turns[-1].text == "One two"


async def test_functions_are_told_once_and_answered_together() -> None:
    async with call() as (session, connection, told):
        await connection.begins("r1")
        await connection.calls("r1", "c1", "clock", '{"zone":"UTC"}')
        await connection.calls("r1", "c2", "clock", "{}", index=1)
        await connection.ends("r1")
        await told.until(FunctionCalled, 2)
        assert told.of(FunctionCalled) == [
            FunctionCalled("c1", "clock", '{"zone":"UTC"}'),
            FunctionCalled("c2", "clock", "{}"),
        ]
        session.tool_result("c2", "noon")
        await connection.until("conversation.item.create")
        assert connection.of("response.create") == []
        session.tool_result("c1", "night")
        session.tool_result("c1", "again")
        await connection.until("response.create")
        outputs = [event["item"]["output"] for event in connection.of("conversation.item.create")]
        assert outputs == ["noon", "night"]


async def test_model_can_be_told_to_speak() -> None:
    async with call() as (session, connection, _told):
        session.greet()
        session.say("One moment, please.")
        session.write("Keys: 1 2 3")
        session.rebrief(Brief("You are the manager."))
        for number, kind in enumerate(("response.create", "response.create", "response.create"), 1):
            await connection.until(kind, number)
            await connection.begins(f"r{number}")
            await connection.ends(f"r{number}")
        asked = connection.of("response.create")
        assert "response" not in asked[0]
        assert asked[1]["response"]["instructions"].endswith(": One moment, please.")
        assert asked[1]["response"]["tool_choice"] == "none"
        [item] = [event["item"] for event in connection.of("conversation.item.create")]
        assert item["content"] == [{"type": "input_text", "text": "Keys: 1 2 3"}]
        update = await connection.until("session.update", 2)
        heard = {"transcription": {"model": TRANSCRIBE_MODEL, "language": None}}
        persona = {"instructions": "You are the manager.", "tools": []}
        assert update["session"] == {"type": "realtime", **persona, "audio": {"input": heard}}


async def test_r41_an_update_tells_only_what_has_changed() -> None:
    async with call(transcribe="whisper-1") as (session, connection, _told):
        session.rebrief(replace(BRIEF, instructions="Be brief."))
        update = await connection.until("session.update", 2)
        assert update["session"].keys() == {"type", "instructions", "tools"}
        session.rebrief(replace(BRIEF, phrases=("crown", "Riverside"), speed=1.8))
        update = await connection.until("session.update", 3)
        assert update["session"]["audio"] == {
            "input": {"transcription": {"model": "whisper-1", "language": "en", "prompt": "crown, Riverside"}},
            "output": {"speed": 1.5},
        }
        await connection.begins("r1")
        session.rebrief(replace(BRIEF, instructions="Be kind."))
        await connection.until("session.update", 4)
        kinds = {event["type"] for event in connection.got}
        assert not {"response.cancel", "output_audio_buffer.clear", "conversation.item.truncate"} & kinds
        assert "response.create" not in kinds


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        ("gpt-live-transcribe", {"keywords": ["crown"]}),
        ("gpt-4o-transcribe", {"prompt": "crown"}),
        (TRANSCRIBE_MODEL, {}),
    ],
)
async def test_likely_words_are_told_as_each_model_takes_them(model: str, hint: dict[str, Any]) -> None:
    async with call(transcribe=model) as (session, connection, _told):
        session.rebrief(replace(BRIEF, language="de", phrases=("crown",)))
        update = await connection.until("session.update", 2)
        heard = update["session"]["audio"]["input"]["transcription"]
        assert heard == {"model": model, "language": "de", **hint}


async def test_a_session_is_told_what_was_said_before_it() -> None:
    said: list[Said] = [("user", "My bill?"), ("assistant", "Which one?"), ("user", "May.")]
    async with call(history=said) as (session, connection, _told):
        session.greet()
        await connection.until("response.create")
        items = [event["item"] for event in connection.of("conversation.item.create")]
    assert [(item["role"], item["content"][0]["type"], item["content"][0]["text"]) for item in items] == [
        ("user", "input_text", "My bill?"),
        ("assistant", "output_text", "Which one?"),
        ("user", "input_text", "May."),
    ]


async def test_failed_answer_costs_the_answer_only() -> None:
    async with call() as (_session, connection, told):
        await connection.begins("r1")
        await connection.fails("r1", "content_filter")
        failed = await told.until(Failed)
        assert not failed.is_final
        assert "content_filter" in str(failed.error)
        assert told.of(AnswerDone) == [AnswerDone("failed", "content_filter")]


async def test_refused_key_is_final() -> None:
    told = Told()
    async with service(401) as there:
        s2s = RealtimeS2S(there.endpoint())
        session = s2s.open(BRIEF, 8_000, told)
        failed = await told.until(Failed)
        assert failed.is_final
        assert isinstance(failed.error, IntegrationInvalidAuthException)
        session.feed(TONE)
        session.greet()
        await session.aclose()
        with pytest.raises(IntegrationInvalidAuthException):
            await s2s.warm()


async def test_warming_opens_a_session_and_closes_it() -> None:
    async with service() as there:
        s2s = RealtimeS2S(there.endpoint())
        await s2s.warm()
        await s2s.aclose()
        assert len(there.connections) == 1


async def test_end_by_the_service_is_final_and_nothing_comes_after_the_calls_end() -> None:
    async with call() as (session, connection, told):
        await connection.close(1000)
        failed = await told.until(Failed)
        assert failed.is_final
        assert isinstance(failed.error, IntegrationUnavailableException)
        await session.aclose()
    count = len(told.events)
    session.feed(TONE)
    assert len(told.events) == count


@in_virtual_time
async def test_outage_in_a_call_is_survived(clock: VirtualClock) -> None:
    async with call(clock) as (session, connection, told):
        await connection.hears("u1", "Hello.")
        await told.until(UserTranscript)
        connection.drop()
        for _ in range(100):
            session.feed(SILENCE)
            await clock.sleep(0.02)
        assert session.client.connected
        assert told.of(Failed) == []
        assert session.client.metrics.total("reconnections_total") == 1
        assert session.client.metrics.total("audio_frames_dropped_total") == 0


@in_virtual_time
async def test_service_that_stays_away_ends_the_call_soon(clock: VirtualClock) -> None:
    async with call(clock, scripts=(greets, 503)) as (_session, connection, told):
        connection.drop()
        begun_s = clock.now()
        failed = await told.until(Failed)
        assert failed.is_final
        assert clock.now() - begun_s <= 8


async def test_sound_that_nobody_takes_is_bounded_and_counted() -> None:
    hold = asyncio.Event()

    async def waits(connection: Connection) -> None:
        await hold.wait()
        await connection.greet()

    told = Told()
    async with asyncio.timeout(30), service(waits) as there:
        session = RealtimeS2S(there.endpoint()).open(BRIEF, 8_000, told)
        await there.connection(1)
        for _ in range(MAX_ORDERS + 30):
            session.feed(TONE)
        assert session.dropped == 30
        hold.set()
        await told.until(Ready)
        await there.connections[0].until("input_audio_buffer.append", MAX_ORDERS)
        await session.aclose()


def spoken(session: S2SSession, seconds: float = 0.5) -> None:
    """The caller speaks, and is silent."""
    for frame, length_s in ((TONE, seconds), (SILENCE, 0.4)):
        for _ in range(int(length_s * 50)):
            session.feed(frame)


def scripted(told: Told, clock: VirtualClock, *steps: Callable[[S2SSession], object], **options: Any) -> ScriptedS2S:
    """Run steps, two virtual seconds apart, on a session of the script."""
    s2s = ScriptedS2S(clock=clock, **options)

    async def main() -> None:
        session = s2s.open(BRIEF, 8_000, told)
        for step in steps:
            step(session)
            await clock.sleep(2)
        await session.aclose()

    clock.run(main())
    return s2s


def test_script_hears_by_loudness_and_answers_in_order() -> None:
    told = Told()
    steps = (lambda _session: None, spoken, spoken)
    scripted(told, VirtualClock(), *steps, answers=("Hi.", "Bye."), heard=("hello", "goodbye"))
    turn = ["SpeechStarted", "SpeechStopped", "UserTranscript", "AnswerText"]
    for text in ("Hi.", "Bye."):
        assert [event.delta for event in told.of(AnswerText)].count(text) == 1
    assert [kind for kind in told.kinds() if kind != "AnswerAudio"] == [
        "Ready",
        *[*turn, "AnswerAudioDone", "AnswerDone"] * 2,
    ]
    assert [event.text for event in told.of(UserTranscript)] == ["hello", "goodbye"]
    assert len(told.sound()) == 8_000 * 0.06 * len("Hi.Bye.")


def test_script_calls_a_function_and_goes_on_with_its_result() -> None:
    told = Told()
    s2s = scripted(
        told,
        VirtualClock(),
        spoken,
        lambda session: session.tool_result("call_1", "noon"),
        answers=(Calls("clock", '{"zone":"UTC"}'), "It is noon."),
    )
    assert told.of(FunctionCalled) == [FunctionCalled("call_1", "clock", '{"zone":"UTC"}')]
    assert [event.delta for event in told.of(AnswerText)] == ["It is noon."]
    assert s2s.sessions[0].results == {"call_1": "noon"}


def test_script_stops_when_the_caller_breaks_in() -> None:
    told = Told()

    def breaks_in(session: S2SSession) -> None:
        session.feed(TONE)
        session.interrupt("item_a0", 900)

    s2s = scripted(told, VirtualClock(), spoken, breaks_in, answers=("x" * 100,), chunk_every_s=0.1)
    assert told.of(AnswerDone)[0] == AnswerDone("cancelled", "turn_detected")
    assert len(told.sound()) < 8_000 * 6
    assert s2s.sessions[0].interrupted == [("item_a0", 900)]
    assert len(told.of(SpeechStarted)) == 2


def test_script_greets_says_reads_and_changes_its_part() -> None:
    told = Told()
    s2s = scripted(
        told,
        VirtualClock(),
        lambda session: session.greet(),
        lambda session: session.say("One moment."),
        lambda session: session.write("1 2 3"),
        lambda session: session.rebrief(Brief("Else.")),
        answers=("Welcome.",),
    )
    assert [event.delta for event in told.of(AnswerText)] == ["Welcome.", "One moment.", "Welcome."]
    assert s2s.sessions[0].written == ["1 2 3"]
    assert s2s.sessions[0].brief == Brief("Else.")
    assert s2s.sessions[0].is_closed


@pytest.mark.parametrize(
    ("fault", "done", "final"), [("fail", ["failed"], [False]), ("stall", [], []), ("close", [], [True])]
)
def test_script_can_go_wrong(fault: S2SFault, done: list[str], final: list[bool]) -> None:
    told = Told()
    scripted(told, VirtualClock(), spoken, faults={0: fault})
    assert [event.status for event in told.of(AnswerDone)] == done
    assert [event.is_final for event in told.of(Failed)] == final
    assert len(told.of(SpeechStopped)) == 1


def settings(**values: Any) -> Settings:
    return Settings(**{"_env_file": None, **values})


@pytest.mark.parametrize(
    ("name", "values", "url"),
    [
        ("openai/gpt-realtime", {"openai_api_key": "k"}, "wss://api.openai.com/v1/realtime?model=gpt-realtime"),
        ("openai:desk", {"openai_base_url": "http://127.0.0.1:8000/v1"}, "ws://127.0.0.1:8000/v1/realtime?model=desk"),
        (
            "azure/voice",
            {"azure_openai_api_key": "k", "azure_openai_endpoint": "https://x.openai.azure.com"},
            "wss://x.openai.azure.com/openai/v1/realtime?model=voice",
        ),
    ],
)
def test_model_is_found_by_its_name(name: str, values: dict[str, str], url: str) -> None:
    model = speech_model(name, settings(**values))
    assert isinstance(model, RealtimeS2S)
    assert model.endpoint.url == url


def test_scripted_model_has_a_name_too() -> None:
    assert isinstance(speech_model("scripted", settings()), ScriptedS2S)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("openai/gpt-realtime", "OPENAI_API_KEY"),
        ("azure/voice", "AZURE_OPENAI_API_KEY and AZURE_OPENAI_ENDPOINT"),
        ("gpt-realtime", "openai/MODEL"),
        ("gemini/live", "openai/MODEL"),
    ],
)
def test_what_a_model_lacks_is_said(name: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        speech_model(name, settings())


async def test_connection_that_was_opened_while_it_rang_holds_the_call() -> None:
    told = Told()
    async with asyncio.timeout(30), service(greets) as there:
        model = RealtimeS2S(replace(there.endpoint(), provider="openai"))
        model.reserve("CA1")
        rung = await there.connection(1)
        assert rung.of("session.update") == [], "nobody has answered yet"
        other = model.for_call("CA2").open(BRIEF, 8_000, Told())
        await there.connection(2)
        session = model.for_call("CA1").open(BRIEF, 8_000, told)
        await told.until(Ready)
        assert rung.of("session.update")
        assert len(there.connections) == 2
        counters = model.pool.counters
        assert (counters.allocations_dedicated, counters.allocations_cold) == (1, 1)
        await session.aclose()
        await other.aclose()
        assert (model.pool.active, model.pool.dedicated) == (0, 0)
        await model.aclose()


async def test_call_that_finds_no_room_is_told_so() -> None:
    first, told = Told(), Told()
    async with asyncio.timeout(30), service(greets) as there:
        model = RealtimeS2S(there.endpoint(), limits=PoolLimits(size=1, warm=0, acquire_s=0.05), backoff=ONCE)
        session = model.open(BRIEF, 8_000, first)
        await first.until(Ready)
        assert not model.has_room
        late = model.open(BRIEF, 8_000, told)
        failure = await told.until(Failed)
        assert failure.is_final
        assert isinstance(failure.error, IntegrationUnavailableException)
        assert failure.error.code == "pool_exhausted"
        await late.aclose()
        await session.aclose()
        assert model.has_room
        await model.aclose()
