"""Candidate `openai`: a hosted model, asked live or through its batch API, with stored answers and a budget."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.evaluate import costs
from pipeline.evaluate.answers import Question
from pipeline.evaluate.batch import BatchClient
from pipeline.evaluate.budget import CHARS_PER_TOKEN, Estimate, Meter
from pipeline.evaluate.cache import CachedAnswers
from pipeline.evaluate.candidates import progress
from pipeline.evaluate.candidates.candidate import Answered, Resources
from pipeline.evaluate.candidates.own_server import TOP_LOGPROBS
from pipeline.evaluate.client import ChatClient
from pipeline.evaluate.config import HostedConfig, missing_key, read_key
from pipeline.evaluate.endpoints import Endpoint
from pipeline.evaluate.items import Item, Items
from pipeline.evaluate.scores import Graded
from traffic.adapters import CallSitePrompts

_VERDICT_TOKENS = 8
"""Output tokens of a judge's answer, for estimates."""


class HostedModel:
    """A hosted model as a candidate, or as the judge."""

    def __init__(self, config: HostedConfig, resources: Resources) -> None:
        self.config, self._resources = config, resources
        self.endpoint = Endpoint(config.base_url, config.model, read_key(config))
        self.price = costs.price_of(config, resources.prices, resources.today)
        share = config.batch_price_share if config.mode == "batch" else 1.0
        self.meter = Meter(self.price, resources.budget, share)

    def unavailable(self, items: Items) -> str | None:
        if self.config.only_judge:
            return "only_judge is set"
        return self.not_askable()

    def not_askable(self) -> str | None:
        """Why no request can be sent: a missing key, or a budget without a price."""
        variable = missing_key(self.config)
        if variable:
            return f"the environment variable {variable} is not set"
        if self._resources.budget.limit_usd is not None and self.price is None:
            return f"no price for {self.config.model}, so no budget can be kept; see configs/prices.yaml"
        return None

    def answers(self, items: Items) -> Answered:
        questions = self.questions(items)
        stored = self.stored(questions)
        missing = len(stored.open_items(item.record_id for item in items.items))
        total = len(items.items)
        with progress.bar(self.config.name, total, total - missing) as bar:
            self.ask(questions, stored, bar.show_missing)
        answers = [stored.answers[item.record_id] for item in items.items]
        costed = costs.by_tokens(answers, items.requests, self.price)
        paid = [usd * a.price_share for usd, a in zip(costed.usd, answers, strict=True) if usd is not None]
        loaded = costs.load_concurrency(answers)
        return Answered(
            answers=answers,
            costed=costed,
            latency=costs.latency(answers, 1) or costs.latency(answers, loaded),
            latency_loaded=costs.latency(answers, loaded) if loaded is not None and loaded > 1 else None,
            simulated=self.config.simulated,
            deprecated_on=self.config.deprecated_on or (self.price.deprecated_on if self.price else None),
            paid_usd=sum(paid) if paid else None,
        )

    def notes(self, items: Items, graded: Graded) -> list[str]:
        notes = []
        if self.price is None:
            notes.append(f"no price for {self.config.model}: its cost is unknown; add one to configs/prices.yaml")
        shares = [answer.price_share for answer in graded.answers if answer.price_share < 1]
        if shares:
            notes.append(
                f"{len(shares)} answers came through the batch API at {min(shares):.0%} of the price, without a "
                "latency; the cost shown is that of live requests"
            )
        return notes

    def questions(self, items: Items) -> list[Question]:
        """One request per item, with the prompt as the application sent it."""
        prompts = items.dataset.call_sites
        return [question(self.config, item, prompts[item.call_site]) for item in items.items]

    def stored(self, questions: Sequence[Question]) -> CachedAnswers:
        """Stored answers to these questions, and storage for the missing ones."""
        return CachedAnswers(self._resources.cache, self.endpoint, questions)

    def estimate(self, questions: Sequence[Question], items: Mapping[str, Item]) -> Estimate:
        """Cost of the questions that have no stored answer.

        `items` by record id: their logged tokens are the best guess; other questions are estimated by characters.
        """
        by_id = {question.record_id: question for question in questions}
        todo = [by_id[record_id] for record_id in self.stored(questions).open_items(by_id)]
        usd = sum(self._expected_usd(question, items.get(question.record_id)) for question in todo)
        priced = self.price is not None
        return Estimate(
            candidate=self.config.name,
            requests=len(todo),
            stored=len(questions) - len(todo),
            usd=usd if priced else None,
            most_usd=sum(self.meter.most_usd(question.body) for question in todo) if priced else None,
            batch=self.config.mode == "batch",
        )

    def ask(self, questions: Sequence[Question], answers: CachedAnswers, show: progress.Show) -> None:
        """Ask the questions that have no usable answer. Raises: EndpointError, BudgetReached."""
        if self.config.mode == "batch":
            self._batch_client().ask(questions, answers, show)
            return
        missing = len(answers.open_items(question.record_id for question in questions))
        done = 0

        def advance() -> None:
            nonlocal done
            done += 1
            show(missing - done)

        self._live_client().ask(questions, answers, advance)

    def _expected_usd(self, question: Question, item: Item | None) -> float:
        if item is None:
            return self.meter.expected_usd(question.body, None, _VERDICT_TOKENS)
        output = item.logged.output_tokens or math.ceil(len(item.completion) / CHARS_PER_TOKEN) + 1
        return self.meter.expected_usd(question.body, item.logged.input_tokens, output)

    def _live_client(self) -> ChatClient:
        settings = self._resources.config
        return ChatClient(
            candidate=self.config.name,
            endpoint=self.endpoint,
            concurrency=min(settings.concurrency, self.config.max_concurrency or settings.concurrency),
            timeout_s=settings.timeout_s,
            max_retries=settings.max_retries,
            latency_sample=settings.latency_sample,
            key_name=self.config.api_key_env,
            meter=self.meter,
        )

    def _batch_client(self) -> BatchClient:
        settings = self._resources.config
        return BatchClient(
            candidate=self.config.name,
            endpoint=self.endpoint,
            cache=self._resources.cache,
            meter=self.meter,
            poll_s=settings.batch_poll_s,
            timeout_s=settings.timeout_s,
            max_retries=settings.max_retries,
            announce=self._resources.announce,
            key_name=self.config.api_key_env,
        )


def question(config: HostedConfig, item: Item, prompts: CallSitePrompts) -> Question:
    """The request that a hosted model gets."""
    body: dict[str, Any] = {
        "messages": item.original_prompt,
        config.max_tokens_field: config.max_tokens or 2 * prompts.max_tokens,
    }
    if config.temperature is not None:
        body["temperature"] = config.temperature
    if config.logprobs:
        body |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
    if item.response_format is not None:
        body["response_format"] = item.response_format
    if config.extra_body:
        body["extra_body"] = config.extra_body
    return Question(item.record_id, body)
