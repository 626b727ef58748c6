"""Offers are read before anything is opened for them; whatever comes, they are read or refused."""

from __future__ import annotations

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from hypothesis import given
from hypothesis import strategies as st

from antiphon.transports.webrtc.offer import MAX_OFFER, read_offer
from antiphon.wire.realtime.refusal import Refusal

OFFER = "\r\n".join(
    [
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0 1",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 0",
        "c=IN IP4 0.0.0.0",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:0123456789012345678901",
        "a=fingerprint:sha-256 AA:BB",
        "a=setup:actpass",
        "a=mid:0",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:0 PCMU/8000",
        "a=candidate:1 1 udp 2113937151 d16384e7-a6c8.local 45948 typ host",
        "a=candidate:2 1 udp 2113937151 192.0.2.7 45948 typ host",
        "a=end-of-candidates",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:0123456789012345678901",
        "a=fingerprint:sha-256 AA:BB",
        "a=setup:actpass",
        "a=mid:1",
        "a=sctp-port:5000",
        "a=max-message-size:262144",
        "",
    ]
)


def test_an_offer_is_read() -> None:
    offer = read_offer(OFFER)
    assert (offer.has_events, offer.message_bytes) == (True, 262_144)


def test_candidates_that_only_the_clients_network_knows_are_left_out() -> None:
    offer = read_offer(OFFER)
    assert "192.0.2.7" in offer.sdp
    assert ".local" not in offer.sdp
    assert "end-of-candidates" not in offer.sdp


def test_candidates_are_bounded() -> None:
    line = "a=candidate:2 1 udp 2113937151 192.0.2.7 45948 typ host\r\n"
    assert read_offer(OFFER.replace(line, line * 200)).sdp.count("a=candidate:") <= 64


def test_an_offer_without_events_is_good() -> None:
    audio, _, _ = OFFER.partition("m=application")
    offer = read_offer(audio.replace("BUNDLE 0 1", "BUNDLE 0"))
    assert (offer.has_events, offer.message_bytes) == (False, 0)


def test_lines_may_end_as_they_like() -> None:
    assert read_offer(OFFER.replace("\r\n", "\n")) == read_offer(OFFER)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("m=audio 9", "m=video 9", "no audio section"),
        ("m=audio 9", "m=audio 0", "no audio section"),
        ("a=ice-pwd:0123456789012345678901", "", "ICE credentials"),
        ("a=fingerprint:sha-256 AA:BB", "", "fingerprint"),
        ("a=setup:actpass", "", "setup role"),
        ("a=sctp-port:5000", "", "SCTP port"),
        ("m=application 9 UDP/DTLS/SCTP", "m=nonsense", "cannot be read"),
        ("a=rtpmap:111 opus/48000/2", "a=fmtp:77 x=1", "cannot be read"),
        ("a=sendrecv", "a=sendrecv\r\n" * 6_000, f"longer than {MAX_OFFER}"),
        ("a=max-message-size:262144", "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" * 5, "7 sections"),
    ],
)
def test_what_cannot_work_is_refused(old: str, new: str, says: str) -> None:
    with pytest.raises(Refusal, match=says) as refused:
        read_offer(OFFER.replace(old, new))
    assert (refused.value.code, refused.value.param) == ("invalid_offer", "sdp")


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(Refusal):
        read_offer(text)


@given(st.lists(st.integers(0, OFFER.count("\r\n")), max_size=4), st.text("am=:/ 0123456789x.", max_size=12))
def test_any_damaged_offer_is_read_or_refused(numbers: list[int], text: str) -> None:
    lines = OFFER.split("\r\n")
    for number in numbers:
        lines[number] = lines[number][:2] + text
    try:
        offer = read_offer("\r\n".join(lines))
    except Refusal:
        return
    assert "m=audio" in offer.sdp


async def test_a_real_offer_is_read() -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("audio", direction="recvonly")
    connection.createDataChannel("oai-events")
    await connection.setLocalDescription(await connection.createOffer())
    offer = read_offer(connection.localDescription.sdp)
    assert (offer.has_events, offer.message_bytes) == (True, 262_144)
    await connection.close()
