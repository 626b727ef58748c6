"""The recording of one call, which may be paused while somebody says what must not be kept."""

from __future__ import annotations

import asyncio
from typing import Any

from antiphon.audio.formats import AudioFormat
from antiphon.calls.events import RecordingPaused, RecordingResumed
from antiphon.calls.line import AudioTap
from antiphon.calls.log import CallLog


class CallRecording:
    """An ``AudioTap`` in front of the one that keeps the sound: in a pause, both sides are silence, and time goes on.

    Several may want it paused at once; it goes on when none of them does any more.

    Args:
        tap: Who records; None where nobody does, and a pause means nothing.
        audio: The line's format.
        log: Gives the time, and is told of pauses.
    """

    def __init__(self, tap: AudioTap | None, audio: AudioFormat, log: CallLog) -> None:
        self._tap = tap
        self._audio = audio
        self._log = log
        self._holders: dict[object, str] = {}

    @property
    def tap(self) -> AudioTap | None:
        """This one, where anybody records."""
        return self if self._tap is not None else None

    @property
    def is_paused(self) -> bool:
        """Whether nothing is kept now."""
        return bool(self._holders)

    def pause(self, by: str = "application") -> None:
        """Keep nothing from now on; ``by`` says who wants it so. Idempotent."""
        self._hold(by, by)

    def pause_until(self, done: asyncio.Future[Any], by: str) -> None:
        """Keep nothing until this is done, such as a number that is typed."""
        self._hold(done, by)
        done.add_done_callback(self._let_go)

    def resume(self, by: str = "application") -> None:
        """This one wants no pause any more. Idempotent."""
        self._let_go(by)

    def _hold(self, holder: object, by: str) -> None:
        if self._tap is not None and not self._holders:
            self._tap.cut(self._log.seconds())  # what the agent says was told ahead of time
            self._log.append(RecordingPaused(by))
        self._holders[holder] = by

    def _let_go(self, holder: object) -> None:
        by = self._holders.pop(holder, None)
        if by is not None and self._tap is not None and not self._holders:
            self._log.append(RecordingResumed(by))

    def caller(self, at_s: float, payload: bytes) -> None:
        """The caller's audio; its last sample arrived at ``at_s``."""
        if self._tap is not None:
            self._tap.caller(at_s, self._audio.silence(len(payload)) if self._holders else payload)

    def agent(self, at_s: float, payload: bytes) -> None:
        """The agent's audio; its first sample will be heard at ``at_s``."""
        if self._tap is not None and not self._holders:
            self._tap.agent(at_s, payload)

    def cut(self, at_s: float) -> None:
        """Agent audio from ``at_s`` on was never heard."""
        if self._tap is not None:
            self._tap.cut(at_s)
