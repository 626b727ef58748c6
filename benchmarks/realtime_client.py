"""How fast the voice program plays, stops and sends, over a real loopback socket and in real time.

    python -m benchmarks.realtime_client [--answers N] [--check]

A scripted service answers again and again: at once (as a service that makes sound faster than it is heard), and in
time (40 ms of sound each 40 ms). Each second answer is interrupted. Prints one JSON document; with ``--check`` the exit
code is 1 where playback starts later than 130 ms after the first delta, or sound goes on for longer than a chunk.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import math
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from antiphon.audio.tones import sine
from antiphon.realtime.endpoint import endpoint_for
from antiphon.settings_voice import load_voice_settings
from antiphon.transports.local.echo import EchoCanceller
from antiphon.transports.local.mic import RATE_HZ
from antiphon.transports.local.paced import PacedSound
from antiphon.voice.program import VoiceProgram

START_LIMIT_MS = 130.0
STOP_LIMIT_MS = 40.0
CHUNK = base64.b64encode(sine(440, 40, rate_hz=RATE_HZ).tobytes()).decode()
ANSWER_CHUNKS = 25
INTERRUPTED_AFTER_S = 0.5
SESSION = {
    "type": "realtime",
    "audio": {
        "input": {"format": {"type": "audio/pcm", "rate": RATE_HZ}, "turn_detection": {"type": "server_vad"}},
        "output": {"format": {"type": "audio/pcm", "rate": RATE_HZ}},
    },
}


class Service:
    """A scripted service with one client.

    Args:
        gap_s: Between two deltas.

    Attributes:
        heard_at_s: When sound that is no silence has come; infinite: not since this was set.
    """

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self.heard_at_s = math.inf
        self._socket: ServerConnection | None = None
        self._events = 0

    async def handle(self, socket: ServerConnection) -> None:
        """Configure the session, and take what comes."""
        self._socket = socket
        await self.send("session.created", session=SESSION)
        try:
            async for message in socket:
                event = json.loads(message)
                if event["type"] == "session.update":
                    await self.send("session.updated", session=SESSION)
                elif math.isinf(self.heard_at_s) and any(base64.b64decode(event.get("audio", ""))):
                    self.heard_at_s = asyncio.get_running_loop().time()
        except ConnectionClosed:
            pass

    async def send(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        assert self._socket is not None
        self._events += 1
        await self._socket.send(json.dumps({"type": kind, "event_id": f"event_{self._events}", **fields}))

    async def answer(self, number: int) -> None:
        """One answer of a second."""
        response_id, item = f"resp_{number}", {"id": f"item_{number}", "type": "message", "role": "assistant"}
        where = {"response_id": response_id, "item_id": item["id"], "output_index": 0, "content_index": 0}
        await self.send("response.created", response={"id": response_id, "status": "in_progress"})
        item_added = {"response_id": response_id, "output_index": 0, "item": {**item, "content": []}}
        await self.send("response.output_item.added", **item_added)
        began_s = asyncio.get_running_loop().time()
        for chunk in range(ANSWER_CHUNKS):
            # By the clock: a late delta makes the next ones no later.
            await asyncio.sleep(began_s + chunk * self._gap_s - asyncio.get_running_loop().time())
            await self.send("response.output_audio.delta", **where, delta=CHUNK)
        await self.send("response.output_audio.done", **where)
        await self.send("response.done", response={"id": response_id, "status": "completed"})


@asynccontextmanager
async def talk(gap_s: float) -> AsyncIterator[tuple[Service, VoiceProgram, list[float]]]:
    """The program in a talk with the service; the list gets the time of each block with sound in it."""
    service = Service(gap_s)
    sounding: list[float] = []
    async with serve(service.handle, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        settings = load_voice_settings(env_file=None, provider="antiphon", openai_base_url=url, echo_mode="raw")
        program = VoiceProgram(settings, endpoint_for("antiphon", "m", base_url=url), PacedSound())
        pull = program.player.pull

        def noted(count: int) -> Any:
            pcm = pull(count)
            # What is left of a cut sound fades within 5 ms: half a block of it is silence already.
            if np.count_nonzero(pcm) > count // 2:
                sounding.append(asyncio.get_running_loop().time())
            return pcm

        program.player.pull = noted  # type: ignore[method-assign]  # between the player and its device
        async with program.opened():
            yield service, program, sounding


async def measure(gap_s: float, answers: int) -> dict[str, Any]:
    """Start and stop of so many answers."""
    starts, stops = [], []
    async with talk(gap_s) as (service, program, sounding):
        for number in range(answers):
            sounding.clear()
            answering = asyncio.create_task(service.answer(number))
            delta = await program.client.wait_for("response.output_audio.delta", 5)
            if number % 2:
                await asyncio.sleep(INTERRUPTED_AFTER_S)
                began_s = asyncio.get_running_loop().time()
                await service.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id=f"user_{number}")
                await asyncio.sleep(0.2)
                await service.send("input_audio_buffer.speech_stopped", audio_end_ms=0, item_id=f"user_{number}")
                stops.append(max(0.0, max(sounding) - began_s) * 1000)
            await answering
            await program.settled(5)
            starts.append((sounding[0] - delta.at_s) * 1000)
        underruns = program.player.underruns
    return {"start_ms": spread(starts), "stop_ms": spread(stops), "underruns": underruns, "answers": answers}


async def microphone_ms(times: int) -> dict[str, float]:
    """From a sound at the microphone to the service."""
    delays = []
    async with talk(0.0) as (service, program, _sounding):
        sound = program.sound
        assert isinstance(sound, PacedSound)
        for _ in range(times):
            began_s = asyncio.get_running_loop().time()
            service.heard_at_s = math.inf
            sound.say(sine(440, 10, rate_hz=RATE_HZ))
            await asyncio.sleep(0.15)
            delays.append((service.heard_at_s - began_s) * 1000)
    return spread(delays)


def echo_cost_ms() -> float:
    """Time that cancelling the echo of one chunk takes, the median of a thousand."""
    canceller = EchoCanceller(RATE_HZ)
    noise = (np.random.default_rng(0).standard_normal(960) * 3000).astype(np.int16)
    times = []
    for _ in range(1000):
        began = perf_counter()
        canceller.process(noise, noise)
        times.append((perf_counter() - began) * 1000)
    return round(statistics.median(times), 3)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and the largest."""
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return {"p50": round(statistics.median(ordered), 1), "p95": round(p95, 1), "max": round(ordered[-1], 1)}


async def run(answers: int) -> dict[str, Any]:
    """All figures."""
    return {
        "answers_at_once": await measure(0.0, answers),
        "answers_in_time": await measure(0.04, answers),
        "microphone_to_service_ms": await microphone_ms(2 * answers),
        "echo_cancelling_ms_per_40_ms": echo_cost_ms(),
        "limits_ms": {"start": START_LIMIT_MS, "stop": STOP_LIMIT_MS},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=20, help="answers for each pace")
    parser.add_argument("--check", action="store_true", help="exit code 1 where a limit is missed")
    arguments = parser.parse_args()
    figures = asyncio.run(run(max(2, arguments.answers)))
    print(json.dumps(figures, indent=2))
    paces = (figures["answers_at_once"], figures["answers_in_time"])
    missed = any(pace["start_ms"]["p95"] > START_LIMIT_MS or pace["stop_ms"]["p95"] > STOP_LIMIT_MS for pace in paces)
    sys.exit(1 if arguments.check and missed else 0)


if __name__ == "__main__":
    main()
