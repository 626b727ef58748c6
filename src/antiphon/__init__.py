"""Antiphon: an open, self-hosted platform for real-time voice agents.

    from antiphon import Agent, tool

Names load when they are first used, so that ``import antiphon`` stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent as Agent
    from antiphon.agents.background import BackgroundSound as BackgroundSound
    from antiphon.agents.compaction import Compaction as Compaction
    from antiphon.agents.compaction import FactSheet as FactSheet
    from antiphon.agents.compaction import SlidingWindow as SlidingWindow
    from antiphon.agents.compaction import Summarization as Summarization
    from antiphon.agents.compaction import TokenBudget as TokenBudget
    from antiphon.agents.compaction import ToolResultCompaction as ToolResultCompaction
    from antiphon.agents.compaction import Truncation as Truncation
    from antiphon.agents.context import ContextProvider as ContextProvider
    from antiphon.agents.context import RunContext as RunContext
    from antiphon.agents.files import load_agents as load_agents
    from antiphon.agents.handoff import Handoff as Handoff
    from antiphon.agents.keypad import KeypadManner as KeypadManner
    from antiphon.agents.limits import RunLimits as RunLimits
    from antiphon.agents.middleware import AgentContext as AgentContext
    from antiphon.agents.middleware import CallNext as CallNext
    from antiphon.agents.middleware import ChatContext as ChatContext
    from antiphon.agents.middleware import FunctionContext as FunctionContext
    from antiphon.agents.middleware import agent_middleware as agent_middleware
    from antiphon.agents.middleware import chat_middleware as chat_middleware
    from antiphon.agents.middleware import function_middleware as function_middleware
    from antiphon.agents.observability import disable_instrumentation as disable_instrumentation
    from antiphon.agents.observability import enable_instrumentation as enable_instrumentation
    from antiphon.agents.observability import keep_runs as keep_runs
    from antiphon.agents.orchestrations.concurrent import Concurrent as Concurrent
    from antiphon.agents.orchestrations.contract import OrchestrationEvent as OrchestrationEvent
    from antiphon.agents.orchestrations.contract import SupportsAgentRun as SupportsAgentRun
    from antiphon.agents.orchestrations.group_chat import GroupChat as GroupChat
    from antiphon.agents.orchestrations.group_chat import GroupState as GroupState
    from antiphon.agents.orchestrations.handoff_team import HandoffTeam as HandoffTeam
    from antiphon.agents.orchestrations.planner import Plan as Plan
    from antiphon.agents.orchestrations.planner import Planner as Planner
    from antiphon.agents.orchestrations.sequential import Sequential as Sequential
    from antiphon.agents.responses import AgentResponse as AgentResponse
    from antiphon.agents.responses import AgentResponseUpdate as AgentResponseUpdate
    from antiphon.agents.scenarios.load import load_catalog as load_catalog
    from antiphon.agents.scenarios.scenario import AgentDefaults as AgentDefaults
    from antiphon.agents.scenarios.scenario import GenericHandoff as GenericHandoff
    from antiphon.agents.scenarios.scenario import Scenario as Scenario
    from antiphon.agents.scenarios.scenario import ScenarioEdge as ScenarioEdge
    from antiphon.agents.session import AgentSession as AgentSession
    from antiphon.agents.stores import HistoryProvider as HistoryProvider
    from antiphon.agents.stores import SessionStore as SessionStore
    from antiphon.agents.stream import ResponseStream as ResponseStream
    from antiphon.errors import AgentException as AgentException
    from antiphon.errors import AgentInvalidRequestException as AgentInvalidRequestException
    from antiphon.errors import AgentInvalidResponseException as AgentInvalidResponseException
    from antiphon.errors import AntiphonException as AntiphonException
    from antiphon.errors import ChatClientException as ChatClientException
    from antiphon.errors import ChatClientUnavailableException as ChatClientUnavailableException
    from antiphon.errors import ConfigurationError as ConfigurationError
    from antiphon.errors import IntegrationException as IntegrationException
    from antiphon.errors import MiddlewareTermination as MiddlewareTermination
    from antiphon.errors import ToolException as ToolException
    from antiphon.models.catalog import chat_client as chat_client
    from antiphon.models.llm.anthropic_messages import AnthropicClient as AnthropicClient
    from antiphon.models.llm.content import ApprovalRequest as ApprovalRequest
    from antiphon.models.llm.content import ApprovalResponse as ApprovalResponse
    from antiphon.models.llm.content import Audio as Audio
    from antiphon.models.llm.content import Content as Content
    from antiphon.models.llm.content import Filler as Filler
    from antiphon.models.llm.content import FunctionCall as FunctionCall
    from antiphon.models.llm.content import FunctionResult as FunctionResult
    from antiphon.models.llm.content import HandedOff as HandedOff
    from antiphon.models.llm.content import LateResult as LateResult
    from antiphon.models.llm.content import Media as Media
    from antiphon.models.llm.content import Reasoning as Reasoning
    from antiphon.models.llm.content import Text as Text
    from antiphon.models.llm.content import ToolFinished as ToolFinished
    from antiphon.models.llm.content import ToolProgress as ToolProgress
    from antiphon.models.llm.content import ToolStarted as ToolStarted
    from antiphon.models.llm.content import Usage as Usage
    from antiphon.models.llm.contract import ChatClient as ChatClient
    from antiphon.models.llm.contract import ChatDelta as ChatDelta
    from antiphon.models.llm.contract import ChatOptions as ChatOptions
    from antiphon.models.llm.contract import OutputFormat as OutputFormat
    from antiphon.models.llm.contract import ToolSpec as ToolSpec
    from antiphon.models.llm.failover import FailoverChatClient as FailoverChatClient
    from antiphon.models.llm.google_genai import GoogleClient as GoogleClient
    from antiphon.models.llm.messages import Message as Message
    from antiphon.models.llm.openai_compatible import OpenAICompatibleClient as OpenAICompatibleClient
    from antiphon.models.llm.openai_responses import OpenAIResponsesClient as OpenAIResponsesClient
    from antiphon.models.llm.scripted import Reply as Reply
    from antiphon.models.llm.scripted import ScriptedChatClient as ScriptedChatClient
    from antiphon.store.conversations.file import FileHistoryProvider as FileHistoryProvider
    from antiphon.store.conversations.file import FileSessionStore as FileSessionStore
    from antiphon.store.conversations.memory import InMemoryHistoryProvider as InMemoryHistoryProvider
    from antiphon.store.conversations.memory import InMemorySessionStore as InMemorySessionStore
    from antiphon.store.conversations.redis import RedisHistoryProvider as RedisHistoryProvider
    from antiphon.store.conversations.redis import RedisSessionStore as RedisSessionStore
    from antiphon.store.conversations.sql import SqlHistoryProvider as SqlHistoryProvider
    from antiphon.store.conversations.sql import SqlSessionStore as SqlSessionStore
    from antiphon.tools.context import ToolContext as ToolContext
    from antiphon.tools.http import http_tool as http_tool
    from antiphon.tools.keypad import pin_gate as pin_gate
    from antiphon.tools.keypad import send_dtmf as send_dtmf
    from antiphon.tools.mcp import Elicitation as Elicitation
    from antiphon.tools.mcp import MCPServerTool as MCPServerTool
    from antiphon.tools.mcp import MCPStdioTool as MCPStdioTool
    from antiphon.tools.mcp import MCPStreamableHTTPTool as MCPStreamableHTTPTool
    from antiphon.tools.prebuilt import end_call as end_call
    from antiphon.tools.source import ToolSource as ToolSource
    from antiphon.tools.tool import FunctionTool as FunctionTool
    from antiphon.tools.tool import tool as tool
    from antiphon.tools.transfer import transfer_call as transfer_call

__version__ = "0.1.0"

_NAMES: dict[str, tuple[str, ...]] = {
    "antiphon.agents.agent": ("Agent",),
    "antiphon.agents.background": ("BackgroundSound",),
    "antiphon.agents.compaction": (
        "Compaction",
        "FactSheet",
        "SlidingWindow",
        "Summarization",
        "TokenBudget",
        "ToolResultCompaction",
        "Truncation",
    ),
    "antiphon.agents.context": (
        "ContextProvider",
        "RunContext",
    ),
    "antiphon.agents.files": ("load_agents",),
    "antiphon.agents.handoff": ("Handoff",),
    "antiphon.agents.keypad": ("KeypadManner",),
    "antiphon.agents.limits": ("RunLimits",),
    "antiphon.agents.middleware": (
        "AgentContext",
        "CallNext",
        "ChatContext",
        "FunctionContext",
        "agent_middleware",
        "chat_middleware",
        "function_middleware",
    ),
    "antiphon.agents.observability": (
        "disable_instrumentation",
        "enable_instrumentation",
        "keep_runs",
    ),
    "antiphon.agents.orchestrations.concurrent": ("Concurrent",),
    "antiphon.agents.orchestrations.contract": (
        "OrchestrationEvent",
        "SupportsAgentRun",
    ),
    "antiphon.agents.orchestrations.group_chat": (
        "GroupChat",
        "GroupState",
    ),
    "antiphon.agents.orchestrations.handoff_team": ("HandoffTeam",),
    "antiphon.agents.orchestrations.planner": (
        "Plan",
        "Planner",
    ),
    "antiphon.agents.orchestrations.sequential": ("Sequential",),
    "antiphon.agents.responses": (
        "AgentResponse",
        "AgentResponseUpdate",
    ),
    "antiphon.agents.scenarios.load": ("load_catalog",),
    "antiphon.agents.scenarios.scenario": (
        "AgentDefaults",
        "GenericHandoff",
        "Scenario",
        "ScenarioEdge",
    ),
    "antiphon.agents.session": ("AgentSession",),
    "antiphon.agents.stores": (
        "HistoryProvider",
        "SessionStore",
    ),
    "antiphon.agents.stream": ("ResponseStream",),
    "antiphon.errors": (
        "AgentException",
        "AgentInvalidRequestException",
        "AgentInvalidResponseException",
        "AntiphonException",
        "ChatClientException",
        "ChatClientUnavailableException",
        "ConfigurationError",
        "IntegrationException",
        "MiddlewareTermination",
        "ToolException",
    ),
    "antiphon.models.catalog": ("chat_client",),
    "antiphon.models.llm.anthropic_messages": ("AnthropicClient",),
    "antiphon.models.llm.content": (
        "ApprovalRequest",
        "ApprovalResponse",
        "Audio",
        "Content",
        "Filler",
        "FunctionCall",
        "FunctionResult",
        "HandedOff",
        "LateResult",
        "Media",
        "Reasoning",
        "Text",
        "ToolFinished",
        "ToolProgress",
        "ToolStarted",
        "Usage",
    ),
    "antiphon.models.llm.contract": (
        "ChatClient",
        "ChatDelta",
        "ChatOptions",
        "OutputFormat",
        "ToolSpec",
    ),
    "antiphon.models.llm.failover": ("FailoverChatClient",),
    "antiphon.models.llm.google_genai": ("GoogleClient",),
    "antiphon.models.llm.messages": ("Message",),
    "antiphon.models.llm.openai_compatible": ("OpenAICompatibleClient",),
    "antiphon.models.llm.openai_responses": ("OpenAIResponsesClient",),
    "antiphon.models.llm.scripted": (
        "Reply",
        "ScriptedChatClient",
    ),
    "antiphon.store.conversations.file": (
        "FileHistoryProvider",
        "FileSessionStore",
    ),
    "antiphon.store.conversations.memory": (
        "InMemoryHistoryProvider",
        "InMemorySessionStore",
    ),
    "antiphon.store.conversations.redis": (
        "RedisHistoryProvider",
        "RedisSessionStore",
    ),
    "antiphon.store.conversations.sql": (
        "SqlHistoryProvider",
        "SqlSessionStore",
    ),
    "antiphon.tools.context": ("ToolContext",),
    "antiphon.tools.http": ("http_tool",),
    "antiphon.tools.mcp": (
        "Elicitation",
        "MCPServerTool",
        "MCPStdioTool",
        "MCPStreamableHTTPTool",
    ),
    "antiphon.tools.keypad": ("pin_gate", "send_dtmf"),
    "antiphon.tools.prebuilt": ("end_call",),
    "antiphon.tools.source": ("ToolSource",),
    "antiphon.tools.transfer": ("transfer_call",),
    "antiphon.tools.tool": (
        "FunctionTool",
        "tool",
    ),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}
__all__ = [*sorted(_HOME), "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'antiphon' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
