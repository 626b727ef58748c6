"""A model behind HTTP, as OpenAI's Chat Completions stream it: first a tool call, then an answer of 50 words.

    python -m benchmarks.agent_subjects.sse_server    # prints its URL; ends when its standard input does

Each event leaves by a write of its own, at once: what is measured is what a client makes of them.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from typing import Any

from benchmarks.agent_subjects import script as said

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_END = b"0\r\n\r\n"


def _chunk(data: str) -> bytes:
    event = f"data: {data}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(event), event)


def _event(delta: dict[str, Any], finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "bench", "choices": [choice]}
    return _chunk(json.dumps(event | ({"usage": usage} if usage else {}), separators=(",", ":")))


_USAGE = {"prompt_tokens": 20, "completion_tokens": 50, "total_tokens": 70}
_FUNCTION = {"name": "add", "arguments": said.ARGUMENTS}
_CALL = (
    _event({"role": "assistant", "content": None}),
    _event({"tool_calls": [{"index": 0, "id": said.CALL_ID, "type": "function", "function": _FUNCTION}]}),
    _event({}, "tool_calls", _USAGE),
    _chunk("[DONE]"),
)
_ANSWER = (
    _event({"role": "assistant", "content": ""}),
    *(_event({"content": word}) for word in said.WORDS),
    _event({}, "stop", _USAGE),
    _chunk("[DONE]"),
)


async def _connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            body = await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
            asked = json.loads(body)["messages"][-1]["role"] == "user"
            writer.write(_HEAD)
            for event in _CALL if asked else _ANSWER:
                writer.write(event)
            writer.write(_END)
            await writer.drain()
    writer.close()


async def _serve() -> None:
    server = await asyncio.start_server(_connection, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
