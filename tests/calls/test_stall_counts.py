"""What a model's requests take, told when they are over."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from antiphon.calls.stall import StallGuard
from antiphon.clock import VirtualClock
from antiphon.errors import ChatClientUnavailableException
from antiphon.models.llm.content import Usage
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.failover import FailoverChatClient
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient

ASKED = [Message("user", "When?")]
DOWN = Reply(fault=ChatClientUnavailableException("It is down.", code="server_error"))


def test_the_time_in_which_nobody_listens_does_not_count() -> None:
    clock = VirtualClock()
    told: list[tuple[str, Usage, float]] = []
    model = ScriptedChatClient([Reply("At nine.", first_token_s=0.4, token_s=0.1, usage=Usage(7, 2))], clock=clock)

    async def scenario() -> None:
        counted = StallGuard(model, 3600, clock=clock, told=lambda *work: told.append(work))
        async for _ in counted.stream(ASKED, ChatOptions()):
            await clock.sleep(5.0)

    clock.run(scenario())
    ((name, usage, waited_s),) = told
    assert (name, usage) == (model.name, Usage(7, 2))
    assert waited_s == pytest.approx(0.5)


def test_of_models_that_stand_in_for_each_other_the_one_that_answered_is_told() -> None:
    clock = VirtualClock()
    told: list[str] = []
    first, second = ScriptedChatClient([DOWN], name="acme/large"), ScriptedChatClient(["At nine."], name="acme/small")

    async def scenario() -> None:
        chain = FailoverChatClient([first, second], clock=clock)
        counted = StallGuard(chain, 3600, clock=clock, told=lambda name, *_: told.append(name))
        assert counted.name == "acme/large|acme/small"
        assert [delta.text async for delta in counted.stream(ASKED, ChatOptions())]

    clock.run(scenario())
    assert told == ["acme/small"]


def test_an_answer_that_is_cut_is_told_and_one_that_never_came_is_not() -> None:
    clock = VirtualClock()
    told: list[Usage] = []
    model = ScriptedChatClient([Reply("We open at nine.", token_s=1), DOWN], clock=clock)
    counted = StallGuard(model, 3600, clock=clock, told=lambda _name, usage, _waited_s: told.append(usage))

    async def scenario() -> None:
        async with aclosing(counted.stream(ASKED, ChatOptions())) as deltas:
            await anext(deltas)
        assert model.closed == 1
        with pytest.raises(ChatClientUnavailableException):
            await anext(counted.stream(ASKED, ChatOptions()))

    clock.run(scenario())
    assert told == [Usage()]
