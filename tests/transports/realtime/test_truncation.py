"""A full context: what leaves it, and what a session does about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.agents.compaction.tokens import TokenCounter
from antiphon.errors import AgentInvalidRequestException
from antiphon.models.llm.content import FunctionCall, FunctionResult
from antiphon.models.llm.messages import Message, tool_message
from antiphon.transports.realtime.truncation import truncated
from tests.transports.realtime.mcp_client import talking

WORDS = "w" * 396  # 99 tokens, and 4 of the message


def turns(count: int) -> list[Message]:
    """Turns of 206 tokens: a question and an answer."""
    return [Message(role, f"{n} {WORDS}"[:396]) for n in range(count) for role in ("user", "assistant")]


def cut(messages: list[Message], rule: Any, max_tokens: int) -> list[Message]:
    return truncated(messages, rule, max_tokens=max_tokens, counter=TokenCounter())


def test_what_fits_stays_as_it_is() -> None:
    given_ = turns(3)
    for rule in ("auto", "disabled", {"type": "retention_ratio", "retention_ratio": 0.1}):
        assert cut(given_, rule, 3 * 206) == given_


def test_the_oldest_leave_until_the_rest_fits() -> None:
    given_ = turns(5)
    assert cut(given_, "auto", 5 * 206 - 1) == given_[1:]
    assert cut(given_, "auto", 3 * 206) == given_[4:]


def test_a_share_stays_where_the_client_wants_room() -> None:
    given_ = turns(10)
    rule = {"type": "retention_ratio", "retention_ratio": 0.5}
    assert cut(given_, rule, 10 * 206) == given_
    assert cut(given_, rule, 8 * 206) == given_[12:]
    limited = {**rule, "token_limits": {"post_instructions": 4 * 206}}
    assert cut(given_, limited, 100_000) == given_[16:]


def test_nothing_leaves_where_that_is_not_allowed() -> None:
    with pytest.raises(AgentInvalidRequestException) as refused:
        cut(turns(5), "disabled", 1_000)
    assert refused.value.code == "context_length_exceeded"


def test_the_turn_that_runs_stays_however_long_it_is() -> None:
    given_ = [*turns(2), Message("user", WORDS * 20)]
    assert cut(given_, "auto", 100) == given_[-1:]


@given(
    st.lists(st.sampled_from(["user", "assistant", "pair", "late"]), max_size=30),
    st.integers(0, 3_000),
    st.floats(0, 1),
)
def test_a_call_and_its_result_leave_together_and_the_order_stays(kinds: list[str], limit: int, ratio: float) -> None:
    messages: list[Message] = []
    late: list[Message] = []
    for number, kind in enumerate(kinds):
        if kind in ("user", "assistant"):
            messages.append(Message(kind, f"{number} {WORDS}"))  # type: ignore[arg-type]
            continue
        messages.append(Message("assistant", FunctionCall(f"c{number}", "look", "{}")))
        result = tool_message(FunctionResult(f"c{number}", "look", "ok", WORDS))
        (messages if kind == "pair" else late).append(result)
    messages += late
    for rule in ("auto", {"type": "retention_ratio", "retention_ratio": ratio}):
        kept = cut(messages, rule, limit)
        assert kept == [message for message in messages if message in kept]
        called = {each.call_id for message in kept for each in message.calls}
        answered = {message.result.call_id for message in kept if message.result is not None}
        assert called == answered
        users = [message for message in messages if message.role == "user"]
        assert not users or users[-1] in kept


LONG = "The quick brown fox jumps over the lazy dog, again and again and again. " * 6  # 108 tokens


async def test_the_items_stay_in_the_conversation(tmp_path: Path) -> None:
    async with talking(tmp_path, lambda _messages, _options: "Yes.", window=1_000) as talk:
        await talk.use()
        for number in range(12):
            done = await talk.ask(f"{number} {LONG}")
            assert done["status"] == "completed"
        asked = [text.partition(" ")[0] for role, text in talk.prompt() if role == "user"]
        assert asked[-1] == "11"
        assert len(asked) < 12
        first = talk.of("conversation.item.added")[0]["item"]["id"]
        await talk.send("conversation.item.retrieve", item_id=first)
        assert (await talk.until("conversation.item.retrieved"))["item"]["content"][0]["text"].startswith("0 ")


async def test_long_instructions_leave_less_room(tmp_path: Path) -> None:
    async with talking(tmp_path, lambda _messages, _options: "Yes.", window=1_010) as talk:
        await talk.use(instructions=LONG * 6)
        for number in range(5):
            await talk.ask(f"{number} {LONG}")
        request = talk.llm.requests[-1].messages
        assert sum(map(TokenCounter().of, request)) <= 1_010
        assert [text.partition(" ")[0] for role, text in talk.prompt() if role == "user"] == ["2", "3", "4"]


async def test_a_share_is_kept_by_a_session(tmp_path: Path) -> None:
    rule = {"type": "retention_ratio", "retention_ratio": 0.5, "token_limits": {"post_instructions": 600}}
    async with talking(tmp_path, lambda _messages, _options: "Yes.", window=100_000) as talk:
        await talk.use(truncation=rule)
        assert talk.of("session.updated")[-1]["session"]["truncation"] == rule
        for number in range(6):
            await talk.ask(f"{number} {LONG}")
        assert [text.partition(" ")[0] for role, text in talk.prompt() if role == "user"] == ["4", "5"]


async def test_a_full_context_fails_the_response_where_nothing_may_leave(tmp_path: Path) -> None:
    async with talking(tmp_path, lambda _messages, _options: "Yes.", window=500) as talk:
        await talk.use(truncation="disabled")
        for _ in range(3):
            assert (await talk.ask(LONG))["status"] == "completed"
        await talk.say(LONG)
        aside = await talk.ask(conversation="none")
        await talk.use(truncation="auto")
        assert (await talk.ask())["status"] == "completed"
        await talk.use(truncation="disabled")
        failed = await talk.ask(LONG)
        for done in (aside, failed):
            assert done["status"] == "failed"
            assert done["status_details"]["error"]["code"] == "context_length_exceeded"
        assert not talk.of("error")
