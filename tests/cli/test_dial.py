"""``antiphon dial``: a server calls somebody over the exchange of this machine, and the terminal shows it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from antiphon.cli.dial import DialView, dial
from antiphon.cli.main import app
from antiphon.errors import AntiphonException, ConfigurationError
from antiphon.transports.carriers.loopback import Exchange
from tests.server.conftest import serve
from tests.server.harness import KEY, Serve, until
from tests.telephony.lines import BILLING, OURS
from tests.telephony.test_outgoing import hangs_up, office

__all__ = ["serve"]

pytestmark = pytest.mark.timeout(60)

WANTED = {"target_number": BILLING, "context": {"name": "Ms Doe", "clinic": {"name": "the clinic"}}}


def screen() -> tuple[DialView, io.StringIO]:
    shown = io.StringIO()
    return DialView(Console(file=shown, width=200)), shown


async def test_a_call_is_shown_from_the_first_ring_to_its_end(serve: Serve) -> None:
    view, shown = screen()
    async with office(serve, exchange=Exchange(ring_s=0.4, answers=hangs_up)) as of:
        await dial(WANTED, view, url=str(of.http.base_url), key=KEY)
    lines = shown.getvalue().splitlines()
    assert lines[0].startswith(f"calling {BILLING} from {OURS}: desk over twilio (")
    assert lines[1:3] == ["ringing", "connected"]
    assert lines[3].endswith(f"agent Hello Ms Doe, this is the clinic, I call {BILLING}.")
    assert lines[4].endswith("the call is over: user hangup")
    result = view.result()
    assert (result["status"], result["reason"]) == ("disconnected", "user_hangup")
    assert [row["who"] for row in result["transcript"]] == ["agent", "note"]


async def test_nobody_reached_is_told(serve: Serve) -> None:
    view, shown = screen()
    async with office(serve, exchange=Exchange(outcome="no-answer", ring_s=0.1)) as of:
        await dial(WANTED, view, url=str(of.http.base_url), key=KEY)
    assert shown.getvalue().splitlines()[-1] == "not reached: no answer"
    assert view.state["status"] == "failed"


@pytest.mark.parametrize(("ring_s", "last"), [(30.0, "not reached: canceled"), (0.1, "the call is over: agent hangup")])
async def test_ctrl_c_hangs_up(serve: Serve, ring_s: float, last: str) -> None:
    view, shown = screen()
    async with office(serve, exchange=Exchange(ring_s=ring_s)) as of:
        dialling = asyncio.create_task(dial(WANTED, view, url=str(of.http.base_url), key=KEY))
        await until(lambda: "calling" in shown.getvalue() if ring_s > 1 else "agent" in shown.getvalue())
        os.kill(os.getpid(), signal.SIGINT)
        await dialling
        assert of.exchange.commands == [f"dial {BILLING}", "end CA_leg_1"]
    assert "hanging up" in shown.getvalue()
    assert shown.getvalue().splitlines()[-1].endswith(last)


@pytest.mark.parametrize(
    ("wanted", "key", "words"),
    [
        ({"target_number": "112"}, KEY, "target_number: a number is + and up to 15 digits"),
        ({"target_number": BILLING, "agent": "nobody"}, KEY, "There is no agent of this name"),
        ({"target_number": BILLING}, "another key", "wants an API key"),
    ],
)
async def test_what_the_server_refuses_is_said_in_its_words(
    serve: Serve, wanted: dict[str, Any], key: str, words: str
) -> None:
    async with office(serve) as of:
        with pytest.raises(AntiphonException, match=words.replace("+", r"\+")):
            await dial(wanted, screen()[0], url=str(of.http.base_url), key=key)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nowhere"])
async def test_where_no_server_is_the_way_out_is_told(url: str) -> None:
    with pytest.raises(ConfigurationError, match="--url"):
        await dial(WANTED, screen()[0], url=url, key=None)


def test_a_value_needs_a_name() -> None:
    result = CliRunner().invoke(app, ["dial", BILLING, "--context", "Ms Doe"])
    assert result.exit_code == 2
    assert "--context name=value" in result.output


@pytest.mark.parametrize(("outcome", "code", "expected"), [("answered", 0, "disconnected"), ("busy", 1, "failed")])
async def test_a_program_reads_one_document_and_an_exit_code(
    serve: Serve, outcome: Any, code: int, expected: str
) -> None:
    async with office(serve, exchange=Exchange(ring_s=0.1, outcome=outcome, answers=hangs_up)) as of:
        arguments = [
            "dial",
            BILLING,
            "--url",
            str(of.http.base_url),
            "--key",
            KEY,
            "--context",
            "name=Ms Doe",
            "--json",
        ]
        program = await asyncio.create_subprocess_exec(
            *[sys.executable, "-c", "from antiphon.cli.main import app; app()", *arguments],
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await program.communicate()
    assert program.returncode == code
    told = json.loads(printed)
    assert (told["status"], told["target_number"], bool(told["transcript"])) == (expected, BILLING, code == 0)
