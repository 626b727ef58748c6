"""Turn-taking where an application has its say: it commits, asks for answers, calls them off and clears the input."""

from __future__ import annotations

import pytest

from antiphon.calls import floor as f
from antiphon.calls.events import EndReason
from antiphon.calls.floor import Phase
from antiphon.calls.policy import TurnPolicy
from tests.calls.script import HANGS, HOURS, NEVER, Answer, Script, asked, manners

MANUAL = manners(answers=False, interruption="off", idle_s=0.0, speculate=False)
"""The application ends each turn and asks for each answer."""
SILENT_TURNS = manners(answers=False, speculate=False)
"""The detector ends turns; the application asks for each answer."""
AT_ONCE = manners(yields_at_once=True)
DEAF = manners(interruption="off", keeps_turns=True, max_dead_air_s=20.0)


def by_hand() -> Script:
    """A call without a detector."""
    script = Script(MANUAL)
    script.floor.detects = False
    return script


# The application ends the turn.


def test_a_turn_without_a_detector_is_what_was_said_until_the_commit() -> None:
    script = by_hand()
    script.at(1.0).commit(HOURS).run(5)
    assert script.only(f.Commit) == f.Commit(HOURS, HOURS, "client", None, answer=False)
    assert script.phases() == "idle pausing idle"


def test_an_answer_that_is_asked_for_with_the_commit_waits_for_its_words() -> None:
    script = by_hand()
    script.at(1.0).commit(HOURS)
    script.at(1.0).ask().run(10)
    assert script.story() == "Commit"
    assert script.only(f.Commit).answer is True
    assert script.phases() == "idle pausing thinking speaking idle"


def test_each_of_two_commits_asks_for_its_own_words() -> None:
    script = by_hand()
    script.at(1.0).commit("One.")
    script.at(1.1).commit("Two.").run(5)
    assert len(script.acts(f.FinishUtterance)) == 2
    assert script.commits() == ["One. Two."]


def test_a_commit_of_noise_is_no_turn_and_keeps_no_answer_waiting() -> None:
    script = by_hand()
    script.at(1.0).commit("")
    script.at(1.0).ask().run(10)
    assert script.story() == "Respond"
    assert script.phases() == "idle pausing thinking speaking idle"


def test_words_that_cannot_be_recognised_need_no_apology_where_the_application_asks() -> None:
    script = by_hand()
    script.expect(0.9, [("", 0.15, True)])
    script.at(1.0).commit().run(10)
    assert script.story() == ""
    assert script.phase is Phase.IDLE


def test_a_commit_while_the_caller_speaks_ends_the_turn_there() -> None:
    script = Script().at(1.0).voice(until=4.0, words=[HOURS, "And on Sundays?"])
    script.at(2.0).commit().run(3)
    assert script.only(f.Commit) == f.Commit(HOURS, HOURS, "client", None)
    assert script.when(f.Commit) == pytest.approx(2.15)
    assert script.run(12).commits() == [HOURS, "And on Sundays?"]


def test_the_caller_goes_on_behind_a_commit_that_nobody_answers() -> None:
    script = Script(SILENT_TURNS).at(1.0).voice(until=4.0, words=["One.", "Two."])
    script.at(2.0).commit().run(10)
    assert script.phases() == "idle hearing pausing hearing pausing idle"
    assert script.commits() == ["One.", "Two."]


def test_a_commit_in_the_pause_does_not_wait_for_the_silence() -> None:
    script = Script(manners(uncertain_delay_s=2.0))
    script.at(1.0).voice(until=2.0, words="I need an appointment")
    script.at(2.6).commit().run(3)
    assert len(script.acts(f.FinishUtterance)) == 1
    assert script.when(f.Commit) == 2.6


@pytest.mark.parametrize(
    ("at", "phase"), [(2.5, Phase.THINKING), (3.0, Phase.SPEAKING), (4.2, Phase.OVERLAP), (4.6, Phase.HELD)]
)
def test_a_commit_in_the_agents_turn_is_kept_for_its_end(at: float, phase: Phase) -> None:
    script = commit_in_the_agents_turn(at)
    assert phase in {step.phase for step in script.steps if isinstance(step.event, f.CommitRequested)}
    assert "Besides." in " ".join(script.commits())


def commit_in_the_agents_turn(at: float) -> Script:
    script = asked()
    script.at(at).commit("Besides.")
    if at > 4.0:
        script.at(4.0).voice(until=4.9)
    return script.run(20)


def test_a_commit_is_taken_in_every_phase_of_the_agents_turn() -> None:
    for at in (2.5, 3.0, 4.2, 4.6):
        assert len(commit_in_the_agents_turn(at).commits()) == 2


# The application asks for an answer.


def test_an_answer_begins_when_it_is_asked_for() -> None:
    script = Script(SILENT_TURNS).at(1.0).ask().run(10)
    assert script.story() == "Respond"
    assert script.when(f.Respond) == 1.0
    assert script.phases() == "idle thinking speaking idle"


def test_an_answer_may_be_asked_for_while_the_caller_speaks() -> None:
    script = Script(SILENT_TURNS).at(1.0).voice(until=4.0, words=HOURS)
    script.at(2.0).ask().run(3)
    assert script.phases() == "idle hearing thinking overlap"


@pytest.mark.parametrize("at", [2.3, 2.5, 3.0, 4.2, 4.6])
def test_an_answer_that_is_asked_for_too_early_begins_when_the_floor_is_free(at: float) -> None:
    script = asked()
    script.at(4.0).voice(until=4.9, words="uh-huh")
    script.at(at).ask().run(20)
    assert len(script.acts(f.Commit, f.Respond)) == (1 if at < 2.4 else 2)
    assert script.phase is not Phase.THINKING


def test_an_answer_that_is_owed_begins_behind_the_one_that_is_heard() -> None:
    for at in (2.3, 2.5, 3.0, 4.2, 4.6):
        script = asked()
        script.at(4.0).voice(until=4.9, words="uh-huh")
        script.at(at).ask().run(20)
        assert script.story().endswith("Respond") is (at > 2.4)


def test_an_answer_that_is_asked_for_before_the_line_is_up_begins_with_it() -> None:
    for greets, story in ((False, "Respond"), (True, "Say Respond")):
        script = Script(MANUAL, greet=greets)
        script.at(-1.0).ask()
        assert script.run(8).story() == story


def test_an_answer_that_is_owed_begins_when_the_one_before_has_no_more_to_say() -> None:
    script = asked(answers=(Answer(seconds=1.0, rest=(NEVER, 1.0)), Answer()))
    script.at(3.0).ask()
    script.at(4.5).happens(f.SpeechFinished(4.5, more=False))  # it stalls from 3.7 on
    assert script.run(5).story() == "Commit Respond"


# The application calls an answer off.


@pytest.mark.parametrize("at", [2.5, 3.0, 4.2, 4.6])
def test_a_cancelled_answer_falls_silent_at_once(at: float) -> None:
    script = cancelled(at)
    assert script.when(f.Interrupt) == at
    assert script.commits() == [HOURS]
    assert script.phase is Phase.IDLE


def cancelled(at: float) -> Script:
    script = asked()
    script.at(4.0).voice(until=4.9)
    script.at(at).cancel()
    return script.run(12)


def test_an_answer_may_be_cancelled_in_every_phase_of_the_agents_turn() -> None:
    assert [cancelled(at).when(f.Interrupt) for at in (2.5, 3.0, 4.2, 4.6)] == [2.5, 3.0, 4.2, 4.6]


def test_words_that_waited_behind_a_cancelled_answer_are_answered() -> None:
    script = asked(manners(interruption="off"))
    script.at(3.0).voice(until=4.0, words="On Sundays?")
    script.at(5.0).cancel().run(6)
    assert script.commits() == [HOURS, "On Sundays?"]


def test_an_answer_that_is_owed_is_called_off_with_the_one_that_is_heard() -> None:
    script = asked()
    script.at(3.0).ask()
    script.at(4.0).cancel().run(6)
    assert script.story() == "Commit Interrupt"


def test_an_answer_that_was_asked_for_and_has_not_begun_may_be_called_off() -> None:
    script = by_hand()
    script.at(1.0).commit(HOURS)
    script.at(1.0).ask()
    script.at(1.1).cancel().run(5)
    assert script.only(f.Commit).answer is False
    assert script.phase is Phase.IDLE


@pytest.mark.parametrize("at", [2.5, 3.0, 4.2])
def test_to_cancel_the_last_words_of_a_call_ends_it(at: float) -> None:
    assert ended_by_cancel(at).only(f.HangUp) == f.HangUp("agent_hangup")


def ended_by_cancel(at: float, reason: EndReason = "agent_hangup") -> Script:
    script = asked()
    script.at(4.0).voice(until=4.4)
    script.at(at).end(reason, goodbye=True)
    script.at(at).cancel()
    return script.run(at)


def test_the_last_words_of_a_call_may_be_cancelled_in_every_phase() -> None:
    assert [ended_by_cancel(at).phase for at in (2.5, 3.0, 4.2)] == [Phase.ENDED] * 3


# The application throws away what was said.


def test_a_turn_that_is_cleared_is_no_turn() -> None:
    script = Script().at(1.0).voice(until=2.0, words=HOURS)
    script.at(1.5).clear().run(10)
    assert script.story() == ""
    assert script.phases() == "idle hearing idle"


def test_words_that_are_known_are_cleared_too() -> None:
    script = Script(manners(uncertain_delay_s=2.0))
    script.at(1.0).voice(until=2.0, words="I need an appointment")
    script.at(2.6).clear().run(10)
    assert script.acts(f.Speculate, f.DropSpeculation, f.Commit) == [
        f.Speculate("I need an appointment", "I need an appointment"),
        f.DropSpeculation(),
    ]


def test_an_answer_that_waited_for_a_cleared_turn_begins() -> None:
    script = Script(SILENT_TURNS).at(1.0).voice(until=2.0, words=HOURS)
    script.at(2.3).ask()
    script.at(2.35).clear().run(10)
    assert script.story() == "Respond"


def test_a_turn_that_was_committed_is_not_cleared() -> None:
    script = Script().at(1.0).voice(until=4.0, words=HOURS)
    script.at(2.0).commit()
    script.at(2.1).clear().run(10)
    assert script.commits() == [HOURS]
    assert script.phase is Phase.IDLE


def test_what_was_said_behind_a_commit_is_cleared() -> None:
    script = by_hand()
    script.at(1.0).commit(HOURS)
    script.at(1.1).clear().run(5)
    assert script.commits() == [HOURS]


def test_what_the_application_has_ended_beside_the_agent_is_not_cleared() -> None:
    for at, begun in ((2.5, None), (3.0, None), (4.2, 4.0), (4.6, 4.0)):
        script = asked()
        if begun is not None:
            script.at(begun).voice(until=begun + 0.9, words="Besides.")
        script.at(at).commit("Besides." if begun is None else None)
        script.at(at + 0.05).clear()
        assert script.run(20).commits()[-1].endswith("Besides.")


def test_what_was_ended_beside_the_agent_survives_its_silence() -> None:
    script = asked(hears_after=0.6)  # the answer is heard until 6.15
    script.at(5.8).commit("Besides.")
    script.at(6.2).clear()
    assert script.run(20).commits() == [HOURS, "Besides."]


def test_what_was_ended_beside_the_agent_survives_what_is_said_behind_it() -> None:
    script = asked(hears_after=1.5)  # the answer is heard from 4.05 to 7.05
    script.at(6.5).commit("Besides.")
    script.at(6.7).voice(until=7.7)
    script.at(7.2).clear()
    assert script.run(30).commits() == [HOURS, "Besides."]


@pytest.mark.parametrize("at", [2.5, 3.0, 4.2, 4.6])
def test_what_was_said_over_the_agent_is_cleared(at: float) -> None:
    script = cleared(at)
    assert HOURS in script.commits()
    assert "Stop." not in script.commits()[0]
    assert not script.acts(f.Interrupt)
    assert script.phase is Phase.IDLE


def cleared(at: float) -> Script:
    script = asked(manners(commands=frozenset()))
    if at > 4.0:
        script.at(4.0).voice(until=4.9, words="Stop.")
    script.at(at).clear()
    return script.run(15)


def test_the_input_may_be_cleared_in_every_phase_of_the_agents_turn() -> None:
    assert [cleared(at).story() for at in (2.5, 3.0, 4.2, 4.6)] == ["Commit"] * 3 + ["Commit Pause Resume"]


# The first sound takes the floor.


def test_the_first_sound_takes_the_floor_where_nothing_is_waited_for() -> None:
    script = asked(AT_ONCE)
    script.at(3.5).voice(until=4.0, words="On Sundays?").run(12)
    assert script.story() == "Commit NoteOverlap Interrupt Commit"
    assert script.when(f.Interrupt) == 3.56
    assert not script.acts(f.Pause)


def test_the_first_sound_before_the_answer_goes_on_with_the_turn() -> None:
    script = asked(AT_ONCE, answers=(HANGS, Answer()))
    script.at(3.0).voice(until=3.5, words="On Sundays?").run(12)
    assert script.story() == "Commit CancelReply Commit"
    assert script.commits() == [HOURS, f"{HOURS} On Sundays?"]


def test_noise_that_took_the_floor_from_an_unheard_answer_has_it_made_again() -> None:
    script = asked(AT_ONCE, answers=(Answer(after=1.5), Answer()))
    script.at(3.0).voice(until=3.2, words="").run(12)
    assert script.story() == "Commit CancelReply Commit"


# Nothing takes the floor.


@pytest.mark.parametrize("after", [0.3, 3.0])
def test_turns_beside_an_answer_are_kept_and_answered_once(after: float) -> None:
    script = kept(after)
    assert script.story() == "Commit KeepTurn KeepTurn Respond"
    assert script.acts(f.KeepTurn) == [f.KeepTurn("On Sundays?"), f.KeepTurn("Or Mondays?")]
    assert script.phase is Phase.IDLE


def kept(after: float, policy: TurnPolicy = DEAF) -> Script:
    """Two turns of the caller while the first answer is made, or heard."""
    script = asked(policy, answers=(Answer(after=after), Answer()))
    script.at(2.9).voice(until=3.4, words="On Sundays?")
    script.at(4.0).voice(until=4.5, words="Or Mondays?")
    return script.run(20)


def test_turns_are_kept_in_both_phases_of_the_agents_turn() -> None:
    assert [kept(after).story() for after in (0.3, 3.0)] == ["Commit KeepTurn KeepTurn Respond"] * 2


def test_turns_that_nobody_answers_are_kept_too() -> None:
    policy = manners(interruption="off", keeps_turns=True, answers=False, speculate=False)
    script = Script(policy)
    script.at(1.0).ask()
    script.at(2.0).voice(until=2.5, words="On Sundays?").run(10)
    assert script.story() == "Respond KeepTurn"


def test_the_answer_to_kept_turns_begins_behind_a_cancelled_one() -> None:
    script = asked(DEAF)
    script.at(3.0).voice(until=3.5, words="On Sundays?")
    script.at(5.0).cancel().run(20)
    assert script.story() == "Commit KeepTurn Interrupt Respond"


def test_words_of_kept_turns_that_are_never_final_count_as_they_are() -> None:
    for after in (0.3, 9.0):
        script = asked(DEAF, answers=(Answer(after=after, seconds=9.0), Answer()))
        script.at(2.9).voice(until=3.4, final_after=None, partials={3.2: "On Sundays?"})
        assert script.run(6.2).acts(f.KeepTurn) == [f.KeepTurn("On Sundays?")]


def test_a_turn_that_is_still_spoken_at_the_end_of_the_answer_has_the_answer_of_those_before() -> None:
    script = asked(DEAF)
    script.at(3.0).voice(until=3.5, words="On Sundays?")
    script.at(5.5).voice(until=6.5, words="Or Mondays?").run(20)
    assert script.story() == "Commit KeepTurn Commit"
