"""The router's log beside the store: its sums are those that an ingest gives, and no request counts twice."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pipeline import costs, ingest, store
from pipeline.costs.config import CostsConfig
from pipeline.ingest.live import LiveLog
from pipeline.store import Overlay
from router.log.archive import compress_closed
from tests.fakes.metered import record
from traffic.artifacts import Home
from traffic.prices import Machines, PriceTable
from traffic.record import Record, encode_record

pytestmark = pytest.mark.slow

TEXT = b'[{"role":"user","content":"which topic?"}]'
START = dt.datetime(2026, 11, 2, 23, 50, tzinfo=dt.UTC)
HOUR = "20261102T23"
LATER = START + dt.timedelta(hours=2)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.log.mkdir(parents=True)
    return home


@pytest.fixture
def log(home: Home) -> Iterator[LiveLog]:
    log = LiveLog(home)
    yield log
    log.close()


def attempt(n: int, **fields: object) -> Record:
    values = {"ts": START + dt.timedelta(minutes=n), "messages": msgspec.Raw(TEXT), "session_id": f"s{n}"}
    return record(n, **(values | fields))


ATTEMPTS = [
    attempt(0), attempt(1), attempt(2, cost_usd=None, model="house"),
    # An escalation and a retry of the application, both after midnight of a request before it.
    attempt(9), record("9-2", request_id="r9", purpose="escalation", attempt=2, ts=START + dt.timedelta(minutes=11),
                       messages=msgspec.Raw(TEXT), feature="other", cost_usd=0.03),
    attempt(8, status=500, output=msgspec.UNSET, cost_usd=0.0, session_id="same"),
    attempt(12, session_id="same", cost_usd=0.07),
]  # fmt: skip
ATTEMPTS = [msgspec.structs.replace(r, output=record(0).output) if r.output is msgspec.UNSET else r for r in ATTEMPTS]


def write(home: Home, records: list[Record], *, pid: int = 7, hour: str = HOUR, tail: bytes = b"") -> Path:
    path = home.log / f"requests-box-{pid}-{hour}.jsonl"
    with path.open("ab") as file:
        file.writelines(encode_record(record) + b"\n" for record in records)
        file.write(tail)
    return path


def sums(home: Home, overlay: Overlay | None) -> object:
    books = costs.open_books(
        CostsConfig(),
        home=home,
        prices=PriceTable(),
        machines=Machines(),
        asked=costs.PeriodRequest(everything=True),
        overlay=overlay,
    )
    summary = costs.run(books, by=["feature", "model", "purpose", "day"])
    return summary.total, summary.rows, summary.unpriced


def test_it_counts_what_an_ingest_will_count_whatever_the_steps_were(home: Home, log: LiveLog, tmp_path: Path) -> None:
    for n, each in enumerate(ATTEMPTS):
        path = write(home, [each], pid=n % 2)
        appended, status = log.look(LATER)
        assert status.records == n + 1
        if n not in (2, 6):
            continue
        whole = Home(tmp_path / f"whole{n}")
        ingest.run([home.log], home=whole)
        assert sums(home, appended) == sums(whole, None)
    assert log.look(LATER)[0] == appended
    # Committed: the store has them, and the log adds nothing.
    ingest.run([home.log], home=home)
    after, status = log.look(LATER)
    assert (after.parts, status.records) == ((), 0)
    assert sums(home, after) == sums(home, None) == sums(whole, None)
    # And the next one is seen again.
    write(home, [attempt(20)], pid=int(path.name.split("-")[2]))
    assert log.look(LATER)[1].records == 1


def test_a_record_that_the_log_completes_counts_once_before_the_ingest_as_after_it(home: Home, log: LiveLog) -> None:
    whole = attempt(1)
    store.append(home, [msgspec.structs.replace(whole, messages=msgspec.Raw(b"[]"))], source="bare")
    write(home, [whole, attempt(2)])
    appended, status = log.look(LATER)
    assert status.records == 1
    live = sums(home, appended)
    ingest.run([home.log], home=home)
    assert live == sums(home, None)


def test_half_of_a_line_waits_for_its_end(home: Home, log: LiveLog) -> None:
    line = encode_record(attempt(1)) + b"\n"
    path = write(home, [attempt(0)], tail=line[:40])
    _, status = log.look(LATER)
    assert (status.records, status.rejected, status.waiting_bytes) == (1, 0, 40)
    assert log.look_through().records == 1
    with path.open("ab") as file:
        file.write(line[40:])
    assert log.look(LATER)[1].records == 2


def test_an_ingest_of_half_a_line_loses_it_to_nobody(home: Home, log: LiveLog) -> None:
    line = encode_record(attempt(1)) + b"\n"
    path = write(home, [attempt(0)], tail=line[:40])
    ingest.run([home.log], home=home)
    with path.open("ab") as file:
        file.write(line[40:])
    assert log.look(LATER)[1].records == 1


def test_a_file_that_was_compressed_counts_once(home: Home, log: LiveLog) -> None:
    write(home, ATTEMPTS)
    before = sums(home, log.look(LATER)[0])
    write(home, [attempt(30, cost_usd=5.0)])
    assert compress_closed(home.log, "box", 10**9)
    appended, status = log.look(LATER)
    assert status.records == len(ATTEMPTS) + 1
    assert sums(home, appended) != before
    fresh = LiveLog(home)
    assert sums(home, fresh.look(LATER)[0]) == sums(home, appended)
    ingest.run([home.log], home=home)
    assert log.look(LATER)[1].records == fresh.look(LATER)[1].records == 0
    fresh.close()


def test_the_same_record_in_two_files_counts_once(home: Home, log: LiveLog) -> None:
    write(home, ATTEMPTS, pid=1)
    log.look(LATER)
    write(home, ATTEMPTS, pid=2)
    assert log.look(LATER)[1].records == len(ATTEMPTS)


def test_damage_is_counted_and_old_files_are_named(home: Home, log: LiveLog) -> None:
    write(home, [attempt(0)], tail=b'{"id": 1}\nnot json\n')
    write(home, [attempt(1)], hour="20260101T00")
    (home.log / "requests-box-9-20261102T22.jsonl.zst").write_bytes(b"(\xb5/\xfdgarbage")
    (home.log / "notes.txt").write_text("no log")
    status = log.look(LATER)[1]
    assert (status.records, status.rejected, status.old_files) == (1, 2, 1)
    assert len(status.problems) == 1


def test_many_looks_leave_few_files(home: Home, log: LiveLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.store.overlay._MOST_PARTS", 3)
    for n in range(9):
        write(home, [attempt(n)])
        appended, status = log.look(LATER)
        assert len(appended.parts) <= 3
        assert status.records == n + 1
    assert sums(home, appended)[0].requests == 9  # type: ignore[index]
