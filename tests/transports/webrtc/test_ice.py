from __future__ import annotations

import pytest

from antiphon.errors import ConfigurationError
from antiphon.transports.webrtc.ice import ice_servers


def test_stun_needs_no_credentials_and_turn_brings_them() -> None:
    stun, turn = ice_servers(["stun:stun.example.org:3478", "turn:ann:p%40ss@turn.example.org:3478?transport=tcp"])
    assert (stun.urls, stun.username) == ("stun:stun.example.org:3478", None)
    assert (turn.urls, turn.username, turn.credential) == (
        "turn:turn.example.org:3478?transport=tcp",
        "ann",
        "p@ss",
    )


@pytest.mark.parametrize(
    "address", ["", "stun:", "http://example.org", "turn:turn.example.org:3478", "stun:ann:secret@stun.example.org"]
)
def test_an_address_that_is_none_is_refused_without_being_repeated(address: str) -> None:
    with pytest.raises(ConfigurationError, match="ANTIPHON_WEBRTC_ICE_SERVERS") as caught:
        ice_servers([address])
    assert "secret" not in str(caught.value)
