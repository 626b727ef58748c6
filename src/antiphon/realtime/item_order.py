"""The order of a conversation's items, as ``previous_item_id`` tells it, even when events come out of order."""

from __future__ import annotations

from collections.abc import Iterator


class ItemOrder:
    """Ids of items in the service's order."""

    __slots__ = ("_ids", "_waiting_for")

    def __init__(self) -> None:
        self._ids: list[str] = []
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
        if item_id in self._ids:
            self._ids.remove(item_id)
        if previous is None:
            self._ids.insert(0, item_id)
        elif previous in self._ids:
            self._ids.insert(self._ids.index(str(previous)) + 1, item_id)
        else:
            self._ids.append(item_id)
        if previous is not None and previous not in self._ids:
            self._waiting_for.setdefault(str(previous), []).append(item_id)
        for follower in self._waiting_for.pop(item_id, ()):
            if follower in self._ids:
                self.add(follower, item_id)

    def remove(self, item_id: str) -> None:
        """Forget an item."""
        if item_id in self._ids:
            self._ids.remove(item_id)

    def rename(self, old: str, new: str) -> None:
        """Give an item another id, in its place."""
        self._ids[self._ids.index(old)] = new
