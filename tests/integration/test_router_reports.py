"""What users of other proxies reported as broken, played through a real router between raw upstreams."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import raw_upstream as raw
from tests.fakes.raw_upstream import events, plain
from tests.fakes.reports import OK_CHAT, OK_MESSAGE, Case
from tests.fakes.reports.agents import AGENTS
from tests.fakes.reports.from_claude import FROM_CLAUDE
from tests.fakes.reports.from_gpt import FROM_GPT
from tests.fakes.reports.messages_to_gpt import MESSAGES_TO_GPT
from tests.fakes.reports.odd_answers import ODD_ANSWERS
from tests.fakes.reports.parameters import PARAMETERS
from tests.fakes.reports.streams import STREAMS
from tests.fakes.reports.to_claude import TO_CLAUDE
from tests.fakes.reports.to_gpt import TO_GPT
from tests.fakes.wire_bench import OK, START, STOP, Bench, Heard, running_bench

pytestmark = pytest.mark.integration

CASES = [*AGENTS, *STREAMS, *FROM_CLAUDE, *TO_CLAUDE, *FROM_GPT, *TO_GPT, *PARAMETERS, *MESSAGES_TO_GPT, *ODD_ANSWERS]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running_bench(tmp_path_factory.mktemp("home"), max_retries=1, failures=1000) as running:
        yield running


def played(bench: Bench, case: Case) -> Heard:
    upstream = bench.gpt if case.endpoint == "gpt" else bench.claude
    play = case.play or (OK_CHAT if case.endpoint == "gpt" else OK_MESSAGE)
    if case.refusing is not None:
        upstream.refuse = case.refusing
    heard: Heard = getattr(bench, case.client)(upstream, play, **case.body)
    return heard


@pytest.mark.parametrize("case", CASES, ids=[f"{case.client}-{case.endpoint}: {case.name}" for case in CASES])
def test_a_reported_case_behaves_as_expected(bench: Bench, tmp_path: Path, case: Case) -> None:
    if case.refusing is None:
        heard = played(bench, case)
    else:
        # The router learns of a refusal for all that follow.
        with running_bench(tmp_path, max_retries=1) as own:
            heard = played(own, case)
    assert case.right(heard), (heard.status, heard.body[:600], heard.asked)


@pytest.mark.parametrize(
    "error",
    [
        {"message": "Your messages resulted in 130001 tokens.", "code": "context_length_exceeded"},
        {"message": "the request exceeds the available context size", "type": "exceed_context_size_error"},
        {"message": "prompt token count of 9 exceeds the limit of 8", "code": "model_max_prompt_tokens_exceeded"},
    ],
)
def test_agents_recognize_a_prompt_that_is_too_long_for_every_endpoint(tmp_path: Path, error: dict[str, str]) -> None:
    with running_bench(tmp_path, max_retries=1) as bench:
        bench.gpt.refuse = bench.claude.refuse = lambda head, body: plain({"error": error}, status=400)
        heard = bench.messages(bench.gpt, OK_CHAT)
    assert (heard.status, heard.json["error"]["type"]) == (400, "invalid_request_error")
    # By these words Claude Code knows that it must compact the conversation.
    assert heard.json["error"]["message"].startswith("prompt is too long")


def test_a_prompt_that_is_too_long_for_tgi_has_the_status_and_code_that_agents_know(tmp_path: Path) -> None:
    error = {"error": "`inputs` tokens + `max_new_tokens` must be <= 2048. Given: 3000", "error_type": "validation"}
    with running_bench(tmp_path, max_retries=1) as bench:
        bench.gpt.refuse = bench.claude.refuse = lambda head, body: plain(error, status=422)
        heard = bench.chat(bench.gpt, OK_CHAT)
    assert (heard.status, heard.json["error"]["code"]) == (400, "context_length_exceeded")


def test_pings_behind_a_complete_answer_do_not_keep_it_open(tmp_path: Path) -> None:
    pings = [piece for _ in range(20) for piece in (0.1, b": ping\n\n")]
    with running_bench(tmp_path, idle_timeout_s=0.3) as bench:
        heard = bench.chat(bench.gpt, raw.stream(events(START, OK, STOP), *pings), stream=True)
    assert (heard.text, heard.record.error, len(heard.asked)) == ("ok", None, 1)
    assert heard.parts[-1][0] < 1.5
