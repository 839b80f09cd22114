"""The judge of an evaluation: whether there is one, what it will cost, and its verdicts on a candidate."""

from collections.abc import Sequence

import msgspec

from pipeline.evaluate import pairwise_judge
from pipeline.evaluate.answers import Answer
from pipeline.evaluate.budget import Estimate
from pipeline.evaluate.candidates import HostedModel, Resources, progress
from pipeline.evaluate.config import CandidatesConfig, JudgeConfig
from pipeline.evaluate.items import Items
from pipeline.evaluate.pairwise_judge import Judgement
from pipeline.evaluate.scores import Graded


class Judge(msgspec.Struct, frozen=True):
    """A hosted model that compares free texts with the incumbent's."""

    config: JudgeConfig | None = None
    model: HostedModel | None = None
    """None: no text is judged."""
    notes: tuple[str, ...] = ()
    """Why a configured judge is not used."""

    @staticmethod
    def of(config: CandidatesConfig, resources: Resources, items: Items) -> "Judge":
        """The judge of the candidates file, if it can be asked and there are free texts."""
        entry = config.judging()
        if entry is None or config.judge is None:
            return Judge()
        model = HostedModel(entry, resources)
        reason = model.not_askable()
        if reason is None and not any(pairwise_judge.is_free_text(items, item) for item in items.items):
            reason = "the answers are labels or JSON, which a program compares better"
        if reason is not None:
            return Judge(notes=(f"no judge: {reason}",))
        return Judge(config.judge, model)

    def estimate(self, items: Items, candidates: Sequence[str]) -> Estimate | None:
        """Expected cost of judging these candidates; the incumbent and the judge itself are not judged."""
        if self.model is None or self.config is None:
            return None
        name = self.model.config.name
        questions = pairwise_judge.sample_questions(self.model.config, items, self.config)
        rivals = sum(candidate != name for candidate in candidates) - 1
        return self.model.estimate(questions, {}).times(f"judge {name}", max(0, rivals))

    def compare(self, candidate: str, answers: Sequence[Answer], incumbent: Graded, items: Items) -> Judgement | None:
        """Verdicts on a candidate's texts; None for the judge itself. Raises: EndpointError, BudgetReached."""
        if self.model is None or self.config is None or self.model.config.name == candidate:
            return None
        pairs = pairwise_judge.pairs(items, answers, incumbent.answers, self.config)
        questions = pairwise_judge.questions(self.model.config, pairs, self.config)
        stored = self.model.stored(questions)
        with progress.bar(f"{self.model.config.name} judges {candidate}", len(questions)) as bar:
            self.model.ask(questions, stored, bar.show_missing)
        return pairwise_judge.judgement(self.model.config, incumbent.candidate, pairs, stored.answers, self.config)
