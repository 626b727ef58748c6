"""The web application: routes, and the switchboard that they all use."""

from __future__ import annotations

from fastapi import FastAPI

from antiphon import __version__
from antiphon.server import health, telephony
from antiphon.server.switchboard import Switchboard


def create_app(board: Switchboard) -> FastAPI:
    """The application of one process.

    Args:
        board: What all calls share; the routes find it as ``app.state.board``.
    """
    app = FastAPI(title="Antiphon", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.board = board
    app.state.registry = board.metrics.registry()
    app.include_router(health.router)
    app.include_router(telephony.router)
    return app
