"""Settings of the local voice program: a command line, else the environment, else ``.env``, else the default here.

Each has the plain name that other realtime programs use (``VOICE_NAME``), and the same with the prefix ``ANTIPHON_``,
which wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, AliasGenerator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from antiphon.errors import ConfigurationError
from antiphon.settings import ENV_FILE, PREFIX

OFF = frozenset({"none", "null", "off", "disabled", ""})
"""What switches a model off."""
KINDS = ("email", "phone", "card", "iban", "ssn", "address")

_SECRETS = frozenset({"openai_api_key", "azure_openai_api_key", "summary_api_key"})
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")

Names = Annotated[tuple[str, ...], NoDecode]
"""Words with commas between them."""


def _names_of(field: str) -> AliasChoices:
    return AliasChoices(PREFIX + field.upper(), field.upper())


class VoiceClientSettings(BaseSettings):
    """All that the voice program can be told. Made once by ``load_voice_settings``, never changed.

    Attributes:
        provider: ``openai``, ``azure`` or ``antiphon``.
        openai_api_key: For ``openai``; for ``antiphon`` the server's key.
        openai_base_url: An HTTP or WebSocket address.
        azure_openai_api_key, azure_openai_endpoint, azure_openai_api_version, azure_openai_deployment: Of Azure; with
            a version its older address and event names are used.
        realtime_model: The model; the agent's name for ``antiphon``.
        transcribe_model: Writes down what the user says; ``none`` for nobody, and then there are no summaries.
        voice_name: The service's name of a voice.
        instructions, instructions_file: What the model is told; the file only where there is no text.
        speak_first: Whether the model begins.
        sample_rate_hz, bytes_per_sample: Of the socket; there is one choice.
        chunk_ms: Sound in one message.
        input_device_id, output_device_id: Number or part of the name; the system's default unless given.
        audio_backend: ``sounddevice``, ``null`` (silence) or ``file``.
        input_file, output_file: WAVs in the place of microphone and loudspeaker, for ``file``.
        jitter_ms: Sound that is held before an answer starts.
        mic_queue_chunks: Longest queue on the way in; the socket takes from it as fast as it can.
        player_max_s: Longest sound that is held for playout.
        drop_policy: Which chunk of a full queue goes.
        turn_detection: ``none`` is push to talk.
        barge_in: Who notices that the user interrupts: the server, this program by the level, or nobody.
        echo_mode: ``duplex`` takes the echo out, ``half`` mutes the microphone during playout, ``raw`` does nothing.
        summary_model, summary_base_url, summary_api_key: A chat model that writes summaries.
        summary_trigger_tokens, summary_trigger_turns, summary_min_interval_s: When.
        keep_last_turns: Turns that stay word for word.
        language_policy, language: Of summaries: as the user speaks, English, or always ``language``.
        redact_pii, redact_kinds: What is taken out of logs, screen, memory and summaries.
        transcript_log: Whether transcripts are logged.
        memory_path: SQLite file for facts; none unless given.
        tools: Functions that the model may call.
        tool_timeout_s: For each.
        http_tool_allow: Hosts that ``http_get`` may ask; none, and it is not offered.
        reconnect_base_s, reconnect_max_s, reconnect_max_tries: Waits between attempts; 0 tries is no limit.
        ping_interval_s, ping_timeout_s: Of the keep-alive.
        log_level, log_format: Of the program's log on stderr.
        metrics_port: Prometheus on loopback; 0 is off.
    """

    model_config = SettingsConfigDict(
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        alias_generator=AliasGenerator(validation_alias=_names_of),
    )

    provider: Literal["openai", "azure", "antiphon"] = "antiphon"
    openai_api_key: SecretStr | None = None
    openai_base_url: str = "https://api.openai.com/v1"
    azure_openai_api_key: SecretStr | None = None
    azure_openai_endpoint: str | None = None
    azure_openai_api_version: str = ""
    azure_openai_deployment: str = "realtime"
    realtime_model: str = "gpt-realtime-2"
    transcribe_model: str = "gpt-realtime-whisper"
    voice_name: str = "marin"
    instructions: str | None = None
    instructions_file: Path | None = None
    speak_first: bool = False
    sample_rate_hz: Literal[24000] = 24000
    bytes_per_sample: Literal[2] = 2
    chunk_ms: int = Field(default=40, ge=10, le=100)
    input_device_id: str | None = None
    output_device_id: str | None = None
    audio_backend: Literal["sounddevice", "null", "file"] = "sounddevice"
    input_file: Path | None = None
    output_file: Path | None = None
    jitter_ms: int = Field(default=120, ge=20, le=500)
    mic_queue_chunks: int = Field(default=32, ge=1, le=10_000)
    player_max_s: float = Field(default=120.0, gt=0, le=3600)
    drop_policy: Literal["oldest", "newest"] = "oldest"
    turn_detection: Literal["semantic_vad", "server_vad", "none"] = "semantic_vad"
    barge_in: Literal["server", "local", "off"] = "server"
    echo_mode: Literal["duplex", "half", "raw"] = "duplex"
    summary_model: str = "gpt-4o-mini"
    summary_base_url: str | None = None
    summary_api_key: SecretStr | None = None
    summary_trigger_tokens: int = Field(default=2000, ge=1)
    summary_trigger_turns: int = Field(default=0, ge=0)
    summary_min_interval_s: float = Field(default=20.0, ge=0)
    keep_last_turns: int = Field(default=2, ge=0)
    language_policy: Literal["auto", "en", "force"] = "auto"
    language: str = "en"
    redact_pii: bool = True
    redact_kinds: Names = KINDS
    transcript_log: bool = False
    memory_path: Path | None = None
    tools: Names = ("clock",)
    tool_timeout_s: float = Field(default=10.0, ge=0.05, le=300)
    http_tool_allow: Names = ()
    reconnect_base_s: float = Field(default=0.5, gt=0)
    reconnect_max_s: float = Field(default=8.0, gt=0)
    reconnect_max_tries: int = Field(default=0, ge=0)
    ping_interval_s: float = Field(default=10.0, gt=0)
    ping_timeout_s: float = Field(default=20.0, gt=0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    metrics_port: int = Field(default=0, ge=0, le=65_535)

    @field_validator("redact_kinds", "tools", "http_tool_allow", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value

    @field_validator(
        "provider", "turn_detection", "log_level", "log_format", "audio_backend", "language_policy", mode="before"
    )
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("redact_kinds")
    @classmethod
    def _known_kinds(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [kind for kind in value if kind not in KINDS]
        if unknown:
            raise ValueError(f"there is no kind {unknown[0]!r}; use {', '.join(KINDS)}")
        return value

    @field_validator("log_format", mode="before")
    @classmethod
    def _servers_word(cls, value: Any) -> Any:
        # The server calls the same form "console", and may share its variable.
        return "text" if isinstance(value, str) and value.lower() == "console" else value

    @field_validator("language")
    @classmethod
    def _is_language(cls, value: str) -> str:
        # Many systems set LANGUAGE for their own programs, as "pt_BR.UTF-8:en".
        tag = re.split(r"[:.@]", value)[0].replace("_", "-")
        if not _LANGUAGE.fullmatch(tag) and tag not in ("C", "POSIX"):
            raise ValueError("must be a language tag such as en or pt-BR")
        return "en" if tag in ("C", "POSIX") else tag

    @field_validator("memory_path", "input_file", "output_file", "instructions_file")
    @classmethod
    def _expand_home(cls, value: Path | None) -> Path | None:
        return value.expanduser() if value is not None else None

    @property
    def writes_summaries(self) -> bool:
        """Whether summaries are wanted, and can be had."""
        return self.summary_model.lower() not in OFF and self.transcribes

    @property
    def transcribes(self) -> bool:
        """Whether what the user says is written down."""
        return self.transcribe_model.lower() not in OFF

    def shown(self) -> Iterator[tuple[str, str]]:
        """Names and values for the eye; secrets only tell whether they are set."""
        for field in type(self).model_fields:
            value = getattr(self, field)
            if field in _SECRETS:
                yield field.upper(), "set" if value is not None else "not set"
            else:
                yield (
                    field.upper(),
                    ",".join(value) if isinstance(value, tuple) else "" if value is None else str(value),
                )


NAMES = frozenset(PREFIX + field.upper() for field in VoiceClientSettings.model_fields)
"""With their prefix; ``antiphon.settings`` does not take them for misspelt ones of its own."""


def load_voice_settings(*, env_file: str | Path | None = ENV_FILE, **flags: Any) -> VoiceClientSettings:
    """Read all settings.

    Args:
        env_file: Where further variables are looked for; a missing file is fine.
        flags: What the command line says; None means that it says nothing.

    Raises:
        ConfigurationError: A value is wrong, or something that the provider needs is missing.
    """
    # A flag goes in under the name that wins over the others.
    given = {PREFIX + name.upper(): value for name, value in flags.items() if value is not None}
    try:
        settings = VoiceClientSettings(**{"_env_file": env_file, **given})
    except ValidationError as exc:
        first = exc.errors()[0]
        name = str(first["loc"][0]).upper().removeprefix(PREFIX)
        reason = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{name} cannot be used: {reason[:1].lower()}{reason[1:]}.") from exc
    _check(settings)
    return settings


def _check(settings: VoiceClientSettings) -> None:
    if settings.provider == "openai" and settings.openai_api_key is None:
        raise ConfigurationError(
            "There is no key for OpenAI: set OPENAI_API_KEY, or talk to an agent of this machine with "
            "`antiphon run`, which needs none."
        )
    if settings.provider == "azure" and settings.azure_openai_api_key is None:
        raise ConfigurationError("There is no key for Azure: set AZURE_OPENAI_API_KEY.")
    if settings.provider == "azure" and not settings.azure_openai_endpoint:
        raise ConfigurationError("The address of your Azure resource is missing: set AZURE_OPENAI_ENDPOINT.")
    if settings.audio_backend == "file" and settings.input_file is None:
        raise ConfigurationError("AUDIO_BACKEND=file needs a recording: set INPUT_FILE to a WAV.")
    if settings.reconnect_max_s < settings.reconnect_base_s:
        raise ConfigurationError("RECONNECT_MAX_S is below RECONNECT_BASE_S: make it at least as long.")


def instructions_of(settings: VoiceClientSettings) -> str | None:
    """What the model is told; None leaves it to the service.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    if settings.instructions is not None or settings.instructions_file is None:
        return settings.instructions
    try:
        return settings.instructions_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The instructions in {settings.instructions_file} cannot be read ({error}): give another file."
        ) from None
