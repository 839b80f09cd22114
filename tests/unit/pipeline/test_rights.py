"""The shipped table of terms and licences, and lookup in it."""

import datetime as dt

import pytest

from pipeline import rights
from pipeline.rights import ProviderTerms

TABLE = rights.load()


@pytest.mark.parametrize("row", [*TABLE.providers, *TABLE.base_models], ids=lambda row: row.name)
def test_every_shipped_row_has_a_source_and_a_retrieval_date(row: ProviderTerms) -> None:
    assert row.source.startswith("https://") or row.name == "simulated"
    assert row.read >= dt.date(2026, 11, 1)


def test_names_are_unique_and_unverified_terms_are_not_allowed() -> None:
    names = [row.name for row in (*TABLE.providers, *TABLE.base_models)]
    assert len(set(names)) == len(names)
    assert not [row.name for row in TABLE.providers if row.verified == "unverified" and row.outputs == "allowed"]


@pytest.mark.parametrize(
    "provider, model, names",
    [
        ("openai", "gpt-4o", ["openai"]),
        ("OpenAI", "some-new-model", ["openai"]),
        (None, "gpt-4o-mini-2024-07-18", ["openai"]),
        (None, "o3-mini", ["openai"]),
        (None, "anthropic/claude-sonnet-4-5", ["anthropic"]),
        ("azure", "gpt-4o", ["azure", "openai"]),
        ("azure_ai", "azure/gpt-4o", ["azure", "openai"]),
        ("bedrock", "us.anthropic.claude-3-sonnet", ["aws-bedrock", "anthropic"]),
        ("vertex_ai", "claude-sonnet-4-5", ["google", "anthropic"]),
        ("vertex_ai_beta", "gemini-2.5-flash", ["google"]),
        ("openrouter", "openai/gpt-4o-mini", ["openai"]),
        ("openrouter", "~anthropic/claude-opus-4.5:beta", ["anthropic"]),
        ("litellm_proxy", "openrouter/openai/gpt-4o-mini", ["openai"]),
        ("openai-compatible", "xai/grok-4", ["xai"]),
        ("our-own", "gpt-4o", ["openai"]),
        ("databricks", "databricks-claude-sonnet-4", ["anthropic"]),
        ("perplexity", "Claude Sonnet 4.5", ["anthropic"]),
        ("openrouter", "Anthropic: Claude Sonnet 4.5", ["anthropic"]),
        ("sap", "anthropic--claude-3.5-sonnet", ["anthropic"]),
        ("our-own", "prod_gpt-4o-mini", ["openai"]),
        ("our-own", "open-weights-70b", []),
        ("groq", "openai/gpt-oss-20b", ["groq", "openai"]),
        ("simulated", "simulated-large", ["simulated"]),
        ("simulated", "gpt-4o", ["simulated"]),
        (None, "xai-org/grok-2", ["xai-open-weights"]),
        ("xai", "grok-4", ["xai"]),
        ("meta_llama", "Llama-3.3-70B", ["meta-llama"]),
        (None, None, []),
        ("our-own", "our-model", []),
    ],
)
def test_the_terms_of_host_and_model_maker_apply_behind_any_gateway(
    provider: str | None, model: str | None, names: list[str]
) -> None:
    assert [terms.name for terms in TABLE.terms(provider, model)] == names


@pytest.mark.parametrize(
    "base, licence",
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "llama3.1"),
        ("Qwen/Qwen2.5-7B-Instruct", "apache-2.0"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0"),
        ("Qwen/Qwen2.5-3B-Instruct", None),
        ("someone/else", None),
    ],
)
def test_base_models_find_their_licence(base: str, licence: str | None) -> None:
    terms = TABLE.licence(base)
    assert (terms.licence_id if terms else None) == licence


def test_llamas_licence_requires_name_text_policy_and_notice() -> None:
    licence = TABLE.licence("meta-llama/Llama-3.1-8B-Instruct")
    assert licence is not None
    duties = " ".join(licence.duties)
    assert licence.name_prefix == "Llama"
    assert "Copyright © Meta Platforms" in licence.notice
    assert all(text in duties for text in ("Built with Llama", "Acceptable Use Policy", "700 million", "NOTICE"))
