"""A talk through the sound system of this machine, where it has PulseAudio to make devices of."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from antiphon.audio.tones import sine
from antiphon.audio.wav import mono, read_wav, write_wav
from tests.server.harness import server

VOICEBOT = [sys.executable, "-c", "from antiphon.cli.voice import voice_app; voice_app()"]
PROGRAMS = ("pulseaudio", "pactl", "paplay", "parec")

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, PROGRAMS)), reason="needs PulseAudio to make a microphone and a loudspeaker"
)


async def output_of(*command: str, env: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(30):
        out, _ = await process.communicate()
    return out.decode()


@asynccontextmanager
async def sound_system(folder: Path) -> AsyncIterator[dict[str, str]]:
    """A loudspeaker that goes nowhere, and a microphone that hears what is played into ``mouth``."""
    socket = folder / "native"
    env = {**os.environ, "PULSE_SERVER": f"unix:{socket}", "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder)}
    modules = (
        f"module-native-protocol-unix socket={socket} auth-anonymous=1",
        "module-null-sink sink_name=loudspeaker",
        "module-null-sink sink_name=mouth",
    )
    arguments = [part for module in modules for part in ("-L", module)]
    process = await asyncio.create_subprocess_exec(
        *("pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"),
        *arguments,
        env=env,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        for _ in range(50):
            if socket.exists() and "loudspeaker" in await output_of("pactl", "list", "short", "sinks", env=env):
                break
            await asyncio.sleep(0.1)
        else:
            pytest.skip("PulseAudio does not start here")
        await output_of("pactl", "set-default-sink", "loudspeaker", env=env)
        await output_of("pactl", "set-default-source", "mouth.monitor", env=env)
        listed = json.loads(await output_of(*VOICEBOT, "devices", "list", "--json", env=env) or "[]")
        if not any(device["is_default_input"] and device["is_default_output"] for device in listed):
            pytest.skip("PortAudio does not see PulseAudio here")
        yield env
    finally:
        process.terminate()
        await process.wait()


async def test_a_talk_by_microphone_and_loudspeaker(tmp_path: Path) -> None:
    write_wav(tmp_path / "speech.wav", sine(220, 900, rate_hz=24_000, amplitude=0.4), 24_000)
    async with sound_system(tmp_path) as env, server(tmp_path) as up:
        recording = await asyncio.create_subprocess_exec(
            *("parec", "-d", "loudspeaker.monitor", "--file-format=wav", str(tmp_path / "heard.wav")), env=env
        )
        process = await asyncio.create_subprocess_exec(
            *VOICEBOT,
            *("run", f"ws://127.0.0.1:{up.port}/v1", "--model", "desk", "--verbose"),
            env={**env, "OPENAI_API_KEY": "test-key"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        async with asyncio.timeout(50):
            while b"connected to the Realtime service" not in (line := await process.stderr.readline()):
                assert line, "it ended before it was connected"
            first = asyncio.create_task(process.stdout.readline())
            while not first.done():  # what is said while the devices still warm up may be lost
                await output_of("paplay", "-d", "mouth", str(tmp_path / "speech.wav"), env=env)
                await asyncio.wait({first}, timeout=3.0)
            lines = [await first, await process.stdout.readline()]
            await asyncio.sleep(1.0)  # the answer's half second goes through real devices, in real time
            process.send_signal(signal.SIGINT)
            await process.communicate()
        recording.terminate()
        await recording.wait()
    assert lines == [b"you: Hello there.\n", b"agent: Good morning to you.\n"]
    assert process.returncode == 0
    pcm, rate_hz = read_wav(tmp_path / "heard.wav")
    loud = abs(mono(pcm).astype(int)) > 1000
    assert loud.sum() > 0.1 * rate_hz
