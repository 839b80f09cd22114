"""Reads consent to training from tags: opt-in and opt-out fields under many names, nested objects, lists of purposes.

If several fields are present, the strictest wins: "no", then a value that is not recognised, then "yes".
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from pipeline.consent_words import UNTIL, consent_of
from pipeline.ingest.consent_names import Kind, kind_of, snake
from pipeline.ingest.values import opened_value

_INSIDE = ("value", "given", "granted", "status", "state", "enabled", "allowed", "consented", "answer")
"""Keys that hold the answer inside a consent object, such as `{"training": {"granted": true}}`."""
_SCOPES = ("purpose", "purposes", "scope", "scopes", "category", "categories")
"""Keys that say what a consent object is about."""
_TITLES = ("type", "name")
"""Keys that may say it too: with a value that no name of a consent field has, the object is not understood."""
_NAMES = (*_SCOPES, *_TITLES, "key", "id")
"""Keys that name the purpose of a consent object in a list."""
_WITHDRAWN = re.compile(r"(?:consent_)?(?:withdrawn|revoked|declined|rejected)(?:_(?:at|on|date|time))?")
_ENDS = re.compile(r"(?:expires?|expiry|expiration|valid_until|valid_to|until|ends?)(?:_(?:at|on|date|time))?")
_PURPOSES = frozenset({"training", "train", "model_training", "ai_training", "ml_training", "all", "everything"})
_OPPOSITE = {"yes": "false", "no": "true"}
_BODY_NAMES = frozenset(
    """request response req res resp body input output prompt completion messages choices tools functions format schema
    properties parameters content text question query answer variables arguments args""".split()
)
_BODY_KEYS = frozenset("messages choices contents candidates content request response model tools properties".split())
"""Names of bodies, and keys in them: what they hold are texts and schemas, not tags."""
_MENTION = re.compile(r"train|consent|opt.?(?:in|out)|fine.?tun|improv", re.IGNORECASE)
_OPENERS = ("{", "[")
_MAX_DEPTH = 3
_MAX_CHARS = 80
_STRICTNESS = {"no": 0, "unknown": 1, "yes": 2}


def answers(tags: Mapping[Any, Any], *, depth: int = 0) -> Iterator[str]:
    """Values of all consent fields of a tags object and of the objects in it, converted to consent.

    A value whose field does not say what the user wants is an unknown word that names the field. An object in a text
    gives no consent, since the text may be a user's, but its refusals count.
    """
    yield from _own_answers(tags)
    yield from _inner_answers(tags, depth)


def answers_of_row(row: Mapping[Any, Any]) -> Iterator[str]:
    """Values of the consent fields of a row; below its top, where texts may be, all but consent itself."""
    yield from _own_answers(row)
    yield from _withheld(_inner_answers(row, 0))


def _own_answers(tags: Mapping[Any, Any]) -> Iterator[str]:
    for key, kind in _consent_keys(tuple(tags)).fields:
        if (word := word_of(tags[key], kind)) is not None:
            is_clear = kind in ("consent", "opt_out") or (kind == "use" and consent_of(word) == "no")
            yield word if is_clear else f"{key}: {word}"[:_MAX_CHARS]


def _inner_answers(tags: Mapping[Any, Any], depth: int) -> Iterator[str]:
    for key in _consent_keys(tuple(tags)).others:
        value = tags[key]
        is_json = type(value) is str and value[:1] in _OPENERS and may_say(value)
        tree = opened_value(value) if is_json else value
        words: Iterable[str] = ()
        if type(tree) is dict and depth < _MAX_DEPTH and _BODY_KEYS.isdisjoint(tree):
            words = answers(tree, depth=depth + 1)
        elif type(tree) is list:
            words = _own_answers(named(tree))
        yield from _withheld(words) if is_json else words


class _ConsentKeys(NamedTuple):
    fields: tuple[tuple[Any, Kind], ...]
    """Keys about consent to training."""
    others: tuple[Any, ...]
    """Keys whose values may hold tags."""


# Cached: an application sends the same keys with every request.
@lru_cache(maxsize=1024)
def _consent_keys(keys: tuple[Any, ...]) -> _ConsentKeys:
    kinds = [(key, kind_of(str(key))) for key in keys]
    return _ConsentKeys(
        tuple((key, kind) for key, kind in kinds if kind is not None),
        tuple(key for key, kind in kinds if kind is None and not _is_body(str(key))),
    )


def _withheld(words: Iterable[str]) -> Iterator[str]:
    return (word for word in words if consent_of(word) != "yes")


def _is_body(key: str) -> bool:
    """Whether a key names a body, as its last word: `gen_ai.input.messages`, `request_body`, but not `request_tags`."""
    return snake(key).rpartition("_")[2] in _BODY_NAMES


def may_say(text: str) -> bool:
    """Whether a text has a word that the name of a tag about consent has; tells most texts apart cheaply."""
    return _MENTION.search(text) is not None


def named(items: Iterable[Any]) -> dict[str, str]:
    """Tags from a list of "key:value"; of bare words only those that refuse training (`no-train`)."""
    tags = {}
    for item in items:
        if type(item) is str:
            key, colon, value = item.partition(":")
            # Longer ones are texts.
            if len(key) <= _MAX_CHARS and (colon or kind_of(key) in ("opt_out", "unclear")):
                tags[key] = value if colon else "true"
    return tags


def word_of(value: Any, kind: Kind = "consent") -> str | None:
    """A field's value as consent; None if it is empty. An unrecognised value is returned as written."""
    value = opened_value(value)
    if value is None or value == "":
        return None
    if isinstance(value, Mapping):
        return _of_object(value, kind)
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        # One object for each purpose.
        about = [item for item in value if any(_names_training(item.get(key)) for key in _NAMES)]
        return strictest(_of_object(item, kind) or "" for item in about) if about else _as_json(value)
    if isinstance(value, list):
        # Purposes with consent (or opt-out). A list that does not name training is not recognised.
        return ("false" if kind == "opt_out" else "true") if _names_training(value) else _as_json(value)
    word = str(value).lower() if isinstance(value, bool) else str(value)
    if kind != "opt_out":
        return word
    meaning = consent_of(word)
    if meaning == "unknown":
        return f"opt-out: {word}"[:_MAX_CHARS]
    # "opted_out" in an opt-out field means that the user opted out.
    return word if "out" in word.casefold() or "opt" in word.casefold() else _OPPOSITE[meaning]


def _of_object(value: Mapping[Any, Any], kind: Kind) -> str | None:
    if any(_WITHDRAWN.fullmatch(snake(str(key))) and _is_set(inner) for key, inner in value.items()):
        return _as_json(value) if kind == "opt_out" else "withdrawn"
    ends = next((v for k, v in value.items() if _ENDS.fullmatch(snake(str(k))) and v not in (None, "")), None)
    word = _answer_of(value, kind)
    return word if ends is None or word is None or consent_of(word) == "no" else f"{word}{UNTIL}{ends}"[:_MAX_CHARS]


def _is_set(value: Any) -> bool:
    return value not in (None, "", False, 0, "false", "0", "no", [])


def _answer_of(value: Mapping[Any, Any], kind: Kind) -> str | None:
    inside = list(answers(value))
    if inside:
        return strictest(inside)
    word = strictest(word for key in _INSIDE if key in value and (word := word_of(value[key], kind)) is not None)
    return _as_json(value) if word is None or (consent_of(word) == "yes" and _is_for_other_use(value)) else word


def _is_for_other_use(value: Mapping[Any, Any]) -> bool:
    """Whether a consent object names what it is for, and training is not among it."""
    scopes = [value[key] for key in _SCOPES if value.get(key)]
    if any(_names_training(scope) for scope in scopes):
        return False
    # `type: marketing` is read as the field `marketing_consent` is.
    names = [value[key] for key in _TITLES if value.get(key)]
    return bool(scopes) or any(kind_of(f"{snake(str(name))}_consent") is None for name in names)


def _names_training(scope: Any) -> bool:
    return not _PURPOSES.isdisjoint(snake(str(item)) for item in (scope if isinstance(scope, list) else [scope]))


def _as_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()[:_MAX_CHARS]


def strictest(words: Iterable[str]) -> str | None:
    """The most restrictive word; the first one on a tie."""
    return min(words, key=lambda word: _STRICTNESS[consent_of(word)], default=None)
