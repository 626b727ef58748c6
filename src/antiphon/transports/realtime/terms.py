"""What a session or a single response asks of the model, as the agent's loop takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from antiphon.calls.reply import ReplyTerms
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.tools.tool import FunctionTool
from antiphon.wire.realtime.response import ResponseConfig


def client_tools(tools: Sequence[Mapping[str, Any]]) -> tuple[FunctionTool, ...]:
    """The client's functions: the model may call them, and the client gives the results."""
    return tuple(
        FunctionTool(
            None,
            name=tool["name"],
            description=tool.get("description") or tool["name"],
            schema=tool.get("parameters") or {"type": "object", "properties": {}},
        )
        for tool in tools
        if tool["type"] == "function"
    )


def reply_terms(
    config: ResponseConfig, *, agent_instructions: str, context: Sequence[Message] | None = None
) -> ReplyTerms:
    """The terms of a reply.

    Args:
        config: What is in effect for the response.
        agent_instructions: The agent's own, as the session told them; the agent renders these anew for each reply.
        context: What is answered in place of the conversation.
    """
    choice, allowed = _tool_choice(config.tool_choice)
    effort = config.reasoning.get("effort") if config.reasoning else None
    return ReplyTerms(
        instructions=None if config.instructions == agent_instructions else config.instructions,
        tools=client_tools(config.tools),
        options=ChatOptions(
            tool_choice=choice,  # type: ignore[arg-type]
            allowed_tools=allowed,
            max_tokens=config.max_output_tokens,
            parallel_tool_calls=None if config.parallel_tool_calls else False,
            reasoning_effort=effort,
        ),
        is_silent=config.modality == "text",
        context=None if context is None else tuple(context),
    )


def _tool_choice(choice: str | Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    if isinstance(choice, str):
        return choice, ()
    name = choice.get("name")
    return "required", (name,) if name else ()
