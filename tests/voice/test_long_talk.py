from __future__ import annotations

import tracemalloc

from antiphon.audio.tones import sine
from antiphon.clock import VirtualClock
from antiphon.transports.local.mic import RATE_HZ
from antiphon.voice.summaries import SummaryRequest, SummaryResult
from tests.realtime.server import Connection
from tests.voice.talks import Talk, answered, sound_of, talking, user_said

MINUTES = 4
SESSION_S = 125
RENEWAL_S = 60 + 5
"""So long before the end no turn is begun: this talk tries what a renewal keeps, not what it cuts."""
TURN_EVERY_S = 15


class Writer:
    async def summarize(self, request: SummaryRequest) -> SummaryResult:
        return SummaryResult("So far so good.", {"turns": request.lines[-1][-40:]})


async def one_turn(talk: Talk, number: int, *, clock: VirtualClock, ends_at: list[float]) -> None:
    """The user speaks a second, and a spoken answer of a second follows."""
    while not talk.program.client.connected or clock.now() > ends_at[-1] - RENEWAL_S:
        await clock.sleep(0.5)
    talk.line = talk.there.connections[-1]
    talk.sound.say(sine(220, 1000, rate_hz=RATE_HZ, amplitude=0.2))
    await user_said(talk, f"u{number}", f"This is question {number}.")
    await answered(talk, number, f"This is answer {number}.", tokens=200 * (number % 8) + 400, sound=sound_of(1000))


def test_a_long_talk_stays_small_keeps_one_summary_and_loses_no_words_at_renewals() -> None:
    """Two hours behave the same and take minutes to run; set MINUTES to see."""
    clock = VirtualClock()
    memory: list[int] = []
    ends_at: list[float] = []
    deepest = 0

    async def greets(connection: Connection) -> None:
        ends_at.append(clock.now() + SESSION_S)
        await connection.greet(expires_at=clock.utc().timestamp() + SESSION_S)

    async def main() -> None:
        nonlocal deepest
        settings = {"summary_trigger_tokens": 1500, "language_policy": "en", "chunk_ms": 100}
        async with talking(clock, greets, summarizer=Writer(), **settings) as talk:
            program = talk.program
            for number in range(1, MINUTES * 60 // TURN_EVERY_S + 1):
                await one_turn(talk, number, clock=clock, ends_at=ends_at)
                await clock.sleep(TURN_EVERY_S)
                deepest = max(deepest, program.mic.depth, program.player.held_ms // 100)
                for connection in talk.there.connections:
                    connection.got = [event for event in connection.got if event["type"] != "input_audio_buffer.append"]
                if number in (6, MINUTES * 60 // TURN_EVERY_S):
                    memory.append(tracemalloc.get_traced_memory()[0])
            turns = program.client.conversation.turns
            metrics = program.client.metrics
            assert [turn.role for turn in turns].count("system") == 1
            assert turns[0].role == "system"
            assert len(turns) < 60
            assert turns[-1].text == f"This is answer {number}."
            assert metrics.total("turns_total", role="user") == number
            assert metrics.total("renewals_total") == len(talk.there.connections) - 1 >= 2
            assert metrics.total("audio_frames_dropped_total") == 0
            assert metrics.total("summaries_total", outcome="ok") >= 2

    tracemalloc.start()
    try:
        clock.run(main())
    finally:
        tracemalloc.stop()
    assert deepest <= 15
    assert memory[1] - memory[0] < 2_000_000
