"""What words tell about the end of a turn."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.calls.endpointing import is_backchannel, is_command, judge, words_of
from antiphon.calls.expected import WHATS, Expected, What, asks_for
from antiphon.calls.policy import BACKCHANNELS, COMMANDS

QUICK = settings(max_examples=100, deadline=None, derandomize=True)


@pytest.mark.parametrize(
    "text",
    [
        "What time do you open?",
        "I'd like to book a cleaning for Thursday.",
        "Tomorrow at 9 AM.",
        "Tomorrow at nine a.m.",
        "At 10:30.",
        "It was about 1,200 euros.",
        "I was born in 1985.",
        "The second one.",
        "Do you do that?",
        "Ich möchte einen Termin am Montag.",
        *("yes", "No.", "Yes, please.", "That's all", "That’s right.", "Bye bye!", "thank you"),
    ],
)
def test_finished_sentences_and_short_answers_are_complete(text: str) -> None:
    assert judge(text) == "complete"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...?",
        "I need an appointment",
        "twenty-one",
        "On Monday",
        "Yes, I am.",
        "I was.",
        "Is that so.",
        "für Montag",
    ],
)
def test_what_may_or_may_not_be_finished_is_uncertain(text: str) -> None:
    assert judge(text) == "uncertain"


@pytest.mark.parametrize(
    "text",
    [
        *("I'd like to", "I would like to book a cleaning and.", "It's on the.", "Um.", "Well, hmm", "My name is"),
        *("I need a cleaning,", "I need a cleaning -", "I need…", "I need...", "The following:"),
        *("555 12", "five five five", "My number is 555-12.", "It's four one, five", "oh one seven six"),
        *("Call me at 555 01 99", "I am", "I'll be there at"),
    ],
)
def test_what_promises_more_is_incomplete(text: str) -> None:
    assert judge(text) == "incomplete"


@pytest.mark.parametrize(
    "text", ["415-555-0132", "It is 415 555 0132.", "four one five five five five oh one three two"]
)
def test_a_digit_run_as_long_as_a_phone_number_may_be_whole(text: str) -> None:
    assert judge(text) == "uncertain"
    assert judge(text, expected=Expected("number")) == "uncertain"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is 555.", "incomplete"),
        ("May fifth, 1985.", "incomplete"),
        ("seven", "incomplete"),
        ("It is Miller.", "uncertain"),
        ("No thanks.", "complete"),
        ("Why do you ask?", "complete"),
    ],
)
def test_a_question_that_asks_for_digits_makes_patient(text: str, expected: str) -> None:
    assert judge(text, expected=Expected("number")) == expected


@pytest.mark.parametrize(
    "text",
    [
        "What is your phone number?",
        "Sure. May I have your date of birth, please?",
        "Please tell me your e-mail address.",
        "Could you spell that for me?",
        "What is your phone number? Please say it slowly.",
        "And your zip code, please",
    ],
)
def test_questions_that_ask_for_what_is_said_in_pieces(text: str) -> None:
    assert asks_for(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "We open at nine.",
        "Is Monday fine?",
        "Thanks for the phone number! Is there anything else?",
        "I have your number. Is Monday fine?",
        "The number is 555 0132.",
        "What is your phone number? Never mind. I see it here. Is Monday fine?",
    ],
)
def test_questions_that_do_not(text: str) -> None:
    assert asks_for(text) is None


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is your six-digit customer number?", Expected("number", 6)),
        ("Please type the 4 digit code.", Expected("number", 4)),
        ("What is your date of birth?", Expected("birth_date")),
        ("When were you born?", Expected("birth_date")),
        ("What is your e-mail address?", Expected("email")),
        ("How do you spell your name?", Expected("spelling")),
        ("On which date were you here last?", Expected("date")),
    ],
)
def test_what_is_asked_for(question: str, expected: Expected) -> None:
    assert asks_for(question) == expected


@pytest.mark.parametrize(
    ("what", "text", "judged"),
    [
        *(("number", "four seven one", "incomplete"), ("number", "It is 4711.", "incomplete")),
        *(("birth_date", "May fifth", "incomplete"), ("birth_date", "The fourteenth.", "incomplete")),
        *(("birth_date", "May fifth, 1985.", "complete"), ("birth_date", "the 5th of May nineteen", "incomplete")),
        *(("birth_date", "May fifth nineteen eighty five", "complete"), ("birth_date", "It's 5 12 1985.", "complete")),
        *(("birth_date", "I'd rather not say.", "uncertain"), ("birth_date", "My what?", "complete")),
        *(("email", "george", "incomplete"), ("email", "George dot Miller at.", "incomplete")),
        *(("email", "george at example dot com", "complete"), ("email", "It's george@example.com.", "complete")),
        *(("email", "george at example dot co", "incomplete"), ("email", "at example dot band", "uncertain")),
        *(("email", "I don't have one.", "uncertain"), ("email", "No.", "complete")),
        *(
            ("email", "My email. Is Tom Dot? Miller. At example.com", "complete"),
            ("email", "My email. Is Tom Dot?", "incomplete"),
            ("number", "My number is.", "incomplete"),
        ),
        *(
            ("spelling", "M I L", "incomplete"),
            ("spelling", "M-I-L", "incomplete"),
            ("spelling", "B.", "incomplete"),
        ),
        ("spelling", "It is Miller.", "uncertain"),
        *(
            ("date", "In May", "incomplete"),
            ("date", "The fifth of June", "uncertain"),
            ("date", "On Thursday.", "uncertain"),
        ),
    ],
)
def test_how_much_of_what_was_asked_for_is_there(what: What, text: str, judged: str) -> None:
    assert judge(text, expected=Expected(what)) == judged


def test_a_number_of_a_known_length_is_whole_with_its_last_digit() -> None:
    assert judge("It is 471.", expected=Expected("number", 4)) == "incomplete"
    assert judge("It is 4711.", expected=Expected("number", 4)) == "complete"
    assert judge("four seven one one", expected=Expected("number", 4)) == "complete"


@pytest.mark.parametrize(
    "text",
    [
        "Uh-huh.",
        "uh huh",
        "Mm-hmm",
        "mm hmm.",
        "Okay.",
        "Okay, right.",
        "Yeah, yeah, I see.",
        "Got it!",
        "All right, sure",
    ],
)
def test_backchannels(text: str) -> None:
    assert is_backchannel(text, BACKCHANNELS)


@pytest.mark.parametrize(
    "text", ["", "...", "no", "okay but", "yes please call me", "oh no", "righteous", "see", "stop"]
)
def test_words_that_are_more_than_a_backchannel(text: str) -> None:
    assert not is_backchannel(text, BACKCHANNELS)


def test_backchannels_may_be_of_any_language_and_length() -> None:
    known = frozenset({"genau", "ach so", "das ist ja interessant", "ой"})
    assert is_backchannel("Ach so, genau.", known)
    assert is_backchannel("Das ist ja interessant! Ach so.", known)
    assert is_backchannel("Ой!", known)
    assert not is_backchannel("Das ist falsch.", known)


@pytest.mark.parametrize(
    "text", ["No.", "no, that's wrong", "Stop!", "Wait a moment.", "Hold on, please.", "Excuse me?"]
)
def test_commands(text: str) -> None:
    assert is_command(text, COMMANDS)


@pytest.mark.parametrize("text", ["", "Nobody came.", "I cannot wait.", "hold the line", "nope", "stopping"])
def test_words_that_are_no_command(text: str) -> None:
    assert not is_command(text, COMMANDS)


def test_commands_may_have_any_length() -> None:
    assert is_command("Just a moment please", frozenset({"just a moment"}))
    assert not is_command("Just a thing", frozenset({"just a moment"}))


def test_words_are_those_of_any_script() -> None:
    assert words_of("Können wir's um 9:30 machen?") == ["können", "wir's", "um", "9", "30", "machen"]
    assert words_of("Don’t — uh-huh_ok") == ["don't", "uh-huh", "ok"]
    assert words_of("Подождите, пожалуйста!") == ["подождите", "пожалуйста"]
    assert words_of("请等一下。") == ["请等一下"]


@QUICK
@given(st.text(max_size=60), st.none() | st.builds(Expected, st.sampled_from(sorted(WHATS)), st.none() | st.just(4)))
def test_any_text_is_judged(text: str, expected: Expected | None) -> None:
    assert judge(text, expected=expected) in {"complete", "uncertain", "incomplete"}
    assert asks_for(text) is None or isinstance(asks_for(text), Expected)
    assert not (is_backchannel(text, BACKCHANNELS) and is_command(text, COMMANDS))
    assert all(word == word.lower() and word.strip() for word in words_of(text))


@QUICK
@given(
    st.lists(st.sampled_from(sorted(BACKCHANNELS)), min_size=1, max_size=4), st.sampled_from([" ", ", ", "! ", "… "])
)
def test_backchannels_in_a_row_are_one(phrases: list[str], between: str) -> None:
    assert is_backchannel(between.join(phrases), BACKCHANNELS)


@QUICK
@given(st.sampled_from(sorted(COMMANDS)), st.text(max_size=20))
def test_a_command_is_one_whatever_follows(command: str, rest: str) -> None:
    assert is_command(f"{command.title()}, {rest}", COMMANDS)


@QUICK
@given(st.sampled_from("and but so the to for of with".split()), st.sampled_from(["", ".", ",", "…"]))
def test_a_word_that_binds_promises_more_whatever_the_punctuation(word: str, end: str) -> None:
    expected = "uncertain" if (word, end) == ("so", ".") else "incomplete"
    assert judge(f"I need a cleaning {word}{end}") == expected
