"""Dated prices: of an attempt on its day, and of a machine per hour.

Hosted models: dated entries of `configs/prices.yaml`, else genai-prices (kept current by its maintainers). The cost of
a model without a price is None, never 0, and counted. Machines: `configs/gpus.yaml`. Entries of both files are
appended, never overwritten.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec

from traffic import config
from traffic.errors import ConfigError, NotFound, UnknownPrice, known_names
from traffic.record import Params, Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

MTOK = 1_000_000
LIST_PRICE = frozenset({"auto", "default", "standard", "standard_only", "on_demand"})
"""Service tiers at the list price."""
HALF_PRICE = {
    "batch": frozenset({"openai", "azure", "anthropic", "google", "aws", "mistral", "groq", "x-ai"}),
    "flex": frozenset({"openai", "google", "aws"}),
}
"""Providers of genai-prices by service tier that costs half the list price (price pages, 2026-11)."""
Usd = Annotated[float, msgspec.Meta(ge=0)]


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """USD per million tokens."""

    input_mtok_usd: Usd
    output_mtok_usd: Usd
    cache_read_mtok_usd: Usd | None = None
    """None: as much as other input tokens."""
    cache_write_mtok_usd: Usd | None = None
    """None: as much as other input tokens. The short-lived cache if a provider has two."""

    @property
    def read_mtok_usd(self) -> float:
        """Rate of input tokens read from the prompt cache."""
        return self.input_mtok_usd if self.cache_read_mtok_usd is None else self.cache_read_mtok_usd

    @property
    def write_mtok_usd(self) -> float:
        """Rate of input tokens written to the prompt cache."""
        return self.input_mtok_usd if self.cache_write_mtok_usd is None else self.cache_write_mtok_usd


AnyRates = TypeVar("AnyRates", bound=Rates)


class Step(Rates, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Rates for the whole request once its prompt is longer than `above_input_tokens`."""

    above_input_tokens: Annotated[int, msgspec.Meta(ge=1)]


class Price(Rates, frozen=True, kw_only=True):
    """Price of one model on one day."""

    cache_write_1h_mtok_usd: Usd | None = None
    """Writes to the one-hour cache; None: as much as other cache writes."""
    web_search_usd: Usd | None = None
    """Price of one web search by the provider; None: unknown."""
    reasoning_mtok_usd: Usd | None = None
    """None: as much as other output tokens."""
    input_audio_mtok_usd: Usd | None = None
    """None: unknown."""
    output_audio_mtok_usd: Usd | None = None
    """None: unknown."""
    request_usd: Usd = 0.0
    steps: tuple[Step, ...] = ()
    """Higher rates of long prompts, ascending; the last one that applies is used for all tokens."""
    source: str
    deprecated_on: dt.date | None = None
    """The day on which the provider retires the model, if known."""

    def cost_usd(self, usage: Usage) -> float:
        """Cost of one attempt in USD, not rounded. Raises: UnknownPrice for web searches or sound without a price."""
        if usage.web_searches and self.web_search_usd is None:
            raise UnknownPrice(f"no price for web searches in {self.source}")
        sound = self._sound(usage) if usage.input_audio or usage.output_audio else 0.0
        rates: Rates = self
        for step in self.steps:
            if usage.input_total > step.above_input_tokens:
                rates = step
        write = rates.write_mtok_usd
        output = usage.output * rates.output_mtok_usd
        if self.reasoning_mtok_usd is not None:
            output += usage.reasoning * (self.reasoning_mtok_usd - rates.output_mtok_usd)
        one_hour = write if self.cache_write_1h_mtok_usd is None else self.cache_write_1h_mtok_usd
        if self.cache_write_1h_mtok_usd is not None and self.cache_write_mtok_usd:
            # Long prompts raise the rates of both kinds of cache writes by the same factor.
            one_hour *= write / self.cache_write_mtok_usd
        cache_writes = (usage.cache_write - usage.cache_write_1h) * write + usage.cache_write_1h * one_hour
        tokens = (
            usage.input_uncached * rates.input_mtok_usd + usage.cache_read * rates.read_mtok_usd + cache_writes + output
        )
        return self.request_usd + usage.web_searches * (self.web_search_usd or 0.0) + (tokens + sound) / MTOK

    def _sound(self, usage: Usage) -> float:
        """What tokens of sound cost more than text, in USD per million. Raises: UnknownPrice."""
        parts = (
            (usage.input_audio, self.input_audio_mtok_usd, self.input_mtok_usd),
            (usage.output_audio, self.output_audio_mtok_usd, self.output_mtok_usd),
        )
        if any(tokens and audio_usd is None for tokens, audio_usd, _ in parts):
            raise UnknownPrice(f"no price for sound in {self.source}")
        return sum(tokens * (audio_usd - text_usd) for tokens, audio_usd, text_usd in parts if audio_usd is not None)


def billed_params(params: Params, service_tier: str | None) -> Params:
    """The parameters with the service tier that an answer states, as which it is billed; none at the list price."""
    if not service_tier or (service_tier in LIST_PRICE and "service_tier" not in params.other):
        return params
    return msgspec.structs.replace(params, other={**params.other, "service_tier": service_tier})


class Cost(msgspec.Struct, frozen=True):
    """Cost of an attempt; `usd` is None if the model has no price or the usage is unknown."""

    usd: float | None
    source: str | None
    """The price table with its version or date; None if `usd` is."""


class Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One entry of `configs/prices.yaml`: a price for a range of days."""

    model: str
    provider: str | None = None
    """None: all providers."""
    from_: dt.date = msgspec.field(name="from")
    until: dt.date | None = None
    """First day on which it is no longer valid; None while it is valid."""
    input_mtok_usd: Usd
    cache_read_mtok_usd: Usd | None = None
    cache_write_mtok_usd: Usd | None = None
    cache_write_1h_mtok_usd: Usd | None = None
    """None: by the ratio of both cache-write prices in genai-prices."""
    output_mtok_usd: Usd
    web_search_usd: Usd | None = None
    """None: the price in genai-prices."""
    steps: tuple[Step, ...] = ()
    source: str
    deprecated_on: dt.date | None = None

    def holds(self, on: dt.date) -> bool:
        return self.from_ <= on and (self.until is None or on < self.until)

    def price(self, listed: Price | None) -> Price:
        """`listed`: the same model in genai-prices, for prices that this entry does not have."""
        one_hour = self.cache_write_1h_mtok_usd
        write = self.cache_write_mtok_usd
        if one_hour is None and write and listed and listed.cache_write_1h_mtok_usd and listed.cache_write_mtok_usd:
            one_hour = write * listed.cache_write_1h_mtok_usd / listed.cache_write_mtok_usd
        search = self.web_search_usd
        if search is None and listed is not None:
            search = listed.web_search_usd
        return Price(
            input_mtok_usd=self.input_mtok_usd,
            output_mtok_usd=self.output_mtok_usd,
            cache_read_mtok_usd=self.cache_read_mtok_usd,
            cache_write_mtok_usd=write,
            cache_write_1h_mtok_usd=one_hour,
            web_search_usd=search,
            input_audio_mtok_usd=listed.input_audio_mtok_usd if listed else None,
            output_audio_mtok_usd=listed.output_audio_mtok_usd if listed else None,
            steps=tuple(sorted(self.steps, key=lambda step: step.above_input_tokens)),
            source=f"prices.yaml {self.from_}",
            deprecated_on=self.deprecated_on,
        )


class PricesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`configs/prices.yaml`."""

    schema_version: Literal[1] = 1
    prices: tuple[Override, ...] = ()


class PriceTable:
    """Prices by model, provider and day, with a cache of lookups."""

    def __init__(self, overrides: Iterable[Override] = ()) -> None:
        self._overrides = tuple(overrides)
        self._known: dict[tuple[str, str | None, dt.date, str | None], Price | UnknownPrice] = {}

    @classmethod
    def load(cls, path: Path = config.CONFIGS / "prices.yaml") -> "PriceTable":
        """Raises: NotFound, ConfigError."""
        entries = config.load(path, PricesFile).prices
        for entry in entries:
            if entry.until is not None and entry.until <= entry.from_:
                raise ConfigError(f"{path}: {entry.model}: until {entry.until} must be later than from {entry.from_}")
        return cls(entries)

    def price(self, model: str, provider: str | None, on: dt.date, service_tier: str | None = None) -> Price:
        """Price of a model on a day (UTC; of a datetime, its day).

        `provider`: name in a log or a configuration (`openai`, `bedrock`, `vertex_ai`, `together_ai`, ...); None:
        derived from the model's name. If a price depends on the hour, the one at noon UTC is used. `service_tier`: as
        the provider states it.

        Raises: UnknownPrice.
        """
        day = _day(on)
        tier = None if service_tier in LIST_PRICE else service_tier
        key = (model, provider, day, tier)
        cached = self._known.get(key)
        if cached is None:
            try:
                cached = self._find(model, provider, day)
                if tier:
                    cached = _in_tier(cached, tier, provider, _listed(model, provider), day)
            except UnknownPrice as error:
                cached = error
            self._known[key] = cached
        if isinstance(cached, UnknownPrice):
            raise UnknownPrice(*cached.args)
        return cached

    def cost_usd(
        self,
        usage: Usage | None,
        model: str | None,
        provider: str | None,
        on: dt.date,
        unpriced: Counter[str] | None = None,
        service_tier: str | None = None,
    ) -> Cost:
        """Cost of one attempt. If it is unknown, `usd` is None and the reason is counted in `unpriced`.

        Keys of `unpriced`: `provider/model` without a price, `(no model)`, `(no usage)`. With estimated usage the
        source ends in "estimated usage".
        """
        reason = "(no usage)" if usage is None else "(no model)"
        if usage is not None and model is not None:
            try:
                price = self.price(model, provider, on, service_tier)
                source = f"{price.source}, estimated usage" if usage.estimated else price.source
                return Cost(price.cost_usd(usage), source)
            except UnknownPrice:
                reason = f"{provider}/{model}" if provider else model
                if service_tier and service_tier not in LIST_PRICE:
                    reason += f" ({service_tier})"
        if unpriced is not None:
            unpriced[reason] += 1
        return Cost(None, None)

    def _find(self, model: str, provider: str | None, day: dt.date) -> Price:
        listed = _listed(model, provider)
        price = _listed_price(listed[1], day) if listed else None
        owner = listed[0].id if listed else None
        names = {name.casefold() for name, _ in _spellings(model, provider)} | ({listed[1].id} if listed else set())
        entries = [entry for entry in self._overrides if entry.holds(day) and entry.model.casefold() in names]
        provider_id = _provider_id(provider) or owner
        matching = [entry for entry in entries if entry.provider is None or _provider_id(entry.provider) == provider_id]
        if provider_id is None and len({entry.provider for entry in entries}) == 1:
            matching = entries
        if matching:
            # Exact names before family names, then the newest; of two with the same start, the later line.
            exact = [entry for entry in matching if entry.model.casefold() == model.casefold()]
            return sorted(exact or matching, key=lambda entry: entry.from_)[-1].price(price)
        if price is not None:
            return price
        if provider_id is None and entries:
            raise UnknownPrice(
                f"{model} has a price at {', '.join(sorted({str(entry.provider) for entry in entries}))}: "
                "name the provider"
            )
        location = f" at {provider}" if provider else ""
        raise UnknownPrice(f"no price for {model}{location} on {day}; add one to configs/prices.yaml")


def _day(on: dt.date) -> dt.date:
    if not isinstance(on, dt.datetime):
        return on
    return (on if on.tzinfo is None or on.tzinfo is dt.UTC else on.astimezone(dt.UTC)).date()


def _spellings(model: str, provider: str | None) -> list[tuple[str, str | None]]:
    """The model as written, and without a gateway's prefix `provider/`."""
    prefix, slash, rest = model.partition("/")
    return [(model, provider)] + ([(rest, provider or prefix)] if slash and rest else [])


def _provider_id(provider: str | None) -> str | None:
    """genai-prices' id of a provider if it has one, so that `together_ai` finds entries of `together`."""
    from genai_prices.data_snapshot import find_provider_by_id, get_snapshot

    if provider is None:
        return None
    match = find_provider_by_id(get_snapshot().providers, provider)
    return match.id if match else provider.casefold().strip()


def _listed(model: str, provider: str | None) -> "tuple[Provider, ModelInfo] | None":
    from genai_prices.data_snapshot import get_snapshot

    for name, owner in _spellings(model, provider):
        try:
            return get_snapshot().find_provider_model(name, None, owner, None)
        except LookupError:
            continue
    return None


def _listed_price(model: "ModelInfo", day: dt.date) -> Price | None:
    """Convert genai-prices' rates; None for models that are not priced by token (audio, pages, searches)."""
    import genai_prices
    from genai_prices.types import TieredPrices

    rates = model.get_prices(dt.datetime.combine(day, dt.time(12), dt.UTC))
    if rates.input_mtok is None:
        return None
    keys = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")
    tiered = [value for value in (getattr(rates, key) for key in keys) if isinstance(value, TieredPrices)]
    starts = sorted({tier.start for value in tiered for tier in value.tiers})
    base = _rates_above(rates, keys, 0)
    searches = _rate(rates.web_searches_kcount, 0)
    return Price(
        **base,
        cache_write_1h_mtok_usd=_rate(rates.cache_write_1h_mtok, 0),
        web_search_usd=None if searches is None else searches / 1000,
        reasoning_mtok_usd=_rate(rates.output_reasoning_mtok, 0),
        input_audio_mtok_usd=_rate(rates.input_audio_mtok, 0),
        output_audio_mtok_usd=_rate(rates.output_audio_mtok, 0),
        request_usd=(_rate(rates.requests_kcount, 0) or 0.0) / 1000,
        steps=tuple(Step(above_input_tokens=start, **_rates_above(rates, keys, start)) for start in starts),
        source=f"genai-prices {genai_prices.__version__}",
    )


def _in_tier(
    price: Price, tier: str, provider: str | None, listed: "tuple[Provider, ModelInfo] | None", day: dt.date
) -> Price:
    """The price in a service tier: as much more or less than `price` as in genai-prices, else by `HALF_PRICE`.

    Raises: UnknownPrice.
    """
    ratio = _tier_ratio(listed[1], tier, day) if listed is not None else None
    if ratio is None:
        owner = _provider_id(provider) or (listed[0].id if listed else None)
        if owner not in HALF_PRICE.get(tier, ()):
            raise UnknownPrice(f"no price for the service tier {tier} in {price.source}")
        ratio = 0.5
    return msgspec.structs.replace(
        _scaled(price, ratio),
        steps=tuple(_scaled(step, ratio) for step in price.steps),
        source=f"{price.source}, {tier}",
    )


def _tier_ratio(model: "ModelInfo", tier: str, day: dt.date) -> float | None:
    """Price of input tokens in a service tier by that of the default one; None if it is not listed."""
    noon = dt.datetime.combine(day, dt.time(12), dt.UTC)
    standard, when = model.get_prices(noon), {"service_tier": tier} if tier != "batch" else {"processing": tier}
    for variant in model.price_variants or ():
        if variant.when == when and (variant.constraint is None or variant.constraint.active(noon)):
            rates = [_rate(prices.input_mtok, 0) for prices in (variant.prices, standard)]
            return rates[0] / rates[1] if rates[0] and rates[1] else None
    return None


def _scaled(rates: AnyRates, ratio: float) -> AnyRates:
    names = [name for name in rates.__struct_fields__ if name.endswith("_mtok_usd")]
    changed = {name: value * ratio for name in names if (value := getattr(rates, name)) is not None}
    return msgspec.structs.replace(rates, **changed)


def _rates_above(rates: "ModelPrice", keys: tuple[str, ...], start: int) -> dict[str, Any]:
    rates_usd = {f"{key}_usd": _rate(getattr(rates, key), start) for key in keys}
    # Embedding models have no output and therefore no output price.
    return rates_usd | {"output_mtok_usd": rates_usd["output_mtok_usd"] or 0.0}


def _rate(value: Any, start: int) -> float | None:
    """The rate just above `start` input tokens."""
    if value is None:
        return None
    reached = [tier.price for tier in getattr(value, "tiers", ()) if tier.start <= start]
    return float(reached[-1] if reached else getattr(value, "base", value))


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rented machine at one provider's price."""

    name: str
    usd_per_hour: Usd
    provider: str
    source: str
    date: dt.date
    """Day on which the price was looked up."""
    gpu: str | None = None
    """None: a machine without a GPU."""
    gpus: Annotated[int, msgspec.Meta(ge=0)] = 0
    gpu_mem_gib: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Memory of each GPU, as `nvidia-smi` reports it."""
    bf16_tflops: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Dense bfloat16 TFLOPS of each GPU, from the data sheet."""
    mem_bandwidth_gbs: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Memory bandwidth of each GPU in gigabytes per second, from the data sheet."""
    cpu_cores: int | None = None
    assumption: str | None = None
    """Assumption behind the price."""


class Machines(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`configs/gpus.yaml`."""

    schema_version: Literal[1] = 1
    machines: tuple[Machine, ...] = ()

    def get(self, name: str, on: dt.date | None = None) -> Machine:
        """The newest price of a machine, as of the day `on` if given. Raises: NotFound."""
        named = [machine for machine in self.machines if machine.name == name]
        if not named:
            names = sorted({machine.name for machine in self.machines})
            raise NotFound(f"no machine {name!r} in configs/gpus.yaml{known_names(name, names)}")
        dated = [machine for machine in named if on is None or machine.date <= on]
        if not dated:
            raise NotFound(f"machine {name!r} has no price in configs/gpus.yaml as early as {on}")
        return max(dated, key=lambda machine: machine.date)


def load_machines() -> Machines:
    """Raises: NotFound, ConfigError."""
    return config.load(config.CONFIGS / "gpus.yaml", Machines)
