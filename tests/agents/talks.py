"""Conversations for the tests of compaction, and what must hold for a view of one."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from antiphon.agents.compaction import Compaction
from antiphon.agents.compaction.tokens import TokenCounter
from antiphon.models.llm.content import FunctionCall, FunctionResult, Text
from antiphon.models.llm.messages import Message, tool_message


def turns(count: int, *, size: int = 90) -> list[Message]:
    return [
        Message(role, f"{number} {role} ".ljust(size, "x"), message_id=f"msg_{number}_{role}")
        for number in range(count)
        for role in ("user", "assistant")
    ]


@st.composite
def conversations(draw: st.DrawFn, max_turns: int = 6) -> list[Message]:
    """Messages that tell in their properties which turn, and which call group if any, they are of."""
    made: list[Message] = []
    late: list[tuple[str, int]] = []
    with_ids = draw(st.booleans())
    turn = 0

    def add(message: Message, group: int | None = None) -> None:
        nonlocal turn
        if message.role == "user" and (not made or made[-1].role != "user"):
            turn += 1
        made.append(
            message.replace(
                message_id=f"msg_{len(made)}" if with_ids else None,
                pinned=draw(st.integers(0, 11)) == 0,
                additional_properties={"turn": turn, "group": group},
            )
        )

    def words() -> str:
        return f"{len(made)} " + "x" * draw(st.integers(0, 120))

    def add_result(call_id: str, group: int) -> None:
        add(tool_message(FunctionResult(call_id, "look", text=words() * 8)), group)

    if draw(st.booleans()):
        add(Message("assistant", words()))
    for group in range(draw(st.integers(0, max_turns))):
        for _ in range(draw(st.integers(1, 2))):
            add(Message("user", words()))
        for _ in range(draw(st.integers(0, len(late)))):
            add_result(*late.pop())
        for step in range(draw(st.integers(0, 3))):
            number = group * 10 + step
            ids = [f"call_{number}_{each}" for each in range(draw(st.integers(1, 3)))]
            calls = [FunctionCall(each, "look", "{}") for each in ids]
            add(Message("assistant", (Text(words()), *calls)), number)
            for each in ids:
                chance = draw(st.integers(0, 7))
                if chance == 0:
                    add(Message("user", words()))
                if chance == 1:
                    late.append((each, number))
                else:
                    add_result(each, number)
        if made[-1].role == "user" or draw(st.booleans()):
            add(Message("assistant", words()))
        if draw(st.integers(0, 9)) == 0:
            add(Message("system", words()))
    return made


def check_whole_and_in_order(before: list[Message], view: list[Message]) -> None:
    places = [place for message in view for place in [place_of(before, message)] if place is not None]
    assert places == sorted(set(places))
    kept = set(places)
    groups: dict[int, set[bool]] = {}
    for place, message in enumerate(before):
        group = message.additional_properties["group"]
        if group is not None:
            groups.setdefault(group, set()).add(place in kept)
        if message.pinned or message.role == "system":
            assert place in kept
    assert all(len(kept_or_not) == 1 for kept_or_not in groups.values()), "a call group is torn"


def check_last_turns(before: list[Message], view: list[Message], keep_turns: int) -> None:
    """The last whole turns and the running one are there word for word."""
    newest = before[-1].additional_properties["turn"] if before else 0
    tail = [message for message in before if message.additional_properties["turn"] >= newest - keep_turns]
    assert [message for message in view if any(message is each for each in tail)] == tail


def place_of(before: list[Message], message: Message) -> int | None:
    """Where a message comes from: texts begin with their place."""
    if not message.additional_properties:
        return None
    return int(message.text.split()[0])


def seen(strategy: Compaction, messages: list[Message], max_tokens: int | None = None) -> list[Message]:
    """A view, after which nothing has changed."""
    copy, texts = messages.copy(), [message.to_dict() for message in messages]
    view = strategy.view(messages, max_tokens=max_tokens, state={})
    assert view is not messages
    assert messages == copy
    assert all(one is other for one, other in zip(messages, copy, strict=True))
    assert [message.to_dict() for message in messages] == texts
    return view


def tokens(messages: Sequence[Message]) -> int:
    return sum(map(TokenCounter().of, messages))
