"""Answers of a simulated hosted model: correct with the stated probability, else plausibly wrong.

Always the same for the same seed, model and message; times are drawn from a log-normal distribution. Sends nothing.
"""

import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from demo import gold, mistakes, tokens
from demo.callsites import SITES
from demo.config import HostedConfig, HostedModel
from demo.mistakes import Task

_Z_95 = 1.645
_TASKS = {site.name: site.task for site in SITES}


class GroundTruth(NamedTuple):
    """Ground truth of a logged message."""

    task: Task
    answer: str | None
    tool_calls: list[dict[str, Any]] | None


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A simulated answer with its timing."""

    text: str | None
    tool_calls: list[dict[str, Any]] | None
    finish_reason: str
    right: bool
    seconds: float
    """Time of the whole answer, before `time_scale`."""
    prompt_tokens: int
    completion_tokens: int

    @property
    def usage(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }


class Refused(Exception):
    """A refused request with its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class StandIn:
    """Simulated models and the messages they know. Decides answers without any I/O."""

    def __init__(self, config: HostedConfig, known: Mapping[str, GroundTruth]) -> None:
        self.config, self._known = config, known
        self.models: dict[str, HostedModel] = {model.name: model for model in config.models}

    def reply(self, body: Mapping[str, Any]) -> Reply:
        """Deterministic answer to a chat request. Raises: Refused."""
        model = self._model(body)
        messages = _messages(body)
        question = next((text for role, text in reversed(messages) if role == "user"), "")
        if (body.get("n") or 1) != 1:
            raise Refused(400, "the stand-in gives one answer per request: n must be 1")
        known = self._known.get(question)
        if known is None:
            raise Refused(422, "the stand-in for hosted models knows the messages of the demo's log only")
        rng = random.Random(f"{self.config.seed}\0{model.name}\0{question}")
        right = rng.random() < getattr(model.accuracy, known.task)
        text = known.answer
        if not right and text is not None:
            text = mistakes.wrong(known.task, question, text, rng)
        text, finish = _capped(text, body.get("max_completion_tokens") or body.get("max_tokens"))
        return Reply(
            text=text,
            tool_calls=known.tool_calls,
            finish_reason="tool_calls" if known.tool_calls else finish,
            right=right and finish == "stop",
            seconds=_seconds(model, rng),
            prompt_tokens=tokens.of_prompt(list(body["messages"]), body.get("tools"), body.get("response_format")),
            completion_tokens=tokens.of_answer(text, known.tool_calls),
        )

    def _model(self, body: Mapping[str, Any]) -> HostedModel:
        model = self.models.get(str(body.get("model")))
        if model is None:
            raise Refused(404, f"no model {body.get('model')!r} here; there are: {', '.join(self.models)}")
        return model


def read_ground_truth(path: Path) -> dict[str, GroundTruth]:
    """Correct answers by message, from gold.jsonl. Raises: NotFound, InputError."""
    return {row.question: GroundTruth(_TASKS[row.feature], row.answer, row.tool_calls) for row in gold.read(path)}


def _messages(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Role and text of each message. Raises: Refused if these are no chat messages."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(item, dict) for item in messages):
        raise Refused(400, "messages must be a list of chat messages")
    texts = [item.get("content") for item in messages]
    return [
        (str(item.get("role")), text if isinstance(text, str) else "")
        for item, text in zip(messages, texts, strict=True)
    ]


def _capped(text: str | None, cap: int | None) -> tuple[str | None, str]:
    if text is None or not cap or tokens.of_text(text) <= cap:
        return text, "stop"
    return text[: 4 * cap], "length"


def _seconds(model: HostedModel, rng: random.Random) -> float:
    """A draw from the log-normal distribution with the stated 50th and 95th percentiles."""
    sigma = math.log(model.latency_p95_ms / model.latency_p50_ms) / _Z_95
    return math.exp(rng.gauss(math.log(model.latency_p50_ms), sigma)) / 1000
