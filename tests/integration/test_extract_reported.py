"""Logs as bug reports show them, through ingest and extract: how many rows each leaves, and which labels."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.extract import ExtractConfig
from tests.integration.test_extract_answers import SCHEMA, TOPICS, Change, answer, extracted

COUNT = 120
Line = dict[str, Any]


class Case(NamedTuple):
    """How each row differs from a plain one, and what the dataset holds."""

    name: str
    change: Change
    rows: int = COUNT
    labels: set[str] | None = None
    schema: dict[str, Any] | None = None
    """Of an extracting task."""


def tagged(tags: Callable[[int], dict[str, Any]]) -> Change:
    return lambda n, line: line["request"]["metadata"].update(tags(n))


def asked(*forms: str, answers: tuple[str, ...] = ()) -> Change:
    """Each text in every form in turn. Answers in turn as well; one for all forms where there are none."""

    def change(n: int, line: Line) -> None:
        line["request"]["messages"][1]["content"] = forms[n % len(forms)].format(n // len(forms) + 3)
        answer(line, content=answers[n % len(answers)] if answers else TOPICS[n // len(forms) % 3])

    return change


def answered(system: str, *forms: str) -> Change:
    def change(n: int, line: Line) -> None:
        line["request"]["messages"][0]["content"] = system
        answer(line, content=forms[n % len(forms)])

    return change


def finished(*reasons: str) -> Change:
    return lambda n, line: line["response"]["choices"][0].update(finish_reason=reasons[n % len(reasons)])


def gemini_call(n: int, line: Line) -> None:
    line["metadata"] = line["request"].pop("metadata")
    line["request"] = {
        "model": "open-70b",
        "contents": [{"role": "user", "parts": [{"text": f"note {n} on a {n * 7919} matter"}]}],
        "tools": [{"functionDeclarations": [{"name": name, "parameters": SCHEMA} for name in ("Topic", "Other")]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["Topic"]}},
    }
    part = {"functionCall": {"name": "Topic", "args": {"topic": TOPICS[n % 3]}}}
    line["response"] = {"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}]}


def responses_call(n: int, line: Line) -> None:
    line["request"] |= {
        "input": line["request"].pop("messages")[1]["content"],
        "tools": [{"type": "function", "name": "Topic", "parameters": SCHEMA}],
        "tool_choice": {"type": "function", "name": "Topic"},
    }
    call = {"type": "function_call", "call_id": "c", "name": "Topic", "arguments": json.dumps({"topic": TOPICS[n % 3]})}
    line["response"] = {"id": f"resp_{n}", "object": "response", "status": "completed", "output": [call]}


CASES = [
    Case("opt-outs-in-other-words", tagged(lambda n: {"opt_out": ["ja", "Y", "N", "off"][n % 4]}), 60),
    Case("consent-that-contradicts-itself", tagged(lambda n: {"consent": "true", "optOut": n % 3 == 0}), 80),
    Case("consent-by-purpose", tagged(lambda n: {"consent": ["ads", "training"] if n % 3 else ["ads"]}), 80),
    Case("consent-inside-an-object", tagged(lambda n: {"privacy": {"allowTraining": n % 3 != 0}}), 80),
    Case("negations", asked("I did pay invoice {}", "I did not pay invoice {}")),
    Case("units", asked("Give the patient {} mg", "Give the patient {} g")),
    Case("signs", asked("Move it by {} points", "Move it by -{} points")),
    Case("amounts-in-brackets", asked("Booking of {}.20 today", "Booking of ({}.20) today")),
    Case("comparisons", asked("values = {}", "values != {}")),
    Case("powers-decide", asked("It is 10² and {}", "It is 102 and {}", answers=("billing", "other"))),
    Case("signed-labels", answered("Rate it: -1, 0 or 1.", "-1", "0", "+1", "-1.", "1"), labels={"-1", "0", "1"}),
    Case(
        "letters-of-options",
        answered("Choose:\n(a) billing\n(b) delivery\n(c) other", "a", "(b)", "c)", "A", "b", "c"),
        labels={"a", "b", "c"},
    ),
    Case("endings-of-today", finished("stop", "pause_turn", "model_context_window_exceeded", "end_turn"), 60),
    Case("forced-call-of-gemini", gemini_call, schema=SCHEMA),
    Case("forced-call-of-the-responses-api", responses_call, schema=SCHEMA),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rows_labels_and_schema_are_those_that_the_log_allows(case: Case, tmp_path: Path) -> None:
    config = ExtractConfig(
        tier="any", min_rows=20, request_type="classification" if case.schema is None else "extraction"
    )
    card, rows = extracted(tmp_path, case.change, config, count=COUNT)
    assert len(rows) == case.rows
    if case.labels is not None:
        assert set(card.labels) == case.labels
    assert card.call_sites["desk.topic"].checks.json_schema == case.schema
