"""Runs the functions that the model calls, and asks for the answer once all of them are done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from antiphon.clock import Clock, WallClock
from antiphon.logs import Log
from antiphon.realtime.client import RealtimeClient
from antiphon.realtime.conversation import CallStatus
from antiphon.realtime.errors import NotConnected
from antiphon.realtime.incoming import ServerEvent
from antiphon.realtime.session import answers_turns

TOOL_S = 10.0
MAX_OUTPUT = 16 * 1024
"""Bytes of a function's output that the model gets."""
CUT_MARK = " [cut]"

MAX_FOLLOW_UPS = 10
"""Answers in a row without a word of the user; then the model must do without functions once."""

_OUTCOMES: dict[str, str] = {"timeout": "timeout", "unknown_tool": "unknown"}

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
        client: Whose calls they are; this registers its handlers.
        tools: The functions.
        timeout_s: Longest run of each.
        clock: Wall time unless given.
    """

    def __init__(
        self, client: RealtimeClient, tools: ToolRunner, *, timeout_s: float = TOOL_S, clock: Clock | None = None
    ) -> None:
        self._client = client
        self._tools = tools
        self._timeout_s = timeout_s
        self._clock = clock or WallClock()
        self._tasks: asyncio.TaskGroup | None = None
        self._seen: dict[str, None] = {}
        self._running: dict[str, set[str]] = {}
        self._called: set[str] = set()
        self._done: set[str] = set()
        self._follow_ups = 0
        client.on(
            (
                "response.function_call_arguments.done",
                "response.output_item.done",
                "response.done",
                "input_audio_buffer.speech_started",
                "client.disconnected",
            ),
            self._take,
        )

    async def run(self) -> None:
        """Run calls until this is cancelled; a task of the program."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self._tasks = None

    async def _take(self, event: ServerEvent) -> None:
        if event.type == "input_audio_buffer.speech_started":
            self._follow_ups = 0
        elif event.type == "client.disconnected":
            # Their responses are not going to end; the next connection is told the calls, and the outputs as they come.
            self._done |= self._called
            for response_id in sorted(self._called):
                await self._follow_up(response_id)
        elif event.type == "response.done":
            await self._response_done(event)
        else:
            self._begin(event)

    def _begin(self, event: ServerEvent) -> None:
        """Start a call, at the first event that tells all of it."""
        item = event.part("item") or event.body
        call_id = item.get("call_id")
        if event.type == "response.output_item.done" and item.get("type") != "function_call":
            return
        if not isinstance(call_id, str) or call_id in self._seen or self._tasks is None:
            return
        if self._client.is_cancelled(event.response_id) or item.get("status") == "incomplete":
            self._mark(call_id, "skipped")
            return
        self._seen[call_id] = None
        while len(self._seen) > 1_000:
            self._seen.pop(next(iter(self._seen)))
        self._called.add(event.response_id)
        self._running.setdefault(event.response_id, set()).add(call_id)
        known = self._client.conversation.call(call_id)
        name = str(item.get("name") or (known.name if known else ""))
        self._tasks.create_task(self._run(event.response_id, call_id, name=name, text=item.get("arguments")))

    async def _run(self, response_id: str, call_id: str, *, name: str, text: Any) -> None:
        begun_s = self._clock.now()
        try:
            output, status = _as_text(await self._result(name, text)), "ok"
        except CallRefused as refused:
            output = _as_text({"error": {"code": refused.code, "message": str(refused)}})
            status = _OUTCOMES.get(refused.code, "error")
        ms = (self._clock.now() - begun_s) * 1000
        label = name if status != "unknown" else "unknown"
        self._client.metrics.count("tool_calls_total", name=label, outcome=status)
        self._client.metrics.observe("tool_ms", ms)
        marks: dict[str, CallStatus] = {"ok": "done", "timeout": "timeout"}
        self._mark(call_id, marks.get(status, "error"), ms)
        try:
            await self._client.create_item({"type": "function_call_output", "call_id": call_id, "output": output})
            self._running[response_id].discard(call_id)
            await self._follow_up(response_id)
        except NotConnected:
            pass  # The conversation has ended meanwhile.

    async def _result(self, name: str, text: Any) -> Any:
        try:
            arguments = msgspec.json.decode(text or "{}")
        except (ValueError, TypeError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            raise CallRefused("invalid_arguments", "The arguments are no JSON object.")
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._tools.run(name, arguments)
        except TimeoutError:
            raise CallRefused("timeout", f"It took longer than {self._timeout_s:g} s.") from None
        except CallRefused:
            raise
        except Exception as error:
            # A task's root: the model gets no text of an exception, which may hold a secret.
            _log.exception("a function failed", tool=name)
            raise CallRefused("failed", f"It failed ({type(error).__name__}).") from None

    async def _response_done(self, event: ServerEvent) -> None:
        if event.response_id in self._called:
            self._done.add(event.response_id)
            await self._follow_up(event.response_id)

    async def _follow_up(self, response_id: str) -> None:
        """One ``response.create``, when the response and all its calls are done."""
        if response_id not in self._done or self._running.get(response_id):
            return
        self._done.discard(response_id)
        self._called.discard(response_id)
        self._running.pop(response_id, None)
        if self._client.is_cancelled(response_id):
            return
        if self._client.user_speaking and answers_turns(self._client.session):
            return  # The service answers what is being said, and with it this.
        self._follow_ups += 1
        if self._follow_ups > MAX_FOLLOW_UPS:
            _log.warning("the model calls functions without end", follow_ups=self._follow_ups)
            self._follow_ups = 0
            await self._client.create_response({"tool_choice": "none"})
        else:
            await self._client.create_response()

    def _mark(self, call_id: str, status: CallStatus, ms: float | None = None) -> None:
        call = self._client.conversation.call(call_id)
        if call is not None:
            call.status, call.ms = status, ms


def _as_text(value: Any) -> str:
    """A function's value as the model reads it."""
    try:
        text = value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
    except (ValueError, TypeError, RecursionError):
        text = str(value)
    raw = text.encode()
    return text if len(raw) <= MAX_OUTPUT else raw[:MAX_OUTPUT].decode(errors="ignore") + CUT_MARK
