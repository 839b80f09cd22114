"""Read request logs into the records store.

    fasttier ingest LOG_OR_FOLDER_OR_URL... [--format auto|litellm|...] [--config MAPPING.yaml]

Reads files (plain, gzip, zstd; JSON lines, JSON documents, CSV, Parquet), folders, globs and object stores; writes
data/records/ and data/signals/. Every line that cannot be read is kept in data/records/_rejected/ with its reason;
reading the same content again changes nothing.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from pipeline.ingest import mlflow_traces, retry, workers
from pipeline.ingest import sources as files
from pipeline.ingest.formats import FORMATS, mapped
from pipeline.ingest.mapping import TagMapping
from pipeline.ingest.session import Options, Session
from pipeline.ingest.summary import IngestSummary
from pipeline.ingest.values import parse_time
from pipeline.store import manifest
from pipeline.store.commit import Step
from traffic import config
from traffic.artifacts import Home
from traffic.errors import ConfigError

__all__ = ["IngestSummary", "retry_rejected", "run"]


def run(
    sources: Sequence[str | Path],
    *,
    home: Home,
    format: str = "auto",
    mapping: Path | None = None,
    since: str | None = None,
    until: str | None = None,
    processes: int | None = None,
    ray: str | None = None,
    on_step: Step = lambda step: None,
) -> IngestSummary:
    """Ingest files, folders, URLs and experiments of MLflow (`mlflow:NAME`).

    `since` and `until` (exclusive) limit the period. `processes`: default one per core. `ray`: the address of a
    Ray cluster whose nodes do the reading instead. `on_step` sees each step of each commit.

    Raises: NotFound, InputError, UnknownFormat, ConfigError.
    """
    started = time.perf_counter()
    options = _options(format, mapping, since, until)
    log_files = files.find(mlflow_traces.exported(sources, home, options.since, options.until), home)
    size = sum(file.size for file in log_files)
    with (
        manifest.writing(home) as done,
        _progress(size) as advance,
        workers.started(size, processes, ray) as running,
    ):
        session = Session(home, done, options, running, advance, on_step)
        session.read_all(log_files)
    return session.summary(time.perf_counter() - started)


def retry_rejected(
    *, home: Home, format: str = "auto", mapping: Path | None = None, processes: int | None = None
) -> IngestSummary:
    """Retry the lines that earlier ingests rejected. Raises: InputError, ConfigError."""
    started = time.perf_counter()
    options = _options(format, mapping, None, None)
    with manifest.writing(home) as done:
        size = sum((home.root / part).stat().st_size for part in retry.rejected_parts(done))
        with _progress(size) as advance, workers.started(size, processes) as running:
            session = Session(home, done, options, running, advance)
            session.read_rejected()
    return session.summary(time.perf_counter() - started)


@contextlib.contextmanager
def _progress(size: int) -> Iterator[Callable[[int], None]]:
    """Progress bar over `size` bytes; nothing without a terminal."""
    if not sys.stderr.isatty():
        yield lambda read: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("ingest", total=size)
        yield lambda read: progress.advance(bar, read)


def _moment(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError:
        raise ConfigError(f"{option} {text}: not a time; write it as 2026-11-01 or 2026-11-01T08:00:00Z") from None


def _options(format: str, mapping: Path | None, since: str | None, until: str | None) -> Options:
    own = None if mapping is None else config.load(mapping, TagMapping)
    named = None
    if format in FORMATS:
        named = FORMATS[format]
    elif format != "auto":
        raise ConfigError(
            f"--format {format}: there are auto, {', '.join(sorted(FORMATS.keys() - {mapped.FORMAT.name}))}"
        )
    if own is not None and own.record is not None:
        named = mapped.FORMAT
    first, last = _moment("--since", since), _moment("--until", until)
    if first is not None and last is not None and first >= last:
        raise ConfigError(f"--since {since} is not before --until {until}: no request lies between them")
    return Options(named, own, first, last)
