"""Jinja templates in a sandbox, and bounded: what a template may cost is known before it runs."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from antiphon.errors import ConfigurationError
from antiphon.logs import Log

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

MOST_STEPS = 1_000
"""Steps of loops, and calls, in one rendering."""
MOST_TEXT = 262_144
"""Characters that a template may give."""

_COUNTER = "steps of this rendering"
"""No name that a template could say, so that it cannot set it."""
_COUNTED, _JOINED = "counted", "joined"
"""Filters that take the place of loops' bare items, and of the operator ``~``."""
_MOST_INDENT = 100
_SHOWN = 60
"""Characters of a template that the log shows."""
_PADDING = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs", "format", "format_map", "translate"})
_PADDING_FILTERS = ("center", "format")
_TEXTS = (str, bytes, list, tuple)

_log = Log(__name__)


def is_template(text: str) -> bool:
    """Whether a text is a template: it holds ``{{`` or ``{%``."""
    return "{{" in text or "{%" in text


def render(text: str, values: Mapping[str, Any], *, warns: bool = True) -> str:
    """Render a template; a text that is none stays as it is. A variable that nobody gives is rendered as nothing.

    Args:
        text: The template.
        values: Of its variables.
        warns: Whether the log tells, once, of a variable that is missing and not guarded by the template.

    Raises:
        ConfigurationError: The template is wrong, does what the sandbox forbids, or takes more than its bounds.
    """
    if not is_template(text):
        return text
    check_template(text)
    for name in _unguarded(text) if warns else ():
        if name not in values:
            _warn(text, name)
    size, parts = 0, []
    try:
        for part in _template(text).generate({**values, _COUNTER: itertools.count(1)}):
            size += len(part)
            if size > MOST_TEXT:
                raise ConfigurationError(f"A template gives more than {MOST_TEXT} characters; shorten it.")
            parts.append(part)
    except ConfigurationError:
        raise
    except Exception as error:  # the root of somebody else's code: a template may raise anything
        raise ConfigurationError(f"A template cannot be rendered: {type(error).__name__}: {error}.") from error
    return "".join(parts)


def check_template(text: str) -> None:
    """See whether a text is sound as a template, or is none.

    Raises:
        ConfigurationError: It is not; the message names the line.
    """
    if not is_template(text):
        return
    from jinja2 import TemplateSyntaxError

    try:
        _template(text)
    except TemplateSyntaxError as error:
        raise ConfigurationError(f"Line {error.lineno} of a template is wrong: {error.message}") from error


def undefined_variables(text: str, known: Iterable[str]) -> list[str]:
    """The variables of a sound template that would be rendered as nothing.

    One that the template itself guards anywhere, by ``default``, ``is defined`` or ``if``, is meant to be missing at
    times.
    """
    if not is_template(text):
        return []
    return sorted(set(_unguarded(text)) - set(known))


@functools.lru_cache(maxsize=1024)
def _warn(text: str, name: str) -> None:
    """Tell of a variable that was not given; the cache makes it once."""
    _log.warning("template.undefined", variable=name, template=text[:_SHOWN])


@functools.lru_cache(maxsize=256)
def _unguarded(text: str) -> tuple[str, ...]:
    """The variables of a sound template that it does not guard."""
    from jinja2 import meta, nodes

    tree = _environment().parse(text)
    guards: list[Any] = [node.node for node in tree.find_all(nodes.Filter) if node.name in ("default", "d")]
    guards += [node.node for node in tree.find_all(nodes.Test) if node.name in ("defined", "undefined", "none")]
    guards += [node.test for node in tree.find_all(nodes.If)] + [node.test for node in tree.find_all(nodes.CondExpr)]
    guarded = {
        name.name
        for guard in guards
        if guard is not None
        for name in ([guard] if isinstance(guard, nodes.Name) else guard.find_all(nodes.Name))
    }
    return tuple(sorted(meta.find_undeclared_variables(tree) - guarded - set(_environment().globals)))


@functools.cache
def _environment() -> SandboxedEnvironment:
    from jinja2 import ChainableUndefined, filters, pass_context
    from jinja2.exceptions import SecurityError, UndefinedError
    from jinja2.runtime import Context
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def step(context: Context) -> None:
        if next(context.parent[_COUNTER]) > MOST_STEPS:
            raise SecurityError(f"it takes more than {MOST_STEPS} steps")

    @pass_context
    def counted(context: Context, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            step(context)
            yield item

    def check_length(length: int) -> None:
        if length > MOST_TEXT:
            raise SecurityError("a text would become too long")

    def joined(parts: Iterable[Any]) -> str:
        texts = [str(part) for part in parts]
        check_length(sum(map(len, texts)))
        return "".join(texts)

    def indented(text: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
        if not isinstance(width, int) or width > _MOST_INDENT:
            raise SecurityError(f"a text is indented by at most {_MOST_INDENT}")
        return filters.do_indent(text, width, first, blank)

    class Bounded(ImmutableSandboxedEnvironment):
        """Counts the steps of loops and the calls; no operator makes a text too long."""

        intercepted_binops = frozenset({"+", "*", "**", "%"})

        def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
            step(context)
            return super().call(context, obj, *args, **kwargs)

        def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
            text, other = (left, right) if isinstance(left, _TEXTS) else (right, left)
            if operator == "**" or (operator == "%" and isinstance(left, _TEXTS)):
                raise SecurityError(f"the operator {operator} is not allowed here")
            if operator == "*" and isinstance(text, _TEXTS) and isinstance(other, int):
                check_length(len(text) * other)
            if operator == "+" and isinstance(text, _TEXTS) and isinstance(other, _TEXTS):
                check_length(len(text) + len(other))
            return super().call_binop(context, operator, left, right)

        def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
            return not (isinstance(obj, str) and attr in _PADDING) and super().is_safe_attribute(obj, attr, value)

    class Missing(ChainableUndefined):
        """What nobody gave is rendered as nothing, and so is what would be in it; what is forbidden stays so."""

        def __getattr__(self, name: str) -> Any:
            return super().__getattr__(name) if self._undefined_exception is UndefinedError else self._refuse()

        def __getitem__(self, key: Any) -> Any:
            return self if self._undefined_exception is UndefinedError else self._refuse()

        def _refuse(self) -> Any:
            return self._fail_with_undefined_error()

    # The result is spoken or read by a model, never by a browser, so nothing is escaped.
    environment = Bounded(autoescape=False, trim_blocks=True, lstrip_blocks=True, undefined=Missing)
    environment.filters |= {_COUNTED: counted, _JOINED: joined, "indent": indented}
    for name in _PADDING_FILTERS:
        del environment.filters[name]
    return environment


@functools.lru_cache(maxsize=256)
def _template(text: str) -> Template:
    from jinja2 import Template, nodes
    from jinja2.visitor import NodeTransformer

    class Bound(NodeTransformer):
        def visit_For(self, node: nodes.For) -> nodes.For:
            self.generic_visit(node)
            node.iter = nodes.Filter(node.iter, _COUNTED, [], [], None, None, lineno=node.lineno)
            return node

        def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
            self.generic_visit(node)
            parts = nodes.List(node.nodes, lineno=node.lineno)
            return nodes.Filter(parts, _JOINED, [], [], None, None, lineno=node.lineno)

    environment = _environment()
    tree = Bound().visit(environment.parse(text))
    return Template.from_code(environment, environment.compile(tree), dict(environment.globals))
