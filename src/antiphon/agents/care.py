"""What becomes of the calls of a step beside running: approval, answers of the application, answers of tools."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass

from antiphon.agents.approval import Approvals
from antiphon.agents.handovers import Handovers
from antiphon.agents.runner import CallGroup, ToolRunner
from antiphon.models.llm.content import ApprovalRequest, FunctionCall, FunctionResult
from antiphon.models.llm.messages import Message
from antiphon.tools.context import ToolContext
from antiphon.tools.invoke import INTERRUPTED, result_of
from antiphon.tools.tool import FunctionTool


@dataclass(slots=True)
class Acts:
    """The calls of a step while they run, and what is told behind them.

    Attributes:
        group: What runs.
        record: Takes their results.
        calls: All calls of the step.
        handovers: Know the handoff that is to be carried out behind them.
        is_whole: Whether the step came to its end; a handoff of one that was cut is none.
    """

    group: CallGroup
    record: Callable[[Sequence[FunctionResult | None]], None]
    calls: tuple[FunctionCall, ...] = ()
    handovers: Handovers | None = None
    is_whole: bool = False

    @property
    def results(self) -> list[FunctionResult | None]:
        """In the order of the calls; None where a call has no result yet."""
        results = self.group.results
        accepted = self.handovers.accepted if self.handovers is not None else None
        if accepted is None or self.is_whole:
            return results
        cut = result_of(accepted.call, "interrupted", INTERRUPTED)
        return [cut if result is not None and result.call_id == cut.call_id else result for result in results]


def direct_answer(
    calls: Sequence[FunctionCall], produced: Sequence[Message], tools: Mapping[str, FunctionTool]
) -> str | None:
    """What the tools of the last step say in the model's place; None where the model is to go on.

    Args:
        calls: The calls of the step.
        produced: The messages of the run; the calls' results are the last.
        tools: By name.
    """
    if not calls:
        return None
    texts: list[str] = []
    for call, message in zip(calls, produced[-len(calls) :], strict=True):
        tool, result = tools.get(call.name), message.result
        if tool is None or not tool.return_direct or result is None or result.status != "ok":
            return None
        texts.append(result.text)
    return " ".join(texts)


def left_to_caller(calls: Sequence[FunctionCall], tools: Mapping[str, FunctionTool]) -> set[str]:
    """The ids of the calls whose tools are only declared."""
    return {call.call_id for call in calls if call.name in tools and tools[call.name].is_declared_only}


def waits_for(request: ApprovalRequest, tools: bool | Container[str]) -> bool:
    """Whether a run ends until a person has decided on this: ``tools`` are those whose calls do so, or all or none."""
    return tools if isinstance(tools, bool) else (request.within or request.call).name in tools


async def ask_for_approval(
    calls: Sequence[FunctionCall],
    tools: Mapping[str, FunctionTool],
    *,
    approvals: Approvals,
    runner: ToolRunner,
    agent: str,
) -> list[ApprovalRequest]:
    """Open a request for each call that a person has to approve."""
    requests: list[ApprovalRequest] = []
    for call in calls:
        tool = tools.get(call.name)
        if tool is None or tool.approval_mode == "never_require":
            continue
        context = ToolContext(call.call_id, runner.session_id, runner.values, runner.state, agent)
        if await approvals.needed(tool, call, context):
            requests.append(approvals.ask(tool, call, agent))
    return requests
