"""A log format: how it is recognised and how its rows become records."""

import hashlib
import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, NamedTuple, cast

import msgspec

from pipeline.ingest.bodies import Answer, Prompt, Unreadable
from pipeline.ingest.mapping import INHERITED_TAGS, TagMapping
from pipeline.ingest.tags import Feedback, TagReader
from pipeline.ingest.values import Notes, amount, dollars, flag, identity, parse_time, plausible
from traffic.prices import billed_params
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
"""Placeholder time of a row without one; replaced by the time of its file."""


class Reading(msgspec.Struct, frozen=True):
    """Result of reading one row."""

    record: Record
    feedback: Feedback | None = None
    consumed_at: datetime | msgspec.UnsetType | None = msgspec.UNSET
    """Unset: not tracked; None: tracked, not seen yet."""
    nulled: tuple[str, ...] = ()
    """Optional fields that could not be read and are null."""
    unknown: tuple[str, ...] = ()
    """`field=value` of unknown words."""
    media: int = 0
    """Number of images and files in the prompt; their bytes are not stored."""
    plain: Sequence[PlainMessage] | None = None
    """The decoded messages, if they have only roles and texts."""


class NotARequest(Exception):
    """A valid row that is not a request: a tool's span, an event, a separate message."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


LineReader = Callable[[bytes], Reading]
"""Reads one row of UTF-8. Raises: msgspec.DecodeError, Unreadable, NotARequest, ValueError."""
StepReader = Callable[[bytes], Generator[None, None, Reading]]
"""A line reader in steps. Many rows are read faster step by step than row by row: a step's code stays in the cache."""


def row_by_row(read: StepReader) -> LineReader:
    """The line reader that takes all steps of a row at once."""

    def read_line(line: bytes) -> Reading:
        steps = read(line)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                return cast(Reading, done.value)

    return read_line


Part = tuple[str, int, Any]
"""A part that a row provides to another one: key, position among several, value."""
PASSED_ON = -1
"""Position of a part that the rows between two nested calls pass on, up to the one that is a call, too."""
PASSES_TO = -2
"""Position of the key to which a row passes on what is given to its own key."""


class Companions(NamedTuple):
    """How related rows of a format are matched."""

    given: Callable[[Mapping[str, Any]], Iterable[Part]]
    """Parts that a row provides."""
    wanted: Callable[[Mapping[str, Any]], Sequence[str]]
    """Keys of the parts that a row needs."""
    joined: Callable[[Mapping[str, Any], list[Any]], dict[str, Any]]
    """The row completed with its parts."""
    unique_keys: bool = False
    """Whether keys are unique over all files; otherwise one file provides all parts of another."""
    wait: bool = False
    """Whether incomplete rows are kept for a later ingest."""


class Format(NamedTuple):
    """An entry of the format registry."""

    name: str
    recognises: Callable[[Mapping[str, Any]], bool]
    """Whether a decoded line looks like this format."""
    reader: Callable[[TagMapping], LineReader]
    expand: Callable[[bytes], Iterable[bytes]] | None = None
    """Splits a line that contains several rows (spans, batches, hits)."""
    companions: Companions | None = None
    steps: Callable[[TagMapping], StepReader] | None = None
    """The reader in steps, if the format has one."""


class RowType(NamedTuple):
    """A struct that decodes only the needed fields of a line, with access to the fields that contain tags."""

    decode: Callable[[bytes], Any]
    tag_keys: tuple[str, ...]
    """Top-level keys of the log that contain tags."""
    tag_values: Callable[[Any], Iterable[Any]]
    """Their values in a row."""
    raw: tuple[str, ...]
    """Keys whose values are raw JSON."""

    def tagged(self, row: Any) -> dict[str, Any]:
        """The fields of a line that a `TagReader` needs."""
        values = dict(zip(self.tag_keys, self.tag_values(row), strict=True))
        for key in self.raw:
            values[key] = msgspec.json.decode(values[key])
        return values


def row_type(fields: Iterable[tuple[Any, ...]], roots: frozenset[str]) -> RowType:
    """A row type with `fields` (name, type[, default]) and the mapping's other `roots` as untyped fields."""
    fields = list(fields)
    known = {field[0] for field in fields}
    # Keys of a log need not be Python identifiers.
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


class Draft(msgspec.Struct, kw_only=True):
    """What a format reads from one row; `_reading` makes the record."""

    prompt: Prompt | None
    """None: the log has no prompts; cost and volume still count."""
    answer: Answer | None = None
    id: Any = None
    """Preferred id; fallbacks are the answer's id and a hash of the row."""
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
    """Takes precedence over the answer's body."""
    service_tier: str | None = None
    """Takes precedence over the answer's body."""
    cost_usd: Any = None
    ttft_ms: Any = None
    latency_ms: Any = None
    stream: bool | None = None
    tags: Mapping[str, Any] | None = None
    """The object with the tags, if it is not the row."""


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
    """A line reader from a function that turns decoded rows into drafts."""
    tags = TagReader(mapping, consent_in_row=True)

    def read_line(line: bytes) -> Reading:
        tree = _decode_object(line)
        notes = Notes()
        return _reading(read(tree, notes), tags, tree, line, notes, source_format)

    return read_line


def _reading(
    draft: Draft, tags: TagReader, tree: dict[str, Any], line: bytes, notes: Notes, source_format: str
) -> Reading:
    tags_read = tags.read(tree if draft.tags is None else _with_inherited(draft.tags, tree), notes)
    prompt, answer = draft.prompt, draft.answer or Answer()
    status, error = _outcome(draft, draft.answer)
    if draft.answer is not None and answer.is_empty and answer.finish_reason is None and status == 200:
        raise Unreadable("no_answer", "the answer holds no text, no tool call and no reason why it ended")
    known = (draft.prompt, draft.answer, draft.usage, draft.model, draft.status, draft.error)
    if known == (None,) * 6 and not draft.cost_usd:
        raise Unreadable("no_contents", f"neither prompt, answer, model nor tokens: no row of {source_format}")
    own_id = identity(draft.id, answer.id) or id_of(line)
    cost = dollars(draft.cost_usd or answer.cost_usd, "cost_usd", notes)
    params = prompt.params if prompt else Params()
    if draft.stream is not None:
        params = msgspec.structs.replace(params, stream=draft.stream)
    params = billed_params(params, draft.service_tier or answer.service_tier)
    record = Record(
        id=own_id,
        request_id=identity(draft.request_id) or own_id,
        ts=UNDATED if draft.ts in (None, "") else plausible(parse_time(draft.ts)),
        trace_id=identity(draft.trace_id),
        session_id=tags_read.session_id or draft.session_id,
        call_site=tags_read.call_site or draft.call_site,
        feature=tags_read.feature or draft.call_site,
        visibility=tags_read.visibility,
        cohort=tags_read.cohort,
        user_id=tags_read.user_id or draft.user_id or (prompt.user if prompt else None),
        customer_id=tags_read.customer_id,
        messages=msgspec.Raw(msgspec.json.encode(prompt.messages if prompt else [])),
        tools=prompt.tools if prompt else None,
        response_format=prompt.response_format if prompt else None,
        params=params,
        output=answer.output(may_call_tools=prompt is None or bool(prompt.tools)),
        usage=draft.usage or answer.usage,
        provider=draft.provider or None,
        model=draft.model or (prompt.model if prompt else None) or answer.model,
        tier=tags_read.tier,
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
    return Reading(record, tags_read.feedback, tags_read.consumed_at, tuple(notes.nulled), tuple(notes.unknown), media)


def _with_inherited(tags: Mapping[str, Any], tree: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**tags, INHERITED_TAGS: tree[INHERITED_TAGS]} if INHERITED_TAGS in tree else tags


def _outcome(draft: Draft, answer: Answer | None) -> tuple[int, str | None]:
    """HTTP status (0: neither answer nor status) and error text."""
    error = draft.error or (answer.error if answer else None)
    status = draft.status or (answer.status if answer else None)
    if status is None:
        # Without a status, an answer means success; neither answer nor error means an interrupted request.
        status = 200 if answer is not None and error is None else 0
    if status == 200 and error is not None and (answer is None or answer.is_empty or answer.error):
        status = 0
    if status == 0 and error is not None and (stated := _STATUS_IN_ERROR.search(error)):
        status = int(stated[1])
    return status, error or (None if status == 200 else f"status {status}")


_STATUS_IN_ERROR = re.compile(
    r"(?:error code|status(?:[ _]?code)?|http(?:/\d(?:\.\d)?| error)?)\W{1,3}([45]\d\d)\b", re.IGNORECASE
)
"""As clients word it: `Error code: 429`, `status_code=503`, `HTTP 500`."""


def id_of(line: bytes) -> str:
    """An id for a row without one, from its hash, so that the same row is not stored twice."""
    return f"line-{hashlib.blake2b(line.strip(), digest_size=16).hexdigest()}"
