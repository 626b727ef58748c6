"""Sound by the devices of this machine, through PortAudio. The package is loaded when it is first used."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.resample import Resampler
from antiphon.clock import Clock, WallClock
from antiphon.logs import Log
from antiphon.transports.local.beside import beside
from antiphon.transports.local.contract import Pull
from antiphon.transports.local.devices import Device, Direction, choose_device
from antiphon.transports.local.errors import AudioDeviceError
from antiphon.transports.local.mic import RATE_HZ, MicStreamer

BLOCK_MS = 10
OUTPUT_LATENCY_S = 0.04
"""Enough for a busy interpreter to be late, and no more than a chunk of sound to be cut by a flush."""
OPEN_S = 5.0
CHECK_S = 1.0
RETRIES = 10

_log = Log(__name__)


def list_devices() -> list[Device]:
    """All sound devices.

    Raises:
        AudioDeviceError: The audio library is missing or does not start.
    """
    portaudio = load()
    try:
        found = portaudio.query_devices()
        default_input, default_output = portaudio.default.device
    except portaudio.PortAudioError as error:
        raise AudioDeviceError(f"The sound devices cannot be listed ({_reason(error)}): try again.") from None
    apis = portaudio.query_hostapis()
    defaults = [(api["default_input_device"], api["default_output_device"]) for api in apis[:1]]
    default_input = default_input if default_input >= 0 else defaults[0][0] if defaults else -1
    default_output = default_output if default_output >= 0 else defaults[0][1] if defaults else -1
    return [
        Device(
            index,
            str(device["name"]),
            int(device["max_input_channels"]),
            int(device["max_output_channels"]),
            round(device["default_samplerate"]),
            index == default_input,
            index == default_output,
        )
        for index, device in enumerate(found)
    ]


def load() -> ModuleType:
    """The ``sounddevice`` package.

    Raises:
        AudioDeviceError: It, or the PortAudio library under it, is missing.
    """
    try:
        return importlib.import_module("sounddevice")
    except ImportError:
        raise AudioDeviceError(
            'Microphone and loudspeaker need sounddevice: run `pip install "antiphon[local]"`, or use --text.'
        ) from None
    except OSError:
        raise AudioDeviceError(
            "The PortAudio library is missing: install it (on Debian: apt install libportaudio2), or use --text."
        ) from None


@dataclass(slots=True)
class _Pair:
    """Both open streams."""

    streams: list[Any]
    latency_s: float
    blocks: int = 0

    def close(self) -> None:
        for stream in self.streams:
            stream.abort()
            stream.close()


class SoundDevices:
    """The microphone and the loudspeaker.

    Args:
        input_device: Number or part of the name; the system's default unless given.
        output_device: The same for the loudspeaker.
        clock: Wall time unless given.
    """

    def __init__(
        self, input_device: str | None = None, output_device: str | None = None, *, clock: Clock | None = None
    ) -> None:
        self._wanted: dict[Direction, str | None] = {"input": input_device, "output": output_device}
        self._clock = clock or WallClock()
        self._pair: _Pair | None = None

    @property
    def latency_s(self) -> float:
        """As the loudspeaker's driver reports it."""
        return self._pair.latency_s if self._pair is not None else 0.0

    def check(self) -> tuple[Device, Device]:
        """The devices that will be used.

        Raises:
            AudioDeviceError: There are none, or the names fit none or several.
        """
        devices = list_devices()
        return choose_device(devices, self._wanted["input"], "input"), choose_device(
            devices, self._wanted["output"], "output"
        )

    @asynccontextmanager
    async def opened(self, mic: MicStreamer, pull: Pull) -> AsyncIterator[SoundDevices]:
        """Open both devices until the body ends; one that is lost is looked for again on the system's defaults."""
        mic.bind(asyncio.get_running_loop())
        await self._open(mic, pull)
        try:
            async with beside(self._watch(mic, pull), "sound devices"):
                yield self
        finally:
            if self._pair is not None:
                # Drivers may wait for their own threads.
                await asyncio.to_thread(self._pair.close)
                self._pair = None

    async def _open(self, mic: MicStreamer, pull: Pull) -> None:
        try:
            async with asyncio.timeout(OPEN_S):
                self._pair = await asyncio.to_thread(self._open_now, mic, pull)
        except TimeoutError:
            raise AudioDeviceError("The sound devices do not answer: end other programs that use them.") from None

    def _open_now(self, mic: MicStreamer, pull: Pull) -> _Pair:
        portaudio = load()
        source, target = self.check()
        pair = _Pair([], 0.0)
        try:
            speaker = _open_speaker(portaudio, target, pull)
            pair.streams.append(speaker)
            pair.latency_s = float(speaker.latency)
            pair.streams.append(_open_microphone(portaudio, source, mic, pair))
            for stream in pair.streams:
                stream.start()
        except portaudio.PortAudioError as error:
            pair.close()
            which = f"the microphone {source.name}" if len(pair.streams) == 1 else f"the loudspeaker {target.name}"
            raise AudioDeviceError(
                f"{which[0].upper()}{which[1:]} cannot be opened ({_reason(error)}): allow this program to use it, or "
                "choose another one of `antiphon devices list`."
            ) from None
        return pair

    async def _watch(self, mic: MicStreamer, pull: Pull) -> None:
        """Notice that the microphone's blocks have stopped, and open what there is then."""
        seen = -1
        while True:
            await self._clock.sleep(CHECK_S)
            pair = self._pair
            if pair is None or (pair.blocks != seen and all(stream.active for stream in pair.streams)):
                seen = pair.blocks if pair is not None else -1
                continue
            _log.warning("sound device lost", error_category="audio")
            await asyncio.to_thread(pair.close)
            self._wanted = {"input": None, "output": None}
            await self._reopen(mic, pull)
            seen = -1

    async def _reopen(self, mic: MicStreamer, pull: Pull) -> None:
        for _ in range(RETRIES):
            await self._clock.sleep(CHECK_S)
            try:
                await self._open(mic, pull)
            except AudioDeviceError:
                continue
            _log.info("sound device found again")
            return
        raise AudioDeviceError("The sound device was lost and did not come back: connect it and start again.")


def _open_speaker(portaudio: ModuleType, device: Device, pull: Pull) -> Any:
    rate_hz = _rate(portaudio.check_output_settings, device, channels=1, portaudio=portaudio)
    source = pull if rate_hz == RATE_HZ else ResampledPull(pull, rate_hz)

    def play(out: Any, frames: int, time: Any, status: Any) -> None:
        out[:] = source(frames).tobytes()

    return portaudio.RawOutputStream(
        samplerate=rate_hz,
        blocksize=rate_hz * BLOCK_MS // 1000,
        device=device.index,
        channels=1,
        dtype="int16",
        latency=OUTPUT_LATENCY_S,
        callback=play,
    )


def _open_microphone(portaudio: ModuleType, device: Device, mic: MicStreamer, pair: _Pair) -> Any:
    channels = min(2, device.inputs)
    rate_hz = _rate(portaudio.check_input_settings, device, channels=channels, portaudio=portaudio)

    def hear(data: Any, frames: int, time: Any, status: Any) -> None:
        pair.blocks += 1
        block = np.frombuffer(data, np.int16)
        mic.feed(block if channels == 1 else block.reshape(-1, channels), rate_hz)

    return portaudio.RawInputStream(
        samplerate=rate_hz,
        blocksize=rate_hz * BLOCK_MS // 1000,
        device=device.index,
        channels=channels,
        dtype="int16",
        latency="low",
        callback=hear,
    )


def _rate(check: Callable[..., None], device: Device, *, channels: int, portaudio: ModuleType) -> int:
    """24 kHz where the device can, else its own."""
    try:
        check(device=device.index, channels=channels, dtype="int16", samplerate=RATE_HZ)
    except portaudio.PortAudioError:
        return device.rate_hz
    return RATE_HZ


class ResampledPull:
    """Gives samples of another rate than 24 kHz.

    Args:
        pull: Gives them at 24 kHz.
        rate_hz: The device's.
    """

    def __init__(self, pull: Pull, rate_hz: int) -> None:
        self._pull = pull
        self._resampler = Resampler(RATE_HZ, rate_hz)
        self._step = RATE_HZ * BLOCK_MS // 1000
        self._rest = np.zeros(0, np.int16)

    def __call__(self, count: int) -> NDArray[np.int16]:
        """The next samples; shape (count,)."""
        while len(self._rest) < count:
            self._rest = np.concatenate((self._rest, self._resampler.feed(self._pull(self._step))))
        out, self._rest = self._rest[:count], self._rest[count:]
        return out


def _reason(error: Exception) -> str:
    """PortAudio's own words, without its numbers."""
    text = str(error.args[0]) if error.args else type(error).__name__
    return text.split("[")[0].strip().rstrip(".")
