"""Several models as one: who is asked, when, and who is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import Any

import pytest

from antiphon.clock import VirtualClock
from antiphon.errors import (
    ChatClientException,
    ChatClientInvalidAuthException,
    ChatClientInvalidRequestException,
    ChatClientUnavailableException,
    ConfigurationError,
)
from antiphon.models.llm.contract import ChatClient, ChatDelta, ChatOptions, Feature
from antiphon.models.llm.failover import FailoverChatClient
from antiphon.models.llm.messages import Message
from antiphon.models.llm.openai_compatible import OpenAICompatibleClient
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from tests.llm.vendor import STREAM_HEAD, refusal, stall, vendor, words

USER = [Message("user", "hello")]
PLAIN = ChatOptions()


class Model(ScriptedChatClient):
    """Answers with its name, or fails with ``fault`` while it has one."""

    def __init__(self, name: str, fault: Reply | None = None) -> None:
        super().__init__(lambda _messages, _options: self.fault or name, name=f"test/{name}")
        self.fault = fault


def down(code: str = "server_error", **more: Any) -> Reply:
    return Reply(fault=ChatClientUnavailableException("It is down.", code=code, **more))


async def ask(client: ChatClient, options: ChatOptions = PLAIN) -> str:
    return "".join([delta.text async for delta in client.stream(USER, options)])


def in_virtual_time(test: Callable[[VirtualClock], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run the test with a clock that jumps."""

    def run() -> None:
        clock = VirtualClock()
        clock.run(test(clock))

    run.__name__ = test.__name__
    return run


@in_virtual_time
async def test_the_first_is_asked_while_it_is_well(clock: VirtualClock) -> None:
    first, second = Model("a"), Model("b")
    client = FailoverChatClient([first, second], clock=clock)
    assert [await ask(client) for _ in range(3)] == ["a", "a", "a"]
    assert second.opened == 0
    assert client.name == "test/a|test/b"


@pytest.mark.parametrize("code", ["connect", "connection_lost", "timeout", "rate_limited", "server_error", "stalled"])
async def test_the_next_answers_when_the_first_cannot_be_had(code: str) -> None:
    client = FailoverChatClient([Model("a", down(code)), Model("b", down(code)), Model("c")])
    assert await ask(client) == "c"


async def test_the_first_delta_says_who_answers() -> None:
    client = FailoverChatClient([Model("a", down()), Model("b")])
    deltas = [delta async for delta in client.stream(USER, PLAIN)]
    assert [delta.client for delta in deltas] == ["test/b", *[None] * (len(deltas) - 1)]


async def test_once_a_word_came_no_other_is_asked() -> None:
    broken = Reply("Hello there", fault=ChatClientUnavailableException("It broke."), fault_after=1)
    second = Model("b")
    client = FailoverChatClient([Model("a", broken), second])
    deltas = client.stream(USER, PLAIN)
    assert (await anext(deltas)).text == "Hello "
    with pytest.raises(ChatClientUnavailableException, match="It broke"):
        await anext(deltas)
    assert second.opened == 0


@pytest.mark.parametrize(
    "error", [ChatClientInvalidAuthException("Wrong key."), ChatClientInvalidRequestException("Too long.")]
)
async def test_what_no_other_should_hide_is_raised(error: ChatClientException) -> None:
    client = FailoverChatClient([Model("a", Reply(fault=error)), Model("b")])
    with pytest.raises(type(error)):
        await ask(client)
    assert client.available() == {"test/a": True, "test/b": True}


@in_virtual_time
async def test_a_failed_one_rests_longer_each_time_and_comes_back(clock: VirtualClock) -> None:
    told: list[tuple[str, bool, str]] = []
    first = Model("a", down("rate_limited"))
    client = FailoverChatClient(
        [first, Model("b")], clock=clock, on_availability_changed=lambda *change: told.append(change)
    )
    for rest_s in (5, 10, 20, 40, 60, 60):
        assert await ask(client) == "b"
        asked = first.opened
        await clock.sleep(rest_s - 0.1)
        assert await ask(client) == "b"
        assert first.opened == asked, f"asked within its rest of {rest_s} s"
        await clock.sleep(0.1)
    assert told == [("test/a", False, "rate_limited")]
    first.fault = None
    assert await ask(client) == "a"
    assert told[1:] == [("test/a", True, "")]
    first.fault = down()
    assert await ask(client) == "b"
    await clock.sleep(5)
    first.fault = None
    assert await ask(client) == "a"


@in_virtual_time
async def test_a_wait_that_the_provider_asks_for_is_kept_up_to_a_minute(clock: VirtualClock) -> None:
    first = Model("a", down("rate_limited", retry_after_s=30.0))
    client = FailoverChatClient([first, Model("b")], clock=clock)
    assert await ask(client) == "b"
    first.fault = None
    await clock.sleep(29.9)
    assert await ask(client) == "b"
    await clock.sleep(0.1)
    assert await ask(client) == "a"


@in_virtual_time
async def test_after_a_rest_a_single_request_tries(clock: VirtualClock) -> None:
    first = Model("a", down())
    client = FailoverChatClient([first, Model("b")], clock=clock)
    assert await ask(client) == "b"
    await clock.sleep(5)
    first.fault = Reply("a", first_token_s=1.0)
    first._clock = clock
    probe = asyncio.create_task(ask(client))
    await asyncio.sleep(0)
    assert await asyncio.gather(ask(client), ask(client)) == ["b", "b"]
    assert await probe == "a"
    assert first.opened == 2


@in_virtual_time
async def test_requests_that_fail_together_count_once(clock: VirtualClock) -> None:
    first = Model("a", Reply(first_token_s=1.0, fault=ChatClientUnavailableException("Down.")))
    first._clock = clock
    client = FailoverChatClient([first, Model("b")], clock=clock)
    assert await asyncio.gather(*[ask(client) for _ in range(20)]) == ["b"] * 20
    first.fault = None
    await clock.sleep(5)
    assert await ask(client) == "a"


@in_virtual_time
async def test_when_all_rest_the_one_that_failed_longest_ago_is_asked(clock: VirtualClock) -> None:
    first, second = Model("a", down()), Model("b", down())
    client = FailoverChatClient([first, second], clock=clock)
    with pytest.raises(ChatClientUnavailableException):
        await ask(client)
    second.fault = None
    assert await ask(client) == "b"
    first.fault = None
    second.fault = down()
    assert await ask(client) == "a"


@in_virtual_time
async def test_one_that_says_nothing_is_left_when_another_is_there(clock: VirtualClock) -> None:
    silent, second = Model("a", Reply(fault="stall")), Model("b")
    client = FailoverChatClient([silent, second], clock=clock, first_delta_s=2.0)
    began = clock.now()
    assert await ask(client) == "b"
    assert clock.now() - began == pytest.approx(2.0)
    assert silent.closed == 1
    assert client.available() == {"test/a": False, "test/b": True}


async def test_leaving_the_stream_closes_the_one_that_answers() -> None:
    first = Model("a", Reply("one two three"))
    client = FailoverChatClient([first, Model("b")])
    deltas = client.stream(USER, PLAIN)
    await anext(deltas)
    await deltas.aclose()
    assert (first.closed, first.completed) == (1, 0)
    assert client.available()["test/a"]


async def test_another_model_of_the_same_provider_is_the_first_ones() -> None:
    first, second = Model("a", down()), Model("b")
    await ask(FailoverChatClient([first, second]), ChatOptions(model="a-mini"))
    assert first.requests[0].options.model == "a-mini"
    assert second.requests[0].options.model is None


class Able(Model):
    def __init__(self, name: str, supports: set[Feature], context_window: int | None) -> None:
        super().__init__(name)
        self.supports = frozenset(supports)
        self.context_window = context_window
        self.prefilled = 0

    async def prefill(self, messages: Sequence[Message], options: ChatOptions) -> None:
        self.prefilled += 1


async def test_it_can_do_what_all_can_do() -> None:
    able = Able("a", {"tools", "images", "json_schema"}, 128_000)
    client = FailoverChatClient([able, Able("b", {"tools", "images"}, 8_000), Model("c")])
    assert client.supports == {"tools"}
    assert client.context_window == 8_000
    assert FailoverChatClient([Model("c")]).context_window is None
    await client.prefill(USER, PLAIN)
    assert able.prefilled == 1


async def test_the_notice_is_that_of_the_one_that_answers() -> None:
    first, second = Model("a", down()), Model("b")
    second.notice = "It is a small model."
    client = FailoverChatClient([first, second])
    assert client.notice is None
    await ask(client)
    assert client.notice == "It is a small model."


class Cold(Model):
    def __init__(self, name: str, error: ChatClientException) -> None:
        super().__init__(name)
        self.error = error

    async def warm(self, messages: Sequence[Message] = (), options: ChatOptions | None = None) -> None:
        raise self.error


async def test_warming_lets_one_that_cannot_be_had_rest_and_tells_a_wrong_key() -> None:
    cold = Cold("a", ChatClientUnavailableException("Not there.", code="connect"))
    client = FailoverChatClient([cold, Model("b")])
    await client.warm()
    assert client.available() == {"test/a": False, "test/b": True}
    assert await ask(client) == "b"
    with pytest.raises(ChatClientUnavailableException):
        await FailoverChatClient([cold]).warm()
    with pytest.raises(ChatClientInvalidAuthException):
        await FailoverChatClient([Cold("a", ChatClientInvalidAuthException("No.")), Model("b")]).warm()


async def test_an_empty_answer_is_an_answer() -> None:
    class Empty(Model):
        async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
            return
            yield

    assert await ask(FailoverChatClient([Empty("a"), Model("b")])) == ""


async def test_over_real_connections_the_second_provider_answers() -> None:
    async with vendor(refusal(503), stall(STREAM_HEAD)) as broken, vendor(words("Hi"), words("Hi")) as well:
        clients = [
            OpenAICompatibleClient("a", base_url="http://127.0.0.1:9/v1"),
            OpenAICompatibleClient("b", base_url=broken.url, first_token_s=0.2),
            OpenAICompatibleClient("c", base_url=well.url),
        ]
        client = FailoverChatClient(clients)
        assert await ask(client) == "Hi"
        assert await ask(client) == "Hi"
        assert len(broken.paths) == 1
        await client.aclose()


def test_without_a_client_there_is_no_failover() -> None:
    with pytest.raises(ConfigurationError, match="at least one model"):
        FailoverChatClient([])
