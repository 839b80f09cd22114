"""Traces read through MLflow's client."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline import ingest, store, tracking
from traffic.artifacts import Home
from traffic.errors import NotFound

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of mlflow itself


def test_model_calls_of_an_experiment_become_records(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    mlflow = tracking.configure(home, "app / chat")
    for word in ("one", "two"):
        with mlflow.start_span("answer", span_type="CHAIN"), mlflow.start_span("llm", span_type="CHAT_MODEL") as span:
            span.set_inputs({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"say {word}"}]})
            message = {"role": "assistant", "content": word}
            span.set_outputs({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    mlflow.flush_trace_async_logging()
    summary = ingest.run(["mlflow:app / chat"], home=home)
    assert (summary.accepted, summary.rejected, summary.passed_over) == (2, 0, {"CHAIN span": 2})
    query = "select messages->>'$[0].content', output.text from records order by 2"
    assert store.connect(home).execute(query).fetchall() == [("say one", "one"), ("say two", "two")]
    assert ingest.run(["mlflow:app / chat"], home=home).accepted == 0
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with pytest.raises(NotFound, match="no traces"):
        ingest.run(["mlflow:app / chat"], home=home, since=tomorrow.isoformat())
    with pytest.raises(NotFound, match="no such experiment"):
        ingest.run(["mlflow:nowhere"], home=home)
