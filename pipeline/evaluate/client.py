"""Asks a running model about many items over the OpenAI protocol: concurrency, retries, failure limits, budget.

A failed item is an answer with an error and counts as wrong. Errors that every request would meet (a refused key, an
unknown model, more than half of the items failing) stop the run.
"""

import asyncio
import contextlib
import datetime as dt
import email.utils
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import msgspec

from pipeline.evaluate.answers import Answer, Answers, Question
from pipeline.evaluate.budget import Meter
from pipeline.evaluate.endpoints import Endpoint
from traffic import confidence
from traffic.errors import EndpointError, FastTierError
from traffic.tiers import is_loopback
from traffic.usage import usage_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletion

MIN_FINISHED = 10
"""Finished items before a mostly failing run is stopped."""
_RETRIED = (408, 409, 429)
_MAYBE_BILLED = (408, 504)
"""Timeouts at a gateway: the model behind it may have answered."""
_MAX_RETRY_AFTER_S = 60.0
_MAX_BACKOFF_S = 8.0


class ChatClient(msgspec.Struct, frozen=True, kw_only=True):
    """Client of one candidate's endpoint."""

    candidate: str
    endpoint: Endpoint
    concurrency: int
    timeout_s: float
    max_retries: int
    latency_sample: int
    """Items asked one at a time before the rest is asked concurrently."""
    warm_up: bool = False
    """Send one unmeasured request first: vLLM compiles on its first request."""
    key_name: str | None = None
    """Environment variable of the API key, for error messages."""
    meter: Meter | None = None
    """Of a hosted model: prices attempts and reserves them in the budget."""

    def ask(self, questions: Sequence[Question], log: Answers, advance: Callable[[], None]) -> None:
        """Ask the questions that have no usable answer in the log; calls `advance` after each.

        Raises: EndpointError, BudgetReached (when no request is in flight, so no paid answer is lost).
        """
        asyncio.run(self._ask(questions, log, advance))

    async def _ask(self, questions: Sequence[Question], log: Answers, advance: Callable[[], None]) -> None:
        by_id = {question.record_id: question for question in questions}
        todo = [by_id[record_id] for record_id in log.open_items(by_id)]
        timed_alone = sum(
            1 for q in questions if (a := log.answers.get(q.record_id)) and a.concurrency == 1 and not a.error
        )
        sample = max(0, self.latency_sample - timed_alone) if self.concurrency > 1 else 0
        failures = FailureLimit(self.candidate, self.endpoint.base_url)
        session = uuid.uuid4().hex[:8]
        async with self._client() as client:
            if todo and self.warm_up:
                await self._attempt(client, todo[0])
            for concurrency, part in ((1, todo[:sample]), (self.concurrency, todo[sample:])):
                await self._phase(client, iter(part), _Load(concurrency, session), log, failures, advance)
        failures.check(at_end=True)

    async def _phase(
        self,
        client: "AsyncOpenAI",
        questions: Iterator[Question],
        load: "_Load",
        log: Answers,
        failures: "FailureLimit",
        advance: Callable[[], None],
    ) -> None:
        began = time.perf_counter()
        guard = BudgetGuard(self.candidate, self.meter)

        async def worker() -> None:
            for question in questions:
                answer = msgspec.structs.replace(
                    await self._answer(client, question, guard),
                    concurrency=load.concurrency,
                    session=load.session,
                    elapsed_s=time.perf_counter() - began,
                )
                log.add(answer)
                advance()
                failures.count(answer)

        error: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(load.concurrency):
                    group.create_task(worker())
        except* FastTierError as stopped:
            # Several workers can meet the same error; one of them is reported. Early versions of Python 3.11 wrap what
            # is raised in here in another group.
            error = stopped
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
        if error is not None:
            raise error from None

    async def _answer(self, client: "AsyncOpenAI", question: Question, guard: "BudgetGuard") -> Answer:
        """Attempts until one succeeds, cannot succeed, or was the last; each with its own reservation."""
        began = time.perf_counter()
        for retry in range(self.max_retries + 1):
            async with guard.reserved(question) as settle:
                attempt = await self._attempt(client, question)
                settle(attempt.answer)
            if attempt.fatal is not None:
                raise attempt.fatal
            if attempt.retry_after_s is None or retry == self.max_retries:
                break
            await asyncio.sleep(attempt.retry_after_s or _backoff_s(retry))
        latency_ms = (time.perf_counter() - began) * 1000
        return msgspec.structs.replace(attempt.answer, retries=retry, latency_ms=latency_ms)

    async def _attempt(self, client: "AsyncOpenAI", question: Question) -> "_Attempt":
        import openai

        def failed(reason: str, *, refused: bool = False) -> Answer:
            return Answer(record_id=question.record_id, error=reason, refused=refused)

        try:
            completion = await client.chat.completions.create(model=self.endpoint.model, **question.body)
            return _Attempt(answer_of(question.record_id, completion))
        except openai.APIStatusError as error:
            status = error.status_code
            answer = failed(error_text(self.endpoint, error), refused=status not in _MAYBE_BILLED)
            retried = status in _RETRIED or status >= 500
            fatal = fatal_status(self.candidate, self.endpoint, self.key_name, status)
            return _Attempt(answer, _retry_after_s(error.response.headers) if retried else None, fatal)
        except openai.APITimeoutError:
            return _Attempt(failed(f"no answer within {self.timeout_s:g} s"), 0.0)
        except openai.APIConnectionError as error:
            return _Attempt(failed(error_text(self.endpoint, error)), 0.0)
        except (openai.OpenAIError, ValueError) as error:
            # ValueError: the SDK passes on the JSON decoder's error for a malformed body.
            return _Attempt(failed(error_text(self.endpoint, error)))

    def _client(self) -> "AsyncOpenAI":
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        # A proxy from the environment cannot reach a server on this machine.
        local = is_loopback(urlsplit(self.endpoint.base_url).hostname or "")
        return AsyncOpenAI(
            base_url=self.endpoint.base_url,
            # Without a key the SDK would send OPENAI_API_KEY, which this server must not see.
            api_key=self.endpoint.api_key or "none",
            # The SDK's own retries would be invisible to the budget.
            max_retries=0,
            timeout=self.timeout_s,
            http_client=DefaultAsyncHttpxClient(trust_env=False) if local else None,
        )


class _Load(NamedTuple):
    concurrency: int
    session: str


class _Attempt(NamedTuple):
    """Outcome of one request."""

    answer: Answer
    retry_after_s: float | None = None
    """None: a retry cannot help; 0: retry after the usual backoff."""
    fatal: EndpointError | None = None
    """Every further request would meet the same error."""


class BudgetGuard:
    """Holds an attempt back until the most it can cost is free in the budget."""

    def __init__(self, candidate: str, meter: Meter | None) -> None:
        self._candidate = candidate
        self._meter = meter
        self._in_flight = 0
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def reserved(self, question: Question) -> AsyncIterator[Callable[[Answer], None]]:
        """Reserve one attempt; the block calls the function it gets with the answer. Raises: BudgetReached."""
        if self._meter is None:
            yield lambda answer: None
            return
        meter, max_usd = self._meter, self._meter.most_usd(question.body)
        async with self._changed:
            while not meter.budget.reserve(max_usd):
                # Attempts in flight may turn out cheaper than their reservations.
                if self._in_flight == 0:
                    raise meter.reached(self._candidate, max_usd)
                await self._changed.wait()
            self._in_flight += 1
        answers: list[Answer] = []
        try:
            yield answers.append
        finally:
            meter.settle(max_usd, answers[0] if answers else None)
            self._in_flight -= 1
            async with self._changed:
                self._changed.notify_all()


class FailureLimit:
    """Stops a run in which most items fail."""

    def __init__(self, candidate: str, base_url: str) -> None:
        self._where = f"candidate {candidate}: {base_url}"
        self._finished = 0
        self._reasons: Counter[str] = Counter()

    def count(self, answer: Answer) -> None:
        """Raises: EndpointError when more than half of at least `MIN_FINISHED` items have failed."""
        self._finished += 1
        if answer.error is not None:
            self._reasons[answer.error] += 1
            self.check()

    def check(self, *, at_end: bool = False) -> None:
        """Raises: EndpointError."""
        failed = self._reasons.total()
        if 2 * failed > self._finished and (at_end or self._finished >= MIN_FINISHED):
            reason = self._reasons.most_common(1)[0][0]
            raise EndpointError(
                f"{self._where}: {failed} of {self._finished} requests failed, most often: {reason}; "
                "answers so far are stored, the same command continues"
            )


def fatal_status(candidate: str, endpoint: Endpoint, key_name: str | None, status: int) -> EndpointError | None:
    """The error for a status that every further request would get too; None for any other."""
    source = f"candidate {candidate}: {endpoint.base_url}"
    if status in (401, 403):
        # The server's own text is left out: some servers repeat a part of the key.
        fix = f"check the environment variable {key_name}" if key_name else "it requires an API key"
        return EndpointError(f"{source} refused the request ({status}); {fix}")
    if status == 404:
        return EndpointError(f"{source} does not serve the model {endpoint.model!r} (404); see its /models")
    return None


def error_text(endpoint: Endpoint, error: Exception) -> str:
    """An error in one short line, without the key."""
    text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return text.replace(endpoint.api_key, "***") if endpoint.api_key else text


def answer_of(record_id: str, completion: "ChatCompletion") -> Answer:
    """The answer in a chat completion."""
    from openai import BaseModel

    usage = None
    # The SDK does not validate: a server may send counts of another type, or no object at all.
    if isinstance(completion.usage, BaseModel):
        usage = usage_of(completion.usage.model_dump(exclude_none=True, warnings=False))
    if not completion.choices:
        return Answer(record_id=record_id, error="the server sent no choices", usage=usage)
    choice = completion.choices[0]
    steps = choice.logprobs.content if choice.logprobs else None
    return Answer(
        record_id=record_id,
        text=choice.message.content or "",
        finish_reason=choice.finish_reason,
        usage=usage,
        signals=confidence.from_openai_logprobs([step.model_dump() for step in steps]) if steps else None,
        model=completion.model,
    )


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks to wait (RFC 9110, section 10.2.3); 0 if it does not say, or asks for too long."""
    text = headers.get("retry-after", "")
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (email.utils.parsedate_to_datetime(text) - dt.datetime.now(dt.UTC)).total_seconds()
        except (ValueError, TypeError):
            return 0.0
    return seconds if 0 < seconds <= _MAX_RETRY_AFTER_S else 0.0


def _backoff_s(retry: int) -> float:
    """Exponential, with a quarter of jitter."""
    return float(min(0.5 * 2**retry, _MAX_BACKOFF_S) * (1 - 0.25 * random.random()))
