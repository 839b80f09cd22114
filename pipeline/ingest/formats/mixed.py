"""Files with lines of several formats, as written by collectors that serve many applications.

Each row is read by the format that recognises it. Related rows (batches, nested spans) are not joined.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from pipeline.ingest.formats.format import Format, LineReader, Reading, Unreadable
from pipeline.ingest.mapping import TagMapping


def mixed_format(
    formats: Mapping[str, Format],
    formats_of: Callable[[Mapping[str, Any]], list[str]],
    mapping_of: Callable[[str], TagMapping],
) -> Format:
    """The format `mixed` for these formats."""

    def format_of(row: bytes) -> Format:
        tree = msgspec.json.decode(row)
        names = formats_of(tree) if isinstance(tree, dict) else []
        if not names:
            raise Unreadable("unknown_format", "no log format recognises the row")
        return formats[names[0]]

    def expand(line: bytes) -> Iterable[bytes]:
        expanded = format_of(line).expand
        return (line,) if expanded is None else expanded(line)

    def reader(mapping: TagMapping) -> LineReader:
        readers: dict[str, LineReader] = {}

        def read(row: bytes) -> Reading:
            detected = format_of(row)
            if detected.name not in readers:
                own = mapping if mapping != TagMapping() else mapping_of(detected.name)
                readers[detected.name] = detected.reader(own)
            return readers[detected.name](row)

        return read

    return Format("mixed", lambda tree: False, reader, expand)
