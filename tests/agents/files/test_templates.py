"""Templates: the sandbox holds, and what a template may take is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon import Agent
from antiphon.agents.instructions import template_values
from antiphon.agents.templates import MOST_STEPS, MOST_TEXT, render, undefined_variables
from antiphon.errors import ConfigurationError


def greet() -> str:
    return "hello"


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ greet.__globals__ }}",
        "{{ greet.__globals__['__builtins__'] }}",
        "{{ (greet|attr('__globals__')).get('x') }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ '{0.__class__.__mro__}'.format(1) }}",
        "{{ items.append(1) }}",
        "{{ lipsum.__globals__ }}{{ greet.__code__ }}",
        "{{ items.__class__.__base__ }}",
        "{{ _private.__dict__ }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}{{ os.system('id') }}",
    ],
)
def test_there_is_no_way_out_of_the_sandbox(text: str) -> None:
    try:
        said = render(text, {"greet": greet, "items": [1], "_private": greet})
    except ConfigurationError as error:
        said = "" if "cannot be rendered" in str(error) else str(error)
    assert said == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{% for a in range(1001) %}.{% endfor %}", "more than 1000 steps"),
        ("{% for a in range(50) %}{% for b in range(50) %}{% endfor %}{% endfor %}", "more than 1000 steps"),
        ("{% for a in items recursive %}{{ loop([1, 2]) }}{% endfor %}", "steps|recursion"),
        ("{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(0) }}", "steps|recursion"),
        ("{% for a in range(1000000) %}{% endfor %}", "Range too big"),
        ("{{ 'a' * 1000000000 }}", "too long"),
        ("{{ 1000000000 * [1] }}", "too long"),
        ("{{ 9 ** 9 ** 9 }}", "not allowed"),
        ("{{ '%1000000000d' % 1 }}", "not allowed"),
        ("{{ 'a'.center(1000000000) }}", "unsafe"),
        ("{{ 'a'|indent(1000000000, true) }}", "at most 100"),
        ("{% set n = namespace(t='ab') %}{% for i in range(60) %}{% set n.t = n.t ~ n.t %}{% endfor %}", "too long"),
        ("{% set n = namespace(t='ab') %}{% for i in range(60) %}{% set n.t = n.t + n.t %}{% endfor %}", "too long"),
        ("{% for i in range(1000) %}" + "x" * 300 + "{% endfor %}", f"more than {MOST_TEXT} characters"),
        ("{% set steps = 0 %}{% for a in range(2000) %}{% set steps = 0 %}{% endfor %}", "more than 1000 steps"),
    ],
)
def test_a_template_that_takes_too_much_is_ended(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        render(text, {"items": [1]})


def test_what_prompts_need_is_there() -> None:
    text = """
        {%- for day, hours in open.items() -%}
            {{ loop.index }}. {{ day|title }}: {{ hours ~ ' pm' }}{{ ', ' if not loop.last }}
        {%- else %}never{% endfor %} {{ names|join(' and ')|title }} {{ 2 * 3 + 1 }} {{ who|default('you') }} {{ gone }}
        {%- set total = namespace(n=0) %}{% for n in numbers if n > 1 %}{% set total.n = total.n + n %}{% endfor %}
        {{- total.n }} {{ 'a\nb'|indent(2) }}"""
    values = {"open": {"monday": 5, "friday": 3}, "names": ["ann", "bob"], "numbers": [1, 2, 3]}
    assert render(text, values) == "1. Monday: 5 pm, 2. Friday: 3 pm Ann And Bob 7 you 5 a\n  b"
    assert render("{% for day in open %}{% else %}never{% endfor %}", {}) == "never"


def test_as_many_steps_as_are_allowed_are_taken_each_time() -> None:
    text = "{% for a in numbers %}x{% endfor %}"
    for _ in range(3):
        assert render(text, {"numbers": range(MOST_STEPS)}) == "x" * MOST_STEPS


@given(st.text())
def test_a_text_without_marks_stays_as_it_is(text: str) -> None:
    if "{{" not in text and "{%" not in text:
        assert render(text, {}) == text


@pytest.mark.parametrize(
    ("text", "undefined"),
    [
        ("{{ a }} {{ b.c }} {{ known }}", ["a", "b"]),
        ("{{ a|default('x') }} {{ b|upper|default('') }} {{ c|d }}", []),
        ("{% if a %}{{ a }}{% endif %}{{ 'x' if b }}{% if c is defined and d == 1 %}{{ d }}{% endif %}", []),
        ("{% for a in range(3) %}{{ a }}{{ loop.index }}{% endfor %}{% set b = 1 %}{{ b }}", []),
        ("no template", []),
    ],
)
def test_variables_that_nobody_gives_are_found(text: str, undefined: list[str]) -> None:
    assert undefined_variables(text, ["known"]) == undefined


def test_an_agents_own_value_may_be_a_template_and_a_conversations_is_none() -> None:
    own = {"bank": "{{ institution_name | default('Our bank') }}", "line": "{{ bank }} of {{ town }}", "town": "Ayr"}
    agent = Agent("desk", variables=own)
    assert template_values(agent)["line"] == "Our bank of Ayr"
    assert template_values(agent, {"institution_name": "Harbour"})["line"] == "Harbour of Ayr"
    brought = template_values(agent, {"town": "{{ bank }}"})
    assert (brought["town"], brought["line"]) == ("{{ bank }}", "Our bank of {{ bank }}")
