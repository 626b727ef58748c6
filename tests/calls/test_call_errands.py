"""Tools that outlast their turn and calls that wait for a person: their results are told in the next pause."""

from __future__ import annotations

from typing import Any

import pytest
from invariants import check, check_nothing_left
from phone import CallUnderTest, calling

from antiphon.agents.agent import Agent
from antiphon.calls.events import (
    AgentSpeechCompleted,
    AgentSpeechStarted,
    SessionError,
    ToolApprovalDecided,
    ToolApprovalRequested,
    ToolCalled,
    ToolExecuted,
    TurnCompleted,
    TurnMetrics,
    UserTurnCompleted,
)
from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.clock import VirtualClock
from antiphon.errors import AgentInvalidRequestException
from antiphon.models.llm.content import ApprovalRequest, ApprovalResponse
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.tools.tool import FunctionTool

CALL = Reply(calls=(tool_call("search", topic="trains"),))


def searcher(clock: VirtualClock, seconds: float, **options: Any) -> Agent:
    """An agent whose tool takes its time behind the conversation."""

    async def search(topic: str) -> str:
        """Search."""
        await clock.sleep(seconds)
        return f"two {topic}"

    return Agent("tester", "Answer.", tools=[FunctionTool(search, wait="later", timeout_s=60.0, **options)])


def answering(*replies: Any, clock: VirtualClock) -> ScriptedChatClient:
    return ScriptedChatClient([CALL, "I will look it up.", *replies], clock=clock)


def spoken(call: CallUnderTest) -> list[str]:
    return [message.text for message in call.call.history.messages if message.text and message.role != "tool"]


def test_a_late_result_is_told_in_the_next_pause() -> None:
    clock = VirtualClock()
    llm = answering("There are two trains.", clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=searcher(clock, 5.0), stt=["Which trains?"], llm=llm) as call:
            await call.speak(1)
            await call.quiet(12)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert spoken(call) == ["Which trains?", "I will look it up.", "There are two trains."]
    asked = llm.requests[-1].messages
    assert [message.role for message in asked[-2:]] == ["assistant", "tool"]
    assert asked[-1].text == "two trains"
    (executed,) = call.events(ToolExecuted)
    assert (executed.output, executed.is_error) == ("two trains", False)
    assert call.at(ToolExecuted) <= call.at(AgentSpeechStarted, 1) < call.at(ToolExecuted) + 0.1
    assert [event.agent_first for event in call.events(TurnCompleted)] == [False, True]
    assert len(call.events(TurnMetrics)) == 1


def test_a_result_that_comes_while_the_agent_speaks_waits_for_the_end_of_its_words() -> None:
    clock = VirtualClock()
    llm = answering("There are two trains.", clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=searcher(clock, 0.5), stt=["Which trains?"], llm=llm) as call:
            await call.speak(1)
            await call.quiet(8)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.at(ToolExecuted) < call.at(AgentSpeechCompleted)
    assert llm.opened == 3
    assert spoken(call)[-1] == "There are two trains."


def test_a_caller_who_speaks_first_gets_the_result_with_the_answer() -> None:
    clock = VirtualClock()
    llm = answering("Two trains, and yes.", clock=clock)

    async def scenario() -> CallUnderTest:
        stt = ["Which trains?", "And is there a bus?"]
        async with calling(clock, agent=searcher(clock, 4.0), stt=stt, llm=llm) as call:
            await call.speak(1)
            await call.quiet(3)
            await call.speak(2)
            await call.quiet(6)
        return call

    call = clock.run(scenario())
    check(call)
    assert llm.opened == 3
    assert [message.role for message in llm.requests[-1].messages[-3:]] == ["assistant", "tool", "user"]
    assert spoken(call)[-2:] == ["And is there a bus?", "Two trains, and yes."]


def test_a_result_behind_an_answer_that_was_tried_already_is_told_after_it() -> None:
    clock = VirtualClock()
    llm = answering(Reply("Yes there is.", first_token_s=0.2), "And two trains.", clock=clock)
    policy = CallPolicy(turn=TurnPolicy(complete_delay_s=0.9))

    async def scenario() -> CallUnderTest:
        stt = ["Which trains?", "And is there a bus?"]
        async with calling(clock, agent=searcher(clock, 5.15), stt=stt, llm=llm, policy=policy) as call:
            await call.speak(1)
            await call.quiet(4)
            await call.speak(1.6)
            await call.quiet(8)
        return call

    call = clock.run(scenario())
    check(call)
    tried_at = call.at(UserTurnCompleted, 1)
    assert tried_at - 0.9 < call.at(ToolExecuted) < tried_at
    assert spoken(call)[-3:] == ["And is there a bus?", "Yes there is.", "And two trains."]


def test_a_result_that_the_caller_talks_over_is_known_to_the_model() -> None:
    clock = VirtualClock()
    llm = answering(Reply("There are two trains.", first_token_s=2.0), "Two trains and a bus.", clock=clock)

    async def scenario() -> CallUnderTest:
        stt = ["Which trains?", "And is there a bus?"]
        async with calling(clock, agent=searcher(clock, 4.0), stt=stt, llm=llm) as call:
            await call.speak(1)
            await call.quiet(4.5)
            assert llm.opened == 3
            await call.speak(1)
            await call.quiet(6)
        return call

    call = clock.run(scenario())
    check(call)
    assert spoken(call)[-2:] == ["And is there a bus?", "Two trains and a bus."]
    results = [message.text for message in llm.requests[-1].messages if message.role == "tool"]
    assert results[-1] == "two trains"
    assert results.count("two trains") == 1


def test_a_model_with_nothing_to_say_of_it_stays_silent() -> None:
    clock = VirtualClock()
    llm = answering("", clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=searcher(clock, 5.0), stt=["Which trains?"], llm=llm) as call:
            await call.speak(1)
            await call.quiet(9)
        return call

    call = clock.run(scenario())
    check(call)
    assert llm.opened == 3
    assert call.events(SessionError) == []
    assert spoken(call)[-1] == "I will look it up."


def test_a_result_after_the_call_is_told_to_nobody() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        agent, llm = searcher(clock, 30.0), answering(clock=clock)
        async with calling(clock, agent=agent, stt=["Which trains?"], llm=llm) as call:
            await call.speak(1)
            await call.quiet(4)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert call.events(ToolExecuted) == []


# Approval.


def cancelling(runs: list[str]) -> Agent:
    async def cancel(order: str) -> str:
        """Cancel an order."""
        runs.append(order)
        return f"{order} is cancelled"

    return Agent("tester", "Answer.", tools=[FunctionTool(cancel, approval_mode="always_require")])


def asking(clock: VirtualClock, *replies: str) -> ScriptedChatClient:
    first = Reply(calls=(tool_call("cancel", order="A7"),))
    return ScriptedChatClient([first, "I passed it on.", *replies], clock=clock)


def approval(call: CallUnderTest) -> ApprovalRequest:
    (asked,) = call.events(ToolApprovalRequested)
    return call.call.session.approvals.open[asked.id]


@pytest.mark.parametrize("approved", [True, False])
def test_what_a_person_decides_during_the_call_is_told_in_the_next_pause(approved: bool) -> None:
    clock = VirtualClock()
    runs: list[str] = []
    llm = asking(clock, "It is decided.")

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=cancelling(runs), stt=["Cancel it."], llm=llm) as call:
            await call.speak(1)
            await call.quiet(4)
            assert runs == []
            answer = ApprovalResponse(call.events(ToolApprovalRequested)[0].id, approved, reason="Too late.")
            call.call.decide(answer)
            with pytest.raises(AgentInvalidRequestException, match="answered before"):
                call.call.decide(answer)
            await call.quiet(4)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert runs == (["A7"] if approved else [])
    assert "passed on" in llm.requests[1].messages[-1].text
    (asked,) = call.events(ToolApprovalRequested)
    (decided,) = call.events(ToolApprovalDecided)
    assert (asked.name, asked.prompt) == ("cancel", "cancel(order='A7')")
    assert (decided.id, decided.call_id, decided.approved) == (asked.id, asked.call_id, approved)
    assert call.events(ToolCalled)[0].arguments == {"order": "A7"}
    told = llm.requests[-1].messages[-1].text
    assert ("A7 is cancelled" in told) if approved else ("Too late." in told)
    assert call.events(ToolExecuted)[0].is_error is not approved
    assert spoken(call)[-1] == "It is decided."


def test_an_approval_for_the_whole_call_is_not_asked_for_again() -> None:
    clock = VirtualClock()
    runs: list[str] = []
    again = Reply(calls=(tool_call("cancel", order="B8"),))
    llm = asking(clock, "Done.", again, "Done too.")  # type: ignore[arg-type]

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=cancelling(runs), stt=["Cancel it.", "The other too."], llm=llm) as call:
            await call.speak(1)
            await call.quiet(4)
            call.call.decide(approval(call).approve("session"))
            await call.quiet(4)
            await call.speak(1)
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    check(call)
    assert runs == ["A7", "B8"]
    assert len(call.events(ToolApprovalRequested)) == 1


def test_an_approved_call_that_fails_is_told_as_failed() -> None:
    clock = VirtualClock()

    async def cancel() -> str:
        """Cancel."""
        raise RuntimeError("broken")

    agent = Agent("tester", "Answer.", tools=[FunctionTool(cancel, approval_mode="always_require")])
    llm = ScriptedChatClient([Reply(calls=(tool_call("cancel"),)), "I passed it on.", "It failed."], clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=agent, stt=["Cancel it."], llm=llm) as call:
            await call.speak(1)
            await call.quiet(4)
            call.call.decide(approval(call).approve())
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.events(ToolExecuted)[0].is_error
    assert spoken(call)[-1] == "It failed."


def test_a_decision_after_the_call_is_refused() -> None:
    clock = VirtualClock()
    runs: list[str] = []

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=cancelling(runs), stt=["Cancel it."], llm=asking(clock)) as call:
            await call.speak(1)
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    with pytest.raises(AgentInvalidRequestException, match="over"):
        call.call.decide(approval(call).approve())
    assert runs == []
    check(call)


def test_an_unknown_request_is_refused() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with calling(clock) as call:
            with pytest.raises(AgentInvalidRequestException, match="no open approval"):
                call.call.decide(ApprovalResponse("apr_1", True))
        return call

    check(clock.run(scenario()))
