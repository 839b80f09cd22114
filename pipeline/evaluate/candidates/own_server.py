"""Candidates `adapter` and `base`: own models behind a vLLM server, with the pruned and the original prompt."""

import re
from collections.abc import Sequence
from typing import Any

from pipeline.evaluate import costs
from pipeline.evaluate.answers import AnswerLog, Question
from pipeline.evaluate.candidates import progress
from pipeline.evaluate.candidates.candidate import Answered, Resources
from pipeline.evaluate.client import ChatClient
from pipeline.evaluate.config import AdapterConfig, BaseConfig
from pipeline.evaluate.endpoints import OwnModel, no_adapter, own_model
from pipeline.evaluate.items import Item, Items, Messages
from pipeline.evaluate.scores import Graded
from traffic.adapters import CallSitePrompts
from traffic.callsites import Checks
from traffic.errors import EndpointError, NotFound

TOP_LOGPROBS = 5
"""Log-probabilities per token: the chosen one and its rivals, from which confidence signals are computed."""


class OwnServerModel:
    """An own model: an adapter, asked with its pruned prompt, or its base model, asked with the original prompt."""

    def __init__(self, config: AdapterConfig | BaseConfig, task: str, resources: Resources) -> None:
        self.config, self._resources = config, resources
        self._missing = no_adapter(config, task, resources.home)
        self._model = None if self._missing else own_model(config, task, resources.home)

    def unavailable(self, items: Items) -> str | None:
        return self._missing

    def answers(self, items: Items) -> Answered:
        if self._model is None:
            raise NotFound(f"candidate {self.config.name}: {self._missing}")
        prompts = items.dataset.call_sites
        questions = [_question_of(self.config, item, prompts[item.call_site]) for item in items.items]
        return ask(self.config, self._model, questions, items, self._resources)

    def notes(self, items: Items, graded: Graded) -> list[str]:
        adapter = self._model.adapter if self._model and isinstance(self.config, AdapterConfig) else None
        if adapter is None or adapter.dataset == items.dataset.name:
            return []
        return [
            f"{adapter.name} was trained on {adapter.dataset}, not {items.dataset.name}: it may have seen these items"
        ]


def _question_of(config: AdapterConfig | BaseConfig, item: Item, prompts: CallSitePrompts) -> Question:
    if isinstance(config, AdapterConfig):
        return adapter_question(config, item, prompts)
    return base_question(config, item, prompts)


def adapter_question(config: AdapterConfig, item: Item, prompts: CallSitePrompts) -> Question:
    """The request that the adapter gets, as it will in production."""
    return question(item, item.prompt, prompts.max_tokens, prompts, constrain=config.constrain)


def base_question(config: BaseConfig, item: Item, prompts: CallSitePrompts) -> Question:
    """The request that the base model gets."""
    # An untrained model may indent JSON or order its keys differently; the cap must not cost it answers.
    return question(item, item.original_prompt, 2 * prompts.max_tokens, prompts, constrain=config.constrain)


def ask(
    config: AdapterConfig | BaseConfig,
    model: OwnModel,
    questions: Sequence[Question],
    items: Items,
    resources: Resources,
) -> Answered:
    """Ask the questions that are not answered yet. Raises: EndpointError."""
    machine = resources.machines[resources.config.machine]
    with AnswerLog(resources.answer_log(config, model.identity, items, machine)) as log:
        missing = log.open_items(item.record_id for item in items.items)
        total = len(items.items)
        with progress.bar(config.name, total, total - len(missing)) as bar:
            if missing:
                _client(config, resources).ask(questions, log, bar.advance)
        answers = [log.answers[item.record_id] for item in items.items]
    loaded = costs.load_concurrency(answers)
    return Answered(
        answers=answers,
        costed=costs.by_machine_time(answers, items.requests, machine),
        latency=costs.latency(answers, 1) or costs.latency(answers, loaded),
        latency_loaded=costs.latency(answers, loaded) if loaded is not None and loaded > 1 else None,
        adapter=model.adapter.name if model.adapter else None,
        base_model=model.base_name,
    )


def question(item: Item, messages: Messages, max_tokens: int, prompts: CallSitePrompts, *, constrain: bool) -> Question:
    """A greedy request with log-probabilities; temperature 0, so that the same request gets the same answer."""
    body: dict[str, Any] = {
        "messages": messages,
        "max_tokens": max_tokens,
        "temperature": 0.0,
        "logprobs": True,
        "top_logprobs": TOP_LOGPROBS,
    }
    if constrain:
        body |= _constraint(prompts.checks, item.response_format)
    return Question(item.record_id, body)


def _client(config: AdapterConfig | BaseConfig, resources: Resources) -> ChatClient:
    endpoint = resources.endpoints.get(config.name)
    if endpoint is None:
        raise EndpointError(f"candidate {config.name}: no server runs for it; pass --endpoint {config.name}=URL")
    settings = resources.config
    return ChatClient(
        candidate=config.name,
        endpoint=endpoint,
        concurrency=settings.concurrency,
        timeout_s=settings.timeout_s,
        max_retries=settings.max_retries,
        latency_sample=settings.latency_sample,
        warm_up=True,
    )


def _constraint(checks: Checks, response_format: dict[str, Any] | None) -> dict[str, Any]:
    """Parameters that restrict decoding to the form of a valid answer; none for free text."""
    if checks.labels and checks.multiple == "json":
        members = {"type": "array", "items": {"enum": list(checks.labels)}, "uniqueItems": True}
        return {"response_format": {"type": "json_schema", "json_schema": {"name": "labels", "schema": members}}}
    if checks.labels and checks.multiple == "comma":
        label_pattern = "(" + "|".join(map(re.escape, checks.labels)) + ")"
        return {"extra_body": {"structured_outputs": {"regex": f"{label_pattern}(, {label_pattern})*"}}}
    if checks.labels:
        # vLLM's own field: OpenAI's protocol has no label sets.
        return {"extra_body": {"structured_outputs": {"choice": list(checks.labels)}}}
    if checks.json_schema is not None:
        schema = {"name": "answer", "schema": checks.json_schema}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    if checks.json:
        return {"response_format": {"type": "json_object"}}
    return {} if response_format is None else {"response_format": response_format}
