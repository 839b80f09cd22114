"""Read request logs into the records store.

    fasttier ingest LOG_OR_FOLDER... [--format auto|litellm|openai_pairs|native] [--config MAPPING.yaml]

Reads plain, gzip and zstd files; writes data/records/ and data/signals/. Every line that cannot be
read is kept in data/records/_rejected/ with its reason; reading the same content again changes nothing.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.ingest import sources as files
from pipeline.ingest.formats import FORMATS, Format
from pipeline.ingest.mapping import TagMapping
from pipeline.ingest.session import Session
from pipeline.ingest.summary import IngestSummary
from pipeline.store import manifest
from pipeline.store.commit import Step
from traffic import config
from traffic.artifacts import Home
from traffic.errors import ConfigError
from traffic.processes import cores, pool

__all__ = ["IngestSummary", "run"]

_POOL_BYTES = 16 << 20
"""Below this, starting processes costs more than they save."""


def run(
    sources: Sequence[Path],
    *,
    home: Home,
    format: str = "auto",
    mapping: Path | None = None,
    processes: int | None = None,
    on_step: Step = lambda step: None,
) -> IngestSummary:
    """Ingest files and folders. `processes`: default one per core; `on_step` sees each step of each commit.

    Raises: NotFound, InputError, UnknownFormat, ConfigError.
    """
    started = time.perf_counter()
    named = _format_named(format)
    found = files.find(sources)
    own = None if mapping is None else config.load(mapping, TagMapping)
    with manifest.writing(home) as done, _progress() as progress:
        bar = progress.add_task("ingest", total=sum(file.size for file in found))
        session = Session(home, done, own, progress, bar, on_step)
        with _pool(processes, sum(file.size for file in found)) as (executor, workers):
            session.read_all(found, named, executor, workers)
    return session.summary(time.perf_counter() - started)


@contextlib.contextmanager
def _pool(processes: int | None, size: int) -> Iterator[tuple[Executor | None, int]]:
    workers = processes or cores()
    if workers == 1 or (processes is None and size < _POOL_BYTES):
        yield None, 1
        return
    # Not forked: this process has threads (Arrow, DuckDB, the progress bar) whose locks a fork would copy.
    with pool(workers, "spawn") as executor:
        yield executor, workers


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _format_named(name: str) -> Format | None:
    if name == "auto":
        return None
    if name not in FORMATS:
        raise ConfigError(f"--format {name}: there are auto, {', '.join(FORMATS)}")
    return FORMATS[name]
