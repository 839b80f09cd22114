"""Runs one ingest: reads files into the staging folder block by block and commits them to the store."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from pipeline.ingest import content, retry
from pipeline.ingest.blocks import Job, Report
from pipeline.ingest.companions import AMBIGUOUS, Pairing
from pipeline.ingest.content import SMALL_BYTES, Content, Piece
from pipeline.ingest.correlation import Halves, Ids, joinings
from pipeline.ingest.formats import FORMATS, Format, mapped, mapping_of
from pipeline.ingest.mapping import TagMapping
from pipeline.ingest.pending import PendingFile, SharedBlock
from pipeline.ingest.recognition import Recognised, joined_halves, recognise_content
from pipeline.ingest.sources import LogFile
from pipeline.ingest.summary import FormatCounts, IngestSummary
from pipeline.ingest.workers import Task, Workers
from pipeline.store import commit, manifest
from pipeline.store.commit import Duplicates, Step
from pipeline.store.manifest import Commit, Source
from traffic.artifacts import Home, hash8
from traffic.errors import ConfigError, InputError, UnknownFormat
from traffic.number_format import some

BATCH_BYTES = 512 << 20
"""Small files share a commit up to about this size; a larger file is committed alone."""


class Options(msgspec.Struct, frozen=True):
    """The user's options for reading."""

    format: Format | None = None
    mapping: TagMapping | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def rows_path(self) -> tuple[str, ...] | None:
        """Path to the rows of a mapped log; None: detect it."""
        if self.mapping is None or self.mapping.record is None:
            return None
        return tuple(self.mapping.record.rows.split(".")) if self.mapping.record.rows else ()


class Session:
    """Reads files into the staging folder and commits them in batches."""

    def __init__(
        self,
        home: Home,
        done: list[Commit],
        options: Options,
        workers: Workers,
        advance: Callable[[int], None],
        on_step: Step = lambda step: None,
    ) -> None:
        """`advance` is called with the number of bytes that were read."""
        self._home, self._done, self._options, self._workers = home, done, options, workers
        self._advance, self._on_step = advance, on_step
        read_before = [source for made in done for source in made.sources]
        self._known = {sha: s for s in read_before for sha in (s.stored_sha256, s.content_sha256)}
        self._known_sizes = {source.bytes for source in read_before}
        self._mappings: dict[str, TagMapping] = {}
        self._mapping_hashes: dict[str, str] = {}
        self._batch: list[PendingFile] = []
        self._batch_bytes = 0
        self._with_companions: list[PendingFile] = []
        self._halves: list[tuple[LogFile, Ids]] = []
        self._waited: tuple[str, ...] = ()
        self._shared: dict[tuple[str, tuple[str, ...]], SharedBlock] = {}
        self._full: list[tuple[Task, SharedBlock]] = []
        self._next_block = 0
        self._committed: list[Source] = []
        self._counts: dict[str, Counter[str]] = {}
        self._skipped = self._other_mapping = self._reused_ids = self._completed = 0
        self._unknown: dict[str, str] = {}
        self._damaged: dict[str, str] = {}
        self._whys: Counter[tuple[str, str]] = Counter()

    def read_all(self, files: Sequence[LogFile]) -> None:
        for file in files:
            self._read_file(file)
            self._commit_if_large()
        if self._with_companions:
            self._read_with_companions()
        self._read_halves()
        if self._unknown and len(self._unknown) == len(files):
            path, why = next(iter(self._unknown.items()))
            raise UnknownFormat(f"{path}: {why}" if len(files) == 1 else _none_recognised(self._unknown))
        if self._batch:
            self._commit()

    def _commit_if_large(self) -> None:
        if self._batch_bytes >= BATCH_BYTES:
            self._commit()

    def _read_with_companions(self) -> None:
        """Read the files whose rows may need parts from other files: all of them must be known first."""
        waiting = manifest.parts(self._home, self._done, "waiting")
        with Pairing(manifest.companions_folder(self._home), waiting) as pairing:
            for pending in self._with_companions:
                pairing.add(pending.file, pending.recognised, is_known=pending.stored in self._known)
            pairing.pair()
            self._write_waiting(pairing, waiting)
            # First, so that the commit that removes them from the waiting rows contains them.
            for file, recognised in pairing.completed():
                pending = PendingFile(file, recognised, f"waited-{file.path}-{len(self._done)}")
                self._read_recognised(pending, Content(file))
            for number, pending in enumerate(self._with_companions):
                if self._is_known(pending.stored, pending.file):
                    continue
                if pairing.is_ambiguous(number):
                    self._counts.setdefault("notes", Counter())[AMBIGUOUS] += 1
                pending.recognised = pairing.read(number) or pending.recognised
                self._read_recognised(pending, Content(pending.file))
                self._commit_if_large()

    def _read_halves(self) -> None:
        """Read the files with a request or an answer in each row. One commit: rows may wait for the next file."""
        joined = joinings([ids for _, ids in self._halves])
        last = {id(joining.waiting): n for n, joining in enumerate(joined) if joining is not None}
        for number, ((file, _), joining) in enumerate(zip(self._halves, joined, strict=True)):
            opened = Content(file)
            # Again, since the rows of all these documents would take too much memory.
            how = recognise_content(opened)
            if isinstance(how, Halves):
                how = (
                    how.why_not
                    if joining is None
                    else joined_halves(how, joining, is_last=last[id(joining.waiting)] == number)
                )
            self._read_as(file, opened, how, "")

    def _write_waiting(self, pairing: Pairing, before: Sequence[Path]) -> None:
        """Stage the rows that wait after this ingest; they replace the previous ones."""
        counts: Counter[str] = Counter()
        staging = manifest.staging_folder(self._home)
        staging.mkdir(parents=True, exist_ok=True)
        with (staging / "waiting.jsonl").open("wb") as out:
            for row in pairing.left():
                out.write(msgspec.json.encode(row) + b"\n")
                counts[row.source] += 1
        self._counts["waiting"] = counts
        self._waited = tuple(str(path.relative_to(self._home.root)) for path in before)

    def read_rejected(self) -> None:
        """Retry the lines that earlier ingests rejected."""
        parts = retry.rejected_parts(self._done)
        if not parts:
            return
        named = self._options.format.name if self._options.format else None
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        days: set[str] = set()
        tallies: dict[str, list[int]] = {}
        places: list[tuple[str, int, int]] = []
        for (name, path), pieces in retry.blocks(self._home, self._done, named):
            job = self._job(Recognised(FORMATS[name], path))
            for _, report in self._workers.reports([self._task(tuple(pieces), job)]):
                days.update(report.days)
                tally = tallies.setdefault(name, [0, 0, 0])
                tally[0] += sum(piece.read for piece in report.pieces)
                tally[1] += sum(piece.rejected for piece in report.pieces)
                tally[2] += report.bytes
                places += [(name, report.block, position) for position in range(len(pieces))]
                self._count(report)

        def listed(duplicates: Duplicates) -> list[Source]:
            self._reused_ids += duplicates.reused_ids
            made = []
            for name, (read, rejected, size) in tallies.items():
                known = sum(duplicates.by_piece.get((b, p), 0) for n, b, p in places if n == name)
                sha = f"retry-{name}-{digest}"
                made.append(
                    Source(
                        path="rejected lines", format=name, stored_sha256=sha, content_sha256=sha, mapping="",
                        bytes=size, read=read, accepted=read - rejected - known, rejected=rejected, duplicates=known,
                    )
                )  # fmt: skip
            return made

        made = commit.publish(
            self._home,
            self._done,
            listed,
            days=days,
            retried=parts,
            executor=self._workers.executor,
            on_step=self._on_step,
        )
        self._committed += made.sources

    def _read_file(self, file: LogFile) -> None:
        opened = Content(file)
        # A large plain file whose size matches no known content is new: it is hashed while workers read it.
        is_new = opened.is_as_stored and file.size > SMALL_BYTES and file.size not in self._known_sizes
        stored = "" if is_new else opened.stored_sha256()
        if stored and self._is_known(stored, file):
            return
        try:
            recognised = recognise_content(opened, self._options.format, self._options.rows_path)
        except InputError as error:
            self._pass_over(file, str(error).removeprefix(f"{file.path}: "), damaged=True)
            return
        if isinstance(recognised, Halves):
            self._halves.append((file, recognised.ids))
        else:
            self._read_as(file, opened, recognised, stored)

    def _read_as(self, file: LogFile, opened: Content, recognised: Recognised | str, stored: str) -> None:
        if isinstance(recognised, str):
            self._pass_over(
                file, recognised if opened.damage is None else opened.damage, damaged=opened.damage is not None
            )
            return
        if not stored and (recognised.rows is not None or recognised.format.companions is not None):
            # Of a document the rows are hashed, not the text.
            stored = opened.stored_sha256()
            if self._is_known(stored, file):
                return
        self._whys[(recognised.format.name, recognised.why)] += 1
        pending = PendingFile(file, recognised, stored)
        if recognised.format.companions is not None:
            self._with_companions.append(pending)
        else:
            self._read_recognised(pending, opened)

    def _read_recognised(self, pending: PendingFile, opened: Content) -> None:
        file = pending.file
        if file.size <= SMALL_BYTES and not file.is_parquet and file.compression is None:
            self._read_small(pending, opened)
        else:
            self._read_large(pending, opened)

    def _pass_over(self, file: LogFile, why: str, *, damaged: bool = False) -> None:
        (self._damaged if damaged else self._unknown)[file.path] = why
        if damaged:
            self._unknown[file.path] = why
        self._advance(file.size)

    def _is_known(self, sha256: str, file: LogFile) -> bool:
        known = self._known.get(sha256)
        if known is None:
            return False
        self._skipped += 1
        if known.format in FORMATS and known.mapping != self._mapping_hash(known.format):
            self._other_mapping += 1
        self._advance(file.size)
        return True

    def _mapping_for(self, name: str) -> TagMapping:
        if self._options.mapping is not None:
            return self._options.mapping
        if name == mapped.FORMAT.name:
            raise ConfigError(
                "CSV, Parquet and unknown formats need a mapping with a `record` section: --config MAPPING.yaml; "
                "`fasttier ingest --suggest FILE` proposes one"
            )
        if name not in self._mappings:
            self._mappings[name] = mapping_of(name)
        return self._mappings[name]

    def _mapping_hash(self, name: str) -> str:
        if name not in self._mapping_hashes:
            self._mapping_hashes[name] = hash8(msgspec.to_builtins(self._mapping_for(name)))
        return self._mapping_hashes[name]

    def _job(self, recognised: Recognised) -> Job:
        staging = manifest.staging_folder(self._home)
        staging.mkdir(parents=True, exist_ok=True)
        return Job(
            recognised.format.name,
            msgspec.json.encode(self._mapping_for(recognised.format.name)),
            str(staging),
            recognised.path,
            self._options.since,
            self._options.until,
        )

    def _read_small(self, pending: PendingFile, opened: Content) -> None:
        """Add a small file's lines to a block shared by files of its format."""
        # In UTF-8 the content equals the stored bytes.
        pending.content = pending.stored if opened.file.encoding == "utf-8" else ""
        rows = pending.recognised.rows
        data = b"".join(opened.chunks()) if rows is None else b"".join(content.compact(row) + b"\n" for row in rows())
        pending.content = pending.content or hashlib.sha256(data).hexdigest()
        self._remember(pending)
        key = (pending.recognised.format.name, pending.recognised.path)
        block = self._shared.setdefault(key, SharedBlock(pending.recognised))
        block.add(pending, Piece(opened.file.path, 1, opened.file.modified, data))
        self._put_in_batch(pending, len(data))
        self._advance(opened.file.size)
        if block.is_full:
            self._close_shared(key)
        # Enough blocks to keep every worker busy.
        if len(self._full) >= 2 * self._workers.count:
            self._read_shared()

    def _close_shared(self, key: tuple[str, tuple[str, ...]]) -> None:
        # The number fixes its order in the store, whenever it is read.
        block = self._shared.pop(key)
        self._full.append((self._task(tuple(block.pieces), self._job(block.recognised)), block))

    def _read_shared(self) -> None:
        full, self._full = self._full, []
        blocks = {task.number: block for task, block in full}
        for task, report in self._workers.reports((task for task, _ in full)):
            blocks[task.number].take(report)
            self._count(report)

    def _read_large(self, pending: PendingFile, opened: Content) -> None:
        # The content of a plain file equals the stored bytes.
        is_plain = opened.is_as_stored and pending.recognised.rows is None
        digest = None if is_plain and pending.stored else hashlib.sha256()
        rows = pending.recognised.rows
        if rows is None:
            blocks: Iterable[tuple[Piece, int]] = opened.pieces(digest)
        else:
            blocks = ((piece, 0) for piece in content.row_pieces(opened.file, content.compacted(rows(), digest)))
        position = 0
        reports: list[Report] = []
        job = self._job(pending.recognised)
        for task, report in self._workers.reports((self._task((p,), job, at) for p, at in blocks)):
            pending.add(report, 0, report.bytes)
            reports.append(report)
            self._advance(max(0, task.behind - position))
            position = max(position, task.behind)
        self._advance(max(0, opened.file.size - position))
        pending.content = pending.stored if digest is None else digest.hexdigest()
        pending.stored = pending.stored or pending.content
        if opened.damage is not None:
            self._damaged[opened.file.path] = f"{opened.damage}; what could be read before it was read"
        if self._is_known(pending.content, msgspec.structs.replace(opened.file, size=0)):
            # Known with another compression: drop what was staged, but remember this file's hash.
            for report in reports:
                for path in manifest.staging_folder(self._home).glob(f"{report.block:08d}.*"):
                    path.unlink()
            pending.forget()
        else:
            for report in reports:
                self._count(report)
        self._put_in_batch(pending, pending.bytes)
        self._remember(pending)

    def _put_in_batch(self, pending: PendingFile, size: int) -> None:
        # Releases the rows of a document.
        pending.recognised = msgspec.structs.replace(pending.recognised, rows=None)
        self._batch.append(pending)
        self._batch_bytes += size

    def _remember(self, pending: PendingFile) -> None:
        known = pending.source(self._mapping_hash(pending.recognised.format.name), Duplicates({}, 0))
        self._known[pending.stored] = self._known[pending.content] = known
        self._known_sizes.add(known.bytes)

    def _task(self, pieces: tuple[Piece, ...], job: Job, behind: int = 0) -> Task:
        number, self._next_block = self._next_block, self._next_block + 1
        return Task(number, pieces, job, behind)

    def _count(self, report: Report) -> None:
        for name, counts in report.counts.items():
            self._counts.setdefault(name, Counter()).update(counts)

    def _commit(self) -> None:
        for key in list(self._shared):
            self._close_shared(key)
        self._read_shared()
        batch = self._batch
        days = {day for pending in batch for day in pending.days}

        def listed(duplicates: Duplicates) -> list[Source]:
            self._reused_ids += duplicates.reused_ids
            self._completed += duplicates.completed
            return [pending.source(self._mapping_hash(pending.recognised.format.name), duplicates) for pending in batch]

        manifest.staging_folder(self._home).mkdir(parents=True, exist_ok=True)
        made = commit.publish(
            self._home,
            self._done,
            listed,
            days=days,
            waited=self._waited,
            executor=self._workers.executor,
            on_step=self._on_step,
        )
        self._waited = ()
        self._done.append(made)
        self._committed += [source for source, pending in zip(made.sources, batch, strict=True) if not pending.is_alias]
        self._batch, self._batch_bytes = [], 0

    def summary(self, seconds: float) -> IngestSummary:
        def total(field: str) -> int:
            return sum(getattr(source, field) for source in self._committed)

        def counts(name: str) -> dict[str, int]:
            return dict(self._counts.get(name, Counter()).most_common())

        return IngestSummary(
            read=total("read"),
            accepted=total("accepted"),
            rejected=total("rejected"),
            already_known=total("duplicates"),
            duplicates=total("duplicates"),
            files=len(self._committed),
            skipped_files=self._skipped,
            unknown_files=tuple(self._unknown),
            damaged_files=self._damaged,
            bytes=total("bytes"),
            seconds=round(seconds, 3),
            records_path=str(self._home.records),
            rejected_path=str(self._home.records / "_rejected"),
            formats=_by_format(self._committed),
            recognised={f"{name}: {why}": files for (name, why), files in self._whys.items()},
            reasons=counts("reasons"),
            examples={why: detail for why, _, detail in (text.partition(": ") for text in counts("examples"))},
            unpriced=counts("unpriced"),
            call_sites=counts("call_sites"),
            nulled=counts("nulled"),
            unknown_values=counts("unknown"),
            passed_over=counts("passed_over"),
            marks=counts("marks"),
            tags=counts("tags"),
            notes=counts("notes"),
            waiting=counts("waiting"),
            completed=self._completed,
            reused_ids=self._reused_ids,
            guessed=self._options.mapping is None,
            other_mapping=self._other_mapping,
        )


def _by_format(committed: Sequence[Source]) -> dict[str, FormatCounts]:
    counted: dict[str, FormatCounts] = {}
    for source in committed:
        counts = counted.setdefault(source.format, FormatCounts())
        counts.files += 1
        counts.read += source.read
        counts.accepted += source.accepted
        counts.rejected += source.rejected
        counts.already_known += source.duplicates
    return counted


def _none_recognised(unknown: dict[str, str]) -> str:
    return f"no log format recognises {some(list(unknown))}; the first: {next(iter(unknown.values()))}"
