"""Finds log files: paths, folders, globs and object stores (`s3://`, `gs://`, whatever fsspec reads).

File types are detected from the first bytes, not from names.
"""

import glob
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import msgspec

from traffic.artifacts import Home
from traffic.errors import InputError, NotFound

Compression = Literal["gzip", "zstd", "bz2"]
Encoding = Literal["utf-8", "utf-16-le", "utf-16-be"]

_MAGIC: dict[bytes, Compression] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
_ARCHIVES = {
    b"PK\x03\x04": "zip archive",
    b"7z\xbc\xaf": "7z archive",
    b"\xfd7zXZ": "xz archive",
    b"SQLite format": "SQLite database",
}
_OFFICE = (b"[Content_Types].xml", b"xl/", b"mimetypeapplication/vnd.oasis")
SPREADSHEET = "spreadsheet"
_COLUMNAR = (b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")
_IGNORED_NAMES = (".", "_SUCCESS", "_committed", "_started")


class LogFile(msgspec.Struct, frozen=True):
    """One file to read."""

    path: str
    """Local path or URL of an object store; bytes that are not UTF-8 are escaped."""
    size: int
    """Stored bytes."""
    modified: datetime
    compression: Compression | None = None
    encoding: Encoding = "utf-8"
    is_parquet: bool = False
    """Parquet, or Arrow as written by `datasets`."""
    foreign: str | None = None
    """Detected type of a file that is not a log."""
    named: bool = False
    """Given by the user, not found in a folder."""
    unprintable: str | None = None
    """The unescaped path, if `path` had to be escaped."""

    @property
    def is_local(self) -> bool:
        return "://" not in self.path

    def open(self) -> BinaryIO:
        """The stored bytes."""
        if self.is_local:
            return Path(self.unprintable or self.path).open("rb")
        import fsspec

        return cast("BinaryIO", fsspec.open(self.path, "rb").open())


def find(sources: Sequence[str | Path], home: Home | None = None) -> list[LogFile]:
    """Files of `sources`, folders searched recursively, each file once. Raises: NotFound, InputError.

    `home`: if a searched folder contains it, only the router's log is taken from it.
    """
    own = None if home is None else home.root.resolve()
    if not sources:
        raise InputError("no log given; say `fasttier ingest FILE_OR_FOLDER...`")
    files: dict[str, LogFile] = {}
    for source in map(str, sources):
        for file in _remote(source) if "://" in source else _local(source, own):
            files.setdefault(file.path, file)
    return list(files.values())


def _local(source: str, home: Path | None) -> Iterable[LogFile]:
    path = Path(source)
    if path.is_dir():
        return _folder(path, home)
    if path.is_file():
        return [_look(path.resolve(), named=True)]
    matches = [Path(match) for match in sorted(glob.glob(source, recursive=True))]  # noqa: PTH207 - patterns may be absolute
    files = [match for match in matches if match.is_file()]
    if not files and source in ("-", "/dev/stdin"):
        raise InputError("standard input cannot be read twice, as recognising its format needs; write it into a file")
    if not files:
        raise NotFound(f"no such file or folder: {source}")
    return [_look(match.resolve(), named=len(files) == 1) for match in files]


def _folder(folder: Path, home: Path | None) -> list[LogFile]:
    whole = folder.resolve()
    inside = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(_IGNORED_NAMES) for part in path.relative_to(folder).parts)
    ]
    # Resolving every path is slow; only symbolic links need it.
    paths = [path.resolve() if path.is_symlink() else whole / path.relative_to(folder) for path in inside]
    if home is not None and home.is_relative_to(whole):
        paths = [path for path in paths if not path.is_relative_to(home) or path.is_relative_to(home / "log")]
    if not paths:
        raise NotFound(f"no log in {folder}: it holds no files")
    return [_look(path, named=False) for path in paths]


def _look(path: Path, *, named: bool) -> LogFile:
    try:
        with path.open("rb") as stream:
            start = stream.read(512)
            size = stream.seek(0, 2)
        modified = path.stat().st_mtime
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    shown = str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    file = _described(shown, size, datetime.fromtimestamp(int(modified), UTC), start, named=named)
    return file if shown == str(path) else msgspec.structs.replace(file, unprintable=str(path))


def _remote(source: str) -> list[LogFile]:
    # Imported here: most logs are on disk, and fsspec's packages for object stores are slow to load.
    import fsspec

    try:
        system, _, paths = fsspec.get_fs_token_paths(source)
        listed: dict[str, Any] = {}
        for path in paths:
            if system.isdir(path):
                listed |= system.find(path, detail=True)
            elif system.exists(path):
                listed[path] = system.info(path)
        files = [
            _look_remote(system, path, info) for path, info in sorted(listed.items()) if info.get("type") != "directory"
        ]
    except ImportError as error:
        raise InputError(f"{source}: {error}; install it with `pip install s3fs` or `pip install gcsfs`") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{source}: cannot be read: {error}") from None
    if not files:
        raise NotFound(f"no log at {source}")
    return files


def _look_remote(system: Any, path: str, info: dict[str, Any]) -> LogFile:
    modified = info.get("LastModified") or info.get("updated") or info.get("created")
    if isinstance(modified, str):
        modified = datetime.fromisoformat(modified)
    modified = modified or info.get("mtime") or 0
    if not isinstance(modified, datetime):
        modified = datetime.fromtimestamp(int(modified), UTC)
    size = int(info.get("size") or 0)
    start = system.cat_file(path, start=0, end=min(size, 512)) if size else b""
    return _described(system.unstrip_protocol(path), size, modified.astimezone(UTC), start, named=False)


def _described(path: str, size: int, modified: datetime, start: bytes, *, named: bool) -> LogFile:
    compression = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)
    foreign = next((what for magic, what in _ARCHIVES.items() if start.startswith(magic)), None)
    if foreign == "zip archive" and any(mark in start for mark in _OFFICE):
        foreign = SPREADSHEET
    encoding = "utf-8" if compression else _encoding(start)
    return LogFile(path, size, modified, compression, encoding, start.startswith(_COLUMNAR), foreign, named)


def _encoding(start: bytes) -> Encoding:
    """Detects UTF-16 by its byte order mark or by the zero bytes of ASCII characters."""
    if start.startswith(b"\xff\xfe") or (len(start) > 3 and start[1::2].count(0) > len(start) // 3):
        return "utf-16-le"
    if start.startswith(b"\xfe\xff") or (len(start) > 3 and start[0::2].count(0) > len(start) // 3):
        return "utf-16-be"
    return "utf-8"
