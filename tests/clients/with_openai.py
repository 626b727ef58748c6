"""openai-python, unmodified: its Realtime connection, and its REST resources for client secrets and calls."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from tests.clients import script
from tests.clients.scenario import (
    FILES,
    HTTP_URL,
    IS_WHOLE,
    MCP_URL,
    SERVER_URL,
    WS_URL,
    check_heard,
    drop,
    last_prompt,
    main,
    microphone,
    speech,
    until,
)

WEATHER_TOOL: Any = {
    "type": "function",
    "name": script.WEATHER_TOOL,
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class Talk:
    """A connection and all that has come from it.

    Args:
        connection: The library's.
    """

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.events: list[Any] = []

    async def read(self) -> None:
        """Take events until the connection ends."""
        async for event in self.connection:
            self.events.append(event)

    def of(self, kind: str) -> list[Any]:
        """Events of one type."""
        return [event for event in self.events if event.type == kind]

    def kinds(self) -> list[str]:
        """The types of all events, in order."""
        return [event.type for event in self.events]

    def audio(self, response_id: str) -> bytes:
        """What a response has sent."""
        deltas = [event for event in self.of("response.output_audio.delta") if event.response_id == response_id]
        return b"".join(base64.b64decode(event.delta) for event in deltas)

    def transcript(self) -> str:
        """The words of the last response that is done."""
        content = self.of("response.done")[-1].response.output[-1].content[0]
        return content.transcript or content.text

    async def append(self, pcm: bytes) -> None:
        """Give what a microphone has captured."""
        await self.connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())

    async def say(self, text: str, *, answer: bool = True) -> None:
        """Give a user's words, and wait for the answer's end."""
        done = len(self.of("response.done"))
        content: Any = [{"type": "input_text", "text": text}]
        await self.connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
        await self.connection.response.create()
        if answer:
            await until(lambda: len(self.of("response.done")) > done, what=f"answer to {text!r}")


@asynccontextmanager
async def talk(*, faults: bool = False, **options: Any) -> AsyncIterator[Talk]:
    """A session with the agent; its errors are looked at by the scenario when there are to be ``faults``."""
    client = openai.AsyncOpenAI(base_url=HTTP_URL, api_key=script.KEY, max_retries=0)
    async with client, client.realtime.connect(model=script.AGENT, **options) as connection:
        held = Talk(connection)
        reading = asyncio.create_task(held.read())
        try:
            await until(lambda: held.of("session.created"), what="session.created")
            yield held
        finally:
            reading.cancel()
    assert faults or not held.of("error"), held.of("error")


def check_audio(audio: bytes, text: str) -> None:
    """As long as the text takes to speak, to a twentieth."""
    expected_ms = len(text) * script.MS_PER_CHAR
    assert len(audio) % 2 == 0
    assert abs(len(audio) / 48 - expected_ms) < expected_ms / 20 + 50, f"{len(audio) / 48} ms for {expected_ms} ms"


async def text() -> None:
    """Words in, words and sound out; then words alone."""
    async with talk() as held:
        await held.say(script.MORNING)
        done = held.of("response.done")[-1].response
        assert done.status == "completed"
        assert held.transcript() == script.GREETED
        check_audio(held.audio(done.id), script.GREETED)
        if IS_WHOLE:
            parts = [event.delta for event in held.of("response.output_audio_transcript.delta")]
            assert "".join(parts).strip() == script.GREETED
        await held.connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        await held.say(script.TELL_NAME)
        await held.say(script.ASK_NAME)
        done = held.of("response.done")[-1].response
        assert held.transcript() == f"Your name is {script.NAME}."
        assert held.audio(done.id) == b""
        if IS_WHOLE:
            parts = [event.delta for event in held.of("response.output_text.delta") if event.response_id == done.id]
            assert "".join(parts) == f"Your name is {script.NAME}."


async def spoken() -> None:
    """A recorded caller; the server hears the beginning and the end."""
    async with talk() as held:
        transcription: Any = {"model": "default"}
        await held.connection.session.update(
            session={"type": "realtime", "audio": {"input": {"transcription": transcription}}}
        )
        await until(lambda: held.of("session.updated"), what="session.updated")
        shown = held.of("session.updated")[0].session.audio.input
        assert shown.transcription.to_dict() == transcription
        assert shown.turn_detection.type == "server_vad"
        heard = "conversation.item.input_audio_transcription.completed"
        async with microphone(held.append, "bella_sunday"):
            await until(lambda: held.of("response.done") and held.of(heard), what="answer and transcript")
        assert held.of(heard)[0].transcript == script.HEARD
        assert held.of(heard)[0].usage is not None
        done = held.of("response.done")[0].response
        assert held.transcript() == script.ON_SUNDAY
        check_audio(held.audio(done.id), script.ON_SUNDAY)
        if IS_WHOLE:
            wanted = ["speech_started", "speech_stopped", "committed"]
            buffer = [kind.rpartition(".")[2] for kind in held.kinds() if kind.startswith("input_audio_buffer.")]
            assert buffer == wanted
            started, stopped = (held.of(f"input_audio_buffer.{kind}")[0] for kind in wanted[:2])
            assert started.item_id == stopped.item_id == held.of(heard)[0].item_id
            assert 0 <= started.audio_start_ms < 1_000
            assert 1_500 < stopped.audio_end_ms < 3_400
        assert last_prompt(script.HEARD)[-1]["role"] == "user"


async def tool() -> None:
    """A function of the client's: called with arguments, and its result is in the answer. Then one of the agent's."""
    async with talk() as held:
        await held.connection.session.update(session={"type": "realtime", "tools": [WEATHER_TOOL]})
        await held.say(script.ASK_WEATHER)
        [made] = held.of("response.function_call_arguments.done")
        assert made.name == script.WEATHER_TOOL
        assert made.arguments.replace(" ", "") == '{"city":"Lisbon"}'
        done = held.of("response.done")[-1].response
        assert [item.type for item in done.output] == ["function_call"]
        assert done.output[0].call_id == made.call_id
        output: Any = {"type": "function_call_output", "call_id": made.call_id, "output": script.WEATHER}
        await held.connection.conversation.item.create(item=output)
        await held.connection.response.create()
        await until(lambda: len(held.of("response.done")) == 2, what="answer with the weather")
        assert script.WEATHER in held.transcript()
        await held.say(script.ASK_PRICE)
        assert script.PRICE in held.transcript()
        assert len(held.of("response.function_call_arguments.done")) == 1


async def barge_in() -> None:
    """The caller speaks into the story: it ends at once, is cut where it was heard, and the model knows no more."""
    async with talk() as held:
        await held.say(script.ASK_STORY, answer=False)
        await until(lambda: held.of("response.output_audio.delta"), what="story")
        first = held.of("response.output_audio.delta")[0]
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(3.0)
        async with microphone(held.append, "bella_sunday"):
            await until(lambda: held.of("input_audio_buffer.speech_started"), what="speech_started")
            heard_ms = int((asyncio.get_running_loop().time() - began) * 1000)
            heard_ms = min(heard_ms, len(held.audio(first.response_id)) // 48)
            await held.connection.conversation.item.truncate(
                item_id=first.item_id, content_index=0, audio_end_ms=heard_ms
            )
            await until(lambda: len(held.of("response.done")) == 2, what="second answer")
        kinds = held.kinds()
        started = kinds.index("input_audio_buffer.speech_started")
        late = [event for event in held.events[started:] if event.type == "response.output_audio.delta"]
        assert all(event.response_id != first.response_id for event in late), "Audio came after the interruption."
        cut, answered = (event.response for event in held.of("response.done"))
        assert cut.id == first.response_id
        assert (cut.status, cut.status_details.reason) == ("cancelled", "turn_detected")
        [truncated] = held.of("conversation.item.truncated")
        assert (truncated.item_id, truncated.audio_end_ms) == (first.item_id, heard_ms)
        assert answered.status == "completed"
        assert held.transcript() == script.ON_SUNDAY
        prompt = check_heard(script.STORY, heard_ms=heard_ms, ms_per_char=script.MS_PER_CHAR)
        assert [message["role"] for message in prompt][-3:] == ["user", "assistant", "user"]


async def manual() -> None:
    """The client says where its turn ends; G.711 in either direction, and a half sample at the end of an append."""
    async with talk() as held:
        audio: Any = {"input": {"turn_detection": None}, "output": {"format": {"type": "audio/pcmu"}}}
        await held.connection.session.update(session={"type": "realtime", "audio": audio})
        spoken = speech("bella_sunday")
        for at in range(0, len(spoken), 4_801):
            await held.append(spoken[at : at + 4_801])
        await held.connection.input_audio_buffer.commit()
        await until(lambda: held.of("input_audio_buffer.committed"), what="committed")
        assert not held.of("response.created")
        await held.connection.response.create()
        await until(lambda: held.of("response.done"), what="answer")
        assert held.transcript() == script.ON_SUNDAY
        seconds = len(held.audio(held.of("response.done")[0].response.id)) / 8_000
        assert abs(seconds - len(script.ON_SUNDAY) * script.MS_PER_CHAR / 1_000) < 0.15
        assert not held.of("input_audio_buffer.speech_started")


async def aside() -> None:
    """Two answers beside the conversation, told apart by what the client wrote on them."""
    async with talk() as held:
        await held.say(script.TELL_NAME)
        for topic in ("one", "two"):
            item: Any = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": topic}]}
            await held.connection.response.create(
                response={
                    "conversation": "none",
                    "output_modalities": ["text"],
                    "metadata": {"topic": topic},
                    "input": [item],
                }
            )
        await until(lambda: len(held.of("response.done")) == 3, what="two answers")
        answers = {done.response.metadata["topic"]: done.response for done in held.of("response.done")[1:]}
        assert {topic: done.output[0].content[0].text for topic, done in answers.items()} == {
            "one": "You said: one",
            "two": "You said: two",
        }
        assert all(done.conversation_id is None for done in answers.values())
        await held.say(script.ASK_NAME)
        words = [message["text"] for message in last_prompt(script.ASK_NAME) if message["role"] != "system"]
        assert words == [script.TELL_NAME, f"You said: {script.TELL_NAME}", script.ASK_NAME]


async def call() -> None:
    """A WebRTC call is made with the library's multipart request, watched over a second connection, and hung up."""
    async with openai.AsyncOpenAI(base_url=SERVER_URL, api_key=script.KEY, max_retries=0) as client:
        offer = (FILES / "offer.sdp").read_text(encoding="utf-8")
        session: Any = {"type": "realtime", "model": script.AGENT, "instructions": "Answer in rhymes."}
        made = await client.realtime.calls.with_raw_response.create(sdp=offer, session=session)
        assert made.http_response.status_code == 201
        assert made.text.startswith("v=0")
        call_id = made.headers["location"].rpartition("/")[2]
        assert call_id.startswith("rtc_")
        beside = openai.AsyncOpenAI(base_url=HTTP_URL, api_key=script.KEY, max_retries=0)
        async with beside, beside.realtime.connect(call_id=call_id) as connection:
            created: Any = await connection.recv()
            assert created.type == "session.created"
            assert created.session.instructions == "Answer in rhymes."
            await client.realtime.calls.hangup(call_id)
            async for _ in connection:
                pass  # Ends with the call.


async def reconnect() -> None:
    """The line breaks off; the library connects again, and the client tells the conversation anew."""
    tries: list[Any] = []

    def again(event: Any) -> None:
        tries.append(event)

    async with talk(on_reconnecting=again, initial_delay=0.1) as held:
        await held.say(script.TELL_NAME)
        spoken = held.transcript()
        await drop()
        await until(lambda: len(held.of("session.created")) == 2, what="second session.created")
        assert len(tries) == 1
        first, second = (event.session.id for event in held.of("session.created"))
        assert first != second
        history: Any = [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": script.TELL_NAME}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": spoken}]},
        ]
        for item in history:
            await held.connection.conversation.item.create(item=item)
        await held.say(script.ASK_NAME)
        assert held.transcript() == f"Your name is {script.NAME}."


async def mcp() -> None:
    """An MCP server of the client's: its tools are listed, a call runs at once, another one waits for the client."""
    async with talk() as held:
        server: Any = {
            "type": "mcp",
            "server_label": script.SUM_SERVER,
            "server_url": MCP_URL,
            "allowed_tools": ["add"],
        }
        session: Any = {"type": "realtime", "output_modalities": ["text"]}
        await held.connection.session.update(session={**session, "tools": [{**server, "require_approval": "never"}]})
        await until(lambda: held.of("mcp_list_tools.completed"), what="list of tools")
        await held.say(script.ASK_SUM)
        called, message = held.of("response.done")[-1].response.output
        assert (called.type, called.name, called.output) == ("mcp_call", "add", "5")
        assert message.content[0].text == "I found this out: 5."
        assert held.of("response.mcp_call.completed")[0].item_id == called.id

        await held.connection.session.update(session={**session, "tools": [server]})
        await until(lambda: len(held.of("mcp_list_tools.completed")) == 2, what="second list of tools")
        await held.say(script.ASK_SUM)
        asked = held.of("response.done")[-1].response.output[-1]
        assert (asked.type, asked.name, asked.arguments.replace(" ", "")) == (
            "mcp_approval_request",
            "add",
            '{"a":2,"b":3}',
        )
        answer: Any = {"type": "mcp_approval_response", "approval_request_id": asked.id, "approve": True}
        await held.connection.conversation.item.create(item=answer)
        await held.connection.response.create()
        await until(lambda: len(held.of("response.done")) == 3, what="answer with the sum")
        assert held.transcript() == "I found this out: 5."


async def errors() -> None:
    """What cannot be done is told with the code that clients match on, and the conversation goes on."""
    async with talk(faults=True) as held:
        connection = held.connection
        words: Any = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": script.ASK_STORY}]}
        await connection.response.cancel(event_id="e1")
        await connection.input_audio_buffer.commit(event_id="e2")
        await connection.conversation.item.create(item={**words, "id": "mine"})
        await connection.conversation.item.create(item={**words, "id": "mine"}, event_id="e3")
        await connection.conversation.item.create(item=words, previous_item_id="nobody", event_id="e4")
        await connection.conversation.item.retrieve(item_id="nobody", event_id="e5")
        await connection.conversation.item.delete(item_id="nobody", event_id="e6")
        await connection.conversation.item.truncate(item_id="nobody", content_index=0, audio_end_ms=0, event_id="e7")
        await connection.conversation.item.truncate(item_id="mine", content_index=0, audio_end_ms=0, event_id="e8")
        await connection.response.create()
        await until(lambda: held.of("response.output_audio.delta"), what="story")
        await connection.response.create(event_id="e9")
        wrong: Any = {
            "type": "realtime",
            "audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 7}}},
        }
        await connection.session.update(session=wrong, event_id="e10")
        other: Any = {"type": "realtime", "audio": {"output": {"voice": "another"}}}
        await connection.session.update(session=other, event_id="e11")
        await connection.response.cancel()
        await until(lambda: held.of("response.done"), what="end of the story")
        cut = held.of("response.done")[0].response
        assert (cut.status, cut.status_details.reason) == ("cancelled", "client_cancelled")
        await connection.conversation.item.delete(item_id="mine")
        await held.say(script.MORNING)
        assert held.transcript() == script.GREETED
        told = {event.error.event_id: event.error for event in held.of("error")}
        assert {event_id: error.code for event_id, error in told.items()} == {
            "e1": "response_cancel_not_active",
            "e2": "input_audio_buffer_commit_empty",
            "e3": "item_create_duplicate_item_id",
            "e4": "item_create_invalid_previous_item_id",
            "e5": "item_retrieve_invalid_item_id",
            "e6": "item_delete_invalid_item_id",
            "e7": "item_truncate_invalid_item_id",
            "e8": "unsupported_content_type",
            "e9": "conversation_already_has_active_response",
            "e10": "invalid_value",
            "e11": "cannot_update_voice",
        }
        assert told["e1"].message == "Cancellation failed: no active response found"
        assert told["e8"].message == "Only model output audio messages can be truncated"
        assert told["e10"].param == "session.audio.input.turn_detection.threshold"
        assert told["e11"].message == "Cannot update a conversation's voice if assistant audio is present."
        assert not held.of("session.updated")


async def transcribe() -> None:
    """A session that only writes down."""
    client = openai.AsyncOpenAI(base_url=HTTP_URL, api_key=script.KEY, max_retries=0)
    async with client, client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        held = Talk(connection)
        reading = asyncio.create_task(held.read())
        audio: Any = {"input": {"transcription": {"model": "default"}}}
        await connection.session.update(session={"type": "transcription", "audio": audio})
        heard = "conversation.item.input_audio_transcription.completed"
        async with microphone(held.append, "bella_sunday"):
            await until(lambda: held.of(heard), what=heard)
        await connection.response.create(event_id="e1")
        await until(lambda: held.of("error"), what="refusal of an answer")
        reading.cancel()
        assert held.of("session.created")[0].session.type == "transcription"
        assert held.of(heard)[0].transcript == script.HEARD
        assert not held.of("response.created")
        assert held.of("error")[0].error.event_id == "e1"


async def azure() -> None:
    """The library's Azure client: another address, another header, the older dialect."""
    client = openai.AsyncAzureOpenAI(
        azure_endpoint=HTTP_URL.removesuffix("/v1"),
        websocket_base_url=WS_URL.replace("/v1", "/openai"),
        api_key=script.KEY,
        api_version="2025-04-01-preview",
        max_retries=0,
    )
    async with client, client.realtime.connect(model=script.AGENT) as connection:
        held = Talk(connection)
        reading = asyncio.create_task(held.read())
        older: Any = {"modalities": ["text", "audio"], "tools": [WEATHER_TOOL], "temperature": 0.8}
        await connection.send({"type": "session.update", "session": older})
        await held.say(script.ASK_WEATHER)
        [made] = held.of("response.function_call_arguments.done")
        output: Any = {"type": "function_call_output", "call_id": made.call_id, "output": script.WEATHER}
        await connection.conversation.item.create(item=output)
        await connection.response.create()
        await until(lambda: len(held.of("response.done")) == 2, what="answer with the weather")
        async with microphone(held.append, "bella_sunday"):
            await until(lambda: len(held.of("response.done")) == 3, what="spoken answer")
        reading.cancel()
        assert not held.of("error"), held.of("error")
        words = "".join(event.delta for event in held.of("response.audio_transcript.delta"))
        assert script.WEATHER in words
        assert script.ON_SUNDAY in words
        assert held.of("response.audio.delta")
        assert held.of("conversation.item.created")
        assert not held.of("conversation.item.added")


async def secret() -> None:
    """A short-lived key opens a session and nothing else."""
    async with openai.AsyncOpenAI(base_url=SERVER_URL, api_key=script.KEY, max_retries=0) as client:
        session: Any = {"type": "realtime", "model": script.AGENT, "instructions": "Answer in rhymes."}
        made = await client.realtime.client_secrets.create(session=session)
        assert made.value.startswith("ek_")
        models = [model.id async for model in client.models.list()]
        assert script.AGENT in models
    client = openai.AsyncOpenAI(base_url=HTTP_URL, api_key=made.value, max_retries=0)
    async with client, client.realtime.connect(model=script.AGENT) as connection:
        created: Any = await connection.recv()
        assert created.type == "session.created"
        assert created.session.instructions == "Answer in rhymes."
    async with openai.AsyncOpenAI(base_url=SERVER_URL, api_key=made.value, max_retries=0) as client:
        code = None
        try:
            await client.realtime.client_secrets.create()
        except openai.APIStatusError as exc:
            code = exc.status_code
        assert code in (401, 403), f"A client secret has made another one: {code}"


async def refused() -> None:
    """A wrong key and an unknown agent are told before the upgrade, in words."""
    from websockets.exceptions import InvalidStatus

    for key, model, status in (("wrong", script.AGENT, 401), (script.KEY, "nobody", 404)):
        async with openai.AsyncOpenAI(base_url=HTTP_URL, api_key=key, max_retries=0) as client:
            told = 101
            try:
                async with client.realtime.connect(model=model):
                    pass
            except InvalidStatus as exc:
                told = exc.response.status_code
            assert told == status, f"{model} with the key {key} was answered {told}"


SMALLEST = {"text": text, "spoken": spoken, "tool": tool}
WHOLE = {
    **SMALLEST,
    "barge-in": barge_in,
    "reconnect": reconnect,
    "manual": manual,
    "aside": aside,
    "mcp": mcp,
    "errors": errors,
    "transcribe": transcribe,
    "azure": azure,
    "secret": secret,
    "call": call,
    "refused": refused,
}

if __name__ == "__main__":
    main(WHOLE if IS_WHOLE else SMALLEST)
