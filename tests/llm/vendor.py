"""A loopback server that behaves as a vendor of chat completions does, on its good days and its bad ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

Write = Callable[[bytes], Awaitable[None]]
Answer = Callable[[Write], Awaitable[bool]]
"""Writes one response; gives whether the connection stays."""


@dataclass
class Vendor:
    """What the server saw."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    connections: int = 0
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    """The client closed a connection in the middle of a response."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            self.hung_up.set()
        except asyncio.CancelledError:
            pass  # The test is over.
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        self.paths.append(first.split(" ")[1])
        self.headers.append(headers)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.bodies.append(json.loads(body) if body else {})

        gone = asyncio.create_task(reader.read(1))

        async def write(data: bytes) -> None:
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(0)
            if gone.done():
                raise ConnectionResetError

        answer = asyncio.create_task(self.answers.pop(0)(write))
        await asyncio.wait([gone, answer], return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            await asyncio.gather(answer, return_exceptions=True)
            raise ConnectionResetError
        stays = answer.result()
        if not stays:
            gone.cancel()
            return False
        # The byte that was waited for is the next request's first, or the end of the connection.
        first_byte = await gone
        if not first_byte:
            return False
        reader._buffer[:0] = first_byte  # type: ignore[attr-defined]
        return True


@asynccontextmanager
async def vendor(*answers: Answer) -> AsyncIterator[Vendor]:
    """A server that gives these answers, one a request."""
    made = Vendor(answers=list(answers))
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield made
    finally:
        server.close()
        tasks = [task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__name__", "") in ("serve", "read")]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunked(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def event(data: dict[str, Any] | str) -> bytes:
    return f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


def delta(*, finish: str | None = None, usage: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    chunk: dict[str, Any] = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunk["choices"] = [{"index": 0, "delta": fields, "finish_reason": finish, "logprobs": None}]
    return {**chunk, "usage": usage} if usage else chunk


def stream(*parts: dict[str, Any] | str | bytes, done: bool = True) -> Answer:
    """A sound response, one chunk a part."""

    async def answer(write: Write) -> bool:
        await write(STREAM_HEAD)
        for part in parts:
            await write(chunked(part if isinstance(part, bytes) else event(part)))
        if done:
            await write(chunked(event("[DONE]")))
        await write(b"0\r\n\r\n")
        return True

    return answer


def words(*texts: str, finish: str = "stop") -> Answer:
    """An ordinary answer as OpenAI writes it, with usage at the end."""
    usage = {"id": "x", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": len(texts)}}
    return stream(
        delta(role="assistant", content=""), *(delta(content=text) for text in texts), delta(finish=finish), usage
    )


def raw(*parts: bytes, stays: bool = False) -> Answer:
    """These bytes, and then the end of the connection."""

    async def answer(write: Write) -> bool:
        for part in parts:
            await write(part)
        return stays

    return answer


def refusal(status: int, body: dict[str, Any] | str = "", **headers: str) -> Answer:
    """A response with an error's status."""
    content = (body if isinstance(body, str) else json.dumps(body)).encode()
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(content)}", "content-type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + content, stays=True)


def stall(*parts: bytes) -> Answer:
    """These bytes, and then nothing, without an end."""

    async def answer(write: Write) -> bool:
        for part in parts:
            await write(part)
        await asyncio.Event().wait()
        return False

    return answer


class Speaker(Protocol):
    """Who can begin an answer and go on with words."""

    def opening(self) -> list[bytes]: ...

    def word(self, text: str) -> bytes: ...


def endless(speaker: Speaker) -> Answer:
    """Words without an end, as quickly as the client takes them."""

    async def answer(write: Write) -> bool:
        await write(STREAM_HEAD)
        for part in speaker.opening():
            await write(chunked(part))
        while True:
            await write(chunked(speaker.word("word ")))
            await asyncio.sleep(0.001)

    return answer


def pieces(**function: Any) -> Sequence[dict[str, Any]]:
    """One fragment of a tool call."""
    index = function.pop("index", 0)
    call_id = function.pop("id", None)
    fragment: dict[str, Any] = {"function": function, "type": "function"}
    if index is not None:
        fragment["index"] = index
    if call_id is not None:
        fragment["id"] = call_id
    return [fragment]
