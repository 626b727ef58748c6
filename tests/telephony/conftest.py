"""Fixtures of the tests of transfers over real sockets."""

from __future__ import annotations

from tests.server.conftest import serve

__all__ = ["serve"]
