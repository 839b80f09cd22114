"""One ingest: files into the staging folder, block by block, and from there into the store in commits."""

import contextlib
import hashlib
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from datetime import datetime

import msgspec
from rich.progress import Progress, TaskID

from pipeline.ingest import content, retry, sources
from pipeline.ingest.blocks import Job, Report, read_block
from pipeline.ingest.companions import PartStore, rows_of
from pipeline.ingest.content import Content, Piece
from pipeline.ingest.formats import FORMATS, Format, mapped
from pipeline.ingest.mapping import TagMapping
from pipeline.ingest.recognition import Recognised, recognise_content
from pipeline.ingest.sources import LogFile
from pipeline.ingest.summary import FormatCounts, IngestSummary, some
from pipeline.store import commit, manifest
from pipeline.store.commit import Duplicates, Step
from pipeline.store.manifest import Commit, Source
from traffic import config
from traffic.artifacts import Home, hash8
from traffic.errors import ConfigError, InputError, UnknownFormat

BATCH_BYTES = 512 << 20
"""Small files are committed together, up to about this much; a larger file is a commit of its own."""
_SMALL_BYTES = 1 << 20
"""Files up to this size are read whole and share blocks."""
_SHARED_BLOCK_BYTES = 4 << 20
_MAX_SHARED_FILES = 512


class Options(msgspec.Struct, frozen=True):
    """What the user said about how to read."""

    format: Format | None = None
    mapping: TagMapping | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def rows_path(self) -> tuple[str, ...] | None:
        """Where the rows of a mapped log stand; None: to be seen in the rows."""
        if self.mapping is None or self.mapping.record is None:
            return None
        return tuple(self.mapping.record.rows.split(".")) if self.mapping.record.rows else ()


class Session:
    """Reads files into the staging folder and commits them in batches."""

    def __init__(
        self, home: Home, done: list[Commit], options: Options, progress: Progress, bar: TaskID, on_step: Step
    ) -> None:
        self._home, self._done, self._options = home, done, options
        self._progress, self._bar, self._on_step = progress, bar, on_step
        read_before = [source for made in done for source in made.sources]
        self._known = {sha: s for s in read_before for sha in (s.stored_sha256, s.content_sha256)}
        self._mappings: dict[str, TagMapping] = {}
        self._mapping_hashes: dict[str, str] = {}
        self._batch: list[_Pending] = []
        self._with_companions: list[_Pending] = []
        self._shared: dict[tuple[str, tuple[str, ...]], list[tuple[_Pending, Piece]]] = {}
        self._next_block = 0
        self._committed: list[Source] = []
        self._counts: dict[str, Counter[str]] = {}
        self._skipped = self._other_mapping = self._reused_ids = 0
        self._unknown: dict[str, str] = {}
        self._damaged: dict[str, str] = {}
        self._whys: dict[tuple[str, str], int] = {}

    def read_all(self, found: Sequence[LogFile], executor: Executor | None, workers: int) -> None:
        for file in found:
            self._read_file(file, executor, workers)
            self._commit_if_large(executor, workers)
        if self._with_companions:
            self._read_with_companions(executor, workers)
        if self._unknown and len(self._unknown) == len(found):
            path, why = next(iter(self._unknown.items()))
            raise UnknownFormat(f"{path}: {why}" if len(found) == 1 else _none_recognised(self._unknown))
        if self._batch:
            self._commit(executor, workers)

    def _commit_if_large(self, executor: Executor | None, workers: int) -> None:
        if sum(pending.bytes for pending in self._batch) >= BATCH_BYTES:
            self._commit(executor, workers)

    def _read_with_companions(self, executor: Executor | None, workers: int) -> None:
        """Read the files whose rows may lack what stands in another: all of them are needed at once."""
        folder = manifest.companions_folder(self._home)
        stores: dict[str, PartStore] = {}
        with contextlib.ExitStack() as opened_stores:
            opened_stores.callback(shutil.rmtree, folder, ignore_errors=True)
            for number, pending in enumerate(self._with_companions):
                name = pending.recognised.format.name
                if name not in stores:
                    stores[name] = PartStore(folder / f"{name}.sqlite")
                    opened_stores.callback(stores[name].close)
                if companions := pending.recognised.format.companions:
                    stores[name].add(number, rows_of(Content(pending.file), pending.recognised), companions)
            for number, pending in enumerate(self._with_companions):
                if self._is_known(pending.stored, pending.file):
                    continue
                pending.recognised = self._joined(pending, number, stores[pending.recognised.format.name])
                self._read_recognised(pending, Content(pending.file), executor, workers)
                self._commit_if_large(executor, workers)

    def _joined(self, pending: "_Pending", number: int, parts: PartStore) -> Recognised:
        """How to read a file so that each row has its parts; as it is where no row misses any."""
        recognised, companions = pending.recognised, pending.recognised.format.companions
        files = parts.files_for(number)
        if companions is None or not files:
            return recognised
        if len(files) > 1 and not companions.unique_keys:
            notes = self._counts.setdefault("notes", Counter())
            notes["files whose prompts could be those of several others; read without"] += 1
            return recognised

        def rows() -> Iterator[bytes]:
            source = None if companions.unique_keys else files[0]
            return parts.joined(rows_of(Content(pending.file), recognised), companions, source)

        return msgspec.structs.replace(recognised, path=(), rows=rows)

    def read_rejected(self, executor: Executor | None, workers: int) -> None:
        """Read the lines again that were rejected before."""
        parts = retry.rejected_parts(self._home, self._done)
        if not parts:
            return
        named = self._options.format.name if self._options.format else None
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        days: set[str] = set()
        tallies: dict[str, list[int]] = {}
        places: list[tuple[str, int, int]] = []
        for (name, path), pieces in retry.blocks(self._home, self._done, named):
            job = self._job(Recognised(FORMATS[name], path))
            for _, report in self._reports([(tuple(pieces), 0)], job, executor, workers):
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
            self._home, self._done, listed, days=days, retried=parts, executor=executor, on_step=self._on_step
        )
        self._committed += made.sources

    def _read_file(self, file: LogFile, executor: Executor | None, workers: int) -> None:
        stored = sources.stored_sha256(file)
        if self._is_known(stored, file):
            return
        opened = Content(file)
        try:
            recognised = recognise_content(opened, self._options.format, self._options.rows_path)
        except InputError as error:
            self._pass_over(file, str(error).removeprefix(f"{file.path}: "), damaged=True)
            return
        if isinstance(recognised, str):
            self._pass_over(
                file, recognised if opened.damage is None else opened.damage, damaged=opened.damage is not None
            )
            return
        self._whys[(recognised.format.name, recognised.why)] = (
            self._whys.get((recognised.format.name, recognised.why), 0) + 1
        )
        pending = _Pending(file, recognised, stored)
        if recognised.format.companions is not None:
            self._with_companions.append(pending)
        else:
            self._read_recognised(pending, opened, executor, workers)

    def _read_recognised(self, pending: "_Pending", opened: Content, executor: Executor | None, workers: int) -> None:
        file = pending.file
        if file.size <= _SMALL_BYTES and not file.is_parquet and file.compression is None:
            self._read_small(pending, opened, executor, workers)
        else:
            self._read_large(pending, opened, executor, workers)

    def _pass_over(self, file: LogFile, why: str, *, damaged: bool = False) -> None:
        (self._damaged if damaged else self._unknown)[file.path] = why
        if damaged:
            self._unknown[file.path] = why
        self._progress.advance(self._bar, file.size)

    def _is_known(self, sha256: str, file: LogFile) -> bool:
        known = self._known.get(sha256)
        if known is None:
            return False
        self._skipped += 1
        if known.format in FORMATS and known.mapping != self._mapping_hash(known.format):
            self._other_mapping += 1
        self._progress.advance(self._bar, file.size)
        return True

    def _mapping_for(self, name: str) -> TagMapping:
        if self._options.mapping is not None:
            return self._options.mapping
        if name == mapped.FORMAT.name:
            raise ConfigError("--format mapped needs a mapping with a `record` section: --config MAPPING.yaml")
        if name not in self._mappings:
            self._mappings[name] = config.load(config.CONFIGS / "log_tags" / f"{name}.yaml", TagMapping)
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

    def _read_small(self, pending: "_Pending", opened: Content, executor: Executor | None, workers: int) -> None:
        """Put a small file's lines into a block that it shares with others of its format."""
        # Read as stored: a plain file's content is what is stored.
        pending.content = pending.stored if opened.file.encoding == "utf-8" else ""
        rows = pending.recognised.rows
        data = b"".join(opened.chunks()) if rows is None else b"".join(content.compact(row) + b"\n" for row in rows())
        pending.content = pending.content or hashlib.sha256(data).hexdigest()
        self._remember(pending)
        key = (pending.recognised.format.name, pending.recognised.path)
        waiting = self._shared.setdefault(key, [])
        waiting.append((pending, Piece(opened.file.path, 1, opened.file.modified, data)))
        self._batch.append(pending)
        self._progress.advance(self._bar, opened.file.size)
        if sum(piece.size for _, piece in waiting) >= _SHARED_BLOCK_BYTES or len(waiting) >= _MAX_SHARED_FILES:
            self._flush_shared(executor, workers, only=key)

    def _flush_shared(
        self, executor: Executor | None, workers: int, only: tuple[str, tuple[str, ...]] | None = None
    ) -> None:
        for key in [only] if only is not None else list(self._shared):
            waiting = self._shared.pop(key, [])
            if not waiting:
                continue
            pieces = tuple(piece for _, piece in waiting)
            for _, report in self._reports([(pieces, 0)], self._job(waiting[0][0].recognised), executor, workers):
                for position, (pending, piece) in enumerate(waiting):
                    pending.add(report, position, piece.size)
                self._count(report)

    def _read_large(self, pending: "_Pending", opened: Content, executor: Executor | None, workers: int) -> None:
        # A plain file's content was hashed as what is stored.
        digest = None if opened.is_as_stored and pending.recognised.rows is None else hashlib.sha256()
        rows = pending.recognised.rows
        if rows is None:
            blocks: Iterable[tuple[tuple[Piece, ...], int]] = (((p,), at) for p, at in opened.pieces(digest))
        else:
            blocks = (((piece,), 0) for piece in content.row_pieces(opened.file, _fed(rows(), digest)))
        position = 0
        reports: list[Report] = []
        for behind, report in self._reports(blocks, self._job(pending.recognised), executor, workers):
            pending.add(report, 0, report.bytes)
            reports.append(report)
            self._progress.advance(self._bar, max(0, behind - position))
            position = max(position, behind)
        self._progress.advance(self._bar, max(0, opened.file.size - position))
        pending.content = pending.stored if digest is None else digest.hexdigest()
        if opened.damage is not None:
            self._damaged[opened.file.path] = f"{opened.damage}; what could be read before it was read"
        if self._is_known(pending.content, msgspec.structs.replace(opened.file, size=0)):
            # Known under another compression: forget what was staged, but remember this form of it.
            for report in reports:
                for path in manifest.staging_folder(self._home).glob(f"{report.block:08d}.*"):
                    path.unlink()
            pending.forget()
        else:
            for report in reports:
                self._count(report)
        self._batch.append(pending)
        self._remember(pending)

    def _remember(self, pending: "_Pending") -> None:
        known = pending.source(self._mapping_hash(pending.recognised.format.name), Duplicates({}, 0))
        self._known[pending.stored] = self._known[pending.content] = known

    def _reports(
        self, blocks: Iterable[tuple[tuple[Piece, ...], int]], job: Job, executor: Executor | None, workers: int
    ) -> Iterator[tuple[int, Report]]:
        """Blocks in work: two per worker, so that memory stays flat however long the file is."""
        waiting: dict[Future[Report], int] = {}
        for pieces, behind in blocks:
            number, self._next_block = self._next_block, self._next_block + 1
            if executor is None:
                yield behind, read_block(number, pieces, job)
                continue
            waiting[executor.submit(read_block, number, pieces, job)] = behind
            while len(waiting) >= 2 * workers:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result()
        for future, behind in waiting.items():
            yield behind, future.result()

    def _count(self, report: Report) -> None:
        for name, counts in report.counts.items():
            self._counts.setdefault(name, Counter()).update(counts)

    def _commit(self, executor: Executor | None, workers: int) -> None:
        self._flush_shared(executor, workers)
        batch = self._batch
        days = {day for pending in batch for day in pending.days}

        def listed(duplicates: Duplicates) -> list[Source]:
            self._reused_ids += duplicates.reused_ids
            return [pending.source(self._mapping_hash(pending.recognised.format.name), duplicates) for pending in batch]

        manifest.staging_folder(self._home).mkdir(parents=True, exist_ok=True)
        made = commit.publish(self._home, self._done, listed, days=days, executor=executor, on_step=self._on_step)
        self._done.append(made)
        self._committed += [source for source, pending in zip(made.sources, batch, strict=True) if not pending.is_alias]
        self._batch = []

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
            unpriced=counts("unpriced"),
            call_sites=counts("call_sites"),
            nulled=counts("nulled"),
            unknown_values=counts("unknown"),
            passed_over=counts("passed_over"),
            marks=counts("marks"),
            tags=counts("tags"),
            notes=counts("notes"),
            reused_ids=self._reused_ids,
            guessed=self._options.mapping is None,
            other_mapping=self._other_mapping,
        )


class _Pending:
    """A file that was read but is not committed yet."""

    def __init__(self, file: LogFile, recognised: Recognised, stored: str) -> None:
        self.file, self.recognised, self.stored = file, recognised, stored
        self.content = ""
        self.is_alias = False
        self.days: set[str] = set()
        self.bytes = self.read = self.rejected = 0
        self._pieces: list[tuple[int, int]] = []

    def add(self, report: Report, position: int, size: int) -> None:
        """Take the counts of one piece of a block."""
        counted = report.pieces[position]
        self._pieces.append((report.block, position))
        self.days.update(report.days)
        self.bytes += size
        self.read += counted.read
        self.rejected += counted.rejected

    def forget(self) -> None:
        """Its content is known under another name: nothing of it enters the store."""
        self.is_alias = True
        self.days.clear()
        self._pieces.clear()
        self.bytes = self.read = self.rejected = 0

    def source(self, mapping: str, duplicates: Duplicates) -> Source:
        known = sum(duplicates.by_piece.get(piece, 0) for piece in self._pieces)
        return Source(
            path=self.file.path,
            format=self.recognised.format.name,
            stored_sha256=self.stored,
            content_sha256=self.content,
            mapping=mapping,
            bytes=self.bytes,
            read=self.read,
            accepted=self.read - self.rejected - known,
            rejected=self.rejected,
            duplicates=known,
        )


def _fed(rows: Iterator[bytes], digest: "hashlib._Hash | None") -> Iterator[bytes]:
    for row in rows:
        line = content.compact(row)
        if digest is not None:
            digest.update(line + b"\n")
        yield line


def _by_format(committed: Sequence[Source]) -> dict[str, FormatCounts]:
    found: dict[str, FormatCounts] = {}
    for source in committed:
        counts = found.setdefault(source.format, FormatCounts())
        counts.files += 1
        counts.read += source.read
        counts.accepted += source.accepted
        counts.rejected += source.rejected
        counts.already_known += source.duplicates
    return found


def _none_recognised(unknown: dict[str, str]) -> str:
    return f"no log format recognises {some(list(unknown))}; the first: {next(iter(unknown.values()))}"
