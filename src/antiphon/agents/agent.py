"""An agent: an immutable description that any number of conversations share."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from antiphon.agents.background import BackgroundSound
from antiphon.agents.handoff import Handoff, handoff_specs
from antiphon.agents.keypad import KeypadManner
from antiphon.agents.limits import RunLimits
from antiphon.agents.manners import Manners
from antiphon.agents.middleware import Layer, Middleware, by_layer
from antiphon.agents.structured import OutputType, output_type
from antiphon.models.llm.content import Content
from antiphon.models.llm.contract import ChatClient, ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.tools.source import ToolSource
from antiphon.tools.tool import ApprovalMode, FunctionTool
from antiphon.tools.voicemail import detect_voicemail_and_end_call

if TYPE_CHECKING:
    from antiphon.agents.compaction.contract import Compaction
    from antiphon.agents.context import ContextProvider, RunContext
    from antiphon.agents.responses import AgentResponse
    from antiphon.agents.session import AgentSession
    from antiphon.agents.stream import ResponseStream
    from antiphon.agents.turns import Turn

Instruction = str | Callable[["RunContext"], str | Awaitable[str]]
Instructions = Instruction | Sequence[Instruction]
Input = str | Message | Content | Sequence[str | Message | Content]
"""What may be said to an agent: words, messages, contents such as an approval, or several of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Agent:
    """Who answers: instructions, tools and manner. ``agent.replace(...)`` gives a changed copy.

    Args:
        name: 1 to 64 characters.
        instructions: The system message: text, a Jinja template (where it holds ``{{`` or ``{%``), a function of the
            ``RunContext``, sync or async, or several of these.
        description: What the agent is for, for other agents and for people.
        tools: Functions, ``FunctionTool`` objects, other agents, and sources of tools such as MCP servers.
        model: ``provider:model``, a ``ChatClient``, or None for the one that is configured. ``s2s:provider/model``
            hears and speaks by itself, and holds phone calls; ``|provider:model`` behind it names the one that writes.
        greeting: Said when a call is answered, and when the conversation first comes to the agent; may be a template.
        return_greeting: Said when the conversation comes back to the agent; may be a template.
        voice: The speech provider's name of the voice; its default unless given.
        speed: Pace of the voice, from 0.25 to 4; 1 is its own.
        language: BCP 47 tag of the language that is spoken.
        phrases: Names and words that callers are likely to say, for the recogniser.
        options: Temperature, longest answer and other options of every request.
        limits: What a run may use; ``RunLimits()`` unless given, and ``RunLimits.voice()`` in a call.
        output_type: The form of the answer: a Pydantic model, dataclass, TypedDict or JSON Schema. The response has it
            as ``value``.
        handoffs: Agents, or ``Handoff``, to which the conversation may pass.
        handoff_tool: Name of the tool by which others hand over to this agent; ``handoff_to_NAME`` unless given.
        context_providers: What brings knowledge into each run.
        middleware: Code around runs, requests and calls.
        compaction: What a model gets of a long conversation; a budget of tokens unless given.
        fillers: Said, in turn, when a tool takes long.
        keypad: How keys of the telephone are taken.
        background: What is heard behind the agent on a phone line.
        manners: When it yields, how long it waits, how it leaves.
        variables: Values for templates.
        metadata: Free.

    Raises:
        ValueError: The name is empty or too long, the speed is out of its bounds, two tools have the same name, or
            middleware does not say what it goes around.
        TypeError: A tool is no function, or cannot be shown to a model.
    """

    name: str
    instructions: Instructions = ""
    _: KW_ONLY
    description: str = ""
    tools: Sequence[FunctionTool | Callable[..., Any] | Agent | ToolSource] = ()
    model: str | ChatClient | None = None
    greeting: str = ""
    return_greeting: str = ""
    voice: str | None = None
    speed: float = 1.0
    language: str | None = None
    phrases: Sequence[str] = ()
    options: ChatOptions = field(default_factory=ChatOptions)
    limits: RunLimits | None = None
    output_type: Any = None
    handoffs: Sequence[Agent | Handoff | str] = ()
    handoff_tool: str = ""
    context_providers: Sequence[ContextProvider] = ()
    middleware: Sequence[Middleware] = ()
    compaction: Compaction | None = None
    fillers: Sequence[str] = ()
    keypad: KeypadManner = field(default_factory=KeypadManner)
    background: BackgroundSound | None = None
    manners: Manners = field(default_factory=Manners)
    variables: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    toolset: Mapping[str, FunctionTool] = field(init=False, repr=False)
    """The tools by name, without those of sources."""
    sources: tuple[ToolSource, ...] = field(init=False, repr=False)
    """The sources among the tools."""
    request_options: ChatOptions = field(init=False, repr=False)
    """The options of every request, with the tools."""
    output: OutputType | None = field(init=False, repr=False)
    """The form of the answer."""
    routes: tuple[Handoff, ...] = field(init=False, repr=False)
    """The handoffs, each as one."""
    layers: Mapping[Layer, tuple[Middleware, ...]] = field(init=False, repr=False)
    """The middleware by what it goes around."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= 64:
            raise ValueError(f"An agent's name has 1 to 64 characters; this one has {len(self.name)}.")
        if not 0.25 <= self.speed <= 4:
            raise ValueError(f"The speed of agent {self.name!r} is {self.speed:g}; choose 0.25 to 4.")
        put = object.__setattr__
        handoffs = tuple(each if isinstance(each, Handoff) else Handoff(each) for each in self.handoffs)
        toolset: dict[str, FunctionTool] = {}
        reserved = {handoff.tool_name for handoff in handoffs}
        sources: list[ToolSource] = []
        for item in _with_own_tools(self.tools, self.manners):
            if not isinstance(item, (FunctionTool, Agent)) and isinstance(item, ToolSource):
                sources.append(item)
                continue
            made = as_function_tool(item)
            if made.name in toolset or made.name in reserved:
                raise ValueError(f"Agent {self.name!r} has two tools with the name {made.name!r}; rename one.")
            toolset[made.name] = made
        put(self, "tools", (*toolset.values(), *sources))
        put(self, "sources", tuple(sources))
        put(self, "routes", handoffs)
        put(self, "fillers", tuple(self.fillers))
        put(self, "phrases", tuple(self.phrases))
        put(self, "toolset", toolset)
        put(self, "layers", by_layer(self.middleware))
        put(self, "output", None if self.output_type is None else output_type(self.output_type))
        specs = tuple(made.spec for made in toolset.values()) + handoff_specs(handoffs)
        output = self.output.format if self.output is not None else self.options.output
        put(self, "request_options", replace(self.options, tools=specs, output=output))
        _check_sources(self.context_providers)

    def replace(self, **changes: Any) -> Agent:
        """A copy with other values."""
        return replace(self, **changes)

    @property
    def version(self) -> str:
        """A hash of all that makes the agent behave as it does, for logs and evaluations."""
        from antiphon.agents.version import version_of

        return version_of(self)

    def create_session(self, session_id: str | None = None) -> AgentSession:
        """A conversation with this agent."""
        from antiphon.agents.session import AgentSession

        return AgentSession(session_id) if session_id else AgentSession()

    @overload
    def run(
        self,
        messages: Input | None = None,
        *,
        stream: Literal[False] = False,
        session: AgentSession | None = None,
        tools: Sequence[FunctionTool | Callable[..., Any] | Agent] = (),
        middleware: Sequence[Middleware] = (),
        options: ChatOptions | None = None,
        limits: RunLimits | None = None,
        variables: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
        history: Sequence[Message] | None = None,
    ) -> Coroutine[Any, Any, AgentResponse]: ...

    @overload
    def run(
        self,
        messages: Input | None = None,
        *,
        stream: Literal[True],
        session: AgentSession | None = None,
        tools: Sequence[FunctionTool | Callable[..., Any] | Agent] = (),
        middleware: Sequence[Middleware] = (),
        options: ChatOptions | None = None,
        limits: RunLimits | None = None,
        variables: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
        history: Sequence[Message] | None = None,
    ) -> ResponseStream: ...

    def run(
        self,
        messages: Input | None = None,
        *,
        stream: bool = False,
        session: AgentSession | None = None,
        tools: Sequence[FunctionTool | Callable[..., Any] | Agent] = (),
        middleware: Sequence[Middleware] = (),
        options: ChatOptions | None = None,
        limits: RunLimits | None = None,
        variables: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
        history: Sequence[Message] | None = None,
    ) -> Coroutine[Any, Any, AgentResponse] | ResponseStream:
        """One text turn: from a message to the final answer, tools included.

        Args:
            messages: What the user says; None goes on with the session, after approvals or late results.
            stream: Give a ``ResponseStream`` to read the answer from as it is written.
            session: The conversation that this turn belongs to; a throw-away one unless given.
            tools: More tools for this turn.
            middleware: More middleware for this turn, inside of the agent's own.
            options: Options of the request; what is None here is the agent's.
            limits: What this turn may use.
            variables: Values for the instructions' template, over the agent's own.
            values: Handed to tools as ``context.values``; the model does not see them.
            history: The conversation so far in place of the session's; nothing is written then.

        Raises:
            ChatClientException: The model's provider failed.
            AgentInvalidRequestException: The session is busy with another turn, or the input cannot be used.
            AgentInvalidResponseException: The answer does not fit ``output_type``, also when it was asked for again.
            AgentException: A context provider failed.
            ConfigurationError: No model is configured, or ``model`` is not known.
        """
        turn_of, stream_of = _running()
        turn = turn_of(
            self,
            messages,
            session=session,
            tools=tools,
            middleware=middleware,
            options=options,
            limits=limits,
            variables=variables,
            values=values,
            history=history,
        )
        return stream_of(turn) if stream else turn.complete()

    def as_tool(
        self,
        name: str | None = None,
        *,
        description: str | None = None,
        arg_name: str = "task",
        approval_mode: ApprovalMode = "never_require",
        share_session: bool = False,
        timeout_s: float = 120.0,
    ) -> FunctionTool:
        """This agent as a tool of another: it gets a task in words and gives its answer.

        Args:
            name: Of the tool; the agent's name unless given.
            description: When to use it; the agent's description unless given.
            arg_name: What the model's argument is called.
            approval_mode: Whether a person has to approve that this agent is asked; see ``FunctionTool``.
            share_session: Whether all calls of a conversation are one conversation with this agent.
            timeout_s: Longest run.

        Raises:
            ValueError: The name is none for a tool, or ``timeout_s`` is out of its bounds.
        """
        from antiphon.agents.delegate import delegate_tool

        return delegate_tool(
            self,
            name=name,
            description=description,
            arg_name=arg_name,
            approval_mode=approval_mode,
            share_session=share_session,
            timeout_s=timeout_s,
        )

    def as_mcp_server(self, *, tools_only: bool = False) -> Any:
        """This agent as a server of the Model Context Protocol: an ``mcp.server.Server``.

        Args:
            tools_only: Offer the agent's tools instead of the agent.

        Raises:
            IntegrationInitializationError: The package ``mcp`` is missing.
        """
        from antiphon.agents.mcp_server import as_mcp_server

        return as_mcp_server(self, tools_only=tools_only)

    def serve(self, *, host: str | None = None, port: int | None = None, **options: Any) -> None:
        """Answer calls until stopped.

        Args:
            host: Address to listen on; what the settings say unless given, as all options.
            port: Port to listen on.
            options: Further options of ``antiphon.server.run.serve``, such as ``dev=True``.
        """
        # The server stands above the agents, and this is a convenience at the top of a user's program.
        importlib.import_module("antiphon.server.run").serve(self, host=host, port=port, **options)


@functools.cache
def _running() -> tuple[type[Turn], type[ResponseStream]]:
    """What runs an agent; loaded with the first run, since it needs all that an agent alone does not."""
    from antiphon.agents.stream import ResponseStream
    from antiphon.agents.turns import Turn

    return Turn, ResponseStream


def as_function_tool(item: FunctionTool | Callable[..., Any] | Agent) -> FunctionTool:
    """What a user gives for a tool, as one."""
    if isinstance(item, FunctionTool):
        return item
    as_tool = getattr(item, "as_tool", None)  # an agent, or what can stand where an agent stands
    made: FunctionTool = FunctionTool(cast("Callable[..., Any]", item)) if as_tool is None else as_tool()
    return made


def _with_own_tools(tools: Sequence[Any], manners: Manners) -> Sequence[Any]:
    """An agent's tools, and the one by which its model says that a machine has answered, where it is to find out."""
    own = detect_voicemail_and_end_call
    has_it = any(getattr(each, "name", "") == own.name for each in tools)
    return tools if has_it or manners.voicemail.detect != "llm" else (*tools, own)


def _check_sources(providers: Sequence[ContextProvider]) -> None:
    names = [provider.source_id for provider in providers]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"Two context providers have the source_id {twice!r}; rename one.")
