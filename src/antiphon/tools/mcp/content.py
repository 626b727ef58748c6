"""What a server's tool gave, as contents that a model reads."""

from __future__ import annotations

import re

import msgspec
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from antiphon.errors import ToolException
from antiphon.models.llm.content import Media, Text

MAX_MEDIA_CHARS = 16 * 1024 * 1024
"""Of all base64 in one result; what is beyond it is left out, and the model reads that."""

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9.+-]{1,60}/[A-Za-z0-9.+-]{1,120}")


def contents_of(result: CallToolResult) -> list[Text | Media] | str:
    """The contents of a result: structured data only where it is all that there is, since most servers send it twice.

    Returns:
        Contents; an empty text where the tool gave nothing.

    Raises:
        ToolException: The tool failed; the text is the server's.
    """
    found: list[Text | Media] = []
    room = MAX_MEDIA_CHARS
    for block in result.content:
        made = _content(block)
        if isinstance(made, Media):
            room -= len(made.uri)
            if room < 0:
                made = Text(text=f"[{made.media_type} left out: it is too large]")
        found.append(made)
    if not found and result.structured_content is not None:
        found.append(Text(text=msgspec.json.encode(result.structured_content).decode()))
    if result.is_error:
        raise ToolException("\n".join(one.text for one in found if isinstance(one, Text)) or "The tool failed.")
    return found or ""


def _content(block: ContentBlock) -> Text | Media:
    match block:
        case TextContent():
            return Text(text=block.text)
        case ImageContent() | AudioContent():
            return _inline(block.data, block.mime_type)
        case EmbeddedResource(resource=TextResourceContents() as resource):
            return Text(text=resource.text)
        case EmbeddedResource(resource=BlobResourceContents() as resource):
            return _inline(resource.blob, resource.mime_type, str(resource.uri))
        case ResourceLink():
            # Not as media: whoever shows those to a model would fetch what the server names.
            about = f": {block.description}" if block.description else ""
            return Text(text=f"{block.title or block.name} <{block.uri}>{about}")
        case _:
            return Text(text=f"[content of type {block.type} left out]")


def _inline(data: str, media_type: str | None, name: str | None = None) -> Media:
    kind = media_type if media_type and _MEDIA_TYPE.fullmatch(media_type) else "application/octet-stream"
    return Media(uri=f"data:{kind};base64,{data}", media_type=kind, name=name)
