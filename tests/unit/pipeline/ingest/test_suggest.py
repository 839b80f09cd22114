"""Which places `suggest` proposes for the rows of an application's own log."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.ingest import suggest
from pipeline.ingest.formats import mapped
from tests.fakes.logs import write_log

TIME = "2026-10-05T09:30:00Z"
ASKED = [{"role": "user", "content": "I was charged twice"}]


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
        (
            {"Zeitstempel": TIME, "Frage": "q", "Antwort": "a", "Modell": "m", "Eingabe_Tokens": 20, "Dauer_ms": 900}
            | {"Kosten_USD": 0.1, "Fehler": ""},
            {"time": "Zeitstempel", "prompt": "Frage", "answer": "Antwort", "model": "Modell"}
            | {"input_tokens": "Eingabe_Tokens", "latency_ms": "Dauer_ms", "cost_usd": "Kosten_USD"},
        ),
        (
            {"horodatage": TIME, "requête": "q", "réponse": "a", "modèle": "m", "tokens_entrée": 20, "tokensSortie": 5}
            | {"durée_s": 1.5, "coût": 0.1},
            {"time": "horodatage", "prompt": "requête", "answer": "réponse", "model": "modèle"}
            | {"input_tokens": "tokens_entrée", "output_tokens": "tokensSortie", "latency_s": "durée_s"}
            | {"cost_usd": "coût"},
        ),
        (
            {"query": "q", "answer": "a", "message_tokens": 20, "answer_tokens": 5, "inference_ms": 900},
            {"prompt": "query", "answer": "answer", "input_tokens": "message_tokens", "output_tokens": "answer_tokens"}
            | {"latency_ms": "inference_ms"},
        ),
        (
            {"mensaje_usuario": "q", "respuesta_modelo": "a", "jetons_entrée": 20},
            {"prompt": "mensaje_usuario", "answer": "respuesta_modelo", "input_tokens": "jetons_entrée"},
        ),
        ({"messages": ASKED, "content": "a"}, {"messages": "messages", "answer": "content"}),
        ({"messages": ASKED, "outputs": ["a"]}, {"messages": "messages", "answer": "outputs"}),
        (
            {"fecha_hora": TIME, "pregunta": "q", "respuesta": "a", "tokens_de_salida": 5, "coste_total": 0.1},
            {"time": "fecha_hora", "prompt": "pregunta", "answer": "respuesta", "output_tokens": "tokens_de_salida"}
            | {"cost_usd": "coste_total"},
        ),
    ],
)
def test_places_are_found_under_compound_names(row: dict[str, Any], places: dict[str, str], tmp_path: Path) -> None:
    assert proposed(tmp_path, row, row) == places


def test_the_last_turn_of_a_conversation_is_its_answer(tmp_path: Path) -> None:
    row = {"ts": TIME, "turns": [*ASKED, {"role": "assistant", "content": "billing"}], "model": "m"}
    log = write_log(tmp_path / "log", [json.dumps(row).encode()] * 2)
    suggestion = suggest.suggest(str(log))
    assert (suggestion.readable, suggestion.reasons) == (2, {})


def test_rows_without_an_answer_are_not_readable(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", [json.dumps({"ts": TIME, "prompt": "q", "tagged": "a"}).encode()] * 2)
    suggestion = suggest.suggest(str(log))
    assert (suggestion.readable, suggestion.reasons) == (0, {"no answer found": 2})


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


def test_values_with_their_types_are_read_at_the_places_of_plain_ones(tmp_path: Path) -> None:
    row = {"at": {"$date": TIME}, "prompt": "q", "answer": "a", "in_tokens": {"$numberInt": "20"}}
    assert proposed(tmp_path, row, row)["input_tokens"] == "in_tokens"
    mapping = suggest.suggest(str(tmp_path / "log")).mapping
    usage = mapped.FORMAT.reader(mapping)(json.dumps(row).encode()).record.usage
    assert usage is not None
    assert usage.input_uncached == 20


GATEWAY = {
    "event_time": "30/11/2026 14:05:11.250", "corr_id": "c1", "service_name": "inbox", "use_case": "inbox.triage",
    "vendor_model": "gpt-4o", "sys_text": "Sort the message.", "user_text": "q", "bot_text": "a", "tok_in": "20",
    "tok_out": "3", "account_ref": "acme",
}  # fmt: skip


def of_rows(folder: Path, *rows: dict[str, Any]) -> suggest.Suggestion:
    return suggest.suggest(str(write_log(folder / "log", [json.dumps(row).encode() for row in rows])))


def test_places_are_found_under_abbreviated_names(tmp_path: Path) -> None:
    mapping = of_rows(tmp_path, GATEWAY, GATEWAY).mapping
    record = mapping.record
    assert record is not None
    assert (record.system, record.prompt, record.answer) == (("sys_text",), ("user_text",), ("bot_text",))
    assert (record.input_tokens, record.output_tokens, record.id) == (("tok_in",), ("tok_out",), ("corr_id",))
    assert (mapping.feature, mapping.customer_id) == (("service_name",), ("account_ref",))


def test_the_order_of_day_and_month_is_proposed_where_the_sample_shows_it(tmp_path: Path) -> None:
    early = GATEWAY | {"event_time": "02/11/2026 09:00:00.000"}
    suggestion = of_rows(tmp_path, early, GATEWAY)
    record = suggestion.mapping.record
    assert record is not None
    assert (record.time, record.time_format) == (("event_time",), "%d/%m/%Y %H:%M:%S.%f")
    assert (suggestion.readable, suggestion.missing) == (2, ())


def test_a_time_of_unknown_order_is_left_to_the_user(tmp_path: Path) -> None:
    early = GATEWAY | {"event_time": "02/11/2026 09:00:00.000"}
    suggestion = of_rows(tmp_path, early, early)
    assert suggestion.missing == ("time",)
    assert suggestion.unused == {"event_time": "02/11/2026 09:00:00.000"}


def test_values_without_a_place_are_listed_with_an_example(tmp_path: Path) -> None:
    row = {"question": "q", "reply": "a", "zone": "eu", "more": {"x": 1}}
    suggestion = of_rows(tmp_path, row, row)
    assert suggestion.unused == {"zone": "eu", "more.x": "1"}
    assert suggestion.missing == ("time", "model", "input_tokens", "output_tokens", "call_site")
