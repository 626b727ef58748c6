"""Smart Turn 3.2: is the caller done? It goes by tone of voice and rhythm, and reads no words."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.errors import IntegrationUnavailableException
from antiphon.models.turn.log_mel import RATE_HZ, log_mel
from antiphon.models.weights.store import WeightStore

_CONTEXT_S = 8


class SmartTurn:
    """A model of turn ends.

    Args:
        weights: Where the model's file is.
        max_waiting: Questions that may wait; those above fail at once, as an answer that comes late is of no use.
    """

    name = "smart-turn/3.2"
    rate_hz = RATE_HZ
    context_s = float(_CONTEXT_S)

    def __init__(self, weights: WeightStore, *, max_waiting: int = 8) -> None:
        self._weights = weights
        self._max_waiting = max_waiting
        self._waiting = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="smart-turn")
        self._session: Any = None

    async def score(self, pcm: NDArray[np.int16], text: str) -> float:
        """Probability that the turn is complete. ``text`` is not used.

        Raises:
            IntegrationUnavailableException: Too many questions wait.
            IntegrationInitializationError: The model's file has not been fetched.
        """
        if self._waiting >= self._max_waiting:
            raise IntegrationUnavailableException(
                f"The end-of-turn model has {self._waiting} questions waiting: take fewer calls at once.",
                provider=self.name,
            )
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._infer, pcm)
        finally:
            self._waiting -= 1

    async def warm(self) -> None:
        """Load and run once.

        Raises:
            IntegrationInitializationError: The model's file has not been fetched.
        """
        await self.score(np.zeros(RATE_HZ, np.int16), "")

    async def aclose(self) -> None:
        """Free the thread."""
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    # In the worker thread

    def _infer(self, pcm: NDArray[np.int16]) -> float:
        heard = pcm[-_CONTEXT_S * RATE_HZ :] * np.float32(1 / 32768)
        # The model was trained on audio that ends where the window ends: what is missing is silence before it.
        audio = np.pad(heard, (_CONTEXT_S * RATE_HZ - len(heard), 0))
        output = self._loaded().run(None, {"input_features": log_mel(audio)[np.newaxis]})[0]
        return float(output[0, 0])

    def _loaded(self) -> Any:
        if self._session is None:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            path = str(self._weights.path("smart-turn"))
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return self._session
