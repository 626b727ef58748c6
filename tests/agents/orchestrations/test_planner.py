"""Agents that work to a plan."""

from __future__ import annotations

import pytest

from antiphon.agents.orchestrations.planner import Plan, Planner
from tests.agents.orchestrations.helpers import DONE, Cast, collected, idle, progress

STUCK = progress("baker", is_progress=False)


def bakery(*manager: str, **more: object) -> tuple[Cast, Planner]:
    cast = Cast({"baker": ["B1.", "B2.", "B3."], "taster": ["T1.", "T2."], "manager": list(manager)})
    return cast, Planner([cast["baker"], cast["taster"]], manager=cast["manager"], **more)  # type: ignore[arg-type]


def kinds(cast: Cast, planner: Planner) -> list[str]:
    events, error = collected(cast, planner)
    assert error is None
    return [event.to_dict()["data"]["kind"] for event in events if event.type == "planner"]


def test_the_manager_plans_gives_out_the_work_and_answers() -> None:
    cast, planner = bakery("Facts.", "Plan.", progress("baker", "bake."), progress("taster", "taste."), DONE, "Bread.")
    response = cast.run(planner.run("Bread?"))
    plan = "manager: What is known:\nFacts.\n\nThe plan:\nPlan."
    assert cast.seen_by("baker") == [("user", f"Bread?\n{plan}\nmanager: baker, bake.")]
    assert cast.seen_by("taster") == [
        ("user", f"Bread?\n{plan}\nmanager: baker, bake.\nbaker: B1.\nmanager: taster, taste.")
    ]
    assert "taster: T1." in cast.seen_by("manager", 4)[-1][1]
    assert (response.text, response.agent, response.finish_reason) == ("Bread.", "manager", "stop")
    assert response.steps == 8


def test_three_rounds_without_progress_bring_a_new_plan_and_the_team_begins_anew() -> None:
    cast, planner = bakery("F1.", "P1.", STUCK, STUCK, STUCK, "F2.", "P2.", progress("baker"), DONE, "Bread.")
    response = cast.run(planner.run("Bread?"))
    assert len(cast.clients["baker"].requests) == 3
    assert cast.seen_by("baker") == [
        ("user", "Bread?\nmanager: What is known:\nF2.\n\nThe plan:\nP2.\nmanager: baker, Do it.")
    ]
    assert [message.text for message in response.messages] == ["B1.", "B2.", "B3.", "Bread."]
    assert response.limit_hit is None


def test_progress_in_between_begins_the_count_anew() -> None:
    moves = progress("taster")
    cast, planner = bakery("F.", "P.", STUCK, STUCK, moves, STUCK, DONE, "Bread.", max_stall_count=3)
    assert kinds(cast, planner) == ["plan", *["progress"] * 5]


def test_a_loop_counts_as_no_progress() -> None:
    cast, planner = bakery("F.", "P.", progress("baker", is_loop=True), "F2.", "P2.", DONE, "Bread.", max_stall_count=1)
    assert kinds(cast, planner) == ["plan", "progress", "plan", "progress"]


def test_after_max_reset_count_the_manager_gives_what_there_is() -> None:
    replies = ["F.", "P.", STUCK] * 3
    cast, planner = bakery(*replies, "Only flour.", max_stall_count=1)
    response = cast.run(planner.run("Bread?"))
    assert (response.text, response.finish_reason, response.limit_hit) == ("Only flour.", "limit", "max_reset_count")
    assert not cast.clients["baker"].requests


def test_after_max_round_count_the_manager_gives_what_there_is() -> None:
    cast, planner = bakery("F.", "P.", progress("baker"), progress("taster"), "Some bread.", max_round_count=2)
    response = cast.run(planner.run("Bread?"))
    assert (response.text, response.finish_reason, response.limit_hit) == ("Some bread.", "limit", "max_round_count")


def test_a_record_is_repaired_once_and_else_counts_as_a_stall() -> None:
    cast, planner = bakery("F.", "P.", progress("nobody"), progress("taster"), "?", "??", DONE, "Bread.")
    events, _ = collected(cast, planner)
    records = [event.to_dict()["data"] for event in events if event.type == "planner"][1:]
    assert [(record["next_speaker"], record["stalls"]) for record in records] == [("taster", 0), ("baker", 1), ("", 1)]
    assert sum(event.type == "warning" for event in events) == 1


def test_a_person_may_change_the_plan() -> None:
    shown: list[Plan] = []

    async def review(plan: Plan) -> str | None:
        shown.append(plan)
        return "Buy it."

    cast, planner = bakery("F.", "P.", progress("baker"), DONE, "Bread.", review_plan=review)
    cast.run(planner.run("Bread?"))
    assert shown == [Plan("F.", "P.")]
    assert "The plan:\nBuy it." in cast.seen_by("baker")[0][1]
    assert "It is now:\nBuy it." in cast.seen_by("manager", 2)[-1][1]


@pytest.mark.parametrize("cap", ["max_stall_count", "max_round_count"])
def test_a_cap_of_nothing_is_refused(cap: str) -> None:
    with pytest.raises(ValueError, match=cap):
        Planner([idle("baker")], manager=idle("manager"), **{cap: 0})  # type: ignore[arg-type]
