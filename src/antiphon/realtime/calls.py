"""Runs the functions that the model calls."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import msgspec

from antiphon.clock import Clock, WallClock
from antiphon.logs import Log
from antiphon.realtime.called import CALL_EVENTS, CalledFunctions, StartedCall
from antiphon.realtime.client import RealtimeClient
from antiphon.realtime.conversation import CallStatus
from antiphon.realtime.errors import NotConnected
from antiphon.realtime.incoming import ServerEvent

TOOL_S = 10.0
MAX_OUTPUT = 16 * 1024
"""Bytes of a function's output that the model gets."""
CUT_MARK = " [cut]"

_OUTCOMES: dict[str, str] = {"timeout": "timeout", "unknown_tool": "unknown"}
_STATUSES: dict[str, CallStatus] = {"ok": "done", "timeout": "timeout"}

_log = Log(__name__)


class CallRefused(Exception):
    """A function cannot be run like this; the model is told why.

    Args:
        code: ``unknown_tool``, ``invalid_arguments``, ``timeout`` or ``failed``.
        message: For the model: no stack, no secret.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ToolRunner(Protocol):
    """The functions of a program."""

    def definitions(self) -> Sequence[Mapping[str, Any]]:
        """Every function as the protocol's ``tools`` describes it."""
        ...

    async def run(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Run a function that was called.

        Args:
            name: What the model called.
            arguments: An object; whether it fits the function's schema is for the runner to check.

        Returns:
            Text, or anything that becomes JSON.

        Raises:
            CallRefused: It does not exist, or not with these arguments.
        """
        ...


class FunctionCalls:
    """Answers the function calls of one client. Calls of one response run side by side.

    Args:
        client: Whose calls they are; this registers its handler.
        tools: The functions.
        timeout_s: Longest run of each.
        clock: Wall time unless given.
    """

    def __init__(
        self, client: RealtimeClient, tools: ToolRunner, *, timeout_s: float = TOOL_S, clock: Clock | None = None
    ) -> None:
        self._metrics = client.metrics
        self._called = CalledFunctions(client)
        self._tools = tools
        self._timeout_s = timeout_s
        self._clock = clock or WallClock()
        self._tasks: asyncio.TaskGroup | None = None
        client.on(CALL_EVENTS, self._take)

    async def run(self) -> None:
        """Run calls until this is cancelled; a task of the program."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self._tasks = None

    async def _take(self, event: ServerEvent) -> None:
        call = await self._called.take(event)
        if call is not None and self._tasks is not None:
            self._tasks.create_task(self._run(call))

    async def _run(self, call: StartedCall) -> None:
        begun_s = self._clock.now()
        try:
            output, outcome = _as_text(await self._result(call)), "ok"
        except CallRefused as refused:
            output = _as_text({"error": {"code": refused.code, "message": str(refused)}})
            outcome = _OUTCOMES.get(refused.code, "error")
        ms = (self._clock.now() - begun_s) * 1000
        # A name that the model made up is no label.
        self._metrics.count("tool_calls_total", name=call.name if outcome != "unknown" else "unknown", outcome=outcome)
        self._metrics.observe("tool_ms", ms)
        with suppress(NotConnected):  # The conversation may have ended meanwhile.
            await self._called.give(call.call_id, output, status=_STATUSES.get(outcome, "error"), ms=ms)

    async def _result(self, call: StartedCall) -> Any:
        try:
            arguments = msgspec.json.decode(call.arguments or "{}")
        except (ValueError, TypeError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            raise CallRefused("invalid_arguments", "The arguments are no JSON object.")
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._tools.run(call.name, arguments)
        except TimeoutError:
            raise CallRefused("timeout", f"It took longer than {self._timeout_s:g} s.") from None
        except CallRefused:
            raise
        except Exception as error:
            # A task's root: the model gets no text of an exception, which may hold a secret.
            _log.exception("a function failed", tool=call.name)
            raise CallRefused("failed", f"It failed ({type(error).__name__}).") from None


def _as_text(value: Any) -> str:
    """A function's value as the model reads it."""
    try:
        text = value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
    except (ValueError, TypeError, RecursionError):
        text = str(value)
    raw = text.encode()
    return text if len(raw) <= MAX_OUTPUT else raw[:MAX_OUTPUT].decode(errors="ignore") + CUT_MARK
