"""Parses model names in logs: prefixes of gateways, clouds and regions, and alternative spellings.

openrouter/openai/gpt-4o-mini       gateway openrouter, provider openai, gpt-4o-mini
us.anthropic.claude-sonnet-4-5-v1:0 region us, provider anthropic, claude-sonnet-4-5-v1:0
azure/gpt-4o                        provider azure, gpt-4o
accounts/fireworks/models/llama-v3  llama-v3
"""

import re
from functools import lru_cache
from typing import NamedTuple

GATEWAYS = frozenset(
    """openrouter litellm litellm_proxy litellm-proxy portkey helicone cloudflare vercel vercel_ai_gateway requesty kong
    martian unify bifrost gateway ai-gateway ai_gateway proxy aisuite eden edenai nexos langdb glama tensorzero
    custom_openai custom-openai openai_like openai-like openai_compatible openai-compatible""".split()
)
"""Prefixes that name no provider: gateways, and `openai-compatible`, which names a protocol."""

_REGION = re.compile(r"(?:us|eu|apac|ap|global|jp|au|ca|sa|me|af|us-gov|[a-z]{2}-[a-z]+-\d)\.")
_VENDOR = re.compile(r"([a-z][a-z0-9-]*)\.(?=[a-z])")
_ROUTE = re.compile(r"(?:accounts|models|publishers|inference-profile|foundation-model|projects|locations|deployments)")


class Names(NamedTuple):
    """Possible providers and spellings of a logged model, in lower case."""

    providers: tuple[str, ...]
    """The logged provider and those in the model's name, without gateways."""
    spellings: tuple[str, ...]
    """The model, from the full name to the bare one."""


@lru_cache(maxsize=4096)
def parse(provider: str | None, model: str | None) -> Names:
    """Possible providers and spellings of a logged provider and model; either may be missing."""
    name = (model or "").strip().lower().removeprefix("~").removeprefix("@")
    *prefixes, last = name.split("/")
    spellings = ["/".join([*prefixes[start:], last]) for start in range(len(prefixes) + 1)]
    hosts = [part for part in prefixes if part and not _ROUTE.fullmatch(part)]
    bare = _REGION.sub("", last, count=1)
    if bare != last:
        spellings.append(bare)
    vendor = _VENDOR.match(bare)
    if vendor is not None:
        hosts.append(vendor[1])
        spellings += [bare[vendor.end() :], f"{vendor[1]}/{bare[vendor.end() :]}"]
    logged = (provider or "").strip().lower()
    named = [part for host in (logged, *hosts) for part in dict.fromkeys((host, host.partition("/")[0])) if part]
    return Names(
        tuple(dict.fromkeys(host for host in named if host not in GATEWAYS)),
        tuple(dict.fromkeys(filter(None, spellings))),
    )
