"""Agents that pass one conversation to each other."""

from __future__ import annotations

import pytest

from antiphon.agents.orchestrations.handoff_team import HandoffTeam
from antiphon.agents.orchestrations.sequential import Sequential
from antiphon.models.llm.scripted import Reply, call
from tests.agents.orchestrations.helpers import Cast, collected, idle, said


def to(target: str) -> Reply:
    return Reply(calls=(call(f"handoff_to_{target}", reason="It is theirs."),))


def test_whoever_has_the_conversation_answers_and_keeps_it_for_the_next_message() -> None:
    cast = Cast({"desk": [to("billing")], "billing": ["It was 90 euros.", "In cash, please."]})
    team = HandoffTeam([cast["desk"], cast["billing"]])

    async def chat() -> None:
        session = cast.session()
        first = await team.run("My bill?", session=session)
        assert (first.text, first.agent, len(first.handoffs)) == ("It was 90 euros.", "billing", 1)
        second = await team.run("How?", session=session)
        assert (second.text, second.agent) == ("In cash, please.", "billing")
        assert said(session.messages)[1::2] == [("billing", "It was 90 euros."), ("billing", "In cash, please.")]

    cast.run(chat())
    assert cast.seen_by("billing") == [
        ("user", "My bill?"),
        ("assistant", "It was 90 euros."),
        ("user", "How?"),
    ]


def test_a_handoff_is_an_event() -> None:
    cast = Cast({"desk": [to("billing")], "billing": ["Yes."]})
    events, _ = collected(cast, HandoffTeam([cast["desk"], cast["billing"]]))
    assert [dict(event.to_dict()["data"]) for event in events if event.type == "handoff"] == [
        {"source": "desk", "target": "billing", "reason": "It is theirs."}
    ]


def test_only_the_given_routes_are_open() -> None:
    cast = Cast({"desk": [to("boss"), "I cannot pass you on."], "billing": [], "boss": []})
    team = HandoffTeam(list(cast.agents.values()), routes={"desk": ["billing"]})
    assert cast.run(team.run("The boss, please.")).text == "I cannot pass you on."
    assert [spec.name for spec in cast.clients["desk"].requests[0].options.tools] == ["handoff_to_billing"]


def test_by_itself_it_works_until_it_is_done() -> None:
    cast = Cast({"finder": ["Looking.", to("writer"), "Still."], "writer": ["Draft.", "DONE: text."]})
    team = HandoffTeam(
        [cast["finder"], cast["writer"]], max_turns=9, until=lambda messages: messages[-1].text.startswith("DONE")
    )
    response = cast.run(team.run("Go."))
    assert (response.text, response.agent, response.limit_hit) == ("DONE: text.", "writer", None)
    assert said(response.messages) == [("finder", "Looking."), ("writer", "Draft."), ("writer", "DONE: text.")]


def test_at_max_turns_there_is_a_result_that_says_so() -> None:
    cast = Cast({"finder": ["One.", "Two.", "Three."]})
    response = cast.run(HandoffTeam([cast["finder"]], max_turns=3).run("Go."))
    assert (response.text, response.finish_reason, response.limit_hit) == ("Three.", "limit", "max_turns")


def test_a_team_that_cannot_work_is_refused() -> None:
    with pytest.raises(ValueError, match="max_turns"):
        HandoffTeam([idle("a")], max_turns=0)
    with pytest.raises(ValueError, match="'b'"):
        HandoffTeam([idle("a")], routes={"a": ["b"]})
    with pytest.raises(TypeError, match="'inner'"):
        HandoffTeam([Sequential([idle("a")], name="inner")])
