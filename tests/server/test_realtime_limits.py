"""How sessions end, what they leave behind, and what they never tell: limits, shut-down, secrets and logs."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import timedelta
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from antiphon.models.catalog import Models
from antiphon.models.llm.scripted import ScriptedChatClient
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.models.vad.energy import EnergyVAD
from antiphon.server.realtime import secrets
from antiphon.telemetry import setup_logging
from tests.server.harness import HEADERS, KEY, Running, Serve, close_code, phone, until
from tests.server.talker import SPEECH, Talker, talker

LONG = "The clinic opens every morning at nine and closes every afternoon at five except on the weekend. "


def talkative(seconds: float = 20.0) -> Models:
    """A voice that speaks for long."""
    return Models(
        vad=EnergyVAD(),
        stt=ScriptedSTT(["Hello there."]),
        llm=ScriptedChatClient(lambda _messages, _options: LONG),
        tts=ScriptedTTS(seconds=seconds, rate_hz=24_000),
        turn=None,
    )


async def nothing_is_left(up: Running) -> None:
    """Everything of all sessions is gone within two seconds."""
    async with asyncio.timeout(2):
        await until(lambda: up.board.admission.live == 0 and not [name for name in task_names() if "sess_" in name])


def task_names() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks()]


# Ends.


async def test_a_session_that_is_old_is_told_and_closed(serve: Serve) -> None:
    async with serve(models=talkative(), realtime_max_session_s=0.6) as up, talker(up) as client:
        await client.write("Talk!")
        assert (await client.until("error"))["error"]["code"] == "session_expired"
        message = "Your session hit the maximum duration of 1 minutes."
        assert client.events("error")[0]["error"]["message"] == message
        assert await client.closed() == (1001, message)
        await nothing_is_left(up)


async def test_a_session_whose_client_says_nothing_is_closed(serve: Serve) -> None:
    async with serve(realtime_idle_s=0.4) as up, talker(up) as client:
        for _ in range(4):
            await client.append(bytes(480))
            await asyncio.sleep(0.2)  # so long is no silence
        assert (await client.until("error"))["error"]["code"] == "session_idle"
        assert (await client.closed())[0] == 1001
        await nothing_is_left(up)


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_a_client_that_goes_leaves_nothing(serve: Serve, end: str) -> None:
    async with serve(models=talkative()) as up:
        clients = [await phone(up, "/v1/realtime?model=desk") for _ in range(5)]
        for socket in clients:
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA" * 60_000}))
            await socket.send(json.dumps({"type": "response.create", "response": {"conversation": "none"}}))
            await socket.send(json.dumps({"type": "response.create"}))
        await until(lambda: up.board.admission.live == 5)
        for socket in clients:
            if end == "close":
                await socket.close()
            else:
                socket.transport.abort()
        await nothing_is_left(up)


async def test_a_server_that_ends_lets_answers_end_or_cuts_them(serve: Serve) -> None:
    for seconds, status in ((0.8, "completed"), (20.0, "cancelled")):
        options = {"drain_s": 0.2, "turn_policy": {"ending_s": "1.0"}}
        async with serve(models=talkative(seconds), **options) as up, talker(up) as client:
            await client.write("Talk!")
            await client.until("response.output_audio.delta")
            up.server.drain()
            assert (await client.closed())[0] == 1012
            assert [event["response"]["status"] for event in client.events("response.done")] == [status]
            await nothing_is_left(up)


async def test_a_reader_that_is_too_slow_is_cut_off(serve: Serve) -> None:
    async with serve(models=talkative(0.1), realtime_max_send_bytes=1 << 16) as up:
        socket = await phone(up, "/v1/realtime?model=desk", max_queue=1)
        await socket.recv()
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello! " * 4_000}]}
        frame = json.dumps({"type": "conversation.item.create", "item": item})
        socket.transport.pause_reading()
        for _ in range(200):
            await socket.send(frame)
            if up.board.admission.live == 0:
                break
        await nothing_is_left(up)
        socket.transport.resume_reading()
        assert await close_code(socket) == 1013


async def test_a_thousand_pings_are_answered_during_an_answer(serve: Serve) -> None:
    loop = asyncio.get_running_loop()
    async with serve(models=talkative()) as up, talker(up) as client:
        await client.write("Talk!")
        await client.until("response.output_audio.delta")
        slowest = 0.0
        for _ in range(1000):
            before = loop.time()
            await (await client.socket.ping())
            slowest = max(slowest, loop.time() - before)
        assert slowest < 0.5
        assert not client.events("response.done")


async def test_a_frame_that_is_too_large_ends_the_session(serve: Serve) -> None:
    async with serve(realtime_max_frame_bytes=1 << 16) as up:
        socket = await phone(up, "/v1/realtime?model=desk")
        await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA" * 20_000}))
        assert await close_code(socket) == 1009
        await nothing_is_left(up)


# Client secrets.


async def post(up: Running, path: str, key: str = KEY, **request: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}") as http:
        return await http.post(path, headers={"Authorization": f"Bearer {key}"}, **request)


async def secret_of(up: Running, **body: Any) -> dict[str, Any]:
    answer = await post(up, "/v1/realtime/client_secrets", json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def bearer(value: str) -> dict[str, Any]:
    return {"additional_headers": {"Authorization": f"Bearer {value}"}}


async def test_a_client_secret_opens_sessions_with_its_configuration(serve: Serve) -> None:
    async with serve(models=talkative(0.2)) as up:
        session = {"type": "realtime", "model": "desk", "instructions": "Be brief."}
        made = await secret_of(up, session=session)
        assert made["value"].startswith("ek_")
        assert (made["session"]["object"], made["session"]["instructions"]) == ("realtime.session", "Be brief.")
        now = up.board.clock.utc()
        assert timedelta(seconds=590).total_seconds() < made["expires_at"] - now.timestamp() <= 600
        for _ in range(2):
            async with talker(up, "/v1/realtime", **bearer(made["value"])) as client:
                created = client.events("session.created")[0]["session"]
                assert created["instructions"] == "Be brief."
                await client.update(instructions="Be kind.")
                await client.write("Hi.")
                await client.until("response.done")


async def test_a_client_secret_opens_nothing_else(serve: Serve) -> None:
    async with serve() as up:
        value = (await secret_of(up))["value"]
        for path in ("/v1/realtime/client_secrets", "/v1/realtime/sessions", "/v1/realtime/transcription_sessions"):
            refused = await post(up, path, key=value, json={})
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "permission_denied")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}") as http:
            refused = await http.get("/v1/models", headers={"Authorization": f"Bearer {value}"})
        assert refused.status_code == 403
        with pytest.raises(InvalidStatus) as denied:
            async with phone(up, "/telephony/twilio", **bearer(value)):
                pass
        assert denied.value.response.status_code in (401, 403)


async def test_a_client_secret_expires_and_its_session_outlives_it(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "LIVES_S", (0, 7200))
    monkeypatch.setattr("antiphon.server.realtime.rest.LIVES_S", (0, 7200))
    async with serve(models=talkative(0.2)) as up:
        made = await secret_of(up, expires_after={"anchor": "created_at", "seconds": 1})
        async with talker(up, **bearer(made["value"])) as client:
            await asyncio.sleep(1.1)  # it expires
            with pytest.raises(InvalidStatus) as refused:
                async with phone(up, "/v1/realtime?model=desk", **bearer(made["value"])):
                    pass
            assert refused.value.response.status_code == 401
            assert json.loads(refused.value.response.body or b"")["error"]["code"] == "expired_client_secret"
            await client.write("Hi.")
            await client.until("response.done")


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"expires_after": {"seconds": 9}}, "invalid_value", "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "invalid_value", "expires_after.seconds"),
        ({"expires_after": {"seconds": True}}, "invalid_value", "expires_after.seconds"),
        ({"session": 3}, "invalid_value", "session"),
        ({"session": {"type": "realtime", "audio": {"output": {"speed": 9}}}}, "invalid_value", None),
        ({"session": {"type": "realtime", "model": "nobody"}}, "model_not_found", "model"),
        (
            {"session": {"type": "realtime", "tools": [{"type": "function", "name": "x", "parameters": {"type": 3}}]}},
            "invalid_value",
            "session.tools[0]",
        ),
    ],
)
async def test_a_secret_that_makes_no_sense_is_refused(
    serve: Serve, body: dict[str, Any], code: str, param: str | None
) -> None:
    async with serve() as up:
        refused = await post(up, "/v1/realtime/client_secrets", json=body)
        assert refused.status_code in (400, 404)
        error = refused.json()["error"]
        assert error["code"] == code
        assert param is None or error["param"] == param


async def test_models_are_the_agents(serve: Serve) -> None:
    async with serve() as up, httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}", headers=HEADERS) as http:
        told = (await http.get("/v1/models")).json()
        assert told["object"] == "list"
        assert [model["id"] for model in told["data"]] == ["desk"]


async def test_the_older_way_to_a_secret(serve: Serve) -> None:
    async with serve() as up:
        made = (await post(up, "/v1/realtime/sessions", json={"model": "desk"})).json()
        assert made["client_secret"]["value"].startswith("ek_")
        async with phone(up, "/v1/realtime?model=desk", **bearer(made["client_secret"]["value"])) as socket:
            assert json.loads(await socket.recv())["type"] == "session.created"


# Logs.


async def test_no_key_is_ever_logged(serve: Serve, caplog: pytest.LogCaptureFixture, capsys: Any) -> None:
    setup_logging("debug", "json")
    caplog.set_level(logging.DEBUG)
    clients_own = logging.getLogger("test.client")
    clients_own.setLevel(logging.CRITICAL)
    async with serve(models=talkative(0.2), log_level="debug") as up:
        value = (await secret_of(up))["value"]
        ways: list[dict[str, Any]] = [
            {"additional_headers": {"Authorization": f"Bearer {KEY}"}},
            {"additional_headers": {"api-key": KEY}},
            {"additional_headers": {}, "subprotocols": ["realtime", f"openai-insecure-api-key.{value}"]},
        ]
        for options in ways:
            async with talker(up, logger=clients_own, **options) as client:
                await _say_hello(client)
        for options in ({"additional_headers": {"api-key": "sk-wrong-key"}}, bearer("ek_wrong_secret")):
            with pytest.raises(InvalidStatus):
                async with phone(up, "/v1/realtime?api_key=sk-in-the-query", logger=clients_own, **options):
                    pass
    printed = capsys.readouterr()
    logged = "\n".join([printed.out, printed.err, *(record.getMessage() for record in caplog.records)])
    assert "call_ended" in logged
    for word in (KEY, value, "sk-wrong-key", "ek_wrong_secret", "sk-in-the-query", "openai-insecure-api-key."):
        assert word not in logged, [line[:300] for line in logged.splitlines() if word in line]


async def _say_hello(client: Talker) -> None:
    await client.append(SPEECH)
    await client.write("Hi.")
    await client.until("response.done")
