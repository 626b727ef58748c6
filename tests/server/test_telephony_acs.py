"""Azure Communication Services over real connections: a whole call, and who may open it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import jwt
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from websockets.asyncio.client import ClientConnection

from antiphon.agents.agent import Agent
from antiphon.audio.convert import from_pcm, to_pcm
from antiphon.audio.tones import sine
from antiphon.clock import WallClock
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.server.keyset import AGAIN_AFTER_S, KEEP_S, KeySet
from antiphon.server.run import Running
from antiphon.server.signatures import is_acs
from antiphon.transports.client import phone_call
from antiphon.wire.acs_caller import AcsCaller
from antiphon.wire.caller import Audio, Clear
from tests.server.harness import HEADERS, KEY, Serve, phone, scripted_models
from tests.server.test_telephony import refused

PATH = "/telephony/acs"
TONE_HZ = 440  # of the scripted voice
AUDIENCE = "5f1c0000-0000-4000-8000-000000000001"
ISSUER = "https://acscallautomation.communication.azure.com"
PRIVATE = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
pytestmark = pytest.mark.timeout(60)


async def hear(socket: ClientConnection, caller: AcsCaller, seconds: float) -> bytes:
    """So much audio of the agent."""
    heard = b""
    async with asyncio.timeout(10):
        while len(heard) < seconds * caller.audio.bytes_per_s:
            message = caller.receive(await socket.recv())
            assert isinstance(message, Audio)
            heard += message.payload
    return heard


@pytest.mark.parametrize(("rate_hz", "case"), [(16_000, "camel"), (24_000, "pascal")])
async def test_a_whole_call(serve: Serve, tmp_path: Path, rate_hz: int, case: str) -> None:
    async with serve(acs_case=case, keep_files=True) as up:
        caller = AcsCaller("subscription", "ignored", rate_hz=rate_hz)
        speech = from_pcm(sine(220, 20, rate_hz=rate_hz, amplitude=0.3), caller.audio)
        async with phone(up, f"{PATH}?call_connection_id=CC77&session_id=browser-1", max_queue=None) as socket:
            await socket.send(caller.opening()[0])
            first = json.loads(await socket.recv())
            assert ("kind" in first, "Kind" in first) == (case == "camel", case == "pascal")
            payload = caller.receive(json.dumps(first))
            assert isinstance(payload, Audio)
            assert len(payload.payload) == caller.audio.frame_bytes(20)
            pcm = to_pcm(payload.payload + await hear(socket, caller, 0.44), caller.audio)
            assert np.abs(np.fft.rfft(pcm)).argmax() * rate_hz / len(pcm) == pytest.approx(TONE_HZ, abs=3)

            await asyncio.sleep(0.5)  # The greeting is being heard.
            for frame in [speech] * 30 + [bytes(len(speech))] * 60:
                await socket.send(caller.media(frame))
                await asyncio.sleep(0.005)
            await hear(socket, caller, 0.1)
            await socket.send(caller.dtmf("5"))
        async with asyncio.timeout(10):
            await up.board.all_over()
        assert up.board.metrics.calls_ended == {"user_hangup": 1}
        assert up.board.metrics.turns >= 1
        assert up.board.metrics.traffic.frames_malformed == 0
        assert not up.board.metrics.errors
    (log_file,) = tmp_path.glob("calls/*/CC77/log.jsonl")  # noqa: ASYNC240
    events = [json.loads(line) for line in log_file.read_text().splitlines()]
    assert (events[0]["carrier"], events[0]["audio"]) == ("acs", f"pcm16/{rate_hz}")


async def test_a_turn_that_the_service_commits_is_answered_without_waiting(serve: Serve) -> None:
    policy = {"complete_delay_s": "30", "uncertain_delay_s": "30", "incomplete_delay_s": "30"}
    async with serve(agents=[Agent("desk")], turn_policy=policy) as up:
        caller = AcsCaller("subscription", "CC1")
        speech = from_pcm(sine(220, 20, rate_hz=16_000, amplitude=0.3), caller.audio)
        async with phone(up, PATH) as socket:
            await socket.send(caller.opening()[0])
            for frame in [speech] * 30 + [bytes(len(speech))] * 20:
                await socket.send(caller.media(frame))
                await asyncio.sleep(0.01)
            await socket.send('{"kind":"StopAudio"}')
            await hear(socket, caller, 0.1)


async def test_a_barge_in_drops_what_the_service_holds(serve: Serve) -> None:
    models = replace(scripted_models(), tts=ScriptedTTS(seconds=6.0))
    async with serve(models=models, agents=[Agent("desk", greeting="A long story.")]) as up:
        caller = AcsCaller("subscription", "CC1")
        speech = from_pcm(sine(220, 20, rate_hz=16_000, amplitude=0.3), caller.audio)
        async with phone(up, PATH) as socket, asyncio.timeout(10):
            await socket.send(caller.opening()[0])
            await hear(socket, caller, 0.7)
            for _ in range(60):
                await socket.send(caller.media(speech))
                await asyncio.sleep(0.02)
            while not isinstance(caller.receive(await socket.recv()), Clear):
                pass


async def test_the_phone_speaks_the_protocol(serve: Serve) -> None:
    async with serve() as up, phone_call(f"ws://127.0.0.1:{up.port}{PATH}", key=KEY) as client:
        assert client.rate_hz == 16_000
        assert await client.greeted(5)
        assert await client.agent_quiet(5, quiet_s=0.2)
        said = await client.say(sine(220, 600, rate_hz=8_000, amplitude=0.3), 8_000)
        assert await client.answer_begun(said, 10)


@pytest.mark.parametrize("bad", ["42", "[1]", "{", "x" * 70_000, b"\x00\xff"])
async def test_bad_frames_never_end_the_call(serve: Serve, bad: str | bytes) -> None:
    async with serve() as up, phone(up, PATH) as socket:
        caller = AcsCaller("subscription", "CC1")
        await socket.send(bad)
        await socket.send(caller.opening()[0])
        await socket.send(bad)
        await hear(socket, caller, 0.1)
        assert up.board.metrics.traffic.frames_malformed == 2
        assert up.board.admission.live == 1


async def test_a_webhook_is_not_this_carriers(serve: Serve) -> None:
    async with serve() as up, httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}") as http:
        for carrier in ("acs", "audiohook", "nobody"):
            assert (await http.post(f"/telephony/{carrier}/voice", headers=HEADERS)).status_code == 404


# The service's own tokens.


@dataclass
class Keys:
    """An address with a key set; counts who asks."""

    url: str = ""
    asked: int = 0
    body: bytes = b""


@asynccontextmanager
async def key_server() -> AsyncIterator[Keys]:
    keys = Keys()
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(PRIVATE.public_key()))
    keys.body = json.dumps({"keys": [{**jwk, "kid": "k1", "use": "sig", "alg": "RS256"}]}).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        keys.asked += 1
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(keys.body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + keys.body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        keys.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/calling/keys"
        yield keys


def token(*, key: Any = PRIVATE, kid: str | None = "k1", algorithm: str = "RS256", **changes: Any) -> str:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 300, **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


def dial(up: Running, bearer: str) -> Any:
    headers = {"Authorization": f"Bearer {bearer}", "x-ms-call-connection-id": "CC9"}
    return phone(up, PATH, additional_headers=headers)


BAD_TOKENS: dict[str, dict[str, Any]] = {
    "another audience": {"aud": "someone"},
    "no audience": {"aud": None},
    "another issuer": {"iss": "https://example.com"},
    "expired": {"exp": int(time.time()) - 3600},
    "for ever": {"exp": None},
    "another key": {"key": OTHER},
    "an unknown key": {"kid": "k2"},
    "no key": {"kid": None},
    "a shared secret": {"key": "x" * 64, "algorithm": "HS256"},
    "unsigned": {"key": None, "algorithm": "none"},
}


async def test_the_services_token_opens_the_socket_and_no_other_does(serve: Serve) -> None:
    async with key_server() as keys, serve(acs_audience=AUDIENCE, acs_keys_url=keys.url) as up:
        caller = AcsCaller("subscription", "CC9")
        for _ in range(2):
            async with dial(up, token()) as socket:
                await socket.send(caller.opening()[0])
                await hear(socket, caller, 0.02)
        for name, changes in BAD_TOKENS.items():
            assert (await refused(dial(up, token(**changes)))).status_code == 401, name
        for noise in ("", "a.b.c", "x" * 500):
            assert (await refused(dial(up, noise))).status_code == 401
        assert keys.asked == 1


async def test_without_an_audience_no_token_is_good(serve: Serve) -> None:
    async with key_server() as keys, serve(acs_keys_url=keys.url) as up:
        assert (await refused(dial(up, token()))).status_code == 401
        assert keys.asked == 0


async def test_keys_that_cannot_be_fetched_let_nobody_in(serve: Serve) -> None:
    async with serve(acs_audience=AUDIENCE, acs_keys_url="http://127.0.0.1:9/keys") as up:
        assert (await refused(dial(up, token()))).status_code == 401


class LateClock(WallClock):
    """Later than it is, by as much as a test wants."""

    late_s = 0.0

    def now(self) -> float:
        return super().now() + self.late_s


async def test_keys_are_kept_and_looked_for_again_in_measure() -> None:
    clock = LateClock()
    async with key_server() as keys:
        known = KeySet(keys.url, clock)
        first = await known.key_of(token())
        assert first is not None
        assert is_acs(token(), first, issuer=ISSUER, audience=AUDIENCE)
        await asyncio.gather(*(known.key_of(token(kid=f"x{at}")) for at in range(20)))
        assert keys.asked == 1
        clock.late_s += AGAIN_AFTER_S + 1
        assert await known.key_of(token(kid="k2")) is None
        assert keys.asked == 2
        keys.body = b"not a key set"
        clock.late_s += KEEP_S + 1
        assert await known.key_of(token()) is not None  # The old ones are better than none.
        assert keys.asked == 3
