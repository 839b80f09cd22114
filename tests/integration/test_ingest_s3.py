"""Logs in an object store: a local S3 server on a real port."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import fsspec
import pytest
from moto.server import ThreadedMotoServer

from pipeline import ingest, store
from tests.fakes.logs import litellm_lines, pair_lines
from traffic.artifacts import Home
from traffic.errors import NotFound

pytestmark = pytest.mark.integration

LITELLM, PAIRS = litellm_lines(40, 1, retries=0), pair_lines(30, 2, retries=0)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    client.create_bucket(Bucket="logs")
    # One object per request without any extension, as gateways write them, and one packed file.
    for number, line in enumerate(LITELLM):
        client.put_object(Bucket="logs", Key=f"gateway/2026-03-02/chatcmpl-{number}", Body=line)
    client.put_object(Bucket="logs", Key="app/pairs", Body=gzip.compress(b"".join(line + b"\n" for line in PAIRS)))
    fsspec.filesystem("s3").clear_instance_cache()
    yield "s3://logs"
    server.stop()


def test_a_prefix_a_glob_and_a_single_object_are_read(bucket: str, tmp_path: Path) -> None:
    for source, expected in ((f"{bucket}/gateway", 40), (f"{bucket}/app/*", 30), (f"{bucket}/app/pairs", 30)):
        home = Home(tmp_path / source.replace("/", "_").replace("*", "all"))
        summary = ingest.run([source], home=home)
        assert (summary.read, summary.accepted) == (expected, expected)
        assert ingest.run([source], home=home).accepted == 0
    sources = {source.path for made in store.commits(home) for source in made.sources}
    assert sources == {f"{bucket}/app/pairs"}


def test_a_missing_object_is_reported_by_name(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing"):
        ingest.run([f"{bucket}/nothing/"], home=Home(tmp_path))
