from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from antiphon.agents.heard import heard_text
from antiphon.models.tts.contract import WordTiming

TEXT = "We open at ten, on Monday."
WORDS = [WordTiming(2, 200), WordTiming(7, 500), WordTiming(10, 600), WordTiming(14, 900), WordTiming(18, 1000)]


def test_all_is_heard_when_all_was_played() -> None:
    assert heard_text(TEXT, 1.0) == TEXT
    assert heard_text(TEXT, 0.9995, words=WORDS, heard_ms=10) == TEXT


def test_nothing_is_heard_before_the_first_word_is_over() -> None:
    assert heard_text(TEXT, 0.0) == ""
    assert heard_text(TEXT, -1.0) == ""
    assert heard_text(TEXT, 0.05) == ""
    assert heard_text(TEXT, 0.5, words=WORDS, heard_ms=199) == ""
    assert heard_text("", 0.5) == ""


def test_the_share_is_cut_to_whole_words() -> None:
    assert heard_text(TEXT, 0.3) == "We open"
    assert heard_text(TEXT, 0.55) == "We open at ten,"
    assert heard_text(TEXT, 0.9) == "We open at ten, on"


def test_timings_win_over_the_share() -> None:
    assert heard_text(TEXT, 0.1, words=WORDS, heard_ms=900) == "We open at ten,"
    assert heard_text(TEXT, 0.9, words=WORDS, heard_ms=550) == "We open"
    assert heard_text(TEXT, 0.3, words=WORDS) == "We open"


def test_a_timing_inside_a_word_does_not_cut_it() -> None:
    timings = [WordTiming(3, 100), WordTiming(5, 200)]
    assert heard_text("I can't do it", 0.1, words=timings, heard_ms=150) == "I"
    assert heard_text("I can't do it", 0.1, words=timings, heard_ms=250) == "I"


def test_scripts_without_spaces_are_cut_between_signs() -> None:
    assert heard_text("今日は月曜日です", 0.5) == "今日は月"


@given(st.text(alphabet="ab c.,'-"), st.floats(0, 1))
def test_what_was_heard_is_whole_words_from_the_start(text: str, share: float) -> None:
    heard = heard_text(text, share)
    assert text.startswith(heard)
    assert heard in ("", text) or (not heard[-1].isspace() and (text[len(heard) :] + " ")[0].isspace())
