"""Asks a hosted model through its batch API (OpenAI's protocol): answers within a day, at a lower price.

A batch is stored before it is sent and deleted when its answers are stored, so a run killed at any moment picks it up
again instead of paying twice.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from pipeline.evaluate import client as clients
from pipeline.evaluate.answers import Answer, Question
from pipeline.evaluate.budget import Meter
from pipeline.evaluate.cache import AnswerCache, Batch, CachedAnswers, source_of
from pipeline.evaluate.endpoints import Endpoint
from traffic.errors import EndpointError
from traffic.tiers import is_loopback

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types import Batch as RemoteBatch

FINAL_STATUSES = ("completed", "failed", "expired", "cancelled")
MAX_BATCH_REQUESTS, MAX_BATCH_BYTES = 50_000, 190_000_000
"""Limits of one batch; the provider accepts 200 MB."""
FIRST_POLL_S = 1.0
_METADATA_KEY = "fasttier"
"""Key of our token in the batch's metadata."""


class BatchClient(msgspec.Struct, frozen=True, kw_only=True):
    """Client of one candidate's batch endpoint."""

    candidate: str
    endpoint: Endpoint
    cache: AnswerCache
    meter: Meter
    poll_s: float
    """Longest interval between two polls."""
    timeout_s: float
    max_retries: int
    announce: Callable[[str], None]
    key_name: str | None = None

    def ask(self, questions: Sequence[Question], log: CachedAnswers, show: Callable[[int], None]) -> None:
        """Ask the questions that have no usable answer in the log; calls `show` with the number of missing answers.

        Batches that an earlier run left at the provider come first. The rest is sent in batches as large as the budget
        allows at worst; what a batch turns out cheaper pays for the next one.

        Raises: EndpointError, BudgetReached.
        """
        import openai

        by_id = {question.record_id: question for question in questions}
        try:
            with self._client() as client:
                for unfinished in self.cache.batches(source_of(self.endpoint)):
                    self._resume(client, unfinished, log, show)
                todo = [by_id[record_id] for record_id in log.open_items(by_id)]
                while todo:
                    part, max_usd = self._affordable(todo)
                    todo = todo[len(part) :]
                    self._collect(client, self._submit(client, part, log, max_usd), log, show)
        except openai.APIStatusError as error:
            fatal = clients.fatal_status(self.candidate, self.endpoint, self.key_name, error.status_code)
            raise fatal or self._stopped(clients.error_text(self.endpoint, error)) from None
        except openai.OpenAIError as error:
            raise self._stopped(clients.error_text(self.endpoint, error)) from None
        failures = clients.FailureLimit(self.candidate, self.endpoint.base_url)
        for answer in sorted(log.answers.values(), key=lambda answer: answer.error is not None):
            failures.count(answer)
        failures.check(at_end=True)

    def _affordable(self, todo: Sequence[Question]) -> tuple[list[Question], float]:
        """The questions that fit the budget now, and their reserved upper bound in USD."""
        part: list[Question] = []
        max_usd, size = 0.0, 0
        for question in todo:
            usd, length = self.meter.most_usd(question.body), len(msgspec.json.encode(question.body)) + 200
            full = len(part) == MAX_BATCH_REQUESTS or size + length > MAX_BATCH_BYTES
            if full or not self.meter.budget.reserve(usd):
                break
            part.append(question)
            max_usd, size = max_usd + usd, size + length
        if not part:
            raise self.meter.reached(self.candidate, self.meter.most_usd(todo[0].body))
        return part, max_usd

    # ------------------------------------------------------------------------------------------- sending

    def _submit(self, client: "OpenAI", part: Sequence[Question], log: CachedAnswers, max_usd: float) -> Batch:
        import openai

        keys = tuple(log.keys[question.record_id] for question in part)
        batch = Batch(uuid.uuid4().hex, source_of(self.endpoint), None, keys, max_usd)
        lines = b"".join(self._line(key, question) for key, question in zip(keys, part, strict=True))
        file = client.files.create(file=(f"fasttier-{batch.token}.jsonl", lines), purpose="batch")
        self.cache.add_batch(batch)
        try:
            # No SDK retries: a batch whose response was lost must not be created twice.
            remote = client.with_options(max_retries=0).batches.create(
                input_file_id=file.id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={_METADATA_KEY: batch.token},
            )
        except openai.APIStatusError as error:
            # After a 5xx it may have been created: the next run looks for its token.
            if error.status_code < 500:
                self.cache.finish_batch(batch, {})
            raise
        batch = msgspec.structs.replace(batch, batch_id=remote.id)
        self.cache.add_batch(batch)
        self.announce(
            f"{self.candidate}: batch {remote.id} with {len(part)} requests is sent and may take a day; "
            "after an interruption the same command picks it up"
        )
        return batch

    def _line(self, key: str, question: Question) -> bytes:
        body: dict[str, Any] = {"model": self.endpoint.model} | question.body
        body |= body.pop("extra_body", {})
        line = {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body}
        return msgspec.json.encode(line) + b"\n"

    def _resume(self, client: "OpenAI", batch: Batch, log: CachedAnswers, show: Callable[[int], None]) -> None:
        """Fetch a batch of an earlier run; its cost counts in this run. Raises: BudgetReached."""
        if batch.batch_id is None:
            remote_id = next((b.id for b in client.batches.list(limit=100) if _token(b) == batch.token), None)
            if remote_id is None:
                # It was never created.
                self.cache.finish_batch(batch, {})
                return
            batch = msgspec.structs.replace(batch, batch_id=remote_id)
            self.cache.add_batch(batch)
        # Otherwise the batch stays at the provider, and a run with a larger budget picks it up.
        if not self.meter.budget.reserve(batch.most_usd):
            raise self.meter.reached(self.candidate, batch.most_usd)
        self.announce(f"{self.candidate}: picking up batch {batch.batch_id} with {len(batch.keys)} requests")
        self._collect(client, batch, log, show)

    # ---------------------------------------------------------------------------------------- collecting

    def _collect(self, client: "OpenAI", batch: Batch, log: CachedAnswers, show: Callable[[int], None]) -> None:
        remote = self._wait(client, batch, show)
        answers: dict[str, Answer] = {}
        for file in (remote.error_file_id, remote.output_file_id):
            if file is not None:
                answers |= self._answers(client.files.content(file).content.splitlines())
        self.cache.finish_batch(batch, answers)
        paid = sum(self.meter.paid_usd(answers[key], 0.0) for key in batch.keys if key in answers)
        self.meter.budget.settle(batch.most_usd, paid)
        missing = Answer(record_id="", error=f"the batch ended as {remote.status} without this answer", refused=True)
        log.take({key: answers.get(key, missing) for key in batch.keys})
        if remote.status == "failed":
            faults = remote.errors.data if remote.errors and remote.errors.data else []
            reason = faults[0].message if faults else "no reason given"
            raise self._stopped(f"batch {batch.batch_id} failed: {reason}")

    def _wait(self, client: "OpenAI", batch: Batch, show: Callable[[int], None]) -> "RemoteBatch":
        """Poll the batch until it has ended, at growing intervals."""
        assert batch.batch_id is not None
        pause = min(FIRST_POLL_S, self.poll_s)
        while True:
            remote = client.batches.retrieve(batch.batch_id)
            counts = remote.request_counts
            show(len(batch.keys) - (counts.completed + counts.failed if counts else 0))
            if remote.status in FINAL_STATUSES:
                return remote
            time.sleep(pause)
            pause = min(2 * pause, self.poll_s)

    def _answers(self, lines: Iterable[bytes]) -> dict[str, Answer]:
        """Answers of a result file by content key; failed requests with their error."""
        from openai.types.chat import ChatCompletion

        answers = {}
        for line in lines:
            row = msgspec.json.decode(line, type=_Row)
            body = row.response.body if row.response else {}
            if row.response is None or row.response.status_code != 200:
                fault = row.error or body.get("error") or "no reason given"
                text = " ".join(str(fault.get("message") if isinstance(fault, dict) else fault).split())[:200]
                answers[row.custom_id] = Answer(record_id="", error=f"in the batch: {text}", refused=True)
                continue
            answer = clients.answer_of("", ChatCompletion.construct(**body))
            answers[row.custom_id] = msgspec.structs.replace(answer, price_share=self.meter.share)
        return answers

    def _stopped(self, reason: str) -> EndpointError:
        return EndpointError(
            f"candidate {self.candidate}: {self.endpoint.base_url}: {reason}; answers so far are stored, "
            "the same command continues"
        )

    def _client(self) -> "OpenAI":
        from openai import DefaultHttpxClient, OpenAI

        local = is_loopback(urlsplit(self.endpoint.base_url).hostname or "")
        return OpenAI(
            base_url=self.endpoint.base_url,
            api_key=self.endpoint.api_key or "none",
            max_retries=self.max_retries,
            timeout=self.timeout_s,
            http_client=DefaultHttpxClient(trust_env=False) if local else None,
        )


class _Response(msgspec.Struct):
    status_code: int
    body: dict[str, Any] = {}


class _Row(msgspec.Struct):
    """One line of a batch's output or error file."""

    custom_id: str
    response: _Response | None = None
    error: dict[str, Any] | None = None


def _token(batch: "RemoteBatch") -> str | None:
    return (batch.metadata or {}).get(_METADATA_KEY)
