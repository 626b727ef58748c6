"""What a scenario makes of the agents of a catalog: copies with its edges, its values and its tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon import (
    Agent,
    AgentDefaults,
    AgentSession,
    GenericHandoff,
    Handoff,
    Reply,
    Scenario,
    ScenarioEdge,
    ScriptedChatClient,
    load_catalog,
    tool,
)
from antiphon.agents.handoff import SHARED_TOOL
from antiphon.agents.instructions import instructions_for, template_values
from antiphon.agents.templates import render
from antiphon.models.llm.scripted import call
from tests.agents.files.writing import write
from tests.agents.scenarios.making import folder_of, team_of


@tool
async def look_up(number: int) -> str:
    """Look a number up."""
    return f"found {number}"


def bank() -> list[Agent]:
    return [
        Agent("Desk", "You welcome callers.", handoffs=[Handoff("elsewhere", when="Never.")], greeting="Hello."),
        Agent("billing", "You explain bills.", description="Explains bills.", handoff_tool="ask_billing", voice="b"),
        Agent("fraud", "You look into fraud.", description="Looks into fraud.", tools=[look_up]),
    ]


def routes(agent: Agent) -> list[tuple[str, str, str]]:
    return [(route.tool_name, route.target_name, route.handoff_type) for route in agent.routes]


def test_the_edges_become_handoffs_and_take_the_place_of_the_agents_own() -> None:
    scenario = Scenario(
        "line",
        start_agent="fraud",
        handoff_type="discrete",
        handoffs=[
            ScenarioEdge("desk", "billing", condition="A bill.", context_vars={"ticket": 7}),
            ScenarioEdge("DESK", "fraud", tool="alarm", type="announced", share_context=False),
            ScenarioEdge("billing", "desk"),
        ],
    )
    fraud, desk, billing = scenario.apply(bank())
    assert routes(desk) == [("ask_billing", "billing", "discrete"), ("alarm", "fraud", "announced")]
    assert routes(billing) == [("handoff_to_Desk", "Desk", "discrete")]
    assert routes(fraud) == []
    there, alarm = desk.routes
    assert (there.about, there.context_vars, there.share_context) == ("A bill.", {"ticket": 7}, True)
    assert (alarm.about, alarm.share_context) == ("Looks into fraud.", False)


def test_r18_a_scenario_leaves_the_catalog_alone() -> None:
    agents = bank()
    before = [agent.version for agent in agents]
    held = [dict(agent.variables) for agent in agents]
    scenario = Scenario(
        "line",
        handoffs=[ScenarioEdge("desk", "billing")],
        generic_handoff=GenericHandoff(),
        agent_defaults=AgentDefaults("Hi.", "Again.", "{{ agent_name }} of all.", "anna", 1.2, {"a": 1}),
        variables={"b": 2},
        tools=[look_up],
    )
    team = scenario.apply(agents)
    other = Scenario("other", agents=["desk"]).apply(agents)
    assert [agent.version for agent in agents] == before
    assert [dict(agent.variables) for agent in agents] == held
    assert not {agent.version for agent in (*team, *other)} & set(before)
    assert agents[0].routes[0].target_name == "elsewhere"
    assert other[0].routes == ()


def test_an_edge_is_found_by_its_tool_then_by_its_ends_then_by_the_tool_alone() -> None:
    edges = [
        ScenarioEdge("desk", "billing", tool="a"),
        ScenarioEdge("desk", "billing", tool="b"),
        ScenarioEdge("fraud", "desk", tool="c"),
    ]
    scenario = Scenario("line", handoffs=edges)
    assert scenario.edge_for("Desk", "Billing", tool="b") is edges[1]
    assert scenario.edge_for("desk", "billing", tool="other") is edges[0]
    assert scenario.edge_for("billing", "desk", tool="c") is edges[2]
    assert scenario.edge_for("billing", "desk", tool="other") is None
    assert scenario.edge_for("fraud", "billing", tool="a") is edges[0]


def test_a_generic_handoff_reaches_those_that_are_allowed_and_what_an_edge_says_holds_for_it_too() -> None:
    scenario = Scenario(
        "line",
        handoffs=[ScenarioEdge("desk", "billing", type="discrete", share_context=False)],
        generic_handoff=GenericHandoff(["fraud"], require_client_id=True, default_type="announced"),
    )
    desk, billing, fraud = scenario.apply(bank())
    assert routes(desk) == [
        ("ask_billing", "billing", "discrete"),
        (SHARED_TOOL, "billing", "discrete"),
        (SHARED_TOOL, "fraud", "announced"),
    ]
    assert [(route.share_context, route.require_client_id) for route in desk.routes] == [
        (False, False),
        (False, False),
        (True, True),
    ]
    assert (routes(billing), routes(fraud)) == ([(SHARED_TOOL, "fraud", "announced")], [])
    shared = desk.request_options.tools[1]
    assert list(shared.parameters["properties"]) == ["target_agent", "reason", "context", "client_id"]


def test_an_edge_of_another_agent_by_the_shared_tool_tells_how_to_hand_over_to_its_target() -> None:
    scenario = Scenario(
        "line",
        handoffs=[ScenarioEdge("desk", "fraud", tool=SHARED_TOOL, type="discrete", context_vars={"a": 1})],
        generic_handoff=GenericHandoff(require_client_id=True),
    )
    desk, billing, _ = scenario.apply(bank())
    assert routes(desk) == [(SHARED_TOOL, "fraud", "discrete"), (SHARED_TOOL, "billing", "announced")]
    assert routes(billing) == [(SHARED_TOOL, "Desk", "announced"), (SHARED_TOOL, "fraud", "discrete")]
    (fraud,) = (route for route in billing.routes if route.target == "fraud")
    assert (fraud.context_vars, fraud.require_client_id) == ({"a": 1}, True)


def test_r19_the_prompt_names_each_edges_target_condition_and_own_call() -> None:
    scenario = Scenario(
        "line",
        handoffs=[
            ScenarioEdge("desk", "billing", condition="The caller asks\n about a bill."),
            ScenarioEdge("desk", "fraud", tool=SHARED_TOOL),
            ScenarioEdge("fraud", "desk"),
        ],
    )
    desk, _, fraud = scenario.apply(bank())
    assert [route.when for route in desk.routes] == [
        "Hand the conversation over to billing by the call ask_billing(reason, context). When: The caller asks about a "
        "bill.",
        'Hand the conversation over to fraud by the call handoff_to_agent(target_agent="fraud", reason, context). '
        "When: Looks into fraud.",
    ]
    assert [route.when for route in fraud.routes] == [
        "Hand the conversation over to Desk by the call handoff_to_Desk(reason, context)."
    ]


async def test_r16_texts_of_the_scenario_are_rendered(tmp_path: Path) -> None:
    team = team_of(
        tmp_path,
        """
        start_agent: desk
        agent_defaults:
          greeting: "Welcome to {{ bank }}{% if caller_name %}, {{ caller_name }}{% endif %}."
          description: "{{ agent_name | upper }} of {{ bank }}"
          bank: "{{ institution_name | default('Harbour Bank') }}"
        handoffs: [{from: desk, to: billing}]
        """,
    )
    desk, billing = team["desk"], team["billing"]
    assert await instructions_for(desk) == "You welcome the callers of Harbour Bank."
    assert await instructions_for(desk, variables={"institution_name": "Ayr"}) == "You welcome the callers of Ayr."
    assert billing.description == "BILLING of Harbour Bank"
    assert desk.routes[0].about == "BILLING of Harbour Bank"
    greeting = render(desk.greeting, template_values(desk, {"caller_name": "Ann"}))
    assert greeting == "Welcome to Harbour Bank, Ann."


def test_values_of_the_scenario_are_over_the_agents_and_its_defaults_over_both() -> None:
    agent = Agent("desk", variables={"a": 1, "b": 1, "c": 1}, greeting="Hello.", voice="x", speed=0.9)
    scenario = Scenario("line", variables={"b": 2, "c": 2}, agent_defaults=AgentDefaults(variables={"c": 3}))
    (desk,) = scenario.apply([agent])
    assert desk.variables == {"a": 1, "b": 2, "c": 3}
    assert (desk.greeting, desk.voice, desk.speed) == ("Hello.", "x", 0.9)
    (desk,) = Scenario("line", agent_defaults=AgentDefaults(greeting="", speed=1.1)).apply([agent])
    assert (desk.greeting, desk.speed) == ("", 1.1)


def test_tools_are_added_to_every_agent_that_has_none_of_the_name(tmp_path: Path) -> None:
    folder_of(tmp_path, "tools: [end_call, price, look_up]\n", fraud="tools: [look_up, price]\n")
    own = "def price() -> int:\n    return {}\n"
    write(tmp_path, "scenarios/bank/tools.py", own.format(1))
    write(tmp_path, "agents/fraud/tools.py", own.format(2) + "def look_up() -> int:\n    return 3\n")
    team = {agent.name: agent for agent in load_catalog(tmp_path, environment={}).team()}
    assert list(team["desk"].toolset) == ["end_call", "price", "look_up"]
    assert [team[name].toolset["price"]() for name in ("desk", "fraud")] == [1, 2]
    assert team["desk"].toolset["look_up"]() == 3


def test_collectors_may_be_added_with_options_and_in_code_by_name(tmp_path: Path) -> None:
    options = "{tool_name: booking_number, num_digits: 6}"
    team = team_of(tmp_path, f"tools: [collect_email, {{collect_digits: {options}}}]\n")
    assert list(team["desk"].toolset) == ["collect_email", "booking_number"]
    (desk, *_) = Scenario("line", tools=["collect_email"]).apply(bank())
    assert list(desk.toolset) == ["collect_email"]


async def test_a_generic_handoff_to_nobody_or_for_nobody_is_refused_and_the_agent_goes_on() -> None:
    wishes = [{"target_agent": "billing"}, {"target_agent": "fraud"}, {"target_agent": "FRAUD", "client_id": "c7"}]
    client = ScriptedChatClient(
        [*(Reply(calls=(call(SHARED_TOOL, reason="Stolen.", **wish),)) for wish in wishes), "Whose card is it?"]
    )
    scenario = Scenario("line", generic_handoff=GenericHandoff(["fraud"], require_client_id=True))
    team = [agent.replace(model=client) for agent in scenario.apply(bank())]
    session = AgentSession(agents=team)
    response = await team[0].run("My card is gone.", session=session)
    assert (response.text, response.agent, session.active_agent) == ("Whose card is it?", "fraud", "fraud")
    results = [message.result for message in session.messages if message.result is not None]
    assert [result.status for result in results] == ["error", "error", "ok"]
    assert "billing" in results[0].text
    assert "client_id" in results[1].text
    assert [record.target for record in response.handoffs] == ["fraud"]


@pytest.mark.parametrize("start", ["desk", "fraud"])
async def test_a_conversation_in_text_goes_along_the_edges(start: str) -> None:
    client = ScriptedChatClient(
        [Reply(calls=(call("ask_billing", reason="A bill.", context={"number": 7}),)), Reply("It is paid.")]
    )
    scenario = Scenario("line", start_agent=start, handoffs=[ScenarioEdge(start, "billing")])
    team = [agent.replace(model=client) for agent in scenario.apply(bank())]
    session = AgentSession(agents=team)
    response = await team[0].run("What about my bill?", session=session)
    assert (response.text, session.active_agent) == ("It is paid.", "billing")
    asked = client.requests[0].messages[0].text
    assert "Hand the conversation over to billing by the call ask_billing(reason, context)." in asked
