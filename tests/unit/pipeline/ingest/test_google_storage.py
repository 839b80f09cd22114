"""Logs under `gs://`: fsspec's own path to a file system of that name, which keeps its objects in memory."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipeline import ingest, store
from tests.fakes.logs import litellm_lines
from traffic.artifacts import Home
from traffic.errors import NotFound

LINES = litellm_lines(20, 1, retries=0)


class Bucket(MemoryFileSystem):
    """As gcsfs: whole addresses under this scheme, and the time of change under GCS's name of it and as `mtime`."""

    protocol = ("gs", "gcs")
    store: dict[str, object] = {}  # noqa: RUF012 - of the class by fsspec's design
    pseudo_dirs = [""]  # noqa: RUF012 - as above

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("gs://").removeprefix("gcs://").strip("/")

    def info(self, path: str, **more: object) -> dict[str, object]:
        details = super().info(path, **more)
        created = details.pop("created", None)
        return details if created is None else {**details, "updated": created.isoformat(), "mtime": created}

    def unstrip_protocol(self, name: str) -> str:
        return f"gs://{name.lstrip('/')}"


@pytest.fixture
def bucket() -> Iterator[str]:
    fsspec.register_implementation("gs", Bucket, clobber=True)
    system = fsspec.filesystem("gs")
    for number, line in enumerate(LINES[:10]):
        system.pipe(f"gs://logs/gateway/2026-03-02/chatcmpl-{number}", line)
    system.pipe("gs://logs/packed/part.log", gzip.compress(b"".join(line + b"\n" for line in LINES[10:])))
    yield "gs://logs"
    Bucket.store.clear()
    Bucket.clear_instance_cache()


@pytest.mark.parametrize("source, expected", [("gateway", 10), ("packed/*", 10), ("packed/part.log", 10), ("", 20)])
def test_a_bucket_a_prefix_a_glob_and_an_object_are_read_once(
    source: str, expected: int, bucket: str, tmp_path: Path
) -> None:
    summary = ingest.run([f"{bucket}/{source}"], home=Home(tmp_path), processes=1)
    assert (summary.read, summary.accepted) == (expected, expected)
    assert ingest.run([f"{bucket}/{source}"], home=Home(tmp_path), processes=1).accepted == 0
    paths = {source.path for commit in store.commits(Home(tmp_path)) for source in commit.sources}
    assert all(path.startswith("gs://logs/") for path in paths)


def test_what_is_not_there_is_named(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing"):
        ingest.run([f"{bucket}/nothing/"], home=Home(tmp_path), processes=1)
