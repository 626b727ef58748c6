"""Agents in one conversation."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from antiphon.agents.orchestrations.group_chat import GroupChat, GroupState
from antiphon.models.llm.messages import Message
from tests.agents.orchestrations.helpers import Cast, as_json, collected, idle


def choice(speaker: str, *, done: bool = False) -> str:
    return as_json({"is_done": done, "next_speaker": speaker})


def two() -> Cast:
    return Cast({"writer": ["One.", "Two.", "Three."], "critic": ["Hm.", "Better.", "Good."]})


def test_a_speaker_gets_what_it_has_not_heard_yet_and_knows_its_own_words() -> None:
    cast = two()
    chat = GroupChat(
        [cast["writer"], cast["critic"]], select=lambda state: state.participants[state.round % 2], max_rounds=3
    )
    response = cast.run(chat.run("Write."))
    assert cast.seen_by("writer") == [("user", "Write."), ("assistant", "One."), ("user", "critic: Hm.")]
    assert cast.seen_by("critic") == [("user", "Write.\nwriter: One.")]
    assert (response.text, response.agent) == ("Two.", "writer")


def test_who_speaks_twice_in_a_row_is_asked_to_go_on() -> None:
    cast = two()
    cast.run(GroupChat([cast["writer"]], select=lambda state: "writer", max_rounds=2).run("Write."))
    assert cast.seen_by("writer") == [("user", "Write."), ("assistant", "One."), ("user", "Please go on.")]


def test_at_max_rounds_there_is_a_result_that_says_so() -> None:
    cast = two()
    response = cast.run(GroupChat([cast["writer"]], select=lambda state: "writer", max_rounds=2).run("Write."))
    assert (response.text, response.finish_reason, response.limit_hit) == ("Two.", "limit", "max_rounds")


def test_a_condition_or_a_choice_of_nobody_ends_it_without_a_limit() -> None:
    async def over(messages: Sequence[Message]) -> bool:
        return len(messages) == 3

    cast = two()
    by_condition = GroupChat([cast["writer"], cast["critic"]], select=lambda state: "writer", max_rounds=2, until=over)
    assert cast.run(by_condition.run("Write.")).limit_hit is None

    cast = two()
    by_choice = GroupChat([cast["writer"]], select=lambda state: "writer" if state.round < 2 else None)
    response = cast.run(by_choice.run("Write."))
    assert (response.text, response.agent, response.limit_hit) == ("Two.", "writer", None)


def test_a_function_is_told_once_what_was_wrong_with_its_choice() -> None:
    states: list[GroupState] = []

    async def select(state: GroupState) -> str:
        states.append(state)
        return "critic" if state.fault else "somebody"

    cast = two()
    cast.run(GroupChat([cast["writer"], cast["critic"]], select=select, max_rounds=1).run("Write."))
    assert [state.fault for state in states] == ["", "'somebody' is no participant; choose one of: writer, critic."]
    assert len(cast.clients["critic"].requests) == 1


def test_an_unknown_choice_twice_gives_the_word_to_the_next_in_turn() -> None:
    cast = two()
    chat = GroupChat([cast["writer"], cast["critic"]], select=lambda state: "somebody", max_rounds=3)
    events, _ = collected(cast, chat)
    speakers = [event.to_dict()["data"]["speaker"] for event in events if event.type == "group_chat"]
    assert speakers == ["writer", "critic", "writer"]
    assert sum(event.type == "warning" for event in events) == 3


def test_an_agent_that_leads_reads_the_conversation_and_who_may_speak() -> None:
    cast = two()
    leader = cast.agent("leader", [choice("critic"), choice("", done=True)])
    response = cast.run(GroupChat([cast["writer"], cast["critic"]], select=leader).run("Write."))
    first, second = cast.seen_by("leader", 0), cast.seen_by("leader", 1)
    assert "- critic: Does the part of the critic." in first[-1][1]
    assert second[-1][1].startswith("critic: Hm.\n")
    assert (response.text, response.limit_hit) == ("Hm.", None)
    assert response.steps == 3


def test_a_leader_gets_one_repair_and_then_turns_are_taken() -> None:
    cast = two()
    leader = cast.agent("leader", [choice("x"), choice("critic"), choice("x"), "what?", choice("", done=True)])
    events, error = collected(cast, GroupChat([cast["writer"], cast["critic"]], select=leader))
    assert error is None
    speakers = [event.to_dict()["data"]["speaker"] for event in events if event.type == "group_chat"]
    assert speakers == ["critic", "writer"]


def test_a_leader_that_is_done_before_anybody_spoke_gives_an_empty_answer() -> None:
    cast = two()
    leader = cast.agent("leader", [choice("", done=True)])
    response = cast.run(GroupChat([cast["writer"]], select=leader).run("Write."))
    assert (response.text, response.messages, response.finish_reason) == ("", (), "stop")


def test_no_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="max_rounds"):
        GroupChat([idle("writer")], select=lambda state: None, max_rounds=0)


def test_the_outcome_may_be_the_last_words_of_one_of_them() -> None:
    cast = two()
    chat = GroupChat(
        [cast["writer"], cast["critic"]],
        select=lambda state: state.participants[state.round % 2],
        until=lambda messages: messages[-1].text == "Better.",
        answer_from="writer",
    )
    response = cast.run(chat.run("Write."))
    assert (response.text, response.agent, response.limit_hit) == ("Two.", "writer", None)
    with pytest.raises(ValueError, match="answer_from"):
        GroupChat([idle("writer")], select=lambda state: None, answer_from="nobody")
