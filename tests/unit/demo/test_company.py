"""Events in the demo's request log."""

import datetime as dt
from collections import defaultdict
from typing import Any

from demo import traffic
from traffic.config import CONFIGS
from traffic.features import features_of, request_type
from traffic.policy import decide, load
from traffic.record import Message, Params


def tags(row: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = row["metadata"]["requester_metadata"]
    return metadata


def test_attempts_are_ordered_by_time_within_the_period(log: Any) -> None:
    times = [row["startTime"] for row in log.rows]
    assert times == sorted(times)
    first = dt.datetime.combine(traffic.FIRST_DAY, dt.time(), dt.UTC)
    assert first.timestamp() <= times[0]
    assert times[-1] < (first + dt.timedelta(days=6, minutes=1)).timestamp()


def test_the_shipped_rules_put_every_call_site_on_its_true_tier(log: Any) -> None:
    policy = load(CONFIGS / "router.yaml")
    for row, gold in zip(log.rows, log.gold, strict=True):
        given = row["model_parameters"]
        messages = [Message(message["role"], message["content"]) for message in row["messages"]]
        params = Params(max_tokens=given.get("max_tokens"), temperature=given["temperature"])
        features = features_of(messages, given.get("tools"), given.get("response_format"), params)
        verdict = decide(policy, features, request_type(features, messages), None, call_site=gold.feature)
        assert verdict.tier == gold.tier_true, (gold.feature, verdict)


def test_a_retry_repeats_a_failed_request_in_the_same_session(log: Any) -> None:
    rows = {row["id"]: row for row in log.rows}
    retries = [gold for gold in log.gold if gold.retry_of]
    assert retries
    for retry in retries:
        assert retry.retry_of is not None
        first, again = rows[retry.retry_of], rows[retry.id]
        assert first["status"] == "failure"
        assert first["error_information"]["error_code"] in ("429", "500")
        assert first["messages"] == again["messages"]
        assert tags(first)["session_id"] == tags(again)["session_id"]
        assert first["endTime"] < again["startTime"] < first["endTime"] + 60


def test_faults_have_the_stated_rate_and_are_marked_in_gold(log: Any) -> None:
    judged = [gold for gold in log.gold if gold.logged_correct is not None]
    wrong = sum(not gold.logged_correct for gold in judged)
    assert 0.035 < wrong / len(judged) < 0.065
    by_id = {gold.id: gold for gold in log.gold}
    for row in log.rows:
        gold = by_id[row["id"]]
        if row["status"] == "success" and gold.answer is not None:
            given = row["response"]["choices"][0]["message"]["content"]
            assert (given == gold.answer) == (gold.injected_fault is None)


def test_repeated_messages_are_zipf_distributed_and_have_one_correct_answer(log: Any) -> None:
    answers = defaultdict(set)
    for gold in log.gold:
        answers[gold.question].add(gold.answer)
    assert max(map(len, answers.values())) == 1
    asked = [gold for gold in log.gold if gold.attempt == 1 and gold.feature == "helpdesk.topic"]
    repeated = sum(gold.duplicate_of is not None for gold in asked)
    assert 0.25 < repeated / len(asked) < 0.45


def test_cached_answers_are_repeated_and_free(log: Any) -> None:
    by_id = {gold.id: gold for gold in log.gold}
    hits = [row for row in log.rows if row["cache_hit"]]
    assert len(hits) == log.facts.cache_hits > 0
    assert all(by_id[row["id"]].duplicate_of and row["response_cost"] == 0 for row in hits)


def test_a_stream_without_usage_is_logged_with_zero_tokens_and_zero_cost(log: Any) -> None:
    without = [row for row in log.rows if row["status"] == "success" and row["metadata"]["usage_object"] is None]
    assert len(without) == log.facts.without_usage > 0
    assert all(row["stream"] and row["total_tokens"] == 0 and row["response_cost"] == 0 for row in without)


def test_corrections_are_the_correct_answer(log: Any) -> None:
    by_id = {gold.id: gold for gold in log.gold}
    corrected = [(row, tags(row).get("feedback", {}).get("corrected")) for row in log.rows]
    given = [(row, text) for row, text in corrected if text is not None]
    assert given
    assert all(by_id[row["id"]].answer == text and by_id[row["id"]].injected_fault for row, text in given)


def test_free_users_have_no_customer(log: Any) -> None:
    assert all((tags(row)["plan"] == "free") == (tags(row)["customer_id"] is None) for row in log.rows)
    assert {tags(row)["language"] for row in log.rows} == {"en", "de", "es"}
