"""The router's log since the last ingest, read together with the store for live pages.

Lines go through the reader of `fasttier ingest` and get the same keys and links, so totals equal those after an ingest.
Each call reads what was appended since the previous one; nothing is written to the home.
"""

import datetime as dt
import re
import shutil
import tempfile
import weakref
from pathlib import Path

import msgspec

from pipeline import store
from pipeline.ingest import sources
from pipeline.ingest.blocks import Job, Report, read_block
from pipeline.ingest.content import Content, Piece
from pipeline.ingest.mapping import TagMapping
from pipeline.store import Overlay, overlay
from traffic import config
from traffic.artifacts import Home

DAYS = 7
"""Older files are only counted: they should have been ingested."""
BYTES_PER_LOOK = 16 << 20
_BLOCK_BYTES = 8 << 20
_NAME = re.compile(r"requests-.+-(?P<hour>\d{8}T\d{2})\.jsonl(\.zst)?")


class LiveStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the log that is not in the store."""

    records: int = 0
    """Records read and included in the overlay."""
    rejected: int = 0
    """Unreadable lines."""
    waiting_bytes: int = 0
    """Stored bytes not read yet."""
    old_files: int = 0
    """Files older than `DAYS` days that were never ingested; not read and in no total."""
    problems: tuple[str, ...] = ()


class LiveLog:
    """Reads the router's log folder of a home into an overlay of its store."""

    def __init__(self, home: Home, folder: Path | None = None) -> None:
        self._home = home
        self._log = folder or home.log
        self._work = Path(tempfile.mkdtemp(prefix="fasttier-live-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self._work, True)
        self._mapping = msgspec.json.encode(config.load(config.CONFIGS / "log_tags" / "native.yaml", TagMapping))
        self._begin(())

    def _begin(self, done: tuple[store.Commit, ...]) -> None:
        for path in self._work.iterdir():
            shutil.rmtree(path)
        self._overlay = Overlay(commits=done)
        self._read: dict[str, int] = {}
        """Content bytes already read, by name of the uncompressed file."""
        self._rejected = self._blocks = 0
        self._damaged: list[str] = []
        self._ingested: dict[str, int] = {}
        for source in (source for commit in done for source in commit.sources):
            self._ingested[source.path] = max(source.bytes, self._ingested.get(source.path, 0))

    def close(self) -> None:
        """Remove the working files."""
        self._remove()

    def look(self, now: dt.datetime | None = None) -> tuple[Overlay, LiveStatus]:
        """Read up to `BYTES_PER_LOOK` of appended data; restarts if the store has changed.

        Raises: InputError for a damaged store.
        """
        done = tuple(store.commits(self._home))
        if [commit.id for commit in done] != [commit.id for commit in self._overlay.commits]:
            self._begin(done)
        oldest = (now or dt.datetime.now(dt.UTC)) - dt.timedelta(DAYS)
        budget, waiting, old = BYTES_PER_LOOK, 0, 0
        problems: list[str] = []
        days: set[str] = set()
        # Newest first: live pages show them.
        for hour, path in sorted(self._files(), reverse=True):
            try:
                size = path.stat().st_size
                if not (left := self._unread(path, size)):
                    continue
                if hour < f"{oldest:%Y%m%dT%H}":
                    old += 1
                elif budget <= 0:
                    waiting += left
                else:
                    budget -= self._take(path, budget, days)
                    waiting += self._unread(path, size)
            except FileNotFoundError:
                # Compressed in the meantime: the next call finds the compressed file.
                continue
            except OSError as error:
                problems.append(f"{path.name}: {error.strerror or error}")
        if (self._work / "staging").is_dir():
            self._overlay = overlay.extend(self._overlay, self._home, self._work, days)
        return self._overlay, LiveStatus(
            records=self._overlay.records, rejected=self._rejected, waiting_bytes=waiting, old_files=old,
            problems=(*problems, *self._damaged),
        )  # fmt: skip

    def look_through(self) -> Overlay:
        """Read everything currently in the log. Raises: as `look`."""
        left, (records, status) = None, self.look()
        # A line that is still being written stays unread.
        while status.waiting_bytes and status.waiting_bytes != left:
            left = status.waiting_bytes
            records, status = self.look()
        return records

    def _files(self) -> list[tuple[str, Path]]:
        if not self._log.is_dir():
            return []
        named = [(_NAME.fullmatch(path.name), path) for path in self._log.iterdir()]
        return [(match["hour"], path.resolve()) for match, path in named if match]

    def _unread(self, path: Path, size: int) -> int:
        """Stored bytes that were neither read here nor ingested."""
        if path.suffix == ".zst":
            # Compressed files do not grow.
            return 0 if str(path) in self._ingested or str(path) in self._read else size
        return max(0, size - self._behind(path))

    def _behind(self, path: Path) -> int:
        return max(self._read.get(str(path), 0), self._ingested.get(str(path), 0))

    def _take(self, path: Path, budget: int, days: set[str]) -> int:
        """Stage lines of a file; returns the bytes read."""
        if path.suffix == ".zst":
            return self._take_compressed(path, days)
        begun = start = _line_start(path, self._behind(path))
        with path.open("rb") as file:
            file.seek(start)
            while start - begun < budget and (data := file.read(_BLOCK_BYTES)):
                while b"\n" not in data and (more := file.read(_BLOCK_BYTES)):
                    data += more
                end = data.rfind(b"\n") + 1
                if not end:
                    break
                self._stage(path, data[:end], days)
                start += end
                file.seek(start)
        self._read[str(path)] = max(start, self._behind(path))
        return start - begun

    def _take_compressed(self, path: Path, days: set[str]) -> int:
        behind, position = self._read.get(str(path).removesuffix(".zst"), 0), 0
        content = Content(sources.find([path])[0])
        for piece, _ in content.pieces(None):
            data = piece.read()
            if position + len(data) > behind:
                self._stage(path, data, days)
            position += len(data)
        self._read[str(path)] = position
        if content.damage:
            self._damaged.append(f"{path.name}: {content.damage}")
        return max(0, position - behind)

    def _stage(self, path: Path, data: bytes, days: set[str]) -> None:
        staging = self._work / "staging"
        staging.mkdir(exist_ok=True)
        job = Job("native", self._mapping, str(staging))
        piece = Piece(str(path), 1, dt.datetime.now(dt.UTC), data)
        report: Report = read_block(self._blocks, (piece,), job)
        self._blocks += 1
        self._rejected += sum(counted.rejected for counted in report.pieces)
        days.update(report.days)


def _line_start(path: Path, position: int) -> int:
    """Start of the line at a position: an ingest may have read half of that line."""
    with path.open("rb") as file:
        while position > 0:
            step = min(position, 1 << 16)
            file.seek(position - step)
            data = file.read(step)
            if (end := data.rfind(b"\n")) >= 0:
                return position - step + end + 1
            position -= step
    return 0
