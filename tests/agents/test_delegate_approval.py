"""An agent that runs as a tool asks a person: the question comes out, and the decision goes back in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from antiphon import Agent, AgentSession, ApprovalRequest, Reply, ScriptedChatClient, tool
from antiphon.agents.approval import WAITING
from antiphon.agents.runner import ToolRunner
from antiphon.clock import WallClock
from antiphon.models.llm.scripted import call
from tests.agents.running import USER, check_request, results_of, run_of


class House:
    """A desk that asks a clerk, who asks before a payment."""

    def __init__(self, *replies: str | Reply, asks: int = 1, share: bool = False, deep: bool = False) -> None:
        self.paid: list[int] = []

        @tool(approval_mode="always_require")
        async def pay(amount: int) -> str:
            """Pay."""
            self.paid.append(amount)
            return f"paid {amount}"

        asked = Reply(calls=tuple(call("pay", amount=number + 1) for number in range(asks)))
        self.inner = ScriptedChatClient([asked, *(replies or ["All is paid."])])
        clerk = Agent("clerk", tools=[pay], model=self.inner).as_tool(share_session=share)
        if deep:
            middle = ScriptedChatClient([Reply(calls=(call("clerk", task="Pay."),)), "The clerk did it."])
            clerk = Agent("office", tools=[clerk], model=middle).as_tool("clerk")
        self.outer = ScriptedChatClient([Reply("One moment.", calls=(call("clerk", task="Pay."),)), "Done."])
        self.desk = Agent("desk", tools=[clerk], model=self.outer)


def elsewhere(session: AgentSession) -> AgentSession:
    return AgentSession.from_dict(json.loads(json.dumps(session.to_dict())))


@pytest.mark.parametrize("moved", [False, True], ids=["here", "in another process"])
@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("deep", [False, True], ids=["one level", "two levels"])
async def test_the_question_comes_out_and_the_decision_goes_in(moved: bool, share: bool, deep: bool) -> None:
    house = House(share=share, deep=deep)
    session = AgentSession()
    response = await house.desk.run("Pay.", session=session)
    assert (response.finish_reason, house.paid, len(house.outer.requests)) == ("input_required", [], 1)
    (request,) = response.user_input_requests
    assert (request.call.name, request.prompt, request.agent) == ("pay", "pay(amount=1)", "desk")
    assert request.within is not None
    assert request.within.name == "clerk"
    if moved:
        session = elsewhere(session)
    response = await house.desk.run(request.approve(), session=session)
    assert (response.text, house.paid) == ("Done.", [1])
    (result,) = results_of(session.messages)
    assert (result.status, result.text) == ("ok", "The clerk did it." if deep else "All is paid.")
    assert "paid 1" in [message.text for message in house.inner.requests[-1].messages]
    for asked in (*house.outer.requests, *house.inner.requests):
        check_request(asked.messages)
    assert session.approvals.open == {}
    assert not session.state["antiphon.waiting_agents"]


async def test_a_rejection_is_read_by_the_agent_that_asked() -> None:
    house = House("Then not.")
    session = AgentSession()
    (request,) = (await house.desk.run("Pay.", session=session)).user_input_requests
    response = await house.desk.run(request.reject("too much"), session=session)
    assert (response.text, house.paid) == ("Done.", [])
    assert "too much" in house.inner.requests[-1].messages[-1].text
    assert results_of(session.messages)[0].text == "Then not."


async def test_it_may_ask_again() -> None:
    house = House(Reply(calls=(call("pay", amount=7),)), "All is paid.")
    session = AgentSession()
    response = await house.desk.run("Pay.", session=session)
    response = await house.desk.run(response.user_input_requests[0].approve(), session=session)
    assert (response.finish_reason, house.paid) == ("input_required", [1])
    response = await house.desk.run(response.user_input_requests[0].approve(), session=session)
    assert (response.text, house.paid) == ("Done.", [1, 7])


async def test_two_answers_go_in_together_and_one_may_come_later() -> None:
    house = House("All is paid.", asks=2)
    session = AgentSession()
    requests = (await house.desk.run("Pay.", session=session)).user_input_requests
    response = await house.desk.run([each.approve() for each in requests], session=session)
    assert (response.text, sorted(house.paid), len(house.inner.requests)) == ("Done.", [1, 2], 2)

    house = House("One is paid.", "Both are.", asks=2)
    session = AgentSession()
    first, second = (await house.desk.run("Pay.", session=session)).user_input_requests
    await house.desk.run(first.approve(), session=session)
    assert house.paid == [1]
    assert WAITING in [message.text for message in house.inner.requests[-1].messages]
    house.desk = house.desk.replace(model=ScriptedChatClient(["Both."]))
    response = await house.desk.run(second.approve(), session=elsewhere(session))
    assert (response.text, house.paid) == ("Both.", [1, 2])


async def test_a_run_that_does_not_wait_is_told_that_it_was_passed_on() -> None:
    house = House()
    async with ToolRunner(WallClock(), state={}) as tools:
        session = AgentSession(clock=tools.clock)
        run = run_of(house.desk, house.outer, tools, session=session, wait_for_approval=False)
        async for _ in run.updates():
            pass
        turn = run.response()
        assert (turn.text, [result.status for result in results_of(turn.messages)]) == (
            "One moment. Done.",
            ["pending"],
        )
        decided = session.approvals.take_all([turn.user_input_requests[0].approve()], now=tools.clock.utc())
        model, said = ScriptedChatClient(["It is paid."]), [*USER, *turn.messages]
        run = run_of(house.desk, model, tools, messages=said, session=session, decided=decided, wait_for_approval=False)
        async for _ in run.updates():
            pass
    assert house.paid == [1]
    later = run.response()
    assert (later.text, [result.text for result in results_of(later.messages)]) == ("It is paid.", ["All is paid."])


async def test_it_is_told_in_the_stream() -> None:
    house = House()
    session = AgentSession()
    seen: list[Any] = []
    async for update in house.desk.run("Pay.", stream=True, session=session):
        seen += update.contents
    (request,) = [content for content in seen if isinstance(content, ApprovalRequest)]
    await house.desk.run(request.approve(), session=session)
    assert house.paid == [1]


async def test_while_nobody_has_decided_the_call_reads_as_waiting() -> None:
    house = House()
    session = AgentSession()
    (request,) = (await house.desk.run("Pay.", session=session)).user_input_requests
    house.desk = house.desk.replace(model=(client := ScriptedChatClient(["Not yet.", "Now it is."])))
    await house.desk.run("Is it paid?", session=session)
    assert [message.text for message in client.requests[0].messages if message.role == "tool"] == [WAITING]
    await house.desk.run(request.approve(), session=session)
    assert [message.text for message in client.requests[1].messages if message.role == "tool"] == ["All is paid."]
