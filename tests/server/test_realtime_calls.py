"""Calls over WebRTC against a real peer: sound both ways, events in their order, barge-in, sidebands, and the end."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from antiphon.models.catalog import Models
from antiphon.models.llm.scripted import ScriptedChatClient
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.models.vad.energy import EnergyVAD
from tests.server.harness import HEADERS, KEY, Running, Serve, close_code, phone, until
from tests.server.rtc import HUM_HZ, RtcClient, pitch_hz, rtc_call, rtc_client, voiced_s

VOICE_HZ = 440.0
LONG = "One two three four five six seven eight nine ten eleven twelve."


def talkative(llm: ScriptedChatClient | None = None) -> Models:
    """A voice that speaks for three seconds."""
    return Models(
        vad=EnergyVAD(),
        stt=ScriptedSTT(["Stop it please.", "Thank you."]),
        llm=llm or ScriptedChatClient(lambda _messages, _options: LONG),
        tts=ScriptedTTS(seconds=3.0, word_timings=True),
        turn=None,
    )


async def post(up: Running, path: str, **request: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}") as http:
        return await http.post(path, **{"headers": HEADERS, **request})


def sideband(up: Running, client: RtcClient, **options: Any) -> Any:
    return phone(up, f"/v1/realtime?call_id={client.call_id}", **options)


async def next_of(socket: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            event: dict[str, Any] = json.loads(await socket.recv())
            if event["type"] == kind:
                return event


@pytest.mark.parametrize("codec", ["opus", "PCMU", "PCMA"])
async def test_sound_goes_both_ways(serve: Serve, codec: str) -> None:
    async with serve() as up, rtc_call(up, codecs=[] if codec == "opus" else [codec]) as client:
        await client.hum(1.0)
        turn = await client.until("input_audio_buffer.committed")
        await client.until("output_audio_buffer.stopped")
        client.send("conversation.item.retrieve", item_id=turn["item_id"])
        item = (await client.until("conversation.item.retrieved"))["item"]
        await until(lambda: voiced_s(client.sound) > 0.48)

        heard = np.frombuffer(base64.b64decode(item["content"][0]["audio"]), np.int16)
        assert pitch_hz(heard) == pytest.approx(HUM_HZ, abs=3)
        assert 0.5 < voiced_s(heard) < 1.3  # packets of a busy machine are lost, and stretched where they come late
        assert pitch_hz(client.sound) == pytest.approx(VOICE_HZ, abs=3)
        assert voiced_s(client.sound) == pytest.approx(0.5, abs=0.1)


async def test_events_come_in_order_and_without_sound(serve: Serve) -> None:
    async with serve() as up, rtc_call(up) as client:
        await client.hum(0.5)
        await client.until("output_audio_buffer.stopped")
        types = client.types
        assert types == [
            "session.created",
            "conversation.created",
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "output_audio_buffer.started",
            "response.output_audio_transcript.delta",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
            "output_audio_buffer.stopped",
        ]
        response_id = client.of("response.created")[0]["response"]["id"]
        assert client.of("output_audio_buffer.started")[0]["response_id"] == response_id
        assert client.of("output_audio_buffer.stopped")[0]["response_id"] == response_id
        assert len({event["event_id"] for event in client.got}) == len(client.got)


async def test_words_before_the_data_channel_opens_are_not_lost(serve: Serve) -> None:
    async with serve() as up, rtc_client(up, label="something else") as client:
        await client.dial()
        await until(lambda: client.channel.readyState == "open")
        await client.hum(0.6)
        await asyncio.sleep(0.2)
        assert client.got == []
        client.channel = client.open_channel()
        turn = await client.until("input_audio_buffer.committed")
        assert client.types[0] == "session.created"
        client.send("conversation.item.retrieve", item_id=turn["item_id"])
        item = (await client.until("conversation.item.retrieved"))["item"]
        heard = np.frombuffer(base64.b64decode(item["content"][0]["audio"]), np.int16)
        assert voiced_s(heard) > 0.45  # late packets are stretched, early words are all there
        await client.until("response.done")


async def test_a_barge_in_keeps_what_was_played(serve: Serve) -> None:
    llm = ScriptedChatClient(lambda _messages, _options: LONG)
    async with serve(models=talkative(llm)) as up, rtc_call(up) as client:
        client.send("response.create")
        await client.until("output_audio_buffer.started")
        await asyncio.sleep(1.0)
        await client.hum(0.6)
        truncated = await client.until("conversation.item.truncated")
        sound = client.sound
        done = client.of("response.done")[0]["response"]
        assert done["status"] == "cancelled"
        assert done["status_details"]["reason"] == "turn_detected"
        types = client.types
        first = types.index("input_audio_buffer.speech_started")
        assert types[first + 1 :][-3:] == [
            "response.done",
            "output_audio_buffer.cleared",
            "conversation.item.truncated",
        ]
        assert client.of("output_audio_buffer.cleared")[0]["response_id"] == done["id"]
        assert truncated["item_id"] == done["output"][0]["id"]
        played_ms = truncated["audio_end_ms"]
        assert 900 < played_ms < 1_800

        await client.until("response.created", 2)
        assert voiced_s(sound) * 1000 == pytest.approx(played_ms, abs=120)
        client.send("conversation.item.retrieve", item_id=truncated["item_id"])
        item = (await client.until("conversation.item.retrieved"))["item"]
        words = item["content"][0]["transcript"]
        assert LONG.startswith(words)
        assert 2 <= len(words.split()) <= 8
        prompt = [message.text for message in llm.requests[-1].messages if message.role == "assistant"]
        assert prompt == [words]


async def test_clear_cuts_at_once_and_leaves_the_session_on(serve: Serve) -> None:
    async with serve(models=talkative()) as up, rtc_call(up) as client:
        client.send("response.create")
        await client.until("output_audio_buffer.started")
        await asyncio.sleep(0.5)
        client.send("output_audio_buffer.clear")
        truncated = await client.until("conversation.item.truncated")
        assert client.types[-3:] == ["response.done", "output_audio_buffer.cleared", "conversation.item.truncated"]
        assert 350 < truncated["audio_end_ms"] < 900
        assert client.of("response.done")[0]["response"]["status_details"]["reason"] == "client_cancelled"
        await asyncio.sleep(0.3)
        assert voiced_s(client.sound) * 1000 == pytest.approx(truncated["audio_end_ms"], abs=120)
        client.send("output_audio_buffer.clear")  # Nothing sounds: there is nothing to tell.
        client.send("session.update", session={"type": "realtime", "instructions": "Be brief."})
        await client.until("session.updated")
        assert client.types.count("output_audio_buffer.cleared") == 1


async def test_a_greeting_is_heard_by_clients_that_know_antiphon(serve: Serve) -> None:
    async with serve() as up, rtc_client(up) as client:
        await client.dial("/v1/realtime/calls?model=desk&antiphon=1")
        await client.until("output_audio_buffer.stopped")
        assert client.of("response.output_audio_transcript.done")[0]["transcript"] == "Hello."
        assert client.of("antiphon.event")[0]["entry"]["type"] == "session.started"
        await until(lambda: voiced_s(client.sound) > 0.45)


async def test_a_sideband_sees_and_steers_the_call(serve: Serve) -> None:
    async with serve() as up, rtc_call(up) as client, sideband(up, client) as side:
        created = json.loads(await side.recv())
        assert created["type"] == "session.created"
        assert created["session"]["id"] == client.got[0]["session"]["id"]
        assert (await next_of(side, "conversation.created"))["conversation"] == client.got[1]["conversation"]

        await side.send(json.dumps({"type": "session.update", "session": {"type": "realtime", "instructions": "Hi."}}))
        assert (await next_of(side, "session.updated"))["session"]["instructions"] == "Hi."
        assert (await client.until("session.updated"))["session"]["instructions"] == "Hi."

        content = [{"type": "input_text", "text": "Hello?"}]
        item = {"id": "item_mine", "type": "message", "role": "user", "content": content}
        await side.send(json.dumps({"type": "conversation.item.create", "item": item}))
        await side.send(json.dumps({"type": "conversation.item.retrieve", "item_id": "item_mine"}))
        await side.send(json.dumps({"type": "conversation.item.delete", "item_id": "item_none", "event_id": "e1"}))
        assert (await next_of(side, "conversation.item.done"))["item"]["id"] == "item_mine"
        assert (await next_of(side, "conversation.item.retrieved"))["item"]["id"] == "item_mine"
        assert (await next_of(side, "error"))["error"]["event_id"] == "e1"
        await client.until("conversation.item.done")

        await side.send(json.dumps({"type": "response.create"}))
        await next_of(side, "output_audio_buffer.stopped")
        await client.until("output_audio_buffer.stopped")
        assert "conversation.item.retrieved" not in client.types
        assert "error" not in client.types
        assert not any("output_audio.delta" in kind for kind in client.types)


async def test_a_sideband_hears_of_the_clients_errors_nothing_and_may_not_send_sound(serve: Serve) -> None:
    async with serve() as up, rtc_call(up) as client, sideband(up, client) as side:
        await next_of(side, "conversation.created")
        client.send("response.cancel", event_id="mine")
        assert (await client.until("error"))["error"]["event_id"] == "mine"
        client.channel.send(b"\x01")
        assert (await client.until("error", 2))["error"]["code"] == "invalid_json"
        await side.send(json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA", "event_id": "sound"}))
        error = json.loads(await side.recv())
        assert error["type"] == "error"
        assert (error["error"]["code"], error["error"]["event_id"]) == ("invalid_value", "sound")


async def test_a_sideband_may_come_first_and_go_while_the_call_goes_on(serve: Serve) -> None:
    async with serve() as up, rtc_client(up, label="something else") as client:
        await client.dial()
        async with sideband(up, client) as side:
            assert json.loads(await side.recv())["type"] == "session.created"
            await side.send(json.dumps({"type": "session.update", "session": {"instructions": "Hm."}}))
            client.channel = client.open_channel()
            assert (await next_of(side, "session.updated"))["session"]["instructions"] == "Hm."
        await client.until("conversation.created")
        client.send("response.create")
        await client.until("output_audio_buffer.stopped")


async def test_a_call_without_a_data_channel_is_steered_by_its_sideband(serve: Serve) -> None:
    async with serve() as up, rtc_client(up, label=None) as client:
        await client.dial()
        async with sideband(up, client) as side:
            await next_of(side, "conversation.created")
            await side.send(json.dumps({"type": "response.create"}))
            await next_of(side, "output_audio_buffer.stopped")
            await until(lambda: voiced_s(client.sound) > 0.45)


async def test_too_many_sidebands_are_refused(serve: Serve) -> None:
    async with serve() as up, rtc_call(up) as client:
        sides = [await sideband(up, client) for _ in range(8)]
        for side in sides:
            await next_of(side, "conversation.created")
        with pytest.raises(InvalidStatus) as refused:
            await sideband(up, client)
        assert refused.value.response.status_code == 429
        for side in sides:
            await side.close()


async def test_hanging_up_ends_the_call_its_sideband_and_the_connection(serve: Serve) -> None:
    async with serve() as up, rtc_call(up) as client, sideband(up, client) as side:
        await next_of(side, "conversation.created")
        response = await post(up, f"{client.location}/hangup")
        assert (response.status_code, response.content) == (200, b"")
        async with asyncio.timeout(2):
            assert await close_code(side) == 1000
            await client.closed.wait()
            await until(lambda: up.board.admission.live == 0)
        assert (await post(up, f"{client.location}/hangup")).status_code == 404
        assert up.board.metrics.calls_ended["agent_hangup"] == 1


async def test_a_client_that_goes_ends_the_call(serve: Serve) -> None:
    async with serve() as up:
        async with rtc_call(up) as client, sideband(up, client) as side:
            await next_of(side, "conversation.created")
            await client.close()
            async with asyncio.timeout(2):
                assert await close_code(side) == 1000
                await until(lambda: up.board.admission.live == 0)
        assert up.board.metrics.calls_ended["user_hangup"] == 1


async def test_a_call_that_was_never_connected_can_be_hung_up(serve: Serve) -> None:
    async with serve() as up, rtc_client(up, label="something else") as client:
        await client.dial()
        async with sideband(up, client) as side:
            await next_of(side, "conversation.created")
            assert (await post(up, f"{client.location}/hangup")).status_code == 200
            async with asyncio.timeout(2):
                assert await close_code(side) == 1000
                await until(lambda: up.board.admission.live == 0)


async def test_draining_ends_calls_with_a_reason(serve: Serve) -> None:
    async with serve() as up, rtc_call(up) as client, sideband(up, client) as side:
        await next_of(side, "conversation.created")
        up.board.drain()
        up.board.end_calls("drained")
        async with asyncio.timeout(5):
            assert await close_code(side) == 1012
            await client.closed.wait()
            await up.board.all_over()


async def test_a_server_that_stops_ends_calls(serve: Serve) -> None:
    async with serve() as up:
        client = RtcClient(up)
        await client.dial()
        await client.until("conversation.created")
    async with asyncio.timeout(5):
        await client.closed.wait()
    await client.close()


async def test_a_form_brings_the_session_as_openai_python_sends_it(serve: Serve) -> None:
    async with serve() as up, rtc_client(up) as client:
        session = {"type": "realtime", "model": "desk", "instructions": "Speak slowly."}
        files = {
            "sdp": (None, await client.offer(), "application/sdp"),
            "session": (None, json.dumps(session), "application/json"),
        }
        response = await client.dial("/v1/realtime/calls", files=files)
        assert response.status_code == 201
        assert response.headers["content-type"].startswith("application/sdp")
        assert response.headers["location"].startswith("/v1/realtime/calls/rtc_")
        created = await client.until("session.created")
        assert created["session"]["instructions"] == "Speak slowly."


async def test_the_offer_may_be_a_file_of_the_form(serve: Serve) -> None:
    async with serve() as up, rtc_client(up) as client:
        files = {"sdp": ("offer.sdp", (await client.offer()).encode(), "application/sdp")}
        assert (await client.dial("/v1/realtime/calls", files=files)).status_code == 201
        await client.until("session.created")


async def test_the_older_address_takes_an_offer_too(serve: Serve) -> None:
    async with serve() as up, rtc_client(up) as client:
        assert (await client.dial("/v1/realtime?model=desk")).status_code == 201
        await client.until("session.created")


async def test_an_offer_may_come_before_its_candidates(serve: Serve) -> None:
    async with serve() as up, rtc_client(up) as client:
        offer = re.sub(r"a=candidate.*\r\n", "", await client.offer())
        response = await client.dial(content=offer, headers={"Content-Type": "application/sdp", **HEADERS})
        assert "a=candidate" in response.text
        await client.until("session.created")


async def test_a_client_secret_opens_a_call_and_reaches_no_other(serve: Serve) -> None:
    async with serve() as up, rtc_call(up) as other, rtc_client(up) as client:
        session = {"type": "realtime", "model": "desk", "instructions": "Whisper."}
        secret = (await post(up, "/v1/realtime/client_secrets", json={"session": session})).json()["value"]
        bearer = {"Authorization": f"Bearer {secret}"}
        assert (await client.dial("/v1/realtime/calls", headers=bearer)).status_code == 201
        created = await client.until("session.created")
        assert created["session"]["instructions"] == "Whisper."

        assert (await post(up, f"{other.location}/hangup", headers=bearer)).status_code == 404
        with pytest.raises(InvalidStatus) as refused:
            await sideband(up, other, additional_headers=bearer)
        assert refused.value.response.status_code == 404
        async with sideband(up, client) as side:  # The server's key reaches what its secrets opened.
            await next_of(side, "conversation.created")
        assert (await post(up, f"{client.location}/hangup", headers=bearer)).status_code == 200


async def test_calls_need_a_key(serve: Serve) -> None:
    async with serve() as up, rtc_client(up) as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            response = await client.dial(headers={**headers, "Content-Type": "application/sdp"}, content="v=0")
            assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
            assert (await post(up, "/v1/realtime/calls/rtc_1/hangup", headers=headers)).status_code == 401
        azure = {"api-key": KEY, "Content-Type": "application/sdp"}
        assert (await client.dial(headers=azure, content=await client.offer())).status_code == 201


@pytest.mark.parametrize("action", ["hangup", "accept", "reject", "refer"])
async def test_unknown_calls_are_not_found(serve: Serve, action: str) -> None:
    async with serve() as up:
        response = await post(up, f"/v1/realtime/calls/rtc_unknown/{action}", json={})
        assert (response.status_code, response.json()["error"]["code"]) == (404, "call_id_not_found")


async def test_a_sideband_of_an_unknown_call_is_refused(serve: Serve) -> None:
    async with serve() as up:
        for query, status in (("call_id=rtc_unknown", 404), ("call_id=rtc_unknown&model=desk", 400)):
            with pytest.raises(InvalidStatus) as refused:
                await phone(up, f"/v1/realtime?{query}")
            assert refused.value.response.status_code == status


@pytest.mark.parametrize("action", ["accept", "reject", "refer"])
async def test_a_webrtc_call_is_no_phone_call(serve: Serve, action: str) -> None:
    async with serve() as up, rtc_call(up) as client:
        response = await post(up, f"{client.location}/{action}", json={"target_uri": "tel:+1"})
        assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_value")
        client.send("response.create")
        await client.until("response.done")


@pytest.mark.parametrize(
    ("content_type", "content", "status", "code"),
    [
        ("application/sdp", "no offer", 400, "invalid_offer"),
        ("application/sdp", "", 400, "invalid_offer"),
        ("application/sdp", "\xff\xfe", 400, "invalid_offer"),
        ("application/sdp", "v=0\r\n" * 20_000, 400, "invalid_offer"),
        ("application/sdp", "a" * (2 << 20), 413, "request_too_large"),
        ("application/json", "{}", 415, "unsupported_media_type"),
        ("multipart/form-data", "x", 400, "invalid_value"),
        ("multipart/form-data; boundary=b", "--b\r\n\r\nx\r\n--b--\r\n", 400, "invalid_value"),
    ],
)
async def test_what_is_no_offer_is_refused(
    serve: Serve, content_type: str, content: str, status: int, code: str
) -> None:
    async with serve() as up:
        headers = {**HEADERS, "Content-Type": content_type}
        response = await post(up, "/v1/realtime/calls?model=desk", headers=headers, content=content.encode("latin-1"))
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)
        assert up.board.admission.live == 0


async def test_offers_that_cannot_be_answered_give_their_slot_back(serve: Serve) -> None:
    async with serve() as up, rtc_client(up) as client:
        offer = await client.offer()
        video = offer.replace("m=audio", "m=video")
        unknown = re.sub(r"opus|G722|PCMU|PCMA", "speex", offer)
        for text in (video, unknown):
            headers = {"Content-Type": "application/sdp", **HEADERS}
            response = await post(up, "/v1/realtime/calls?model=desk", headers=headers, content=text)
            assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_offer")
            assert up.board.admission.live == 0


async def test_a_full_server_refuses_calls(serve: Serve) -> None:
    async with serve(realtime_max_sessions=1) as up, rtc_call(up), rtc_client(up) as second:
        response = await second.dial()
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")


async def test_unknown_agents_and_bad_sessions_are_refused(serve: Serve) -> None:
    async with serve() as up, rtc_client(up) as client:
        response = await client.dial("/v1/realtime/calls?model=nobody")
        assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")
    async with serve() as up, rtc_client(up) as client:
        for session, code in (("no json", "invalid_json"), ('{"tools": 1}', "invalid_value")):
            files = {"sdp": (None, await client.offer()), "session": (None, session)}
            response = await client.dial("/v1/realtime/calls", files=files)
            assert (response.status_code, response.json()["error"]["code"]) == (400, code)


async def test_an_event_that_a_client_cannot_take_is_told_to_be_too_large(serve: Serve) -> None:
    async with serve() as up, rtc_client(up) as client:
        offer = (await client.offer()).replace("a=max-message-size:262144", "a=max-message-size:4000")
        await client.dial(content=offer, headers={"Content-Type": "application/sdp", **HEADERS})
        await client.until("session.created")
        content = [{"type": "input_text", "text": "word " * 1_000}]
        client.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        error = await client.until("error")
        assert error["error"]["code"] == "event_too_large"
        assert "sideband" in error["error"]["message"]


async def test_a_client_that_vanishes_ends_the_call(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.CONSENT_INTERVAL", 0.2)  # Six checks unanswered: 30 s outside of this test.
    async with serve() as up, rtc_call(up) as client:
        client.vanish()
        async with asyncio.timeout(10):
            await until(lambda: up.board.admission.live == 0)
        assert up.board.metrics.calls_ended["user_hangup"] == 1


async def test_a_call_that_lasts_too_long_is_told_so_before_it_ends(serve: Serve) -> None:
    async with serve(realtime_max_session_s=1.5) as up, rtc_call(up) as client, sideband(up, client) as side:
        assert (await client.until("error"))["error"]["code"] == "session_expired"
        assert await close_code(side) == 1001
        async with asyncio.timeout(2):
            await client.closed.wait()
            await until(lambda: up.board.admission.live == 0)


async def test_each_listener_has_its_own_dialect(serve: Serve) -> None:
    async with serve() as up, rtc_client(up) as client:
        await client.dial(headers={"OpenAI-Beta": "realtime=v1", **HEADERS})
        await client.until("conversation.created")
        async with sideband(up, client) as side:
            await next_of(side, "conversation.created")
            client.send("response.create")
            await client.until("response.audio_transcript.done")
            await next_of(side, "response.output_audio_transcript.done")


async def test_the_log_goes_to_listeners_that_know_antiphon_alone(serve: Serve) -> None:
    async with serve() as up, rtc_call(up) as client:
        async with phone(up, f"/v1/realtime?call_id={client.call_id}&antiphon=1") as side:
            await next_of(side, "conversation.created")
            client.send("response.create")
            assert (await next_of(side, "antiphon.event"))["entry"]["type"].startswith("agent.")
            await next_of(side, "output_audio_buffer.stopped")
        await client.until("output_audio_buffer.stopped")
        assert not any(kind.startswith("antiphon.") for kind in client.types)
