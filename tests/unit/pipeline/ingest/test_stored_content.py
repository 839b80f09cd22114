"""Bodies in objects of their own, copied along with the log or not."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import ingest, store
from pipeline.ingest.summary import IngestSummary
from traffic.artifacts import Home

ASK = {"messages": [{"role": "user", "content": [{"text": "say one"}]}]}
ANSWER = {"output": {"message": {"role": "assistant", "content": [{"text": "one"}]}}, "stopReason": "end_turn"}


def bedrock(input_name: str, output_name: str) -> dict[str, Any]:
    model = {"schemaType": "ModelInvocationLog", "operation": "Converse", "modelId": "amazon.nova-lite-v1:0"}
    sides = {"input": {"inputBodyS3Path": input_name}, "output": {"outputBodyS3Path": output_name}}
    return {"timestamp": "2026-11-01T08:00:00Z", "requestId": "r", **model, **sides}


def ingested(folder: Path, row: dict[str, Any]) -> IngestSummary:
    (folder / "09").mkdir(exist_ok=True)
    (folder / "09" / "log.json.gz").write_bytes(gzip.compress(json.dumps(row).encode()))
    return ingest.run([folder / "09" / "log.json.gz"], home=Home(folder / "home"))


def texts(folder: Path) -> list[tuple[str | None, str | None]]:
    query = "select messages->>'$[0].content', output.text from records"
    return store.connect(Home(folder / "home")).execute(query).fetchall()


def test_large_bodies_of_bedrock_are_read_where_they_were_copied(tmp_path: Path) -> None:
    data = tmp_path / "09" / "data"
    data.mkdir(parents=True)
    (data / "r_input.json.gz").write_bytes(gzip.compress(json.dumps(ASK).encode()))
    (data / "r_output.json").write_text(json.dumps(ANSWER))
    row = bedrock("s3://bucket/logs/09/data/r_input.json.gz", "s3://bucket/logs/09/data/r_output.json")
    assert ingested(tmp_path, row).accepted == 1
    assert texts(tmp_path) == [("say one", "one")]


def test_uploaded_messages_of_a_span_are_read_where_they_were_copied(tmp_path: Path) -> None:
    copied = tmp_path / "09" / "bucket" / "t"
    copied.mkdir(parents=True)
    parts = [{"role": "user", "parts": [{"type": "text", "content": "say one"}]}]
    (copied / "in.json").write_text(json.dumps(parts))
    times = {"start_time": "2026-11-01T08:00:00Z", "end_time": "2026-11-01T08:00:01Z", "name": "chat"}
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.output_tokens": 1}
    names = {"gen_ai.input.messages_ref": "gs://bucket/t/in.json", "gen_ai.output.messages_ref": "gs://bucket/t/o.json"}
    span = {"context": {"trace_id": "0x1", "span_id": "0x2"}, **times, "attributes": {**attributes, **names}}
    assert ingested(tmp_path, span).accepted == 1
    assert texts(tmp_path) == [("say one", None)]


@pytest.mark.parametrize(
    "name",
    [
        *("s3://bucket/home/r.json", "../r.json", "/x/../../r.json", "a" * 300, "\0", "r" * 9000),
        *("s3://bucket/{folder}/r.json", "s3:///{folder}/r.json", "s3://bucket/link.json", "linked/r.json"),
    ],
)
def test_only_files_below_the_folder_of_the_log_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "r.json").write_text(json.dumps(ASK))
    (tmp_path / "09").mkdir()
    (tmp_path / "09" / "link.json").symlink_to(tmp_path / "r.json")
    (tmp_path / "09" / "linked").symlink_to(tmp_path)
    name = name.format(folder=tmp_path)
    summary = ingested(tmp_path, bedrock(name, name))
    assert (summary.accepted, summary.reasons) == (0, {"body_elsewhere": 1})


def test_a_row_whose_body_was_copied_later_is_read_by_a_retry(tmp_path: Path) -> None:
    row = bedrock("s3://bucket/in.json", "s3://bucket/out.json")
    assert ingested(tmp_path, row).rejected == 1
    (tmp_path / "09" / "in.json").write_text(json.dumps(ASK))
    (tmp_path / "09" / "out.json").write_text(json.dumps(ANSWER))
    ingest.retry_rejected(home=Home(tmp_path / "home"))
    assert texts(tmp_path) == [("say one", "one")]
