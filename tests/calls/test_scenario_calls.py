"""Calls by a scenario: the same edges, greetings and values, whether one model holds the call or three do."""

from __future__ import annotations

from invariants import check, check_nothing_left
from phone import CallUnderTest
from phone import calling as calling_three
from s2s_phone import calling as calling_one

from antiphon.agents.agent import Agent
from antiphon.agents.scenarios.scenario import AgentDefaults, GenericHandoff, Scenario, ScenarioEdge
from antiphon.calls.events import AgentHandoff
from antiphon.clock import VirtualClock
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as asks
from antiphon.models.s2s.scripted import Calls, ScriptedS2S

QUESTIONS = ("My bill?", "My card is gone.", "Anything else.", "And my bill?")
GREETINGS = ("Billing of Harbour, about your bill.", "Desk of Harbour again.")
SAID = "(a greeting takes an answer's place in the script of a model that speaks)"

AGENTS = (
    Agent("desk", "You welcome callers of {{ bank }}.", return_greeting="Desk of {{ bank }} again."),
    Agent("billing", "You explain bills.", greeting="Billing of {{ bank }}, about {{ topic }}."),
    Agent("fraud", "You look into fraud. It is about {{ topic }}.", greeting="Never said."),
)
SCENARIO = Scenario(
    "line",
    handoffs=[
        ScenarioEdge("desk", "billing", context_vars={"topic": "your {{ thing | default('bill') }}"}),
        ScenarioEdge("billing", "fraud", tool="alarm", type="discrete", context_vars={"topic": "a card"}),
    ],
    generic_handoff=GenericHandoff(["desk"]),
    agent_defaults=AgentDefaults(variables={"bank": "Harbour"}),
)
WAY = [("billing", "announced"), ("fraud", "discrete"), ("desk", "announced")]
SPOKEN = [GREETINGS[0], "It is nine pounds.", "Which card?", GREETINGS[1], "What is it?"]


def spoken(call: CallUnderTest) -> list[str]:
    return [each.text for each in call.call.history.messages if each.role == "assistant" and each.text]


def way(call: CallUnderTest) -> list[tuple[str, str]]:
    return [(event.new_agent, event.handoff_type) for event in call.events(AgentHandoff)]


async def three_turns(call: CallUnderTest) -> None:
    for _ in range(3):
        await call.speak(1)
        await call.quiet(10)


def test_a_call_of_three_models_goes_along_the_edges() -> None:
    clock, team = VirtualClock(), SCENARIO.apply(AGENTS)
    llm = ScriptedChatClient(
        [
            Reply(calls=(asks("handoff_to_billing", reason="A bill."),)),
            "It is nine pounds.",
            Reply(calls=(asks("alarm", reason="A card."),)),
            "Which card?",
            Reply(calls=(asks("handoff_to_agent", target_agent="Desk", reason="More."),)),
            "What is it?",
        ],
        clock=clock,
    )

    async def scenario() -> CallUnderTest:
        async with calling_three(clock, agent=team[0], team=team, llm=llm, stt=QUESTIONS) as call:
            await three_turns(call)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert (way(call), spoken(call)) == (WAY, SPOKEN)
    told = [request.messages[0].text for request in llm.requests]
    assert told[0] == (
        "You welcome callers of Harbour.\n\n"
        "Hand the conversation over to billing by the call handoff_to_billing(reason, context)."
    )
    assert "fraud by the call alarm(reason, context)" in told[1]
    assert told[3] == "You look into fraud. It is about a card."


def test_a_call_that_one_model_holds_goes_along_the_same_edges() -> None:
    clock, team = VirtualClock(), SCENARIO.apply(AGENTS)
    model = ScriptedS2S(
        [
            Calls("handoff_to_billing", '{"reason": "A bill."}'),
            SAID,
            "It is nine pounds.",
            Calls("alarm", '{"reason": "A card."}'),
            "Which card?",
            Calls("handoff_to_agent", '{"target_agent": "Desk", "reason": "More."}'),
            SAID,
            "What is it?",
        ],
        heard=QUESTIONS,
        clock=clock,
    )

    async def scenario() -> CallUnderTest:
        async with calling_one(clock, model, agent=team[0], team=team) as call:
            await three_turns(call)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert (way(call), spoken(call)) == (WAY, SPOKEN)
    (session,) = model.sessions
    assert session.brief.instructions.startswith("You welcome callers of Harbour.")
    assert [tool.name for tool in session.brief.tools] == ["handoff_to_billing", "handoff_to_agent"]


def test_r18_calls_leave_the_catalog_alone() -> None:
    before = [agent.version for agent in AGENTS]
    test_a_call_of_three_models_goes_along_the_edges()
    test_a_call_that_one_model_holds_goes_along_the_same_edges()
    assert [agent.version for agent in AGENTS] == before
