"""Maps the value of a consent flag to yes, no or unknown. An unknown value does not count as consent."""

import datetime as dt
from typing import Literal

UNTIL = " until "
"""Separates a value from its last day; after that day the value counts as no."""

_YES = frozenset(
    """true yes y 1 on ok allow allowed granted grant accept accepted agree agreed consent consented permitted enabled
    given active opt_in opted_in opt-in opted-in optin in ja oui si sí sim da hai tak да はい 是 erteilt zugestimmt
    accepté aceptado""".split()
)
_NO = frozenset(
    """false no n 0 off deny denied refuse refused reject rejected declined withdrawn revoked forbidden never none
    disabled disallowed prohibited opt_out opted_out opt-out opted-out optout out nein non não nej nie nee нет いいえ 否
    verweigert abgelehnt widerrufen refusé rechazado rifiutato""".split()
)


def consent_of(word: str) -> Literal["yes", "no", "unknown"]:
    """Meaning of a flag's value, which may be a number with a decimal point (`1.0`) or have a last day (`UNTIL`)."""
    word, _, until = word.partition(UNTIL)
    if until:
        try:
            if dt.datetime.fromisoformat(until).date() < dt.datetime.now(dt.UTC).date():
                return "no"
        except ValueError:
            return "unknown"
    plain = word.strip().casefold().removesuffix(".0")
    if plain in _YES:
        return "yes"
    return "no" if plain in _NO else "unknown"
