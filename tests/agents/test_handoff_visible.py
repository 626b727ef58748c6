"""What an agent sees of a conversation whose context it does not share, whatever was said in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from antiphon.agents.handoff import Apart, own_part, visible
from antiphon.models.llm.content import FunctionCall, FunctionResult
from antiphon.models.llm.messages import Message, tool_message

AGENTS = ("desk", "billing", "service")
DEEDS = st.lists(st.sampled_from([("user", ""), *[(deed, agent) for deed in ("say", "call") for agent in AGENTS]]))


def conversation(deeds: list[tuple[str, str]], first: int = 0) -> list[Message]:
    """Messages that tell in their text whose they are; a call is followed by its result."""
    messages: list[Message] = []
    for number, (deed, agent) in enumerate(deeds, first):
        if deed == "user":
            messages.append(Message("user", f"question {number}"))
        elif deed == "say":
            messages.append(Message("assistant", f"words of {agent}", author_name=agent))
        else:
            call = FunctionCall(f"call_{number}", f"tool of {agent}", "{}")
            messages.append(Message("assistant", (call,), author_name=agent))
            messages.append(tool_message(FunctionResult(call.call_id, call.name, "ok", f"result for {agent}")))
    return messages


@given(before=DEEDS, after=DEEDS)
def test_nothing_of_another_agent_is_seen_and_every_result_has_its_call(
    before: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    came = FunctionCall("came", "handoff_to_billing", "{}")
    answer = tool_message(FunctionResult("came", came.name, "ok", "accepted"))
    passing = [Message("assistant", (came,), author_name="desk"), answer]
    apart = Apart("billing", "came", "A bill.")
    seen = visible([*conversation(before), *passing, *conversation(after, 1_000)], apart)
    assert {message.author_name for message in seen} <= {None, "billing"}
    texts = [message.text for message in seen] + [message.result.text for message in seen if message.result]
    assert not [text for text in texts if text.endswith(("desk", "service")) and "question" not in text]
    calls = {call.call_id for message in seen for call in message.calls}
    results = [message.result.call_id for message in seen if message.result is not None]
    assert {each for each in results if int(each.removeprefix("call_")) < 1_000} <= calls
    assert [message.text for message in seen].count("A bill.") == 1
    told = [f"question {number}" for number, (deed, _) in enumerate(after, 1_000) if deed == "user"]
    assert [message.text for message in seen if message.text in told] == told, "what was said since then is seen"


@given(deeds=DEEDS)
def test_a_question_is_the_agents_where_it_was_the_first_to_answer(deeds: list[tuple[str, str]]) -> None:
    own: list[str] = []
    waiting: list[str] = []
    for number, (deed, agent) in enumerate(deeds):
        if deed == "user":
            waiting.append(f"question {number}")
            continue
        own += waiting if agent == "billing" else []
        waiting.clear()
    seen = own_part(conversation(deeds), Apart("billing", "", "x"))
    assert [message.text for message in seen if message.text.startswith("question")] == own


def test_messages_that_are_not_the_conversation_stay_as_they_are() -> None:
    messages = [Message("user", "Alone.")]
    assert visible(messages, Apart("billing", "came", "x")) is messages
    assert visible(messages, None) is messages
