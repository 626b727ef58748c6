from __future__ import annotations

import pytest

from antiphon.transports.local.devices import Device, choose_device
from antiphon.transports.local.errors import AudioDeviceError

DEVICES = [
    Device(0, "HDA Intel Analog", 2, 2, 48_000, is_default_output=True),
    Device(1, "USB Headset", 1, 2, 44_100, is_default_input=True),
    Device(2, "USB Camera", 1, 0, 48_000),
    Device(3, "HDMI", 0, 8, 48_000),
]


def test_the_systems_default_is_taken_when_none_is_named() -> None:
    assert choose_device(DEVICES, None, "input").index == 1
    assert choose_device(DEVICES, " ", "output").index == 0


@pytest.mark.parametrize(
    ("wanted", "direction", "index"), [("2", "input", 2), ("hdmi", "output", 3), ("headset", "output", 1)]
)
def test_a_number_or_a_part_of_the_name_is_enough(wanted: str, direction: str, index: int) -> None:
    assert choose_device(DEVICES, wanted, direction).index == index  # type: ignore[arg-type]


def test_a_name_that_fits_several_lists_them() -> None:
    with pytest.raises(AudioDeviceError, match=r"1 \(USB Headset\), 2 \(USB Camera\).*INPUT_DEVICE_ID"):
        choose_device(DEVICES, "usb", "input")


def test_a_device_without_a_microphone_is_none() -> None:
    with pytest.raises(AudioDeviceError, match="No microphone is called 'HDMI'"):
        choose_device(DEVICES, "HDMI", "input")


def test_a_machine_without_devices_says_what_to_do() -> None:
    with pytest.raises(AudioDeviceError, match="There is no microphone on this machine"):
        choose_device([], None, "input")
