"""Batches requests: each batch has those that arrived during the one before, so none waits for a batch to fill."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from serving.openai_http import Busy
from traffic.classifier_model import Answer, Model, SiteClassifier
from traffic.errors import InputError, NotFound

MAX_WAITING = 1024
"""Maximum requests in the queue; more are refused, so that the router tries another endpoint."""


class _QueuedRequest(NamedTuple):
    model: str
    text: str
    answer: "asyncio.Future[Answer]"


class Engine:
    """The loaded classifiers."""

    def __init__(self, models: Sequence[Model], *, max_batch: int) -> None:
        """Raises: InputError for a duplicate model name."""
        self._sites: dict[str, SiteClassifier] = {}
        for model in models:
            for call_site in model.card.models:
                name = model.card.served_name(call_site)
                if name in self._sites:
                    raise InputError(f"duplicate model {name}")
                self._sites[name] = model.site(call_site)
        for site in self._sites.values():
            site.answers(["the first text loads what later ones need"])
        self._max_batch = max_batch
        self._queue: asyncio.Queue[_QueuedRequest] = asyncio.Queue(MAX_WAITING)
        self._worker: asyncio.Task[None] | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models."""
        return tuple(self._sites)

    @property
    def healthy(self) -> bool:
        """Whether requests are being answered."""
        return self._worker is not None and not self._worker.done()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answers requests during the block."""
        self._worker = asyncio.create_task(self._work())
        try:
            yield
        finally:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker

    async def ask(self, model: str, text: str) -> Answer:
        """The answer to one text. Raises: NotFound, Busy, RuntimeError if the model failed."""
        if model not in self._sites:
            raise NotFound(f"the model {model!r} does not exist here; there are: {', '.join(self._sites)}")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait(_QueuedRequest(model, text, answer))
        except asyncio.QueueFull:
            raise Busy from None
        return await answer

    async def _work(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < self._max_batch and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            by_model: dict[str, list[_QueuedRequest]] = defaultdict(list)
            for request in batch:
                if not request.answer.done():
                    by_model[request.model].append(request)
            for model, waiting in by_model.items():
                await self._answer(model, waiting)

    async def _answer(self, model: str, waiting: list[_QueuedRequest]) -> None:
        texts = [request.text for request in waiting]
        try:
            answers = await asyncio.to_thread(self._sites[model].answers, texts)
        except Exception as error:  # noqa: BLE001 - the requests of the batch must fail, whatever a library raised
            for request in waiting:
                if not request.answer.done():
                    request.answer.set_exception(RuntimeError(f"{model} failed: {error!r}"))
            return
        for request, answer in zip(waiting, answers, strict=True):
            # The future is cancelled if the client disconnected.
            if not request.answer.done():
                request.answer.set_result(answer)
