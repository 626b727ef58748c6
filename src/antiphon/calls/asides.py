"""What the application wants said besides the conversation: it waits until the agent may speak."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

_MOST = 16


class Asides:
    """A short queue of what is to be said; of too many that wait the oldest are dropped.

    Args:
        is_free: Whether the agent may speak now.
        announce: Called before each is said.
    """

    def __init__(self, *, is_free: Callable[[], bool], announce: Callable[[], None]) -> None:
        self._is_free = is_free
        self._announce = announce
        self._waiting: deque[Callable[[], None]] = deque(maxlen=_MOST)

    def put(self, speak: Callable[[], None]) -> None:
        """Have this said as soon as the agent may speak."""
        self._waiting.append(speak)
        self.flush()

    def flush(self) -> None:
        """Say what waits, if the agent may speak."""
        while self._waiting and self._is_free():
            speak = self._waiting.popleft()
            self._announce()
            speak()
