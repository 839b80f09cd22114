"""Where a log keeps the tags of a request: feature, plan, user, read time, feedback (`configs/log_tags/*.yaml`).

Each field has a list of places, tried in order; the first that holds a value wins. A place is a dotted
path (`metadata.requester_metadata.plan`; a string that holds a JSON object is opened on the way), or
the first item of a list with a prefix (`request_tags[feature:]` finds "feature:support.intent"). The places of
a whole record (`record:`) may also count list items (`choices.0.text`) and be JSONPath (`$.events[?(@.k=="x")].v`).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, Literal, NamedTuple

import msgspec

from pipeline.ingest import consent
from pipeline.ingest.values import Notes, optional_time
from traffic.loose_json import json_or
from traffic.record import Visibility

Places = tuple[str, ...]


class FeedbackPlaces(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the users' verdict on an answer stands."""

    thumb: Places = ()
    """up/down, true/false, or a number; what the numbers mean follows from their range (-1 to 1, 0 to 1, stars)."""
    corrected: Places = ()
    """What the user says the answer should have been."""
    at: Places = ()
    """When; the start of the request where it is not said."""


class RecordPlaces(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a log of a format of its own keeps requests and answers. Either whole bodies or their parts."""

    rows: str | None = None
    """Path to the rows inside each line or document, where they are not the lines themselves."""
    id: Places = ()
    time: Places = ()
    request: Places = ()
    """A whole request body of any provider's API."""
    response: Places = ()
    """A whole response body."""
    messages: Places = ()
    system: Places = ()
    prompt: Places = ()
    """The prompt as one text."""
    answer: Places = ()
    """The answer: text, a message, or tool calls."""
    tools: Places = ()
    response_format: Places = ()
    parameters: Places = ()
    """An object of sampling parameters."""
    model: Places = ()
    provider: Places = ()
    endpoint: Places = ()
    status: Places = ()
    error: Places = ()
    finish_reason: Places = ()
    usage: Places = ()
    """An object of token counts in any known spelling."""
    input_tokens: Places = ()
    output_tokens: Places = ()
    cached_tokens: Places = ()
    cached_inside_input: bool = True
    """Whether `input_tokens` holds the cached ones (OpenAI, gateways) or not (Anthropic, Langfuse)."""
    cost_usd: Places = ()
    latency_ms: Places = ()
    latency_s: Places = ()
    ttft_ms: Places = ()
    cache_hit: Places = ()
    trace_id: Places = ()


class TagMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One file of `configs/log_tags/`. Where a log has only one of `call_site` and `feature`, it is both."""

    schema_version: Literal[1] = 1
    tags_under: Places = ()
    """Objects that hold tags under their usual names, in any case; `.` is the row itself. Own places below win."""
    call_site: Places = ()
    feature: Places = ()
    visibility: Places = ()
    """human or background; anything else is unknown."""
    user_id: Places = ()
    customer_id: Places = ()
    session_id: Places = ()
    tier: Places = ()
    """1, 2 or 3."""
    consumed_at: Places = ()
    """When a user first saw the answer; null means tracked and not seen, absent means not tracked."""
    feedback: FeedbackPlaces = FeedbackPlaces()
    cohort: dict[str, Places] = {}
    """Every key becomes a cohort: plan, language, ..."""
    record: RecordPlaces | None = None
    """For a log of a format of its own: where everything else stands."""

    def places(self) -> Iterator[str]:
        """All places of all fields."""
        for tree in (self, self.feedback):
            for name in tree.__struct_fields__:
                value = getattr(tree, name)
                if isinstance(value, tuple):
                    yield from value
        for value in self.cohort.values():
            yield from value

    def roots(self) -> frozenset[str]:
        """Top-level keys of a log line that hold a tag: only these are decoded."""
        return frozenset(re.split(r"[.\[]", place, maxsplit=1)[0] for place in self.places() if place != ".")


class Feedback(msgspec.Struct, frozen=True):
    """A user's verdict on one answer."""

    thumb: str | None
    corrected: str | None
    """The right answer: text as it is, everything else as JSON text."""
    ts: datetime | None


class Tags(msgspec.Struct, frozen=True, kw_only=True):
    """What the mapping found in one line."""

    call_site: str | None = None
    feature: str | None = None
    visibility: Visibility = "unknown"
    user_id: str | None = None
    customer_id: str | None = None
    session_id: str | None = None
    tier: int | None = None
    cohort: dict[str, str] = {}
    consumed_at: datetime | msgspec.UnsetType | None = msgspec.UNSET
    """Unset: the log does not track it for this request."""
    feedback: Feedback | None = None


_SCALARS = (str, int, float)
_TIERS = {"1": 1, "2": 2, "3": 3}
_VISIBILITY: dict[str, Visibility] = {"human": "human", "background": "background"}
_UP = frozenset("up thumbsup true positive good like liked yes helpful correct accepted accept 👍".split())
_DOWN = frozenset(
    "down thumbsdown false negative bad dislike disliked no unhelpful not_helpful incorrect wrong rejected reject "
    "👎".split()
)


_NAMES: dict[str, tuple[str, ...]] = {
    "call_site": ("call_site", "callsite", "use_case", "prompt_name", "task"),
    "feature": ("feature", "feature_name", "product_feature"),
    "visibility": ("visibility",),
    "user_id": ("user_id", "userid", "user", "end_user", "enduser"),
    "customer_id": (
        "customer_id",
        "customer",
        "customerid",
        "account_id",
        "tenant_id",
        "tenant",
        "org_id",
        "organization_id",
    ),
    "session_id": ("session_id", "session", "sessionid", "conversation_id", "thread_id"),
    "tier": ("tier",),
    "consumed_at": ("consumed_at", "read_at", "seen_at"),
}
_COHORT_NAMES: dict[str, tuple[str, ...]] = {
    "plan": ("plan", "user_plan", "subscription", "customer_plan"),
    "language": ("language", "lang", "locale"),
}
CONSENT = "training"
"""The cohort that says whether a record may be trained on."""
_FEEDBACK_NAMES = ("thumb", "thumbs", "rating", "score", "value", "vote")
_FLAT_FEEDBACK_NAMES = ("feedback", "user_feedback", "thumb", "thumbs", "feedback_rating")


class TagReader:
    """A mapping, compiled: `read(tree)` gives the tags of one decoded line."""

    def __init__(self, mapping: TagMapping) -> None:
        self._nodes = _Nodes()
        self._fields = [(name, self._nodes.first(places)) for name in _NAMES if (places := getattr(mapping, name))]
        self._cohort = [(key, self._nodes.first(places)) for key, places in mapping.cohort.items()]
        feedback = mapping.feedback
        self._verdict = [self._nodes.first(places) for places in (feedback.thumb, feedback.corrected, feedback.at)]
        self._has_verdict = bool(feedback.thumb or feedback.corrected or feedback.at)
        self._objects = [self._nodes.first((place,)) for place in mapping.tags_under if place != "."]
        self._whole_row = "." in mapping.tags_under

    def read(self, tree: Mapping[str, Any], notes: Notes | None = None) -> Tags:
        """Tags of one line; a tag that cannot be read is left out and noted."""
        notes = notes or Notes()
        nodes = self._nodes.open(tree)
        # Fields whose places hold nothing are not in it: an object of tags may name them.
        found = {name: value for name, look in self._fields if (value := look(nodes)) is not msgspec.UNSET}
        cohort = {key: value for key, look in self._cohort if (value := _cohort_text(key, look(nodes)))}
        verdict = [look(nodes) for look in self._verdict] if self._has_verdict else [None] * 3
        if self._objects or self._whole_row:
            self._guess(tree, nodes, found, cohort, verdict)
        consumed = found.pop("consumed_at", msgspec.UNSET)
        if consumed is not msgspec.UNSET:
            consumed = (optional_time(consumed, "consumed_at", notes) or msgspec.UNSET) if consumed else None
        get = found.get
        visibility = (_text(get("visibility")) or "").casefold()
        if visibility and visibility not in _VISIBILITY and visibility not in ("unknown", "none"):
            notes.unknown.append(f"visibility={visibility[:40]}")
        call_site, feature = _text(get("call_site")), _text(get("feature"))
        return Tags(
            call_site=call_site or feature,
            feature=feature or call_site,
            visibility=_VISIBILITY.get(visibility, "unknown"),
            user_id=_text(get("user_id")),
            customer_id=_text(get("customer_id")),
            session_id=_text(get("session_id")),
            tier=_TIERS.get(_text(get("tier")) or ""),
            cohort=cohort,
            consumed_at=consumed,
            feedback=_feedback(verdict, notes),
        )

    def _guess(
        self,
        tree: Mapping[str, Any],
        nodes: list[Any],
        found: dict[str, Any],
        cohort: dict[str, str],
        verdict: list[Any],
    ) -> None:
        """Fill what the mapping's own places did not, from objects that hold tags under their usual names."""
        consents: list[str] = []
        for look in self._objects:
            tags = _object(look(nodes))
            if tags:
                keys = _known_keys(tuple(tags))
                if keys.consent or dict in map(type, tags.values()):
                    consents += consent.answers(tags)
                _fill(tags, keys, found, cohort, verdict)
        if self._whole_row:
            keys = _known_keys(tuple(tree))
            if keys.consent:
                # Objects inside the row are bodies, not tags.
                consents += consent.answers(tree, inside=False)
            _fill(tree, keys, found, cohort, verdict)
        if consents:
            known = [cohort[CONSENT]] if CONSENT in cohort else []
            cohort[CONSENT] = consent.strictest(known + consents) or ""


def _fill(
    tags: Mapping[str, Any], keys: "_KnownKeys", found: dict[str, Any], cohort: dict[str, str], verdict: list[Any]
) -> None:
    """Take from an object of tags what others did not say."""
    for field, names in keys.fields:
        if found.get(field) in _EMPTY:
            value = tags[names[0]]
            # Mostly a text under one name.
            if type(value) is not str or not value:
                value = _first(tags, names)
            if value is not msgspec.UNSET:
                found[field] = value
    for field, names in keys.cohorts:
        if field not in cohort and (written := _text(_first(tags, names))):
            cohort[field] = written
    if keys.feedback and verdict[0] in _UNSAID and verdict[1] in _UNSAID:
        verdict[:] = _verdict(tags, keys.feedback)


_EMPTY = (None, "")
_UNSAID = (None, msgspec.UNSET)


def _cohort_text(key: str, value: Any) -> str | None:
    """A cohort that the mapping names; an object or a list as JSON, so that it is not taken for none."""
    if key == CONSENT:
        return None if value is msgspec.UNSET else consent.word_of(value)
    if isinstance(value, Mapping | list) and value:
        return msgspec.json.encode(value).decode()
    return _text(value)


def _first(tags: Mapping[str, Any], keys: Sequence[Any]) -> Any:
    """The first scalar of the keys; one that is empty does not hide another."""
    found: Any = msgspec.UNSET
    for key in keys:
        value = tags[key]
        if value is None or value == "":
            if found is msgspec.UNSET:
                found = value
        elif isinstance(value, _SCALARS):
            return value
    return found


def _verdict(tags: Mapping[str, Any], keys: Sequence[Any]) -> list[Any]:
    """Thumb, correction and time: in an object, or beside the other tags."""
    value = next((tags[key] for key in keys if tags[key] not in (None, "")), None)
    if inside := _object(value):
        given = {_folded(key): said for key, said in inside.items()}
        return [_any(given, _FEEDBACK_NAMES), given.get("corrected"), given.get("at")]
    return [value, tags.get("corrected"), None]


class _KnownKeys(NamedTuple):
    """What the keys of an object name. Of several keys of one field the preferred is the first."""

    fields: tuple[tuple[str, tuple[Any, ...]], ...]
    """In the order of `_NAMES`, so that records of every worker process are the same."""
    cohorts: tuple[tuple[str, tuple[Any, ...]], ...]
    feedback: tuple[Any, ...]
    consent: bool
    """Whether any key is about consent to training."""


# An application sends the same keys with every request.
@lru_cache(maxsize=1024)
def _known_keys(keys: tuple[Any, ...]) -> _KnownKeys:
    named: dict[str, list[tuple[int, Any]]] = {}
    for key in keys:
        usual = _FIELD_OF.get(_folded(key))
        if usual is not None:
            named.setdefault(usual.field, []).append((usual.rank, key))
    keys_of = {field: tuple(key for _, key in sorted(ranked, key=itemgetter(0))) for field, ranked in named.items()}
    return _KnownKeys(
        fields=tuple((field, keys_of[field]) for field in _NAMES if field in keys_of),
        cohorts=tuple((field, keys_of[field]) for field in _COHORT_NAMES if field in keys_of),
        feedback=keys_of.get("feedback", ()),
        consent=any(consent.kind_of(key) is not None for key in keys),
    )


class _Usual(NamedTuple):
    field: str
    rank: int


_FIELD_OF = {
    name: _Usual(field, rank)
    for field, names in {**_NAMES, **_COHORT_NAMES, "feedback": _FLAT_FEEDBACK_NAMES}.items()
    for rank, name in enumerate(names)
}


def _feedback(verdict: Sequence[Any], notes: Notes) -> Feedback | None:
    thumb, corrected, at = (None if value is msgspec.UNSET else value for value in verdict)
    if thumb is None and corrected is None:
        return None
    said = _thumb(thumb, notes)
    if said is None and corrected is None:
        return None
    if corrected is not None and not isinstance(corrected, str):
        corrected = msgspec.json.encode(corrected).decode()
    return Feedback(said, corrected, optional_time(at, "feedback.at", notes))


@lru_cache(maxsize=4096)
def _folded(key: Any) -> str:
    return str(key).casefold().replace("-", "_").rpartition(".")[2]


def _is_tag(value: Any) -> bool:
    return value is None or isinstance(value, _SCALARS)


def _object(value: Any) -> Mapping[str, Any] | None:
    if value is None or value is msgspec.UNSET:
        return None
    if type(value) is dict:
        return value
    if isinstance(value, str) and value.startswith(("{", "[")):
        value = json_or(value)
    if isinstance(value, list):
        return _pairs(tuple([item for item in value if type(item) is str]))
    return value if isinstance(value, Mapping) else None


# Such lists name the application and its environment: few are different.
@lru_cache(maxsize=1024)
def _pairs(items: tuple[str, ...]) -> Mapping[str, str] | None:
    """Tags as a list of "key:value"."""
    return dict(item.split(":", 1) for item in items if ":" in item) or None


def _any(tags: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((tags[name] for name in names if tags.get(name) is not None and _is_tag(tags[name])), None)


_Found = Callable[[list[Any]], Any]
"""Opened nodes to a value: null where the log says null, unset where it says nothing."""


class _Nodes:
    """The objects that places go through. Places share most of their way, so each object is opened once a line."""

    def __init__(self) -> None:
        self._index: dict[tuple[str, ...], int] = {(): 0}
        self._steps: list[tuple[int, str]] = []

    def first(self, places: Places) -> _Found:
        """The first value at `places` that is neither null nor missing."""
        looks = [self._place(place) for place in places]
        if len(looks) == 1 and looks[0][2] is None:
            index, only, _ = looks[0]
            return lambda nodes: msgspec.UNSET if nodes[index] is None else nodes[index].get(only, msgspec.UNSET)

        def find(nodes: list[Any]) -> Any:
            found: Any = msgspec.UNSET
            for node, key, prefix in looks:
                parent = nodes[node]
                if parent is None:
                    continue
                value = parent.get(key, msgspec.UNSET)
                if prefix is not None:
                    value = _prefixed(value, prefix)
                if value is None:
                    found = None
                elif value is not msgspec.UNSET:
                    return value
            return found

        return find

    def open(self, tree: Mapping[str, Any]) -> list[dict[str, Any] | None]:
        """Every object on the way; None where there is none."""
        nodes: list[Any] = [tree]
        for parent, key in self._steps:
            node = nodes[parent]
            child = None if node is None else node.get(key)
            if child is not None and type(child) is not dict:
                child = json_or(child) if isinstance(child, str) and child.startswith("{") else None
                child = child if isinstance(child, dict) else None
            nodes.append(child)
        return nodes

    def _place(self, place: str) -> tuple[int, str, str | None]:
        path, bracket, prefix = place.partition("[")
        *way, key = path.split(".")
        for depth in range(1, len(way) + 1):
            prefix_way = tuple(way[:depth])
            if prefix_way not in self._index:
                self._index[prefix_way] = len(self._steps) + 1
                self._steps.append((self._index[prefix_way[:-1]], prefix_way[-1]))
        return self._index[tuple(way)], key, prefix.removesuffix("]") if bracket else None


def _prefixed(items: Any, prefix: str) -> Any:
    if isinstance(items, str) and items.startswith("["):
        items = json_or(items)
    for item in items if isinstance(items, list) else ():
        if isinstance(item, str) and item.startswith(prefix):
            return item.removeprefix(prefix)
    return msgspec.UNSET


def _text(value: Any) -> str | None:
    if value is None or type(value) is str:
        return value or None
    if isinstance(value, bool):
        return str(value).lower()
    return (str(value) or None) if isinstance(value, _SCALARS) else None


def _thumb(value: Any, notes: Notes) -> str | None:
    """`up`, `down`, or a number as text, whose meaning depends on the other numbers of its log."""
    if value is None:
        return None
    written = _text(value)
    if written is None:
        notes.nulled.append("feedback.thumb")
        return None
    word = re.sub(r"[\s_-]+", "_", written.strip().casefold()).removeprefix("thumbs_").removeprefix("thumb_")
    if word in _UP:
        return "up"
    if word in _DOWN:
        return "down"
    try:
        return f"{float(written):g}"
    except ValueError:
        if word not in ("none", "null", "neutral", "no_feedback"):
            notes.unknown.append(f"feedback.thumb={written[:40]}")
        return None
