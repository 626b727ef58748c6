"""``antiphon exchange``: calls of a server without a carrier."""

from __future__ import annotations

import asyncio
import io
import socket
from pathlib import Path

import httpx
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from antiphon.audio.wav import write_wav
from antiphon.cli.main import app
from antiphon.cli.switch import _serve
from antiphon.transports.carriers.loopback import Exchange
from tests.ports import free_port
from tests.server.harness import until
from tests.telephony.lines import BILLING

pytestmark = pytest.mark.timeout(60)


async def test_it_says_how_to_reach_it_and_what_comes_of_each_call() -> None:
    shown, port = io.StringIO(), free_port()
    exchange = Exchange(outcome="no-answer", ring_s=0.3)
    serving = asyncio.create_task(_serve(exchange, port, Console(file=shown, width=200)))
    try:
        await until(lambda: "ANTIPHON_PUBLIC_URL" in shown.getvalue())
        assert f"ANTIPHON_CARRIER_URLS__TWILIO=http://127.0.0.1:{port}" in shown.getvalue()
        form = {"To": BILLING, "From": "+15550100", "Twiml": '<Response><Stream url="ws://127.0.0.1:9/"/></Response>'}
        async with httpx.AsyncClient(auth=(exchange.account, exchange.token)) as http:
            path = f"/2010-04-01/Accounts/{exchange.account}/Calls.json"
            assert (await http.post(f"http://127.0.0.1:{port}{path}", data=form)).status_code == 201
        await until(lambda: "no-answer" in shown.getvalue())
    finally:
        serving.cancel()
        await asyncio.wait([serving])
    assert shown.getvalue().splitlines()[-1] == f"{BILLING}  no-answer"


def test_what_it_cannot_do_is_told(tmp_path: Path) -> None:
    wav = tmp_path / "hello.wav"
    write_wav(wav, np.zeros((800, 1), np.int16), 8_000)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for arguments, words in (
            (["--say", str(wav), "--machine", str(wav)], "cannot both answer"),
            (["--say", str(tmp_path / "none.wav")], "cannot be read"),
            (["--say", "keys:1"], "can only speak"),
            (["--port", str(taken.getsockname()[1])], "cannot be used"),
        ):
            result = CliRunner().invoke(app, ["exchange", *arguments])
            assert (result.exit_code, words in result.output) == (2, True), result.output
