"""The numbers of calls for Prometheus, by agent, carrier, provider and model; taken from the calls' logs.

No frame pays for them: they change with an event of a log, a few times a turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import Counter, Histogram
from prometheus_client.registry import Collector

from antiphon.calls import events
from antiphon.calls.log import CallLog, Entry
from antiphon.calls.tracing.barge_ins import BargeIns

STAGE_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0)
LENGTH_S = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0, 60.0, 120.0)
MOST_NAMES = 200
"""Values of one label; what comes later is ``other``."""

_CALL = ("agent", "mode", "carrier")
_MODEL = (*_CALL, "provider", "model")
_USE = ("provider", "model")


class CallNumbers:
    """Counts all calls of a process."""

    def __init__(self) -> None:
        self.collectors: list[Collector] = []
        """For a registry."""
        self._names: dict[str, set[str]] = {}
        stage, length, count = self._histogram(STAGE_S), self._histogram(LENGTH_S), self._counter
        self.stt = stage("stt_latency_seconds", "From the caller's last sound to the final words", _MODEL)
        self.decision = stage("turn_decision_seconds", "From the caller's last sound to the turn's end", _CALL)
        self.recognition = stage("stt_recognition_seconds", "From an utterance's first words to its final ones", _MODEL)
        self.llm = stage("llm_ttft_seconds", "From a request to the model to its first words", _MODEL)
        self.tts = stage("tts_ttfb_seconds", "From a reply's first clause to its first sound", _MODEL)
        self.llm_total = stage("llm_duration_seconds", "That an answer waited for its model", _MODEL)
        self.tts_total = stage("tts_synthesis_seconds", "That an answer waited for its voice", _MODEL)
        self.processing = stage("turn_processing_seconds", "From the turn's end to the last words of the answer", _CALL)
        self.first_audio = stage("agent_first_audio_seconds", "From the caller's last sound to the answer's", _CALL)
        self.barge_in = stage("barge_in_stop_seconds", "From the caller's sound to the agent's silence", _CALL)
        self.playout = length("tts_playout_seconds", "From the first sound of a speech to its end or cut", _MODEL)
        self.turn = length("turn_duration_seconds", "From the caller's first sound to the end of the answer", _CALL)
        self.calls = count("agent_calls", "Calls that began", _CALL)
        self.turns = count("agent_turns", "Turns answered", _CALL)
        self.barge_ins = count("barge_ins", "Speeches that callers cut", _CALL)
        self.clauses = count("tts_clauses", "Clauses given to the voice", _MODEL)
        self.tools = count("tool_calls", "Tool calls with a result", ("agent", "status"))
        self.tokens = count("llm_tokens", "Tokens of language models", (*_USE, "direction"))
        self.characters = count("tts_characters", "Characters that were voiced", _USE)
        self.audio = count("stt_audio_seconds", "Speech of callers that was listened to", _USE)
        self.cost = count("cost_usd", "Cost by list prices, where they are known", ("role", *_USE))
        self.unpriced = count("calls_unpriced", "Calls with a model whose price is not known", ())

    def watch(self, log: CallLog) -> None:
        """A watcher of new calls."""
        log.subscribe(_CallReader(self).read)

    def name(self, label: str, value: str) -> str:
        """A label's value, or ``other`` when there are too many."""
        known = self._names.setdefault(label, set())
        if value not in known and len(known) >= MOST_NAMES:
            return "other"
        known.add(value)
        return value

    def _histogram(self, buckets: tuple[float, ...]) -> Callable[[str, str, tuple[str, ...]], Histogram]:
        def make(name: str, about: str, labels: tuple[str, ...]) -> Histogram:
            made = Histogram(f"antiphon_{name}", about, labels, buckets=buckets, registry=None)
            self.collectors.append(made)
            return made

        return make

    def _counter(self, name: str, about: str, labels: tuple[str, ...]) -> Counter:
        made = Counter(f"antiphon_{name}", about, labels, registry=None)
        self.collectors.append(made)
        return made


class _CallReader:
    """Reads the log of one call."""

    def __init__(self, numbers: CallNumbers) -> None:
        self._numbers = numbers
        self._agent = self._carrier = ""
        self._mode = "cascade"
        self._models: dict[str, str] = {}
        self._answered: dict[str, str] = {}  # who did, in the turn that is told now
        self._first_words_at: float | None = None
        self._recognised_s: list[float] = []  # of utterances whose turn is not told yet
        self._barge_ins = BargeIns()
        self._spoke_at: float | None = None  # first sound of what may become a turn
        self._has_words = False
        self._turn_at: float | None = None
        self._sounding: dict[int, float] = {}

    def read(self, entry: Entry) -> None:
        """Count what this entry tells."""
        barge_in = self._barge_ins.read(entry)
        if barge_in is not None:
            self._numbers.barge_ins.labels(*self._call()).inc()
            self._numbers.barge_in.labels(*self._call()).observe(barge_in[1] - barge_in[0])
        handler = _READERS.get(type(entry.event))
        if handler is not None:
            handler(self, entry.at, entry.event)

    def _started(self, _at: float, event: events.SessionStarted) -> None:
        self._agent, self._carrier, self._models = event.agent, event.carrier, event.models
        self._mode = "realtime" if "s2s" in event.models else "cascade"
        self._numbers.calls.labels(*self._call()).inc()

    def _handed_over(self, _at: float, event: events.AgentHandoff) -> None:
        self._agent = event.new_agent

    def _voice(self, _at: float, event: events.UserSpeechStarted) -> None:
        if self._spoke_at is None or not self._has_words:
            self._spoke_at = event.speech_at

    def _words(self, at: float, event: events.UserTranscription) -> None:
        self._has_words = True
        if self._first_words_at is None:
            self._first_words_at = at
        if event.is_final:
            self._recognised_s.append(at - self._first_words_at)
            self._first_words_at = None

    def _committed(self, _at: float, _event: events.UserTurnCompleted) -> None:
        if self._turn_at is None:
            self._turn_at = self._spoke_at
        self._spoke_at, self._has_words = None, False

    def _talked_over(self, _at: float, event: events.UserBackchannel) -> None:
        if not event.is_interruption:
            self._spoke_at, self._has_words = None, False

    def _text(self, _at: float, _event: events.AgentTextSpoken) -> None:
        self._numbers.clauses.labels(*self._call(), *self._stage("tts")).inc()

    def _sound(self, at: float, event: events.AgentSpeechStarted) -> None:
        self._sounding[event.speech] = at

    def _heard(self, at: float, event: events.AgentSpeechCompleted | events.AgentSpeechInterrupted) -> None:
        start = self._sounding.pop(event.speech, None)
        if start is not None:
            self._numbers.playout.labels(*self._call(), *self._stage("tts")).observe(at - start)

    def _executed(self, _at: float, event: events.ToolExecuted) -> None:
        status = "error" if event.is_error else "ok"
        self._numbers.tools.labels(self._numbers.name("agent", self._agent), status).inc()

    def _measured(self, at: float, event: events.TurnMetrics) -> None:
        numbers, call, self._answered = self._numbers, self._call(), event.models
        numbers.turns.labels(*call).inc()
        recognised_s, self._recognised_s = self._recognised_s, []
        for seconds in recognised_s:
            numbers.recognition.labels(*call, *self._stage("stt")).observe(seconds)
        turn_at, self._turn_at = self._turn_at, None
        if turn_at is not None:
            numbers.turn.labels(*call).observe(at - turn_at)
        for histogram, labels, value_ms in (
            (numbers.stt, (*call, *self._stage("stt")), event.transcript_ms),
            (numbers.decision, call, event.end_of_turn_ms),
            (numbers.llm, (*call, *self._stage("llm")), event.llm_ttft_ms),
            (numbers.llm_total, (*call, *self._stage("llm")), event.llm_total_ms),
            (numbers.tts, (*call, *self._stage("tts")), event.tts_ttfb_ms),
            (numbers.tts_total, (*call, *self._stage("tts")), event.tts_total_ms),
            (numbers.processing, call, event.processing_ms),
            (numbers.first_audio, call, event.first_audio_ms),
        ):
            if value_ms is not None:
                histogram.labels(*labels).observe(max(0.0, value_ms) / 1000)

    def _used(self, _at: float, event: events.SessionUsage) -> None:
        numbers = self._numbers
        for part in event.parts:
            of = self._named(part.model)
            for counter, labels, amount in (
                (numbers.tokens, (*of, "input"), part.input_tokens),
                (numbers.tokens, (*of, "output"), part.output_tokens),
                (numbers.characters, of, part.characters),
                (numbers.audio, of, part.audio_s),
                (numbers.cost, (part.role, *of), part.cost_usd),
            ):
                if amount:
                    counter.labels(*labels).inc(amount)
        if event.cost_usd is None:
            numbers.unpriced.inc()

    def _call(self) -> tuple[str, str, str]:
        return self._numbers.name("agent", self._agent), self._mode, self._numbers.name("carrier", self._carrier)

    def _stage(self, role: str) -> tuple[str, str]:
        """Who did this part of a turn: one model all of them, where it holds the call."""
        role = "s2s" if "s2s" in self._models else role
        return self._named(self._answered.get(role) or self._models.get(role, ""))

    def _named(self, model: str) -> tuple[str, str]:
        """Provider and model; of several of which nobody knows which one worked, the first."""
        provider, _, name = model.partition("|")[0].partition("/")
        return self._numbers.name("provider", provider), self._numbers.name("model", name or provider)


_READERS: dict[type, Callable[[_CallReader, float, Any], None]] = {
    events.SessionStarted: _CallReader._started,
    events.SessionUsage: _CallReader._used,
    events.AgentHandoff: _CallReader._handed_over,
    events.UserSpeechStarted: _CallReader._voice,
    events.UserTranscription: _CallReader._words,
    events.UserTurnCompleted: _CallReader._committed,
    events.UserBackchannel: _CallReader._talked_over,
    events.AgentTextSpoken: _CallReader._text,
    events.AgentSpeechStarted: _CallReader._sound,
    events.AgentSpeechCompleted: _CallReader._heard,
    events.AgentSpeechInterrupted: _CallReader._heard,
    events.ToolExecuted: _CallReader._executed,
    events.TurnMetrics: _CallReader._measured,
}
