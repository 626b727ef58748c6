"""A real server on a free port of this machine, with scripted models, and a real WebSocket client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from antiphon.agents.agent import Agent
from antiphon.audio.convert import from_pcm
from antiphon.audio.formats import PHONE
from antiphon.audio.tones import sine
from antiphon.models.catalog import Models
from antiphon.models.llm.scripted import ScriptedChatClient
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.models.vad.energy import EnergyVAD
from antiphon.server.agents import AgentBook
from antiphon.server.run import Running, running
from antiphon.settings import Settings
from antiphon.wire.caller import MediaCaller
from antiphon.wire.table import CALLERS

KEY = "test-key"
HEADERS = {"Authorization": f"Bearer {KEY}"}
SPEECH = from_pcm(sine(220, 20, rate_hz=8_000, amplitude=0.3), PHONE)
SILENCE = b"\xff" * 160


def scripted_models() -> Models:
    return Models(
        vad=EnergyVAD(),
        stt=ScriptedSTT(["Hello there."]),
        llm=ScriptedChatClient(lambda _messages, _options: "Good morning to you."),
        tts=ScriptedTTS(seconds=0.5),
        turn=None,
    )


@asynccontextmanager
async def server(
    tmp_path: Path,
    *,
    agents: list[Agent] | None = None,
    book: AgentBook | None = None,
    models: Models | None = None,
    keep_files: bool = False,
    **settings: Any,
) -> AsyncIterator[Running]:
    options = {"port": 0, "api_keys": KEY, "data_dir": tmp_path, "max_loop_lag_ms": 10_000, **settings}
    book = book or AgentBook(agents or [Agent("desk", greeting="Hello.")])
    async with running(
        book, Settings(_env_file=None, **options), models=models or scripted_models(), keep_files=keep_files
    ) as up:
        yield up


Serve = Callable[..., AbstractAsyncContextManager[Running]]


def phone(up: Running, path: str = "/telephony/twilio", **options: Any) -> connect:
    options = {"additional_headers": HEADERS, "compression": None, "proxy": None, **options}
    return connect(f"ws://127.0.0.1:{up.port}{path}", **options)


async def start_stream(
    socket: ClientConnection, call_id: str = "CA1", carrier: str = "twilio", **parameters: str
) -> MediaCaller:
    caller = CALLERS[carrier]("MZ1", call_id, parameters)
    for message in caller.opening():
        await socket.send(message)
    return caller


async def next_event(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await socket.recv())
    return message


async def close_code(socket: ClientConnection) -> int:
    """Read until the server closes; 1006 when it does so without a code."""
    try:
        while True:
            await socket.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else 1006


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that tells nobody when it happens."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def until_draining(port: int) -> None:
    """Wait until a server in another process takes no more calls."""
    async with asyncio.timeout(20), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        while (await http.get("/ready")).status_code != 503:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
