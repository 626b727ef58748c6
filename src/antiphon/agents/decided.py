"""What a person is asked and has decided: the calls that then run, and what agents that run as tools ask."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from antiphon.agents.approval import Decision
from antiphon.agents.care import waits_for
from antiphon.agents.runner import CallGroup, Manner, ToolRunner
from antiphon.models.llm.content import ApprovalRequest, FunctionResult
from antiphon.models.llm.messages import Message, tool_message
from antiphon.tools.invoke import result_of
from antiphon.tools.tool import FunctionTool

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent
    from antiphon.agents.run import Run

PASSED_ON = (
    "A person has to approve this first and has been asked. Say that the request was passed on; the result will follow."
)


def note_requests(
    run: Run,
    requests: Sequence[ApprovalRequest],
    *,
    wait_for: bool | Container[str],
    open_ids: set[str],
    settled: dict[str, FunctionResult],
) -> None:
    """Note that a person is asked about calls of a run.

    Args:
        run: Whose calls they are.
        requests: What is asked.
        wait_for: As in ``waits_for``: the run ends until that is decided; else the model is told that it was passed on.
        open_ids: Gets the calls that have no result yet.
        settled: Gets the results of the others.
    """
    for request in requests:
        run.requests.append(request)
        if run.trace is not None:
            run.trace.ask(request)
        if waits_for(request, wait_for):
            open_ids.add(request.call.call_id)
        else:
            settled[request.call.call_id] = result_of(request.call, "pending", PASSED_ON)


def note_questions(
    run: Run, results: Sequence[FunctionResult | None], *, stay_open: bool
) -> list[FunctionResult | None]:
    """Note what agents that run as tools ask a person; gives the results without it.

    Args:
        run: Whose calls they are.
        results: Of the calls.
        stay_open: Whether the calls that ask have no result yet; else they are told to be passed on.
    """
    answered: list[FunctionResult | None] = []
    for result in results:
        if result is not None and result.requests:
            for request in result.requests:
                run.requests.append(run.session.approvals.pass_on(request, run.agent.name))
                if run.trace is not None:
                    run.trace.ask(request)
            result = None if stay_open else replace(result, text=PASSED_ON, requests=())
        answered.append(result)
    return answered


async def start_decided(
    decided: Sequence[Decision],
    *,
    team: Mapping[str, Agent],
    tools: Mapping[str, FunctionTool],
    runner: ToolRunner,
    manner: Manner,
) -> CallGroup:
    """Run what a person has approved, and settle what was rejected.

    Args:
        decided: What a person has decided on.
        team: The agents of the conversation; the tool may be one of an agent that has handed over since.
        tools: What else may be called.
        runner: Of the conversation.
        manner: How they are run.
    """
    found = {**tools, **await _tools_of(decided, team)}
    settled = {each.call.call_id: each.result for each in decided if each.result is not None}
    manner.decisions = {each.call.call_id: each.responses for each in decided}
    return runner.start(found, [each.call for each in decided], manner=manner, settled=settled)


def messages_of_decided(
    decided: Sequence[Decision],
    results: Sequence[FunctionResult | None],
    conversation: Sequence[Message],
    *,
    agent: str,
) -> list[Message]:
    """The results in their calls' place, or behind, as a pair, where the model was told to wait for them."""
    told = {message.result.call_id for message in conversation if message.result is not None}
    messages: list[Message] = []
    for each, result in zip(decided, results, strict=True):
        call = each.call
        if result is None:
            continue
        if call.call_id in told:
            call_id = f"{call.call_id}_done"
            result = replace(result, call_id=call_id)
            messages.append(Message("assistant", (replace(call, call_id=call_id),), author_name=agent))
        messages.append(tool_message(result))
    return messages


async def _tools_of(decided: Sequence[Decision], team: Mapping[str, Agent]) -> dict[str, FunctionTool]:
    """The tools of the calls, each that of the agent that has called, which may have handed over since."""
    found: dict[str, FunctionTool] = {}
    for agent in (team[name] for name in {each.agent for each in decided} & team.keys()):
        own = dict(agent.toolset)
        for source in agent.sources:
            own |= {tool.name: tool for tool in await source.list_tools()}
        names = {each.call.name for each in decided if each.agent == agent.name}
        found |= {name: own[name] for name in names & own.keys()}
    return found
