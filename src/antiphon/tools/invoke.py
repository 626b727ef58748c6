"""One tool call: from the model's JSON to a text that the model can read, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
import structlog

from antiphon.clock import Clock
from antiphon.errors import ToolException
from antiphon.models.llm.contract import FunctionCall
from antiphon.tools.context import ToolContext
from antiphon.tools.schema import ArgumentsError
from antiphon.tools.threads import THREADS, TooManyAbandoned
from antiphon.tools.tool import FunctionTool

_log = structlog.get_logger(__name__)

ToolStatus = Literal["ok", "error", "timeout", "interrupted"]

FAILED = "The function failed."
INTERRUPTED = "The call was interrupted before a result was available."


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a call.

    Attributes:
        call_id: The call that this answers.
        name: The tool.
        status: ``ok``, or why the text is no answer.
        text: What the model reads.
        duration_ms: How long it took.
    """

    call_id: str
    name: str
    status: ToolStatus
    text: str
    duration_ms: float = 0.0


async def invoke(
    tools: Mapping[str, FunctionTool], call: FunctionCall, *, context: ToolContext, clock: Clock
) -> ToolResult:
    """Run one call and always come back with a result for the model.

    A tool that does not end when its timeout cancels it is waited for; ``ToolRunner`` bounds that too.

    Args:
        tools: What may be called, by name.
        call: The model's call.
        context: Handed to the tool if it asks for one.
        clock: Measures the duration.

    Returns:
        ``error`` for an unknown tool, wrong arguments, a failing tool and a result that cannot be shown; ``timeout``
        for a slow one. The words of a ``ToolException`` reach the model, those of any other exception the log only.
    """
    started = clock.now()
    status, text = await _outcome(tools.get(call.name), call, context, tools)
    return ToolResult(call.call_id, call.name, status, text, (clock.now() - started) * 1000)


async def _outcome(
    tool: FunctionTool | None, call: FunctionCall, context: ToolContext, known: Mapping[str, FunctionTool]
) -> tuple[ToolStatus, str]:
    if tool is None:
        return "error", f"There is no function {call.name!r}. Known functions: {', '.join(known) or 'none'}."
    try:
        arguments = tool.parameters.decode(call.arguments)
    except ArgumentsError as error:
        return "error", str(error)
    try:
        async with asyncio.timeout(tool.timeout_s) as deadline:
            value = await _run(tool, arguments, context)
        return "ok", _cut(to_text(value), tool.max_result_chars)
    except ToolException as error:
        return "error", _cut(str(error), tool.max_result_chars)
    except TooManyAbandoned as error:
        _log.error("tool.refused", tool=tool.name, call_id=call.call_id, reason=str(error))
        return "error", FAILED
    except Exception as error:  # the root of somebody else's code: whatever it raises must not end the turn
        if isinstance(error, TimeoutError) and deadline.expired():
            _log.warning("tool.timeout", tool=tool.name, call_id=call.call_id, timeout_s=tool.timeout_s)
            return "timeout", f"The function took longer than {tool.timeout_s:g} s and was stopped."
        _log.error("tool.failed", tool=tool.name, call_id=call.call_id, session_id=context.session_id, exc_info=True)
        return "error", FAILED


async def _run(tool: FunctionTool, arguments: dict[str, Any], context: ToolContext) -> Any:
    context_name = tool.parameters.context_name
    if tool.is_async:
        if context_name:
            arguments[context_name] = context
        return await tool.function(**arguments)
    if context_name:
        arguments[context_name] = _from_thread(context)
    variables = contextvars.copy_context()

    def work() -> Any:
        return variables.run(tool.function, **arguments)

    try:
        value = await asyncio.get_running_loop().run_in_executor(THREADS, work)
    except asyncio.CancelledError:
        THREADS.abandon(work)
        raise
    return await value if inspect.isawaitable(value) else value


def _from_thread(context: ToolContext) -> ToolContext:
    """The same context for a tool in a thread: what it asks for is handed over to the loop."""
    soon = asyncio.get_running_loop().call_soon_threadsafe
    return replace(
        context,
        progress=lambda text: (soon(context.progress, text), None)[1],
        request=lambda name, details: (soon(context.request, name, details), None)[1],
    )


def to_text(value: Any) -> str:
    """A tool's value as the model reads it: text as it is, everything else as JSON.

    Raises:
        TypeError: Bytes, or something that JSON cannot hold.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("A tool returned bytes; return text, or values that JSON can hold.")
    return msgspec.json.encode(value, enc_hook=_encode_foreign).decode()


def _encode_foreign(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if dump is None:
        kind = type(value).__qualname__
        raise TypeError(f"A tool returned {kind}; return text, a dataclass, a pydantic model or built-in values.")
    return dump(mode="json")


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    mark = f"… [cut: {len(text)} characters in all]"
    return text[: limit - len(mark)] + mark
