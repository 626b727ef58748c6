"""What a call uses, by model, by turn and in all."""

from __future__ import annotations

import pytest

from antiphon.calls.events import ModelUsage
from antiphon.calls.ledger import Ledger, Spent
from antiphon.models.prices import Used


def test_a_turn_has_what_was_used_since_the_one_before() -> None:
    ledger = Ledger()
    ledger.note("llm", "openai/gpt-4o-mini", Used(input_tokens=1_000_000))
    ledger.note("tts", "hibari", Used(characters=20))
    assert ledger.spend() == Spent({"llm": "openai/gpt-4o-mini", "tts": "hibari"}, 1_000_000, 0, pytest.approx(0.15))
    ledger.note("llm", "openai/gpt-4o-mini", Used(output_tokens=1_000_000))
    assert ledger.spend() == Spent({"llm": "openai/gpt-4o-mini"}, 0, 1_000_000, pytest.approx(0.6))
    assert ledger.usage().cost_usd == pytest.approx(0.75)


def test_a_turn_in_which_no_model_told_its_tokens_has_none_of_them() -> None:
    ledger = Ledger()
    ledger.note("llm", "acme/large")
    assert ledger.spend() == Spent({"llm": "acme/large"}, None, None, 0.0)


def test_a_call_has_what_each_model_did_for_it_and_its_cost() -> None:
    ledger = Ledger()
    ledger.note("stt", "deepgram/nova-3", Used(audio_s=30.0))
    ledger.note("stt", "moonshine", Used(audio_s=6.0))
    ledger.note("stt", "deepgram/nova-3", Used(audio_s=30.0))
    usage = ledger.usage()
    assert usage.parts == (
        ModelUsage("stt", "deepgram/nova-3", audio_s=60.0, cost_usd=0.0048),
        ModelUsage("stt", "moonshine", audio_s=6.0, cost_usd=0.0),
    )
    assert (usage.stt_audio_s, usage.cost_usd) == (66.0, 0.0048)


def test_a_cost_of_which_a_part_is_not_known_is_not_known() -> None:
    ledger = Ledger()
    ledger.note("llm", "acme/large", Used(input_tokens=1))
    ledger.note("tts", "hibari", Used(characters=20))
    assert ledger.spend().cost_usd is None
    assert ledger.usage().cost_usd is None
    assert [part.cost_usd for part in ledger.usage().parts] == [None, 0.0]
