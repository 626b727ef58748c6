"""A call whose ears, mind and mouth are one model: turns, words that were heard, functions, silences and failures."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from invariants import check, check_nothing_left
from phone import CallUnderTest
from s2s_phone import calling, session_of

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Handoff
from antiphon.agents.limits import RunLimits
from antiphon.audio.formats import PHONE
from antiphon.calls.call import Call
from antiphon.calls.contract import AnyCall
from antiphon.calls.events import (
    AgentHandoff,
    AgentSpeechCompleted,
    AgentSpeechCreated,
    AgentSpeechInterrupted,
    AgentSpeechStarted,
    AgentTextSpoken,
    SessionError,
    SessionStarted,
    SessionUsage,
    ToolApprovalRequested,
    ToolCalled,
    ToolExecuted,
    TurnCompleted,
    TurnMetrics,
    UserDtmf,
    UserIdle,
    UserSpeechStopped,
    UserTranscription,
    UserTurnCompleted,
)
from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.calls.s2s.answers import Item
from antiphon.calls.s2s.call import S2SCall
from antiphon.calls.speech import Speech
from antiphon.clock import VirtualClock
from antiphon.models.s2s.contract import SpeechStarted
from antiphon.models.s2s.scripted import Calls, S2SFault, ScriptedS2S
from antiphon.tools.prebuilt import end_call
from antiphon.tools.tool import FunctionTool

LONG = "The clinic opens every morning at nine and closes every afternoon at five except on the weekend."


def run(clock: VirtualClock, scenario: Any) -> CallUnderTest:
    """Run a scenario to its end; what holds for every call holds for it."""

    async def whole() -> CallUnderTest:
        call: CallUnderTest = await scenario()
        check_nothing_left()
        return call

    call = clock.run(whole())
    check(call)
    return call


def words(call: CallUnderTest) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in call.call.history.messages if message.text]


def test_greeting_and_a_spoken_turn() -> None:
    clock = VirtualClock()
    model = ScriptedS2S(["We open at nine."], heard=["When do you open?"], delay_s=0.4, clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=Agent("desk", greeting="Hello, this is the desk.")) as call:
            await call.quiet(2.5)
            await call.speak(1)
            await call.quiet(3)
        return call

    call = run(clock, scenario)
    assert words(call) == [
        ("assistant", "Hello, this is the desk."),
        ("user", "When do you open?"),
        ("assistant", "We open at nine."),
    ]
    [started] = call.events(SessionStarted)
    assert started.models == {"s2s": "scripted", "vad": "energy", "tts": "scripted"}
    assert [event.kind for event in call.events(AgentSpeechCreated)] == ["greeting", "reply"]
    assert [event.text for event in call.events(AgentTextSpoken)] == ["Hello, this is the desk.", "We open at nine."]
    assert call.events(UserTranscription)[-1].text == "When do you open?"
    [turn] = call.events(UserTurnCompleted)
    assert (turn.turn, turn.text) == (2, "When do you open?")
    assert [(event.turn, event.agent_first) for event in call.events(TurnCompleted)] == [(1, True), (2, False)]
    [metrics] = call.events(TurnMetrics)
    spoke_until = 2.5 + 1.0  # by the clock of the caller
    [stopped] = call.events(UserSpeechStopped)
    assert stopped.silence_at == pytest.approx(spoke_until, abs=0.1)
    assert metrics.first_audio_ms == pytest.approx((0.3 + 0.4) * 1000, abs=120)
    assert metrics.llm_ttft_ms == pytest.approx(400, abs=1)
    assert metrics.llm_total_ms is not None
    assert metrics.llm_total_ms >= metrics.llm_ttft_ms
    assert metrics.models["s2s"] == "scripted"
    [usage] = call.events(SessionUsage)
    assert usage.stt_audio_s == pytest.approx(1.0, abs=0.15)


def test_barge_in_cuts_to_the_word_and_tells_the_model() -> None:
    clock = VirtualClock()
    model = ScriptedS2S([LONG, "Yes."], heard=["When?", "Stop."], clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, model) as call:
            await call.speak(1)
            await call.quiet(2.3)
            await call.speak(0.6)
            await call.quiet(2)
        return call

    call = run(clock, scenario)
    [cut] = call.events(AgentSpeechInterrupted)
    heard_s = cut.playback_position_s
    assert heard_s == pytest.approx(2.0, abs=0.15)
    assert LONG.startswith(cut.heard)
    assert len(cut.heard) == pytest.approx(heard_s / 0.06, abs=10)
    assert cut.generated == LONG
    assert words(call)[1] == ("assistant", cut.heard)
    assert session_of(model).interrupted == [("item_a0", pytest.approx(heard_s * 1000, abs=1))]
    assert words(call)[2:] == [("user", "Stop."), ("assistant", "Yes.")]
    stop, again = call.phone.clears[0], call.at(AgentSpeechStarted, 1)
    assert not [at for at, _ in call.phone.frames if stop < at < again]


def test_words_with_times_are_heard_by_their_times() -> None:
    item = Item(Speech(1, "reply", turn=1, audio=PHONE))
    item.add_words("One moment. ", 0.0)
    item.add_sound(bytes(8_000))
    item.add_words("It is ", 600.0)
    item.add_words("noon.", 900.0)
    item.add_sound(bytes(4_000))
    item.finish()
    assert item.speech.spoken == "One moment. It is noon."
    assert [item.speech.text_until(ms * 8) for ms in (300, 700, 899, 1_000, 1_500)] == [
        "One",
        "One moment. It",
        "One moment. It is",
        "One moment. It is",
        "One moment. It is noon.",
    ]


def test_words_that_are_told_before_their_sound_are_not_heard_before_it() -> None:
    item = Item(Speech(1, "reply", turn=1, audio=PHONE), pace_s=0.06)
    item.add_words(LONG, None)
    item.add_sound(bytes(8_000))
    assert item.speech.text_until(8_000) == "The clinic opens"  # 16.7 characters
    item.add_sound(bytes(8_000))
    item.finish()
    assert item.speech.text_until(8_000) == LONG[: LONG.index(" and closes") + len(" and")]
    assert item.speech.text_until(16_000) == LONG


def test_function_of_the_agent_is_run_and_answered() -> None:
    clock = VirtualClock()
    model = ScriptedS2S(["Let me see.", Calls("opening", '{"day": "Monday"}'), "At nine."], clock=clock)
    asked: list[str] = []

    async def opening(day: str) -> str:
        """When the clinic opens."""
        asked.append(day)
        await clock.sleep(1)
        return "09:00"

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=Agent("desk", tools=[opening])) as call:
            for _ in range(2):
                await call.speak(1)
                await call.quiet(4)
        return call

    call = run(clock, scenario)
    assert asked == ["Monday"]
    [tool] = session_of(model).brief.tools
    assert (tool.name, tool.description) == ("opening", "When the clinic opens.")
    assert session_of(model).results == {"call_1": "09:00"}
    assert [event.name for event in call.events(ToolCalled)] == ["opening"]
    assert [(event.output, event.is_error) for event in call.events(ToolExecuted)] == [("09:00", False)]
    last = call.events(TurnCompleted)[-1]
    assert (last.user_text, last.agent_text) == ("hello", "At nine.")


@pytest.mark.parametrize("delay_s", [0.0, 0.3])
def test_model_that_only_calls_functions_is_told_to_answer_and_then_left(delay_s: float) -> None:
    clock = VirtualClock()
    model = ScriptedS2S([*[Calls("opening")] * 12, "At nine."], delay_s=delay_s, clock=clock)
    ran = 0

    async def opening() -> str:
        """When the clinic opens."""
        nonlocal ran
        ran += 1
        return "09:00"

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=Agent("desk", tools=[opening])) as call:
            await call.speak(1)
            await call.quiet(8)
            assert ran == RunLimits.voice().max_model_steps
            await call.speak(1)
            await call.quiet(8)
        return call

    call = run(clock, scenario)
    results = list(session_of(model).results.values())
    assert results[:5] == ["09:00"] * 5
    assert all("answer the caller" in result for result in results[5:10])
    spoken = "".join(event.text for event in call.events(AgentTextSpoken))
    assert CallPolicy().apology in spoken  # the turn is lost, and the call goes on
    assert spoken.endswith("At nine.")


def test_function_goes_on_when_the_caller_speaks_and_its_result_is_given() -> None:
    clock = VirtualClock()
    model = ScriptedS2S([Calls("book"), "Booked.", "Fine."], clock=clock)

    async def book() -> str:
        """Book."""
        await clock.sleep(1.5)
        return "done"

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=Agent("desk", tools=[book])) as call:
            await call.speak(1)
            await call.quiet(0.8)
            await call.speak(0.4)
            await call.quiet(4)
        return call

    call = run(clock, scenario)
    assert session_of(model).results == {"call_1": "done"}
    assert [(event.output, event.is_error) for event in call.events(ToolExecuted)] == [("done", False)]


def test_function_that_a_person_must_approve_is_told_later() -> None:
    clock = VirtualClock()
    model = ScriptedS2S([Calls("refund"), "I have asked.", "It is refunded."], clock=clock)
    tool = FunctionTool(lambda: "refunded", name="refund", description="Refund.", approval_mode="always_require")

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=Agent("desk", tools=[tool])) as call:
            await call.speak(1)
            await call.quiet(3)
            [request] = call.call.session.approvals.open.values()
            call.call.decide(request.approve())
            while not session_of(model).written:
                await call.quiet(0.1)
            await call.quiet(3)
        return call

    call = run(clock, scenario)
    assert len(call.events(ToolApprovalRequested)) == 1
    [written] = session_of(model).written
    assert written == "[Result of refund, which took longer: refunded]\nTell the caller."
    assert words(call)[-1] == ("assistant", "It is refunded.")


def test_handoff_makes_the_model_another_agent() -> None:
    clock = VirtualClock()
    billing = Agent("billing", "You know bills for {{ handoff_reason }}.", tools=[end_call])
    desk = Agent("desk", "You greet.", handoffs=[Handoff(billing, when="Bills go to billing.")])
    model = ScriptedS2S([Calls("handoff_to_billing", '{"reason": "a bill"}'), "Billing here."], clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=desk) as call:
            await call.speak(1)
            await call.quiet(3)
        return call

    call = run(clock, scenario)
    assert [(e.new_agent, e.previous_agent, e.reason) for e in call.events(AgentHandoff)] == [
        ("billing", "desk", "a bill")
    ]
    assert call.call.agent is billing
    brief = session_of(model).brief
    assert brief.instructions == "You know bills for a bill."
    assert [tool.name for tool in brief.tools] == ["end_call"]
    assert session_of(model).results == {"call_1": '{"handoff":"accepted","target":"billing"}'}
    assert words(call)[-1] == ("assistant", "Billing here.")


def test_call_is_ended_by_the_agents_tool_behind_its_last_words() -> None:
    clock = VirtualClock()
    model = ScriptedS2S([Calls("end_call", '{"goodbye": "Bye."}'), "Bye."], clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=Agent("desk", tools=[end_call]), hang_up=False) as call:
            await call.speak(1)
            await call.quiet(3)
        return call

    call = run(clock, scenario)
    assert call.ended is not None
    assert call.ended.reason == "agent_hangup"
    assert words(call)[-1] == ("assistant", "Bye.")
    assert session_of(model).is_closed


def test_keys_go_to_the_model_together_and_to_nobody_else() -> None:
    clock = VirtualClock()
    model = ScriptedS2S(["Thank you."], clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, model) as call:
            for key in "4711":
                call.call.digit(key)
                await call.quiet(0.5)
            await call.quiet(4)
            call.call.digit("9")
            call.call.digit("#")
            await call.quiet(2)
        return call

    call = run(clock, scenario)
    assert session_of(model).written == [
        "[keypad: 4711]",
        "[keypad: 9]",
    ]
    assert [event.digit for event in call.events(UserDtmf)] == ["•"] * 6
    assert [(event.text, event.trigger) for event in call.events(UserTurnCompleted)] == [
        ("••••", "dtmf"),
        ("•", "dtmf"),
    ]
    assert "4711" not in repr(call.entries)
    assert "4711" not in repr(call.call.history.messages)


def test_silent_caller_is_reminded_by_the_model_and_the_call_ends() -> None:
    clock = VirtualClock()
    model = ScriptedS2S(clock=clock)
    policy = CallPolicy(TurnPolicy(idle_s=5, idle_reminders=1))

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, policy=policy, hang_up=False) as call:
            await call.quiet(20)
        return call

    call = run(clock, scenario)
    assert [event.reason for event in call.events(UserIdle)] == ["no_response", "max_retries_exhausted"]
    assert [event.kind for event in call.events(AgentSpeechCreated)] == ["reminder", "goodbye"]
    assert call.ended is not None
    assert call.ended.reason == "idle_timeout"


def test_longest_call_ends_with_a_goodbye_also_while_the_model_speaks() -> None:
    clock = VirtualClock()
    model = ScriptedS2S([LONG * 5], clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, policy=CallPolicy(max_call_s=6), hang_up=False) as call:
            await call.speak(1)
            await call.quiet(60)
        return call

    call = run(clock, scenario)
    assert call.ended is not None
    assert call.ended.reason == "time_limit"
    assert call.ended.duration_s < 6 + CallPolicy().turn.ending_s + 1


def test_caller_whose_silence_the_model_has_missed_is_asked() -> None:
    clock = VirtualClock()
    model = ScriptedS2S(clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, policy=CallPolicy(TurnPolicy(max_turn_s=20, idle_s=5))) as call:
            session_of(model)._tell(SpeechStarted())
            await call.quiet(28)
        return call

    call = run(clock, scenario)
    assert call.at(UserSpeechStopped) == pytest.approx(20, abs=0.1)
    assert [event.kind for event in call.events(AgentSpeechCreated)] == ["reminder"]


def test_model_that_falls_silent_costs_the_turn_and_then_the_call() -> None:
    clock = VirtualClock()
    faults: dict[int, S2SFault] = dict.fromkeys(range(10), "stall")
    model = ScriptedS2S(["Yes."], faults=faults, clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, hang_up=False) as call:
            for _ in range(3):
                await call.speak(1)
                await call.quiet(14)
        return call

    call = run(clock, scenario)
    kinds = [event.kind for event in call.events(AgentSpeechCreated)]
    assert kinds == ["reply", "filler", "apology"] * 2 + ["reply", "filler", "goodbye"]
    assert [event.code for event in call.events(SessionError)] == ["s2s_silent"] * 3
    assert call.ended is not None
    assert call.ended.reason == "error"


def test_failed_answer_is_apologised_for_and_the_call_goes_on() -> None:
    clock = VirtualClock()
    model = ScriptedS2S(["Never said.", "Yes."], faults={0: "fail"}, clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, model) as call:
            await call.speak(1)
            await call.quiet(7)
            await call.speak(1)
            await call.quiet(3)
        return call

    call = run(clock, scenario)
    assert [event.kind for event in call.events(AgentSpeechCreated)] == ["reply", "apology", "reply"]
    assert words(call) == [("user", "hello"), ("user", "hello"), ("assistant", "Yes.")]


def test_session_that_ends_ends_the_call_with_spoken_words() -> None:
    clock = VirtualClock()
    model = ScriptedS2S(["Never said."], faults={0: "close"}, clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, hang_up=False) as call:
            await call.speak(1)
            await call.quiet(12)
        return call

    call = run(clock, scenario)
    assert call.ended is not None
    assert call.ended.reason == "error"
    assert words(call)[-1] == ("assistant", CallPolicy().failure_goodbye)
    assert call.phone.heard_s > 3


def test_agent_with_a_wrong_template_ends_the_call_with_spoken_words() -> None:
    clock = VirtualClock()
    model = ScriptedS2S(clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=Agent("desk", "{{ 1 / 0 }}"), hang_up=False) as call:
            await call.quiet(12)
        return call

    call = run(clock, scenario)
    assert [event.code for event in call.events(SessionError)] == ["bad_agent"]
    assert call.ended is not None
    assert call.ended.reason == "error"
    assert not model.sessions


def test_text_of_the_application_is_said_when_nobody_speaks() -> None:
    clock = VirtualClock()
    model = ScriptedS2S([LONG], clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, model) as call:
            await call.speak(1)
            await call.quiet(1)
            call.call.say("By the way.")
            await call.quiet(9)
        return call

    call = run(clock, scenario)
    assert words(call)[1:] == [("assistant", LONG), ("assistant", "By the way.")]
    assert [event.kind for event in call.events(AgentSpeechCreated)] == ["reply", "say"]


def test_caller_who_hangs_up_at_once_is_let_go() -> None:
    clock = VirtualClock()
    model = ScriptedS2S(clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, model) as call:
            pass
        return call

    call = run(clock, scenario)
    assert call.ended is not None
    assert call.ended.reason == "user_hangup"
    assert call.phone.frames == []


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_what_must_hold_holds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clock = VirtualClock()
    kinds: list[S2SFault | None] = [None, None, None, None, "fail", "stall", "close"]
    faults = {n: kind for n in range(12) if (kind := kinds[rng.integers(len(kinds))]) is not None}
    answers = [LONG, "Yes.", Calls("slow"), "No.", Calls("quick"), Calls("handoff_to_other", '{"reason": "x"}')]

    async def slow() -> str:
        """Take long."""
        await clock.sleep(2.5)
        return "at last"

    def quick() -> str:
        """Be quick."""
        return "now"

    other = Agent("other", tools=[slow, quick], fillers=["Hm."])
    agent = Agent("desk", greeting="Good day.", tools=[slow, quick], handoffs=[other])
    model = ScriptedS2S(
        [answers[n] for n in rng.integers(len(answers), size=12)],
        faults=faults,
        heard=["Hello.", "", "Stop."],
        delay_s=float(rng.uniform(0, 2)),
        chunk_every_s=float(rng.choice([0.0, 0.08, 0.15])),
        clock=clock,
    )

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=agent) as call:
            for _ in range(12):
                match int(rng.integers(5)):
                    case 0 | 1:
                        await call.speak(float(rng.uniform(0.1, 2)))
                    case 2:
                        call.call.digit(str(rng.integers(10)))
                    case 3:
                        call.call.say("By the way.")
                    case _:
                        pass
                await call.quiet(float(rng.uniform(0.1, 4)))
        return call

    call = run(clock, scenario)
    assert session_of(model).is_closed
    told = [event.speech for event in call.events(AgentSpeechCompleted, AgentSpeechInterrupted)]
    assert len(told) == len(set(told))


def test_both_kinds_of_call_have_the_same_face() -> None:
    names = [name for name in vars(AnyCall) if not name.startswith("_") and callable(getattr(AnyCall, name, None))]
    assert {"run", "hear", "end", "say", "digit", "decide"} <= set(names)
    for name in set(names) - {"mark_played"}:
        assert inspect.signature(getattr(Call, name)) == inspect.signature(getattr(S2SCall, name))
