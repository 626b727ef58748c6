"""How long a call waits for a connection to a provider: from a warm pool, and without one.

Run ``python -m benchmarks.pools``. The provider is a WebSocket server on this machine, so a new connection costs no
more than the handshake: over the internet it costs some round trips and a TLS handshake on top. Connections are either
kept and serve again, or serve once, as the vendors' protocols have it.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import time
from datetime import UTC, datetime
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from antiphon.models.pool import Handling, Pool, PoolLimits
from antiphon.models.remote import close_socket, is_open
from benchmarks import machine

SESSIONS = 10
CLAUSES = 200
CLAUSE_S = 0.02
TARGET_MS = 1.0


async def echo(connection: ServerConnection) -> None:
    """The provider: says what it hears."""
    async for frame in connection:
        await connection.send(frame)


async def measure(url: str, *, warm: int, keeps: bool) -> dict[str, Any]:
    """Have sessions speak clauses at the same time.

    Args:
        url: The provider.
        warm: Connections that wait.
        keeps: Whether a connection serves again.
    """

    async def make(_key: str) -> ClientConnection:
        return await connect(url, compression=None, proxy=None)

    async def reset(_socket: ClientConnection) -> bool:
        return keeps

    pool: Pool[str, ClientConnection] = Pool(
        "bench", Handling(make, close_socket, reset, is_open), limits=PoolLimits(warm=warm)
    )
    async with pool.lease("voice"):
        await asyncio.sleep(0.5)  # the pool fills
    waits_ms: list[float] = []

    async def session() -> None:
        for _ in range(CLAUSES):
            began = time.perf_counter()
            lease = await pool.acquire("voice")
            waits_ms.append((time.perf_counter() - began) * 1000)
            await lease.resource.send("clause")
            await lease.resource.recv()
            await asyncio.sleep(CLAUSE_S)
            await pool.release(lease)
            await asyncio.sleep(CLAUSE_S)

    await asyncio.gather(*(session() for _ in range(SESSIONS)))
    counters = pool.counters
    await pool.aclose()
    cuts = statistics.quantiles(waits_ms, n=100)
    return {
        "warm_connections": warm,
        "connections_serve_again": keeps,
        "acquires": len(waits_ms),
        "from_warm": counters.allocations_warm,
        "cold": counters.allocations_cold,
        "p50_ms": round(cuts[49], 3),
        "p99_ms": round(cuts[98], 3),
        "max_ms": round(max(waits_ms), 3),
    }


async def run() -> dict[str, Any]:
    """All cases, one after the other."""
    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        return {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine.describe(),
            "versions": machine.versions(),
            "engines": "a WebSocket server in the same process that echoes",
            "load_average": round(os.getloadavg()[0], 1),
            "n": SESSIONS * CLAUSES,
            "target_warm_p99_ms": TARGET_MS,
            "sessions": SESSIONS,
            "kept": await measure(url, warm=SESSIONS, keeps=True),
            "once": await measure(url, warm=2 * SESSIONS, keeps=False),
            "without": await measure(url, warm=0, keeps=False),
        }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run()), indent=2))
