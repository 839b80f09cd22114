"""Score candidates side by side on one split of a task dataset.

    fasttier evaluate --dataset support.intent --labels labels.jsonl --budget 5

Asks each candidate about the same items (own and hosted models over the OpenAI protocol), scores the answers overall,
by traffic and per cohort, measures latency and cost; writes home/evaluations/<candidate>@<hash>/ and one MLflow run per
candidate. An interrupted run continues where it stopped; the cost of hosted models is estimated first.
"""

from pipeline.evaluate.config import CandidatesConfig
from pipeline.evaluate.endpoints import Endpoint, ServerNeed, needs_server
from pipeline.evaluate.report import EvaluateSummary
from pipeline.evaluate.stage import run

__all__ = ["CandidatesConfig", "Endpoint", "EvaluateSummary", "ServerNeed", "needs_server", "run"]
