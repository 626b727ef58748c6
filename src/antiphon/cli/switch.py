"""``antiphon exchange``: an exchange on this machine, over which a server calls phones of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from antiphon.cli.call import read_line
from antiphon.clock import WallClock
from antiphon.errors import ConfigurationError
from antiphon.server.run import listen as listen_at
from antiphon.transports.carriers.loopback import Answers, Exchange, Leg, Outcome, listen, machine, person, serving

LOOK_S = 0.1


def run_exchange(port: int, *, say: Sequence[str], machine_says: Path | None, outcome: Outcome, ring_s: float) -> None:
    """Take a server's commands until ctrl-c, and tell what they come to.

    Args:
        port: On this machine.
        say: WAV files that a person says who answers, one behind each answer of the agent.
        machine_says: A WAV that an answering machine says in place of a person.
        outcome: What becomes of those who are called.
        ring_s: How long it rings.

    Raises:
        AntiphonException: A file cannot be read.
    """
    exchange = Exchange(outcome=outcome, ring_s=ring_s, answers=_answers(say, machine_says))
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(exchange, port, Console()))


def _answers(say: Sequence[str], machine_says: Path | None) -> Answers:
    if say and machine_says is not None:
        raise ConfigurationError("A person and a machine cannot both answer: give --say or --machine.")
    if machine_says is not None:
        words = read_line(str(machine_says))
        return machine((words.pcm, words.rate_hz))
    lines = [read_line(each) for each in say]
    if any(line.keys for line in lines):
        raise ConfigurationError("Whom we call can only speak: give --say the path of a WAV.")
    return person(*((line.pcm, line.rate_hz) for line in lines)) if lines else listen


async def _serve(exchange: Exchange, port: int, console: Console) -> None:
    listen_at("127.0.0.1", port).close()  # whoever has the port is told before anything begins
    async with serving(exchange.app(), port=port) as url:
        console.print("For the server:", style="bold")
        for setting in (
            f"TWILIO_ACCOUNT_SID={exchange.account} TWILIO_AUTH_TOKEN={exchange.token}",
            f"ANTIPHON_CARRIER_URLS__TWILIO={url} ANTIPHON_CALLER_ID=+15550100",
            "ANTIPHON_PUBLIC_URL=http://127.0.0.1:8000",
        ):
            console.print(f"  export {setting}", highlight=False, soft_wrap=True)
        try:
            await _tell(exchange, console)
        finally:
            exchange.close()


async def _tell(exchange: Exchange, console: Console) -> None:
    """Print each new status of each call."""
    clock, told = WallClock(), dict[str, str]()
    while True:
        for name, leg in exchange.legs.items():
            if told.get(name) != leg.status:
                told[name] = leg.status
                console.print(_line(leg), highlight=False)
        await clock.sleep(LOOK_S)


def _line(leg: Leg) -> str:
    return f"{leg.to}  {leg.status}"
