"""The figures of a turn under the names that spans have."""

from __future__ import annotations

from antiphon.calls.events import TurnMetrics

STAGES: tuple[tuple[str, str, str | None], ...] = (
    ("antiphon.stt.latency", "transcript_ms", "stt"),
    ("antiphon.turn.decision", "end_of_turn_ms", None),
    ("antiphon.turn.processing", "processing_ms", None),
    ("antiphon.llm.ttft", "llm_ttft_ms", "llm"),
    ("antiphon.llm.duration", "llm_total_ms", "llm"),
    ("antiphon.turn.first_audio", "first_audio_ms", None),
    ("antiphon.tts.ttfb", "tts_ttfb_ms", "tts"),
    ("antiphon.tts.synthesis", "tts_total_ms", "tts"),
)
"""Histograms of stages, their figures, and whose work they are."""


def turn_figures(metrics: TurnMetrics) -> dict[str, float]:
    """What is known of a turn; what is not known is left out, never 0."""
    first_token, first_audio = metrics.first_token_ms, metrics.first_audio_ms
    synthesis = None if first_token is None or first_audio is None else round(first_audio - first_token, 1)
    figures = {
        "turn.stt_ms": metrics.transcript_ms,
        "turn.decision_ms": metrics.end_of_turn_ms,
        "turn.llm_ttft_ms": metrics.llm_ttft_ms,
        "turn.ttft_ms": first_token,
        "turn.ttfb_ms": first_audio,
        "turn.synth_ms": synthesis,
        "turn.tts_ttfb_ms": metrics.tts_ttfb_ms,
        "turn.llm_total_ms": metrics.llm_total_ms,
        "turn.tts_total_ms": metrics.tts_total_ms,
        "turn.processing_ms": metrics.processing_ms,
        "turn.cost_usd": metrics.cost_usd,
        "gen_ai.usage.input_tokens": metrics.input_tokens,
        "gen_ai.usage.output_tokens": metrics.output_tokens,
    }
    return {name: value for name, value in figures.items() if value is not None}
