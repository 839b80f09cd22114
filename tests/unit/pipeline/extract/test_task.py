import json
from collections import Counter
from typing import Any

import pytest

from pipeline.extract.config import ExtractConfig
from pipeline.extract.rows import Row
from pipeline.extract.task import discover_checks, request_type_of
from tests.fakes.call_site_rows import SYSTEM, row
from traffic.callsites import CallSite, Checks
from traffic.record import Params
from traffic.templates import find_templates

SCHEMA = {"type": "object", "required": ["size"], "properties": {"size": {"type": "string"}}}


def stated(schema: dict[str, Any]) -> str:
    return json.dumps({"type": "json_schema", "json_schema": {"name": "bike", "schema": schema}})


def checks_of(rows: list[Row], request_type: Any = "extraction", entry: CallSite | None = None, **config: Any) -> Any:
    templates = find_templates([r.messages for r in rows])
    return discover_checks(rows, templates, request_type, entry, ExtractConfig(**config))


def test_checks_of_the_registry_take_precedence() -> None:
    entry = CallSite(name="shop.topic", checks=Checks(labels=("a", "b")))
    checks = checks_of([row(n) for n in range(20)], "intent", entry)
    assert checks.checks == entry.checks
    assert "entry" in checks.source


def test_a_classification_task_gets_the_labels_of_its_prompt() -> None:
    labels = ("brakes", "delivery", "gears", "opening_hours", "refund")
    rows = [row(n, answer=labels[n % 5]) for n in range(50)]
    assert checks_of(rows, "intent").checks.labels == (*labels, "wheels")
    assert "wheels" in SYSTEM


@pytest.mark.parametrize(
    "other",
    [
        {"guided_choice": ["stop", "go"]},
        {"structured_outputs": {"choice": ["go", "stop"]}},
        {"extra_body": {"guided_choice": ["go", "stop"]}},
    ],
)
def test_the_choice_that_requests_state_is_the_label_set(other: dict[str, Any]) -> None:
    rows = [row(n, answer="go", params=Params(other=other)) for n in range(20)]
    assert checks_of(rows, "generation").checks == Checks(labels=("go", "stop"))
    rows[0].params = rows[1].params = rows[2].params = Params()
    assert checks_of(rows, "generation").checks == Checks()


def test_labels_of_the_prompt_take_precedence_over_json_answers() -> None:
    labels = ("brakes", "delivery", "gears", "opening_hours", "refund")
    rows = [row(n, answer=labels[n % 5] if n % 2 else json.dumps({"label": labels[n % 5]})) for n in range(50)]
    assert checks_of(rows, "intent").checks.labels == (*labels, "wheels")


def test_broken_json_answers_do_not_make_the_task_free_text() -> None:
    rows = [row(n, answer='{"size": NaN}' if n % 2 else json.dumps({"size": f"{n} cm"})) for n in range(50)]
    assert checks_of(rows, "extraction").checks.json


def test_a_frequent_refusal_is_no_label() -> None:
    answers = ("yes", "no", "I'm sorry, but I can't help with that.")
    rows = [row(n, answer=answers[n % 3]) for n in range(60)]
    assert checks_of(rows, "intent").checks.labels == ("no", "yes")


def test_label_sets_of_the_prompt_apply_to_every_request_type() -> None:
    labels = ("brakes", "delivery", "gears", "opening_hours", "refund")
    rows = [row(n, answer=", ".join({labels[n % 5], labels[(n // 5) % 5]})) for n in range(60)]
    assert checks_of(rows, "extraction").checks.multiple == "comma"
    strange = [row(n, answer=", ".join({f"item{n % 5}", f"item{(n // 5) % 5}"})) for n in range(60)]
    assert checks_of(strange, "extraction").checks == Checks()


def test_discovery_of_checks_can_be_disabled() -> None:
    assert checks_of([row(n) for n in range(50)], "intent", discover_checks=False).checks == Checks()


def test_a_schema_stated_by_requests_becomes_the_check() -> None:
    rows = [row(n, answer='{"size":"M"}', response_format=stated(SCHEMA) if n % 2 else None) for n in range(40)]
    checks = checks_of(rows)
    assert checks.checks == Checks(json=True, json_schema=SCHEMA)
    assert checks.source == "the JSON schema that 20 of 40 requests state"


def test_varying_schemas_give_only_a_json_check() -> None:
    other = SCHEMA | {"required": []}
    rows = [row(n, answer='{"size":"M"}', response_format=stated(other if n % 2 else SCHEMA)) for n in range(40)]
    checks = checks_of(rows)
    assert checks.checks == Checks(json=True)
    assert "2 different schemas" in checks.source


def test_a_schema_that_answers_violate_is_not_used() -> None:
    rows = [row(n, answer='{"length":3}', response_format=stated(SCHEMA)) for n in range(40)]
    checks = checks_of(rows)
    assert checks.checks == Checks(json=True)
    assert "0 of 40" in checks.source


def test_json_answers_without_a_schema_get_a_json_check() -> None:
    assert checks_of([row(n, answer='{"a":1}') for n in range(9)]).checks == Checks(json=True)


def test_free_text_is_checked_for_refusals_only() -> None:
    assert checks_of([row(n, answer=f"rewritten {n}") for n in range(9)], "rewrite").checks == Checks()


def test_the_request_type_comes_from_settings_registry_log_or_rules_in_this_order() -> None:
    logged = [row(n, request_type="moderation") for n in range(3)]
    entry = CallSite(name="shop.topic", request_type="intent")
    by_rules: Any = Counter(classification=9)
    assert request_type_of(logged, entry, ExtractConfig(request_type="rewrite"), by_rules) == "rewrite"
    assert request_type_of(logged, entry, ExtractConfig(), by_rules) == "intent"
    assert request_type_of(logged, None, ExtractConfig(), by_rules) == "moderation"
    assert request_type_of([row(1, request_type="no such type")], None, ExtractConfig(), by_rules) == "classification"


@pytest.mark.parametrize(
    "answers",
    [
        ['[{"b": 1, "a": 2}]', "[]", '[{"a": 3, "b": 2}]', "I found none."],
        ['["Ana", "Bo"]', '["Cy"]', '```json\n["Di", "Ed"]\n```', "[1]"],
    ],
)
def test_answers_that_are_lists_of_json_must_be_lists(answers: list[str]) -> None:
    found = checks_of([row(n, answer=answers[n % 4] + " " * (n % 2)) for n in range(40)])
    assert found.checks == Checks(json_schema={"type": "array"})


def test_single_values_are_free_text() -> None:
    assert checks_of([row(n, answer=("Rome", "12", "[unknown]")[n % 3]) for n in range(40)]).checks == Checks()
