"""Logs as bug reports show them, through ingest and extract: how many rows each leaves, and which labels."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from pipeline import dataset as datasets
from pipeline.dataset import TaskDataset
from pipeline.extract import ExtractConfig
from pipeline.extract.config import RightsConfig
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


def said(*forms: str) -> Change:
    """The answer in every form in turn; `{}` is the label."""
    return lambda n, line: answer(line, content=forms[n % len(forms)].format(TOPICS[n % 3]))


def any_of_one_tool(n: int, line: Line) -> None:
    """Anthropic's way to force a call: any tool, and there is one."""
    line["metadata"] = line["request"].pop("metadata")
    line["request"] = {
        "model": "open-70b",
        "max_tokens": 99,
        "messages": line["request"]["messages"][1:],
        "tools": [{"name": "Topic", "input_schema": SCHEMA}],
        "tool_choice": {"type": "any"},
    }
    call = {"type": "tool_use", "id": f"t{n}", "name": "Topic", "input": {"topic": TOPICS[n % 3]}}
    line["response"] = {
        "id": f"m{n}",
        "type": "message",
        "role": "assistant",
        "content": [call],
        "stop_reason": "tool_use",
    }


def purposes(n: int) -> dict[str, Any]:
    return {"consents": [{"purpose": "analytics", "granted": True}, {"purpose": "training", "granted": n % 3 != 0}]}


def consented(**more: Any) -> Change:
    """Consent with more about it in every third row."""
    return tagged(lambda n: {"training": {"granted": True} | (more if n % 3 == 0 else {})})


def in_french(n: int, line: Line) -> None:
    labels = ("r\u00e9clamation", "livraison", "autre")
    line["request"]["messages"][0]["content"] = "Nommez le sujet : r\u00e9clamation, livraison ou autre."
    label = labels[n % 3]
    answer(line, content=unicodedata.normalize("NFD", label) if n % 2 else label)


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


def continued(n: int, line: Line) -> None:
    """Every other request leaves a part of its prompt with the provider."""
    elsewhere = (
        {"previous_response_id": "r"},
        {"conversation": {"id": "c"}},
        {"cachedContent": "x"},
        {"prompt": {"id": "p"}},
    )
    if n % 2:
        line["request"] |= elsewhere[n // 2 % 4]
    if "prompt" in line["request"]:
        line["request"]["input"] = line["request"].pop("messages")


def prefilled(n: int, line: Line) -> None:
    """Every other prompt begins the answer itself, as Anthropic's API allows; the log has the rest of it."""
    if n % 2:
        line["request"]["messages"].append({"role": "assistant", "content": "The topic is"})


def in_headers(n: int, line: Line) -> None:
    line["headers"] = {"Host": "x", "User-Agent": "y", "X-Acme-Do-Not-Train": "1" if n % 3 == 0 else "0"}


ANY_JSON: dict[str, Any] = {}
"""Stands for an extracting task without a schema."""


def answered_json(*forms: str) -> Change:
    def change(n: int, line: Line) -> None:
        line["request"]["messages"][0]["content"] = "Write the topic as JSON."
        answer(line, content=forms[n % len(forms)].format(TOPICS[n // 2 % 3]))

    return change


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
    Case("any-of-one-tool", any_of_one_tool, schema=SCHEMA),
    Case("only-the-end-of-the-thinking", said("hm, money</think>\n\n{}"), labels=set(TOPICS)),
    Case("thinking-that-never-ends", said("{}", "{}", "{}", "<think>hm, it may be {}"), 90, labels=set(TOPICS)),
    Case(
        "channels-of-harmony",
        said("{}", "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>{}"),
        labels=set(TOPICS),
    ),
    Case("accents-in-two-forms", in_french, labels={"r\u00e9clamation", "livraison", "autre"}),
    Case("labels-in-bold-and-behind-their-name", said("**{}**", "Topic: {}", "{}", "Label: {}"), labels=set(TOPICS)),
    Case("consent-that-was-withdrawn", consented(withdrawn_at="2026-08-01T00:00:00Z"), 80),
    Case("consent-that-has-expired", consented(expires_at="2026-01-01T00:00:00Z"), 80),
    Case("consent-by-purpose-in-objects", tagged(purposes), 80),
    Case("emoji-decide", asked("Visit {} was \U0001f44d", "Visit {} was \U0001f44e", answers=("billing", "other"))),
    Case("languages-of-one-letter", asked("Port library {} to C", "Port library {} to C++", "Port library {} to C#")),
    Case("days-and-months", asked("Book {:02}/01/2026", "Book 01/{:02}/2026", answers=("billing", "other"))),
    Case("prompts-of-which-a-part-stays-with-the-provider", continued, 60),
    Case("prompts-that-begin-the-answer", prefilled, 60),
    Case("opt-outs-in-headers", in_headers, 80),
    Case("thinking-of-a-named-kind", said("<seed:think>hm</seed:think>{}", "{}"), labels=set(TOPICS)),
    Case(
        "labels-in-lists-and-with-ticks",
        said("{}", "{}", "1. {}", "- {}", "{} \u2705"),
        labels=set(TOPICS),
    ),
    Case("tokens-that-end-the-answer", said("{}", "{}<|im_end|>", "{}</s>", "{}<|eot_id|>\n"), labels=set(TOPICS)),
    Case("answers-with-nan", answered_json('{{"topic": "{}"}}', '{{"topic": NaN}}'), 60, schema=ANY_JSON),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rows_labels_and_schema_match_the_reported_log(case: Case, tmp_path: Path) -> None:
    config = ExtractConfig(
        tier="any", min_rows=20, request_type="classification" if case.schema is None else "extraction"
    )
    card, rows = extracted(tmp_path, case.change, config, count=COUNT)
    assert len(rows) == case.rows
    if case.labels is not None:
        assert set(card.labels) == case.labels
    assert (card.call_sites["desk.topic"].checks.json_schema or None) == (case.schema or None)


def splits_of(card: TaskDataset, tmp_path: Path) -> dict[str, set[str]]:
    folder = next((tmp_path / "home" / "datasets").iterdir())
    return {
        split: {row["record_id"] for row in datasets.read_split(folder, split).to_pylist()} for split in datasets.SPLITS
    }


CONFIG = ExtractConfig(tier="any", min_rows=20, request_type="classification")


def test_turns_of_an_untagged_conversation_stay_together(tmp_path: Path) -> None:
    def change(n: int, line: Line) -> None:
        talk, turn = n // 3, n % 3
        turns = [{"role": "system", "content": line["request"]["messages"][0]["content"]}]
        for earlier in range(turn + 1):
            turns.append({"role": "user", "content": f"talk {talk * 7919} says its point {earlier} about {talk * 31}"})
            if earlier < turn:
                turns.append({"role": "assistant", "content": TOPICS[earlier]})
        line["request"]["messages"] = turns
        line["response"]["id"] = f"{talk}-{turn}"

    card, _ = extracted(tmp_path, change, CONFIG, count=COUNT)
    where: dict[str, set[str]] = {}
    for split, ids in splits_of(card, tmp_path).items():
        for name in ids:
            where.setdefault(name.split("-")[0], set()).add(split)
    assert {len(splits) for splits in where.values()} == {1}


def test_rows_with_equal_times_are_split(tmp_path: Path) -> None:
    card, rows = extracted(tmp_path, lambda n, line: line.update(timestamp="2026-09-01T00:00:00Z"), CONFIG, count=COUNT)
    assert len(rows) == COUNT
    assert all(splits_of(card, tmp_path).values())


@pytest.mark.parametrize("logged, listed", [("user{}@mail.example", " User{}@Mail.example "), ("10{}", "10{}.0")])
def test_opt_out_ids_match_in_any_spelling(logged: str, listed: str, tmp_path: Path) -> None:
    opted = tmp_path / "optout.csv"
    opted.write_text("user_id\n" + "".join(listed.format(n) + "\n" for n in range(0, COUNT, 4)))

    def change(n: int, line: Line) -> None:
        line["request"]["user"] = logged.format(n)

    config = msgspec.structs.replace(CONFIG, rights=RightsConfig(opted_out=str(opted)))
    _, rows = extracted(tmp_path, change, config, count=COUNT)
    assert len(rows) == COUNT - COUNT // 4
