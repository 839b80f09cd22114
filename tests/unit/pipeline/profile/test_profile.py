import datetime as dt
import re
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from pipeline import profile, store
from pipeline.profile import ProfileConfig, ProfileSummary, report
from pipeline.store.period import Days
from tests.fakes import profiled_logs
from traffic import callsites, config, tiers
from traffic.artifacts import Home
from traffic.errors import NotFound
from traffic.prices import PriceTable
from traffic.record import Output, Record, Usage, decode_messages
from traffic.shapes import ShapeIndex

pytestmark = pytest.mark.slow

NOW = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)


def run(home: Home, settings: ProfileConfig | None = None, **options: object) -> ProfileSummary:
    routing = tiers.load(config.CONFIGS / "router.yaml")
    return profile.run(
        settings or ProfileConfig(), home=home, routing=routing, prices=PriceTable(), now=NOW, track=False, **options
    )  # type: ignore[arg-type]


def filled(folder: Path, records: list[Record]) -> Home:
    home = Home(folder)
    store.append(home, records, source="test")
    return home


def test_tiers_are_proposed_from_behaviour_where_the_wording_says_nothing(tmp_path: Path) -> None:
    result = run(filled(tmp_path, profiled_logs.records()))
    proposed = {site.call_site: site.tier for site in result.by_call_site}
    assert proposed == {name: tier for name, (tier, _, _) in profiled_logs.SITES.items()}


def test_without_tags_the_shapes_are_the_call_sites(tmp_path: Path) -> None:
    records = profiled_logs.records(tagged=False)
    result = run(filled(tmp_path, records))
    rows = pq.read_table(result.paths["shapes"]).to_pylist()
    names = {row["id"]: row["shape"] for row in rows}
    sites = len(profiled_logs.SITES)
    assert len(set(names.values())) == sites
    assert all(names[f"r{n}"] == names[f"r{n % sites}"] for n in range(len(records)))


def one_call_site(*names: str) -> list[Record]:
    """Several tasks of one call site: one long system prompt, the task at the start of the message."""
    standing = "You work for the ferry company's office. " * 20
    records = []
    for record in profiled_logs.records():
        if record.call_site in names:
            system, user = (message.text for message in decode_messages(record.messages))
            messages = [
                {"role": "system", "content": standing},
                {"role": "user", "content": f"### TASK\n{system}\n\n### NOTE\n{user}"},
            ]
            raw = msgspec.Raw(msgspec.json.encode(messages))
            records.append(msgspec.structs.replace(record, call_site="office", messages=raw))
    return records


def test_tasks_that_stand_in_the_messages_under_one_system_prompt_are_shapes(tmp_path: Path) -> None:
    names = ("pier.box", "pier.slip", "pier.letter", "pier.fare")
    result = run(filled(tmp_path, one_call_site(*names)))
    assert {shape.call_site for shape in result.shapes} == {"office"}
    assert sorted(shape.tier for shape in result.shapes) == sorted(profiled_logs.SITES[name][0] for name in names)


def test_what_the_messages_of_one_task_share_is_its_data(tmp_path: Path) -> None:
    phrases = ("The boat to Alta did not leave.", "My bags did not arrive at Brevik.", "I want the money back.")
    records = []
    for n, record in enumerate(one_call_site("pier.box")):
        label = ("late", "bags", "money")[n % 3]
        messages = [
            {"role": "system", "content": "Notes from the pier end up in one of three trays. " * 9},
            {
                "role": "user",
                "content": f"Note {n}. {phrases[n % 3]} Written by {profiled_logs.NAMES[n % 6]}, day {n}.",
            },
        ]
        answer = msgspec.structs.replace(record.output, text=label)
        raw = msgspec.Raw(msgspec.json.encode(messages))
        records.append(msgspec.structs.replace(record, messages=raw, output=answer))
    assert len(run(filled(tmp_path, records)).shapes) == 1


def test_the_totals_of_a_call_site_are_those_of_all_its_shapes(tmp_path: Path) -> None:
    result = run(filled(tmp_path, one_call_site("pier.box", "pier.letter")))
    (site,) = result.by_call_site
    assert site.shapes == 2
    assert (site.totals.name, site.totals.requests) == ("office", site.requests)
    assert site.totals.input_tokens == result.totals.input_tokens


def test_the_cost_of_estimated_tokens_is_estimated(tmp_path: Path) -> None:
    records = profiled_logs.records()
    estimated = [
        msgspec.structs.replace(r, cost_usd=0.01, usage=Usage(input_uncached=100, output=5, estimated=n < 30))
        for n, r in enumerate(records)
    ]
    result = run(filled(tmp_path, estimated))
    assert result.estimated_usd == pytest.approx(0.3)
    assert result.logged_usd == pytest.approx(0.01 * (len(records) - 30))
    assert result.spend_usd == pytest.approx(0.01 * len(records))


def test_estimated_tokens_have_the_cache_discount_of_their_shape(tmp_path: Path) -> None:
    logged = profiled_logs.records()
    usage = Usage(input_uncached=100, cache_read=300, output=5)
    cached = [msgspec.structs.replace(r, cost_usd=0.001, usage=usage) for r in logged]
    for n in range(0, len(cached), 7):
        undiscounted = msgspec.structs.replace(usage, input_uncached=400, cache_read=0, estimated=True)
        cached[n] = msgspec.structs.replace(cached[n], cost_usd=0.003, usage=undiscounted)
    result = run(filled(tmp_path, cached))
    assert result.spend_usd == pytest.approx(0.001 * len(cached), rel=0.05)


def test_an_accepted_proposal_is_the_registry_and_matches_untagged_requests(tmp_path: Path) -> None:
    records = profiled_logs.records(tagged=False)
    home = filled(tmp_path, records)
    run(home, accept=True)
    index = ShapeIndex(callsites.load(home.root / callsites.FILE))
    for n, name in enumerate(profiled_logs.SITES):
        entry = index.entry(None, decode_messages(records[n].messages))
        assert entry is not None
        assert entry.tier == profiled_logs.SITES[name][0]


def test_profiling_twice_keeps_names_and_what_a_person_wrote(tmp_path: Path) -> None:
    home = filled(tmp_path, profiled_logs.records(tagged=False))
    run(home, accept=True)
    path = home.root / callsites.FILE
    first = callsites.load(path)
    path.write_text(path.read_text().replace("owner: null", "owner: purser", 1))
    run(home, accept=True)
    second = callsites.load(path)
    assert [site.name for site in second.call_sites] == [site.name for site in first.call_sites]
    assert sum(site.owner == "purser" for site in second.call_sites) == 1


def test_a_closed_label_set_becomes_a_check(tmp_path: Path) -> None:
    home = filled(tmp_path, profiled_logs.records(per_site=150))
    run(home, accept=True)
    entry = callsites.load(home.root / callsites.FILE).get("pier.box")
    assert entry is not None
    assert entry.checks.labels == ("bags", "late", "money")
    assert entry.max_tokens is not None
    assert entry.max_tokens <= 32


def test_profile_json_holds_the_stable_keys_and_equals_the_summary(tmp_path: Path) -> None:
    result = run(filled(tmp_path, profiled_logs.records()))
    written = msgspec.json.decode(Path(result.paths["profile"]).read_bytes())
    assert {
        "requests", "spend_usd", "period", "tiers", "request_types", "input_tokens_histogram", "by_call_site", "shapes",
        "waste", "waste_total_usd", "top_shapes", "undocumented_call_sites", "readiness", "projection",
    } <= written.keys()  # fmt: skip
    assert written["requests"] == result.requests == 400
    assert result.spend_usd == pytest.approx(0.4)
    assert len(result.undocumented_call_sites) == len(profiled_logs.SITES)


def test_the_report_is_one_page_that_loads_and_runs_nothing(tmp_path: Path) -> None:
    records = profiled_logs.records(per_site=10)
    named = [msgspec.structs.replace(r, call_site="<b>pier</b>") for r in records]
    page = Path(run(filled(tmp_path, named)).paths["report"]).read_text()
    assert page.count("<svg") >= 3
    assert "<script" not in page
    assert "<b>pier</b>" not in page
    assert not re.search(r"""(?:src|href)=["']http|@import|url\(""", page)


@pytest.mark.parametrize("minimum, pays", [(1234, False), (20, True)])
def test_a_log_with_few_calls_is_told_the_configured_minimum(tmp_path: Path, minimum: int, pays: bool) -> None:
    home = filled(tmp_path, profiled_logs.records()[:40])
    result = run(home, ProfileConfig(worth_calls_per_day=minimum))
    assert result.worth_it == pays
    texts = ["\n".join(result.lines()), report.page(result)]
    assert [f"{minimum:,} calls a day" in text for text in texts] == [not pays] * 2


def test_wasted_calls_are_counted_once(tmp_path: Path) -> None:
    records = profiled_logs.records(per_site=20)
    again = [
        msgspec.structs.replace(r, id=f"{r.id}-again", request_id=f"{r.id}-again", ts=r.ts + dt.timedelta(days=30))
        for r in records[:10]
    ]
    unseen = [
        msgspec.structs.replace(r, visibility="background", params=msgspec.structs.replace(r.params, stream=True))
        for r in again
    ]
    home = Home(tmp_path)
    read = {"id": "r99", "consumed_at": dt.datetime(2026, 3, 9, tzinfo=dt.UTC)}
    signals = [{"id": r.id, "consumed_at": None} for r in unseen]
    store.append(home, [*records, *unseen], source="test", signals={"consumed": [read, *signals]})
    result = run(home)
    by_kind: dict[str, int] = {}
    for line in result.waste:
        by_kind[line.kind] = by_kind.get(line.kind, 0) + line.requests
    assert by_kind["identical"] == 10
    assert by_kind["needless_stream"] == 10
    assert result.waste_total_requests == 10
    assert result.waste_total_usd == pytest.approx(0.01)


def test_a_shape_that_changes_its_behaviour_is_reported(tmp_path: Path) -> None:
    home = filled(tmp_path, profiled_logs.records())
    run(home, accept=True)
    path = home.root / callsites.FILE
    older = callsites.load(path)
    fare = older.get("pier.fare")
    assert fare is not None
    changed = tuple(
        msgspec.structs.replace(s, tier=1) if s is fare else s for s in older.call_sites if s.name != "pier.box"
    )
    gone = callsites.CallSite(name="pier.gone", tier=2)
    result = run(home, older=msgspec.structs.replace(older, call_sites=(*changed, gone)))
    text = " | ".join(result.changes)
    assert "pier.fare: tier 1 -> 3" in text
    assert "pier.box: appeared" in text
    assert "pier.gone: vanished" in text


def test_attempts_without_a_price_are_told(tmp_path: Path) -> None:
    unpriced = [
        msgspec.structs.replace(r, cost_usd=None, model="in-house") if r.call_site == "pier.box" else r
        for r in profiled_logs.records()
    ]
    result = run(filled(tmp_path, unpriced))
    assert result.uncosted == 80
    assert any(line.strip().startswith("80 attempts") for line in result.lines())
    assert "80 attempts" in report.page(result)


def test_a_period_bounds_what_is_profiled(tmp_path: Path) -> None:
    home = filled(tmp_path, profiled_logs.records())
    result = run(home, days=Days(dt.date(2026, 3, 3), dt.date(2026, 3, 4)))
    assert result.requests == 48


def test_an_empty_home_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        run(Home(tmp_path))


def test_a_log_without_an_answered_request_is_profiled(tmp_path: Path) -> None:
    failed = [msgspec.structs.replace(r, status=500, output=Output()) for r in profiled_logs.records()[:20]]
    result = run(filled(tmp_path, failed))
    assert result.requests == 20
    assert {shape.tier for shape in result.shapes} <= {2, 3}


def test_names_of_call_sites_are_any_text(tmp_path: Path) -> None:
    names = ("a\nb", "- x: [", "\x1b[31m", "# c", "a\u2028b", "null", "\U0001f600")
    records = [
        msgspec.structs.replace(r, call_site=names[n % len(names)])
        for n, r in enumerate(profiled_logs.records(per_site=20))
    ]
    home = filled(tmp_path, records)
    result = run(home, accept=True)
    registry = callsites.load(home.root / callsites.FILE)
    assert {site.name for site in registry.call_sites} == set(names) == {site.call_site for site in result.by_call_site}


def test_requests_without_a_price_are_in_neither_side_of_the_projection(tmp_path: Path) -> None:
    priced = profiled_logs.records()
    unpriced = [
        msgspec.structs.replace(r, id=f"u-{r.id}", request_id=f"u-{r.request_id}", model="unheard-of", cost_usd=None)
        for r in priced
    ]
    alone = run(filled(tmp_path / "a", priced))
    both = run(filled(tmp_path / "b", priced + unpriced))
    assert both.uncosted == len(unpriced)
    assert both.projection.month_usd == pytest.approx(alone.projection.month_usd)
    assert both.projection.projected_month_usd == pytest.approx(alone.projection.projected_month_usd)
