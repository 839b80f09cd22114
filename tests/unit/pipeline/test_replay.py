"""Replay: gold files, and logged requests that the deployed adapters would answer."""

import datetime as dt
import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import replay, store
from pipeline.replay.gold import SiteErrors, Truth, gold_report, read_gold
from tests.fakes import task_datasets
from traffic import config, deployments, tiers
from traffic.adapters import Adapter, BaseModel, CallSitePrompts
from traffic.artifacts import Home
from traffic.callsites import Checks, Registry
from traffic.deployments import Deployment, Deployments
from traffic.errors import InputError
from traffic.prices import PriceTable
from traffic.record import Output, Params, Record, Usage
from traffic.tiers import Endpoint

CELLS = st.dictionaries(st.tuples(st.integers(1, 3), st.integers(0, 3)), st.integers(1, 99), min_size=1)
SITE = "support.intent"
ADAPTER = f"{SITE}@0a1b2c3d"
START = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
REQUESTS = 200


def test_a_gold_file_may_be_compressed_and_incomplete(tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"id": "a", "tier_true": 2, "more": 1}\n\n{"id": "b", "tier_true": null}\n'))
    assert list(read_gold(path)) == [("a", Truth(2, None))]


@pytest.mark.parametrize("text, place", [('{"id": "a", "tier_true": 4}', ":1:"), ('{"id": "a"}\n{', ":2:")])
def test_an_invalid_line_of_a_gold_file_is_reported(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=place):
        list(read_gold(path))


@given(CELLS)
def test_the_shares_of_correct_wrong_and_refused_requests_sum_to_1(cells: dict[tuple[int, int], int]) -> None:
    report = gold_report({(Truth(true, None), chosen): n for (true, chosen), n in cells.items()})
    rest = sum(n for (true, chosen), n in cells.items() if chosen in (0, true)) / report.requests
    assert report.sent_low_share + report.sent_high_share + rest == pytest.approx(1)
    assert sum(report.confusion.values()) == report.requests


def test_errors_are_counted_by_the_call_site_of_the_gold_file() -> None:
    report = gold_report({(Truth(3, "a"), 1): 2, (Truth(3, "a"), 3): 5, (Truth(1, "b"), 2): 4, (Truth(1, None), 1): 9})
    assert report.by_call_site == {"a": SiteErrors(7, 2, 0), "b": SiteErrors(4, 0, 4)}


def answered_by_adapter(folder: Path, *entries: Mapping[str, Any], **record: Any) -> int:
    """Requests of `REQUESTS` that the deployed adapter would answer."""
    home = Home(folder)
    messages = [{"role": "system", "content": "Answer with one label."}, {"role": "user", "content": "refund?"}]
    records = [
        Record(
            id=f"r{n}",
            request_id=f"r{n}",
            ts=START + dt.timedelta(minutes=n),
            call_site=SITE,
            messages=msgspec.Raw(msgspec.json.encode(messages)),
            output=Output(text="refund", finish_reason="stop"),
            usage=Usage(input_uncached=10, output=1),
            source_format="test",
            **({"cohort": {"plan": "free" if n % 4 else "paid"}} | record),
        )
        for n in range(REQUESTS)
    ]
    store.append(home, records, source="test")
    prompts = CallSitePrompts(
        templates=(task_datasets.TEMPLATE,), request_type="intent", checks=Checks(labels=("refund",)), max_tokens=8
    )
    card = Adapter(
        name=ADAPTER,
        task=SITE,
        base_model=BaseModel(name="org/base", revision="abc", path="/models/base"),
        rank=8,
        dataset=f"{SITE}@ffffffff",
        call_sites={SITE: prompts},
        chat_template_sha256="0" * 64,
        config={},
        metrics={},
        libraries={},
        licence="apache-2.0",
    )
    (home.adapters / ADAPTER).mkdir(parents=True)
    (home.adapters / ADAPTER / "adapter.yaml").write_text(config.dump(card))
    endpoint = Endpoint(name="own", kind="vllm", base_url="http://127.0.0.1:8000/v1", model=ADAPTER)
    table = tuple(
        Deployment(**({"call_site": SITE, "adapter": ADAPTER, "endpoint": endpoint, "since": START} | entry))
        for entry in entries
    )
    deployments.save(home.deployments, Deployments(entries=table))
    summary = replay.run(
        replay.Rules(config=tiers.load(config.CONFIGS / "router.yaml"), registry=Registry()),
        home=home,
        prices=PriceTable.load(),
        today=dt.date(2026, 11, 20),
    )
    [site] = summary.call_sites
    assert site.tier_1 == REQUESTS
    return site.adapter


def test_the_whole_call_site_is_answered_by_its_adapter(tmp_path: Path) -> None:
    assert answered_by_adapter(tmp_path, {}) == REQUESTS


def test_a_shadow_answers_no_requests(tmp_path: Path) -> None:
    assert answered_by_adapter(tmp_path, {"shadow": True}) == 0


def test_only_the_promoted_cohorts_are_answered(tmp_path: Path) -> None:
    assert answered_by_adapter(tmp_path, {"only": {"plan": ("paid",)}}) == REQUESTS // 4


def test_a_canary_answers_its_share(tmp_path: Path) -> None:
    assert 0.05 * REQUESTS < answered_by_adapter(tmp_path, {"share": 0.2}) < 0.4 * REQUESTS


def test_a_session_is_entirely_inside_or_outside_a_canary(tmp_path: Path) -> None:
    assert answered_by_adapter(tmp_path, {"share": 0.5}, session_id="one session") in (0, REQUESTS)


def test_a_request_for_several_answers_does_not_go_to_the_adapter(tmp_path: Path) -> None:
    assert answered_by_adapter(tmp_path, {}, params=Params(other={"n": 2})) == 0
