from __future__ import annotations

from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import ConfigurationError
from antiphon.wire.documents import plivo_connect, plivo_hangup, twiml_connect, twiml_reject
from antiphon.wire.plivo import parse_extra_headers

URL = "wss://voice.example.com/telephony/twilio"
HEADER = '<?xml version="1.0" encoding="UTF-8"?>\n'

# What XML keeps as it is: no control characters, and no line ends that a reader may change.
printable = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=60)


def only(parent: Element, tag: str) -> Element:
    (child,) = parent
    assert child.tag == tag
    return child


def test_twiml_that_connects_a_stream() -> None:
    assert twiml_connect(URL, {"session": "7f3"}) == (
        f'{HEADER}<Response><Connect><Stream url="{URL}"><Parameter name="session" value="7f3" />'
        "</Stream></Connect></Response>"
    )


@given(st.dictionaries(printable, printable, max_size=5))
def test_parameters_survive_their_escaping(parameters: dict[str, str]) -> None:
    stream = only(only(fromstring(twiml_connect(URL, parameters)), "Connect"), "Stream")
    assert stream.get("url") == URL
    assert {item.attrib["name"]: item.attrib["value"] for item in stream} == parameters


def test_quotes_and_line_ends_in_a_parameter_survive() -> None:
    value = "\"a\" & <b>'c'\nd\te"
    stream = only(only(fromstring(twiml_connect(URL, {"note": value})), "Connect"), "Stream")
    assert only(stream, "Parameter").get("value") == value


@pytest.mark.parametrize(
    ("url", "parameters", "says"),
    [
        ("https://voice.example.com/", {}, "wss://"),
        ("wss://", {}, "wss://"),
        ("wss://voice.example.com/\x00", {}, "wss://"),
        (URL + "?session=7", {}, "pass its values as parameters"),
        (URL, {"": "x"}, "with a name"),
        (URL, {"session": "x" * 493}, "500 characters"),
        (URL, {"session": "a\x00b"}, "control characters"),
        (URL, {"a\x1b": "b"}, "control characters"),
    ],
)
def test_what_twilio_would_not_pass_on_is_a_configuration_error(
    url: str, parameters: dict[str, str], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        twiml_connect(url, parameters)


def test_the_longest_parameter_is_passed_on() -> None:
    assert "x" * 492 in twiml_connect(URL, {"session": "x" * 492})


def test_plivo_xml_that_connects_a_stream() -> None:
    assert plivo_connect(URL, extra_headers={"session": "7f3", "tenant": "acme"}) == (
        f'{HEADER}<Response><Stream bidirectional="true" keepCallAlive="true"'
        f' contentType="audio/x-mulaw;rate=8000" extraHeaders="session=7f3,tenant=acme">{URL}</Stream></Response>'
    )


def test_plivo_xml_escapes_the_address_and_leaves_out_empty_headers() -> None:
    text = plivo_connect("wss://example.com/s?a=1&b=2", content_type="audio/x-l16;rate=16000")
    stream = only(fromstring(text), "Stream")
    assert "&amp;" in text
    assert stream.text == "wss://example.com/s?a=1&b=2"
    assert stream.get("contentType") == "audio/x-l16;rate=16000"
    assert "extraHeaders" not in stream.attrib


@given(
    st.dictionaries(
        st.text("abcXYZ019", min_size=1, max_size=8),
        st.text("abcXYZ019", min_size=1, max_size=8),
        min_size=1,
        max_size=5,
    )
)
def test_plivo_headers_come_back_with_the_start(headers: dict[str, str]) -> None:
    written = only(fromstring(plivo_connect(URL, extra_headers=headers)), "Stream").attrib["extraHeaders"]
    assert parse_extra_headers(written.replace(",", ";")) == headers


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"token": "a-b"}, "'a-b'"),
        ({"to ken": "ab"}, "'to ken'"),
        ({"token": ""}, "letters and digits"),
        ({"token": "é"}, "letters and digits"),
        ({"token": "x" * 507}, "512 bytes of extra headers, not 513"),
    ],
)
def test_what_plivo_would_not_pass_on_is_a_configuration_error(headers: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        plivo_connect(URL, extra_headers=headers)


def test_refusals() -> None:
    assert twiml_reject() == f'{HEADER}<Response><Reject reason="busy" /></Response>'
    assert twiml_reject("rejected") == f'{HEADER}<Response><Reject reason="rejected" /></Response>'
    assert plivo_hangup() == f'{HEADER}<Response><Hangup reason="busy" /></Response>'
    assert plivo_hangup("rejected") == f'{HEADER}<Response><Hangup reason="rejected" /></Response>'
