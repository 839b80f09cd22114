"""Candidate `adapter`: a fine-tuned adapter on an own server, asked with the pruned prompt it was trained on."""

from pipeline.evaluate.answers import Question
from pipeline.evaluate.candidates import own_server
from pipeline.evaluate.candidates.candidate import Answered, Resources
from pipeline.evaluate.config import AdapterConfig
from pipeline.evaluate.items import Item, Items
from pipeline.evaluate.scores import Graded
from traffic.adapters import CallSitePrompts


class AdapterModel:
    """An adapter served by vLLM."""

    def __init__(self, config: AdapterConfig, task: str, resources: Resources) -> None:
        self.config, self._resources = config, resources
        self._model = own_server.model_of(config, task, resources)

    def unavailable(self, items: Items) -> str | None:
        return None

    def answers(self, items: Items) -> Answered:
        prompts = items.dataset.call_sites
        asked = [question(self.config, item, prompts[item.call_site]) for item in items.items]
        return own_server.ask(self.config, self._model, asked, items, self._resources)

    def notes(self, items: Items, graded: Graded) -> list[str]:
        adapter = self._model.adapter
        if adapter is None or adapter.dataset == items.dataset.name:
            return []
        return [
            f"{adapter.name} was trained on {adapter.dataset}, not {items.dataset.name}: it may have seen these items"
        ]


def question(config: AdapterConfig, item: Item, prompts: CallSitePrompts) -> Question:
    """The request that the adapter gets, as it will in production."""
    return own_server.question(item, item.prompt, prompts.max_tokens, prompts, constrain=config.constrain)
