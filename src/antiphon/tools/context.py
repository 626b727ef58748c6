"""What a tool may ask for besides its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from antiphon.models.llm.content import ApprovalResponse


def _to_nobody(*_: Any) -> None:
    """There is no call behind this tool: a text turn, or a test."""


def _never() -> bool:
    return False


@dataclass(slots=True, eq=False)
class ToolContext:
    """Given to a tool in the parameter that is annotated with this class; the model never sees that parameter.

    The callables may be called from any thread and never wait.

    Attributes:
        call_id: The call that runs.
        session_id: The conversation that it belongs to.
        values: What the application handed to the session, such as the caller's number.
        state: The conversation's own state, kept with it: values that JSON can hold.
        agent: The name of the agent that called.
        progress: Tell how far the tool is; a voice channel may speak the text.
        request: Ask the conversation for something, by name and details, such as ``hang_up``. A conversation that
            cannot do it ignores it.
        add_tools: Offer further tools from the next step of this run on.
        remove_tools: Offer these no longer, by name.
        cancelled: Whether nobody waits for the result any more; for sync tools, which cannot be stopped.
        decisions: What a person has decided on calls that this one has asked about; for agents that run as tools.
        private: What collectors have found out, by their names: whole, also what no model and nobody else may read.
            It stays in this process.
    """

    call_id: str = ""
    session_id: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    state: MutableMapping[str, Any] = field(default_factory=dict)
    agent: str = ""
    progress: Callable[[str], None] = _to_nobody
    request: Callable[[str, Mapping[str, Any]], None] = _to_nobody
    add_tools: Callable[[Sequence[Any]], None] = _to_nobody
    remove_tools: Callable[[Sequence[str]], None] = _to_nobody
    cancelled: Callable[[], bool] = _never
    decisions: Sequence[ApprovalResponse] = ()
    private: Mapping[str, Any] = field(default_factory=dict)

    @property
    def idempotency_key(self) -> str:
        """The same for the same call, also when it is run again after a crash."""
        return f"{self.session_id}:{self.call_id}"
