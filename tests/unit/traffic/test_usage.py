"""Token usage in every spelling, normalised once."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from traffic.record import Usage
from traffic.usage import UsageCounter, completed, count, estimate, usage_of

STATED = Usage(input_uncached=100, cache_read=900, cache_write=50, output=40, reasoning=15)


def openai_chat(u: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": u.input_total,
        "completion_tokens": u.output,
        "total_tokens": u.input_total + u.output,
        "prompt_tokens_details": {"cached_tokens": u.cache_read, "cache_write_tokens": u.cache_write},
        "completion_tokens_details": {"reasoning_tokens": u.reasoning},
    }


def openai_responses(u: Usage) -> dict[str, Any]:
    return {
        "input_tokens": u.input_total,
        "output_tokens": u.output,
        "total_tokens": u.input_total + u.output,
        "input_tokens_details": {"cached_tokens": u.cache_read, "cache_write_tokens": u.cache_write},
        "output_tokens_details": {"reasoning_tokens": u.reasoning},
    }


def anthropic(u: Usage) -> dict[str, Any]:
    return {
        "input_tokens": u.input_uncached,
        "cache_read_input_tokens": u.cache_read,
        "cache_creation_input_tokens": u.cache_write,
        "output_tokens": u.output,
        "output_tokens_details": {"thinking_tokens": u.reasoning},
    }


def litellm(u: Usage) -> dict[str, Any]:
    """Cached tokens are part of the prompt and repeated at the top level."""
    return {
        "prompt_tokens": u.input_total,
        "completion_tokens": u.output,
        "total_tokens": u.input_total + u.output,
        "cache_read_input_tokens": u.cache_read,
        "cache_creation_input_tokens": u.cache_write,
        "prompt_tokens_details": {"cached_tokens": u.cache_read, "cache_creation_tokens": u.cache_write},
        "completion_tokens_details": {"reasoning_tokens": u.reasoning},
    }


def xai(u: Usage) -> dict[str, Any]:
    """Reasoning is counted outside the completion; only the total includes it."""
    tree = openai_chat(u)
    return tree | {"completion_tokens": u.output - u.reasoning}


def bedrock(u: Usage) -> dict[str, Any]:
    return {
        "inputTokens": u.input_uncached,
        "outputTokens": u.output,
        "totalTokens": u.input_total + u.output,
        "cacheReadInputTokens": u.cache_read,
        "cacheWriteInputTokens": u.cache_write,
        "reasoningTokens": u.reasoning,
    }


def opentelemetry(u: Usage) -> dict[str, Any]:
    return {
        "gen_ai.usage.input_tokens": u.input_total,
        "gen_ai.usage.output_tokens": u.output,
        "gen_ai.usage.cache_read.input_tokens": u.cache_read,
        "gen_ai.usage.cache_creation.input_tokens": u.cache_write,
        "gen_ai.usage.reasoning.output_tokens": u.reasoning,
    }


def openinference(u: Usage) -> dict[str, Any]:
    return {
        "llm": {
            "token_count": {
                "prompt": u.input_total,
                "completion": u.output,
                "total": u.input_total + u.output,
                "prompt_details": {"cache_read": u.cache_read, "cache_write": u.cache_write},
                "completion_details": {"reasoning": u.reasoning},
            }
        }
    }


def langfuse(u: Usage) -> dict[str, Any]:
    """Disjoint counts that add up to the total."""
    return {
        "input": u.input_uncached,
        "input_cache_read": u.cache_read,
        "input_cache_creation": u.cache_write,
        "output": u.output - u.reasoning,
        "output_reasoning": u.reasoning,
        "total": u.input_total + u.output,
    }


def langchain(u: Usage) -> dict[str, Any]:
    return {
        "input_tokens": u.input_total,
        "output_tokens": u.output,
        "total_tokens": u.input_total + u.output,
        "input_token_details": {"cache_read": u.cache_read, "cache_creation": u.cache_write},
        "output_token_details": {"reasoning": u.reasoning},
    }


def gemini(u: Usage) -> dict[str, Any]:
    return {
        "promptTokenCount": u.input_total,
        "cachedContentTokenCount": u.cache_read,
        "candidatesTokenCount": u.output - u.reasoning,
        "thoughtsTokenCount": u.reasoning,
        "totalTokenCount": u.input_total + u.output,
    }


def deepseek(u: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": u.input_total,
        "completion_tokens": u.output,
        "total_tokens": u.input_total + u.output,
        "prompt_cache_hit_tokens": u.cache_read,
        "prompt_cache_miss_tokens": u.input_uncached,
        "completion_tokens_details": {"reasoning_tokens": u.reasoning},
    }


def moonshot(u: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": u.input_total,
        "completion_tokens": u.output,
        "cached_tokens": u.cache_read,
        "completion_tokens_details": {"reasoning_tokens": u.reasoning},
    }


WITH_WRITES = [
    openai_chat,
    openai_responses,
    anthropic,
    litellm,
    xai,
    bedrock,
    opentelemetry,
    openinference,
    langfuse,
    langchain,
]
WITHOUT_WRITES = [gemini, deepseek, moonshot]

counts = st.integers(0, 10**7)


@st.composite
def usages(draw: st.DrawFn, *, writes: bool) -> Usage:
    output = draw(counts)
    return Usage(
        input_uncached=draw(st.integers(1, 10**7)),
        cache_read=draw(counts),
        cache_write=draw(counts) if writes else 0,
        output=output,
        reasoning=draw(st.integers(0, output)),
    )


@given(st.sampled_from(WITH_WRITES), usages(writes=True))
def test_every_spelling_gives_the_same_usage(spell: Any, usage: Usage) -> None:
    assert usage_of(spell(usage)) == usage


@given(st.sampled_from(WITHOUT_WRITES), usages(writes=False))
def test_every_spelling_without_cache_writes_gives_the_same_usage(spell: Any, usage: Usage) -> None:
    assert usage_of(spell(usage)) == usage


ODD_CASES: list[tuple[dict[str, Any], Usage]] = [
    ({"prompt_cache_hit_tokens": 9, "prompt_cache_miss_tokens": 1}, Usage(input_uncached=1, cache_read=9)),
    # Gemini through OpenAI's protocol: thinking shows only in the total.
    (
        {"prompt_tokens": 5, "completion_tokens": 10, "total_tokens": 115},
        Usage(input_uncached=5, output=110, reasoning=100),
    ),
    # More reasoning than output: it cannot be a part of it.
    (
        {"prompt_tokens": 5, "completion_tokens": 10, "completion_tokens_details": {"reasoning_tokens": 30}},
        Usage(input_uncached=5, output=40, reasoning=30),
    ),
    # More cached tokens than prompt: they are counted beside it.
    (
        {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 100}},
        Usage(input_uncached=5, cache_read=100, output=1),
    ),
    # Also where the total leaves them out, as MLflow's and that of LiteLLM's /v1/messages do.
    (
        {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6, "cached_tokens": 100},
        Usage(input_uncached=5, cache_read=100, output=1),
    ),
    (
        {
            "input_tokens": 10,
            "output_tokens": 25,
            "total_tokens": 35,
            "cache_read_input_tokens": 40,
            "cache_creation_input_tokens": 100,
        },
        Usage(input_uncached=10, cache_read=40, cache_write=100, output=25),
    ),
    # Only the list of passes has the tokens of the pass that shortened the context.
    (
        {
            "input_tokens": 23000,
            "output_tokens": 1000,
            "iterations": [
                {"type": "compaction", "input_tokens": 180000, "output_tokens": 3500, "cache_read_input_tokens": 7},
                {"type": "message", "input_tokens": 23000, "output_tokens": 1000},
            ],
        },
        Usage(input_uncached=203000, cache_read=7, output=4500),
    ),
    (
        {
            "gen_ai.usage.input_tokens": 13000,
            "gen_ai.usage.output_tokens": 50,
            "gen_ai.usage.cache_read.input_tokens": 11579,
            "gen_ai.usage.cache_write.input_tokens": 1000,
        },
        Usage(input_uncached=421, cache_read=11579, cache_write=1000, output=50),
    ),
    (
        {
            "input_tokens": 10,
            "output_tokens": 1,
            "cache_creation_input_tokens": 300,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        },
        Usage(input_uncached=10, cache_write=300, cache_write_1h=200, output=1),
    ),
    (
        {"input_tokens": 10, "cache_creation": {"ephemeral_1h_input_tokens": 200}},
        Usage(input_uncached=10, cache_write=200, cache_write_1h=200),
    ),
    (
        {
            "inputTokens": 10,
            "cacheWriteInputTokens": 30,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 20}, {"ttl": "5m", "inputTokens": 10}],
        },
        Usage(input_uncached=10, cache_write=30, cache_write_1h=20),
    ),
    (
        {"input_tokens": 10, "output_tokens": 2, "server_tool_use": {"web_search_requests": 5}},
        Usage(input_uncached=10, output=2, web_searches=5),
    ),
    (
        {"promptTokenCount": 10, "toolUsePromptTokenCount": 7, "candidatesTokenCount": 2, "totalTokenCount": 19},
        Usage(input_uncached=17, output=2),
    ),
    # A tracer's own counts beside the provider's.
    (
        {
            "prompt_tokens": 1000,
            "completion_tokens": 5,
            "total_tokens": 1005,
            "original_usage.prompt_tokens": 1000,
            "original_usage.completion_tokens": 5,
            "original_usage.total_tokens": 1005,
            "original_usage.prompt_tokens_details.cached_tokens": 800,
        },
        Usage(input_uncached=200, cache_read=800, output=5),
    ),
    # An input that cannot be read is what the total leaves.
    ({"prompt_tokens": "?", "completion_tokens": 3, "total_tokens": 63}, Usage(input_uncached=60, output=3)),
    ({"prompt_tokens": 8, "total_tokens": 8}, Usage(input_uncached=8)),
    ({"prompt_eval_count": 8, "eval_count": 2}, Usage(input_uncached=8, output=2)),
    ({"prompt_tokens": "12", "completion_tokens": 3.0}, Usage(input_uncached=12, output=3)),
    ({"prompt_tokens": 12, "completion_tokens": None, "prompt_tokens_details": None}, Usage(input_uncached=12)),
    ({"prompt_tokens": 12, "prompt_tokens_details": [1]}, Usage(input_uncached=12)),
]


@pytest.mark.parametrize("stated, expected", ODD_CASES)
def test_unusual_usage_objects_are_read(stated: dict[str, Any], expected: Usage) -> None:
    assert usage_of(stated) == expected


@pytest.mark.parametrize("total", [1010, 1060])
def test_cache_writes_may_be_beside_a_prompt_that_includes_the_reads(total: int) -> None:
    """Counts of LiteLLM for Anthropic; the total has the writes or not."""
    stated = {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": total}
    cached = {"cache_read_input_tokens": 990, "cache_creation_input_tokens": 50}
    assert usage_of(stated | cached) == Usage(input_uncached=10, cache_read=990, cache_write=50, output=10)


@pytest.mark.parametrize("stated", [None, 7, "usage", [], {}, {"prompt_tokens": None}, {"x": 1}, {"prompt_tokens": 0}])
def test_no_count_above_zero_is_unknown(stated: Any) -> None:
    assert usage_of(stated) is None


@pytest.mark.parametrize("value", [None, True, -1, float("nan"), float("inf"), "many", [], {}, 10**30, "1e400"])
def test_values_that_are_not_counts_are_ignored(value: Any) -> None:
    assert count(value) is None


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(litellm(STATED) | anthropic(STATED) | gemini(STATED))), trees))
def test_any_object_gives_no_error_and_no_negative_counts(stated: dict[str, Any]) -> None:
    usage = usage_of(stated)
    if usage is not None:
        numbers = (usage.input_uncached, usage.cache_read, usage.cache_write, usage.output, usage.reasoning)
        assert min(numbers) >= 0
        assert usage.reasoning <= usage.output
        assert usage.cache_write_1h <= usage.cache_write


@given(usages(writes=True), st.data())
def test_a_later_zero_or_null_does_not_erase_a_count(usage: Usage, data: st.DataObject) -> None:
    """Anthropic's two events, with the values servers send for missing counts."""
    full = anthropic(usage)
    counter = UsageCounter()
    for name in data.draw(st.permutations(sorted(full))):
        empty = data.draw(st.sampled_from([{}, {name: 0}, {name: None}]))
        counter.add({name: full[name]})
        counter.add(empty if not isinstance(full[name], dict) else {name: dict.fromkeys(full[name], 0)})
    counter.add(None)
    assert counter.usage == usage


@given(usages(writes=True))
def test_counts_of_a_stream_are_cumulative(usage: Usage) -> None:
    assume(usage.output > 1)
    counter = UsageCounter()
    counter.add(anthropic(usage) | {"output_tokens": 1, "output_tokens_details": {"thinking_tokens": 0}})
    counter.add({"output_tokens": usage.output, "output_tokens_details": {"thinking_tokens": usage.reasoning}})
    assert counter.usage == usage


def test_a_count_that_cannot_be_read_replaces_its_placeholder() -> None:
    counter = UsageCounter()
    counter.add({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})
    counter.add({"prompt_tokens": "?", "completion_tokens": 3, "total_tokens": 63})
    assert counter.usage == Usage(input_uncached=60, output=3)


@pytest.mark.parametrize("prompts", [(0, "?"), ("?", 0), (0, None, "?"), ("?", None, 0)])
def test_a_count_that_cannot_be_read_stays_unread_beside_a_0_in_any_order(prompts: tuple[object, ...]) -> None:
    counter = UsageCounter()
    for prompt in prompts:
        counter.add({"prompt_tokens": prompt, "completion_tokens": 3, "total_tokens": 63})
    assert counter.usage == Usage(input_uncached=60, output=3)


def test_an_interrupted_answer_keeps_stated_counts_and_estimates_the_others() -> None:
    stated = Usage(input_uncached=5000, output=1)
    assert completed(stated, estimate(9, 400)) == Usage(input_uncached=5000, output=100, estimated=True)
    assert completed(None, estimate(400, 40)) == Usage(input_uncached=100, output=10, estimated=True)


_COUNTS = st.one_of(st.none(), st.integers(-1, 12), st.just("3"), st.just(True), st.just(2.0))


@given(
    st.fixed_dictionaries(
        {"prompt_tokens": _COUNTS, "completion_tokens": _COUNTS},
        optional={
            "total_tokens": _COUNTS,
            "prompt_tokens_details": st.none()
            | st.dictionaries(st.sampled_from(["cached_tokens", "audio_tokens", "cache_write_tokens"]), _COUNTS),
            "completion_tokens_details": st.none()
            | st.dictionaries(st.sampled_from(["reasoning_tokens", "audio_tokens"]), _COUNTS),
        },
    ),
    st.booleans(),
)
def test_openais_keys_give_the_same_usage_alone_and_beside_others(stated: dict[str, Any], with_total: bool) -> None:
    given_, made = stated["prompt_tokens"], stated["completion_tokens"]
    if with_total and type(given_) is int and type(made) is int:
        stated["total_tokens"] = given_ + made
    assert usage_of(stated) == usage_of(stated | {"another": None})


def test_sound_is_a_part_of_the_counts() -> None:
    stated = {
        "prompt_tokens": 1100,
        "completion_tokens": 250,
        "total_tokens": 1350,
        "prompt_tokens_details": {"audio_tokens": 1000, "text_tokens": 100, "cached_tokens": 0},
        "completion_tokens_details": {"audio_tokens": 200, "text_tokens": 50},
    }
    assert usage_of(stated) == Usage(input_uncached=1100, output=250, input_audio=1000, output_audio=200)


def test_passes_within_a_pass_are_not_counted() -> None:
    step = {"type": "compaction", "input_tokens": 10, "iterations": [{"type": "compaction", "input_tokens": 5}]}
    assert usage_of({"input_tokens": 1, "iterations": [step]}) == Usage(input_uncached=11)
