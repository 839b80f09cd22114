"""What each kind of candidate is asked: the body of one chat request, decided without a server."""

import re
from typing import Any

import msgspec

from pipeline.evaluate.candidates import AdapterCandidate, BaseCandidate, OpenAICandidate
from pipeline.evaluate.items import Item
from traffic.adapters import CallSitePrompts
from traffic.callsites import Checks

TOP_LOGPROBS = 5
"""Of own models: the chosen token and its rivals, from which the confidence signals are made."""


class Question(msgspec.Struct, frozen=True):
    """One request: keyword arguments of the SDK's `chat.completions.create`, without the model."""

    record_id: str
    body: dict[str, Any]
    repeat: int = 0
    """The same question asked again, for another draw of the answer, has another number."""


def question(
    candidate: AdapterCandidate | BaseCandidate | OpenAICandidate, item: Item, prompts: CallSitePrompts
) -> Question:
    """How the candidate is asked about an item.

    An adapter gets the pruned prompt that it was trained on; every rival gets what the application
    sent. Temperature 0, because the same request must get the same answer.
    """
    if isinstance(candidate, OpenAICandidate):
        return Question(item.record_id, _hosted(candidate, item, prompts))
    messages = item.prompt if isinstance(candidate, AdapterCandidate) else item.original_prompt
    # An untrained model may put more space or another key order into the same JSON; the cap must not cost it answers.
    cap = prompts.max_tokens if isinstance(candidate, AdapterCandidate) else 2 * prompts.max_tokens
    body: dict[str, Any] = {
        "messages": messages,
        "max_tokens": cap,
        "temperature": 0.0,
        "logprobs": True,
        "top_logprobs": TOP_LOGPROBS,
    }
    if candidate.constrain:
        body |= _constraint(prompts.checks, item.response_format)
    return Question(item.record_id, body)


def _constraint(checks: Checks, response_format: dict[str, Any] | None) -> dict[str, Any]:
    """Decoding held to the form of a good answer; nothing where that form is free text."""
    if checks.labels and checks.multiple == "json":
        members = {"type": "array", "items": {"enum": list(checks.labels)}, "uniqueItems": True}
        return {"response_format": {"type": "json_schema", "json_schema": {"name": "labels", "schema": members}}}
    if checks.labels and checks.multiple == "comma":
        one = "(" + "|".join(map(re.escape, checks.labels)) + ")"
        return {"extra_body": {"structured_outputs": {"regex": f"{one}(, {one})*"}}}
    if checks.labels:
        # vLLM's own field: OpenAI's protocol has no label set.
        return {"extra_body": {"structured_outputs": {"choice": list(checks.labels)}}}
    if checks.json_schema is not None:
        schema = {"name": "answer", "schema": checks.json_schema}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    if checks.json:
        return {"response_format": {"type": "json_object"}}
    return {} if response_format is None else {"response_format": response_format}


def _hosted(candidate: OpenAICandidate, item: Item, prompts: CallSitePrompts) -> dict[str, Any]:
    body: dict[str, Any] = {
        "messages": item.original_prompt,
        candidate.max_tokens_field: candidate.max_tokens or 2 * prompts.max_tokens,
    }
    if candidate.temperature is not None:
        body["temperature"] = candidate.temperature
    if candidate.logprobs:
        body |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
    if item.response_format is not None:
        body["response_format"] = item.response_format
    if candidate.extra_body:
        body["extra_body"] = candidate.extra_body
    return body
