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

TIME = "2026-10-05T09:30:00Z"
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


def test_places_are_found_under_the_names_of_an_applications_own_table(tmp_path: Path) -> None:
    row = {"asked_at": "2026-10-05T09:30:00Z", "answered_at": "2026-10-05T09:30:02Z", "response_id": "r1"}
    row |= {"user_message": "I was charged twice", "assistant_message": "billing", "latency_sec": "0.8"}
    nested = {"llm": {"name": "gpt-4o-mini", "usage": {"in": 20, "out": 5}}}
    suggestion = suggest.suggest(str(write_log(tmp_path / "log", [json.dumps(row | nested).encode()] * 3)))
    record = suggestion.mapping.record
    assert record is not None
    assert (record.prompt, record.answer) == (("user_message",), ("assistant_message",))
    assert (record.time, record.id, record.latency_s) == (("asked_at",), ("response_id",), ("latency_sec",))
    assert (record.model, record.usage) == (("llm.name",), ())
    assert (record.input_tokens, record.output_tokens) == (("llm.usage.in",), ("llm.usage.out",))


@pytest.mark.parametrize(
    "row, prompt, answer, time",
    [
        (
            {"user_query": "q", "final_answer": "a", "expected_answer": "b", "ts_utc": TIME},
            "user_query",
            "final_answer",
            "ts_utc",
        ),
        (
            {
                "prompt_preview": "q…",
                "prompt_full": "q",
                "response_preview": "a…",
                "response_full": "a",
                "created": TIME,
            },
            *("prompt_full", "response_full", "created"),
        ),
        ({"user_text": "q", "bot_text": "a", "ended_at": TIME, "begun_at": TIME}, "user_text", "bot_text", "begun_at"),
    ],
)
def test_texts_of_something_else_are_not_proposed(
    row: dict[str, str], prompt: str, answer: str, time: str, tmp_path: Path
) -> None:
    record = suggest.suggest(str(write_log(tmp_path / "log", [json.dumps(row).encode()] * 3))).mapping.record
    assert record is not None
    assert (record.prompt, record.answer, record.time) == ((prompt,), (answer,), (time,))


def proposed(folder: Path, *rows: dict[str, Any]) -> dict[str, str]:
    """The proposed places, as texts."""
    record = suggest.suggest(str(write_log(folder / "log", [json.dumps(row).encode() for row in rows]))).mapping.record
    assert record is not None
    given = {name: getattr(record, name) for name in record.__struct_fields__}
    return {name: " ".join(places) for name, places in given.items() if places and isinstance(places, tuple)}


ASKED = [{"role": "user", "content": "I was charged twice"}]


@pytest.mark.parametrize(
    "row, places",
    [
        (
            {"userPrompt": "q", "modelResponse": "a", "promptTokenCount": 20, "output_token_cnt": 5, "costInUsd": 0.1},
            {"prompt": "userPrompt", "answer": "modelResponse", "input_tokens": "promptTokenCount"}
            | {"output_tokens": "output_token_cnt", "cost_usd": "costInUsd"},
        ),
        ({"history": ASKED, "message": "q", "response": "a"}, {"prompt": "message", "answer": "response"}),
        ({"history": ASKED, "response": "a"}, {"messages": "history", "answer": "response"}),
        (
            {"extra": {"prompt": "q", "answer": "a", "tokens_in": 20}},
            {"prompt": "extra.prompt", "answer": "extra.answer", "input_tokens": "extra.tokens_in"},
        ),
        (
            {"payload": {"messages": ASKED}, "chunks": [{"choices": [{"index": 0, "delta": {"content": "a"}}]}]},
            {"request": "payload", "response": "chunks"},
        ),
        (
            {"local_time": "2026-10-05 11:30:00", "timestamp_utc": "2026-10-05 09:30:00", "input_text": "q"}
            | {"generated_text": "a"},
            {"time": "timestamp_utc", "prompt": "input_text", "answer": "generated_text"},
        ),
    ],
)
def test_places_are_found_under_compound_names(row: dict[str, Any], places: dict[str, str], tmp_path: Path) -> None:
    assert proposed(tmp_path, row, row) == places


def test_other_lines_of_the_application_are_no_requests(tmp_path: Path) -> None:
    call = {"ts": TIME, "data": {"messages": ASKED, "reply": "billing"}}
    found = proposed(tmp_path, call, {"ts": TIME, "data": {"path": "/x", "status": 200}}, call)
    assert found["has"] == "data.messages data.reply"


@pytest.mark.parametrize("prompt", ["prompt", "messages"])
def test_the_messages_of_a_single_row_are_no_rows(prompt: str, tmp_path: Path) -> None:
    asked = [{"role": "user", "content": "I was charged twice"}]
    row = {"ts": "2026-10-05T09:30:00Z", "meta": {prompt: asked, "completion": "billing"}, "model": "m"}
    suggestion = suggest.suggest(str(write_log(tmp_path / "log", [json.dumps(row).encode()])))
    assert (suggestion.readable, suggestion.mapping.record and suggestion.mapping.record.rows) == (1, None)


def test_every_shipped_mapping_loads() -> None:
    for path in (config.CONFIGS / "log_mappings").glob("*.yaml"):
        assert config.load(path, mapped.TagMapping).record is not None
