"""What of a long conversation a model gets, and what is learned of it between the turns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from antiphon.agents.agent import Agent
from antiphon.agents.compaction.contract import Compaction
from antiphon.agents.compaction.token_budget import TokenBudget
from antiphon.agents.session import AgentSession
from antiphon.models.llm.contract import ChatClient, ToolSpec
from antiphon.models.llm.messages import Message

_SHORT = 16
"""Conversations of so few messages are not worth a correction of the estimate."""
_SMALL_CHARS = 2000
_BYTES_PER_TOKEN = 4


def compacted(
    agent: Agent, conversation: Sequence[Message], session: AgentSession, client: ChatClient
) -> Sequence[Message]:
    """The part of a conversation that fits; never waits for a model. The conversation itself stays whole."""
    if agent.compaction is None and not session.memory and _is_small(conversation):
        return conversation
    window: int | None = getattr(client, "context_window", None)
    return _strategy(agent, client).view(conversation, max_tokens=window, state=session.memory)


def note_usage(
    agent: Agent, client: ChatClient, request: Sequence[Message], tools: tuple[ToolSpec, ...], input_tokens: int
) -> None:
    """Let the provider's count correct the estimate."""
    if len(request) <= _SHORT or not input_tokens:
        return
    strategy = _strategy(agent, client)
    if isinstance(strategy, TokenBudget):
        in_tools = sum(map(_tokens_of, tools))
        strategy.note_usage(strategy.estimate(request) + in_tools, input_tokens)


def learn(agent: Agent, session: AgentSession, conversation: Sequence[Message]) -> None:
    """After a turn: let summaries and facts be made, behind the conversation."""
    if agent.compaction is not None:
        session.spawn(agent.compaction.learn(tuple(conversation), state=session.memory), "compaction")


def _is_small(conversation: Sequence[Message]) -> bool:
    """Whether a conversation fits anywhere, seen without counting tokens: there is less than one for each sign."""
    return len(conversation) <= _SHORT and sum([len(message.text) for message in conversation]) <= _SMALL_CHARS


def _strategy(agent: Agent, client: ChatClient) -> Compaction:
    return agent.compaction or _default(client.name)


@lru_cache(maxsize=64)
def _default(_client_name: str) -> TokenBudget:
    """One budget for all conversations with a model: it remembers what it has counted."""
    return TokenBudget()


def _tokens_of(tool: ToolSpec) -> int:
    return len(msgspec.json.encode(tool)) // _BYTES_PER_TOKEN
