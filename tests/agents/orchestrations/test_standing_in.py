"""An orchestration where an agent stands: streamed, chatted with, a participant, a tool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from antiphon.agents.orchestrations.concurrent import Concurrent
from antiphon.agents.orchestrations.contract import SupportsAgentRun
from antiphon.agents.orchestrations.group_chat import GroupChat
from antiphon.agents.orchestrations.sequential import Sequential
from antiphon.agents.responses import AgentResponseUpdate
from antiphon.models.llm.contract import ChatDelta, ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from tests.agents.orchestrations.helpers import Cast, said


def test_agents_and_orchestrations_can_be_asked_alike() -> None:
    cast = Cast({"a": ["A."], "b": ["B."]})
    askable: list[SupportsAgentRun] = [cast["a"], Sequential([cast["b"]], name="team")]

    async def main() -> list[str]:
        return [(await each.run("Go.", session=each.create_session())).text for each in askable]

    assert cast.run(main()) == ["A.", "B."]


def test_the_stream_speaks_the_outcome_and_shows_the_rest_as_thoughts() -> None:
    cast = Cast({"writer": ["A draft."], "editor": ["A text."]})

    async def main() -> None:
        updates: list[AgentResponseUpdate] = []
        stream = Sequential([cast["writer"], cast["editor"]]).run("Write.", stream=True, session=cast.session())
        async for update in stream:
            updates.append(update)  # noqa: PERF401 (read one by one)
        response = await stream.get_final_response()
        assert "".join(update.text for update in updates) == response.text == "A text."
        assert [(update.agent, update.contents[0].type) for update in updates] == [
            ("writer", "text_reasoning"),
            ("writer", "text_reasoning"),
            ("editor", "text"),
            ("editor", "text"),
        ]
        assert [update.seq for update in updates] == [0, 1, 2, 3]
        assert updates[-1].message_id == response.messages[-1].message_id

    cast.run(main())


def test_an_outcome_that_is_known_at_the_end_only_comes_as_one_update() -> None:
    cast = Cast({"a": ["From a."], "b": ["From b."]})

    async def main() -> list[str]:
        stream = Concurrent([cast["a"], cast["b"]]).run("Go.", stream=True, session=cast.session())
        return [text async for text in stream.text_deltas()]

    assert cast.run(main()) == ["From a.\n\nFrom b."]


def test_the_last_words_of_a_group_are_said_once() -> None:
    cast = Cast({"a": ["Yes."]})

    async def main() -> list[str]:
        chat = GroupChat([cast["a"]], select=lambda state: "a", max_rounds=1)
        stream = chat.run("Go.", stream=True, session=cast.session())
        return [text async for text in stream.text_deltas()]

    assert cast.run(main()) == ["Yes."]


def test_no_model_writes_ahead_of_the_reader() -> None:
    written: list[str] = []

    class Client(ScriptedChatClient):
        async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
            for index in range(20):
                written.append(str(index))
                yield ChatDelta(f"{index} ")

    cast = Cast()
    agent = cast.agent("a", []).replace(model=Client([]))

    async def main() -> int:
        seen = 0
        async for update in Sequential([agent]).run("Count.", stream=True, session=cast.session()):
            seen += bool(update.text)
            assert len(written) == seen
        return seen

    assert cast.run(main()) == 20


def test_a_participant_may_be_an_orchestration_and_hands_on_its_outcome_alone() -> None:
    cast = Cast({"a": ["Sweet."], "b": ["Dear."], "writer": ["Sweet and dear."]})
    panel = Concurrent([cast["a"], cast["b"]], name="panel")
    response = cast.run(Sequential([panel, cast["writer"]]).run("The cake?"))
    assert cast.seen_by("writer") == [("user", "The cake?\npanel: Sweet.\n\nDear.")]
    assert said(response.messages) == [("panel", "Sweet.\n\nDear."), ("writer", "Sweet and dear.")]
    assert response.steps == 3


def test_the_words_of_an_orchestration_that_comes_last_are_streamed() -> None:
    cast = Cast({"a": ["A draft."], "b": ["A text."]})
    inner = Sequential([cast["a"], cast["b"]], name="inner")

    async def main() -> list[str]:
        stream = Sequential([inner], name="outer").run("Go.", stream=True, session=cast.session())
        return [text async for text in stream.text_deltas()]

    assert cast.run(main()) == ["A ", "text."]


def test_an_orchestration_is_a_tool_of_an_agent() -> None:
    cast = Cast({"a": ["Sweet."], "b": ["Dear."]})
    panel = Concurrent([cast["a"], cast["b"]], name="panel", description="Tastes cakes.")
    desk = cast.agent("desk", [Reply(calls=(call("panel", task="Taste it."),)), "Nice."], tools=[panel.as_tool()])
    response = cast.run(desk.run("The cake?", session=cast.session()))
    assert cast.clients["desk"].requests[0].options.tools[0].description == "Tastes cakes."
    assert cast.seen_by("desk")[-1] == ("tool", "Sweet.\n\nDear.")
    assert cast.seen_by("a") == [("user", "Taste it.")]
    assert response.text == "Nice."


def test_one_orchestration_serves_many_conversations_at_once() -> None:
    def echo(messages: Sequence[Message], options: ChatOptions) -> str:
        return f"<{messages[-1].text}>"

    cast = Cast()
    first, second = cast.agent("x", echo), cast.agent("y", echo)
    team = Sequential([first, second])

    async def main() -> list[str]:
        runs = [team.run(str(number), session=cast.session()) for number in range(50)]
        return [response.text for response in await asyncio.gather(*runs)]

    assert cast.run(main()) == [f"<{number}\nx: <{number}>>" for number in range(50)]
