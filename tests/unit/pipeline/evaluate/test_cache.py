"""Cache of paid answers, keyed by content."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluate.answers import Answer, Question
from pipeline.evaluate.cache import AnswerCache, Batch, CachedAnswers, content_key
from pipeline.evaluate.endpoints import Endpoint
from traffic.confidence import Signals
from traffic.errors import InputError
from traffic.record import Usage

HOST = Endpoint("https://host/v1", "small", "sk-one")
ANSWER = Answer(
    record_id="r1",
    text="refund",
    usage=Usage(input_uncached=7, output=1),
    signals=Signals(0.5, 0.5, 0.5, 0.5, -0.1, -0.1, 1),
    latency_ms=12.5,
)


def question(record_id: str, text: str = "hello", **more: object) -> Question:
    return Question(record_id, {"messages": [{"role": "user", "content": text}], "max_tokens": 5} | more)


def test_the_cache_key_depends_on_the_request_content_only() -> None:
    key = content_key(HOST, question("r1"))
    assert key == content_key(Endpoint("https://host/v1/", "small", "sk-two"), question("r2"))
    turned = Question("r1", dict(reversed(question("r1").body.items())))
    assert key == content_key(HOST, turned)


@given(st.text(max_size=5), st.text(max_size=5), st.floats(0, 2), st.floats(0, 2))
def test_different_requests_have_different_cache_keys(text: str, other: str, heat: float, other_heat: float) -> None:
    one = content_key(HOST, question("r", text, temperature=heat))
    two = content_key(HOST, question("r", other, temperature=other_heat))
    assert (one == two) == (text == other and heat == other_heat)


def test_models_and_servers_have_different_cache_keys() -> None:
    others = [Endpoint("https://host/v1", "large"), Endpoint("https://elsewhere/v1", "small")]
    assert len({content_key(each, question("r")) for each in (HOST, *others)}) == 3


def test_only_successful_answers_are_stored(tmp_path: Path) -> None:
    path = tmp_path / "new" / "answers.db"
    asked = [question("r1"), question("r2", "another")]
    with AnswerCache(path) as cache:
        kept = CachedAnswers(cache, HOST, asked)
        kept.add(ANSWER)
        kept.add(Answer(record_id="r2", error="503"))
        assert kept.open_items(["r1", "r2"]) == ["r2"]
        assert kept.answers["r2"].error == "503"
    with AnswerCache(path) as cache:
        assert CachedAnswers(cache, HOST, asked).answers == {"r1": ANSWER}


def test_concurrent_processes_share_answers(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    with AnswerCache(path) as one, AnswerCache(path) as two:
        CachedAnswers(one, HOST, [question("r1")]).add(ANSWER)
        assert two.get(content_key(HOST, question("r9"))) == ANSWER


def test_a_batch_is_removed_only_after_its_answers_are_stored(tmp_path: Path) -> None:
    batch = Batch("t1", "source", None, ("k1", "k2"), 0.5)
    with AnswerCache(tmp_path / "answers.db") as cache:
        cache.add_batch(batch)
        assert cache.batches("source") == [batch]
        assert cache.batches("another") == []
        named = Batch("t1", "source", "batch_1", ("k1", "k2"), 0.5)
        cache.add_batch(named)
        assert cache.batches("source") == [named]
        cache.finish_batch(named, {"k1": ANSWER, "k2": Answer(record_id="", error="expired")})
        assert cache.batches("source") == []
        assert cache.get("k1") == ANSWER
        assert cache.get("k2") is None


def test_a_file_that_is_not_a_database_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    path.write_bytes(b"not a database, whatever its name says; " * 30)
    with pytest.raises(InputError, match=r"answers\.db: cannot be read .*move it away"):
        AnswerCache(path).__enter__()
