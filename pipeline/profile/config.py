"""Settings of `fasttier profile`: `configs/profile.yaml`."""

import re
from typing import Annotated, Literal

import msgspec

Usd = Annotated[float, msgspec.Meta(ge=0)]


class ProfileConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the projection and the waste report assume; every value is shown in the report."""

    schema_version: Literal[1] = 1
    tier_1_usd_per_mtok: Usd = 0.0
    """Own model, per million input and output tokens. A machine is paid by the hour: `fasttier decide` compares it."""
    tier_2_model: str | None = None
    """Priced from configs/prices.yaml and genai-prices; None: the first endpoint of Tier 2 in configs/router.yaml."""
    tier_3_model: str | None = None
    month_days: Annotated[int, msgspec.Meta(ge=1)] = 30
    worth_calls_per_day: Annotated[int, msgspec.Meta(ge=0)] = 1000
    """Below so many calls a day the effort does not pay."""
    cacheable_prefix_tokens: Annotated[int, msgspec.Meta(ge=1)] = 1024
    """Providers cache prompt prefixes from this length on."""
    cacheable_prefix_by_model: dict[str, Annotated[int, msgspec.Meta(ge=1)]] = msgspec.field(
        default_factory=lambda: {"claude.*(opus-4-[5-9]|haiku-4-5)": 4096, "claude.*haiku": 2048}
    )
    """Regular expressions over model names, with another length; the first that matches counts.
    Source: https://platform.claude.com/docs/en/build-with-claude/prompt-caching"""
    cap_ratio: Annotated[float, msgspec.Meta(gt=1)] = 4.0
    """A cap on output tokens counts as none when it is so many times the p99.9 of real answers."""
    storm_failures: Annotated[int, msgspec.Meta(ge=2)] = 30
    """Failed attempts of repeatedly failing requests, in a row of short pauses, that make a retry storm."""
    storm_pause_s: Annotated[float, msgspec.Meta(gt=0)] = 60.0
    debug_names: str = (
        r"(^|[._/ -])(debug|debugging|tests?|testing|trace|dry[_-]?run|tmp|temp|experiment|sandbox|playground|scratch|"
        r"staging|smoke|load[_-]?test|evals?|golden)([._/ -]|$)"
    )
    """Call sites whose calls nobody should pay for, by name. CamelCase is read as camel_case."""
    debug_prompts: str = r"^\W*debug(ging)?[ _-](mode|run|call|output|trace)\b"
    """The same by the beginning of the system prompt."""
    top: Annotated[int, msgspec.Meta(ge=1)] = 3
    """Request shapes that are named first."""

    def cacheable_from(self, model: str | None) -> int:
        """Tokens of the shortest prefix that the model's provider caches."""
        lengths = (n for pattern, n in self.cacheable_prefix_by_model.items() if re.search(pattern, model or ""))
        return next(lengths, self.cacheable_prefix_tokens)
