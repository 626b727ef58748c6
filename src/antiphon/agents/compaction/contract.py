"""The contract of a compaction strategy: a view of the conversation at once, learning in the background."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from antiphon.models.llm.messages import Message


class Compaction(Protocol):
    """Makes a view of a conversation that a model can take. One object serves all sessions of an agent.

    No strategy tears a call from its results. None drops a pinned message, a system message, the turns that it
    promises to keep, or the turn that runs.

    ``state`` belongs to one session and holds JSON values only: ``summary`` and ``facts`` with the messages that they
    cover, and ``max_tokens``, the limit that the last view was made for.

    Read where a strategy has it, and not asked for otherwise: ``note_usage(estimated, real)``, told after a request
    what the provider counted. A ``__repr__`` that names its settings makes them part of ``agent.version``.
    """

    def view(self, messages: Sequence[Message], *, max_tokens: int | None, state: dict[str, Any]) -> list[Message]:
        """What to send of a conversation. Asks nobody and changes no message.

        Args:
            messages: The conversation without the agent's instructions.
            max_tokens: What the model can take; None when that is not known.
            state: The session's.

        Returns:
            A list of its own: the same messages where they fit. Summaries and facts are system messages at its front.
        """
        ...

    async def learn(self, messages: Sequence[Message], *, state: dict[str, Any]) -> None:
        """Prepare later views; after a run, in the background. A model that fails is logged and costs nothing else.

        Args:
            messages: The conversation.
            state: The session's; results go here.
        """
        ...
