"""``antiphon chat``: talk with an agent in text."""

from antiphon.cli.chat.command import run_chat

__all__ = ["run_chat"]
