"""Items of an evaluation as MLflow traces with their scores, through `mlflow.genai.evaluate`.

MLflow's own pages then show an item with its messages, its answer and what was found about it, and compare
runs item by item. The scores are ours: its scorers only hand them over. Off unless `traces` says how many
items, because a trace takes a tenth of a second; the whole table is an artifact of every run anyway.
"""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.evaluate.answers import Answer
from pipeline.evaluate.items import Items
from pipeline.metrics import ItemScore, Reference
from traffic.errors import EndpointError

_SETTINGS = {
    # Its workers wait for each other's connections to sqlite and then drop traces: one worker does not.
    "MLFLOW_GENAI_EVAL_MAX_WORKERS": "1",
    "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
}


def log(items: Items, answers: Sequence[Answer], scored: Sequence[ItemScore], limit: int) -> None:
    """Log the first `limit` items into the active run. Raises: EndpointError if the tracking store lost some."""
    import mlflow
    from mlflow.genai.scorers import scorer

    @scorer
    def correct(outputs: dict[str, Any]) -> bool:
        return bool(outputs["correct"])

    @scorer
    def score(outputs: dict[str, Any]) -> float:
        return float(outputs["score"])

    rows = list(_rows(items, answers, scored))[:limit]
    run = mlflow.active_run()
    assert run is not None, "traces belong to a run"
    # It prints where to look on stdout, which belongs to our summary.
    with _environment(_SETTINGS), contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        # Its harness warns about MLflow's own types and of how it calls pandas: nothing that a user can mend.
        warnings.simplefilter("ignore")
        mlflow.genai.evaluate(data=rows, scorers=[correct, score])
    kept = len(mlflow.search_traces(run_id=run.info.run_id, return_type="list", include_spans=False, max_results=limit))
    if kept < len(rows):
        raise EndpointError(f"MLflow kept {kept} of {len(rows)} traces; run the same command again, or set traces: 0")


def _rows(items: Items, answers: Sequence[Answer], scored: Sequence[ItemScore]) -> Iterator[dict[str, Any]]:
    for item, answer, found in zip(items.items, answers, scored, strict=True):
        reference = item.reference.value if isinstance(item.reference, Reference) else item.reference
        yield {
            "inputs": {"messages": item.prompt, "record_id": item.record_id},
            "outputs": {
                "text": answer.text,
                "correct": found.correct,
                "score": found.score,
                "failed_checks": list(found.detail.failed),
            },
            "expectations": {"reference": reference},
        }


@contextlib.contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Settings of MLflow that it reads from the environment, unless the user has set them."""
    missing = {name: value for name, value in settings.items() if name not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            del os.environ[name]
