"""Candidate `encoder`: a fine-tuned encoder that `fasttier train --config configs/train/encoder.yaml` made."""

from pathlib import Path

from pipeline.classifiers import stage as training
from pipeline.evaluate.candidates import classifier
from pipeline.evaluate.candidates.candidate import Answered, Resources
from pipeline.evaluate.config import EncoderConfig
from pipeline.evaluate.items import Items
from pipeline.evaluate.scores import Graded
from traffic import artifacts, classifiers
from traffic.errors import NotFound


class EncoderModel:
    """A fine-tuned encoder of the dataset's task."""

    def __init__(self, config: EncoderConfig, task: str, resources: Resources) -> None:
        self.config, self._task, self._resources = config, task, resources

    def unavailable(self, items: Items) -> str | None:
        if why := training.unfit(items.dataset):
            return why
        folder = self._folder(items)
        if folder is None:
            return f"{self._task} has no encoder; train one: fasttier train --config configs/train/encoder.yaml"
        card = classifiers.load(folder)
        missing = [site for site in items.dataset.call_sites if site not in card.models]
        return f"{card.name} was not trained for {', '.join(missing)}" if missing else None

    def answers(self, items: Items) -> Answered:
        folder = self._folder(items)
        if folder is None:
            raise NotFound(f"{self._task} has no encoder")
        return classifier.ask(self.config, folder, items, self._resources)

    def notes(self, items: Items, graded: Graded) -> list[str]:
        found = classifier.notes(items, graded)
        folder = self._folder(items)
        card = classifiers.load(folder) if folder is not None else None
        if card is not None and card.dataset != items.dataset.name:
            found.append(
                f"{card.name} was trained on {card.dataset}, not {items.dataset.name}: it may have seen these items"
            )
        return found

    def _folder(self, items: Items) -> Path | None:
        """The named classifier, else the newest encoder of this dataset, else of the task."""
        home = self._resources.home
        if self.config.classifier is not None:
            return home.classifier(self.config.classifier)
        for dataset in (items.dataset.name, None):
            found = artifacts.current(home, artifacts.CLASSIFIER, task=self._task, kind="encoder", dataset=dataset)
            if found is not None:
                return found.path
        return None
