"""A stream is pulled by its reader, read once, and its end is the sum of what it told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from antiphon import Agent, Message
from antiphon.agents.responses import AgentResponse, AgentResponseUpdate
from antiphon.agents.session import AgentSession
from antiphon.errors import ChatClientUnavailableException
from antiphon.models.llm.content import FunctionCall, Reasoning, Text, Usage
from antiphon.models.llm.contract import ChatDelta, ChatOptions
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from tests.agents.running import add, agent_with, kinds


class Counting(ScriptedChatClient):
    """Writes numbers, and knows how far it is."""

    def __init__(self, words: int) -> None:
        super().__init__([])
        self.words = words
        self.written = 0

    async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
        self.opened += 1
        try:
            for number in range(self.words):
                self.written += 1
                yield ChatDelta(f"{number} ")
            yield ChatDelta(finish_reason="stop", usage=Usage(1, self.words))
        finally:
            self.closed += 1


async def test_fifty_deltas_come_one_by_one_and_the_final_response_is_their_sum() -> None:
    client = Counting(50)
    stream = Agent("desk", model=client).run("Count.", stream=True)
    texts = []
    async for update in stream:
        texts.append(update.text)
        assert client.written == len(texts), "something ran ahead of the reader"
    assert texts == [f"{number} " for number in range(50)]
    response = await stream.get_final_response()
    assert response.text == "".join(texts)
    assert response.messages[0].text == response.text
    assert response.usage == Usage(1, 50)
    assert client.closed == 1


async def test_nothing_is_sent_before_the_first_pull() -> None:
    client = Counting(1)
    stream = Agent("desk", model=client).run("Count.", stream=True)
    for _ in range(5):
        await asyncio.sleep(0)
    assert client.opened == 0
    async with stream:
        pass
    assert client.opened == 0


async def test_the_final_response_reads_the_rest_and_may_be_asked_again() -> None:
    stream = Agent("desk", model=Counting(5)).run("Count.", stream=True)
    async for update in stream:
        assert update.text == "0 "
        break
    first = await Agent("desk", model=Counting(3)).run("Count.", stream=True).get_final_response()
    assert first.text == "0 1 2 "
    other = Agent("desk", model=Counting(3)).run("Count.", stream=True)
    reader = aiter(other)
    assert (await anext(reader)).text == "0 "
    final = await other.get_final_response()
    assert final.text == "0 1 2 "
    assert await other.get_final_response() is final


async def test_a_stream_is_read_once() -> None:
    stream = Agent("desk", model=Counting(1)).run("Count.", stream=True)
    assert [update.text async for update in stream] == ["0 "]
    with pytest.raises(RuntimeError, match="read once"):
        aiter(stream)


async def test_streaming_and_not_streaming_give_the_same() -> None:
    def client() -> ScriptedChatClient:
        return ScriptedChatClient([Reply("Let me see.", (call("add", a=2, b=3),)), "It is 5."])

    def facts(response: AgentResponse) -> list[object]:
        said = [
            (message.role, message.text, [(asked.name, asked.arguments) for asked in message.calls])
            for message in response.messages
        ]
        return [response.text, said, response.usage, response.finish_reason, response.steps, response.agent]

    plain = await agent_with(model=client()).run("2+3?")
    stream = agent_with(model=client()).run("2+3?", stream=True)
    updates = [update async for update in stream]
    streamed = await stream.get_final_response()
    assert facts(streamed) == facts(plain)
    assert "".join(update.text for update in updates) == plain.text
    told = [content for update in updates for content in update.contents if isinstance(content, FunctionCall)]
    assert told == list(streamed.messages[0].calls)


async def test_thoughts_are_told_apart_and_are_no_text() -> None:
    class Thinking(ScriptedChatClient):
        async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
            yield ChatDelta(reasoning="Two and ")
            yield ChatDelta(reasoning="three.")
            yield ChatDelta("Five.", finish_reason="stop")

    session = AgentSession()
    stream = Agent("desk", model=Thinking([])).run("2+3?", stream=True, session=session)
    updates = [update async for update in stream]
    assert kinds(updates) == ["text_reasoning", "text_reasoning", "text"]
    assert "".join(update.text for update in updates) == "Five."
    assert (await stream.get_final_response()).text == "Five."
    assert session.messages[1].contents == (
        Reasoning("Two and three.", provider="scripted/script"),
        Text("Five."),
    )


async def test_hooks_see_change_and_drop_updates_and_see_the_end() -> None:
    ends: list[str] = []

    def no_ones(update: AgentResponseUpdate) -> AgentResponseUpdate | None:
        return None if update.text == "1 " else update

    stream = Agent("desk", model=Counting(3)).run("Count.", stream=True).on_update(no_ones)
    stream.on_final(lambda response: ends.append(response.text))
    assert [update.text async for update in stream] == ["0 ", "2 "]
    assert ends == ["0 1 2 "]
    await stream.get_final_response()
    assert len(ends) == 1


async def test_closing_a_derived_stream_closes_its_source() -> None:
    for derive in (lambda stream: stream.text_deltas(), lambda stream: stream.map(lambda update: update.text)):
        client = Counting(9)
        derived = derive(Agent("desk", model=client).run("Count.", stream=True))
        assert [await anext(derived), await anext(derived)] == ["0 ", "1 "]
        assert client.closed == 0
        await derived.aclose()
        assert client.closed == 1


async def test_text_deltas_are_the_words_alone() -> None:
    client = ScriptedChatClient([Reply("One moment.", (call("add", a=1, b=1),)), "Two."])
    deltas = agent_with(model=client).run("1+1?", stream=True).text_deltas()
    assert [words async for words in deltas] == ["One ", "moment.", " Two."]


async def test_a_fault_in_the_middle_reaches_the_reader_and_all_is_closed() -> None:
    client = ScriptedChatClient([Reply("One two three", fault="close", fault_after=2)])
    session = AgentSession()
    stream = Agent("desk", tools=[add], model=client).run("Count.", stream=True, session=session)
    texts: list[str] = []

    def note(update: AgentResponseUpdate) -> AgentResponseUpdate:
        texts.append(update.text)
        return update

    stream.on_update(note)
    with pytest.raises(ChatClientUnavailableException):
        await stream.get_final_response()
    assert texts == ["One ", "two "]
    assert client.closed == 1
    assert not session.busy
    assert (await stream.get_final_response()).finish_reason == "error"


async def test_a_turn_that_runs_while_an_error_is_handled_is_a_sound_turn() -> None:
    class Watching:
        source_id = "watching"

        def __init__(self) -> None:
            self.seen: list[tuple[bool, BaseException | None]] = []

        async def before_run(self, context: object) -> None: ...

        async def after_run(self, context: object, response: object, error: BaseException | None) -> None:
            self.seen.append((response is not None, error))

    watching = Watching()
    agent = Agent("desk", model=ScriptedChatClient(["Sorry.", "Sorry."]), context_providers=[watching])
    try:
        raise KeyError("the caller's own")
    except KeyError:
        await agent.run("Apologise.")
        await agent.run("Apologise.", stream=True).get_final_response()
    assert watching.seen == [(True, None), (True, None)]
