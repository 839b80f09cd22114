"""A log of a format of its own: read through a mapping, which `suggest` proposes."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import ingest, store
from pipeline.ingest import suggest
from pipeline.ingest.formats import mapped
from tests.fakes.logs import attempts, write_log
from traffic import config
from traffic.artifacts import Home
from traffic.errors import ConfigError

pytestmark = pytest.mark.slow

MADE = attempts(40, 5, retries=0.0, usage_missing=0.0, cache_hits=0.0)
TEXTS = [a for a in MADE if not a.tools]


def flat(a: Any) -> dict[str, Any]:
    """An application's own table: one prompt, one answer, counts and tags beside them."""
    return {
        "call_id": a.id,
        "created_at": a.ts.isoformat(),
        "task_name": a.call_site,
        "model_name": a.model,
        "system_prompt": a.messages[0]["content"],
        "user_input": a.messages[1]["content"],
        "llm_output": a.answer,
        "tokens_in": a.input_tokens,
        "tokens_out": a.output_tokens,
        "duration_ms": a.latency_ms,
        "total_cost": a.cost_usd,
        "account_id": a.customer,
        "user_plan": a.plan,
        "conversation_id": a.session,
    }


def nested(a: Any) -> dict[str, Any]:
    """Bodies below other names."""
    request = {"model": a.model, "messages": a.messages, "temperature": 0.0}
    answer = {"choices": [{"message": {"role": "assistant", "content": a.answer}, "finish_reason": "stop"}]}
    event = {"sent": request, "got": json.dumps(answer), "when": {"startedAt": a.ts.timestamp()}}
    return {"eventId": a.id, "event": event, "labels": {"useCase": a.call_site, "lang": a.language}}


def lines(write: Any) -> list[bytes]:
    return [json.dumps(write(attempt)).encode() for attempt in TEXTS]


@pytest.mark.parametrize("write", [flat, nested])
def test_the_proposed_mapping_reads_the_log_it_was_proposed_for(tmp_path: Path, write: Any) -> None:
    log = write_log(tmp_path / "app.log", lines(write))
    proposed = suggest.suggest(str(log))
    assert (proposed.readable, proposed.sampled) == (min(50, len(TEXTS)), min(50, len(TEXTS)))
    mapping = tmp_path / "mine.yaml"
    mapping.write_text(proposed.yaml())
    home = Home(tmp_path / "home")
    summary = ingest.run([log], home=home, mapping=mapping)
    assert (summary.accepted, summary.rejected) == (len(TEXTS), 0)
    rows = store.connect(home).sql("select *, epoch(ts) as at from records").to_arrow_table().to_pylist()
    by_id = {row["id"]: row for row in rows}
    for attempt in TEXTS:
        row = by_id[attempt.id]
        assert json.loads(row["messages"]) == attempt.messages
        assert (row["output"]["text"], row["call_site"], row["model"]) == (attempt.answer, attempt.call_site, "gpt-4o")
        assert row["at"] == pytest.approx(attempt.ts.timestamp(), abs=0.001)


def test_tables_as_csv_are_read_with_a_mapping(tmp_path: Path) -> None:
    log = tmp_path / "table.csv"
    with log.open("w", newline="") as file:
        writer = csv.DictWriter(file, flat(TEXTS[0]))
        writer.writeheader()
        writer.writerows(map(flat, TEXTS))
    mapping = tmp_path / "mine.yaml"
    mapping.write_text(suggest.suggest(str(log)).yaml())
    home = Home(tmp_path / "home")
    assert ingest.run([log], home=home, mapping=mapping).accepted == len(TEXTS)
    tokens = store.connect(home).execute("select sum(usage.input_uncached), sum(usage.output) from records").fetchall()
    assert tokens == [(sum(a.input_tokens for a in TEXTS), sum(a.output_tokens for a in TEXTS))]


def test_rows_may_stand_below_a_path_in_one_document(tmp_path: Path) -> None:
    (tmp_path / "export.json").write_text(json.dumps({"result": {"calls": [flat(a) for a in TEXTS]}}))
    proposed = suggest.suggest(str(tmp_path / "export.json"))
    assert proposed.mapping.record is not None
    assert proposed.mapping.record.rows == "result.calls"
    (tmp_path / "mine.yaml").write_text(proposed.yaml())
    summary = ingest.run([tmp_path / "export.json"], home=Home(tmp_path / "home"), mapping=tmp_path / "mine.yaml")
    assert summary.accepted == len(TEXTS)


@pytest.mark.parametrize(
    "place,value",
    [
        ("a.b", 1),
        ("c.1.d", 2),
        ("c[1].d", 2),
        ("e.f", 3),
        ("dotted.key", 4),
        ("$.c[?(@.d == 2)].d", 2),
        ("$..f", 3),
        ("gone.x", None),
    ],
)
def test_places_are_dotted_paths_list_items_json_inside_text_or_jsonpath(place: str, value: Any) -> None:
    tree = {"a": {"b": 1}, "c": [{"d": 1}, {"d": 2}], "e": '{"f": 3}', "dotted.key": 4}
    if place == "$..f":
        tree = {"g": {"f": 3}}
    assert mapped.finder((place,))(tree) == value


def test_a_jsonpath_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="JSONPath"):
        mapped.finder(("$.[[",))


def test_cached_tokens_are_counted_once_by_either_convention(tmp_path: Path) -> None:
    row = flat(TEXTS[0]) | {"tokens_in": 100, "cached": 40}
    for inside, uncached in ((True, 60), (False, 100)):
        mapping = tmp_path / f"{inside}.yaml"
        mapping.write_text(
            f"record: {{id: [call_id], time: [created_at], prompt: [user_input], answer: [llm_output], "
            f"input_tokens: [tokens_in], output_tokens: [tokens_out], cached_tokens: [cached], "
            f"cached_inside_input: {str(inside).lower()}}}\n"
        )
        home = Home(tmp_path / f"home-{inside}")
        ingest.run([write_log(tmp_path / "log", [json.dumps(row).encode()])], home=home, mapping=mapping)
        usage = store.connect(home).execute("select usage.input_uncached, usage.cache_read from records").fetchall()
        assert usage == [(uncached, 40)]


def test_ready_mappings_are_formats_by_name(tmp_path: Path) -> None:
    row = {
        "id": "x",
        "requestedAt": "2026-03-02T10:00:00Z",
        "durationMs": 12,
        "statusCode": 200,
        "tags": {"prompt_name": "a.b"},
        "reqPayload": {"model": "gpt-4o", "messages": TEXTS[0].messages},
        "respPayload": {"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]},
    }
    summary = ingest.run(
        [write_log(tmp_path / "log", [json.dumps(row).encode()])], home=Home(tmp_path / "home"), format="openpipe"
    )
    assert (summary.accepted, summary.call_sites) == (1, {"a.b": 1})


def test_a_mapping_is_proposed_by_names_and_values_without_empty_places(tmp_path: Path) -> None:
    """Rows as those of gateways and tracers: flags that end like answers, lists of messages on both sides, units."""
    row = {
        "ResponseMessages": [{"role": "assistant", "content": "billing"}],
        "RequestMessages": [{"role": "user", "content": "I was charged twice"}],
        "IsStreamCompletion": "False",
        "Endpoint": "chat/completions",
        "TimeGenerated": "2026-10-05T09:30:00Z",
        "latency": 0.5,
    }
    suggestion = suggest.suggest(str(write_log(tmp_path / "log", [json.dumps(row).encode()] * 3)))
    record = suggestion.mapping.record
    assert record is not None
    assert (record.messages, record.answer) == (("RequestMessages",), ("ResponseMessages",))
    assert (record.time, record.latency_s, record.latency_ms) == (("TimeGenerated",), ("latency",), ())
    assert (suggestion.readable, suggestion.mapping.call_site) == (3, ())
    assert "[]" not in suggestion.yaml()


def test_every_shipped_mapping_loads() -> None:
    for path in (config.CONFIGS / "log_mappings").glob("*.yaml"):
        assert config.load(path, mapped.TagMapping).record is not None


def test_times_are_read_in_the_mappings_format(tmp_path: Path) -> None:
    rows = [{"at": "02/11/2026 09:30", "q": "hello", "a": "hi"}, {"at": "11/30/2026 09:30", "q": "hello", "a": "hi"}]
    log = write_log(tmp_path / "app.log", [json.dumps(row).encode() for row in rows])
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text('record: {prompt: [q], answer: [a], time: [at], time_format: "%d/%m/%Y %H:%M"}')
    home = Home(tmp_path / "home")
    summary = ingest.run([log], home=home, mapping=mapping)
    assert (summary.accepted, summary.reasons) == (1, {"wrong_types": 1})
    [read] = store.connect(home).execute("select ts::varchar from records").fetchall()
    assert read[0].startswith("2026-11-02 09:30")
