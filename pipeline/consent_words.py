"""What a record's words say about training on it: yes, no, or neither. Neither is never taken for consent."""

import datetime as dt
from typing import Literal

Said = Literal["yes", "no", "unknown"]
UNTIL = " until "
"""Between a word and the day on which it stops being true: consent that ran out is none."""

_YES = frozenset(
    """true yes y 1 on ok allow allowed granted grant accept accepted agree agreed consent consented permitted
    opt_in opted_in opt-in opted-in optin in ja oui si sí sim da hai""".split()
)
_NO = frozenset(
    """false no n 0 off deny denied refuse refused reject rejected declined withdrawn revoked forbidden never none
    opt_out opted_out opt-out opted-out optout out nein non não nej""".split()
)


def said(word: str) -> Said:
    """The meaning of a word, also of a whole number with a decimal point, and of one that holds until a day."""
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
