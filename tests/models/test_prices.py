"""The cost of a call: by list prices, or not known."""

from __future__ import annotations

from datetime import date

import pytest

from antiphon.models.prices import Used, price_table, total


def test_tokens_and_sound_have_their_prices() -> None:
    cost = price_table().cost
    tokens = Used(input_tokens=2_000_000, output_tokens=1_000_000)
    assert cost("openai/gpt-4o-mini", tokens) == pytest.approx(0.9)
    assert cost("deepgram/nova-3", Used(audio_s=90)) == pytest.approx(0.0072)
    assert cost("hibari", Used(characters=500)) == 0.0


@pytest.mark.parametrize("name", ["acme/large", "openai/gpt-4o-mini|openai/gpt-4o", "openai"])
def test_a_price_that_is_not_known_is_not_guessed(name: str) -> None:
    unknown = price_table().cost(name, Used(input_tokens=10))
    assert unknown is None
    assert total([unknown, 0.0]) is None


def test_a_unit_without_a_price_is_not_known() -> None:
    assert price_table().cost("openai/gpt-4o-mini", Used(audio_s=3)) is None


def test_what_was_not_used_needs_no_price() -> None:
    assert price_table().cost("acme/large", Used()) == 0.0


def test_uses_add_up() -> None:
    some = Used(input_tokens=1, characters=2) + Used(input_tokens=2, output_tokens=3, audio_s=0.5)
    assert some == Used(input_tokens=3, output_tokens=3, characters=2, audio_s=0.5)


def test_every_price_has_a_date_and_a_source() -> None:
    table = price_table()
    date.fromisoformat(table.dated)
    for name, price in table.models.items():
        assert price.source.startswith("https://"), name
        assert price.seen <= table.dated, name
        amounts = (price.input_per_million, price.output_per_million, price.characters_per_million, price.per_minute)
        assert any(amounts), name
