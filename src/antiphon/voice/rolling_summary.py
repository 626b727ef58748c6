"""Keeps a long conversation short: older turns give way to one item with a synopsis and the facts.

All or nothing: the new item stands before the old ones go, on the service and in the local history. Whatever fails
on the way leaves the conversation as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from uuid import uuid4

from antiphon.clock import Clock, WallClock
from antiphon.errors import AntiphonException
from antiphon.logs import Log
from antiphon.realtime.client import RealtimeClient
from antiphon.realtime.conversation import Turn
from antiphon.realtime.errors import NotConnected, RequestRefused
from antiphon.realtime.incoming import ServerEvent
from antiphon.voice.facts import FactsSheet
from antiphon.voice.language import ConversationLanguage
from antiphon.voice.summaries import NullSummarizer, Summarizer, SummaryPolicy, SummaryRequest, SummaryResult, line_of

QUIET_S = 5.0
CONFIRM_S = 5.0
LOOK_AGAIN_S = 1.0
TRIGGERS = (
    "response.done",
    "conversation.item.added",
    "conversation.item.retrieved",
    "conversation.item.input_audio_transcription.completed",
    "conversation.item.input_audio_transcription.failed",
)
_GONE = "item_delete_invalid_item_id"

_log = Log(__name__)


class RollingSummary:
    """Watches one conversation, and summarises it when its policy says so.

    Args:
        client: The conversation.
        summarizer: Who writes; with ``NullSummarizer`` the history grows, and that is said once.
        policy: When and what.
        facts: The sheet that summaries extend.
        language: Of the synopsis.
        redact: Takes personal data out of what the summarizer reads.
        on_changed: Called when synopsis or facts are new, such as to save them.
        clock: Wall time unless given.
    """

    def __init__(
        self,
        client: RealtimeClient,
        summarizer: Summarizer,
        *,
        policy: SummaryPolicy,
        facts: FactsSheet,
        language: ConversationLanguage,
        redact: Callable[[str], str] = lambda text: text,
        on_changed: Callable[[], None] = lambda: None,
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._summarizer = summarizer
        self._policy = policy
        self._facts = facts
        self._language = language
        self._redact = redact
        self._on_changed = on_changed
        self._clock = clock or WallClock()
        self._wake = asyncio.Event()
        self._tried_at: float | None = None
        self._failures = 0
        self._was_deferred = False
        self._has_warned = False

    async def run(self) -> None:
        """Look after the conversation until cancelled."""
        self._client.on(TRIGGERS, self._look)
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.check()

    async def check(self) -> None:
        """Summarise if it is due."""
        turns = self._turns()
        tokens = max(self._client.conversation.latest_tokens, self._client.conversation.peak_tokens)
        now_s = self._clock.now()
        waited_s = now_s - self._tried_at if self._tried_at is not None else float("inf")
        if not self._policy.is_due(turns=len(turns), tokens=tokens, waited_s=waited_s, failures=self._failures):
            return
        if isinstance(self._summarizer, NullSummarizer):
            if not self._has_warned:
                self._has_warned = True
                _log.warning("history grows without summaries", tokens_total=tokens)
            return
        pruned = self._policy.pruned(turns)
        if not pruned:
            return
        if any(turn.transcript_state == "pending" for turn in pruned):
            if not self._was_deferred:  # Counted once for each wait, not for each event meanwhile.
                self._was_deferred = True
                self._count("deferred")
            # The client may give the words up, and no event tells that.
            self._clock.call_at(now_s + LOOK_AGAIN_S, self._wake.set)
            return
        self._was_deferred = False
        self._tried_at = now_s
        await self._summarise(pruned)

    async def begin(self, synopsis: str) -> None:
        """Tell a new conversation what is known from earlier ones.

        Args:
            synopsis: Of the last conversation; may be empty.
        """
        self._client.conversation.synopsis = synopsis
        if synopsis or len(self._facts):
            try:
                self._client.conversation.summary_item_id = await self._create(synopsis)
            except (AntiphonException, TimeoutError) as error:
                _log.warning("memory not told", error_code=type(error).__name__)

    def _look(self, event: ServerEvent) -> None:
        self._wake.set()

    def _turns(self) -> list[Turn]:
        return [turn for turn in self._client.conversation.turns if turn.role != "system"]

    async def _summarise(self, pruned: Sequence[Turn]) -> None:
        conversation = self._client.conversation
        began_s, connections = self._clock.now(), self._connections()
        conversation.summarising = True
        try:
            request = SummaryRequest(
                self._redact(conversation.synopsis),
                self._redact(self._facts.text),
                self._language.current,
                [self._redact(line_of(turn)) for turn in pruned],
            )
            result = await self._summarizer.summarize(request)
            outcome = await self._apply(result, pruned, connections)
        except (AntiphonException, TimeoutError) as error:
            _log.warning("summary failed", error_code=getattr(error, "code", "timeout"))
            outcome = "failed"
        except Exception:  # the root of somebody else's summarizer: whatever it raises must not end the conversation
            _log.exception("summary failed")
            outcome = "failed"
        finally:
            conversation.summarising = False
        self._failures = self._failures + 1 if outcome == "failed" else 0
        self._count(outcome)
        self._client.metrics.observe("summary_ms", (self._clock.now() - began_s) * 1000)

    async def _apply(self, result: SummaryResult, pruned: Sequence[Turn], connections: int) -> str:
        """Put the new item in the place of the old ones; gives the outcome."""
        conversation = self._client.conversation
        await self._quiet()
        known = all(conversation.turn(turn.item_id) is turn for turn in pruned)
        if not known or self._connections() != connections or not self._client.connected:
            return "stale"
        facts = FactsSheet(self._facts.facts)
        facts.take(result.set, result.remove, at=self._clock.utc())
        former = conversation.summary_item_id
        summary_id = await self._create(result.synopsis, facts)
        # From here on it holds: a connection that is lost now is told the new history.
        self._facts.take(result.set, result.remove, at=self._clock.utc())
        conversation.synopsis, conversation.summary_item_id = result.synopsis, summary_id
        conversation.summary_count += 1
        conversation.latest_tokens = 0  # It measures what is gone; the next response tells anew.
        conversation.forget_peak()
        gone = [item_id for turn in pruned for item_id in _items_of(turn)]
        for item_id in ([former] if former else []) + gone:
            conversation.take(ServerEvent("conversation.item.deleted", {"item_id": item_id}, self._clock.now()))
        self._on_changed()
        for item_id in ([former] if former else []) + gone:
            await self._delete(item_id)
        _log.info("summarised", turns=len(pruned), language=self._language.current)
        return "ok"

    async def _quiet(self) -> None:
        """Wait for a moment without an answer in the making, but not for long."""
        if self._client.response_active:
            try:
                await self._client.wait_for(
                    "response.done", QUIET_S, where=lambda event: not self._client.response_active
                )
            except TimeoutError:
                _log.debug("summary during an answer")

    async def _create(self, synopsis: str, facts: FactsSheet | None = None) -> str:
        """Make the item that stands first. It is there when this returns.

        Raises:
            AntiphonException: The service refuses it, or is gone.
            TimeoutError: It does not confirm it.
        """
        sheet = (self._facts if facts is None else facts).text
        item_id = f"sum_{uuid4().hex[:12]}"
        text = f"Synopsis: {synopsis or 'none'}\nFacts: {sheet or 'none'}"
        item = {"id": item_id, "type": "message", "role": "system", "content": [{"type": "input_text", "text": text}]}
        event = {"type": "conversation.item.create", "item": item, "previous_item_id": "root"}
        try:
            await self._client.request(
                event, "conversation.item.added", timeout_s=CONFIRM_S, where=lambda added: added.item_id == item_id
            )
        except TimeoutError:
            await self._delete(item_id)  # It may come late.
            raise
        return item_id

    async def _delete(self, item_id: str) -> None:
        """Remove an item from the service's history, which may have lost it already."""
        event = {"type": "conversation.item.delete", "item_id": item_id}
        for _ in range(2):
            try:
                await self._client.request(
                    event,
                    "conversation.item.deleted",
                    timeout_s=CONFIRM_S,
                    where=lambda deleted: deleted.item_id == item_id,
                )
                return
            except RequestRefused as error:
                if error.code == _GONE:
                    return
                _log.warning("summarised item not deleted", item_id=item_id, error_code=error.code)
            except NotConnected:
                return  # The next connection is told the new history.
            except TimeoutError:
                _log.warning("summarised item not deleted", item_id=item_id, error_code="timeout")

    def _connections(self) -> int:
        metrics = self._client.metrics
        return metrics.total("reconnections_total") + metrics.total("renewals_total")

    def _count(self, outcome: str) -> None:
        self._client.metrics.count("summaries_total", outcome=outcome)


def _items_of(turn: Turn) -> list[str]:
    """The turn's own item, its calls and their outputs."""
    calls = [item_id for call in turn.calls for item_id in (call.item_id, call.output_item_id) if item_id]
    return [turn.item_id, *calls]
