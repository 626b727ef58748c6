"""What a handoff brings: the values of the next agent's templates, and handoffs that a tool's result asks for."""

from __future__ import annotations

import json
from typing import Any

import pytest
import structlog

from antiphon import Agent
from antiphon.agents.handoff import SHARED_TOOL, Handoff
from antiphon.agents.instructions import instructions_for
from antiphon.agents.passing import speed_of
from antiphon.agents.session import AgentSession
from antiphon.agents.templates import render
from antiphon.models.llm.content import FunctionResult, HandedOff
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.tools.tool import FunctionTool
from tests.agents.running import results_of


def told(session: AgentSession) -> dict[str, Any]:
    """The values that the agent in charge has, without the names that every agent has."""
    return dict(session.values)


async def passed_on(
    *, variables: dict[str, Any] | None = None, arguments: dict[str, Any] | None = None, **edge: Any
) -> AgentSession:
    """A conversation after one handoff."""
    client = ScriptedChatClient(
        [Reply(calls=(call("handoff_to_billing", **{"reason": "A bill.", **(arguments or {})}),)), "Hello."]
    )
    desk = Agent("desk", model=client, handoffs=[Handoff(Agent("billing", model=client), **edge)])
    session = AgentSession(variables=variables or {})
    await desk.run("My bill?", session=session)
    assert session.active_agent == "billing"
    return session


async def test_the_values_after_a_handoff() -> None:
    session = await passed_on(
        variables={"client_id": "C7", "session_profile": {"tier": "gold"}, "caller": "+15550100"},
        arguments={"context": {"number": 7, "empty": "", "none": None, "success": True, "details": "twice"}},
    )
    assert told(session) == {
        "client_id": "C7",
        "session_profile": {"tier": "gold"},
        "caller": "+15550100",
        "is_handoff": True,
        "previous_agent": "desk",
        "active_agent": "billing",
        "visited_agents": ["desk", "billing"],
        "handoff_reason": "A bill.",
        "handoff_context": {"number": 7, "details": "twice"},
        "handoff_message": "",
        "details": "twice",
        "user_last_utterance": "My bill?",
        "share_context": True,
        "greet_on_switch": True,
        "session_overrides": {},
    }


async def test_an_agent_that_does_not_share_the_context_gets_neither_it_nor_the_callers_profile() -> None:
    known = {"client_id": "C7", "session_profile": {}, "customer_intelligence": {}, "institution_name": "Riverside"}
    session = await passed_on(
        variables={**known, "caller": "+15550100"},
        arguments={"context": {"number": 7}},
        share_context=False,
        handoff_type="discrete",
    )
    values = told(session)
    assert not known.keys() & values.keys()
    assert (values["caller"], values["handoff_context"], values["share_context"]) == ("+15550100", {}, False)
    assert values["greet_on_switch"] is False
    assert not {"details", "user_last_utterance"} & values.keys()


async def test_values_of_the_edge_come_last_and_may_be_templates_and_nested() -> None:
    session = await passed_on(
        variables={"matter": {"kind": "none", "open": True}, "name": "Ann"},
        context_vars={
            "line": "{{ name }} asks: {{ user_last_utterance }}",
            "matter.kind": "{{ handoff_reason }}",
            "new.inner.deep": 3,
            "handoff_reason": "mine",
            "plain": "{ not } a {% template",
            "unknown": None,
        },
    )
    values = told(session)
    assert values["line"] == "Ann asks: My bill?"
    assert values["matter"] == {"kind": "A bill.", "open": True}
    assert values["new"] == {"inner": {"deep": 3}}
    assert (values["handoff_reason"], values["plain"]) == ("mine", "{ not } a {% template")
    assert session.variables["matter"] == {"kind": "none", "open": True}, "the conversation's own stay as they are"
    agent = Agent("a", "{{ unknown | default('nobody') }} {{ active_agent }}")
    assert render(agent.instructions if isinstance(agent.instructions, str) else "", values)[-7:] == "billing"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"reason": "", "context": {"reason": "From inside."}}, "From inside."),
        ({"reason": "Outside.", "context": {"reason": "From inside."}}, "From inside."),
        ({"reason": ""}, "unspecified"),
    ],
)
async def test_the_reason_is_found_where_it_is(arguments: dict[str, Any], reason: str) -> None:
    assert told(await passed_on(arguments=arguments))["handoff_reason"] == reason


async def test_values_that_are_not_known_let_a_default_hold() -> None:
    client = ScriptedChatClient(["Hello.", "Hello."])
    agent = Agent("desk", "{{ a | default('x') }}{{ b | default('y') }}", model=client, variables={"b": "B"})
    await agent.run("?", variables={"a": "None", "b": None})
    assert client.requests[0].messages[0].text == "xB"


async def test_what_one_handoff_brought_does_not_outlive_the_next() -> None:
    client = ScriptedChatClient(
        [Reply(calls=(call("handoff_to_b", reason="x"),)), Reply(calls=(call("handoff_to_c", reason="y"),)), "Hello."]
    )
    c = Agent("c", model=client)
    b = Agent("b", model=client, handoffs=[Handoff(c)])
    a = Agent("a", model=client, handoffs=[Handoff(b, context_vars={"topic": "money"}, share_context=False)])
    session = AgentSession(variables={"client_id": "C7"})
    await a.run("?", session=session)
    values = told(session)
    assert "topic" not in values
    assert (values["client_id"], values["previous_agent"], values["handoff_reason"]) == ("C7", "b", "y")
    assert values["visited_agents"] == ["a", "b", "c"]


async def test_visits_are_counted_and_kept() -> None:
    client = ScriptedChatClient(
        [
            Reply(calls=(call("handoff_to_b", reason="x"),)),
            Reply(calls=(call("handoff_to_a", reason="y"),)),
            Reply(calls=(call("handoff_to_b", reason="z"),)),
            "Hello.",
        ]
    )
    b = Agent("b", model=client, handoffs=["a"])
    a = Agent("a", model=client, handoffs=[b])
    session = AgentSession()
    await a.run("?", session=session)
    assert session.visits == {"a": 2, "b": 2}
    again = AgentSession.from_dict(json.loads(json.dumps(session.to_dict())))
    assert (again.visits, again.values) == (session.visits, session.values)


# Handoffs that a tool's result asks for.


async def handed_by(result: Any, *, script: Any = None, **desk: Any) -> tuple[AgentSession, ScriptedChatClient, Any]:
    """A conversation in which a tool of the desk gives this."""
    client = ScriptedChatClient(script or [Reply(calls=(call("route", reason="They ask."),)), "Hello."])
    billing = Agent("billing", "You are billing: {{ handoff_reason }}. {{ extra }}", model=client)
    tool = FunctionTool(lambda reason: result, name="route", description="Route.")
    agent = Agent("desk", "The desk.", model=client, tools=[tool], **{"handoffs": [Handoff(billing)], **desk})
    session = AgentSession()
    response = await agent.run("My bill?", session=session)
    return session, client, response


async def test_a_tools_result_hands_over_and_its_control_keys_are_not_passed_on() -> None:
    session, client, response = await handed_by(
        {
            "success": True,
            "handoff": True,
            "target_agent": "BILLING",
            "handoff_summary": "A bill of May.",
            "message": "Passing on.",
            "handoff_context": {"number": 7, "handoff": True, "should_interrupt_playback": True, "empty": []},
            "should_interrupt_playback": True,
            "session_overrides": {"template_vars": {"extra": "Be brief."}},
            "balance": 12,
        }
    )
    assert response.handoffs == (HandedOff("desk", "billing", "announced", "A bill of May."),)
    values = told(session)
    assert (values["handoff_reason"], values["handoff_message"]) == ("A bill of May.", "Passing on.")
    assert values["handoff_context"] == {"number": 7}
    assert values["session_overrides"] == {"template_vars": {"extra": "Be brief."}}
    assert client.requests[-1].messages[0].text == "You are billing: A bill of May.. Be brief."
    shown = json.loads(results_of(client.requests[-1].messages)[0].text)
    assert shown["balance"] == 12
    assert not {"target_agent", "message", "session_overrides", "should_interrupt_playback"} & shown.keys()


@pytest.mark.parametrize("target", ["nobody", "", None, "desk"])
async def test_a_result_that_names_no_agent_is_refused_and_the_same_agent_goes_on(target: Any) -> None:
    session, client, response = await handed_by({"handoff": True, "target_agent": target})
    assert (response.agent, response.handoffs, session.active_agent) == ("desk", (), None)
    (result,) = results_of(client.requests[-1].messages)
    shown = json.loads(result.text)
    assert (result.status, shown["success"], bool(shown["error"])) == ("error", False, True)


async def test_a_result_of_an_agent_that_can_hand_over_to_nobody_is_refused() -> None:
    _, client, response = await handed_by({"handoff": True, "target_agent": "billing"}, handoffs=[])
    assert response.agent == "desk"
    (result,) = results_of(client.requests[-1].messages)
    assert json.loads(result.text)["success"] is False


@pytest.mark.parametrize("result", [{"handoff": False, "target_agent": "billing"}, '{"handoff"', {"handoff": "yes"}])
async def test_other_results_are_left_alone(result: Any) -> None:
    _, client, response = await handed_by(result)
    assert response.agent == "desk"
    shown: FunctionResult = results_of(client.requests[-1].messages)[0]
    assert shown.text == (result if isinstance(result, str) else json.dumps(result, separators=(",", ":")))


async def test_of_several_handoffs_in_a_step_one_is_carried_out() -> None:
    script = [Reply(calls=(call("handoff_to_billing", reason="a"), call("route", reason="b"))), "Hello."]
    _, client, response = await handed_by({"handoff": True, "target_agent": "billing"}, script=script)
    assert len(response.handoffs) == 1
    statuses = [(result.name, result.status) for result in results_of(client.requests[-1].messages)]
    assert statuses == [("handoff_to_billing", "ok"), ("route", "error")]


async def test_a_generic_handoff_may_need_to_know_who_calls() -> None:
    script = [
        Reply(calls=(call(SHARED_TOOL, target_agent="Billing", reason="a"),)),
        Reply(calls=(call(SHARED_TOOL, target_agent="Billing", reason="a", client_id="C7"),)),
        "Hello.",
    ]
    client = ScriptedChatClient(script)
    edge = Handoff(Agent("billing", model=client), tool_name=SHARED_TOOL, require_client_id=True)
    desk = Agent("desk", model=client, handoffs=[edge])
    session = AgentSession()
    response = await desk.run("?", session=session)
    first, second = results_of(client.requests[-1].messages)
    assert json.loads(first.text)["success"] is False
    assert (second.status, response.agent, session.values["client_id"]) == ("ok", "billing", "C7")


async def test_a_generic_handoff_takes_the_conversations_client_id() -> None:
    client = ScriptedChatClient([Reply(calls=(call(SHARED_TOOL, target_agent="billing", reason="a"),)), "Hello."])
    edge = Handoff(Agent("billing", model=client), tool_name=SHARED_TOOL, require_client_id=True)
    desk = Agent("desk", model=client, handoffs=[edge])
    session = AgentSession(variables={"client_id": "C7"})
    assert (await desk.run("?", session=session)).agent == "billing"


async def test_a_wrong_template_of_an_edge_costs_the_handoff_and_not_the_turn() -> None:
    client = ScriptedChatClient([Reply(calls=(call("handoff_to_billing", reason="a"),)), "I answer."])
    edge = Handoff(Agent("billing", model=client), context_vars={"a": "{{ 1 / 0 }}"})
    response = await Agent("desk", model=client, handoffs=[edge]).run("?")
    assert (response.agent, response.text) == ("desk", "I answer.")


async def test_the_agents_are_the_same_after_a_handoff_with_overrides() -> None:
    client = ScriptedChatClient([Reply(calls=(call("route", reason="They ask."),)), "Hello."])
    result = {"handoff": True, "target_agent": "billing", "session_overrides": {"voice": {"name": "eva"}}}
    billing = Agent("billing", model=client)
    tool = FunctionTool(lambda reason: result, name="route", description="Route.")
    desk = Agent("desk", model=client, tools=[tool], handoffs=[Handoff(billing)])
    before = desk.version, billing.version
    await desk.run("?")
    assert (desk.version, billing.version, billing.voice) == (*before, None)


@pytest.mark.parametrize(
    ("rate", "speed"),
    [("+10%", 1.1), ("-50%", 0.5), ("+100%", 2.0), ("+0%", 1.0), ("-51%", None), ("10%", None), ("+1e1%", None)],
)
def test_rates(rate: str, speed: float | None) -> None:
    assert speed_of(rate) == speed


# Variables that nobody gives.


def test_r14_an_undefined_variable_is_reported_once_and_rendered_as_nothing() -> None:
    text = "A{{ who_knows }}{{ nested.deep.value }}{{ calm | default('!') }}{% if maybe %}{{ maybe }}{% endif %}Z"
    with structlog.testing.capture_logs() as logs:
        assert render(text, {}) == "A!Z"
        assert render(text, {}) == "A!Z"
        assert render(text, {"who_knows": 1, "nested": {}}) == "A1!Z"
    told = [(entry["event"], entry["variable"]) for entry in logs]
    assert told == [("template.undefined", "nested"), ("template.undefined", "who_knows")]


# What an agent sees that does not share the context.


def seen(client: ScriptedChatClient) -> list[tuple[str, str]]:
    """The words of the last request, without the system message."""
    return [(m.role, m.text) for m in client.requests[-1].messages[1:] if m.text and m.role != "tool"]


async def test_the_context_stays_unshared_in_the_turns_after_the_handoff() -> None:
    client = ScriptedChatClient(
        [
            "Hello.",
            Reply("One moment.", calls=(call("handoff_to_billing", reason="A bill."),)),
            "Which one?",
            "That is paid.",
            Reply(calls=(call("handoff_to_desk", reason="Done."),)),
            "The desk again.",
            Reply(calls=(call("handoff_to_billing", reason="Once more."),)),
            "Billing again.",
        ]
    )
    billing = Agent("billing", "Bills.", model=client, handoffs=["desk"])
    desk = Agent("desk", "The desk.", model=client, handoffs=[Handoff(billing, share_context=False)])
    session = AgentSession()
    await desk.run("My secret.", session=session)
    await desk.run("My bill?", session=session)
    assert seen(client) == [("user", "A bill.")]
    session = AgentSession.from_dict(json.loads(json.dumps(session.to_dict())))
    await desk.run("The one of May.", session=session)
    assert seen(client) == [("user", "A bill."), ("assistant", "Which one?"), ("user", "The one of May.")]
    await desk.run("Thanks.", session=session)
    assert ("user", "My secret.") in seen(client), "the desk shares the context"
    await desk.run("Billing, please.", session=session)
    assert seen(client) == [
        ("assistant", "Which one?"),
        ("user", "The one of May."),
        ("assistant", "That is paid."),
        ("user", "Thanks."),
        ("user", "Once more."),
    ]


async def test_who_follows_an_agent_that_knew_little_sees_the_whole_conversation_at_once() -> None:
    client = ScriptedChatClient(
        [
            "Hello.",
            Reply(calls=(call("handoff_to_b", reason="x"),)),
            Reply(calls=(call("handoff_to_c", reason="y"),)),
            "I know all.",
        ]
    )
    c = Agent("c", "You are c.", model=client)
    b = Agent("b", "You are b.", model=client, handoffs=[c])
    a = Agent("a", "You are a.", model=client, handoffs=[Handoff(b, share_context=False)])
    session = AgentSession()
    await a.run("My secret.", session=session)
    await a.run("Go on.", session=session)
    assert seen(client)[:2] == [("user", "My secret."), ("assistant", "Hello.")]


async def test_r14_a_preview_of_instructions_reports_nothing() -> None:
    agent = Agent("desk", "Hello {{ who_is_there }}.")
    with structlog.testing.capture_logs() as logs:
        assert await instructions_for(agent) == "Hello ."
        assert [entry["event"] for entry in logs] == []
        await instructions_for(agent, session=AgentSession())
    assert [(entry["event"], entry["variable"]) for entry in logs] == [("template.undefined", "who_is_there")]


async def test_a_tool_that_a_person_has_approved_may_hand_over_too() -> None:
    result = {"handoff": True, "target_agent": "billing", "handoff_summary": "A refund."}
    tool = FunctionTool(lambda: result, name="route", description="Route.", approval_mode="always_require")
    client = ScriptedChatClient([Reply(calls=(call("route"),)), "Billing here."])
    billing = Agent("billing", "Bills.", model=client)
    desk = Agent("desk", "The desk.", model=client, tools=[tool], handoffs=[billing])
    session = AgentSession()
    (request,) = (await desk.run("A refund!", session=session)).user_input_requests
    response = await desk.run(request.approve(), session=session)
    assert (response.agent, response.text, session.values["handoff_reason"]) == (
        "billing",
        "Billing here.",
        "A refund.",
    )


async def test_names_ignore_case() -> None:
    client = ScriptedChatClient([Reply(calls=(call(SHARED_TOOL, target_agent="BILLING", reason="x"),)), "Hello."])
    billing = Agent("billing", model=client)
    desk = Agent("desk", model=client, handoffs=[Handoff("Billing", tool_name=SHARED_TOOL)])
    session = AgentSession(agents=[billing])
    response = await desk.run("?", session=session)
    assert (response.agent, session.active_agent, session.values["active_agent"]) == ("billing",) * 3
    client = ScriptedChatClient([Reply(calls=(call("handoff_to_Desk", reason="x"),)), "I am."])
    assert (await Agent("desk", model=client, handoffs=["Desk"]).run("?")).handoffs == ()
