"""How late the event loop is, and what kept it."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections import deque

import structlog

SAMPLE_S = 0.02
WINDOW = 250
"""Samples that are looked at: 5 s."""
BLOCKED_S = 0.05
"""A loop that is this late is looked into."""
REPORT_EVERY_S = 10.0

_log = structlog.get_logger(__name__)


class LoopLag:
    """Measures the loop with a timer on it, and names what blocks it from a thread beside it.

    Attributes:
        p50_ms: Half of the last 5 s' samples were less late.
        p95_ms: 95 % of them were.
        p99_ms: 99 % of them were.
        max_ms: The latest of them.
    """

    def __init__(self) -> None:
        self.p50_ms = self.p95_ms = self.p99_ms = self.max_ms = 0.0
        self._samples: deque[float] = deque(maxlen=WINDOW)
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._count = 0
        self._seen_at = 0.0
        self._stop = threading.Event()
        self._loop_thread = 0

    def start(self) -> None:
        """Measure the running loop from now on."""
        loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._seen_at = time.monotonic()
        self._due = loop.time() + SAMPLE_S
        self._timer = loop.call_at(self._due, self._sample, loop)
        threading.Thread(target=self._watch, name="loop-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Measure no more."""
        self._stop.set()
        if self._timer is not None:
            self._timer.cancel()

    def _sample(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self._seen_at = time.monotonic()
        self._samples.append((now - self._due) * 1000)
        self._count += 1
        if self._count % 25 == 0:
            ordered = sorted(self._samples)
            last = len(ordered) - 1
            self.p50_ms, self.p95_ms, self.p99_ms = (ordered[int(last * q)] for q in (0.50, 0.95, 0.99))
            self.max_ms = ordered[-1]
        self._due = max(self._due + SAMPLE_S, now)
        self._timer = loop.call_at(self._due, self._sample, loop)

    def _watch(self) -> None:
        """Look from outside: when the loop has not moved for too long, log where its thread is."""
        reported_at = float("-inf")
        while not self._stop.wait(BLOCKED_S):
            now = time.monotonic()
            late_s = now - self._seen_at - SAMPLE_S
            if late_s < BLOCKED_S or now - reported_at < REPORT_EVERY_S:
                continue
            reported_at = now
            frame = sys._current_frames().get(self._loop_thread)
            stack = traceback.format_stack(frame, limit=12) if frame else []
            _log.warning("loop_blocked", late_ms=round(late_s * 1000), stack="".join(stack[-6:]))
