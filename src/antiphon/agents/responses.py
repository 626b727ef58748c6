"""What a run tells while it goes on, and what it gives at its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from antiphon.errors import AgentInvalidResponseException
from antiphon.models.llm.content import ApprovalRequest, Content, HandedOff, Usage
from antiphon.models.llm.messages import Message

if TYPE_CHECKING:
    from antiphon.agents.run import Run

RunFinish = Literal[
    "stop", "length", "tool_calls", "content_filter", "handoff", "input_required", "limit", "interrupted", "error"
]
"""Why a run ended; ``tool_calls``: the caller has to answer calls of tools that are only declared."""
Limit = Literal[
    "max_model_steps",
    "max_tool_calls",
    "max_consecutive_errors",
    "max_seconds",
    "max_rounds",
    "max_round_count",
    "max_reset_count",
    "max_turns",
]
"""Which limit ended a run; the last four are those of orchestrations."""


class AgentResponseUpdate(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """One piece of a run, as it happens.

    Attributes:
        contents: Usually one: new words, a call that begins, a result, a filler, a handoff.
        agent: The name of the agent that it comes from.
        step: The number of the model's request in this run, from 0.
        seq: The number of the update in this run, from 0, without gaps.
        message_id: The message that the words will be part of.
        structured: The words are data and are not to be spoken.
    """

    contents: tuple[Content, ...]
    agent: str = ""
    step: int = 0
    seq: int = 0
    message_id: str | None = None
    structured: bool = False

    @property
    def text(self) -> str:
        """The new words of the answer; empty where the update is something else."""
        content = self.contents[0]
        return content.text if content.type == "text" else ""


@dataclass(frozen=True, slots=True)
class AgentResponse:
    """The outcome of a run.

    Attributes:
        text: All that the agent said.
        messages: What the run added to the conversation behind the user's message, calls and results included.
        usage: The sum over all requests.
        finish_reason: Why it ended.
        limit_hit: The limit, where ``finish_reason`` is ``limit``.
        agent: The agent that answered last.
        user_input_requests: Calls that a person has to approve; pass ``request.approve()`` to the next run.
        handoffs: The changes of the agent, in order.
        steps: Requests to the model.
    """

    text: str
    messages: tuple[Message, ...] = ()
    usage: Usage = Usage()  # noqa: RUF009 (it is frozen)
    finish_reason: RunFinish = "stop"
    limit_hit: Limit | None = None
    agent: str = ""
    user_input_requests: tuple[ApprovalRequest, ...] = ()
    handoffs: tuple[HandedOff, ...] = ()
    steps: int = 0
    parsed: Any = None

    @classmethod
    def of(cls, run: Run) -> AgentResponse:
        """What has come of a run so far."""
        return cls(
            "".join(run.told),
            tuple(run.produced),
            run.usage,
            "limit" if run.limit else run.finish,
            run.limit,
            run.agent.name,
            tuple(run.requests),
            tuple(run.handoffs),
            run.steps,
            run.value,
        )

    @property
    def value(self) -> Any:
        """The answer in the form of the agent's ``output_type``.

        Raises:
            AgentInvalidResponseException: The agent has no ``output_type``, or ended without an answer.
        """
        if self.parsed is None:
            raise AgentInvalidResponseException(
                f"Agent {self.agent!r} gave no structured answer: set its output_type, and see finish_reason "
                f"({self.finish_reason}).",
                code="invalid_output",
            )
        return self.parsed
