"""How soon an answering machine's beep is found, and how often speech is taken for one.

Run ``python -m benchmarks.beep``, with folders of WAV files to add speech, ``--spoken MINUTES`` to have the embedded
voice read so much more, and ``--write`` to keep the figures in ``beep.json``. Everything goes over a telephone line:
8 kHz, mu-law, frames of 20 ms. Latency counts from the first sample of the beep to the end of the frame that tells.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.beep import BeepDetector
from antiphon.audio.g711 import decode_mulaw, encode_mulaw
from antiphon.audio.resample import resample
from antiphon.audio.tones import sine
from antiphon.audio.wav import mono, read_wav
from antiphon.models.tts.hibari import HibariTTS
from benchmarks import machine

RATE_HZ = 8_000
FRAME = 160
BEEPS = 2_000
PACES = (0.8, 0.9, 1.0, 1.1, 1.25, 1.4)
"""Speech is heard at these pitches: deeper voices and higher ones."""
ROOT = Path(__file__).parents[1]
RECORDED = (ROOT / "tests/data/human", ROOT / "tests/data/callers", ROOT / "src/antiphon/demo/callers")
TEXT = (
    "You have reached the office of Harper and Lowe, {n} Mill Road. We are out until {n} minutes past two, so please "
    "ring again soon. Who knew that blue shoes would suit you? Oh no, the cold snow blows over the old stone road. "
    "Leave your name, your number, and room {n}, and we will do our best to come through for you before noon."
)

Sound = NDArray[np.int16]


def over_phone(wave: NDArray[Any]) -> Sound:
    """What is left behind a telephone line."""
    return decode_mulaw(encode_mulaw(np.clip(wave, -32768, 32767).astype(np.int16)))


def found(sound: Sound) -> list[float]:
    """When beeps were told to begin, in seconds."""
    detector = BeepDetector(RATE_HZ)
    return [
        (start + FRAME) / RATE_HZ
        for start in range(0, len(sound), FRAME)
        for beep in detector.feed(sound[start : start + FRAME])
        if not beep.is_over
    ]


def latencies(snr_db: float, noise: Sound | None = None) -> dict[str, Any]:
    """Beeps of all frequencies, levels and lengths in noise; in ``noise`` where it is given, else in white."""
    draw = np.random.default_rng(7)
    ms: list[float] = []
    for _ in range(BEEPS):
        level = 10 ** (draw.uniform(-35, -6) / 20)
        start = int(draw.uniform(0.2, 0.6) * RATE_HZ)
        tone = sine(draw.uniform(800, 2000), draw.uniform(150, 1000), amplitude=level).astype(np.float64)
        wave = np.zeros(start + len(tone) + RATE_HZ // 2)
        wave[start : start + len(tone)] = tone
        floor = _piece(noise, len(wave), draw) if noise is not None else draw.standard_normal(len(wave))
        wave += floor * (32767 * level / np.sqrt(2) / 10 ** (snr_db / 20) / max(float(floor.std()), 1e-9))
        begins = found(over_phone(wave))
        if begins:
            ms.append((begins[0] - start / RATE_HZ) * 1000)
    ranks = np.percentile(ms, (50, 95, 99, 100))
    names = ("p50_ms", "p95_ms", "p99_ms", "max_ms")
    return {"beeps": BEEPS, "found": len(ms), **{name: round(rank) for name, rank in zip(names, ranks, strict=True)}}


def _piece(noise: Sound, size: int, draw: np.random.Generator) -> NDArray[np.float64]:
    start = int(draw.integers(0, len(noise) - size))
    return noise[start : start + size].astype(np.float64)


def false_alarms(speech: Iterable[Sound]) -> dict[str, Any]:
    """How often speech is taken for a beep, and what listening costs."""
    alarms, seconds, began = 0, 0.0, time.process_time()
    for sound in speech:
        alarms += len(found(sound))
        seconds += len(sound) / RATE_HZ
    cpu_s = time.process_time() - began
    return {
        "hours": round(seconds / 3600, 2),
        "false_alarms": alarms,
        "per_hour": round(alarms / (seconds / 3600), 2),
        "cpu_ms_per_s": round(cpu_s * 1000 / seconds, 2),
    }


def recordings(folders: Iterable[Path]) -> list[tuple[Sound, int]]:
    """The WAV files of folders, mono, with their rates."""
    read = (read_wav(path) for folder in folders for path in sorted(folder.glob("*.wav")))
    return [(mono(pcm), rate_hz) for pcm, rate_hz in read]


def pitched(recorded: list[tuple[Sound, int]]) -> Iterator[Sound]:
    """All of it over a telephone line, at all pitches."""
    for pcm, rate_hz in recorded:
        for pace in PACES:
            yield over_phone(resample(pcm, round(rate_hz * pace), RATE_HZ))


async def spoken(minutes: float) -> list[tuple[Sound, int]]:
    """So much speech of the embedded voice, at all of its paces."""
    voice = HibariTTS()
    made: list[tuple[Sound, int]] = []
    samples, count = 0, 0
    while samples < minutes * 60 * voice.rate_hz:
        count += 1
        speed = 0.7 + 0.1 * (count % 8)
        chunks = [chunk.pcm async for chunk in voice.synthesize(TEXT.format(n=11 + count % 80), speed=speed)]
        made.append((np.concatenate(chunks), voice.rate_hz))
        samples += len(made[-1][0])
    await voice.aclose()
    return made


def run(folders: Iterable[Path], spoken_minutes: float) -> dict[str, Any]:
    """All figures."""
    people = recordings((*RECORDED, *folders))
    babble = np.concatenate([over_phone(resample(pcm, rate_hz, RATE_HZ)) for pcm, rate_hz in people])
    figures: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "line": "8 kHz mu-law, frames of 20 ms; beeps of 800 to 2000 Hz, 150 to 1000 ms, -35 to -6 dBFS",
        "white_noise": {f"{snr_db} dB": latencies(snr_db) for snr_db in (30, 15, 12, 10)},
        "speech_as_noise": {f"{snr_db} dB": latencies(snr_db, babble) for snr_db in (20, 15)},
        "recorded_speech": false_alarms(pitched(people)),
    }
    if spoken_minutes:
        figures["made_speech"] = false_alarms(pitched(asyncio.run(spoken(spoken_minutes))))
    return figures


def main() -> None:
    """See the module."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folders", nargs="*", type=Path)
    asked.add_argument("--spoken", type=float, default=0.0, metavar="MINUTES")
    asked.add_argument("--write", action="store_true")
    given = asked.parse_args()
    written = json.dumps(run(given.folders, given.spoken), indent=2)
    print(written)
    if given.write:
        Path(__file__).with_suffix(".json").write_text(written + "\n")


if __name__ == "__main__":
    main()
