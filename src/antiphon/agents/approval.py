"""Approval: calls that a person has to allow before they run, also when the process has ended in between."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from antiphon.errors import AgentInvalidRequestException
from antiphon.logs import Log
from antiphon.models.llm.content import ApprovalRequest, ApprovalResponse, FunctionCall, FunctionResult
from antiphon.tools.context import ToolContext
from antiphon.tools.invoke import result_of
from antiphon.tools.schema import ArgumentsError
from antiphon.tools.tool import FunctionTool

_log = Log(__name__)

WAITING = "A person has to approve this call first; there is no decision yet."
REJECTED = "A person did not approve this call."


@dataclass(frozen=True, slots=True)
class Decision:
    """What answers of a person come to, for one call.

    Attributes:
        call: What runs now.
        agent: The name of the agent that called.
        result: Where the call must not run.
        responses: For the agent that this call runs as a tool: the answers to what it has asked.
    """

    call: FunctionCall
    agent: str
    result: FunctionResult | None = None
    responses: tuple[ApprovalResponse, ...] = ()


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
        """Whether this call waits for a person; it does where the tool's own rule fails."""
        mode = tool.approval_mode
        if mode == "never_require" or call.name in self.allowed:
            return False
        if mode == "always_require":
            return True
        try:
            arguments = tool.parameters.decode(call.arguments)
        except ArgumentsError:
            return False  # the tool does not run with these: the model is told what is wrong
        try:
            answer = mode(arguments, context)
            return bool(await answer if inspect.isawaitable(answer) else answer)
        except Exception:  # the root of somebody else's code: where it cannot say, a person does
            _log.error("approval.rule_failed", tool=call.name, call_id=call.call_id, exc_info=True)
            return True

    @property
    def waiting(self) -> frozenset[str]:
        """The ids of the calls that wait for a person."""
        return frozenset((request.within or request.call).call_id for request in self.open.values())

    def ask(self, tool: FunctionTool, call: FunctionCall, agent: str) -> ApprovalRequest:
        """Open a request for a call of this agent."""
        shown = tool.visible_arguments(call.arguments)
        prompt = f"{tool.name}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"
        request = ApprovalRequest(f"apr_{uuid4().hex[:24]}", call, prompt, agent=agent)
        self.open[request.id] = request
        return request

    def pass_on(self, request: ApprovalRequest, agent: str) -> ApprovalRequest:
        """Open a request that came out of an agent which this one runs as a tool."""
        passed = self.open[request.id] = replace(request, agent=agent)
        return passed

    def take(self, response: ApprovalResponse, *, now: datetime) -> Decision:
        """Use up an answer.

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
            response = request.reject("expired.")
        if request.within is not None:
            return Decision(request.within, request.agent, responses=(response,))
        if not response.approved:
            reason = f" Reason: {response.reason}" if response.reason else ""
            return Decision(call, request.agent, result_of(call, "rejected", f"{REJECTED}{reason}"))
        if response.scope != "once":
            self.allowed.add(call.name)
        return Decision(call, request.agent)

    def take_all(self, responses: Iterable[ApprovalResponse], *, now: datetime) -> list[Decision]:
        """Use up several answers, all or none; see ``take``. Those for one call are one decision."""
        before = dict(self.open), set(self.allowed)
        decided: dict[str, Decision] = {}
        try:
            for response in responses:
                one = self.take(response, now=now)
                earlier = decided.get(one.call.call_id, one)
                if earlier is not one:
                    one = dataclasses.replace(one, responses=(*earlier.responses, *one.responses))
                decided[one.call.call_id] = one
        except AgentInvalidRequestException:
            self.open, self.allowed = before
            raise
        return list(decided.values())

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
