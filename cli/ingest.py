"""`fasttier ingest`: request logs into the records store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Summary, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def ingest(
    *sources: str,
    format: Annotated[str, Parameter(help="auto (each file by its first rows), or the name of a format.")] = "auto",
    since: Annotated[str | None, Parameter(help="Only requests from this time on (2026-11-01).")] = None,
    until: Annotated[str | None, Parameter(help="Only requests before this time.")] = None,
    common: Common = DEFAULTS,
) -> int:
    """Read request logs into the records store: files, folders, globs, s3:// and gs:// URLs.

    Plain, gzip or zstd; JSON lines, JSON documents, CSV or Parquet; a folder may mix formats.
    Unreadable lines are kept with their reasons; reading the same log again changes nothing.
    """

    def stage(home: "Home") -> Summary:
        from pipeline import ingest as stage

        return stage.run(sources, home=home, format=format, mapping=mapping_file(common), since=since, until=until)

    return run_stage(common, stage)


def mapping_file(common: Common) -> Path | None:
    """--config of a stage whose file has no single values to override."""
    from traffic.errors import ConfigError

    if common.set_:
        raise ConfigError("this stage takes no --set; copy its YAML file, edit it and pass it with --config")
    return common.config
