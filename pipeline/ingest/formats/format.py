"""What a log format is: how it is recognised and how one row becomes a record."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from pipeline.ingest.bodies import Answer, Prompt, Unreadable
from pipeline.ingest.mapping import TagMapping
from pipeline.ingest.tags import Feedback, TagReader
from pipeline.ingest.values import Notes, amount, flag, identity, parse_time, plausible
from traffic.prompts import PlainMessage
from traffic.record import Params, Record, Usage

__all__ = [
    "Companions",
    "Draft",
    "Format",
    "LineReader",
    "NotARequest",
    "Reading",
    "RowType",
    "Unreadable",
    "id_of",
    "row_type",
]

UNDATED = datetime(1970, 1, 1, tzinfo=UTC)
"""Time of a row that has none, until the time of its file takes its place."""


class Reading(NamedTuple):
    """What one row says."""

    record: Record
    feedback: Feedback | None = None
    consumed_at: datetime | msgspec.UnsetType | None = msgspec.UNSET
    """Unset: not tracked; None: tracked and not seen yet."""
    nulled: tuple[str, ...] = ()
    """Optional fields that could not be read and are null."""
    unknown: tuple[str, ...] = ()
    """`field=value` of words whose meaning is not known."""
    media: int = 0
    """Images and files in the prompt, whose bytes are not kept."""
    plain: Sequence[PlainMessage] | None = None
    """The record's messages where they are nothing but roles and texts and were decoded already."""


class NotARequest(Exception):
    """A row that the format knows and that is no request: a span of a tool, an event, a message beside a request."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


LineReader = Callable[[bytes], Reading]
"""One row, UTF-8, to a reading. Raises: msgspec.DecodeError, Unreadable, NotARequest, ValueError."""


Part = tuple[str, int, Any]
"""What a row is for another one: its key, its place among several, and the value."""


class Companions(NamedTuple):
    """How rows of a format that belong together find each other."""

    given: Callable[[Mapping[str, Any]], Iterable[Part]]
    """What a row is for others."""
    wanted: Callable[[Mapping[str, Any]], str | None]
    """The key of what a row lacks; None where it lacks nothing."""
    joined: Callable[[Mapping[str, Any], list[Any]], dict[str, Any]]
    """The row with the values that were found."""
    unique_keys: bool = False
    """Whether a key means the same in every file; else all parts of a file's rows are in one other file."""
    wait: bool = False
    """Whether rows wait in the home for those of a later ingest."""


class Format(NamedTuple):
    """One entry of the registry."""

    name: str
    recognises: Callable[[Mapping[str, Any]], bool]
    """Whether a decoded line looks like this format."""
    reader: Callable[[TagMapping], LineReader]
    expand: Callable[[bytes], Iterable[bytes]] | None = None
    """Rows of one line, where a line holds several (spans, batches, hits)."""
    companions: Companions | None = None


class RowType(NamedTuple):
    """A struct that decodes only what is needed of a line, and how to get at the places of tags in it."""

    decode: Callable[[bytes], Any]
    tag_keys: tuple[str, ...]
    """Top-level keys of the log."""
    tag_values: Callable[[Any], Iterable[Any]]
    """Their values in a row."""
    raw: tuple[str, ...]
    """Those of the keys whose values are still JSON."""

    def tagged(self, row: Any) -> dict[str, Any]:
        """The part of a line that a `TagReader` looks at."""
        values = dict(zip(self.tag_keys, self.tag_values(row), strict=True))
        for key in self.raw:
            values[key] = msgspec.json.decode(values[key])
        return values


def row_type(fields: Iterable[tuple[Any, ...]], roots: frozenset[str]) -> RowType:
    """`fields` (name, type[, default]) and whatever else the mapping's `roots` need, decoded untyped."""
    fields = list(fields)
    known = {field[0] for field in fields}
    # A log's key need not be a Python name.
    added = {root: f"tag_{n}" for n, root in enumerate(sorted(roots - known))}
    row = msgspec.defstruct(
        "Row",
        [*fields, *((name, Any, None) for name in added.values())],
        kw_only=True,
        rename={name: root for root, name in added.items()},
    )
    raw = tuple(field[0] for field in fields if field[1] is msgspec.Raw and field[0] in roots)
    attributes = {root: root for root in sorted(roots & known)} | added
    return RowType(msgspec.json.Decoder(row).decode, tuple(attributes), _values_of(tuple(attributes.values())), raw)


def _values_of(attributes: Sequence[str]) -> Callable[[Any], Iterable[Any]]:
    if len(attributes) > 1:
        return attrgetter(*attributes)
    return lambda row: [getattr(row, attribute) for attribute in attributes]


_USUAL_TIERS = frozenset({"default", "standard", "auto", "on_demand"})


class Draft(msgspec.Struct, kw_only=True):
    """What a format found in one row; `reading` fills the rest."""

    prompt: Prompt | None
    """None: the log does not keep prompts. Cost and volume still count."""
    answer: Answer | None = None
    id: Any = None
    """First choice; the answer's id and then the row itself stand in for it."""
    request_id: Any = None
    ts: Any = None
    trace_id: Any = None
    session_id: str | None = None
    user_id: str | None = None
    call_site: str | None = None
    provider: str | None = None
    model: str | None = None
    endpoint: str | None = None
    status: int | None = None
    error: str | None = None
    cache_hit: Any = None
    usage: Usage | None = None
    """Before that of the answer's body."""
    service_tier: str | None = None
    """Before that of the answer's body."""
    cost_usd: Any = None
    ttft_ms: Any = None
    latency_ms: Any = None
    stream: bool | None = None
    tags: Mapping[str, Any] | None = None
    """Where the tags stand, if not in the row as it is."""


DraftReader = Callable[[dict[str, Any], Notes], Draft]
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


def tree_format(
    name: str,
    recognises: Callable[[Mapping[str, Any]], bool],
    read: DraftReader,
    expand: Callable[[bytes], Iterable[bytes]] | None = None,
    companions: Companions | None = None,
) -> Format:
    """A format whose rows are read from decoded objects."""

    return Format(name, recognises, lambda mapping: draft_reader(read, mapping, name), expand, companions)


def draft_reader(read: DraftReader, mapping: TagMapping, source_format: str) -> LineReader:
    """A reader of rows from one that makes drafts of decoded rows."""
    tags = TagReader(mapping)

    def read_line(line: bytes) -> Reading:
        tree = _decode_object(line)
        notes = Notes()
        return _reading(read(tree, notes), tags, tree, line, notes, source_format)

    return read_line


def _reading(
    draft: Draft, tags: TagReader, tree: dict[str, Any], line: bytes, notes: Notes, source_format: str
) -> Reading:
    found = tags.read(tree if draft.tags is None else draft.tags, notes)
    prompt, answer = draft.prompt, draft.answer or Answer()
    status, error = _outcome(draft, draft.answer)
    if draft.answer is not None and answer.is_empty and answer.finish_reason is None and status == 200:
        raise Unreadable("no_answer", "the answer holds no text, no tool call and no reason why it ended")
    known = (draft.prompt, draft.answer, draft.usage, draft.model, draft.status, draft.error)
    if known == (None,) * 6 and not draft.cost_usd:
        raise Unreadable("no_contents", f"neither prompt, answer, model nor tokens: no row of {source_format}")
    own_id = identity(draft.id, answer.id) or id_of(line)
    cost = amount(draft.cost_usd or answer.cost_usd, "cost_usd", notes)
    params = prompt.params if prompt else Params()
    if draft.stream is not None:
        params = msgspec.structs.replace(params, stream=draft.stream)
    billed = draft.service_tier or answer.service_tier
    if billed and (billed not in _USUAL_TIERS or "service_tier" in params.other):
        params = msgspec.structs.replace(params, other={**params.other, "service_tier": billed})
    record = Record(
        id=own_id,
        request_id=identity(draft.request_id) or own_id,
        ts=UNDATED if draft.ts in (None, "") else plausible(parse_time(draft.ts)),
        trace_id=identity(draft.trace_id),
        session_id=found.session_id or draft.session_id,
        call_site=found.call_site or draft.call_site,
        feature=found.feature or draft.call_site,
        visibility=found.visibility,
        cohort=found.cohort,
        user_id=found.user_id or draft.user_id or (prompt.user if prompt else None),
        customer_id=found.customer_id,
        messages=msgspec.Raw(msgspec.json.encode(prompt.messages if prompt else [])),
        tools=prompt.tools if prompt else None,
        response_format=prompt.response_format if prompt else None,
        params=params,
        output=answer.output(may_call_tools=prompt is None or bool(prompt.tools)),
        usage=draft.usage or answer.usage,
        provider=draft.provider or None,
        model=draft.model or (prompt.model if prompt else None) or answer.model,
        tier=found.tier,
        endpoint=draft.endpoint,
        cache_hit=bool(flag(draft.cache_hit, "cache_hit", notes)),
        status=status,
        error=error,
        ttft_ms=amount(draft.ttft_ms, "ttft_ms", notes),
        latency_ms=amount(draft.latency_ms, "latency_ms", notes),
        cost_usd=cost or None,
        price_source="logged" if cost else None,
        source_format=source_format,
    )
    media = prompt.images if prompt else 0
    return Reading(record, found.feedback, found.consumed_at, tuple(notes.nulled), tuple(notes.unknown), media)


def _outcome(draft: Draft, answer: Answer | None) -> tuple[int, str | None]:
    """HTTP status (0: neither an answer nor a status came) and error text."""
    error = draft.error or (answer.error if answer else None)
    status = draft.status or (answer.status if answer else None)
    if status is None:
        # Without a status, an answer is a success, and neither answer nor error is a request that was cut off.
        status = 200 if answer is not None and error is None else 0
    if status == 200 and error is not None and (answer is None or answer.is_empty or answer.error):
        status = 0
    return status, error or (None if status == 200 else f"status {status}")


def id_of(line: bytes) -> str:
    """An id for a row that has none: the same row gives the same id, so that it is not read in twice."""
    return f"line-{hashlib.blake2b(line.strip(), digest_size=16).hexdigest()}"
