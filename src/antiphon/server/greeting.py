"""What people see when the server starts: how far the weights are, and what to do next."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.text import Text

from antiphon import __version__
from antiphon.models.weights import store
from antiphon.server.agents import AgentBook
from antiphon.server.switchboard import Switchboard
from antiphon.server.telephony import DOCUMENTS
from antiphon.wire.table import CODECS


class PullBar:
    """Shows how weights are fetched; appears with the first one that is."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=console
        )
        self._rows: dict[str, TaskID] = {}

    def __call__(self, progress: store.Progress) -> None:
        """Note how far a weight is."""
        if not self._rows:
            self._bar.start()
        if progress.name not in self._rows:
            self._rows[progress.name] = self._bar.add_task(progress.name, total=progress.total_bytes)
        self._bar.update(self._rows[progress.name], completed=progress.done_bytes)
        if progress.note:
            self._bar.console.print(escape(progress.note), style="dim")

    def close(self) -> None:
        """Leave the screen as it is."""
        if self._rows:
            self._bar.stop()


def print_start(console: Console, board: Switchboard, port: int) -> None:
    """Print where the server is, who answers, and how to go on."""
    settings = board.settings
    models = board.models
    address = f"[{settings.host}]:{port}" if ":" in settings.host else f"{settings.host}:{port}"
    names = [agent.name for agent in board.agents.agents]
    rows = [("talk", f"http://{address}/ in a browser"), ("answers", ", ".join(names))]
    rows.append(("scenario", _scenarios(board.agents)))
    if settings.realtime_enabled:
        rows.append(("realtime", f"ws://{address}/v1/realtime?model={names[0]}"))
    rows.append(("phones", f"ws://{address}/telephony/{{{','.join(CODECS)}}}"))
    rows.append(("webhooks", f"http://{address}/telephony/{{{','.join(DOCUMENTS)}}}/voice"))
    if models is not None:
        rows.append(("models", " · ".join(f"{role} {name}" for role, name in models.names().items())))
        rows.append(("note", models.llm.notice or ""))
    if settings.llm == "embedded" and settings.models == "default":
        rows.append(("a real model", _real_model(board)))
    rows.append(("open", "--dev: everyone on this machine may call, nobody else can" if settings.dev else ""))
    rows.append(("key", f"{board.own_key} for this run, since ANTIPHON_API_KEYS is not set" if board.own_key else ""))
    key = f" --key {board.own_key}" if board.own_key else ""
    rows.append(("try it", f"antiphon call ws://{address}/telephony/twilio --say YOUR.wav{key}"))
    console.print(Text(f"Antiphon {__version__} on http://{address}, ctrl-c ends it", style="bold"), soft_wrap=True)
    for name, text in rows:
        if text:  # Not in a table: a command that is broken into lines cannot be copied.
            console.print(Text.assemble((f"{name:<14}", "bold"), text), soft_wrap=True)


def _scenarios(agents: AgentBook) -> str:
    """The scenario that holds, and those that calls may choose instead; empty where there is none."""
    chosen = agents.scenario
    others = ", ".join(each.name for each in agents.scenarios if each is not chosen)
    parts = (chosen.name if chosen is not None else "", f"calls may choose {others}" if others else "")
    return "; ".join(part for part in parts if part)


def _real_model(board: Switchboard) -> str:
    if board.settings.openai_api_key is not None or board.settings.openai_base_url is not None:
        return "OPENAI_API_KEY or OPENAI_BASE_URL is set and not used yet: add --llm openai/gpt-4o-mini"
    return "OPENAI_API_KEY=… antiphon serve --llm openai/gpt-4o-mini (or OPENAI_BASE_URL for any compatible endpoint)"
