"""Validates recorded server events against the models that Pipecat reads them with.

tests/clients/.envs/pipecat/bin/python -m tests.clients.validate.pipecat_models RECORD ...
"""

from __future__ import annotations

import json
from typing import Any

from pipecat.services.openai.realtime.events import parse_server_event

from tests.clients.validate.records import main


def check(event: dict[str, Any]) -> str:
    """What the models say against an event; nothing when it is right, or when Pipecat skips its type."""
    try:
        parse_server_event(json.dumps(event))
    except Exception as exc:  # It raises no narrower one.
        return str(exc).partition("\n\n")[0][:300]
    return ""


if __name__ == "__main__":
    # Pipecat opens no sessions that only transcribe, and has no models of MCP: clients without an MCP server see none.
    main("models", check, but=("transcribe", "mcp"))
