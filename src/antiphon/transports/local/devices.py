"""The sound devices of this machine: what is there, and which one is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from antiphon.transports.local.errors import AudioDeviceError

Direction = Literal["input", "output"]

_NOUN = {"input": "microphone", "output": "loudspeaker"}
_SETTING = {"input": "INPUT_DEVICE_ID", "output": "OUTPUT_DEVICE_ID"}


@dataclass(frozen=True, slots=True)
class Device:
    """One device.

    Attributes:
        index: PortAudio's number.
        name: The system's name.
        inputs, outputs: Channels.
        rate_hz: The device's own rate.
        is_default_input, is_default_output: Whether the system takes it when none is named.
    """

    index: int
    name: str
    inputs: int
    outputs: int
    rate_hz: int
    is_default_input: bool = False
    is_default_output: bool = False

    def channels(self, direction: Direction) -> int:
        """Channels in one direction."""
        return self.inputs if direction == "input" else self.outputs

    def is_default(self, direction: Direction) -> bool:
        """Whether it is the system's choice in one direction."""
        return self.is_default_input if direction == "input" else self.is_default_output

    def to_dict(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def choose_device(devices: Sequence[Device], wanted: str | None, direction: Direction) -> Device:
    """The device that is meant.

    Args:
        devices: All that there are.
        wanted: Its number, or a part of its name in any case; None is the system's default.
        direction: What it is for.

    Raises:
        AudioDeviceError: There is none, or the name fits several.
    """
    noun, setting = _NOUN[direction], _SETTING[direction]
    able = [device for device in devices if device.channels(direction)]
    if not able:
        raise AudioDeviceError(f"There is no {noun} on this machine: connect one, or use --text.")
    if wanted is None or not wanted.strip():
        return next((device for device in able if device.is_default(direction)), able[0])
    text = wanted.strip()
    found = [device for device in able if str(device.index) == text]
    found = found or [device for device in able if device.name.lower() == text.lower()]
    found = found or [device for device in able if text.lower() in device.name.lower()]
    if not found:
        raise AudioDeviceError(f"No {noun} is called {text!r}: `antiphon devices list` shows those there are.")
    if len(found) > 1:
        names = ", ".join(f"{device.index} ({device.name})" for device in found)
        raise AudioDeviceError(f"{text!r} fits several devices, {names}: set {setting} to one of these numbers.")
    return found[0]
