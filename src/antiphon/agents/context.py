"""What code beside the loop sees of a run: instructions that are functions, and context providers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from antiphon.errors import AgentException, AntiphonException
from antiphon.logs import Log
from antiphon.models.llm.messages import Message
from antiphon.tools.tool import FunctionTool

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent
    from antiphon.agents.middleware import Middleware
    from antiphon.agents.responses import AgentResponse
    from antiphon.agents.session import AgentSession

_log = Log(__name__)

DEFAULT_TIMEOUT_S = 2.0


@dataclass(slots=True, eq=False)
class RunContext:
    """A run that is about to begin.

    Attributes:
        agent: Who is about to answer.
        session_id: The conversation.
        variables: The agent's variables, overlaid by those of the conversation.
        session: The conversation, where there is one.
        messages: The conversation with its new messages.
        state: The provider's own part of the session's state; values that JSON can hold.
    """

    agent: Agent
    session_id: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    session: AgentSession | None = None
    messages: Sequence[Message] = ()
    state: dict[str, Any] = field(default_factory=dict)
    instructions: list[str] = field(default_factory=list, repr=False)
    added: list[Message] = field(default_factory=list, repr=False)
    kept: list[Message] = field(default_factory=list, repr=False)
    tools: list[FunctionTool | Callable[..., Any]] = field(default_factory=list, repr=False)
    middleware: list[Middleware] = field(default_factory=list, repr=False)

    def add_instructions(self, text: str) -> None:
        """Say more in the system message of this run."""
        self.instructions.append(text)

    def add_messages(self, messages: Sequence[Message], *, keep: bool = False) -> None:
        """Put messages in front of the new ones, for this run; ``keep`` writes them into the history too."""
        (self.kept if keep else self.added).extend(messages)

    def add_tools(self, tools: Sequence[FunctionTool | Callable[..., Any]]) -> None:
        """Offer more tools in this run."""
        self.tools.extend(tools)

    def add_middleware(self, middleware: Sequence[Middleware]) -> None:
        """Put chat and function middleware around the requests and calls of this run."""
        self.middleware.extend(middleware)


class ContextProvider(Protocol):
    """Brings what an agent should know into each run: memory, retrieved documents, the caller's record.

    It may also have ``timeout_s`` (2 s unless given) and ``on_error``: ``fail`` ends the run when the provider raises
    or takes too long, ``skip`` goes on without it; ``fail`` unless given.
    """

    source_id: str
    """Its name, once per agent; its state lies under it."""

    async def before_run(self, context: RunContext) -> None:
        """Look at what is asked, and add what is known."""
        ...

    async def after_run(self, context: RunContext, response: AgentResponse | None, error: BaseException | None) -> None:
        """Learn from what was said. ``response`` is None when the run failed or was ended early."""
        ...


async def tell_before(providers: Sequence[ContextProvider], context: RunContext) -> None:
    """Ask all providers, in order.

    Raises:
        AgentException: One failed, and its ``on_error`` is ``fail``.
    """
    for provider in providers:
        context.state = _state(context, provider)
        await _guarded(provider, "before_run", provider.before_run(context))


async def tell_after(
    providers: Sequence[ContextProvider],
    context: RunContext,
    response: AgentResponse | None,
    error: BaseException | None,
) -> None:
    """Tell all providers how the run went, in reverse order; what fails here is logged and costs nothing else."""
    for provider in reversed(providers):
        context.state = _state(context, provider)
        try:
            await _guarded(provider, "after_run", provider.after_run(context, response, error))
        except AntiphonException as failed:
            _log.warning("provider.failed", source_id=provider.source_id, moment="after_run", error=str(failed))


def _state(context: RunContext, provider: ContextProvider) -> dict[str, Any]:
    state: dict[str, Any] = context.session.state.setdefault(provider.source_id, {}) if context.session else {}
    return state


async def _guarded(provider: ContextProvider, moment: str, work: Any) -> None:
    timeout_s: float = getattr(provider, "timeout_s", DEFAULT_TIMEOUT_S)
    on_error: Literal["fail", "skip"] = getattr(provider, "on_error", "fail")
    try:
        async with asyncio.timeout(timeout_s):
            await work
    except Exception as error:  # the root of somebody else's code
        reason = f"took longer than {timeout_s:g} s" if isinstance(error, TimeoutError) else f"failed: {error}"
        if on_error == "skip":
            _log.warning("provider.skipped", source_id=provider.source_id, moment=moment, reason=reason)
            return
        if isinstance(error, AntiphonException):
            raise
        raise AgentException(
            f"The context provider {provider.source_id!r} {reason}; mend it, or set its on_error to 'skip'.",
            code="provider_failed",
        ) from error
