"""Whatever a client sends, each event gets its reply or one refusal, and the session goes on."""

from __future__ import annotations

import json
from copy import deepcopy
from random import Random
from typing import Any

import pytest

from antiphon.clock import VirtualClock
from tests.transports.realtime.talk import talking, virtually

MESSAGE = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi."}]}
TOOL = {"type": "function", "name": "order", "description": "Order.", "parameters": {"type": "object"}}
MCP = {"type": "mcp", "server_label": "docs", "server_url": "https://example.com/mcp", "require_approval": "never"}
AUDIO = {
    "input": {
        "format": {"type": "audio/pcm", "rate": 24_000},
        "transcription": {"model": "any", "language": "en", "prompt": "Hi."},
        "noise_reduction": {"type": "near_field"},
        "turn_detection": {"type": "server_vad", "threshold": 0.5, "idle_timeout_ms": 5000},
    },
    "output": {"format": {"type": "audio/pcmu"}, "voice": "eva", "speed": 1.0},
}
RESPONSE = {
    "instructions": "Be brief.",
    "output_modalities": ["text"],
    "tools": [TOOL],
    "tool_choice": {"type": "function", "name": "order"},
    "max_output_tokens": 10,
    "metadata": {"a": "b"},
    "conversation": "none",
    "input": [MESSAGE, {"type": "item_reference", "id": "a"}],
    "audio": {"output": {"voice": "eva"}},
    "reasoning": {"effort": "low"},
}
GOOD: tuple[dict[str, Any], ...] = (
    {"type": "session.update", "session": {"type": "realtime", "audio": AUDIO, "tools": [TOOL], "tool_choice": "auto"}},
    {"type": "session.update", "session": {"type": "realtime", "tracing": "auto", "truncation": "auto", "include": []}},
    {"type": "input_audio_buffer.append", "audio": "AAAA"},
    {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.clear"},
    {"type": "input_audio_buffer.dtmf_event", "event": "5"},
    {"type": "output_audio_buffer.clear"},
    {"type": "conversation.item.create", "previous_item_id": "root", "item": {"id": "a", **MESSAGE}},
    {
        "type": "conversation.item.create",
        "item": {"type": "function_call", "name": "order", "call_id": "c", "arguments": "{}"},
    },
    {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "c", "output": "done"}},
    {"type": "conversation.item.retrieve", "item_id": "a"},
    {"type": "conversation.item.truncate", "item_id": "a", "content_index": 0, "audio_end_ms": 100},
    {"type": "conversation.item.delete", "item_id": "a"},
    {"type": "response.create", "response": RESPONSE},
    {"type": "response.create", "response": {"output_modalities": ["audio"]}},
    {"type": "response.cancel", "response_id": "resp_x"},
)
JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 1e308, 2**70, "", "x", "\u0000", "😀" * 200, "a" * 300_000),
    *([], {}, [[]], [None], {"": None}, {"type": None}, {"type": "x"}, [{"type": "x"}], {"id": 3}, [1, "2", {}]),
    *({"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}}, {"type": ["object", "null"]}),
)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all that may be spoilt."""
    found = [path] if path else []
    if isinstance(value, dict):
        found += [each for key, inner in value.items() for each in leaves(inner, (*path, key))]
    elif isinstance(value, list):
        found += [each for place, inner in enumerate(value) for each in leaves(inner, (*path, place))]
    return found


def spoilt(event: dict[str, Any], random: Random) -> dict[str, Any]:
    """The event with one or two values that are something else, or gone."""
    made: dict[str, Any] = json.loads(json.dumps(event))
    for _ in range(random.choice([1, 1, 2])):
        paths = [path for path in leaves(made) if path != ("type",)]
        if not paths:
            break
        *way, last = random.choice(paths)
        target: Any = made
        for step in way:
            target = target[step]
        if isinstance(target, dict) and random.random() < 0.2:
            del target[last]
        else:
            target[last] = deepcopy(random.choice(JUNK))
    return made


@pytest.mark.parametrize("seed", range(40))
@virtually
async def test_nonsense_is_refused_and_the_session_goes_on(clock: VirtualClock, seed: int) -> None:
    random = Random(seed)
    async with talking(clock, llm=lambda _messages, _options: "Yes.", checks=False) as client:
        for number in range(60):
            event = spoilt(random.choice(GOOD), random)
            client.send_text(json.dumps({**event, "event_id": f"event {number}"}))
            await client.wait(random.choice([0.0, 0.0, 0.1]))
        await client.wait(30.0)
        refused = [event_id for _, _, event_id in client.errors]
        assert len(refused) == len(set(refused)) > 10
        assert {code for code, _, _ in client.errors}.isdisjoint({"internal_error", "engine_error"})
        done = len(client.events("response.done"))
        client.send("session.update", session={"type": "realtime", "tools": [], "tool_choice": "auto"})
        client.write("Still there?")
        client.ask(output_modalities=["text"], tools=[], tool_choice="auto")
        await client.until("response.done", done + 1)
        assert not client.socket.closed
