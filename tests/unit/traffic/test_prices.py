"""Dated prices of hosted models and machines."""

import datetime as dt
from collections import Counter
from pathlib import Path

import genai_prices
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.errors import ConfigError, NotFound, UnknownPrice
from traffic.prices import Cost, Machines, Override, PriceTable, Step, load_machines
from traffic.record import Usage

NOVEMBER = dt.date(2026, 11, 23)
SHIPPED = PriceTable.load()
LISTED = PriceTable()


def override(**changes: object) -> Override:
    fields: dict[str, object] = {
        "model": "acme-small",
        "provider": "acme",
        "from_": dt.date(2026, 10, 1),
        "input_mtok_usd": 2.0,
        "output_mtok_usd": 8.0,
        "source": "a test",
    }
    return Override(**(fields | changes))  # type: ignore[arg-type]


def test_each_kind_of_token_has_its_own_price() -> None:
    table = PriceTable([override(cache_read_mtok_usd=0.5, cache_write_mtok_usd=2.5)])
    usage = Usage(input_uncached=1_000, cache_read=2_000, cache_write=400, output=100, reasoning=60)
    cost = table.cost_usd(usage, "acme-small", "acme", NOVEMBER)
    # 1,000 x 2.00 + 2,000 x 0.50 + 400 x 2.50 + 100 x 8.00 = 4,800 per million.
    assert cost.usd == pytest.approx(0.0048)
    assert cost.source == "prices.yaml 2026-10-01"


def test_cached_tokens_without_a_price_cost_as_much_as_others() -> None:
    price = PriceTable([override()]).price("acme-small", "acme", NOVEMBER)
    assert price.cost_usd(Usage(cache_read=500, cache_write=500)) == price.cost_usd(Usage(input_uncached=1000))


def test_one_hour_cache_writes_cost_twice_the_input_at_anthropic() -> None:
    usage = Usage(cache_write=150_000, cache_write_1h=100_000)
    for table in (SHIPPED, LISTED):
        # claude-haiku-4-5: 50,000 x 1.25 + 100,000 x 2.00 per million.
        cost = table.cost_usd(usage, "claude-haiku-4-5", "anthropic", NOVEMBER)
        assert cost.usd == pytest.approx(0.0625 + 0.2)


def test_an_own_price_states_one_hour_writes_and_searches() -> None:
    price = PriceTable([override(cache_write_mtok_usd=2.5, cache_write_1h_mtok_usd=4.0, web_search_usd=0.02)]).price(
        "acme-small", "acme", NOVEMBER
    )
    assert price.cost_usd(Usage(cache_write=1_000_000, cache_write_1h=1_000_000)) == pytest.approx(4.0)
    assert price.cost_usd(Usage(web_searches=3)) == pytest.approx(0.06)


def test_long_prompts_raise_the_price_of_one_hour_writes_too() -> None:
    step = Step(above_input_tokens=1000, input_mtok_usd=4.0, output_mtok_usd=8.0, cache_write_mtok_usd=5.0)
    price = PriceTable([override(cache_write_mtok_usd=2.5, cache_write_1h_mtok_usd=4.0, steps=(step,))]).price(
        "acme-small", "acme", NOVEMBER
    )
    assert price.cost_usd(Usage(cache_write=2000, cache_write_1h=2000)) == pytest.approx(2000 * 8.0 / 1e6)


def test_web_searches_are_charged_and_unpriced_where_no_fee_is_known() -> None:
    searched = Usage(input_uncached=10, output=10, web_searches=5)
    cost = SHIPPED.cost_usd(searched, "claude-haiku-5-5", "anthropic", NOVEMBER)
    assert cost.usd == pytest.approx(0.05 + (10 * 0.10 + 10 * 0.50) / 1e6)
    unpriced: Counter[str] = Counter()
    assert PriceTable([override()]).cost_usd(searched, "acme-small", "acme", NOVEMBER, unpriced).usd is None
    assert sum(unpriced.values()) == 1


def test_a_cost_of_estimated_usage_is_marked() -> None:
    cost = PriceTable([override()]).cost_usd(Usage(output=10, estimated=True), "acme-small", "acme", NOVEMBER)
    assert cost.usd == pytest.approx(8e-5)
    assert cost.source is not None
    assert cost.source.endswith("estimated usage")


def test_gpt_4o_has_openais_list_price() -> None:
    cost = SHIPPED.cost_usd(
        Usage(input_uncached=1_000_000, cache_read=1_000_000, output=100_000), "gpt-4o", "openai", NOVEMBER
    )
    assert cost.usd == pytest.approx(2.50 + 1.25 + 1.00)
    assert cost.source == f"genai-prices {genai_prices.__version__}"


def test_a_dated_name_of_a_model_has_the_models_price() -> None:
    assert SHIPPED.price("gpt-4o-2024-08-06", "openai", NOVEMBER) == SHIPPED.price("gpt-4o", "openai", NOVEMBER)


def test_an_unknown_model_raises_and_says_where_to_add_it() -> None:
    with pytest.raises(
        UnknownPrice, match=r"no price for acme-9 at acme on 2026-11-23; add one to configs/prices.yaml"
    ):
        SHIPPED.price("acme-9", "acme", NOVEMBER)


def test_an_own_server_does_not_inherit_the_price_of_a_hosted_model() -> None:
    with pytest.raises(UnknownPrice):
        SHIPPED.price("gpt-4o", "vllm", NOVEMBER)


def test_unpriced_attempts_cost_none_and_are_counted() -> None:
    unpriced: Counter[str] = Counter()
    usage = Usage(input_uncached=10, output=1)
    for _ in range(2):
        assert SHIPPED.cost_usd(usage, "acme-9", "acme", NOVEMBER, unpriced) == Cost(None, None)
    SHIPPED.cost_usd(usage, None, "openai", NOVEMBER, unpriced)
    SHIPPED.cost_usd(None, "gpt-4o", "openai", NOVEMBER, unpriced)
    assert unpriced == {"acme/acme-9": 2, "(no model)": 1, "(no usage)": 1}


def test_no_tokens_on_a_priced_model_cost_zero() -> None:
    assert SHIPPED.cost_usd(Usage(), "gpt-4o", "openai", NOVEMBER).usd == 0.0


def test_an_entry_overrides_genai_prices_until_its_end_date() -> None:
    entry = override(model="gpt-4o", provider="openai", from_=dt.date(2026, 11, 2), until=dt.date(2026, 11, 5))
    table = PriceTable([entry])
    prices = [table.price("gpt-4o", "openai", dt.date(2026, 11, day)).input_mtok_usd for day in range(1, 7)]
    assert prices == [2.5, 2.0, 2.0, 2.0, 2.5, 2.5]


def test_the_newest_entry_applies_and_of_equals_the_later_line() -> None:
    first = override(input_mtok_usd=1.0)
    newer = override(input_mtok_usd=3.0, from_=dt.date(2026, 11, 1))
    again = override(input_mtok_usd=4.0, from_=dt.date(2026, 11, 1))
    assert PriceTable([newer, first]).price("acme-small", "acme", NOVEMBER).input_mtok_usd == 3.0
    assert PriceTable([first, newer, again]).price("acme-small", "acme", NOVEMBER).input_mtok_usd == 4.0


def test_prices_of_a_model_depend_on_the_provider() -> None:
    table = PriceTable([override(), override(provider="globex", input_mtok_usd=9.0)])
    assert table.price("acme-small", "globex", NOVEMBER).input_mtok_usd == 9.0
    with pytest.raises(UnknownPrice, match="acme, globex: name the provider"):
        table.price("acme-small", None, NOVEMBER)


def test_an_entry_without_a_provider_applies_to_all_of_them() -> None:
    table = PriceTable([override(provider=None)])
    assert table.price("acme-small", "anyone", NOVEMBER) == table.price("acme-small", None, NOVEMBER)


def test_providers_are_found_under_the_names_that_gateways_give_them() -> None:
    qwen = SHIPPED.price("Qwen/Qwen2.5-7B-Instruct-Turbo", "together", NOVEMBER)
    assert SHIPPED.price("Qwen/Qwen2.5-7B-Instruct-Turbo", "together_ai", NOVEMBER) == qwen
    assert SHIPPED.price("openai/gpt-4o-mini", None, NOVEMBER) == SHIPPED.price("gpt-4o-mini", "openai", NOVEMBER)
    assert SHIPPED.price("groq/openai/gpt-oss-20b", "groq", NOVEMBER).input_mtok_usd == 0.075


def test_a_dated_snapshot_has_the_entry_of_its_family_unless_it_has_its_own() -> None:
    assert SHIPPED.price("gpt-4o-mini-2024-07-18", "openai", NOVEMBER).deprecated_on == dt.date(2027, 1, 14)
    own = override(model="gpt-4o-mini-2024-07-18", provider="openai", input_mtok_usd=7.0)
    family = override(model="gpt-4o-mini", provider="openai", from_=dt.date(2026, 11, 1))
    assert PriceTable([own, family]).price("gpt-4o-mini-2024-07-18", "openai", NOVEMBER).input_mtok_usd == 7.0


def test_a_long_prompt_has_the_higher_rate_for_all_tokens_including_cached_ones() -> None:
    steps = (Step(above_input_tokens=1_000, input_mtok_usd=4.0, output_mtok_usd=16.0, cache_read_mtok_usd=1.0),)
    price = PriceTable([override(steps=steps, cache_read_mtok_usd=0.5)]).price("acme-small", "acme", NOVEMBER)
    assert price.cost_usd(Usage(input_uncached=500, cache_read=500)) == pytest.approx((500 * 2 + 500 * 0.5) / 1e6)
    assert price.cost_usd(Usage(input_uncached=501, cache_read=500, output=10)) == pytest.approx(
        (501 * 4 + 500 * 1 + 10 * 16) / 1e6
    )


def test_a_time_is_priced_on_its_utc_day() -> None:
    table = PriceTable([override(from_=dt.date(2026, 11, 2))])
    late_evening = dt.datetime(2026, 11, 1, 23, 30, tzinfo=dt.timezone(dt.timedelta(hours=-5)))
    assert table.price("acme-small", "acme", late_evening).input_mtok_usd == 2.0


PRICED = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-6-luna"),
    ("anthropic", "claude-sonnet-4-5"),
    ("google", "gemini-2.5-pro"),
    ("perplexity", "sonar-deep-research"),
    ("mistral", "ministral-8b-latest"),
]
TOKENS = st.integers(0, 300_000)


@given(st.sampled_from(PRICED), TOKENS, TOKENS, TOKENS, TOKENS, st.integers(0, 300_000))
def test_costs_equal_those_of_genai_prices(
    named: tuple[str, str], plain: int, read: int, write: int, output: int, reasoning: int
) -> None:
    provider, model = named
    usage = Usage(
        input_uncached=plain, cache_read=read, cache_write=write, output=output, reasoning=min(reasoning, output)
    )
    theirs = genai_prices.calc_price(
        genai_prices.Usage(
            input_tokens=plain + read + write,
            cache_read_tokens=read,
            cache_write_tokens=write,
            output_tokens=output,
            output_reasoning_tokens=min(reasoning, output),
        ),
        model,
        provider_id=provider,
        genai_request_timestamp=dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC),
    )
    ours = LISTED.cost_usd(usage, model, provider, NOVEMBER)
    assert ours.usd == pytest.approx(float(theirs.total_price), abs=1e-12)


@given(TOKENS, TOKENS, TOKENS)
def test_cached_tokens_never_cost_more_than_uncached_ones(plain: int, read: int, output: int) -> None:
    price = SHIPPED.price("gpt-4o-mini", "openai", NOVEMBER)
    cached = price.cost_usd(Usage(input_uncached=plain, cache_read=read, output=output))
    assert cached <= price.cost_usd(Usage(input_uncached=plain + read, output=output)) + 1e-15


def test_shipped_prices_agree_with_the_research_table() -> None:
    expected = {
        ("openai", "gpt-4o-mini"): (0.15, 0.075, 0.60),
        ("openai", "gpt-6-luna"): (0.10, 0.01, 0.50),
        ("openai", "gpt-5.4-nano"): (0.20, 0.02, 1.25),
        ("anthropic", "claude-haiku-4-5"): (1.0, 0.10, 5.0),
        ("anthropic", "claude-haiku-5-5"): (0.10, 0.01, 0.50),
        ("google", "gemini-2.5-flash-lite"): (0.10, 0.01, 0.40),
        ("google", "gemini-3.5-flash-lite"): (0.30, 0.03, 2.50),
        ("groq", "openai/gpt-oss-20b"): (0.075, 0.0375, 0.30),
        ("mistral", "ministral-8b-latest"): (0.15, 0.015, 0.15),
        ("deepinfra", "meta-llama/Meta-Llama-3.1-8B-Instruct"): (0.03, None, 0.05),
    }
    for (provider, model), rates in expected.items():
        price = SHIPPED.price(model, provider, NOVEMBER)
        assert (price.input_mtok_usd, price.cache_read_mtok_usd, price.output_mtok_usd) == rates, model
        assert price.source.startswith("prices.yaml")


def test_an_entry_that_ends_before_it_starts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(
        "prices:\n- {model: m, from: 2026-11-05, until: 2026-11-05, input_mtok_usd: 1, output_mtok_usd: 1, source: s}\n"
    )
    with pytest.raises(ConfigError, match="m: until 2026-11-05 must be later than from 2026-11-05"):
        PriceTable.load(path)


@pytest.mark.parametrize("line", ["input_mtok_usd: -1", "inptu_mtok_usd: 1", "input_mtok_usd: cheap"])
def test_a_wrong_entry_is_one_line_with_file_and_key(tmp_path: Path, line: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(f"prices:\n- {{model: m, from: 2026-11-05, {line}, output_mtok_usd: 1, source: s}}\n")
    with pytest.raises(ConfigError, match=r"prices\.yaml: .*prices\[0\]|prices\.yaml: .*prices\[\.\.\.\]"):
        PriceTable.load(path)


def test_every_shipped_machine_has_a_price_and_every_gpu_its_memory() -> None:
    machines = load_machines().machines
    assert len({machine.name for machine in machines}) == len(machines)
    for machine in machines:
        assert machine.usd_per_hour > 0
        assert (machine.gpu is None) == (machine.gpu_mem_gib is None) == (machine.gpus == 0)
        assert machine.gpu is not None or machine.cpu_cores


def test_a_machine_has_the_newest_price_as_of_the_day() -> None:
    old = load_machines().get("cpu-2core")
    new = type(old)(name="cpu-2core", usd_per_hour=1.0, provider="p", source="s", date=dt.date(2027, 1, 1))
    machines = Machines(machines=(new, old))
    assert machines.get("cpu-2core").usd_per_hour == 1.0
    assert machines.get("cpu-2core", on=NOVEMBER) == old
    with pytest.raises(NotFound, match=r"no price in configs/gpus\.yaml as early as 2020-01-01"):
        machines.get("cpu-2core", on=dt.date(2020, 1, 1))


def test_a_misspelled_machine_gets_a_suggestion() -> None:
    with pytest.raises(NotFound, match="did you mean `l4-modal"):
        load_machines().get("l4-modla")


@pytest.mark.parametrize(
    "model, provider, tier, usd",
    [
        # gpt-5-mini: 0.25 and 2.00 per million, flex half of it, priority 0.45 and 3.60 (genai-prices).
        ("gpt-5-mini", "openai", None, 0.45e-3),
        ("gpt-5-mini", "openai", "default", 0.45e-3),
        ("gpt-5-mini", "openai", "flex", 0.225e-3),
        ("gpt-5-mini", "openai", "batch", 0.225e-3),
        ("gpt-5-mini", "openai", "priority", 0.81e-3),
        # 3.00 and 15.00 per million; listed for batches only, of which flex is no other name everywhere.
        ("claude-sonnet-4-5", "anthropic", "batch", 2.25e-3),
        ("claude-sonnet-4-5", "anthropic", "flex", None),
        ("claude-sonnet-4-5", "anthropic", "standard", 4.5e-3),
        # 2.00 and 8.00 per million; not in the list.
        ("acme-small", "acme", "flex", None),
        ("acme-small", "acme", "turbo", None),
        ("acme-small", "acme", "on_demand", 2.8e-3),
        ("acme-small", "acme", "priority", None),
    ],
)
def test_a_service_tier_has_its_own_price(model: str, provider: str, tier: str | None, usd: float | None) -> None:
    usage, table = Usage(input_uncached=1000, output=100), PriceTable([override()])
    unpriced = Counter[str]()
    cost = table.cost_usd(usage, model, provider, NOVEMBER, unpriced, tier)
    assert (cost.usd, cost.source is None) == (None if usd is None else pytest.approx(usd), usd is None)
    assert unpriced == ({f"{provider}/{model} ({tier})": 1} if usd is None else {})


def test_an_own_price_changes_with_the_service_tier_as_the_listed_one() -> None:
    table = PriceTable([override(model="gpt-5-mini", provider="openai", steps=[Step(**STEP)])])
    price = table.price("gpt-5-mini", "openai", NOVEMBER, "priority")
    assert (price.input_mtok_usd, price.steps[0].output_mtok_usd) == pytest.approx((2.0 * 1.8, 9.0 * 1.8))


STEP = {"above_input_tokens": 1000, "input_mtok_usd": 3.0, "output_mtok_usd": 9.0}


def test_sound_has_its_own_price() -> None:
    usage = Usage(input_uncached=1100, input_audio=1000, output=60, output_audio=50)
    # gpt-audio: text 2.50 and 10.00, sound 32.00 and 64.00 per million (genai-prices).
    cost = LISTED.cost_usd(usage, "gpt-audio", "openai", NOVEMBER)
    assert cost.usd == pytest.approx((100 * 2.5 + 1000 * 32 + 10 * 10 + 50 * 64) / 1e6)


def test_sound_without_a_price_is_not_priced_as_text() -> None:
    usage = Usage(input_uncached=1100, input_audio=1000, output=10)
    assert LISTED.cost_usd(usage, "gpt-4o-audio-preview", "openai", NOVEMBER) == Cost(None, None)
