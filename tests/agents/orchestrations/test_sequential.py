"""Agents in a row."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from antiphon import tool
from antiphon.agents.orchestrations.sequential import Sequential
from antiphon.errors import (
    AgentInvalidRequestException,
    AgentInvalidResponseException,
    ChatClientInvalidResponseException,
)
from antiphon.models.llm.content import ApprovalRequest, ApprovalResponse, Media, Usage
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, call
from antiphon.tools.context import ToolContext
from tests.agents.orchestrations.helpers import Cast, collected, idle, said


@tool
async def flour(grams: int) -> str:
    """How much flour there is."""
    return f"{grams} g of flour"


def test_each_participant_sees_the_words_so_far_and_the_last_answer_is_the_outcome() -> None:
    cast = Cast({"writer": ["A draft."], "critic": ["Too short."], "editor": ["A text."]})
    response = cast.run(Sequential(list(cast.agents.values())).run("Write."))
    assert cast.seen_by("writer") == [("user", "Write.")]
    assert cast.seen_by("critic") == [("user", "Write.\nwriter: A draft.")]
    assert cast.seen_by("editor") == [("user", "Write.\nwriter: A draft.\ncritic: Too short.")]
    assert (response.text, response.agent, response.finish_reason) == ("A text.", "editor", "stop")
    assert said(response.messages) == [("writer", "A draft."), ("critic", "Too short."), ("editor", "A text.")]
    assert (response.usage, response.steps) == (Usage(6, 6), 3)


def test_calls_stay_with_their_agent() -> None:
    cast = Cast({"editor": ["A text."]})
    writer = cast.agent("writer", [Reply("Wait.", (call("flour", grams=5),)), "A draft."], tools=[flour])
    response = cast.run(Sequential([writer, cast["editor"]]).run("Write."))
    assert cast.seen_by("editor") == [("user", "Write.\nwriter: Wait. A draft.")]
    assert not any(message.calls or message.result for message in response.messages)


def test_with_share_tools_calls_and_results_are_handed_on_with_ids_of_their_own() -> None:
    cast = Cast({"editor": ["A text."]})
    ask = Reply(calls=(call("flour", grams=5),))
    pair = [cast.agent(name, [ask, f"{name} is done."], tools=[flour]) for name in ("first", "second")]
    response = cast.run(Sequential([*pair, cast["editor"]], share_tools=True).run("Write."))
    calls = [each.call_id for message in response.messages for each in message.calls]
    results = [message.result.call_id for message in response.messages if message.result is not None]
    assert len(set(calls)) == 2
    assert calls == results
    assert [role for role, _ in cast.seen_by("editor")] == [
        "user",
        "assistant",
        "tool",
        "user",
        "assistant",
        "tool",
        "user",
    ]
    assert cast.seen_by("editor")[-1] == ("user", "second: second is done.")


def test_an_outer_conversation_goes_on_over_several_turns() -> None:
    cast = Cast({"writer": ["One.", "Two."], "editor": ["Uno.", "Dos."]})
    team = Sequential([cast["writer"], cast["editor"]])

    async def chat() -> Any:
        session = cast.session()
        await team.run("First.", session=session)
        await team.run("Second.", session=session)
        return session

    session = cast.run(chat())
    assert cast.seen_by("writer") == [
        ("user", "First."),
        ("assistant", "One."),
        ("user", "editor: Uno.\nSecond."),
    ]
    assert said(session.messages) == [
        (None, "First."),
        ("writer", "One."),
        ("editor", "Uno."),
        (None, "Second."),
        ("writer", "Two."),
        ("editor", "Dos."),
    ]


def test_calls_of_the_outer_conversation_are_not_handed_on() -> None:
    cast = Cast({"writer": ["Fine."]})
    desk = cast.agent("desk", [Reply("Let me see.", (call("flour", grams=5),)), "There is some."], tools=[flour])

    async def chat() -> None:
        session = cast.session()
        await desk.run("Flour?", session=session)
        await Sequential([cast["writer"]]).run("Write it down.", session=session)

    cast.run(chat())
    assert cast.seen_by("writer") == [("user", "Flour?\ndesk: Let me see.\ndesk: There is some.\nWrite it down.")]


def test_values_reach_the_tools_of_participants() -> None:
    @tool
    async def customer(context: ToolContext) -> str:
        """Who calls."""
        return str(context.values["customer"])

    cast = Cast()
    desk = cast.agent("desk", [Reply(calls=(call("customer"),)), "Ok."], tools=[customer])
    cast.run(Sequential([desk]).run("Hello.", values={"customer": "C-7"}))
    assert cast.seen_by("desk")[-1] == ("tool", "C-7")


def test_a_failing_participant_fails_the_run_and_what_was_said_is_kept() -> None:
    cast = Cast({"writer": ["A draft."], "editor": [Reply("Half a", fault="garbage", fault_after=1)]})

    async def chat() -> Any:
        session = cast.session()
        with pytest.raises(ChatClientInvalidResponseException):
            await Sequential([cast["writer"], cast["editor"]]).run("Write.", session=session)
        assert not session.busy
        return session

    assert said(cast.run(chat()).messages) == [(None, "Write."), ("writer", "A draft.")]


def test_a_person_is_asked_about_a_call_that_needs_it() -> None:
    @tool(approval_mode="always_require")
    async def pay(euros: int) -> str:
        """Pay."""
        return f"paid {euros}"

    async def approve(request: ApprovalRequest) -> ApprovalResponse:
        await asyncio.sleep(1.0)
        return request.approve()

    cast = Cast()
    clerk = cast.agent("clerk", [Reply(calls=(call("pay", euros=5),)), "Paid."], tools=[pay])
    assert cast.run(Sequential([clerk], approve=approve).run("Pay.")).text == "Paid."
    assert cast.seen_by("clerk")[-1] == ("tool", "paid 5")


def test_without_somebody_to_ask_such_a_call_fails_the_run() -> None:
    @tool(approval_mode="always_require")
    async def pay(euros: int) -> str:
        """Pay."""
        raise AssertionError

    cast = Cast()
    clerk = cast.agent("clerk", [Reply(calls=(call("pay", euros=5),))], tools=[pay])
    events, error = collected(cast, Sequential([clerk]))
    assert isinstance(error, AgentInvalidRequestException)
    assert "approve=" in str(error)
    assert [event.type for event in events[-2:]] == ["executor_failed", "failed"]


def test_a_user_message_without_words_is_handed_on() -> None:
    cast = Cast({"writer": ["A cat."], "editor": ["A cat!"]})
    picture = Media.from_bytes(b"\x89PNG", "image/png")
    cast.run(Sequential([cast["writer"], cast["editor"]]).run(Message("user", picture)))
    request = cast.clients["editor"].requests[0].messages
    assert any(content.type == "uri" for content in request[1].contents)


@pytest.mark.parametrize(("participants", "name"), [([], "team"), (["a", "a"], "team"), (["a"], ""), (["a"], "n" * 65)])
def test_a_team_that_cannot_work_is_refused(participants: list[str], name: str) -> None:
    with pytest.raises(ValueError, match=r"name|participants"):
        Sequential([idle(each) for each in participants], name=name)


def test_an_agent_that_asks_for_approval_for_ever_is_stopped() -> None:
    @tool(approval_mode="always_require")
    async def pay(euros: int) -> str:
        """Pay."""
        return "paid"

    async def approve(request: ApprovalRequest) -> ApprovalResponse:
        return request.approve()

    cast = Cast()
    clerk = cast.agent("clerk", lambda messages, options: Reply(calls=(call("pay", euros=1),)), tools=[pay])
    _, error = collected(cast, Sequential([clerk], approve=approve))
    assert isinstance(error, AgentInvalidResponseException)


def test_messages_that_were_enqueued_come_before_the_new_ones() -> None:
    cast = Cast({"writer": ["Ok."]})

    async def main() -> None:
        session = cast.session()
        session.enqueue("By the way.")
        await Sequential([cast["writer"]]).run("Write.", session=session)

    cast.run(main())
    assert cast.seen_by("writer") == [("user", "By the way.\nWrite.")]
