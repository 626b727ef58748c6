"""Genesys AudioHook over real connections: a whole call, its numbers, its refusals."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from antiphon.agents.agent import Agent
from antiphon.audio.convert import to_pcm
from antiphon.audio.formats import PHONE
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.server.run import Running
from antiphon.server.signatures import AUDIOHOOK_SIGNED, audiohook_base
from antiphon.tools.context import ToolContext
from antiphon.tools.tool import tool
from antiphon.transports.client import phone_call
from antiphon.wire.audiohook import NO_CONVERSATION
from antiphon.wire.audiohook_caller import AudioHookCaller
from antiphon.wire.caller import Accepted, Audio, Clear, Closed, Ending, Notice, ServerMessage
from tests.server.harness import KEY, SILENCE, SPEECH, Serve, phone, scripted_models
from tests.server.test_telephony import refused

PATH = "/telephony/audiohook"
SECRET = base64.b64encode(b"a secret of the client").decode()
TONE_HZ = 440  # of the scripted voice
pytestmark = pytest.mark.timeout(60)


def genesys(**options: Any) -> AudioHookCaller:
    return AudioHookCaller("5f1c-session", options.pop("call_id", "9e-conversation"), options)


def dial(up: Running, caller: AudioHookCaller, key: str | None = KEY, **headers: str) -> Any:
    sent = {**caller.headers(), **({"X-API-KEY": key} if key else {}), **headers}
    return phone(up, PATH, additional_headers=sent, subprotocols=[Subprotocol("audiohook-v2")])


async def next_message(socket: ClientConnection, caller: AudioHookCaller) -> ServerMessage:
    async with asyncio.timeout(10):
        return caller.receive(await socket.recv())


async def until(socket: ClientConnection, caller: AudioHookCaller, kind: type) -> tuple[Any, bytes]:
    """The next message of a kind, and the audio before it."""
    heard = b""
    while not isinstance(message := await next_message(socket, caller), kind):
        heard += message.payload if isinstance(message, Audio) else b""
    return message, heard


async def take_leave(socket: ClientConnection, caller: AudioHookCaller) -> None:
    await socket.send(caller.closing())
    await until(socket, caller, Closed)
    await socket.close()


def loudest_hz(sound: bytes) -> float:
    pcm = to_pcm(sound, PHONE).astype(np.float64)
    return float(np.abs(np.fft.rfft(pcm)).argmax() * PHONE.rate_hz / len(pcm))


async def test_a_whole_call(serve: Serve) -> None:
    agent = Agent("desk", greeting="Hello {{ caller_phone }}.")
    async with serve(agents=[agent]) as up:
        caller = genesys(phoneNumber="+15550100")
        async with dial(up, caller) as socket:
            assert socket.subprotocol == "audiohook-v2"
            await socket.send(caller.opening()[0])
            assert await next_message(socket, caller) == Accepted()
            greeting = b""
            while len(greeting) < 4000:  # 0.5 s: two messages of a quarter of a second
                message = await next_message(socket, caller)
                assert isinstance(message, Audio)
                assert len(message.payload) == 2000
                greeting += message.payload
            assert loudest_hz(greeting) == pytest.approx(TONE_HZ, abs=3)
            await socket.send(caller.control("ping"))
            assert await next_message(socket, caller) == Notice("pong")

            await asyncio.sleep(0.5)  # The greeting is being heard.
            for frame in [SPEECH] * 30 + [SILENCE] * 60:
                await socket.send(caller.media(frame) or b"")
                await asyncio.sleep(0.005)
            await socket.send(caller.dtmf("5"))
            answer, _ = await until(socket, caller, Audio)
            assert loudest_hz(answer.payload) == pytest.approx(TONE_HZ, abs=5)
            await take_leave(socket, caller)
        async with asyncio.timeout(10):
            await up.board.all_over()
        assert up.board.metrics.calls_ended == {"user_hangup": 1}
        assert up.board.metrics.turns >= 1
        assert up.board.metrics.traffic.frames_malformed == 0
        assert not up.board.metrics.errors


async def test_a_barge_in_is_told_and_stops_the_sound(serve: Serve) -> None:
    models = replace(scripted_models(), tts=ScriptedTTS(seconds=6.0))
    async with serve(models=models, agents=[Agent("desk", greeting="A long story.")]) as up:
        caller = genesys()
        async with dial(up, caller) as socket:
            await socket.send(caller.opening()[0])
            await until(socket, caller, Audio)
            await asyncio.sleep(0.7)
            for _ in range(60):
                await socket.send(caller.media(SPEECH) or b"")
                await asyncio.sleep(0.02)
            _, heard = await until(socket, caller, Clear)
            assert len(heard) < 8000 * 3
            await take_leave(socket, caller)


async def test_the_agent_hangs_up_and_leaves_variables(serve: Serve) -> None:
    @tool(return_direct=True)
    async def end(order: str, context: ToolContext) -> str:
        """End the call."""
        context.state["order"] = order
        context.request("hang_up", {"after_speech": True})
        return "Goodbye."

    llm = ScriptedChatClient([Reply(calls=(tool_call("end", order="A7"),))])
    async with (
        serve(models=replace(scripted_models(), llm=llm), agents=[Agent("desk", tools=[end])]) as up,
        phone_call(f"ws://127.0.0.1:{up.port}{PATH}", key=KEY) as client,
    ):
        await client.say(to_pcm(SPEECH * 30, PHONE), 8_000)
        async with asyncio.timeout(20):
            await client.over.wait()
        assert client.ended_by_server == (1000, "completed")
        assert client.left == {"order": "A7"}


class NotingSTT(ScriptedSTT):
    """Notes in which language it is to listen."""

    def __init__(self) -> None:
        super().__init__(["Hola."])
        self.languages: list[str | None] = []

    def open(self, *args: Any, language: str | None = None, **options: Any) -> Any:
        self.languages.append(language)
        return super().open(*args, language=language, **options)


async def test_the_caller_is_heard_in_the_language_of_an_update(serve: Serve) -> None:
    stt = NotingSTT()
    async with serve(models=replace(scripted_models(), stt=stt), agents=[Agent("desk", language="en")]) as up:
        caller = genesys()
        async with dial(up, caller) as socket:
            await socket.send(caller.opening()[0])
            await until(socket, caller, Accepted)
            await socket.send(caller.control("update", language="es"))
            await until(socket, caller, Notice)
            for frame in [SPEECH] * 30 + [SILENCE] * 60:
                await socket.send(caller.media(frame) or b"")
                await asyncio.sleep(0.005)
            await until(socket, caller, Audio)
            await take_leave(socket, caller)
    assert stt.languages == ["en", "es"]


async def test_the_subprotocol_is_echoed_only_if_it_is_offered(serve: Serve) -> None:
    async with serve() as up:
        caller = genesys()
        async with phone(up, PATH, additional_headers={**caller.headers(), "X-API-KEY": KEY}) as socket:
            assert socket.subprotocol is None
            await socket.send(caller.opening()[0])
            assert await next_message(socket, caller) == Accepted()
            await take_leave(socket, caller)


async def test_a_connection_check_leaves_no_call(serve: Serve) -> None:
    async with serve() as up:
        caller = genesys(call_id=NO_CONVERSATION)
        async with dial(up, caller) as socket:
            await socket.send(caller.opening()[0])
            told = json.loads(await socket.recv())
            assert (told["type"], told["parameters"]) == ("opened", {"media": []})
            caller.receive(json.dumps(told))
            await take_leave(socket, caller)
        async with asyncio.timeout(10):
            await up.board.all_over()
        assert not up.board.metrics.calls_ended


@pytest.mark.parametrize("bad", ["42", "[1]", "{", "x" * 70_000, "wrong number", "wrong id"])
async def test_what_breaks_the_protocol_ends_the_session_in_its_words(serve: Serve, bad: str) -> None:
    async with serve() as up:
        caller = genesys()
        async with dial(up, caller) as socket:
            await socket.send(caller.opening()[0])
            await until(socket, caller, Accepted)
            good = json.loads(AudioHookCaller("5f1c-session", "c").control("ping"))
            wrong = {"wrong number": {**good, "seq": 9}, "wrong id": {**good, "seq": 2, "id": "x"}}
            await socket.send(json.dumps(wrong[bad]) if bad in wrong else bad)
            ending, _ = await until(socket, caller, Ending)
            assert ending.reason == "error"
            await take_leave(socket, caller)
        async with asyncio.timeout(10):
            await up.board.all_over()
        assert up.board.metrics.calls_ended == {"error": 1}


async def refusal(socket: ClientConnection, caller: AudioHookCaller) -> str:
    """Begin, be refused and take leave; gives the reason."""
    await socket.send(caller.opening()[0])
    ending = await next_message(socket, caller)
    assert isinstance(ending, Ending)
    await socket.send(caller.closing())
    assert await next_message(socket, caller) == Closed()
    await socket.close()
    return ending.reason


@pytest.mark.parametrize("call_id", ["9e-conversation", NO_CONVERSATION])
async def test_a_wrong_key_is_refused_in_the_protocols_words_after_half_a_second(serve: Serve, call_id: str) -> None:
    async with serve(max_calls=1) as up:
        caller = genesys(call_id=call_id)
        began = time.monotonic()
        async with dial(up, caller, key="wrong") as socket:
            assert await refusal(socket, caller) == "unauthorized"
            assert time.monotonic() - began > 0.5
            assert up.board.admission.live == 0
        assert up.board.metrics.refused["unauthorized"] == 1


async def test_without_a_key_the_upgrade_is_refused(serve: Serve) -> None:
    async with serve() as up:
        assert (await refused(dial(up, genesys(), key=None))).status_code == 401


async def test_the_organization_must_be_that_of_the_upgrade(serve: Serve) -> None:
    async with serve() as up:
        caller = genesys()
        async with dial(up, caller, **{"Audiohook-Organization-Id": "another"}) as socket:
            assert await refusal(socket, caller) == "unauthorized"
        assert not up.board.metrics.calls_ended


def signature(up: Running, caller: AudioHookCaller, key: str, *, age_s: int = 0) -> dict[str, str]:
    parts = {name.lower(): text for name, text in caller.headers().items()}
    parts |= {"x-api-key": key, "@request-target": PATH, "@authority": f"127.0.0.1:{up.port}"}
    covered = " ".join(f'"{name}"' for name in AUDIOHOOK_SIGNED)
    created = int(time.time()) - age_s
    told = f'({covered});keyid="{key}";nonce="{"n" * 22}";alg="hmac-sha256";created={created}'
    base = audiohook_base(parts, AUDIOHOOK_SIGNED, told)
    mac = base64.b64encode(hmac.new(base64.b64decode(SECRET), base.encode(), hashlib.sha256).digest()).decode()
    return {"Signature": f"sig1=:{mac}:", "Signature-Input": f"sig1={told}"}


async def test_a_key_with_a_secret_opens_only_signed_requests(serve: Serve) -> None:
    async with serve(audiohook_secrets=f"hook:{SECRET},{KEY}:{SECRET}") as up:
        for key in ("hook", KEY):
            caller = genesys()
            async with dial(up, caller, key, **signature(up, caller, key)) as socket:
                await socket.send(caller.opening()[0])
                assert await next_message(socket, caller) == Accepted()
                await take_leave(socket, caller)
        used = signature(up, genesys(), "hook")
        async with dial(up, genesys(), "hook", **used) as socket:
            pass
        for headers in (
            {},
            used,
            signature(up, genesys(), "hook", age_s=60),
            signature(up, genesys(), KEY),
            {**signature(up, genesys(), "hook"), "Audiohook-Correlation-Id": "other"},
        ):
            caller = genesys()
            async with dial(up, caller, "hook", **headers) as socket:
                await socket.send(caller.opening()[0])
                told = json.loads(await socket.recv())
                assert (told["type"], told["parameters"]["reason"]) == ("disconnect", "unauthorized")


async def test_a_client_that_vanishes_gives_its_slot_back(serve: Serve) -> None:
    async with serve() as up:
        caller = genesys()
        async with dial(up, caller) as socket:
            await socket.send(caller.opening()[0])
            await until(socket, caller, Audio)
            socket.transport.abort()
        async with asyncio.timeout(3):  # Nobody waits for a carrier that is gone.
            await up.board.all_over()
        with pytest.raises(ConnectionClosed):
            await socket.recv()
