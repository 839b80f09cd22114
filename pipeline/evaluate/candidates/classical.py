"""Candidate `classical`: linear models on n-grams and frozen embeddings, fitted here unless the home has them."""

from pipeline.classifiers import stage as training
from pipeline.classifiers.config import ClassicalFit
from pipeline.evaluate.candidates import classifier
from pipeline.evaluate.candidates.candidate import Answered, Resources
from pipeline.evaluate.config import ClassicalConfig
from pipeline.evaluate.items import Items
from pipeline.evaluate.scores import Graded
from traffic.errors import ModelUnavailable


class ClassicalModel:
    """The classical classifier of the dataset's task."""

    def __init__(self, config: ClassicalConfig, resources: Resources) -> None:
        self.config, self._resources = config, resources
        self._notes: list[str] = []

    def unavailable(self, items: Items) -> str | None:
        if why := training.unfit(items.dataset):
            return why
        data = training.read(items.folder, items.dataset)
        for site in dict.fromkeys(item.call_site for item in items.items):
            if shortage := (data[site].train + data[site].validation).shortage():
                return f"{site}: {shortage}"
        return None

    def answers(self, items: Items) -> Answered:
        config = self.config
        settings = ClassicalFit(c=config.c, embedding_c=config.embedding_c, encoder=config.encoder)
        home = self._resources.home
        try:
            fitted = training.run(settings, items.folder, home=home)
        except ModelUnavailable as error:
            self._notes.append(f"n-grams alone, without embeddings: {error}")
            fitted = training.run(ClassicalFit(c=config.c), items.folder, home=home)
        self._notes += [f"{site}: {' + '.join(members)}" for site, members in fitted.members.items()]
        return classifier.ask(config, fitted.path, items, self._resources)

    def notes(self, items: Items, graded: Graded) -> list[str]:
        return [*classifier.notes(items, graded), *self._notes]
