"""What is noted about one turn, and the figures that come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from antiphon.calls.events import CallEvent, LatencyAnchor, TurnCompleted, TurnMetrics
from antiphon.calls.ledger import Ledger, Spent
from antiphon.calls.reply import Reply
from antiphon.calls.speech import Speech


@dataclass(slots=True)
class TurnRecord:
    """One turn while it goes on. Times are seconds since the call's start; None has not happened.

    Attributes:
        number: Counts the turns from 1.
        user_text: The caller's words.
        agent_first: The agent spoke unasked: a greeting.
        silence_at: The caller's last voiced sound.
        final_at: The final words were there.
        committed_at: The turn was decided.
        first_audio_at: The first sound of the answer was written to the line.
        anchor: From where its figures count.
        heard: What was heard of the answer.
        reply: The answer.
    """

    number: int
    user_text: str = ""
    agent_first: bool = False
    silence_at: float = 0.0
    final_at: float | None = None
    committed_at: float | None = None
    first_audio_at: float | None = None
    anchor: LatencyAnchor = "vad_end"
    heard: str = ""
    reply: Reply | None = None

    def metrics(self, seconds: Callable[[float], float], spent: Spent, *, interrupted: bool) -> TurnMetrics:
        """Where the time went, and what the turn has ``spent``; ``seconds`` turns the clock's time into the call's."""

        def after_speech(at: float | None) -> float | None:
            return None if at is None else round((at - self.silence_at) * 1000, 1)

        reply = self.reply
        token_at = reply.first_token_at if reply is not None else None
        last_at = None if reply is None or reply.last_token_at is None else seconds(reply.last_token_at)
        return TurnMetrics(
            turn=self.number,
            interrupted=interrupted,
            speculative=reply is not None and reply.speculative,
            end_of_turn_ms=after_speech(self.committed_at),
            transcript_ms=after_speech(self.final_at),
            first_token_ms=after_speech(None if token_at is None else seconds(token_at)),
            first_audio_ms=after_speech(self.first_audio_at),
            llm_ttft_ms=None if reply is None else _span_ms(reply.begun_at, token_at),
            tts_ttfb_ms=None if reply is None else _span_ms(reply.first_clause_at, reply.first_sound_at),
            llm_total_ms=None if reply is None else _ms(reply.thought_s),
            tts_total_ms=None if reply is None else _ms(reply.voiced_s),
            processing_ms=_span_ms(self.committed_at, last_at),
            agent="" if reply is None or reply.speech.speaker is None else reply.speech.speaker.agent,
            anchor=self.anchor,
            models=spent.models,
            input_tokens=spent.input_tokens,
            output_tokens=spent.output_tokens,
            cost_usd=spent.cost_usd,
        )


class Turns:
    """The turns of one call, one after the other.

    Args:
        tell: Gets what there is to say of a turn that is over.
        seconds: The clock's time as the call's.
        ledger: Knows what a turn has used.

    Attributes:
        count: How many there were.
        current: The one that goes on.
    """

    def __init__(self, tell: Callable[[CallEvent], None], seconds: Callable[[float], float], ledger: Ledger) -> None:
        self.count = 0
        self.current: TurnRecord | None = None
        self._tell = tell
        self._seconds = seconds
        self._ledger = ledger

    def begin(self, *, agent_first: bool = False) -> TurnRecord:
        """A new turn; the one before is over."""
        self.close(interrupted=False)
        self.count += 1
        self.current = TurnRecord(self.count, agent_first=agent_first)
        return self.current

    def heard(self, speech: Speech) -> None:
        """A speech was heard, to its end or to its cut."""
        turn = self.current
        if turn is None or speech.turn != turn.number or speech.kind not in {"reply", "greeting", "goodbye"}:
            return
        turn.heard = f"{turn.heard} {speech.heard}".strip()
        if turn.first_audio_at is None:
            turn.first_audio_at = speech.started_at
        if speech.over and (turn.reply is None or speech is turn.reply.speech):
            self.close(interrupted=False)

    def close(self, *, interrupted: bool) -> None:
        """The turn is over: say how it went."""
        turn, self.current = self.current, None
        if turn is None:
            return
        self._tell(TurnCompleted(turn.number, turn.user_text, turn.heard, turn.agent_first, interrupted))
        if not turn.agent_first:
            self._tell(turn.metrics(self._seconds, self._ledger.spend(), interrupted=interrupted))


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _span_ms(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else round((end - start) * 1000, 1)
