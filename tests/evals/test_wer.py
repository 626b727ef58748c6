from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.evals.wer import WordErrors, normalize, word_error_rate, word_errors

WORDS = st.lists(st.sampled_from(["we", "open", "at", "ten", "five", "hundred", "on", "sunday"]), max_size=12)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("A cleaning is ninety dollars at ten AM.", "a cleaning is $90 at 10 a.m."),
        ("My number is five five five, oh one, nine eight.", "My number is 5550198"),
        ("the twenty third of March, nineteen eighty-four", "The 23rd of March, 1984."),
        ("one hundred and five", "105"),
        ("a hundred", "100"),
        ("two thousand and six", "2,006"),
        ("twelve thousand five hundred", "12,500"),
        ("half past three thirty pm", "half past 3:30 p.m."),
        ("four dollars fifty", "$4.50"),
        ("three point one four", "3.14"),
        ("tom dot miller at example dot com", "Tom.Miller@example.com"),
        ("Doctor Smith and Mister Jones", "Dr. Smith and Mr. Jones"),
        ("I do not know, I cannot say, we will see", "I don't know, I can't say; we'll see"),
        ("um, okay, uh, goodbye", "OK. Good-bye!"),
        ("the third floor", "the 3rd floor"),
        ("ten percent", "10%"),
    ],
)
def test_the_same_words_written_in_two_ways_are_no_error(said: str, written: str) -> None:
    assert normalize(said) == normalize(written)


@pytest.mark.parametrize(
    ("one", "other"), [("fifteen", "fifty"), ("fourteen", "forty"), ("no", "now"), ("can", "can't"), ("105", "15")]
)
def test_different_words_stay_different(one: str, other: str) -> None:
    assert normalize(one) != normalize(other)


def test_each_kind_of_error_is_counted() -> None:
    assert word_errors("we open at noon", "we open noon") == WordErrors(deletions=1, words=4)
    assert word_errors("we open at noon", "we are open at noon") == WordErrors(insertions=1, words=4)
    assert word_errors("we open at noon", "we open at nine") == WordErrors(substitutions=1, words=4)
    assert word_errors("", "hello").rate == 1.0
    assert word_errors("", "").rate == 0.0


def test_a_rate_over_many_counts_each_word_the_same() -> None:
    assert word_error_rate([("a b c", "a b c"), ("d", "e")]) == 0.25
    assert word_error_rate([]) == 0.0


@given(WORDS)
def test_what_was_heard_right_has_no_errors(words: list[str]) -> None:
    assert word_errors(" ".join(words), " ".join(words).title()).rate == 0


@given(WORDS, WORDS)
def test_errors_are_the_fewest_edits_in_both_directions(said: list[str], heard: list[str]) -> None:
    there = word_errors(" ".join(said), " ".join(heard))
    back = word_errors(" ".join(heard), " ".join(said))
    total = there.substitutions + there.deletions + there.insertions
    assert total == back.substitutions + back.deletions + back.insertions
    assert total <= max(there.words, back.words)
    assert there.words - there.deletions + there.insertions == back.words


@given(st.text(max_size=60))
def test_any_text_can_be_normalized_and_stays_as_it_is_then(text: str) -> None:
    once = normalize(text)
    assert all(word and word == word.lower() for word in once)
