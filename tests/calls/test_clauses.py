from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.calls.clauses import Clause, ClauseSplitter


def split(
    text: str, *, parts: list[str] | None = None, first_min_chars: int = 12, max_chars: int = 200
) -> list[Clause]:
    splitter = ClauseSplitter(first_min_chars=first_min_chars, max_chars=max_chars)
    clauses = [clause for part in parts or [text] for clause in splitter.feed(part)]
    return clauses + splitter.flush()


def said(text: str) -> list[str]:
    """What is said, clause by clause, of a text that comes sign by sign."""
    return [clause.speech for clause in split(text, parts=list(text)) if clause.speech]


SENTENCES = [
    ("", []),
    ("   \n", []),
    ("...", []),
    ("Yes.", ["Yes."]),
    ("Yes, of course. We are open. Anything else?", ["Yes, of course.", "We are open.", "Anything else?"]),
    ("Hello there, my name is Ann. How can I help?", ["Hello there,", "my name is Ann.", "How can I help?"]),
    ("Hello. How can I help you?", ["Hello. How can I help you?"]),
    ("A good choice: the blue one; it is new.", ["A good choice:", "the blue one; it is new."]),
    ("I can do it – of course. I can—wait—do it.", ["I can do it –", "of course.", "I can—wait—do it."]),
    ("I can see that—let me look. Ok.", ["I can see that—", "let me look.", "Ok."]),
    ("Nobody there? Hm! Well... fine… Bye.", ["Nobody there?", "Hm!", "Well...", "fine…", "Bye."]),
    ("What is this?! No idea!!! Really??", ["What is this?!", "No idea!!!", "Really??"]),
    # Titles, initials and other abbreviations.
    ("Ask Dr. Smith or Mrs. Jones. St. Mary's is near.", ["Ask Dr. Smith or Mrs. Jones.", "St. Mary's is near."]),
    ("This is J. R. Smith of the U.S. Government. Hi.", ["This is J. R. Smith of the U.S. Government.", "Hi."]),
    ("We take cards, e.g. Visa, i.e. no cash. Ok.", ["We take cards,", "e.g. Visa, i.e. no cash.", "Ok."]),
    ("It takes approx. 5 minutes. Cats vs. dogs.", ["It takes approx. 5 minutes.", "Cats vs. dogs."]),
    ("Room No. 5 is free. No. It is not.", ["Room No. 5 is free.", "No.", "It is not."]),
    (
        "It is on p. 12 of vol. 3. See fig. 2. Call ext. 9.",
        ["It is on p. 12 of vol. 3.", "See fig. 2.", "Call ext. 9."],
    ),
    (
        "Smith Inc. is here. I know Smith Inc. They are good.",
        ["Smith Inc. is here.", "I know Smith Inc.", "They are good."],
    ),
    ("I call our rep. Anna is here. Rep. Smith is not.", ["I call our rep.", "Anna is here.", "Rep. Smith is not."]),
    ("Bread, eggs, etc. are cheap, etc. Then go.", ["Bread, eggs,", "etc. are cheap, etc.", "Then go."]),
    # Times, amounts, numbers, dates.
    (
        "We open at 10 a.m. and close at 5 p.m. Then we rest.",
        ["We open at 10 a.m. and close at 5 p.m.", "Then we rest."],
    ),
    ("We open at 9 a.m. Monday to Friday. Ok.", ["We open at 9 a.m. Monday to Friday.", "Ok."]),
    ('"Come at 5 p.m." Then he left.', ['"Come at 5 p.m."', "Then he left."]),
    ("Come at 5 p.m.\nBring it.", ["Come at 5 p.m.", "Bring it."]),
    ("The time is 10:30. It is late.", ["The time is 10:30.", "It is late."]),
    ("It costs $1,250.50 or 1,000 euros. Pi is 3.14.", ["It costs $1,250.50 or 1,000 euros.", "Pi is 3.14."]),
    ("The answer is 3. Next.", ["The answer is 3.", "Next."]),
    ("On May 5, 2024, we met. From 10 – 12 we rest.", ["On May 5, 2024,", "we met.", "From 10 – 12 we rest."]),
    ("Dial 1, 2, 3 and wait, please.", ["Dial 1, 2, 3 and wait,", "please."]),
    ("Version 3.11.7 works. So does v2. Good.", ["Version 3.11.7 works.", "So does v2.", "Good."]),
    # Quotes and brackets behind the end.
    ('He said "Stop." Then he left (really.) Ok.', ['He said "Stop."', "Then he left (really.)", "Ok."]),
    ("He said ‘Go.’ She said «Oui.» Fin.", ["He said ‘Go.’", "She said «Oui.»", "Fin."]),
    # Addresses.
    (
        "Visit https://www.example.com/a_b/c?d=1,2. Or mail john.doe@example.com. Thanks!",
        ["Visit example.com.", "Or mail john.doe@example.com.", "Thanks!"],
    ),
    # Lists, headings, lines.
    (
        "These are they:\n1. First\n2. Second\n- third\n* last",
        ["These are they:", "1. First", "2. Second", "third", "last"],
    ),
    ("1. Open the app. 2. Close it. 3. Wait.", ["1. Open the app.", "2. Close it.", "3. Wait."]),
    ("You may say 1. Yes 2. No 3. Maybe. Choose.", ["You may say 1.", "Yes 2.", "No 3.", "Maybe.", "Choose."]),
    ("The options are: 1. Yes 2. No 3. Maybe. Choose.", ["The options are:", "1. Yes 2. No 3. Maybe.", "Choose."]),
    ("# The big title\n\nIt is here.", ["The big title", "It is here."]),
    ("One line here\r\nNext line\r\n", ["One line here", "Next line"]),
    ("Lots of room.\n\n---\n\nMore.", ["Lots of room.", "More."]),
    # Emoji and emoticons.
    ("That is great! 😀 How are you?👍🏽 Fine :)", ["That is great!", "How are you?", "Fine :)"]),
    # Emphasis, links, code, tags: no cut inside.
    ("**Opening hours:** Monday. **Note. Well.** Ok.", ["Opening hours:", "Monday.", "Note. Well.", "Ok."]),
    ("Take *this. one* or _that. one_ or ~~no. one~~. Ok.", ["Take this. one or that. one or no. one.", "Ok."]),
    ("See [our site. It is nice](https://x.org/a_(b)?c=1). Ok.", ["See our site. It is nice.", "Ok."]),
    ("Type `a. b` or ``c. ` d`` now. Ok.", ["Type a. b or c. d now.", "Ok."]),
    ('Please go <a href="x. y">here</a>. Now.', ["Please go here.", "Now."]),
    ("Fish &amp; chips are good, &lt; five. Ok.", ["Fish & chips are good,", "< five.", "Ok."]),
    ("I never *close this. It goes on.\nThe end.", ["I never close this.", "It goes on.", "The end."]),
    ("Here is a [list. It is open.\nThe end.", ["Here is a [list.", "It is open.", "The end."]),
    ("If x < 3 then 3 * 4. And my_var * 2.", ["If x < 3 then 3 * 4.", "And my_var * 2."]),
    # Other scripts.
    ("这是第一句话，很长的一句话。第二句！「好。」", ["这是第一句话，很长的一句话。", "第二句！", "「好。」"]),
    ("Das kostet heute 3,50 €, z.B. hier. Gut.", ["Das kostet heute 3,50 €,", "z.B. hier.", "Gut."]),
]


@pytest.mark.parametrize(("text", "expected"), SENTENCES)
def test_text_is_cut_where_a_speaker_would_pause(text: str, expected: list[str]) -> None:
    assert said(text) == expected


def test_code_is_shown_and_not_said() -> None:
    clauses = split("Sure:\n```python\nprint('a. b')\n\nx = 1\n```\nThat is it.")
    assert [clause.text for clause in clauses] == [
        *("Sure:\n", "```python\n", "print('a. b')\n", "\n", "x = 1\n", "```\n", "That is it.")
    ]
    assert [clause.speech for clause in clauses if clause.speech] == ["Sure:", "That is it."]


def test_code_that_never_ends_is_not_said() -> None:
    assert said("Look at this:\n~~~\nx = 1. y = 2\n```\nmore") == ["Look at this:"]
    assert said("Look at this:\n```py") == ["Look at this:"]


def test_a_long_line_of_code_leaves_in_parts() -> None:
    code = "x" * 450
    clauses = split(f"```\n{code}\n```\nDone.")
    assert [len(clause.text) for clause in clauses] == [4, 200, 200, 51, 4, 5]
    assert [clause.speech for clause in clauses] == ["", "", "", "", "", "Done."]


def test_a_sentence_leaves_with_the_space_behind_it() -> None:
    splitter = ClauseSplitter()
    assert splitter.feed("We are open today.") == []  # it may be "today.com"
    assert splitter.feed(" ") == [Clause("We are open today. ", "We are open today.")]
    assert splitter.feed("Come in!\n") == [Clause("Come in!\n", "Come in!")]
    assert splitter.feed("It is No. ") == []  # "No. 5"?
    assert splitter.feed("y") == [Clause("It is No. ", "It is No.")]


def test_only_the_first_piece_may_be_less_than_a_sentence() -> None:
    splitter = ClauseSplitter()
    assert splitter.feed("Well, ") == []
    assert splitter.feed("of course, ") == [Clause("Well, of course, ", "Well, of course,")]
    assert splitter.feed("as I have said before, ") == []
    assert splitter.flush() == [Clause("as I have said before, ", "as I have said before,", last=True)]


def test_a_number_that_tokens_split_stays_whole() -> None:
    splitter = ClauseSplitter()
    parts = [
        "It is about 3",
        ".",
        "14",
        " or 1",
        ",",
        "250",
        ".",
        "50",
        " at 10",
        ":",
        "30",
        " a",
        ".",
        "m",
        ".",
        " ok",
    ]
    assert [clause for part in parts for clause in splitter.feed(part)] == []
    assert splitter.flush() == [Clause("".join(parts), "".join(parts), last=True)]


def test_a_link_that_tokens_split_stays_whole() -> None:
    parts = ["Please see [our", " site. It is", " good](htt", "ps://example", ".com/a b", "c). Now ok."]
    splitter = ClauseSplitter()
    assert [clause for part in parts[:4] for clause in splitter.feed(part)] == []


def test_the_end_of_the_text_is_marked() -> None:
    assert [clause.last for clause in split("One is here. Two is here. Three")] == [False, False, True]
    assert split("One is here. ") == [Clause("One is here. ", "One is here."), Clause("", "", last=True)]
    assert ClauseSplitter().flush() == []


def test_a_splitter_is_as_new_after_the_end() -> None:
    splitter = ClauseSplitter()
    splitter.feed("One is here. ```")
    splitter.flush()
    assert splitter.feed("- Good morning, ") == [Clause("- Good morning, ", "Good morning,")]


def test_a_long_sentence_is_cut_at_its_last_clause() -> None:
    text = "so it goes " * 12 + "and then, " + "on it goes " * 12
    clauses = split("Good morning, " + text)
    assert [clause.text for clause in clauses] == ["Good morning, ", text[:142], text[142:]]


def test_a_long_sentence_without_clauses_is_cut_at_a_word() -> None:
    clauses = split("so it goes " * 60)
    assert [len(clause.text) for clause in clauses] == [198, 198, 198, 66]
    assert all(clause.text.endswith(" ") for clause in clauses)


@pytest.mark.parametrize("whole", ["10 a.m. or", "555 0199", "10 – 12", "Dr. Smith"])
def test_a_long_sentence_is_not_cut_inside_what_belongs_together(whole: str) -> None:
    for padding in range(14):
        text = "y" * padding + " " + "so it goes " * 17 + f"to {whole} " + "on it goes " * 4
        clauses = split(text, parts=list(text))
        assert len(clauses) == 2
        assert any(whole in clause.text for clause in clauses)
        assert clauses == split(text)


def test_a_word_or_emphasis_longer_than_a_piece_is_not_cut() -> None:
    bold = "**" + "very bold text. " * 16 + "end.**"
    assert said(f"{bold} Then more. {'x' * 300} ok.") == [bold.strip("*"), "Then more.", "x" * 300, "ok."]


def test_emphasis_that_does_not_close_in_300_characters_is_none() -> None:
    clauses = split("This is **not bold at all. " + "It goes on. " * 40)
    assert clauses[0] == Clause("This is **not bold at all. ", "This is not bold at all.")
    assert clauses[1].speech == "It goes on."


def test_memory_is_bounded_whatever_comes() -> None:
    for sign in ("x", " ", "*", "[", "<a ", "\n", "``", "a.m. ", "...", "1. ", "|"):
        splitter = ClauseSplitter()
        gone = sum(len(clause.text) for _ in range(3000) for clause in splitter.feed(sign))
        assert len(sign) * 3000 - gone <= 520


_BITS = [
    *("Dr.", " Smith", "**", "*", "_", "__", "~~", "~", "`", "```", "```py\n", "\n", "\n\n", " ", ".", "!", "?", "..."),
    *(
        "…",
        ",",
        ";",
        ":",
        " – ",
        "—",
        "3.",
        "14",
        "1.",
        "2.",
        " a.m.",
        " p.m. ",
        "Monday",
        "We",
        "we",
        "No.",
        " 5",
        "[",
    ),
    *("](", "](https://ex.com/a_b)", ")", '](u "t', '"', "<", "<b>", '<a href="', '">', "https://www.x.org/a?b=c"),
    *(
        "me@x.org",
        "U.S.",
        "J. R. ",
        "😀",
        "👍🏽",
        "&amp;",
        "|",
        "| a | b |\n",
        "- ",
        "# ",
        "> ",
        "word",
        "\\",
        "x" * 90,
    ),
    *("words that go on and on ", "$1,250.50", "10:30", "(", "'", "。", "，", "e.g. ", "Inc. ", "\t", "\r\n", "!["),
]
_TEXTS = st.lists(st.sampled_from(_BITS) | st.text(max_size=3), max_size=60).map("".join)


@given(
    text=_TEXTS,
    sizes=st.lists(st.integers(1, 30), max_size=40),
    limits=st.sampled_from([(12, 200), (12, 40), (1, 10), (0, 400)]),
)
def test_the_clauses_are_the_text_and_do_not_depend_on_its_deltas(
    text: str, sizes: list[int], limits: tuple[int, int]
) -> None:
    ends = [0]
    for size in sizes:
        ends.append(ends[-1] + size)
    parts = [text[start:end] for start, end in pairwise(ends)] + [text[ends[-1] :]]
    first_min_chars, max_chars = limits
    whole = split(text, first_min_chars=first_min_chars, max_chars=max_chars)
    assert "".join(clause.text for clause in whole) == text
    assert split(text, parts=parts, first_min_chars=first_min_chars, max_chars=max_chars) == whole
    assert split(text, parts=list(text), first_min_chars=first_min_chars, max_chars=max_chars) == whole


_WHOLE = [
    *(
        "Dr. Smith",
        "J. R. Smith",
        "No. 5",
        "10 a.m.",
        "555 0199",
        "3.14",
        "$1,250.50",
        "10:30",
        "St. Mary's",
        "U.S. law",
    ),
    *(
        "**two. words**",
        "_two. words_",
        "`x. y`",
        "[a. b](https://x.org/c_d?e=1,2)",
        "a.b@c.org",
        "https://x.org/a.b?c",
    ),
    *("~~two words~~", "![a. b](c)", "<a href='x. y'>", "approx. five", "e.g. this", "5, 2024", "10 – 12"),
]


@given(
    words=st.lists(
        st.sampled_from(_WHOLE) | st.sampled_from(["word", "and", "end.", "so,", "why?", "Yes."]), max_size=60
    ),
    max_chars=st.integers(40, 200),
)
def test_r36_what_belongs_together_is_never_cut(words: list[str], max_chars: int) -> None:
    cuts = {0}
    for clause in split(" ".join(words), max_chars=max_chars):
        cuts.add(max(cuts) + len(clause.text))
    at = 0
    for word in words:
        assert word not in _WHOLE or not cuts & set(range(at + 1, at + len(word)))
        at += len(word) + 1
