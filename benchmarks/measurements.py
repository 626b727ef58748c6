"""What the callers observed while the measurement's window was open."""

from __future__ import annotations

from dataclasses import dataclass, field

Summary = dict[str, float | int | None]


def percentile(values: list[float], q: float) -> float | None:
    """The value at ``q`` (0..1) of the sorted values; None without values."""
    if not values:
        return None
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


def summary_ms(values_s: list[float], *, digits: int = 1) -> Summary:
    """Count, median, tail and maximum of seconds, in milliseconds."""

    def ms(value_s: float | None) -> float | None:
        return None if value_s is None else round(value_s * 1000, digits)

    return {
        "n": len(values_s),
        "p50": ms(percentile(values_s, 0.50)),
        "p95": ms(percentile(values_s, 0.95)),
        "p99": ms(percentile(values_s, 0.99)),
        "max": ms(max(values_s, default=None)),
    }


@dataclass(slots=True)
class Measurements:
    """Counts and times of all callers; times in seconds.

    Attributes:
        open: Whether the window is open; a turn counts when it began inside the window.
        v2v_s: From the last frame of speech sent to the first sound of the reply.
        barge_clear_s: From the first frame of the interruption to the server's clear.
        barge_last_audio_s: From there to the last sound that still came.
        frame_gaps_s: Between two pieces of a reply.
        late_s: How much too late a piece came: what the caller hears as a hole.
        ahead_s: How much before its time a piece came.
        round_trips_s: Of a frame, in the scenario ``echo``.
        sent_late_s: How late the generator itself sent: its own quality.
        connect_s: From connecting to having sent the stream's start.
        frames_sent: Of the callers.
        frames_heard: Messages with sound.
        heard_ms: Sound in them.
        turns: Begun.
        no_reply: Turns without an answer in time.
        barge_without_clear: The server fell silent without saying so.
        early_audio: Pieces of sound while the caller spoke and no reply was due.
        audio_after_clear: Pieces of the old reply after the clear.
        short_replies: Replies that ended early.
        marks: Asked for by the server.
        dropped_calls: Closed by the server.
    """

    open: bool = False
    v2v_s: list[float] = field(default_factory=list)
    barge_clear_s: list[float] = field(default_factory=list)
    barge_last_audio_s: list[float] = field(default_factory=list)
    frame_gaps_s: list[float] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    ahead_s: list[float] = field(default_factory=list)
    round_trips_s: list[float] = field(default_factory=list)
    sent_late_s: list[float] = field(default_factory=list)
    connect_s: list[float] = field(default_factory=list)
    frames_sent: int = 0
    frames_heard: int = 0
    heard_ms: float = 0.0
    turns: int = 0
    no_reply: int = 0
    barge_without_clear: int = 0
    early_audio: int = 0
    audio_after_clear: int = 0
    short_replies: int = 0
    marks: int = 0
    dropped_calls: int = 0

    def as_dict(self, vad_stop_s: float) -> dict[str, object]:
        """Everything, as the row of results has it.

        Args:
            vad_stop_s: The silence that the server is told to wait for; voice-to-voice less this is its overhead.
        """
        return {
            "connect_ms": summary_ms(self.connect_s),
            "turns": self.turns,
            "no_reply": self.no_reply,
            "dropped_calls": self.dropped_calls,
            "v2v_ms": summary_ms(self.v2v_s),
            "overhead_ms": summary_ms([v2v - vad_stop_s for v2v in self.v2v_s]),
            "barge_clear_ms": summary_ms(self.barge_clear_s),
            "barge_last_audio_ms": summary_ms(self.barge_last_audio_s),
            "frame_gap_ms": summary_ms(self.frame_gaps_s),
            "late_20ms": sum(late > 0.020 for late in self.late_s),
            "late_60ms": sum(late > 0.060 for late in self.late_s),
            "late_ms": summary_ms(self.late_s),
            "ahead_ms": summary_ms(self.ahead_s),
            "rtt_ms": summary_ms(self.round_trips_s, digits=2),
            "barge_without_clear": self.barge_without_clear,
            "early_audio": self.early_audio,
            "audio_after_clear": self.audio_after_clear,
            "short_replies": self.short_replies,
            "marks": self.marks,
            "frames_sent": self.frames_sent,
            "frames_heard": self.frames_heard,
            "heard_s": round(self.heard_ms / 1000, 1),
            "client_late_ms": summary_ms(self.sent_late_s, digits=2),
        }
