"""Requests and answers on rows of their own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import ingest, store
from pipeline.ingest import correlation
from pipeline.ingest.correlation import half_of, ids_of, joinings, keys_of
from tests.fakes import reported
from tests.fakes.growth import assert_linear
from tests.fakes.reported import ASK, CLAUDE, CLAUDE_ASK, REQUEST, TIME, Case, chat, jsonl, topic
from traffic.artifacts import Home
from traffic.errors import UnknownFormat

LATER = "2026-10-05T09:30:02+00:00"


def halves(asked: dict[str, Any], answered: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    return [
        {"request_id": "q1", "timestamp": TIME} | asked | fields,
        {"request_id": "q1", "timestamp": LATER} | answered,
    ]


def other(number: int) -> list[dict[str, Any]]:
    asked = {"request": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"text {number}"}]}}
    rows = [asked, {"response": chat(f"answer {number}", id=f"c{number}")}]
    return [{"request_id": f"r{number}", "timestamp": f"2026-10-05T09:{number:02}:00Z"} | row for row in rows]


BODIES = halves({"type": "request", "body": REQUEST}, {"type": "response", "body": chat()})
CASES = [
    Case("bodies-under-one-name", jsonl(*BODIES), [topic(ts=TIME, latency_ms=2000.0, tokens=(21, 0, 0, 3))]),
    Case("bodies-under-two-names", jsonl(*halves({"request": REQUEST}, {"response": chat()})), [topic(ts=TIME)]),
    Case("answers-first", jsonl(*reversed(BODIES)), [topic(ts=TIME, latency_ms=2000.0)]),
    Case("one-document", json.dumps(BODIES).encode(), [topic(ts=TIME)]),
    Case(
        "a-row-that-is-the-request-with-messages-in-a-text",
        jsonl(*halves({"model": "m", "messages": json.dumps(ASK)}, {"response": json.dumps(chat())})),
        [topic(ts=TIME)],
    ),
    Case("in-texts", jsonl(*({**row, "body": json.dumps(row["body"])} for row in BODIES)), [topic(ts=TIME)]),
    Case("in-a-shipper's-rows", jsonl(*({"log": json.dumps(row), "stream": "x"} for row in BODIES)), [topic(ts=TIME)]),
    Case(
        "a-row-that-is-the-request",
        jsonl(*halves({"msg": "asking"} | REQUEST, {"msg": "answered", "response": chat()}, plan="pro")),
        [topic(ts=TIME, model="gpt-4o-mini")],
    ),
    Case(
        "an-id-that-refers-to-another",
        jsonl({"id": "a", "at": TIME, "request": CLAUDE_ASK}, {"id": "b", "in_reply_to": "a", "response": CLAUDE}),
        [topic(tokens=(21, 100, 0, 3))],
    ),
    Case(
        "texts",
        jsonl(*halves({"event": "prompt", "prompt": "I was charged twice"}, {"event": "answer", "text": "billing"})),
        [{"asked": "I was charged twice", "text": "billing"}],
    ),
    Case(
        "an-error",
        jsonl(*BODIES, *halves({"body": REQUEST, "request_id": "q2"}, {"request_id": "q2", "error": "timed out"})),
        [topic(failed=False), {"asked": "I was charged twice", "failed": True, "error": "timed out"}],
    ),
    Case(
        "an-error-body",
        jsonl(
            {"kind": "request", "rid": 1, "at": TIME, "payload": REQUEST},
            {"kind": "response", "rid": 1, "at": LATER, "status": 429, "payload": {"error": {"message": "slow"}}},
        ),
        [{"asked": "I was charged twice", "status": 429}],
    ),
    Case(
        "behind-a-logger's-prefix",
        b"".join(b"2026-10-05 09:30:00 INFO " + line for line in jsonl(*BODIES).splitlines(keepends=True)),
        [topic(ts=TIME)],
    ),
    Case(
        "interleaved-with-other-lines",
        jsonl(*(r for n in range(3) for r in (other(n)[0], {"msg": "started"})), *(other(n)[1] for n in range(3))),
        [{"asked": f"text {n}", "text": f"answer {n}"} for n in range(3)],
        rejected=3,
    ),
    Case(
        "a-trace-with-several-requests",
        jsonl(*({**row, "request_id": "t"} for n in range(3) for row in other(n))),
        [{"asked": f"text {n}", "text": f"answer {n}"} for n in range(3)],
    ),
    Case(
        "requests-of-a-trace-at-the-same-time",
        jsonl(*({**other(n)[half], "request_id": "t"} for half in range(2) for n in range(2)), *other(2)),
        [{"asked": "text 0", "text": None}, {"asked": "text 1", "text": None}, {"text": "answer 2"}],
        rejected=2,
    ),
    Case(
        "an-answer-logged-twice-in-a-trace",
        jsonl(*({**other(n)[half], "request_id": "t"} for n, half in [(0, 0), (0, 1), (0, 1), (1, 0), (1, 1)])),
        [{"asked": f"text {n}", "text": f"answer {n}"} for n in range(2)],
        rejected=1,
    ),
    *(
        Case(
            f"{name}-of-training-beside-the-request",
            jsonl(*halves({"request": REQUEST, **no}, {"response": chat(), **yes})),
            [topic(consent="no")],
        )
        for name, no, yes in [
            ("a-refusal", {"training_consent": "no"}, {"training_consent": "yes"}),
            ("a-nested-refusal", {"metadata": {"training": "no"}}, {"metadata": {"training": "yes"}}),
        ]
    ),
    Case(
        "a-request-without-an-answer",
        jsonl(*other(0), other(1)[0]),
        [{"text": "answer 0"}, {"asked": "text 1", "text": None, "status": 0}],
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_halves_are_joined_by_their_id(case: Case, tmp_path: Path) -> None:
    reported.run(case, tmp_path)


def test_a_log_of_requests_alone_is_not_taken_for_halves(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(jsonl(*(other(n)[0] for n in range(3))))
    with pytest.raises(UnknownFormat):
        ingest.run([tmp_path / "log"], home=Home(tmp_path / "home"))


def test_ids_that_no_answer_has_join_nothing() -> None:
    assert keys_of(ids_of([{"id": "a", "request": REQUEST}, {"id": "b", "response": chat()}])) is None


def test_an_id_of_one_request_is_preferred_to_that_of_a_customer() -> None:
    rows = [
        {"tenant_id": "t", "call_id": f"c{number + half}"} | body
        for number in range(10)
        for half, body in enumerate([{"request": REQUEST}, {"response": chat()}])
    ]
    assert keys_of(ids_of(rows)) == ("call_id", "call_id", True)


def test_rows_that_wait_are_bounded_in_bytes() -> None:
    asked = json.dumps({"id": "a", "request": REQUEST}).encode()
    answered = json.dumps({"id": "a", "response": chat()}).encode()
    keys = correlation.Keys("id", "id", True)
    rows = [
        len(list(correlation.pairs(lambda: iter([asked, answered]), (), keys, correlation.Waiting(n))))
        for n in (10, 10_000)
    ]
    assert rows == [2, 1]


def test_a_row_with_both_bodies_is_no_half() -> None:
    assert half_of({"id": "a", "request": {"messages": ASK}, "response": chat()}) is None


def files(folder: Path, **rows: list[dict[str, Any]]) -> Path:
    folder.mkdir()
    for name, listed in rows.items():
        (folder / f"{name}.jsonl").write_bytes(jsonl(*listed))
    return folder


def asked_and_answered(home: Path) -> list[tuple[str, str | None]]:
    query = "select messages->>'$[0].content', output.text from records order by 1"
    return store.connect(Home(home)).execute(query).fetchall()


def test_requests_and_answers_may_be_in_different_files(tmp_path: Path) -> None:
    rows = [other(n) for n in range(3)]
    unrelated = [{"id": n, "prompt": "a", "model": "b"} for n in range(3)]
    asked, answered = [row for row, _ in rows], [row for _, row in rows]
    folder = files(tmp_path / "log", requests=asked, responses=answered, unrelated=unrelated)
    summary = ingest.run([folder], home=Home(tmp_path / "home"))
    assert asked_and_answered(tmp_path / "home") == [(f"text {n}", f"answer {n}") for n in range(3)]
    assert summary.unknown_files == (str(folder / "unrelated.jsonl"),)
    again = ingest.run([folder], home=Home(tmp_path / "home"))
    assert (again.read, again.skipped_files) == (0, 2)


def test_an_answer_may_follow_in_the_next_file_of_a_rotated_log(tmp_path: Path) -> None:
    rows = [row for n in range(4) for row in other(n)]
    folder = files(tmp_path / "log", hour1=rows[:5], hour2=rows[5:])
    summary = ingest.run([folder], home=Home(tmp_path / "home"))
    assert (summary.read, summary.accepted) == (4, 4)
    assert asked_and_answered(tmp_path / "home") == [(f"text {n}", f"answer {n}") for n in range(4)]


def test_ids_that_repeat_in_other_files_join_nothing(tmp_path: Path) -> None:
    rows = [other(n) for n in range(3)]
    asked, answered = [row for row, _ in rows], [row for _, row in rows]
    folder = files(tmp_path / "log", asked1=asked, asked2=asked, answers1=answered, answers2=answered)
    with pytest.raises(UnknownFormat):
        ingest.run([folder], home=Home(tmp_path / "home"))


def test_ids_that_begin_anew_in_each_file_join_nothing_between_files(tmp_path: Path) -> None:
    rows = [[{**row, "customer_id": tenant} for n in range(4) for row in reversed(other(n))] for tenant in "ab"]
    # The first tenant's last request has no answer; the other's answer to a request of this id comes first.
    folder = files(tmp_path / "log", a=[*rows[0][:-2], rows[0][-1]], b=rows[1])
    ingest.run([folder], home=Home(tmp_path / "home"))
    query = "select customer_id, output.text from records where messages->>'$[0].content' = 'text 3' order by 1"
    assert store.connect(Home(tmp_path / "home")).execute(query).fetchall() == [("a", None), ("b", "answer 3")]


def test_ids_of_sessions_join_nothing_between_files(tmp_path: Path) -> None:
    rows = [{"session_id": "s", **row} for n in range(3) for row in other(n)]
    rows = [{key: value for key, value in row.items() if key != "request_id"} for row in rows]
    folder = files(tmp_path / "log", a=rows[:5], b=[rows[1], *rows[:4]])
    ingest.run([folder], home=Home(tmp_path / "home"))
    query = "select output.text from records where messages->>'$[0].content' = 'text 2'"
    assert store.connect(Home(tmp_path / "home")).execute(query).fetchall() == [(None,)]


def test_many_files_of_halves_take_linear_time() -> None:
    def joining(files: int) -> Callable[[], set[correlation.Keys | None]]:
        asked = [ids_of([{"id": f"{file}-{n}", "request": REQUEST} for n in range(20)]) for file in range(files)]
        answered = [ids_of([{"id": f"{file}-{n}", "response": chat()} for n in range(20)]) for file in range(files)]
        return lambda: {joined and joined.keys for joined in joinings(asked + answered)}

    assert joining(1500)() == {correlation.Keys("id", "id", True)}
    assert_linear(joining, 480)


def test_many_fields_that_may_be_ids_take_linear_time() -> None:
    def joining(fields: int) -> Callable[[], object]:
        many = {f"{n}_id": "a" for n in range(fields)}
        return lambda: keys_of(
            ids_of([{"id": "a", "request": REQUEST, **many}, {"id": "a", "response": chat(), **many}])
        )

    assert joining(20_000)()
    assert_linear(joining, 6_400)
