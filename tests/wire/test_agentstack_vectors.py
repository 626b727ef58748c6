"""Whole audio calls of the AgentStack protocol, frame by frame, through the Plivo codec and the Plivo caller."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from antiphon.audio.formats import AudioFormat
from antiphon.wire.caller import Audio, Clear, Mark, PlivoCaller
from antiphon.wire.contract import Cleared, Digit, MarkPlayed, Media, Started, Stopped
from antiphon.wire.plivo import PlivoCodec

VECTORS = Path(__file__).parents[1] / "data" / "vectors"
FILES = {
    "audio_stream_mulaw8k.jsonl": AudioFormat("mulaw", 8_000),
    "audio_stream_l16_16k.jsonl": AudioFormat("pcm16", 16_000),
}
PARAMETERS = {"tenant": "acme", "agentUuid": "33333333-3333-4333-8333-333333333333"}


def lines(name: str) -> list[dict[str, Any]]:
    """The call's lines that carry a frame of the audio stream."""
    every = [json.loads(line) for line in (VECTORS / name).read_text("utf-8").splitlines()]
    return [line for line in every if "event" in line.get("frame", {})]


def expected(frame: dict[str, Any], audio: AudioFormat) -> object:
    match frame["event"]:
        case "start":
            return Started(frame["streamId"], frame["start"]["callId"], audio, PARAMETERS)
        case "media":
            media = frame["media"]
            since = int(media["timestamp"]) - 1_767_603_600_000
            return Media(base64.b64decode(media["payload"]), since, media["chunk"])
        case "playedStream":
            return MarkPlayed(frame["name"])
        case "clearedAudio":
            return Cleared()
        case "dtmf":
            return Digit(frame["dtmf"]["digit"])
        case "stop":
            return Stopped()
    raise AssertionError(frame["event"])


@pytest.mark.parametrize(("name", "audio"), FILES.items())
def test_the_codec_reads_every_frame_of_the_platform(name: str, audio: AudioFormat) -> None:
    codec = PlivoCodec()
    frames = [line["frame"] for line in lines(name) if line["dir"] == "S>A"]
    assert len(frames) > 8
    for frame in frames:
        assert codec.receive(json.dumps(frame)) == expected(frame, audio)
    assert codec.missing == 0


@pytest.mark.parametrize(("name", "audio"), FILES.items())
def test_the_codec_sends_exactly_the_frames_of_the_app(name: str, audio: AudioFormat) -> None:
    codec = PlivoCodec()
    sent = []
    for line in lines(name):
        frame = line["frame"]
        if line["dir"] == "S>A":
            codec.receive(json.dumps(frame))
            continue
        makers = {
            "playAudio": lambda frame: codec.media(base64.b64decode(frame["media"]["payload"])),
            "checkpoint": lambda frame: codec.mark(frame["name"]),
            "clearAudio": lambda _: codec.clear(),
        }
        sent.append(frame["event"])
        assert json.loads(makers[frame["event"]](frame)) == frame
    assert set(sent) == {"playAudio", "checkpoint", "clearAudio"}


@pytest.mark.parametrize(("name", "audio"), FILES.items())
def test_the_caller_sends_exactly_the_frames_of_the_platform(name: str, audio: AudioFormat) -> None:
    frames = [line["frame"] for line in lines(name) if line["dir"] == "S>A"]
    start = frames[0]
    caller = PlivoCaller(
        start["streamId"], start["start"]["callId"], PARAMETERS, audio=audio, epoch_ms=1_767_603_600_000
    )
    makers = {
        "start": lambda _: caller.opening()[0],
        "media": lambda frame: caller.media(base64.b64decode(frame["media"]["payload"])),
        "playedStream": lambda frame: caller.mark_played(frame["name"]),
        "clearedAudio": lambda _: caller.cleared(),
        "dtmf": lambda frame: caller.dtmf(frame["dtmf"]["digit"]),
        "stop": lambda _: caller.closing(),
    }
    for frame in frames:
        made = json.loads(makers[frame["event"]](frame))
        # The account is made up, and the vectors' keys are pressed at a time of their own.
        made.get("start", {})["accountId"] = frame.get("start", {}).get("accountId")
        made.get("dtmf", {})["timestamp"] = frame.get("dtmf", {}).get("timestamp")
        assert made == frame


@pytest.mark.parametrize(("name", "audio"), FILES.items())
def test_the_caller_reads_every_frame_of_the_app(name: str, audio: AudioFormat) -> None:
    start = lines(name)[0]["frame"]
    caller = PlivoCaller(start["streamId"], start["start"]["callId"], audio=audio)
    for frame in (line["frame"] for line in lines(name) if line["dir"] == "A>S"):
        wanted = {
            "playAudio": lambda frame: Audio(base64.b64decode(frame["media"]["payload"]), audio),
            "checkpoint": lambda frame: Mark(frame["name"]),
            "clearAudio": lambda _: Clear(),
        }[frame["event"]](frame)
        assert caller.receive(json.dumps(frame)) == wanted
