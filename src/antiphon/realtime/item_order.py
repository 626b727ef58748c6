"""The order of a conversation's items, as ``previous_item_id`` tells it, even when events come out of order."""

from __future__ import annotations

from collections.abc import Iterator


class ItemOrder:
    """Ids of items in the service's order."""

    __slots__ = ("_ids", "_previous", "_waiting_for")

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._previous: dict[str, str | None] = {}
        self._waiting_for: dict[str, list[str]] = {}

    def __iter__(self) -> Iterator[str]:
        """First item first."""
        return iter(self._ids)

    def __contains__(self, item_id: object) -> bool:
        """Whether the item is known."""
        return item_id in self._ids

    def append(self, item_id: str) -> None:
        """Add an item at the end, unless it has its place."""
        if item_id not in self._ids:
            self._ids.append(item_id)

    def add(self, item_id: str, previous: object) -> None:
        """Put an item where it belongs.

        Args:
            item_id: The item; one that is known moves.
            previous: The id before it; None is the start. An id that is not known yet takes the item along when it
                comes.
        """
        before = None if previous is None else str(previous)
        if item_id in self._ids:
            self._ids.remove(item_id)
        self._previous[item_id] = before
        if before is None:
            self._ids.insert(0, item_id)
        elif before in self._ids:
            self._ids.insert(self._ids.index(before) + 1, item_id)
        else:
            self._ids.append(item_id)
            self._waiting_for.setdefault(before, []).append(item_id)
        for follower in self._waiting_for.pop(item_id, ()):
            self._move_behind(item_id, follower)

    def _move_behind(self, item_id: str, follower: str) -> None:
        """Put a follower, and all that follow it in turn, behind an item."""
        if follower == item_id or follower not in self._ids:
            return
        start = end = self._ids.index(follower)
        chain: set[str | None] = set()
        while end < len(self._ids) and (not chain or self._previous.get(self._ids[end]) in chain):
            chain.add(self._ids[end])
            end += 1
        if item_id in chain:  # A service that goes round in circles.
            return
        moved = self._ids[start:end]
        del self._ids[start:end]
        place = self._ids.index(item_id) + 1
        self._ids[place:place] = moved

    def remove(self, item_id: str) -> None:
        """Forget an item."""
        self._previous.pop(item_id, None)
        if item_id in self._ids:
            self._ids.remove(item_id)

    def rename(self, old: str, new: str) -> None:
        """Give an item another id, in its place."""
        self._ids[self._ids.index(old)] = new
        self._previous[new] = self._previous.pop(old, None)
