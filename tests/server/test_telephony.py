"""The media sockets and webhooks, over real connections."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from antiphon.agents.agent import Agent
from antiphon.transports.socket import PHONE_LIMITS
from tests.server.harness import HEADERS, SILENCE, SPEECH, Serve, close_code, next_event, phone, start_stream

pytestmark = pytest.mark.timeout(60)


async def refused(connecting: object) -> httpx.Response:
    with pytest.raises(InvalidStatus) as caught:
        async with connecting:  # type: ignore[attr-defined]
            pass
    answer = caught.value.response
    return httpx.Response(answer.status_code, headers=dict(answer.headers), content=answer.body or b"")


async def test_call_is_answered_with_a_greeting(serve: Serve) -> None:
    async with serve() as up, phone(up) as socket:
        await start_stream(socket)
        event = await next_event(socket)
        assert event["event"] == "media"
        assert event["streamSid"] == "MZ1"
        assert len(base64.b64decode(event["media"]["payload"])) == 160
        assert up.board.admission.live == 1


async def test_caller_is_heard_and_answered(serve: Serve, tmp_path: Path) -> None:
    async with serve(agents=[Agent("desk")], keep_files=True, record=True) as up:
        async with phone(up) as socket:
            caller = await start_stream(socket, "CA77")
            for frame in [SPEECH] * 30 + [SILENCE] * 60:
                await socket.send(caller.media(frame))
                await asyncio.sleep(0.005)
            while (await next_event(socket))["event"] != "media":
                pass
            await socket.send(caller.closing())
            assert await close_code(socket) == 1000
        async with asyncio.timeout(10):
            await up.board.all_over()
        assert up.board.metrics.turns == 1
        assert up.board.metrics.calls_ended == {"user_hangup": 1}
    (log_file,) = tmp_path.glob("calls/*/CA77/log.jsonl")  # noqa: ASYNC240
    events = [json.loads(line) for line in log_file.read_text().splitlines()]
    assert events[0]["type"] == "session.started"
    assert events[-1]["type"] == "session.ended"
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert any(event["type"] == "user.turn_completed" and event["text"] == "Hello there." for event in events)
    assert (log_file.parent / "recording.wav").stat().st_size > 44


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic test-key"}, {"X-API-Key": ""}, {"X-API-Key": "x"}],
)
async def test_r44_socket_without_a_good_key_is_refused_with_401(serve: Serve, headers: dict[str, str]) -> None:
    async with serve() as up:
        assert (await refused(phone(up, additional_headers=headers))).status_code == 401
        assert up.board.admission.live == 0


async def test_key_may_come_as_x_api_key(serve: Serve) -> None:
    async with serve() as up, phone(up, additional_headers={"X-API-Key": "test-key"}) as socket:
        await start_stream(socket)
        assert (await next_event(socket))["event"] == "media"


async def test_unknown_carrier_and_unknown_agent_are_404(serve: Serve) -> None:
    async with serve() as up:
        assert (await refused(phone(up, "/telephony/nobody"))).status_code == 404
        assert (await refused(phone(up, "/telephony/twilio?agent=nobody"))).status_code == 404


async def test_agent_is_chosen_by_query_or_parameter(serve: Serve) -> None:
    async with serve(agents=[Agent("first"), Agent("second", greeting="Second here.")]) as up:
        async with phone(up, "/telephony/plivo?agent=second") as socket:
            await start_stream(socket, carrier="plivo")
            assert (await next_event(socket))["event"] == "playAudio"
        async with phone(up) as socket:
            await start_stream(socket, agent="second")
            assert (await next_event(socket))["event"] == "media"
        async with phone(up) as socket:
            await start_stream(socket, agent="third")
            assert await close_code(socket) == 1008


async def test_full_server_refuses_with_503_and_retry_after_until_a_call_ends(serve: Serve) -> None:
    async with serve(max_calls=1) as up:
        async with phone(up) as socket:
            await start_stream(socket)
            await next_event(socket)
            answer = await refused(phone(up))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert up.board.metrics.refused["full"] == 1
        async with asyncio.timeout(10):
            await up.board.all_over()
        async with phone(up) as socket:
            await start_stream(socket)
            assert (await next_event(socket))["event"] == "media"


async def test_bad_frames_never_end_the_call(serve: Serve) -> None:
    async with serve() as up, phone(up) as socket:
        caller = await start_stream(socket)
        for bad in ["", "{", "[]", "null", '{"event":1}', '{"event":"media"}', b"\x00\xff\x80", "x" * 70_000, "\x00"]:
            await socket.send(bad)
        await socket.send(caller.media(SPEECH))
        await socket.send(iter(["{", '"event"', ":", '"mark"', "}"]))  # Fragments: whole, and bad.
        for _ in range(20):
            assert (await next_event(socket))["event"] in ("media", "mark")
        assert up.board.metrics.traffic.frames_malformed == 10
        assert up.board.metrics.errors["bad_frame"] == 1
        assert up.board.admission.live == 1


async def test_too_large_message_ends_its_own_socket_only(serve: Serve) -> None:
    async with serve() as up, phone(up) as good, phone(up) as bad:
        await start_stream(good)
        await start_stream(bad)
        await bad.send("x" * ((1 << 20) + 1))
        assert await close_code(bad) == 1009
        assert (await next_event(good))["event"] == "media"


async def test_peer_that_sends_too_fast_is_closed_with_1008(serve: Serve) -> None:
    async with serve() as up, phone(up) as socket:
        for _ in range(PHONE_LIMITS.messages + 1):
            await socket.send("{}")
        assert await close_code(socket) == 1008


async def test_socket_without_a_start_is_closed(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.transports.phone.START_TIMEOUT_S", 0.2)
    async with serve() as up, phone(up) as socket:
        assert await close_code(socket) == 1008
        async with asyncio.timeout(10):
            await up.board.all_over()
        assert up.board.admission.live == 0


@pytest.mark.parametrize("state", ["connected", "started", "heard"])
async def test_socket_that_dies_gives_its_slot_back(serve: Serve, state: str) -> None:
    async with serve() as up:
        async with phone(up) as socket:
            if state != "connected":
                caller = await start_stream(socket)
                await next_event(socket)
                if state == "heard":
                    await socket.send(caller.media(SPEECH))
            socket.transport.abort()
        async with asyncio.timeout(10):
            await up.board.all_over()
        assert up.board.admission.live == 0
        if state != "connected":
            assert up.board.metrics.calls_ended == {"user_hangup": 1}


async def test_ping_is_answered_during_a_call(serve: Serve) -> None:
    async with serve() as up, phone(up) as socket:
        await start_stream(socket)
        async with asyncio.timeout(10):
            await (await socket.ping())


def twilio_signature(token: str, url: str, form: dict[str, str]) -> str:
    text = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


async def test_twilio_webhook_to_stream_by_signature_and_single_use_token(serve: Serve) -> None:
    settings = {"twilio_auth_token": "tw", "api_keys": "", "public_url": "https://voice.example.com"}
    form = {"CallSid": "CA1", "From": "+15550100", "To": "+15550101"}
    async with serve(**settings) as up, httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}") as http:
        url = "https://voice.example.com/telephony/twilio/voice"
        signed = {"X-Twilio-Signature": twilio_signature("tw", url, form)}
        answer = await http.post("/telephony/twilio/voice", data=form, headers=signed)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/xml")
        document = ElementTree.fromstring(answer.text)
        stream = document.find("./Connect/Stream")
        assert stream is not None
        assert stream.get("url") == "wss://voice.example.com/telephony/twilio"
        parameters = {node.get("name"): node.get("value") for node in stream.findall("Parameter")}
        assert parameters["from"] == "+15550100"
        token = parameters["token"] or ""
        assert re.fullmatch("[0-9a-f]{64}", token)

        async with phone(up, additional_headers={}) as socket:
            await start_stream(socket, token=token)
            assert (await next_event(socket))["event"] == "media"
        # The token is used up, and nobody else is expected.
        assert (await refused(phone(up, additional_headers={}))).status_code == 401


async def test_twilio_stream_with_a_wrong_token_is_closed_at_its_start(serve: Serve) -> None:
    async with serve() as up:
        up.board.tokens.issue()
        async with phone(up, additional_headers={}) as socket:
            await start_stream(socket, token="f" * 64)
            assert await close_code(socket) == 1008
        assert up.board.metrics.refused["unauthorized"] == 1


async def test_twilio_stream_with_a_signed_upgrade_is_let_in(serve: Serve) -> None:
    async with serve(twilio_auth_token="tw", public_url="https://voice.example.com") as up:
        signature = twilio_signature("tw", "wss://voice.example.com/telephony/twilio", {})
        async with phone(up, additional_headers={"X-Twilio-Signature": signature}) as socket:
            await start_stream(socket)
            assert (await next_event(socket))["event"] == "media"


async def test_plivo_webhook_gives_a_stream_with_a_token_in_its_query(serve: Serve) -> None:
    async with serve() as up, httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}") as http:
        answer = await http.get("/telephony/plivo/voice", params={"From": "+15550100"}, headers=HEADERS)
        stream = ElementTree.fromstring(answer.text).find("./Stream")
        assert stream is not None
        assert stream.get("bidirectional") == "true"
        path = (stream.text or "").partition(f":{up.port}")[2]
        assert path.startswith("/telephony/plivo?token=")
        async with phone(up, path, additional_headers={}) as socket:
            await start_stream(socket, carrier="plivo")
            assert (await next_event(socket))["event"] == "playAudio"
        assert (await refused(phone(up, path, additional_headers={}))).status_code == 401


@pytest.mark.parametrize("carrier", ["twilio", "plivo"])
async def test_webhook_without_a_good_signature_is_401(serve: Serve, carrier: str) -> None:
    async with (
        serve(twilio_auth_token="tw", plivo_auth_token="pl") as up,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}") as http,
    ):
        for headers in ({}, {"X-Twilio-Signature": "bm8="}, {"X-Plivo-Signature-V3": "bm8="}):
            answer = await http.post(f"/telephony/{carrier}/voice", data={"From": "1"}, headers=headers)
            assert answer.status_code == 401
        assert up.board.metrics.refused["unauthorized"] == 3


@pytest.mark.parametrize(("carrier", "verb"), [("twilio", "Reject"), ("plivo", "Hangup")])
async def test_webhook_refuses_the_call_while_there_is_no_slot(serve: Serve, carrier: str, verb: str) -> None:
    async with serve(max_calls=1) as up, httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}") as http:
        async with phone(up) as socket:
            await start_stream(socket)
            await next_event(socket)
            answer = await http.post(f"/telephony/{carrier}/voice", headers=HEADERS)
        assert ElementTree.fromstring(answer.text).find(verb) is not None


async def test_webhook_body_is_limited(serve: Serve) -> None:
    async with serve() as up, httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}") as http:
        answer = await http.post("/telephony/twilio/voice", content=b"x" * (2 << 20), headers=HEADERS)
        assert answer.status_code == 413
