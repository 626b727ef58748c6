"""The agent loop: from a conversation to streamed text and tool calls, for voice and text alike.

A ``Run`` is one turn. ``updates()`` tells what happens as it happens; the first words leave before the model has
written the second. What the run adds to the conversation is in ``produced``, and it is sound at any moment: a call has
its result there, or will get it from the ``ToolRunner``, and until then ``build_request`` says in its place that the
call was interrupted. So the history is valid however the run ends: at its end, by ``aclose``, ``break``, cancellation,
or an exception.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Container, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from antiphon.agents.agent import Agent
from antiphon.agents.approval import Decision
from antiphon.agents.care import Acts, ask_for_approval, direct_answer, left_to_caller, waits_for
from antiphon.agents.deadline import Deadline, OutOfTime
from antiphon.agents.decided import messages_of_decided, note_questions, note_requests, start_decided
from antiphon.agents.handoff import team_of, visible
from antiphon.agents.handovers import Handovers
from antiphon.agents.history import build_request, with_unique_ids, without_calls
from antiphon.agents.instructions import instructions_for
from antiphon.agents.interview import seen_by_agent
from antiphon.agents.interviews import Change, Interviews
from antiphon.agents.layers import ask_through, tool_runner_through
from antiphon.agents.limits import RunLimits
from antiphon.agents.memory import compacted, note_usage
from antiphon.agents.middleware import Middleware
from antiphon.agents.models import client_of
from antiphon.agents.observability.switch import SWITCH, watched
from antiphon.agents.passing import laid_over
from antiphon.agents.responses import AgentResponse, AgentResponseUpdate, Limit, RunFinish
from antiphon.agents.retry import begin
from antiphon.agents.runner import CallUpdate, Manner, ToolRunner
from antiphon.agents.session import AgentSession, new_id
from antiphon.agents.step import Step
from antiphon.agents.tally import Tally
from antiphon.agents.toolbox import Toolbox
from antiphon.clock import Clock
from antiphon.errors import AgentInvalidResponseException, ChatClientInvalidRequestException
from antiphon.models.llm.content import ApprovalRequest, Content, FunctionCall, FunctionResult, HandedOff, Text, Usage
from antiphon.models.llm.contract import ChatClient, ChatDelta, ChatOptions, supports
from antiphon.models.llm.messages import Message, tool_message
from antiphon.tools.schema import ArgumentsError
from antiphon.tools.tool import FunctionTool

if TYPE_CHECKING:
    from antiphon.agents.observability.spans import RunTrace
_LIMITS = RunLimits()
_NO_USAGE = Usage()
_UNWATCHED = nullcontext()


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
        more_tools: Tools besides the agent's own; neither for who takes over, nor for who asks for it meanwhile.
        chat: Middleware around requests, besides the agent's own.
        function: Middleware around calls, besides the agent's own.
        decided: Calls of the conversation that a person has decided on: they run before the model is asked, but for
            those that have a result.
        keep_tools: When the run is ended early, calls that run go on to their end. Else they are cancelled.
        team: Agents that handoffs may name, besides those of the session.
        greets: Whether an agent that takes over speaks its greeting before it answers; its words are in ``handovers``.
        wait_for_approval: Whether a call that needs a person ends the run, or of which tools; else it is passed on.
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
        decided: Sequence[Decision] = (),
        keep_tools: bool = False,
        greets: bool = False,
        wait_for_approval: bool | Container[str] = True,
        trace: RunTrace | None = None,
    ) -> None:
        self.agent = agent
        self.session = session
        self.keep_tools = keep_tools
        self.tells_words = True
        """Whether the words of the answer are told as they come; else only what else happens."""
        self.produced = produced = list[Message]()
        self.told: list[str] = []
        self.usage = _NO_USAGE
        self.finish: RunFinish = "stop"
        self.limit: Limit | None = None
        self.requests: list[ApprovalRequest] = []
        self.value: Any = None
        self.steps = 0
        self.step = Step()
        self.request: list[Message] = []
        self._messages = messages
        self._tools = tools
        self.clock = clock
        self._client_for = client_for
        self._instructions = instructions
        self._more_instructions = more_instructions
        self._given = variables or {}
        self._variables: dict[str, Any] = {**session.values, **self._given}
        # It holds the lists and not the run: that would be a cycle.
        self.handovers = Handovers(session, lambda: [*messages, *produced], greets=greets)
        self.handoffs = self.handovers.done
        self.interviews = Interviews(session, heard=bool(messages) and messages[-1].role == "user")
        self._message_ids = new_id()[:-2]
        self._fence = fence
        self.limits = limits or agent.limits or _LIMITS
        self._box = Toolbox(overlay=options, more=more_tools)
        self._tally = Tally(self.limits)
        self._chat = tuple(chat)
        self._function = tuple(function)
        self._decided = decided
        self._told_requests = 0
        self._team = (agent, *team, *session.agents)
        self._wait_for_approval = wait_for_approval
        self.trace = trace
        self._seq = 0
        self.mended = False
        """Whether the model has refused the conversation's calls, and was asked once more without them."""
        self._repaired = False
        self._ended_by_middleware = False
        self._is_left_to_caller = False

    @property
    def toolset(self) -> Mapping[str, FunctionTool]:
        """What the model may call now, by name."""
        return self._box.tools

    def response(self) -> AgentResponse:
        """What came of it."""
        return AgentResponse.of(self)

    async def updates(self) -> AsyncGenerator[AgentResponseUpdate]:
        """Run it. Closing the generator closes the model's stream at once.

        Raises:
            ChatClientException: The model failed. Everything told so far holds.
            AgentInvalidResponseException: The answer does not fit the agent's ``output_type``, also not repaired.
        """
        self._deadline = Deadline(self.clock, self.limits.max_seconds)
        with _UNWATCHED if SWITCH.tracing is None and SWITCH.runs is None else watched(self):
            try:
                with self._deadline:
                    await self._become(self.agent)
                acts = await self._decided_acts() if self._decided else None
                while True:
                    if acts is None:
                        change = self.interviews.change(self.agent)
                        if change is not None:
                            yield await self._go_on(change)
                            if change.words:
                                yield self._update(Text(self._new_step().take(ChatDelta(change.words))))
                                self._record(self.step)
                                break
                        step = self._new_step()
                        if self.agent.sources or self.session.queue:
                            await self._refresh()
                        delta, deltas = await self._ask()
                        try:
                            if not self.tells_words:
                                await self._read(step, delta, deltas)
                                delta = None
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
                        calls = self._calls_of(step)
                        if not calls:
                            if self._is_answered(step):
                                break
                            continue
                        if self._fence is not None:
                            with self._deadline:
                                await self._fence()
                        self._record(step, calls)
                        if self.tells_words:
                            yield self._update(*calls)
                        acts = await self._start_calls(step, calls)
                    try:
                        if not self.tells_words:
                            with self._deadline:
                                await acts.group.wait()
                        while acts.group.has_more:
                            with self._deadline:
                                update: CallUpdate = await anext(acts.group)
                            yield self._update(update)
                        acts.is_whole = True
                    finally:
                        acts.group.release(cancel=not self.keep_tools)
                        acts.record(acts.results)
                    for request in self.requests[self._told_requests :]:
                        yield self._update(request)
                    self._told_requests = len(self.requests)
                    if self.handovers.accepted is not None:
                        yield self._update(await self._hand_over())
                    if self._is_over():
                        break
                    answer = direct_answer(acts.calls, self.produced, self._box.tools)
                    if answer is not None:
                        if answer and not self.step.has_text:
                            yield self._update(Text(self._new_step().take(ChatDelta(answer))))
                            self._record(self.step)
                        break
                    acts = None
            except OutOfTime:
                self.limit = "max_seconds"
                if not self.step.recorded:
                    self._record(self.step)
            finally:
                self._deadline.close()
            self._finish()

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

    def _calls_of(self, step: Step) -> tuple[FunctionCall, ...]:
        """What the model asks for; nothing at a limit. Its tokens are counted here."""
        self.usage += step.usage
        if self.steps == 1:
            note_usage(self.agent, self._client, self.request, self._box.options.tools, step.usage.input_tokens)
        calls = step.calls if self.limit is None else ()
        return with_unique_ids(calls, [*self._messages, *self.produced]) if calls else ()

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
        self.request = build_request(system, self._fitting(conversation), waiting=self.session.approvals.waiting)
        self._box.belong_to(agent, with_more=not self.handoffs and self.session.interview is None)

    def _fitting(self, conversation: Sequence[Message]) -> Sequence[Message]:
        """The part of the conversation that the model can take."""
        fitting = compacted if self.trace is None else self.trace.compacted
        seen = seen_by_agent(visible(conversation, self.session.apart), self.session)
        return fitting(self.agent, seen, self.session, self._client)

    async def _refresh(self) -> None:
        """Before a step: the tools of sources, and what was said meanwhile."""
        if self.agent.sources:
            with self._deadline:
                await self._box.refresh()
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
        options = self._box.options
        if self.limit is not None or (options.tool_choice == "required" and self._tally.has_calls):
            options = replace(options, tool_choice="none" if self.limit is not None else "auto")
        layers = self.agent.layers["chat"] + self._chat
        client = self._client
        if self.trace is not None:
            client = self.trace.watch(client, self._box.tools)
            layers = layers and (*layers, self.trace.watch_request)
        try:
            if layers:
                return await ask_through(
                    layers,
                    self._client,
                    self.request,
                    options,
                    step=self.steps - 1,
                    clock=self.clock,
                    deadline=self._deadline,
                )
            return await begin(client, self.request, options, clock=self.clock, deadline=self._deadline)
        except ChatClientInvalidRequestException as error:
            # Some servers refuse calls and results that others take: once without them, before the turn is lost.
            plain = without_calls(self.request)
            if self.mended or error.code != "invalid_request" or len(plain) == len(self.request):
                raise
            self.mended = True
            self.request = plain
            return await self._ask()

    # Calls.

    async def _start_calls(self, step: Step, calls: tuple[FunctionCall, ...]) -> Acts:
        """Start the calls of a step, and settle those that do not run."""
        tools = self._box.tools
        # A caller who has just been told something waits without a filler.
        manner = self._manner(None if step.has_text else self.agent.fillers)
        if not (self._box.needs_care or self.agent.routes or self.limits.max_tool_calls):
            return Acts(self._tools.start(tools, calls, manner=manner), self._record_results, calls)
        team = team_of(self.agent, self._team)
        settled = self.handovers.settle(self.agent, calls, team=team, at_most=self.limits.max_handoffs)
        open_ids = left_to_caller(calls, tools)
        self._is_left_to_caller = self._is_left_to_caller or bool(open_ids)
        open_ids |= self.interviews.settle(self.agent, calls, tools=tools, settled=settled)
        with self._deadline:
            requests = await ask_for_approval(
                calls, tools, approvals=self.session.approvals, runner=self._tools, agent=self.agent.name
            )
        note_requests(self, requests, wait_for=self._wait_for_approval, open_ids=open_ids, settled=settled)
        self._tally.refuse(calls, tools, settled)
        runnable = [call for call in calls if call.call_id not in open_ids]
        group = self._tools.start(tools, runnable, manner=manner, settled=settled)
        return Acts(group, self._record_results, calls, self.handovers)

    def _manner(self, fillers: Sequence[str] | None) -> Manner:
        layers = self.agent.layers["function"] + self._function
        return Manner(
            self.agent.name,
            self.limits.max_parallel_tools,
            fillers,
            self.limits.max_result_chars,
            tool_runner_through(layers, self._end_by_middleware) if layers else None,
            self._box.add,
            self._box.remove,
            self.trace,
            not self.tells_words,
            read=self.handovers.read,
        )

    async def _hand_over(self) -> HandedOff:
        """From the next request on the target answers."""
        accepted, was_apart = self.handovers.accepted, self.session.apart is not None
        assert accepted is not None
        self.handovers.carried_out(accepted)
        # The target's instructions are rendered anew in each run: these values hold there too.
        self._variables = laid_over({**self.session.variables, **self._given}, accepted.values)
        self._instructions = None
        conversation = [*self._messages, *self.produced]
        if accepted.handoff.share_context and not was_apart:
            # Summaries and facts stood in the old agent's system message.
            notes = [message for message in self._messages if message.role == "system"]
            conversation = [*notes, *(message for message in self.request if message.role != "system")]
        around = nullcontext() if self.trace is None else self.trace.handoff(accepted.record)
        with self._deadline, around:
            await self._become(accepted.target, conversation)
        return accepted.record

    async def _go_on(self, change: Change) -> AgentResponseUpdate:
        """The caller is asked for something by another agent, or the one that waited for it has it."""
        if change.record.type == "agent_tool_ended":
            self._add(tool_message(change.record.result))
        self._instructions = None
        with self._deadline:
            await self._become(change.agent, [*self._messages, *self.produced])
        return self._update(change.record)

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
        if any(waits_for(request, self._wait_for_approval) for request in self.requests):
            self.finish = "input_required"
        elif self._is_left_to_caller:
            self.finish = "tool_calls"
        elif self._ended_by_middleware:
            self.finish = "stop"
        else:
            self.limit = self._tally.limit(self.steps)
            return False
        return True

    def _finish(self) -> None:
        if self.finish == "stop" and self.step.finish not in (None, "tool_calls"):
            self.finish = self.step.finish

    def _record(self, step: Step, calls: tuple[FunctionCall, ...] = ()) -> Message:
        """Add the step's assistant message, if there is anything in it."""
        message = step.message(calls, self.agent.name)
        if message.contents:
            self._add(message)
        return message

    def _record_results(self, results: Sequence[FunctionResult | None]) -> None:
        """Add one tool message per call, in the calls' order. One that goes on gives its result later."""
        answered = note_questions(self, results, stay_open=self._wait_for_approval is True)
        for result in answered:
            if result is not None:
                self._add(tool_message(result))
        self._tally.note(answered)

    async def _decided_acts(self) -> Acts:
        team, manner = team_of(self.agent, self._team), self._manner(None)
        self.handovers.settle(self.agent, (), team=team, at_most=self.limits.max_handoffs)
        with self._deadline:
            group = await start_decided(
                self._decided, team=team, tools=self._box.tools, runner=self._tools, manner=manner
            )
        return Acts(group, self._record_decided, handovers=self.handovers)

    def _record_decided(self, results: Sequence[FunctionResult | None]) -> None:
        answered = note_questions(self, results, stay_open=True)
        self.produced += messages_of_decided(self._decided, answered, self._messages, agent=self.agent.name)
        whole = self._fitting([*self._messages, *self.produced])
        self.request = build_request(self._system, whole, waiting=self.session.approvals.waiting)

    def _add(self, message: Message) -> None:
        self.produced.append(message)
        self.request.append(message)

    def _update(self, *contents: Content) -> AgentResponseUpdate:
        agent, seq = self.agent, self._seq
        self._seq = seq + 1
        if contents[0].type == "text":
            self.told.append(contents[0].text)
        return AgentResponseUpdate(
            contents, agent.name, self.steps - 1, seq, self.step.message_id, agent.output is not None
        )

    def _end_by_middleware(self) -> None:
        self._ended_by_middleware = True
