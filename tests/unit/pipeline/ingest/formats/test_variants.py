"""Every format says the same of the same request, as far as it can hold it."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import ingest, store
from pipeline.ingest.formats import formats_of
from tests.fakes.log_formats import WRITERS, elastic_line, otel_line, shipped_line
from tests.fakes.logs import Attempt, attempts, write_log
from traffic.artifacts import Home

pytestmark = pytest.mark.slow

MADE = attempts(150, 11, retries=0.1, usage_missing=0.5, cache_hits=0.0)


def stored(tmp_path: Path, lines: list[bytes]) -> dict[str, dict[str, Any]]:
    home = Home(tmp_path / "home")
    summary = ingest.run([write_log(tmp_path / "log", lines)], home=home, processes=1)
    assert summary.read == summary.accepted + summary.rejected + summary.already_known
    assert summary.rejected == 0, summary.reasons
    rows = store.connect(home).sql("select *, epoch_us(ts) as us from records").to_arrow_table().to_pylist()
    return {row["id"]: row for row in rows}


@pytest.mark.parametrize("name", WRITERS)
def test_every_row_is_recognised_as_its_own_format_alone(name: str) -> None:
    for attempt in MADE[:40]:
        assert formats_of(json.loads(WRITERS[name](attempt))) == [name]


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_facts_come_out_of_every_format(tmp_path: Path, name: str) -> None:
    rows = stored(tmp_path, [WRITERS[name](attempt) for attempt in MADE])
    assert rows.keys() == {attempt.id for attempt in MADE}
    for attempt in MADE:
        check(attempt, rows[attempt.id], name)


def check(a: Attempt, row: dict[str, Any], name: str) -> None:
    assert row["us"] == pytest.approx(a.ts.timestamp() * 1e6, abs=1)
    assert json.loads(row["messages"]) == a.messages
    assert (row["call_site"], row["visibility"]) == (a.call_site, a.visibility)
    assert (row["user_id"], row["session_id"], row["customer_id"]) == (a.user, a.session, a.customer)
    expected = {"language": a.language} | ({"plan": a.plan} if a.plan else {})
    assert dict(row["cohort"]) == expected
    assert (row["params"]["max_tokens"], row["params"]["temperature"], row["params"]["stream"]) == (512, 0.0, a.stream)
    assert (None if row["tools"] is None else json.loads(row["tools"])) == a.tools
    assert row["latency_ms"] == pytest.approx(a.latency_ms, abs=0.01) or (name == "bedrock" and a.status != 200)
    output = row["output"]
    if a.status != 200:
        assert (row["status"], output["text"], output["tool_calls"]) == (a.status, None, None)
        assert row["error"]
        return
    assert (row["status"], output["text"]) == (200, a.answer)
    calls = json.loads(output["tool_calls"]) if output["tool_calls"] else None
    assert _arguments(calls) == _arguments(a.tool_calls)
    assert output["finish_reason"] == a.finish
    usage = row["usage"]
    if a.usage_logged:
        counted = (usage["input_uncached"], usage["cache_read"], usage["output"])
        assert counted == (a.input_tokens - a.cached, a.cached, a.output_tokens)
    else:
        assert row["price_source"] is None or "estimated" in row["price_source"]
    if name in ("litellm", "langfuse", "helicone", "native") and a.cost_usd:
        assert row["cost_usd"] == pytest.approx(a.cost_usd)


def _arguments(calls: list[dict[str, Any]] | None) -> list[tuple[str, str, Any]]:
    return [(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in calls or ()]


def test_the_same_log_in_another_format_is_known_already(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    made = [a for a in MADE if not a.thumb]
    for number, name in enumerate(("litellm", "openai_pairs", "langfuse", "helicone", "otel", "anthropic_pairs")):
        log = write_log(tmp_path / name, [WRITERS[name](attempt) for attempt in made])
        summary = ingest.run([log], home=home, processes=1)
        assert (summary.accepted, summary.already_known) == ((len(made), 0) if number == 0 else (0, len(made)))


def test_a_folder_may_mix_formats_and_each_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    for number, name in enumerate(WRITERS):
        write_log(folder / f"part.{number}", [WRITERS[name](a) for a in MADE[number * 10 : number * 10 + 10]])
    summary = ingest.run([folder], home=Home(tmp_path / "home"))
    assert {name: (c.files, c.read, c.accepted) for name, c in summary.formats.items()} == dict.fromkeys(
        WRITERS, (1, 10, 10)
    )


def test_one_line_with_many_spans_gives_as_many_records_and_passes_over_the_rest(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    summary = ingest.run([write_log(tmp_path / "log", [otel_line(*MADE[:5]), otel_line(*MADE[5:7])])], home=home)
    assert (summary.read, summary.accepted, summary.passed_over) == (7, 7, {"execute_tool span": 2})


@pytest.mark.parametrize("write", [elastic_line, shipped_line])
def test_rows_inside_the_rows_of_search_indexes_and_log_shippers_are_found(tmp_path: Path, write: Any) -> None:
    rows = stored(tmp_path, [write(attempt) for attempt in MADE[:20]])
    assert rows.keys() == {attempt.id for attempt in MADE[:20]}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("field", ["usage", "cost", "latency_ms", "latency", "status_code"])
def test_one_bad_optional_field_costs_itself_only(tmp_path: Path, name: str, field: str) -> None:
    rows = [json.loads(WRITERS[name](attempt)) for attempt in MADE[:5]]
    for row in rows:
        row[field] = {"odd": ["value"]} if name != "native" else row.get(field)
    assert len(stored(tmp_path, [json.dumps(row).encode() for row in rows])) == 5
