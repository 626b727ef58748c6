"""Turn-taking with a caller who types."""

from __future__ import annotations

import pytest

from antiphon.calls import floor as f
from antiphon.calls.floor import Phase
from tests.calls.script import HOURS, NEVER, Answer, Script, asked, manners

FOUR = "••••"
ASKS = Answer(0.3, 3.0, text="What is your number?")


def test_a_number_that_is_typed_is_a_turn_at_once() -> None:
    script = Script().at(1.0).types(4, over=1.0)
    script.run(3)
    assert script.only(f.Commit) == f.Commit(FOUR, FOUR, "dtmf", None)
    assert script.when(f.Commit) == 2.0


def test_a_number_that_is_typed_is_a_sign_of_life() -> None:
    script = Script(manners(answers=False)).at(10.0).types(4)
    script.run(25.5)
    assert not script.acts(f.NoteIdle)
    script.run(26)
    assert script.acts(f.NoteIdle)


def test_a_key_stops_what_the_agent_says() -> None:
    script = asked().at(3.5).key()
    script.run(3.6)
    assert script.when(f.Interrupt) == 3.5
    assert script.phase is Phase.IDLE
    script.run(20)
    assert script.when(f.NoteIdle) == pytest.approx(18.5)


def test_a_number_that_is_typed_over_the_agent_is_answered_by_itself() -> None:
    script = asked().at(3.5).types(4)
    script.run(6)
    assert script.commits() == [HOURS, FOUR]
    assert script.story() == "Commit Interrupt Commit"


def test_a_key_need_not_stop_the_agent_and_its_number_waits() -> None:
    script = asked().at(3.5).types(4, interrupts=False)
    script.run(7)
    assert not script.acts(f.Interrupt, f.Pause)
    assert script.commits() == [HOURS, FOUR]
    assert script.timed(f.Commit)[1][0] == pytest.approx(5.7, abs=0.1)  # when the answer is over
    assert [f.describe(action)["trigger"] for action in script.acts(f.Commit)] == ["silence", "dtmf"]


def test_a_greeting_that_is_not_interruptible_stands_a_key() -> None:
    script = Script(manners(greeting_interruptible=False), greet=True, phrases={"greeting": Answer(0.1, 3.0)})
    script.at(1.0).types(4).run(5)
    assert not script.acts(f.Interrupt)
    assert script.commits() == [FOUR]
    assert script.when(f.Commit) == pytest.approx(3.1)


def test_a_number_that_is_typed_before_the_answer_is_heard_goes_on_with_the_turn() -> None:
    script = asked(answers=(Answer(after=1.5), Answer())).at(2.6).types(4, over=0.4)
    script.run(6)
    assert script.commits() == [HOURS, f"{HOURS} {FOUR}"]
    assert script.only(f.CancelReply) == f.CancelReply()


def test_a_number_that_is_typed_behind_words_belongs_to_their_turn() -> None:
    script = Script(answers=(ASKS,))
    script.at(1.0).voice(until=2.0, words="My customer number is")
    script.at(2.5).types(6, over=3.0).run(7)
    assert script.commits() == ["My customer number is ••••••"]
    assert script.when(f.Commit) == 5.5


def test_a_turn_is_not_held_for_ever_by_a_key() -> None:
    script = Script().at(1.0).voice(until=2.0, words=HOURS)
    script.at(1.9).key()
    script.at(2.3).key().run(6)
    assert script.commits() == [HOURS]
    assert script.when(f.Commit) == pytest.approx(2.3 + 1.5, abs=0.15)


def test_who_types_and_speaks_at_once_is_heard_out() -> None:
    script = Script().at(1.0).voice(until=3.0, words="This is my PIN.")
    script.at(1.5).types(4).run(5)
    assert script.commits() == [f"{FOUR} This is my PIN."]
    assert script.when(f.Commit) == pytest.approx(3.4)


def test_a_number_over_an_answer_that_both_talk_over_takes_the_floor() -> None:
    script = asked().at(3.0).voice(until=3.45, words="It is")  # too short to count
    script.at(3.2).types(4, over=0.2).run(6)
    assert script.commits() == [HOURS, f"{FOUR} It is"]


def held_with_a_number(*, interrupts: bool) -> None:
    script = asked()
    script.at(3.0).voice(until=3.8, words="uh-huh")
    script.at(3.6).happens(f.KeysTyped(3.6, FOUR, 3.6, interrupts))
    script.run(8)
    assert HOURS in script.commits()[0]
    assert FOUR in script.commits()[-1]


def test_a_number_comes_while_the_agent_holds_its_sound() -> None:
    held_with_a_number(interrupts=True)
    held_with_a_number(interrupts=False)


def test_an_answer_that_begins_behind_the_last_key_gives_way_to_the_number() -> None:
    sounds = asked().at(3.5).happens(f.KeysTyped(3.5, FOUR, 3.5)).run(6)
    assert sounds.story() == "Commit NoteOverlap Interrupt Commit"
    assert sounds.when(f.Interrupt) == 3.5
    both = asked().at(3.0).voice(until=3.45, words="It is.")
    both.at(3.2).happens(f.KeysTyped(3.2, FOUR, 3.2)).run(6)
    assert both.when(f.Interrupt) == 3.2
    assert both.commits() == [HOURS, f"{FOUR} It is."]


def test_a_number_comes_between_the_first_sound_and_a_stall() -> None:
    stalls = (Answer(0.3, 1.0, rest=(2.0, 1.0)),)
    script = asked(answers=(*stalls, Answer()))
    script.at(4.0).types(4, over=0.3, interrupts=False).run(9)
    assert script.commits() == [HOURS, FOUR]
    assert not script.acts(f.Interrupt)


def test_a_number_that_may_not_interrupt_waits_behind_both() -> None:
    script = asked().at(3.0).voice(until=3.4, words="Okay")
    script.at(3.2).happens(f.KeysTyped(3.2, FOUR, 3.2, False)).run(8)
    assert script.commits() == [HOURS, FOUR]
    assert not script.acts(f.Interrupt)


def test_a_key_stops_an_answer_that_is_held_or_talked_over() -> None:
    held = asked().at(3.0).voice(until=4.2, words="It is well")
    held.at(3.6).key().run(6)
    assert held.when(f.Interrupt) == 3.6
    both = asked().at(3.0).voice(until=3.45, words="It is well.")
    both.at(3.2).key().run(6)
    assert both.when(f.Interrupt) == 3.2
    assert both.commits() == [HOURS, "It is well."]


def test_the_end_of_the_call_is_not_stopped_by_a_key() -> None:
    script = Script(phrases={"goodbye": Answer(0.1, 2.0)}).at(1.0).end("error", goodbye=True)
    script.at(1.5).types(4).run(5)
    assert script.only(f.HangUp) == f.HangUp("error")
    assert not script.acts(f.Commit, f.Interrupt)


def test_keys_are_written_down_and_read_again_without_a_digit() -> None:
    for event in (f.KeyPressed(1.0, False, 1.5), f.KeysTyped(2.0, FOUR, 2.0, True)):
        assert f.event_from(f.describe(event)) == event


def test_a_reply_that_never_comes_gives_way_to_a_number() -> None:
    script = asked(answers=(Answer(after=NEVER), Answer())).at(3.0).types(4).run(8)
    assert script.commits() == [HOURS, f"{HOURS} {FOUR}"]


def test_the_silence_behind_a_number_counts_from_its_last_key() -> None:
    script = Script(answers=(Answer(after=NEVER),)).at(1.0).key()
    script.at(2.5).happens(f.KeysTyped(2.5, FOUR, 1.0)).run(4.5)
    assert script.when(f.Say) == 4.0  # the filler
