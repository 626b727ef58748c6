"""``/v1/metrics/summary`` and ``/v1/pools``: how the server did lately, and its connections to providers."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from antiphon.models.pool import AnyPool
from antiphon.server.access import require_key
from antiphon.server.recent import summary_of
from antiphon.server.switchboard import Switchboard

router = APIRouter(prefix="/v1", dependencies=[Depends(require_key)])


@router.get("/metrics/summary")
async def summary(request: Request, window_minutes: Annotated[int, Query(ge=1, le=1440)] = 60) -> Response:
    """A report of all calls of this process in the last minutes, of turns and calls that ended in them.

    ``reaches_back_s`` says how far it reaches where that is less than what was asked for.
    """
    board: Switchboard = request.app.state.board
    recent = board.recent
    report = await asyncio.to_thread(summary_of, recent.since(60.0 * window_minutes))
    return _json({"window_minutes": window_minutes, "reaches_back_s": recent.reaches_back_s, **asdict(report)})


@router.get("/pools")
async def pools(request: Request) -> Response:
    """The connections to providers that are kept open: those in use, those that wait, and what was given."""
    board: Switchboard = request.app.state.board
    return _json({"pools": [_pool(pool) for pool in board.pools()]})


def _pool(pool: AnyPool) -> dict[str, Any]:
    return {
        "name": pool.name,
        "active": pool.active,
        "warm": pool.warm,
        "dedicated": pool.dedicated,
        "exhausted": pool.is_exhausted,
        "allocations_total": pool.counters.allocations_total,
        "counters": asdict(pool.counters),
    }


def _json(body: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json", headers={"Cache-Control": "no-store"})
