"""Approval: calls that a person has to allow before they run, also when the process has ended in between."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

import msgspec

from antiphon.errors import AgentInvalidRequestException
from antiphon.models.llm.content import ApprovalRequest, ApprovalResponse, FunctionCall, FunctionResult
from antiphon.tools.context import ToolContext
from antiphon.tools.invoke import result_of
from antiphon.tools.schema import ArgumentsError
from antiphon.tools.tool import FunctionTool

WAITING = "A person has to approve this call first; there is no decision yet."
REJECTED = "A person did not approve this call."


@dataclass(slots=True)
class Approvals:
    """The open questions of a conversation, and the standing rules that came of answers.

    Attributes:
        open: The requests that have no answer yet, by id.
        allowed: Tools that need no further approval in this conversation.
    """

    open: dict[str, ApprovalRequest] = field(default_factory=dict)
    allowed: set[str] = field(default_factory=set)

    async def needed(self, tool: FunctionTool, call: FunctionCall, context: ToolContext) -> bool:
        """Whether this call waits for a person."""
        mode = tool.approval_mode
        if mode == "never_require" or call.name in self.allowed:
            return False
        if mode == "always_require":
            return True
        try:
            arguments = tool.parameters.decode(call.arguments)
        except ArgumentsError:
            return False  # the tool does not run with these: the model is told what is wrong
        answer = mode(arguments, context)
        return bool(await answer if inspect.isawaitable(answer) else answer)

    def ask(self, tool: FunctionTool, call: FunctionCall) -> ApprovalRequest:
        """Open a request for a call."""
        shown = tool.visible_arguments(call.arguments)
        prompt = f"{tool.name}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"
        request = ApprovalRequest(f"apr_{uuid4().hex[:24]}", call, prompt)
        self.open[request.id] = request
        return request

    def take(self, response: ApprovalResponse, *, now: datetime) -> tuple[FunctionCall, FunctionResult | None]:
        """Use up an answer.

        Returns:
            The call, and its result where it must not run.

        Raises:
            AgentInvalidRequestException: The request is not known, was answered before, or was for another call.
        """
        request = self.open.get(response.id)
        if request is None:
            raise AgentInvalidRequestException(
                f"There is no open approval {response.id!r}: it was answered before, or belongs to another session.",
                code="input_invalid",
            )
        call = request.call
        if response.call is not None and _bound(response.call) != _bound(call):
            raise AgentInvalidRequestException(
                f"The approval {response.id!r} is for another call or other arguments than were asked about; "
                "answer with request.approve() or request.reject().",
                code="input_invalid",
            )
        del self.open[response.id]
        if request.expires_at is not None and datetime.fromisoformat(request.expires_at) <= now:
            return call, result_of(call, "rejected", f"{REJECTED} Reason: expired.")
        if not response.approved:
            reason = f" Reason: {response.reason}" if response.reason else ""
            return call, result_of(call, "rejected", f"{REJECTED}{reason}")
        if response.scope != "once":
            self.allowed.add(call.name)
        return call, None

    def take_all(
        self, responses: Iterable[ApprovalResponse], *, now: datetime
    ) -> list[tuple[FunctionCall, FunctionResult | None]]:
        """Use up several answers, all or none; see ``take``."""
        before = dict(self.open), set(self.allowed)
        try:
            return [self.take(response, now=now) for response in responses]
        except AgentInvalidRequestException:
            self.open, self.allowed = before
            raise

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "open": [msgspec.to_builtins(request) for request in self.open.values()],
            "allowed": sorted(self.allowed),
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Approvals:
        """From the JSON form."""
        requests: Iterable[ApprovalRequest] = [msgspec.convert(each, ApprovalRequest) for each in fields["open"]]
        return cls({request.id: request for request in requests}, set(fields["allowed"]))


def _bound(call: FunctionCall) -> tuple[str, str, str]:
    """What an approval is bound to: the call, the tool, and a hash of the arguments as values."""
    try:
        arguments = msgspec.json.encode(msgspec.json.decode(call.arguments or "{}"), order="deterministic")
    except (msgspec.DecodeError, RecursionError):
        arguments = call.arguments.encode()
    return call.call_id, call.name, hashlib.sha256(arguments).hexdigest()
