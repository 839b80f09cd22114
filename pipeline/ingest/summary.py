"""What an ingest did, for people and for machines."""

import shlex
from collections.abc import Sequence

import msgspec

from pipeline.ingest.reads import ReadsSummary


class FormatCounts(msgspec.Struct):
    """Rows of one format. `read = accepted + rejected + already_known`."""

    files: int = 0
    read: int = 0
    accepted: int = 0
    rejected: int = 0
    already_known: int = 0


class IngestSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What an ingest did. `read = accepted + rejected + already_known`, always."""

    read: int
    accepted: int
    rejected: int
    already_known: int
    """Records that the store had already: id, time, prompt and answer agree."""
    duplicates: int
    """The former name of `already_known`."""
    files: int
    """Files that were read."""
    skipped_files: int
    """Files whose content was ingested before."""
    unknown_files: tuple[str, ...] = ()
    """Files of a folder that no log format recognises."""
    damaged_files: dict[str, str] = {}
    """Files of which only a part could be read, or nothing, and why."""
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
    unpriced: dict[str, int]
    """Records without a cost, by what is missing: a model's price, or the usage."""
    call_sites: dict[str, int]
    """Records read by call site."""
    nulled: dict[str, int] = {}
    """Optional fields that could not be read and are null, with their number."""
    unknown_values: dict[str, int] = {}
    """`field=value` of words whose meaning is not known; they count for nothing."""
    passed_over: dict[str, int] = {}
    """Rows that are no requests (spans, events), or lie outside the period."""
    marks: dict[str, int] = {}
    """Records that a gateway cut or blanked, by kind."""
    tags: dict[str, int] = {}
    """Records by the tag that they have."""
    notes: dict[str, int] = {}
    waiting: dict[str, int] = {}
    """Rows of batches and stored completions that wait for their other half, by file."""
    completed: int = 0
    """Records of earlier ingests that got their prompt; counted as `already_known`."""
    reused_ids: int = 0
    """Records whose id another record has: kept under a key of their own."""
    guessed: bool = False
    """Whether the places of the tags were the shipped guesses."""
    reads: ReadsSummary | None = None
    """What joining the read signal did."""
    other_mapping: int = 0
    """Skipped files that were read with another mapping then."""

    def lines(self) -> list[str]:
        rate = self.bytes / 1e6 / self.seconds if self.seconds else 0.0
        said = [
            (
                f"read {self.read:,} rows of {_files(self.files)} ({self.bytes / 1e6:,.1f} MB "
                f"in {self.seconds:.1f} s, {rate:,.0f} MB/s): {self.accepted:,} accepted, {self.rejected:,} rejected, "
                f"{self.already_known:,} already in the store"
            )
        ]
        if not self.files:
            said = ["nothing new to read"]
        said += [f"  {why} ({_files(files)})" for why, files in list(self.recognised.items())[:8]]
        said += self._about_files() + self._about_values()
        said += self.reads.lines() if self.reads else []
        said.append(f"records: {self.records_path}")
        if self.call_sites:
            busiest = max(self.call_sites, key=lambda name: (self.call_sites[name], name))
            said.append(f"next: fasttier extract --task {shlex.quote(busiest)}   ({len(self.call_sites)} call sites)")
        elif self.accepted:
            said.append("no record names its call site: say where the log keeps it (configs/log_tags/, --config)")
        return said

    def _about_files(self) -> list[str]:
        said = []
        if self.skipped_files:
            said.append(f"skipped {_files(self.skipped_files)} whose content is in the store")
        if self.other_mapping:
            said.append(f"  {_files(self.other_mapping)} read with another mapping; use a new --home to read them anew")
        said += [f"warning: {path}: {why}" for path, why in list(self.damaged_files.items())[:5]]
        foreign = [path for path in self.unknown_files if path not in self.damaged_files]
        if foreign:
            said.append(f"left out {_files(len(foreign))} in no known format: {some(foreign)}")
        if self.completed:
            said.append(f"{self.completed:,} records of earlier ingests got their prompts")
        if self.waiting:
            said.append(
                f"waiting for their other half (batch input or output, messages), {sum(self.waiting.values()):,} rows: "
                f"{_counts(self.waiting)}; ingest it into this home. Until then answers count for cost and volume only"
            )
        if self.passed_over:
            said.append(f"passed over, no requests: {_counts(self.passed_over)}")
        if self.rejected:
            said.append(f"rejected: {_counts(self.reasons)}; every line with its reason is in {self.rejected_path}")
        return said

    def _about_values(self) -> list[str]:
        said = []
        if self.guessed and self.tags:
            said.append(f"tags: {_counts(self.tags, 9)} (places guessed; --config MAPPING.yaml says other ones)")
        if self.reused_ids:
            said.append(
                f"warning: {self.reused_ids:,} records share the id of another with other time, prompt or answer; "
                "each is kept under a key of its own (id~hash)"
            )
        if self.nulled:
            said.append(f"warning: fields that could not be read are null: {_counts(self.nulled)}")
        if self.unknown_values:
            said.append(f"warning: unknown values, taken for nothing: {_counts(self.unknown_values)}")
        if marked := self.marks.get("truncated"):
            said.append(
                f"warning: {marked:,} records were truncated by the gateway's log, they are no training data; "
                "raise its limit (LiteLLM: MAX_STRING_LENGTH_PROMPT_IN_DB)"
            )
        if marked := self.marks.get("redacted"):
            said.append(
                f"warning: {marked:,} records hold redacted contents, they count for cost and volume only; "
                "turn redaction off at the gateway (LiteLLM: turn_off_message_logging) for the call sites to train"
            )
        if self.notes:
            said.append(f"note: {_counts(self.notes)}")
        if self.unpriced:
            said.append(
                f"warning: {sum(self.unpriced.values()):,} records have no cost, not 0: {_counts(self.unpriced)}; "
                "prices can be added to configs/prices.yaml"
            )
        return said


def _files(n: int) -> str:
    return f"{n:,} file" if n == 1 else f"{n:,} files"


def _counts(counts: dict[str, int], most: int = 5) -> str:
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{name} {n:,}" for name, n in ranked[:most])
    return shown + (f", and {len(ranked) - most} more" if len(ranked) > most else "")


def some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
