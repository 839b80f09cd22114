"""Ask a running model about many items: a concurrency limit, the SDK's retries, failures told apart.

A failed item is an answer with an error, and counts as wrong. What makes the whole run useless
(a refused key, an unknown model, more than half of the items failing) stops it with one line.
"""

import asyncio
import contextlib
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from pipeline.evaluate.answers import Answer, Answers
from pipeline.evaluate.budget import Meter
from pipeline.evaluate.endpoints import Endpoint
from pipeline.evaluate.questions import Question
from traffic import confidence, formats
from traffic.errors import BudgetReached, EndpointError, FastTierError
from traffic.record import Usage
from traffic.tiers import is_loopback

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types import CompletionUsage
    from openai.types.chat import ChatCompletion

ENOUGH_TO_JUDGE = 10
"""Finished items before a run in which most fail is stopped."""


class Asker(msgspec.Struct, frozen=True, kw_only=True):
    """How a candidate's endpoint is asked."""

    candidate: str
    endpoint: Endpoint
    concurrency: int
    timeout_s: float
    max_retries: int
    latency_sample: int
    """Items that are asked one at a time before the rest is asked concurrently."""
    warm_up: bool = False
    """Ask once before anything is measured: a fresh vLLM compiles on its first request."""
    key_name: str | None = None
    """Environment variable of the key, for the message when it is refused."""
    meter: Meter | None = None
    """Of a hosted model: what its requests cost, and whether there is money left for the next."""

    def ask(self, questions: Sequence[Question], log: Answers, advance: Callable[[], None]) -> None:
        """Ask what the log has no good answer to; `advance` is called after each.

        Raises: EndpointError, BudgetReached (when nothing is in flight any more, so nothing paid is lost).
        """
        asyncio.run(self._ask(questions, log, advance))

    async def _ask(self, questions: Sequence[Question], log: Answers, advance: Callable[[], None]) -> None:
        by_id = {question.record_id: question for question in questions}
        todo = [by_id[record_id] for record_id in log.open_items(by_id)]
        alone = sum(1 for q in questions if (a := log.answers.get(q.record_id)) and a.concurrency == 1 and not a.error)
        sample = max(0, self.latency_sample - alone) if self.concurrency > 1 else 0
        failures = Failures(self.candidate, self.endpoint.base_url)
        session = uuid.uuid4().hex[:8]
        async with self._client() as client:
            if todo and self.warm_up:
                await self._one(client, todo[0])
            for concurrency, part in ((1, todo[:sample]), (self.concurrency, todo[sample:])):
                await self._phase(client, iter(part), concurrency, session, log, failures, advance)
        failures.judge(at_end=True)

    async def _phase(
        self,
        client: "AsyncOpenAI",
        questions: Iterator[Question],
        concurrency: int,
        session: str,
        log: Answers,
        failures: "Failures",
        advance: Callable[[], None],
    ) -> None:
        began = time.perf_counter()
        purse = _Purse(self.candidate, self.meter)

        async def worker() -> None:
            for question in questions:
                async with purse.payment(question) as pay:
                    answer = msgspec.structs.replace(
                        await self._one(client, question),
                        concurrency=concurrency,
                        session=session,
                        elapsed_s=time.perf_counter() - began,
                    )
                    log.add(answer)
                    pay(answer)
                advance()
                failures.count(answer)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(worker())
        except* FastTierError as stopped:
            # Several workers can meet the same end; one line is enough.
            error: BaseException = stopped
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            raise error from None

    async def _one(self, client: "AsyncOpenAI", question: Question) -> Answer:
        import openai

        began = time.perf_counter()
        try:
            raw = await client.chat.completions.with_raw_response.create(model=self.endpoint.model, **question.body)
            completion: ChatCompletion = raw.parse()
            answer = answer_of(question.record_id, completion, raw.retries_taken)
        except openai.APIStatusError as error:
            stop_if_hopeless(self.candidate, self.endpoint, self.key_name, error.status_code)
            answer = Answer(record_id=question.record_id, error=reason(self.endpoint, error), refused=True)
        except openai.APITimeoutError:
            answer = Answer(record_id=question.record_id, error=f"no answer within {self.timeout_s:g} s")
        except (openai.OpenAIError, ValueError) as error:
            # ValueError: the SDK lets a body that is no JSON through as the decoder's own error.
            answer = Answer(record_id=question.record_id, error=reason(self.endpoint, error))
        return msgspec.structs.replace(answer, latency_ms=(time.perf_counter() - began) * 1000)

    def _client(self) -> "AsyncOpenAI":
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        # A proxy from the environment cannot reach a server on this machine.
        local = is_loopback(urlsplit(self.endpoint.base_url).hostname or "")
        return AsyncOpenAI(
            base_url=self.endpoint.base_url,
            # The SDK insists on a key and would otherwise take OPENAI_API_KEY, which this server must not see.
            api_key=self.endpoint.api_key or "none",
            max_retries=self.max_retries,
            timeout=self.timeout_s,
            http_client=DefaultAsyncHttpxClient(trust_env=False) if local else None,
        )


class _Purse:
    """Lets a request pass when the most that it can cost is there."""

    def __init__(self, candidate: str, meter: Meter | None) -> None:
        self._candidate = candidate
        self._meter = meter
        self._in_flight = 0
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def payment(self, question: Question) -> AsyncIterator[Callable[[Answer], None]]:
        """Sets the most aside; the block calls what it gets with the answer. Raises: BudgetReached."""
        if self._meter is None:
            yield lambda answer: None
            return
        meter, most = self._meter, self._meter.most_usd(question.body)
        async with self._changed:
            while not meter.budget.reserve(most):
                # What is in flight may turn out cheaper than what was set aside for it.
                if self._in_flight == 0:
                    raise budget_reached(self._candidate, meter, most)
                await self._changed.wait()
            self._in_flight += 1
        answers: list[Answer] = []
        try:
            yield answers.append
        finally:
            meter.settle(most, answers[0] if answers else None)
            self._in_flight -= 1
            async with self._changed:
                self._changed.notify_all()


class Failures:
    """Counts failed items and says when it is pointless to go on."""

    def __init__(self, candidate: str, base_url: str) -> None:
        self._where = f"candidate {candidate}: {base_url}"
        self._finished = 0
        self._reasons: Counter[str] = Counter()

    def count(self, answer: Answer) -> None:
        """Raises: EndpointError when more than half of enough items have failed."""
        self._finished += 1
        if answer.error is not None:
            self._reasons[answer.error] += 1
            self.judge()

    def judge(self, *, at_end: bool = False) -> None:
        """Raises: EndpointError."""
        failed = self._reasons.total()
        if 2 * failed > self._finished and (at_end or self._finished >= ENOUGH_TO_JUDGE):
            reason = self._reasons.most_common(1)[0][0]
            raise EndpointError(
                f"{self._where}: {failed} of {self._finished} requests failed, most often: {reason}; "
                "the answers so far are kept, the same command continues"
            )


def budget_reached(candidate: str, meter: Meter, most_usd: float) -> BudgetReached:
    """The error that ends a candidate whose next request is not affordable."""
    budget = meter.budget
    return BudgetReached(
        f"candidate {candidate}: the budget of {formats.usd(budget.limit_usd or 0.0)} is used up to "
        f"{formats.usd(budget.spent_usd)} and the next request may cost {formats.usd(most_usd)}; "
        "its answers so far are kept, the same command with a larger --budget continues"
    )


def stop_if_hopeless(candidate: str, endpoint: Endpoint, key_name: str | None, status: int) -> None:
    """Raises: EndpointError for a status that every further request would get too."""
    where = f"candidate {candidate}: {endpoint.base_url}"
    if status in (401, 403):
        # The server's own text is left out: some of them repeat a part of the key.
        fix = f"check the environment variable {key_name}" if key_name else "it wants a key"
        raise EndpointError(f"{where} refused the request ({status}); {fix}")
    if status == 404:
        raise EndpointError(f"{where} does not serve the model {endpoint.model!r} (404); see its /models")


def reason(endpoint: Endpoint, error: Exception) -> str:
    """An error in one short line, without the key."""
    text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return text.replace(endpoint.api_key, "***") if endpoint.api_key else text


def answer_of(record_id: str, completion: "ChatCompletion", retries: int = 0) -> Answer:
    """An answer out of a chat completion."""
    if not completion.choices:
        return Answer(record_id=record_id, error="the server sent no choices", retries=retries)
    choice = completion.choices[0]
    steps = choice.logprobs.content if choice.logprobs else None
    return Answer(
        record_id=record_id,
        text=choice.message.content or "",
        finish_reason=choice.finish_reason,
        usage=_usage(completion.usage),
        signals=confidence.from_openai_logprobs([step.model_dump() for step in steps]) if steps else None,
        retries=retries,
        model=completion.model,
    )


def _usage(usage: "CompletionUsage | None") -> Usage | None:
    """OpenAI counts cached tokens inside the prompt; we count each token once."""
    if usage is None:
        return None
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    cached = (prompt.cached_tokens or 0) if prompt else 0
    return Usage(
        input_uncached=usage.prompt_tokens - cached,
        cache_read=cached,
        output=usage.completion_tokens,
        reasoning=(completion.reasoning_tokens or 0) if completion else 0,
    )
