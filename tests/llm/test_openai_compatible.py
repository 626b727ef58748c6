"""The OpenAI-compatible client against servers that behave as vendors do."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import httpx
import pytest

from antiphon.errors import (
    ChatClientContentFilterException,
    ChatClientException,
    ChatClientInvalidAuthException,
    ChatClientInvalidRequestException,
    ChatClientInvalidResponseException,
    ChatClientUnavailableException,
    ConfigurationError,
    SettingNotFoundError,
)
from antiphon.models.llm.content import FunctionCall, FunctionResult, Usage
from antiphon.models.llm.contract import ChatDelta, ChatOptions, ToolSpec
from antiphon.models.llm.messages import Message, tool_message
from antiphon.models.llm.openai_compatible import OFFICIAL_URL, OpenAICompatibleClient
from tests.llm.vendor import (
    STREAM_HEAD,
    Answer,
    chunked,
    delta,
    event,
    pieces,
    raw,
    refusal,
    stall,
    stream,
    vendor,
    words,
)

KEY = "sk-very-secret"
USER = [Message("user", "hello")]
PLAIN = ChatOptions()


async def ask(url: str, options: ChatOptions = PLAIN, **settings: Any) -> list[ChatDelta]:
    client = OpenAICompatibleClient("m", base_url=url, api_key=KEY, **settings)
    try:
        return [part async for part in client.stream(USER, options)]
    finally:
        await client.aclose()


async def error_of(answer: Answer, **settings: Any) -> ChatClientException:
    async with vendor(answer) as server:
        with pytest.raises(ChatClientException) as caught:
            await ask(server.url, **settings)
    assert KEY not in str(caught.value)
    return caught.value


async def test_an_answer_streams_and_ends_with_reason_and_usage() -> None:
    async with vendor(words("Hel", "lo", " world ✓")) as server:
        parts = await ask(server.url)
    assert [part.text for part in parts] == ["Hel", "lo", " world ✓", ""]
    assert parts[-1] == ChatDelta(finish_reason="stop", usage=Usage(7, 3), response_id="x", model="m")


async def test_the_request_is_what_the_api_wants() -> None:
    tool = ToolSpec("add", "Add.", {"type": "object", "properties": {}})
    history = [
        Message("system", "Be kind."),
        Message("user", "2+3?"),
        Message("assistant", (FunctionCall("c1", "add", '{"a":2}'), FunctionCall("c2", "add", "{broken"))),
        tool_message(FunctionResult("c1", "add", "ok", "5")),
        tool_message(FunctionResult("c2", "add", "error", "The arguments are not valid JSON.")),
    ]
    options = ChatOptions((tool,), "none", temperature=0.5, max_tokens=100, stop=("END",), extra={"top_k": 9})
    async with vendor(words("ok")) as server:
        client = OpenAICompatibleClient("m", base_url=f"{server.url}/", api_key=KEY, headers={"x-team": "a"})
        assert [part async for part in client.stream(history, options)]
        await client.aclose()
    assert server.paths == ["/v1/chat/completions"]
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert server.headers[0]["x-team"] == "a"

    def wire(call_id: str, arguments: str) -> dict[str, Any]:
        return {"id": call_id, "type": "function", "function": {"name": "add", "arguments": arguments}}

    assert server.bodies[0] == {
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "2+3?"},
            {"role": "assistant", "content": None, "tool_calls": [wire("c1", '{"a":2}'), wire("c2", "{}")]},
            {"role": "tool", "tool_call_id": "c1", "content": "5"},
            {"role": "tool", "tool_call_id": "c2", "content": "The arguments are not valid JSON."},
        ],
        "temperature": 0.5,
        "max_tokens": 100,
        "stop": ["END"],
        "tools": [
            {
                "type": "function",
                "function": {"name": "add", "description": "Add.", "parameters": {"type": "object", "properties": {}}},
            }
        ],
        "tool_choice": "none",
        "top_k": 9,
    }


async def test_models_that_think_get_their_own_keys() -> None:
    async with vendor(words("ok"), words("ok")) as server:
        for model in ("o3-mini", "openai/gpt-5-mini"):
            client = OpenAICompatibleClient(model, base_url=server.url)
            assert [part async for part in client.stream(USER, ChatOptions(temperature=0.5, max_tokens=9))]
            await client.aclose()
    for body in server.bodies:
        assert body["max_completion_tokens"] == 9
        assert "temperature" not in body
        assert "max_tokens" not in body


CALLS = (FunctionCall("c1", "add", '{"a": 2}'), FunctionCall("c2", "sub", '{"b": 3}'))


@pytest.mark.parametrize(
    "answer",
    [
        stream(
            delta(role="assistant", content=None, tool_calls=pieces(id="c1", name="add", arguments="")),
            delta(tool_calls=pieces(arguments='{"a":')),
            delta(tool_calls=pieces(arguments=" 2}")),
            delta(tool_calls=pieces(index=1, id="c2", name="sub", arguments='{"b"')),
            delta(tool_calls=pieces(index=1, arguments=": 3}")),
            delta(finish="tool_calls"),
        ),
        stream(
            delta(
                tool_calls=[
                    *pieces(index=None, id="c1", name="add", arguments='{"a": 2}'),
                    *pieces(index=None, id="c2", name="sub", arguments='{"b": 3}'),
                ],
                finish="stop",
            ),
        ),
        stream(
            delta(tool_calls=pieces(id="c1", name="add", arguments='{"a": 2}')),
            delta(tool_calls=pieces(id="c2", name="sub", arguments='{"b"')),
            delta(tool_calls=pieces(arguments=": 3}")),
            delta(finish="tool_calls"),
        ),
        stream(
            delta(tool_calls=pieces(index=None, id="c1", name="add")),
            delta(tool_calls=pieces(index=None, arguments='{"a": 2}')),
            delta(tool_calls=pieces(index=None, id="c2", name="sub")),
            delta(tool_calls=pieces(index=None, arguments='{"b": 3}')),
            done=False,
        ),
    ],
    ids=["openai", "whole without index", "all with index 0", "pieces without index, cut"],
)
async def test_pieces_of_tool_calls_are_joined(answer: Answer) -> None:
    async with vendor(answer) as server:
        parts = await ask(server.url)
    assert parts[-1].calls == CALLS
    assert parts[-1].finish_reason == "tool_calls"


async def test_calls_without_id_and_arguments_as_an_object_are_taken() -> None:
    call = [{"function": {"name": "add", "arguments": {"a": 2}}}]
    async with vendor(stream(delta(tool_calls=call, finish="tool_calls"))) as server:
        assert (await ask(server.url))[-1].calls == (FunctionCall("", "add", '{"a":2}'),)


async def test_what_vendors_add_and_leave_out_does_no_harm() -> None:
    answer = stream(
        b": OPENROUTER PROCESSING\n\n",
        b"event: message\r\nid: 7\r\nretry: 10\r\n",
        event(delta(role="assistant")),
        {"choices": []},
        {"object": "ping"},
        delta(content=None),
        delta(reasoning="hm", reasoning_content="hm"),
        delta(content="Yes"),
        delta(refusal=" and no"),
        delta(finish="eos"),
        {
            "choices": [],
            "usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}},
        },
    )
    async with vendor(answer) as server:
        parts = await ask(server.url)
    assert "".join(part.text for part in parts) == "Yes and no"
    assert "".join(part.reasoning for part in parts) == "hm"
    assert parts[-1] == ChatDelta(finish_reason="stop", usage=Usage(9, 2, 4), response_id="x", model="m")


async def test_a_character_and_an_event_split_anywhere_come_whole() -> None:
    whole = event(delta(content="grün ✓ 日本")) + event(delta(finish="stop")) + event("[DONE]")
    answer = stream(*(whole[index : index + 1] for index in range(len(whole))), done=False)
    async with vendor(answer) as server:
        assert (await ask(server.url))[0].text == "grün ✓ 日本"


@pytest.mark.parametrize("status", [400, 422])
async def test_a_server_that_does_not_know_stream_options_is_asked_without_from_then_on(status: int) -> None:
    refused = refusal(status, {"error": {"message": "Unrecognized request argument: stream_options"}})
    async with vendor(refused, words("a"), words("b")) as server:
        client = OpenAICompatibleClient("m", base_url=server.url)
        for _ in range(2):
            assert [part async for part in client.stream(USER, PLAIN)]
        await client.aclose()
    assert ["stream_options" in body for body in server.bodies] == [True, False, False]


@pytest.mark.parametrize(
    ("answer", "leaf", "code", "retryable"),
    [
        (
            refusal(401, {"error": {"message": f"Incorrect API key: {KEY}"}}),
            ChatClientInvalidAuthException,
            "auth",
            False,
        ),
        (refusal(403), ChatClientInvalidAuthException, "auth", False),
        (refusal(400, {"error": {"message": "no"}}), ChatClientInvalidRequestException, "invalid_request", False),
        (refusal(404, "no such model"), ChatClientInvalidRequestException, "invalid_request", False),
        (refusal(422, {"detail": [1]}), ChatClientInvalidRequestException, "invalid_request", False),
        (
            refusal(400, {"error": {"code": "context_length_exceeded", "message": "8193 tokens"}}),
            ChatClientInvalidRequestException,
            "context_length_exceeded",
            False,
        ),
        *[
            (
                refusal(400, {"error": {"message": message}}),
                ChatClientInvalidRequestException,
                "context_length_exceeded",
                False,
            )
            for message in (
                "This model's maximum context length is 8192 tokens.",
                "prompt is too long: 201000 tokens > 200000 maximum",
                "The input token count (1100000) exceeds the maximum.",
            )
        ],
        (refusal(402, {"error": {"message": "Insufficient Balance"}}), ChatClientUnavailableException, "quota", False),
        (refusal(400, {"error": {"code": "content_filter"}}), ChatClientContentFilterException, "filtered", False),
        (refusal(408), ChatClientUnavailableException, "timeout", True),
        (refusal(429), ChatClientUnavailableException, "rate_limited", True),
        (refusal(429, {"error": {"code": "insufficient_quota"}}), ChatClientUnavailableException, "quota", False),
        (refusal(500, "<html>oops</html>"), ChatClientUnavailableException, "server_error", True),
        (refusal(503, {"error": "overloaded"}), ChatClientUnavailableException, "server_error", True),
        (refusal(504), ChatClientUnavailableException, "timeout", True),
        (refusal(302, location="/elsewhere"), ChatClientInvalidRequestException, "invalid_request", False),
    ],
)
async def test_a_refusal_becomes_the_right_leaf(
    answer: Answer, leaf: type[Exception], code: str, retryable: bool
) -> None:
    error = await error_of(answer)
    assert type(error) is leaf
    assert (error.code, error.retryable) == (code, retryable)
    assert error.provider == "127.0.0.1"
    assert error.status_code is not None


async def test_the_message_says_what_the_server_said_but_never_the_key() -> None:
    error = await error_of(refusal(400, {"error": {"message": f"bad  thing\nwith {KEY}."}}, x_request_id="r1"))
    assert str(error).startswith("127.0.0.1 refused the request (400): bad thing with ***; check the model's name")
    assert error.request_id == "r1"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "2"}, 2.0),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after_ms": "300", "retry_after": "9"}, 0.3),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
        ({"retry_after": "soon"}, None),
        ({}, None),
    ],
)
async def test_retry_after_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert (await error_of(refusal(429, **headers))).retry_after_s == seconds


@pytest.mark.parametrize(
    ("answer", "leaf", "code"),
    [
        (stream("no json"), ChatClientInvalidResponseException, "bad_stream"),
        (stream("[1, 2]"), ChatClientInvalidResponseException, "bad_stream"),
        (stream('{"choices": [{"delta": {"content": 7}}]}'), ChatClientInvalidResponseException, "bad_stream"),
        (
            stream(b'data: {"choices": [{"delta": {"content": "\xff\xfe"}}]}\n\n'),
            ChatClientInvalidResponseException,
            "bad_stream",
        ),
        (stream(b"data: {half", done=False), ChatClientInvalidResponseException, "bad_stream"),
        (stream(done=True), ChatClientInvalidResponseException, "bad_stream"),
        (raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"), ChatClientInvalidResponseException, "bad_stream"),
        (stream({"error": {"message": "broken", "code": 502}}), ChatClientUnavailableException, "server_error"),
        (
            stream({"error": {"message": "slow", "type": "rate_limit_error"}}),
            ChatClientUnavailableException,
            "rate_limited",
        ),
        (stream({"error": "broken"}), ChatClientInvalidResponseException, "bad_stream"),
        (stream(delta(finish="content_filter")), ChatClientContentFilterException, "filtered"),
        (raw(b"no http at all\r\n\r\n"), ChatClientUnavailableException, "connection_lost"),
        (raw(), ChatClientUnavailableException, "connection_lost"),
        (raw(STREAM_HEAD, b"ff\r\ndata: {"), ChatClientUnavailableException, "connection_lost"),
    ],
)
async def test_a_stream_that_cannot_be_read_becomes_the_right_leaf(
    answer: Answer, leaf: type[Exception], code: str
) -> None:
    error = await error_of(answer)
    assert type(error) is leaf
    assert error.code == code


async def test_an_event_without_end_is_refused() -> None:
    error = await error_of(stream(b"data: " + b"x" * 5_000_000))
    assert isinstance(error, ChatClientInvalidResponseException)


async def test_an_answer_that_is_cut_or_filtered_after_words_keeps_them() -> None:
    for answer, reason in (
        (stream(delta(content="So far"), done=False), "length"),
        (stream(delta(content="So far"), delta(finish="content_filter")), "content_filter"),
        (stream(delta(content="So far"), delta(finish="length")), "length"),
    ):
        async with vendor(answer) as server:
            parts = await ask(server.url)
        assert (parts[0].text, parts[-1].finish_reason) == ("So far", reason)


async def test_a_connection_that_breaks_after_words_raises_after_them() -> None:
    seen: list[str] = []
    async with vendor(raw(STREAM_HEAD, chunked(event(delta(content="So"))), b"ff\r\nda")) as server:
        client = OpenAICompatibleClient("m", base_url=server.url)

        async def read() -> None:
            async for part in client.stream(USER, PLAIN):
                seen.append(part.text)  # noqa: PERF401 (the list outlives the failure)

        with pytest.raises(ChatClientUnavailableException):
            await read()
        await client.aclose()
    assert seen == ["So"]


@pytest.mark.parametrize(
    "answer",
    [
        stall(),
        stall(STREAM_HEAD),
        stall(STREAM_HEAD, chunked(event(delta(role="assistant", content="")))),
        stall(STREAM_HEAD, chunked(event(delta(content="So")))),
    ],
    ids=["no response", "no event", "no word", "in mid answer"],
)
async def test_a_server_that_sends_nothing_more_is_given_up(answer: Answer) -> None:
    async with vendor(answer) as server:
        with pytest.raises(ChatClientUnavailableException) as caught:
            await ask(server.url, first_token_s=0.1, stall_s=0.05)
        assert caught.value.code == "stalled"
        assert caught.value.retryable
        await asyncio.wait_for(server.hung_up.wait(), 10)


async def test_an_endpoint_that_is_not_there_is_told() -> None:
    with pytest.raises(ChatClientUnavailableException) as caught:
        await ask("http://127.0.0.1:9/v1")
    assert caught.value.code == "connect"
    assert "http://127.0.0.1:9/v1" in str(caught.value)


async def test_turns_share_a_connection_that_warming_opened() -> None:
    async with vendor(refusal(404), words("a"), words("b")) as server:
        client = OpenAICompatibleClient("m", base_url=server.url, api_key=KEY)
        await client.warm()
        for _ in range(2):
            assert [part async for part in client.stream(USER, PLAIN)]
        await client.aclose()
    assert server.paths[0] == "/v1/models"
    assert server.connections == 1


async def test_warming_tells_a_wrong_key_and_a_missing_endpoint() -> None:
    async with vendor(refusal(401)) as server:
        client = OpenAICompatibleClient("m", base_url=server.url, api_key=KEY)
        with pytest.raises(ChatClientInvalidAuthException):
            await client.warm()
        await client.aclose()
    client = OpenAICompatibleClient("m", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ChatClientUnavailableException):
        await client.warm()
    await client.aclose()


async def test_a_shared_http_client_is_not_closed() -> None:
    async with vendor(words("a"), words("b")) as server, httpx.AsyncClient() as http:
        for _ in range(2):
            client = OpenAICompatibleClient("m", base_url=server.url, http=http)
            assert [part async for part in client.stream(USER, PLAIN)]
            await client.aclose()
        assert not http.is_closed


def test_the_official_endpoint_needs_a_key_and_says_which() -> None:
    with pytest.raises(SettingNotFoundError, match="OPENAI_API_KEY"):
        OpenAICompatibleClient("gpt-4o-mini")
    assert OpenAICompatibleClient("gpt-4o-mini", api_key=KEY).name == "openai/gpt-4o-mini"
    assert OFFICIAL_URL.startswith("https://api.openai.com")


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://host/v1", "http://", "", "http://host:abc/v1", "http://[::1/v1"]
)
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="base URL"):
        OpenAICompatibleClient("m", base_url=url)


def test_neither_name_nor_repr_shows_the_key() -> None:
    client = OpenAICompatibleClient("m", base_url="http://localhost/v1", api_key=KEY, provider="local")
    assert client.name == "local/m"
    assert KEY not in repr(client)


def test_a_base_url_is_told_without_its_password_and_query() -> None:
    with pytest.raises(ConfigurationError) as caught:
        OpenAICompatibleClient("m", base_url="ftp://me:hush-hush@host/v1?key=hush-hush")
    assert "hush" not in str(caught.value)


async def test_a_password_and_a_query_in_the_address_are_secrets() -> None:
    client = OpenAICompatibleClient("m", base_url="http://me:hush-hush@127.0.0.1:9/v1?key=hush-hush")
    with pytest.raises(ChatClientUnavailableException) as caught:
        await anext(client.stream(USER, PLAIN))
    assert "hush" not in str(caught.value)
    assert "http://127.0.0.1:9/v1" in str(caught.value)
    await client.aclose()


async def test_a_query_stays_behind_the_path() -> None:
    async with vendor(words("ok")) as server:
        client = OpenAICompatibleClient("m", base_url=f"{server.url}?api-version=1")
        assert [part async for part in client.stream(USER, PLAIN)]
        await client.aclose()
    assert server.paths == ["/v1/chat/completions?api-version=1"]


async def test_a_key_from_a_file_is_sent_without_its_line_end() -> None:
    async with vendor(words("ok")) as server:
        client = OpenAICompatibleClient("m", base_url=server.url, api_key=f"{KEY}\n")
        assert [part async for part in client.stream(USER, PLAIN)]
        await client.aclose()
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("key", ["sk-very\nsecret", "sk-very…secret"])
async def test_a_key_that_no_header_can_hold_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigurationError, match="copy the key again") as caught:
        OpenAICompatibleClient("m", base_url="http://h/v1", api_key=key)
    assert "secret" not in str(caught.value)
    client = OpenAICompatibleClient("m", base_url="http://h/v1")
    with pytest.raises(ConfigurationError, match="x-token"):
        await anext(client.stream(USER, ChatOptions(headers={"x-token": key})))
    await client.aclose()


async def test_an_answer_that_was_read_leaves_nothing_for_the_garbage_collector() -> None:
    async with vendor(words("Hel", "lo"), words("again")) as server:
        client = OpenAICompatibleClient("m", base_url=server.url)
        gc.collect()
        gc.disable()
        try:
            for _ in range(2):
                assert [part async for part in client.stream(USER, PLAIN)]
            assert not [left for left in gc.get_objects() if isinstance(left, httpx.Response)]
        finally:
            gc.enable()
        await client.aclose()
