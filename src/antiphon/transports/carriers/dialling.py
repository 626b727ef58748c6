"""Calls that we make: the carrier rings somebody, tells how far it is, and streams the call to us when it is answered.

https://www.twilio.com/docs/voice/api/call-resource#create-a-call-resource and
https://www.plivo.com/docs/voice/api/call/make-a-call/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import parse_qs

from antiphon.clock import Clock
from antiphon.errors import IntegrationException
from antiphon.transports.carriers.callbacks import Callback, Callbacks
from antiphon.transports.carriers.rest import HANG_UP_S, CarrierApi, hang_up
from antiphon.wire import documents

Progress = Literal["ringing", "answered", "busy", "no_answer", "canceled", "rejected", "unreachable", "hung_up"]
"""What becomes of a call: it rings, is answered, or why it is over."""
Told = Callable[[Progress], None]

DIAL_S = 12.0
"""Longer than other commands may take: whoever gives up too early has a telephone ring for nobody."""

_TWILIO: Mapping[str, Progress] = {
    "ringing": "ringing",
    "in-progress": "answered",
    "busy": "busy",
    "no-answer": "no_answer",
    "canceled": "canceled",
    "failed": "unreachable",
    "completed": "hung_up",
}
_TWILIO_EVENTS = ("initiated", "ringing", "answered", "completed")
_PLIVO: Mapping[str, Progress] = {
    "busy": "busy",
    "no-answer": "no_answer",
    "timeout": "no_answer",
    "cancel": "canceled",
    "rejected": "rejected",
    "completed": "hung_up",
}


@dataclass(frozen=True, slots=True)
class Ring:
    """Whom to call.

    Attributes:
        target: The number, in E.164.
        caller_id: The number that is shown there.
        stream_url: Where the carrier streams the call when it is answered.
        ring_s: How long it may ring.
    """

    target: str
    caller_id: str
    stream_url: str
    ring_s: float


class Dialler(Protocol):
    """Makes one call."""

    async def dial(self, ring: Ring, told: Told) -> str:
        """Have the carrier call; its id of the call. What becomes of it is ``told`` later, or already before.

        Raises:
            IntegrationException: The carrier does not call.
        """
        ...

    async def hang_up(self, call_id: str) -> None:
        """End the call, also while it rings.

        Raises:
            IntegrationException: The carrier does not do it.
        """
        ...

    def close(self) -> None:
        """Nothing is told any more."""
        ...


class TwilioDialler:
    """Calls over Twilio. See ``Dialler``.

    Args:
        api: Twilio's.
        account: The account's id.
        clock: Time.
        callbacks: Where Twilio tells how far it is.
        callback_url: What the address of a callback begins with.
    """

    def __init__(self, api: CarrierApi, account: str, *, clock: Clock, callbacks: Callbacks, callback_url: str) -> None:
        self._api = api
        self._calls = f"/2010-04-01/Accounts/{account}/Calls"
        self._clock = clock
        self._addresses = _Addresses(callbacks, callback_url)

    async def dial(self, ring: Ring, told: Told) -> str:
        """Have Twilio call."""

        def status(body: bytes) -> str:
            progress = _TWILIO.get(_field(body, "CallStatus"))
            if progress is not None:
                told(progress)
            return ""

        form = {
            "To": ring.target,
            "From": ring.caller_id,
            "Timeout": f"{ring.ring_s:.0f}",
            "Twiml": documents.twiml_connect(ring.stream_url),
            "StatusCallback": self._addresses.open(status),
            "StatusCallbackEvent": _TWILIO_EVENTS,
        }
        made = await self._api.ask("POST", f"{self._calls}.json", form=form, timeout_s=DIAL_S)
        return _id_of(made, "sid", self._api.provider)

    async def hang_up(self, call_id: str) -> None:
        """End the call."""
        path, form = f"{self._calls}/{call_id}.json", {"Status": "completed"}
        await hang_up(lambda: self._api.ask("POST", path, form=form, timeout_s=HANG_UP_S), self._clock)

    def close(self) -> None:
        """Forget the address."""
        self._addresses.close()


class PlivoDialler:
    """Calls over Plivo, which fetches the document when somebody answers. See ``Dialler``; arguments as Twilio's."""

    def __init__(self, api: CarrierApi, account: str, *, clock: Clock, callbacks: Callbacks, callback_url: str) -> None:
        self._api = api
        self._calls = f"/v1/Account/{account}/Call"
        self._clock = clock
        self._addresses = _Addresses(callbacks, callback_url)

    async def dial(self, ring: Ring, told: Told) -> str:
        """Have Plivo call."""
        document = documents.plivo_connect(ring.stream_url)

        def rings(_body: bytes) -> str:
            told("ringing")
            return ""

        def answered(_body: bytes) -> str:
            told("answered")
            return document

        def over(body: bytes) -> str:
            told(_PLIVO.get(_field(body, "CallStatus"), "unreachable"))
            return ""

        body = {
            "from": ring.caller_id.removeprefix("+"),
            "to": ring.target.removeprefix("+"),
            "ring_timeout": round(ring.ring_s),
            "ring_url": self._addresses.open(rings),
            "answer_url": self._addresses.open(answered),
            "hangup_url": self._addresses.open(over),
        }
        made = await self._api.ask("POST", f"{self._calls}/", body=body, timeout_s=DIAL_S)
        return _id_of(made, "request_uuid", self._api.provider)

    async def hang_up(self, call_id: str) -> None:
        """End the call."""
        path = f"{self._calls}/{call_id}/"
        await hang_up(lambda: self._api.ask("DELETE", path, timeout_s=HANG_UP_S), self._clock)

    def close(self) -> None:
        """Forget the addresses."""
        self._addresses.close()


class _Addresses:
    """The addresses at which a carrier tells about one call."""

    def __init__(self, callbacks: Callbacks, url: str) -> None:
        self._callbacks = callbacks
        self._url = url
        self._tokens: list[str] = []

    def open(self, callback: Callback) -> str:
        token = self._callbacks.open(callback)
        self._tokens.append(token)
        return f"{self._url}/{token}"

    def close(self) -> None:
        for token in self._tokens:
            self._callbacks.close(token)


def _id_of(made: Mapping[str, object], name: str, provider: str) -> str:
    call_id = made.get(name)
    if not isinstance(call_id, str):
        raise IntegrationException(
            f"{provider} did not tell the id of the call that it made; see its log of calls.", provider=provider
        )
    return call_id


def _field(body: bytes, name: str) -> str:
    return parse_qs(body.decode("utf-8", "replace")).get(name, [""])[-1]
