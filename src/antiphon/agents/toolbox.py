"""What the model may call from its next request on: the agent's tools, those of sources, and what tools add."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from antiphon.agents.agent import Agent, as_function_tool
from antiphon.agents.handoff import handoff_specs
from antiphon.models.llm.contract import ChatOptions
from antiphon.tools.tool import FunctionTool


class Toolbox:
    """The tools of a run, and the options of its requests.

    Args:
        overlay: Options that overrule the agent's.
        more: Tools besides the agent's own.
    """

    __slots__ = ("_agent", "_given", "_listed", "_more", "_overlay", "_removed", "needs_care", "options", "tools")

    def __init__(
        self, *, overlay: ChatOptions | None, more: Sequence[FunctionTool | Callable[..., Any] | Agent] = ()
    ) -> None:
        self.tools: Mapping[str, FunctionTool] = {}
        """By name."""
        self.options = _PLAIN
        """Of the next request."""
        self.needs_care = False
        """Whether one of the tools does; see ``FunctionTool``."""
        self._agent: Agent | None = None
        self._overlay = overlay
        self._given: Mapping[str, FunctionTool] = {tool.name: tool for tool in map(as_function_tool, more)}
        self._more: dict[str, FunctionTool] = {}
        self._listed: dict[str, FunctionTool] = {}
        self._removed: set[str] = set()

    def belong_to(self, agent: Agent, *, with_more: bool = True) -> None:
        """Offer this agent's tools, and unless it is another one than they are for the ``more`` of the beginning."""
        self._more, self._listed, self._removed = dict(self._given) if with_more else {}, {}, set()
        self._agent = agent
        self._offer()

    async def refresh(self) -> None:
        """Ask the agent's sources what they have now."""
        assert self._agent is not None
        listed = {tool.name: tool for source in self._agent.sources for tool in await source.list_tools()}
        if listed != self._listed:
            for name in self._listed.keys() - listed.keys():
                self._more.pop(name, None)
            self._listed = listed
            self.add(listed.values())

    def add(self, tools: Iterable[Any]) -> None:
        """Offer further tools."""
        for tool in map(as_function_tool, tools):
            self._more[tool.name] = tool
            self._removed.discard(tool.name)
        self._offer()

    def remove(self, names: Iterable[str]) -> None:
        """Offer these no longer."""
        self._removed.update(names)
        self._offer()

    def _offer(self) -> None:
        agent = self._agent
        if agent is None:
            return
        options = agent.request_options
        if self._overlay is not None:
            options = overlaid(options, self._overlay)
        if self._more or self._removed:
            tools = {**agent.toolset, **self._more}
            self.tools = {name: tool for name, tool in tools.items() if name not in self._removed}
            specs = tuple(tool.spec for tool in self.tools.values()) + handoff_specs(agent.routes)
            options = replace(options, tools=specs)
        else:
            self.tools = agent.toolset
        self.options = options
        self.needs_care = any(tool.needs_care for tool in self.tools.values())


def overlaid(options: ChatOptions, over: ChatOptions) -> ChatOptions:
    """Options with those of ``over`` that say something in the place of their own."""
    changes = {name: value for name in ChatOptions.__slots__ if (value := getattr(over, name)) != getattr(_PLAIN, name)}
    return replace(options, **changes)


_PLAIN = ChatOptions()
