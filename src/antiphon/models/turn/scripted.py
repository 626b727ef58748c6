"""End-of-turn scores from a list, for tests and benchmarks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from antiphon.clock import Clock, WallClock
from antiphon.errors import IntegrationUnavailableException

TurnFault = Literal["fail", "stall"]


class ScriptedTurn:
    """Gives the next score of a list; the last one serves all further questions.

    Args:
        scores: Probabilities that the turn is complete.
        delay_s: How long each answer takes.
        faults: What goes wrong, by the number of the question.
        clock: Wall time unless given.

    Attributes:
        asked: Questions so far.
    """

    name = "scripted"
    rate_hz = 16_000
    context_s = 8.0

    def __init__(
        self,
        scores: Sequence[float] = (1.0,),
        *,
        delay_s: float = 0.0,
        faults: Mapping[int, TurnFault] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.asked = 0
        self._scores = tuple(scores)
        self._delay_s = delay_s
        self._faults = dict(faults or {})
        self._clock = clock or WallClock()

    async def score(self, pcm: NDArray[np.int16], text: str) -> float:
        """The next score."""
        number = self.asked
        self.asked += 1
        if self._delay_s:
            await self._clock.sleep(self._delay_s)
        fault = self._faults.get(number)
        if fault == "fail":
            raise IntegrationUnavailableException("The scripted end-of-turn model failed.", provider="scripted")
        if fault == "stall":
            await asyncio.get_running_loop().create_future()
        return self._scores[min(number, len(self._scores) - 1)]

    async def warm(self) -> None:
        """There is nothing to load."""

    async def aclose(self) -> None:
        """There is nothing to free."""
