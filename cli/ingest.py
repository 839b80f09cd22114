"""`fasttier ingest`: read request logs into the records store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Summary, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def ingest(
    *sources: Annotated[str, Parameter(help="Files, folders, globs, s3:// and gs:// URLs, or mlflow:EXPERIMENT.")],
    format: Annotated[str, Parameter(help="auto (recognised per file), or the name of a format.")] = "auto",
    since: Annotated[str | None, Parameter(help="Only requests from this time on (2026-11-01).")] = None,
    until: Annotated[str | None, Parameter(help="Only requests before this time.")] = None,
    reads: Annotated[
        str | None, Parameter(help="Join the read signal: a CSV or Parquet file with id and consumed_at.")
    ] = None,
    retry_rejected: Annotated[bool, Parameter(negative="", help="Only read previously rejected lines again.")] = False,
    ray: Annotated[str | None, Parameter(help="Read on the nodes of a Ray cluster (its address, or auto).")] = None,
    suggest: Annotated[
        str | None, Parameter(help="Propose a mapping for a log in an unknown format; reads nothing into the store.")
    ] = None,
    common: Common = DEFAULTS,
) -> int:
    """Read request logs into the records store: files, folders, globs, s3:// and gs:// URLs, mlflow:EXPERIMENT.

    Plain, gzip or zstd; JSON lines, JSON documents, CSV or Parquet; a folder may mix formats.
    Unreadable lines are kept with their reasons; reading the same log again changes nothing.
    """

    def stage(home: "Home") -> Summary:
        import msgspec

        from pipeline import ingest as stage
        from pipeline.costs import cells
        from pipeline.ingest import reads as read_signal
        from pipeline.ingest import suggest as proposal

        mapping = mapping_file(common)
        if suggest is not None:
            return proposal.suggest(suggest)
        if retry_rejected:
            return stage.retry_rejected(home=home, format=format, mapping=mapping)
        if reads is not None and not sources:
            return read_signal.join(reads, home)
        summary = stage.run(sources, home=home, format=format, mapping=mapping, since=since, until=until, ray=ray)
        cells.refresh(home)
        if reads is None:
            return summary
        return msgspec.structs.replace(summary, reads=read_signal.join(reads, home))

    return run_stage(common, stage)


def mapping_file(common: Common) -> Path | None:
    """--config of a stage without --set. Raises: ConfigError if --set is given."""
    from traffic.errors import ConfigError

    if common.set_:
        raise ConfigError("this stage takes no --set; copy its YAML file, edit it and pass it with --config")
    return common.config
