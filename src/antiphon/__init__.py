"""Antiphon: an open, self-hosted platform for real-time voice agents.

    from antiphon import Agent, tool

Names load when they are first used, so that ``import antiphon`` stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent as Agent
    from antiphon.errors import AntiphonException as AntiphonException
    from antiphon.models.llm.contract import Message as Message
    from antiphon.tools.tool import tool as tool

__version__ = "0.1.0"

_HOME = {
    "Agent": "antiphon.agents.agent",
    "AntiphonException": "antiphon.errors",
    "Message": "antiphon.models.llm.contract",
    "tool": "antiphon.tools.tool",
}
__all__ = ["Agent", "AntiphonException", "Message", "__version__", "tool"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'antiphon' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
