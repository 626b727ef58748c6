"""What the tests of histories and session stores share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TypeVar

from antiphon.agents.stores import HistoryProvider, SessionStore
from antiphon.models.llm.content import FunctionCall, FunctionResult, Text
from antiphon.models.llm.messages import Message, Role, tool_message

T = TypeVar("T")


class Stores:
    """Opens histories and session stores on one and the same place."""

    def __init__(self, history: Callable[[], HistoryProvider], sessions: Callable[[], SessionStore]) -> None:
        self._history = history
        self._sessions = sessions
        self.opened = AsyncExitStack()

    def history(self) -> HistoryProvider:
        return self._closing(self._history())

    def sessions(self) -> SessionStore:
        return self._closing(self._sessions())

    def _closing(self, store: T) -> T:
        if hasattr(store, "aclose"):
            self.opened.push_async_callback(store.aclose)
        return store


def said(number: int, role: Role = "user") -> Message:
    return Message(role, f"Message {number}.", message_id=f"msg_{number}")


def call_group(name: str) -> list[Message]:
    return [
        Message(
            "assistant",
            (Text("One moment."), FunctionCall(f"{name}_1", "look", "{}"), FunctionCall(f"{name}_2", "look", "{}")),
        ),
        tool_message(FunctionResult(f"{name}_1", "look", text="It is grün \u2028\n\r\x00 and \U0001f600.")),
        tool_message(FunctionResult(f"{name}_2", "look", status="timeout")),
    ]
