"""Reads consent to training from tags: opt-in and opt-out fields under many names, nested objects, lists of purposes.

If several fields are present, the strictest wins: "no", then a value that is not recognised, then "yes".
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from pipeline.consent_words import UNTIL, consent_of
from pipeline.ingest.consent_names import (
    Kind,
    is_about_data,
    is_list_of_tags,
    is_of_a_standard,
    kind_of,
    limits_purposes,
    snake,
    value_refuses,
)
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
"""Last words of the names of bodies, and keys in them: what they hold are texts and schemas, not tags."""
_NO_REFUSALS = frozenset(
    """id ids uuid hash timestamp time at date ip url uri email model version name type level environment site feature
    plan language lang locale user customer tenant session visibility""".split()
)
"""Last words of the names of texts that say nothing about training."""
_MENTION = re.compile(
    r"train|consent|opt(?:ed|s|ing)?[\W_]{0,3}(?:in|out)|fine[\W_]{0,3}tun"
    r"|improv[a-z]{0,8}[\W_]{0,3}(?:[^\W_]{1,12}[\W_]{1,3})?model|models?[\W_]{0,3}improv",
    re.IGNORECASE,
)
_OPENERS = ("{", "[")
_MAX_DEPTH = 3
_MAX_CHARS = 80
_STRICTNESS = {"no": 0, "unknown": 1, "yes": 2}
_SEPARATORS = re.compile(r"[,;|\n]")


def may_say(text: str) -> bool:
    """Whether a text has a word that the name of a tag about consent has; tells most texts apart cheaply."""
    return _MENTION.search(text) is not None


class Plan(NamedTuple):
    """What is looked at in an object."""

    fields: tuple[tuple[Any, Kind], ...] = ()
    """Keys about consent to training."""
    others: tuple[tuple[Any, bool], ...] = ()
    """Keys whose values may hold tags, and whether texts may, too."""


# Cached: an application sends the same keys with every request.
@lru_cache(maxsize=1024)
def _plan(keys: tuple[Any, ...]) -> Plan:
    kinds = [(key, kind_of(str(key))) for key in keys]
    return Plan(
        tuple((key, kind) for key, kind in kinds if kind is not None),
        tuple(
            (key, last not in _NO_REFUSALS)
            for key, kind in kinds
            if kind is None and (last := snake(str(key)).rpartition("_")[2]) not in _BODY_NAMES
        ),
    )


@lru_cache(maxsize=1024)
def _plan_inside(keys: tuple[Any, ...]) -> Plan:
    return _plan(keys) if _BODY_KEYS.isdisjoint(keys) else Plan()


def plan(tags: Mapping[Any, Any], searched: Container[Any] = ()) -> Plan | None:
    """What is looked at in this object and in others with the same keys and types; None: nothing.

    `searched`: keys of objects that are searched apart.
    """
    fields, others = _plan(tuple(tags))
    others = tuple((key, texts) for key, texts in others if _is_searched(tags[key], texts, key in searched))
    return Plan(fields, others) if fields or others else None


def _is_searched(value: Any, texts: bool, is_apart: bool) -> bool:
    kind = type(value)
    return texts if kind is str else not is_apart and (kind is dict or kind is list)


def answers(tags: Mapping[Any, Any], planned: Plan | None = None) -> list[str]:
    """Values of all consent fields of a tags object and of the objects in it, converted to consent.

    A value whose field does not say what the user wants is an unknown word that names the field. An object in a text
    gives no consent, since the text may be a user's, but its refusals count, as do those in a value of any other field.
    """
    words: list[str] = []
    _search(tags, planned or _plan(tuple(tags)), 0, words)
    return words


def answers_of_row(row: Mapping[Any, Any], planned: Plan | None = None) -> list[str]:
    """Values of the consent fields of a row; below its top, where texts may be, all but consent itself."""
    fields, others = planned or _plan(tuple(row))
    words: list[str] = []
    _search(row, Plan(others=others), 0, words)
    if words:
        words = list(_withheld(words))
    if fields:
        _search(row, Plan(fields), 0, words)
    return words


def _search(tags: Mapping[Any, Any], planned: Plan, depth: int, words: list[str]) -> None:
    for key, meaning in planned.fields:
        if (word := word_of(tags[key], meaning)) is not None:
            if meaning == "data" and consent_of(word) != "no" and word != "zero":
                continue
            if meaning == "opt_out" and consent_of(word) == "yes" and is_of_a_standard(str(key)):
                continue
            is_clear = meaning in ("consent", "opt_out") or (meaning == "use" and consent_of(word) == "no")
            words.append(word if is_clear else f"{key}: {word}"[:_MAX_CHARS])
    for key, texts in planned.others:
        value = tags[key]
        kind = type(value)
        if kind is dict:
            if depth < _MAX_DEPTH:
                _search(value, _plan_inside(tuple(value)), depth + 1, words)
        elif kind is list:
            words += _of_list(str(key), value, depth)
        elif kind is not str or not texts:
            continue
        elif len(value) <= _MAX_CHARS and value[:1] not in _OPENERS:
            words += _of_text(key, value)
        elif may_say(value):
            words += _withheld(_of_long_text(str(key), value, depth))


def _of_long_text(key: str, text: str, depth: int) -> Iterable[str]:
    opened = opened_value(text)
    if type(opened) is list:
        return _of_list(key, opened, depth)
    if type(opened) is dict and depth < _MAX_DEPTH:
        words: list[str] = []
        _search(opened, _plan_inside(tuple(opened)), depth + 1, words)
        return words
    return _of_tags(text) if is_list_of_tags(key) else ()


def _of_list(key: str, items: list[Any], depth: int) -> list[str]:
    """Consent in a list of tags, of named values or of purposes, and refusals in a list of other objects."""
    if not items:
        return []
    tags = named(items)
    limit = limits_purposes(key)
    if limit is not None and not tags and all(type(item) is str for item in items):
        return [word for word in [word_of(items, limit)] if word is not None and consent_of(word) != "yes"]
    texts = (_of_text(key, value) for key, value in tags.items() if type(value) is str and len(value) <= _MAX_CHARS)
    words = list(chain.from_iterable(texts))
    _search(tags, Plan(_plan(tuple(tags)).fields), 0, words)
    if depth < _MAX_DEPTH:
        inside: list[str] = []
        for item in items:
            if type(item) is dict and "value" not in item:
                _search(item, _plan_inside(tuple(item)), depth + 1, inside)
        words += _withheld(inside)
    return words


# Cached: applications send few values in tags; ids and times are not searched.
@lru_cache(maxsize=4096)
def _of_text(key: Any, text: str) -> tuple[str, ...]:
    """The refusal in a tag's value: `data_policy: no_train`. A value that may be one is named; none gives consent."""
    if not may_say(text) and not is_about_data(str(key)):
        return ()
    refusal = value_refuses(text)
    if refusal == "training":
        return ("false",)
    if refusal is not None and is_about_data(str(key)):
        return (f"{key}: {text}"[:_MAX_CHARS],)
    return tuple(_of_tags(text)) if is_list_of_tags(str(key)) or is_about_data(str(key)) else ()


def _of_tags(text: str) -> Iterator[str]:
    """Refusals in a text with several tags."""
    items = _SEPARATORS.split(text)
    return _withheld(_of_list("", items, 0)) if len(items) > 1 else iter(())


def _withheld(words: Iterable[str]) -> Iterator[str]:
    return (word for word in words if consent_of(word) != "yes")


def named(items: Iterable[Any]) -> dict[str, Any]:
    """Tags from a list of "key:value", "key=value" or `{"key", "value"}`.

    Of bare words only those that refuse training (`no-train`).
    """
    tags: dict[str, Any] = {}
    for item in items:
        if type(item) is dict and "value" in item and type(name := item.get("key")) is str:
            tags[name] = item["value"]
        elif type(item) is str:
            key, sign, value = _partition(item.strip())
            # Longer ones are texts.
            if len(key) <= _MAX_CHARS and (sign or kind_of(key) in ("opt_out", "unclear")):
                tags[key] = value.strip() if sign else "true"
    return tags


def _partition(item: str) -> tuple[str, str, str]:
    sign = "=" if "=" in item.partition(":")[0] else ":"
    return item.partition(sign)


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
    word = _answer_of(value, kind)
    if kind == "opt_out" and _is_withdrawn(value):
        return _as_json(value)
    return "withdrawn" if word is None and _is_withdrawn(value) else word and limited(word, value)


def limited(word: str, around: Mapping[Any, Any]) -> str:
    """The word with its last day, or "withdrawn", where the object around it says so."""
    if _is_withdrawn(around):
        return "withdrawn"
    ends = next((v for k, v in around.items() if _ENDS.fullmatch(snake(str(k))) and v not in (None, "")), None)
    return word if ends is None or consent_of(word) == "no" else f"{word}{UNTIL}{ends}"[:_MAX_CHARS]


def _is_withdrawn(value: Mapping[Any, Any]) -> bool:
    return any(_WITHDRAWN.fullmatch(snake(str(key))) and _is_set(inner) for key, inner in value.items())


def _is_set(value: Any) -> bool:
    return value not in (None, "", False, 0, "false", "0", "no", [])


def _answer_of(value: Mapping[Any, Any], kind: Kind) -> str | None:
    inside = answers(value)
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
