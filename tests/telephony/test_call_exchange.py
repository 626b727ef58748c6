"""``antiphon call --exchange``: a transfer without a carrier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from antiphon.audio.tones import sine
from antiphon.audio.wav import write_wav
from antiphon.cli.call import read_line, talk
from antiphon.cli.exchange import PhoneExchange
from tests.ports import free_port
from tests.server.harness import KEY, Serve
from tests.telephony.lines import BILLING, desk

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize(("kind", "summary"), [("blind", ""), ("warm", "Ms Doe has a bill.")])
async def test_a_phone_shows_where_its_caller_was_transferred(
    serve: Serve, tmp_path: Path, kind: str, summary: str
) -> None:
    port = free_port()
    wav = tmp_path / "please.wav"
    write_wav(wav, np.stack([sine(220, 800, rate_hz=8_000, amplitude=0.3)], axis=1), 8_000)
    agent, models = desk(kind=kind)
    account = {"twilio_account_sid": "AC_loopback", "twilio_auth_token": "loopback"}
    exchange = {"carrier_urls": {"twilio": f"http://127.0.0.1:{port}"}}
    async with serve(agents=[agent], models=models, **account, **exchange) as up:
        by_phone = PhoneExchange(port)
        turns, ended = await talk(
            f"ws://127.0.0.1:{up.port}/telephony/twilio",
            [read_line(str(wav))],
            key=KEY,
            timeout_s=15,
            out=None,
            console=Console(quiet=True),
            exchange=by_phone,
        )
        await up.board.all_over()
        assert up.board.metrics.calls_ended == {"transferred": 1}
    assert turns[0]["voice_to_voice_ms"] is not None
    assert by_phone.transfers == [{"to": BILLING, "type": kind, "summary": summary}]
    assert ended is None
