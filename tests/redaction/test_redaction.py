from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import ConfigurationError
from antiphon.redaction import KINDS, Redactor, custom_kind, redactor_for

SAMPLES = {
    "email": [
        "anna@example.com",
        "anna.smith+news@mail.example.co.uk",
        "anna @ example.com",
        "anna dot smith at example dot com",
        "anna at example.com",
        "josé (at) example dot org",
        "o'brien@firma.de",
    ],
    "phone": [
        "+1 (555) 123-4567",
        "555-123-4567",
        "030 1234567",
        "+49.30.123.4567",
        "(030) 12 34 56 78",
        "5551234567",
        "555\u2011123\u20114567",
    ],
    "card": ["4111 1111 1111 1111", "4111-1111-1111-1111", "378282246310005", "6304000000000000"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "nl91 abna 0417 1643 00"],
    "address": [
        "12 Elm Street",
        "221b Baker Street",
        "1600 Pennsylvania Ave",
        "7 St. James's square",
        "350 5th Avenue",
        "14 Old Mill Road",
        "Lindenweg 12",
        "Hauptstraße 7a",
        "Bahnhofstr. 3",
    ],
    "ssn": ["123-45-6789", "123 45 6789"],
}
CASES = [(kind, sample) for kind, samples in SAMPLES.items() for sample in samples]
PIECES = st.one_of(
    st.sampled_from([sample for _, sample in CASES]),
    st.sampled_from(
        [
            " ",
            ", ",
            " at ",
            " dot ",
            " dot com",
            "@",
            ".",
            "(",
            "+",
            "-",
            "2024-01-15",
            "call me ",
            "DE",
            "Elm Str",
            "weg 1",
        ]
    ),
    st.text(alphabet="ab01259 .-@+()[]dotcmDE89_\u2011é", max_size=12),
    st.text(max_size=5),
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)


@pytest.mark.parametrize(("kind", "sample"), CASES)
def test_each_kind_is_replaced_within_a_sentence(kind: str, sample: str) -> None:
    redactor = Redactor()
    assert redactor.redact(f"It is {sample}, thanks.") == f"It is [REDACTED_{kind.upper()}], thanks."
    assert redactor.counts == {kind: 1}


@pytest.mark.parametrize(
    "text",
    [
        "The appointment is on 2024-01-15 at 10:30.",
        "It was 15.01.2024 or 1/31/2024.",
        "I have 123456 points and 42 apples.",
        "We meet at noon. It is late.",
        "Look at the dot on the map.",
        "See you at home dot",
        "It costs 1,234,567 dollars.",
        "DE89 is where the account begins.",
        "It is 5 minutes down the road.",
        "We have 24 Hours a day, the Street is closed.",
        "Take the Heimweg at 5.",
    ],
)
def test_what_only_resembles_personal_data_stays(text: str) -> None:
    assert Redactor().redact(text) == text


def test_digits_that_are_no_card_are_still_a_number_of_somebody() -> None:
    assert Redactor([KINDS["card"]]).redact("4111 1111 1111 1112") == "4111 1111 1111 1112"
    assert Redactor().redact("555-123-4567 4111 1111 1111 1111").count("REDACTED") == 2


def test_a_security_code_after_a_card_does_not_hide_the_card() -> None:
    assert Redactor([KINDS["card"]]).redact("4111 1111 1111 1111 123") == "[REDACTED_CARD] 123"


@pytest.mark.parametrize(("kind", "sample"), CASES)
def test_a_match_split_at_any_place_is_found_in_a_stream(kind: str, sample: str) -> None:
    text = f"My number is {sample}, and that is all."
    whole = Redactor().redact(text)
    for cut in range(len(text) + 1):
        stream = Redactor().stream()
        assert stream.push(text[:cut]) + stream.push(text[cut:]) + stream.finish() == whole
    letters = Redactor().stream()
    assert "".join(map(letters.push, text)) + letters.finish() == whole
    assert sample not in whole


@given(text=TEXTS, cuts=st.lists(st.integers(0, 200), max_size=6))
def test_a_stream_gives_what_the_whole_text_gives(text: str, cuts: list[int]) -> None:
    stream = Redactor().stream()
    bounds = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    given_on = ""
    for begin, end in pairwise(bounds):
        given_on += stream.push(text[begin:end])
    assert given_on + stream.finish() == Redactor().redact(text)


@given(text=TEXTS)
def test_letter_by_letter_is_the_same_and_little_is_held_back(text: str) -> None:
    redactor = Redactor()
    stream = redactor.stream()
    taken, given_on = "", ""
    for letter in text:
        taken += letter
        given_on += stream.push(letter)
        _, rest = redactor.scan("", taken, is_last=False)
        assert len(rest) <= 64
    assert given_on + stream.finish() == Redactor().redact(text)


@given(text=TEXTS)
def test_twice_is_the_same_as_once(text: str) -> None:
    once = Redactor().redact(text)
    assert Redactor().redact(once) == once


def test_plain_words_are_given_on_at_once_but_for_the_last() -> None:
    stream = Redactor().stream()
    assert stream.push("I would like to book a ta") == "I would like to book a "
    assert stream.push("ble for two. ") == "table for two. "
    assert stream.finish() == ""


def test_nothing_is_held_back_or_changed_when_it_is_off() -> None:
    off = redactor_for([])
    assert off.stream().push("anna@example.com is a") == "anna@example.com is a"
    assert off.redact("555-123-4567") == "555-123-4567"


def test_only_the_named_kinds_are_looked_for() -> None:
    assert redactor_for(["email"]).redact("a@b.com 555-123-4567") == "[REDACTED_EMAIL] 555-123-4567"
    with pytest.raises(ConfigurationError, match="'fax'"):
        redactor_for(["fax"])


def test_kinds_of_ones_own_work_in_streams() -> None:
    redactor = Redactor([custom_kind("member", r"\bM-\d{4}\b", 6)])
    text = "The member M-1234 called, not XM-12345."
    assert redactor.redact(text) == "The member [REDACTED_MEMBER] called, not XM-12345."
    stream = redactor.stream()
    assert "".join(map(stream.push, text)) + stream.finish() == redactor.redact(text)


@pytest.mark.parametrize(
    ("name", "pattern", "longest"),
    [("email", "x", 3), ("Bad Name", "x", 3), ("a", "(", 3), ("a", "x*", 3), ("a", "x", 0)],
)
def test_a_kind_that_cannot_work_is_refused(name: str, pattern: str, longest: int) -> None:
    with pytest.raises(ConfigurationError):
        custom_kind(name, pattern, longest)
