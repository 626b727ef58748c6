"""The spans of turns and their stages: nested below the call, with the times that stand in its log."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import s2s_phone
from invariants import check
from phone import CallUnderTest, make_call

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Handoff
from antiphon.agents.observability import disable_instrumentation, enable_instrumentation
from antiphon.calls import events
from antiphon.calls.tracing.figures import turn_figures
from antiphon.calls.tracing.spans import nanoseconds
from antiphon.clock import VirtualClock
from antiphon.models.llm.content import Usage
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.s2s.scripted import ScriptedS2S
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.tools.tool import FunctionTool


@dataclass
class Traced:
    """A call that is over, and its spans."""

    call: CallUnderTest
    spans: tuple[ReadableSpan, ...]
    meters: InMemoryMetricReader

    def measured(self) -> dict[str, list[tuple[dict[str, Any], int, float]]]:
        """Of each histogram of ours: labels, count and sum."""
        data = self.meters.get_metrics_data()
        assert data is not None
        return {
            metric.name: [(dict(point.attributes or {}), point.count, point.sum) for point in metric.data.data_points]
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name.startswith("antiphon.")
        }

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def only(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span

    def parent(self, span: ReadableSpan) -> str:
        assert span.parent is not None
        (parent,) = [each for each in self.spans if each.context.span_id == span.parent.span_id]
        number = _of(parent).get("turn.number")
        return parent.name if number is None else f"{parent.name} {number}"

    def at(self, seconds: float) -> int:
        return nanoseconds(self.call.call.log, seconds)


def _of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


Trace = Callable[..., Traced]


@pytest.fixture
def traced() -> Iterator[Trace]:
    exporter = InMemorySpanExporter()
    reader = InMemoryMetricReader()
    provider, meters = TracerProvider(), MeterProvider([reader])
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    def run(
        scenario: Callable[[CallUnderTest], Awaitable[None]],
        *,
        content: bool = False,
        make: Any = make_call,
        **parts: Any,
    ) -> Traced:
        enable_instrumentation(provider, meters, content=content)
        clock = parts.pop("clock", None) or VirtualClock()

        async def live() -> CallUnderTest:
            call = make(clock, **parts)
            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(call.run())
                await asyncio.sleep(0)
                await scenario(call)
                call.call.line_lost()
                await task
            return call

        call = clock.run(live())
        check(call)
        told = Traced(call, exporter.get_finished_spans(), reader)
        ids = {span.context.span_id for span in told.spans}
        assert all(span.parent is None or span.parent.span_id in ids for span in told.spans)
        return told

    yield run
    disable_instrumentation()
    provider.shutdown()
    meters.shutdown()


def test_a_turn_holds_what_was_done_for_it_with_the_times_of_the_log(traced: Trace) -> None:
    def look_up() -> str:
        """Look up."""
        return "nine"

    async def scenario(call: CallUnderTest) -> None:
        for _ in range(2):
            await call.speak(1)
            await call.quiet(4)

    agent = Agent("tester", "Answer.", tools=[FunctionTool(look_up)], greeting="Hello.")
    llm = [Reply(calls=(tool_call("look_up"),)), "At nine.", "Yes."]
    told = traced(scenario, agent=agent, stt=["When?", "Sure?"], llm=llm)

    turns = told.named("voice.turn")
    metrics = told.call.events(events.TurnMetrics)
    assert [_of(turn)["turn.number"] for turn in turns] == [1, 2, 3]
    assert all(told.parent(turn) == "voice.session" for turn in turns)
    for turn, figures, number in zip(turns[1:], metrics, (0, 1), strict=True):
        started = told.call.events(events.UserSpeechStarted)[number]
        assert turn.start_time == told.at(started.speech_at)
        assert turn.end_time == told.at(told.call.at(events.TurnMetrics, number))
        attributes = _of(turn)
        wanted = turn_figures(figures)
        assert wanted["turn.ttfb_ms"] == figures.first_audio_ms
        assert {name: attributes[name] for name in wanted} == wanted
        (summary,) = [event for event in turn.events if event.name == "turn.kpi_summary"]
        assert dict(summary.attributes or {}).items() <= attributes.items()
        assert attributes["turn.latency_anchor"] == "vad_end"
        assert (attributes["session.id"], attributes["carrier"]) == ("session of call-1", "test")
        assert attributes["agent.name"] == "tester"

    heard = told.named("stt.recognition")
    assert [told.parent(span) for span in heard] == ["voice.turn 2", "voice.turn 3"]
    assert [_of(span)["peer.service"] for span in heard] == ["scripted", "scripted"]
    finals = [e.at for e in told.call.entries if isinstance(e.event, events.UserTranscription) and e.event.is_final]
    assert [span.end_time for span in heard] == [told.at(at) for at in finals]

    spoken = told.named("tts.speak")
    assert [told.parent(span) for span in spoken] == ["voice.turn 1", "voice.turn 2", "voice.turn 3"]
    for span, number in zip(spoken, range(3), strict=True):
        (first,) = span.events
        assert (first.name, first.timestamp) == (
            "first_audio",
            told.at(told.call.at(events.AgentSpeechStarted, number)),
        )
    assert [told.parent(span) for span in told.named("invoke_agent tester")] == ["voice.turn 2", "voice.turn 3"]
    assert told.parent(told.only("execute_tool look_up")) == "invoke_agent tester"
    assert {told.parent(span) for span in told.spans if span.name.startswith("chat ")} == {"invoke_agent tester"}
    session = told.only("voice.session")
    assert (session.start_time, session.end_time) == (told.at(0), told.at(told.call.at(events.SessionEnded)))
    assert _of(session)["antiphon.end_reason"] == "user_hangup"
    assert len({span.context.trace_id for span in told.spans}) == 1


def test_every_span_of_a_call_tells_its_session_line_and_agent(traced: Trace) -> None:
    def look_up() -> str:
        """Look up."""
        return "nine"

    async def scenario(call: CallUnderTest) -> None:
        await call.speak(1)
        await call.quiet(4)

    agent = Agent("tester", "Answer.", tools=[FunctionTool(look_up)], greeting="Hello.")
    told = traced(scenario, agent=agent, stt=["When?"], llm=[Reply(calls=(tool_call("look_up"),)), "At nine."])
    about = {
        "session.id": "session of call-1",
        "call.connection.id": "call-1",
        "carrier": "test",
        "transport.type": "phone",
        "agent.name": "tester",
    }
    assert {span.name.partition(" ")[0] for span in told.spans} == {
        "voice.session",
        "voice.turn",
        "stt.recognition",
        "invoke_agent",
        "chat",
        "execute_tool",
        "tts.speak",
    }
    for span in told.spans:
        assert about.items() <= _of(span).items(), span.name


def test_stages_are_histograms_in_milliseconds_with_the_values_of_the_log(traced: Trace) -> None:
    async def scenario(call: CallUnderTest) -> None:
        await call.speak(1)
        await call.quiet(2)
        await call.speak(1.5)
        await call.quiet(3)

    tts = ScriptedTTS(seconds=8)
    told = traced(scenario, stt=["When do you open?", "No, stop it."], llm=["At nine.", "Fine."], tts=tts)
    measured, metrics = told.measured(), told.call.events(events.TurnMetrics)
    of = {"agent": "tester", "mode": "cascade", "carrier": "test"}
    by = {**of, "provider": "scripted"}
    for name, figure, labels in (
        ("antiphon.turn.first_audio", "first_audio_ms", of),
        ("antiphon.turn.decision", "end_of_turn_ms", of),
        ("antiphon.stt.latency", "transcript_ms", {**by, "model": "scripted"}),
        ("antiphon.llm.ttft", "llm_ttft_ms", {**by, "model": "script"}),
        ("antiphon.tts.ttfb", "tts_ttfb_ms", {**by, "model": "scripted"}),
    ):
        total = sum(max(0.0, getattr(each, figure)) for each in metrics)
        assert measured[name] == [(labels, 2, pytest.approx(total))], name
    assert {name: points[0][1] for name, points in measured.items()}.items() >= {
        ("antiphon.barge_in.stop", 1),
        ("antiphon.tts.playout", 2),
        ("antiphon.turn.duration", 2),
        ("antiphon.stt.recognition", 2),
    }


def test_a_turn_tells_who_answered_and_what_it_used(traced: Trace) -> None:
    async def scenario(call: CallUnderTest) -> None:
        await call.speak(1)
        await call.quiet(4)

    clock = VirtualClock()
    llm = ScriptedChatClient([Reply("At nine.", first_token_s=0.3, usage=Usage(12, 3))], clock=clock)
    told = traced(scenario, clock=clock, stt=["When?"], llm=llm)
    (metrics,) = told.call.events(events.TurnMetrics)
    attributes = _of(told.only("voice.turn"))
    assert attributes["gen_ai.usage.input_tokens"] == metrics.input_tokens == 12
    assert attributes["gen_ai.usage.output_tokens"] == metrics.output_tokens == 3
    assert attributes["turn.llm_total_ms"] == metrics.llm_total_ms == 300
    assert {name: attributes[f"turn.{name}_model"] for name in ("stt", "llm", "tts")} == metrics.models
    assert metrics.agent == "tester"


def test_r31_first_audio_is_stamped_when_sound_is_there_and_not_when_the_voice_gets_its_text(traced: Trace) -> None:
    async def scenario(call: CallUnderTest) -> None:
        await call.speak(1)
        await call.quiet(5)

    clock = VirtualClock()
    tts = ScriptedTTS(first_chunk_delay_s=0.7, clock=clock)
    told = traced(scenario, clock=clock, stt=["When?"], llm=["At nine."], tts=tts)
    span = told.only("tts.speak")
    (first,) = span.events
    assert span.start_time is not None
    assert first.timestamp - span.start_time >= 0.5e9
    assert _of(told.only("voice.turn"))["turn.tts_ttfb_ms"] >= 700


def test_a_barge_in_lasts_from_the_callers_sound_to_the_agents_silence(traced: Trace) -> None:
    async def scenario(call: CallUnderTest) -> None:
        await call.speak(1)
        await call.quiet(2)
        await call.speak(1.5)
        await call.quiet(3)

    tts = ScriptedTTS(seconds=8)
    told = traced(scenario, stt=["When do you open?", "No, stop it."], llm=["At nine.", "Fine."], tts=tts)
    span = told.only("voice.barge_in")
    cut = told.call.at(events.AgentSpeechInterrupted)
    second = [entry.at for entry in told.call.entries if isinstance(entry.event, events.UserSpeechStarted)][1]
    assert span.start_time == told.at(second)
    assert span.end_time is not None
    assert told.at(second) < span.end_time <= told.at(cut)
    assert told.parent(span) == "voice.turn 1"
    assert _of(told.named("voice.turn")[0])["antiphon.interrupted"] is True


def test_a_sound_that_is_no_turn_leaves_none_and_lengthens_no_later_one(traced: Trace) -> None:
    async def scenario(call: CallUnderTest) -> None:
        await call.speak(0.5)
        await call.quiet(5)
        await call.speak(1)
        await call.quiet(3)

    told = traced(scenario, stt=["", "When?"], llm=["At nine."])
    (turn,) = told.named("voice.turn")
    second = told.call.events(events.UserSpeechStarted)[1]
    assert turn.start_time == told.at(second.speech_at)


def test_a_caller_who_goes_on_stays_in_one_turn_and_all_spans_have_a_parent(traced: Trace) -> None:
    async def scenario(call: CallUnderTest) -> None:
        await call.speak(1)
        await call.quiet(0.9)
        await call.speak(1)
        await call.quiet(4)
        await call.speak(1)  # and hangs up in the middle

    clock = VirtualClock()
    llm = ScriptedChatClient([Reply("At nine.", first_token_s=2.0), "At nine then.", "No."], clock=clock)
    told = traced(scenario, clock=clock, stt=["When do you open?", "On Monday?", "Or on"], llm=llm)
    turns = told.named("voice.turn")
    committed = {event.turn for event in told.call.events(events.UserTurnCompleted)}
    assert {_of(turn)["turn.number"] for turn in turns if "turn.dropped" not in _of(turn)} == committed
    assert [_of(turn).get("turn.part_of") for turn in turns if "turn.dropped" in _of(turn)][:1] == [1]


def test_a_handoff_is_a_span_of_its_turn(traced: Trace) -> None:
    async def scenario(call: CallUnderTest) -> None:
        await call.speak(1)
        await call.quiet(4)

    billing = Agent("billing", "Bill.", greeting="Billing here.")
    desk = Agent("desk", "Answer.", handoffs=[Handoff(billing)])
    llm = [Reply(calls=(tool_call("handoff_to_billing"),)), "I am billing."]
    told = traced(scenario, agent=desk, team=[billing], stt=["My bill."], llm=llm)
    span = told.only("voice.handoff")
    assert told.parent(span) == "voice.turn 1"
    assert _of(span)["antiphon.handoff.target"] == "billing"
    assert span.start_time == told.at(told.call.at(events.ToolCalled))
    assert span.end_time == told.at(told.call.at(events.AgentHandoff))
    assert _of(told.only("voice.turn"))["agent.name"] == "billing"


@pytest.mark.parametrize("fails", [False, True])
def test_a_transfer_is_a_span_without_the_number(traced: Trace, fails: bool) -> None:
    async def scenario(call: CallUnderTest) -> None:
        number, line = "+15550100", "billing"
        call.call.tell(events.CallTransferring(number, line, "blind", "a bill"))
        await call.quiet(2)
        failed = events.CallTransferFailed(number, line, "busy")
        call.call.tell(failed if fails else events.CallTransferred(number, line, "blind"))

    span = traced(scenario).only("carrier.transfer")
    attributes = _of(span)
    assert (attributes["peer.service"], attributes["antiphon.transfer.kind"]) == ("test", "blind")
    assert attributes.get("error.type") == ("busy" if fails else None)
    assert "555" not in repr(attributes)
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time - span.start_time == pytest.approx(2e9, abs=5e7)


@pytest.mark.parametrize("content", [False, True])
def test_words_are_on_spans_only_where_the_settings_say_so_and_without_personal_data(
    traced: Trace, content: bool
) -> None:
    async def scenario(call: CallUnderTest) -> None:
        await call.speak(1)
        await call.quiet(4)

    words = "My address is ann@example.com."
    told = traced(scenario, content=content, stt=[words], llm=["I write to ann@example.com."])
    texts = repr([(span.name, _of(span), [event.attributes for event in span.events]) for span in told.spans])
    assert "ann@example.com" not in texts
    assert ("[REDACTED_EMAIL]" in texts) is content
    assert ("My address is" in texts) is content


def test_a_call_that_one_model_holds_has_the_same_trace(traced: Trace) -> None:
    async def scenario(call: CallUnderTest) -> None:
        await call.quiet(2.5)
        await call.speak(1)
        await call.quiet(3)

    clock = VirtualClock()
    model = ScriptedS2S(["We open at nine."], heard=["When do you open?"], delay_s=0.4, clock=clock)
    agent = Agent("desk", greeting="Hello.")
    told = traced(scenario, clock=clock, make=s2s_phone.make_call, model=model, agent=agent)
    turns = told.named("voice.turn")
    assert [_of(turn)["turn.number"] for turn in turns] == [1, 2]
    (metrics,) = told.call.events(events.TurnMetrics)
    assert _of(turns[1])["turn.ttfb_ms"] == metrics.first_audio_ms
    spoken = told.named("tts.speak")
    assert [told.parent(span) for span in spoken] == ["voice.turn 1", "voice.turn 2"]
    assert {(_of(span)["peer.service"], _of(span)["s2s.model"]) for span in spoken} == {("scripted", "scripted")}
    (heard,) = told.named("stt.recognition")
    assert told.parent(heard) == "voice.turn 2"
