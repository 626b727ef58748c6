"""The model blocks of a file: which model, and how it is to answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import yaml

from antiphon.agents.files.environment import value_of
from antiphon.agents.files.findings import Findings
from antiphon.agents.files.kinds import Read, plain
from antiphon.agents.files.reading import Reading
from antiphon.errors import ConfigurationError
from antiphon.models.catalog import LLMS
from antiphon.models.llm.connect import provider_named
from antiphon.models.llm.contract import ChatClient, ChatOptions
from antiphon.models.s2s.names import SPEECH, check_speech_name

_SAME = {field.name for field in fields(ChatOptions)} - {"model", "verbosity"}
_EXTRA = ("min_p", "typical_p", "response_format")
_VERBOSITY = {"0": "low", "1": "medium", "2": "high"}

Blocks = Mapping[str, Read]


def model_of(reading: Reading, block: Blocks) -> tuple[str | ChatClient | None, ChatOptions]:
    """The model that a block names, and the options of its requests."""
    return _with_speech(reading.found, block, _client(reading, block)), _options(reading.found, block)


def check_model(found: Findings, block: Blocks) -> None:
    """See whether a block that nothing reads yet would do."""
    if "name" in block and "base_url" not in block:
        _name(found, block)
    _options(found, block)


def check_name(found: Findings, node: yaml.Node, where: str, name: str) -> None:
    """See whether the catalog could make a model of a name, or of several that are joined by ``|``."""
    for each in (part.strip() for part in name.split("|")):
        if each.startswith(SPEECH):
            found.fault(node, f"{where} {each!r}: a file names it as `model: {{s2s: {each.removeprefix(SPEECH)}}}`.")
            continue
        provider, sign, model = each.partition(
            min((sign for sign in ":/" if sign in each), key=each.index, default=":")
        )
        if each in LLMS:
            continue
        if not sign or not model:
            found.fault(node, f"{where} {each!r} names no provider; write it as openai:gpt-4o-mini, or set `provider`.")
            continue
        try:
            provider_named(provider)
        except ConfigurationError as error:
            found.fault(node, f"{where}: {error}")


def _with_speech(found: Findings, block: Blocks, writes: str | ChatClient | None) -> str | ChatClient | None:
    """The model that holds calls, where the block names one, beside the one that writes."""
    if "s2s" not in block:
        return writes
    speech = block["s2s"]
    if writes is not None and not isinstance(writes, str):
        found.fault(speech.node, "model.s2s cannot stand beside model.base_url; name the model that writes by `name`.")
    try:
        check_speech_name(speech.value)
    except ConfigurationError as error:
        found.fault(speech.node, f"model.s2s: {error}")
    return f"{SPEECH}{speech.value}|{writes}" if isinstance(writes, str) else f"{SPEECH}{speech.value}"


def _client(reading: Reading, block: Blocks) -> str | ChatClient | None:
    found = reading.found
    name, base_url, key_env = (block.get(key) for key in ("name", "base_url", "api_key_env"))
    if key_env is not None and base_url is None:
        found.fault(key_env.node, "model.api_key_env is the key for model.base_url, which is missing.")
    if base_url is None:
        return _name(found, block)
    if name is None:
        found.fault(base_url.node, "model.name is missing.")
        return None
    key = value_of(found, key_env.node, key_env.value, reading.allowed) if key_env is not None else None
    if key_env is not None and key is None:
        return None
    from antiphon.models.llm.openai_compatible import OpenAICompatibleClient

    # The operator's own key is for the endpoint that the operator has set, not for one in a file.
    provider = block["provider"].value if "provider" in block else None
    try:
        return OpenAICompatibleClient(name.value, base_url=base_url.value, api_key=key, provider=provider)
    except ConfigurationError as error:
        found.fault(base_url.node, str(error))
        return None


def _name(found: Findings, block: Blocks) -> str | None:
    name, provider = block.get("name"), block.get("provider")
    if provider is not None:
        if name is None:
            found.fault(provider.node, "model.name is missing.")
            return None
        try:
            return f"{provider_named(provider.value)}:{name.value}"
        except ConfigurationError as error:
            found.fault(provider.node, f"model.provider: {error}")
            return None
    if name is None:
        return None
    check_name(found, name.node, "model.name", name.value)
    return str(name.value)


def _options(found: Findings, block: Blocks) -> ChatOptions:
    given = {key: plain(read) for key, read in block.items()}
    if "max_completion_tokens" in given:
        if "max_tokens" in given:
            found.fault(block["max_tokens"].node, "model.max_tokens and model.max_completion_tokens differ; keep one.")
        given["max_tokens"] = given["max_completion_tokens"]
    options: dict[str, Any] = {key: value for key, value in given.items() if key in _SAME}
    if "stop" in options:
        options["stop"] = tuple(options["stop"])
    if "verbosity" in given:
        options["verbosity"] = _VERBOSITY.get(given["verbosity"], given["verbosity"])
    extra = {key: given[key] for key in _EXTRA if key in given}
    return ChatOptions(**options, extra=extra)
