"""The manners of a conversation, one scenario a test; and every row of the table is taken by a scenario."""

from __future__ import annotations

from dataclasses import replace

import pytest

from antiphon.calls import floor as f
from antiphon.calls.floor import Phase
from antiphon.calls.policy import TurnPolicy
from antiphon.calls.turn_taking import TABLE, TurnTaking
from tests.calls import test_turn_taking_application as application
from tests.calls import test_turn_taking_keypad as keypad
from tests.calls import test_turn_taking_limits as limits
from tests.calls import test_turn_taking_pieces as pieces
from tests.calls.script import HANGS, HOURS, NEVER, TAKEN, Answer, Script, asked, manners

PROMPT = manners(start_s=0.2, stop_s=0.2, complete_delay_s=0.0, min_interruption_s=0.2)
"""Manners of the benchmark: nothing is waited for but the detector."""
WORDS = manners(interruption="words")
OFF = manners(interruption="off")


# A turn.


def test_a_simple_turn_is_answered_and_the_caller_has_the_floor_again() -> None:
    script = asked().run(10)
    assert script.phases() == "idle hearing pausing thinking speaking idle"
    assert script.only(f.Commit) == f.Commit(HOURS, HOURS, "silence", None)
    assert script.when(f.FinishUtterance) == 2.25
    assert script.when(f.Commit) == pytest.approx(2.4)  # the final words came later than the delay


def test_an_answer_is_tried_before_the_turn_is_sure() -> None:
    script = asked(hears_after=0.05).run(10)
    assert [type(action) for action in script.acts(f.Speculate, f.Commit)] == [f.Speculate, f.Commit]
    assert script.only(f.Speculate).text == script.only(f.Commit).text
    assert script.when(f.Speculate) == 2.3
    assert script.when(f.Commit) == 2.35


def test_no_answer_is_tried_where_that_is_switched_off() -> None:
    assert not asked(manners(speculate=False), hears_after=0.05).run(10).acts(f.Speculate)


def test_an_answer_that_was_tried_is_dropped_when_the_caller_goes_on() -> None:
    script = Script(hears_after=0.05)
    script.at(1.0).voice(until=2.0, words="I would like to know your prices")
    script.at(2.4).voice(until=3.0, words="for a cleaning.")
    script.run(10)
    assert [type(action).__name__ for action in script.acts(f.Speculate, f.DropSpeculation, f.Commit)] == [
        *("Speculate", "DropSpeculation", "Speculate", "Commit"),
    ]
    assert script.commits() == ["I would like to know your prices for a cleaning."]


@pytest.mark.parametrize(
    ("words", "delay"),
    [
        (HOURS, 0.35),
        ("I need an appointment", 0.8),
        ("I need an appointment and", 1.8),
        ("My number is 555 12", 1.8),
    ],
)
def test_the_delay_follows_the_words(words: str, delay: float) -> None:
    script = Script(hears_after=0.01).at(1.0).voice(until=2.0, words=words).run(10)
    assert script.when(f.Commit) == pytest.approx(2.0 + delay)


def test_an_answer_to_a_question_for_digits_gets_time() -> None:
    script = asked(answers=(Answer(text="Sure. What is your phone number?"), Answer()), hears_after=0.01)
    script.at(7.0).voice(until=8.0, words="It is 555.")
    script.at(9.0).voice(until=10.0, words="01 99.")
    script.run(20)
    assert script.commits() == [HOURS, "It is 555. 01 99."]
    assert script.when(f.Commit, 1) == pytest.approx(11.8)  # ten digits would be whole


def test_the_model_of_turn_ends_decides_where_the_words_leave_it_open() -> None:
    def committed(words: str, probability: float, at: float) -> float:
        script = Script(hears_after=0.15).at(1.0).voice(until=2.0, words=words)
        return script.at(at).score(probability).run(10).when(f.Commit)

    open_end = "I need an appointment"
    assert committed(open_end, 0.9, 2.3) == 2.4  # early: known when the words come, the delay is over by then
    assert committed(open_end, 0.9, 2.6) == 2.6  # late: ends the turn at once
    assert committed(open_end, 0.1, 2.6) == 3.8  # late: more is expected
    assert committed(open_end, 0.5, 2.6) == 2.8  # no opinion
    assert committed(HOURS, 0.1, 2.3) == 2.8
    assert committed("I need an appointment and", 0.9, 2.6) == 3.8  # the words are sure


def test_a_turn_that_the_model_ended_says_so() -> None:
    commit = asked().at(2.3).score(0.9).run(10).only(f.Commit)
    assert (commit.trigger, commit.probability) == ("model", 0.9)


def test_noise_without_words_is_no_turn() -> None:
    script = Script().at(1.0).voice(until=2.0).run(10)
    assert script.phases() == "idle hearing pausing idle"
    assert not script.acts(f.Commit, f.Say)


def test_a_pause_inside_a_turn_keeps_its_words_together() -> None:
    script = Script()
    script.at(1.0).voice(until=2.0, words="I would like to")
    script.at(3.0).voice(until=4.0, words="book a cleaning.")
    assert script.run(10).commits() == ["I would like to book a cleaning."]


# The caller goes on.


def test_speech_that_resumes_before_the_reply_is_heard_is_merged_into_one_turn() -> None:
    script = asked(answers=(Answer(after=2.0), Answer()))
    script.at(3.0).voice(until=4.0, words="On Sundays?")
    script.run(12)
    assert script.acts(f.Commit) == [
        f.Commit(HOURS, HOURS, "silence", None),
        f.Commit(f"{HOURS} On Sundays?", "On Sundays?", "silence", None),
    ]
    assert script.story() == "Commit Pause CancelReply Commit"
    assert script.phases() == "idle hearing pausing thinking held pausing thinking speaking idle"


def test_words_on_the_way_take_the_floor_back_at_once() -> None:
    script = asked(answers=(Answer(after=2.0), Answer()))
    script.at(3.0).voice(until=5.0, words="And on Sundays too?", partials={3.6: "And on"})
    script.run(12)
    assert script.when(f.CancelReply) == 3.6
    assert script.commits()[-1] == f"{HOURS} And on Sundays too?"


def test_who_was_answered_too_early_gets_more_time() -> None:
    script = asked(answers=(Answer(after=2.0), Answer()), hears_after=0.01)
    script.at(3.0).voice(until=4.0, words="On Sundays?")
    assert script.run(12).when(f.Commit, 1) == pytest.approx(4.0 + 1.5 * 0.35)


def test_noise_after_the_turn_resumes_the_reply() -> None:
    script = asked(answers=(Answer(after=2.0),))
    script.at(3.0).voice(until=3.5)
    script.run(12)
    assert script.story() == "Commit Pause Resume"
    assert script.only(f.Resume).false_interruption is False
    assert script.phases() == "idle hearing pausing thinking held thinking speaking idle"


def test_long_noise_after_the_turn_has_it_answered_again() -> None:
    script = asked(answers=(Answer(after=2.0), Answer()))
    script.at(3.0).voice(until=5.0)
    script.run(12)
    assert script.story() == "Commit Pause CancelReply Commit"
    assert script.acts(f.Commit)[1] == f.Commit(HOURS, "", "silence", None)


@pytest.mark.parametrize("min_words", [0, 3])
def test_a_hesitation_that_was_answered_too_early_is_joined_by_a_yes(min_words: int) -> None:
    script = Script(manners(min_words=min_words), answers=(Answer(after=3.0), Answer()))
    script.at(1.0).voice(until=1.5, words="Um.")
    script.at(3.6).voice(until=4.0, words="Yeah.")
    assert script.run(12).commits() == ["Um.", "Um. Yeah."]


def test_an_okay_to_a_filler_does_not_cancel_the_reply() -> None:
    script = asked(answers=(Answer(after=6.5),))
    script.at(6.5).voice(until=6.8, words="Okay.")  # the filler is said from 5.1 to 6.1
    script.run(20)
    assert script.story() == "Commit Say Pause NoteOverlap Resume"
    assert script.commits() == [HOURS]


def test_sound_in_two_pieces_is_waited_for_to_its_last_word() -> None:
    script = asked(answers=(Answer(after=3.0), Answer()), hears_after=1.0)
    script.at(3.5).voice(until=3.8)
    script.at(4.2).voice(until=4.6, words="On Sundays?")  # in between comes the empty final of the first
    script.run(20)
    assert script.commits() == [HOURS, f"{HOURS} On Sundays?"]
    assert not script.acts(f.Resume)


# Over the agent's speech.


@pytest.mark.parametrize("policy", [manners(), WORDS, PROMPT], ids=["vad", "words", "prompt"])
def test_a_backchannel_does_not_interrupt(policy: TurnPolicy) -> None:
    script = asked(policy)
    script.at(3.5).voice(until=3.8, words="Uh-huh.", partials={3.72: "uh-huh"})
    script.run(12)
    assert not script.acts(f.Interrupt, f.CancelReply)
    assert script.only(f.NoteOverlap) == f.NoteOverlap("Uh-huh.", False)
    assert script.phase is Phase.IDLE
    assert script.commits() == [HOURS]


@pytest.mark.parametrize("guess", ["Hi", "If I", "Oh, ha"])
def test_a_first_guess_that_mistakes_a_backchannel_for_words_does_not_interrupt(guess: str) -> None:
    script = asked().at(3.5).voice(until=3.9, words="Uh-huh.", partials={3.86: guess}).run(12)
    assert script.story() == "Commit NoteOverlap"
    assert script.commits() == [HOURS]


def test_one_word_that_stays_takes_the_floor_when_it_is_sure_and_a_command_at_once() -> None:
    script = asked().at(3.5).voice(until=3.9, words="Sundays?", partials={3.86: "Sundays"}).run(12)
    assert script.commits() == [HOURS, "Sundays?"]
    script = asked().at(3.5).voice(until=3.9, words="Stop.", partials={3.8: "Stop"}).run(12)
    assert script.when(f.Interrupt) == pytest.approx(3.8, abs=0.02)


def test_a_short_sound_does_not_even_make_the_agent_hesitate() -> None:
    script = asked().at(3.5).voice(until=3.95, words="Uh-huh.").run(12)  # by its end 0.5 s were not full
    assert script.story() == "Commit NoteOverlap"
    assert script.phases() == "idle hearing pausing thinking speaking overlap speaking idle"


@pytest.mark.parametrize("words", ["No.", "Stop.", "Wait, please."])
@pytest.mark.parametrize("min_words", [0, 3])
def test_a_command_interrupts_however_short(words: str, min_words: int) -> None:
    script = asked(manners(min_words=min_words))
    script.at(3.5).voice(until=3.8, words=words)
    script.run(5)
    assert script.story() == "Commit NoteOverlap Interrupt Commit"
    assert script.acts(f.NoteOverlap) == [f.NoteOverlap(words, True)]
    assert script.commits() == [HOURS, words]


def test_an_interruption_is_paused_verified_and_yielded_to() -> None:
    script = asked()
    script.at(3.5).voice(until=5.5, words="Sorry, on Sundays?", partials={4.3: "Sorry"})
    script.run(7)
    assert [(when, type(action).__name__) for when, action in script.timed(f.Pause, f.Interrupt)] == [
        (4.0, "Pause"),
        (4.3, "Interrupt"),
    ]
    assert script.acts(f.NoteOverlap) == [f.NoteOverlap("Sorry", True)]
    assert script.phases() == "idle hearing pausing thinking speaking overlap held hearing pausing thinking speaking"
    assert script.acts(f.Commit)[1] == f.Commit("Sorry, on Sundays?", "Sorry, on Sundays?", "silence", None)


def test_a_false_interruption_is_paused_verified_and_resumed() -> None:
    script = asked()
    script.at(3.5).voice(until=4.2)
    script.run(12)
    assert script.story() == "Commit Pause Resume"
    assert script.only(f.Resume).false_interruption is True
    assert script.when(f.Resume) == pytest.approx(4.6)
    finished = [step.at for step in script.steps if isinstance(step.event, f.SpeechFinished)]
    assert finished == [pytest.approx(5.7 + 0.6)]  # later by the time that it was held


def test_a_false_interruption_of_a_prompt_agent_is_resumed() -> None:
    script = asked(PROMPT).at(3.5).voice(until=4.2).run(12)
    assert script.story() == "Commit Pause Resume"
    assert script.only(f.Resume).false_interruption is True


def test_sound_over_silence_is_no_interruption_even_after_there_was_one() -> None:
    for second, begun in ((Answer(after=2.0), 10.0), (Answer(seconds=1.0, rest=(2.5, 1.0)), 10.4)):
        script = asked(answers=(Answer(), second))
        script.at(3.5).voice(until=4.2)
        script.at(8.0).voice(until=9.0, words=HOURS)
        script.at(begun).voice(until=begun + 0.6)  # before the reply; or over its sound, which stalls at 10.7
        script.run(20)
        resumed = [action for action in script.acts(f.Resume) if isinstance(action, f.Resume)]
        assert [action.false_interruption for action in resumed] == [True, False]


def test_words_in_the_overlap_interrupt_without_a_pause() -> None:
    script = asked(WORDS).at(3.5).voice(until=5.5, words="On Sundays?", partials={4.3: "On"}).run(8)
    assert script.story() == "Commit NoteOverlap Interrupt Commit"
    assert script.when(f.Interrupt) == 4.3


def test_long_sound_without_words_takes_the_floor_where_sound_counts() -> None:
    script = asked().at(3.5).voice(until=5.5).run(12)
    assert script.when(f.Pause) == 4.0
    assert script.when(f.Interrupt) == 5.0
    assert script.acts(f.NoteOverlap) == [f.NoteOverlap("", True)]
    assert script.commits() == [HOURS]
    assert script.phase is Phase.IDLE


def test_long_sound_without_words_changes_nothing_where_words_count() -> None:
    script = asked(WORDS).at(3.5).voice(until=5.5).run(12)
    assert script.story() == "Commit"


def test_a_sound_with_a_gap_where_it_would_count_counts_behind_the_gap() -> None:
    script = asked()
    script.at(3.5).voice(until=4.6, gap=(3.95, 4.1)).run(12)
    assert script.when(f.Pause) == pytest.approx(4.12)
    assert script.only(f.Resume).false_interruption is True


def test_a_sound_that_ends_just_when_it_would_take_the_floor_is_judged_by_its_words() -> None:
    script = asked()
    script.at(3.5).voice(until=4.9, words="Uh-huh, okay.")  # the verification ends at 5.0
    script.run(12)
    assert script.story() == "Commit Pause NoteOverlap Resume"


def test_a_long_backchannel_is_resumed_over() -> None:
    script = asked()
    script.at(3.5).voice(until=5.3, words="Yeah, okay.", partials={4.2: "yeah"})
    script.run(12)
    assert script.story() == "Commit Pause Resume NoteOverlap"
    assert script.phases() == "idle hearing pausing thinking speaking overlap held overlap speaking idle"


def test_each_new_sound_is_verified_anew() -> None:
    script = asked(hears_after=0.6)
    script.at(3.5).voice(until=4.2)
    script.at(4.6).voice(until=5.0)
    script.run(12)
    assert script.story() == "Commit Pause Resume"
    assert script.when(f.Resume) == pytest.approx(5.85)


def test_fewer_words_than_wanted_do_not_interrupt_and_are_answered_later() -> None:
    script = asked(manners(min_words=3))
    script.at(3.5).voice(until=3.9, words="On Sundays?")
    script.run(12)
    assert script.story() == "Commit Commit"
    assert script.when(f.Commit, 1) == pytest.approx(5.7)  # when the agent has finished
    assert script.commits() == [HOURS, "On Sundays?"]


def test_as_many_words_as_wanted_interrupt() -> None:
    script = asked(manners(min_words=3)).at(3.5).voice(until=4.2, words="What about Sundays?").run(5)
    assert script.story() == "Commit Pause NoteOverlap Interrupt Commit"


def test_where_nothing_interrupts_words_are_kept_and_answered_behind_the_reply() -> None:
    script = asked(OFF)
    script.at(3.0).voice(until=4.0, words="What about Sundays?")
    script.at(4.4).voice(until=4.7)  # a cough does not make them forgotten
    script.at(5.0).voice(until=5.2, words="Uh-huh.")  # nor does this
    script.run(6)
    assert script.story() == "Commit NoteOverlap Commit"
    assert script.commits() == [HOURS, "What about Sundays?"]
    assert script.when(f.Commit, 1) == pytest.approx(5.7)


def test_where_nothing_interrupts_the_caller_still_may_go_on_before_the_reply() -> None:
    script = asked(OFF, answers=(Answer(after=2.0), Answer()))
    script.at(3.0).voice(until=4.0, words="On Sundays?")
    assert script.run(12).commits() == [HOURS, f"{HOURS} On Sundays?"]


def test_sound_as_long_as_an_interruption_pauses_the_agent_with_its_detection() -> None:
    script = asked(PROMPT)
    script.at(3.5).voice(until=4.5, words="On Sundays?")
    script.run(5)
    assert script.when(f.Pause) == pytest.approx(3.7)
    voices = [step.at for step in script.steps if isinstance(step.event, f.VoiceStarted)]
    assert script.when(f.Pause) == pytest.approx(voices[1])


@pytest.mark.parametrize("begun", [0.7, 1.1, 2.3, 4.1, 5.9])
def test_rounding_does_not_delay_the_pause(begun: float) -> None:
    floor = TurnTaking(PROMPT)
    for event in (f.Opened(0.0, True), f.SpeechStarted(0.1, "reply")):
        floor.on(event)
    assert f.Pause() in floor.on(f.VoiceStarted(begun + 0.2 - 1e-9, begun))


def test_final_words_right_after_the_sound_end_the_turn_at_once() -> None:
    script = asked(PROMPT, hears_after=0.0).run(5)
    assert script.when(f.FinishUtterance) == script.when(f.Commit) == pytest.approx(2.2)
    assert not script.acts(f.Speculate)


# Words at the end of the agent's speech.


def test_words_whose_final_comes_after_the_agent_has_finished_are_answered() -> None:
    script = asked(hears_after=0.6)
    script.at(5.0).voice(until=5.3, words="On Sundays?")  # the agent is silent from 6.0 on, but for this it has ears
    script.run(8)
    assert script.commits() == [HOURS, "On Sundays?"]


def test_speech_over_the_last_word_of_the_agent_is_a_turn() -> None:
    script = asked().at(5.5).voice(until=6.5, words="On Sundays?").run(8)
    assert script.story() == "Commit Commit"
    assert script.phases() == ("idle hearing pausing thinking speaking overlap hearing pausing thinking speaking")


def test_a_yes_shortly_before_the_question_ends_is_its_answer() -> None:
    script = asked(answers=(Answer(text="Is Monday fine?"), Answer(text="Done.")))
    script.at(4.9).voice(until=5.2, words="Yes.")
    script.run(12)
    assert script.commits() == [HOURS, "Yes."]
    assert script.phase is Phase.IDLE


def test_a_yes_long_before_the_question_ends_is_a_listener() -> None:
    script = asked(answers=(Answer(text="Tuesday is full. Is Monday fine?"),))
    script.at(3.5).voice(until=3.8, words="Yes.")
    assert script.run(12).commits() == [HOURS]


STALLS = Answer(seconds=1.0, rest=(2.0, 1.0), text="Is Monday fine?")
"""Sounds from 2.7 to 3.7 and from 5.7 to 6.7, if the caller's words are known after 0.15 s."""


def test_words_over_the_agent_that_are_known_in_its_stall_take_the_floor() -> None:
    script = asked(answers=(STALLS, Answer()))
    script.at(3.2).voice(until=3.4, words="On Sundays?", final_after=0.5)
    script.run(12)
    assert script.commits() == [HOURS, "On Sundays?"]
    assert script.story() == "Commit NoteOverlap Interrupt Commit"


def test_a_backchannel_that_is_known_in_the_agents_stall_does_not() -> None:
    script = asked(answers=(STALLS, Answer()))
    script.at(3.2).voice(until=3.4, words="Uh-huh.", final_after=0.5)
    assert script.run(12).story() == "Commit NoteOverlap"


def test_words_that_are_never_final_outlive_the_agents_stall() -> None:
    for final_timeout_s, committed in ((0.5, 6.7), (6.0, 9.65)):
        script = asked(manners(final_timeout_s=final_timeout_s), answers=(STALLS, Answer()))
        script.at(3.2).voice(until=3.4, final_after=None, partials={3.8: "On Sundays?"})
        assert script.run(15).commits() == [HOURS, "On Sundays?"]
        assert script.when(f.Commit, 1) == pytest.approx(committed)
    script = asked(manners(final_timeout_s=0.5), answers=(STALLS, Answer()))
    script.at(3.2).voice(until=3.4, final_after=None, partials={3.5: "Uh-huh"})
    assert script.run(15).story() == "Commit NoteOverlap"


def test_words_are_waited_for_when_the_agent_has_no_more_to_say_after_all() -> None:
    script = asked(answers=(replace(STALLS, rest=(NEVER, 1.0)), Answer()))
    script.at(3.2).voice(until=3.4, words="On Sundays?", final_after=0.5)
    script.at(3.8).happens(f.SpeechFinished(3.8, more=False, text="Is Monday fine?"))
    assert script.run(4.5).commits() == [HOURS, "On Sundays?"]
    assert not script.acts(f.Interrupt)


def test_words_that_could_not_interrupt_are_answered_when_the_agent_has_no_more_to_say() -> None:
    script = asked(OFF, answers=(replace(STALLS, rest=(NEVER, 1.0)), Answer()))
    script.at(3.2).voice(until=3.4, words="On Sundays?")
    script.at(4.5).happens(f.SpeechFinished(4.5, more=False))
    assert script.run(5).commits() == [HOURS, "On Sundays?"]


def test_an_agent_that_has_no_more_to_say_gives_the_floor_back() -> None:
    script = asked(answers=(replace(STALLS, rest=(NEVER, 1.0)),))
    script.at(4.5).happens(f.SpeechFinished(4.5, more=False, text="What is your number?"))
    script.at(6.0).voice(until=7.0, words="It is five.")
    script.run(8.7)
    assert script.phases() == "idle hearing pausing thinking speaking thinking idle hearing pausing"
    assert script.run(9).commits() == [HOURS, "It is five."]  # patient: it asked for a number


def test_a_phrase_that_cannot_be_said_does_not_end_the_agents_turn() -> None:
    script = asked(answers=(Answer(after=5.0),), phrases={"filler": HANGS})
    script.at(5.2).happens(f.SpeechFinished(5.2, more=True))  # the filler of 5.0 is silent
    script.run(8)
    assert script.phases() == "idle hearing pausing thinking speaking"


def test_a_yes_that_answers_a_question_may_go_on() -> None:
    script = asked(manners(complete_delay_s=1.0), answers=(Answer(text="Is Monday fine?"), Answer()))
    script.at(5.5).voice(until=5.8, words="Yes.")  # the agent speaks from 3.3 to 6.3
    script.at(6.5).voice(until=7.2, words="But after nine.")
    assert script.run(9).commits() == [HOURS, "Yes. But after nine."]


def test_a_yes_in_the_stall_behind_a_question_is_its_answer() -> None:
    script = asked(answers=(replace(STALLS, rest=(NEVER, 1.0)), Answer()))
    script.at(3.2).voice(until=3.4, words="Yes.")
    script.at(3.9).happens(f.SpeechFinished(3.9, more=False, text="Is Monday fine?"))
    assert script.run(4.5).commits() == [HOURS, "Yes."]


# The greeting.


def test_the_greeting_is_said_and_the_caller_is_expected() -> None:
    script = Script(greet=True).run(3)
    assert script.phases() == "thinking speaking idle"
    assert script.acts() == [f.Say("greeting")]


def test_the_greeting_is_deaf_at_first() -> None:
    greeting = Answer(0.1, 3.0, text="Hello, this is the clinic.")
    script = Script(greet=True, phrases={"greeting": greeting})
    script.at(0.15).voice(until=0.5, words="This is the clinic.")  # the line's echo
    script.run(6)
    assert script.story() == "Say NoteOverlap"
    assert script.phase is Phase.IDLE


def test_the_greeting_is_interrupted_by_speech_that_outlasts_the_deaf_window() -> None:
    greeting = Answer(0.1, 3.0, text="Hello, this is the clinic.")
    script = Script(manners(greeting_deaf_s=1.0), greet=True, phrases={"greeting": greeting})
    script.at(0.3).voice(until=2.5, words="Hi, what time do you open?", partials={0.9: "Hi what", 1.5: "Hi what time"})
    script.run(4)
    assert script.when(f.Pause) == pytest.approx(1.1)
    assert script.when(f.Interrupt) == 1.5
    assert script.commits() == ["Hi, what time do you open?"]


def test_a_greeting_that_is_not_interruptible_is_said_to_its_end() -> None:
    greeting = Answer(0.5, 3.0, text="This call is recorded.")
    script = Script(manners(greeting_interruptible=False), greet=True, phrases={"greeting": greeting})
    script.at(0.1).voice(until=0.7, words="Hello?")  # before its sound and into it
    script.at(1.5).voice(until=3.0, words=HOURS)
    script.run(4)
    assert not script.acts(f.Pause, f.Interrupt, f.CancelReply)
    assert script.commits() == [f"Hello? {HOURS}"]
    assert script.when(f.Commit) == pytest.approx(3.5)


def test_a_caller_who_speaks_before_the_greeting_is_listened_to() -> None:
    script = Script(greet=True, phrases={"greeting": Answer(1.0, 3.0)})
    script.at(0.2).voice(until=1.2, words=HOURS)
    script.run(4)
    assert script.story() == "Say Pause NoteOverlap Interrupt Commit"


def test_a_greeting_stalls_deaf_and_goes_on() -> None:
    greeting = Answer(0.1, 0.6, rest=(1.0, 1.0), text="Hello.")
    script = Script(manners(greeting_deaf_s=1.0), greet=True, phrases={"greeting": greeting})
    script.at(0.2).voice(until=2.0, words="Hello?")
    script.run(5)
    assert script.phases().startswith("thinking speaking overlap thinking overlap")
    assert script.commits() == ["Hello?"]


# The table.


def test_every_row_of_the_table_is_taken() -> None:
    TAKEN.clear()
    modules = (limits, application, keypad, pieces)
    scenarios = [*globals().items(), *(item for module in modules for item in vars(module).items())]
    for name, scenario in scenarios:
        is_scenario = name.startswith("test_") and name != "test_every_row_of_the_table_is_taken"
        if is_scenario and not hasattr(scenario, "pytestmark"):
            scenario()
    missing = [repr(row) for index, row in enumerate(TABLE) if index not in TAKEN]
    assert not missing, "\n".join(missing)


def test_no_row_stands_behind_one_that_is_always_taken() -> None:
    always = set()
    for row in TABLE:
        assert (row.phase, row.event) not in always
        if row.when is None:
            always.add((row.phase, row.event))
