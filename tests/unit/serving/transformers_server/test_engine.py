import math
import queue
from typing import Any

import pytest
import torch

from serving.transformers_server.answer import Answer
from serving.transformers_server.engine import Engine, Request, Sampling, Step, choose
from serving.transformers_server.grammar import choice_grammar
from tests.fakes import tiny_models
from traffic.errors import InputError

pytestmark = pytest.mark.slow

GREEDY = Sampling(max_tokens=12, temperature=0, logprobs=3)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    base = tiny_models.make(tmp_path_factory.mktemp("base") / "tiny", "llama")
    return Engine(base, "tiny", {}, dtype="float32", max_batch=4)


def ask(engine: Engine, *texts: str, sampling: Sampling = GREEDY) -> list[list[Step]]:
    """Sends all requests at once."""
    arrived: list[queue.SimpleQueue[Any]] = [queue.SimpleQueue() for _ in texts]
    for text, each in zip(texts, arrived, strict=True):
        engine.submit(Request("tiny", engine.tokenizer(text)["input_ids"], sampling, each.put))
    answers = []
    for each in arrived:
        steps: list[Step] = []
        while not steps or not steps[-1].last:
            step = each.get(timeout=60)
            assert isinstance(step, Step), step
            steps.append(step)
        answers.append(steps)
    return answers


def test_answers_in_a_batch_equal_those_of_single_requests(engine: Engine) -> None:
    texts = ["hello", "where is my parcel? the order number is 12345", "refund", "a b c d e", "invoice please", "x"]
    alone = [ask(engine, text)[0] for text in texts]
    for one, other in zip(alone, ask(engine, *texts), strict=True):
        assert [step.token for step in one] == [step.token for step in other]
        assert [step.logprob for step in one] == pytest.approx([step.logprob for step in other], abs=1e-3)


def test_a_greedy_token_is_the_most_probable_of_its_alternatives(engine: Engine) -> None:
    for step in ask(engine, "hello")[0]:
        assert step.top[0] == (step.token, pytest.approx(step.logprob))
        assert [logprob for _, logprob in step.top] == sorted((logprob for _, logprob in step.top), reverse=True)


def test_raw_logprobs_are_those_before_the_grammar(engine: Engine) -> None:
    sampling = Sampling(max_tokens=12, temperature=0, logprobs=1, constraint=("choice", '["refund", "password"]'))
    (steps,) = ask(engine, "hello", sampling=sampling)
    text = engine.tokenizer.decode([step.token for step in steps], skip_special_tokens=True)
    assert text in ("refund", "password")
    free = ask(engine, "hello")[0][0]
    assert steps[0].top[0] == (free.token, pytest.approx(free.logprob, abs=1e-4))


def test_the_same_seed_gives_the_same_sample(engine: Engine) -> None:
    hot = Sampling(max_tokens=12, temperature=2.0, seed=7)
    first, second = (ask(engine, "hello", sampling=hot)[0] for _ in range(2))
    assert [step.token for step in first] == [step.token for step in second]


def test_a_constraint_that_cannot_be_compiled_is_refused_when_it_is_submitted(engine: Engine) -> None:
    for constraint in (("json_schema", '{"type": 7}'), ("grammar", "root ::= ("), ("json_schema", "{")):
        with pytest.raises(InputError):
            engine.submit(Request("tiny", [1], Sampling(max_tokens=1, constraint=constraint), lambda step: None))


def test_a_request_that_fails_ends_with_its_error_and_the_next_is_answered(engine: Engine) -> None:
    arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
    engine.submit(Request("tiny", [10**6], GREEDY, arrived.put))
    assert isinstance(arrived.get(timeout=60), Exception)
    assert engine.healthy
    assert ask(engine, "hello")[0][-1].last


def test_choices_with_quotes_and_other_scripts_are_quoted_in_the_grammar() -> None:
    assert choice_grammar(['a "b"', "ä\n"]) == 'root ::= "a \\"b\\"" | "ä\\n"'


@pytest.mark.parametrize(
    "sampling, allowed",
    [
        (Sampling(max_tokens=1, temperature=0), {3}),
        (Sampling(max_tokens=1, top_k=2), {2, 3}),
        (Sampling(max_tokens=1, top_p=0.5), {3}),
        (Sampling(max_tokens=1, top_p=0.8), {2, 3}),
        (Sampling(max_tokens=1), {0, 1, 2, 3}),
    ],
)
def test_sampling_draws_only_tokens_within_its_limits(sampling: Sampling, allowed: set[int]) -> None:
    logits = torch.tensor([math.log(p) for p in (0.05, 0.1, 0.25, 0.6)])
    generator = torch.Generator().manual_seed(1)
    assert {choose(logits.clone(), sampling, generator) for _ in range(200)} == allowed


class Characters:
    """A tokenizer of single bytes."""

    def decode(self, ids: list[int], skip_special_tokens: bool = False) -> str:
        kept = [token for token in ids if token < 256 or not skip_special_tokens]
        return b"".join(bytes([token]) if token < 256 else b"<end>" for token in kept).decode(errors="replace")


def answer_of(*stops: str) -> Answer:
    request = Request("m", [1, 2], Sampling(max_tokens=99), lambda step: None)
    return Answer(Characters(), request, end=256, stops=stops)


def test_an_incomplete_character_is_held_back() -> None:
    answer = answer_of()
    shown = []
    for token in "aä".encode():
        answer.add(Step(token))
        shown.append(answer.text)
    assert shown == ["a", "a", "aä"]


def test_a_possible_beginning_of_a_stop_text_is_held_back() -> None:
    answer = answer_of("END")
    shown = []
    for token in b"xyEND":
        answer.add(Step(token))
        shown.append(answer.text)
    assert shown == ["", "", "x", "xy", "xy"]
    assert answer.finish_reason == "stop"


def test_a_truncated_answer_has_finish_reason_length() -> None:
    for last, reason in ((256, "stop"), (ord("b"), "length")):
        answer = answer_of("zz")
        answer.add(Step(ord("a")))
        answer.add(Step(last, last=True))
        assert answer.finish_reason == reason
        assert answer.text == "ab"[: 1 if last == 256 else 2]
