"""What the result of a tool asks of the call: to bring the caller to somebody else, or to end.

Only functions of the application are heeded. What a server on the network answers may hold anything, and a number
that it names would be called at the application's cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from antiphon.models.llm.content import FunctionResult
from antiphon.tools.prebuilt import HANG_UP
from antiphon.tools.tool import FunctionTool
from antiphon.tools.transfer import NO_LINE, TRANSFER, Transfer, checked_destination

TRANSFER_KEY = "perform_transfer"
END_KEY = "end_call"

Request = Callable[[str, Mapping[str, Any]], None]


def carried_out(tool: FunctionTool | None, result: FunctionResult, request: Request) -> FunctionResult:
    """The result, after what it asks for was passed on; one that says why, where that cannot be.

    ``perform_transfer`` wants ``transfer_destination``, and may have ``transfer_type``, ``transfer_reason`` and
    ``context_summary``.

    Args:
        tool: Whose result it is.
        result: The result.
        request: Asks the conversation for something, as a tool does.
    """
    if tool is None or tool.kind != "function" or result.status != "ok":
        return result
    if f'"{TRANSFER_KEY}"' not in result.text and f'"{END_KEY}"' not in result.text:
        return result
    asked = _object(result.text)
    if asked.get(TRANSFER_KEY) is True:
        refusal = _transfer(asked, request)
        if refusal:
            return msgspec.structs.replace(result, status="error", text=refusal)
    elif asked.get(END_KEY) is True:
        request(HANG_UP, {"reason": "a tool has ended the conversation", "after_speech": True})
    return result


def _transfer(asked: Mapping[str, Any], request: Request) -> str:
    """Why it cannot be; empty where it will be tried."""
    try:
        destination = checked_destination(str(asked.get("transfer_destination", "")))
    except ValueError as error:
        return f"The transfer is not possible: {error}"
    told = {name: str(asked.get(key) or "") for name, key in _TOLD.items()}
    kind = asked.get("transfer_type")
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    wish = Transfer(destination, "warm" if kind == "warm" else "blind", **told)
    request(TRANSFER, {"transfer": wish, "answer": answer})
    return answer.result() if answer.done() else NO_LINE


_TOLD = {"reason": "transfer_reason", "summary": "context_summary"}


def _object(text: str) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
