"""Carriers' signatures, against vectors made by the carriers' own libraries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from antiphon.server.signatures import is_plivo, is_twilio, twilio_signature

VECTORS = [
    json.loads(line) for line in (Path(__file__).parent.parent / "data" / "signature_v3.jsonl").read_text().splitlines()
]


def plivo_accepts(vector: dict[str, Any], signature: str, **changes: Any) -> bool:
    vector = {**vector, **changes}
    return is_plivo(
        vector["auth_token"],
        signature,
        vector["nonce"],
        method=vector["method"],
        urls=[vector["uri"]],
        params=list(vector["params"].items()),
    )


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['method']} {v['uri']}")
@pytest.mark.parametrize("form", ["agentstack", "plivo_official_v3"])
def test_plivo_both_forms_are_accepted_alone_and_joined(vector: dict[str, Any], form: str) -> None:
    signature = vector[form]["signature"]
    assert plivo_accepts(vector, signature)
    assert plivo_accepts(vector, f"AAAA, {signature}")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['method']} {v['uri']}")
def test_plivo_refuses_another_key_nonce_or_url_and_a_missing_nonce(vector: dict[str, Any]) -> None:
    signature = vector["agentstack"]["signature"]
    assert not plivo_accepts(vector, signature, auth_token="other")
    assert not plivo_accepts(vector, signature, nonce="999")
    assert not plivo_accepts(vector, signature, nonce="")
    assert not plivo_accepts(vector, signature, uri="https://elsewhere.example.com/")
    assert not plivo_accepts(vector, "")


def test_twilio_example_of_its_documentation() -> None:
    params = [
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+14158675309"),
        ("Digits", "1234"),
        ("From", "+14158675309"),
        ("To", "+18005551212"),
    ]
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert twilio_signature("12345", url, params) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert is_twilio("12345", "RSOYDt4T1cUTdK1PDd93/VVr8B8=", ["https://internal:8000/", url], params)
    assert not is_twilio("12345", "RSOYDt4T1cUTdK1PDd93/VVr8B8=", [url], [*params, ("Extra", "1")])
    assert not is_twilio("other", "RSOYDt4T1cUTdK1PDd93/VVr8B8=", [url], params)
    assert not is_twilio("12345", "", [url], params)
