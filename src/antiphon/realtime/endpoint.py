"""Where a Realtime service is, and how it knows us: OpenAI, Azure, or an Antiphon server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from antiphon.errors import ConfigurationError

Provider = Literal["openai", "azure", "antiphon"]
Dialect = Literal["ga", "beta"]

OPENAI_BASE_URL = "https://api.openai.com/v1"

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A service to connect to.

    Attributes:
        provider: Who offers it.
        url: The socket's address, model included; it holds no key.
        headers: What the handshake carries; never shown, because the key is in it.
        dialect: Whether it speaks today's event names or the older ones. Both are always understood.
    """

    provider: Provider
    url: str
    headers: Mapping[str, str] = field(repr=False)
    dialect: Dialect = "ga"

    def again(self) -> Endpoint:
        """The same for a further connection of a conversation: an Antiphon agent does not greet once more."""
        return replace(self, url=f"{self.url}&greet=0") if self.provider == "antiphon" else self


def endpoint_for(
    provider: Provider, model: str, *, api_key: str | None = None, base_url: str | None = None, api_version: str = ""
) -> Endpoint:
    """Find a service.

    Args:
        provider: ``openai``, ``azure`` or ``antiphon``.
        model: The model; for Azure the deployment; for Antiphon the agent's name.
        api_key: Needed by all but an Antiphon server that is open to its own machine.
        base_url: An HTTP or WebSocket address. OpenAI's own unless given; for Azure the resource's, for Antiphon the
            server's.
        api_version: Azure's dated version, for its older path and the older event names.

    Raises:
        ConfigurationError: Something is missing or wrong; the message says what.
    """
    if provider == "azure":
        return _azure(model, api_key, base_url, api_version)
    if provider == "openai" and not api_key:
        raise ConfigurationError("Set OPENAI_API_KEY: OpenAI's Realtime service needs a key.")
    if provider == "antiphon" and not base_url:
        raise ConfigurationError("Give the Antiphon server's address, such as http://127.0.0.1:8000, as base URL.")
    scheme, host, path, query = _parts(base_url or OPENAI_BASE_URL)
    if not path.endswith("/realtime"):
        path = f"{path or '/v1'}/realtime"
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return Endpoint(provider, _url(scheme, host, path, {"model": model, **query}), headers)


def _azure(deployment: str, api_key: str | None, base_url: str | None, api_version: str) -> Endpoint:
    if not api_key or not base_url:
        missing = " and ".join(
            name
            for name, value in (("AZURE_OPENAI_API_KEY", api_key), ("AZURE_OPENAI_ENDPOINT", base_url))
            if not value
        )
        raise ConfigurationError(f"Set {missing}: Azure's Realtime service needs both a key and an address.")
    scheme, host, _path, _query = _parts(base_url)
    headers = {"api-key": api_key}
    if api_version:
        older = {"api-version": api_version, "deployment": deployment}
        return Endpoint("azure", _url(scheme, host, "/openai/realtime", older), headers, "beta")
    return Endpoint("azure", _url(scheme, host, "/openai/v1/realtime", {"model": deployment}), headers)


def _parts(base_url: str) -> tuple[str, str, str, dict[str, str]]:
    """Scheme, host, path without a slash at its end, and query of a base URL."""
    try:
        split = urlsplit(base_url.strip())
    except ValueError:
        split = urlsplit("")
    if split.scheme not in _SCHEMES or not split.hostname:
        raise ConfigurationError(f"{base_url} is no address: use one like https://api.openai.com/v1.")
    if "@" in split.netloc:
        raise ConfigurationError("The base URL holds a user name or password: give the key on its own instead.")
    return _SCHEMES[split.scheme], split.netloc, split.path.rstrip("/"), dict(parse_qsl(split.query))


def _url(scheme: str, host: str, path: str, query: Mapping[str, str]) -> str:
    return urlunsplit((scheme, host, path, urlencode(query), ""))
