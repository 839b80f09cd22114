"""Items of an evaluation as MLflow traces with their scores, through `mlflow.genai.evaluate`.

MLflow's pages then show each item with its messages, answer and scores, and compare runs item by item. The scorers
return scores computed here. Off by default (`traces: 0`): a trace takes 0.1 s, and every run has the whole table as an
artifact.
"""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.evaluate.items import Items
from pipeline.evaluate.scores import Graded
from pipeline.metrics import Reference
from traffic.errors import EndpointError

_SETTINGS = {
    # Several workers block each other in sqlite and drop traces.
    "MLFLOW_GENAI_EVAL_MAX_WORKERS": "1",
    "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
}


def log(items: Items, graded: Graded, limit: int) -> None:
    """Log the first `limit` items into the active run. Raises: EndpointError if the tracking store lost traces."""
    import mlflow
    from mlflow.genai.scorers import scorer

    @scorer
    def correct(outputs: dict[str, Any]) -> bool:
        return bool(outputs["correct"])

    @scorer
    def score(outputs: dict[str, Any]) -> float:
        return float(outputs["score"])

    rows = list(_rows(items, graded))[:limit]
    run = mlflow.active_run()
    assert run is not None, "traces need an active run"
    # MLflow prints to stdout, which is reserved for the summary.
    with _environment(_SETTINGS), contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        # Warnings about MLflow's own types and pandas calls, which a user cannot fix.
        warnings.simplefilter("ignore")
        mlflow.genai.evaluate(data=rows, scorers=[correct, score])
    stored = len(
        mlflow.search_traces(run_id=run.info.run_id, return_type="list", include_spans=False, max_results=limit)
    )
    if stored < len(rows):
        raise EndpointError(f"MLflow kept {stored} of {len(rows)} traces; run the same command again, or set traces: 0")


def _rows(items: Items, graded: Graded) -> Iterator[dict[str, Any]]:
    for item, answer, score in zip(items.items, graded.answers, graded.scores, strict=True):
        reference = item.reference.value if isinstance(item.reference, Reference) else item.reference
        yield {
            "inputs": {"messages": item.prompt, "record_id": item.record_id},
            "outputs": {
                "text": answer.text,
                "correct": score.correct,
                "score": score.score,
                "failed_checks": list(score.detail.failed),
            },
            "expectations": {"reference": reference},
        }


@contextlib.contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Set MLflow settings in the environment unless the user has set them."""
    missing = {name: value for name, value in settings.items() if name not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            del os.environ[name]
