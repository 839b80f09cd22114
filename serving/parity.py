"""Parity check of an adapter over HTTP: a running endpoint must give the outputs that training recorded.

A server can load an adapter and still answer with the base model (a module prefix that does not match, a stale prefix
cache), or mix up adapters in one batch. The check sends the prompts of parity.jsonl concurrently, interleaved with
requests to the base model, and compares log-probabilities of given tokens, greedily generated tokens, and the distance
to the base model.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from serving import supervise
from traffic import adapters
from traffic.adapters import ComputeDtype, ParityItem
from traffic.errors import EndpointError, InputError


class Tolerance(msgspec.Struct, frozen=True):
    """Maximum difference between two implementations' log-probabilities of the same tokens, in nats."""

    largest: float
    """Of one token."""
    mean: float
    """Mean over all tokens: an error in one of many layers changes all tokens a little."""

    @property
    def margin(self) -> float:
        """Margin of the best token below which another token may be generated."""
        return self.largest / 2


HALF_PRECISION = Tolerance(largest=0.8, mean=0.08)
"""If training or the server computes in 16 bits, or in an unknown type. Measured with SmolLM2-135M, PEFT and vLLM on a
CPU: at most 0.415 for one token, mean 0.007 for JSON and 0.028 for free text (docs/LOG.md)."""
FLOAT32 = Tolerance(largest=0.02, mean=0.002)
"""If both compute in float32, which differ by the order of sums only: at most 0.00003 was measured."""
CONCURRENCY = 8
TIMEOUT_SECONDS = 300.0


class ParityReport(msgspec.Struct, frozen=True):
    """Result of the parity check."""

    model: str
    items: int
    tokens: int
    max_logprob_gap: float
    """In nats, over all completion tokens."""
    mean_logprob_gap: float
    greedy_mismatches: int
    """Items with other generated tokens, except where the margin was small."""
    base_gap: float
    """Mean difference between the endpoint's adapter and the base model, in nats."""
    differs_from_base: bool
    tolerance: float
    passed: bool
    reasons: tuple[str, ...] = ()
    """Reasons for a failure."""
    mean_tolerance: float | None = None
    """Limit of `mean_logprob_gap`; `tolerance` is that of `max_logprob_gap`."""
    training_dtype: ComputeDtype | None = None
    """Compute type of parity.jsonl; None: not recorded."""
    serving_dtype: str | None = None
    """Compute type of the endpoint; None: unknown."""

    def lines(self) -> list[str]:
        """Summary for the terminal."""
        measured = (
            f"{self.items} items, {self.tokens} tokens: log-probabilities within {self.max_logprob_gap:.3f} "
            f"(mean {self.mean_logprob_gap:.4f}), {self.greedy_mismatches} greedy mismatches, "
            f"{self.base_gap:.3f} from the base model"
        )
        return [f"parity of {self.model} {'passed' if self.passed else 'FAILED'}: {measured}", *self.reasons]


class Answers(msgspec.Struct, frozen=True):
    """The endpoint's output for one item."""

    logprobs: list[float]
    greedy: list[int]
    base_logprobs: list[float]


def check(
    base_url: str,
    adapter_folder: Path,
    *,
    model: str,
    base_model: str | None,
    api_key: str | None = None,
    training_dtype: ComputeDtype | None = None,
    serving_dtype: str | None = None,
) -> ParityReport:
    """Compare the endpoint's `model` with the adapter's parity.jsonl; the tolerance depends on both dtypes.

    `base_model`: name of the base model on the same endpoint. If it is None or not served (a merged model), the base
    model's log-probabilities in parity.jsonl are used.
    Raises: NotFound or InputError for parity.jsonl, EndpointError if the endpoint does not answer or lacks `model`.
    """
    items = adapters.load_parity(adapter_folder)
    if not any(item.completion_ids for item in items):
        raise InputError(f"{adapter_folder / 'parity.jsonl'} has no answers; train the adapter again")
    served = supervise.served_models(base_url, api_key)
    if model not in served:
        raise EndpointError(f"{base_url} does not serve {model!r}; it serves: {', '.join(served)}")
    asks_base = base_model is not None and base_model in served

    def ask(body: dict[str, Any]) -> dict[str, Any]:
        return _complete(base_url, body, api_key)

    def answers_of(item: ParityItem) -> tuple[Future[list[float]], Future[list[int]], Future[list[float]] | None]:
        # Adapter and base model concurrently, so that they share batches as in production.
        forced = pool.submit(_forced, ask, model, item)
        base = pool.submit(_forced, ask, base_model, item) if asks_base and base_model else None
        return forced, pool.submit(_greedy, ask, model, item), base

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        pending = [answers_of(item) for item in items]
        answers = [
            Answers(forced.result(), greedy.result(), base.result() if base else item.base_logprobs)
            for item, (forced, greedy, base) in zip(items, pending, strict=True)
        ]
    report = judge(model, items, answers, tolerance_of(training_dtype, serving_dtype))
    return msgspec.structs.replace(report, training_dtype=training_dtype, serving_dtype=serving_dtype)


def tolerance_of(training: str | None, serving: str | None) -> Tolerance:
    """Tolerance between implementations with these compute types."""
    return FLOAT32 if training == serving == "float32" else HALF_PRECISION


def judge(model: str, items: Sequence[ParityItem], answers: Sequence[Answers], tolerance: Tolerance) -> ParityReport:
    """The report on the endpoint's answers compared with those of training. Pure."""
    gaps = [_gap(answer.logprobs, item.logprobs) for item, answer in zip(items, answers, strict=True)]
    tokens = sum(len(item.completion_ids) for item in items)
    largest = max(max(gap, default=0.0) for gap in gaps)
    mean = sum(map(sum, gaps)) / tokens
    to_base = sum(sum(_gap(answer.logprobs, answer.base_logprobs)) for answer in answers) / tokens
    # The adapter's distance from the base model in training, as a scale for that of the endpoint.
    effect = sum(sum(_gap(item.logprobs, item.base_logprobs)) for item in items) / tokens
    # A smaller effect cannot be told from differences between implementations.
    differs = to_base > effect / 2 and effect > tolerance.mean
    mismatches = sum(
        _mismatch(item, answer.greedy, tolerance.margin) for item, answer in zip(items, answers, strict=True)
    )
    reasons = []
    if largest > tolerance.largest:
        reasons.append(f"a token's log-probability is {largest:.3f} from training's, more than {tolerance.largest:g}")
    if mean > tolerance.mean:
        reasons.append(f"log-probabilities are {mean:.3f} from training's on average, more than {tolerance.mean:g}")
    if mismatches:
        reasons.append(f"{mismatches} of {len(items)} items generate other tokens than in training")
    if not differs:
        reasons.append(_why_alike(effect, mean, tolerance.mean))
    return ParityReport(
        model=model,
        items=len(items),
        tokens=tokens,
        max_logprob_gap=round(largest, 6),
        mean_logprob_gap=round(mean, 6),
        greedy_mismatches=mismatches,
        base_gap=round(to_base, 6),
        differs_from_base=differs,
        tolerance=tolerance.largest,
        mean_tolerance=tolerance.mean,
        passed=not reasons,
        reasons=tuple(reasons),
    )


def _why_alike(effect: float, mean: float, mean_limit: float) -> str:
    if effect <= mean_limit:
        return (
            f"the adapter has no effect beyond rounding: in training, too, its log-probabilities were "
            f"{effect:.3f} from its base model's on average (more than {mean_limit:g} is needed)"
        )
    if mean <= mean_limit:
        return "the base model answers like the adapter: adapters leak into other requests of their batch"
    return "the endpoint answers like the base model: the adapter is not applied"


def _gap(one: Sequence[float], other: Sequence[float]) -> list[float]:
    return [abs(a - b) for a, b in zip(one, other, strict=True)]


def _mismatch(item: ParityItem, generated: Sequence[int], close: float) -> bool:
    """Whether generation differs from the expected tokens at a position with a large margin."""
    for expected, actual, margin in zip(item.completion_ids, generated, item.margins, strict=True):
        if expected != actual:
            # After the first difference the contexts differ, so later tokens cannot be compared.
            return margin >= close
    return False


Ask = Callable[[dict[str, Any]], dict[str, Any]]


def _forced(ask: Ask, model: str, item: ParityItem) -> list[float]:
    """Log-probability of each given completion token."""
    body = {"prompt": [*item.prompt_ids, *item.completion_ids], "max_tokens": 1, "prompt_logprobs": 0}
    steps = ask({"model": model, "temperature": 0, **body})["prompt_logprobs"][len(item.prompt_ids) :]
    return [float(step[str(token)]["logprob"]) for step, token in zip(steps, item.completion_ids, strict=True)]


def _greedy(ask: Ask, model: str, item: ParityItem) -> list[int]:
    """Greedily generated tokens, as many as the item has, including the end-of-turn token."""
    body = {"prompt": item.prompt_ids, "max_tokens": len(item.completion_ids), "ignore_eos": True}
    return list(ask({"model": model, "temperature": 0, "return_token_ids": True, **body})["token_ids"])


def _complete(base_url: str, body: dict[str, Any], api_key: str | None) -> dict[str, Any]:
    """The first choice of a completion. Raises: EndpointError."""
    url = f"{base_url}/completions"
    try:
        status, answer = supervise.request("POST", url, body, api_key=api_key, timeout_s=TIMEOUT_SECONDS)
    except OSError as error:
        raise EndpointError(f"{base_url} stopped answering during the parity check: {error}") from None
    if status != 200:
        raise EndpointError(f"{base_url} answered {status} to a parity item: {answer[:300]!r}")
    choice: dict[str, Any] = msgspec.json.decode(answer)["choices"][0]
    return choice
