"""One agent passes the conversation to another, inside of a run and for the runs after it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from antiphon import Agent, Message, tool
from antiphon.agents.handoff import SHARED_TOOL, Handoff
from antiphon.agents.limits import RunLimits
from antiphon.agents.session import AgentSession
from antiphon.errors import AgentInvalidRequestException
from antiphon.models.llm.content import FunctionResult, HandedOff
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.tools.tool import FunctionTool
from tests.agents.running import add, check_request, kinds, plain, results_of


@tool
async def invoice(number: int) -> str:
    """Find an invoice."""
    return f"invoice {number}"


def pass_on(to: str, **arguments: Any) -> Reply:
    return Reply(calls=(call(f"handoff_to_{to}", **{"reason": "They ask for it.", **arguments}),))


def look_of(agent: Agent) -> dict[str, Any]:
    """All that an agent is made of, in a form that does not change with it."""
    return {
        name: json.dumps(
            getattr(agent, name), default=lambda value: {**value} if hasattr(value, "keys") else repr(value)
        )
        for name in Agent.__slots__
    }


def desk_and_billing(client: ScriptedChatClient, **options: Any) -> tuple[Agent, Agent]:
    billing = Agent(
        "billing",
        "You are billing. {{ previous_agent }} sent them: {{ handoff_reason }} {{ handoff_context.number }}",
        tools=[invoice],
        model=client,
        options=ChatOptions(temperature=0.1),
        description="Knows invoices.",
    )
    desk = Agent("desk", "You are the desk.", tools=[add], model=client, handoffs=[Handoff(billing, **options)])
    return desk, billing


async def test_from_the_next_request_on_the_target_answers() -> None:
    client = ScriptedChatClient(
        [
            Reply("One moment.", pass_on("billing", context={"number": 7}).calls),
            Reply(calls=(call("invoice", number=7),)),
            "It is paid.",
        ]
    )
    desk, billing = desk_and_billing(client, when="Hand over when money is meant.")
    before = look_of(desk), look_of(billing)
    session = AgentSession()
    stream = desk.run("My invoice?", stream=True, session=session)
    updates = [update async for update in stream]
    response = await stream.get_final_response()

    first, second, third = client.requests
    assert first.messages[0].text == "You are the desk.\n\nHand over when money is meant."
    assert [spec.name for spec in first.options.tools] == ["add", "handoff_to_billing"]
    assert "Knows invoices." in first.options.tools[1].description
    assert second.messages[0].text == "You are billing. desk sent them: They ask for it. 7"
    assert [spec.name for spec in second.options.tools] == ["invoice"]
    assert (first.options.temperature, second.options.temperature) == (None, 0.1)
    assert plain(second.messages[1:3]) == [("user", "My invoice?"), ("assistant", "One moment.")]
    for request in client.requests:
        check_request(request.messages)
    assert json.loads(results_of(second.messages)[0].text) == {"handoff": "accepted", "target": "billing"}

    record = HandedOff("desk", "billing", "announced", "They ask for it.")
    assert [update.contents[0] for update in updates if update.contents[0].type == "handoff"] == [record]
    assert [update.agent for update in updates if update.text] == ["desk"] * 2 + ["billing"] * 3
    assert (response.agent, response.handoffs, response.finish_reason) == ("billing", (record,), "stop")
    assert [message.author_name for message in response.messages if message.text and message.role == "assistant"] == [
        "desk",
        "billing",
    ]
    assert third.messages[-1].text == "invoice 7"
    assert (look_of(desk), look_of(billing)) == before
    assert session.active_agent == "billing"


async def test_the_next_run_begins_with_the_agent_that_has_the_conversation() -> None:
    client = ScriptedChatClient([pass_on("billing"), "Hello.", "Yes."])
    desk, _ = desk_and_billing(client)
    session = AgentSession()
    await desk.run("My invoice?", session=session)
    session = AgentSession.from_dict(session.to_dict())
    assert (await desk.run("Well?", session=session)).agent == "billing"
    assert client.requests[-1].messages[0].text.startswith("You are billing.")
    session.active_agent = None
    client = ScriptedChatClient(["Desk again."])
    assert (await desk.replace(model=client).run("Well?", session=session)).agent == "desk"
    session.active_agent = "nobody"
    with pytest.raises(AgentInvalidRequestException) as caught:
        await desk.run("Well?", session=session)
    assert caught.value.code == "agent_unknown"
    assert not session.busy


async def test_values_of_a_handoff_hold_in_the_runs_after_it_too() -> None:
    client = ScriptedChatClient([pass_on("billing"), "Hello.", "Yes."])
    billing = Agent("billing", "You talk about {{ topic }}; {{ previous_agent }} sent them.", model=client)
    desk = Agent("desk", model=client, handoffs=[Handoff(billing, context_vars={"topic": "money"})])
    session = AgentSession()
    await desk.run("My invoice?", session=session)
    assert client.requests[-1].messages[0].text == "You talk about money; desk sent them."
    session = AgentSession.from_dict(session.to_dict())
    await desk.run("Well?", session=session)
    assert client.requests[-1].messages[0].text == "You talk about money; desk sent them."


async def test_the_other_calls_of_the_step_run_and_further_handoffs_do_not() -> None:
    client = ScriptedChatClient(
        [
            Reply(
                calls=(
                    call("handoff_to_billing", reason="a"),
                    call("add", a=2, b=3),
                    call("handoff_to_sales", reason="b"),
                )
            ),
            "Hello.",
        ]
    )
    billing, sales = Agent("billing", model=client), Agent("sales", model=client)
    desk = Agent("desk", tools=[add], model=client, handoffs=[billing, sales])
    updates = [update async for update in desk.run("?", stream=True)]
    assert kinds(updates)[-2:] == ["handoff", "text"], "the handoff comes behind the calls"
    assert "tool_finished" in kinds(updates)
    statuses = [(result.name, result.status) for result in results_of(client.requests[-1].messages)]
    assert statuses == [("handoff_to_billing", "ok"), ("add", "ok"), ("handoff_to_sales", "error")]
    assert updates[-1].agent == "billing"


async def test_ping_pong_is_refused_after_two_rounds() -> None:
    client = ScriptedChatClient([pass_on("b"), pass_on("a"), pass_on("b"), pass_on("a"), "I answer."])
    b = Agent("b", model=client, handoffs=["a"])
    a = Agent("a", model=client, handoffs=[b])
    response = await a.run("?")
    assert [(record.source, record.target) for record in response.handoffs] == [("a", "b"), ("b", "a"), ("a", "b")]
    assert response.agent == "b"
    last = results_of(client.requests[-1].messages)[-1]
    assert (last.status, "back and forth" in last.text) == ("error", True)


async def test_handoffs_of_a_run_are_counted() -> None:
    client = ScriptedChatClient([pass_on("b"), pass_on("c"), "I answer."])
    c = Agent("c", model=client)
    b = Agent("b", model=client, handoffs=[c])
    a = Agent("a", model=client, handoffs=[b], limits=RunLimits(max_handoffs=1))
    response = await a.run("?")
    assert (response.agent, len(response.handoffs)) == ("b", 1)
    assert "often enough" in results_of(client.requests[-1].messages)[-1].text


async def test_a_target_may_be_named_and_looked_up_in_the_session() -> None:
    client = ScriptedChatClient([pass_on("billing"), pass_on("ghost"), "Hello."])
    billing = Agent("billing", model=client, handoffs=["ghost", "billing"])
    desk = Agent("desk", model=client, handoffs=["billing"])
    response = await desk.run("?", session=AgentSession(agents=[billing]))
    assert response.agent == "billing"
    last = results_of(client.requests[-1].messages)[-1]
    assert (last.status, "not available" in last.text) == ("error", True)


async def test_a_handoff_to_oneself_is_refused() -> None:
    client = ScriptedChatClient([pass_on("desk"), "I answer."])
    response = await Agent("desk", model=client, handoffs=["desk"]).run("?")
    assert (response.agent, response.handoffs) == ("desk", ())
    assert "yourself" in results_of(client.requests[-1].messages)[-1].text


async def test_a_target_without_the_context_sees_its_own_words_and_the_reason() -> None:
    client = ScriptedChatClient([pass_on("billing", reason="Invoice 7."), "Which?", pass_on("billing"), "I know."])
    desk, _ = desk_and_billing(client, share_context=False)
    session = AgentSession()
    await desk.run("A secret, and my invoice.", session=session)
    assert plain(client.requests[1].messages)[1:] == [("user", "Invoice 7.")]
    session.active_agent = None
    await desk.run("And again.", session=session)
    sent = client.requests[-1].messages
    check_request(sent)
    assert plain(sent)[1:] == [("assistant", "Which?"), ("user", "They ask for it.")]
    assert "secret" in session.messages[0].text, "the record keeps all"


async def test_one_tool_may_serve_all_targets() -> None:
    client = ScriptedChatClient(
        [
            Reply(calls=(call(SHARED_TOOL, target_agent="nobody", reason="x"),)),
            Reply(calls=(call(SHARED_TOOL, target_agent="Sales", reason="x"),)),
            "Hello.",
        ]
    )
    billing, sales = Agent("billing", description="Money.", model=client), Agent("sales", model=client)
    desk = Agent(
        "desk",
        model=client,
        handoffs=[Handoff(billing, tool_name=SHARED_TOOL), Handoff(sales, tool_name=SHARED_TOOL)],
    )
    response = await desk.run("?")
    (spec,) = client.requests[0].options.tools
    assert spec.parameters["properties"]["target_agent"]["enum"] == ["billing", "sales"]
    assert spec.parameters["required"] == ["target_agent", "reason"]
    assert "Money." in spec.description
    assert response.agent == "sales"
    refused = results_of(client.requests[1].messages)[0]
    assert (refused.status, "billing, sales" in refused.text) == ("error", True)


async def test_a_target_keeps_the_summary_of_the_conversation() -> None:
    client = ScriptedChatClient([pass_on("billing"), "Hello."])
    desk, _ = desk_and_billing(client)
    session = AgentSession(messages=[Message("system", "Summary: they owe us 5 euros."), Message("user", "Hi.")])
    await desk.run("My invoice?", session=session)
    system = client.requests[-1].messages[0].text
    assert "You are billing." in system
    assert "they owe us 5 euros" in system
    assert "You are the desk." not in system


async def test_a_declared_call_beside_a_handoff_is_left_to_the_application() -> None:
    declared = FunctionTool(None, name="show_map", schema={"properties": {}})
    client = ScriptedChatClient([Reply(calls=(call("show_map"), call("handoff_to_b", reason="x"))), "Hello."])
    a = Agent("a", model=client, tools=[declared], handoffs=[Agent("b", model=client)])
    session = AgentSession()
    response = await a.run("?", session=session)
    assert response.finish_reason == "tool_calls"
    (asked,) = [each for each in response.messages[0].calls if each.name == "show_map"]
    await a.run(FunctionResult(asked.call_id, "show_map", "ok", "shown"), session=session)
    check_request(client.requests[-1].messages)
    assert results_of(client.requests[-1].messages)[0].text == "shown"


def test_a_tool_and_a_handoff_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two tools"):
        Agent("a", tools=[tool(add.function, name="handoff_to_b")], handoffs=[Agent("b")])
    with pytest.raises(ValueError, match="announced or discrete"):
        Handoff("b", handoff_type="silent")  # type: ignore[arg-type]


def test_the_target_may_name_the_tool_that_leads_to_it() -> None:
    billing = Agent("billing", handoff_tool="ask_billing")
    assert [Handoff(billing).tool_name, Handoff(billing, tool_name="pay").tool_name] == ["ask_billing", "pay"]
    assert Agent("desk", handoffs=[billing]).routes[0].tool_name == "ask_billing"


def test_a_handoff_that_wants_to_know_the_caller_asks_for_it() -> None:
    routes = [Handoff("a", tool_name=SHARED_TOOL, require_client_id=True), Handoff("b", tool_name=SHARED_TOOL)]
    (spec,) = Agent("desk", handoffs=routes).request_options.tools
    assert "client_id" in spec.parameters["properties"]
    assert spec.parameters["required"] == ["target_agent", "reason"]
