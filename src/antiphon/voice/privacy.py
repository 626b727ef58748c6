"""Keeps personal data out of the local history, the screen and the log; only the service itself hears it."""

from __future__ import annotations

from collections import Counter

from antiphon.logs import Log
from antiphon.realtime.client import RealtimeClient
from antiphon.realtime.conversation import Turn
from antiphon.realtime.incoming import ServerEvent
from antiphon.redaction import Redactor

FINAL = (
    "conversation.item.added",
    "conversation.item.retrieved",
    "conversation.item.input_audio_transcription.completed",
    "conversation.item.truncated",
    "response.output_audio_transcript.done",
    "response.output_text.done",
    "response.output_item.done",
    "response.done",
)

_log = Log(__name__)


class PrivateHistory:
    """Redacts the turns of one client as soon as their words are final.

    Args:
        client: The conversation; this registers its handler.
        redactor: What to take out; what it finds is counted in the client's metrics.
        screen: The same for the eye, and not counted.
        log_transcripts: Whether final words are written to the log, redacted.
    """

    def __init__(
        self, client: RealtimeClient, redactor: Redactor, *, screen: Redactor, log_transcripts: bool = False
    ) -> None:
        self._client = client
        self._redactor = redactor
        self._screen = screen
        self._counted: Counter[str] = Counter()
        self._log_transcripts = log_transcripts
        self._logged: str | None = None
        client.on(FINAL, self._take)

    def shown(self, turn: Turn) -> str:
        """The words of a turn as far as they may be shown: of one that still grows, what is decided."""
        text = turn.text or ""
        if turn.transcript_state == "pending":
            return self._screen.scan("", text, is_last=False)[0]
        return self._screen.redact(text)

    def shown_generated(self, turn: Turn) -> str:
        """All that the model said in a turn, heard or not."""
        return self._screen.redact(turn.text_generated or "")

    def shown_partial(self, text: str) -> str:
        """Words that are still being written down."""
        return self._screen.scan("", text, is_last=False)[0]

    def redact(self) -> None:
        """Go over the last turns."""
        for turn in self._client.conversation.turns[-4:]:
            if turn.transcript_state == "pending":
                continue
            if turn.text:
                turn.text = self._redactor.redact(turn.text)
            if turn.text_generated:
                turn.text_generated = self._redactor.redact(turn.text_generated)
            for call in turn.calls:
                call.arguments = self._redactor.redact(call.arguments)
                call.output = self._redactor.redact(call.output) if call.output is not None else None
        for kind, count in (self._redactor.counts - self._counted).items():
            self._client.metrics.count("redactions_total", count, kind=kind)
        self._counted = self._redactor.counts.copy()

    def _take(self, event: ServerEvent) -> None:
        self.redact()
        if not self._log_transcripts:
            return
        turn = self._client.conversation.turn(event.item_id)
        if turn is not None and turn.text and turn.transcript_state == "done" and self._logged != turn.item_id:
            self._logged = turn.item_id
            _log.info("transcript", role=turn.role, item_id=turn.item_id, text=turn.text)
