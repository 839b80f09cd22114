"""Coverage-guided fuzzing of the log decoders: any bytes are read or rejected, and never end the run.

    pip install atheris
    python tests/fuzz/ingest_decoders.py -max_total_time=600 [CORPUS_FOLDER]

Each input is one line, given to the formats that recognise it and to another one. It is mutated as bytes and, where it
is JSON, as a tree. Seeds are the lines of `tests.fakes`. A finding is an exception that `read_block` does not turn into
a rejected line.
"""

import copy
import random
import sys
import tempfile
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

with atheris.instrument_imports(include=["pipeline.ingest", "traffic.usage"]):
    from pipeline.ingest.blocks import Job, read_block
    from pipeline.ingest.content import Piece
    from pipeline.ingest.formats import FORMATS, formats_of, mapping_of

import msgspec

from tests.fakes.log_formats import WRITERS
from tests.fakes.logs import attempts

MODIFIED = datetime(2026, 3, 1, tzinfo=UTC)
ODD: list[Any] = [
    None, True, 0, -1, 1e308, 2**70, "", "x", "null", "{}", "[[", [], {}, [None], {"a": []}, {"role": 7}, [[[]]],
    "data: {", {"$date": 1}, {"content": [{"text": 1}]}, {"choices": [None]}, {"message": {"content": {}}},
]  # fmt: skip


def _mapping(name: str) -> bytes:
    return msgspec.json.encode(mapping_of(name))


JOBS: dict[str, Job] = {}
FOLDER = tempfile.mkdtemp()


def setup() -> None:
    for name in FORMATS:
        if name != "mapped":
            JOBS[name] = Job(name, _mapping(name), FOLDER)


def test_one_line(data: bytes) -> None:
    line = data.replace(b"\n", b" ")
    # Its own format where it still looks like one, and some other.
    try:
        tree = msgspec.json.decode(line)
        names = formats_of(tree) if isinstance(tree, dict) else []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        names = []
    names.append(list(JOBS)[zlib.crc32(line) % len(JOBS)])
    for job in (JOBS[name] for name in names):
        report = read_block(0, (Piece("fuzz", 1, MODIFIED, line + b"\n"),), job)
        (piece,) = report.pieces
        assert piece.rejected <= piece.read


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """A tree with one value replaced, moved or left out; bytes where it is no JSON."""
    rng = random.Random(seed)
    try:
        tree = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return bytes(atheris.Mutate(data, max_size))
    if rng.random() < 0.15 or not isinstance(tree, dict):
        return bytes(atheris.Mutate(data, max_size))
    for _ in range(rng.randint(1, 3)):
        _change(tree, rng)
    return msgspec.json.encode(tree)[:max_size]


def _change(tree: Any, rng: random.Random) -> None:
    node = tree
    while isinstance(node, dict | list) and node:
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.75:
            node = node[key]
            continue
        if isinstance(node, dict) and rng.random() < 0.2:
            del node[key]
        else:
            # A copy: later changes of the tree must not change the choice.
            node[key] = copy.deepcopy(rng.choice(ODD))
        return


def main() -> None:
    setup()
    corpus = Path(tempfile.mkdtemp())
    for name, write in WRITERS.items():
        for number, attempt in enumerate(attempts(4, 3)):
            (corpus / f"{name}-{number}").write_bytes(write(attempt))
    arguments = [*sys.argv, str(corpus), "-max_len=8192", "-rss_limit_mb=3000"]
    atheris.Setup(arguments, test_one_line, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
