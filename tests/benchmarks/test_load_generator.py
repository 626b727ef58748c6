"""The load generator against servers that are known."""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve

from antiphon.audio import g711
from antiphon.models import catalog
from antiphon.wire.contract import Media, Started
from antiphon.wire.realtime import events
from antiphon.wire.realtime.client_events import AudioAppend, SessionUpdate
from antiphon.wire.realtime.codec import RealtimeCodec
from antiphon.wire.realtime.session import ServerVad, SessionConfig, merged
from antiphon.wire.table import CODECS
from benchmarks import floor_server, loadgen, signals, standins
from benchmarks.caller import Caller, Script
from benchmarks.measurements import Measurements, percentile, summary_ms
from benchmarks.telephony import CARRIERS
from benchmarks.wsclient import WebSocketClient

SILENCE = base64.b64encode(b"\xff" * 160).decode()
Handler = Callable[[ServerConnection], Awaitable[None]]
Start = Callable[[Handler], Awaitable[str]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts a WebSocket server and gives its address."""
    servers = []

    async def begin(handler: Handler) -> str:
        server = await serve(handler, "127.0.0.1", 0, compression=None)
        servers.append(server)
        return f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"

    yield begin
    for server in servers:
        server.close()
        await server.wait_closed()


async def echo(connection: ServerConnection) -> None:
    call = floor_server.Echo()
    async for message in connection:
        answer = call.answer(message)
        if answer is not None:
            await connection.send(answer)


@pytest.mark.parametrize("carrier", sorted(CARRIERS.keys() & CODECS.keys()))
def test_the_generator_speaks_what_our_codec_reads(carrier: str) -> None:
    caller, codec = CARRIERS[carrier](7), CODECS[carrier]()
    events = [codec.receive(message) for message in caller.opening()]
    assert isinstance(events[-1], Started)
    payload = bytes(range(160))
    event = codec.receive(caller.media(1, 20, base64.b64encode(payload).decode()))
    assert isinstance(event, Media)
    assert event.payload == payload


@pytest.mark.parametrize("carrier", sorted(CARRIERS.keys() & CODECS.keys()))
def test_the_generator_understands_what_our_codec_sends(carrier: str) -> None:
    caller, codec = CARRIERS[carrier](7), CODECS[carrier]()
    for message in caller.opening():
        codec.receive(message)
    heard = caller.parse(codec.media(bytes(160)).encode())
    assert (heard.kind, heard.audio_ms) == ("audio", 20.0)
    assert caller.parse(codec.mark("m1").encode()).name == "m1"
    assert caller.parse(codec.clear().encode()).kind == "clear"


def test_the_generator_speaks_the_realtime_protocol() -> None:
    caller, codec = CARRIERS["realtime"](7), RealtimeCodec()
    (opening,) = caller.opening()
    update = codec.receive(opening)
    assert isinstance(update, SessionUpdate)
    config, ignored = merged(SessionConfig(), update.session, strict=True)
    assert (config.turn_detection, ignored) == (ServerVad(silence_duration_ms=200), 0)
    payload = bytes(range(240)) * 4
    append = codec.receive(caller.media(1, 20, base64.b64encode(payload).decode()))
    assert isinstance(append, AudioAppend)
    assert append.audio == payload
    heard = caller.parse(codec.encode_audio_delta("r", "i", 0, payload).encode())
    assert (heard.kind, heard.audio_ms) == ("audio", 20.0)
    (started,) = codec.encode(events.speech_started("i", 0))
    assert caller.parse(started.encode()).kind == "clear"


def test_a_callers_speech_is_the_same_on_both_lines() -> None:
    samples = signals.speech(0.2)
    pcm = np.frombuffer(b"".join(signals.pcm24_frames(samples)), "<i2")
    assert pcm[: 3 * len(samples) : 3].tolist() == samples


def test_the_generators_own_mulaw_agrees_with_g711() -> None:
    decoded = [signals.ulaw_to_linear(code) for code in range(256)]
    assert decoded == g711.decode_mulaw(bytes(range(256))).tolist()
    # 0x7F is the second zero, which no encoder makes.
    assert [signals.linear_to_ulaw(sample) for sample in decoded] == [
        code if code != 0x7F else 0xFF for code in range(256)
    ]


def test_the_test_speech_is_always_the_same_and_fills_its_frames() -> None:
    frames = signals.ulaw_frames(signals.speech(0.25))
    assert frames == signals.ulaw_frames(signals.speech(0.25))
    assert [len(frame) for frame in frames] == [160] * 13


def test_the_stand_in_voice_is_a_second_a_sentence() -> None:
    chunks = standins.chunks(8000)
    assert len(standins.TOKENS) == 20
    assert (len(chunks), sum(map(len, chunks))) == (50, 16_000)


def test_percentiles_of_nothing_are_unknown() -> None:
    assert percentile([], 0.5) is None
    assert summary_ms([])["p95"] is None
    assert summary_ms([0.001, 0.002, 0.003])["p50"] == 2.0


async def test_the_client_joins_fragments_and_reads_long_messages(start: Start) -> None:
    long = "x" * 70_000

    async def talk(connection: ServerConnection) -> None:
        await connection.ping()
        await connection.send(["one ", "two ", "three"])
        await connection.send(long)
        await connection.send("y" * 300)
        assert await connection.recv() == long

    got: list[bytes] = []
    closed = asyncio.Event()
    client = WebSocketClient(await start(talk), got.append, closed.set)
    await client.connect()
    client.send(long)
    async with asyncio.timeout(20):
        await closed.wait()
    assert got == [b"one two three", long.encode(), b"y" * 300]


async def test_the_client_says_that_it_was_refused() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server, asyncio.timeout(20):
        port = server.sockets[0].getsockname()[1]
        client = WebSocketClient(f"ws://127.0.0.1:{port}/ws", lambda _message: None, lambda: None)
        with pytest.raises(ConnectionError, match="503"):
            await client.connect()


async def test_an_echo_is_timed_frame_by_frame(start: Start) -> None:
    args = argparse.Namespace(
        url=await start(echo),
        carrier="twilio",
        scenario="echo",
        calls=2,
        duration_s=0.4,
        warmup_s=0.1,
        tail_s=0.1,
        ramp_ms=1.0,
        connect_timeout_s=10.0,
        spread_s=0.0,
        speech_s=0.2,
        reply_ms=2000,
        reply_timeout_s=8.0,
        barge_every=2,
        vad_stop_ms=200.0,
        pid=None,
    )
    row = await loadgen.run(args)
    assert row["failed_connects"] == row["dropped_calls"] == 0
    assert row["frames_heard"] > 0
    assert row["rtt_ms"]["n"] == row["frames_heard"]
    json.dumps(row)


async def answer_and_clear(connection: ServerConnection) -> None:
    """Replies when loud frames end, and clears when it is spoken over."""
    speaking = replying = False
    async for message in connection:
        if '"event":"media"' not in str(message):
            continue
        loud = '"payload":"loud"' in str(message)
        if loud and replying:
            await connection.send(json.dumps({"event": "clear"}))
            replying = False
        if speaking and not loud:
            await connection.send(json.dumps({"event": "media", "media": {"payload": SILENCE}}))
            await connection.send(json.dumps({"event": "mark", "mark": {"name": "m"}}))
            replying = True
        speaking = loud


async def test_a_caller_times_the_replies_and_the_clear_after_its_interruption(start: Start) -> None:
    script = Script("twilio", "talk", speech=("loud",) * 3, silence=(SILENCE,), barge_every=1, barge_after_s=0.0)
    seen = Measurements(open=True)
    caller = Caller(1, await start(answer_and_clear), script=script, measurements=seen)
    await caller.connect(0.0)
    async with asyncio.timeout(20):
        while len(seen.v2v_s) < 2:
            caller.tick(time.perf_counter())
            await asyncio.sleep(0.005)
    caller.hang_up()
    assert seen.turns == 2  # the question, and the interruption
    assert len(seen.barge_clear_s) == 1
    assert seen.marks >= 1
    assert seen.no_reply == seen.early_audio == seen.barge_without_clear == 0


async def test_a_server_that_hangs_up_is_counted(start: Start) -> None:
    async def hang_up(connection: ServerConnection) -> None:
        await connection.recv()

    script = Script("plivo", "talk", speech=("loud",), silence=(SILENCE,))
    seen = Measurements(open=True)
    caller = Caller(1, await start(hang_up), script=script, measurements=seen)
    await caller.connect(0.0)
    async with asyncio.timeout(20):
        while not seen.dropped_calls:
            caller.tick(time.perf_counter())
            await asyncio.sleep(0.005)
    sent = seen.frames_sent
    caller.tick(time.perf_counter())
    assert (seen.dropped_calls, seen.frames_sent) == (1, sent)


def test_antiphon_follows_the_script_of_the_stand_ins() -> None:
    assert catalog.BENCH_TRANSCRIPT == standins.TRANSCRIPT
    assert "".join(standins.SENTENCES) == catalog.BENCH_REPLY
    assert catalog.BENCH_CLAUSE_S == standins.SENTENCE_S
