"""The only reader of the environment.

A value is taken from the command line, else from the environment (``ANTIPHON_PORT``), else from the file ``.env`` in
the working folder, else from the default here. An ``ANTIPHON_*`` name that means nothing is an error, since a misspelt
setting that is silently ignored costs an afternoon.
"""

from __future__ import annotations

import difflib
import os
from base64 import b64decode
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from antiphon.errors import ConfigurationError

PREFIX = "ANTIPHON_"
ENV_FILE = ".env"
_NESTED = ("TURN_POLICY", "CALL_POLICY", "LLM_URLS", "SPEECH_URLS", "CARRIER_URLS")


def default_data_dir() -> Path:
    """The user's own folder for recordings, logs and weights: ``$XDG_DATA_HOME/antiphon``."""
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if base else Path.home() / ".local" / "share") / "antiphon"


def _vendors(*names: str) -> Any:
    """A setting that is also read under the vendor's own names."""
    return Field(default=None, validation_alias=AliasChoices(PREFIX + names[0], *names))


class Settings(BaseSettings):
    """Everything that the operator can set. Made once by ``load_settings``, never changed.

    Attributes:
        host: Address to listen on; anything but loopback needs ``api_keys``.
        port: Port to listen on; 0 takes a free one.
        data_dir: Where recordings, call logs and weights live.
        public_url: How callers reach this server from outside, such as ``https://voice.example.com``; the address in
            the carriers' documents, and part of what carriers sign.
        api_keys: Keys that open this server, separated by commas.
        dev: No authentication, on a loopback address only.
        scenario: How the agents work together in calls that choose no scenario; see ``docs/scenarios.md``.
        max_calls: Calls at the same time.
        max_loop_lag_ms: No new call while the event loop is this late (p95 over 5 s).
        drain_s: How long running calls may go on after the first signal to stop.
        vad, stt, llm, tts, turn: Names of the models; see ``antiphon.models.catalog``.
        models: ``bench`` puts the benchmarks' stand-ins in the place of ``stt``, ``llm`` and ``tts``.
        record: Whether calls are recorded.
        realtime_enabled: Whether the Realtime protocol is spoken.
        realtime_strict: Whether it refuses unknown fields and forbidden changes, in place of ignoring them.
        realtime_beta: ``auto`` goes by the client, ``on`` always speaks the older dialect, ``off`` refuses it.
        realtime_item_created: Also send the older event ``conversation.item.created``.
        realtime_max_session_s: Longest life of a session.
        realtime_idle_s: A session whose client sends nothing for so long is ended; 0 is never.
        realtime_max_frame_bytes: Largest frame of a client.
        realtime_max_send_bytes: A client that leaves more than this unread is cut off.
        realtime_retrieve_audio_bytes: Largest base64 audio of a retrieved item.
        realtime_max_items: Most items of a conversation.
        realtime_max_sessions: Most sessions at once; 0 leaves it to ``max_calls``.
        webrtc_ice_servers: STUN and TURN servers, with commas: ``stun:HOST:PORT``, ``turn:USER:PASSWORD@HOST:PORT``.
        log_level, log_format: Of the program's log on stderr.
        model_mirror: A folder or URL that has the weights, asked first.
        twilio_auth_token, plivo_auth_token: With which the carrier signs its requests.
        twilio_account_sid, plivo_auth_id: Of the account; with its token, calls can be transferred and ended there.
        acs_endpoint, acs_access_key: The same of an Azure Communication Services resource.
        caller_id: The number from which calls are made, and from which somebody is called before a caller is
            transferred; else the one dialled.
        ring_s: How long a telephone rings that we call.
        carrier_urls: Other addresses of carriers' APIs, as ``ANTIPHON_CARRIER_URLS__TWILIO=http://10.0.0.5:8080``.
        acs_audience: The immutable id of the Azure Communication Services resource; with it, the service's own tokens
            open the media socket. ``acs_issuer`` and ``acs_keys_url`` tell who signs them.
        acs_case: How the keys of our messages to that service are spelt: ``camel`` or ``pascal``.
        audiohook_secrets: Client secrets of Genesys AudioHook as ``KEY:SECRET``, with commas; a request with such a key
            must be signed.
        openai_api_key, openai_base_url: Of any OpenAI-compatible chat endpoint.
        azure_openai_endpoint, azure_openai_api_key: Of Azure; ``openai_api_version`` only for dated addresses.
        anthropic_api_key, gemini_api_key, groq_api_key and so on: Keys of chat providers; see ``docs/providers.md``.
        llm_urls: Other addresses of chat providers, as ``ANTIPHON_LLM_URLS__OLLAMA=http://10.0.0.5:11434/v1``.
        deepgram_api_key, elevenlabs_api_key, cartesia_api_key, azure_speech_key: Keys of vendors of speech;
            ``azure_speech_region`` says where the Azure resource is.
        speech_urls: Other addresses of vendors of speech, as ``ANTIPHON_SPEECH_URLS__DEEPGRAM=http://10.0.0.5:8080/v1``.
        turn_policy: Fields of ``TurnPolicy``, as ``ANTIPHON_TURN_POLICY__STOP_S=0.3``.
        call_policy: Fields of ``CallPolicy``, as ``ANTIPHON_CALL_POLICY__MAX_CALL_S=600``.
        yaml_env_allow: Environment variables that agent files may read, separated by commas.
        url_allow_hosts: Private hosts that tools may reach, separated by commas: ``host`` or ``host:port``.
        otel_endpoint: Where OpenTelemetry's collector is (OTLP over HTTP), such as ``http://127.0.0.1:4318``.
        otel_enabled: Whether runs make spans and metrics; yes where ``otel_endpoint`` is given.
        otel_content: Whether these hold what people, models and tools say.
        redact: Where personal data is taken out of texts: ``off`` nowhere, ``logs`` in the program's log and in spans,
            ``store`` also in the stored logs of calls.
        record_consent: Record only calls whose caller agreed: the carrier's parameter ``record_consent`` says ``yes``.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65_535)
    data_dir: Path = Field(default_factory=default_data_dir)
    public_url: str | None = None
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    dev: bool = False
    scenario: str | None = None
    max_calls: int = Field(default=40, ge=1)
    max_loop_lag_ms: float = Field(default=20.0, gt=0)
    drain_s: float = Field(default=30.0, ge=0)
    vad: str = "silero"
    stt: str = "moonshine"
    llm: str = "embedded"
    tts: str = "hibari"
    turn: str = "none"
    models: Literal["default", "bench"] = "default"
    record: bool = False
    record_consent: bool = False
    redact: Literal["off", "logs", "store"] = "logs"
    realtime_enabled: bool = True
    realtime_strict: bool = False
    realtime_beta: Literal["auto", "on", "off"] = "auto"
    realtime_item_created: bool = False
    realtime_max_session_s: float = Field(default=3600.0, gt=0)
    realtime_idle_s: float = Field(default=300.0, ge=0)
    realtime_max_frame_bytes: int = Field(default=16 << 20, ge=1 << 16)
    realtime_max_send_bytes: int = Field(default=4 << 20, ge=1 << 16)
    realtime_retrieve_audio_bytes: int = Field(default=700_000, ge=0)
    realtime_max_items: int = Field(default=2000, ge=10)
    realtime_max_sessions: int = Field(default=0, ge=0)
    webrtc_ice_servers: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"
    model_mirror: str | None = None
    turn_policy: dict[str, str] = Field(default_factory=dict)
    call_policy: dict[str, str] = Field(default_factory=dict)
    llm_urls: dict[str, str] = Field(default_factory=dict)
    speech_urls: dict[str, str] = Field(default_factory=dict)
    twilio_auth_token: SecretStr | None = _vendors("TWILIO_AUTH_TOKEN")
    plivo_auth_token: SecretStr | None = _vendors("PLIVO_AUTH_TOKEN")
    twilio_account_sid: str | None = _vendors("TWILIO_ACCOUNT_SID")
    plivo_auth_id: str | None = _vendors("PLIVO_AUTH_ID")
    caller_id: str | None = Field(default=None, pattern=r"^\+[1-9]\d{1,14}$")
    ring_s: float = Field(default=30.0, ge=5, le=110)
    carrier_urls: dict[str, str] = Field(default_factory=dict)
    acs_endpoint: str | None = None
    acs_access_key: SecretStr | None = None
    acs_audience: str | None = None
    acs_issuer: str = "https://acscallautomation.communication.azure.com"
    acs_keys_url: str = "https://acscallautomation.communication.azure.com/calling/keys"
    acs_case: Literal["camel", "pascal"] = "camel"
    audiohook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    openai_api_key: SecretStr | None = _vendors("OPENAI_API_KEY")
    openai_base_url: str | None = _vendors("OPENAI_BASE_URL")
    openai_api_version: str | None = _vendors("OPENAI_API_VERSION")
    azure_openai_endpoint: str | None = _vendors("AZURE_OPENAI_ENDPOINT")
    azure_openai_api_key: SecretStr | None = _vendors("AZURE_OPENAI_API_KEY")
    anthropic_api_key: SecretStr | None = _vendors("ANTHROPIC_API_KEY")
    gemini_api_key: SecretStr | None = _vendors("GEMINI_API_KEY", "GOOGLE_API_KEY")
    groq_api_key: SecretStr | None = _vendors("GROQ_API_KEY")
    together_api_key: SecretStr | None = _vendors("TOGETHER_API_KEY")
    fireworks_api_key: SecretStr | None = _vendors("FIREWORKS_API_KEY")
    perplexity_api_key: SecretStr | None = _vendors("PERPLEXITY_API_KEY")
    mistral_api_key: SecretStr | None = _vendors("MISTRAL_API_KEY")
    deepseek_api_key: SecretStr | None = _vendors("DEEPSEEK_API_KEY")
    xai_api_key: SecretStr | None = _vendors("XAI_API_KEY")
    openrouter_api_key: SecretStr | None = _vendors("OPENROUTER_API_KEY")
    ollama_api_key: SecretStr | None = _vendors("OLLAMA_API_KEY")
    vllm_api_key: SecretStr | None = _vendors("VLLM_API_KEY")
    llama_api_key: SecretStr | None = _vendors("LLAMA_API_KEY")
    lmstudio_api_key: SecretStr | None = _vendors("LMSTUDIO_API_KEY")
    custom_api_key: SecretStr | None = None
    deepgram_api_key: SecretStr | None = _vendors("DEEPGRAM_API_KEY")
    elevenlabs_api_key: SecretStr | None = _vendors("ELEVENLABS_API_KEY", "ELEVEN_API_KEY")
    cartesia_api_key: SecretStr | None = _vendors("CARTESIA_API_KEY")
    azure_speech_key: SecretStr | None = _vendors("AZURE_SPEECH_KEY")
    azure_speech_region: str | None = _vendors("AZURE_SPEECH_REGION")
    yaml_env_allow: Annotated[tuple[str, ...], NoDecode] = ()
    url_allow_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    otel_endpoint: str | None = _vendors("OTEL_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    otel_enabled: bool = Field(default_factory=lambda given: given.get("otel_endpoint") is not None)
    otel_content: bool = Field(
        default=False,
        validation_alias=AliasChoices(PREFIX + "OTEL_CONTENT", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"),
    )

    @field_validator(
        "api_keys", "audiohook_secrets", "webrtc_ice_servers", "yaml_env_allow", "url_allow_hosts", mode="before"
    )
    @classmethod
    def _split_keys(cls, value: Any) -> Any:
        return tuple(key.strip() for key in value.split(",") if key.strip()) if isinstance(value, str) else value

    @field_validator("data_dir")
    @classmethod
    def _expand_home(cls, value: Path) -> Path:
        return value.expanduser()

    @field_validator("audiohook_secrets")
    @classmethod
    def _has_key_and_secret(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for pair in value:
            key, _, secret = pair.get_secret_value().rpartition(":")
            try:
                is_good = bool(key) and bool(b64decode(secret, validate=True))
            except ValueError:
                is_good = False
            if not is_good:
                raise ValueError("each part must be KEY:SECRET, with the secret in base64")
        return value

    @field_validator("acs_access_key")
    @classmethod
    def _is_base64(cls, value: SecretStr | None) -> SecretStr | None:
        try:
            b64decode("" if value is None else value.get_secret_value(), validate=True)
        except ValueError:
            raise ValueError("must be the key as the portal shows it, in base64") from None
        return value

    @field_validator("log_level", "log_format", "acs_case", "redact", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("otel_content", mode="before")
    @classmethod
    def _in_spans(cls, value: Any) -> Any:
        # The conventions' variable may also say where: we have spans only.
        places = {"span_only": True, "span_and_event": True, "event_only": False, "no_content": False}
        return places.get(value.lower(), value) if isinstance(value, str) else value

    @field_validator("public_url", "otel_endpoint", "acs_keys_url", "acs_endpoint")
    @classmethod
    def _is_http_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/") if value else value


def load_settings(*, env_file: str | Path | None = ENV_FILE, **flags: Any) -> Settings:
    """Read all settings.

    Args:
        env_file: Where further variables are looked for; a missing file is fine.
        flags: What the command line says; None means that it says nothing.

    Raises:
        ConfigurationError: A value or a name is wrong; the sentence says which.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    _refuse_unknown(_names_in_use(env_file))
    try:
        return Settings(**{"_env_file": env_file, **given})
    except ValidationError as exc:
        first = exc.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        name = name if name.startswith((PREFIX, "TWILIO", "PLIVO", "OPENAI", "AZURE")) else PREFIX + name
        reason = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{name} cannot be used: {reason[:1].lower()}{reason[1:]}.") from exc


def yaml_environment(settings: Settings, *, env_file: str | Path | None = ENV_FILE) -> dict[str, str | None]:
    """The variables that agent files may read, with their values; None for one that is not set."""
    values: dict[str, str | None] = {}
    if settings.yaml_env_allow and env_file is not None and Path(env_file).is_file():
        from dotenv import dotenv_values

        values.update(dotenv_values(env_file))
    values.update(os.environ)
    return {name: values.get(name) for name in settings.yaml_env_allow}


def _names_in_use(env_file: str | Path | None) -> Iterable[str]:
    names = dict.fromkeys(os.environ)
    if env_file is not None and Path(env_file).is_file():
        from dotenv import dotenv_values

        names.update(dict.fromkeys(dotenv_values(env_file)))
    return [name for name in names if name.upper().startswith(PREFIX)]


def _refuse_unknown(names: Iterable[str]) -> None:
    from antiphon.settings_voice import NAMES  # which stands on this module

    known = {PREFIX + field.upper() for field in Settings.model_fields} | NAMES
    nested = tuple(f"{PREFIX}{field}__" for field in _NESTED)
    for name in names:
        if name.upper() in known or name.upper().startswith(nested):
            continue
        nearest = difflib.get_close_matches(name.upper(), sorted(known), n=1, cutoff=0.0)[0]
        raise ConfigurationError(f"There is no setting {name}; did you mean {nearest}?")
