"""A model that falls silent is a model that failed."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from antiphon.calls.stall import StallGuard
from antiphon.clock import VirtualClock
from antiphon.errors import ChatClientUnavailableException
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient

ASKED = [Message("user", "When?")]


@pytest.mark.parametrize(("after", "words"), [(0, []), (2, ["We ", "open "])])
def test_a_model_that_stalls_has_failed_and_is_closed(after: int, words: list[str]) -> None:
    clock = VirtualClock()
    model = ScriptedChatClient([Reply("We open at nine.", fault="stall", fault_after=after)], clock=clock)
    read: list[str] = []

    async def read_all() -> None:
        async for delta in StallGuard(model, 3, clock=clock).stream(ASKED, ChatOptions()):
            read.append(delta.text)  # noqa: PERF401 - what came before the fault counts

    async def scenario() -> None:
        with pytest.raises(ChatClientUnavailableException, match="gave nothing for 3 s") as failed:
            await read_all()
        assert failed.value.code == "stalled"
        assert not failed.value.retryable
        assert clock.now() == 3

    clock.run(scenario())
    assert read == words
    assert model.closed == 1


def test_a_slow_model_has_its_time_for_each_word() -> None:
    clock = VirtualClock()
    model = ScriptedChatClient([Reply("We open at nine.", first_token_s=2.5, token_s=2.5)], clock=clock)

    async def scenario() -> str:
        return "".join([delta.text async for delta in StallGuard(model, 3, clock=clock).stream(ASKED, ChatOptions())])

    assert clock.run(scenario()) == "We open at nine."


def test_closing_closes_the_model_behind() -> None:
    clock = VirtualClock()
    model = ScriptedChatClient([Reply("We open at nine.", token_s=1)], clock=clock)

    async def scenario() -> None:
        async with aclosing(StallGuard(model, 3, clock=clock).stream(ASKED, ChatOptions())) as deltas:
            assert (await anext(deltas)).text == "We "
        assert model.closed == 1

    clock.run(scenario())
