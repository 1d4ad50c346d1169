"""The language of a text, told by its script and its commonest words.

Exact enough to choose the language of a letter: a text of a dozen words is told apart, a shorter one is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_READ: Final = 1500  # characters; more would not change the answer
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_LEAST: Final = 1.25  # points; below it a text says too little to judge
_SHARE: Final = 0.12  # of the words; less is another language, or none
_AHEAD: Final = 1.15  # the best must lead the next by this factor

# The commonest function words of each language: articles, pronouns, prepositions, auxiliaries; words of complaints too.
_WORDS: Final = {
    "en": (
        "the and of to in is that it was for on are with as this have not be you from but they we your my "
        "which at by or an had has were been would there their our will can if so me all when what about "
        "after did please order refund"
    ),
    "de": (
        "der die das und ist nicht ich sie wir ein eine zu den von mit dem für auf es im auch dass daß bei "
        "nach wie noch haben habe hat aus werden wurde sind mir mich ihr ihre ihnen sehr aber oder wenn keine "
        "kein einen bitte bereits diese dieser durch über nur war bestellung"
    ),
    "fr": (
        "le la les de des et est un une du que je vous nous pas pour dans sur avec ce qui ne au il elle mon "
        "votre vos nos été ai avez cette par plus mais ou sont mes aux depuis sans bien très être suis "
        "commande"
    ),
    "es": (
        "el la los las de y que en un una es por con no para del se lo mi su me al como más pero ha he este "
        "esta muy le sin sobre fue son ser han hay cuando desde mis usted ustedes pedido"
    ),
    "it": (
        "il lo la gli le di e che è un una per non con in del della sono mi ho si al alla dei delle nel come "
        "ma più questo questa anche ha abbiamo essere stato stata vi dal dalla ordine"
    ),
    "pt": (
        "o a os as de e que do da em um uma é para com não no na por se mais dos das como mas foi ao ele sua "
        "seu minha meu são está já também isso esta este fui tem ou estou pedido"
    ),
    "nl": (
        "de het een en van is niet ik dat in op te voor met zijn u wij we mijn aan er maar om ook heb hebben "
        "als bij dit naar nog uit door wordt worden geen kan uw deze ben wat bestelling"
    ),
    "da": (
        "og i det at en den til er som på de med han af for ikke der var mig sig men et har om vi min havde "
        "ham hun nu over da fra du ud sin dem os op man hans hvor eller hvad skal jeg mit jer"
    ),
    "sv": (
        "och i att det som en på är av för med till den har de inte om ett han men var jag sig från vi så kan "
        "när år nu hon mig min ni er också eller vid efter mitt"
    ),
    "nb": (
        "og i det på som en er til å han av for at var med de ikke den har jeg om et men så seg hun hadde fra "
        "vi du kan da ble ut skal vil ham etter over ved også noe min mitt dere"
    ),
    "fi": (
        "ja on ei että se oli hän mutta ovat minä kun niin kuin tämä en olen joka myös sen ole vain mitä jos "
        "nyt tai ne olisi minun te meidän teidän jo sitä mukaan"
    ),
    "pl": (
        "i w na z się nie do to że jest o a jak po co od za przez ale dla tym był są ja mi mnie czy tego pan "
        "pani proszę już moje mój przy nie być który która"
    ),
    "cs": (
        "a se v na je že o to s z do i ale jako za by pro tak po jsem co mi jste není však byl jsou od které "
        "který při už ve nebo si můj moje prosím"
    ),
    "sk": (
        "a sa v na je že o to s z do i ale ako za by pre tak po som čo mi ste nie však bol sú od ktoré ktorý "
        "pri už vo alebo si môj moje prosím"
    ),
    "hu": (
        "a az és hogy nem is egy van ez meg volt csak de el már mint még ki ha azt kell vagy lehet nekem sem "
        "ezt nagyon én amit ön kérem mert után"
    ),
    "ro": (
        "și si de în in a la cu nu că o pe este un mai din pentru am să se ce care dar sunt ați au fost prin "
        "acest aceasta foarte îmi mi"
    ),
    "hr": (
        "i je u na se da su za od s ne što to nije o kao koji ali sam bi iz do već po mi koja ili kako vam vas molim"
    ),
    "sl": "in je na za da v se so ki pa z ne po s tudi ni bi sem kot iz do še ali bo pri od kako vam vas prosim to",
    "tr": (
        "ve bir bu için da de ile çok ne gibi daha ben var ama olarak kadar sonra değil o ki mi en olan siz "
        "ancak lütfen ürün sipariş"
    ),
    "lt": "ir yra kad į su iš tai o bet ne kaip už po nuo jau man aš jūs buvo dėl ar prašau tik apie",
    "lv": "un ir ka uz ar no par tas bet nav kā es jūs lai pēc vai jau man lūdzu tikai bija šo",
    "et": "ja on ei et see oli ma kui aga ning mis ka oma te siis ta mul või palun pole seda",
    "ca": (
        "el la els les de i que en un una és per amb no del al com més però ha he aquest aquesta molt meu "
        "seva vostè sense són dels"
    ),
    "ru": (
        "и в не на я что с по это как но вы за у к от мы из для так же все его бы мне был если нет или заказ "
        "уже меня вас"
    ),
    "uk": (
        "і в не на я що з по це як але ви за у до від ми із для так же всі його б мені був якщо немає або та "
        "є вас замовлення"
    ),
    "bg": (
        "и в не на аз че с по това като но вие за у към от ние из за така си всички его бих ми беше ако няма "
        "или да се е са поръчка"
    ),
    "el": "και το να της η του ο τα με για από στο που δεν είναι στην θα μου την τον σας ένα μια ότι αλλά έχω",
}


def _points() -> dict[str, tuple[tuple[str, float], ...]]:
    """For each word its languages and what it is worth for each: the fewer share it, the more."""
    languages: dict[str, list[str]] = {}
    for language, words in _WORDS.items():
        for word in dict.fromkeys(words.split()):
            languages.setdefault(word, []).append(language)
    return {word: tuple((one, 1.0 / len(shared)) for one in shared) for word, shared in languages.items()}


_POINTS: Final = _points()

# A script that one language of ours is written in.
_SCRIPTS: Final = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("el", re.compile("[\u0370-\u03ff]")),
)


def language_of(text: str, among: Sequence[str] = ()) -> str | None:
    """The ISO 639-1 code of the language of `text`, or None where it is unclear or not `among` the given ones.

    Without `among` every language that we know may be the answer.  A tag such as `en-GB` counts for `en`.
    """
    text = " ".join(word for word in text[:_READ].split() if not _is_link(word))
    wanted = {tag.lower().replace("_", "-").split("-", 1)[0] for tag in among}
    best = _by_script(text) or _by_words(text)
    if best == "nb" and "no" in wanted:
        best = "no"
    return best if best is not None and (not wanted or best in wanted) else None


def _is_link(word: str) -> bool:
    return "@" in word or "://" in word or word.startswith("www.")


def _by_script(text: str) -> str | None:
    if text.isascii():
        return None
    letters = sum(map(str.isalpha, text))
    if len(_CYRILLIC.findall(text)) * 2 > letters > 0:
        return "uk" if _UKRAINIAN.search(text) else "ru" if _RUSSIAN.search(text) else None
    for language, script in _SCRIPTS:
        if len(script.findall(text)) * (3 if language == "ja" else 2) > letters > 0:
            return language
    return None


_CYRILLIC: Final = re.compile("[\u0400-\u04ff]")
_UKRAINIAN: Final = re.compile("[іїєґ]", re.IGNORECASE)  # letters that the neighbours do not write
_RUSSIAN: Final = re.compile("[ыэё]", re.IGNORECASE)


def _by_words(text: str) -> str | None:
    words = _WORD.findall(text.lower().replace("’", "'"))
    points: dict[str, float] = {}
    common: dict[str, int] = {}
    for word in words:
        for language, worth in _POINTS.get(word, ()):
            points[language] = points.get(language, 0.0) + worth
            common[language] = common.get(language, 0) + 1
    ranked = sorted(points.items(), key=lambda one: -one[1])
    if not ranked or len(words) < 3:
        return None
    best, most = ranked[0]
    next_most = ranked[1][1] if len(ranked) > 1 else 0.0
    clear = most >= _LEAST and most >= next_most * _AHEAD and common[best] >= _SHARE * len(words)
    return best if clear else None
