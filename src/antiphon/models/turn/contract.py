"""The contract of an end-of-turn model: how sure is it that the caller has finished?"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class TurnModel(Protocol):
    """A model of turn ends, shared by all calls."""

    name: str
    rate_hz: int
    """Rate of the audio that ``score`` wants."""
    context_s: float
    """How much audio before the pause ``score`` can use, at most."""

    async def score(self, pcm: NDArray[np.int16], text: str) -> float:
        """Probability 0..1 that the turn is complete.

        Args:
            pcm: The caller's last seconds, mono, at ``rate_hz``; ends with the pause.
            text: The words of the turn so far, as far as they are known.

        Raises:
            IntegrationException: The model failed; the caller of ``score`` then goes by silence alone.
        """
        ...

    async def warm(self) -> None:
        """Load and run once."""
        ...

    async def aclose(self) -> None:
        """Free everything."""
        ...
