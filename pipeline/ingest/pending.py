"""Files that are read but not committed yet, and the blocks that small ones share."""

from pipeline.ingest.blocks import Report
from pipeline.ingest.content import Piece
from pipeline.ingest.recognition import Recognised
from pipeline.ingest.sources import LogFile
from pipeline.store.commit import Duplicates
from pipeline.store.manifest import Source

_BLOCK_BYTES = 4 << 20
_MAX_FILES = 512


class PendingFile:
    """A file that is read but not committed yet."""

    def __init__(self, file: LogFile, recognised: Recognised, stored: str) -> None:
        self.file, self.recognised, self.stored = file, recognised, stored
        self.content = ""
        self.is_alias = False
        self.days: set[str] = set()
        self.bytes = self.read = self.rejected = 0
        self._pieces: list[tuple[int, int]] = []

    def add(self, report: Report, position: int, size: int) -> None:
        """Add the counts of one piece of a block."""
        counted = report.pieces[position]
        self._pieces.append((report.block, position))
        self.days.update(report.days)
        self.bytes += size
        self.read += counted.read
        self.rejected += counted.rejected

    def forget(self) -> None:
        """Drop the counts: its content is already stored under another name."""
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


class SharedBlock:
    """Small files of one format, read as one block."""

    def __init__(self, recognised: Recognised) -> None:
        self.recognised = recognised
        self.pieces: list[Piece] = []
        self._owners: list[PendingFile] = []
        self._bytes = 0

    def add(self, pending: PendingFile, piece: Piece) -> None:
        self._owners.append(pending)
        self.pieces.append(piece)
        self._bytes += piece.size

    @property
    def is_full(self) -> bool:
        return self._bytes >= _BLOCK_BYTES or len(self.pieces) >= _MAX_FILES

    def take(self, report: Report) -> None:
        """Distribute the block's counts to its files."""
        for position, (pending, piece) in enumerate(zip(self._owners, self.pieces, strict=True)):
            pending.add(report, position, piece.size)
