from pathlib import Path

import pyarrow.parquet as pq

from pipeline import dataset
from pipeline.extract.write import parquet_bytes, write
from tests.fakes.call_site_rows import row
from tests.fakes.task_datasets import make
from traffic.artifacts import Home


def test_a_split_has_the_documented_columns_and_ordered_rows() -> None:
    import pyarrow as pa

    rows = [row(n, answer="gears", cohort={"plan": "free"}) for n in range(7)]
    table = pq.read_table(pa.BufferReader(parquet_bytes(rows, ("language", "plan"), "shop.topic")))
    assert table.schema.equals(dataset.row_schema(("language", "plan")))
    written = table.to_pylist()
    assert [r["record_id"] for r in written] == [r.id for r in rows]
    assert written[0]["cohort"] == {"language": None, "plan": "free"}
    assert written[0]["completion"] == [{"role": "assistant", "content": "gears"}]
    assert written[0]["logged"]["input_tokens"] == 90


def test_the_same_rows_give_the_same_bytes() -> None:
    first, again = (parquet_bytes([row(n) for n in range(50)], ("plan",), "shop.topic") for _ in range(2))
    assert first == again


def test_a_dataset_is_written_once_under_its_content_hash(tmp_path: Path) -> None:
    card = dataset.load(make(tmp_path / "other"))
    files = {split: parquet_bytes([row(1)], ("plan",), card.task) for split in dataset.SPLITS}
    home = Home(tmp_path)
    named, folder, written = write(home, card, files)
    assert written
    assert folder == home.datasets / named.name
    assert dataset.load(folder) == named
    assert write(home, card, files) == (named, folder, False)
    other = files | {"test": parquet_bytes([row(2)], ("plan",), card.task)}
    assert write(home, card, other)[1] != folder


def test_a_repeated_dataset_becomes_the_newest(tmp_path: Path) -> None:
    card = dataset.load(make(tmp_path / "other"))
    home = Home(tmp_path)
    folders = []
    for n in (1, 2, 1):
        files = {split: parquet_bytes([row(n)], ("plan",), card.task) for split in dataset.SPLITS}
        folders.append(write(home, card, files)[1])
    assert folders[0] == folders[2] != folders[1]
    assert home.dataset(card.task) == folders[0]
