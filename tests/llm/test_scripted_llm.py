from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from antiphon.clock import VirtualClock
from antiphon.errors import (
    ChatClientInvalidRequestException,
    ChatClientInvalidResponseException,
    ChatClientUnavailableException,
)
from antiphon.models.llm.content import FunctionCall, Usage
from antiphon.models.llm.contract import ChatClient, ChatDelta, ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call

USER = [Message("user", "hello there")]
PLAIN = ChatOptions()


async def read(client: ChatClient, messages: Sequence[Message] = USER) -> list[ChatDelta]:
    return [part async for part in client.stream(messages, PLAIN)]


async def test_a_reply_streams_word_by_word_and_loses_nothing() -> None:
    text = " Hello  there,\nhow are you? "
    parts = await read(ScriptedChatClient([text]))
    assert "".join(part.text for part in parts) == text
    assert len(parts) == 6
    assert parts[-1] == ChatDelta(finish_reason="stop", usage=Usage(1, 5))


async def test_calls_come_whole_with_an_id_each() -> None:
    client = ScriptedChatClient(
        [Reply("Wait.", (call("a", x=1), FunctionCall("mine", "b", "{broken"))), Reply(calls=(call("a"),))]
    )
    parts = await read(client)
    assert parts[-1].calls == (FunctionCall("call_1", "a", '{"x":1}'), FunctionCall("mine", "b", "{broken"))
    assert parts[-1].finish_reason == "tool_calls"
    assert (await read(client))[-1].calls[0].call_id == "call_2"


async def test_a_function_sees_the_request_and_requests_are_recorded() -> None:
    client = ScriptedChatClient(lambda messages, options: f"You said {messages[-1].text}.")
    assert "".join(part.text for part in await read(client)) == "You said hello there."
    assert client.requests[0].messages == tuple(USER)
    assert client.requests[0].options is PLAIN
    await client.warm(USER)
    assert client.warmed[0].messages == tuple(USER)
    await client.aclose()


async def test_a_script_that_is_used_up_says_so() -> None:
    client = ScriptedChatClient([])
    with pytest.raises(ChatClientInvalidRequestException, match="no reply left"):
        await read(client)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("garbage", ChatClientInvalidResponseException),
        ("close", ChatClientUnavailableException),
        (ChatClientUnavailableException("busy"), ChatClientUnavailableException),
    ],
)
@pytest.mark.parametrize("after", [0, 1, 2])
async def test_a_fault_comes_after_so_many_words(fault: object, error: type[Exception], after: int) -> None:
    client = ScriptedChatClient([Reply("one two", fault=fault, fault_after=after)])  # type: ignore[arg-type]
    seen: list[ChatDelta] = []

    async def follow() -> None:
        async for part in client.stream(USER, PLAIN):
            seen.append(part)  # noqa: PERF401 (the list outlives the failure)

    with pytest.raises(error):
        await follow()
    assert len(seen) == after
    assert (client.opened, client.closed, client.completed) == (1, 1, 0)


def test_delays_are_kept_on_the_clock() -> None:
    clock = VirtualClock()
    client = ScriptedChatClient([Reply("one two three", first_token_s=0.5, token_s=0.1)], clock=clock)
    clock.run(read(client))
    assert clock.now() == pytest.approx(0.7)


def test_a_stall_lasts_until_the_stream_is_closed() -> None:
    clock = VirtualClock()

    async def main() -> None:
        client = ScriptedChatClient([Reply("one", fault="stall", fault_after=1)], clock=clock)
        task = asyncio.create_task(read(client))
        await clock.sleep(1000)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])
        assert client.closed == 1

    clock.run(main())


async def test_other_tasks_run_between_words_only_if_asked() -> None:
    for yields, expected in ((False, 0), (True, 3)):
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticker = asyncio.create_task(tick())
        await read(ScriptedChatClient(["one two three"], yields=yields))
        ticker.cancel()
        assert ticks == expected
