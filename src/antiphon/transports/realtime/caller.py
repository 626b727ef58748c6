"""The caller's side of a session: sound in, turns of the call out as items and the events around them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from antiphon.audio.convert import to_pcm
from antiphon.calls.events import UserSpeechStarted
from antiphon.calls.floor import Heard
from antiphon.models.stt.contract import STT, Transcript
from antiphon.transports.realtime.channel import Channel
from antiphon.transports.realtime.conversation import PCM_BYTES_PER_MS, Conversation, Entry
from antiphon.transports.realtime.sound import CALL_AUDIO, Decoder
from antiphon.wire.realtime import events
from antiphon.wire.realtime.ids import new_id
from antiphon.wire.realtime.items import ContentPart, Item, item_object
from antiphon.wire.realtime.refusal import Refusal
from antiphon.wire.realtime.response import transcription_usage
from antiphon.wire.realtime.session import ServerVad, SessionConfig

if TYPE_CHECKING:
    from antiphon.calls.call import Call

_log = structlog.get_logger(__name__)

_PREFIX_MS = 300
_WORDS_S = 5.0
_STRICT_LEAST = CALL_AUDIO.frame_bytes(100)
_LOST = "The words could not be recognised."
_MOST_UNCOMMITTED_MS = 15 * 60 * 1000


class CallersSide:
    """What the caller says, as the client is told of it.

    Args:
        channel: Where events go.
        config: What is in effect.
        keep_bytes: The most sound of one turn that is kept to be retrieved.
        max_items: The most items of the conversation.
        strict: Whether a turn of less than 100 ms is refused, in place of an empty one.

    Attributes:
        config: Set by the session when it changes.
        conversation: The items of the session.
        call: Set before the first sound.
    """

    call: Call

    def __init__(
        self, channel: Channel, config: SessionConfig, *, keep_bytes: int, max_items: int, strict: bool
    ) -> None:
        self.config = config
        self.conversation = Conversation(self._turn_over, max_items=max_items)
        self._channel = channel
        self._keep_bytes = keep_bytes
        self._least = _STRICT_LEAST if strict else 1
        self._decoder = Decoder(config.input_format)
        self._received = 0  # bytes since the start, 24 kHz PCM
        self._buffer = bytearray()
        self._buffered = 0  # bytes since the last turn, kept or not
        self._is_full = False
        self._announced: str | None = None
        self._start_ms = 0
        self._is_lost = False  # the recogniser failed on the turn
        self._heard_s = 0.0
        self._told = 0  # of the words that the conversation's ``heard`` holds

    @property
    def received_ms(self) -> int:
        """Length of all sound so far."""
        return self._received // PCM_BYTES_PER_MS

    def take_heard_s(self) -> float:
        """Seconds of the caller's turns since this was asked last."""
        heard_s, self._heard_s = self._heard_s, 0.0
        return heard_s

    def decode(self, audio: bytes) -> bytes:
        """The client's sound in the call's format."""
        if self._decoder.wire != self.config.input_format:
            self._decoder = Decoder(self.config.input_format)
        return self._decoder.feed(audio)

    def hear(self, pcm: bytes) -> None:
        """Take sound in the call's format."""
        self._received += len(pcm)
        self._buffered += len(pcm)
        buffer = self._buffer
        buffer += pcm
        if len(buffer) > self._keep_bytes:
            del buffer[: len(buffer) - self._keep_bytes]
        if self._buffered > _MOST_UNCOMMITTED_MS * PCM_BYTES_PER_MS and not self._is_full and self._waits_for_commit:
            self._is_full = True
            message = "The input buffer holds 15 minutes that were not committed: the oldest sound is dropped."
            self._channel.send(events.error(Refusal("input_audio_buffer_full", message)))
        self.call.hear(pcm)

    @property
    def _waits_for_commit(self) -> bool:
        return self.config.turn_detection is None

    def commit(self, event_id: str | None) -> None:
        """The client ends the turn.

        Raises:
            Refusal: There is no sound to commit.
        """
        if self._waits_for_commit:
            self.hear(self._decoder.rest())
        if self._buffered < self._least:
            least_ms = self._least // PCM_BYTES_PER_MS
            message = f"The input buffer is too short to be committed: send at least {least_ms or 1} ms of sound."
            raise Refusal("input_audio_buffer_commit_empty", message, event_id=event_id)
        entry = self._entry()
        number = entry.utterance = self.call.utterance
        self._add(entry, self.conversation.commit(entry))
        self.call.commit()
        if self.call.utterance == number:  # the pause had asked for the words already
            entry.utterance = number - 1

    def clear(self) -> None:
        """The client throws away what was not committed."""
        self._forget()
        self._channel.send(events.audio_cleared())
        self.call.clear_input()

    # What the call tells.

    def speech_started(self, event: UserSpeechStarted) -> None:
        """The caller speaks."""
        if self._announced is not None:
            return
        detection = self.config.turn_detection
        ago_ms = max(0.0, self.call.log.seconds() - event.speech_at) * 1000
        prefix_ms = detection.prefix_padding_ms if isinstance(detection, ServerVad) else _PREFIX_MS
        self._start_ms = max(0, self.received_ms - round(ago_ms) - prefix_ms)
        waits = detection is not None and detection.interrupt_response and not isinstance(detection, ServerVad)
        if self.call.agent_is_silent or not waits:
            self.announce()

    def announce(self) -> None:
        """Tell that the caller speaks, unless that was told."""
        if self._announced is None:
            self._announced = new_id("item")
            self._channel.send(events.speech_started(self._announced, self._start_ms))
            self._tell_words()

    def heard(self, words: Heard) -> None:
        """Take final words of the caller; what the client has ended gets its own, the rest belong to the turn."""
        if not words.final:
            return
        entry = self.conversation.committed_with(words.utterance)
        if entry is None:
            self._is_lost |= words.failed
            self.conversation.heard += [words.text] if words.text else []
            self._tell_words()
            return
        entry.words += [words.text] if words.text else []
        if entry.utterance == words.utterance:
            self.words_known(entry, " ".join(entry.words), is_lost=words.failed)

    def _tell_words(self) -> None:
        if self.config.transcription is None or self._announced is None:
            return
        heard = self.conversation.heard
        for number in range(self._told, len(heard)):
            delta = f" {heard[number]}" if number else heard[number]
            self._channel.send(events.transcription_delta(self._announced, delta))
        self._told = len(heard)

    # Turns.

    def _turn_over(self, text: str) -> None:
        """The call has ended a turn, with new words: those of what the client has committed, and of the rest."""
        counted = self.conversation.count()
        for entry in counted:
            if entry.waits:
                words = " ".join(entry.words)
                self.words_known(entry, words or ("" if self._announced else text), is_lost=self._is_lost)
        if counted:
            text = " ".join(self.conversation.heard)
        if text or self._announced is not None:
            self._add_turn(text)

    def _add_turn(self, text: str) -> None:
        self.announce()
        assert self._announced is not None
        self._channel.send(events.speech_stopped(self._announced, self.received_ms))
        entry = self._entry()
        self._add(entry, self.conversation.add(entry))
        self.words_known(entry, text, is_lost=self._is_lost)
        self._is_lost = False

    def turn_dropped(self) -> None:
        """The caller's sound held no words: an item without any, and no answer."""
        self._turn_over("" if self._announced is None else " ".join(self.conversation.heard))
        self._is_lost = False
        self._forget_words()

    def _entry(self) -> Entry:
        """The item of the sound so far."""
        item_id = self._announced or new_id("item")
        seconds = CALL_AUDIO.seconds(self._buffered)
        if self._announced is not None:
            seconds = min(seconds, max(0, self.received_ms - self._start_ms) / 1000)
        self._heard_s += seconds
        size = int(seconds * 1000) * PCM_BYTES_PER_MS
        is_whole = size <= len(self._buffer)
        audio = bytes(self._buffer[-size:]) if is_whole and size else b""
        item = Item(item_id, "message", role="user", content=(ContentPart("input_audio"),))
        return Entry(item_id, item, audio=audio, words=self.conversation.heard.copy())

    def _add(self, entry: Entry, previous: str | None) -> None:
        assert entry.item is not None
        item = item_object(entry.item)
        self._channel.send(events.audio_committed(entry.id, previous))
        self._channel.send(events.item_added(item, previous))
        self._channel.send(events.item_done(item, previous))
        self._forget()

    def _forget_words(self) -> None:
        self.conversation.heard.clear()
        self._told = 0

    def _forget(self) -> None:
        self._forget_words()
        self._announced = None
        self._start_ms = self.received_ms
        self._buffer.clear()
        self._buffered = 0
        self._is_full = False

    def time_out(self) -> None:
        """The caller said nothing for the session's idle timeout: an item without sound."""
        item_id = new_id("item")
        end_ms = self.received_ms
        self._channel.send(events.timeout_triggered(item_id, audio_start_ms=end_ms, audio_end_ms=end_ms))
        item = Item(item_id, "message", role="user", content=(ContentPart("input_audio"),))
        entry = Entry(item_id, item)
        self._add(entry, self.conversation.add(entry))
        self.words_known(entry, "")

    async def transcribe(self, entry: Entry, stt: STT, *, language: str | None) -> None:
        """Have the words of an item's sound recognised; they are lost where that fails or takes too long."""
        words: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

        def take(transcript: Transcript) -> None:
            if transcript.is_final and not words.done():
                words.set_result(transcript.text.strip())

        def fail(_error: Exception) -> None:
            if not words.done():
                words.set_result(None)

        stream = stt.open(CALL_AUDIO.rate_hz, take, fail, language=language)
        text: str | None = None
        try:
            stream.feed(to_pcm(entry.audio, CALL_AUDIO))
            stream.finish()
            async with asyncio.timeout(_WORDS_S):
                text = await words
        except TimeoutError:
            _log.warning("transcription_timed_out", item_id=entry.id)
        finally:
            await stream.aclose()
        if entry.waits:
            self.words_known(entry, text or "", is_lost=text is None)

    def words_known(self, entry: Entry, text: str, *, is_lost: bool = False) -> None:
        """The words of an item's sound are known, or will never be."""
        assert entry.item is not None
        index = next(n for n, part in enumerate(entry.item.content) if part.type == "input_audio")
        self.conversation.set_words(entry, text)
        if self.config.transcription is None or self.conversation.find(entry.id) is not entry:
            return
        if is_lost and not text:
            told = events.transcription_failed(entry.id, code="stt_unavailable", message=_LOST, content_index=index)
        else:
            usage = transcription_usage(round(CALL_AUDIO.seconds(len(entry.audio)), 3))
            told = events.transcription_completed(entry.id, text, usage=usage, content_index=index)
        self._channel.send(told)
