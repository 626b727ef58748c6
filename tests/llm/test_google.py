"""What only Google's ``generateContent`` has."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from antiphon.errors import ChatClientContentFilterException, ChatClientException, ChatClientInvalidAuthException
from antiphon.models.llm.content import FunctionCall, FunctionResult, HostedTool, Media, Reasoning, Text
from antiphon.models.llm.contract import ChatDelta, ChatOptions, ToolSpec
from antiphon.models.llm.google_genai import GoogleClient
from antiphon.models.llm.messages import Message, tool_message
from tests.llm.contract import streamed
from tests.llm.vendor import Answer, event, refusal, vendor
from tests.llm.vendors import Google, Say

USER = [Message("user", "hello")]
PLAIN = ChatOptions()
ADD = ToolSpec("add", "Add.", {"type": "object", "properties": {"a": {"type": "integer"}}})
OK = streamed(*Google().answer(Say(("ok",))))
SEALED = base64.b64encode(b"sealed").decode()


async def ask(
    answer: Answer, messages: list[Message] = USER, options: ChatOptions = PLAIN, model: str = "gemini-3-flash"
) -> tuple[list[ChatDelta], dict[str, Any]]:
    async with vendor(answer) as server:
        client = GoogleClient(model, api_key="sk-very-secret", base_url=server.url.removesuffix("/v1"))
        try:
            parts = [part async for part in client.stream(messages, options)]
        finally:
            await client.aclose()
    assert server.paths[0].endswith(f"/models/{model}:streamGenerateContent?alt=sse")
    assert server.headers[0]["x-goog-api-key"] == "sk-very-secret"
    return parts, server.bodies[0]


def chunk(*parts: dict[str, Any], finish: str | None = None) -> bytes:
    candidate = {"content": {"role": "model", "parts": list(parts)}, **({"finishReason": finish} if finish else {})}
    return event({"candidates": [candidate], "responseId": "r1", "modelVersion": "gemini-3-flash-001"})


async def test_a_call_keeps_its_seal_and_gives_it_back() -> None:
    call = {"functionCall": {"name": "add", "args": {"a": 2}}, "thoughtSignature": SEALED}
    other = {"functionCall": {"name": "add", "args": {"a": 3}}}
    parts, _ = await ask(streamed(chunk(call, other, finish="STOP")), options=ChatOptions((ADD,)))
    first, second = [call for part in parts for call in part.calls]
    assert (first.name, first.arguments, first.more) == ("add", '{"a":2}', {"thought_signature": SEALED})
    assert second.more == {}
    assert first.call_id != second.call_id
    history = [
        *USER,
        Message("assistant", (first, second)),
        tool_message(FunctionResult(first.call_id, "add", "ok", "5")),
        tool_message(FunctionResult(second.call_id, "add", "error", "No.")),
    ]
    _, body = await ask(OK, history, ChatOptions((ADD,)))
    assert [turn["role"] for turn in body["contents"]] == ["user", "model", "user"]
    sent = body["contents"][1]["parts"]
    assert base64.urlsafe_b64decode(sent[0]["thoughtSignature"]) == b"sealed"
    assert "thoughtSignature" not in sent[1]
    results = [part["functionResponse"]["response"] for part in body["contents"][2]["parts"]]
    assert results == [{"result": "5"}, {"error": "No."}]


async def test_thoughts_stream_and_go_back_sealed() -> None:
    thought = {"text": "First this.", "thought": True, "thoughtSignature": SEALED}
    parts, _ = await ask(streamed(chunk(thought), chunk({"text": "Five."}, finish="STOP")))
    assert "".join(part.reasoning for part in parts) == "First this."
    assert "".join(part.text for part in parts) == "Five."
    contents = [content for part in parts for content in part.contents]
    assert contents == [Reasoning("First this.", SEALED, "google")]
    _, body = await ask(OK, [*USER, Message("assistant", (*contents, Text("Five."))), *USER])
    assert body["contents"][1]["parts"][0]["thought"] is True


async def test_code_that_the_provider_runs_and_images_are_kept() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "print(1)"}}
    image = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(b"pixels").decode()}}
    parts, _ = await ask(streamed(chunk(code, image, {"text": "Done."}, finish="STOP")))
    hosted, picture = [content for part in parts for content in part.contents]
    assert isinstance(hosted, HostedTool)
    assert picture == Media.from_bytes(b"pixels", "image/png")
    _, body = await ask(OK, [*USER, Message("assistant", (hosted, Text("Done."))), *USER])
    assert body["contents"][1]["parts"][0]["executableCode"]["code"] == "print(1)"


async def test_a_question_that_is_blocked_is_filtered() -> None:
    with pytest.raises(ChatClientContentFilterException):
        await ask(streamed(event({"promptFeedback": {"blockReason": "SAFETY"}})))


async def test_a_wrong_key_is_told_though_the_provider_calls_it_a_bad_request() -> None:
    body = {
        "error": {
            "code": 400,
            "message": "API key not valid.",
            "status": "INVALID_ARGUMENT",
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
        }
    }
    with pytest.raises(ChatClientInvalidAuthException):
        await ask(refusal(400, body))


async def test_an_answer_that_the_model_spoilt_is_told() -> None:
    with pytest.raises(ChatClientException, match="MALFORMED_FUNCTION_CALL"):
        await ask(streamed(chunk(finish="MALFORMED_FUNCTION_CALL")))
    parts, _ = await ask(streamed(chunk({"text": "So"}), chunk(finish="MALFORMED_FUNCTION_CALL")))
    assert parts[-1].finish_reason == "error"


async def test_instructions_tools_and_effort_have_their_places() -> None:
    options = ChatOptions((ADD,), "required", reasoning_effort="low")
    _, body = await ask(OK, [Message("system", "Be kind."), *USER], options)
    assert body["systemInstruction"]["parts"] == [{"text": "Be kind."}]
    declared = body["tools"][0]["functionDeclarations"][0]
    schema = declared.get("parametersJsonSchema") or declared["parameters_json_schema"]
    assert schema == dict(ADD.parameters)
    assert body["toolConfig"]["functionCallingConfig"]["mode"] == "ANY"
    thinking = body["generationConfig"]["thinkingConfig"]
    assert str(thinking.get("thinkingLevel") or thinking["thinking_level"]).lower() == "low"


async def test_calls_of_another_provider_are_sent_too() -> None:
    history = [
        *USER,
        Message("assistant", FunctionCall("call_7", "add", '{"a":1}')),
        tool_message(FunctionResult("call_7", "add", "ok", "5")),
    ]
    _, body = await ask(OK, history, ChatOptions((ADD,)), model="gemini-2.5-flash")
    assert body["contents"][1]["parts"][0]["functionCall"]["args"] == {"a": 1}


async def test_warming_tries_the_key() -> None:
    async with vendor(refusal(403, {"error": {"code": 403, "status": "PERMISSION_DENIED"}})) as server:
        client = GoogleClient("gemini-1", api_key="sk-very-secret", base_url=server.url.removesuffix("/v1"))
        with pytest.raises(ChatClientInvalidAuthException):
            await client.warm()
        await client.aclose()
    assert server.paths[0].endswith("/models/gemini-1")
