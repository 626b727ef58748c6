"""The commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from antiphon.cli.voice.exits import SCENARIO, told

InputDevice = Annotated[str | None, typer.Option(help="Microphone: its number or a part of its name.")]
OutputDevice = Annotated[str | None, typer.Option(help="Loudspeaker: its number or a part of its name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

voice_app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Talk with an agent, or with any Realtime service, by microphone and loudspeaker.",
)
devices_app = typer.Typer(no_args_is_help=True, help="Microphones and loudspeakers of this machine.")
summary_app = typer.Typer(no_args_is_help=True, help="What is remembered from one conversation to the next.")
voice_app.add_typer(devices_app, name="devices")
voice_app.add_typer(summary_app, name="summary")


@voice_app.command()
def run(
    target: Annotated[
        str | None,
        typer.Argument(help="A YAML file, a Python file, a folder, or ws://HOST/v1; the demo agent unless given."),
    ] = None,
    provider: Annotated[str | None, typer.Option(help="openai, azure or antiphon.")] = None,
    model: Annotated[str | None, typer.Option(help="The service's model; of Antiphon the agent's name.")] = None,
    voice: Annotated[str | None, typer.Option(help="The service's name of a voice.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Address of the Azure resource.")] = None,
    deployment: Annotated[str | None, typer.Option(help="Azure's deployment.")] = None,
    api_version: Annotated[str | None, typer.Option(help="Azure's dated version, for older resources.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Address of the service.")] = None,
    input_device: InputDevice = None,
    output_device: OutputDevice = None,
    input_file: Annotated[Path | None, typer.Option(help="A WAV in the place of the microphone.")] = None,
    output_file: Annotated[Path | None, typer.Option(help="A WAV in the place of the loudspeaker.")] = None,
    summary_threshold: Annotated[int | None, typer.Option(help="Tokens that make a summary due.")] = None,
    language_policy: Annotated[str | None, typer.Option(help="Language of summaries: auto, en or force.")] = None,
    language: Annotated[
        str | None, typer.Option(help="A language tag such as de, for --language-policy force.")
    ] = None,
    turn_detection: Annotated[
        str | None, typer.Option(help="semantic_vad, server_vad, or none: press Enter when you have spoken.")
    ] = None,
    echo_mode: Annotated[str | None, typer.Option(help="duplex, half or raw.")] = None,
    llm: Annotated[str | None, typer.Option(help="Language model of the agents that are served here.")] = None,
    no_tools: Annotated[bool, typer.Option("--no-tools", help="Offer the model no functions of this program.")] = False,
    text: Annotated[bool, typer.Option("--text", help="Write in place of speaking: one message a line.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the settings, without keys.")] = False,
    json_logs: Annotated[bool, typer.Option("--json-logs", help="Log one JSON object a line.")] = False,
) -> None:
    """Talk with an agent by microphone and loudspeaker until ctrl-c."""
    from antiphon.cli.voice.talk import RunOptions, run_voice

    settings: dict[str, Any] = {
        "provider": provider,
        "realtime_model": model,
        "voice_name": voice,
        "azure_openai_endpoint": endpoint,
        "azure_openai_deployment": deployment if deployment is not None else model if provider == "azure" else None,
        "azure_openai_api_version": api_version,
        "openai_base_url": base_url,
        "input_device_id": input_device,
        "output_device_id": output_device,
        "audio_backend": "file" if input_file is not None or output_file is not None else None,
        "input_file": input_file,
        "output_file": output_file,
        "summary_trigger_tokens": summary_threshold,
        "language_policy": language_policy,
        "language": language,
        "turn_detection": turn_detection,
        "echo_mode": echo_mode,
        "tools": () if no_tools else None,
        "log_format": "json" if json_logs else None,
    }
    with told():
        run_voice(target, settings, RunOptions(is_text=text, verbose=verbose, llm=llm))


@devices_app.command("list")
def devices_list(as_json: AsJson = False) -> None:
    """List microphones and loudspeakers."""
    from antiphon.cli.voice.devices import show_devices

    with told():
        show_devices(as_json=as_json)


@devices_app.command("test")
def devices_test(input_device: InputDevice = None, output_device: OutputDevice = None) -> None:
    """Play a tone, and show for five seconds how loud the microphone is."""
    from antiphon.cli.voice.devices import try_devices

    with told():
        try_devices(input_device, output_device)


@voice_app.command("test")
def self_test(
    fake_server: Annotated[
        bool, typer.Option("--fake-server", help="Against a scripted server on this machine: no key, no device.")
    ] = False,
    scenario: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Try the whole program on built-in conversations, over a real loopback socket."""
    from antiphon.cli.voice.scenario_run import run_scenarios
    from antiphon.errors import ConfigurationError

    with told():
        if not fake_server:
            raise ConfigurationError("Add --fake-server: these scenarios need the scripted server.")
        if not run_scenarios(scenario, as_json=as_json):
            raise typer.Exit(SCENARIO)


@summary_app.command("show")
def summary_show(
    memory: Annotated[Path | None, typer.Option(help="The memory's file; MEMORY_PATH unless given.")] = None,
) -> None:
    """Print the synopsis of the last conversation, and the facts."""
    from antiphon.cli.voice.memory import show_memory

    with told():
        show_memory(memory)
