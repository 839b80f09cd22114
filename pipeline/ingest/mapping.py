"""Paths of a log's tags: feature, plan, user, read time, feedback (`configs/log_tags/*.yaml`).

Each field has a list of places, tried in order; the first with a value wins. A place is a dotted path
(`metadata.requester_metadata.plan`; strings with JSON objects are decoded on the way) or selects the first list item
with a prefix (`request_tags[feature:]` finds "feature:support.intent"). The places of a whole record (`record:`) may
also index lists (`choices.0.text`) or be JSONPath (`$.events[?(@.k=="x")].v`).
"""

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

Places = tuple[str, ...]

INHERITED_TAGS = "inherited_tags"
"""Key of a row under which it has the tags of the objects around it."""
ALWAYS_TAGS: Places = ("headers", "request.headers", "request_headers", "request.extra_headers", INHERITED_TAGS)
"""Objects with tags under common names in every format: the headers of a request, and what a row inherits."""


class FeedbackPlaces(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Places of the users' feedback on an answer."""

    thumb: Places = ()
    """up/down, true/false, or a number, whose scale follows from the range of all numbers (-1 to 1, 0 to 1, stars)."""
    corrected: Places = ()
    """The correct answer according to the user."""
    at: Places = ()
    """Time of the feedback; default: start of the request."""


class RecordPlaces(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Places of requests and answers in a custom log: either whole bodies or their parts."""

    rows: str | None = None
    """Path to the rows inside each line or document; None: the lines are the rows."""
    recognised_by: Places = ()
    """In shipped mappings: places that all rows of this format have and no row of another."""
    only: dict[str, tuple[str, ...]] = {}
    """Values that a place must have for the row to be a request; other rows are skipped."""
    has: Places = ()
    """Places of which a request has at least one; rows without are skipped."""
    own_span: Places = ()
    parent_span: Places = ()
    """Span ids: of nested requests only the innermost counts (shipped mappings)."""
    continues: Places = ()
    """Id of the request whose messages and answer the rows skipped by `only` continue (shipped mappings)."""
    position: Places = ()
    """Position of such a row; texts are joined in this order."""
    id: Places = ()
    time: Places = ()
    time_format: str | None = None
    """Format of `time` and `end` as in Python's strptime, for times such as 30/11/2026 14:05, whose order of day and
    month a row does not show. Without a zone (%z) they are UTC."""
    end: Places = ()
    """Of the answer, for the latency where no other place has it."""
    request: Places = ()
    """A whole request body of any provider's API."""
    response: Places = ()
    """A whole response body."""
    messages: Places = ()
    """Without a place of the answer, the assistant's message at their end is the answer."""
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
    cache_write_tokens: Places = ()
    reasoning_tokens: Places = ()
    cached_inside_input: bool = True
    """Whether `input_tokens` includes cached tokens (OpenAI, gateways) or not (Anthropic, Langfuse)."""
    cached_beside_input: Places = ()
    """A flag of the row: true if `input_tokens` excludes cached tokens."""
    cost_usd: Places = ()
    latency_ms: Places = ()
    latency_s: Places = ()
    latency_ns: Places = ()
    ttft_ms: Places = ()
    ttft_s: Places = ()
    cache_hit: Places = ()
    trace_id: Places = ()


class TagMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One file of `configs/log_tags/`. If only one of `call_site` and `feature` is logged, it is used for both."""

    schema_version: Literal[1] = 1
    tags_under: Places = ()
    """Objects with tags under common names, in any letter case; `.` is the row. The places below take precedence.

    `ALWAYS_TAGS` are searched after these, before the row.
    """
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
    """When a user first saw the answer. Null: tracked, not seen yet; absent: not tracked."""
    feedback: FeedbackPlaces = FeedbackPlaces()
    cohort: dict[str, Places] = {}
    """Every key becomes a cohort: plan, language, ..."""
    record: RecordPlaces | None = None
    """Places of everything else, for a custom log."""

    def places(self) -> Iterator[str]:
        """All places of all fields."""
        yield from ALWAYS_TAGS
        for tree in (self, self.feedback):
            for name in tree.__struct_fields__:
                value = getattr(tree, name)
                if isinstance(value, tuple):
                    yield from value
        for value in self.cohort.values():
            yield from value

    def roots(self) -> frozenset[str]:
        """Top-level keys of a log line that contain tags; only these are decoded."""
        return frozenset(re.split(r"[.\[]", place, maxsplit=1)[0] for place in self.places() if place != ".")
