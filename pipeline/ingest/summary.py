"""What an ingest did, for people and for machines."""

import shlex
from collections.abc import Sequence

import msgspec


class IngestSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What an ingest did. `read = accepted + rejected + duplicates`, always."""

    read: int
    accepted: int
    rejected: int
    duplicates: int
    """Records that the store had already."""
    files: int
    """Files that were read."""
    skipped_files: int
    """Files whose content was ingested before."""
    unknown_files: tuple[str, ...] = ()
    """Files of a folder that no log format recognises."""
    bytes: int
    """Decompressed bytes of the files that were read."""
    seconds: float
    records_path: str
    rejected_path: str
    reasons: dict[str, int]
    """Rejected lines by reason."""
    unpriced: dict[str, int]
    """Records without a cost, by what is missing: a model's price, or the usage."""
    call_sites: dict[str, int]
    """Records read by call site."""
    other_mapping: int = 0
    """Skipped files that were read with another mapping then."""

    def lines(self) -> list[str]:
        rate = self.bytes / 1e6 / self.seconds if self.seconds else 0.0
        said = [
            (
                f"read {self.read:,} lines of {_files(self.files)} ({self.bytes / 1e6:,.1f} MB "
                f"in {self.seconds:.1f} s, {rate:,.0f} MB/s): {self.accepted:,} accepted, {self.rejected:,} rejected, "
                f"{self.duplicates:,} already in the store"
            )
        ]
        if not self.files:
            said = ["nothing new to read"]
        if self.skipped_files:
            said.append(f"skipped {_files(self.skipped_files)} whose content is in the store")
        if self.other_mapping:
            said.append(f"  {_files(self.other_mapping)} read with another mapping; use a new --home to read them anew")
        if self.unknown_files:
            said.append(f"left out {_files(len(self.unknown_files))} in no known format: {some(self.unknown_files)}")
        if self.rejected:
            said.append(f"rejected: {_counts(self.reasons)}; every line with its reason is in {self.rejected_path}")
        if self.unpriced:
            said.append(
                f"warning: {sum(self.unpriced.values()):,} records have no cost, not 0: {_counts(self.unpriced)}; "
                "prices can be added to configs/prices.yaml"
            )
        said.append(f"records: {self.records_path}")
        if self.call_sites:
            busiest = max(self.call_sites, key=lambda name: (self.call_sites[name], name))
            said.append(f"next: fasttier extract --task {shlex.quote(busiest)}   ({len(self.call_sites)} call sites)")
        elif self.accepted:
            said.append("no record names its call site: say where the log keeps it (configs/ingest/, --config)")
        return said


def _files(n: int) -> str:
    return f"{n:,} file" if n == 1 else f"{n:,} files"


def _counts(counts: dict[str, int]) -> str:
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{name} {n:,}" for name, n in ranked[:5])
    return shown + (f", and {len(ranked) - 5} more" if len(ranked) > 5 else "")


def some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
