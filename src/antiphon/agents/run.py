"""The agent loop: from a conversation to streamed text and tool calls, for voice and text alike.

A ``Run`` is one turn. ``updates()`` tells what happens as it happens; the first words leave before the model has
written the second. What the run adds to the conversation is in ``produced``, and it is sound at any moment: a call has
its result there, or will get it from the ``ToolRunner``, and until then ``build_request`` says in its place that the
call was interrupted. So the history is valid however the run ends: at its end, by ``aclose``, ``break``, cancellation,
or an exception.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace as struct_replace

from antiphon.agents.agent import Agent, as_function_tool
from antiphon.agents.deadline import Deadline, OutOfTime
from antiphon.agents.handoff import Accepted, handoff_specs, settle_handoffs, team_of
from antiphon.agents.history import build_request, with_unique_ids, without_calls
from antiphon.agents.instructions import instructions_for
from antiphon.agents.layers import ask_through, tool_runner_through
from antiphon.agents.limits import RunLimits
from antiphon.agents.memory import compacted, note_usage
from antiphon.agents.middleware import Middleware
from antiphon.agents.models import client_of
from antiphon.agents.observability.switch import SWITCH
from antiphon.agents.responses import AgentResponse, AgentResponseUpdate, Limit, RunFinish
from antiphon.agents.retry import begin
from antiphon.agents.runner import CallGroup, CallUpdate, Manner, ToolRunner
from antiphon.agents.session import AgentSession, new_id
from antiphon.agents.step import Step
from antiphon.clock import Clock
from antiphon.errors import AgentInvalidResponseException, ChatClientInvalidRequestException
from antiphon.models.llm.content import ApprovalRequest, Content, FunctionCall, FunctionResult, HandedOff, Text, Usage
from antiphon.models.llm.contract import ChatClient, ChatDelta, ChatOptions, supports
from antiphon.models.llm.messages import Message, tool_message
from antiphon.tools.context import ToolContext
from antiphon.tools.invoke import result_of
from antiphon.tools.schema import ArgumentsError
from antiphon.tools.tool import FunctionTool

if TYPE_CHECKING:
    from antiphon.agents.observability.spans import RunTrace

_WAITS_FOR_A_PERSON = (
    "A person has to approve this first and has been asked. Say that the request was passed on; the result will follow."
)

_LIMITS = RunLimits()
_NO_USAGE = Usage()
_ENOUGH = "often enough; go on without it."


class Run:
    """One turn of an agent.

    Args:
        agent: Who answers; a handoff changes ``run.agent``.
        messages: The conversation with the new messages; it is repaired where it is not valid.
        session: The conversation's state, approvals and team.
        tools: Runs the calls; belongs to the conversation.
        clock: The conversation's time.
        client_for: Gives the model of an agent.
        instructions: The rendered system message of ``agent``; rendered here unless given.
        more_instructions: What context providers add to it.
        variables: Values for templates, over those of the session.
        fence: Awaited before the calls of a step are told or run. A speculative turn waits here until it is sure.
        limits: What the run may use.
        options: What is not None here overrules the agent's options.
        more_tools: Tools besides the agent's own.
        chat: Middleware around requests, besides the agent's own.
        function: Middleware around calls, besides the agent's own.
        decided: Calls of the conversation that a person has decided on: they run before the model is asked, but for
            those that have a result.
        keep_tools: When the run is ended early, calls that run go on to their end. Else they are cancelled.
        team: Agents that handoffs may name, besides those of the session.
        wait_for_approval: End the run when a call needs a person. Else the model is told that it was passed on.
        trace: Of the turn that this run is part of; the run makes its own where runs are watched.
    """

    def __init__(
        self,
        agent: Agent,
        messages: Sequence[Message],
        *,
        session: AgentSession,
        tools: ToolRunner,
        clock: Clock,
        client_for: Callable[[Agent], ChatClient] = client_of,
        instructions: str | None = None,
        more_instructions: Sequence[str] = (),
        variables: Mapping[str, Any] | None = None,
        fence: Callable[[], Awaitable[None]] | None = None,
        limits: RunLimits | None = None,
        options: ChatOptions | None = None,
        more_tools: Sequence[FunctionTool | Callable[..., Any] | Agent] = (),
        chat: Sequence[Middleware] = (),
        function: Sequence[Middleware] = (),
        team: Sequence[Agent] = (),
        decided: Sequence[tuple[FunctionCall, FunctionResult | None]] = (),
        keep_tools: bool = False,
        wait_for_approval: bool = True,
        trace: RunTrace | None = None,
    ) -> None:
        self.agent = agent
        self.session = session
        self.keep_tools = keep_tools
        self.tells_words = True
        """Whether the words of the answer are told as they come; else only what else happens."""
        self.produced: list[Message] = []
        self.told: list[str] = []
        self.usage = _NO_USAGE
        self.finish: RunFinish = "stop"
        self.limit: Limit | None = None
        self.handoffs: list[HandedOff] = []
        self.requests: list[ApprovalRequest] = []
        self.value: Any = None
        self.steps = 0
        self.step = Step()
        self.request: list[Message] = []
        self._messages = messages
        self._tools = tools
        self._clock = clock
        self._client_for = client_for
        self._instructions = instructions
        self._more_instructions = more_instructions
        self._variables: dict[str, Any] = {**session.variables, **(variables or {})}
        self._message_ids = new_id()[:-2]
        self._fence = fence
        self.limits = limits or agent.limits or _LIMITS
        self._overlay = options
        self._more_tools: dict[str, FunctionTool] = {}
        self._listed: dict[str, FunctionTool] = {}
        self._removed: set[str] = set()
        self._chat = tuple(chat)
        self._function = tuple(function)
        self._decided = decided
        self._team = (agent, *team, *session.agents)
        self._wait_for_approval = wait_for_approval
        self._trace = trace
        self._seq = 0
        self._calls = 0
        self._failed_steps = 0
        self._count: dict[str, int] = {}
        self._errors: dict[str, int] = {}
        self._mended = False
        self._repaired = False
        self._ended_by_middleware = False
        self._is_left_to_caller = False
        if more_tools:
            self._add_tools(more_tools)

    def response(self) -> AgentResponse:
        """What came of it."""
        return AgentResponse(
            "".join(self.told),
            tuple(self.produced),
            self.usage,
            "limit" if self.limit else self.finish,
            self.limit,
            self.agent.name,
            tuple(self.requests),
            tuple(self.handoffs),
            self.steps,
            self.value,
        )

    async def updates(self) -> AsyncGenerator[AgentResponseUpdate]:
        """Run it. Closing the generator closes the model's stream at once.

        Raises:
            ChatClientException: The model failed. Everything told so far holds.
            AgentInvalidResponseException: The answer does not fit the agent's ``output_type``, also not repaired.
        """
        self._deadline = Deadline(self._clock, self.limits.max_seconds)
        records = SWITCH.runs
        began = 0.0 if records is None else self._clock.now()
        if self._trace is None and SWITCH.tracing is not None:
            self._trace = SWITCH.tracing.begin(self.agent, self.session, self._clock)
        try:
            with self._deadline:
                await self._become(self.agent)
            if self._decided:
                group = self._start_decided()
                try:
                    while group.has_more:
                        with self._deadline:
                            update: CallUpdate = await anext(group)
                        yield self._update(update)
                finally:
                    group.release(cancel=not self.keep_tools)
                    self._record_decided(group)
            while True:
                step = self._new_step()
                if self.agent.sources or self.session.queue:
                    await self._refresh()
                delta, deltas = await self._ask()
                try:
                    if not self.tells_words:
                        await self._read(step, delta, deltas)
                    else:
                        while delta is not None:
                            text = step.take(delta)
                            if delta.reasoning:
                                yield self._update(step.thought(delta.reasoning))
                            if text:
                                yield self._update(Text(text))
                            with self._deadline:
                                delta = await anext(deltas, None)
                finally:
                    await deltas.aclose()
                self.usage += step.usage
                note_usage(self.agent, self._client, self.request, self._options.tools, step.usage.input_tokens)
                calls = with_unique_ids(step.calls, self.request) if step.calls and self.limit is None else ()
                if not calls:
                    if self._is_answered(step):
                        break
                    continue
                if self._fence is not None:
                    with self._deadline:
                        await self._fence()
                message = self._record(step, calls)
                if self.tells_words:
                    yield self._update(*message.calls)
                asked = len(self.requests)
                group, accepted = await self._start_calls(step, calls)
                try:
                    if not self.tells_words:
                        with self._deadline:
                            await group.wait()
                    while group.has_more:
                        with self._deadline:
                            update = await anext(group)
                        yield self._update(update)
                finally:
                    group.release(cancel=not self.keep_tools)
                    self._record_results(group)
                for request in self.requests[asked:]:
                    yield self._update(request)
                if accepted is not None:
                    await self._hand_over(accepted)
                    yield self._update(accepted.record)
                if self._is_over():
                    break
                if (answer := self._direct_answer(calls)) is not None:
                    if answer:
                        step = self._new_step()
                        yield self._update(Text(step.take(ChatDelta(answer))))
                        self._record(step)
                    break
        except OutOfTime:
            self.limit = "max_seconds"
            if not self.step.recorded:
                self._record(self.step)
        except BaseException as error:
            if self._trace is not None:
                self._trace.end(self, error)
            if records is not None:
                records.add(self, began, error)
            raise
        finally:
            self._deadline.close()
        self._finish()
        if self._trace is not None:
            self._trace.end(self)
        if records is not None:
            records.add(self, began)

    async def _read(self, step: Step, delta: ChatDelta | None, deltas: AsyncGenerator[ChatDelta]) -> None:
        """Read an answer to its end for somebody who wants it whole."""
        try:
            with self._deadline:
                if delta is not None:
                    step.take(delta)
                async for later in deltas:
                    step.take(later)
        finally:
            if step.has_text:
                self.told.append(step.told)

    # Requests.

    async def _become(self, agent: Agent, shared: Sequence[Message] | None = None) -> None:
        """Go on as this agent: its model, instructions, tools and options."""
        self.agent = agent
        self._client = self._client_for(agent)
        if self._instructions is None:
            self._instructions = await instructions_for(
                agent, session_id=self.session.id, session=self.session, variables=self._variables
            )
        notes = [handoff.when for handoff in agent.routes if handoff.when]
        if agent.output is not None and not supports(self._client, "json_schema"):
            notes.append(agent.output.instructions())
        system = "\n\n".join(part for part in (self._instructions, *self._more_instructions, *notes) if part)
        self._system = system
        conversation = self._messages if shared is None else shared
        self.request = build_request(system, self._fitting(conversation))
        self._set_tools()

    def _fitting(self, conversation: Sequence[Message]) -> Sequence[Message]:
        """The part of the conversation that the model can take."""
        fitting = compacted if self._trace is None else self._trace.compacted
        return fitting(self.agent, conversation, self.session, self._client)

    def _set_tools(self) -> None:
        """What may be called from the next request on."""
        agent = self.agent
        options = agent.request_options if self._overlay is None else overlaid(agent.request_options, self._overlay)
        if not (self._more_tools or self._removed):
            self._toolset, self._options = agent.toolset, options
            return
        tools = {**agent.toolset, **self._more_tools}
        self._toolset = {name: tool for name, tool in tools.items() if name not in self._removed}
        specs = tuple(tool.spec for tool in self._toolset.values()) + handoff_specs(agent.routes)
        self._options = replace(options, tools=specs)

    async def _refresh(self) -> None:
        """Before a step: the tools of sources, and what was said meanwhile."""
        if self.agent.sources:
            with self._deadline:
                listed = {tool.name: tool for source in self.agent.sources for tool in await source.list_tools()}
            if listed != self._listed:
                for name in self._listed.keys() - listed.keys():
                    self._more_tools.pop(name, None)
                self._listed = listed
                self._add_tools(tuple(listed.values()))
        while self.session.queue:
            self._add(self.session.queue.popleft())

    def _new_step(self) -> Step:
        told = self.told[-1] if self.told else ""
        gap = told != "" and not told[-1].isspace()
        message_id = f"{self._message_ids}{self.steps:02x}"
        self.step = Step(gap=gap, provider=self._client.name, message_id=message_id)
        self.steps += 1
        return self.step

    async def _ask(self) -> tuple[ChatDelta | None, AsyncGenerator[ChatDelta]]:
        options = self._options if self.limit is None else replace(self._options, tool_choice="none")
        layers = self.agent.layers["chat"] + self._chat
        client = self._client
        if self._trace is not None:
            client = self._trace.watch(client, self._toolset)
            layers = layers and (*layers, self._trace.watch_request)
        try:
            if layers:
                return await ask_through(
                    layers,
                    self._client,
                    self.request,
                    options,
                    step=self.steps - 1,
                    clock=self._clock,
                    deadline=self._deadline,
                )
            return await begin(client, self.request, options, clock=self._clock, deadline=self._deadline)
        except ChatClientInvalidRequestException as error:
            # Some servers refuse calls and results that others take: once without them, before the turn is lost.
            plain = without_calls(self.request)
            if self._mended or error.code != "invalid_request" or len(plain) == len(self.request):
                raise
            self._mended = True
            self.request = plain
            return await self._ask()

    # Calls.

    async def _start_calls(self, step: Step, calls: tuple[FunctionCall, ...]) -> tuple[CallGroup, Accepted | None]:
        """Start the calls of a step, and settle those that do not run."""
        settled: dict[str, FunctionResult] = {}
        accepted: Accepted | None = None
        if self.agent.routes:
            settled, accepted = self._settle_handoffs(calls)
        open_ids = await self._left_open(calls, settled)
        self._refuse_overdone(calls, settled)
        runnable = [call for call in calls if call.call_id not in open_ids] if open_ids else calls
        # A caller who has just been told something waits without a filler.
        fillers = None if step.has_text else self.agent.fillers
        return self._tools.start(self._toolset, runnable, manner=self._manner(fillers), settled=settled), accepted

    def _manner(self, fillers: Sequence[str] | None) -> Manner:
        layers = self.agent.layers["function"] + self._function
        return Manner(
            self.agent.name,
            self.limits.max_parallel_tools,
            fillers,
            self.limits.max_result_chars,
            tool_runner_through(layers, self._end_by_middleware) if layers else None,
            self._add_tools,
            self._remove_tools,
            self._trace,
        )

    async def _left_open(self, calls: Sequence[FunctionCall], settled: dict[str, FunctionResult]) -> set[str]:
        """Ask for what a person has to approve; gives the calls that wait, for a person or for the application."""
        waiting: set[str] = set()
        approvals = self.session.approvals
        for call in calls:
            tool = self._toolset.get(call.name)
            if tool is not None and tool.is_declared_only:
                self._is_left_to_caller = True
                waiting.add(call.call_id)
            if tool is None or tool.approval_mode == "never_require":
                continue
            context = ToolContext(
                call.call_id, self.session.id, self._tools.values, self.session.state, self.agent.name
            )
            with self._deadline:
                needed = await approvals.needed(tool, call, context)
            if not needed:
                continue
            request = approvals.ask(tool, call)
            self.requests.append(request)
            if self._trace is not None:
                self._trace.ask(request)
            if self._wait_for_approval:
                waiting.add(call.call_id)
            else:
                settled[call.call_id] = result_of(call, "pending", _WAITS_FOR_A_PERSON)
        return waiting

    def _settle_handoffs(self, calls: Sequence[FunctionCall]) -> tuple[dict[str, FunctionResult], Accepted | None]:
        team = team_of(self.agent, self._team)
        at_most = self.limits.max_handoffs
        return settle_handoffs(self.agent, calls, team=team, before=self.handoffs, at_most=at_most)

    def _refuse_overdone(self, calls: Sequence[FunctionCall], settled: dict[str, FunctionResult]) -> None:
        """Calls beyond the run's limit, and of a tool that was called, or failed, too often in this run."""
        most = self.limits.max_tool_calls
        for place, call in enumerate(calls):
            tool = self._toolset.get(call.name)
            if most is not None and self._calls + place >= most and call.call_id not in settled:
                settled[call.call_id] = result_of(call, "error", f"It did not run: {most} calls are all there may be.")
                continue
            if tool is None or (tool.max_calls is None and tool.max_errors is None):
                continue
            self._count[call.name] = self._count.get(call.name, 0) + 1
            if tool.max_calls is not None and self._count[call.name] > tool.max_calls:
                settled[call.call_id] = result_of(
                    call, "error", "This function was called often enough; go on without it."
                )
            elif tool.max_errors is not None and self._errors.get(call.name, 0) >= tool.max_errors:
                settled[call.call_id] = result_of(call, "error", f"This function failed {_ENOUGH}")

    async def _hand_over(self, accepted: Accepted) -> None:
        """From the next request on the target answers."""
        source, handoff = self.agent, accepted.handoff
        self.handoffs.append(accepted.record)
        self.session.active_agent = accepted.target.name
        passed = {
            "previous_agent": source.name,
            "handoff_reason": accepted.record.reason,
            "handoff_context": dict(accepted.context),
            **handoff.context_vars,
        }
        self._variables |= passed
        # The target's instructions are rendered anew in each run, and need them there too.
        self.session.variables = {**self.session.variables, **passed}
        self._instructions = None
        conversation = [message for message in self.request if message.role != "system"]
        if handoff.share_context:  # summaries and facts stand in the old agent's system message: here they are anew
            conversation = [*(message for message in self._messages if message.role == "system"), *conversation]
        else:
            conversation = _own_part(conversation, accepted)
        self._more_tools = {}
        self._listed = {}
        self._removed = set()
        around = nullcontext() if self._trace is None else self._trace.handoff(accepted.record)
        with self._deadline, around:
            await self._become(accepted.target, conversation)

    # Ends.

    def _is_answered(self, step: Step) -> bool:
        """The model has asked for no calls: whether that is the run's answer; a wrong one may be repaired once."""
        output = self.agent.output
        if output is None or self.limit is not None:
            self._record(step)
            return True
        try:
            self.value = output.parse(step.text)
        except ArgumentsError as fault:
            if self._repaired:
                raise AgentInvalidResponseException(
                    f"Agent {self.agent.name!r} gave an answer that does not fit its output_type ({fault}): "
                    f"{step.text[:200]!r}. Use a model that can be held to a schema, or a simpler type.",
                    code="invalid_output",
                ) from None
            self._repaired = True
            self.told.clear()
            self.request += [Message("assistant", step.text or "{}"), Message("user", output.repair_prompt(fault))]
            return False
        self._record(step)
        return True

    def _is_over(self) -> bool:
        """Whether the run ends with this step's calls; also notes the limits that are met."""
        if self.requests and self._wait_for_approval:
            self.finish = "input_required"
        elif self._is_left_to_caller:
            self.finish = "tool_calls"
        elif self._ended_by_middleware:
            self.finish = "stop"
        else:
            self._check_limits()
            return False
        return True

    def _finish(self) -> None:
        if self.finish == "stop" and self.step.finish not in (None, "tool_calls"):
            self.finish = self.step.finish

    def _check_limits(self) -> None:
        """Note the limit that this step has met, if any."""
        limits = self.limits
        if self._failed_steps >= limits.max_consecutive_errors:
            self.limit = "max_consecutive_errors"
        elif limits.max_tool_calls is not None and self._calls >= limits.max_tool_calls:
            self.limit = "max_tool_calls"
        elif self.steps >= limits.max_model_steps:
            self.limit = "max_model_steps"

    def _direct_answer(self, calls: tuple[FunctionCall, ...]) -> str | None:
        """What the tools of the last step say in the model's place; None where the model is to go on.

        It is empty where the model wrote words of its own beside the calls.
        """
        texts: list[str] = []
        for call, message in zip(calls, self.produced[-len(calls) :], strict=True):
            tool, result = self._toolset.get(call.name), message.result
            if tool is None or not tool.return_direct or result is None or result.status != "ok":
                return None
            texts.append(result.text)
        return "" if self.step.has_text else " ".join(texts)

    # Notes.

    def _record(self, step: Step, calls: tuple[FunctionCall, ...] = ()) -> Message:
        """Add the step's assistant message, if there is anything in it."""
        message = step.message(calls, self.agent.name)
        if message.contents:
            self._add(message)
        return message

    def _record_results(self, group: CallGroup) -> None:
        """Add one tool message per call, in the calls' order. One that goes on gives its result later."""
        results = group.results
        for result in results:
            if result is not None:
                self._add(tool_message(result))
                if result.status in ("error", "timeout"):
                    self._errors[result.name] = self._errors.get(result.name, 0) + 1
        self._calls += len(results)
        failed = bool(results) and all(
            result is not None and result.status in ("error", "timeout") for result in results
        )
        self._failed_steps = self._failed_steps + 1 if failed else 0

    def _start_decided(self) -> CallGroup:
        """Run what a person has approved; its tool may be one of an agent that has handed over since."""
        tools = {
            name: tool for member in team_of(self.agent, self._team).values() for name, tool in member.toolset.items()
        }
        settled = {call.call_id: result for call, result in self._decided if result is not None}
        calls = [call for call, _ in self._decided]
        return self._tools.start({**tools, **self._toolset}, calls, manner=self._manner(None), settled=settled)

    def _record_decided(self, group: CallGroup) -> None:
        """The results in their calls' place, or behind where the model was told to wait for them."""
        told = {message.result.call_id for message in self._messages if message.result is not None}
        for (call, _), result in zip(self._decided, group.results, strict=True):
            if result is None:
                continue
            if call.call_id in told:
                call_id = f"{call.call_id}_done"
                result = struct_replace(result, call_id=call_id)
                again = struct_replace(call, call_id=call_id)
                self.produced.append(Message("assistant", (again,), author_name=self.agent.name))
            self.produced.append(tool_message(result))
        whole = [*self._messages, *self.produced]
        self.request = build_request(self._system, self._fitting(whole))

    def _add(self, message: Message) -> None:
        self.produced.append(message)
        self.request.append(message)

    def _update(self, *contents: Content) -> AgentResponseUpdate:
        seq = self._seq
        self._seq = seq + 1
        if contents[0].type == "text":
            self.told.append(contents[0].text)
        agent = self.agent
        return AgentResponseUpdate(
            contents, agent.name, self.steps - 1, seq, self.step.message_id, agent.output is not None
        )

    def _add_tools(self, tools: Sequence[Any]) -> None:
        for item in tools:
            tool = as_function_tool(item)
            self._more_tools[tool.name] = tool
            self._removed.discard(tool.name)
        if self.steps:
            self._set_tools()

    def _remove_tools(self, names: Sequence[str]) -> None:
        self._removed.update(names)
        self._set_tools()

    def _end_by_middleware(self) -> None:
        self._ended_by_middleware = True


def overlaid(options: ChatOptions, over: ChatOptions) -> ChatOptions:
    """Options with those of ``over`` that say something in the place of their own."""
    changes = {name: value for name in ChatOptions.__slots__ if (value := getattr(over, name)) != getattr(_PLAIN, name)}
    return replace(options, **changes)


_PLAIN = ChatOptions()


def _own_part(conversation: Sequence[Message], accepted: Accepted) -> list[Message]:
    """What a target sees that does not share the context: its own earlier words, and why it is asked."""
    own = [message for message in conversation if message.author_name == accepted.target.name]
    about = f" {dict(accepted.context)}" if accepted.context else ""
    return [*own, Message("user", f"{accepted.record.reason}{about}".strip() or "Please go on.")]
