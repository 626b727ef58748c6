"""What only OpenAI's Responses have: sealed thoughts, hosted tools, kept histories."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.errors import ChatClientException, ChatClientInvalidRequestException, ChatClientUnavailableException
from antiphon.models.llm.content import (
    FunctionCall,
    FunctionResult,
    HostedFile,
    HostedTool,
    Media,
    Reasoning,
    Text,
    content_from_dict,
    content_to_dict,
)
from antiphon.models.llm.contract import ChatDelta, ChatOptions, OutputFormat, ToolSpec
from antiphon.models.llm.messages import Message, tool_message
from antiphon.models.llm.openai_responses import OpenAIResponsesClient
from tests.llm.contract import streamed
from tests.llm.vendor import Answer, event, vendor
from tests.llm.vendors import Responses, Say, named

USER = [Message("user", "hello")]
PLAIN = ChatOptions()
ADD = ToolSpec("add", "Add.", {"type": "object", "properties": {}})
THOUGHT = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "Then."}],
    "encrypted_content": "sealed",
}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}
OK = streamed(*Responses().answer(Say(("ok",))))


async def ask(
    answer: Answer, messages: list[Message] = USER, options: ChatOptions = PLAIN, model: str = "gpt-5"
) -> tuple[list[ChatDelta], dict[str, Any]]:
    async with vendor(answer) as server:
        client = OpenAIResponsesClient(model, base_url=server.url, api_key="sk-very-secret")
        try:
            parts = [part async for part in client.stream(messages, options)]
        finally:
            await client.aclose()
    assert server.paths == ["/v1/responses"]
    return parts, server.bodies[0]


def done(item: dict[str, Any]) -> bytes:
    return named("response.output_item.done", {"output_index": 0, "item": item})


def ended(kind: str = "completed", **fields: Any) -> bytes:
    return named(f"response.{kind}", {"response": {"id": "resp_1", "model": "gpt-5-1", "status": kind, **fields}})


async def test_thoughts_stream_and_their_sealed_form_goes_back() -> None:
    answer = streamed(
        named("response.reasoning_summary_text.delta", {"item_id": "rs_1", "delta": "First."}),
        done(THOUGHT),
        named("response.output_text.delta", {"delta": "Five."}),
        done({"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "Five."}]}),
        ended(),
    )
    parts, body = await ask(answer)
    assert body["include"] == ["reasoning.encrypted_content"]
    assert body["store"] is False
    assert "".join(part.reasoning for part in parts) == "First."
    contents = [content for part in parts for content in part.contents]
    assert contents == [Reasoning("First.\n\nThen.", "sealed", "openai", more={"id": "rs_1"})]
    kept = content_from_dict(content_to_dict(contents[0]))
    _, body = await ask(OK, [*USER, Message("assistant", (kept, Text("Five."))), *USER])
    item = {**THOUGHT, "summary": [{"type": "summary_text", "text": "First.\n\nThen."}]}
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Five."}]}
    assert body["input"][1:3] == [item, said]


async def test_models_that_do_not_think_are_not_asked_for_thoughts() -> None:
    _, body = await ask(OK, model="gpt-4o")
    assert "include" not in body


async def test_a_tool_that_the_provider_runs_is_kept_and_goes_back_in_its_place() -> None:
    parts, _ = await ask(streamed(done(SEARCH), named("response.output_text.delta", {"delta": "Found."}), ended()))
    (content,) = [content for part in parts for content in part.contents]
    assert content == HostedTool("openai", SEARCH)
    _, body = await ask(OK, [*USER, Message("assistant", (content, Text("Found."))), *USER])
    assert body["input"][1] == SEARCH


async def test_a_call_is_handed_out_when_it_is_whole() -> None:
    call = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "add", "arguments": '{"a":2}'}
    more = named("response.output_text.delta", {"delta": "Wait."})
    parts, _ = await ask(streamed(done(call), more, ended()), options=ChatOptions((ADD,)))
    assert parts[0] == ChatDelta(calls=(FunctionCall("c1", "add", '{"a":2}'),))
    assert parts[-1].finish_reason == "tool_calls"


async def test_of_a_history_that_the_provider_keeps_only_the_news_is_sent() -> None:
    history = [
        Message("system", "Be kind."),
        *USER,
        Message("assistant", FunctionCall("c1", "add", "{}")),
        tool_message(FunctionResult("c1", "add", "ok", "5")),
    ]
    answer = streamed(named("response.output_text.delta", {"delta": "Five."}), ended(store=True))
    parts, body = await ask(answer, history, ChatOptions(conversation_id="resp_0"))
    assert body["previous_response_id"] == "resp_0"
    assert body["store"] is True
    assert body["instructions"] == "Be kind."
    assert body["input"] == [{"type": "function_call_output", "call_id": "c1", "output": "5"}]
    assert parts[-1].conversation_id == "resp_1"
    _, body = await ask(OK, history, ChatOptions(conversation_id="conv_1"))
    assert body["conversation"] == "conv_1"
    assert "previous_response_id" not in body


async def test_an_answer_that_is_not_kept_has_no_conversation() -> None:
    parts, _ = await ask(OK)
    assert parts[-1].conversation_id is None
    assert (parts[-1].response_id, parts[-1].model) == ("x", "m")


async def test_format_verbosity_and_effort_have_their_places() -> None:
    options = ChatOptions(output=OutputFormat({"type": "object"}, "pair"), verbosity="low", reasoning_effort="low")
    _, body = await ask(OK, options=options)
    assert body["text"] == {
        "format": {"type": "json_schema", "name": "pair", "schema": {"type": "object"}, "strict": True},
        "verbosity": "low",
    }
    assert body["reasoning"] == {"effort": "low"}


async def test_only_allowed_tools_are_a_choice() -> None:
    _, body = await ask(OK, options=ChatOptions((ADD,), "required", allowed_tools=("add",)))
    tools = [{"type": "function", "name": "add"}]
    assert body["tool_choice"] == {"type": "allowed_tools", "mode": "required", "tools": tools}


async def test_files_are_sent_in_their_own_forms() -> None:
    pdf = Media.from_bytes(b"%PDF", "application/pdf", "a.pdf")
    far = Media("https://example.com/b.pdf", "application/pdf")
    image = Media("https://example.com/c.png", "image/png")
    ours, theirs = HostedFile("file_1", "openai", "image/png"), HostedFile("file_2", "google")
    _, body = await ask(OK, [Message("user", (pdf, far, image, ours, theirs))])
    assert body["input"][0]["content"] == [
        {"type": "input_file", "filename": "a.pdf", "file_data": pdf.uri},
        {"type": "input_file", "file_url": far.uri},
        {"type": "input_image", "image_url": image.uri},
        {"type": "input_image", "file_id": "file_1"},
    ]


@pytest.mark.parametrize(
    ("answer", "leaf", "code"),
    [
        (
            streamed(ended("failed", error={"code": "rate_limit_exceeded", "message": "slow"})),
            ChatClientUnavailableException,
            "rate_limited",
        ),
        (streamed(ended("failed")), ChatClientUnavailableException, "server_error"),
        (
            streamed(event({"type": "error", "code": "server_error", "message": "oops"})),
            ChatClientUnavailableException,
            "server_error",
        ),
        (
            streamed(event({"type": "error", "error": {"code": "context_length_exceeded", "message": "long"}})),
            ChatClientInvalidRequestException,
            "context_length_exceeded",
        ),
    ],
)
async def test_failures_in_the_stream_have_their_leaves(
    answer: Answer, leaf: type[ChatClientException], code: str
) -> None:
    with pytest.raises(leaf) as caught:
        await ask(answer)
    assert caught.value.code == code


def test_what_it_can_do_depends_on_the_model() -> None:
    thinks = OpenAIResponsesClient("gpt-5-mini")
    assert "reasoning" in thinks.supports
    assert thinks.context_window == 400_000
    assert thinks.name == "openai-responses/gpt-5-mini"
    assert "reasoning" not in OpenAIResponsesClient("gpt-4o").supports
