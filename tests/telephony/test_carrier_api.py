"""Commands to a carrier: how long they may take, how often they are sent, and what a refusal says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
import pytest

from antiphon.clock import VirtualClock
from antiphon.errors import (
    IntegrationException,
    IntegrationInvalidAuthException,
    IntegrationInvalidRequestException,
    IntegrationUnavailableException,
)
from antiphon.transports.carriers.rest import CALL_GONE, HANG_UP_S, CarrierApi, hang_up

Answer = Callable[[httpx.Request], Awaitable[httpx.Response]]


def api_that(answer: Answer) -> CarrierApi:
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    auth = ("account", "a secret token")
    return CarrierApi("Carrier", "http://carrier", http, auth=auth, secrets=auth[1:], gone_codes=frozenset({21220}))


def ended(answers: list[int | float]) -> tuple[float, int, IntegrationException | None]:
    """End a call; how long it took, how often it was asked, and the fault. Answers are statuses, or seconds of none."""
    clock = VirtualClock()
    asked: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        what = answers[len(asked) - 1]
        if isinstance(what, float):
            await clock.sleep(what)
        return httpx.Response(what if isinstance(what, int) else 200, json={"code": 21220 if what == 400 else 0})

    async def scenario() -> IntegrationException | None:
        api = api_that(answer)
        try:
            await hang_up(lambda: api.ask("POST", "/calls/1", form={"Status": "completed"}, timeout_s=HANG_UP_S), clock)
        except IntegrationException as error:
            return error
        return None

    error = clock.run(scenario())
    return clock.now(), len(asked), error


def test_a_call_is_ended_by_one_command() -> None:
    assert ended([200]) == (0.0, 1, None)


@pytest.mark.parametrize("status", [404, 400])
def test_a_call_that_is_not_there_counts_as_ended(status: int) -> None:
    assert ended([status]) == (0.0, 1, None)


def test_a_command_that_fails_is_sent_once_more_a_quarter_of_a_second_later() -> None:
    assert ended([503, 200]) == (0.25, 2, None)


def test_two_tries_of_two_seconds_are_all() -> None:
    seconds, times, error = ended([60.0, 60.0])
    assert (seconds, times) == (4.25, 2)
    assert isinstance(error, IntegrationUnavailableException)
    assert str(error) == "Carrier did not answer within 2 s; see whether its API is well."


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, IntegrationInvalidAuthException, "invalid_auth"),
        (403, IntegrationInvalidAuthException, "invalid_auth"),
        (400, IntegrationInvalidRequestException, "invalid_request"),
        (404, IntegrationInvalidRequestException, CALL_GONE),
        (429, IntegrationUnavailableException, "unavailable"),
        (500, IntegrationUnavailableException, "unavailable"),
    ],
)
async def test_refusals_are_our_errors_without_secrets(
    status: int, kind: type[IntegrationException], code: str
) -> None:
    async def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json={"message": "No number with a secret token."})

    with pytest.raises(kind) as caught:
        await api_that(answer).ask("POST", "/calls/1")
    assert caught.value.code == code
    assert caught.value.status_code == status
    assert "a secret token" not in str(caught.value)


async def test_a_carrier_that_is_not_there_is_told_so() -> None:
    async def answer(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(IntegrationUnavailableException, match="cannot be reached"):
        await api_that(answer).ask("GET", "/calls/1")
