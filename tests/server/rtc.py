"""A client of WebRTC calls: a real peer on this machine, whose microphone can be told to hum."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import httpx
import numpy as np
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCRtpCodecCapability, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, AudioResampler
from numpy.typing import NDArray

from tests.server.harness import HEADERS, Running

MICROPHONE_HZ = 48_000
HEARD_HZ = 24_000
HUM_HZ = 220.0
_FRAME = MICROPHONE_HZ // 50


class Microphone(MediaStreamTrack):
    """Silence, and a hum of 220 Hz while ``hums``."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.hums = False
        self._frames = 0
        self._begun: float | None = None

    async def recv(self) -> AudioFrame:
        if self._begun is None:
            self._begun = time.monotonic()
        await asyncio.sleep(max(0.0, self._begun + self._frames * 0.02 - time.monotonic()))
        at = self._frames * _FRAME
        wave = 9_000 * np.sin(2 * np.pi * HUM_HZ * (at + np.arange(_FRAME)) / MICROPHONE_HZ)
        frame = AudioFrame(format="s16", layout="mono", samples=_FRAME)
        frame.planes[0].update((wave if self.hums else np.zeros(_FRAME)).astype(np.int16).tobytes())
        frame.sample_rate = MICROPHONE_HZ
        frame.time_base = Fraction(1, MICROPHONE_HZ)
        frame.pts = at
        self._frames += 1
        return frame


class RtcClient:
    """One call, from the client's side.

    Attributes:
        got: The server's events, in order.
        microphone: What it says.
        location: The call's address, when it was answered.
    """

    def __init__(self, up: Running, *, codecs: Sequence[str] = (), label: str | None = "oai-events") -> None:
        self.got: list[dict[str, Any]] = []
        self.microphone = Microphone()
        self.location = ""
        self.closed = asyncio.Event()
        self._up = up
        self._arrived = asyncio.Condition()
        self._sound = bytearray()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connection.addTrack(self.microphone)
        if codecs:
            preferred = [RTCRtpCodecCapability(f"audio/{name}", 8_000, 1) for name in codecs]
            self._connection.getTransceivers()[0].setCodecPreferences(preferred)
        self._connection.on("track", self._track)
        self.channel = self.open_channel(label) if label is not None else None

    def open_channel(self, label: str = "oai-events") -> RTCDataChannel:
        channel = self._connection.createDataChannel(label)
        channel.on("message", self._message)
        channel.on("close", self.closed.set)
        return channel

    async def offer(self) -> str:
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return self._connection.localDescription.sdp

    async def dial(self, path: str = "/v1/realtime/calls?model=desk", **request: Any) -> httpx.Response:
        """Send the offer, as SDP unless the request brings something else, and take the answer."""
        request = {"headers": HEADERS, **request}
        if "files" not in request and "content" not in request:
            request["content"] = await self.offer()
            request["headers"] = {**request["headers"], "Content-Type": "application/sdp"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._up.port}") as http:
            response = await http.post(path, **request)
        if response.status_code == 201:
            self.location = response.headers["location"]
            await self._connection.setRemoteDescription(RTCSessionDescription(response.text, "answer"))
        return response

    @property
    def call_id(self) -> str:
        return self.location.rpartition("/")[2]

    @property
    def types(self) -> list[str]:
        """The types of the events so far."""
        return [event["type"] for event in self.got]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.got if event["type"] == kind]

    def send(self, kind: str, **fields: Any) -> None:
        assert self.channel is not None
        self.channel.send(json.dumps({"type": kind, **fields}))

    async def until(self, kind: str, number: int = 1) -> dict[str, Any]:
        """Wait for the n-th event of a type."""
        async with asyncio.timeout(10), self._arrived:
            await self._arrived.wait_for(lambda: len(self.of(kind)) >= number)
        return self.of(kind)[number - 1]

    async def hum(self, seconds: float) -> None:
        """Say something."""
        self.microphone.hums = True
        await asyncio.sleep(seconds)
        self.microphone.hums = False

    @property
    def sound(self) -> NDArray[np.int16]:
        """All that was heard, 24 kHz."""
        return np.frombuffer(bytes(self._sound), np.int16)

    def vanish(self) -> None:
        """Be off the network, without a word."""
        for protocol in self._connection.getSenders()[0].transport.transport._connection._protocols:
            protocol.transport.abort()

    async def close(self) -> None:
        await self._connection.close()
        for task in self._tasks:
            task.cancel()  # The track of a connection that was never up does not end.
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _track(self, track: MediaStreamTrack) -> None:
        task = asyncio.get_running_loop().create_task(self._listen(track))
        self._tasks.add(task)

    async def _listen(self, track: MediaStreamTrack) -> None:
        resampler = AudioResampler(format="s16", layout="mono", rate=HEARD_HZ)
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, AudioFrame)
                for piece in resampler.resample(frame):
                    self._sound += bytes(piece.planes[0])[: piece.samples * 2]
        except MediaStreamError:
            return

    async def _message(self, message: str) -> None:
        async with self._arrived:
            self.got.append(json.loads(message))
            self._arrived.notify_all()


@asynccontextmanager
async def rtc_client(up: Running, **options: Any) -> AsyncIterator[RtcClient]:
    """A client that hangs up at the end."""
    client = RtcClient(up, **options)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def rtc_call(up: Running, **options: Any) -> AsyncIterator[RtcClient]:
    """A client whose call is up."""
    async with rtc_client(up, **options) as client:
        response = await client.dial()
        assert response.status_code == 201, response.text
        await client.until("conversation.created")
        yield client


def voiced_s(sound: NDArray[np.int16]) -> float:
    """Seconds from the first loud sample to the last one; 0 for silence."""
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > 800)
    return float(loud[-1] - loud[0]) / HEARD_HZ if loud.size else 0.0


def pitch_hz(sound: NDArray[np.int16]) -> float:
    """The strongest frequency of a sound's loud part."""
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > 800)
    part = sound[loud[0] : loud[-1]].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(part * np.hanning(part.size)))
    return float(np.argmax(spectrum)) * HEARD_HZ / part.size
