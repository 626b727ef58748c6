"""Agents side by side."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from antiphon.agents.orchestrations.concurrent import Concurrent
from antiphon.agents.responses import AgentResponse
from antiphon.errors import ChatClientInvalidResponseException
from antiphon.models.llm.content import Usage
from antiphon.models.llm.scripted import Reply
from tests.agents.orchestrations.helpers import Cast, collected, idle, said


def team_of(*seconds: float) -> Cast:
    return Cast({f"p{index}": [Reply(f"Answer {index}.", first_token_s=wait)] for index, wait in enumerate(seconds)})


def test_it_takes_the_longest_time_and_not_the_sum_and_joins_in_declared_order() -> None:
    cast = team_of(3.0, 1.0, 2.0)
    response = cast.run(Concurrent(list(cast.agents.values())).run("Go."))
    assert cast.clock.now() == pytest.approx(3.0)
    assert response.text == "Answer 0.\n\nAnswer 1.\n\nAnswer 2."
    assert said(response.messages) == [("p0", "Answer 0."), ("p1", "Answer 1."), ("p2", "Answer 2.")]
    assert (response.usage, response.steps) == (Usage(6, 6), 3)
    assert all(cast.seen_by(name) == [("user", "Go.")] for name in cast.agents)


def test_at_most_max_parallel_are_at_work_at_once() -> None:
    cast = team_of(1.0, 1.0, 1.0, 1.0, 1.0)
    cast.run(Concurrent(list(cast.agents.values()), max_parallel=2).run("Go."))
    assert cast.clock.now() == pytest.approx(3.0)


def test_a_function_may_put_the_answers_together() -> None:
    cast = team_of(0.0, 0.0)

    async def count(answers: Mapping[str, AgentResponse]) -> str:
        return f"{len(answers)} answers of {', '.join(answers)}"

    response = cast.run(Concurrent(list(cast.agents.values()), aggregator=count).run("Go."))
    assert response.text == "2 answers of p0, p1"
    assert said(response.messages)[-1] == ("concurrent", "2 answers of p0, p1")


def test_an_agent_may_put_the_answers_together_and_its_words_are_streamed() -> None:
    cast = team_of(0.0, 0.0)
    editor = cast.agent("editor", ["All agree."])
    team = Concurrent(list(cast.agents.values()), aggregator=editor)
    events, _ = collected(cast, team)
    assert cast.seen_by("editor") == [("user", "Bread?\np0: Answer 0.\np1: Answer 1.")]
    assert [event.agent for event in events if event.is_answer] == ["editor", "editor"]
    output = events[-1].data
    assert isinstance(output, AgentResponse)
    assert (output.text, output.agent) == ("All agree.", "editor")


def test_one_failure_ends_the_others_at_once() -> None:
    cast = Cast({"slow": [Reply("Late.", first_token_s=60.0)], "bad": [Reply(fault="garbage", first_token_s=1.0)]})
    with pytest.raises(ChatClientInvalidResponseException):
        cast.run(Concurrent([cast["slow"], cast["bad"]]).run("Go."))
    assert cast.clock.now() == pytest.approx(1.0)


def test_when_all_fail_a_partial_answer_fails_too() -> None:
    cast = Cast({"one": [Reply(fault="garbage")], "two": [Reply(fault="garbage")]})
    with pytest.raises(ChatClientInvalidResponseException):
        cast.run(Concurrent([cast["one"], cast["two"]], allow_partial=True).run("Go."))


def test_nobody_at_work_is_refused() -> None:
    with pytest.raises(ValueError, match="max_parallel"):
        Concurrent([idle("a")], max_parallel=0)
