"""What may be heard in a live call, and whether it is kept, over REST: a real server, a real phone socket."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from antiphon.agents.agent import Agent
from antiphon.agents.background import BackgroundSound
from antiphon.audio.g711 import decode_mulaw
from antiphon.audio.tones import sine
from antiphon.audio.wav import write_wav
from antiphon.errors import AudioError, ConfigurationError
from antiphon.server.run import Running
from tests.server.harness import HEADERS, SILENCE, Serve, phone, start_stream, until

TONE_HZ = 620.0


@pytest.fixture
def audio(tmp_path: Path) -> str:
    """A second of a tone, as REST takes it."""
    path = tmp_path / "tone.wav"
    write_wav(path, sine(TONE_HZ, 1000, amplitude=0.3), 8_000)
    return base64.b64encode(path.read_bytes()).decode()


class Ear:
    """A caller who says nothing and keeps what is heard."""

    def __init__(self) -> None:
        self.sound = b""

    async def listen(self, socket: Any) -> None:
        async for message in socket:
            event = json.loads(message)
            if event["event"] == "media":
                self.sound += base64.b64decode(event["media"]["payload"])

    def level(self, hz: float, last: int = 4_000) -> float:
        pcm = decode_mulaw(self.sound[-last:] or SILENCE)
        return float(2 * abs(np.mean(pcm * np.exp(-2j * np.pi * hz / 8_000 * np.arange(len(pcm))))) / 32768)


@asynccontextmanager
async def a_call(up: Running) -> AsyncIterator[tuple[httpx.AsyncClient, Ear]]:
    """A call whose routes the client reaches below its base."""
    ear = Ear()
    async with asyncio.timeout(40), phone(up) as socket, asyncio.TaskGroup() as tasks:
        caller = await start_stream(socket)
        tasks.create_task(ear.listen(socket))
        stop = asyncio.Event()

        async def be_silent() -> None:
            while not stop.is_set():
                await socket.send(caller.media(SILENCE))
                await asyncio.sleep(0.02)

        silent = tasks.create_task(be_silent())
        base = f"http://127.0.0.1:{up.port}/v1/calls"
        async with httpx.AsyncClient(headers=HEADERS) as http:
            while not (calls := (await http.get(base)).json()["calls"]):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            http.base_url = httpx.URL(f"{base}/{calls[0]['id']}")
            yield http, ear
        stop.set()
        await silent
        await socket.close()


def told(tmp_path: Path, kind: str) -> list[dict[str, Any]]:
    (log,) = tmp_path.glob("calls/*/*/log.jsonl")
    return [entry for line in log.read_text().splitlines() if (entry := json.loads(line))["type"] == kind]


async def test_sounds_are_played_laid_and_taken_away(serve: Serve, tmp_path: Path, audio: str) -> None:
    async with serve(agents=[Agent("desk")], keep_files=True) as up:
        async with a_call(up) as (http, ear):
            answer = await http.post("/background", json={"audio": audio, "volume": 0.5})
            assert answer.status_code == 202
            await until(lambda: ear.level(TONE_HZ) > 0.13)
            assert (await http.post("/hold")).json()["on_hold"] is True
            await until(lambda: ear.level(TONE_HZ) < 0.03)
            assert (await http.post("/resume")).json()["on_hold"] is False
            await until(lambda: ear.level(TONE_HZ) > 0.13)
            assert (await http.delete("/background")).status_code == 202
            played = await http.post("/play", json={"audio": audio, "text": "A chime."})
            assert played.json()["play"] == 1
            await until(lambda: ear.level(TONE_HZ, 6_000) > 0.28)
            assert (await http.post("/play", json={"sound": "typing-short", "interruptible": False})).json()[
                "play"
            ] == 2
        await up.board.all_over()
    assert len(told(tmp_path, "call.held")) == len(told(tmp_path, "call.resumed")) == 1
    assert sorted(entry["play"] for entry in told(tmp_path, "play.completed")) == [1, 2]


async def test_a_recording_is_paused_and_goes_on(serve: Serve, tmp_path: Path) -> None:
    async with serve(agents=[Agent("desk")], keep_files=True, record=True) as up:
        async with a_call(up) as (http, _):
            paused = await http.post("/recording", json={"action": "pause"})
            assert (paused.status_code, paused.json()["paused"]) == (200, True)
            assert (await http.post("/recording", json={"action": "resume"})).json()["paused"] is False
        await up.board.all_over()
    assert [entry["by"] for entry in told(tmp_path, "recording.paused")] == ["api"]
    assert len(told(tmp_path, "recording.resumed")) == 1


async def test_what_cannot_be_is_refused_with_the_reason(serve: Serve, tmp_path: Path, audio: str) -> None:
    (tmp_path / "secret.wav").write_bytes(base64.b64decode(audio))
    async with serve(agents=[Agent("desk")]) as up, a_call(up) as (http, ear):
        for path, body, status in (
            ("/play", {"sound": "jazz"}, 422),
            ("/play", {"sound": str(tmp_path / "secret.wav")}, 422),
            ("/play", {}, 422),
            ("/play", {"sound": "hold", "audio": audio}, 422),
            ("/play", {"audio": "not Base64!"}, 422),
            ("/background", {"sound": "office", "volume": 2}, 422),
            ("/background", {"sound": "office", "loudness": 1}, 422),
            ("/recording", {"action": "stop"}, 422),
            ("/recording", {"action": "pause"}, 409),
        ):
            assert (await http.post(path, json=body)).status_code == status, (path, body)
        assert "not recorded" in (await http.post("/recording", json={"action": "pause"})).json()["detail"]
        assert (await http.post("/hold", headers={"Authorization": "Bearer wrong"})).status_code == 401
        assert (await http.post(f"http://127.0.0.1:{up.port}/v1/calls/none/hold")).status_code == 404
        assert ear.sound == b""


async def test_a_background_that_is_not_there_keeps_the_server_from_starting(serve: Serve, tmp_path: Path) -> None:
    desk = Agent("desk", background=BackgroundSound(tmp_path / "none.wav"))
    with pytest.raises(ConfigurationError, match=r"The background 'none.wav' cannot be loaded"):
        async with serve(agents=[desk]):
            pass
    with pytest.raises(AudioError, match="There is no sound 'jazz'"):
        async with serve(agents=[Agent("desk", background=BackgroundSound("jazz"))]):
            pass
