"""Token usage of every protocol and log format, normalised once.

    usage_of({"prompt_tokens": 1000, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 900}})
    == Usage(input_uncached=100, cache_read=900, output=10)

Spellings read: OpenAI (chat completions, Responses), Anthropic, DeepSeek, Moonshot, Mistral, xAI, Gemini, Bedrock,
Cohere, Ollama, LiteLLM, OpenRouter, the AI SDK, LangChain, OpenTelemetry, OpenInference and Langfuse. They disagree on
two points: whether cached tokens are part of the input count, and whether reasoning is part of the output count. The
spelling decides; where a total is given and contradicts it, the total decides.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec

from traffic.record import Usage

MAX_COUNT = 2**53
"""Larger numbers are not token counts. Integers up to here are exact in JSON and Parquet."""

_MAX_DEPTH = 4

Role = (
    Literal["input", "output", "total", "read", "write", "write_5m", "write_1h", "reasoning", "miss", "tool", "search"]
    | Literal["input_audio", "output_audio"]
)
Placement = Literal["inside", "beside", "unstated"]
"""Whether the input (output) count includes cached (reasoning) tokens, or they are counted in addition."""


class _Spelling(NamedTuple):
    role: Role
    rank: int
    placement: Placement


_INSIDE: dict[Role, tuple[str, ...]] = {
    "input": (
        "prompt_tokens",
        "promptTokens",
        "prompt_token",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.token_count.prompt",
        "promptTokenCount",
        "prompt_token_count",
        "prompt_eval_count",
        "tokens_evaluated",
    ),
    "output": (
        "completion_tokens",
        "completionTokens",
        "completion_token",
        "output_tokens",
        "outputTokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
        "outputTokenCount",
        "eval_count",
        "tokens_predicted",
        "billed_units.output_tokens",
    ),
    "read": (
        "prompt_tokens_details.cached_tokens",
        "input_tokens_details.cached_tokens",
        "prompt_cache_hit_tokens",
        "cached_tokens",
        "num_cached_tokens",
        "prompt_tokens_details.cache_read_tokens",
        "input_token_details.cache_read",
        "inputTokenDetails.cacheReadTokens",
        "cachedInputTokens",
        "cached_input_tokens",
        "cached_prompt_tokens",
        "prompt_eval_cached_count",
        "cachedContentTokenCount",
        "cached_content_token_count",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.input_tokens.cached",
        "gen_ai.usage.cache_read_tokens",
        "gen_ai.usage.input_cached_tokens",
        "gen_ai.usage.cached_input_tokens",
        "gen_ai.usage.cached_tokens",
        "gen_ai.usage.details.cache_read_tokens",
        "gen_ai.usage.details.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
    ),
    "write": (
        "prompt_tokens_details.cache_write_tokens",
        "input_tokens_details.cache_write_tokens",
        "prompt_tokens_details.cache_creation_tokens",
        "input_tokens_details.cache_creation_tokens",
        "input_token_details.cache_creation",
        "inputTokenDetails.cacheWriteTokens",
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_write_input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.cache_write_tokens",
        "gen_ai.usage.input_cache_creation",
        "gen_ai.usage.input_tokens.cache_write",
        "gen_ai.usage.details.cache_write_tokens",
        "gen_ai.usage.details.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "reasoning": (
        "completion_tokens_details.reasoning_tokens",
        "output_tokens_details.reasoning_tokens",
        "output_tokens_details.thinking_tokens",
        "outputTokenDetails.reasoningTokens",
        "output_token_details.reasoning",
        "reasoning_tokens",
        "reasoningTokens",
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.output_tokens.reasoning",
        "gen_ai.usage.details.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
    ),
    "input_audio": ("prompt_tokens_details.audio_tokens", "input_tokens_details.audio_tokens"),
    "output_audio": ("completion_tokens_details.audio_tokens", "output_tokens_details.audio_tokens"),
}
_BESIDE: dict[Role, tuple[str, ...]] = {
    "input": ("input",),
    # Gemini and Langfuse count reasoning apart; the other roles of these names follow from `input` or `read`.
    "output": (
        "candidatesTokenCount",
        "candidates_token_count",
        "responseTokenCount",
        "response_token_count",
        "output",
    ),
    "reasoning": (
        "thoughtsTokenCount",
        "thoughts_token_count",
        "output_reasoning_tokens",
        "output_reasoning",
    ),
}
_UNSTATED: dict[Role, tuple[str, ...]] = {
    # Anthropic and Bedrock count beside these, OpenAI's Responses inside: the name of the cached tokens decides.
    "input": ("input_tokens", "inputTokens", "inputTokenCount", "billed_units.input_tokens"),
    "total": (
        "total_tokens",
        "totalTokens",
        "totalTokenCount",
        "total_token_count",
        "gen_ai.usage.total_tokens",
        "llm.token_count.total",
        "total",
    ),
    "read": (
        "cache_read_input_tokens",
        "cacheReadInputTokens",
        "cacheReadInputTokenCount",
        "cache_read_tokens",
        "cacheReadTokens",
        "input_cached_tokens",
        "input_cache_read",
        "input_cache_read_tokens",
    ),
    "write": (
        "cache_creation_input_tokens",
        "cacheWriteInputTokens",
        "cacheWriteInputTokenCount",
        "cacheCreationInputTokens",
        "cache_creation_tokens",
        "cache_write_tokens",
        "cacheWriteTokens",
        "input_cache_creation",
        "input_cache_creation_tokens",
        "input_cache_write",
    ),
    "write_5m": (
        "cache_creation.ephemeral_5m_input_tokens",
        "prompt_tokens_details.cache_creation_token_details.ephemeral_5m_input_tokens",
        "cache_creation_token_details.ephemeral_5m_input_tokens",
        "input_token_details.ephemeral_5m_input_tokens",
        "input_cache_creation_5m",
    ),
    "write_1h": (
        "cache_creation.ephemeral_1h_input_tokens",
        "prompt_tokens_details.cache_creation_token_details.ephemeral_1h_input_tokens",
        "cache_creation_token_details.ephemeral_1h_input_tokens",
        "input_token_details.ephemeral_1h_input_tokens",
        "input_cache_creation_1h",
    ),
    "miss": ("prompt_cache_miss_tokens",),
    "tool": ("toolUsePromptTokenCount", "tool_use_prompt_token_count"),
    "search": (
        "server_tool_use.web_search_requests",
        "prompt_tokens_details.web_search_requests",
        "web_search_requests",
        "num_search_queries",
        "server_side_tool_usage_details.web_search_calls",
    ),
}


def _spellings() -> dict[str, _Spelling]:
    table: dict[str, _Spelling] = {}
    groups: tuple[tuple[Placement, dict[Role, tuple[str, ...]]], ...] = (
        ("inside", _INSIDE),
        ("unstated", _UNSTATED),
        ("beside", _BESIDE),
    )
    for number, (placement, roles) in enumerate(groups):
        for role, names in roles.items():
            table |= {name: _Spelling(role, 100 * number + rank, placement) for rank, name in enumerate(names)}
    return table


_SPELLINGS = _spellings()
_PARENTS = frozenset(
    ".".join(parts[:depth]) for parts in (name.split(".") for name in _SPELLINGS) for depth in range(1, len(parts))
)
"""Objects that hold counts; nothing else is looked into."""


_NOTHING = Usage()
_ORIGINAL = "original_usage."
_CACHE_ROLES: tuple[Role, ...] = ("read", "write")


class _Count(NamedTuple):
    rank: int
    value: int
    placement: Placement


def count(value: Any) -> int | None:
    """A token count as a provider wrote it (number, numeric text); None where it is no count."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, float):
        # Not `int(value)` first: NaN and infinity are floats too.
        value = round(value) if 0 <= value <= MAX_COUNT else None
    return value if isinstance(value, int) and 0 <= value <= MAX_COUNT else None


def usage_of(counts: Any) -> Usage | None:
    """Usage from a provider's or a log's JSON object; None without a count above 0.

    Prompts are never empty, so a server that states only zeros does not count.
    """
    if type(counts) is not dict and not isinstance(counts, Mapping):
        return None
    if (usual := usual_usage(counts)) is not None:
        return usual if usual != _NOTHING else None
    by_role: dict[Role, _Count] = {}
    for (role, rank, placement), value in _spelled_counts(_of_provider(counts)):
        earlier = by_role.get(role)
        # Prefer counts above 0, then the spelling of the lowest rank.
        if earlier is None or (value > 0, -rank) > (earlier.value > 0, -earlier.rank):
            by_role[role] = _Count(rank, value, placement)
    _add_bedrock_cache_details(counts, by_role)
    usage = _assembled(by_role)
    for step in _compactions(counts):
        usage = _sum(usage, step)
    return usage if usage != _NOTHING else None


def _of_provider(counts: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """The provider's own counts, which Opik repeats, flattened, beside its own; else all counts."""
    original = {key.removeprefix(_ORIGINAL): n for key, n in counts.items() if str(key).startswith(_ORIGINAL)}
    return original if any(spelling.role == "input" for spelling, _ in _spelled_counts(original)) else counts


def _compactions(counts: Mapping[Any, Any]) -> Iterator[Usage]:
    """Usage of the passes in which Anthropic shortened the context: billed, but missing in the counts of the answer."""
    steps = counts.get("iterations")
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, Mapping) and step.get("type") == "compaction":
            yield usage_of({**step, "iterations": None}) or _NOTHING


def _sum(one: Usage, other: Usage) -> Usage:
    added = {name: getattr(one, name) + value for name, value in msgspec.structs.asdict(other).items() if value}
    return msgspec.structs.replace(one, **added)


def usual_usage(counts: Mapping[Any, Any]) -> Usage | None:
    """Fast path for consistent counts in OpenAI's keys; the general rules give the same result."""
    if not counts.keys() <= _USUAL_KEYS:
        return None
    prompt, output = counts.get("prompt_tokens"), counts.get("completion_tokens")
    prompt_details, completion_details = counts.get("prompt_tokens_details"), counts.get("completion_tokens_details")
    read = reasoning = 0
    if prompt_details is not None:
        if type(prompt_details) is not dict or not prompt_details.keys() <= _USUAL_INSIDE:
            return None
        if prompt_details.get("audio_tokens"):
            return None
        read = prompt_details.get("cached_tokens") or 0
    if completion_details is not None:
        if type(completion_details) is not dict or completion_details.get("audio_tokens"):
            return None
        reasoning = completion_details.get("reasoning_tokens") or 0
    if not (type(prompt) is type(output) is type(read) is type(reasoning) is int) or counts.get("total_tokens") is None:
        return None
    if counts["total_tokens"] != prompt + output or not (0 <= read <= prompt and 0 <= reasoning <= output):
        return None
    if prompt > MAX_COUNT or output > MAX_COUNT:
        return None
    return Usage(input_uncached=prompt - read, cache_read=read, output=output, reasoning=reasoning)


_USUAL_KEYS = frozenset(
    {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details"}
)
_USUAL_INSIDE = frozenset({"cached_tokens", "audio_tokens", "text_tokens", "image_tokens"})


class UsageCounter:
    """Usage of a stream, whose events may each state a part of it.

    Counts are cumulative: a later one replaces an earlier one, but a later 0 or null does not erase a count.
    """

    def __init__(self) -> None:
        self._counts: dict[str, Any] = {}

    def add(self, counts: Any) -> None:
        """Merge the counts of one event; values other than objects are ignored."""
        if isinstance(counts, Mapping) and counts:
            self._counts = _merged(self._counts, counts, _MAX_DEPTH)

    @property
    def counts(self) -> dict[str, Any] | None:
        """Merged counts in the provider's spelling."""
        return self._counts or None

    @property
    def usage(self) -> Usage | None:
        return usage_of(self._counts)


def estimate(input_chars: int, output_chars: int) -> Usage:
    """Usage estimated from text lengths, marked as such; for answers without stated usage."""
    return Usage(input_uncached=-(-input_chars // 4), output=-(-output_chars // 4), estimated=True)


def completed(usage: Usage | None, guess: Usage) -> Usage:
    """Usage of an interrupted answer: the provider's counts, with estimates for missing ones."""
    if usage is None:
        return guess
    # The output count at the start of a stream is a placeholder.
    output = max(usage.output, guess.output)
    if usage.input_total:
        return msgspec.structs.replace(usage, output=output, estimated=True)
    return msgspec.structs.replace(usage, input_uncached=guess.input_uncached, output=output, estimated=True)


# ------------------------------------------------------------------------------------------ arithmetic


def _assembled(by_role: dict[Role, _Count]) -> Usage:
    def of(role: Role) -> int:
        return by_role[role].value if role in by_role else 0

    read, output, reasoning = of("read"), of("output"), of("reasoning")
    one_hour = of("write_1h")
    write = max(of("write"), of("write_5m") + one_hour)
    prompt = of("input") or (of("miss") + read if "miss" in by_role else 0)
    # Gemini counts the tokens of its own tools separately from the prompt.
    tool_tokens = of("tool")
    if "input" not in by_role and "miss" not in by_role and "output" in by_role:
        # The prompt count is missing or unreadable, but the total includes it.
        prompt = max(0, of("total") - output - tool_tokens)
    unexplained = of("total") - prompt - output - tool_tokens
    if of("total") and unexplained in (0, write) and read and read <= prompt < read + write and _is_gross(by_role):
        # LiteLLM's counts for Anthropic: cache reads are part of the prompt, cache writes are not.
        prompt, unexplained = prompt + write, 0
    cached_beside, reasoning_beside = _placements(by_role, prompt, read + write, unexplained if of("total") else None)
    if reasoning_beside:
        output += reasoning
    elif not reasoning and not cached_beside and unexplained > 0 and "output" in by_role:
        # Gemini behind OpenAI's protocol: thinking is billed as output, and only the total includes it.
        reasoning = unexplained
        output += unexplained
    return Usage(
        input_uncached=prompt + tool_tokens - (0 if cached_beside else read + write),
        cache_read=read,
        cache_write=write,
        output=output,
        reasoning=min(reasoning, output),
        cache_write_1h=min(one_hour, write),
        web_searches=of("search"),
        input_audio=min(of("input_audio"), prompt),
        output_audio=min(of("output_audio"), output),
    )


def _is_gross(by_role: dict[Role, _Count]) -> bool:
    """Whether the input count includes cached tokens, by its spelling."""
    return "input" in by_role and by_role["input"].placement == "inside"


def _placements(by_role: dict[Role, _Count], prompt: int, cached: int, unexplained: int | None) -> tuple[bool, bool]:
    """Whether cached tokens are counted beside the input, and reasoning tokens beside the output.

    `unexplained`: the stated total minus input and output; None without a total.
    """
    reasoning = by_role["reasoning"].value if "reasoning" in by_role else 0
    output = by_role["output"].value if "output" in by_role else 0
    stated = (
        cached > prompt or _cached_stated_beside(by_role),
        reasoning > output or ("reasoning" in by_role and by_role["reasoning"].placement == "beside"),
    )
    if unexplained is None:
        return stated
    if unexplained == 0 and stated == (False, False):
        return stated
    # The total decides; among several consistent readings, the one nearest to the spelling. A part is never larger
    # than its whole: the totals of some logs lack the cached tokens that they count beside the input.
    readings = [
        (c, r)
        for c in (False, True)
        for r in (False, True)
        if unexplained == c * cached + r * reasoning and (c or cached <= prompt) and (r or reasoning <= output)
    ]
    return min(readings, key=lambda it: (it[0] != stated[0]) + (it[1] != stated[1]), default=stated)


def _cached_stated_beside(by_role: dict[Role, _Count]) -> bool:
    """By the spelling alone."""
    placement = by_role["input"].placement if "input" in by_role else "inside"
    if placement != "unstated":
        return placement == "beside"
    return "inside" not in {by_role[role].placement for role in _CACHE_ROLES if role in by_role and by_role[role].value}


# --------------------------------------------------------------------------------------------- reading


def _spelled_counts(tree: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[_Spelling, int]]:
    """Counts with known names; nested objects are named with dots."""
    for key, name, spelling in _known_keys(prefix, tuple(tree)):
        value = tree[key]
        if value is None:
            continue
        if spelling is not None:
            # Fast path for plain integers.
            number = value if type(value) is int and 0 <= value <= MAX_COUNT else count(value)
            if number is not None:
                yield spelling, number
        elif isinstance(value, Mapping):
            yield from _spelled_counts(value, f"{name}.")


# Cached: a server uses the same keys in every answer.
@lru_cache(maxsize=512)
def _known_keys(prefix: str, keys: tuple[Any, ...]) -> tuple[tuple[Any, str, _Spelling | None], ...]:
    """Keys of counts and of objects with counts, with their dotted names and spellings."""
    named = ((key, f"{prefix}{key}" if prefix else key) for key in keys)
    return tuple((key, name, _SPELLINGS.get(name)) for key, name in named if name in _SPELLINGS or name in _PARENTS)


def _add_bedrock_cache_details(counts: Mapping[Any, Any], by_role: dict[Role, _Count]) -> None:
    """Add `cacheDetails`: a list of cache writes by time to live."""
    details = counts.get("cacheDetails")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, Mapping) and detail.get("ttl") in ("1h", "5m"):
            role: Role = "write_1h" if detail["ttl"] == "1h" else "write_5m"
            earlier = by_role[role].value if role in by_role else 0
            by_role[role] = _Count(0, earlier + (count(detail.get("inputTokens")) or 0), "unstated")


def _merged(earlier: Mapping[str, Any], later: Mapping[str, Any], depth: int) -> dict[str, Any]:
    tree = dict(earlier)
    for key, value in later.items():
        earlier_count = tree.get(key)
        if isinstance(value, Mapping):
            if depth > 1:
                tree[key] = _merged(earlier_count if isinstance(earlier_count, Mapping) else {}, value, depth - 1)
        elif (
            isinstance(value, list)
            or count(value)
            or earlier_count is None
            # A 0 is a placeholder, also of a count that cannot be read; of the two, that one stays in any order.
            or (value is not None and count(earlier_count) == 0)
        ):
            tree[key] = value
    return tree
