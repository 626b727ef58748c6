"""The wires of four vendors, as loopback servers speak them: what each makes of the same answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from antiphon.models.llm.anthropic_messages import AnthropicClient
from antiphon.models.llm.content import FunctionCall, Usage
from antiphon.models.llm.contract import ChatClient, FinishReason
from antiphon.models.llm.google_genai import GoogleClient
from antiphon.models.llm.openai_compatible import OpenAICompatibleClient
from antiphon.models.llm.openai_responses import OpenAIResponsesClient
from tests.llm.vendor import delta, event

KEY = "sk-very-secret"
USAGE = Usage(input_tokens=9, output_tokens=5, cache_read_tokens=4, reasoning_tokens=2)

Body = dict[str, Any]


@dataclass(frozen=True)
class Say:
    """An answer, as the model means it."""

    texts: tuple[str, ...] = ()
    calls: tuple[FunctionCall, ...] = ()
    finish: FinishReason | None = None

    @property
    def reason(self) -> FinishReason:
        return self.finish or ("tool_calls" if self.calls else "stop")


class Wire(Protocol):
    """One vendor's wire."""

    provider: str
    options: ClassVar[dict[str, Any]]
    """What a request says of ``FULL_OPTIONS``, by the path of its keys."""
    always: ClassVar[frozenset[str]]
    """Those that the vendor demands, or that must not be its default."""

    def client(self, url: str, **settings: Any) -> ChatClient: ...

    def answer(self, say: Say) -> list[bytes]:
        """The events of an answer; those with words come first, one for each text, behind ``opening``."""
        ...

    def opening(self) -> list[bytes]:
        """What comes before the first word."""
        ...

    def word(self, text: str) -> bytes: ...

    def failure(self) -> bytes:
        """An event that says that the server is overloaded."""
        ...

    def refused(self, status: int, message: str) -> Body:
        """The body of an error."""
        ...

    def tools_of(self, body: Body) -> list[str]:
        """Which tools may be called, by this request."""
        ...

    def choice_of(self, body: Body) -> str: ...


def named(kind: str, data: Body) -> bytes:
    return f"event: {kind}\n".encode() + event({"type": kind, **data})


class ChatCompletions:
    provider = "127.0.0.1"
    always: ClassVar = frozenset()
    options: ClassVar = {
        "max_tokens": 50, "temperature": 0.5, "top_p": 0.9, "stop": ["END"], "seed": 7, "frequency_penalty": 0.1,
        "presence_penalty": 0.2, "user": "u1", "metadata": {"k": "v"}, "store": False, "parallel_tool_calls": False,
        "response_format.json_schema.schema.type": "object", "x_more": 1,
    }  # fmt: skip

    def client(self, url: str, **settings: Any) -> ChatClient:
        return OpenAICompatibleClient("m", base_url=url, api_key=KEY, **settings)

    def opening(self) -> list[bytes]:
        return [event(delta(role="assistant", content=""))]

    def word(self, text: str) -> bytes:
        return event(delta(content=text))

    def answer(self, say: Say) -> list[bytes]:
        pieces = [
            event(delta(tool_calls=[piece]))
            for index, call in enumerate(say.calls)
            for piece in (
                {"index": index, "id": call.call_id, "function": {"name": call.name, "arguments": ""}},
                *({"index": index, "function": {"arguments": text}} for text in halves(call.arguments)),
            )
        ]
        usage = {
            "id": "x",
            "choices": [],
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
        }
        words = [self.word(text) for text in say.texts]
        return [*self.opening(), *words, *pieces, event(delta(finish=say.reason)), event(usage), event("[DONE]")]

    def failure(self) -> bytes:
        return event({"error": {"message": "busy", "type": "server_error", "code": None}})

    def refused(self, status: int, message: str) -> Body:
        return {"error": {"message": message, "type": "x"}}

    def tools_of(self, body: Body) -> list[str]:
        return [tool["function"]["name"] for tool in body["tools"]]

    def choice_of(self, body: Body) -> str:
        return str(body.get("tool_choice", "auto"))


class Responses:
    provider = "openai"
    always: ClassVar = frozenset({"store"})
    options: ClassVar = {
        "max_output_tokens": 50, "temperature": 0.5, "top_p": 0.9, "safety_identifier": "u1", "metadata": {"k": "v"},
        "store": False, "parallel_tool_calls": False, "text.format.schema.type": "object", "x_more": 1,
    }  # fmt: skip

    def client(self, url: str, **settings: Any) -> ChatClient:
        return OpenAIResponsesClient("m", base_url=url, api_key=KEY, **settings)

    def opening(self) -> list[bytes]:
        started = {"response": {"id": "x", "model": "m", "status": "in_progress"}}
        item = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
        return [
            named("response.created", started),
            named("response.in_progress", started),
            named("response.output_item.added", {"output_index": 0, "item": item}),
        ]

    def word(self, text: str) -> bytes:
        return named("response.output_text.delta", {"item_id": "msg_1", "output_index": 0, "delta": text})

    def answer(self, say: Say) -> list[bytes]:
        calls: list[bytes] = []
        for index, call in enumerate(say.calls):
            item = {"type": "function_call", "id": f"fc_{index}", "call_id": call.call_id, "name": call.name}
            calls.append(named("response.output_item.added", {"item": {**item, "arguments": ""}}))
            calls += [
                named("response.function_call_arguments.delta", {"item_id": item["id"], "delta": text})
                for text in halves(call.arguments)
            ]
            calls.append(
                named("response.function_call_arguments.done", {"item_id": item["id"], "arguments": call.arguments})
            )
            calls.append(named("response.output_item.done", {"item": {**item, "arguments": call.arguments}}))
        usage = {
            "input_tokens": 9,
            "output_tokens": 5,
            "input_tokens_details": {"cached_tokens": 4},
            "output_tokens_details": {"reasoning_tokens": 2},
        }
        cut = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(say.reason)
        kind = "incomplete" if cut else "completed"
        details = {"incomplete_details": {"reason": cut}} if cut else {}
        ended = {"response": {"id": "x", "model": "m", "status": kind, "store": False, "usage": usage, **details}}
        words = [self.word(text) for text in say.texts]
        return [*self.opening(), *words, *calls, named(f"response.{kind}", ended)]

    def failure(self) -> bytes:
        error = {"code": "server_error", "message": "busy"}
        return named("response.failed", {"response": {"id": "x", "status": "failed", "error": error}})

    def refused(self, status: int, message: str) -> Body:
        return {"error": {"message": message, "type": "x"}}

    def tools_of(self, body: Body) -> list[str]:
        return [tool["name"] for tool in body["tools"]]

    def choice_of(self, body: Body) -> str:
        return str(body.get("tool_choice", "auto"))


class Anthropic:
    provider = "anthropic"
    always: ClassVar = frozenset({"max_tokens"})
    options: ClassVar = {
        "max_tokens": 50, "temperature": 0.5, "stop_sequences": ["END"], "metadata.user_id": "u1",
        "tool_choice.disable_parallel_tool_use": True, "output_config.format.schema.type": "object", "x_more": 1,
    }  # fmt: skip

    def client(self, url: str, **settings: Any) -> ChatClient:
        return AnthropicClient("m", api_key=KEY, base_url=url.removesuffix("/v1"), **settings)

    def opening(self) -> list[bytes]:
        usage = {"input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0}
        message = {"id": "x", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
        block = {"index": 0, "content_block": {"type": "text", "text": ""}}
        return [
            named("message_start", {"message": {**message, "stop_reason": None, "stop_sequence": None}}),
            named("ping", {}),
            named("content_block_start", block),
        ]

    def word(self, text: str) -> bytes:
        return named("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": text}})

    def answer(self, say: Say) -> list[bytes]:
        events = [*self.opening(), *[self.word(text) for text in say.texts], named("content_block_stop", {"index": 0})]
        for index, call in enumerate(say.calls, 1):
            block = {"type": "tool_use", "id": call.call_id, "name": call.name, "input": {}}
            events.append(named("content_block_start", {"index": index, "content_block": block}))
            events += [
                named(
                    "content_block_delta", {"index": index, "delta": {"type": "input_json_delta", "partial_json": text}}
                )
                for text in ("", *halves(call.arguments))
            ]
            events.append(named("content_block_stop", {"index": index}))
        reasons = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
        usage = {"output_tokens": 5, "output_tokens_details": {"thinking_tokens": 2}}
        stop = {"stop_reason": reasons[say.reason], "stop_sequence": None}
        return [*events, named("message_delta", {"delta": stop, "usage": usage}), named("message_stop", {})]

    def failure(self) -> bytes:
        return named("error", {"error": {"type": "overloaded_error", "message": "busy"}})

    def refused(self, status: int, message: str) -> Body:
        return {"type": "error", "error": {"type": "x", "message": message}}

    def tools_of(self, body: Body) -> list[str]:
        return [tool["name"] for tool in body["tools"]]

    def choice_of(self, body: Body) -> str:
        kind = body.get("tool_choice", {}).get("type", "auto")
        return "required" if kind == "any" else str(kind)


class Google:
    provider = "google"
    always: ClassVar = frozenset()
    options: ClassVar = {
        "generationConfig.maxOutputTokens": 50, "generationConfig.temperature": 0.5, "generationConfig.topP": 0.9,
        "generationConfig.stopSequences": ["END"], "generationConfig.seed": 7,
        "generationConfig.frequencyPenalty": 0.1, "generationConfig.presencePenalty": 0.2,
        "generationConfig.responseJsonSchema.type": "object", "x_more": 1,
    }  # fmt: skip

    def client(self, url: str, **settings: Any) -> ChatClient:
        return GoogleClient("m", api_key=KEY, base_url=url.removesuffix("/v1"), **settings)

    def _chunk(self, *parts: Body, **more: Any) -> bytes:
        candidate: Body = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
        if "finish" in more:
            candidate["finishReason"] = more.pop("finish")
        return event({"candidates": [candidate], "responseId": "x", "modelVersion": "m", **more})

    def opening(self) -> list[bytes]:
        return [event({"responseId": "x", "modelVersion": "m", "usageMetadata": {"promptTokenCount": 9}})]

    def word(self, text: str) -> bytes:
        return self._chunk({"text": text})

    def answer(self, say: Say) -> list[bytes]:
        calls = [
            {"functionCall": {"id": call.call_id, "name": call.name, "args": json.loads(call.arguments)}}
            for call in say.calls
        ]
        reasons = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}
        usage = {
            "promptTokenCount": 9,
            "candidatesTokenCount": 3,
            "thoughtsTokenCount": 2,
            "cachedContentTokenCount": 4,
        }
        last = self._chunk(*calls, finish=reasons[say.reason], usageMetadata=usage)
        return [*self.opening(), *[self.word(text) for text in say.texts], last]

    def failure(self) -> bytes:
        return event({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}})

    def refused(self, status: int, message: str) -> Body:
        return {"error": {"code": status, "message": message, "status": "X"}}

    def tools_of(self, body: Body) -> list[str]:
        return [tool["name"] for group in body["tools"] for tool in group["functionDeclarations"]]

    def choice_of(self, body: Body) -> str:
        mode = body.get("toolConfig", {}).get("functionCallingConfig", {}).get("mode", "AUTO")
        return {"ANY": "required"}.get(mode, mode.lower())


def halves(text: str) -> Sequence[str]:
    middle = len(text) // 2
    return text[:middle], text[middle:]
