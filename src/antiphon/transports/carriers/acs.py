"""Azure Communication Services' Call Automation about one call, by its REST API.

https://learn.microsoft.com/rest/api/communication/callautomation/call-connection. The service answers at once, and
tells later, to an address of this server, what came of it.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Callable, Generator, Iterable
from email.utils import format_datetime
from hashlib import sha256
from hmac import digest
from typing import Any
from uuid import uuid4

import httpx
import msgspec

from antiphon.clock import Clock
from antiphon.errors import IntegrationUnavailableException
from antiphon.tools.transfer import Transfer
from antiphon.transports.carriers.callbacks import Callbacks
from antiphon.transports.carriers.consulting import RING_S
from antiphon.transports.carriers.rest import HANG_UP_S, CarrierApi, hang_up

API_VERSION = "2023-10-15"
NO_WARM = "On this line nothing can be said to the other party alone: ask for a blind transfer."
NO_SIP = "From this line only phone numbers can be reached, no sip: address."

_OUTCOME_S = RING_S + 5.0
_ACCEPTED, _FAILED = "Microsoft.Communication.CallTransferAccepted", "Microsoft.Communication.CallTransferFailed"
_FAILURES = {486: "busy", 600: "busy", 408: "no_answer", 480: "no_answer", 487: "canceled", 403: "rejected"}
_FAILURES |= {603: "rejected"}


class AccessKey(httpx.Auth):
    """Signs requests with a resource's access key (HMAC-SHA256).

    Args:
        key: The key, in base64.
        clock: Date and time.

    Raises:
        ValueError: It is not base64.
    """

    requires_request_body = True

    def __init__(self, key: str, clock: Clock) -> None:
        self._key = b64decode(key, validate=True)
        self._clock = clock

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add date, hash of the body and signature."""
        date = format_datetime(self._clock.utc(), usegmt=True)
        content_hash = b64encode(sha256(request.content).digest()).decode()
        host = request.headers["Host"]
        path = request.url.raw_path.decode()
        text = f"{request.method}\n{path}\n{date};{host};{content_hash}"
        signature = b64encode(digest(self._key, text.encode(), "sha256")).decode()
        request.headers["x-ms-date"] = date
        request.headers["x-ms-content-sha256"] = content_hash
        request.headers["Authorization"] = (
            f"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}"
        )
        yield request


class AcsControl:
    """Commands about one call. See ``CarrierControl``.

    Args:
        api: The service's.
        call_id: The id of the call connection.
        clock: Time.
        callbacks: Where the service tells what came of a transfer.
        callback_url: What the address of a callback begins with.
    """

    def __init__(self, api: CarrierApi, call_id: str, *, clock: Clock, callbacks: Callbacks, callback_url: str) -> None:
        self._api = api
        self._path = f"/calling/callConnections/{call_id}"
        self._clock = clock
        self._callbacks = callbacks
        self._callback_url = callback_url

    def refusal(self, transfer: Transfer) -> str | None:
        """Why it cannot be."""
        return NO_WARM if transfer.kind == "warm" else NO_SIP if transfer.is_sip else None

    async def transfer(self, transfer: Transfer, leaving: Callable[[], None]) -> None:
        """Bring the caller to the destination."""
        context = uuid4().hex
        outcome: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def tell(body: bytes) -> str:
            code = _outcome(body, context)
            if code is not None and not outcome.done():
                outcome.set_result(code)
            return ""

        token = self._callbacks.open(tell)
        target = {"kind": "phoneNumber", "phoneNumber": {"value": transfer.destination}}
        body = {
            "targetParticipant": target,
            "operationContext": context,
            "operationCallbackUri": f"{self._callback_url}/{token}",
        }
        try:
            leaving()
            await self._api.ask("POST", f"{self._path}:transferToParticipant", query=_VERSION, body=body)
            async with asyncio.timeout(_OUTCOME_S):
                code = await outcome
        except TimeoutError:
            raise IntegrationUnavailableException(
                "The service did not tell what came of the transfer; see whether it reaches ANTIPHON_PUBLIC_URL.",
                code="no_answer",
                provider="Azure Communication Services",
            ) from None
        finally:
            self._callbacks.close(token)
        if code:
            raise IntegrationUnavailableException(
                f"The other party was not reached ({code}).",
                code=_FAILURES.get(code, "unreachable"),
                provider="Azure Communication Services",
            )

    async def hang_up(self) -> None:
        """End the call for everybody in it."""
        await hang_up(
            lambda: self._api.ask("POST", f"{self._path}:terminate", query=_VERSION, timeout_s=HANG_UP_S), self._clock
        )


_VERSION = {"api-version": API_VERSION}


def _outcome(body: bytes, context: str) -> int | None:
    """What CloudEvents tell of the transfer with this context: 0 where it was accepted, else its failure's code."""
    for event in _events(body):
        data = event.get("data")
        if not isinstance(data, dict) or data.get("operationContext") != context:
            continue
        if event.get("type") == _ACCEPTED:
            return 0
        if event.get("type") == _FAILED:
            result = data.get("resultInformation")
            code = result.get("code") if isinstance(result, dict) else None
            return code if isinstance(code, int) and code else 500
    return None


def _events(body: bytes) -> Iterable[dict[str, Any]]:
    try:
        events = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()
    return [event for event in (events if isinstance(events, list) else [events]) if isinstance(event, dict)]
