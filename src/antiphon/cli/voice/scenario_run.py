"""``antiphon test --fake-server``: runs the scenarios and tells how they went."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import typer

from antiphon.cli.voice.scenarios import SCENARIOS, Scenario
from antiphon.cli.voice.stage import Failed, Stage
from antiphon.clock import WallClock
from antiphon.errors import AntiphonException, ConfigurationError
from antiphon.logs import Log
from antiphon.telemetry import setup_logging

SCENARIO_S = 30.0

_log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one scenario went."""

    name: str
    passed: bool
    seconds: float
    reason: str = ""


def run_scenarios(name: str | None, *, as_json: bool) -> bool:
    """Run one scenario, or all; gives whether all have passed.

    Raises:
        ConfigurationError: There is no such scenario.
    """
    if name is not None and name not in SCENARIOS:
        raise ConfigurationError(f"There is no scenario {name!r}: choose one of {', '.join(SCENARIOS)}.")
    setup_logging("error")
    chosen = {name: SCENARIOS[name]} if name is not None else SCENARIOS
    outcomes = asyncio.run(_run(chosen, shown=not as_json))
    if as_json:
        typer.echo(msgspec.json.encode([asdict(outcome) for outcome in outcomes]).decode())
    return all(outcome.passed for outcome in outcomes)


async def _run(scenarios: Mapping[str, Scenario], *, shown: bool) -> list[Outcome]:
    outcomes = []
    for name, scenario in scenarios.items():
        outcome = await _run_one(name, scenario)
        outcomes.append(outcome)
        if shown:
            mark = "PASS" if outcome.passed else "FAIL"
            reason = f": {outcome.reason}" if outcome.reason else ""
            typer.echo(f"{mark} {name} ({outcome.seconds:.1f} s){reason}")
    return outcomes


async def _run_one(name: str, scenario: Scenario) -> Outcome:
    clock = WallClock()
    began_s = clock.now()
    reason = ""
    with tempfile.TemporaryDirectory(prefix="antiphon-test-") as folder:
        try:
            async with asyncio.timeout(SCENARIO_S):
                await scenario(Stage(Path(folder)))
        except TimeoutError:
            reason = f"not over after {SCENARIO_S:g} s"
        except (Failed, AntiphonException) as error:
            reason = str(error)
        except Exception as error:  # one broken scenario does not hide how the others go
            _log.exception("scenario broke", scenario=name)
            reason = f"{type(error).__name__}: {error}"
    return Outcome(name, not reason, round(clock.now() - began_s, 2), reason)
