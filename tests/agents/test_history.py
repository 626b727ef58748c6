"""A request is valid whatever the history holds."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from antiphon.agents.history import build_request, repair, with_unique_ids, without_calls
from antiphon.models.llm.content import ApprovalRequest, FunctionCall, FunctionResult, Text
from antiphon.models.llm.messages import Message, Role, tool_message
from antiphon.tools.invoke import INTERRUPTED, result_of

ADD = FunctionCall("c1", "add", "{}")
SUB = FunctionCall("c2", "sub", "{}")


def answer(call: FunctionCall, text: str) -> Message:
    return tool_message(FunctionResult(call.call_id, call.name, "ok", text))


def says(role: Role, text: str = "", calls: tuple[FunctionCall, ...] = ()) -> Message:
    return Message(role, (*((Text(text),) if text else ()), *calls))


def texts(messages: list[Message]) -> list[tuple[str, str, tuple[FunctionCall, ...]]]:
    return [(message.role, message.text, message.calls) for message in messages]


def test_a_sound_history_stays_as_it_is() -> None:
    sound = [
        Message("user", "2+3?"),
        says("assistant", "Let me see.", (ADD, SUB)),
        answer(ADD, "5"),
        answer(SUB, "1"),
        Message("assistant", "Five."),
        Message("user", "Thanks."),
    ]
    assert repair(sound) == sound


def test_a_call_without_result_gets_the_text_that_it_was_interrupted() -> None:
    history = [Message("user", "?"), says("assistant", calls=(ADD, SUB)), answer(SUB, "1"), Message("user", "wait")]
    assert repair(history) == [
        history[0],
        history[1],
        tool_message(result_of(ADD, "interrupted", INTERRUPTED)),
        answer(SUB, "1"),
        history[3],
    ]


def test_a_late_result_moves_to_its_call() -> None:
    history = [says("assistant", calls=(ADD,)), Message("user", "wait"), answer(ADD, "5"), Message("user", "so?")]
    assert repair(history) == [history[0], history[2], Message("user", "wait\nso?")]


def test_results_without_a_call_and_second_results_leave() -> None:
    history = [answer(SUB, "?"), says("assistant", calls=(ADD,)), answer(ADD, "5"), answer(ADD, "6")]
    assert repair(history) == history[1:3]


def test_neighbours_of_one_side_are_joined_and_empty_messages_leave() -> None:
    history = [
        Message("user", "Hello"),
        Message("assistant", ""),
        Message("user", "are you there"),
        Message("assistant", "Yes,", interrupted=True),
        says("assistant", "I am.", (ADD,)),
        answer(ADD, "5"),
    ]
    assert repair(history) == [
        Message("user", "Hello\nare you there"),
        says("assistant", "Yes, I am.", (ADD,)),
        answer(ADD, "5"),
    ]


def test_there_is_one_system_message_and_it_is_the_first() -> None:
    history = [Message("system", "Summary."), Message("user", "hi"), Message("system", "Fact.")]
    assert build_request("Be kind.", history) == [
        Message("system", "Be kind.\n\nSummary.\n\nFact."),
        Message("user", "hi"),
    ]
    assert build_request("", [Message("user", "hi")]) == [Message("user", "hi")]


def test_ids_are_kept_where_they_are_sound() -> None:
    calls = (ADD, FunctionCall("", "x", ""), FunctionCall("c1", "y", ""), FunctionCall("", "z", ""))
    fixed = with_unique_ids(calls, [says("assistant", calls=(FunctionCall("call_1", "old", ""),))])
    ids = [call.call_id for call in fixed]
    assert ids[0] == "c1"
    assert len(set(ids)) == 4
    assert "call_1" not in ids
    assert [call.name for call in fixed] == ["add", "x", "y", "z"]


def test_a_result_becomes_a_tool_message_and_keeps_its_status() -> None:
    result = FunctionResult("c1", "add", "timeout", "too slow", 1.0)
    message = tool_message(result)
    assert (message.role, message.text, message.result) == ("tool", "too slow", result)
    assert repair([says("assistant", calls=(ADD,)), message])[1] == message


def test_what_is_only_for_the_record_is_not_sent() -> None:
    asked = Message("assistant", (ApprovalRequest("apr_1", ADD),))
    unheard = Message("assistant", (), interrupted=True, generated_text="Well.")
    assert repair([Message("user", "a"), asked, unheard, Message("user", "b")]) == [Message("user", "a\nb")]


def test_a_conversation_without_its_calls_is_valid_too() -> None:
    history = [
        Message("system", "Be kind."),
        Message("user", "2+3?"),
        says("assistant", "Let me see.", (ADD,)),
        answer(ADD, "5"),
        says("assistant", calls=(SUB,)),
        answer(SUB, "1"),
        Message("assistant", "Five."),
    ]
    assert texts(without_calls(history)) == [
        ("system", "Be kind.", ()),
        ("user", "2+3?", ()),
        ("assistant", "Let me see. Five.", ()),
    ]


IDS = st.sampled_from(["a", "b", "c"])
CALLS = st.lists(IDS, max_size=3, unique=True).map(lambda ids: tuple(FunctionCall(i, f"tool_{i}", "{}") for i in ids))
TEXTS = st.sampled_from(["", "hello", "yes."])
MESSAGES = st.one_of(
    st.builds(Message, st.just("user"), TEXTS),
    st.builds(Message, st.just("system"), TEXTS),
    st.builds(says, st.just("assistant"), TEXTS, CALLS),
    st.builds(lambda i, text: answer(FunctionCall(i, f"tool_{i}", "{}"), text), IDS, TEXTS),
)


@given(st.lists(MESSAGES, max_size=12))
def test_every_request_is_valid_and_repairing_twice_changes_nothing(history: list[Message]) -> None:
    request = build_request("Be kind.", history)
    assert [message.role for message in request].count("system") == 1
    assert request[0].role == "system"
    waiting: list[str] = []
    for before, message in itertools.pairwise(request):
        if message.role == "tool":
            assert message.result is not None
            assert message.result.call_id == waiting.pop(0)
            continue
        assert not waiting
        assert message.text or message.calls
        if not before.calls:
            assert before.role != message.role
        waiting = [call.call_id for call in message.calls]
    assert not waiting
    assert repair(request) == request
