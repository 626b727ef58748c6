"""``antiphon``: serve an agent, phone it, hear the demo, look at the models."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from antiphon.cli.models import app as models_app
from antiphon.cli.top import top
from antiphon.cli.validate import validate
from antiphon.cli.voice import devices_app, run, self_test, summary_app
from antiphon.errors import AntiphonException

USAGE_ERROR = 2


LLM_HELP = "embedded, PROVIDER/MODEL such as openai/gpt-4o-mini or ollama/qwen3, or scripted."


SCENARIO_HELP = "How the agents work together: a scenario of the folder."


class Transport(StrEnum):
    """How MCP clients reach this program."""

    STDIO = "stdio"
    HTTP = "http"


class Outcome(StrEnum):
    """What becomes of a call that is made over the exchange of this machine."""

    ANSWERED = "answered"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    FAILED = "failed"


class _Group(TyperGroup):
    """Turns an error of ours into its sentence and an exit code; there is no traceback for what a user can mend."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except AntiphonException as error:
            typer.secho(f"Error: {error}", fg=typer.colors.RED, err=True)
            raise typer.Exit(USAGE_ERROR) from error


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Antiphon: real-time voice agents that you host yourself.",
)
app.add_typer(models_app, name="models")
app.add_typer(devices_app, name="devices")
app.add_typer(summary_app, name="summary")
app.command()(validate)
app.command()(run)
app.command("test")(self_test)
app.command()(top)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@app.command()
def serve(
    agents: Annotated[
        Path | None, typer.Argument(help="A YAML file, a Python file or a folder; the demo agent unless given.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    vad: Annotated[str | None, typer.Option(help="silero or energy.")] = None,
    stt: Annotated[
        str | None,
        typer.Option(
            help="moonshine, scripted, or deepgram/MODEL, openai/MODEL, azure/MODE; several joined by | fail over."
        ),
    ] = None,
    llm: Annotated[str | None, typer.Option(help=LLM_HELP)] = None,
    tts: Annotated[
        str | None,
        typer.Option(
            help="hibari, scripted, or elevenlabs/MODEL, cartesia/MODEL, openai/MODEL, azure/VOICE; | joins a failover."
        ),
    ] = None,
    turn: Annotated[str | None, typer.Option(help="none or smart-turn.")] = None,
    models: Annotated[str | None, typer.Option(help="bench: stand-ins for measuring the server alone.")] = None,
    record: Annotated[bool | None, typer.Option("--record/--no-record", help="Record calls.")] = None,
    dev: Annotated[bool | None, typer.Option("--dev", help="No authentication; on a loopback address only.")] = None,
    max_calls: Annotated[int | None, typer.Option(help="Calls at the same time.")] = None,
    scenario: Annotated[str | None, typer.Option(help=SCENARIO_HELP)] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Load the agents again when their file changes.")] = False,
) -> None:
    """Answer calls until ctrl-c; running calls then go on to their end, a second ctrl-c cuts them."""
    from antiphon.errors import ConfigurationError
    from antiphon.server.run import serve as run_server

    if agents is None and reload:
        raise ConfigurationError("--reload watches a file or folder: name the one to serve.")
    options: dict[str, Any] = {"host": host, "port": port, "vad": vad, "stt": stt, "llm": llm, "tts": tts, "turn": turn}
    options |= {"models": models, "record": record, "dev": dev, "max_calls": max_calls, "scenario": scenario}
    run_server(agents if agents is not None else _demo_agent(), reload=reload, **options)


@app.command()
def call(
    url: Annotated[str, typer.Argument(help="Such as ws://127.0.0.1:8000/telephony/twilio.")],
    say: Annotated[
        list[str],
        typer.Option(
            "--say", help="A WAV that the caller says, or keys:123# that it presses; again for the next line."
        ),
    ],
    key: Annotated[str | None, typer.Option(help="API key; the first of ANTIPHON_API_KEYS unless given.")] = None,
    timeout: Annotated[float, typer.Option(help="Longest wait for an answer, in seconds.")] = 30.0,
    out: Annotated[Path | None, typer.Option(help="Where the WAV of both sides goes.")] = None,
    exchange: Annotated[
        int | None,
        typer.Option(
            min=1, max=65_535, help="Take Twilio's commands to transfer the call, on this port.", metavar="PORT"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Phone an agent with recorded lines and keys, and tell how fast it answers."""
    from antiphon.cli.call import make_call

    make_call(url, say, key=key, timeout_s=timeout, out=out, as_json=as_json, exchange=exchange)


@app.command()
def dial(
    number: Annotated[str, typer.Argument(help="Whom to call, such as +493023125012.")],
    agent: Annotated[str | None, typer.Option(help="Who speaks; the server's first agent unless given.")] = None,
    scenario: Annotated[str | None, typer.Option(help=SCENARIO_HELP)] = None,
    caller_id: Annotated[
        str | None, typer.Option("--from", help="The number that is shown there; the server's unless given.")
    ] = None,
    carrier: Annotated[str | None, typer.Option(help="twilio or plivo; the one that is set up unless given.")] = None,
    context: Annotated[
        list[str] | None, typer.Option(help="name=value for templates and tools; again for more.", metavar="NAME=VALUE")
    ] = None,
    voicemail: Annotated[bool | None, typer.Option("--voicemail", help="Find out whether a machine answers.")] = None,
    url: Annotated[str, typer.Option("--url", "--server", help="The server's address.")] = "http://127.0.0.1:8000",
    key: Annotated[
        str | None, typer.Option("--key", "--api-key", help="API key; the first of ANTIPHON_API_KEYS unless given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Have a server call somebody, and read along; ctrl-c hangs up. Exit code 1 when nobody was reached."""
    from antiphon.cli.dial import dial_number

    wanted: dict[str, Any] = {"target_number": number, "agent": agent, "scenario": scenario, "caller_id": caller_id}
    wanted |= {"carrier": carrier, "voicemail_detect": voicemail}
    dial_number(wanted, context or [], url=url, key=key, as_json=as_json)


@app.command()
def exchange(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Where it takes Twilio's commands.")] = 8801,
    say: Annotated[
        list[str] | None, typer.Option("--say", help="A WAV that who answers says; again for the next line.")
    ] = None,
    machine: Annotated[Path | None, typer.Option(help="A WAV that an answering machine says before its beep.")] = None,
    outcome: Annotated[Outcome, typer.Option(help="What becomes of those who are called.")] = Outcome.ANSWERED,
    ring: Annotated[float, typer.Option(min=0.1, help="Seconds that it rings.")] = 2.0,
) -> None:
    """Be a telephone exchange on this machine, over which a server makes calls without a carrier, until ctrl-c."""
    from antiphon.cli.switch import run_exchange

    run_exchange(port, say=say or [], machine_says=machine, outcome=outcome.value, ring_s=ring)


@app.command()
def demo(
    as_json: AsJson = False,
    vad: Annotated[str | None, typer.Option(help="silero or energy.")] = None,
    llm: Annotated[str | None, typer.Option(help=LLM_HELP)] = None,
    turn: Annotated[str | None, typer.Option(help="none or smart-turn.")] = None,
) -> None:
    """Hear a phone call: a recorded caller talks with the demo agent, here and offline."""
    from antiphon.cli.demo import run_demo

    run_demo(as_json=as_json, vad=vad, llm=llm, turn=turn)


@app.command()
def chat(
    path: Annotated[Path, typer.Argument(metavar="AGENT", help="A Python file, a YAML file or a folder of them.")],
    agent: Annotated[str | None, typer.Option(help="Which agent of the folder; the first unless given.")] = None,
    scenario: Annotated[str | None, typer.Option(help=SCENARIO_HELP)] = None,
    message: Annotated[
        list[str] | None, typer.Option("--message", "-m", help="Say this and end; again for a second turn.")
    ] = None,
    llm: Annotated[str | None, typer.Option(help=LLM_HELP)] = None,
    session: Annotated[Path | None, typer.Option(help="Go on with this conversation, and keep it there.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve every call that asks for it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, and nothing else.")] = False,
) -> None:
    """Talk with an agent in text: type, or pipe one message a line. Ctrl-c interrupts an answer, ctrl-d ends."""
    from antiphon.cli.chat import run_chat

    went_well = run_chat(
        path,
        agent=agent,
        scenario=scenario,
        messages=message,
        llm=llm,
        session_file=session,
        approve_all=yes,
        as_json=as_json,
    )
    raise typer.Exit(0 if went_well else 1)


@app.command()
def mcp(
    agents: Annotated[Path, typer.Argument(help="A YAML file, a Python file or a folder.")],
    transport: Annotated[
        Transport, typer.Option(help="stdio, for a program that starts this one; or http.")
    ] = Transport.STDIO,
    host: Annotated[str | None, typer.Option(help="http: address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="http: port to listen on; 0 takes a free one.")] = None,
    tools_only: Annotated[
        bool, typer.Option("--tools-only/--agent", help="Serve the agents' tools, or the agents themselves.")
    ] = False,
    llm: Annotated[str | None, typer.Option(help=LLM_HELP)] = None,
    dev: Annotated[bool | None, typer.Option("--dev", help="http: no key; on a loopback address only.")] = None,
) -> None:
    """Serve agents, or only their tools, to MCP clients until these go away or ctrl-c."""
    from antiphon.cli.mcp import run_mcp

    over_http = transport is Transport.HTTP
    run_mcp(agents, over_http=over_http, host=host, port=port, tools_only=tools_only, llm=llm, dev=dev)


@app.command()
def replay(
    log: Annotated[Path, typer.Argument(help="The log of a call, log.jsonl, or the call's folder.")],
    recording: Annotated[Path | None, typer.Option(help="The recording; the one beside the log unless given.")] = None,
    audio: Annotated[bool, typer.Option(help="Hear the recording again too.")] = True,
    vad: Annotated[str | None, typer.Option(help="Another detector: silero or energy.")] = None,
    as_json: AsJson = False,
) -> None:
    """Take every decision of a recorded call again and compare; exit code 1 when something goes another way."""
    from antiphon.cli.replay import replay as run_replay

    run_replay(log, recording, audio, vad, as_json)


@app.command()
def report(
    call: Annotated[str, typer.Argument(help="A call's folder, its log.jsonl, or its id as /v1/calls lists it.")],
    as_json: AsJson = False,
) -> None:
    """Tell how long each stage of a call took, what it used, and what deserves a look."""
    from antiphon.cli.report import tell

    tell(call, as_json=as_json)


@app.command()
def version() -> None:
    """Print the version."""
    from antiphon import __version__

    typer.echo(__version__)


def _demo_agent() -> Any:
    from antiphon.demo.agent import agent

    return agent
