"""Calls that a person has to allow: not before, once after, and never with other arguments."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from antiphon import Agent, FunctionTool, tool
from antiphon.agents.approval import REJECTED, WAITING
from antiphon.agents.middleware import CallNext, FunctionContext
from antiphon.agents.runner import ToolRunner
from antiphon.agents.session import AgentSession
from antiphon.clock import VirtualClock, WallClock
from antiphon.errors import AgentInvalidRequestException
from antiphon.models.llm.content import ApprovalRequest, FunctionCall
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.tools.context import ToolContext
from tests.agents.running import add, check_request, plain, ran, results_of, roles, run_of


class Bank:
    """Moves money when it is allowed to."""

    def __init__(self, **options: Any) -> None:
        self.paid: list[tuple[str, int]] = []

        @tool(approval_mode=options.pop("approval_mode", "always_require"), **options)
        async def pay(to: str, amount: int) -> str:
            """Pay."""
            self.paid.append((to, amount))
            return f"paid {amount} to {to}"

        self.pay = pay

    def agent(self, *replies: str | Reply, **options: Any) -> tuple[Agent, ScriptedChatClient]:
        client = ScriptedChatClient(replies)
        return Agent("bank", tools=[self.pay, add], model=client, **options), client


PAY = call("pay", to="Ada", amount=5)


async def test_the_call_does_not_run_and_a_person_is_asked() -> None:
    bank = Bank(sensitive_args=["to"])
    agent, client = bank.agent(Reply(calls=(PAY, call("add", a=2, b=3))))
    session = AgentSession()
    response = await agent.run("Pay Ada.", session=session)
    assert bank.paid == []
    assert response.finish_reason == "input_required"
    (request,) = response.user_input_requests
    assert request.call.name == "pay"
    assert json.loads(request.call.arguments) == {"to": "Ada", "amount": 5}
    assert "Ada" not in request.prompt
    assert "5" in request.prompt
    assert [result.text for result in results_of(session.messages)] == ["5"], "the other call runs"
    assert len(client.requests) == 1


async def test_the_request_is_told_in_the_stream() -> None:
    agent, _ = Bank().agent(Reply(calls=(PAY,)))
    updates = [update async for update in agent.run("Pay.", stream=True)]
    assert [update.contents[0].type for update in updates] == ["function_call", "approval_request"]


async def test_an_approved_call_runs_once_and_the_model_sees_all_results_in_order() -> None:
    bank = Bank()
    agent, client = bank.agent(Reply(calls=(PAY, call("add", a=2, b=3))), "Done.")
    session = AgentSession()
    (request,) = (await agent.run("Pay Ada.", session=session)).user_input_requests
    response = await agent.run(request.approve(), session=session)
    assert response.text == "Done."
    assert bank.paid == [("Ada", 5)]
    sent = client.requests[-1].messages
    check_request(sent)
    assert roles(sent) == ["user", "assistant", "tool", "tool"]
    assert [(result.status, result.text) for result in results_of(sent)] == [("ok", "paid 5 to Ada"), ("ok", "5")]


async def test_a_rejection_tells_the_model_why() -> None:
    bank = Bank()
    agent, client = bank.agent(Reply(calls=(PAY,)), "I may not.")
    session = AgentSession()
    (request,) = (await agent.run("Pay Ada.", session=session)).user_input_requests
    await agent.run([request.reject("Too much."), "Sorry."], session=session)
    assert bank.paid == []
    (result,) = results_of(client.requests[-1].messages)
    assert (result.status, result.text) == ("rejected", f"{REJECTED} Reason: Too much.")
    assert plain(client.requests[-1].messages)[-1] == ("user", "Sorry.")


async def test_a_second_answer_and_an_unknown_one_are_refused() -> None:
    bank = Bank()
    agent, _ = bank.agent(Reply(calls=(PAY,)), "Done.", "Never.")
    session = AgentSession()
    (request,) = (await agent.run("Pay Ada.", session=session)).user_input_requests
    await agent.run(request.approve(), session=session)
    for answer in (request.approve(), request.reject(), ApprovalRequest("apr_other", request.call).approve()):
        with pytest.raises(AgentInvalidRequestException) as caught:
            await agent.run(answer, session=session)
        assert caught.value.code == "input_invalid"
    with pytest.raises(AgentInvalidRequestException):
        await agent.run(request.approve(), session=AgentSession())
    assert bank.paid == [("Ada", 5)]
    assert not session.busy


@pytest.mark.parametrize(
    "changes",
    [{"arguments": '{"to":"Eve","amount":5}'}, {"arguments": "{"}, {"name": "add"}, {"call_id": "call_9"}],
)
async def test_an_approval_of_something_else_is_refused(changes: dict[str, str]) -> None:
    bank = Bank()
    agent, _ = bank.agent(Reply(calls=(PAY,)), "Done.")
    session = AgentSession()
    (request,) = (await agent.run("Pay Ada.", session=session)).user_input_requests
    with pytest.raises(AgentInvalidRequestException, match="other arguments"):
        await agent.run(replace(request.approve(), call=replace(request.call, **changes)), session=session)
    assert bank.paid == []
    same = replace(request.call, arguments='{ "amount": 5, "to": "Ada" }')
    await agent.run(replace(request.approve(), call=same), session=session)
    assert bank.paid == [("Ada", 5)], "the same values in another order are the same arguments"


async def test_an_open_approval_survives_into_another_process() -> None:
    first_bank, second_bank = Bank(), Bank()
    agent, _ = first_bank.agent(Reply(calls=(PAY, call("add", a=2, b=3))))
    session = AgentSession()
    await agent.run("Pay Ada.", session=session)
    kept = json.dumps(session.to_dict())

    again = AgentSession.from_dict(json.loads(kept))
    assert again.messages == session.messages
    (request,) = again.approvals.open.values()
    other, client = second_bank.agent("Done.")
    assert (await other.run(request.approve(), session=again)).text == "Done."
    assert (first_bank.paid, second_bank.paid) == ([], [("Ada", 5)])
    check_request(client.requests[-1].messages)
    assert json.dumps(session.to_dict()) == kept
    with pytest.raises(AgentInvalidRequestException):
        await other.run(request.approve(), session=again)


async def test_a_function_decides_which_calls_need_a_person() -> None:
    asked: list[Mapping[str, Any]] = []

    async def much(arguments: Mapping[str, Any], context: ToolContext) -> bool:
        asked.append(arguments)
        assert context.call_id
        return int(arguments["amount"]) > 100

    bank = Bank(approval_mode=much)
    wrong = FunctionCall("", "pay", '{"to": 1}')
    reply = Reply(calls=(PAY, call("pay", to="Eve", amount=500), wrong))
    agent, _ = bank.agent(reply)
    session = AgentSession()
    response = await agent.run("Pay them.", session=session)
    assert bank.paid == [("Ada", 5)]
    assert [json.loads(request.call.arguments)["to"] for request in response.user_input_requests] == ["Eve"]
    assert asked == [{"to": "Ada", "amount": 5}, {"to": "Eve", "amount": 500}]
    assert [result.status for result in results_of(session.messages)] == ["ok", "error"]


async def test_where_a_function_fails_a_person_decides() -> None:
    def breaks(arguments: Mapping[str, Any], _context: ToolContext) -> bool:
        return bool(arguments["limit"])

    bank = Bank(approval_mode=breaks)
    agent, _ = bank.agent(Reply(calls=(PAY,)), "Paid.")
    session = AgentSession()
    response = await agent.run("Pay.", session=session)
    assert bank.paid == []
    (request,) = response.user_input_requests
    assert (await agent.run(request.approve(), session=session)).text == "Paid."
    assert bank.paid == [("Ada", 5)]


def test_a_function_that_hangs_does_not_outlive_the_run() -> None:
    clock = VirtualClock()

    async def hangs(_arguments: Mapping[str, Any], _context: ToolContext) -> bool:
        await clock.sleep(10_000)
        return True

    async def main() -> None:
        agent, _ = Bank(approval_mode=hangs).agent(Reply(calls=(PAY,)))
        response = await agent.run("Pay.", session=AgentSession(clock=clock))
        assert response.limit_hit == "max_seconds"
        assert clock.now() == 600

    clock.run(main())


async def test_an_approval_for_the_session_holds_for_this_tool_and_this_session() -> None:
    bank = Bank()
    more = Reply(calls=(call("pay", to="Bo", amount=7),))
    agent, _ = bank.agent(Reply(calls=(PAY,)), more, "Done.", more)
    session = AgentSession()
    (request,) = (await agent.run("Pay.", session=session)).user_input_requests
    response = await agent.run(request.approve(scope="session"), session=session)
    assert response.finish_reason == "stop"
    assert bank.paid == [("Ada", 5), ("Bo", 7)]
    assert AgentSession.from_dict(session.to_dict()).approvals.allowed == {"pay"}
    assert (await agent.run("Pay.", session=AgentSession())).finish_reason == "input_required"


async def test_an_approval_that_comes_too_late_counts_as_a_rejection() -> None:
    bank = Bank()
    agent, client = bank.agent(Reply(calls=(PAY,)), "Too late.")
    session = AgentSession()
    (request,) = (await agent.run("Pay.", session=session)).user_input_requests
    past = replace(request, expires_at="2020-01-01T00:00:00+00:00")
    session.approvals.open[request.id] = past
    await agent.run(past.approve(), session=session)
    assert bank.paid == []
    (result,) = results_of(client.requests[-1].messages)
    assert (result.status, "expired" in result.text) == ("rejected", True)


async def test_the_conversation_may_go_on_before_there_is_an_answer() -> None:
    bank = Bank()
    agent, client = bank.agent(Reply(calls=(PAY,)), "Still waiting.", "Paid.")
    session = AgentSession()
    (request,) = (await agent.run("Pay.", session=session)).user_input_requests
    assert (await agent.run("And?", session=session)).text == "Still waiting."
    check_request(client.requests[-1].messages)
    await agent.run(request.approve(), session=session)
    sent = client.requests[-1].messages
    check_request(sent)
    assert [result.text for result in results_of(sent)] == ["paid 5 to Ada"]
    assert bank.paid == [("Ada", 5)]


async def test_function_middleware_is_around_an_approved_call_too() -> None:
    seen: list[str] = []

    async def audit(context: FunctionContext, call_next: CallNext) -> None:
        seen.append(context.tool.name)
        await call_next()

    bank = Bank()
    agent, _ = bank.agent(Reply(calls=(PAY,)), "Done.", middleware=[audit])
    session = AgentSession()
    (request,) = (await agent.run("Pay.", session=session)).user_input_requests
    await agent.run(request.approve(), session=session)
    assert seen == ["pay"]


async def test_a_call_of_one_agent_may_be_approved_after_another_has_taken_over() -> None:
    bank = Bank()
    reply = Reply(calls=(PAY, call("handoff_to_clerk", reason="small talk")))
    client = ScriptedChatClient([reply, "Paid."])
    agent = Agent("bank", tools=[bank.pay], handoffs=[Agent("clerk", model=client)], model=client)
    session = AgentSession()
    (request,) = (await agent.run("Pay.", session=session)).user_input_requests
    assert session.active_agent == "clerk"
    response = await agent.run(request.approve(), session=session)
    assert response.agent == "clerk"
    assert bank.paid == [("Ada", 5)]


def test_ending_the_turn_in_which_an_approved_call_runs_cancels_it_and_keeps_the_history_valid() -> None:
    clock = VirtualClock()

    async def main() -> None:
        ended: list[str] = []

        @tool(approval_mode="always_require")
        async def slow() -> str:
            try:
                await clock.sleep(5)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
            return "late"

        client = ScriptedChatClient([Reply(calls=(call("slow"),)), "Yes?"])
        agent = Agent("desk", tools=[slow], model=client)
        session = AgentSession(clock=clock)
        (request,) = (await agent.run("Go.", session=session)).user_input_requests
        task = asyncio.create_task(agent.run(request.approve(), session=session))
        await clock.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0)
        assert ended == ["cancelled"]
        assert len(asyncio.all_tasks()) == 1
        assert not session.busy
        await agent.run("Stop.", session=session)
        check_request(client.requests[-1].messages)
        assert [result.status for result in results_of(session.messages)] == ["interrupted"]

    clock.run(main())


async def test_a_run_that_does_not_wait_tells_the_model_and_asks_once() -> None:
    bank = Bank()
    agent, client = bank.agent(Reply(calls=(PAY,)), Reply(calls=(call("add", a=1, b=1),)), "It was passed on.")
    done = await ran(agent, client, wait_for_approval=False)
    assert done.kinds.count("approval_request") == 1
    assert done.text == "It was passed on."
    assert bank.paid == []


async def test_in_a_call_the_result_comes_as_a_further_pair() -> None:
    bank = Bank()
    agent, client = bank.agent(Reply(calls=(PAY,)), "It was passed on.", "Paid.")
    session = AgentSession()
    async with ToolRunner(WallClock()) as tools:
        run = run_of(agent, client, tools, session=session, messages=[Message("user", "Pay.")], wait_for_approval=False)
        async for _ in run.updates():
            pass
    await session.add([Message("user", "Pay."), *run.produced])
    (request,) = run.requests
    assert run.response().finish_reason == "stop"
    await agent.run(request.approve(), session=session)
    sent = client.requests[-1].messages
    check_request(sent)
    assert [result.status for result in results_of(sent)] == ["pending", "ok"]
    assert bank.paid == [("Ada", 5)]


async def test_several_answers_count_all_or_none() -> None:
    bank = Bank()
    reply = Reply(calls=(PAY, call("pay", to="Bo", amount=7)))
    agent, client = bank.agent(reply, "Done.")
    session = AgentSession()
    first, second = (await agent.run("Pay them.", session=session)).user_input_requests
    wrong = replace(second.approve(), call=replace(second.call, arguments="{}"))
    with pytest.raises(AgentInvalidRequestException):
        await agent.run([first.approve("session"), wrong], session=session)
    assert bank.paid == []
    assert not session.approvals.allowed
    await agent.run([second.approve(), first.reject()], session=session)
    assert bank.paid == [("Bo", 7)]
    check_request(client.requests[-1].messages)
    assert [result.status for result in results_of(client.requests[-1].messages)] == ["rejected", "ok"]


async def test_after_a_handoff_the_tool_of_the_agent_that_asked_runs() -> None:
    ran_for: list[str] = []

    def bank_of(name: str) -> FunctionTool:
        @tool(name="pay", approval_mode="always_require")
        async def pay() -> str:
            ran_for.append(name)
            return "paid"

        return pay

    billing = Agent("billing", tools=[bank_of("billing")], model=ScriptedChatClient(["Billing.", "Done."]))
    pass_on = call("handoff_to_billing", reason="a bill")
    desk = Agent("desk", tools=[bank_of("desk")], handoffs=[billing])
    desk = desk.replace(model=ScriptedChatClient([Reply(calls=(call("pay"), pass_on))]))
    session = AgentSession()
    (request,) = (await desk.run("Pay.", session=session)).user_input_requests
    assert (request.agent, session.active_agent) == ("desk", "billing")
    await desk.run(request.approve(), session=session)
    assert ran_for == ["desk"]


async def test_a_tool_of_a_source_runs_when_it_is_approved() -> None:
    bank = Bank()

    class Source:
        name = "bank"

        async def list_tools(self) -> list[FunctionTool]:
            return [bank.pay]

        async def aclose(self) -> None: ...

    agent = Agent("bank", tools=[Source()], model=ScriptedChatClient([Reply(calls=(PAY,)), "Paid."]))
    session = AgentSession()
    (request,) = (await agent.run("Pay.", session=session)).user_input_requests
    await agent.run(request.approve(), session=session)
    assert bank.paid == [("Ada", 5)]


async def test_a_call_without_a_decision_reads_as_waiting() -> None:
    bank = Bank()
    agent, client = bank.agent(Reply(calls=(PAY,)), "Not yet.")
    session = AgentSession()
    await agent.run("Pay.", session=session)
    await agent.run("And?", session=session)
    assert [message.text for message in client.requests[-1].messages if message.role == "tool"] == [WAITING]
