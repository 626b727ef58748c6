"""What people see when the server starts: how far the weights are, and what to do next."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table

from antiphon import __version__
from antiphon.models.weights import store
from antiphon.server.switchboard import Switchboard
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


def start_text(board: Switchboard, port: int) -> RenderableType:
    """Where the server is, who answers, and how to go on."""
    settings = board.settings
    models = board.models
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{host}:{port}"
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold", no_wrap=True)
    rows.add_column(overflow="fold")
    rows.add_row("answers", escape(", ".join(agent.name for agent in board.agents.agents)))
    rows.add_row("sockets", "\n".join(f"ws://{address}/telephony/{carrier}" for carrier in CODECS))
    rows.add_row("webhooks", "\n".join(f"http://{address}/telephony/{carrier}/voice" for carrier in CODECS))
    if models is not None:
        rows.add_row("models", " · ".join(f"{role} {escape(name)}" for role, name in models.names().items()))
        if models.llm.notice:
            rows.add_row("note", escape(models.llm.notice))
    if settings.llm == "embedded" and settings.models == "default":
        rows.add_row("a real model", _real_model(board))
    if settings.dev:
        rows.add_row("open", "--dev: everyone on this machine may call, nobody else can")
    key = f" --key {board.own_key}" if board.own_key else ""
    rows.add_row("try it", f"antiphon call ws://{address}/telephony/twilio --say YOUR.wav{key}")
    if board.own_key:
        rows.add_row("key", "made for this run, since ANTIPHON_API_KEYS is not set")
    grid = Table.grid()
    grid.add_row(f"[bold]Antiphon {__version__}[/] on [bold]http://{address}[/], ctrl-c ends it")
    grid.add_row(rows)
    return grid


def _real_model(board: Switchboard) -> str:
    if board.settings.openai_api_key is not None or board.settings.openai_base_url is not None:
        return "OPENAI_API_KEY or OPENAI_BASE_URL is set and not used yet: add --llm openai/gpt-4o-mini"
    return "OPENAI_API_KEY=… antiphon serve --llm openai/gpt-4o-mini (or OPENAI_BASE_URL for any compatible endpoint)"
