"""Views of a conversation: groups stay whole, the order stays, what is promised stays, and what fits is untouched."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from antiphon.agents.compaction import SlidingWindow, TokenBudget, ToolResultCompaction, Truncation
from antiphon.agents.compaction.tokens import MEDIA_TOKENS, TokenCounter
from antiphon.models.llm.content import FunctionCall, FunctionResult, Media, Text
from antiphon.models.llm.messages import Message, tool_message
from tests.agents.talks import check_last_turns, check_whole_and_in_order, conversations, place_of, seen, tokens, turns


@given(conversations(), st.integers(0, 5))
def test_sliding_window_keeps_the_last_turns_and_whole_groups(messages: list[Message], keep_turns: int) -> None:
    view = seen(SlidingWindow(keep_turns), messages)
    check_whole_and_in_order(messages, view)
    check_last_turns(messages, view, keep_turns)


@given(conversations(), st.integers(0, 3), st.integers(0, 1_500))
def test_truncation_fits_or_is_minimal(messages: list[Message], keep_turns: int, max_tokens: int) -> None:
    view = seen(Truncation(keep_turns=keep_turns), messages, max_tokens)
    check_whole_and_in_order(messages, view)
    check_last_turns(messages, view, keep_turns)
    if tokens(view) > max_tokens:
        newest = messages[-1].additional_properties["turn"]
        stays = {
            message.additional_properties["group"]
            for message in messages
            if message.pinned or message.additional_properties["turn"] >= newest - keep_turns
        }
        for message in view:
            about = message.additional_properties
            alone = message.pinned or message.role == "system" or about["turn"] >= newest - keep_turns
            assert alone or (about["group"] is not None and about["group"] in stays), "this could have been dropped"
    if tokens(messages) <= max_tokens:
        assert view == messages


@given(conversations(), st.integers(0, 4), st.integers(0, 300))
def test_tool_results_are_cut_and_the_rest_is_untouched(messages: list[Message], groups: int, chars: int) -> None:
    view = seen(ToolResultCompaction(groups, chars), messages)
    assert len(view) == len(messages)
    callers = [place for place, message in enumerate(messages) if message.calls]
    begin = callers[-groups] if 0 < groups <= len(callers) else (0 if groups else len(messages))
    for place, (old, new) in enumerate(zip(messages, view, strict=True)):
        if old.role != "tool" or old.pinned or place >= begin:
            assert new is old
        else:
            assert old.result is not None
            assert new.result is not None
            assert new.result.call_id == old.result.call_id
            assert len(new.result.text) <= len(old.result.text)
            assert new.text == old.text or new.text.startswith(old.text[:chars] + " … [")


@given(conversations(), st.integers(50, 1_500))
def test_token_budget_changes_nothing_that_fits_and_never_tears(messages: list[Message], max_tokens: int) -> None:
    view = seen(TokenBudget(max_tokens), messages)
    if tokens(messages) <= max_tokens:
        assert all(one is other for one, other in zip(messages, view, strict=True))
    else:
        kept = {place_of(messages, message) for message in view}
        newest = messages[-1].additional_properties["turn"]
        for place, message in enumerate(messages):
            if message.pinned or message.role == "system" or message.additional_properties["turn"] == newest:
                assert place in kept
        groups = [(message.additional_properties["group"], place in kept) for place, message in enumerate(messages)]
        assert len({group for group, _ in groups if group is not None}) == len(
            {pair for pair in groups if pair[0] is not None}
        )


@given(st.lists(st.text(max_size=40), max_size=30), st.data())
def test_running_total_equals_a_fresh_count(texts: list[str], data: st.DataObject) -> None:
    counter = TokenCounter()
    messages = [Message("user", text) for text in texts]
    for _ in range(6):
        assert counter.total(messages) == tokens(messages)
        change = data.draw(st.sampled_from(["append", "replace", "pop", "front"]))
        if change == "append" or not messages:
            messages.append(Message("assistant", data.draw(st.text(max_size=40))))
        elif change == "replace":
            messages[data.draw(st.integers(0, len(messages) - 1))] = Message("user", data.draw(st.text(max_size=40)))
        elif change == "pop":
            messages.pop(data.draw(st.integers(0, len(messages) - 1)))
        else:
            messages.insert(0, Message("system", data.draw(st.text(max_size=40))))
    assert counter.total(messages) == tokens(messages)


@given(conversations(max_turns=12), st.integers(100, 1_200))
def test_views_of_a_growing_conversation_never_tear_and_fit(messages: list[Message], max_tokens: int) -> None:
    budget = TokenBudget(max_tokens)
    state: dict[str, Any] = {}
    for length in range(1, len(messages) + 1):
        begun = messages[:length]
        view = budget.view(begun, max_tokens=None, state=state)
        check_whole_and_in_order(begun, view)
        assert view[-1] is begun[-1]
        fresh = TokenBudget(max_tokens).view(begun, max_tokens=None, state={})
        assert tokens(view) <= max(max_tokens, tokens(fresh))


def test_view_keeps_its_beginning_while_it_fits() -> None:
    budget = TokenBudget(1_000)
    state: dict[str, Any] = {}
    messages = turns(100)
    changes = 0
    before: list[Message] = []
    for length in range(1, len(messages) + 1):
        view = budget.view(messages[:length], max_tokens=None, state=state)
        assert tokens(view) <= 1_000
        changes += view[: len(before)] != before
        before = view
    assert 0 < changes < 200 * 27 / 150, "each cut makes room for a fifth of the limit"


def test_result_that_comes_late_brings_its_call_back_and_nothing_else() -> None:
    budget = TokenBudget(1_000)
    state: dict[str, Any] = {}
    call = Message("assistant", FunctionCall("call_late", "look", "{}"))
    messages = [*turns(2), call, *turns(30)]
    assert call not in budget.view(messages, max_tokens=None, state=state)
    messages.append(tool_message(FunctionResult("call_late", "look", text="There.")))
    view = budget.view(messages, max_tokens=None, state=state)
    assert (view[0], view[-1]) == (call, messages[-1])
    assert tokens(view) <= 1_000


# Counting


def test_estimate_is_bytes_through_four_and_four() -> None:
    counter = TokenCounter()
    assert counter.of(Message("user", "x" * 40)) == 14
    assert counter.of(Message("user", "ä" * 20)) == 14
    assert counter.of(Message("assistant", FunctionCall("call_1", "look", '{"at":"it"}'))) == 4 + 4
    assert (
        counter.of(Message("user", (Text("x" * 8), Media.from_bytes(b"1" * 99_999, "image/png")))) == 6 + MEDIA_TOKENS
    )


def test_tokenizer_takes_the_place_of_the_estimate() -> None:
    assert TokenCounter(lambda text: len(text.split())).of(Message("user", "one two three")) == 7


def test_providers_counts_correct_the_budget() -> None:
    budget = TokenBudget(100)
    messages = turns(4, size=32)
    assert budget.view(messages, max_tokens=None, state={}) == messages
    estimated = budget.estimate(messages)
    budget.note_usage(estimated, 2 * estimated)
    assert estimated < budget.estimate(messages) <= 2 * estimated
    assert len(budget.view(messages, max_tokens=None, state={})) < 8
    for _ in range(20):
        budget.note_usage(budget.estimate(messages), estimated)
    assert budget.estimate(messages) == estimated
    budget.note_usage(0, 10)
    budget.note_usage(10, 0)
    assert budget.estimate(messages) == estimated


def test_budget_comes_from_the_window_or_is_eight_thousand() -> None:
    messages = turns(200, size=190)  # 52 tokens each
    assert tokens(messages) == 400 * 52

    def left(window: int | None, most: int | None = None) -> int:
        budget = TokenBudget(most, chain=[Truncation()])
        return tokens(budget.view(messages, max_tokens=window, state={}))

    for most, view in ((8_000, left(None)), (0.85 * 12_000, left(12_000)), (500, left(12_000, 500))):
        assert 0.8 * most - 53 < view <= 0.8 * most
