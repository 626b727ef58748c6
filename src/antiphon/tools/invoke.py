"""One tool call: from the model's JSON to a result that the model can read, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

import msgspec

from antiphon.errors import ToolException
from antiphon.logs import Log
from antiphon.models.llm.content import FunctionCall, FunctionResult, Media, ResultStatus, Text
from antiphon.tools.context import ToolContext
from antiphon.tools.schema import ArgumentsError
from antiphon.tools.threads import THREADS, TooManyAbandoned
from antiphon.tools.tool import FunctionTool

_log = Log(__name__)

FAILED = "The function failed."
INTERRUPTED = "The call was interrupted before a result was available."
PENDING = "Accepted; the result will follow."
MAX_RESULT_CHARS = 65_536

RunTool = Callable[[FunctionTool, dict[str, Any], ToolContext], Awaitable[Any]]
"""Runs a tool with checked arguments: ``run_tool``, or middleware around it."""


async def invoke(
    tool: FunctionTool | None,
    call: FunctionCall,
    *,
    context: ToolContext,
    known: Iterable[str] = (),
    run: RunTool | None = None,
    max_chars: int = MAX_RESULT_CHARS,
) -> FunctionResult:
    """Run one call and always come back with a result for the model. Its time is bounded by whoever calls this.

    Args:
        tool: What is called; None when there is no such tool.
        call: The model's call.
        context: Handed to the tool if it asks for one.
        known: The names of all tools, for the model that has called another one.
        run: What runs the tool in place of ``run_tool``.
        max_chars: Longest text of the result, where the tool does not say it.

    Returns:
        ``error`` for an unknown tool, wrong arguments, a failing tool and a result that cannot be shown. The words of
        a ``ToolException`` reach the model, those of any other exception the log only.
    """
    if tool is None:
        return _failed(call, f"There is no function {call.name!r}. Known functions: {', '.join(known) or 'none'}.")
    try:
        arguments = tool.parameters.decode(call.arguments)
    except ArgumentsError as error:
        return _failed(call, str(error))
    limit = tool.max_result_chars or max_chars
    try:
        value = await (run_tool if run is None else run)(tool, arguments, context)
        return to_result(call, value if tool.result_parser is None else tool.result_parser(value), limit)
    except ToolException as error:
        return _failed(call, _cut(str(error), limit))
    except TooManyAbandoned as error:
        _log.error("tool.refused", tool=tool.name, call_id=call.call_id, reason=str(error))
        return _failed(call, FAILED)
    except Exception as error:  # the root of somebody else's code: whatever it raises must not end the turn
        _log.error("tool.failed", tool=tool.name, call_id=call.call_id, session_id=context.session_id, exc_info=True)
        return _failed(call, FAILED, f"{type(error).__name__}: {error}")


async def run_tool(tool: FunctionTool, arguments: dict[str, Any], context: ToolContext) -> Any:
    """Run a tool's function: an async one here, a sync one in a thread with the caller's context variables."""
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

    def handed_over(function: Callable[..., None]) -> Callable[..., None]:
        return lambda *details: (soon(function, *details), None)[1]

    return replace(
        context,
        progress=handed_over(context.progress),
        request=handed_over(context.request),
        add_tools=handed_over(context.add_tools),
        remove_tools=handed_over(context.remove_tools),
    )


def to_result(call: FunctionCall, value: Any, limit: int = MAX_RESULT_CHARS) -> FunctionResult:
    """A tool's value as a result: text as it is, contents apart, everything else as JSON.

    Raises:
        TypeError: Bytes, or something that JSON cannot hold.
    """
    if isinstance(value, FunctionResult):
        requests = tuple([msgspec.structs.replace(request, within=call) for request in value.requests])
        text = _cut(value.text, limit)
        return msgspec.structs.replace(value, call_id=call.call_id, name=call.name, text=text, requests=requests)
    if isinstance(value, (Text, Media)):
        value = [value]
    if isinstance(value, list) and value and all(isinstance(item, (Text, Media)) for item in value):
        text = "\n".join(item.text for item in value if item.type == "text")
        media = tuple(item for item in value if item.type == "uri")
        return FunctionResult(call.call_id, call.name, "ok", _cut(text, limit), media=media)
    return FunctionResult(call.call_id, call.name, "ok", _cut(to_text(value), limit))


def to_text(value: Any) -> str:
    """A tool's value as the model reads it: text as it is, everything else as JSON.

    Raises:
        TypeError: Bytes, or something that JSON cannot hold.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("A tool returned bytes; return text, or values that JSON can hold.")
    return _ENCODER.encode(value).decode()


def result_of(call: FunctionCall, status: ResultStatus, text: str) -> FunctionResult:
    """A result that is not the tool's own."""
    return FunctionResult(call.call_id, call.name, status, text)


def _failed(call: FunctionCall, text: str, exception: str | None = None) -> FunctionResult:
    return FunctionResult(call.call_id, call.name, "error", text, exception=exception)


def _encode_foreign(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if dump is None:
        kind = type(value).__qualname__
        raise TypeError(f"A tool returned {kind}; return text, a dataclass, a pydantic model or built-in values.")
    return dump(mode="json")


_ENCODER = msgspec.json.Encoder(enc_hook=_encode_foreign)


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    mark = f"… [cut: {len(text)} characters in all]"
    return text[: limit - len(mark)] + mark
