"""Who writes the summaries that the settings ask for."""

from __future__ import annotations

from collections.abc import Callable

from antiphon.clock import Clock
from antiphon.models.llm.openai_compatible import OpenAICompatibleClient
from antiphon.models.llm.providers import azure_url
from antiphon.settings_voice import VoiceClientSettings
from antiphon.voice.llm_summarizer import LLMSummarizer
from antiphon.voice.summaries import NullSummarizer, Summarizer


def summarizer_of(
    settings: VoiceClientSettings, *, is_in: Callable[[str, str], bool | None], clock: Clock
) -> tuple[Summarizer, OpenAICompatibleClient | None]:
    """The summarizer, and its model's client, which is to be closed.

    An Antiphon server keeps its agents' conversations short itself: there it needs to be asked for.

    Raises:
        AntiphonException: The model's address is none, or its key is missing.
    """
    is_asked_for = settings.provider != "antiphon" or "summary_model" in settings.model_fields_set
    if not settings.writes_summaries or not is_asked_for:
        return NullSummarizer(), None
    client = _client(settings)
    return LLMSummarizer(client, is_in=is_in, clock=clock), client


def _client(settings: VoiceClientSettings) -> OpenAICompatibleClient:
    model, secret = settings.summary_model, settings.summary_api_key
    if settings.summary_base_url is not None or settings.provider != "azure":
        if secret is None and settings.summary_base_url is None:
            secret = settings.openai_api_key
        return OpenAICompatibleClient(
            model,
            base_url=settings.summary_base_url or settings.openai_base_url,
            api_key=secret.get_secret_value() if secret is not None else None,
        )
    secret = secret or settings.azure_openai_api_key
    return OpenAICompatibleClient(
        model,
        base_url=azure_url(settings.azure_openai_endpoint or "", model, settings.azure_openai_api_version or None),
        provider="azure",
        headers={"api-key": secret.get_secret_value()} if secret is not None else {},
    )
