"""Recordings: what was heard, when it was heard, readable at any time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from antiphon.audio.formats import PHONE, AudioFormat
from antiphon.audio.wav import read_wav
from antiphon.store.files import FileWriter
from antiphon.store.recording import AGENT, CALLER, CUT, Recording, StereoWav

PCM = AudioFormat("pcm16", 8_000)


def pcm(value: int, seconds: float) -> bytes:
    return np.full(int(seconds * 8_000), value, "<i2").tobytes()


def frames(value: int, seconds: float) -> list[bytes]:
    return [pcm(value, 0.02)] * round(seconds / 0.02)


def recorded(path: Path, *batches: list[tuple[int, float, bytes]]) -> NDArray[np.int16]:
    sink = StereoWav(path, PCM)
    for batch in batches:
        sink.write(batch)
    sink.close()
    sound, rate_hz = read_wav(path)
    assert rate_hz == 8_000
    assert sound.shape[1] == 2
    return sound


def caller_frames(value: int, start_s: float, seconds: float) -> list[tuple[int, float, bytes]]:
    return [(CALLER, start_s + 0.02 * (n + 1), frame) for n, frame in enumerate(frames(value, seconds))]


def agent_frames(value: int, start_s: float, seconds: float) -> list[tuple[int, float, bytes]]:
    return [(AGENT, start_s + 0.02 * n, frame) for n, frame in enumerate(frames(value, seconds))]


def test_caller_is_left_and_agent_is_right_at_their_times(tmp_path: Path) -> None:
    sound = recorded(tmp_path / "r.wav", [*caller_frames(100, 0.0, 2.0), *agent_frames(200, 1.0, 0.5)])
    assert (sound[:16_000, 0] == 100).all()
    assert (sound[:8_000, 1] == 0).all()
    assert (sound[8_000:12_000, 1] == 200).all()
    assert (sound[12_000:16_000, 1] == 0).all()


def test_cut_forgets_what_was_sent_and_not_heard(tmp_path: Path) -> None:
    items = [*agent_frames(200, 0.0, 1.0), (CUT, 0.6, b""), *agent_frames(300, 0.9, 0.1)]
    sound = recorded(tmp_path / "r.wav", items)
    assert (sound[:4_800, 1] == 200).all()
    assert (sound[4_800:7_200, 1] == 0).all()
    assert (sound[7_200:8_000, 1] == 300).all()


def test_gap_of_the_caller_is_filled_with_silence(tmp_path: Path) -> None:
    sound = recorded(tmp_path / "r.wav", [*caller_frames(100, 0.0, 0.5), *caller_frames(50, 1.5, 0.5)])
    assert (sound[4_000:12_000, 0] == 0).all()
    assert (sound[12_000:16_000, 0] == 50).all()


def test_burst_after_a_stall_goes_back_to_its_own_time(tmp_path: Path) -> None:
    late = [(CALLER, 1.0, frame) for frame in frames(50, 0.5)]  # Spoken from 0.5 to 1.0 s, came together at 1.0 s.
    sound = recorded(tmp_path / "r.wav", caller_frames(100, 0.0, 0.5), late, caller_frames(70, 1.0, 0.5))
    assert (sound[:4_000, 0] == 100).all()
    assert (sound[4_000:8_000, 0] == 50).all()
    assert (sound[8_000:12_000, 0] == 70).all()


def test_jitter_makes_no_holes(tmp_path: Path) -> None:
    jitter = [0.0, 0.03, 0.01, 0.02, 0.0, 0.035, 0.005]
    items = [(CALLER, at + jitter[n % 7], frame) for n, (_, at, frame) in enumerate(caller_frames(100, 0.0, 2.0))]
    sound = recorded(tmp_path / "r.wav", items[:40], items[40:])
    assert (sound[: 8_000 * 2, 0] == 100).all()


def test_file_is_readable_while_the_call_goes_on_and_half_a_second_behind_at_most(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "r.wav"
    sink = StereoWav(path, PCM)
    for n in range(8):
        sink.write(caller_frames(100, 0.25 * n, 0.24) + agent_frames(200, 0.25 * n + 0.3, 0.25))
        sound, _ = read_wav(path)
        assert len(sound) >= (0.25 * (n + 1) - 0.5) * 8_000
    sink.close()


async def test_recording_writes_the_lines_format_by_thread(tmp_path: Path) -> None:
    writer = FileWriter()
    recording = Recording(PHONE, tmp_path, writer)
    for n in range(50):
        recording.caller(0.02 * (n + 1), b"\x80" * 160)
        recording.agent(0.02 * n, b"\x00" * 160)
    async with asyncio.timeout(10):
        await recording.feed.aclose()
    writer.close()
    sound, rate_hz = read_wav(recording.path)
    assert (rate_hz, sound.shape) == (8_000, (8_000, 2))
    assert sound[100].tolist() == [32_124, -32_124]


@pytest.mark.parametrize("payload", [b"", b"\0"])
async def test_odd_payload_costs_nothing_but_itself(tmp_path: Path, payload: bytes) -> None:
    sound = recorded(tmp_path / "r.wav", [*caller_frames(100, 0.0, 0.5), (CALLER, 0.52, payload)])
    assert (sound[:4_000, 0] == 100).all()
