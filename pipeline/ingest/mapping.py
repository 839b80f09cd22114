"""Where a log keeps the tags of a request: feature, plan, user, read time, feedback (`configs/ingest/*.yaml`).

Each field has a list of places, tried in order; the first that holds a value wins. A place is a dotted
path (`metadata.requester_metadata.plan`; a string that holds a JSON object is opened on the way), or
the first item of a list with a prefix (`request_tags[feature:]` finds "feature:support.intent").
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from pipeline.ingest.values import parse_time
from traffic.record import Visibility

Places = tuple[str, ...]


class FeedbackPlaces(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the users' verdict on an answer stands."""

    thumb: Places = ()
    """up/down, true/false or a number above/below 0."""
    corrected: Places = ()
    """What the user says the answer should have been."""
    at: Places = ()
    """When; the start of the request where it is not said."""


class TagMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One file of `configs/ingest/`. Where a log has only one of `call_site` and `feature`, it is both."""

    schema_version: Literal[1] = 1
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
        return frozenset(re.split(r"[.\[]", place, maxsplit=1)[0] for place in self.places())


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
_THUMBS = {"up": "up", "true": "up", "positive": "up", "down": "down", "false": "down", "negative": "down"}


class TagReader:
    """A mapping, compiled: `read(tree)` gives the tags of one decoded line."""

    def __init__(self, mapping: TagMapping) -> None:
        self._nodes = _Nodes()
        self._fields: dict[str, _Found] = {
            name: self._nodes.first(value)
            for name in TagMapping.__struct_fields__
            if isinstance(value := getattr(mapping, name), tuple) and value
        }
        self._cohort = [(key, self._nodes.first(places)) for key, places in mapping.cohort.items()]
        feedback = mapping.feedback
        self._verdict = [self._nodes.first(places) for places in (feedback.thumb, feedback.corrected, feedback.at)]

    def read(self, tree: Mapping[str, Any]) -> Tags:
        """Tags of one line; a tag of a type that makes no sense is left out. Raises: ValueError for a bad time."""
        nodes = self._nodes.open(tree)
        found = {name: look(nodes) for name, look in self._fields.items()}
        consumed = found.pop("consumed_at", msgspec.UNSET)
        if consumed is not msgspec.UNSET:
            consumed = parse_time(consumed) if consumed else None
        tier = _text(found.pop("tier", None))
        visibility = _text(found.pop("visibility", None))
        texts = {name: _text(value) for name, value in found.items()}
        call_site, feature = texts.pop("call_site", None), texts.pop("feature", None)
        return Tags(
            **texts,
            call_site=call_site or feature,
            feature=feature or call_site,
            tier=_TIERS.get(tier or ""),
            visibility=_VISIBILITY.get((visibility or "").casefold(), "unknown"),
            cohort={key: value for key, look in self._cohort if (value := _text(look(nodes)))},
            consumed_at=consumed,
            feedback=self._feedback(nodes),
        )

    def _feedback(self, nodes: list[Any]) -> Feedback | None:
        thumb, corrected, at = [look(nodes) for look in self._verdict]
        verdict = _thumb(thumb)
        if corrected is msgspec.UNSET:
            corrected = None
        if verdict is None and corrected is None:
            return None
        if corrected is not None and not isinstance(corrected, str):
            corrected = msgspec.json.encode(corrected).decode()
        return Feedback(verdict, corrected, parse_time(at) if at else None)


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
            if isinstance(child, str):
                child = _opened(child) if child.startswith("{") else None
            nodes.append(child if isinstance(child, dict) else None)
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
        items = _opened(items)
    for item in items if isinstance(items, list) else ():
        if isinstance(item, str) and item.startswith(prefix):
            return item.removeprefix(prefix)
    return msgspec.UNSET


def _opened(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return msgspec.UNSET


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return (str(value) or None) if isinstance(value, _SCALARS) else None


def _thumb(value: Any) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return None if value == 0 else "up" if value > 0 else "down"
    text = _text(value)
    return _THUMBS.get(text.casefold().removeprefix("thumbs_").removeprefix("thumb_")) if text else None
