import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import parity, supervise
from serving.command import Command
from serving.parity import Answers
from tests.fakes import model_server
from traffic import adapters
from traffic.adapters import ParityItem
from traffic.errors import EndpointError, InputError, NotFound

ITEM = ParityItem(
    prompt_ids=[1, 2],
    completion_ids=[10, 11],
    logprobs=[-0.1, -0.2],
    margins=[2.0, 0.05],
    base_logprobs=[-5.0, -7.0],
)
GOOD = Answers(logprobs=[-0.12, -0.21], greedy=[10, 11], base_logprobs=[-5.1, -6.9])


LIMITS = parity.Tolerance(largest=0.4, mean=0.08)


def judge(answer: Answers, item: ParityItem = ITEM, tolerance: parity.Tolerance = LIMITS) -> parity.ParityReport:
    return parity.judge("task@1", [item], [answer], tolerance)


def test_an_endpoint_with_the_outputs_of_training_passes() -> None:
    report = judge(GOOD)
    assert report.passed
    assert report.reasons == ()
    assert report.max_logprob_gap == pytest.approx(0.02)
    assert report.lines()[0].startswith("parity of task@1 passed: 1 items, 2 tokens")


def test_one_token_beyond_the_tolerance_fails() -> None:
    report = judge(Answers([-0.1, -0.7], [10, 11], GOOD.base_logprobs))
    assert not report.passed
    assert report.reasons[0] == "a token's log-probability is 0.500 from training's, more than 0.4"


def test_small_gaps_at_many_tokens_fail() -> None:
    report = judge(Answers([-0.3, -0.4], [10, 11], GOOD.base_logprobs))
    assert not report.passed
    assert report.reasons == ("log-probabilities are 0.200 from training's on average, more than 0.08",)


def test_another_token_with_a_large_margin_fails() -> None:
    report = judge(Answers(GOOD.logprobs, [99, 11], GOOD.base_logprobs))
    assert report.greedy_mismatches == 1
    assert not report.passed


def test_another_token_with_a_small_margin_is_not_a_mismatch() -> None:
    assert judge(Answers(GOOD.logprobs, [10, 99], GOOD.base_logprobs)).passed


def test_tokens_after_an_accepted_difference_are_ignored() -> None:
    item = ParityItem([1], [10, 11], [-0.1, -0.2], [0.05, 2.0], [-5.0, -7.0])
    assert judge(Answers(GOOD.logprobs, [99, 98], GOOD.base_logprobs), item).passed


def test_an_endpoint_that_answers_like_the_base_model_fails() -> None:
    report = judge(Answers([-5.0, -7.0], [0, 0], [-5.0, -7.0]))
    assert not report.differs_from_base
    assert "the endpoint answers like the base model: the adapter is not applied" in report.reasons


def test_a_base_model_that_answers_like_the_adapter_fails() -> None:
    report = judge(Answers(GOOD.logprobs, GOOD.greedy, GOOD.logprobs))
    assert report.reasons == (
        "the base model answers like the adapter: adapters leak into other requests of their batch",
    )


def test_an_adapter_that_changes_nothing_fails() -> None:
    item = ParityItem([1, 2], [10, 11], [-0.1, -0.2], [2.0, 2.0], [-0.1, -0.2])
    report = judge(Answers([-0.1, -0.2], [10, 11], [-0.1, -0.2]), item)
    assert not report.passed
    assert "no effect" in report.reasons[0]


@given(st.lists(st.floats(-20, 0), min_size=1, max_size=20), st.floats(0.001, 0.0799))
def test_a_gap_below_both_limits_always_passes_and_is_reported(logprobs: list[float], gap: float) -> None:
    ids = list(range(len(logprobs)))
    base = [x - 3 for x in logprobs]
    item = ParityItem([1], ids, logprobs, [1.0] * len(ids), base)
    report = judge(Answers([x - gap for x in logprobs], ids, base), item)
    assert report.passed
    assert report.max_logprob_gap == pytest.approx(gap, abs=1e-6)
    assert report.mean_logprob_gap == pytest.approx(gap, abs=1e-6)


# ------------------------------------------------------------------------------------------- dtypes

PAIRS = [(one, other) for one in ("bfloat16", "float32", None) for other in ("bfloat16", "float32", "auto", None)]
GENTLE = ParityItem([1, 2], [10, 11], [-0.1, -0.2], [2.0, 2.0], [-0.9, -1.1])
"""An adapter that changes little, which a wide tolerance could miss."""


@pytest.mark.parametrize("training, serving", PAIRS)
def test_a_server_in_another_dtype_passes(training: str | None, serving: str | None) -> None:
    limits = parity.tolerance_of(training, serving)
    gap = limits.mean / 2
    served = [logprob - gap for logprob in ITEM.logprobs]
    assert judge(Answers(served, [10, 11], ITEM.base_logprobs), tolerance=limits).passed


@pytest.mark.parametrize(
    "training, serving, largest, mean",
    [
        # Measured with SmolLM2-135M: 24 items, 815 tokens (docs/LOG.md, 2026-11-28).
        ("bfloat16", "bfloat16", 0.343, 0.0072),
        ("float32", "bfloat16", 0.193, 0.0055),
        ("bfloat16", "float32", 0.415, 0.0070),
        ("float32", "float32", 0.000033, 0.000001),
    ],
)
def test_measured_gaps_are_within_half_of_the_tolerance_or_little_more(
    training: str, serving: str, largest: float, mean: float
) -> None:
    limits = parity.tolerance_of(training, serving)
    assert largest < 0.55 * limits.largest
    assert mean < 0.5 * limits.mean


@pytest.mark.parametrize("training, serving", PAIRS)
@pytest.mark.parametrize(
    "answer",
    [
        Answers(GENTLE.base_logprobs, [99, 98], GENTLE.base_logprobs),
        Answers([-1.0, -1.3], [99, 98], GENTLE.base_logprobs),
        Answers(GENTLE.logprobs, [10, 11], GENTLE.logprobs),
    ],
    ids=["base model answers", "another adapter answers", "adapter leaks into the base model"],
)
def test_a_wrong_adapter_fails_whatever_the_dtypes(answer: Answers, training: str | None, serving: str | None) -> None:
    assert not judge(answer, GENTLE, parity.tolerance_of(training, serving)).passed


@pytest.mark.parametrize("training, serving", PAIRS)
def test_an_adapter_without_effect_fails_whatever_the_dtypes(training: str | None, serving: str | None) -> None:
    item = ParityItem([1, 2], [10, 11], [-0.1, -0.2], [2.0, 2.0], [-0.1, -0.2])
    rounding = [-0.11, -0.19]
    report = judge(Answers([-0.1, -0.2], [10, 11], rounding), item, parity.tolerance_of(training, serving))
    assert not report.passed


def test_two_float32_implementations_are_held_to_a_tighter_tolerance() -> None:
    tight, wide = parity.tolerance_of("float32", "float32"), parity.tolerance_of("float32", "bfloat16")
    assert (tight.largest, tight.mean) < (wide.largest, wide.mean)
    # Without knowing the server's type nothing tighter can be asked of it.
    assert parity.tolerance_of("float32", None) == wide


# ------------------------------------------------------------------------------------------- over HTTP


def says(item: ParityItem, logprobs: list[float]) -> dict[str, Any]:
    steps = itertools.pairwise([item.prompt_ids[-1], *item.completion_ids])
    return {
        "logprobs": dict(zip(map(str, item.completion_ids), logprobs, strict=True)),
        "next": {str(before): after for before, after in steps},
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    (folder / "parity.jsonl").write_bytes(adapters.dump_parity([ITEM] * 3))
    return folder


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the base model, the adapter, and one whose adapter is not applied."""
    work = tmp_path_factory.mktemp("server")
    base = says(ITEM, ITEM.base_logprobs) | {"next": {}}
    served = {"base": base, "task@1": says(ITEM, ITEM.logprobs), "unapplied@2": base}
    (work / "answers.json").write_text(json.dumps(served))
    port = supervise.free_port()
    fake = (sys.executable, "-S", str(Path(model_server.__file__)), str(port), "ok")
    argv = (*fake, "--models", *served, "--answers", str(work / "answers.json"))
    command = Command(argv, {}, "127.0.0.1", port, tuple(served))
    with supervise.start(command, work / "log") as server:
        yield server.base_url


def test_a_served_adapter_passes_over_http(base_url: str, folder: Path) -> None:
    report = parity.check(base_url, folder, model="task@1", base_model="base")
    assert report.passed, report.reasons
    assert (report.items, report.tokens, report.max_logprob_gap) == (3, 6, 0.0)
    assert report.base_gap == pytest.approx((4.9 + 6.8) / 2)


def test_without_a_served_base_model_the_recorded_log_probabilities_are_used(base_url: str, folder: Path) -> None:
    assert parity.check(base_url, folder, model="task@1", base_model="elsewhere").passed
    assert parity.check(base_url, folder, model="task@1", base_model=None).passed


def test_an_adapter_that_is_not_applied_fails_over_http(base_url: str, folder: Path) -> None:
    report = parity.check(base_url, folder, model="unapplied@2", base_model="base")
    assert not report.passed
    assert not report.differs_from_base
    assert report.greedy_mismatches == 3


def test_a_model_that_is_not_served_is_an_error_that_lists_the_served_ones(base_url: str, folder: Path) -> None:
    with pytest.raises(EndpointError, match="does not serve 'task@9'; it serves: base, task@1, unapplied@2"):
        parity.check(base_url, folder, model="task@9", base_model="base")


def test_an_endpoint_that_is_down_is_an_error(folder: Path) -> None:
    with pytest.raises(EndpointError, match="does not answer"):
        parity.check(f"http://127.0.0.1:{supervise.free_port()}/v1", folder, model="task@1", base_model=None)


def test_an_adapter_without_parity_items_is_an_error(tmp_path: Path, base_url: str) -> None:
    with pytest.raises(NotFound, match="train it again"):
        parity.check(base_url, tmp_path, model="task@1", base_model=None)
    (tmp_path / "parity.jsonl").write_text("")
    with pytest.raises(InputError, match="has no answers"):
        parity.check(base_url, tmp_path, model="task@1", base_model=None)
