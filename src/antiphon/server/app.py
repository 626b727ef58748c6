"""The web application: routes, and the switchboard that they all use."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI

from antiphon import __version__
from antiphon.console import DIST
from antiphon.server import agents_api, calls_api, health, metrics_api, outgoing_api, sounds_api, telephony
from antiphon.server.console import page
from antiphon.server.local_pages import LocalPagesOnly
from antiphon.server.realtime import calls as realtime_calls
from antiphon.server.realtime import rest as realtime_rest
from antiphon.server.realtime import socket as realtime_socket
from antiphon.server.switchboard import Switchboard


def create_app(board: Switchboard, dist: Path = DIST) -> FastAPI:
    """The application of one process.

    Args:
        board: What all calls share; the routes find it as ``app.state.board``.
        dist: The folder of the built console.
    """
    app = FastAPI(
        title="Antiphon",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # A call's trace begins with the call: no span of a request stands above it, or tells an address with its token.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.board = board
    app.state.registry = board.metrics.registry()
    if board.keys.dev:
        app.add_middleware(LocalPagesOnly, public_url=board.settings.public_url)
    app.include_router(health.router)
    app.include_router(telephony.router)
    app.include_router(realtime_socket.router)
    app.include_router(realtime_rest.router)
    app.include_router(realtime_calls.router)
    app.include_router(agents_api.router)
    app.include_router(calls_api.router)
    app.include_router(outgoing_api.router)
    app.include_router(sounds_api.router)
    app.include_router(metrics_api.router)
    app.router.default = page(dist)
    return app
