"""What a session or a single response asks of the model, as the agent's loop takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from antiphon.agents.approval import Decision
from antiphon.calls.reply import Fit, ReplyTerms
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.tools.tool import FunctionTool
from antiphon.wire.realtime.refusal import invalid_value
from antiphon.wire.realtime.response import ResponseConfig


def client_tools(tools: Sequence[Mapping[str, Any]]) -> tuple[FunctionTool, ...]:
    """The client's functions: the model may call them, and the client gives the results."""
    return tuple(_function(msgspec.json.encode(tool)) for tool in tools if tool["type"] == "function")


@lru_cache(maxsize=1024)
def _function(told: bytes) -> FunctionTool:
    """A function, by its JSON text: to check a schema takes a millisecond, and each response asks for it again."""
    tool = msgspec.json.decode(told)
    return FunctionTool(
        None,
        name=tool["name"],
        description=tool.get("description") or tool["name"],
        schema=tool.get("parameters") or {"type": "object", "properties": {}},
    )


def check_tools(tools: Sequence[Mapping[str, Any]], path: str) -> None:
    """See whether the client's functions can be told to a model.

    Raises:
        Refusal: A name or a schema is wrong.
    """
    for place, tool in enumerate(tools):
        try:
            client_tools([tool])
        except (TypeError, ValueError) as error:
            raise invalid_value(str(error), f"{path}[{place}]") from error


def reply_terms(
    config: ResponseConfig,
    *,
    agent_instructions: str,
    context: Sequence[Message] | None = None,
    mcp: Sequence[FunctionTool] = (),
    decided: Sequence[Decision] = (),
    fit: Fit | None = None,
) -> ReplyTerms:
    """The terms of a reply.

    Args:
        config: What is in effect for the response.
        agent_instructions: The agent's own, as the session told them; the agent renders these anew for each reply.
        context: What is answered in place of the conversation.
        mcp: The tools of MCP servers.
        decided: What the client has decided on calls of these.
        fit: Makes the conversation short enough.
    """
    choice, allowed = _tool_choice(config.tool_choice, mcp)
    effort = config.reasoning.get("effort") if config.reasoning else None
    return ReplyTerms(
        instructions=None if config.instructions == agent_instructions else config.instructions,
        variables=_variables(config.prompt),
        tools=(*client_tools(config.tools), *mcp),
        options=ChatOptions(
            tool_choice=choice,  # type: ignore[arg-type]
            allowed_tools=allowed,
            max_tokens=config.max_output_tokens,
            parallel_tool_calls=None if config.parallel_tool_calls else False,
            reasoning_effort=effort,
        ),
        is_silent=config.modality == "text",
        context=None if context is None else tuple(context),
        decided=tuple(decided),
        fit=fit,
    )


def check_prompt(prompt: Mapping[str, Any] | None, agent: str, path: str) -> None:
    """See whether a prompt is stored here: those of agents are, each under the agent's name.

    Raises:
        Refusal: It is another one.
    """
    if prompt is None:
        return
    if prompt["id"] != agent:
        message = f"There is no prompt '{prompt['id'][:100]}' here: the one of this session is '{agent}', its agent's."
        raise invalid_value(message, f"{path}.id")
    if "version" in prompt:
        raise invalid_value("Prompts have no versions here: leave it out.", f"{path}.version")


def _variables(prompt: Mapping[str, Any] | None) -> dict[str, str]:
    """The values that a prompt brings: texts, or parts of a message, whose texts count."""
    given = {} if prompt is None else prompt.get("variables", {})
    values = {name: value.get("text") if isinstance(value, Mapping) else value for name, value in given.items()}
    return {name: str(value) for name, value in values.items() if value is not None}


def _tool_choice(choice: str | Mapping[str, Any], mcp: Sequence[FunctionTool]) -> tuple[str, tuple[str, ...]]:
    if isinstance(choice, str):
        return choice, ()
    if choice["type"] == "function":
        return "required", (choice["name"],)
    names = tuple(
        tool.name
        for tool in mcp
        if tool.metadata["label"] == choice["server_label"] and choice.get("name") in (None, tool.metadata["tool"])
    )
    return ("required", names) if names else ("auto", ())  # the server's tools may not be known yet
