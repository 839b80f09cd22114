"""One ingest: files into the staging folder, block by block, and from there into the store in commits."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait

import msgspec
from rich.progress import Progress, TaskID

from pipeline.ingest import sources as files
from pipeline.ingest.blocks import Job, Report, read_block
from pipeline.ingest.formats import FORMATS, Format, sniff
from pipeline.ingest.mapping import TagMapping
from pipeline.ingest.sources import Block, LogFile
from pipeline.ingest.summary import IngestSummary, some
from pipeline.store import commit, manifest
from pipeline.store.commit import Step
from pipeline.store.manifest import Commit, Source
from traffic import config
from traffic.artifacts import Home, hash8
from traffic.errors import UnknownFormat

BATCH_BYTES = 512 << 20
"""Small files are committed together, up to about this much; a larger file is a commit of its own."""


class Session:
    """One ingest: reads files into the staging folder and commits them in batches."""

    def __init__(
        self, home: Home, done: list[Commit], mapping: TagMapping | None, progress: Progress, bar: TaskID, on_step: Step
    ) -> None:
        self._home, self._done, self._mapping = home, done, mapping
        self._progress, self._bar, self._on_step = progress, bar, on_step
        read_before = [source for made in done for source in made.sources]
        self._known = {sha: s for s in read_before for sha in (s.stored_sha256, s.content_sha256)}
        self._batch: list[_Pending] = []
        self._next_block = 0
        self._committed: list[Source] = []
        self._reasons: Counter[str] = Counter()
        self._unpriced: Counter[str] = Counter()
        self._call_sites: Counter[str] = Counter()
        self._skipped = self._other_mapping = 0
        self._unknown: list[str] = []

    def read_all(self, found: Sequence[LogFile], named: Format | None, executor: Executor | None, workers: int) -> None:
        for file in found:
            stored = files.stored_sha256(file)
            if self._is_known(stored, file):
                continue
            trees = files.first_trees(file)
            rows = None if any(isinstance(tree, dict) for tree in trees) else files.document(file)
            if rows is not None:
                trees = [msgspec.json.decode(row) for row in rows[:50]]
            chosen = named or sniff(trees)
            if chosen is None and file.size and not file.named:
                self._unknown.append(str(file.path))
                self._progress.advance(self._bar, file.size)
                continue
            if chosen is None and file.size:
                raise UnknownFormat(_unrecognised(str(file.path), trees))
            self._read(file, stored, chosen or FORMATS["native"], rows, executor, workers)
            if sum(pending.bytes for pending in self._batch) >= BATCH_BYTES:
                self._commit(executor)
        if self._unknown and len(self._unknown) == len(found):
            raise UnknownFormat(_unrecognised(some(self._unknown), []))
        if self._batch:
            self._commit(executor)

    def _is_known(self, sha256: str, file: LogFile) -> bool:
        known = self._known.get(sha256)
        if known is None:
            return False
        self._skipped += 1
        if known.format in FORMATS and known.mapping != self._mapping_hash(FORMATS[known.format]):
            self._other_mapping += 1
        self._progress.advance(self._bar, file.size)
        return True

    def _mapping_for(self, chosen: Format) -> TagMapping:
        return self._mapping or config.load(config.CONFIGS / "ingest" / f"{chosen.name}.yaml", TagMapping)

    def _mapping_hash(self, chosen: Format) -> str:
        return hash8(msgspec.to_builtins(self._mapping_for(chosen)))

    def _read(
        self,
        file: LogFile,
        stored: str,
        chosen: Format,
        rows: Sequence[msgspec.Raw] | None,
        executor: Executor | None,
        workers: int,
    ) -> None:
        staging = manifest.staging_folder(self._home)
        staging.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        blocks = files.blocks(file, digest) if rows is None else files.document_blocks(rows, digest, file.size)
        job = Job(str(file.path), chosen.name, msgspec.json.encode(self._mapping_for(chosen)), str(staging))
        pending = _Pending(file, chosen, stored)
        position = 0
        for block, report in self._reports(blocks, job, executor, workers):
            pending.reports.append(report)
            self._progress.advance(self._bar, max(0, block.position - position))
            position = max(position, block.position)
        pending.content = digest.hexdigest()
        if self._is_known(pending.content, msgspec.structs.replace(file, size=0)):
            # Known under another compression: forget what was staged, but remember this form of it.
            for report in pending.reports:
                for path in staging.glob(f"{report.block:08d}.*"):
                    path.unlink()
            pending.reports = []
            pending.alias = True
        self._batch.append(pending)
        self._known[stored] = self._known[pending.content] = pending.source(self._mapping_hash(chosen), {})

    def _reports(
        self, blocks: Iterator[Block], job: Job, executor: Executor | None, workers: int
    ) -> Iterator[tuple[Block, Report]]:
        """Blocks in work: two per worker, so that memory stays flat however long the file is."""
        waiting: dict[Future[Report], Block] = {}
        for block in blocks:
            number, self._next_block = self._next_block, self._next_block + 1
            if executor is None:
                yield block, read_block(number, block, job)
                continue
            waiting[executor.submit(read_block, number, block, job)] = msgspec.structs.replace(block, data=None)
            while len(waiting) >= 2 * workers:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result()
        for future, block in waiting.items():
            yield block, future.result()

    def _commit(self, executor: Executor | None) -> None:
        batch = self._batch
        days = {day for pending in batch for report in pending.reports for day in report.days}

        def sources(duplicates: dict[int, int]) -> list[Source]:
            return [pending.source(self._mapping_hash(pending.format), duplicates) for pending in batch]

        made = commit.publish(self._home, self._done, sources, days=days, executor=executor, on_step=self._on_step)
        self._done.append(made)
        self._committed += [source for source, pending in zip(made.sources, batch, strict=True) if not pending.alias]
        for report in (report for pending in batch for report in pending.reports):
            self._reasons.update(report.reasons)
            self._unpriced.update(report.unpriced)
            self._call_sites.update(report.call_sites)
        self._batch = []

    def summary(self, seconds: float) -> IngestSummary:
        def total(field: str) -> int:
            return sum(getattr(source, field) for source in self._committed)

        return IngestSummary(
            read=total("read"),
            accepted=total("accepted"),
            rejected=total("rejected"),
            duplicates=total("duplicates"),
            files=len(self._committed),
            skipped_files=self._skipped,
            unknown_files=tuple(self._unknown),
            bytes=total("bytes"),
            seconds=round(seconds, 3),
            records_path=str(self._home.records),
            rejected_path=str(self._home.records / "_rejected"),
            reasons=dict(self._reasons.most_common()),
            unpriced=dict(self._unpriced.most_common()),
            call_sites=dict(self._call_sites.most_common()),
            other_mapping=self._other_mapping,
        )


class _Pending:
    """A file that was read but is not committed yet."""

    def __init__(self, file: LogFile, chosen: Format, stored: str) -> None:
        self.file, self.format, self.stored = file, chosen, stored
        self.content = ""
        self.alias = False
        self.reports: list[Report] = []

    @property
    def bytes(self) -> int:
        return sum(report.bytes for report in self.reports)

    def source(self, mapping: str, duplicates: dict[int, int]) -> Source:
        read, rejected = (sum(getattr(r, name) for r in self.reports) for name in ("read", "rejected"))
        doubled = sum(duplicates.get(report.block, 0) for report in self.reports)
        return Source(
            path=str(self.file.path),
            format=self.format.name,
            stored_sha256=self.stored,
            content_sha256=self.content,
            mapping=mapping,
            bytes=self.bytes,
            read=read,
            accepted=read - rejected - doubled,
            rejected=rejected,
            duplicates=doubled,
        )


def _unrecognised(path: str, trees: Sequence[object]) -> str:
    keys = next((list(tree)[:8] for tree in trees if isinstance(tree, dict)), None)
    seen = f"its rows have the keys {', '.join(map(str, keys))}" if keys else "it does not begin with a JSON object"
    return (
        f"{path}: no log format recognises it (tried {', '.join(FORMATS)}); {seen}. "
        f"If it is one of them, say which: --format {'|'.join(FORMATS)}"
    )
