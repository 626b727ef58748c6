"""An agent: an immutable description that any number of conversations share."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from antiphon.models.llm.contract import ChatClient, ChatOptions, Message
from antiphon.tools.tool import FunctionTool

if TYPE_CHECKING:
    from antiphon.agents.session import AgentResponse, AgentSession


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What one run (one turn) may use. At a limit the model is asked once more, without tools; only time ends a run.

    Attributes:
        max_model_steps: Requests that may call tools.
        max_tool_calls: Tool calls in all; None is no limit.
        max_parallel_tools: Calls of one step that run at once.
        max_consecutive_errors: Steps in a row in which every call failed.
        max_seconds: Longest run; it then ends with the text that it has.
    """

    max_model_steps: int = 5
    max_tool_calls: int | None = None
    max_parallel_tools: int = 8
    max_consecutive_errors: int = 3
    max_seconds: float = 90.0

    def __post_init__(self) -> None:
        for name in ("max_model_steps", "max_parallel_tools", "max_consecutive_errors", "max_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"RunLimits.{name} is {getattr(self, name)}; choose more than 0.")


@dataclass(frozen=True, slots=True)
class RunContext:
    """What instructions that are a function may look at.

    Attributes:
        agent: The agent that is about to run.
        session_id: The conversation.
        variables: The agent's variables, overlaid by those of the conversation.
    """

    agent: Agent
    session_id: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)


Instructions = str | Callable[[RunContext], str | Awaitable[str]]


@dataclass(frozen=True, slots=True, eq=False)
class Agent:
    """Who answers: instructions, tools and manner. ``agent.replace(...)`` gives a changed copy.

    Args:
        name: 1 to 64 characters.
        instructions: The system message: text, a Jinja template (where it holds ``{{`` or ``{%``), or a function of
            the ``RunContext``, sync or async.
        description: What the agent is for, for other agents and for people.
        tools: Functions or ``FunctionTool`` objects with different names.
        model: ``provider:model``, a ``ChatClient``, or None for the one that the server is configured with.
        greeting: Said when a call is answered; may be a template.
        voice: The speech provider's name of the voice; its default unless given.
        language: BCP 47 tag of the language that is spoken.
        options: Temperature, longest answer and other options of every request.
        limits: What a run may use.
        fillers: Said, in turn, when a tool takes long.
        variables: Values for templates.
        metadata: Free.

    Raises:
        ValueError: The name is empty or too long, or two tools have the same name.
        TypeError: A tool is no function, or cannot be shown to a model.
    """

    name: str
    instructions: Instructions = ""
    _: KW_ONLY
    description: str = ""
    tools: Sequence[FunctionTool | Callable[..., Any]] = ()
    model: str | ChatClient | None = None
    greeting: str = ""
    voice: str | None = None
    language: str | None = None
    options: ChatOptions = field(default_factory=ChatOptions)
    limits: RunLimits = field(default_factory=RunLimits)
    fillers: Sequence[str] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    toolset: Mapping[str, FunctionTool] = field(init=False, repr=False)
    """The tools by name."""
    request_options: ChatOptions = field(init=False, repr=False)
    """The options of every request, with the tools."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= 64:
            raise ValueError(f"An agent's name has 1 to 64 characters; this one has {len(self.name)}.")
        toolset: dict[str, FunctionTool] = {}
        for item in self.tools:
            made = item if isinstance(item, FunctionTool) else FunctionTool(item)
            if made.name in toolset:
                raise ValueError(f"Agent {self.name!r} has two tools with the name {made.name!r}; rename one.")
            toolset[made.name] = made
        object.__setattr__(self, "tools", tuple(toolset.values()))
        object.__setattr__(self, "fillers", tuple(self.fillers))
        object.__setattr__(self, "toolset", toolset)
        specs = tuple(made.spec for made in toolset.values())
        object.__setattr__(self, "request_options", replace(self.options, tools=specs))

    def replace(self, **changes: Any) -> Agent:
        """A copy with other values."""
        return replace(self, **changes)

    async def run(
        self,
        message: str | Message | Sequence[Message],
        *,
        session: AgentSession | None = None,
        variables: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> AgentResponse:
        """One text turn: from a message to the final answer, tools included.

        Args:
            message: What the user says.
            session: The conversation that this turn belongs to; a throw-away one unless given.
            variables: Values for the instructions' template, over the agent's own.
            values: Handed to tools as ``context.values``; the model does not see them.

        Raises:
            ChatClientException: The model's provider failed.
            AgentInvalidRequestException: The session is busy with another turn.
            ConfigurationError: No model is configured, or ``model`` is not known.
        """
        from antiphon.agents.session import run_turn

        return await run_turn(self, message, session=session, variables=variables or {}, values=values or {})

    def serve(self, *, host: str | None = None, port: int | None = None, **options: Any) -> None:
        """Answer calls until stopped.

        Args:
            host: Address to listen on; what the settings say unless given, as all options.
            port: Port to listen on.
            options: Further options of ``antiphon.server.run.serve``, such as ``dev=True``.
        """
        # The server stands above the agents, and this is a convenience at the top of a user's program.
        importlib.import_module("antiphon.server.run").serve(self, host=host, port=port, **options)
