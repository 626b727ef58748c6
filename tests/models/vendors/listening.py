"""Vendors that listen, as their documented protocols say: Azure, Deepgram, OpenAI."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request as Handshake

from antiphon.audio.wav import read_wav
from antiphon.models.stt.azure import AzureSTT
from antiphon.models.stt.azure_fast import AzureFastSTT
from antiphon.models.stt.contract import STT
from antiphon.models.stt.deepgram import DeepgramSTT
from antiphon.models.stt.openai import OpenAISTT
from tests.models.vendors.http import END, Request, Write, chunked, http_server, response, stream_head
from tests.models.vendors.sockets import socket_server
from tests.models.vendors.sound import KEY, Fault, heard
from tests.models.vendors.speaking import REFUSALS

INTERIM_S = 0.2
SEGMENT_S = 3.0


@dataclass
class ListeningVendor:
    """What a vendor saw, and what it is to do wrong, utterance by utterance."""

    url: str = ""
    faults: list[Fault | None] = field(default_factory=list)
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    """The parameters of each connection or request."""
    commands: list[str] = field(default_factory=list)
    seconds: float = 0.0
    """Sound that came."""
    connections: int = 0
    live: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """A client has closed its connection, or given up its request."""

    def fault(self) -> Fault | None:
        return self.faults.pop(0) if self.faults else None


@asynccontextmanager
async def deepgram(**settings: Any) -> AsyncIterator[tuple[STT, ListeningVendor]]:
    vendor = ListeningVendor()

    def refuse(request: Handshake) -> tuple[int, dict[str, Any]] | None:
        vendor.connections += 1
        assert request.headers["authorization"] == f"Token {KEY}"
        vendor.asked.append(parse_qs(urlsplit(request.path).query))
        if vendor.faults[:1] not in (["400"], ["401"], ["429"], ["500"]):
            return None
        status = vendor.faults[0] or ""
        return int(status), {"err_code": "X", "err_msg": REFUSALS[status]["error"]["message"], "request_id": "r1"}

    async def converse(connection: ServerConnection) -> None:
        assert connection.request is not None
        query = parse_qs(urlsplit(connection.request.path).query)
        assert query["encoding"] == ["linear16"]
        vendor.live += 1
        try:
            await Deepgram(vendor, connection, int(query["sample_rate"][0])).converse()
        finally:
            vendor.live -= 1
            vendor.left.set()

    async with socket_server(refuse, converse, "/v1") as vendor.url:
        stt = DeepgramSTT("nova-3", api_key=KEY, base_url=vendor.url, **settings)
        try:
            yield stt, vendor
        finally:
            await stt.aclose()


class Deepgram:
    """One live connection."""

    def __init__(self, vendor: ListeningVendor, connection: ServerConnection, rate_hz: int) -> None:
        self.vendor = vendor
        self.connection = connection
        self.rate_hz = rate_hz
        self.sound = b""  # of the segment whose words may still change
        self.start = 0  # where that is, in samples
        self.told = 0
        self.fault: Fault | None = None

    async def converse(self) -> None:
        async for frame in self.connection:
            if isinstance(frame, bytes):
                await self.hear(frame)
                continue
            command = json.loads(frame)["type"]
            self.vendor.commands.append(command)
            if command == "Finalize":
                await self.finalize()
            elif command == "CloseStream":
                await self.connection.send(json.dumps({"type": "Metadata", "request_id": "r1", "duration": 0.0}))
                return

    async def hear(self, frame: bytes) -> None:
        assert frame
        if not self.sound:
            self.fault = self.vendor.fault()
        self.sound += frame
        samples = len(self.sound) // 2
        self.vendor.seconds += len(frame) / 2 / self.rate_hz
        if self.fault in ("silent", "stall"):
            return
        if samples >= SEGMENT_S * self.rate_hz:
            await self.tell(is_final=True)
        elif samples - self.told >= INTERIM_S * self.rate_hz:
            self.told = samples
            await self.tell(is_final=False)

    async def finalize(self) -> None:
        if self.fault == "drop":
            self.connection.transport.abort()
        elif self.fault == "garbage":
            await self.connection.send("{not json")
        elif self.fault is None and self.sound:
            await self.tell(is_final=True, from_finalize=True)

    async def tell(self, *, is_final: bool, from_finalize: bool = False) -> None:
        samples = len(self.sound) // 2
        text = heard(np.frombuffer(self.sound, "<i2"))
        best = {"transcript": text, "confidence": 0.9 if text else 0.0, "words": [], "languages": ["en"]}
        result = {
            "type": "Results",
            "channel_index": [0, 1],
            "start": round(self.start / self.rate_hz, 2),
            "duration": round(samples / self.rate_hz, 2),
            "is_final": is_final,
            "speech_final": False,
            "from_finalize": from_finalize,
            "channel": {"alternatives": [best]},
        }
        await self.connection.send(json.dumps(result))
        if is_final:
            self.start += samples
            self.sound = b""
            self.told = 0


@asynccontextmanager
async def openai(**settings: Any) -> AsyncIterator[tuple[STT, ListeningVendor]]:
    vendor = ListeningVendor()

    async def listen(request: Request, write: Write) -> None:
        assert request.path == "/v1/audio/transcriptions"
        assert request.headers["authorization"] == f"Bearer {KEY}"
        vendor.connections += 1
        names = ("model", "language", "prompt", "stream", "response_format")
        fields = {name: [value.decode()] for name in names if (value := request.field(name)) is not None}
        pcm, rate_hz = read_wav(BytesIO(request.field("file") or b""))
        vendor.asked.append({**fields, "sample_rate": [str(rate_hz)]})
        vendor.seconds += len(pcm) / rate_hz
        fault = vendor.fault()
        if fault in REFUSALS:
            await write(response(int(fault), json.dumps(REFUSALS[fault]).encode()))
        elif fault == "silent":
            await asyncio.Event().wait()
        elif fault == "garbage":
            await write(response(200, b"<html>A proxy listens.</html>", "text/html"))
        else:
            await stream(write, heard(pcm), fault)

    async with http_server(listen, vendor.left.set) as vendor.url:
        stt = OpenAISTT("gpt-4o-mini-transcribe", api_key=KEY, base_url=vendor.url, **settings)
        try:
            yield stt, vendor
        finally:
            await stt.aclose()


async def stream(write: Write, text: str, fault: Fault | None) -> None:
    await write(stream_head("text/event-stream"))
    for word in text.split() or [""]:
        await write(chunked(_event({"type": "transcript.text.delta", "delta": word + " "})))
        if fault == "drop":
            return
        if fault == "stall":
            await asyncio.Event().wait()
    done = _event({"type": "transcript.text.done", "text": text, "usage": {"type": "tokens"}})
    await write(chunked(done[:9]) + chunked(done[9:]) + chunked(b"data: [DONE]\n\n") + END)


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


@asynccontextmanager
async def azure(**settings: Any) -> AsyncIterator[tuple[STT, ListeningVendor]]:
    vendor = ListeningVendor()

    async def listen(request: Request, write: Write) -> None:
        parts = urlsplit(request.path)
        assert parts.path == "/v1/speech/recognition/conversation/cognitiveservices/v1"
        assert request.headers["ocp-apim-subscription-key"] == KEY
        assert request.headers["content-type"] == "audio/wav; codecs=audio/pcm; samplerate=16000"
        pcm, rate_hz = read_wav(BytesIO(request.body))
        vendor.connections += 1
        vendor.asked.append({**parse_qs(parts.query), "sample_rate": [str(rate_hz)], "model": ["conversation"]})
        vendor.seconds += len(pcm) / rate_hz
        fault = vendor.fault()
        if fault in REFUSALS:
            await write(response(int(fault), json.dumps(REFUSALS[fault]).encode()))
        elif fault in ("silent", "stall"):
            await asyncio.Event().wait()
        elif fault == "garbage":
            await write(response(200, b"<html>A proxy listens.</html>", "text/html"))
        elif fault == "drop":
            await write(stream_head("application/json") + chunked(b'{"RecognitionStatus":'))
        else:
            await write(response(200, json.dumps(recognition(heard(pcm))).encode()))

    async with http_server(listen, vendor.left.set) as vendor.url:
        stt = AzureSTT("conversation", api_key=KEY, base_url=vendor.url, **settings)
        try:
            yield stt, vendor
        finally:
            await stt.aclose()


def recognition(text: str) -> dict[str, Any]:
    """What Azure answers in its detailed form."""
    if not text:
        return {"RecognitionStatus": "NoMatch", "Offset": 0, "Duration": 0}
    best = {"Confidence": 0.9, "Lexical": text, "ITN": text, "MaskedITN": text, "Display": text}
    return {"RecognitionStatus": "Success", "Offset": 0, "Duration": 1, "DisplayText": text, "NBest": [best]}


@asynccontextmanager
async def azure_fast(**settings: Any) -> AsyncIterator[tuple[STT, ListeningVendor]]:
    vendor = ListeningVendor()

    async def listen(request: Request, write: Write) -> None:
        assert request.path == "/v1/speechtotext/transcriptions:transcribe?api-version=2025-10-15"
        assert request.headers["ocp-apim-subscription-key"] == KEY
        definition = json.loads(request.field("definition") or b"")
        pcm, rate_hz = read_wav(BytesIO(request.field("audio") or b""))
        vendor.connections += 1
        named = {"language": definition.get("locales"), "phrases": definition.get("phraseList", {}).get("phrases")}
        asked = {name: value for name, value in named.items() if value is not None}
        vendor.asked.append({**asked, "sample_rate": [str(rate_hz)], "model": ["fast"]})
        vendor.seconds += len(pcm) / rate_hz
        fault = vendor.fault()
        if fault in REFUSALS:
            await write(response(int(fault), json.dumps(REFUSALS[fault]).encode()))
        elif fault in ("silent", "stall"):
            await asyncio.Event().wait()
        elif fault == "garbage":
            await write(response(200, b"<html>A proxy listens.</html>", "text/html"))
        elif fault == "drop":
            await write(stream_head("application/json") + chunked(b'{"durationMilliseconds":'))
        else:
            await write(response(200, json.dumps(transcription(heard(pcm))).encode()))

    async with http_server(listen, vendor.left.set) as vendor.url:
        stt = AzureFastSTT(api_key=KEY, base_url=vendor.url, **settings)
        try:
            yield stt, vendor
        finally:
            await stt.aclose()


def transcription(text: str) -> dict[str, Any]:
    """What Azure's fast transcription answers."""
    words = [{"text": word, "offsetMilliseconds": 0, "durationMilliseconds": 100} for word in text.split()]
    phrase = {"offsetMilliseconds": 0, "durationMilliseconds": 100, "text": text, "locale": "en-US", "confidence": 0.9}
    return {
        "durationMilliseconds": 100,
        "combinedPhrases": [{"text": text}],
        "phrases": [{**phrase, "words": words}] if text else [],
    }


Serving = Callable[..., AbstractAsyncContextManager[tuple[Any, ListeningVendor]]]
VENDORS: dict[str, Serving] = {"azure": azure, "azure fast": azure_fast, "deepgram": deepgram, "openai": openai}
IMPATIENT: dict[str, dict[str, float]] = {
    "azure": {"stall_s": 0.3},
    "azure fast": {"stall_s": 0.3},
    "deepgram": {"final_s": 0.3},
    "openai": {"stall_s": 0.3},
}
"""Settings with which a silent vendor is given up soon."""
