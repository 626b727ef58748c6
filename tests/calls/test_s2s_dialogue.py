"""What a model that holds a call may tell, in orders that a script does not come to."""

from __future__ import annotations

from typing import Any

import pytest
from invariants import check, check_nothing_left
from phone import CallUnderTest
from s2s_phone import Puppet, calling

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Handoff
from antiphon.agents.keypad import KeypadManner
from antiphon.calls.events import (
    AgentHandoff,
    AgentSpeechCompleted,
    AgentSpeechCreated,
    AgentSpeechInterrupted,
    SessionError,
    SessionUsage,
    ToolExecuted,
    TurnCompleted,
    UserTurnCompleted,
)
from antiphon.calls.policy import CallPolicy
from antiphon.clock import VirtualClock
from antiphon.errors import IntegrationException
from antiphon.models.s2s.contract import (
    AnswerDone,
    Failed,
    FunctionCalled,
    SpeechStarted,
    SpeechStopped,
    UserTranscript,
)
from antiphon.tools.context import ToolContext
from antiphon.tools.keypad import AGAIN, pin_gate, send_dtmf
from antiphon.tools.tool import FunctionTool


def run(clock: VirtualClock, scenario: Any) -> CallUnderTest:
    async def whole() -> CallUnderTest:
        call: CallUnderTest = await scenario()
        check_nothing_left()
        return call

    call = clock.run(whole())
    check(call)
    return call


HINT = CallPolicy().too_many_keys


def said(call: CallUnderTest) -> list[str]:
    return [event.transcript for event in call.events(AgentSpeechCompleted)]


def test_words_before_a_function_and_those_behind_it_are_one_turn() -> None:
    clock, model = VirtualClock(), Puppet()

    async def look(day: str) -> str:
        """Look."""
        await clock.sleep(0.5)
        return f"free on {day}"

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=Agent("desk", tools=[look])) as call:
            await call.quiet(0.1)
            model.turn("Is there a slot?")
            model.answer("a1", "Let me see.", 1.0, is_done=False)
            model.tell(FunctionCalled("c1", "look", '{"day": "Monday"}'))
            model.tell(FunctionCalled("c2", "nothing", "{}"))
            model.tell(AnswerDone("completed", "", 10, 5))
            await call.quiet(2)
            model.answer("a2", "On Monday.", 1.0)
            await call.quiet(2)
        return call

    call = run(clock, scenario)
    assert said(call) == ["Let me see.", "On Monday."]
    [turn] = call.events(TurnCompleted)
    assert (turn.user_text, turn.agent_text) == ("Is there a slot?", "Let me see. On Monday.")
    results = {call_id: output for kind, call_id, output in model.did[:2] if kind == "result"}
    assert results["c1"] == "free on Monday"
    assert "There is no function 'nothing'" in results["c2"]
    assert call.events(SessionUsage)[0].llm_output_tokens == 10


def test_an_answer_of_several_items_is_cut_where_it_was_heard() -> None:
    clock, model = VirtualClock(), Puppet()

    async def scenario() -> CallUnderTest:
        async with calling(clock, model) as call:
            await call.quiet(0.1)
            model.turn()
            model.answer("a1", "One two.", 1.0, is_done=False)
            model.answer("a2", "Three four five six.", 2.0, is_done=False)
            model.answer("a3", "Never heard.", 1.0)
            await call.quiet(2)
            model.tell(SpeechStarted("u2"))
            await call.quiet(0.5)
        return call

    call = run(clock, scenario)
    assert said(call) == ["One two."]
    [cut] = call.events(AgentSpeechInterrupted)
    assert cut.heard == "Three four"
    [(_, first, heard_ms), (_, second, unheard_ms)] = [deed for deed in model.did if deed[0] == "interrupt"]
    assert (first, second, unheard_ms) == ("a2", "a3", 0)
    assert heard_ms == pytest.approx(1000, abs=40)


def test_words_of_the_caller_may_come_behind_the_answer() -> None:
    clock, model = VirtualClock(), Puppet()

    async def scenario() -> CallUnderTest:
        async with calling(clock, model) as call:
            await call.quiet(0.1)
            model.tell(SpeechStarted("u1"))
            model.tell(SpeechStopped("u1"))
            model.answer("a1", "Hello.", 0.5)
            await call.quiet(1)
            model.tell(UserTranscript("u1", "Good day.", is_final=True))
            await call.quiet(1)
        return call

    call = run(clock, scenario)
    assert [(message.role, message.text) for message in call.call.history.messages] == [
        ("user", "Good day."),
        ("assistant", "Hello."),
    ]
    assert [event.text for event in call.events(UserTurnCompleted)] == [""]


def test_sound_without_words_is_no_turn_and_the_model_may_speak_unasked() -> None:
    clock, model = VirtualClock(), Puppet()

    async def scenario() -> CallUnderTest:
        async with calling(clock, model) as call:
            await call.quiet(0.1)
            model.turn("")
            await call.quiet(6)
            model.answer("a1", "Did you say something?", 1.0)
            await call.quiet(2)
        return call

    call = run(clock, scenario)
    assert said(call) == ["Did you say something?"]
    assert [event.kind for event in call.events(AgentSpeechCreated)] == ["reply", "reply"]
    assert [event.agent_first for event in call.events(TurnCompleted)] == [False, True]


def test_what_the_model_says_while_the_caller_speaks_is_called_off() -> None:
    clock, model = VirtualClock(), Puppet()

    async def scenario() -> CallUnderTest:
        async with calling(clock, model) as call:
            await call.quiet(0.1)
            model.tell(SpeechStarted("u1"))
            model.answer("a1", "Too early.", 1.0)
            model.tell(FunctionCalled("c1", "look", "{}"))
            model.tell(AnswerDone("completed"))
            await call.quiet(1)
        return call

    call = run(clock, scenario)
    assert call.phone.frames == []
    assert ("interrupt", "a1", 0) in model.did
    assert [deed for deed in model.did if deed[0] == "result"] == [
        ("result", "c1", "The call was interrupted before a result was available.")
    ]


def test_answer_that_is_not_whole_is_apologised_for() -> None:
    clock, model = VirtualClock(), Puppet()

    async def scenario() -> CallUnderTest:
        async with calling(clock, model) as call:
            await call.quiet(0.1)
            model.turn()
            model.tell(AnswerDone("incomplete", "content_filter"))
            await call.quiet(8)
            model.turn(item_id="u2")
            model.answer("a1", "This much", 1.0, is_done=False)
            model.tell(AnswerDone("incomplete", "max_output_tokens"))
            await call.quiet(2)
            model.turn(item_id="u3")
            model.answer("a2", "Half of it", 2.0, is_done=False)
            await call.quiet(1)
            model.tell(Failed(IntegrationException("The line broke."), is_final=False))
            await call.quiet(8)
        return call

    call = run(clock, scenario)
    kinds = [event.kind for event in call.events(AgentSpeechCreated)]
    assert kinds == ["reply", "apology", "reply", "reply", "apology"]
    assert said(call)[1:3] == ["This much", "Half of it"]


def test_answer_without_end_is_cut_for_its_length() -> None:
    clock, model = VirtualClock(), Puppet()

    async def scenario() -> CallUnderTest:
        async with calling(clock, model) as call:
            await call.quiet(0.1)
            model.turn()
            for _ in range(35):
                model.answer("a1", "And on. ", 10.0, is_done=False)
            await call.quiet(8)
        return call

    call = run(clock, scenario)
    assert [event.code for event in call.events(SessionError)] == ["s2s_overlong"]
    assert call.events(AgentSpeechCreated)[-1].kind == "apology"


def test_silent_handoff_leaves_the_old_agents_words_unsaid() -> None:
    clock, model = VirtualClock(), Puppet()
    other = Agent("other", "You are another.")
    agent = Agent("desk", "You greet.", handoffs=[Handoff(other, handoff_type="discrete")])

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=agent) as call:
            await call.quiet(0.1)
            model.turn()
            model.answer("a1", "I hand you over to somebody else now.", 3.0, is_done=False)
            await call.quiet(0.5)
            model.tell(FunctionCalled("c1", "handoff_to_other", '{"reason": "x"}'))
            model.tell(AnswerDone("completed"))
            await call.quiet(0.3)
            model.answer("a2", "Here I am.", 1.0)
            await call.quiet(2)
        return call

    call = run(clock, scenario)
    assert [event.new_agent for event in call.events(AgentHandoff)] == ["other"]
    assert said(call) == ["Here I am."]
    assert len(call.events(AgentSpeechInterrupted)) == 1
    assert [deed[:2] for deed in model.did if deed[0] in {"rebrief", "result"}] == [
        ("rebrief", "You are another."),
        ("result", "c1"),
    ]


def test_handoff_to_an_agent_that_cannot_be_told_stays_with_the_old_one() -> None:
    clock, model = VirtualClock(), Puppet()
    agent = Agent("desk", handoffs=[Agent("broken", "{{ 1 / 0 }}")])

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=agent) as call:
            await call.quiet(0.1)
            model.turn()
            model.tell(FunctionCalled("c1", "handoff_to_broken", '{"reason": "x"}'))
            model.tell(AnswerDone("completed"))
            await call.quiet(0.3)
            model.answer("a1", "I stay.", 1.0)
            await call.quiet(2)
        return call

    call = run(clock, scenario)
    assert call.call.agent is agent
    [(_, _, output)] = [deed for deed in model.did if deed[0] == "result"]
    assert output.startswith("The agent 'broken' is not available (")
    assert call.events(ToolExecuted)[0].is_error


def test_tools_that_come_and_go_are_told_to_the_model_and_fillers_fill_silences_only() -> None:
    clock, model = VirtualClock(), Puppet()

    async def more(context: ToolContext) -> str:
        """Offer more."""
        context.add_tools([FunctionTool(lambda: "x", name="extra", description="More.")])
        await clock.sleep(3)
        context.remove_tools(["extra"])
        return "done"

    agent = Agent("desk", tools=[FunctionTool(more, filler=["Hold on."], filler_after_s=0.5)])

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=agent) as call:
            await call.quiet(0.1)
            model.turn()
            model.answer("a1", "I begin.", 1.5, is_done=False)
            model.tell(FunctionCalled("c1", "more", "{}"))
            model.tell(AnswerDone("completed"))
            await call.quiet(4)
            model.answer("a2", "It is done.", 1.0)
            await call.quiet(2)
        return call

    call = run(clock, scenario)
    assert [deed[2] for deed in model.did if deed[0] == "rebrief"] == [["more", "extra"], ["more"]]
    assert said(call) == ["I begin.", "It is done."]


def test_what_only_a_client_could_run_is_answered() -> None:
    clock, model = VirtualClock(), Puppet()
    declared = FunctionTool(None, name="far", description="Elsewhere.", schema={"properties": {}})

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=Agent("desk", tools=[declared])) as call:
            await call.quiet(0.1)
            model.turn()
            model.tell(FunctionCalled("c1", "far", "{}"))
            model.tell(AnswerDone("completed"))
            await call.quiet(0.1)
            model.answer("a1", "I cannot.", 1.0)
            await call.quiet(2)
        return call

    run(clock, scenario)
    assert ("result", "c1", "Nobody in this call can run this function.") in model.did


async def type_keys(call: CallUnderTest, keys: str) -> None:
    for key in keys:
        call.call.digit(key)
        await call.quiet(0.3)


def test_secret_number_opens_its_gate_and_reaches_neither_model_nor_log() -> None:
    clock, model = VirtualClock(), Puppet()

    async def scenario() -> CallUnderTest:
        agent = Agent("desk", tools=[pin_gate("4711", length=4)])
        async with calling(clock, model, agent=agent) as call:
            await call.quiet(0.1)
            model.turn()
            model.tell(FunctionCalled("c1", "pin_gate", "{}"))
            model.tell(AnswerDone("completed"))
            await call.quiet(0.1)
            model.answer("a1", "Type your number.", 1.0)
            await call.quiet(2)
            await type_keys(call, "1234")
            await call.quiet(0.5)
            assert model.did[-1] == ("say", AGAIN)
            model.answer("a2", AGAIN, 1.0)
            await call.quiet(2)
            await type_keys(call, "4711")
            await call.quiet(0.5)
            model.answer("a3", "Thank you.", 1.0)
            await call.quiet(2)
        return call

    call = run(clock, scenario)
    assert [deed[2] for deed in model.did if deed[0] == "result"] == ["Accepted; the result will follow."]
    [(_, written)] = [deed for deed in model.did if deed[0] == "write"]
    assert "The caller has typed the right number." in written
    assert said(call) == ["Type your number.", AGAIN, "Thank you."]
    assert "4711" not in f"{model.did}{call.entries}{call.call.history.messages}"


def test_keys_that_do_not_interrupt_wait_and_a_star_forgets_them() -> None:
    clock, model = VirtualClock(), Puppet()

    async def scenario() -> CallUnderTest:
        agent = Agent("desk", keypad=KeypadManner(interrupts=False))
        async with calling(clock, model, agent=agent) as call:
            await call.quiet(0.1)
            model.turn()
            model.answer("a1", "This takes a while.", 4.0)
            await type_keys(call, "12#")
            while ("write", "[keypad: 12]") not in model.did:
                await call.quiet(0.1)
            model.answer("a2", "Twelve.", 1.0)
            await call.quiet(2)
            await type_keys(call, "9*")
            await call.quiet(3)
            assert call.call.agent_is_silent
            assert not call.call.caller_has_floor
        return call

    call = run(clock, scenario)
    assert said(call) == ["This takes a while.", "Twelve."]
    assert [deed for deed in model.did if deed[0] == "write"] == [("write", "[keypad: 12]")]


def test_a_number_that_is_too_long_is_refused_with_a_hint_and_silence_ends_one() -> None:
    clock, model = VirtualClock(), Puppet()

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=Agent("desk")) as call:
            await call.quiet(0.1)
            await type_keys(call, "123456789012345678901")
            await call.quiet(1.5)
            assert ("say", HINT) in model.did
            model.answer("a0", HINT, 1.0)
            await call.quiet(2)
            assert [deed for deed in model.did if deed[0] == "write"] == []
            await type_keys(call, "80417")
            await call.quiet(1.1)  # 1.4 s behind the last key
            assert [deed for deed in model.did if deed[0] == "write"] == []
            await call.quiet(0.2)
            model.answer("a1", "Thank you.", 1.0)
            await call.quiet(2)
        return call

    call = run(clock, scenario)
    assert [deed for deed in model.did if deed[0] == "write"] == [("write", "[keypad: 80417]")]
    assert said(call) == [HINT, "Thank you."]


def test_agent_presses_keys_behind_its_words() -> None:
    clock, model = VirtualClock(), Puppet()

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=Agent("desk", tools=[send_dtmf])) as call:
            await call.quiet(0.1)
            model.turn()
            model.tell(FunctionCalled("c1", "send_dtmf", '{"keys": "12"}'))
            model.tell(AnswerDone("completed"))
            await call.quiet(1)
            model.answer("a1", "Pressed.", 1.0)
            await call.quiet(2)
            call.call.press("3")
            await call.quiet(2)
        return call

    call = run(clock, scenario)
    assert [event.kind for event in call.events(AgentSpeechCreated)] == ["reply", "tones", "tones"]
    assert said(call).count("Pressed.") == 1


def test_digits_before_the_gate_asks_go_to_the_gate_and_not_to_the_model() -> None:
    clock, model = VirtualClock(), Puppet()

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=Agent("desk", tools=[pin_gate("471147")])) as call:
            await call.quiet(0.1)
            call.call.digit("471147#")
            await call.quiet(0.5)
            model.tell(FunctionCalled("c1", "pin_gate", "{}"))
            model.tell(AnswerDone("completed"))
            await call.quiet(1)
            model.answer("a1", "You are known.", 1.0)
            await call.quiet(2)
        return call

    call = run(clock, scenario)
    assert ("write", "[keypad: ••••••, kept for pin_gate]") in model.did
    assert "471147" not in str(model.did)
    assert call.call.session.state == {"open:pin_gate": True}


def test_keys_without_a_word_are_an_answer() -> None:
    clock, model = VirtualClock(), Puppet()

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=Agent("desk", tools=[send_dtmf])) as call:
            await call.quiet(0.1)
            model.turn()
            model.tell(FunctionCalled("c1", "send_dtmf", '{"keys": "12"}'))
            model.tell(AnswerDone("completed"))
            await call.quiet(1)
            model.tell(AnswerDone("completed"))
            await call.quiet(6)
        return call

    call = run(clock, scenario)
    assert [event.kind for event in call.events(AgentSpeechCreated)] == ["reply", "tones"]
    assert not call.events(SessionError)


def test_number_that_the_model_repeats_is_hidden_in_the_log() -> None:
    clock, model = VirtualClock(), Puppet()

    async def scenario() -> CallUnderTest:
        async with calling(clock, model) as call:
            await call.quiet(0.1)
            await type_keys(call, "4711#")
            model.answer("a1", "Your number is 47 11.", 2.0)
            await call.quiet(3)
        return call

    call = run(clock, scenario)
    assert model.did[0] == ("write", "[keypad: 4711]")
    assert said(call) == ["Your number is ••••."]
    told = " ".join(str(entry.event) for entry in call.entries)
    assert "4711" not in told
    assert "47 11" not in told
