"""What all MCP servers can be given: which of their tools are used, how, and what they may ask for themselves."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from antiphon.tools.tool import ApprovalMode

if TYPE_CHECKING:
    from mcp_types import CreateMessageRequestParams, CreateMessageResult

_NAME = re.compile(r"[A-Za-z0-9_-]{1,48}")
_MODES = ("auto", "legacy")


@dataclass(frozen=True, slots=True)
class Elicitation:
    """What a server asks a person while one of its tools runs.

    Attributes:
        server: The name of the server.
        message: The question.
        schema: JSON Schema of the answer; empty where a page is to be opened.
        url: The page that is to be opened, where it is not a form.
    """

    server: str
    message: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    url: str | None = None


OnElicitation = Callable[[Elicitation], Awaitable[Mapping[str, Any] | None]]
"""Answers an ``Elicitation`` with values by name; None declines."""
OnSampling = Callable[["CreateMessageRequestParams"], Awaitable["CreateMessageResult | str"]]
"""Answers a server that asks for a language model: with words, or with the result that the package defines."""
OnRoots = Callable[[], Awaitable[Sequence[str]]]
"""Gives the ``file:`` URIs of the folders that a server may work in."""


class MCPOptions(TypedDict, total=False):
    """The options that all MCP servers share; see ``MCPTool``."""

    allowed_tools: Sequence[str] | None
    tool_name_prefix: str | None
    approval: ApprovalMode | Mapping[str, ApprovalMode]
    timeout_s: float
    connect_timeout_s: float
    required: bool
    max_tools: int
    mode: Literal["auto", "legacy"]
    sampling: OnSampling | None
    elicitation: OnElicitation | None
    roots: OnRoots | None


@dataclass(frozen=True, slots=True)
class Options:
    """``MCPOptions``, checked.

    Raises:
        ValueError: One is out of its bounds.
    """

    name: str
    _: KW_ONLY
    allowed_tools: Sequence[str] | None = None
    tool_name_prefix: str | None = None
    approval: ApprovalMode | Mapping[str, ApprovalMode] = "never_require"
    timeout_s: float = 30.0
    connect_timeout_s: float = 5.0
    required: bool = False
    max_tools: int = 128
    mode: Literal["auto", "legacy"] = "auto"
    sampling: OnSampling | None = None
    elicitation: OnElicitation | None = None
    roots: OnRoots | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"The MCP server's name {self.name!r} needs 1 to 48 letters, digits, _ or -.")
        if not 0.05 <= self.timeout_s <= 300:
            raise ValueError(f"MCP server {self.name!r}: timeout_s is {self.timeout_s}; choose 0.05 to 300 seconds.")
        if not 0 < self.connect_timeout_s <= 60:
            raise ValueError(
                f"MCP server {self.name!r}: connect_timeout_s is {self.connect_timeout_s}; choose up to 60 seconds."
            )
        if not 1 <= self.max_tools <= 128:
            raise ValueError(f"MCP server {self.name!r}: max_tools is {self.max_tools}; choose 1 to 128.")
        if self.mode not in _MODES:
            raise ValueError(f"MCP server {self.name!r}: mode is {self.mode!r}; choose auto or legacy.")
        if isinstance(self.allowed_tools, str):
            raise ValueError(f"MCP server {self.name!r}: allowed_tools is a text; give a list of names.")

    @property
    def prefix(self) -> str:
        """What the names of the tools begin with."""
        return f"{self.name}_" if self.tool_name_prefix is None else self.tool_name_prefix
