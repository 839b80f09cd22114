"""Answers and prompts that stand in files of their own."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline import ingest, store
from traffic.artifacts import Home

Rows = Sequence[dict[str, Any]]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def written(path: Path, rows: Rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def completion(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
    return {
        "id": f"chatcmpl-{text}",
        "object": "chat.completion",
        "created": 1_780_000_000,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }


def openai_batch(folder: Path, name: str, words: Sequence[str], *, asked: str = "say") -> None:
    bodies = [{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"{asked} {w}"}]} for w in words]
    inputs = [
        {"custom_id": f"request-{n}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        for n, body in enumerate(bodies)
    ]
    outputs = [
        {
            "id": f"batch_{name}_{n}",
            "custom_id": f"request-{n}",
            "response": {"status_code": 200, "body": completion(w)},
        }
        for n, w in enumerate(words)
    ]
    written(folder / f"{name}_output.jsonl", list(reversed(outputs)))
    written(folder / f"{name}_input.jsonl", inputs)


def texts(home: Home) -> list[tuple[str | None, str]]:
    query = "select messages->>'$[0].content', output.text from records order by 2"
    return store.connect(home).execute(query).fetchall()


def test_answers_of_an_openai_batch_get_the_prompts_of_its_input_file(home: Home, tmp_path: Path) -> None:
    openai_batch(tmp_path / "logs", "a", ["one", "two"])
    summary = ingest.run([tmp_path / "logs"], home=home)
    assert (summary.read, summary.accepted, summary.passed_over) == (2, 2, {"batch input": 2})
    assert texts(home) == [("say one", "one"), ("say two", "two")]
    assert ingest.run([tmp_path / "logs"], home=home).read == 0
    assert not (home.records / "_companions").exists()


def test_batches_that_use_the_same_ids_keep_their_own_prompts(home: Home, tmp_path: Path) -> None:
    openai_batch(tmp_path / "logs", "a", ["one", "two", "three"])
    openai_batch(tmp_path / "logs", "b", ["four", "five"], asked="write")
    summary = ingest.run([tmp_path / "logs"], home=home)
    # Both inputs have the ids of the shorter output: nothing says which of them it answers.
    assert texts(home) == [
        (None, "five"),
        (None, "four"),
        ("say one", "one"),
        ("say three", "three"),
        ("say two", "two"),
    ]
    assert any("several" in note for note in summary.notes)


def test_results_of_an_anthropic_batch_get_the_prompts_of_its_requests(home: Home, tmp_path: Path) -> None:
    params = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "say one"}]}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5",
        "stop_reason": "end_turn",
    }
    message |= {"content": [{"type": "text", "text": "one"}], "usage": {"input_tokens": 9, "output_tokens": 1}}
    written(tmp_path / "logs" / "1.jsonl", [{"custom_id": "x", "result": {"type": "succeeded", "message": message}}])
    written(tmp_path / "logs" / "2.jsonl", [{"custom_id": "x", "params": params}])
    assert ingest.run([tmp_path / "logs"], home=home).accepted == 1
    assert texts(home) == [("say one", "one")]


@pytest.mark.parametrize("as_lists", [False, True])
def test_stored_completions_get_their_messages_from_other_files(home: Home, tmp_path: Path, as_lists: bool) -> None:
    messages = {
        word: [
            {"id": f"chatcmpl-{word}-1", "role": "user", "content": f"say {word}"},
            {"id": f"chatcmpl-{word}-0", "role": "system", "content": f"Repeat. {word}"},
        ]
        for word in ("one", "two")
    }
    for word, rows in messages.items():
        written(tmp_path / "logs" / f"{word}.jsonl", [{"object": "list", "data": rows}] if as_lists else rows)
    written(tmp_path / "logs" / "completions.jsonl", [completion("one"), completion("two"), completion("three")])
    summary = ingest.run([tmp_path / "logs"], home=home)
    assert (summary.accepted, summary.rejected) == (3, 0)
    assert texts(home) == [("Repeat. one", "one"), (None, "three"), ("Repeat. two", "two")]


@pytest.mark.parametrize("as_trace", [False, True])
def test_a_langfuse_generation_around_another_is_not_counted_again(home: Home, tmp_path: Path, as_trace: bool) -> None:
    def observation(name: str, kind: str, parent: str | None) -> dict[str, Any]:
        row = {"id": name, "type": kind, "traceId": "t", "parentObservationId": parent, "name": name}
        row |= {"startTime": "2026-11-01T08:00:00Z", "endTime": "2026-11-01T08:00:01Z", "model": "gpt-4o-mini"}
        row |= {"input": [{"role": "user", "content": "say one"}], "output": {"role": "assistant", "content": "one"}}
        return row | {"usageDetails": {"input": 9, "output": 1, "total": 10}}

    rows = [
        observation("agent", "SPAN", None),
        observation("outer", "GENERATION", "agent"),
        observation("inner", "GENERATION", "outer"),
        observation("alone", "GENERATION", "agent"),
        observation("far-inner", "GENERATION", "step"),
        observation("far-outer", "GENERATION", "agent"),
        observation("chain", "CHAIN", "far-outer"),
        observation("step", "SPAN", "chain"),
    ]
    lines = [{"id": "t", "observations": rows}] if as_trace else rows
    summary = ingest.run([written(tmp_path / "log.jsonl", lines)], home=home)
    assert summary.passed_over == {"SPAN": 2, "CHAIN": 1, "GENERATION around others": 2}
    ids = store.connect(home).execute("select id from records order by 1").fetchall()
    assert ids == [("alone",), ("far-inner",), ("inner",)]


def test_tags_consent_and_scores_of_a_trace_may_be_in_files_of_their_own(home: Home, tmp_path: Path) -> None:
    moment = "2026-11-01 08:00:00.000000"
    generation = {"id": "g", "trace_id": "t", "type": "GENERATION", "start_time": moment, "end_time": moment}
    generation |= {"input": "say one", "output": "one", "provided_model_name": "gpt-4o-mini", "user_id": None}
    trace = {"id": "t", "timestamp": moment, "name": "chat", "user_id": None, "public": False, "tags": []}
    score = {"id": "s", "trace_id": "t", "name": "user-feedback", "value": 1, "source": "API", "data_type": "NUMERIC"}
    tags = {"user_id": "ann", "session_id": "s1", "tags": ["plan:pro"], "metadata": {"allow_training": "false"}}
    folder = tmp_path / "export"
    written(folder / "observations" / "1.jsonl", [generation])
    written(folder / "scores" / "1.jsonl", [score | {"observation_id": "other", "value": 0}, score])
    written(folder / "traces" / "1.jsonl", [trace, trace | tags])
    summary = ingest.run([folder], home=home)
    assert summary.passed_over == {"trace": 2, "score": 2}
    stored = store.connect(home)
    found = stored.execute("select user_id, session_id, cohort['plan'], cohort['training'] from records").fetchall()
    assert found == [("ann", "s1", "pro", "false")]
    assert stored.execute("select thumb from feedback").fetchall() == [("up",)]


def test_scores_in_a_file_of_their_own_leave_the_tags_of_whole_traces(home: Home, tmp_path: Path) -> None:
    moment = "2026-11-01T08:00:00Z"
    generation = {"id": "g", "traceId": "t", "type": "GENERATION", "startTime": moment, "input": "say one"}
    trace = {"id": "t", "metadata": {"allow_training": "false"}, "observations": [generation | {"output": "one"}]}
    score = {"id": "s", "traceId": "t", "name": "user-feedback", "value": 0, "source": "API", "dataType": "BOOLEAN"}
    written(tmp_path / "log" / "traces.jsonl", [trace])
    written(tmp_path / "log" / "scores.jsonl", [score])
    ingest.run([tmp_path / "log"], home=home)
    stored = store.connect(home)
    assert stored.execute("select cohort['training'] from records").fetchall() == [("false",)]
    assert stored.execute("select thumb from feedback").fetchall() == [("down",)]


def test_a_damaged_line_costs_only_itself(home: Home, tmp_path: Path) -> None:
    attributes = [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o-mini"}},
        {"key": "gen_ai.input.messages", "value": {"stringValue": '[{"role": "user", "content": "say a"}]'}},
        {"key": "gen_ai.output.messages", "value": {"stringValue": '[{"role": "assistant", "content": "a"}]'}},
    ]
    span = {"spanId": "1", "traceId": "1", "startTimeUnixNano": "1780000000000000000", "attributes": attributes}
    log = written(
        tmp_path / "spans.jsonl",
        [{"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}, {"resourceSpans": "cut"}, {"resourceSpans": [7]}],
    )
    summary = ingest.run([log], home=home, processes=1)
    assert (summary.accepted, summary.reasons) == (1, {"wrong_types": 1})


def test_an_input_that_comes_after_its_answers_completes_them(tmp_path: Path, home: Home) -> None:
    openai_batch(tmp_path / "in", "a", ["red", "blue"])
    output, given = tmp_path / "in" / "a_output.jsonl", tmp_path / "in" / "a_input.jsonl"
    first = ingest.run([output], home=home, processes=1)
    assert (first.accepted, first.waiting) == (2, {str(output): 2})
    assert texts(home) == [(None, "blue"), (None, "red")]
    later = ingest.run([given], home=home, processes=1)
    assert (later.read, later.accepted, later.already_known, later.completed, later.waiting) == (2, 0, 2, 2, {})
    assert texts(home) == [("say blue", "blue"), ("say red", "red")]
    assert ingest.run([tmp_path / "in"], home=home, processes=1).read == 0
    tokens = store.connect(home).execute("select sum(usage.input_uncached + usage.output) from records").fetchall()
    assert tokens == [(20,)]


def test_an_output_that_comes_after_its_input_gets_its_prompts(tmp_path: Path, home: Home) -> None:
    openai_batch(tmp_path / "in", "a", ["red", "blue"])
    output, given = tmp_path / "in" / "a_output.jsonl", tmp_path / "in" / "a_input.jsonl"
    first = ingest.run([given], home=home, processes=1)
    assert (first.accepted, first.waiting) == (0, {str(given): 2})
    later = ingest.run([output], home=home, processes=1)
    assert (later.accepted, later.waiting) == (2, {})
    assert texts(home) == [("say blue", "blue"), ("say red", "red")]


def test_what_waits_is_completed_file_by_file(tmp_path: Path, home: Home) -> None:
    openai_batch(tmp_path / "in", "a", ["red", "blue"])
    openai_batch(tmp_path / "in", "b", ["one", "two", "six"], asked="write")
    for name in ("a_output", "b_output"):
        ingest.run([tmp_path / "in" / f"{name}.jsonl"], home=home, processes=1)
    # The input of three requests has the ids of both outputs, but is no input of two answers.
    later = ingest.run([tmp_path / "in" / "b_input.jsonl"], home=home, processes=1)
    assert later.completed == 3
    assert texts(home) == [
        (None, "blue"),
        ("write one", "one"),
        (None, "red"),
        ("write six", "six"),
        ("write two", "two"),
    ]
    assert ingest.run([tmp_path / "in" / "a_input.jsonl"], home=home, processes=1).completed == 2
    assert all(prompt for prompt, _ in texts(home))


def test_answers_of_this_ingest_go_before_those_that_wait(tmp_path: Path, home: Home) -> None:
    openai_batch(tmp_path / "old", "a", ["red", "blue"])
    openai_batch(tmp_path / "new", "b", ["one", "two"], asked="write")
    ingest.run([tmp_path / "old" / "a_output.jsonl"], home=home, processes=1)
    later = ingest.run([tmp_path / "new"], home=home, processes=1)
    assert (later.completed, list(later.waiting.values())) == (0, [2])
    assert texts(home) == [(None, "blue"), ("write one", "one"), (None, "red"), ("write two", "two")]


def test_messages_of_stored_completions_may_come_later(tmp_path: Path, home: Home) -> None:
    ingest.run([written(tmp_path / "a.jsonl", [completion("one"), completion("two")])], home=home, processes=1)
    message = {"id": "chatcmpl-one-0", "role": "user", "content": "say one"}
    later = ingest.run([written(tmp_path / "b.jsonl", [message])], home=home, processes=1)
    assert (later.completed, sum(later.waiting.values())) == (1, 1)
    assert texts(home) == [("say one", "one"), (None, "two")]


@pytest.mark.parametrize("step", ["ready", "linked", "renamed records", "renamed waiting"])
def test_a_run_that_is_killed_leaves_what_waits_and_the_next_completes_it(
    tmp_path: Path, home: Home, step: str
) -> None:
    openai_batch(tmp_path / "in", "a", ["red", "blue"])
    openai_batch(tmp_path / "in", "b", ["one"], asked="write")
    ingest.run([tmp_path / "in" / "a_output.jsonl"], home=home, processes=1)

    def kill(name: str) -> None:
        if name == step:
            raise KeyboardInterrupt

    sources = [tmp_path / "in" / "a_input.jsonl"]
    if step == "renamed waiting":
        sources = [tmp_path / "in" / "b_input.jsonl"]
    with pytest.raises(KeyboardInterrupt):
        ingest.run(sources, home=home, processes=1, on_step=kill)
    assert texts(home) == [(None, "blue"), (None, "red")]
    assert ingest.run([tmp_path / "in" / "a_input.jsonl"], home=home, processes=1).completed == 2
    assert texts(home) == [("say blue", "blue"), ("say red", "red")]


def test_an_input_may_come_before_or_behind_its_answers(tmp_path: Path, home: Home) -> None:
    openai_batch(tmp_path / "in", "a", ["red", "blue"])
    (tmp_path / "in" / "a_output.jsonl").rename(tmp_path / "in" / "0.jsonl")
    summary = ingest.run([tmp_path / "in"], home=home, processes=1)
    assert not summary.waiting
    assert texts(home) == [("say blue", "blue"), ("say red", "red")]


def test_scores_of_no_trace_are_those_of_no_generation(home: Home, tmp_path: Path) -> None:
    moment = "2026-11-01T08:00:00Z"
    generation = {"id": "g", "traceId": None, "type": "GENERATION", "startTime": moment, "input": "say one"}
    score = {"name": "user-feedback", "value": 0, "source": "API", "dataType": "BOOLEAN", "traceId": None}
    written(tmp_path / "log" / "generations.jsonl", [generation | {"output": "one"}])
    written(tmp_path / "log" / "scores.jsonl", [score | {"id": "s", "sessionId": "of another customer"}])
    ingest.run([tmp_path / "log"], home=home)
    assert store.connect(home).execute("select thumb from feedback").fetchall() == []


def test_a_langfuse_row_with_a_trace_of_another_type_is_read(home: Home, tmp_path: Path) -> None:
    moment = "2026-11-01T08:00:00Z"
    generation = {"id": "g", "traceId": "t", "type": "GENERATION", "startTime": moment, "input": "a", "output": "b"}
    score = {"id": "s", "traceId": "t", "name": "user-feedback", "value": 0, "source": "API", "dataType": "BOOLEAN"}
    summary = ingest.run([written(tmp_path / "log.jsonl", [generation | {"_trace": 5}, score])], home=home)
    assert summary.accepted == 1
