"""AudioHook's signatures, against the example that Genesys publishes."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.clock import VirtualClock
from antiphon.server.auth import MAX_TOKENS, UsedSignatures
from antiphon.server.signatures import AUDIOHOOK_SIGNED, audiohook_base, is_audiohook

KEY = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh"
SECRET = "TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU="
URL = "wss://audiohook.example.com/api/v1/voicebiometrics/ws"
CREATED = 1_641_013_200
COVERED = " ".join(f'"{name}"' for name in AUDIOHOOK_SIGNED)
EXAMPLE = {
    "audiohook-organization-id": "d7934305-0972-4844-938e-9060eef73d05",
    "audiohook-correlation-id": "e160e428-53e2-487c-977d-96989bf5c99d",
    "audiohook-session-id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
    "x-api-key": KEY,
    "signature": "sig1=:NZBwyBHRRyRoeLqy1IzOa9VYBuI8TgMFt2GRDkDuJh4=:",
    "signature-input": f'sig1=({COVERED});keyid="{KEY}";nonce="VGhpc0lzQVVuaXF1ZU5vbmNl";alg="hmac-sha256"'
    f";created={CREATED};expires=3282026430",
}


def signed(parameters: str, covered: str = COVERED, **changes: str) -> dict[str, str]:
    """The example's headers with other parameters, well signed."""
    headers = {**EXAMPLE, **changes}
    parts = {**headers, "@request-target": "/api/v1/voicebiometrics/ws", "@authority": "audiohook.example.com"}
    told = f"({covered}){parameters}"
    base = audiohook_base(parts, [name.strip('"') for name in covered.split(" ")], told)
    mac = base64.b64encode(hmac.new(base64.b64decode(SECRET), base.encode(), hashlib.sha256).digest()).decode()
    return {**headers, "signature-input": f"sig1={told}", "signature": f"sig1=:{mac}:"}


def parameters(**changes: Any) -> str:
    values = {"keyid": KEY, "nonce": "n" * 22, "alg": "hmac-sha256", "created": CREATED, **changes}
    return "".join(
        f";{name}={value}" if isinstance(value, int) else f';{name}="{value}"'
        for name, value in values.items()
        if value is not None
    )


def test_the_published_example_is_good() -> None:
    assert is_audiohook(SECRET, EXAMPLE, [URL], CREATED + 5)
    assert is_audiohook(SECRET, EXAMPLE, ["wss://inside:8000/x", URL], CREATED)


@pytest.mark.parametrize("name", [name for name in AUDIOHOOK_SIGNED if not name.startswith("@")])
def test_each_header_is_covered(name: str) -> None:
    assert not is_audiohook(SECRET, {**EXAMPLE, name: "other"}, [URL], CREATED)
    assert not is_audiohook(SECRET, {key: text for key, text in EXAMPLE.items() if key != name}, [URL], CREATED)


@pytest.mark.parametrize("url", ["wss://other.example.com/api/v1/voicebiometrics/ws", URL + "x", URL + "?a=b"])
def test_host_path_and_query_are_covered(url: str) -> None:
    assert not is_audiohook(SECRET, EXAMPLE, [url], CREATED)


def test_another_secret_is_no_good() -> None:
    assert not is_audiohook(base64.b64encode(b"other").decode(), EXAMPLE, [URL], CREATED)


@pytest.mark.parametrize(("late_s", "is_good"), [(-11, False), (-9, True), (10, True), (11, False)])
def test_a_signature_is_good_for_ten_seconds(late_s: int, is_good: bool) -> None:
    assert is_audiohook(SECRET, EXAMPLE, [URL], CREATED + late_s) == is_good


@pytest.mark.parametrize(
    ("changes", "is_good"),
    [
        ({}, True),
        ({"alg": None}, True),
        ({"expires": CREATED + 1}, True),
        ({"expires": CREATED - 1}, False),
        ({"nonce": "n" * 21}, False),
        ({"nonce": None}, False),
        ({"alg": "none"}, False),
        ({"keyid": "other"}, False),
        ({"keyid": None}, False),
        ({"created": None}, False),
        ({"created": "yesterday"}, False),
    ],
)
def test_parameters_are_checked_though_the_signature_fits(changes: dict[str, Any], is_good: bool) -> None:
    assert is_audiohook(SECRET, signed(parameters(**changes)), [URL], CREATED) == is_good


def test_a_signature_that_leaves_something_out_is_no_good() -> None:
    for name in AUDIOHOOK_SIGNED:
        covered = " ".join(f'"{other}"' for other in AUDIOHOOK_SIGNED if other != name)
        assert not is_audiohook(SECRET, signed(parameters(), covered), [URL], CREATED)
    assert is_audiohook(SECRET, signed(parameters(), f'{COVERED} "x-more"', **{"x-more": "1"}), [URL], CREATED)


@given(st.text(max_size=80), st.text(max_size=80))
def test_noise_is_no_signature(signature: str, told: str) -> None:
    assert not is_audiohook(SECRET, {**EXAMPLE, "signature": signature}, [URL], CREATED)
    assert not is_audiohook(SECRET, {**EXAMPLE, "signature-input": told}, [URL], CREATED)
    assert not is_audiohook(SECRET, {**EXAMPLE, "signature-input": f"sig1=({COVERED}){told}"}, [URL], CREATED)


def test_a_signature_is_used_once_and_forgotten_when_it_is_too_old() -> None:
    clock = VirtualClock()

    async def scenario() -> None:
        used = UsedSignatures(clock, 20.0)
        assert used.use("a")
        assert not used.use("a")
        assert all(used.use(f"{number}") for number in range(MAX_TOKENS - 1))
        assert not used.use("one too many")
        await clock.sleep(21)
        assert used.use("one too many")
        assert used.use("a")

    clock.run(scenario())
