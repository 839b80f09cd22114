"""Where a log keeps the tags of a request: feature, plan, user, read time, feedback (`configs/log_tags/*.yaml`).

Each field has a list of places, tried in order; the first that holds a value wins. A place is a dotted
path (`metadata.requester_metadata.plan`; a string that holds a JSON object is opened on the way), or
the first item of a list with a prefix (`request_tags[feature:]` finds "feature:support.intent"). The places of
a whole record (`record:`) may also count list items (`choices.0.text`) and be JSONPath (`$.events[?(@.k=="x")].v`).
"""

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

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
    recognised_by: Places = ()
    """Of a shipped mapping: what all rows of the format have, and none of another."""
    only: dict[str, tuple[str, ...]] = {}
    """Values of a request at a place; rows with others are passed over."""
    has: Places = ()
    """A request has something at one of these; rows without are passed over."""
    own_span: Places = ()
    parent_span: Places = ()
    """Ids of tracers: of requests inside each other only the innermost counts (shipped mappings)."""
    id: Places = ()
    time: Places = ()
    end: Places = ()
    """Of the answer, for the latency where no other place has it."""
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
    cache_write_tokens: Places = ()
    reasoning_tokens: Places = ()
    cached_inside_input: bool = True
    """Whether `input_tokens` holds the cached ones (OpenAI, gateways) or not (Anthropic, Langfuse)."""
    cached_beside_input: Places = ()
    """A flag of the row that says that `input_tokens` does not hold the cached ones."""
    cost_usd: Places = ()
    latency_ms: Places = ()
    latency_s: Places = ()
    latency_ns: Places = ()
    ttft_ms: Places = ()
    ttft_s: Places = ()
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
