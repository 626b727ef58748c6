"""Who speaks OpenAI's Chat Completions, and in which dialect. A new provider is one line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from antiphon.models.llm.contract import BASIC_FEATURES, Feature

FULL_FEATURES: frozenset[Feature] = BASIC_FEATURES | {"json_schema", "images"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a provider's form of Chat Completions has, beside what all have.

    Attributes:
        names: Its own names of a request's keys; an empty name for a key that it does not know.
        stream_options: It takes ``stream_options``, with which the tokens are asked for.
        allowed_tools: It takes the ``allowed_tools`` tool choice; elsewhere the other tools are not sent.
        required: Its word for a tool choice that demands a call.
        reasoning: Under which key it wants the model's thoughts back; empty for never.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    stream_options: bool = True
    allowed_tools: bool = False
    required: str = "required"
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider.

    Attributes:
        base_url: Where ``/chat/completions`` is; empty: the user must say.
        key: The environment variable that holds the key; empty for none.
        needs_key: Whether it answers nobody without a key.
        telemetry: Its name in OpenTelemetry's GenAI conventions; its own name unless given.
        dialect: What its requests look like.
        supports: What its models can do, by and large.
    """

    base_url: str
    key: str = ""
    needs_key: bool = True
    telemetry: str = ""
    dialect: Dialect = Dialect()
    supports: frozenset[Feature] = FULL_FEATURES


OPENAI = Dialect(allowed_tools=True)
PLAIN = Dialect()

PROVIDERS: Mapping[str, Provider] = MappingProxyType(
    {
        "openai": Provider("https://api.openai.com/v1", "OPENAI_API_KEY", telemetry="openai", dialect=OPENAI),
        "azure": Provider("", "AZURE_OPENAI_API_KEY", telemetry="azure.ai.openai", dialect=OPENAI),
        "groq": Provider(
            "https://api.groq.com/openai/v1",
            "GROQ_API_KEY",
            dialect=Dialect({"max_tokens": "max_completion_tokens", "logit_bias": ""}),
        ),
        "together": Provider("https://api.together.xyz/v1", "TOGETHER_API_KEY"),
        "fireworks": Provider("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
        "perplexity": Provider(
            "https://api.perplexity.ai",
            "PERPLEXITY_API_KEY",
            dialect=Dialect({"tools": "", "tool_choice": "", "parallel_tool_calls": "", "seed": "", "logit_bias": ""}),
            supports=frozenset({"json_schema", "images"}),
        ),
        "mistral": Provider(
            "https://api.mistral.ai/v1",
            "MISTRAL_API_KEY",
            telemetry="mistral_ai",
            dialect=Dialect(
                {"seed": "random_seed", "logit_bias": "", "user": "", "store": "", "metadata": ""},
                stream_options=False,
                required="any",
            ),
        ),
        "deepseek": Provider(
            "https://api.deepseek.com",
            "DEEPSEEK_API_KEY",
            dialect=Dialect({"parallel_tool_calls": "", "seed": "", "logit_bias": ""}, reasoning="reasoning_content"),
            supports=BASIC_FEATURES,
        ),
        "xai": Provider("https://api.x.ai/v1", "XAI_API_KEY", telemetry="x_ai"),
        "openrouter": Provider(
            "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", dialect=Dialect(reasoning="reasoning")
        ),
        "ollama": Provider("http://localhost:11434/v1", "OLLAMA_API_KEY", needs_key=False),
        "vllm": Provider("http://localhost:8000/v1", "VLLM_API_KEY", needs_key=False),
        "llamacpp": Provider("http://localhost:8080/v1", "LLAMA_API_KEY", needs_key=False),
        "lmstudio": Provider("http://localhost:1234/v1", "LMSTUDIO_API_KEY", needs_key=False),
        "custom": Provider("", "ANTIPHON_CUSTOM_API_KEY", needs_key=False),
    }
)


def azure_url(endpoint: str, deployment: str, api_version: str | None = None) -> str:
    """Where an Azure deployment is: the address without versions, or the dated one of older resources."""
    root = endpoint.rstrip("/").removesuffix("/openai/v1")
    if api_version is None:
        return f"{root}/openai/v1"
    return f"{root}/openai/deployments/{deployment}?api-version={api_version}"
