"""A web request with ``{placeholders}``, and how a model's arguments fill it. Nothing here does I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from antiphon.errors import ToolException

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"})
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_URL = re.compile(r"(https?://[^/?#{}@\\\s]+)(/[^?#]*)?(\?[^#]*)?", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
_CLIENTS_HEADERS = frozenset({"accept-encoding", "connection", "content-length", "host", "transfer-encoding"})
_OPEN_HEADERS = frozenset({"accept", "accept-language", "content-type", "user-agent"})
_SHORTEST_SECRET = 6
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class WebRequest:
    """What is sent."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes | None


@dataclass(frozen=True, slots=True, repr=False)
class RequestTemplate:
    """What the developer gave; see ``http_tool``."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, Any]
    body: Mapping[str, Any] | Sequence[Any] | None
    form: Mapping[str, Any] | None

    def check(self, schema: Mapping[str, Any]) -> None:
        """See that template and parameters fit.

        Raises:
            ValueError: They do not, or the template can never be sent. The text holds no header's value.
        """
        if self.method not in _METHODS:
            raise ValueError(f"The method is {self.method!r}; choose one of {', '.join(sorted(_METHODS))}.")
        parts = _URL.fullmatch(self.url)
        if parts is None:
            raise ValueError(
                "The URL must be http://host/... or https://host/...; placeholders stand behind the host, and user "
                "names and passwords in headers."
            )
        if self.body is not None and self.form is not None:
            raise ValueError("There is a body and a form; give one of them.")
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name) or name.lower() in _CLIENTS_HEADERS:
                raise ValueError(f"The header {name!r} cannot be set here; leave it out.")
            if not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"The header {name!r} holds characters that HTTP does not allow; correct it.")
            if _names([value]) - schema["properties"].keys():
                raise ValueError(f"The header {name!r} holds a placeholder that is no parameter; declare it.")
        self._check_names(_names([parts[2] or ""]), schema)

    def _check_names(self, in_path: set[str], schema: Mapping[str, Any]) -> None:
        known = schema["properties"]
        used = _names(_texts([self.url, self.headers, self.query, self.body, self.form]))
        if unknown := sorted(used - known.keys()):
            raise ValueError(f"The placeholder {{{unknown[0]}}} is no parameter; declare it in parameters.")
        if unused := sorted(known.keys() - used):
            raise ValueError(f"The parameter {unused[0]!r} is used nowhere; put {{{unused[0]}}} where it belongs.")
        always = {*schema.get("required", ()), *(name for name, value in known.items() if "default" in value)}
        if optional := sorted(in_path - always):
            raise ValueError(f"The parameter {optional[0]!r} is part of the path; make it required.")

    def fill(self, values: Mapping[str, Any]) -> WebRequest:
        """Put the arguments in.

        Raises:
            ToolException: A value cannot stand where it belongs; the text is for the model.
        """
        headers = {name: str(value) for name, value in _present(self.headers, values)}
        if not all(map(_HEADER_VALUE.fullmatch, headers.values())):
            raise ToolException("An argument holds characters that cannot be sent; use plain letters and digits.")
        content = None
        if self.body is not None:
            content = msgspec.json.encode(_filled(self.body, values))
            headers = {"content-type": "application/json", **_lower(headers)}
        elif self.form is not None:
            content = urlencode(_present(self.form, values), doseq=True).encode()
            headers = {"content-type": "application/x-www-form-urlencoded", **_lower(headers)}
        return WebRequest(self.method, self._filled_url(values), headers, content)

    def _filled_url(self, values: Mapping[str, Any]) -> str:
        parts = _URL.fullmatch(self.url)
        assert parts is not None
        base, path, query = parts[1], parts[2] or "", (parts[3] or "").removeprefix("?")
        path = _PLACEHOLDER.sub(lambda found: _path_part(found[1], values), path)
        # Servers, and clients before them, take these as steps to another path.
        if not {".", ".."}.isdisjoint(path.split("/")):
            raise ToolException("An argument makes no valid path; give a name or number.")
        query = _PLACEHOLDER.sub(lambda found: quote(_text(values.get(found[1])), safe=""), query)
        added = urlencode(_present(self.query, values), doseq=True, quote_via=quote)
        queries = "&".join(filter(None, (query, added)))
        return f"{base}{path or '/'}{'?' if queries else ''}{queries}"

    def secrets(self) -> list[str]:
        """What the headers say beyond placeholders and harmless words; the longest first."""
        found: set[str] = set()
        for name, value in self.headers.items():
            if name.lower() not in _OPEN_HEADERS:
                words = _PLACEHOLDER.sub(" ", value).split()
                found.update(word for word in words[1:] or words if len(word) >= _SHORTEST_SECRET)
        return sorted(found, key=len, reverse=True)


def _texts(value: Any) -> Iterator[str]:
    """All texts of nested values; names of fields are no templates."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _texts(inner)


def _names(texts: Iterable[str]) -> set[str]:
    return {name for text in texts for name in _PLACEHOLDER.findall(text)}


def _filled(template: Any, values: Mapping[str, Any]) -> Any:
    """The template with its values: one that is only a placeholder becomes the value, or ``_ABSENT``."""
    if isinstance(template, str):
        if whole := _PLACEHOLDER.fullmatch(template):
            return values.get(whole[1], _ABSENT)
        return _PLACEHOLDER.sub(lambda found: _text(values.get(found[1])), template)
    if isinstance(template, Mapping):
        pairs = ((name, _filled(inner, values)) for name, inner in template.items())
        return {name: value for name, value in pairs if value is not _ABSENT}
    if isinstance(template, Sequence):
        return [value for inner in template if (value := _filled(inner, values)) is not _ABSENT]
    return template


def _present(template: Mapping[str, Any], values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The pairs that have a value, as text; a list gives its name several times."""
    return [
        (name, [_text(item) for item in value] if isinstance(value, list) else _text(value))
        for name, value in _filled(template, values).items()
        if value is not None
    ]


def _text(value: Any) -> str:
    """A value as a URL, header or form has it."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _path_part(name: str, values: Mapping[str, Any]) -> str:
    text = _text(values.get(name))
    # Without it the URL would mean something else, such as all orders in place of one.
    if not text.strip():
        raise ToolException(f"`{name}` must not be empty.")
    return quote(text, safe="")


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
