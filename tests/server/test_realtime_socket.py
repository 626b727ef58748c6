"""The Realtime door on a real socket: opening, talking, older names, refusals."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from antiphon.agents.agent import Agent
from antiphon.models.catalog import Models
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.models.vad.energy import EnergyVAD
from tests.server.harness import HEADERS, KEY, Serve, phone, until
from tests.server.talker import SILENCE, SPEECH, talker

VAD = {"turn_detection": {"type": "server_vad", "silence_duration_ms": 200}, "transcription": {"model": "any"}}


def models(llm: Any = None, *, words: tuple[str, ...] = ("Hello there.",), seconds: float = 0.3) -> Models:
    return Models(
        vad=EnergyVAD(),
        stt=ScriptedSTT(words),
        llm=ScriptedChatClient(llm or (lambda _messages, _options: "Good morning to you.")),
        tts=ScriptedTTS(seconds=seconds, rate_hz=24_000, word_timings=True),
        turn=None,
    )


# Conversations.


async def test_a_written_and_a_spoken_turn(serve: Serve) -> None:
    async with serve(models=models()) as up, talker(up) as client:
        await client.until("conversation.created")
        await client.write("Good morning.")
        await client.until("response.done")
        await client.update(audio={"input": VAD})
        await client.append(*[SPEECH] * 6, *[SILENCE] * 8)
        done = await client.until("response.done", 2)
        assert done["response"]["status"] == "completed"
        assert client.events("conversation.item.input_audio_transcription.completed")[0]["transcript"] == "Hello there."
        assert len(client.sound) == pytest.approx(2 * 0.3 * 48_000, abs=100)
        assert client.order is not None
        client.order.closed()
        await client.socket.close()
        await until(lambda: up.board.admission.live == 0)


async def test_speech_cuts_an_answer_within_50_ms(serve: Serve) -> None:
    said = ("When do you open?", "Never mind.")
    llm = ScriptedChatClient(["We open at nine.", "Fine."])
    made = Models(
        EnergyVAD(), ScriptedSTT(said), llm, ScriptedTTS(seconds=4.0, rate_hz=24_000, word_timings=True), None
    )
    async with serve(models=made) as up, talker(up) as client:
        await client.update(audio={"input": VAD})
        await client.append(*[SPEECH] * 6, *[SILENCE] * 4)
        await client.until("response.output_audio.delta", 5)
        await client.speak(0.6)
        done = await client.until("response.done")
        assert (done["response"]["status"], done["response"]["status_details"]["reason"]) == (
            "cancelled",
            "turn_detected",
        )
        started = client.times("input_audio_buffer.speech_started")[1]
        assert client.times("response.done")[0] - started < 0.05
        assert max(client.times("response.output_audio.delta")) <= started
        await client.append(*[SILENCE] * 8)
        await client.until("response.created", 2)
        heard = [message.text for message in llm.requests[-1].messages if message.role == "assistant"]
        assert all("We open at nine.".startswith(text.rstrip("… ")) and text != "We open at nine." for text in heard)


async def test_a_function_and_its_result(serve: Serve) -> None:
    tool = {"type": "function", "name": "order", "parameters": {"type": "object", "properties": {}}}
    replies = [Reply("", (call("order", what="tea"),)), "It is ordered."]
    async with serve(models=models(replies)) as up, talker(up) as client:
        await client.update(tools=[tool])
        await client.write("Tea!")
        done = await client.until("response.done")
        (item,) = done["response"]["output"]
        output = {"type": "function_call_output", "call_id": item["call_id"], "output": "done"}
        await client.send("conversation.item.create", item=output)
        await client.send("response.create", response={"metadata": {"asked": "client_5"}})
        done = await client.until("response.done", 2)
        assert done["response"]["output"][0]["content"][0]["transcript"] == "It is ordered."


async def test_events_before_the_session_is_ready_are_kept_in_order(serve: Serve) -> None:
    async with serve(models=models()) as up, phone(up, "/v1/realtime?model=desk") as socket:
        for number in range(50):
            item = {"type": "message", "id": f"m{number}", "role": "user"}
            item["content"] = [{"type": "input_text", "text": "Hi."}]  # type: ignore[assignment]
            await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
        told = [json.loads(await socket.recv()) for _ in range(102)]
        assert [event["type"] for event in told[:2]] == ["session.created", "conversation.created"]
        added = [event["item"]["id"] for event in told if event["type"] == "conversation.item.added"]
        assert added == [f"m{number}" for number in range(50)]


async def test_frames_that_cannot_be_read_are_refused_and_the_session_goes_on(serve: Serve) -> None:
    async with serve(models=models()) as up, talker(up) as client:
        await client.socket.send(b"\0\1")
        await client.socket.send("{no")
        await client.socket.send('{"type":"no.such.event"}')
        await client.socket.send('{"event_id":"x"}')
        await client.until("error", 4)
        codes = [event["error"]["code"] for event in client.events("error")]
        assert codes == ["invalid_json", "invalid_json", "invalid_event", "invalid_event"]
        await client.write("Still there?")
        await client.until("response.done")


async def test_the_agent_greets_clients_that_know_it(serve: Serve) -> None:
    agent = Agent("desk", greeting="Welcome.")
    async with serve(models=models(), agents=[agent]) as up:
        async with talker(up, "/v1/realtime?model=desk&antiphon=1", ordered=False) as client:
            done = await client.until("response.done")
            assert done["response"]["output"][0]["content"][0]["transcript"] == "Welcome."
            entries = [event["entry"] for event in client.events("antiphon.event")]
            assert entries[0]["type"] == "session.started"
        async with talker(up) as client:
            await client.write("Hi.")
            await client.until("response.done")
            assert client.types.count("response.created") == 1
            assert not client.events("antiphon.event")
        # One that goes on with a conversation knows the agent already.
        async with talker(up, "/v1/realtime?model=desk&antiphon=1&greet=0", ordered=False) as client:
            await client.write("Hi again.")
            done = await client.until("response.done")
            assert done["response"]["output"][0]["content"][0]["transcript"] != "Welcome."
            assert client.types.count("response.created") == 1
            entries = [event["entry"] for event in client.events("antiphon.event")]
            assert [entry["text"] for entry in entries if entry["type"] == "user.typed"] == ["Hi again."]


async def test_a_session_that_only_transcribes(serve: Serve) -> None:
    async with serve(models=models()) as up, talker(up, "/v1/realtime?intent=transcription") as client:
        created = await client.until("session.created")
        assert (created["session"]["type"], created["session"]["object"]) == (
            "transcription",
            "realtime.transcription_session",
        )
        await client.send("session.update", session={"type": "transcription", "audio": {"input": VAD}})
        await client.append(*[SPEECH] * 6, *[SILENCE] * 8)
        told = await client.until("conversation.item.input_audio_transcription.completed")
        assert told["transcript"] == "Hello there."
        event_id = await client.send("response.create", response={})
        error = (await client.until("error"))["error"]
        assert (error["code"], error["event_id"]) == ("invalid_value", event_id)
        assert error["message"] == "Cannot create a response on a transcription session"


# Older names.


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/realtime?model=desk", {"OpenAI-Beta": "realtime=v1"}),
        ("/v1/realtime?model=desk&beta=1", {}),
        ("/openai/realtime?api-version=2025-04-01-preview&deployment=desk", {}),
    ],
)
async def test_a_client_of_older_names_holds_a_conversation(serve: Serve, path: str, headers: dict[str, str]) -> None:
    replies = [Reply("", (call("order"),)), "It is ordered.", "Good morning."]
    options = {"additional_headers": {**HEADERS, **headers}}
    async with serve(models=models(replies)) as up, talker(up, path, ordered=False, **options) as client:
        created = await client.until("session.created")
        assert {"modalities", "voice", "input_audio_format"} <= set(created["session"])
        tool = {"type": "function", "name": "order", "parameters": {"type": "object"}}
        detection = {"type": "server_vad", "silence_duration_ms": 200}
        await client.send("session.update", session={"tools": [tool], "turn_detection": detection})
        await client.append(*[SPEECH] * 6, *[SILENCE] * 8)
        done = await client.until("response.done")
        (item,) = done["response"]["output"]
        assert item["type"] == "function_call"
        output = {"type": "function_call_output", "call_id": item["call_id"], "output": "done"}
        await client.send("conversation.item.create", item=output)
        await client.send("response.create")
        await client.until("response.done", 2)
        types = {event["type"] for _, event in client.told}
        assert {"conversation.item.created", "response.audio.delta", "response.audio_transcript.done"} <= types
        assert not {kind for kind in types if "output_audio" in kind or kind == "conversation.item.added"}


async def test_older_names_may_be_switched_off(serve: Serve) -> None:
    options = {"additional_headers": {**HEADERS, "OpenAI-Beta": "realtime=v1"}}
    async with serve(realtime_beta="off") as up:
        async with talker(up, ordered=False, **options) as client:
            assert (await client.until("error"))["error"]["code"] == "beta_api_shape_disabled"
            assert (await client.closed())[0] == 4000
        await until(lambda: up.board.admission.live == 0)


# Who may come in.


@pytest.mark.parametrize(
    "options",
    [
        {"additional_headers": {"Authorization": f"Bearer {KEY}"}},
        {"additional_headers": {"api-key": KEY}},
        {"additional_headers": {}, "subprotocols": ["realtime", f"openai-insecure-api-key.{KEY}"]},
    ],
)
async def test_a_key_may_come_in_three_ways(serve: Serve, options: dict[str, Any]) -> None:
    async with serve() as up, phone(up, "/openai/v1/realtime?model=desk", **options) as socket:
        assert json.loads(await socket.recv())["type"] == "session.created"
        assert socket.subprotocol == ("realtime" if "subprotocols" in options else None)


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/v1/realtime?model=desk", {}, 401, "invalid_api_key"),
        ("/v1/realtime?model=desk", {"Authorization": "Bearer wrong"}, 401, "invalid_api_key"),
        ("/v1/realtime?model=nobody", HEADERS, 404, "model_not_found"),
        ("/v1/realtime?call_id=rtc_none", HEADERS, 404, "call_id_not_found"),
        ("/v1/realtime?call_id=rtc_none&model=desk", HEADERS, 400, "invalid_value"),
    ],
)
async def test_who_may_not_come_in_is_told_why(
    serve: Serve, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    async with serve() as up:
        with pytest.raises(InvalidStatus) as refused:
            async with phone(up, path, additional_headers=headers):
                pass
        assert refused.value.response.status_code == status
        error = json.loads(refused.value.response.body or b"")["error"]
        assert error["code"] == code
        assert set(error) == {"message", "type", "code", "param"}
        assert "wrong" not in error["message"]


async def test_a_server_that_is_full_says_so(serve: Serve) -> None:
    async with serve(realtime_max_sessions=1) as up, phone(up, "/v1/realtime?model=desk"):
        with pytest.raises(InvalidStatus) as refused:
            async with phone(up, "/v1/realtime?model=desk"):
                pass
        assert refused.value.response.status_code == 503
        assert "Retry-After" in refused.value.response.headers


async def test_a_door_that_is_switched_off_is_not_there(serve: Serve) -> None:
    async with serve(realtime_enabled=False) as up:
        with pytest.raises(InvalidStatus) as refused:
            async with phone(up, "/v1/realtime?model=desk"):
                pass
        assert refused.value.response.status_code == 404


async def test_two_clients_at_once_hear_their_own(serve: Serve) -> None:
    def echo(messages: Any, _options: Any) -> str:
        return f"You said {messages[-1].text}"

    async with serve(models=models(echo)) as up:

        async def talk(text: str) -> str:
            async with talker(up) as client:
                await client.write(text)
                done = await client.until("response.done")
                return str(done["response"]["output"][0]["content"][0]["transcript"])

        answers = await asyncio.gather(*(talk(f"number {number}") for number in range(8)))
        assert answers == [f"You said number {number}" for number in range(8)]
