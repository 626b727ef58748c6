"""The fixed phrases of one call: what is said besides the model's own words."""

from __future__ import annotations

from collections.abc import Mapping

from antiphon.agents.agent import Agent
from antiphon.agents.instructions import template_values
from antiphon.agents.templates import render
from antiphon.calls.events import EndReason, SpeechKind
from antiphon.calls.policy import CallPolicy


class Wording:
    """Words for each occasion.

    Attributes:
        greeting: Said first; empty for none.
        policy: The phrases, as the agent that answers now has them.

    Args:
        policy: As the attribute.
        parameters: Values for the greeting's template.
    """

    def __init__(self, policy: CallPolicy, parameters: Mapping[str, str]) -> None:
        self.greeting = ""
        self.policy = policy
        self._parameters = parameters
        self._fillers_said = 0

    def render_greeting(self, agent: Agent) -> None:
        """Put the greeting of the agent that begins into words: the call's own where it brings one, as it is.

        Raises:
            ConfigurationError: Its template is wrong.
        """
        asked = self._parameters.get("greeting", "").strip()
        self.greeting = asked or render(agent.greeting, template_values(agent, self._parameters))

    def phrase(self, kind: SpeechKind, agent: Agent) -> str:
        """What this agent says now; fillers take turns."""
        if kind == "greeting":
            return self.greeting
        if kind == "filler":
            fillers = agent.fillers or self.policy.fillers
            self._fillers_said += 1
            return fillers[(self._fillers_said - 1) % len(fillers)]
        return self.policy.apology

    def reminder(self, count: int) -> str:
        """What is said when nobody has spoken for the ``count``-th time in this silence; empty for nothing."""
        reminders = self.policy.reminders
        return reminders[min(count, len(reminders)) - 1] if reminders else ""

    def goodbye(self, reason: EndReason) -> str:
        """What is said when the call ends for this reason; empty for nothing."""
        policy = self.policy
        texts: dict[EndReason, str] = {
            "agent_hangup": policy.goodbye,
            "voicemail": policy.voicemail_message,
            "idle_timeout": policy.idle_goodbye,
            "time_limit": policy.limit_goodbye,
            "drained": policy.limit_goodbye,
            "error": policy.failure_goodbye,
        }
        return texts.get(reason, "")
