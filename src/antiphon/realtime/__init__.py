"""The client of the Realtime protocol: connects, talks, listens, and comes back with its history after an outage.

    from antiphon.realtime import RealtimeClient, endpoint_for

Both load when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.realtime.client import RealtimeClient as RealtimeClient
    from antiphon.realtime.endpoint import endpoint_for as endpoint_for

_HOME = {"RealtimeClient": "antiphon.realtime.client", "endpoint_for": "antiphon.realtime.endpoint"}
__all__ = ["RealtimeClient", "endpoint_for"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'antiphon.realtime' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
