"""Turn-taking where the agent has asked for what people say in pieces: a number, a date, an address."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from antiphon.calls import floor as f
from antiphon.calls.expected import What
from tests.calls.script import Answer, Script

PAUSE_S = 1.2


def said_in_pieces(question: str, pieces: Sequence[str], *, score: float | None = None) -> Script:
    """The agent greets with a question; the caller answers in pieces of a second with pauses between."""
    script = Script(greet=True, phrases={"greeting": Answer(0.1, 2.0, text=question)})
    for place, piece in enumerate(pieces):
        begin = 3.0 + place * (1.0 + PAUSE_S)
        script.at(begin).voice(until=begin + 1.0, words=piece)
        if score is not None:
            script.at(begin + 1.3).score(score)
    return script.run(20)


def assert_one_turn(question: str, pieces: Sequence[str], *, within_s: float, score: float | None = None) -> None:
    script = said_in_pieces(question, pieces, score=score)
    assert script.commits()[0] == " ".join(pieces)
    silent_at = 3.0 + len(pieces) * 1.0 + (len(pieces) - 1) * PAUSE_S
    assert script.when(f.Commit) <= silent_at + within_s + 0.01


def test_a_phone_number_in_four_groups_is_one_turn() -> None:
    groups = ("It's four one five.", "Five five five.", "Zero one.", "Three two.")
    assert_one_turn("What is your phone number?", groups, within_s=0.9)
    assert_one_turn("What is your phone number?", groups, within_s=0.9, score=0.95)  # as if each group were all


def test_a_date_of_birth_in_pieces_is_one_turn_and_answered_as_soon_as_it_is_whole() -> None:
    question = "What is your date of birth?"
    assert_one_turn(question, ("The fourteenth.", "Of March.", "Nineteen eighty-five."), within_s=0.4)
    assert_one_turn(question, ("March 14th,", "1985."), within_s=0.4)


def test_an_e_mail_address_in_pieces_is_one_turn_and_answered_as_soon_as_it_is_whole() -> None:
    pieces = ("George.", "Dot Miller.", "At example.", "Dot com.")
    assert_one_turn("And your e-mail address, please?", pieces, within_s=0.4)


def test_a_name_that_is_spelled_is_one_turn() -> None:
    assert_one_turn("Could you spell that for me?", ("M, I, L.", "L E.", "R."), within_s=1.8)


def test_a_number_of_a_known_length_is_answered_as_soon_as_it_is_whole() -> None:
    assert_one_turn("What is your six-digit customer number?", ("Four seven.", "One one.", "Eight nine."), within_s=0.4)


def test_who_does_not_give_the_number_is_answered_soon() -> None:
    for answer in ("Which number do you mean?", "No."):
        script = said_in_pieces("What is your phone number?", (answer,))
        assert script.when(f.Commit) == pytest.approx(4.4, abs=0.02)


def test_without_the_question_the_same_words_are_not_waited_for_so_long() -> None:
    script = said_in_pieces("How may I help you?", ("George.", "Dot Miller."))
    assert script.commits()[0] == "George."


def expecting(what: What, digits: int | None, pieces: Sequence[str]) -> Script:
    script = Script(greet=True, phrases={"greeting": Answer(0.1, 2.0, text="Go ahead.")})
    script.at(1.0).happens(f.InputExpected(1.0, what, digits))
    for place, piece in enumerate(pieces):
        begin = 3.0 + place * (1.0 + PAUSE_S)
        script.at(begin).voice(until=begin + 1.0, words=piece)
    return script.run(20)


def test_a_tool_may_say_what_is_asked_for() -> None:
    assert expecting("number", 4, ("Four seven.", "One one.")).commits() == ["Four seven. One one."]
    assert expecting("email", None, ("George.", "At example dot com.")).commits() == ["George. At example dot com."]


def test_what_a_tool_asks_for_holds_for_one_turn() -> None:
    script = expecting("number", 4, ("Four seven one one.",))
    assert script.floor.told_expected is None


def test_what_is_asked_for_is_noted_in_any_phase() -> None:
    for when in (0.0, 0.05, 1.0, 3.5, 4.3, 5.0, 9.0):
        script = Script(greet=True, phrases={"greeting": Answer(0.1, 2.0)})
        script.at(3.0).voice(until=4.0, words="Yes please.")
        script.at(when).happens(f.InputExpected(when, "date"))
        assert script.run(when + 0.01).floor.told_expected is not None
    over = Script(greet=True, phrases={"greeting": Answer(0.1, 3.0)})
    over.at(1.0).voice(until=2.4, words="It is well")
    over.at(1.2).happens(f.InputExpected(1.2, "date"))
    over.at(2.0).happens(f.InputExpected(2.0, "date"))
    over.at(4.0).end("error", goodbye=True)
    over.at(4.05).happens(f.InputExpected(4.05, "date")).run(5)
    assert over.floor.told_expected is not None


def test_what_is_asked_for_before_the_call_is_up_is_kept() -> None:
    script = Script()
    script.tell(f.InputExpected(0.0, "number", 4))
    script.at(1.0).voice(until=2.0, words="Four seven.")
    script.at(3.2).voice(until=4.2, words="One one.").run(8)
    assert script.commits() == ["Four seven. One one."]


@pytest.mark.parametrize(
    ("words", "delay_s"),
    [
        *[("Hello?", 0.35), ("Bob speaking.", 0.35), ("Good morning, how can I help you?", 0.35)],
        *[("Hi, this is Bob.", 0.8), ("We are away and", 1.8)],
    ],
)
def test_who_may_be_a_machine_is_given_time_behind_a_statement(words: str, delay_s: float) -> None:
    script = Script(hears_after=0.01).at(0.5).happens(f.InputExpected(0.5, "announcement"))
    script.at(1.0).voice(until=2.0, words=words).run(10)
    assert script.when(f.Commit) == pytest.approx(2.0 + delay_s)
