"""How carriers sign their requests. Pure; compared in constant time.

Sources: https://www.twilio.com/docs/usage/security (X-Twilio-Signature),
https://www.plivo.com/docs/voice/concepts/signature-validation (X-Plivo-Signature-V3).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit

Params = Sequence[tuple[str, str]]
"""A form's fields in the order in which they came; names may repeat."""


def twilio_signature(auth_token: str, url: str, params: Params = ()) -> str:
    """What Twilio sends as X-Twilio-Signature: HMAC-SHA1 over the URL and the sorted form, in base64."""
    text = url + "".join(name + value for name, value in sorted(set(params)))
    return _mac(auth_token, text, "sha1")


def is_twilio(auth_token: str, signature: str, urls: Sequence[str], params: Params = ()) -> bool:
    """Whether the signature fits one of the forms that the URL may have had on Twilio's side."""
    return _fits(signature, [twilio_signature(auth_token, url, params) for url in urls])


def is_plivo(
    auth_token: str, signature: str, nonce: str, *, method: str, urls: Sequence[str], params: Params = ()
) -> bool:
    """Whether one of the signatures (separated by commas) fits one of the two forms of version 3.

    Args:
        auth_token: Of the account, or the platform's for its own callbacks.
        signature: Header X-Plivo-Signature-V3.
        nonce: Header X-Plivo-Signature-V3-Nonce; an empty one is refused.
        method: GET or POST.
        urls: Forms that the URL may have had on Plivo's side.
        params: The form's fields, or the top-level keys of a JSON body.
    """
    if not nonce:
        return False
    expected = []
    for url in urls:
        bases = (_escaped_base(method, url, params), _plain_base(method, url, params))
        expected += [_mac(auth_token, f"{base}.{nonce}", "sha256") for base in bases]
    return any(_fits(one.strip(), expected) for one in signature.split(","))


def _escaped_base(method: str, url: str, params: Params) -> str:
    """The form of the AgentStack SDK: values are form-encoded."""
    if method == "GET":
        parts = urlsplit(url)
        merged: dict[str, str] = {}
        for name, value in parse_qsl(parts.query):
            merged.setdefault(name, value)
        merged.update(params)
        query = urlencode(sorted(merged.items()))
        base = f"{parts.scheme}://{parts.netloc}{parts.path}"
        return f"{base}?{query}" if query else base
    return f"{url}.{urlencode(sorted(dict(params).items()))}" if params else url


def _plain_base(method: str, url: str, params: Params) -> str:
    """The form of Plivo's voice API: nothing is escaped, and repeated names keep all their values."""
    parts = urlsplit(url)
    base = f"{parts.scheme}://{parts.netloc}{parts.path}"
    query = _grouped(parse_qsl(parts.query, keep_blank_values=True))
    if method == "GET":
        merged = {**_grouped(params), **query}
        return f"{base}?{_joined(merged)}" if merged else base
    if not params:
        return f"{base}?{_joined(query)}" if query else url
    form = "".join(name + value for name, values in sorted(_grouped(params).items()) for value in values)
    return f"{base}?{_joined(query)}.{form}" if query else f"{base}?{form}"


def _grouped(pairs: Params) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in sorted(pairs):
        grouped.setdefault(name, []).append(value)
    return grouped


def _joined(grouped: Mapping[str, Sequence[str]]) -> str:
    return "&".join(f"{name}={value}" for name, values in sorted(grouped.items()) for value in values)


def _mac(key: str, text: str, digest: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), getattr(hashlib, digest)).digest()).decode()


def _fits(signature: str, expected: Sequence[str]) -> bool:
    given = signature.encode()
    return sum(hmac.compare_digest(given, one.encode()) for one in expected) > 0
