"""Each orchestration gives the same events on every run: those in ``tests/data/golden/orchestrations``.

After a change that is meant, write them anew and read the difference:

    ANTIPHON_TEST_WRITE_GOLDEN=1 python -m pytest tests/agents/orchestrations/test_golden.py
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from antiphon import tool
from antiphon.agents.orchestrations.concurrent import Concurrent
from antiphon.agents.orchestrations.group_chat import GroupChat, GroupState
from antiphon.agents.orchestrations.handoff_team import HandoffTeam
from antiphon.agents.orchestrations.orchestration import Orchestration
from antiphon.agents.orchestrations.planner import Planner
from antiphon.agents.orchestrations.sequential import Sequential
from antiphon.models.llm.scripted import Reply, call
from tests.agents.orchestrations.helpers import GOLDEN, Cast, as_golden, as_json, collected, progress

Case = Callable[[], tuple[Cast, Orchestration]]


@tool
async def flour(grams: int) -> str:
    """How much flour there is."""
    return f"{grams} g of flour"


def sequential() -> tuple[Cast, Orchestration]:
    cast = Cast()
    writer = cast.agent("writer", [Reply("One moment.", (call("flour", grams=500),)), "Mix it."], tools=[flour])
    reviewer = cast.agent("reviewer", ["Mix it well."])
    return cast, Sequential([writer, reviewer])


def concurrent() -> tuple[Cast, Orchestration]:
    cast = Cast(
        {
            "slow": [Reply("From the slow one.", first_token_s=0.3, token_s=0.1)],
            "fast": [Reply("From the fast one.", first_token_s=0.1, token_s=0.1)],
        }
    )
    return cast, Concurrent([cast["slow"], cast["fast"]])


def concurrent_failure() -> tuple[Cast, Orchestration]:
    cast = Cast({"good": [Reply("Fine.", first_token_s=1.0)], "bad": [Reply(fault="garbage", first_token_s=0.2)]})
    return cast, Concurrent([cast["good"], cast["bad"]])


def concurrent_partial() -> tuple[Cast, Orchestration]:
    cast = Cast({"good": [Reply("Fine.", first_token_s=1.0)], "bad": [Reply(fault="garbage", first_token_s=0.2)]})
    return cast, Concurrent([cast["good"], cast["bad"]], allow_partial=True)


def group_chat() -> tuple[Cast, Orchestration]:
    cast = Cast({"writer": ["Draft one.", "Draft two."], "critic": ["Too short.", "Good: done."]})

    def in_turns(state: GroupState) -> str:
        return state.participants[state.round % 2]

    chat = GroupChat(
        [cast["writer"], cast["critic"]], select=in_turns, until=lambda messages: "done" in messages[-1].text
    )
    return cast, chat


def group_chat_led() -> tuple[Cast, Orchestration]:
    choices = [("writer", False), ("nobody", False), ("critic", False), ("nobody", False), ("nobody", False)]
    replies = [as_json({"is_done": done, "next_speaker": speaker}) for speaker, done in choices]
    cast = Cast(
        {
            "writer": ["Draft one.", "Draft two."],
            "critic": ["Too short."],
            "leader": [*replies, as_json({"is_done": True, "next_speaker": ""})],
        }
    )
    return cast, GroupChat([cast["writer"], cast["critic"]], select=cast["leader"])


def group_chat_capped() -> tuple[Cast, Orchestration]:
    cast = Cast({"writer": ["One.", "Two."], "critic": ["Hm.", "Hm."]})
    return cast, GroupChat([cast["writer"], cast["critic"]], select=lambda state: "unknown", max_rounds=3)


def planner() -> tuple[Cast, Orchestration]:
    cast = Cast(
        {
            "baker": ["Baked."],
            "taster": ["Tastes good."],
            "manager": [
                "There is flour.",
                "1. Bake. 2. Taste.",
                progress("baker", "Bake it."),
                progress("taster", "Taste it."),
                progress("", "", is_done=True),
                "There is good bread.",
            ],
        }
    )
    return cast, Planner([cast["baker"], cast["taster"]], manager=cast["manager"])


def planner_replans() -> tuple[Cast, Orchestration]:
    stuck = progress("baker", is_progress=False)
    again = progress("baker", is_loop=True)
    cast = Cast(
        {
            "baker": ["Cannot.", "Cannot.", "Baked."],
            "manager": [
                "Facts.",
                "Plan.",
                stuck,
                again,
                stuck,
                "New facts.",
                "New plan.",
                progress("baker"),
                progress("", "", is_done=True),
                "Bread at last.",
            ],
        }
    )
    return cast, Planner([cast["baker"]], manager=cast["manager"])


def planner_capped() -> tuple[Cast, Orchestration]:
    stuck = progress("baker", is_progress=False)
    cast = Cast(
        {
            "baker": ["Cannot."],
            "manager": ["Facts.", "Plan.", stuck, stuck, "New facts.", "New plan.", "no record", stuck, "No bread."],
        }
    )
    manager = cast["manager"]
    return cast, Planner([cast["baker"]], manager=manager, max_stall_count=1, max_reset_count=1)


def handoff_team() -> tuple[Cast, Orchestration]:
    hand_over = Reply("Let me pass you on.", (call("handoff_to_billing", reason="A bill."),))
    cast = Cast({"desk": [hand_over], "billing": ["It was 90 euros."]})
    return cast, HandoffTeam([cast["desk"], cast["billing"]])


CASES: list[Case] = [
    sequential,
    concurrent,
    concurrent_failure,
    concurrent_partial,
    group_chat,
    group_chat_led,
    group_chat_capped,
    planner,
    planner_replans,
    planner_capped,
    handoff_team,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_events_are_those_of_the_golden_file(case: Case) -> None:
    events, _ = collected(*case())
    made = as_golden(events)
    path = GOLDEN / f"{case.__name__}.json"
    if os.environ.get("ANTIPHON_TEST_WRITE_GOLDEN"):
        path.write_text(made, encoding="utf-8")
    assert made == path.read_text(encoding="utf-8")
    assert [event.seq for event in events] == list(range(len(events)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_second_run_gives_the_same_events(case: Case) -> None:
    assert as_golden(collected(*case())[0]) == as_golden(collected(*case())[0])
