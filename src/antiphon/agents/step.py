"""One request of a run: what its answer brought."""

from __future__ import annotations

from antiphon.models.llm.content import Content, FunctionCall, Reasoning, Text, Usage
from antiphon.models.llm.contract import ChatDelta, FinishReason
from antiphon.models.llm.messages import Message


class Step:
    """Collects the deltas of one answer.

    Args:
        gap: The words that were told before end without a space: put one between.
        provider: Where the answer comes from, for its sealed thoughts.
        message_id: Of the message that comes of it.
    """

    __slots__ = (
        "_gap",
        "_provider",
        "_reasoning",
        "_spaced",
        "_texts",
        "calls",
        "contents",
        "finish",
        "message_id",
        "recorded",
        "usage",
    )

    def __init__(self, *, gap: bool = False, provider: str = "", message_id: str | None = None) -> None:
        self.calls: tuple[FunctionCall, ...] = ()
        self.contents: tuple[Content, ...] = ()
        self.finish: FinishReason | None = None
        self.usage = _NOTHING
        self.message_id = message_id
        self.recorded = False
        self._gap = gap
        self._provider = provider
        self._spaced = False
        self._texts: list[str] = []
        self._reasoning: list[str] = []

    @property
    def text(self) -> str:
        """The words of the answer."""
        return "".join(self._texts)

    @property
    def told(self) -> str:
        """The words as they are told: behind those of an earlier step with a space between."""
        return f" {self.text}" if self._spaced else self.text

    @property
    def has_text(self) -> bool:
        """Whether there are any."""
        return bool(self._texts)

    def take(self, delta: ChatDelta) -> str:
        """Note a delta; gives its words as they are told."""
        told = text = delta.text
        if text:
            self._texts.append(text)
            if self._gap:
                self._gap = False
                if not text[0].isspace():
                    self._spaced = True
                    told = f" {text}"
        if delta.finish_reason is not None:
            self.finish = delta.finish_reason
        if delta.calls:
            self.calls += delta.calls
        if delta.usage is not None:
            self.usage += delta.usage
        if delta.reasoning:
            self._reasoning.append(delta.reasoning)
        if delta.contents:
            self.contents += delta.contents
        return told

    def thought(self, text: str) -> Reasoning:
        """A piece of the model's thoughts, as it is told."""
        return Reasoning(text, provider=self._provider)

    def message(self, calls: tuple[FunctionCall, ...], author: str) -> Message:
        """The assistant message of this step."""
        self.recorded = True
        thoughts: tuple[Content, ...] = ()
        is_sealed = any(content.type == "text_reasoning" for content in self.contents)
        if self._reasoning and not is_sealed:
            thoughts = (Reasoning("".join(self._reasoning), provider=self._provider),)
        words: tuple[Content, ...] = (Text(self.text),) if self._texts else ()
        contents = (*thoughts, *self.contents, *words, *calls)
        return Message("assistant", contents, author_name=author, message_id=self.message_id)


_NOTHING = Usage()
