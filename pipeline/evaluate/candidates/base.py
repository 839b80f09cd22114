"""Candidate `base`: the adapter's base model on an own server, asked with the full original prompt."""

from pipeline.evaluate.answers import Question
from pipeline.evaluate.candidates import own_server
from pipeline.evaluate.candidates.candidate import Answered, Resources
from pipeline.evaluate.config import BaseConfig
from pipeline.evaluate.items import Item, Items
from pipeline.evaluate.scores import Graded
from traffic.adapters import CallSitePrompts


class BaseModel:
    """A base model served by vLLM."""

    def __init__(self, config: BaseConfig, task: str, resources: Resources) -> None:
        self.config, self._resources = config, resources
        self._model = own_server.model_of(config, task, resources)

    def unavailable(self, items: Items) -> str | None:
        return None

    def answers(self, items: Items) -> Answered:
        prompts = items.dataset.call_sites
        asked = [question(self.config, item, prompts[item.call_site]) for item in items.items]
        return own_server.ask(self.config, self._model, asked, items, self._resources)

    def notes(self, items: Items, graded: Graded) -> list[str]:
        return []


def question(config: BaseConfig, item: Item, prompts: CallSitePrompts) -> Question:
    """The request that the base model gets."""
    # An untrained model may indent JSON or order its keys differently; the cap must not cost it answers.
    cap = 2 * prompts.max_tokens
    return own_server.question(item, item.original_prompt, cap, prompts, constrain=config.constrain)
