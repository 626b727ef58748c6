"""Ids of the protocol's objects."""

from __future__ import annotations

from secrets import token_hex

MAX_MADE = 32
"""Longest id that is made, in characters: clients replay ours to services that refuse longer ones."""

MAX_TAKEN = 128
"""Longest id that is taken from a client, in characters."""


def new_id(prefix: str) -> str:
    """A new id, such as ``item_9f0c…``, of at most ``MAX_MADE`` characters ``[A-Za-z0-9_]``.

    Args:
        prefix: What the id is of: ``item``, ``resp``, ``call``, ``sess``, ``conv``, ``rtc``; at most 15 letters.
    """
    return f"{prefix}_{token_hex(16)}"[:MAX_MADE]
