"""The language of a text, for the choice of a letter's."""

from __future__ import annotations

import pytest

from amends.mail.language import language_of

TEXTS = {
    "en": "I have been waiting for an answer since Monday and nobody has called me back.",
    "de": "Ich warte seit Montag auf eine Antwort und niemand hat mich zurückgerufen, das ist nicht in Ordnung.",
    "fr": "J'attends une réponse depuis lundi et personne ne m'a rappelé, ce qui n'est pas acceptable pour moi.",
    "es": "Llevo esperando una respuesta desde el lunes y nadie me ha llamado, lo que no es aceptable.",
    "it": "Aspetto una risposta da lunedì e nessuno mi ha richiamato, non è accettabile per un cliente come me.",
    "pt": "Estou à espera de uma resposta desde segunda-feira e ninguém me ligou, o que não é aceitável.",
    "nl": "Ik wacht sinds maandag op een antwoord en niemand heeft mij teruggebeld, dat is niet goed.",
    "sv": "Jag har väntat på ett svar sedan i måndags och ingen har ringt mig, det är inte bra.",
    "da": "Jeg har ventet på et svar siden mandag, og der er ingen der har ringet til mig, det er ikke i orden.",
    "fi": "Olen odottanut vastausta maanantaista asti eikä kukaan ole soittanut, mutta se ei ole hyvä.",
    "pl": "Czekam na odpowiedź od poniedziałku i nikt do mnie nie zadzwonił, co nie jest dla mnie dobre.",
    "cs": "Čekám na odpověď od pondělí a nikdo mi nezavolal, což není v pořádku, protože je to jen vaše chyba.",
    "ru": "Я жду ответа с понедельника, и никто мне не перезвонил, это не дело, что вы меня не слышите.",
    "uk": "Я чекаю на відповідь з понеділка, і ніхто мені не передзвонив, це є не добре, що ви мене не чуєте.",
    "el": "Περιμένω απάντηση από τη Δευτέρα και κανείς δεν με πήρε τηλέφωνο.",
    "ja": "月曜日から返事を待っていますが、まだ連絡がありません。",
    "zh": "我从星期一就在等答复，但是没有人给我回电话。",
    "ko": "월요일부터 답변을 기다리고 있지만 아무도 전화하지 않았습니다.",
    "ar": "أنتظر الرد منذ يوم الاثنين ولم يتصل بي أحد",
}


@pytest.mark.parametrize("language", TEXTS)
def test_the_language_of_a_complaint_is_known(language: str):
    assert language_of(TEXTS[language]) == language
    assert language_of(TEXTS[language], ("xx", f"{language}-XX")) == language
    assert language_of(TEXTS[language], ("xx",)) is None


@pytest.mark.parametrize(
    "text", ["", "ok", "12345 67890", "NW-2026-000042-17", "https://www.example.org/the/and/of/is/was"]
)
def test_what_says_too_little_is_left_alone(text: str):
    assert language_of(text) is None
