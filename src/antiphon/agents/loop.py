"""The tool loop: from a conversation to streamed text and tool calls, for voice and text alike.

The loop keeps no state between runs. What it needs it is given, what it did it tells in its updates:

- ``TextDelta`` as the model writes; the first leaves before the model has written the second.
- ``CallsRequested``, ``CallStarted``, ``CallFinished`` and so on around tool calls.
- ``Finished`` with all messages that the run adds to the history. A run that is ended early has no ``Finished``.

**A call always has its result in the history.** The owner of the history adds the message of each ``CallsRequested``
and the result of each ``CallFinished``, or all of ``Finished.messages`` at the end. When the run is ended early
(``aclose``, ``break``, cancellation), calls that run on give their result to the ``ToolRunner``'s ``on_result``; until
then ``build_request`` puts the text that the call was interrupted in its place. So a request is valid at any time.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from antiphon.agents.agent import Agent
from antiphon.agents.deadline import Deadline, OutOfTime
from antiphon.agents.history import build_request, result_message, with_unique_ids
from antiphon.agents.instructions import instructions_for
from antiphon.agents.retry import begin
from antiphon.agents.runner import ToolRunner
from antiphon.agents.updates import CallsRequested, CallUpdate, Finished, Limit, RunFinish, TextDelta, Update
from antiphon.clock import Clock
from antiphon.models.llm.contract import ChatClient, ChatDelta, ChatOptions, FinishReason, FunctionCall, Message, Usage
from antiphon.tools.invoke import ToolResult


async def run_loop(
    agent: Agent,
    messages: Sequence[Message],
    *,
    client: ChatClient,
    tools: ToolRunner,
    clock: Clock,
    instructions: str | None = None,
    fence: Callable[[], Awaitable[None]] | None = None,
) -> AsyncGenerator[Update]:
    """Run one turn. Closing the generator closes the model's stream at once and releases the running calls.

    Args:
        agent: Who answers.
        messages: The conversation with the new user message; it is repaired where it is not valid.
        client: The model.
        tools: Runs the calls; belongs to the conversation.
        clock: The conversation's time.
        instructions: The rendered system message; rendered here, without further variables, unless given.
        fence: Awaited before the calls of a step are told or run. A speculative turn waits here until it is sure.

    Raises:
        ChatClientException: The model failed. Everything told so far holds.
    """
    if instructions is None:
        instructions = await instructions_for(agent)
    run = _Run(agent, build_request(instructions, messages), Deadline(clock, agent.limits.max_seconds))
    step = _Step()
    try:
        while True:
            step = _Step(run.needs_gap())
            delta, deltas = await begin(client, run.request, run.options(), clock=clock, deadline=run.deadline)
            async with aclosing(deltas):
                while delta is not None:
                    if text := step.take(delta):
                        yield TextDelta(text)
                    with run.deadline:
                        delta = await anext(deltas, None)
            run.usage += step.usage
            calls = with_unique_ids(step.calls, run.request) if step.calls and run.limit is None else ()
            if not calls:
                run.record(step)
                break
            if fence is not None:
                with run.deadline:
                    await fence()
            yield CallsRequested(run.record(step, calls))
            async with aclosing(_call(run, step, calls, tools)) as updates:
                async for update in updates:
                    yield update
            run.check_limits()
            if (answer := run.direct_answer(calls)) is not None:
                step = _Step(run.needs_gap())
                if answer:
                    yield TextDelta(step.take(ChatDelta(answer)))
                    run.record(step)
                break
    except OutOfTime:
        run.limit = "max_seconds"
        if not step.recorded:
            run.record(step)
    finally:
        run.deadline.close()
    yield Finished(tuple(run.produced), run.usage, "limit" if run.limit else step.run_finish, run.limit)


async def _call(
    run: _Run, step: _Step, calls: tuple[FunctionCall, ...], tools: ToolRunner
) -> AsyncGenerator[CallUpdate]:
    """Run the calls of one step. A caller who has just been told something waits without a filler."""
    fillers = None if step.text else run.agent.fillers
    group = tools.start(run.agent.toolset, calls, parallel=run.agent.limits.max_parallel_tools, fillers=fillers)
    try:
        while group.has_more:
            with run.deadline:
                update = await anext(group)
            yield update
    finally:
        group.release()
        run.record_results(calls, group.results)


@dataclass(slots=True)
class _Step:
    """One request: what its answer brought."""

    gap: bool = False
    text: str = ""
    calls: tuple[FunctionCall, ...] = ()
    finish: FinishReason | None = None
    usage: Usage = field(default_factory=Usage)
    recorded: bool = False

    def take(self, delta: ChatDelta) -> str:
        """Note a delta; gives the words to tell, with a space between the words of two steps."""
        if delta.calls:
            self.calls += delta.calls
        if delta.finish_reason is not None:
            self.finish = delta.finish_reason
        if delta.usage is not None:
            self.usage += delta.usage
        text = delta.text
        if text and self.gap and not self.text and not text[0].isspace():
            text = f" {text}"
        self.text += delta.text
        return text

    @property
    def run_finish(self) -> RunFinish:
        """Why the run ends, if it ends with this step."""
        return "stop" if self.finish is None or self.finish == "tool_calls" else self.finish


@dataclass(slots=True)
class _Run:
    """A run so far."""

    agent: Agent
    request: list[Message]
    deadline: Deadline
    produced: list[Message] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    limit: Limit | None = None
    steps: int = 0
    calls: int = 0
    failed_steps: int = 0
    results: Sequence[ToolResult | None] = ()

    def options(self) -> ChatOptions:
        """The options of the next request: at a limit it is the last, and without tools."""
        options = self.agent.request_options
        return options if self.limit is None else replace(options, tool_choice="none")

    def needs_gap(self) -> bool:
        """Whether the last words that were told end without a space."""
        told = next((message.text for message in reversed(self.produced) if message.role == "assistant"), "")
        return told != "" and not told[-1].isspace()

    def record(self, step: _Step, calls: tuple[FunctionCall, ...] = ()) -> Message:
        """Add the step's assistant message, if there is anything in it."""
        step.recorded = True
        message = Message("assistant", step.text, calls)
        if step.text or calls:
            self._add(message)
        return message

    def record_results(self, calls: tuple[FunctionCall, ...], results: Sequence[ToolResult | None]) -> None:
        """Add one tool message per call, in the calls' order."""
        self.results = results
        for call, result in zip(calls, results, strict=True):
            self._add(result_message(call, result))
        self.steps += 1
        self.calls += len(calls)
        failed = all(result is not None and result.status != "ok" for result in results)
        self.failed_steps = self.failed_steps + 1 if failed else 0

    def direct_answer(self, calls: tuple[FunctionCall, ...]) -> str | None:
        """What the tools of the last step say in the model's place; None where the model is to go on.

        It is empty where the model wrote words of its own beside the calls.
        """
        for call, result in zip(calls, self.results, strict=True):
            if result is None or result.status != "ok" or not self.agent.toolset[call.name].return_direct:
                return None
        asked = next(message for message in reversed(self.produced) if message.calls)
        return "" if asked.text else " ".join(result.text for result in self.results if result is not None)

    def check_limits(self) -> None:
        """Note the limit that this step has met, if any."""
        limits = self.agent.limits
        if self.failed_steps >= limits.max_consecutive_errors:
            self.limit = "max_consecutive_errors"
        elif limits.max_tool_calls is not None and self.calls >= limits.max_tool_calls:
            self.limit = "max_tool_calls"
        elif self.steps >= limits.max_model_steps:
            self.limit = "max_model_steps"

    def _add(self, message: Message) -> None:
        self.produced.append(message)
        self.request.append(message)
