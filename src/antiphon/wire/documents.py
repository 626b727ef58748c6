"""The carriers' XML: connect a call to our stream, refuse it, end it, or bring it to somebody else.

Sources: https://www.twilio.com/docs/voice/twiml (stream, reject, hangup, dial, conference, say) and
https://docs.plivo.com/docs/voice/xml (audiostream, hangup, dial, conference, speak)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, SubElement, tostring

from antiphon.errors import ConfigurationError

RefusalReason = Literal["busy", "rejected"]

_TWILIO_PARAMETER_LIMIT = 500  # characters of one name and its value
_PLIVO_HEADERS_LIMIT = 512  # bytes of all headers as they are written
_LOCALES = {
    **{language: f"{language}-{language.upper()}" for language in ("de", "es", "fr", "it", "nl", "pl", "pt", "ru")},
    **{"da": "da-DK", "en": "en-US", "ja": "ja-JP", "sv": "sv-SE"},
}
"""What both carriers can read, with the country that they want to know."""
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 cannot hold
_ALPHANUMERIC = re.compile("[A-Za-z0-9]+")


def twiml_connect(stream_url: str, parameters: Mapping[str, str] | None = None) -> str:
    """TwiML that connects the call to a bidirectional media stream.

    Args:
        stream_url: ``wss://`` address without a query: Twilio does not pass one on.
        parameters: Come back with the stream's start.

    Raises:
        ConfigurationError: The address or a parameter cannot be passed on.
    """
    _check_url(stream_url)
    if "?" in stream_url:
        raise ConfigurationError("Twilio drops the query of a stream's address: pass its values as parameters.")
    response = Element("Response")
    stream = SubElement(SubElement(response, "Connect"), "Stream", url=stream_url)
    for name, value in (parameters or {}).items():
        if not name or len(name) + len(value) >= _TWILIO_PARAMETER_LIMIT:
            raise ConfigurationError(
                f"Twilio takes parameters with a name and fewer than {_TWILIO_PARAMETER_LIMIT} characters of name and"
                f" value together: shorten {name[:40]!r}."
            )
        SubElement(stream, "Parameter", name=_printable(name), value=_printable(value))
    return _document(response)


def twiml_reject(reason: RefusalReason = "busy") -> str:
    """TwiML that refuses the call without answering it: the caller hears a busy tone, or that it was rejected."""
    response = Element("Response")
    SubElement(response, "Reject", reason=reason)
    return _document(response)


def twiml_hangup() -> str:
    """TwiML that ends the call."""
    response = Element("Response")
    SubElement(response, "Hangup")
    return _document(response)


def twiml_dial(destination: str, *, ring_s: float, action_url: str | None = None) -> str:
    """TwiML that connects the call to somebody else.

    Args:
        destination: A number in E.164, or a ``sip:`` address.
        ring_s: How long it rings there.
        action_url: Asked for the next document when that call is over or did not come about.
    """
    response = Element("Response")
    dial = SubElement(response, "Dial", timeout=f"{ring_s:.0f}", answerOnBridge="true")
    if action_url is not None:
        dial.set("action", _printable(action_url))
    _name(dial, destination, number="Number", sip="Sip")
    return _document(response)


def twiml_room(room: str, *, say: str = "", language: str = "") -> str:
    """TwiML that lets the call wait in a room, or meet who waits there.

    Args:
        room: Its name.
        say: Heard before, by this call alone.
        language: Of that, a BCP 47 tag.
    """
    response = Element("Response")
    _say(response, "Say", say, language)
    conference = SubElement(SubElement(response, "Dial"), "Conference", beep="false", endConferenceOnExit="true")
    conference.text = _printable(room)
    return _document(response)


def plivo_dial(destination: str, *, ring_s: float, action_url: str | None = None) -> str:
    """Plivo XML that connects the call to somebody else; arguments as for ``twiml_dial``."""
    response = Element("Response")
    dial = SubElement(response, "Dial", timeout=f"{ring_s:.0f}")
    if action_url is not None:
        dial.set("action", _printable(action_url))
    _name(dial, destination, number="Number", sip="User")
    return _document(response)


def plivo_room(room: str, *, say: str = "", language: str = "", callback_url: str | None = None) -> str:
    """Plivo XML as ``twiml_room``; ``callback_url`` is told when the call enters the room."""
    response = Element("Response")
    _say(response, "Speak", say, language)
    conference = SubElement(response, "Conference", endConferenceOnExit="true")
    if callback_url is not None:
        conference.set("callbackUrl", _printable(callback_url))
    conference.text = _printable(room)
    return _document(response)


def plivo_connect(
    stream_url: str,
    *,
    content_type: str = "audio/x-mulaw;rate=8000",
    extra_headers: Mapping[str, str] | None = None,
) -> str:
    """Plivo XML that connects the call to a bidirectional audio stream for as long as the stream lives.

    Args:
        stream_url: ``wss://`` address.
        content_type: ``audio/x-mulaw;rate=8000``, ``audio/x-l16;rate=8000`` or ``audio/x-l16;rate=16000``.
        extra_headers: Come back with the stream's start; letters and digits only.

    Raises:
        ConfigurationError: The address or a header cannot be passed on.
    """
    _check_url(stream_url)
    stream = Element("Stream", bidirectional="true", keepCallAlive="true", contentType=_printable(content_type))
    if extra_headers:
        stream.set("extraHeaders", _plivo_headers(extra_headers))
    stream.text = stream_url
    response = Element("Response")
    response.append(stream)
    return _document(response)


def plivo_hangup(reason: RefusalReason | None = "busy") -> str:
    """Plivo XML that refuses the call, or, without a reason, ends it."""
    response = Element("Response")
    hangup = SubElement(response, "Hangup")
    if reason is not None:
        hangup.set("reason", reason)
    return _document(response)


def _say(response: Element, verb: str, text: str, language: str) -> None:
    if text:
        said = SubElement(response, verb)
        said.text = _UNPRINTABLE.sub(" ", text)
        locale = _LOCALES.get(language.partition("-")[0].lower())
        if locale is not None:
            said.set("language", language if "-" in language else locale)


def _name(dial: Element, destination: str, *, number: str, sip: str) -> None:
    is_sip = destination.startswith("sip")
    SubElement(dial, sip if is_sip else number).text = _printable(destination)


def _plivo_headers(headers: Mapping[str, str]) -> str:
    for text in (part for pair in headers.items() for part in pair):
        if not _ALPHANUMERIC.fullmatch(text):
            raise ConfigurationError(
                f"Plivo takes only letters and digits in extra headers: change the name or value {text[:40]!r}."
            )
    written = ",".join(f"{name}={value}" for name, value in headers.items())
    if len(written) > _PLIVO_HEADERS_LIMIT:
        raise ConfigurationError(f"Plivo takes {_PLIVO_HEADERS_LIMIT} bytes of extra headers, not {len(written)}.")
    return written


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("wss", "ws") or not parts.netloc or _UNPRINTABLE.search(url):
        raise ConfigurationError(f"A stream's address starts with wss:// or ws:// and a host, not {url[:80]!r}.")


def _printable(text: str) -> str:
    if _UNPRINTABLE.search(text):
        raise ConfigurationError(f"XML cannot hold the control characters in {text[:40]!r}: remove them.")
    return text


def _document(response: Element) -> str:
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(response, encoding="unicode")
