"""The spans of runs: ``invoke_agent`` and what hangs below it.

A run tells in pieces, and between two of them its reader is at work, in the same context. So a run's span is never
the current one there: it is handed on by name, and is current only within a tool's own task and while a model is
waited for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import MeterProvider, get_meter
from opentelemetry.trace import Span, Tracer, TracerProvider, get_tracer, set_span_in_context

from antiphon.agents.compaction.tokens import TokenCounter
from antiphon.agents.memory import compacted
from antiphon.agents.middleware import CallNext, ChatContext
from antiphon.agents.observability.call_spans import CallTrace
from antiphon.agents.observability.chat_spans import WatchedClient
from antiphon.agents.observability.common import about_here, fail, rarer_tokens
from antiphon.agents.observability.content import plain
from antiphon.agents.observability.metrics import Metrics
from antiphon.clock import Clock
from antiphon.models.llm.content import ApprovalRequest, ApprovalResponse, FunctionCall, HandedOff
from antiphon.models.llm.contract import ChatClient
from antiphon.models.llm.messages import Message
from antiphon.tools.tool import FunctionTool

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent
    from antiphon.agents.run import Run
    from antiphon.agents.session import AgentSession

_NAME = "antiphon"
_MOST_KNOWN = 256
"""Agents whose attributes are kept."""
_MOST_ASKED = 1_000
"""Approvals whose waiting time is measured."""


def tracing(tracers: TracerProvider | None, meters: MeterProvider | None, *, content: bool) -> Tracing:
    """What makes the spans and metrics of this process; the global providers unless others are given."""
    return Tracing(
        get_tracer(_NAME, tracer_provider=tracers), Metrics(get_meter(_NAME, meter_provider=meters)), content=content
    )


class Tracing:
    """Makes a ``RunTrace`` for each run.

    Args:
        tracer: Makes the spans.
        metrics: Where durations and tokens are noted.
        content: Whether texts go into the spans.
    """

    __slots__ = ("_agents", "asked", "content", "counter", "metrics", "tracer")

    def __init__(self, tracer: Tracer, metrics: Metrics, *, content: bool) -> None:
        self.tracer = tracer
        self.metrics = metrics
        self.content = content
        self.asked: dict[str, tuple[Span, float]] = {}
        """The spans of open approvals by the request's id, each with the time of its asking."""
        self.counter = TokenCounter()
        self._agents: dict[int, tuple[Agent, dict[str, str]]] = {}

    def begin(self, agent: Agent, session: AgentSession, clock: Clock) -> RunTrace:
        """A run begins; its parent is what is current here."""
        about = about_here()
        attributes = {**about, **self._about(agent), "gen_ai.conversation.id": session.id}
        span = self.tracer.start_span(f"invoke_agent {agent.name}", attributes=attributes)
        return RunTrace(self, span, agent.name, clock=clock, session=session, about=about)

    def _about(self, agent: Agent) -> dict[str, str]:
        known = self._agents.get(id(agent))
        if known is not None:
            return known[1]
        about = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.id": agent.name,
            "gen_ai.agent.name": agent.name,
            "gen_ai.agent.version": agent.version,
        }
        if agent.description:
            about["gen_ai.agent.description"] = agent.description
        if len(self._agents) >= _MOST_KNOWN:
            del self._agents[next(iter(self._agents))]
        # The agent is held too, since another one could get its address otherwise.
        self._agents[id(agent)] = (agent, about)
        return about


class RunTrace:
    """The spans of one run.

    Args:
        tracing: Makes them.
        span: Of the run.
        agent: The name of the agent that was asked.
        clock: The run's time.
        session: The conversation.
        about: What stands on every span of the run.
    """

    __slots__ = (
        "_agent",
        "_began",
        "_ended",
        "_session",
        "about",
        "clock",
        "context",
        "failed",
        "model",
        "span",
        "tools",
        "tracing",
    )

    def __init__(
        self, tracing: Tracing, span: Span, agent: str, *, clock: Clock, session: AgentSession, about: Mapping[str, str]
    ) -> None:
        self.tracing = tracing
        self.span = span
        self.clock = clock
        self.about = about
        self.context = set_span_in_context(span)
        """In which the spans below it are made."""
        self.model = ""
        """The model that was asked last."""
        self.failed = 0
        """Requests that failed since the last answer."""
        self.tools: dict[str, FunctionTool] = {}
        """All tools that the run had so far, for their sensitive arguments; kept only where texts are."""
        self._agent = agent
        self._began = clock.now()
        self._ended = False
        self._session = session

    @property
    def content(self) -> bool:
        """Whether texts go into the spans now: none of what is said in confidence does."""
        interview = self._session.interview
        return self.tracing.content and not (interview is not None and interview.secret)

    def watch(self, client: ChatClient, tools: Mapping[str, FunctionTool]) -> ChatClient:
        """A client whose requests are spans."""
        if self.tracing.content:  # also while nothing is told: a later request may name them
            self.tools.update(tools)
        return WatchedClient(client, self)

    async def watch_request(self, context: ChatContext, call_next: CallNext) -> None:
        """The innermost chat middleware: the client is the one that the others have chosen."""
        client = context.client
        context.client = WatchedClient(client, self)
        try:
            await call_next()
        finally:
            context.client = client

    def begin_call(self, tool: FunctionTool | None, call: FunctionCall) -> CallTrace:
        """A tool call begins, in the task that runs it."""
        return CallTrace(self, tool, call)

    def ask(self, request: ApprovalRequest) -> None:
        """A person is asked: the span ends with the answer, in whatever run that comes."""
        asked = self.tracing.asked
        if len(asked) >= _MOST_ASKED:
            del asked[next(iter(asked))]
        asked[request.id] = self._approval(request.id, request.call.name), self.clock.now()

    def decide(self, decisions: Sequence[ApprovalResponse]) -> None:
        """A person has answered."""
        for decision in decisions:
            known = self.tracing.asked.pop(decision.id, None)
            # Without one this was asked in another process: then nobody here knows for how long it waited.
            name = "_OTHER" if decision.call is None else decision.call.name
            span = known[0] if known is not None else self._approval(decision.id, name)
            if known is not None:
                span.set_attribute("antiphon.approval.waiting_s", self.clock.now() - known[1])
            span.set_attribute("antiphon.approval.approved", decision.approved)
            if decision.reason and self.tracing.content:
                span.set_attribute("antiphon.approval.reason", plain(decision.reason))
            span.end()

    @contextmanager
    def handoff(self, record: HandedOff) -> Iterator[None]:
        """Around the change to another agent."""
        attributes = {
            **self.about,
            "antiphon.handoff.source": record.source,
            "antiphon.handoff.target": record.target,
        }
        if record.reason and self.tracing.content:  # The model's words about the caller.
            attributes["antiphon.handoff.reason"] = plain(record.reason)
        span = self.tracing.tracer.start_span(f"handoff {record.target}", self.context, attributes=attributes)
        try:
            yield
        except Exception as error:
            fail(span, error)
            raise
        finally:
            span.end()

    def compacted(
        self, agent: Agent, conversation: Sequence[Message], session: AgentSession, client: ChatClient
    ) -> Sequence[Message]:
        """The part of a conversation that fits; a span without length tells where that is not all of it."""
        view = compacted(agent, conversation, session, client)
        if view is conversation or _are_same(view, conversation):
            return view
        name = f"compaction {_strategy_name(agent)}"
        span = self.tracing.tracer.start_span(name, self.context, attributes=self.about)
        if span.is_recording():
            span.set_attribute("antiphon.compaction.tokens_before", self.tracing.counter.total(list(conversation)))
            span.set_attribute("antiphon.compaction.tokens_after", self.tracing.counter.total(list(view)))
        span.end()
        return view

    def end(self, run: Run | None, error: BaseException | None = None) -> None:
        """The run is over; what is told after the first time is not heard.

        Args:
            run: The run; None when it did not come to that.
            error: What ended it early. An interruption is none of the agent's failures.
        """
        if self._ended:
            return
        self._ended = True
        span = self.span
        labels = {"gen_ai.agent.name": self._agent}
        if isinstance(error, Exception):
            labels["error.type"] = fail(span, error)
        if span.is_recording():
            span.set_attributes(self._outcome(run, is_interrupted=error is not None and "error.type" not in labels))
        span.end()
        self.tracing.metrics.agent.record(self.clock.now() - self._began, labels, self.context)

    def _outcome(self, run: Run | None, *, is_interrupted: bool) -> dict[str, Any]:
        outcome: dict[str, Any] = {"antiphon.interrupted": is_interrupted}
        if self.model:
            outcome["gen_ai.request.model"] = self.model
        if run is None:
            return outcome
        usage = run.usage
        outcome["antiphon.steps"] = run.steps
        outcome["gen_ai.usage.input_tokens"] = usage.input_tokens
        outcome["gen_ai.usage.output_tokens"] = usage.output_tokens
        outcome.update(rarer_tokens(usage))
        if run.limit is not None:
            outcome["antiphon.limit_hit"] = run.limit
        return outcome

    def _approval(self, request_id: str, tool: str) -> Span:
        attributes = {**self.about, "antiphon.approval.id": request_id, "gen_ai.tool.name": tool}
        return self.tracing.tracer.start_span(f"approval {tool}", self.context, attributes=attributes)


def _are_same(some: Sequence[Message], others: Sequence[Message]) -> bool:
    return len(some) == len(others) and all(one is other for one, other in zip(some, others, strict=True))


def _strategy_name(agent: Agent) -> str:
    return "TokenBudget" if agent.compaction is None else type(agent.compaction).__name__
