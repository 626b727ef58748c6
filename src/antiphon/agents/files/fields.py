"""The keys of an agent file, and what each may hold: for the reader, its messages and the editors' schema."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from antiphon.agents.files.kinds import (
    MOST_TEXT,
    Block,
    Choice,
    Field,
    Flag,
    Free,
    ListOf,
    MapOf,
    Named,
    Number,
    Percent,
    Text,
)

_TOOL_NAME = Text(64, "[A-Za-z0-9_-]{1,64}", "1 to 64 letters, digits, _ or -")
_VARIABLE = Text(128, "[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable")
_LANGUAGE = Text(35, "[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", "a language tag such as en-GB")
_APPROVAL = Choice("never_require", "always_require")
_TEXTS = ListOf(Text(1024))

PROMPT_KEYS = frozenset({"instructions", "prompt", "prompts"})

_MODEL: Mapping[str, Field] = {
    "name": Field(Text(256), "The model: provider:model, or the provider's own name beside `provider`."),
    "provider": Field(Text(64), "Who serves it, such as openai, anthropic or ollama."),
    "base_url": Field(Text(2048), "Address of an OpenAI-compatible endpoint; no key goes there but `api_key_env`."),
    "api_key_env": Field(_VARIABLE, "The environment variable that holds the key for `base_url`."),
    "temperature": Field(Number(0, 2), "How freely it chooses words."),
    "top_p": Field(Number(0, 1), "Share of the likely words that it chooses among."),
    "min_p": Field(Number(0, 1), "Least probability of a word; for engines that know it."),
    "typical_p": Field(Number(0, 1), "Locally typical words only; for engines that know it."),
    "max_tokens": Field(Number(1, 16_384, whole=True), "Longest answer."),
    "max_completion_tokens": Field(Number(1, 32_768, whole=True), "Longest answer with its reasoning."),
    "frequency_penalty": Field(Number(-2, 2), "Against words that were said often."),
    "presence_penalty": Field(Number(-2, 2), "Against words that were said at all."),
    "stop": Field(ListOf(Text(256), most=16), "Texts that end an answer."),
    "reasoning_effort": Field(Choice("none", "minimal", "low", "medium", "high", "xhigh"), "For models that think."),
    "verbosity": Field(Choice("low", "medium", "high", "0", "1", "2"), "How much it says; for models that know it."),
    "store": Field(Flag(), "Whether the provider keeps the answer."),
    "metadata": Field(MapOf(Text(512)), "For the provider's log."),
    "response_format": Field(Free(), "Sent to the provider as it is; `output_schema` is checked here too."),
    "include_reasoning": Field(Flag(), "Whether its thoughts are shown; they are never spoken.", later=True),
    "endpoint_preference": Field(Choice("auto", "chat", "responses"), "Of OpenAI's two interfaces.", later=True),
    "api_version": Field(Text(32), "Of the provider's interface.", later=True),
    "model_family": Field(Choice("auto", "o1", "o3", "o4", "gpt-4", "gpt-5", "unknown"), "What it is.", later=True),
}
_MODEL_BLOCK = Block(_MODEL, short="name", clears=("provider", "base_url", "api_key_env"))
_AGENTS_MODEL: Mapping[str, Field] = {
    "s2s": Field(Text(256), "The model that hears and speaks, and holds phone calls: provider/model."),
    **_MODEL,
}

_VOICE: Mapping[str, Field] = {
    "name": Field(Text(256), "The speech provider's name of the voice."),
    "language": Field(_LANGUAGE, "Language that is spoken, where `language` does not say it."),
    "provider": Field(Text(64), "Who speaks.", later=True),
    "type": Field(Text(64), "Kind of the voice.", later=True),
    "style": Field(Text(64), "Manner of speaking.", later=True),
    "rate": Field(Percent(-50, 100), "Faster or slower."),
    "pitch": Field(Percent(-50, 50), "Higher or lower.", later=True),
    "endpoint_id": Field(Text(256), "Of a voice of one's own.", later=True),
}

_SPEECH: Mapping[str, Field] = {
    "candidate_languages": Field(
        ListOf(_LANGUAGE, least=1, most=10), "Languages that callers may speak; the first is spoken too.", later=True
    ),
    "vad_silence_timeout_ms": Field(Number(100, 5000), "Silence that ends a turn which may or may not be whole."),
    "use_semantic_segmentation": Field(Flag(), "Cut what is heard by its meaning.", later=True),
    "enable_diarization": Field(Flag(), "Tell speakers apart.", later=True),
    "speaker_count_hint": Field(Number(1, 10, whole=True), "How many speakers there may be.", later=True),
    "transcription_model": Field(Text(256), "Which model hears.", later=True),
    "phrases": Field(ListOf(Text(256), most=500), "Words that are likely to be heard."),
    "phrase_weight": Field(Number(0, 2), "How much likelier they are.", later=True),
    "vad": Field(
        Block(
            {
                "threshold": Field(Number(0, 1), "From which probability on sound is speech."),
                "prefix_padding_ms": Field(Number(0, 1000), "Sound before speech that belongs to it."),
            }
        ),
        "The detector of speech.",
    ),
}

_SESSION: Mapping[str, Field] = {
    "modalities": Field(ListOf(Choice("TEXT", "AUDIO"), least=1, most=2), "What goes both ways."),
    "input_audio_format": Field(Choice("PCM16", "G711_ULAW", "G711_ALAW"), "Of what is heard."),
    "output_audio_format": Field(Choice("PCM16", "G711_ULAW", "G711_ALAW"), "Of what is said."),
    "input_audio_transcription_settings": Field(
        Block(
            {
                "model": Field(Text(256), "Which model writes down what is heard."),
                "language": Field(_LANGUAGE, "Language that is heard."),
                "custom_speech": Field(Free(), "Models of one's own by language."),
                "phrase_list": Field(_TEXTS, "Words that are likely to be heard."),
            }
        ),
        "How what is heard is written down.",
    ),
    "turn_detection": Field(
        Block(
            {
                "type": Field(Choice("semantic_vad", "server_vad", "azure_semantic_vad", "none"), "Who finds turns."),
                "threshold": Field(Number(0, 1), "From which probability on sound is speech."),
                "prefix_padding_ms": Field(Number(0, 1000), "Sound before speech that belongs to it."),
                "silence_duration_ms": Field(Number(100, 3000), "Silence that ends a turn."),
                "create_response": Field(Flag(), "Whether a turn is answered at once."),
            },
            short="type",
        ),
        "How the end of a turn is found.",
    ),
    "tool_choice": Field(
        Block(
            {
                "type": Field(Choice("auto", "none", "required", "function"), "Whether tools may be called."),
                "name": Field(_TOOL_NAME, "The one that must be."),
            },
            short="type",
        ),
        "Whether tools may be called.",
    ),
    "parallel_tool_calls": Field(Flag(), "Whether several tools may be called at once."),
    "voice": Field(Block(_VOICE, short="name"), "Over `voice`."),
}

_HANDOFF: Mapping[str, Field] = {
    "target": Field(Text(64), "The agent that takes over."),
    "type": Field(Choice("announced", "discrete"), "Whether the caller hears that somebody takes over."),
    "when": Field(Text(2048), "Added to the instructions: when to hand over."),
    "description": Field(Text(1024), "Of the tool; the target's description unless given."),
    "share_context": Field(Flag(), "Whether the target sees the whole conversation."),
    "context_vars": Field(Free(), "Values for the target's templates."),
    "tool": Field(_TOOL_NAME, "Name of the tool; the target's `handoff.trigger` or handoff_to_NAME unless given."),
}

_MCP: Mapping[str, Field] = {
    "name": Field(Text(48, "[A-Za-z0-9_-]{1,48}", "1 to 48 letters, digits, _ or -"), "Of the server."),
    "url": Field(Text(2048), "Its endpoint, where it is a service."),
    "headers": Field(MapOf(Text(4096)), "Of every request to it."),
    "allow_hosts": Field(ListOf(Text(256)), "Private hosts that may be reached."),
    "command": Field(Text(1024), "The program, where it is a process of its own."),
    "args": Field(ListOf(Text(4096)), "Its arguments."),
    "env": Field(MapOf(Text(4096)), "Its environment."),
    "allowed_tools": Field(ListOf(Text(128)), "The tools that are used; all unless given."),
    "tool_name_prefix": Field(Text(48), "What the tools' names begin with; NAME_ unless given."),
    "approval": Field(_APPROVAL, "Whether a person has to approve its calls."),
    "timeout_s": Field(Number(0.05, 300), "Longest call."),
    "connect_timeout_s": Field(Number(0.05, 60), "Longest wait for the connection."),
    "required": Field(Flag(), "Whether a run fails without it."),
}

_COMPACTION: Mapping[str, Field] = {
    "strategy": Field(
        Choice("token_budget", "sliding_window", "truncation", "tool_results", "summarization", "fact_sheet"),
        "How a long conversation is made to fit.",
    ),
    "max_tokens": Field(Number(100, 10_000_000, whole=True), "Of token_budget and truncation."),
    "keep_turns": Field(Number(0, 1000, whole=True), "Of sliding_window, truncation and summarization."),
    "keep_groups": Field(Number(0, 1000, whole=True), "Of tool_results: call groups that stay whole."),
    "max_chars": Field(Number(0, 1_000_000, whole=True), "Of tool_results: what stays of the others."),
    "model": Field(Text(256), "Writes the summaries or facts; needed by summarization and fact_sheet."),
    "max_facts": Field(Number(1, 1000, whole=True), "Of fact_sheet."),
    "every_turns": Field(Number(1, 1000, whole=True), "Of fact_sheet: turns after which facts are looked for."),
}

_LIMITS: Mapping[str, Field] = {
    "max_model_steps": Field(Number(1, 100, whole=True), "Requests of a turn that may call tools."),
    "max_tool_calls": Field(Number(1, 1000, whole=True), "Tool calls of a turn."),
    "max_parallel_tools": Field(Number(1, 100, whole=True), "Calls that run at once."),
    "max_consecutive_errors": Field(Number(1, 100, whole=True), "Steps in a row in which every call failed."),
    "max_seconds": Field(Number(1, 3600), "Longest turn."),
    "max_handoffs": Field(Number(0, 100, whole=True), "Changes of the agent in a turn."),
    "max_result_chars": Field(Number(100, 1_000_000, whole=True), "A tool's longer result is cut."),
}

AGENT = Block(
    {
        "kind": Field(Choice("agent"), "What the file describes."),
        "name": Field(Text(64, ".+", "a name on one line"), "The agent's name; the file's or folder's unless given."),
        "description": Field(Text(512), "What the agent is for, for other agents and for people."),
        "instructions": Field(Text(MOST_TEXT), "The system message; may be a Jinja template."),
        "prompt": Field(Text(MOST_TEXT), "The same as `instructions`."),
        "prompts": Field(
            Block(
                {
                    "path": Field(Text(1024), "A file in the agent's folder."),
                    "content": Field(Text(MOST_TEXT), "The text itself."),
                }
            ),
            "The system message, in a file or here.",
        ),
        "greeting": Field(Text(1024), "Said when a call is answered; may be a template."),
        "return_greeting": Field(Text(1024), "Said when the conversation comes back to the agent; may be a template."),
        "model": Field(
            Block(_AGENTS_MODEL, short="name", clears=("s2s", *_MODEL_BLOCK.clears)),
            "What thinks; the configured model unless given.",
        ),
        "cascade_model": Field(_MODEL_BLOCK, "Over `model` where speech is turned into text and back."),
        "realtime_model": Field(_MODEL_BLOCK, "Over `model` where the model itself hears and speaks.", later=True),
        "byom": Field(
            Block(
                {
                    "mode": Field(
                        Choice(
                            "byom-azure-openai-realtime",
                            "byom-azure-openai-chat-completion",
                            "byom-foundry-anthropic-messages",
                        ),
                        "Which wire it speaks.",
                    )
                }
            ),
            "A realtime model of one's own.",
            later=True,
        ),
        "voice": Field(Block(_VOICE, short="name"), "What is heard of the agent."),
        "language": Field(_LANGUAGE, "Language that is spoken."),
        "speech": Field(Block(_SPEECH), "How the caller is heard."),
        "session": Field(Block(_SESSION), "Of a realtime model.", later=True),
        "tools": Field(
            ListOf(Named()),
            "Names of tools: those of tools.py, and those that come with Antiphon; some of these may have options.",
        ),
        "mcp_servers": Field(ListOf(Block(_MCP, short="name"), most=32), "Servers of tools."),
        "approval": Field(MapOf(_APPROVAL), "By tool: whether a person has to approve its calls."),
        "tool_timeout_s": Field(Number(1, 300), "Longest call of each tool that has no timeout of its own."),
        "handoffs": Field(ListOf(Block(_HANDOFF, short="target"), most=64), "Who can take the conversation over."),
        "handoff": Field(
            Block(
                {
                    "trigger": Field(_TOOL_NAME, "Name of the tool by which others hand over to this agent."),
                    "is_entry_point": Field(Flag(), "Whether this agent of the folder answers first."),
                }
            ),
            "How the agent is come to.",
        ),
        "context_providers": Field(ListOf(Text(128)), "Names in tools.py of what brings knowledge into each run."),
        "middleware": Field(ListOf(Text(128)), "Names in tools.py of code around runs, requests and calls."),
        "limits": Field(Block(_LIMITS), "What a turn may use."),
        "compaction": Field(Block(_COMPACTION, short="strategy"), "What a model gets of a long conversation."),
        "output_schema": Field(Free(), "JSON Schema that the answer must fit."),
        "fillers": Field(_TEXTS, "Said, in turn, when a tool takes long."),
        "template_vars": Field(Free(), "Values for templates."),
        "metadata": Field(Free(), "Free."),
        "interruption": Field(
            Block(
                {
                    "mode": Field(Choice("vad", "adaptive", "off"), "By sound that lasts, by words alone, or not."),
                    "min_duration_ms": Field(Number(0, 10_000), "Shorter speech does not interrupt."),
                    "min_words": Field(Number(0, 20, whole=True), "Fewer words do not interrupt, but for commands."),
                    "ignore_words": Field(ListOf(Text(64), most=200), "Words that do not interrupt."),
                },
                short="mode",
            ),
            "Whether the caller may interrupt.",
        ),
        "stop_words": Field(
            ListOf(Text(64), most=100),
            "Said alone, they end the call; by the language unless given, and [] for none.",
        ),
        "goodbye": Field(Text(1024), "Said when the agent ends the call for that."),
        "voicemail": Field(
            Block(
                {
                    "detect": Field(Choice("off", "audio", "llm"), "By what is heard, by the model, or not."),
                    "message": Field(Text(1024), "Left after the beep; then the call ends."),
                    "hang_up": Field(Flag(), "Whether a call without a message ends at once."),
                },
                short="detect",
            ),
            "When a machine answers.",
        ),
        "dtmf": Field(
            Block(
                {
                    "interrupts": Field(Flag(), "Whether a key stops the answer."),
                    "submit_after_s": Field(Number(0.1, 60), "Silence that ends the digits."),
                    "max_digits": Field(Number(1, 20, whole=True), "Most digits."),
                    "attempts": Field(Number(1, 10, whole=True), "Of a PIN."),
                    "timeout_s": Field(Number(1, 300), "Longest wait for a PIN."),
                }
            ),
            "The keypad.",
        ),
        "background": Field(
            Block(
                {
                    "sound": Field(
                        Text(1024),
                        "office, city-street, crowded-room, call-center, typing, typing-short, hold, or a WAV in the "
                        "agent's folder.",
                    ),
                    "volume": Field(Number(0, 1), "How loud; 0.5 unless given."),
                    "loop": Field(Flag(), "Whether it begins again at its end."),
                },
                short="sound",
            ),
            "What is heard behind the agent on a phone line.",
        ),
        "idle": Field(
            Block(
                {
                    "timeout_s": Field(Number(0, 3600), "Silence after which the call ends; 0 is never."),
                    "goodbye": Field(Text(1024), "Said then."),
                    "reminders": Field(_TEXTS, "Said before, at equal distances."),
                }
            ),
            "When nobody says anything.",
        ),
    }
)

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "handoff_trigger": "handoff.trigger",
        "agent.name": "name",
        "agent.description": "description",
        "agent.greeting": "greeting",
        "agent.return_greeting": "return_greeting",
        "voicelive_model": "realtime_model",
        "model.deployment_id": "model.name",
        "cascade_model.deployment_id": "cascade_model.name",
        "realtime_model.deployment_id": "realtime_model.name",
        "speech.recognition.language": "language",
        "speech.recognition.phrase_list": "speech.phrases",
        "speech.synthesis.voice_name": "voice.name",
        "speech.vad.silence_duration_ms": "speech.vad_silence_timeout_ms",
    }
)
"""Older names of keys, read as if the key stood where it belongs."""
