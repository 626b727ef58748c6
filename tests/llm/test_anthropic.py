"""What only Anthropic's Messages have."""

from __future__ import annotations

from typing import Any

from antiphon.models.llm.anthropic_messages import AnthropicClient
from antiphon.models.llm.content import FunctionCall, FunctionResult, HostedTool, Reasoning, Text, Usage
from antiphon.models.llm.contract import ChatDelta, ChatOptions, ToolSpec
from antiphon.models.llm.messages import Message, tool_message
from tests.llm.contract import streamed
from tests.llm.vendor import Answer, refusal, vendor
from tests.llm.vendors import Anthropic, Say, named

USER = [Message("user", "hello")]
PLAIN = ChatOptions()
ADD = ToolSpec("add", "Add.", {"type": "object", "properties": {}})
OK = streamed(*Anthropic().answer(Say(("ok",))))


async def ask(
    answer: Answer, messages: list[Message] = USER, options: ChatOptions = PLAIN, model: str = "claude-sonnet-9"
) -> tuple[list[ChatDelta], dict[str, Any]]:
    async with vendor(answer) as server:
        client = AnthropicClient(model, api_key="sk-very-secret", base_url=server.url.removesuffix("/v1"))
        try:
            parts = [part async for part in client.stream(messages, options)]
        finally:
            await client.aclose()
    assert server.paths == ["/v1/messages"]
    # Releases of the package differ in the header.
    assert "sk-very-secret" in (server.headers[0].get("x-api-key") or server.headers[0]["authorization"])
    return parts, server.bodies[0]


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[bytes]:
    events = [named("content_block_start", {"index": index, "content_block": start})]
    events += [named("content_block_delta", {"index": index, "delta": delta}) for delta in deltas]
    return [*events, named("content_block_stop", {"index": index})]


def message(*blocks: list[bytes], reason: str = "end_turn", **usage: int) -> Answer:
    read = {"input_tokens": 10, "output_tokens": 1, **usage}
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-1", "content": [], "usage": read}
    stop = {"delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": 20}}
    events = [event for each in blocks for event in each]
    return streamed(
        named("message_start", {"message": start}), *events, named("message_delta", stop), named("message_stop", {})
    )


async def test_thoughts_stream_and_their_sealed_form_goes_back_before_the_words() -> None:
    answer = message(
        block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "First "},
            {"type": "thinking_delta", "thinking": "this."},
            {"type": "signature_delta", "signature": "sealed"},
        ),
        block(1, {"type": "redacted_thinking", "data": "hidden"}),
        block(2, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Five."}),
    )
    parts, _ = await ask(answer)
    assert "".join(part.reasoning for part in parts) == "First this."
    contents = [content for part in parts for content in part.contents]
    assert contents == [
        Reasoning("First this.", "sealed", "anthropic"),
        Reasoning("", "hidden", "anthropic", more={"redacted": True}),
    ]
    _, body = await ask(OK, [*USER, Message("assistant", (Text("Five."), *contents)), *USER])
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "First this.", "signature": "sealed"},
        {"type": "redacted_thinking", "data": "hidden"},
        {"type": "text", "text": "Five."},
    ]


async def test_a_tool_that_the_provider_runs_is_kept_and_goes_back() -> None:
    start = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": []}
    answer = message(
        block(0, start, {"type": "input_json_delta", "partial_json": '{"query":"q"}'}),
        block(1, found),
        block(2, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Found."}),
    )
    parts, _ = await ask(answer)
    contents = [content for part in parts for content in part.contents]
    payloads = [content.payload for content in contents if isinstance(content, HostedTool)]
    assert payloads[0]["input"] == {"query": "q"}
    assert payloads[1]["type"] == "web_search_tool_result"
    _, body = await ask(OK, [*USER, Message("assistant", (*contents, Text("Found."))), *USER])
    assert [block["type"] for block in body["messages"][1]["content"]] == [
        "server_tool_use",
        "web_search_tool_result",
        "text",
    ]


async def test_tokens_from_the_cache_are_part_of_the_input() -> None:
    text = block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Hi"})
    parts, body = await ask(message(text, cache_read_input_tokens=100, cache_creation_input_tokens=30))
    assert parts[-1].usage == Usage(140, 20, 100, 30)
    assert body["cache_control"] == {"type": "ephemeral"}


async def test_a_call_without_arguments_has_empty_ones() -> None:
    answer = message(block(0, {"type": "tool_use", "id": "c1", "name": "now", "input": {}}), reason="tool_use")
    parts, _ = await ask(answer)
    assert parts[0].calls == (FunctionCall("c1", "now", "{}"),)


async def test_results_of_a_step_are_one_turn_and_errors_are_marked() -> None:
    history = [
        *USER,
        Message("assistant", (FunctionCall("c1", "add", '{"a":1}'), FunctionCall("c2", "add", "{}"))),
        tool_message(FunctionResult("c1", "add", "ok", "5")),
        tool_message(FunctionResult("c2", "add", "error", "No.")),
        Message("user", "And?"),
    ]
    _, body = await ask(OK, history, ChatOptions((ADD,)))
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][1]["content"][0] == {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}}
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "5"}]},
        {"type": "tool_result", "tool_use_id": "c2", "content": [{"type": "text", "text": "No."}], "is_error": True},
        {"type": "text", "text": "And?"},
    ]


async def test_the_conversation_begins_and_ends_with_the_user() -> None:
    for history in ([Message("system", "Be kind.")], [Message("assistant", "Good morning!")]):
        _, body = await ask(OK, history)
        roles = [turn["role"] for turn in body["messages"]]
        assert (roles[0], roles[-1]) == ("user", "user")


async def test_an_effort_and_a_single_call_have_their_places() -> None:
    options = ChatOptions((ADD,), "required", parallel_tool_calls=False, reasoning_effort="low")
    _, body = await ask(OK, options=options)
    assert body["output_config"] == {"effort": "low"}
    assert body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}


async def test_newer_models_take_no_temperature_and_think_within_their_length() -> None:
    options = ChatOptions(temperature=1.5, top_p=0.5, reasoning_effort="low")
    _, body = await ask(OK, options=options)
    assert not {"temperature", "top_p"} & body.keys()
    assert body["max_tokens"] == 16_384
    _, body = await ask(OK, options=options, model="claude-haiku-4-5")
    assert (body["temperature"], body["max_tokens"]) == (1.0, 4096)
    assert not {"top_p", "output_config"} & body.keys()


async def test_warming_tries_the_key() -> None:
    async with vendor(refusal(200, {"data": [], "has_more": False})) as server:
        client = AnthropicClient("claude-1", api_key="sk-very-secret", base_url=server.url.removesuffix("/v1"))
        await client.warm()
        await client.aclose()
    assert server.paths[0].startswith("/v1/models")
