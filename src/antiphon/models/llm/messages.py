"""Messages: the entries of a conversation, as agents keep them and models get them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec.structs import force_setattr, replace

from antiphon.errors import AgentInvalidRequestException
from antiphon.models.llm.content import (
    Content,
    FunctionCall,
    FunctionResult,
    Text,
    content_from_dict,
    content_to_dict,
)

Role = Literal["system", "user", "assistant", "tool"]
MAX_TEXT_BYTES = 1024 * 1024

Contents = str | Content | Iterable[Content]


class Message(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """One entry of a conversation: ``Message("user", "Hello.")``. Never changes once made.

    Args:
        role: Who says it.
        contents: Text, one content, or several.
        author_name: The agent that said it.
        message_id: ``msg_`` and 24 digits; a session gives one.
        created_at: ISO time; a session gives it.
        interrupted: The caller cut it; ``contents`` is what was heard.
        generated_text: Of an interrupted message: all that the model wrote.
        spoken_text: Of an interrupted message: what the voice had made.
        pinned: No compaction drops it.
        additional_properties: Free; values that JSON can hold.
    """

    role: Role
    contents: tuple[Content, ...] = ()
    author_name: str | None = None
    message_id: str | None = None
    created_at: str | None = None
    interrupted: bool = False
    generated_text: str | None = None
    spoken_text: str | None = None
    pinned: bool = False
    additional_properties: dict[str, Any] = {}

    if TYPE_CHECKING:

        def __init__(
            self,
            role: Role,
            contents: Contents = (),
            *,
            author_name: str | None = None,
            message_id: str | None = None,
            created_at: str | None = None,
            interrupted: bool = False,
            generated_text: str | None = None,
            spoken_text: str | None = None,
            pinned: bool = False,
            additional_properties: Mapping[str, Any] | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        if type(self.contents) is not tuple:
            force_setattr(self, "contents", _as_contents(self.contents))

    @property
    def text(self) -> str:
        """The words: of a text, of sound as far as it was heard, of a tool's result."""
        contents = self.contents
        if len(contents) == 1:
            return _words(contents[0])
        return "".join([_words(content) for content in contents])

    @property
    def calls(self) -> tuple[FunctionCall, ...]:
        """The tool calls of an assistant message."""
        return tuple([content for content in self.contents if content.type == "function_call"])

    @property
    def result(self) -> FunctionResult | None:
        """The result that a tool message carries."""
        return next((content for content in self.contents if content.type == "function_result"), None)

    def replace(self, **changes: Any) -> Message:
        """A copy with other values."""
        return replace(self, **changes)

    def with_text(self, text: str) -> Message:
        """A copy with these words in the place of its own; calls, results and the rest stay behind them."""
        rest = tuple(content for content in self.contents if content.type not in ("text", "audio"))
        return self.replace(contents=(Text(text), *rest) if text else rest)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; what has its default is left out."""
        values = {name: value for name in _OPTIONAL if (value := getattr(self, name)) or value == ""}
        return {"role": self.role, "contents": [content_to_dict(content) for content in self.contents], **values}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Message:
        """A message from its JSON form; keys that are not known go to ``additional_properties``.

        Raises:
            ValueError: It is none.
        """
        role = fields.get("role")
        if role not in ("system", "user", "assistant", "tool"):
            raise ValueError(f"A message's role is system, user, assistant or tool, not {role!r}.")
        given = fields.get("contents", ())
        contents = given if isinstance(given, str) else [content_from_dict(content) for content in given]
        known = {name: fields[name] for name in _OPTIONAL if name in fields}
        more = {key: value for key, value in fields.items() if key not in _FIELDS}
        if more:
            known["additional_properties"] = {**known.get("additional_properties", {}), **more}
        return cls(role, contents, **known)


_FIELDS = Message.__struct_fields__
_OPTIONAL = _FIELDS[2:]


def tool_message(result: FunctionResult) -> Message:
    """The message that carries a call's result."""
    return Message("tool", (result,))


def as_messages(given: str | Message | Content | Iterable[Message | Content | str]) -> list[Message]:
    """What a user may pass for messages, as messages: words and contents are the user's.

    Raises:
        AgentInvalidRequestException: One has more than 1 MiB of text.
    """
    if isinstance(given, Message):
        return [_checked(given)]
    if isinstance(given, str):
        return [_checked(Message("user", given))]
    if not isinstance(given, Iterable):
        return [tool_message(given) if given.type == "function_result" else Message("user", given)]
    messages: list[Message] = []
    for item in given:
        if isinstance(item, Message):
            messages.append(_checked(item))
        else:
            messages += as_messages(item)
    return messages


def _checked(message: Message) -> Message:
    contents = message.contents
    if len(contents) == 1 and contents[0].type == "text" and len(contents[0].text) * 4 <= MAX_TEXT_BYTES:
        return message
    text = message.text
    if len(text) * 4 > MAX_TEXT_BYTES and len(text.encode(errors="replace")) > MAX_TEXT_BYTES:
        raise AgentInvalidRequestException(
            f"A message of {len(text)} characters is too long: at most {MAX_TEXT_BYTES} bytes of text are taken. Send "
            "it in parts, or give it to the agent as a tool's result.",
            code="input_invalid",
        )
    return message


def _as_contents(contents: Contents) -> tuple[Content, ...]:
    if isinstance(contents, str):
        return (Text(contents),) if contents else ()
    return tuple(contents) if isinstance(contents, Iterable) else (contents,)


def _words(content: Content) -> str:
    if content.type == "text" or content.type == "function_result":
        return content.text
    return content.words if content.type == "audio" else ""
