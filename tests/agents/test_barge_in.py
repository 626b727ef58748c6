"""The caller speaks: only what was heard of the answer goes back to the model."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from antiphon import Agent
from antiphon.agents.session import AgentSession
from antiphon.clock import VirtualClock
from antiphon.errors import AgentInvalidRequestException
from antiphon.models.llm.content import Audio
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from tests.agents.ending import Office
from tests.agents.running import check_request, plain, results_of, roles

AUDIO = Audio(
    duration_ms=1000.0,
    transcript="We open at ten.",
    alignment=((2, 200.0), (7, 500.0), (10, 600.0), (15, 1000.0)),
)


@pytest.mark.parametrize(
    ("how", "heard"),
    [
        ({"heard_text": "We open"}, "We open"),
        ({"heard_text": ""}, ""),
        ({"audio": AUDIO, "heard_ms": 620.0}, "We open at"),
        ({"audio": AUDIO, "heard_ms": 590.0}, "We open"),
        ({"audio": AUDIO, "heard_ms": 100.0}, ""),
        ({"audio": Audio(duration_ms=1000.0, transcript="We open at ten."), "heard_ms": 700.0}, "We open at"),
        ({"audio": AUDIO, "heard_ms": 620.0, "heard_text": "We"}, "We"),
    ],
)
def test_only_what_was_heard_goes_back_to_the_model(how: dict[str, Any], heard: str) -> None:
    clock = VirtualClock()

    async def main() -> None:
        client = ScriptedChatClient(
            [Reply("We open at ten. And on Monday at nine.", token_s=0.01), "Yes?"], clock=clock
        )
        agent = Agent("desk", model=client)
        session = AgentSession(clock=clock)
        async with agent.run("When?", stream=True, session=session) as stream:
            said = ""
            async for update in stream:
                said += update.text
                if said == "We open at ten. ":
                    await stream.interrupt(spoken_text="We open at ten.", **how)
        record = session.messages[1]
        assert (record.interrupted, record.text) == (True, heard)
        assert (record.generated_text, record.spoken_text) == ("We open at ten. ", "We open at ten.")
        await agent.run("And Monday?", session=session)
        expected = [("user", "When?"), ("assistant", heard), ("user", "And Monday?")]
        if not heard:
            expected = [("user", "When?\nAnd Monday?")]
        assert plain(client.requests[-1].messages) == expected
        again = AgentSession.from_dict(session.to_dict())
        assert again.messages == session.messages

    clock.run(main())


def test_the_playbacks_report_may_come_later_and_more_than_once() -> None:
    clock = VirtualClock()

    async def main() -> None:
        client = ScriptedChatClient([Reply("We open at ten. And more.", token_s=0.01)] + ["Yes?"] * 5, clock=clock)
        agent = Agent("desk", model=client)
        session = AgentSession(clock=clock)
        async with agent.run("When?", stream=True, session=session) as stream:
            said = ""
            message_id = None
            async for update in stream:
                said += update.text
                message_id = update.message_id
                if said == "We open at ten. ":
                    await stream.interrupt(audio=AUDIO)
        assert message_id is not None
        assert session.messages[1].text == "We open at ten."
        for heard_ms, heard in ((620.0, "We open at"), (100.0, ""), (500.0, "We open")):
            await session.set_heard(message_id, heard_ms=heard_ms)
            record = session.messages[1]
            assert (record.text, record.interrupted) == (heard, True)
            assert record.generated_text == "We open at ten. "
        await session.set_heard(message_id, heard_text="We")
        assert session.messages[1].text == "We"
        await agent.run("Well?", session=session)
        assert plain(client.requests[-1].messages) == [("user", "When?"), ("assistant", "We"), ("user", "Well?")]
        with pytest.raises(AgentInvalidRequestException, match="no message"):
            await session.set_heard("msg_other", heard_ms=1.0)

    clock.run(main())


@pytest.mark.parametrize("heard", ["One", ""])
def test_words_beside_calls_are_cut_to_what_was_heard_too(heard: str) -> None:
    clock = VirtualClock()

    async def main() -> None:
        office = Office(clock)
        client = ScriptedChatClient([Reply("One moment please.", calls=(call("book"),)), "Yes?"], clock=clock)
        agent = Agent("desk", tools=office.tools, model=client)
        session = AgentSession(clock=clock)
        stream = agent.run("Book it.", stream=True, session=session)
        async for update in stream:
            if update.contents[0].type == "tool_started":
                await stream.interrupt(heard_text=heard, spoken_text="One moment")
        record = session.messages[1]
        assert (record.text, record.interrupted, len(record.calls)) == (heard, True, 1)
        assert record.generated_text == "One moment please."
        await clock.sleep(5)
        await agent.run("Stop.", session=session)
        sent = client.requests[-1].messages
        check_request(sent)
        assert sent[1].text == heard
        assert [result.text for result in results_of(sent)] == ["booked"]

    clock.run(main())


def test_an_interruption_in_a_later_step_leaves_the_steps_before_it_whole() -> None:
    clock = VirtualClock()

    async def main() -> None:
        replies = [Reply("One moment.", calls=(call("quick"),)), Reply("It is done now.", token_s=0.01), "Yes?"]
        client = ScriptedChatClient(replies, clock=clock)
        agent = Agent("desk", tools=Office(clock).tools, model=client)
        session = AgentSession(clock=clock)
        stream = agent.run("Do it.", stream=True, session=session)
        async for update in stream:
            if update.step == 1 and update.text.strip() == "is":
                await stream.interrupt(heard_text="It")
        assert roles(session.messages) == ["user", "assistant", "tool", "assistant"]
        assert (session.messages[1].text, session.messages[1].interrupted) == ("One moment.", False)
        assert (session.messages[3].text, session.messages[3].interrupted) == ("It", True)
        await agent.run("Stop.", session=session)
        sent = client.requests[-1].messages
        check_request(sent)
        assert [message.text for message in sent] == ["Do it.", "One moment.", "quick", "It", "Stop."]

    clock.run(main())


def test_ending_before_the_first_word_keeps_the_users_words_alone() -> None:
    clock = VirtualClock()

    async def main() -> None:
        client = ScriptedChatClient([Reply("Well.", first_token_s=5), "Yes?"], clock=clock)
        agent = Agent("desk", model=client)
        session = AgentSession(clock=clock)
        stream = agent.run("Talk.", stream=True, session=session)
        task = asyncio.create_task(stream.get_final_response())
        await clock.sleep(1)
        await stream.interrupt(heard_text="")
        assert (await task).finish_reason == "interrupted"
        assert (client.closed, clock.now()) == (1, 1)
        assert plain(session.messages) == [("user", "Talk.")]
        await agent.run("Again.", session=session)
        assert plain(client.requests[-1].messages) == [("user", "Talk.\nAgain.")]

    clock.run(main())


@pytest.mark.parametrize("how", [{"heard_text": "We open"}, {"audio": AUDIO, "heard_ms": 520.0}])
async def test_a_caller_may_interrupt_when_the_model_is_done_and_the_voice_is_not(how: dict[str, Any]) -> None:
    client = ScriptedChatClient(["We open at ten.", "Yes?"])
    agent = Agent("desk", model=client)
    session = AgentSession()
    stream = agent.run("When?", stream=True, session=session)
    assert (await stream.get_final_response()).text == "We open at ten."
    assert session.messages[1].text == "We open at ten."
    await stream.interrupt(**how)
    record = session.messages[1]
    assert (record.text, record.interrupted, record.generated_text) == ("We open", True, "We open at ten.")
    await agent.run("Stop.", session=session)
    sent = client.requests[-1].messages
    assert plain(sent) == [("user", "When?"), ("assistant", "We open"), ("user", "Stop.")]
    await stream.interrupt()
    assert session.messages[1].text == "We open"
