"""Bodies that a log keeps in objects of their own and names: Bedrock's above 100 kB, OpenTelemetry's uploaded messages.

They are read if they were copied along with the log: below its folder, under the end of their name.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from pipeline.ingest import sources
from pipeline.ingest.bodies import Unreadable
from pipeline.ingest.content import Content
from traffic.errors import InputError
from traffic.loose_json import json_or

_KEY = "_stored_content"
"""Key of a row for what was found; by its last word the search for tags knows that it holds texts."""
_MAX_NAME = 4096
"""Characters; object stores allow 1,024 bytes and a bucket."""


class StoredElsewhere(Unreadable):
    """Bodies of a row are to be looked for; `names` of their objects, by field."""

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__("body_elsewhere", f"stored in {', '.join(names.values())}")
        self.names = names


def stored(row: Mapping[str, Any], names: Mapping[str, Any]) -> Mapping[str, Any]:
    """The bodies that were found, by field. `names`: of their objects. Raises: StoredElsewhere before the search."""
    named = {field: name for field, name in names.items() if isinstance(name, str) and name}
    if named and _KEY not in row:
        raise StoredElsewhere(named)
    return row[_KEY] if named else {}


def with_stored(row: bytes, names: Mapping[str, str], log: str) -> bytes:
    """The row with the bodies that are beside its log; a reader given this row searches no more."""
    found = {field: body for field, name in names.items() if (body := _beside(log, name)) is not None}
    return msgspec.json.encode({**msgspec.json.decode(row, type=dict[str, Any]), _KEY: found})


def _beside(log: str, name: str) -> Any:
    try:
        path = next(_copies(Path(log).parent, name), None)
        document = None if path is None else Content(sources.find([path])[0]).document()
    except (InputError, OSError, ValueError):
        # The copy is damaged, or the name is none of a file.
        return None
    return None if document is None else json_or(document)


def _copies(folder: Path, name: str) -> Iterator[Path]:
    """Files under the end of the name. Only below the log's own folder, since the log's author chose the name."""
    if len(name) > _MAX_NAME:
        return
    url = urlsplit(name)
    parts = [part for part in (url.netloc, *url.path.split("/")) if part]
    for path in (folder.joinpath(*parts[start:]) for start in range(len(parts))):
        if path.is_file() and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
            yield path
