"""Request/response pairs: the same facts as a gateway's log, from what the application saw."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import ingest, store
from pipeline.ingest.formats import FORMATS, Reading, Unreadable
from pipeline.ingest.mapping import TagMapping
from tests.fakes.logs import attempts, litellm_line, pair_line, write_log
from traffic import config
from traffic.artifacts import Home
from traffic.record import Usage

READ = FORMATS["openai_pairs"].reader(config.load(config.CONFIGS / "log_tags" / "openai_pairs.yaml", TagMapping))
ROW: dict[str, Any] = json.loads(pair_line(attempts(1, 3, call_sites=["helpdesk.topic"], retries=0)[0]))


def read(**changes: Any) -> Reading:
    return READ(json.dumps(ROW | changes).encode())


def test_a_pair_says_the_same_as_the_gateways_row_of_the_same_attempt() -> None:
    gateway = FORMATS["litellm"].reader(config.load(config.CONFIGS / "log_tags" / "litellm.yaml", TagMapping))
    same = ("id", "ts", "call_site", "feature", "visibility", "user_id", "customer_id", "session_id", "cohort", "tools",
            "response_format", "output", "usage", "model", "status")  # fmt: skip
    for attempt in attempts(200, 5):
        pair, row = READ(pair_line(attempt)), gateway(litellm_line(attempt))
        assert [getattr(pair.record, name) for name in same] == [getattr(row.record, name) for name in same]
        assert json.loads(bytes(pair.record.messages)) == json.loads(bytes(row.record.messages))
        assert pair.record.params.stream == row.record.params.stream
        assert pair.record.params.other == row.record.params.other | {"user": attempt.user}
        assert (pair.feedback is None) == (row.feedback is None)


def test_feedback_is_read_out_of_json_inside_text() -> None:
    request = ROW["request"] | {"metadata": {"feature": "x", "feedback": '{"thumb": "up"}'}}
    feedback = read(request=request).feedback
    assert feedback is not None
    assert feedback.thumb == "up"


def test_without_an_id_the_responses_id_is_used_and_then_the_line_itself() -> None:
    assert read(id=None).record.id == ROW["response"]["id"]
    first, again = read(id=None, response=None), read(id=None, response=None)
    assert first.record.id == again.record.id
    assert first.record.id.startswith("line-")
    assert read(id=None, response=None, latency_ms=1.0).record.id != first.record.id


def test_without_a_status_the_answer_decides() -> None:
    assert read(status=None).record.status == 200
    assert read(status=None, response=None).record.status == 0
    assert read(status=None, response={"error": {"message": "no", "type": "server_error"}}).record.status == 0


def test_an_error_body_is_the_error() -> None:
    record = read(status=503, response={"error": {"message": "overloaded", "type": "server_error"}}).record
    assert (record.status, record.error, record.usage) == (503, "server_error: overloaded", None)


def test_a_pair_without_usage_has_unknown_tokens() -> None:
    assert read(response=ROW["response"] | {"usage": None}).record.usage is None


def test_reasoning_and_cached_tokens_are_kept_apart() -> None:
    counted = {"prompt_tokens": 10, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}
    counted["completion_tokens_details"] = {"reasoning_tokens": 5}
    expected = Usage(input_uncached=6, cache_read=4, output=9, reasoning=5)
    assert read(response=ROW["response"] | {"usage": counted}).record.usage == expected


def test_cost_is_left_to_the_price_table() -> None:
    assert read().record.cost_usd is None


def test_a_request_without_messages_is_no_chat() -> None:
    with pytest.raises(Unreadable) as error:
        read(request={"model": "m", "size": "1024x1024"})
    assert error.value.reason == "not_chat"


@pytest.mark.parametrize(
    "first, second",
    [
        ({"request_id": "r", "attempt": 1}, {"request_id": "r", "attempt": 2}),
        ({"request_id": "r1", "user_id": "u"}, {"request_id": "r2", "user_id": "u"}),
    ],
)
def test_attempts_are_linked_by_their_request_or_their_user(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    request = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "say one"}]}
    answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "one"}, "finish_reason": "stop"}]}
    failed = {"id": "a", "timestamp": "2026-11-01T08:00:00Z", "status": 503, "response": {"error": {"message": "busy"}}}
    served = {"id": "b", "timestamp": "2026-11-01T08:00:02Z", "status": 200, "response": answer}
    rows = [json.dumps(row | {"request": request}).encode() for row in (failed | first, served | second)]
    home = Home(tmp_path / "home")
    ingest.run([write_log(tmp_path / "log.jsonl", rows)], home=home)
    links = store.connect(home).execute("select id, request_id, purpose, attempt from records order by id").fetchall()
    assert links == [("a", "a", "serve", 1), ("b", "a", "retry", 2)]
