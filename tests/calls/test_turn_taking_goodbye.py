"""The caller says goodbye, alone: the call ends."""

from __future__ import annotations

import pytest

from antiphon.calls import floor as f
from antiphon.calls.floor import Phase
from antiphon.calls.phrases import is_one_of, stop_words
from tests.calls.script import HOURS, Answer, Script, asked, manners

LEAVES = manners(stop_words=stop_words("en"))


def said(words: str, **options: object) -> Script:
    return Script(LEAVES, **options).at(1.0).voice(until=1.5, words=words)  # type: ignore[arg-type]


@pytest.mark.parametrize("words", ["Goodbye.", "bye", "Bye-bye!", "See you later.", "Exit."])
def test_r28_a_stop_word_ends_the_call_with_a_goodbye(words: str) -> None:
    script = said(words).run(10)
    assert script.commits() == [words]
    assert script.only(f.Commit).answer is False
    assert script.story() == "Commit SayGoodbye HangUp"
    assert script.only(f.HangUp).reason == "agent_hangup"
    assert script.phase is Phase.ENDED


@pytest.mark.parametrize("words", ["Goodbye is what I said to him.", "When do you say bye?", "Bye, but one more thing"])
def test_r28_only_a_whole_utterance_is_a_stop_word(words: str) -> None:
    assert said(words).run(10).only(f.Commit).answer is True


def test_r28_words_that_may_still_change_end_nothing() -> None:
    script = Script(LEAVES).at(1.0).voice(until=3.0, words="Bye the way, when do you open?", partials={1.5: "Bye"})
    assert script.run(4).only(f.Commit).answer is True


def test_r28_two_utterances_of_one_turn_are_one() -> None:
    script = Script(LEAVES).at(1.0).voice(until=1.5, words="I would like to say and")
    assert script.at(2.5).voice(until=3.0, words="goodbye").run(10).only(f.Commit).answer is True


def test_who_says_goodbye_over_an_answer_is_heard() -> None:
    script = asked(LEAVES).at(4.0).voice(until=4.7, words="Goodbye.").run(10)
    assert [action.answer for action in script.acts(f.Commit) if isinstance(action, f.Commit)] == [True, False]
    assert script.only(f.HangUp).reason == "agent_hangup"


def test_who_says_goodbye_before_an_answer_is_heard_leaves_too() -> None:
    script = asked(LEAVES, answers=(Answer(after=3.0),)).at(3.0).voice(until=3.5, words="Bye.").run(10)
    assert script.commits() == [HOURS, f"{HOURS} Bye."]
    assert script.only(f.HangUp).reason == "agent_hangup"


def test_no_answer_is_tried_for_a_goodbye() -> None:
    assert said("Goodbye.", hears_after=0.05).run(10).acts(f.Speculate) == []


def test_an_application_that_answers_itself_decides_itself() -> None:
    policy = manners(stop_words=stop_words("en"), answers=False)
    script = Script(policy).at(1.0).voice(until=1.5, words="Goodbye.").run(5)
    assert script.story() == "Commit"


def test_without_stop_words_a_goodbye_is_answered() -> None:
    assert Script(manners()).at(1.0).voice(until=1.5, words="Goodbye.").run(5).only(f.Commit).answer is True


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("de-AT", "Auf Wiederhören!"),
        ("es", "Adios."),
        ("fr-FR", "À bientôt."),
        ("pt-BR", "Tchau!"),
        (None, "Good-bye."),
    ],
)
def test_r28_stop_words_are_those_of_the_language(language: str | None, words: str) -> None:
    assert is_one_of(words, stop_words(language))


def test_r28_a_language_that_is_not_known_has_no_stop_words() -> None:
    assert stop_words("xx") == frozenset()
    assert not is_one_of("Goodbye.", stop_words("de"))
