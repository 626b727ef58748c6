"""``http_tool``: a web service as a tool, by a URL with placeholders and without code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import httpx
import msgspec

from antiphon.errors import (
    IntegrationException,
    IntegrationInvalidRequestException,
    IntegrationUnavailableException,
    ToolException,
)
from antiphon.logs import Log
from antiphon.tools.guarded_http import TOTAL_S, Fetched, fetch, guarded_client
from antiphon.tools.http_template import RequestTemplate, WebRequest
from antiphon.tools.invoke import to_text
from antiphon.tools.tool import FunctionTool, ToolOptions

_log = Log(__name__)

# What a model can use is short. To read 1 MB of JSON and write it again takes over 10 ms of the calls' loop.
_MAX_BYTES = 256 * 1024
_MASK = "***"
_JSON = re.compile(r"application/(.+\+)?json")
_TEXT = re.compile(r"text/(?!html).+|application/(.+\+)?xml|application/x-ndjson")
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,80}")
_TOLD = {
    "denied": "The service's address is refused.",
    "timeout": "The service took too long.",
    "too_large": "The service's answer is too long.",
}


def http_tool(
    name: str,
    *,
    url: str,
    description: str,
    method: str = "GET",
    parameters: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, Any] | None = None,
    body: Mapping[str, Any] | Sequence[Any] | None = None,
    form: Mapping[str, Any] | None = None,
    timeout_s: float = 10.0,
    allow_hosts: Iterable[str] = (),
    result: Callable[[Any], Any] | None = None,
    client: httpx.AsyncClient | None = None,
    options: ToolOptions | None = None,
) -> FunctionTool:
    """Make a tool that asks a web service.

    ``url``, ``query``, ``headers``, ``body`` and ``form`` may hold ``{placeholders}``: names of parameters, filled
    with what the model gives. In the URL they stand behind the host, so that the model cannot choose whom to ask, and
    are percent-encoded. A value that is nothing but a placeholder keeps its type in the body, and is left out where
    the model leaves it out.

    Args:
        name: How the model calls it.
        url: ``http`` or ``https``; only public hosts are reached, and those of ``allow_hosts``.
        description: When to use it.
        method: Of HTTP.
        parameters: JSON Schema of type object, or only its properties by name: those are then required, except where
            they have a ``default``.
        headers: Of the request. Keys and passwords belong here: they are masked where the service repeats them.
        query: Added to the URL.
        body: Sent as JSON.
        form: Sent as a web form.
        timeout_s: For all of it, 30 at most.
        allow_hosts: Private hosts that may be reached: ``host`` or ``host:port``.
        result: Takes the decoded JSON of an answer (the text of another) and gives what the model reads.
        client: From ``guarded_client``, to share its connections; who made it closes it, and its own allowed hosts
            hold. Otherwise each call opens a connection of its own.
        options: Further options of ``FunctionTool``, such as a filler.

    Returns:
        A tool whose result is the answer's text, JSON made compact. What goes wrong with the service or the network
        is one short sentence for the model.

    Raises:
        ValueError: The template cannot be sent, or a placeholder or parameter has no partner.
        ConfigurationError: An entry of ``allow_hosts`` is no host.
        TypeError: ``parameters`` is no JSON Schema.
    """
    if not 0.05 <= timeout_s <= TOTAL_S:
        raise ValueError(f"Tool {name!r}: timeout_s is {timeout_s}; choose 0.05 to {TOTAL_S:g} seconds.")
    hosts = tuple(allow_hosts)
    # A wrong entry is told now; and the certificate authorities are read, which would hold up the first call.
    guarded_client(allow_hosts=hosts)
    schema = _schema(parameters or {})
    template = RequestTemplate(method.upper(), url, headers or {}, query or {}, body, form)
    try:
        template.check(schema)
    except ValueError as error:
        raise ValueError(f"Tool {name!r}: {error}") from None
    defaults = {key: value["default"] for key, value in schema["properties"].items() if "default" in value}
    secrets = template.secrets()

    async def ask(**arguments: Any) -> str:
        request = template.fill({**defaults, **arguments})
        try:
            if client is not None:
                fetched = await _send(client, request, timeout_s)
            else:
                async with guarded_client(allow_hosts=hosts) as own:
                    fetched = await _send(own, request, timeout_s)
        except IntegrationException as error:
            _log.warning("http_tool.failed", tool=name, code=error.code, reason=str(error))
            raise ToolException(_told(error), code=error.code, retryable=error.retryable) from None
        return _masked(_readable(fetched, result), secrets)

    made: ToolOptions = {"kind": "http", **(options or {}), "schema": schema, "timeout_s": timeout_s}
    made |= {"name": name, "description": description}
    return FunctionTool(ask, **made)


def _schema(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A whole schema as it is; from properties alone one that takes nothing else."""
    if parameters.get("type") == "object":
        return {"properties": {}, **parameters}
    required = [name for name, value in parameters.items() if "default" not in value]
    return {
        "type": "object",
        "properties": dict(parameters),
        "required": required,
        "additionalProperties": False,
    }


async def _send(client: httpx.AsyncClient, request: WebRequest, timeout_s: float) -> Fetched:
    return await fetch(
        client,
        request.method,
        request.url,
        headers=request.headers,
        content=request.content,
        timeout_s=timeout_s,
        max_bytes=_MAX_BYTES,
    )


def _told(error: IntegrationException) -> str:
    """What the model reads; the address and the cause are the operator's business, in the log."""
    if told := _TOLD.get(error.code):
        return told
    if isinstance(error, IntegrationUnavailableException):
        return "The service cannot be reached now."
    if isinstance(error, IntegrationInvalidRequestException):
        return "The request could not be sent."
    return "The service sent something that cannot be read."


def _readable(fetched: Fetched, result: Callable[[Any], Any] | None) -> str:
    """The answer as the model reads it.

    Raises:
        ToolException: It is an error, or JSON that is none.
    """
    if not 200 <= fetched.status < 300:
        raise ToolException(f"The service answered {fetched.status}.", status_code=fetched.status)
    if not fetched.content:
        return f"The service answered {fetched.status} without content."
    value: Any = fetched.text
    if _JSON.fullmatch(fetched.media_type):
        try:
            value = msgspec.json.decode(fetched.content)
        except (msgspec.DecodeError, RecursionError):
            raise ToolException("The service sent JSON that cannot be read.") from None
        # An answer that is one text stays one for ``result``; the model reads it as JSON too.
        return to_text(result(value)) if result else msgspec.json.encode(value).decode()
    if _TEXT.fullmatch(fetched.media_type):
        return to_text(result(value)) if result else fetched.text
    kind = fetched.media_type if _MEDIA_TYPE.fullmatch(fetched.media_type) else "no known type"
    return f"The service answered with {kind}, {len(fetched.content)} bytes, which cannot be shown."


def _masked(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        for form in (secret, msgspec.json.encode(secret).decode()[1:-1]):
            text = text.replace(form, _MASK)
    return text
