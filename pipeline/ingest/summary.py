"""Summary of an ingest, as text and as JSON."""

import msgspec

from pipeline.ingest.reads import ReadsSummary
from traffic.number_format import count, some

DATED_WITH_FILE = "dated with their file"
"""Note on records whose row has no time."""


class FormatCounts(msgspec.Struct):
    """Rows of one format. `read = accepted + rejected + already_known`."""

    files: int = 0
    read: int = 0
    accepted: int = 0
    rejected: int = 0
    already_known: int = 0


class IngestSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Result of an ingest. Always `read = accepted + rejected + already_known`."""

    read: int
    accepted: int
    rejected: int
    already_known: int
    """Records already in the store: id, time, prompt and answer agree."""
    duplicates: int
    """The former name of `already_known`."""
    files: int
    """Files that were read."""
    skipped_files: int
    """Files whose content was already ingested."""
    unknown_files: tuple[str, ...] = ()
    """Files of a folder that no log format recognises."""
    damaged_files: dict[str, str] = {}
    """Files that could be read only in part or not at all, with the reason."""
    bytes: int
    """Decompressed bytes of the files that were read."""
    seconds: float
    records_path: str
    rejected_path: str
    formats: dict[str, FormatCounts] = {}
    recognised: dict[str, int] = {}
    """Format and why it was chosen -> files."""
    reasons: dict[str, int]
    """Rejected lines by reason."""
    examples: dict[str, str] = {}
    """The detail of one rejected line by reason."""
    unpriced: dict[str, int]
    """Records without a cost, by what is missing: a model's price, or the usage."""
    call_sites: dict[str, int]
    """Records read by call site."""
    nulled: dict[str, int] = {}
    """Number of null values of optional fields that could not be read."""
    unknown_values: dict[str, int] = {}
    """`field=value` of unknown words, which are ignored."""
    passed_over: dict[str, int] = {}
    """Rows that are not requests (spans, events) or are outside the period."""
    marks: dict[str, int] = {}
    """Records truncated or redacted by a gateway, by kind."""
    tags: dict[str, int] = {}
    """Number of records with each tag."""
    notes: dict[str, int] = {}
    waiting: dict[str, int] = {}
    """Rows of batches and stored completions that wait for their other half, by file."""
    completed: int = 0
    """Records of earlier ingests that were completed with their prompt; counted as `already_known`."""
    reused_ids: int = 0
    """Records whose id is used by another record; stored under a new key."""
    guessed: bool = False
    """Whether the shipped mapping was used."""
    reads: ReadsSummary | None = None
    """Result of joining the read signal."""
    other_mapping: int = 0
    """Skipped files that had been read with another mapping."""

    @property
    def exit_status(self) -> int:
        """2 if rows were read and none of them is a record."""
        return 2 if self.rejected and not self.accepted and not self.already_known else 0

    def lines(self) -> list[str]:
        rate = self.bytes / 1e6 / self.seconds if self.seconds else 0.0
        lines = [
            (
                f"read {self.read:,} rows of {_files(self.files)} ({self.bytes / 1e6:,.1f} MB "
                f"in {self.seconds:.1f} s, {rate:,.0f} MB/s): {self.accepted:,} accepted, {self.rejected:,} rejected, "
                f"{self.already_known:,} already in the store"
            )
        ]
        if not self.files:
            lines = ["nothing new to read"]
        lines += [f"  {why} ({_files(files)})" for why, files in list(self.recognised.items())[:8]]
        lines += self._about_files() + self._about_values()
        lines += self.reads.lines() if self.reads else []
        lines.append(f"records: {self.records_path}")
        if self.exit_status:
            lines.append("next: correct the mapping, then fasttier ingest --retry-rejected --config MAPPING.yaml")
        elif self.call_sites:
            lines.append(f"next: fasttier profile   ({count(len(self.call_sites), 'call site')})")
        elif self.accepted:
            lines.append("next: fasttier profile   (no record has a call site: requests are grouped by their prompts)")
        return lines

    def _about_files(self) -> list[str]:
        lines = []
        if self.skipped_files:
            lines.append(f"skipped {_files(self.skipped_files)} whose content is in the store")
        if self.other_mapping:
            lines.append(
                f"  {_files(self.other_mapping)} were read with another mapping; use a new --home to read them again"
            )
        lines += [f"warning: {path}: {why}" for path, why in list(self.damaged_files.items())[:5]]
        foreign = [path for path in self.unknown_files if path not in self.damaged_files]
        if foreign:
            lines.append(f"skipped {_files(len(foreign))} of unknown format: {some(foreign)}")
        if self.completed:
            lines.append(f"{self.completed:,} records of earlier ingests completed with their prompts")
        if self.waiting:
            lines.append(
                f"waiting for their other half (batch input or output, messages), {sum(self.waiting.values()):,} rows: "
                f"{_counts(self.waiting)}; ingest it into this home. Until then answers count for cost and volume only"
            )
        if self.passed_over:
            lines.append(f"skipped, not requests: {_counts(self.passed_over)}")
        if self.rejected:
            lines.append(f"rejected: {_counts(self.reasons)}; every line with its reason is in {self.rejected_path}")
            lines += [f"  {why}: {self.examples[why]}" for why in list(self.reasons)[:3] if self.examples.get(why)]
        return lines

    def _about_values(self) -> list[str]:
        lines = []
        if self.guessed and self.tags:
            lines.append(f"tags: {_counts(self.tags, 9)} (shipped mapping; use --config MAPPING.yaml for other places)")
        if self.reused_ids:
            lines.append(
                f"warning: {self.reused_ids:,} records reuse the id of a different record; "
                "stored under new keys (id~hash)"
            )
        if self.nulled:
            lines.append(f"warning: unreadable fields set to null: {_counts(self.nulled)}")
        if self.unknown_values:
            lines.append(f"warning: unknown values ignored: {_counts(self.unknown_values)}")
        if marked := self.marks.get("truncated"):
            lines.append(
                f"warning: {marked:,} records truncated by the gateway's log, not used for training; "
                "raise its limit (LiteLLM: MAX_STRING_LENGTH_PROMPT_IN_DB)"
            )
        if marked := self.marks.get("redacted"):
            lines.append(
                f"warning: {marked:,} records with redacted contents, used for cost and volume only; "
                "turn redaction off at the gateway (LiteLLM: turn_off_message_logging) for the call sites to train"
            )
        if self.notes:
            lines.append(f"note: {_counts(self.notes)}")
        if not self.guessed and 0 < self.accepted <= self.notes.get(DATED_WITH_FILE, 0):
            lines.append(
                "warning: no row has a time: all are dated with their file, and reports by day and month are wrong; "
                "`record.time` of the mapping names its place"
            )
        if self.unpriced:
            lines.append(
                f"warning: {sum(self.unpriced.values()):,} records have no known cost: {_counts(self.unpriced)}; "
                "add prices to configs/prices.yaml"
            )
        return lines


def _files(n: int) -> str:
    return f"{n:,} file" if n == 1 else f"{n:,} files"


def _counts(counts: dict[str, int], most: int = 5) -> str:
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{name} {n:,}" for name, n in ranked[:most])
    return shown + (f", and {len(ranked) - most} more" if len(ranked) > most else "")
