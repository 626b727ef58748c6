"""What the model is told: the caller's words once, tools with their results, and only what was heard."""

from __future__ import annotations

from antiphon.agents.history import repair
from antiphon.calls.history import History, ReplyRecord
from antiphon.models.llm.content import FunctionCall, FunctionResult
from antiphon.models.llm.messages import Message

CALL = FunctionCall("call_1", "look_up", "{}")


def result(text: str) -> FunctionResult:
    return FunctionResult(CALL.call_id, CALL.name, "ok", text)


def told(history: History) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in history.messages]


def test_only_what_was_heard_is_told_and_marked_when_it_was_cut() -> None:
    history = History()
    history.hear_user("When?", "When?")
    history.add_reply(ReplyRecord("We open at nine and close at five.", "We open at nine and", "We open", True))
    assert history.messages[-1] == Message("assistant", "We open", interrupted=True)
    assert history.replies[-1].generated.endswith("at five.")


def test_a_reply_of_which_nothing_was_heard_is_kept_for_people_only() -> None:
    history = History()
    history.hear_user("When?", "When?")
    history.add_reply(ReplyRecord("We open at nine.", "We open", "", True))
    assert told(history) == [("user", "When?")]
    assert len(history.replies) == 1


def test_a_turn_that_goes_on_is_one_message() -> None:
    history = History()
    history.hear_user("On Monday?", "On Monday?")
    history.hear_user("On Monday? Or Tuesday?", "Or Tuesday?")
    assert told(history) == [("user", "On Monday? Or Tuesday?")]


def test_a_turn_that_goes_on_after_a_tool_is_a_second_message() -> None:
    history = History()
    history.hear_user("On Monday?", "On Monday?")
    history.call_tools([CALL])
    history.add_result(result("free"))
    history.hear_user("On Monday? Or Tuesday?", "Or Tuesday?")
    assert told(history) == [("user", "On Monday?"), ("assistant", ""), ("tool", "free"), ("user", "Or Tuesday?")]


def test_a_turn_without_new_words_changes_nothing() -> None:
    history = History()
    history.hear_user("On Monday?", "On Monday?")
    history.call_tools([CALL])
    history.add_result(result("free"))
    before = told(history)
    history.hear_user("On Monday?", "")
    assert told(history) == before


def test_a_try_leaves_no_trace() -> None:
    history = History()
    history.hear_user("When?", "When?")
    asked = history.with_user("When? Today?", "Today?")
    asked.append(Message("assistant", "tried"))
    assert told(history) == [("user", "When?")]


def test_a_result_is_kept_once_however_often_and_late_it_comes() -> None:
    history = History()
    history.hear_user("When?", "When?")
    history.call_tools([CALL])
    history.add_reply(ReplyRecord("One moment.", "One moment.", "One moment.", False))
    history.add_result(result("free"))
    history.add_result(result("taken"))
    history.add_result(FunctionResult("unknown", "look_up", "ok", "never asked for"))
    assert [message.text for message in history.messages if message.role == "tool"] == ["free"]
    assert [message.role for message in repair(history.messages)] == ["user", "assistant", "tool", "assistant"]
