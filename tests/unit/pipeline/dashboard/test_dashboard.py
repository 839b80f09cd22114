"""The dashboard's pages, requested in process."""

import base64
import datetime as dt
import re
from pathlib import Path

import msgspec
import pytest
from starlette.testclient import TestClient

from pipeline import costs, store
from pipeline.costs.config import CostsConfig
from pipeline.dashboard import server
from pipeline.dashboard.app import TABS, make_app
from pipeline.dashboard.views import Deps
from pipeline.ingest.live import LiveLog
from tests.fakes.metered import record
from traffic import config
from traffic.artifacts import Home
from traffic.errors import ConfigError
from traffic.prices import Machines, PriceTable
from traffic.record import Output, encode_record

pytestmark = pytest.mark.slow

EVIL = '<script>alert("x")</script>'
TEXT = b'[{"role":"user","content":"a secret"}]'
TODAY = dt.date(2026, 11, 28)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("dashboard"))
    listed = [
        *(record(n, at=n * 400, tier=1 + n % 2, messages=msgspec.Raw(TEXT)) for n in range(12)),
        record(20, feature=EVIL, call_site=EVIL, customer_id=EVIL, model=EVIL, cost_usd=None),
        record("1-2", request_id="r1", purpose="escalation", attempt=2, at=500),
    ]  # fmt: skip
    store.append(home, listed, source="test")
    (home.root / "customers.csv").write_text("customer_id,plan,paying_from,paying_until\nacme,pro,2026-01-01,\n")
    return home


def client(home: Home, **options: object) -> TestClient:
    def opener(month: str | None, overlay: store.Overlay) -> costs.Books:
        asked = costs.PeriodRequest(everything=True) if month == "all" else costs.PeriodRequest(month)
        return costs.open_books(
            CostsConfig(), home=home, prices=PriceTable(), machines=Machines(), asked=asked, overlay=overlay
        )

    values: dict[str, object] = {
        "home": home, "opener": opener, "log": LiveLog(home), "prices": PriceTable(), "baseline": "gpt-4o",
    }  # fmt: skip
    deps = Deps(**(values | {"today": lambda: TODAY} | options))  # type: ignore[arg-type]
    return TestClient(make_app(deps), base_url="http://127.0.0.1:8090")


@pytest.fixture(scope="module")
def pages(home: Home) -> TestClient:
    return client(home)


@pytest.mark.parametrize("path", [*TABS, "/?by=model&month=all", "/?by=day", "/?by=customer&plan=pro&month=2026-11"])
def test_every_page_works_without_scripts_and_escapes_names(path: str, pages: TestClient) -> None:
    answer = pages.get(path)
    assert answer.status_code == 200
    assert answer.text.rstrip().endswith("</html>")
    assert re.findall(r"<script[^>]*>", answer.text) == ['<script src="/live.js" defer data-every="10.0">']
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r'(?:src|href)="(?:https?:)?//', answer.text)


def test_the_numbers_equal_those_of_costs(home: Home, pages: TestClient) -> None:
    books = costs.open_books(CostsConfig(), home=home, prices=PriceTable(), machines=Machines())
    result = costs.run(books, by=["feature"], per="customer")
    text = pages.get("/").text
    assert result.total.usd == pytest.approx(0.13)
    assert "<b>$0.13</b>" in text
    assert "per paying customer (1)" in text
    assert "Unpriced, not in any sum" in text
    for line in result.rows:
        assert f'<td class="n">{line.requests}</td>' in text


def test_filters_narrow_the_numbers_and_invalid_ones_are_ignored(pages: TestClient) -> None:
    assert "<b>$0.06</b>" in pages.get("/?tier=tier 1").text.replace("$0.0600", "$0.06")
    everything = pages.get("/?month=all").text
    assert "<b>$0.13</b>" in everything
    for bad in ("/?month=2026-99", "/?by=nothing", "/?feature=' or 1=1 --", "/requests?plan=x' --", "/request?id=%00"):
        assert pages.get(bad).status_code == 200


def test_texts_are_shown_only_with_content(home: Home, pages: TestClient) -> None:
    assert "a secret" not in pages.get("/request?id=r1").text
    assert "escalation, attempt 2" in pages.get("/request?id=r1").text
    assert "a secret" in client(home, content=True).get("/request?id=r1").text


def test_a_log_without_texts_says_so(tmp_path: Path) -> None:
    home = Home(tmp_path)
    store.append(home, [record(1, messages=msgspec.Raw(b"[]"), output=Output())], source="test")
    text = client(home, content=True).get("/request?id=r1").text
    assert "None" not in text
    assert "no texts" in text


def test_requests_match_the_counts_by_type_and_plan(tmp_path: Path) -> None:
    """Also if the type comes from the registry and the plan from the list of customers."""
    home = Home(tmp_path)
    listed = [record(n, cohort=None, call_site="desk.topic" if n else "mail.reply") for n in range(3)]
    store.append(home, listed, source="test")
    registry = {"call_sites": [{"name": "desk.topic", "owner": "me", "reason": "topics", "request_type": "intent"}]}
    (tmp_path / "callsites.yaml").write_text(config.dump(registry))
    (tmp_path / "customers.csv").write_text("customer_id,plan,paying_from,paying_until\nacme,gold,2026-01-01,\n")
    pages = client(home)
    shown = {
        query: len(re.findall(r'href="/request\?', pages.get(f"/requests?{query}").text))
        for query in ("type=intent", "type=(unknown)", "plan=gold", "plan=(unknown)", "plan=gold&type=intent")
    }
    assert list(shown.values()) == [2, 1, 3, 0, 2]


def test_access_requires_loopback_or_the_key(home: Home, pages: TestClient) -> None:
    assert pages.get("/", headers={"host": "evil.example"}).status_code == 403
    locked = client(home, key="opensesame")
    assert locked.get("/").status_code == 401
    wrong, right = (base64.b64encode(f"me:{word}".encode()).decode() for word in ("x", "opensesame"))
    assert locked.get("/", headers={"authorization": f"Basic {wrong}"}).status_code == 401
    assert locked.get("/", headers={"authorization": f"Basic {right}", "host": "box.example"}).status_code == 200
    assert locked.get("/", headers={"authorization": "Bearer opensesame"}).status_code == 200


def test_the_dashboard_is_read_only(pages: TestClient) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert pages.request(method, "/").status_code == 405


def test_other_machines_are_served_only_behind_a_key(home: Home) -> None:
    log = LiveLog(home)
    deps = Deps(home=home, opener=lambda *_: pytest.fail("not asked"), log=log, prices=PriceTable(), baseline=None)
    with pytest.raises(ConfigError):
        server.run(deps, host="0.0.0.0", port=0, announce=lambda _: None)  # noqa: S104


def test_the_playbook_has_seven_tests_with_their_numbers(pages: TestClient) -> None:
    text = pages.get("/playbook").text
    assert [f"{n}. " in text for n in range(1, 8)] == [True] * 7


@pytest.mark.parametrize(
    "query, command",
    [
        ("by=model&month=2026-11", "fasttier costs --by model --month 2026-11"),
        ("by=model&month=all", "fasttier costs --by model --since 2026-11-0"),
    ],
)
def test_the_cost_page_names_the_command_with_its_period(query: str, command: str, pages: TestClient) -> None:
    assert f"<code>{command}" in pages.get(f"/?{query}").text
    assert "<code>fasttier costs" not in pages.get(f"/?{query}&plan=pro").text


def test_daily_totals_replaced_by_another_command_are_reloaded(tmp_path: Path) -> None:
    home = Home(tmp_path)
    store.append(home, [record(1)], source="a")
    pages = client(home)
    assert pages.get("/playbook").status_code == 200
    for file in (tmp_path / "costs" / "cells").iterdir():
        file.unlink()
    assert pages.get("/playbook").status_code == 200


def test_the_router_log_is_included_and_updates_are_cheap(tmp_path: Path) -> None:
    home = Home(tmp_path)
    store.append(home, [record(1, messages=msgspec.Raw(TEXT))], source="a")
    pages = client(home, refresh_s=0.0)
    part = {"fasttier-part": "content"}
    first = pages.get("/", headers=part)
    assert "<html" not in first.text
    assert "<b>$0.01</b>" in first.text
    unchanged = pages.get("/", headers=part | {"if-none-match": first.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    home.log.mkdir()
    line = encode_record(record(2, cost_usd=0.02, messages=msgspec.Raw(TEXT), ts=dt.datetime.now(dt.UTC))) + b"\n"
    (home.log / f"requests-box-1-{dt.datetime.now(dt.UTC):%Y%m%dT%H}.jsonl").write_bytes(line)
    news = pages.get("/?month=all", headers=part | {"if-none-match": first.headers["etag"]})
    assert "<b>$0.03</b>" in news.text.replace("$0.0300", "$0.03")
    assert "Includes 1 records" in news.text
    assert "a secret" not in pages.get("/request?id=r2").text
    assert "serve, attempt 1" in pages.get("/request?id=r2").text
    assert not (home.root / "records" / "_staging").exists()


def test_an_unreadable_decision_does_not_hide_costs(tmp_path: Path) -> None:
    home = Home(tmp_path)
    store.append(home, [record(1)], source="a")
    (tmp_path / "decisions").mkdir()
    head = "task: a\ncreated_at: 2026-11-01T00:00:00Z\n"
    (tmp_path / "decisions" / "a@2026-11-01-1.yaml").write_text(f"{head}verdict: [no, text]\n")
    answer = client(home).get("/")
    assert answer.status_code == 200
    assert "<b>$0.01</b>" in answer.text
    assert "Alerts cannot be shown" in answer.text
