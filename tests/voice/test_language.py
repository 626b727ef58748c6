from __future__ import annotations

import pytest

from antiphon.voice.language import ConversationLanguage, Detector, LanguagePolicy, letters

pytest.importorskip("py3langid")

TALKS = {
    "en": [
        "I would like to book an appointment please.",
        "Tomorrow morning would be good for me.",
        "Thank you very much for your help.",
    ],
    "es": [
        "Buenos días, quisiera reservar una cita.",
        "Mañana por la mañana me vendría muy bien.",
        "Muchas gracias por su ayuda, hasta luego.",
    ],
    "fr": [
        "Bonjour, je voudrais prendre un rendez-vous.",
        "Demain matin me conviendrait très bien.",
        "Merci beaucoup pour votre aide, au revoir.",
    ],
    "de": [
        "Guten Tag, ich möchte gerne einen Termin.",
        "Morgen früh wäre für mich sehr gut.",
        "Vielen Dank für Ihre Hilfe, auf Wiederhören.",
    ],
    "ja": [
        "こんにちは、予約をお願いしたいのですが。",
        "明日の朝が都合がいいです。",
        "ありがとうございました。失礼します。",
    ],
    "it": [
        "Buongiorno, vorrei prendere un appuntamento.",
        "Domani mattina andrebbe molto bene per me.",
        "Grazie mille per il suo aiuto.",
    ],
    "ru": [
        "Здравствуйте, я хотел бы записаться на приём.",
        "Завтра утром мне очень удобно.",
        "Большое спасибо за вашу помощь.",
    ],
    "zh": ["你好，我想预约明天早上的时间。", "明天早上九点对我来说很方便。", "非常感谢你的帮助，再见。"],
}


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


def after(policy: LanguagePolicy, language: str, talk: list[str], detector: Detector) -> str:
    conversation = ConversationLanguage(policy, language, detector)
    for text in talk:
        conversation.heard(text)
    return conversation.current


@pytest.mark.parametrize("language", TALKS)
def test_auto_follows_the_user(language: str, detector: Detector) -> None:
    assert after("auto", "en" if language != "en" else "de", TALKS[language], detector) == language


def test_one_turn_in_another_language_changes_nothing(detector: Detector) -> None:
    talk = [*TALKS["en"], TALKS["fr"][0], TALKS["en"][1], TALKS["fr"][1], TALKS["en"][2]]
    assert after("auto", "en", talk, detector) == "en"
    assert after("auto", "en", [*talk, *TALKS["fr"][:2]], detector) == "fr"


def test_short_answers_say_nothing(detector: Detector) -> None:
    assert after("auto", "de", ["Ok.", "Yes.", "No.", "Si.", "Oui."], detector) == "de"


def test_force_and_english_stay_whatever_is_spoken(detector: Detector) -> None:
    assert after("force", "de", TALKS["en"], detector) == "de"
    assert after("en", "fr", TALKS["fr"], detector) == "en"


def test_whether_a_text_is_in_a_language(detector: Detector) -> None:
    language = ConversationLanguage("force", "de", detector)
    assert language.is_in(TALKS["de"][0], "de-CH") is True
    assert language.is_in(TALKS["en"][0], "de") is False
    assert language.is_in("Ok.", "de") is None
    assert ConversationLanguage("auto", "de").is_in(TALKS["en"][0], "de") is None


def test_signs_of_east_asia_count_as_several_letters() -> None:
    assert letters("ab, c!") == 3
    assert letters("你好") == 6
