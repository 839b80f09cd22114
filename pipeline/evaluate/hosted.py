"""A hosted model that is asked for money: its endpoint, its price, its kept answers, live or through its batch API."""

import math
from collections.abc import Callable, Mapping, Sequence

from pipeline.evaluate.asking import Asker
from pipeline.evaluate.batch import BatchAsker
from pipeline.evaluate.budget import CHARS_PER_TOKEN, Budget, Estimate, Meter
from pipeline.evaluate.cache import AnswerCache, CachedAnswers
from pipeline.evaluate.candidates import CandidatesConfig, OpenAICandidate, read_key
from pipeline.evaluate.endpoints import Endpoint
from pipeline.evaluate.items import Item
from pipeline.evaluate.questions import Question
from traffic.prices import Price


class Hosted:
    """One hosted candidate, or a judge, during one evaluation."""

    def __init__(
        self,
        candidate: OpenAICandidate,
        config: CandidatesConfig,
        price: Price | None,
        budget: Budget,
        cache: AnswerCache,
        announce: Callable[[str], None],
    ) -> None:
        self.candidate, self.config, self.cache, self.announce = candidate, config, cache, announce
        self.endpoint = Endpoint(candidate.base_url, candidate.model, read_key(candidate))
        self.meter = Meter(price, budget, candidate.batch_price_share if candidate.mode == "batch" else 1.0)

    def kept(self, questions: Sequence[Question]) -> CachedAnswers:
        """The answers to these questions that are there already, and room for the others."""
        return CachedAnswers(self.cache, self.endpoint, questions)

    def estimate(self, questions: Sequence[Question], items: Mapping[str, Item]) -> Estimate:
        """What the questions that are not answered yet will cost.

        `items` by a question's record id: whose logged tokens are a good guess; others are guessed by characters.
        """
        by_id = {question.record_id: question for question in questions}
        todo = [by_id[record_id] for record_id in self.kept(questions).open_items(by_id)]
        usd = sum(self._expected_usd(question, items.get(question.record_id)) for question in todo)
        priced = self.meter.price is not None
        return Estimate(
            candidate=self.candidate.name,
            requests=len(todo),
            kept=len(questions) - len(todo),
            usd=usd if priced else None,
            most_usd=sum(self.meter.most_usd(question.body) for question in todo) if priced else None,
            batch=self.candidate.mode == "batch",
        )

    def ask(self, questions: Sequence[Question], answers: CachedAnswers, left: Callable[[int], None]) -> None:
        """Ask what is not answered yet; `left` is told how many answers are still to come.

        Raises: EndpointError, BudgetReached.
        """
        if self.candidate.mode == "batch":
            self._batch().ask(questions, answers, left)
            return
        open_ = len(answers.open_items(question.record_id for question in questions))
        done = 0

        def advance() -> None:
            nonlocal done
            done += 1
            left(open_ - done)

        self._live().ask(questions, answers, advance)

    def _expected_usd(self, question: Question, item: Item | None) -> float:
        if item is None:
            return self.meter.expected_usd(question.body, None, _VERDICT_TOKENS)
        output = item.logged.output_tokens or math.ceil(len(item.completion) / CHARS_PER_TOKEN) + 1
        return self.meter.expected_usd(question.body, item.logged.input_tokens, output)

    def _live(self) -> Asker:
        concurrency = self.config.concurrency
        return Asker(
            candidate=self.candidate.name,
            endpoint=self.endpoint,
            concurrency=min(concurrency, self.candidate.max_concurrency or concurrency),
            timeout_s=self.config.timeout_s,
            max_retries=self.config.max_retries,
            latency_sample=self.config.latency_sample,
            key_name=self.candidate.api_key_env,
            meter=self.meter,
        )

    def _batch(self) -> BatchAsker:
        return BatchAsker(
            candidate=self.candidate.name,
            endpoint=self.endpoint,
            cache=self.cache,
            meter=self.meter,
            poll_s=self.config.batch_poll_s,
            timeout_s=self.config.timeout_s,
            max_retries=self.config.max_retries,
            announce=self.announce,
            key_name=self.candidate.api_key_env,
        )


_VERDICT_TOKENS = 8
"""Of a judge's answer."""
