"""Answers of a simulated hosted model."""

import datetime as dt
import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from demo import stand_in as stand_ins
from demo import traffic
from demo.callsites import SITES
from demo.config import Accuracy, HostedConfig, HostedModel
from demo.gold import Gold
from demo.stand_in import GroundTruth, Refused, StandIn
from pipeline.statistics import proportion_interval

MODEL = HostedModel(
    name="simulated-small",
    accuracy=Accuracy(classification=0.9, extraction=0.8),
    latency_p50_ms=400,
    latency_p95_ms=1000,
    input_mtok_usd=0.1,
    output_mtok_usd=0.5,
)
SETTINGS = HostedConfig(models=(MODEL, msgspec.structs.replace(MODEL, name="simulated-other")), time_scale=0)


@pytest.fixture(scope="module")
def known() -> dict[str, GroundTruth]:
    rng = random.Random(0)
    made = {}
    for site in SITES:
        for _ in range(400):
            site_rows = site.write(rng, "en", dt.date(2026, 11, 3))
            made[site_rows.text] = GroundTruth(site.task, site_rows.answer, site_rows.tool_calls)
    return made


def body(question: str, **changes: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": "a prompt"}, {"role": "user", "content": question}]
    return {"model": "simulated-small", "messages": messages} | changes


@pytest.mark.parametrize("task, stated", [("classification", 0.9), ("extraction", 0.8)])
def test_answers_have_the_stated_accuracy(known: dict[str, GroundTruth], task: str, stated: float) -> None:
    stand_in = StandIn(SETTINGS, known)
    questions = [question for question, right in known.items() if right.task == task]
    right = 0
    for question in questions:
        reply = stand_in.reply(body(question))
        assert reply.right == (reply.text == known[question].answer)
        right += reply.right
    interval = proportion_interval(right, len(questions), level=0.999)
    assert interval.low < stated < interval.high


def test_answers_are_deterministic_per_request_and_model(known: dict[str, GroundTruth]) -> None:
    stand_in = StandIn(SETTINGS, known)
    asked = [question for question, right in known.items() if right.task == "extraction"]
    first = [stand_in.reply(body(question)) for question in asked]
    assert first == [StandIn(SETTINGS, known).reply(body(question)) for question in asked]
    assert first != [stand_in.reply(body(question, model="simulated-other")) for question in asked]


def test_times_have_the_stated_percentiles(known: dict[str, GroundTruth]) -> None:
    stand_in = StandIn(SETTINGS, known)
    seconds = [stand_in.reply(body(question)).seconds for question in known]
    p50, p95 = np.percentile(seconds, [50, 95])
    assert p50 == pytest.approx(0.4, rel=0.1)
    assert p95 == pytest.approx(1.0, rel=0.15)


def test_the_system_prompt_counts_as_input_but_does_not_change_the_answer(known: dict[str, GroundTruth]) -> None:
    stand_in = StandIn(SETTINGS, known)
    question = next(iter(known))
    plain = stand_in.reply(body(question))
    longer = stand_in.reply(
        body(question, messages=[{"role": "system", "content": "x" * 400}, {"role": "user", "content": question}])
    )
    assert longer.text == plain.text
    assert longer.prompt_tokens == plain.prompt_tokens + 100 - 2
    assert plain.usage["total_tokens"] == plain.prompt_tokens + plain.completion_tokens


def test_an_answer_beyond_the_cap_is_truncated_with_finish_reason_length(known: dict[str, GroundTruth]) -> None:
    question = next(question for question, right in known.items() if right.task == "extraction")
    reply = StandIn(SETTINGS, known).reply(body(question, max_tokens=5))
    assert (reply.finish_reason, reply.completion_tokens, reply.right) == ("length", 5, False)


def test_the_planner_gets_a_function_call(known: dict[str, GroundTruth]) -> None:
    question = next(question for question, right in known.items() if right.tool_calls)
    reply = StandIn(SETTINGS, known).reply(body(question))
    assert reply.finish_reason == "tool_calls"
    assert reply.tool_calls == known[question].tool_calls


@pytest.mark.parametrize(
    "changes, status",
    [
        ({"messages": [{"role": "user", "content": "what is this?"}]}, 422),
        ({"model": "gpt-4o"}, 404),
        ({"messages": []}, 400),
        ({"n": 2}, 400),
    ],
)
def test_unsupported_requests_are_refused(known: dict[str, GroundTruth], changes: dict[str, Any], status: int) -> None:
    with pytest.raises(Refused) as refused:
        StandIn(SETTINGS, known).reply(body(next(iter(known))) | changes)
    assert refused.value.status == status


def test_every_message_of_a_generated_log_is_answered(tmp_path: Path) -> None:
    facts = traffic.generate(tmp_path / "log.jsonl", requests=150, days=2, seed=1)
    truth = stand_ins.read_ground_truth(Path(facts.gold))
    stand_in = StandIn(SETTINGS, truth)
    for line in Path(facts.gold).read_bytes().splitlines():
        gold = msgspec.json.decode(line, type=Gold)
        assert stand_in.reply(body(gold.question)).finish_reason in ("stop", "tool_calls")
