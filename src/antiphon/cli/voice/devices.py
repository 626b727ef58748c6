"""``antiphon devices``: what there is, and whether it works."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgspec
import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from antiphon.audio.tones import sine
from antiphon.cli.voice.view import level_bar
from antiphon.transports.local.mic import RATE_HZ, MicStreamer
from antiphon.transports.local.player import AudioPlayer
from antiphon.transports.local.sounddevices import SoundDevices, list_devices

METER_S = 5.0
TONE_MS = 700


def show_devices(*, as_json: bool) -> None:
    """Print all devices.

    Raises:
        AudioDeviceError: The audio library is missing.
    """
    devices = list_devices()
    if as_json:
        typer.echo(msgspec.json.encode([device.to_dict() for device in devices]).decode())
        return
    table = Table("", "device", "in", "out", "rate", "default", box=None)
    for device in devices:
        defaults = [
            word for word, is_it in (("in", device.is_default_input), ("out", device.is_default_output)) if is_it
        ]
        cells = (device.index, device.name, device.inputs, device.outputs, f"{device.rate_hz} Hz", " ".join(defaults))
        table.add_row(*(Text(str(cell)) for cell in cells))
    console = Console()
    console.print(table if devices else "There are no sound devices on this machine.")


def try_devices(input_device: str | None, output_device: str | None) -> None:
    """Play a tone and show the microphone's level.

    Raises:
        AudioDeviceError: A device is missing or refused.
    """
    asyncio.run(_try_devices(SoundDevices(input_device, output_device)))


async def _try_devices(sound: SoundDevices) -> None:
    source, target = sound.check()
    console = Console()
    console.print(Text(f"A tone on {target.name}, and the level of {source.name}:"))
    mic, player = MicStreamer(), AudioPlayer()
    loudest = -100.0
    async with sound.opened(mic, player.pull):
        player.push("tone", sine(440, TONE_MS, rate_hz=RATE_HZ, amplitude=0.2))
        player.complete("tone")
        with Live(console=console, refresh_per_second=10) as live, suppress(TimeoutError):
            async with asyncio.timeout(METER_S):
                while await mic.get() is not None:
                    loudest = max(loudest, mic.level.peak_dbfs)
                    live.update(level_bar(mic.level))
    console.print(f"Loudest: {loudest:.0f} dBFS." if loudest > -90 else "The microphone gave nothing but silence.")
