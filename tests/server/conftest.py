"""Fixtures of the server's tests."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.server.harness import Running, Serve, server


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Starts a server whose files go to a folder of this test."""

    def start(**options: Any) -> AbstractAsyncContextManager[Running]:
        return server(tmp_path, **options)

    return start
