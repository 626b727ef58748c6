"""Vendors that speak, as their documented protocols say: Azure, OpenAI, ElevenLabs, Cartesia."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request as Handshake

from antiphon.models.tts.azure import AzureTTS
from antiphon.models.tts.cartesia import CartesiaTTS
from antiphon.models.tts.contract import TTS
from antiphon.models.tts.elevenlabs import ElevenLabsTTS
from antiphon.models.tts.openai import OpenAITTS
from tests.models.vendors.http import END, Request, Write, chunked, http_server, response, stream_head
from tests.models.vendors.sockets import socket_server
from tests.models.vendors.sound import CHAR_MS, KEY, Fault, sound_of


@dataclass
class Asked:
    """What a clause was asked with."""

    text: str
    voice: str
    model: str
    language: str | None = None
    speed: float | None = None


@dataclass
class SpeakingVendor:
    """What a vendor saw, and what it is to do wrong, clause by clause."""

    url: str = ""
    faults: list[Fault | None] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    pieces: int = 0
    pause_s: float = 0.0
    """Between two pieces of sound."""
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    """A client wants no more of a clause that is being spoken."""

    def fault(self) -> Fault | None:
        return self.faults.pop(0) if self.faults else None

    async def pieces_of(self, text: str) -> AsyncIterator[str]:
        """A text in pieces of three characters, so that words and samples lie over borders."""
        for start in range(0, len(text), 3):
            if start:
                await asyncio.sleep(self.pause_s)
            self.pieces += 1
            yield text[start : start + 3]


REFUSALS: dict[str, dict[str, Any]] = {
    "400": {"error": {"message": "There is no such voice.", "code": "invalid_voice"}},
    "401": {"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}},
    "429": {"error": {"message": "Rate limit reached.", "code": "rate_limit_exceeded"}},
    "500": {"error": {"message": "The server had an error.", "type": "server_error"}},
}


@asynccontextmanager
async def openai(**settings: Any) -> AsyncIterator[tuple[TTS, SpeakingVendor]]:
    vendor = SpeakingVendor()

    async def speak(request: Request, write: Write) -> None:
        assert request.path == "/v1/audio/speech"
        assert request.headers["authorization"] == f"Bearer {KEY}"
        body = request.json
        assert body["response_format"] == "pcm"
        vendor.asked.append(Asked(body["input"], body["voice"], body["model"], speed=body.get("speed")))
        fault = vendor.fault()
        if fault in REFUSALS:
            headers = {"retry_after": "7"} if fault == "429" else {}
            await write(response(int(fault), json.dumps(REFUSALS[fault]).encode(), **headers))
            return
        if fault == "garbage":
            await write(response(200, b"<html>A proxy speaks.</html>", "text/html"))
            return
        await write(stream_head("audio/pcm"))
        if fault == "silent":
            await asyncio.Event().wait()
        async for piece in vendor.pieces_of(body["input"]):
            data = sound_of(piece).tobytes()
            await write(chunked(data[:101]) + chunked(data[101:]))  # a sample is split
            if fault == "drop":
                return
            if fault == "stall":
                await asyncio.Event().wait()
        await write(END)

    async with http_server(speak, vendor.stopped.set) as vendor.url:
        tts = OpenAITTS("gpt-4o-mini-tts", api_key=KEY, base_url=vendor.url, **settings)
        try:
            yield tts, vendor
        finally:
            await tts.aclose()


@asynccontextmanager
async def elevenlabs(**settings: Any) -> AsyncIterator[tuple[TTS, SpeakingVendor]]:
    vendor = SpeakingVendor()

    def refuse(request: Handshake) -> tuple[int, dict[str, Any]] | None:
        vendor.connections += 1
        assert request.headers["xi-api-key"] == KEY
        if vendor.faults[:1] not in (["401"], ["429"], ["500"]):
            return None
        status = vendor.faults[0] or ""
        return int(status), {"detail": {"status": "x", "message": REFUSALS[status]["error"]["message"]}}

    async def converse(connection: ServerConnection) -> None:
        assert connection.request is not None
        parts = urlsplit(connection.request.path)
        query = parse_qs(parts.query)
        assert query["output_format"] == ["pcm_24000"]
        opening = json.loads(await connection.recv())
        assert opening["text"] == " "
        said = json.loads(await connection.recv())
        assert said["text"].endswith(" ")
        assert json.loads(await connection.recv()) == {"text": ""}
        speed = opening.get("voice_settings", {}).get("speed")
        language = query.get("language_code", [None])[0]
        voice, model = parts.path.split("/")[3], query["model_id"][0]
        vendor.asked.append(Asked(said["text"].rstrip(), voice, model, language, speed))
        fault = vendor.fault()
        if fault == "400":
            error = {"message": "There is no such voice.", "error": "voice_id_does_not_exist", "code": 1008}
            await connection.send(json.dumps(error))
            await connection.close(1008, "There is no such voice.")
            return
        if fault == "silent":
            await connection.wait_closed()
            return
        leaving = asyncio.create_task(connection.wait_closed())
        speaking = asyncio.create_task(_eleven_speaks(vendor, connection, said["text"].rstrip(), fault))
        await asyncio.wait([leaving, speaking], return_when=asyncio.FIRST_COMPLETED)
        if not speaking.done():
            vendor.stopped.set()
            speaking.cancel()
        leaving.cancel()
        await asyncio.gather(speaking, leaving, return_exceptions=True)

    async with socket_server(refuse, converse, "/v1") as vendor.url:
        tts = ElevenLabsTTS("eleven_flash_v2_5", api_key=KEY, base_url=vendor.url, **settings)
        try:
            yield tts, vendor
        finally:
            await tts.aclose()


async def _eleven_speaks(vendor: SpeakingVendor, connection: ServerConnection, text: str, fault: Fault | None) -> None:
    async for piece in vendor.pieces_of(text):
        alignment = {
            "chars": list(piece),
            "charStartTimesMs": [index * CHAR_MS for index in range(len(piece))],
            "charDurationsMs": [CHAR_MS] * len(piece),
        }
        audio = base64.b64encode(sound_of(piece).tobytes()).decode()
        message = {"audio": audio, "isFinal": None, "alignment": alignment, "normalizedAlignment": alignment}
        await connection.send("{not json" if fault == "garbage" else json.dumps(message))
        if fault == "drop":
            connection.transport.abort()
            return
        if fault == "stall":
            await asyncio.Event().wait()
    await connection.send(json.dumps({"audio": None, "isFinal": True, "alignment": None}))
    await connection.close()


@asynccontextmanager
async def cartesia(**settings: Any) -> AsyncIterator[tuple[TTS, SpeakingVendor]]:
    vendor = SpeakingVendor()

    def refuse(request: Handshake) -> tuple[int, dict[str, Any]] | None:
        vendor.connections += 1
        assert request.headers["x-api-key"] == KEY
        assert parse_qs(urlsplit(request.path).query)["cartesia_version"]
        if vendor.faults[:1] not in (["401"], ["429"]):
            return None
        status = vendor.faults[0] or ""
        return int(status), {"title": "Refused", "message": REFUSALS[status]["error"]["message"]}

    async def converse(connection: ServerConnection) -> None:
        contexts: dict[str, asyncio.Task[None]] = {}
        try:
            async for frame in connection:
                message = json.loads(frame)
                context = message["context_id"]
                if message.get("cancel"):
                    if not contexts[context].done():
                        vendor.stopped.set()
                        contexts[context].cancel()
                    continue
                contexts[context] = asyncio.create_task(_cartesia_speaks(vendor, connection, message))
        finally:
            if any(not task.done() for task in contexts.values()):
                vendor.stopped.set()
            for task in contexts.values():
                task.cancel()
            await asyncio.gather(*contexts.values(), return_exceptions=True)

    async with socket_server(refuse, converse, "") as vendor.url:
        tts = CartesiaTTS("sonic-3", api_key=KEY, base_url=vendor.url, **settings)
        try:
            yield tts, vendor
        finally:
            await tts.aclose()


async def _cartesia_speaks(vendor: SpeakingVendor, connection: ServerConnection, message: dict[str, Any]) -> None:
    assert message["output_format"] == {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24_000}
    assert message["add_timestamps"] is True
    text, context = message["transcript"], message["context_id"]
    speed = message.get("generation_config", {}).get("speed")
    vendor.asked.append(Asked(text, message["voice"]["id"], message["model_id"], message.get("language"), speed))

    async def send(**fields: Any) -> None:
        await connection.send(json.dumps({"context_id": context, "done": False, "status_code": 206, **fields}))

    fault = vendor.fault()
    if fault in ("400", "500"):
        refused = {"title": "Refused", "message": REFUSALS[fault]["error"]["message"], "status_code": int(fault)}
        await send(type="error", **{**refused, "done": True})
        return
    if fault == "silent":
        await asyncio.Event().wait()
    words = text.split()
    ends = []
    at = 0
    for word in words:
        at = text.index(word, at) + len(word)
        ends.append(at * CHAR_MS / 1000)
    async for piece in vendor.pieces_of(text):
        if fault == "garbage":
            await connection.send("{not json")
        await send(type="chunk", data=base64.b64encode(sound_of(piece).tobytes()).decode(), step_time=1)
        if fault == "drop":
            connection.transport.abort()
            return
        if fault == "stall":
            await asyncio.Event().wait()
    bare = [word.rstrip(",.!?") for word in words]
    await send(type="timestamps", word_timestamps={"words": bare, "start": [0.0] * len(words), "end": ends})
    await send(type="done", done=True)


@asynccontextmanager
async def azure(**settings: Any) -> AsyncIterator[tuple[TTS, SpeakingVendor]]:
    vendor = SpeakingVendor()

    async def speak(request: Request, write: Write) -> None:
        assert request.path == "/v1/cognitiveservices/v1"
        assert request.headers["ocp-apim-subscription-key"] == KEY
        assert request.headers["x-microsoft-outputformat"] == "raw-24khz-16bit-mono-pcm"
        assert request.headers["content-type"] == "application/ssml+xml"
        asked = read_ssml(request.body)
        vendor.asked.append(asked)
        fault = vendor.fault()
        if fault in REFUSALS:
            headers = {"retry_after": "7"} if fault == "429" else {}
            await write(response(int(fault), b"", **headers))
            return
        if fault == "garbage":
            await write(response(200, b"<html>A proxy speaks.</html>", "text/html"))
            return
        await write(stream_head("audio/basic"))
        if fault == "silent":
            await asyncio.Event().wait()
        async for piece in vendor.pieces_of(asked.text):
            await write(chunked(sound_of(piece).tobytes()))
            if fault == "drop":
                return
            if fault == "stall":
                await asyncio.Event().wait()
        await write(END)

    async with http_server(speak, vendor.stopped.set) as vendor.url:
        tts = AzureTTS("en-US-AvaMultilingualNeural", api_key=KEY, base_url=vendor.url, **settings)
        try:
            yield tts, vendor
        finally:
            await tts.aclose()


def read_ssml(body: bytes) -> Asked:
    space = "{http://www.w3.org/2001/10/synthesis}"
    xml_lang = "{http://www.w3.org/XML/1998/namespace}lang"
    root = ElementTree.fromstring(body)
    assert root.tag == f"{space}speak"
    (voice,) = root
    prosody, lang = voice.find(f".//{space}prosody"), voice.find(f"{space}lang")
    speed = 1 + int(prosody.attrib["rate"].rstrip("%")) / 100 if prosody is not None else None
    language = lang.attrib[xml_lang] if lang is not None else None
    return Asked("".join(voice.itertext()), voice.attrib["name"], "en-US-AvaMultilingualNeural", language, speed)


Serving = Callable[..., AbstractAsyncContextManager[tuple[Any, SpeakingVendor]]]
VENDORS: dict[str, Serving] = {"azure": azure, "openai": openai, "elevenlabs": elevenlabs, "cartesia": cartesia}
