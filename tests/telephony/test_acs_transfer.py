"""Transfers of calls over Azure's socket: its API on this machine checks the signature, and tells the outcome later."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from antiphon.server.run import Running
from antiphon.transports.carriers.loopback import serving
from tests.ports import free_port
from tests.server.harness import Serve, until
from tests.telephony.lines import BILLING, Caller, desk, on_the_line

pytestmark = pytest.mark.timeout(60)

KEY = b64encode(b"an access key").decode()


@dataclass
class Azure:
    """The service's side. ``code`` tells why a transfer fails; 0 is that it does not."""

    code: int = 0
    commands: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/calling/callConnections/{command}", self._command, methods=["POST"])])

    async def _command(self, request: Request) -> Response:
        body = await request.body()
        if not is_signed(request, body):
            return JSONResponse({"error": {"code": "Denied", "message": "Denied by the resource provider."}}, 401)
        call_id, _, verb = request.path_params["command"].partition(":")
        assert request.query_params["api-version"]
        self.commands.append(f"{verb} {call_id}")
        if verb == "terminate":
            return Response(status_code=204)
        told = await request.json()
        self.bodies.append(told)
        task = asyncio.create_task(self._tell(call_id, told))
        self._tasks.add(task)
        return JSONResponse({"operationContext": told["operationContext"]}, 202)

    async def _tell(self, call_id: str, told: dict[str, Any]) -> None:
        await asyncio.sleep(0.1)
        outcome = "CallTransferFailed" if self.code else "CallTransferAccepted"
        event = {
            "specversion": "1.0",
            "type": f"Microsoft.Communication.{outcome}",
            "data": {
                "callConnectionId": call_id,
                "operationContext": told["operationContext"],
                "resultInformation": {"code": self.code or 200, "subCode": 0, "message": ""},
            },
        }
        async with httpx.AsyncClient() as http:
            other = {**event, "data": {**event["data"], "operationContext": "another"}}  # type: ignore[dict-item]
            await http.post(told["operationCallbackUri"], content=b"no json")
            await http.post(told["operationCallbackUri"], json=[other, event])


def is_signed(request: Request, body: bytes) -> bool:
    headers = request.headers
    content = b64encode(hashlib.sha256(body).digest()).decode()
    path = f"{request.url.path}?{request.url.query}"
    text = f"{request.method}\n{path}\n{headers['x-ms-date']};{headers['host']};{content}"
    good = b64encode(hmac.digest(b64decode(KEY), text.encode(), "sha256")).decode()
    return headers["authorization"] == (
        f"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={good}"
    ) and (headers["x-ms-content-sha256"] == content)


@asynccontextmanager
async def calling(serve: Serve, azure: Azure, *, key: str = KEY, **how: Any) -> AsyncIterator[tuple[Running, Caller]]:
    agent, models = desk(**how)
    port = free_port()
    async with serving(azure.app()) as url:
        account = {"acs_endpoint": url, "acs_access_key": key, "port": port, "public_url": f"http://127.0.0.1:{port}"}
        async with serve(agents=[agent], models=models, **account) as up:
            async with on_the_line(up, "acs", "call-7") as caller:
                yield up, caller
            await up.board.all_over()


async def test_a_blind_transfer_is_over_when_the_service_tells_that_it_was_accepted(serve: Serve) -> None:
    azure = Azure()
    async with calling(serve, azure) as (_, caller):
        await caller.speak()
        ended = await caller.until("session.ended")
    assert ended["reason"] == "transferred"
    assert azure.commands == ["transferToParticipant call-7"]
    assert azure.bodies[0]["targetParticipant"] == {"kind": "phoneNumber", "phoneNumber": {"value": BILLING}}


@pytest.mark.parametrize(("code", "why"), [(486, "busy"), (480, "no_answer"), (603, "rejected"), (500, "unreachable")])
async def test_a_transfer_that_the_service_could_not_make_leaves_the_caller_with_the_agent(
    serve: Serve, code: int, why: str
) -> None:
    azure = Azure(code)
    async with calling(serve, azure) as (_, caller):
        await caller.speak()
        failed = await caller.until("call.transfer_failed")
        await until(lambda: any("failed" in event["agent_text"] for event in caller.events("turn.completed")))
        assert not caller.closed.is_set()
    assert failed["code"] == why


async def test_r10_a_warm_transfer_is_refused_with_the_reason(serve: Serve) -> None:
    azure = Azure()
    async with calling(serve, azure, kind="warm") as (_, caller):
        await caller.speak()
        await until(lambda: bool(caller.events("turn.completed")))
    assert azure.commands == ["terminate call-7"]
    assert caller.events("turn.completed")[0]["agent_text"] == (
        "I was told: On this line nothing can be said to the other party alone: ask for a blind transfer."
    )


async def test_a_wrong_key_costs_the_transfer_and_not_the_call(serve: Serve) -> None:
    azure = Azure()
    async with calling(serve, azure, key=b64encode(b"another").decode()) as (_, caller):
        await caller.speak()
        await caller.until("call.transfer_failed")
        assert not caller.closed.is_set()
    [error] = caller.events("session.error")
    assert "refused the credentials (401)" in error["message"]


async def test_the_carrier_sees_one_hang_up_when_the_agent_ends_the_call(serve: Serve) -> None:
    azure = Azure()
    async with calling(serve, azure, ends=True) as (up, caller):
        await caller.speak()
        await caller.until("session.ended")
        await up.board.all_over()
    assert azure.commands == ["terminate call-7"]
