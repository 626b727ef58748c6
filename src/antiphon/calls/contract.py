"""A call as those see it who own its line: whoever hears, thinks and speaks in it."""

from __future__ import annotations

from typing import Protocol

from antiphon.agents.agent import Agent
from antiphon.agents.session import AgentSession
from antiphon.calls.events import CallEvent, EndReason, SessionEnded
from antiphon.calls.history import History
from antiphon.calls.log import CallLog
from antiphon.calls.recording import CallRecording
from antiphon.calls.sounds import CallSounds
from antiphon.models.llm.content import ApprovalResponse
from antiphon.tools.transfer import Transfer


class AnyCall(Protocol):
    """``Call``, which hears, thinks and speaks by three models, or ``S2SCall``, which does it all by one."""

    log: CallLog
    history: History
    sounds: CallSounds
    """Files that are played, what is heard behind the agent, and music on hold."""

    @property
    def recording(self) -> CallRecording:
        """What is kept of the sound, and pauses of that."""
        ...

    @property
    def agent(self) -> Agent:
        """Who answers now."""
        ...

    @property
    def session(self) -> AgentSession:
        """What the conversation's tools and approvals keep."""
        ...

    @property
    def caller_has_floor(self) -> bool:
        """Whether it is the caller's turn, which has begun."""
        ...

    @property
    def agent_is_silent(self) -> bool:
        """Whether nothing of the agent is owed or heard."""
        ...

    async def run(self) -> SessionEnded:
        """Be the call, until it is over. Raises nothing but ``CancelledError``."""
        ...

    def hear(self, payload: bytes) -> None:
        """Take a frame of the caller, in the line's format."""
        ...

    def mark_played(self, name: str) -> None:
        """The line has played up to this mark."""
        ...

    def line_cleared(self) -> None:
        """The line has dropped what it still held."""
        ...

    def digit(self, digit: str) -> None:
        """A key was pressed."""
        ...

    def commit(self) -> None:
        """The line says that the caller's turn is over."""
        ...

    def listen_for(self, language: str) -> None:
        """The caller speaks another language, from the next utterance on."""
        ...

    def line_lost(self, reason: EndReason = "user_hangup") -> None:
        """The other side ended, or the connection died."""
        ...

    def end(self, reason: EndReason) -> None:
        """End the call from our side, with the goodbye that fits."""
        ...

    def say(self, text: str) -> None:
        """Say this behind what is being said, and not while the caller has the floor."""
        ...

    def press(self, keys: str) -> None:
        """Press keys of the telephone."""
        ...

    def transfer(self, transfer: Transfer) -> None:
        """Bring the caller to somebody else, behind what is being said; then the call is over."""
        ...

    def tell(self, event: CallEvent) -> None:
        """Write something that happened around the call into its log, while it is on."""
        ...

    def decide(self, response: ApprovalResponse) -> None:
        """Answer a ``ToolApprovalRequested``."""
        ...
