"""The floor: an echo server that only decodes and encodes a carrier's media stream.

Each message of 20 ms is parsed (JSON), unwrapped (base64), decoded (mu-law to PCM16), encoded again and sent back. No
agent can cost less in the same language on the same server, so this is what the others are held against.

    python -m benchmarks.floor_server --server uvicorn --port 8765
"""

from __future__ import annotations

import argparse
import asyncio
import binascii
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec
import numpy as np
import uvloop

from benchmarks import signals

Event = MutableMapping[str, Any]

_TO_PCM = np.array([signals.ulaw_to_linear(code) for code in range(256)], dtype=np.int16)
_TO_ULAW = np.array(
    [signals.linear_to_ulaw(sample - 65536 if sample > 32767 else sample) for sample in range(65536)], dtype=np.uint8
)


class Media(msgspec.Struct):
    """The part of a message that carries sound."""

    payload: str


class Message(msgspec.Struct):
    """The parts of a Twilio message that an echo needs."""

    event: str
    streamSid: str = ""
    media: Media | None = None


class Echo:
    """One call."""

    def __init__(self) -> None:
        self._stream = ""
        self._decoder = msgspec.json.Decoder(Message)
        self._encoder = msgspec.json.Encoder()

    def answer(self, text: str | bytes) -> str | None:
        """The message to send back, if any."""
        message = self._decoder.decode(text)
        if message.event == "start":
            self._stream = message.streamSid
        if message.media is None:
            return None
        pcm = _TO_PCM[np.frombuffer(binascii.a2b_base64(message.media.payload), np.uint8)]
        ulaw = _TO_ULAW[pcm.view(np.uint16)].tobytes()
        media = Media(binascii.b2a_base64(ulaw, newline=False).decode())
        return self._encoder.encode(Message("media", self._stream, media)).decode()


async def app(scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]) -> None:
    """The echo as an ASGI application, without a framework."""
    if scope["type"] != "websocket":
        return
    echo = Echo()
    while True:
        event = await receive()
        if event["type"] == "websocket.receive":
            answer = echo.answer(event["text"])
            if answer is not None:
                await send({"type": "websocket.send", "text": answer})
        elif event["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        else:
            return


def serve_uvicorn(port: int) -> None:
    """Serve on what Antiphon stands on."""
    import uvicorn

    uvicorn.run(
        app,
        port=port,
        loop="uvloop",
        ws="websockets-sansio",
        log_level="warning",
        lifespan="off",
        ws_ping_interval=None,
        ws_per_message_deflate=False,
    )


async def serve_picows(port: int) -> None:
    """Serve on the fastest WebSocket library at hand, which is written in Cython."""
    from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

    class Listener(WSListener):
        def __init__(self) -> None:
            self.echo = Echo()

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == WSMsgType.TEXT:
                answer = self.echo.answer(frame.get_payload_as_bytes())
                if answer is not None:
                    transport.send(WSMsgType.TEXT, answer.encode())
            elif frame.msg_type == WSMsgType.CLOSE:
                transport.disconnect()

    server = await ws_create_server(lambda _request: Listener(), "127.0.0.1", port, enable_auto_ping=False)
    await server.serve_forever()


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--server", choices=["uvicorn", "picows"], default="uvicorn")
    parser.add_argument("--port", type=int, default=8765)
    args = parser.parse_args()
    if args.server == "uvicorn":
        serve_uvicorn(args.port)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve_picows(args.port))


if __name__ == "__main__":
    main()
