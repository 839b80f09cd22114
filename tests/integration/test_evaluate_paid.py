"""Hosted answers that cost money: kept by content, within a budget, live and through the batch API, on a real port."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pipeline import evaluate
from pipeline.evaluate import cache as caches
from pipeline.evaluate.answers import Answer, Question
from pipeline.evaluate.budget import Budget
from pipeline.evaluate.cache import AnswerCache
from pipeline.evaluate.candidates import HostedModel, Resources
from pipeline.evaluate.config import CandidatesConfig, GivenPrice, HostedConfig, JudgeConfig, TeacherConfig
from tests.fakes.openai_server import FakeOpenAI, ok, slow, status
from tests.fakes.task_datasets import make
from traffic.artifacts import Home
from traffic.errors import BudgetReached, EndpointError
from traffic.prices import PriceTable

pytestmark = pytest.mark.integration

# One dollar per token in the fake's own counting, so that sums are easy to see.
PRICE = GivenPrice(input_mtok_usd=1e6, output_mtok_usd=1e6)
PAID = 3 + 1
"""Of one question below: three words and a one-word answer."""


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(answer=lambda body: str(body["messages"][0]["content"]).split()[-1]) as running:
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[AnswerCache]:
    with AnswerCache(caches.path(Home(tmp_path))) as opened:
        yield opened


def questions(count: int, first: int = 0) -> list[Question]:
    return [
        Question(f"r{n}", {"messages": [{"role": "user", "content": f"say the {n}"}], "max_tokens": 4})
        for n in range(first, first + count)
    ]


def hosted(
    server: FakeOpenAI,
    cache: AnswerCache,
    *,
    name: str = "hosted",
    budget: Budget | None = None,
    messages: list[str] | None = None,
    max_retries: int = 0,
    timeout_s: float = 20.0,
    **changes: object,
) -> HostedModel:
    entry = HostedConfig(name=name, base_url=server.base_url, model="small", price=PRICE, **changes)  # type: ignore[arg-type]
    config = CandidatesConfig(
        candidates=(entry,),
        latency_sample=0,
        max_retries=max_retries,
        timeout_s=timeout_s,
        concurrency=4,
        batch_poll_s=0,
    )
    resources = Resources(
        home=Home(cache.path.parent),
        config=config,
        endpoints={},
        machines={},
        prices=PriceTable(),
        today=dt.date(2026, 11, 20),
        budget=budget or Budget(),
        cache=cache,
        announce=messages.append if messages is not None else lambda line: None,
    )
    return HostedModel(entry, resources)


def ask(model: HostedModel, given: list[Question]) -> dict[str, Answer]:
    stored = model.stored(given)
    model.ask(given, stored, lambda left: None)
    return stored.answers


def test_a_paid_request_is_reused_by_other_candidates_and_runs(server: FakeOpenAI, cache: AnswerCache) -> None:
    ask(hosted(server, cache), questions(4))
    with AnswerCache(cache.path) as opened_again:
        other = hosted(server, opened_again, name="another-name", max_concurrency=1)
        estimate = other.estimate(questions(6), {})
        assert (estimate.requests, estimate.stored) == (2, 4)
        answers = ask(other, questions(6))
    assert len(server.chats) == 6
    assert [answers[f"r{n}"].text for n in range(6)] == [str(n) for n in range(6)]


def test_a_changed_parameter_is_another_request(server: FakeOpenAI, cache: AnswerCache) -> None:
    [question] = questions(1)
    warmer = Question(question.record_id, question.body | {"temperature": 0.7})
    again = msgspec.structs.replace(question, repeat=1)
    for each in (question, warmer, again):
        ask(hosted(server, cache), [each])
    assert len(server.chats) == 3


def test_items_with_the_same_request_share_one_request(server: FakeOpenAI, cache: AnswerCache) -> None:
    twins = [msgspec.structs.replace(questions(1)[0], record_id=name) for name in ("a", "b")]
    answers = ask(hosted(server, cache), twins)
    assert len(server.chats) == 1
    assert [answers[name].text for name in ("a", "b")] == ["0", "0"]
    assert answers["b"].record_id == "b"


def test_failed_requests_are_repeated_and_free(server: FakeOpenAI, cache: AnswerCache) -> None:
    server.script(status(400), status(500))
    budget = Budget()
    answers = ask(hosted(server, cache, budget=budget), questions(6))
    assert sum(answer.error is not None for answer in answers.values()) == 2
    assert budget.spent_usd == 4 * PAID
    ask(hosted(server, cache, budget=budget), questions(6))
    assert len(server.chats) == 8
    assert budget.spent_usd == 6 * PAID


def test_every_attempt_that_may_have_been_billed_counts_against_the_budget(
    server: FakeOpenAI, cache: AnswerCache
) -> None:
    # The answers come too late for the client, and the provider bills them.
    server.default = slow(5)
    [question] = questions(1)
    most = hosted(server, cache).meter.most_usd(question.body)
    budget = Budget(2.5 * most)
    model = hosted(server, cache, budget=budget, max_retries=4, timeout_s=0.3)
    with pytest.raises(BudgetReached):
        ask(model, [question])
    assert len(server.chats) == 2
    assert budget.spent_usd == pytest.approx(2 * most)


def test_a_refused_attempt_is_free(server: FakeOpenAI, cache: AnswerCache) -> None:
    server.script(status(429, retry_after=0.01), status(503))
    [question] = questions(1)
    most = hosted(server, cache).meter.most_usd(question.body)
    budget = Budget(1.1 * most)
    answers = ask(hosted(server, cache, budget=budget, max_retries=4), [question])
    assert (answers["r0"].text, answers["r0"].retries) == ("0", 2)
    assert budget.spent_usd == PAID


@pytest.mark.parametrize("mode", ["live", "batch"])
def test_a_run_stops_before_exceeding_the_budget_and_continues_with_a_larger_one(
    server: FakeOpenAI, cache: AnswerCache, mode: str
) -> None:
    share = 0.5 if mode == "batch" else 1.0
    first = hosted(server, cache, mode=mode)
    most = first.meter.most_usd(questions(1)[0].body)
    # Room for the most that three requests can cost, and for all that they turn out to leave.
    budget = Budget(3 * most)
    with pytest.raises(BudgetReached, match="--budget"):
        ask(hosted(server, cache, budget=budget, mode=mode), questions(2000))
    answered = 2000 - first.estimate(questions(2000), {}).requests
    assert answered * PAID * share == budget.spent_usd <= 3 * most
    # Not one more would have been sure to fit.
    assert budget.spent_usd > 2 * most - PAID
    assert budget.left_usd == pytest.approx(3 * most - budget.spent_usd)
    rest = Budget(1e9)
    ask(hosted(server, cache, budget=rest, mode=mode), questions(answered + 5))
    assert rest.spent_usd == 5 * PAID * share


def test_batch_answers_cost_half_and_have_no_latency(server: FakeOpenAI, cache: AnswerCache) -> None:
    server.batches.looks = 3
    budget, said, left = Budget(), [], []
    asked = hosted(server, cache, mode="batch", budget=budget, messages=said, extra_body={"seed": 7})
    given = [Question(q.record_id, q.body | {"extra_body": {"seed": 7}}) for q in questions(5)]
    kept = asked.stored(given)
    asked.ask(given, kept, left.append)
    assert [kept.answers[f"r{n}"].text for n in range(5)] == [str(n) for n in range(5)]
    assert {(answer.latency_ms, answer.price_share) for answer in kept.answers.values()} == {(None, 0.5)}
    assert budget.spent_usd == 5 * PAID / 2
    assert server.chats == []
    [batch] = server.batches.created
    bodies = [line["body"] for line in server.batches.requests(batch)]
    assert all(body["model"] == "small" and body["seed"] == 7 and "extra_body" not in body for body in bodies)
    assert left == [5, 5, 0]
    assert "batch_0 with 5 requests" in said[0]


def test_a_batch_of_a_killed_run_is_fetched_by_the_next(server: FakeOpenAI, cache: AnswerCache) -> None:
    class Killed(BaseException):
        pass

    def killed(left: int) -> None:
        raise Killed

    server.batches.looks = 2
    first = hosted(server, cache, mode="batch")
    with pytest.raises(Killed):
        first.ask(questions(4), first.stored(questions(4)), killed)
    said: list[str] = []
    answers = ask(hosted(server, cache, mode="batch", messages=said), questions(6))
    assert len(answers) == 6
    # Only what the first batch did not have is sent.
    assert [len(server.batches.requests(batch)) for batch in server.batches.created] == [4, 2]
    assert "batch_0 with 4 requests" in said[0]
    assert cache.batches(caches.source_of(first.endpoint)) == []


def test_a_batch_without_a_stored_id_is_found_by_its_token(server: FakeOpenAI, cache: AnswerCache) -> None:
    server.batches.lose_next = True
    with pytest.raises(EndpointError, match="the same command continues"):
        ask(hosted(server, cache, mode="batch"), questions(3))
    answers = ask(hosted(server, cache, mode="batch"), questions(3))
    assert {answer.text for answer in answers.values()} == {"0", "1", "2"}
    assert len(server.batches.created) == 1


def test_a_refused_batch_is_an_error_and_is_sent_again(server: FakeOpenAI, cache: AnswerCache) -> None:
    server.batches.refuse = "enqueued token limit reached"
    with pytest.raises(EndpointError, match="batch batch_0 failed: enqueued token limit reached"):
        ask(hosted(server, cache, mode="batch"), questions(3))
    server.batches.refuse = None
    assert len(ask(hosted(server, cache, mode="batch"), questions(3))) == 3


def test_requests_missing_from_a_batch_are_repeated_by_the_next_run(server: FakeOpenAI, cache: AnswerCache) -> None:
    server.batches.answered = 6
    server.script(status(400))
    answers = ask(hosted(server, cache, mode="batch"), questions(8))
    errors = [answer.error for answer in answers.values() if answer.error]
    assert sorted(errors)[0] == "in the batch: scripted failure"
    assert errors.count("the batch ended as expired without this answer") == 2
    server.batches.answered = None
    assert not any(answer.error for answer in ask(hosted(server, cache, mode="batch"), questions(8)).values())
    assert len(server.batches.requests(server.batches.created[1])) == 3


def test_a_refused_key_of_a_batch_is_an_error(server: FakeOpenAI, cache: AnswerCache) -> None:
    server.batches.files = {}
    with FakeOpenAI() as gone:
        asked = hosted(gone, cache, mode="batch")
    with pytest.raises(EndpointError, match="candidate hosted"):
        ask(asked, questions(2))


def rewriting(home: Home, items: int) -> Path:
    """A dataset whose answers are free texts."""
    folder = make(home.datasets, others=items)
    card = folder / "dataset.yaml"
    card.write_text(card.read_text().replace("request_type: intent", "request_type: rewrite"))
    return folder


def test_the_estimate_precedes_the_first_request_and_the_judge_is_reported(tmp_path: Path) -> None:
    home = Home(tmp_path)
    dataset = rewriting(home, 8)
    said: list[str] = []

    def announce(line: str) -> None:
        assert (server.chats, judging.chats) == ([], [])
        said.append(line)

    # The judge likes the answer that is shown first, except that it never likes shouting.
    def verdict(body: dict[str, object]) -> str:
        text = str(body["messages"][1]["content"])  # type: ignore[index]
        first = text.partition("<answer_a>\n")[2].partition("\n")[0]
        return '{"better": "B"}' if first.isupper() else '{"better": "A"}'

    def rewrite(body: dict[str, object]) -> str:
        text = str(body["messages"][-1]["content"])  # type: ignore[index]
        return "SHOUTED" if int("".join(filter(str.isdigit, text))) % 2 else "said"

    with FakeOpenAI(answer=rewrite) as server, FakeOpenAI(answer=verdict) as judging:
        price = GivenPrice(input_mtok_usd=1.0, output_mtok_usd=1.0)
        candidates = CandidatesConfig(
            candidates=(
                TeacherConfig(name="teacher"),
                HostedConfig(name="hosted", base_url=server.base_url, model="m", price=price),
                HostedConfig(name="wise", base_url=judging.base_url, model="w", price=price, only_judge=True),
            ),
            judge=JudgeConfig(candidate="wise", repeats=2),
            latency_sample=0,
        )
        summary = evaluate.run(dataset, candidates, home=home, endpoints={}, announce=announce, budget_usd=1.0)
        assert len(judging.chats) == 8 * 2 * 2
    [_, found] = summary.scores
    assert found.judge is not None
    # Shouting loses in both orders; the others are won in one order and lost in the other.
    assert (found.judge.wins, found.judge.ties, found.judge.losses) == (0, 4, 4)
    assert (found.judge.flipped, found.judge.flip_rate) == (4, 0.5)
    assert [line.split(":")[0] for line in said] == ["estimate hosted", "estimate judge wise", "estimate total"]
    assert list(summary.skipped) == ["wise"]
    assert any("flip rate 50%" in line for line in summary.lines())
    assert summary.spent_usd is not None
    assert 0 < summary.spent_usd < 1.0
    assert summary.exit_status == 0


def test_a_candidate_stopped_by_the_budget_is_reported_and_others_are_evaluated(tmp_path: Path) -> None:
    home = Home(tmp_path)
    dataset = make(home.datasets, others=8)
    with FakeOpenAI(default=ok("refund")) as server:
        price = GivenPrice(input_mtok_usd=1e6, output_mtok_usd=1e6)
        dear = HostedConfig(name="dear", base_url=server.base_url, model="m", price=price)
        unpriced = HostedConfig(name="unpriced", base_url=server.base_url, model="nobody-knows-it")
        chosen = CandidatesConfig(candidates=(TeacherConfig(name="teacher"), dear, unpriced), latency_sample=0)
        summary = evaluate.run(dataset, chosen, home=home, endpoints={}, budget_usd=5.0)
        assert server.chats == []
    assert [scores.candidate for scores in summary.scores] == ["teacher"]
    assert "$5.00" in summary.stopped["dear"]
    assert "nobody-knows-it" in summary.skipped["unpriced"]
    assert summary.exit_status == 1
    assert summary.lines()[-1].startswith("next: the same command with a larger --budget")
