"""The cost of a call: by list prices, or not known."""

from __future__ import annotations

from datetime import date

import pytest

from antiphon.models.prices import Used, price_table, total


def test_tokens_characters_and_sound_have_their_prices() -> None:
    models = {"llm": "openai/gpt-4o-mini", "stt": "deepgram/nova-3", "tts": "hibari"}
    used = Used(input_tokens=2_000_000, output_tokens=1_000_000, characters=500, audio_s=90)
    costs = price_table().cost(models, used)
    assert costs == {"llm": pytest.approx(0.9), "tts": 0.0, "stt": pytest.approx(0.0072)}
    assert total(costs) == pytest.approx(0.9072)


@pytest.mark.parametrize("name", ["acme/large", "openai/gpt-4o-mini|openai/gpt-4o", "openai"])
def test_a_price_that_is_not_known_is_not_guessed(name: str) -> None:
    costs = price_table().cost({"llm": name, "stt": "moonshine/tiny-en", "tts": "hibari"}, Used(input_tokens=10))
    assert costs == {"llm": None, "tts": 0.0, "stt": 0.0}
    assert total(costs) is None


def test_what_was_not_used_needs_no_price() -> None:
    assert total(price_table().cost({"llm": "acme/large"}, Used())) == 0.0


def test_a_model_that_speaks_itself_counts_its_sound_as_tokens() -> None:
    costs = price_table().cost({"s2s": "openai/gpt-realtime", "tts": "hibari"}, Used(input_tokens=5, audio_s=60))
    assert costs == {"s2s": None, "tts": 0.0}


def test_every_price_has_a_date_and_a_source() -> None:
    table = price_table()
    date.fromisoformat(table.dated)
    for name, price in table.models.items():
        assert price.source.startswith("https://"), name
        assert price.seen <= table.dated, name
        amounts = (price.input_per_million, price.output_per_million, price.characters_per_million, price.per_minute)
        assert any(amounts), name
