"""Reads the tags of a request: call site, feature, plan, user, read time, feedback.

A `TagMapping` gives their places; objects that contain tags under common names need none.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from pipeline.ingest import consent
from pipeline.ingest.mapping import ALWAYS_TAGS, Places, TagMapping
from pipeline.ingest.values import Notes, optional_time
from traffic.loose_json import json_or
from traffic.record import Visibility


class Feedback(msgspec.Struct, frozen=True):
    """A user's verdict on one answer."""

    thumb: str | None
    corrected: str | None
    """The correct answer; values that are not text as JSON."""
    ts: datetime | None


class Tags(msgspec.Struct, frozen=True, kw_only=True):
    """Tags of one line."""

    call_site: str | None = None
    feature: str | None = None
    visibility: Visibility = "unknown"
    user_id: str | None = None
    customer_id: str | None = None
    session_id: str | None = None
    tier: int | None = None
    cohort: dict[str, str] = {}
    consumed_at: datetime | msgspec.UnsetType | None = msgspec.UNSET
    """Unset: not tracked for this request."""
    feedback: Feedback | None = None


_SCALARS = (str, int, float)
_TIERS = {"1": 1, "2": 2, "3": 3}
_VISIBILITY: dict[str, Visibility] = {"human": "human", "background": "background"}
_UP = frozenset("up thumbsup true positive good like liked yes helpful correct accepted accept 👍".split())
_DOWN = frozenset(
    "down thumbsdown false negative bad dislike disliked no unhelpful not_helpful incorrect wrong rejected reject "
    "👎".split()
)


READ_TIMES = ("consumed_at", "read_at", "seen_at", "viewed_at", "opened_at")

_NAMES: dict[str, tuple[str, ...]] = {
    "call_site": ("call_site", "use_case", "prompt_name", "task", "function_id"),
    "feature": ("feature", "feature_name", "product_feature"),
    "visibility": ("visibility",),
    "user_id": ("user_id", "user", "end_user", "helicone_user_id"),
    "customer_id": (
        "customer_id",
        "customer",
        "account_id",
        "tenant_id",
        "tenant",
        "org_id",
        "organization_id",
    ),
    "session_id": ("session_id", "session", "conversation_id", "thread_id", "helicone_session_id"),
    "tier": ("tier",),
    "consumed_at": READ_TIMES,
}
_COHORT_NAMES: dict[str, tuple[str, ...]] = {
    "plan": ("plan", "user_plan", "subscription", "customer_plan"),
    "language": ("language", "lang", "locale"),
    "environment": ("environment", "env"),
}
_WITHOUT_USERS = frozenset(
    "local dev develop development test testing tests qa uat ci integration stage staging preview sandbox experiment "
    "eval evaluation loadtest".split()
)
"""Environments that are kept as a cohort; others, such as production, would only repeat the whole log."""
CONSENT = "training"
"""The cohort key for consent to training."""
_FEEDBACK_NAMES = ("thumb", "thumbs", "rating", "score", "value", "vote")
_DISLIKE_NAMES = (
    *("thumbs_down", "thumb_down", "thumbsdown", "dislike", "disliked", "downvote", "downvoted"),
    *("negative_feedback", "negative_user_feedback", "user_negative_feedback"),
)
"""Fields that are true if the user rejected the answer; false means nothing."""
_FLAT_FEEDBACK_NAMES = ("feedback", "user_feedback", "thumb", "thumbs", "feedback_rating", *_DISLIKE_NAMES)


_Place = tuple[int, Any]
"""Index of an object of the line, and a key in it."""
_TEXTS = ("call_site", "feature", "visibility", "user_id", "customer_id", "session_id", "tier")
_MAX_LAYOUTS = 1024
_ABSENT = -1
"""Position after all values of a line, where None is appended."""


class _Layout(NamedTuple):
    """Positions of the tags in the list of all values of a line."""

    texts: Callable[[Sequence[Any]], tuple[Any, ...]]
    """The values of `_TEXTS`."""
    are_plain: bool
    """Whether these are non-empty texts or null."""
    cohorts: tuple[tuple[str, int], ...]
    consumed_at: int
    verdict: tuple[int, ...]
    """Thumb, correction and time at the mapping's places."""
    feedback: tuple[tuple[int, tuple[Any, ...]], ...]
    """Objects with keys for feedback, and these keys."""
    has_feedback: bool
    """Whether there may be feedback."""
    consents: tuple[tuple[int, consent.Plan], ...]
    """Objects that may contain consent to training."""


class TagReader:
    """A compiled mapping: `read(tree)` returns the tags of one decoded line.

    The place of a tag depends only on the line's keys, on the types of its values and on which are empty. Applications
    log few such layouts, so places are resolved once per layout and cached.
    """

    def __init__(self, mapping: TagMapping, *, consent_in_row: bool = False) -> None:
        """`consent_in_row`: search the whole line for consent to training, also where the mapping has no other tags."""
        self._consent_in_row = consent_in_row
        self._objects = _Objects(place for place in (*mapping.tags_under, *ALWAYS_TAGS) if place != ".")
        self._searched = frozenset(place for place in (*mapping.tags_under, *ALWAYS_TAGS) if "." not in place)
        self._whole_row = "." in mapping.tags_under
        self._fields = [(name, self._objects.places(places)) for name in _NAMES if (places := getattr(mapping, name))]
        self._cohort = [(name, self._objects.places(places)) for name, places in mapping.cohort.items()]
        feedback = mapping.feedback
        self._verdict = [self._objects.places(places) for places in (feedback.thumb, feedback.corrected, feedback.at)]
        self._layouts: dict[tuple[Any, ...], _Layout] = {}

    def read(self, tree: Mapping[str, Any], notes: Notes | None = None) -> Tags:
        """Tags of one line; unreadable tags are dropped and noted."""
        notes = notes or Notes()
        objects = self._objects.open(tree)
        values = [*chain.from_iterable(map(dict.values, objects)), None]
        kinds = (*map(len, objects), *chain.from_iterable(objects), *map(type, values))
        # Which values are empty matters only if a text is, or for cohorts with places in the mapping.
        if self._cohort or "" in values:
            kinds += tuple(map(bool, values))
        layout = self._layouts.get(kinds)
        if layout is None:
            if len(self._layouts) >= _MAX_LAYOUTS:
                self._layouts.clear()
            layout = self._layouts[kinds] = self._layout(objects)
        texts = layout.texts(values)
        if not layout.are_plain:
            texts = tuple(map(_text, texts))
        call_site, feature, visibility, user_id, customer_id, session_id, tier = texts
        cohort = {name: word for name, position in layout.cohorts if (word := _cohort_text(name, values[position]))}
        if layout.consents:
            words = []
            for index, planned in layout.consents:
                words += (consent.answers if index else consent.answers_of_row)(objects[index], planned)
            if words:
                known = [cohort[CONSENT]] if CONSENT in cohort else []
                cohort[CONSENT] = consent.strictest(known + words) or ""
        consumed: Any = msgspec.UNSET
        if layout.consumed_at != _ABSENT:
            value = values[layout.consumed_at]
            consumed = (optional_time(value, "consumed_at", notes) or msgspec.UNSET) if value else None
        return Tags(
            call_site=call_site or feature,
            feature=feature or call_site,
            visibility=_VISIBILITY.get(visibility or "") or _visibility(visibility, notes),
            user_id=user_id,
            customer_id=customer_id,
            session_id=session_id,
            tier=_TIERS.get(tier or ""),
            cohort=cohort,
            consumed_at=consumed,
            feedback=_feedback(objects, values, layout, notes) if layout.has_feedback else None,
        )

    def _layout(self, objects: Sequence[dict[str, Any]]) -> _Layout:
        """Resolve the tags: at the mapping's places, else in objects with tags under common names."""
        values: dict[_Place, Any] = {
            (n, key): value for n, object_ in enumerate(objects) for key, value in object_.items()
        }
        fields = {name: place for name, places in self._fields if (place := _first_place(values, places)) is not None}
        cohorts = {
            name: place
            for name, places in self._cohort
            if (place := _first_place(values, places)) is not None
            and (name in (CONSENT, "environment") or _cohort_text(name, values[place]))
        }
        feedback: list[tuple[int, tuple[Any, ...]]] = []
        consents: list[tuple[int, consent.Plan]] = []
        for number in [*self._objects.with_tags, *([0] if self._whole_row else [])]:
            tags = objects[number]
            keys = _known_keys(tuple(tags))
            if keys.feedback:
                feedback.append((number, keys.feedback))
            for field, names in keys.fields:
                if field not in fields or values[fields[field]] in _EMPTY:
                    key = _first_key(tags, names)
                    if key is not None:
                        fields[field] = (number, key)
            for field, names in keys.cohorts:
                if field not in cohorts:
                    key = _first_key(tags, names)
                    if key is not None and _text(tags[key]):
                        cohorts[field] = (number, key)
        for number in {*self._objects.with_tags, *([0] if self._whole_row or self._consent_in_row else [])}:
            planned = consent.plan(objects[number], () if number else self._searched)
            if planned is not None:
                consents.append((number, planned))
        positions = {place: position for position, place in enumerate(values)}
        at = [values.get(fields[name]) if name in fields else None for name in _TEXTS]
        verdict = [_first_place(values, places) for places in self._verdict]
        return _Layout(
            texts=itemgetter(*(positions[fields[name]] if name in fields else _ABSENT for name in _TEXTS)),
            are_plain=all(value is None or (type(value) is str and value) for value in at),
            cohorts=tuple((name, positions[place]) for name, place in cohorts.items()),
            consumed_at=positions[fields["consumed_at"]] if "consumed_at" in fields else _ABSENT,
            verdict=tuple(_ABSENT if place is None else positions[place] for place in verdict),
            feedback=tuple(feedback),
            has_feedback=bool(feedback) or verdict[:2] != [None, None],
            consents=tuple(consents),
        )


def _first_place(values: Mapping[_Place, Any], places: Sequence[_Place]) -> _Place | None:
    """The first place with a value that is not null, else the last with null."""
    null: _Place | None = None
    for place in places:
        if place in values:
            if values[place] is not None:
                return place
            null = place
    return null


def _visibility(value: str | None, notes: Notes) -> Visibility:
    folded = (value or "").casefold()
    if folded and folded not in _VISIBILITY and folded not in ("unknown", "none"):
        notes.unknown.append(f"visibility={folded[:40]}")
    return _VISIBILITY.get(folded, "unknown")


_EMPTY = (None, "")


def _cohort_text(name: str, value: Any) -> str | None:
    """Text of a cohort; objects and lists as JSON."""
    if name == CONSENT:
        return consent.word_of(value)
    if name == "environment":
        word = (_text(value) or "").casefold()
        return word if word in _WITHOUT_USERS else None
    if type(value) is str:
        return value or None
    if isinstance(value, Mapping | list) and value:
        return msgspec.json.encode(value).decode()
    return _text(value)


def _first_key(tags: Mapping[str, Any], keys: Sequence[Any]) -> Any:
    """The first key with a non-empty scalar, else the first with an empty one, else None."""
    empty: Any = None
    for key in keys:
        value = tags[key]
        if value is None or value == "":
            if empty is None:
                empty = key
        elif isinstance(value, _SCALARS):
            return key
    return empty


def _verdict(tags: Mapping[str, Any], keys: Sequence[Any]) -> list[Any]:
    """Thumb, correction and time from a feedback object or from flat tags."""
    given = (_disliked(tags[key]) if _folded(key) in _DISLIKE_NAMES else tags[key] for key in keys)
    value = next((feedback for feedback in given if feedback not in (None, "")), None)
    if inside := _object(value):
        fields = {_folded(key): item for key, item in inside.items()}
        return [_any(fields, _FEEDBACK_NAMES), fields.get("corrected"), fields.get("at")]
    return [value, tags.get("corrected"), None]


def _disliked(value: Any) -> str | None:
    return "down" if str(value).casefold() in ("true", "1", "1.0", "yes") else None


class _KnownKeys(NamedTuple):
    """Fields named by an object's keys. Several keys of one field are in order of preference."""

    fields: tuple[tuple[str, tuple[Any, ...]], ...]
    """In the order of `_NAMES`, so that all worker processes produce the same records."""
    cohorts: tuple[tuple[str, tuple[Any, ...]], ...]
    feedback: tuple[Any, ...]


# Cached: an application sends the same keys with every request.
@lru_cache(maxsize=1024)
def _known_keys(keys: tuple[Any, ...]) -> _KnownKeys:
    named: dict[str, list[tuple[int, Any]]] = {}
    for key in keys:
        usual = _FIELD_OF.get(_folded(key).replace("_", ""))
        if usual is not None:
            named.setdefault(usual.field, []).append((usual.rank, key))
    keys_of = {field: tuple(key for _, key in sorted(ranked, key=itemgetter(0))) for field, ranked in named.items()}
    return _KnownKeys(
        fields=tuple((field, keys_of[field]) for field in _NAMES if field in keys_of),
        cohorts=tuple((field, keys_of[field]) for field in _COHORT_NAMES if field in keys_of),
        feedback=keys_of.get("feedback", ()),
    )


class _KnownField(NamedTuple):
    field: str
    rank: int


_FIELD_OF = {
    # Without underscores, so that `sessionId` and Portkey's `_user` are known too.
    name.replace("_", ""): _KnownField(field, rank)
    for field, names in {**_NAMES, **_COHORT_NAMES, "feedback": _FLAT_FEEDBACK_NAMES}.items()
    for rank, name in enumerate(names)
}


def _feedback(
    objects: Sequence[dict[str, Any]], values: Sequence[Any], layout: _Layout, notes: Notes
) -> Feedback | None:
    thumb, corrected, at = (values[position] for position in layout.verdict)
    for number, keys in layout.feedback:
        if thumb is None and corrected is None:
            thumb, corrected, at = _verdict(objects[number], keys)
    if thumb is None and corrected is None:
        return None
    verdict = _thumb(thumb, notes)
    if verdict is None and corrected is None:
        return None
    if corrected is not None and not isinstance(corrected, str):
        corrected = msgspec.json.encode(corrected).decode()
    return Feedback(verdict, corrected, optional_time(at, "feedback.at", notes))


@lru_cache(maxsize=4096)
def _folded(key: Any) -> str:
    return str(key).casefold().replace("-", "_").rpartition(".")[2]


def _is_tag(value: Any) -> bool:
    return value is None or isinstance(value, _SCALARS)


def _any(tags: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((tags[name] for name in names if tags.get(name) is not None and _is_tag(tags[name])), None)


_NONE: dict[str, Any] = {}
_ITEMS = 1
"""Index of the object that maps prefix places to the items found."""


class _Objects:
    """The objects of a line that contain tags: the line, items found by prefix, and all objects on the mapping's paths.

    Paths share most of their steps, so each object is opened once per line. An object may be JSON text; one with tags
    under common names may be a list of "key:value".
    """

    def __init__(self, with_tags: Iterable[str]) -> None:
        self._index: dict[tuple[str, ...], int] = {}
        self._steps: list[tuple[int, str, Callable[[Any], dict[str, Any]]]] = []
        self._prefixed: list[tuple[int, str, str, str]] = []
        self.with_tags = [self._number(tuple(place.split(".")), _object) for place in with_tags]
        """Indexes of the objects with tags under common names."""

    def open(self, tree: Mapping[str, Any]) -> list[dict[str, Any]]:
        """All objects of a line; empty ones for those that are missing."""
        opened = [tree if type(tree) is dict else dict(tree), _NONE]
        for parent, key, read in self._steps:
            child = opened[parent].get(key)
            if type(child) is not dict:
                child = _NONE if child is None else read(child)
            opened.append(child)
        if self._prefixed:
            items = ((place, _prefixed(opened[n].get(key), prefix)) for n, key, prefix, place in self._prefixed)
            opened[_ITEMS] = {place: item for place, item in items if item is not None}
        return opened

    def places(self, places: Places) -> list[_Place]:
        """Object index and key of each place."""
        return [self._place(place) for place in places]

    def _place(self, place: str) -> _Place:
        path, bracket, prefix = place.partition("[")
        *parents, key = path.split(".")
        number = self._number(tuple(parents), _json_object)
        if not bracket:
            return number, key
        self._prefixed.append((number, key, prefix.removesuffix("]"), place))
        return _ITEMS, place

    def _number(self, path: tuple[str, ...], read: Callable[[Any], dict[str, Any]]) -> int:
        """Index of the object at a path of keys, opened by `read`."""
        if not path:
            return 0
        if path not in self._index:
            parent = self._number(path[:-1], _json_object)
            self._index[path] = len(self._steps) + 2
            self._steps.append((parent, path[-1], read))
        return self._index[path]


def _json_object(value: Any) -> dict[str, Any]:
    """The object in a JSON text; an empty one for anything else."""
    tree = json_or(value) if isinstance(value, str) and value.startswith("{") else None
    return tree if isinstance(tree, dict) else _NONE


def _object(value: Any) -> dict[str, Any]:
    """An object, also from JSON text, a list of "key:value" or of named scores; an empty one for anything else."""
    if isinstance(value, str) and value.startswith("["):
        value = json_or(value)
    if isinstance(value, list):
        try:
            return _pairs(tuple(value))
        except TypeError:
            return consent.named(value) or _verdicts(value)
    return value if isinstance(value, dict) else _json_object(value)


# Cached: such lists describe the application and its environment, so few differ.
@lru_cache(maxsize=1024)
def _pairs(items: tuple[Any, ...]) -> dict[str, str]:
    return consent.named(items)


def _prefixed(items: Any, prefix: str) -> str | None:
    if isinstance(items, str) and items.startswith("["):
        items = json_or(items)
    for item in items if isinstance(items, list) else ():
        if isinstance(item, str) and item.startswith(prefix):
            return item.removeprefix(prefix)
    return None


def _text(value: Any) -> str | None:
    if value is None or type(value) is str:
        return value or None
    if isinstance(value, bool):
        return str(value).lower()
    return (str(value) or None) if isinstance(value, _SCALARS) else None


def _thumb(value: Any, notes: Notes) -> str | None:
    """`up`, `down`, or a number as text, whose scale depends on the other numbers of the log."""
    if value is None:
        return None
    plain = _text(value)
    if plain is None:
        notes.nulled.append("feedback.thumb")
        return None
    word = re.sub(r"[\s_-]+", "_", plain.strip().casefold()).removeprefix("thumbs_").removeprefix("thumb_")
    if word in _UP:
        return "up"
    if word in _DOWN:
        return "down"
    try:
        return f"{float(plain):g}"
    except ValueError:
        if word not in ("none", "null", "neutral", "no_feedback"):
            notes.unknown.append(f"feedback.thumb={plain[:40]}")
        return None


def _verdicts(scores: list[Any]) -> dict[str, Any]:
    """User feedback in a list of named scores; scores of evaluators are not feedback."""
    verdicts: dict[str, Any] = {}
    for score in scores:
        name = _folded(score.get("name", score.get("key"))) if isinstance(score, Mapping) else ""
        if name in _FLAT_FEEDBACK_NAMES and str(score.get("source")).upper() != "EVAL":
            verdicts[name] = score.get("stringValue") or score.get("string_value") or score.get("value")
    return verdicts
