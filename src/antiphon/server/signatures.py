"""How carriers sign their requests. Pure; compared in constant time.

Sources: https://www.twilio.com/docs/usage/security (X-Twilio-Signature),
https://www.plivo.com/docs/voice/concepts/signature-validation (X-Plivo-Signature-V3),
https://developer.genesys.cloud/devapps/audiohook/security (HTTP message signatures),
https://learn.microsoft.com/azure/communication-services/how-tos/call-automation/secure-webhook-endpoint (tokens).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt

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


AUDIOHOOK_SIGNED = (
    "@request-target",
    "@authority",
    "audiohook-organization-id",
    "audiohook-session-id",
    "audiohook-correlation-id",
    "x-api-key",
)
"""What a signature of AudioHook covers."""
AUDIOHOOK_MAX_AGE_S = 10.0
ACS_LEEWAY_S = 30.0
"""How far the service's clock may be from ours."""
_MIN_NONCE = 22
_SIGNATURE_INPUT = re.compile(
    r"""([a-z*][a-z0-9_.*-]{0,63})=(\(("[^"]*"(?: "[^"]*")*)?\)((?:;[a-z]+=(?:\d{1,15}|"[^"]*"))*))"""
)
_PARAMETER = re.compile(r""";([a-z]+)=(?:(\d+)|"([^"]*)")""")


def audiohook_base(parts: Mapping[str, str], covered: Sequence[str], parameters: str) -> str:
    """The text that AudioHook signs.

    Args:
        parts: Values of headers and of ``@request-target`` and ``@authority``, by lower-case name.
        covered: Names that are signed, in order.
        parameters: What Signature-Input says, without its label.
    """
    lines = [f'"{name}": {parts.get(name, "").strip()}' for name in covered]
    return "\n".join([*lines, f'"@signature-params": {parameters}'])


def is_audiohook(secret: str, headers: Mapping[str, str], urls: Sequence[str], now: float) -> bool:
    """Whether AudioHook has signed the upgrade with the client secret, a moment ago.

    Args:
        secret: The client secret, in base64.
        headers: Of the request, with lower-case names, or blind to case.
        urls: Forms that the URL may have had on the carrier's side.
        now: Seconds since 1970.
    """
    told = _SIGNATURE_INPUT.fullmatch(headers.get("signature-input", "").strip())
    if told is None:
        return False
    label, parameters, names, rest = told.groups()
    covered = [name.strip('"') for name in (names or "").split(" ")]
    signature = re.fullmatch(rf"{re.escape(label)}=:([A-Za-z0-9+/=]+):", headers.get("signature", "").strip())
    if signature is None or not set(AUDIOHOOK_SIGNED) <= set(covered) or not _is_good(rest, headers, now):
        return False
    expected = []
    for url in urls:
        to = urlsplit(url)
        target = f"{to.path}?{to.query}" if to.query else to.path
        told_parts = {name: headers.get(name, "") for name in covered}
        base = audiohook_base({**told_parts, "@request-target": target, "@authority": to.netloc}, covered, parameters)
        expected.append(base64.b64encode(hmac.new(base64.b64decode(secret), base.encode(), hashlib.sha256).digest()))
    return _fits(signature[1], [one.decode() for one in expected])


def _is_good(parameters: str, headers: Mapping[str, str], now: float) -> bool:
    """Whether a signature's parameters may be believed, once the signature fits."""
    found = _PARAMETER.findall(parameters)
    texts = {name: text for name, number, text in found if not number}
    numbers = {name: int(number) for name, number, _ in found if number}
    key = headers.get("x-api-key", "")
    return (
        abs(now - numbers.get("created", 0)) <= AUDIOHOOK_MAX_AGE_S
        and now <= numbers.get("expires", now)
        and len(texts.get("nonce", "")) >= _MIN_NONCE
        and texts.get("alg", "hmac-sha256") == "hmac-sha256"
        and hmac.compare_digest(texts.get("keyid", "").encode(), key.encode())
    )


def is_acs(token: str, key: Any, *, issuer: str, audience: str) -> bool:
    """Whether Azure Communication Services has issued this token for our resource, and it is still good.

    Args:
        token: The bearer's JWT.
        key: The issuer's public key, as ``jwt.PyJWK``.
        issuer: Who must have issued it.
        audience: The resource's immutable id.
    """
    required: jwt.types.Options = {"require": ["exp", "iss", "aud"]}
    try:
        jwt.decode(
            token, key, algorithms=["RS256"], issuer=issuer, audience=audience, leeway=ACS_LEEWAY_S, options=required
        )
    except jwt.PyJWTError:
        return False
    return True


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
