"""A carrier's REST API: bounded requests, and refusals as our errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import httpx
import msgspec

from antiphon.clock import Clock
from antiphon.errors import (
    IntegrationException,
    IntegrationInvalidAuthException,
    IntegrationInvalidRequestException,
    IntegrationUnavailableException,
)
from antiphon.models.http import redact, retry_after_s

REQUEST_S = 5.0
"""Longest wait for an answer."""
HANG_UP_S = 2.0
HANG_UP_AGAIN_S = 0.25
CALL_GONE = "call_gone"
"""The code of the error that says that the call is not there any more."""

_TRIES = 2
_DETAIL_CHARS = 200


class CarrierApi:
    """Where a carrier takes commands.

    Args:
        provider: For messages.
        base_url: What all paths begin with.
        http: The connections; owned by whoever made it.
        auth: How requests are signed: user and password, or httpx's own.
        secrets: Never shown in a message.
        gone_codes: Numbers in the carrier's refusals that say that the call is over, besides HTTP 404.
    """

    def __init__(
        self,
        provider: str,
        base_url: str,
        http: httpx.AsyncClient,
        *,
        auth: httpx.Auth | tuple[str, str],
        secrets: tuple[str, ...],
        gone_codes: frozenset[int] = frozenset(),
    ) -> None:
        self.provider = provider
        self._root = base_url.rstrip("/")
        self._http = http
        self._auth = auth
        self._secrets = secrets
        self._gone_codes = gone_codes

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str | Sequence[str]] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout_s: float = REQUEST_S,
    ) -> Mapping[str, Any]:
        """Send a command; its answer, empty where that is no JSON object.

        Raises:
            IntegrationException: The carrier refuses, or is not there.
        """
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._http.request(
                    method,
                    self._root + path,
                    params=query,
                    data=None if form is None else {**form},
                    content=content,
                    headers=headers,
                    auth=self._auth,
                )
        except (TimeoutError, httpx.HTTPError) as error:
            what = f"did not answer within {timeout_s:g} s" if isinstance(error, TimeoutError) else "cannot be reached"
            raise IntegrationUnavailableException(
                f"{self.provider} {what}; see whether its API is well.", provider=self.provider
            ) from error
        if not response.is_success:
            raise self._refused(response)
        return _object(response.content)

    def _refused(self, response: httpx.Response) -> IntegrationException:
        status, fields = response.status_code, _object(response.content)
        if status in (401, 403):
            return IntegrationInvalidAuthException(
                f"{self.provider} refused the credentials ({status}); check the account's id and key.",
                status_code=status,
                provider=self.provider,
            )
        inner = fields.get("error")
        told = inner if isinstance(inner, dict) else fields
        detail = redact(str(told.get("message") or inner or ""), self._secrets)[:_DETAIL_CHARS].rstrip(".")
        said = f": {detail}" if detail else ""
        if status == 429 or status >= 500:
            return IntegrationUnavailableException(
                f"{self.provider} cannot do it now ({status}){said}; try again later.",
                status_code=status,
                provider=self.provider,
                retry_after_s=retry_after_s(response.headers),
            )
        is_gone = status == 404 or told.get("code") in self._gone_codes
        return IntegrationInvalidRequestException(
            f"{self.provider} refused the command ({status}){said}; check the number and the account's rights.",
            code=CALL_GONE if is_gone else None,
            status_code=status,
            provider=self.provider,
        )


async def hang_up(ask: Callable[[], Awaitable[object]], clock: Clock) -> None:
    """Have a call ended: tried twice, and done too where the carrier does not know the call any more.

    Args:
        ask: Sends the command.
        clock: Time between the tries.

    Raises:
        IntegrationException: The carrier did it neither time.
    """
    for number in range(1, _TRIES + 1):
        try:
            await ask()
        except IntegrationException as error:
            if error.code == CALL_GONE:
                return
            if number == _TRIES:
                raise
            await clock.sleep(HANG_UP_AGAIN_S)
        else:
            return


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        fields = msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
