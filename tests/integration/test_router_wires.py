"""Answers of upstreams byte by byte."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.reports.wires import ANSWER, CLOSED, WIRES, WireCase, http, ok
from tests.fakes.wire_bench import Bench, running_bench

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running_bench(tmp_path_factory.mktemp("home"), max_retries=1, failures=1000) as running:
        yield running


@pytest.mark.parametrize("case", WIRES, ids=[case.name for case in WIRES])
def test_an_answer_may_arrive_byte_by_byte(bench: Bench, case: WireCase) -> None:
    *bench.gpt.plays, last = case.wires
    # Asked where a request is too large for the first.
    bench.claude.play = last
    for _ in range(case.before):
        bench.chat(bench.gpt, last)
    heard = bench.chat(bench.gpt, last, stream=case.stream, **case.body)
    assert case.right(heard), (heard.status, heard.record.error, heard.body[:600])


def test_a_stale_connection_does_not_count_as_an_endpoint_failure(tmp_path: Path) -> None:
    with running_bench(tmp_path, max_retries=0, failures=1) as bench:
        assert ok(bench.chat(bench.gpt, http(ANSWER)))
        bench.gpt.plays = [CLOSED]
        heard = bench.chat(bench.gpt, http(ANSWER))
    assert (ok(heard), heard.headers["x-fasttier-attempts"], len(heard.asked)) == (True, "1", 2)
