"""What sounds, where the server plays the answers itself: clients are told, and what was cut is truncated for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.calls.events import AgentSpeechCompleted, AgentSpeechInterrupted, CallEvent
from antiphon.transports.realtime.channel import Channel
from antiphon.transports.realtime.conversation import Conversation
from antiphon.wire.realtime import events

if TYPE_CHECKING:
    from antiphon.calls.speech import Speech
    from antiphon.transports.realtime.responses import Response


class Playback:
    """The responses that are heard now, the oldest of them first.

    Args:
        channel: Where events go.
        conversation: Holds the items of the responses.
    """

    def __init__(self, channel: Channel, conversation: Conversation) -> None:
        self._channel = channel
        self._conversation = conversation
        self._sounding: list[Response] = []
        self._speeches: dict[int, Response] = {}  # those that were begun and not heard to their end, by number

    def begin(self, response: Response, speech: Speech) -> None:
        """Sound of a speech leaves."""
        self._speeches[speech.number] = response
        if response not in self._sounding:
            self._sounding.append(response)
            self._channel.send(events.playback_started(response.id))

    def read(self, event: CallEvent) -> None:
        """Follow the call's log."""
        if isinstance(event, AgentSpeechCompleted):
            response = self._speeches.pop(event.speech, None)
            if response is not None:
                self.settle(response)
        elif isinstance(event, AgentSpeechInterrupted):
            self._speeches.pop(event.speech, None)

    def settle(self, response: Response) -> None:
        """Tell that a response was played, if it was and is done."""
        if response.is_done and response in self._sounding and response not in self._speeches.values():
            self._sounding.remove(response)
            self._channel.send(events.playback_stopped(response.id))

    def cut(self) -> None:
        """Nothing more is heard: tell it, and keep of each item what was played."""
        cut, self._sounding = self._sounding, []
        self._speeches.clear()
        for response in cut:
            self._channel.send(events.playback_cleared(response.id))
            for entry in response.entries:
                speech = entry.speech
                if speech is None or speech.over or self._conversation.find(entry.id) is not entry:
                    continue
                played_ms = min(entry.sent_ms, round(speech.played_s * 1000))
                kept_ms = self._conversation.truncate(entry.id, 0, played_ms)
                self._channel.send(events.item_truncated(entry.id, kept_ms))
