"""Paced load generator for voice servers that speak a carrier's media stream.

    python -m benchmarks.loadgen --url ws://127.0.0.1:8000/telephony/twilio --calls 50 --pid SERVER_PID

Each call sends one mu-law frame every 20 ms, as a carrier does, and follows a script (see ``caller``). Prints one JSON
object on one line. ``overhead_ms`` is voice-to-voice less the silence that the server is told to wait for.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import json
import random
import time
from typing import Any

from benchmarks import probe, signals, standins
from benchmarks.caller import Caller, Script
from benchmarks.measurements import Measurements
from benchmarks.telephony import CARRIERS

_SLOTS = signals.FRAME_MS
"""Calls are spread over slots of 1 ms."""
_REPLY_MS = len(standins.SENTENCES) * standins.SENTENCE_S * 1000


async def pace(callers: list[Caller], measurements: Measurements) -> None:
    """Tick the callers of one slot each millisecond, without end; when late it catches up and never skips."""
    slots = [callers[start::_SLOTS] for start in range(_SLOTS)]
    step_s = signals.FRAME_MS / 1000 / _SLOTS
    due = time.perf_counter() + step_s
    slot = 0
    while True:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        now = time.perf_counter()
        while due <= now:
            if measurements.open and slots[slot]:
                measurements.sent_late_s.append(now - due)
            for caller in slots[slot]:
                caller.tick(now)
            slot = (slot + 1) % _SLOTS
            due += step_s
            now = time.perf_counter()
        await asyncio.sleep(0)


def make_script(args: argparse.Namespace) -> Script:
    """The script, with its sounds encoded once for all callers."""
    frames = signals.pcm24_frames if args.carrier == "realtime" else signals.ulaw_frames

    def encoded(samples: list[int]) -> tuple[str, ...]:
        return tuple(base64.b64encode(frame).decode() for frame in frames(samples))

    return Script(
        carrier=args.carrier,
        scenario=args.scenario,
        speech=encoded(signals.speech(args.speech_s)),
        silence=encoded(signals.comfort_noise(1.0)),
        reply_ms=args.reply_ms,
        reply_timeout_s=args.reply_timeout_s,
        barge_every=args.barge_every,
    )


async def connect(callers: list[Caller], args: argparse.Namespace) -> int:
    """Connect them one after another; gives the number that failed."""
    rng = random.Random(1)
    ramp_s = max(1.0, args.calls * args.ramp_ms / 1000)
    pending = []
    for caller in callers:
        # First turns are spread over a script's cycle, so that the calls are not in step.
        connecting = caller.connect(0.5 + rng.uniform(0, args.spread_s))
        pending.append(asyncio.ensure_future(asyncio.wait_for(connecting, args.connect_timeout_s)))
        await asyncio.sleep(ramp_s / len(callers))
    outcomes = await asyncio.gather(*pending, return_exceptions=True)
    return sum(isinstance(outcome, OSError) for outcome in outcomes)


async def measure(callers: list[Caller], measurements: Measurements, args: argparse.Namespace) -> dict[str, Any]:
    """Open the window, wait, and give what was spent in it."""
    server = probe.Probe(args.pid) if args.pid else None
    own_cpu_s, cores_s, stolen_s, began = time.process_time(), probe.cores_s(), probe.stolen_s(), time.perf_counter()
    server_cpu_s = server.cpu_s() if server else 0.0
    measurements.open = True
    await asyncio.sleep(args.duration_s)
    measurements.open = False
    window_s = time.perf_counter() - began
    cores = [100 * (after - before) / window_s for before, after in zip(cores_s, probe.cores_s(), strict=True)]
    spent: dict[str, Any] = {
        "window_s": round(window_s, 2),
        "client_cpu_percent": round(100 * (time.process_time() - own_cpu_s) / window_s, 1),
        "cores_percent": [round(core, 1) for core in cores],
        "steal_percent": round(100 * (probe.stolen_s() - stolen_s) / window_s, 2),
        "unsent_bytes": sum(caller.unsent_bytes() for caller in callers),
    }
    if server:
        server_cpu_s = server.cpu_s() - server_cpu_s
        spent["server_cpu_s"] = server_cpu_s
        spent["server_cpu_percent"] = round(100 * server_cpu_s / window_s, 1)
        spent["server_memory_mb"] = round(server.memory_mb(), 1)
        spent["server_threads"] = server.threads()
    return spent


async def run(args: argparse.Namespace) -> dict[str, Any]:
    """Make the calls and give the row of results."""
    measurements = Measurements()
    script = make_script(args)
    callers = [Caller(number + 1, args.url, script=script, measurements=measurements) for number in range(args.calls)]
    idle_mb = probe.Probe(args.pid).memory_mb() if args.pid else 0.0
    # What is alive now stays alive: the collector need not look at it again in the middle of a measurement.
    gc.freeze()
    async with asyncio.TaskGroup() as tasks:
        pacing = tasks.create_task(pace(callers, measurements))
        failed = await connect(callers, args)
        await asyncio.sleep(args.warmup_s)
        spent = await measure(callers, measurements, args)
        await asyncio.sleep(args.tail_s)  # turns that began inside the window end
        pacing.cancel()
    for caller in callers:
        caller.hang_up()
    await asyncio.sleep(0.2)  # the goodbyes leave
    alive = max(1, args.calls - failed - measurements.dropped_calls)
    row = {"carrier": args.carrier, "scenario": args.scenario, "calls": args.calls, "failed_connects": failed}
    row |= measurements.as_dict(args.vad_stop_ms / 1000) | spent
    if args.pid:
        row["server_cpu_s_per_call_min"] = round(spent["server_cpu_s"] * 60 / spent["window_s"] / alive, 4)
        row["server_idle_mb"] = round(idle_mb, 1)
        row["server_mb_per_call"] = round((spent["server_memory_mb"] - idle_mb) / alive, 3)
    return row


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--carrier", choices=sorted(CARRIERS), default="twilio")
    parser.add_argument("--scenario", choices=["talk", "echo"], default="talk")
    parser.add_argument("--calls", type=int, default=1)
    parser.add_argument("--duration-s", type=float, default=20.0, help="length of the window")
    parser.add_argument("--warmup-s", type=float, default=5.0, help="after all calls are up")
    parser.add_argument("--tail-s", type=float, default=4.0, help="after the window")
    parser.add_argument("--ramp-ms", type=float, default=10.0, help="between two calls that connect")
    parser.add_argument("--connect-timeout-s", type=float, default=10.0)
    parser.add_argument("--spread-s", type=float, default=4.0, help="over which the first turns start")
    parser.add_argument("--speech-s", type=float, default=1.0)
    parser.add_argument("--reply-ms", type=float, default=_REPLY_MS, help="length of the agent's reply")
    parser.add_argument("--reply-timeout-s", type=float, default=8.0)
    parser.add_argument("--barge-every", type=int, default=2, help="interrupt in each n-th turn; 0: never")
    parser.add_argument("--vad-stop-ms", type=float, default=standins.VAD_STOP_MS)
    parser.add_argument("--pid", type=int, help="the server's process, for its CPU and memory")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    try:
        from uvloop import new_event_loop
    except ImportError:  # not on every platform; the generator is then slower, which its own lateness shows
        from asyncio import new_event_loop  # type: ignore[assignment]
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        print(json.dumps(runner.run(run(parse_args())), separators=(",", ":")), flush=True)


if __name__ == "__main__":
    main()
