"""A client's offer, read before anything is opened for it."""

from __future__ import annotations

from dataclasses import dataclass

from aiortc.sdp import MediaDescription, SessionDescription

from antiphon.wire.realtime.refusal import Refusal

MAX_OFFER = 1 << 16
"""Longest offer, in characters. A browser's has 2,000 to 10,000."""
_MOST_SECTIONS = 6
_MOST_CANDIDATES = 64
_UNREADABLE = (AssertionError, AttributeError, IndexError, KeyError, StopIteration, TypeError, ValueError)
"""What the parser raises for texts that are no SDP."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a client offers.

    Attributes:
        sdp: The text to answer.
        has_events: Whether there will be data channels.
        message_bytes: Largest message that the client takes over one; 0 for no limit.
    """

    sdp: str
    has_events: bool
    message_bytes: int


def read_offer(text: str) -> Offer:
    """Read an SDP offer.

    Raises:
        Refusal: It is none, or offers no audio.
    """
    if len(text) > MAX_OFFER:
        raise _bad(f"The offer is longer than {MAX_OFFER} characters.")
    sdp = _usable_lines(text)
    try:
        sections = SessionDescription.parse(sdp).media
    except _UNREADABLE as error:
        raise _bad("The offer cannot be read: send the text of an SDP offer.") from error
    if not any(section.kind == "audio" and section.port for section in sections):
        raise _bad("The offer has no audio section: add a microphone, or a transceiver that receives audio.")
    if len(sections) > _MOST_SECTIONS:
        raise _bad(f"The offer has {len(sections)} sections: one for audio and one for events are enough.")
    if not all(_is_secured(section) for section in sections):
        raise _bad("The offer lacks ICE credentials, a fingerprint or a setup role.")
    events = next((section for section in sections if section.kind == "application"), None)
    if events is None:
        return Offer(sdp, False, 0)
    if events.sctp_port is None and events.profile != "DTLS/SCTP":
        raise _bad("The offer's section for data channels names no SCTP port.")
    capabilities = events.sctpCapabilities
    return Offer(sdp, True, capabilities.maxMessageSize if capabilities is not None else 1 << 16)


def _usable_lines(text: str) -> str:
    """The offer without what it cannot keep.

    Candidates that are names of the client's own network would be asked for by multicast; the client reaches us
    without. For the same reason more candidates may turn up, whatever the offer says of their end.
    """
    lines = []
    candidates = 0
    for line in text.splitlines():
        if line.startswith("a=end-of-candidates"):
            continue
        if line.startswith("a=candidate:"):
            candidates += 1
            if ".local " in line or candidates > _MOST_CANDIDATES:
                continue
        lines.append(line)
    return "\r\n".join(lines) + "\r\n"


def _is_secured(section: MediaDescription) -> bool:
    ice, dtls = section.ice, section.dtls
    has_credentials = ice is not None and bool(ice.usernameFragment and ice.password)
    return has_credentials and dtls is not None and bool(dtls.fingerprints)


def _bad(message: str) -> Refusal:
    return Refusal("invalid_offer", message, "sdp")
