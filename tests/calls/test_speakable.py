from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.calls.speakable import speakable

TEXTS = [
    ("Just plain words, at $3.50.", "Just plain words, at $3.50."),
    ("  two \n lines\t", "two lines"),
    ("...", ""),
    ("😀", ""),
    ("&nbsp;", ""),
    ("**bold** *em* _em_ __bold__ ***both*** ~~gone~~ `code` ``a ` b``", "bold em em bold both gone code a b"),
    ("*a **b** c* and **a *b* c** and **_d_**", "a b c and a b c and d"),
    ("3 * 4 * 5, 3*4*5, 2**8, x*y, 2 ** 3", "3 * 4 * 5, 3*4*5, 2**8, x*y, 2 ** 3"),
    ("user_name, _private and a_b_c", "user_name, _private and a_b_c"),
    ("**never closed", "never closed"),
    ("From $90*. *Terms apply. The `rest", "From $90. Terms apply. The rest"),
    (r"\*not em\* and 1\. too", "*not em* and 1. too"),
    ("# Title", "Title"),
    ("### Title of it", "Title of it"),
    ("We are #1 in C# and F#.", "We are #1 in C# and F#."),
    ("> quoted\n> > twice", "quoted twice"),
    ("- one\n* two\n+ three\n• four", "one two three four"),
    ("- [ ] to do\n- [x] done", "to do done"),
    ("-5 degrees, +1 555 0199", "-5 degrees, +1 555 0199"),
    ("1. one\n2) two", "1. one 2. two"),
    ("one\n---\ntwo\n***\nthree", "one two three"),
    ("| Name | Price |\n|---|:-:|\n| Check-up | $90 |", "Name, Price Check-up, $90"),
    ("Pizza • Pasta · Salad", "Pizza, Pasta, Salad"),
    ('See [our site](https://example.com/a_(b) "T").', "See our site."),
    ("![a chart](c.png) and [![badge](b.svg)](https://x.org)", "a chart and badge"),
    ("It is so [1], she says.[^2]", "It is so, she says."),
    ("At https://www.example.com/a/b?c=d_e&f.", "At example.com."),
    ("At www.example.org, (http://localhost:8000/x), <https://a.b/c>.", "At example.org, (localhost), a.b."),
    ("Mail jane_doe@www.example.com.", "Mail jane_doe@www.example.com."),
    ("**https://example.com/a_b_c**", "example.com"),
    ('H<sub>2</sub>O<br>is <b class="x">wet</b><br/>.', "H2O is wet."),
    ("a < b and x <y and z> w, I <3 you", "a < b and x <y and z> w, I <3 you"),
    ("Fish &amp; chips &lt;3 &#8364;5", "Fish & chips <3 €5"),
    ("Great 😀! 👨‍👩‍👧 Thumbs 👍🏽 up ✅, 1️⃣ and ☎️.", "Great! Thumbs up, 1 and."),
    ("It costs 5 € in the EU™.", "It costs 5 € in the EU™."),
    ("**重要**です。", "重要です。"),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_markup_becomes_plain_words(text: str, expected: str) -> None:
    assert speakable(text) == expected


def test_a_sign_in_the_middle_of_a_line_is_no_bullet() -> None:
    assert speakable("- 3 is four. **Ok**", line_start=False) == "- 3 is four. Ok"
    assert speakable("- 3 is four. **Ok**") == "3 is four. Ok"


@given(st.text(alphabet="ab1 .,*_`~#>[]()<|\\&;-\n\"'/:w😀"))
def test_any_text_gives_one_clean_line(text: str) -> None:
    speech = speakable(text)
    assert speech == " ".join(speech.split())
    assert not speech or any(sign.isalnum() for sign in speech)
