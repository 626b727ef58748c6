"""A server as a process of its own, over its standard input and output: started, spoken to, and ended for certain."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client import Transport
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from antiphon.logs import Log

_log = Log(__name__)

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
MAX_LOGGED_LINES = 1_000
MAX_LOGGED_CHARS = 1_000

_GRACE_S = 1.0
"""How long a server may take after each step of its end: input closed, SIGTERM, SIGKILL."""
_INHERITED = ("PATH", "HOME", "LANG")

_Received = SessionMessage | Exception


@dataclass(frozen=True, slots=True)
class Command:
    """What is started.

    Attributes:
        server: The name of the server, for the log.
        argv: The program and its arguments.
        env: The whole environment.
        cwd: Where it runs.
    """

    server: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str | Path | None = None


def environment(given: Mapping[str, str] | None) -> dict[str, str]:
    """What a server sees: what is given, and PATH, HOME and LANG. Keys of other services are none of its business."""
    return {**{name: os.environ[name] for name in _INHERITED if name in os.environ}, **(given or {})}


def stdio_transport(command: Command, on_end: Callable[[], None]) -> Transport:
    """Start the server; the context is its life.

    Args:
        command: What is started.
        on_end: Called when the server ends its output.

    Raises:
        OSError: The program cannot be started.
    """
    return _running(command, on_end)


@asynccontextmanager
async def _running(
    command: Command, on_end: Callable[[], None]
) -> AsyncIterator[tuple[MemoryObjectReceiveStream[_Received], MemoryObjectSendStream[SessionMessage]]]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command.argv,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env=command.env,
        cwd=command.cwd,
        start_new_session=True,
        limit=MAX_MESSAGE_BYTES,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        inbox, received = anyio.create_memory_object_stream[_Received](0)
        sent, outbox = anyio.create_memory_object_stream[SessionMessage](0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_read, process.stdout, inbox, on_end)
            tasks.start_soon(_write, process.stdin, outbox)
            tasks.start_soon(_log_lines, process.stderr, command.server)
            try:
                yield received, sent
            finally:
                # Nobody reads any more: the reader then only empties the pipe, so that the server can end.
                received.close()
                sent.close()
                with anyio.CancelScope(shield=True):
                    await _stop(process)
                tasks.cancel_scope.cancel()
    finally:
        # Also after a second cancellation, which no shield holds off: nothing of the server may stay.
        _signal(process, signal.SIGKILL)
        # Somebody who left the process group may still hold a pipe.
        process._transport.close()  # type: ignore[attr-defined]


async def _read(
    stdout: asyncio.StreamReader, inbox: MemoryObjectSendStream[_Received], on_end: Callable[[], None]
) -> None:
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        async with inbox:
            try:
                while line := await stdout.readline():
                    await inbox.send(_message(line))
            except ValueError:
                _log.error("mcp.message_too_large", limit=MAX_MESSAGE_BYTES)
            on_end()
    while await stdout.read(65_536):
        pass


def _message(line: bytes) -> _Received:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        return error


async def _write(stdin: asyncio.StreamWriter, outbox: MemoryObjectReceiveStream[SessionMessage]) -> None:
    # A broken pipe is seen by the reader, as the end of the server's output.
    with suppress(OSError):
        async with outbox:
            async for message in outbox:
                stdin.write(message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
                await stdin.drain()


async def _log_lines(stderr: asyncio.StreamReader, server: str) -> None:
    rest = b""
    count = 0
    while chunk := await stderr.read(8_192):
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[:MAX_LOGGED_CHARS]
        for line in filter(None, lines):
            count += 1
            if count <= MAX_LOGGED_LINES:
                _log.info("mcp.stderr", server=server, line=line[:MAX_LOGGED_CHARS].decode(errors="replace"))
            elif count == MAX_LOGGED_LINES + 1:
                _log.warning("mcp.stderr_not_logged_further", server=server, lines=MAX_LOGGED_LINES)
    if rest and count < MAX_LOGGED_LINES:
        _log.info("mcp.stderr", server=server, line=rest.decode(errors="replace"))


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End the server as the protocol says: close its input, then ask, then force."""
    assert process.stdin is not None
    process.stdin.close()
    for step in (None, signal.SIGTERM, signal.SIGKILL):
        if step is not None:
            _signal(process, step)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                await process.wait()
                return


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """To the server and all that it started: it leads a process group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
