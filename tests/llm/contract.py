"""What every chat client must do. A test class of a client's own inherits this and says how to make the client."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from antiphon.errors import (
    ChatClientContentFilterException,
    ChatClientException,
    ChatClientInvalidAuthException,
    ChatClientInvalidRequestException,
    ChatClientInvalidResponseException,
    ChatClientUnavailableException,
)
from antiphon.models.llm.content import (
    Audio,
    FunctionCall,
    FunctionResult,
    HostedTool,
    Media,
    Reasoning,
    Text,
    Unknown,
)
from antiphon.models.llm.contract import ChatClient, ChatDelta, ChatOptions, OutputFormat, ToolSpec
from antiphon.models.llm.messages import Message, tool_message
from tests.llm.vendor import STREAM_HEAD, Answer, Vendor, Write, chunked, endless, raw, refusal, stall, vendor
from tests.llm.vendors import KEY, USAGE, Body, Say, Wire

USER = [Message("user", "hello")]
PLAIN = ChatOptions()
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
ADD = ToolSpec("add", "Add.", SCHEMA)
SUB = ToolSpec("sub", "Subtract.", SCHEMA)
ADD_2 = FunctionCall("c1", "add", '{"a":2}')
SUB_3 = FunctionCall("c2", "sub", '{"a":3}')
PNG = Media.from_bytes(b"\x89PNG pixels", "image/png", "photo.png")
FULL_OPTIONS = ChatOptions(
    tools=(ADD,), parallel_tool_calls=False, temperature=0.5, top_p=0.9, max_tokens=50, stop=("END",), rng=7,
    frequency_penalty=0.1, presence_penalty=0.2, output=OutputFormat(SCHEMA, "pair"), user="u1", metadata={"k": "v"},
    store=False, extra={"x_more": 1}, headers={"x-trace": "t1"}, reasoning_effort="low", verbosity="low",
)  # fmt: skip


class ChatClientContract:
    """For any client at all."""

    def answering(self, *answers: Say) -> AbstractAsyncContextManager[ChatClient]:
        """A client whose model gives these answers, one a request."""
        raise NotImplementedError

    def gated(self, gate: asyncio.Event, first: str, second: str) -> AbstractAsyncContextManager[ChatClient]:
        """A client whose model makes the second word only when the gate opens."""
        raise NotImplementedError

    async def test_fifty_deltas_come_one_by_one_and_in_order(self) -> None:
        texts = tuple(f"w{index} " for index in range(50))
        async with self.answering(Say(texts)) as client:
            parts = await read(client)
        assert [part.text for part in parts if part.text] == list(texts)
        assert parts[-1].finish_reason == "stop"
        assert [part.finish_reason for part in parts[:-1]] == [None] * (len(parts) - 1)

    async def test_the_first_delta_is_handed_out_before_the_second_is_made(self) -> None:
        gate = asyncio.Event()
        async with self.gated(gate, "one ", "two") as client:
            deltas = client.stream(USER, PLAIN)
            async with asyncio.timeout(10):
                assert (await anext(deltas)).text == "one "
                gate.set()
                assert "".join([part.text async for part in deltas]) == "two"

    async def test_parallel_calls_are_whole_and_keep_their_ids(self) -> None:
        async with self.answering(Say(("Let me see. ",), (ADD_2, SUB_3))) as client:
            parts = [part async for part in client.stream(USER, ChatOptions((ADD, SUB)))]
        assert [call for part in parts for call in part.calls] == [ADD_2, SUB_3]
        assert "".join(part.text for part in parts) == "Let me see. "
        assert parts[-1].finish_reason == "tool_calls"

    async def test_tokens_are_told_at_the_end(self) -> None:
        async with self.answering(Say(("Hi",))) as client:
            parts = await read(client)
        assert parts[-1].usage == USAGE
        assert all(part.usage is None for part in parts[:-1])

    async def test_an_answer_that_is_too_long_says_so(self) -> None:
        async with self.answering(Say(("Hi",), finish="length")) as client:
            parts = await read(client)
        assert parts[-1].finish_reason == "length"

    async def test_a_stream_may_be_left_and_the_client_goes_on(self) -> None:
        async with self.answering(Say(("a ", "b ", "c")), Say(("next",))) as client:
            deltas = client.stream(USER, PLAIN)
            await anext(deltas)
            await deltas.aclose()
            await deltas.aclose()
            assert "".join([part.text async for part in client.stream(USER, PLAIN)]) == "next"

    async def test_streams_at_the_same_time_do_not_mix(self) -> None:
        async with self.answering(*[Say((f"{index}:", f"{index}")) for index in range(8)]) as client:

            async def ask() -> list[str]:
                parts = [part.text async for part in client.stream(USER, PLAIN)]
                return "".join(parts).split(":")

            answers = await asyncio.gather(*[ask() for _ in range(8)])
        assert all(first == second for first, second in answers)
        assert len({first for first, _ in answers}) == 8

    async def test_it_has_a_name_and_can_be_warmed_and_closed(self) -> None:
        async with self.answering() as client:
            assert "/" in client.name
            assert client.notice is None or client.notice.endswith(".")


class HTTPContract(ChatClientContract):
    """For a client that asks a provider over HTTP."""

    wire: Wire

    @asynccontextmanager
    async def serving(self, *answers: Answer, **settings: Any) -> AsyncIterator[tuple[ChatClient, Vendor]]:
        async with vendor(*answers) as server:
            client = self.wire.client(server.url, **settings)
            try:
                yield client, server
            finally:
                await client.aclose()

    @asynccontextmanager
    async def answering(self, *answers: Say) -> AsyncIterator[ChatClient]:
        async with self.serving(*[streamed(*self.wire.answer(say)) for say in answers]) as (client, _):
            yield client

    @asynccontextmanager
    async def gated(self, gate: asyncio.Event, first: str, second: str) -> AsyncIterator[ChatClient]:
        events = self.wire.answer(Say((first, second)))
        place = events.index(self.wire.word(second))

        async def answer(write: Write) -> bool:
            await write(STREAM_HEAD)
            for event in events[:place]:
                await write(chunked(event))
            await gate.wait()
            for event in events[place:]:
                await write(chunked(event))
            await write(b"0\r\n\r\n")
            return True

        async with self.serving(answer) as (client, _):
            yield client

    async def error_of(self, answer: Answer, options: ChatOptions = PLAIN, **settings: Any) -> ChatClientException:
        async with self.serving(answer, **settings) as (client, _):
            with pytest.raises(ChatClientException) as caught:
                await read(client, options)
        assert KEY not in "".join(traceback.format_exception(caught.value))
        assert caught.value.provider == self.wire.provider
        return caught.value

    async def body_of(self, messages: list[Message], options: ChatOptions = PLAIN) -> Body:
        async with self.serving(streamed(*self.wire.answer(Say(("ok",))))) as (client, server):
            assert [part async for part in client.stream(messages, options)]
        return server.bodies[-1]

    async def test_it_tells_where_it_asks_and_no_secret(self) -> None:
        async with self.serving() as (client, server):
            assert server.url.startswith(client.base_url)  # type: ignore[attr-defined]
        with_secret = self.wire.client(f"{server.url.replace('://', f'://me:{KEY}@')}?key={KEY}")
        assert KEY not in with_secret.base_url  # type: ignore[attr-defined]
        await with_secret.aclose()

    # Closing

    async def test_closing_the_stream_closes_the_request_at_the_server(self) -> None:
        async with self.serving(endless(self.wire)) as (client, server):
            deltas = client.stream(USER, PLAIN)
            for _ in range(5):
                await anext(deltas)
            await deltas.aclose()
            await asyncio.wait_for(server.hung_up.wait(), 5)

    async def test_cancelling_the_reader_closes_the_request_at_the_server(self) -> None:
        began = asyncio.Event()
        opening = b"".join([chunked(event) for event in [*self.wire.opening(), self.wire.word("So")]])
        async with self.serving(stall(STREAM_HEAD, opening)) as (client, server):

            async def read() -> None:
                async for _ in client.stream(USER, PLAIN):
                    began.set()

            task = asyncio.create_task(read())
            await asyncio.wait_for(began.wait(), 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(server.hung_up.wait(), 5)

    async def test_turns_share_a_connection(self) -> None:
        answer = self.wire.answer(Say(("ok",)))
        async with self.serving(streamed(*answer), streamed(*answer)) as (client, server):
            for _ in range(2):
                assert await read(client)
            assert server.connections == 1

    # Errors

    @pytest.mark.parametrize(
        ("status", "leaf", "code", "retryable"),
        [
            (401, ChatClientInvalidAuthException, "auth", False),
            (403, ChatClientInvalidAuthException, "auth", False),
            (400, ChatClientInvalidRequestException, "invalid_request", False),
            (404, ChatClientInvalidRequestException, "invalid_request", False),
            (422, ChatClientInvalidRequestException, "invalid_request", False),
            (408, ChatClientUnavailableException, "timeout", True),
            (429, ChatClientUnavailableException, "rate_limited", True),
            (500, ChatClientUnavailableException, "server_error", True),
            (503, ChatClientUnavailableException, "server_error", True),
        ],
    )
    async def test_a_refusal_becomes_the_right_leaf(
        self, status: int, leaf: type[Exception], code: str, retryable: bool
    ) -> None:
        error = await self.error_of(refusal(status, self.wire.refused(status, f"no, not with {KEY}"), retry_after="2"))
        assert type(error) is leaf
        assert (error.code, error.retryable, error.status_code) == (code, retryable, status)
        assert error.retry_after_s == 2.0

    async def test_a_refusal_is_asked_only_once(self) -> None:
        async with self.serving(refusal(500), refusal(500)) as (client, server):
            with pytest.raises(ChatClientUnavailableException):
                await anext(client.stream(USER, PLAIN))
            assert len(server.paths) == 1

    async def test_a_wait_in_milliseconds_goes_before(self) -> None:
        error = await self.error_of(refusal(429, self.wire.refused(429, "slow"), retry_after="9", retry_after_ms="300"))
        assert error.retry_after_s == 0.3

    async def test_what_is_no_json_becomes_an_invalid_response(self) -> None:
        for garbage in (b"data: no json\n\n", b"event: message_start\ndata: {half\n\n", b"data: [1, 2]\n\n"):
            error = await self.error_of(streamed(garbage))
            assert isinstance(error, ChatClientInvalidResponseException), garbage
            assert error.code == "bad_stream"

    async def test_json_of_another_form_becomes_an_invalid_response(self) -> None:
        wrong = self.wire.word("TEXT").replace(b'"TEXT"', b"7")
        error = await self.error_of(streamed(*self.wire.opening(), wrong))
        assert isinstance(error, ChatClientInvalidResponseException)

    async def test_an_empty_stream_and_a_page_are_no_answers(self) -> None:
        page = raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>")
        for answer in (streamed(), page):
            assert isinstance(await self.error_of(answer), ChatClientInvalidResponseException)

    async def test_a_connection_that_breaks_in_mid_chunk_is_unavailable(self) -> None:
        error = await self.error_of(raw(STREAM_HEAD, b"ff\r\ndata: {"))
        assert isinstance(error, ChatClientUnavailableException)
        assert error.code == "connection_lost"

    async def test_words_before_a_break_have_come(self) -> None:
        events = [*self.wire.opening(), self.wire.word("So")]
        async with self.serving(raw(STREAM_HEAD, *map(chunked, events), b"ff\r\nda")) as (client, _):
            deltas = client.stream(USER, PLAIN)
            assert (await anext(deltas)).text == "So"
            with pytest.raises(ChatClientUnavailableException):
                await anext(deltas)

    async def test_a_stream_without_its_end_keeps_the_words(self) -> None:
        async with self.serving(streamed(*self.wire.opening(), self.wire.word("So far"))) as (client, _):
            parts = await read(client)
        assert (parts[0].text, parts[-1].finish_reason) == ("So far", "length")

    async def test_an_answer_withheld_before_its_first_word_is_an_error(self) -> None:
        error = await self.error_of(streamed(*self.wire.answer(Say(finish="content_filter"))))
        assert isinstance(error, ChatClientContentFilterException)
        assert error.code == "filtered"

    async def test_an_answer_withheld_after_words_keeps_them(self) -> None:
        async with self.answering(Say(("So far",), finish="content_filter")) as client:
            parts = await read(client)
        assert (parts[0].text, parts[-1].finish_reason) == ("So far", "content_filter")

    async def test_an_error_inside_the_stream_is_raised(self) -> None:
        error = await self.error_of(streamed(*self.wire.opening(), self.wire.failure()))
        assert isinstance(error, ChatClientUnavailableException)
        assert (error.code, error.retryable) == ("server_error", True)

    @pytest.mark.parametrize("words", [(), ("So",)], ids=["no word", "in mid answer"])
    async def test_a_server_that_sends_nothing_more_is_given_up(self, words: tuple[str, ...]) -> None:
        events = [*self.wire.opening(), *map(self.wire.word, words)] if words else []
        async with self.serving(stall(STREAM_HEAD, *map(chunked, events)), first_token_s=0.3, stall_s=0.1) as (
            client,
            server,
        ):
            with pytest.raises(ChatClientUnavailableException) as caught:
                await read(client)
            assert caught.value.code == "stalled"
            await asyncio.wait_for(server.hung_up.wait(), 5)

    async def test_a_server_that_does_not_answer_is_given_up(self) -> None:
        error = await self.error_of(stall(), first_token_s=0.2)
        assert error.code == "stalled"

    async def test_an_endpoint_that_is_not_there_is_told_without_key(self) -> None:
        client = self.wire.client("http://127.0.0.1:9/v1")
        with pytest.raises(ChatClientUnavailableException) as caught:
            await anext(client.stream(USER, PLAIN))
        assert caught.value.code == "connect"
        assert "http://127.0.0.1:9" in str(caught.value)
        await client.aclose()

    async def test_a_header_of_the_request_is_a_secret_too(self) -> None:
        answer = refusal(400, self.wire.refused(400, "no header hush-hush-1 please"))
        error = await self.error_of(answer, ChatOptions(headers={"x-token": "hush-hush-1"}))
        assert "hush" not in str(error)
        assert "no header ***" in str(error)

    # Requests

    async def test_calls_results_and_words_of_the_history_are_sent(self) -> None:
        history = [
            Message("system", "Be kind."),
            Message("user", "2+3?"),
            Message("assistant", (Text("Let me see."), ADD_2, SUB_3)),
            tool_message(FunctionResult("c1", "add", "ok", "It is five.", exception="Traceback")),
            tool_message(FunctionResult("c2", "sub", "error", "It is broken.")),
            Message("user", "And now?"),
        ]
        sent = json.dumps(await self.body_of(history, ChatOptions((ADD, SUB))))
        for words in ("Be kind.", "2+3?", "Let me see.", "It is five.", "It is broken.", "And now?", "c1", "c2"):
            assert words in sent
        assert sent.index("2+3?") < sent.index("Let me see.") < sent.index("It is five.") < sent.index("And now?")
        assert "Traceback" not in sent

    async def test_a_history_that_begins_with_the_assistant_is_sent(self) -> None:
        sent = json.dumps(await self.body_of([Message("assistant", "Good morning!"), *USER]))
        assert sent.index("Good morning!") < sent.index("hello")

    async def test_broken_arguments_are_not_sent_back(self) -> None:
        history = [
            *USER,
            Message("assistant", FunctionCall("c1", "add", "{broken")),
            tool_message(FunctionResult("c1", "add", "error", "No JSON.")),
        ]
        assert "{broken" not in json.dumps(await self.body_of(history, ChatOptions((ADD,))))

    async def test_an_image_of_the_user_and_of_a_tool_are_sent(self) -> None:
        other = Media.from_bytes(b"other pixels", "image/png")
        history = [
            Message("user", (Text("What is this?"), PNG)),
            Message("assistant", (ADD_2, SUB_3)),
            tool_message(FunctionResult("c1", "add", "ok", "A chart.", media=(other,))),
            tool_message(FunctionResult("c2", "sub", "ok", "Nothing.")),
        ]
        sent = json.dumps(await self.body_of(history, ChatOptions((ADD, SUB))))
        assert PNG.base64 in sent
        assert other.base64 in sent
        assert sent.index(PNG.base64) < sent.index("A chart.")

    async def test_a_file_that_the_model_cannot_read_is_named(self) -> None:
        archive = Media.from_bytes(b"PK archive", "application/zip", "all.zip")
        sent = json.dumps(await self.body_of([Message("user", (Text("See this."), archive))]))
        assert archive.base64 not in sent
        assert "all.zip" in sent

    async def test_of_sound_only_what_was_heard_is_sent(self) -> None:
        said = Audio(transcript="Hello there, how are you?", heard_text="Hello there", ref="blob:1")
        heard = Audio(transcript="Fine, thanks.", ref="blob:2")
        sent = json.dumps(await self.body_of([*USER, Message("assistant", said), Message("user", heard)]))
        assert "Hello there" in sent
        assert "Fine, thanks." in sent
        assert "how are you" not in sent
        assert "blob:" not in sent

    async def test_what_belongs_to_another_provider_or_to_nobody_is_not_sent(self) -> None:
        foreign = (
            Reasoning("secret thought", "sealed thought", "acme"),
            Reasoning("thought of nobody"),
            HostedTool("acme", {"type": "acme_search", "query": "secret query"}),
            Unknown({"type": "hologram", "data": "secret hologram"}),
        )
        sent = json.dumps(await self.body_of([*USER, Message("assistant", (*foreign, Text("Said."))), *USER]))
        assert "Said." in sent
        for word in ("secret", "sealed", "thought", "acme", "hologram"):
            assert word not in sent

    async def test_options_are_sent_under_the_providers_names(self) -> None:
        async with self.serving(streamed(*self.wire.answer(Say(("ok",))))) as (client, server):
            assert [part async for part in client.stream(USER, FULL_OPTIONS)]
        for path, value in self.wire.options.items():
            assert at(server.bodies[0], path) == value, path
        assert server.headers[0]["x-trace"] == "t1"

    async def test_what_is_not_set_is_not_sent(self) -> None:
        body = await self.body_of(USER)
        assert "null" not in json.dumps(body)
        sent = [path for path in self.wire.options if at(body, path) is not None]
        assert set(sent) <= self.wire.always

    async def test_efforts_are_not_sent_to_models_that_do_not_know_them(self) -> None:
        sent = json.dumps(await self.body_of(USER, ChatOptions(reasoning_effort="low", verbosity="high")))
        assert "low" not in sent.replace("allow", "")
        assert "high" not in sent

    async def test_another_model_may_be_asked(self) -> None:
        async with self.serving(streamed(*self.wire.answer(Say(("ok",))))) as (client, server):
            assert [part async for part in client.stream(USER, ChatOptions(model="other-1"))]
        assert "other-1" in json.dumps(server.bodies[0]) + server.paths[0]

    @pytest.mark.parametrize("choice", ["auto", "none", "required"])
    async def test_a_choice_of_tools_is_sent(self, choice: Any) -> None:
        body = await self.body_of(USER, ChatOptions((ADD, SUB), choice))
        assert self.wire.tools_of(body) == ["add", "sub"]
        assert self.wire.choice_of(body) == choice

    async def test_only_allowed_tools_may_be_called(self) -> None:
        body = await self.body_of(USER, ChatOptions((ADD, SUB), allowed_tools=("sub",)))
        allowed = self.wire.tools_of(body)
        assert allowed == ["sub"] or json.dumps(body["tool_choice"]).count('"sub"') == 1
        assert "add" not in json.dumps(body.get("tool_choice"))

    async def test_the_same_history_is_sent_the_same_way_twice(self) -> None:
        history = [*USER, Message("assistant", ADD_2), tool_message(FunctionResult("c1", "add", "ok", "5"))]
        answer = self.wire.answer(Say(("ok",)))
        options = ChatOptions((ADD,))
        async with self.serving(streamed(*answer), streamed(*answer)) as (client, server):
            for _ in range(2):
                assert [part async for part in client.stream(history, options)]
        assert server.bodies[0] == server.bodies[1]


def streamed(*events: bytes) -> Answer:
    """A sound response, one chunk an event."""

    async def answer(write: Write) -> bool:
        await write(STREAM_HEAD)
        for event in events:
            await write(chunked(event))
        await write(b"0\r\n\r\n")
        return True

    return answer


async def read(client: ChatClient, options: ChatOptions = PLAIN) -> list[ChatDelta]:
    return [part async for part in client.stream(USER, options)]


def at(body: Any, path: str) -> Any:
    """What lies behind a path of keys; None where there is nothing."""
    for key in path.split("."):
        body = body.get(key) if isinstance(body, dict) else None
    return body
