"""What a tool may ask for besides its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


def _to_nobody(*_: Any) -> None:
    """There is no call behind this tool: a text turn, or a test."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Given to a tool in the parameter that is annotated with this class; the model never sees that parameter.

    Both callables may be called from any thread and never wait.

    Attributes:
        call_id: The call that runs.
        session_id: The conversation that it belongs to.
        values: What the application handed to the session, such as the caller's number.
        progress: Tell how far the tool is; a voice channel may speak the text.
        request: Ask the conversation for something, by name and details, such as ``hang_up``. A conversation that
            cannot do it ignores it.
    """

    call_id: str = ""
    session_id: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    progress: Callable[[str], None] = _to_nobody
    request: Callable[[str, Mapping[str, Any]], None] = _to_nobody
