"""Golden files of every version of every contract must keep loading."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from pipeline.dataset import TaskDataset
from tests.fakes.arrow_rows import from_arrow_row
from traffic import artifacts, calibrations, callsites, config
from traffic.adapters import Adapter
from traffic.artifacts import Home
from traffic.errors import ConfigError
from traffic.record import ArrowRow, decode_messages, decode_record, encode_record, to_table

GOLDEN = Path(__file__).parents[1] / "golden"


def test_records_of_version_1_load_and_keep_every_value() -> None:
    lines = (GOLDEN / "record-v1.jsonl").read_bytes().splitlines()
    least, full = [decode_record(line) for line in lines]
    assert (least.purpose, least.attempt, least.visibility, least.usage, least.cost_usd) == (
        "serve",
        1,
        "unknown",
        None,
        None,
    )
    assert full.ts == datetime(2026, 11, 1, 8, tzinfo=UTC)
    assert full.usage is not None
    assert (full.usage.input_total, full.params.other, full.cohort["plan"]) == (105, {"top_p": 0.9}, "pro")
    assert decode_messages(full.messages)[1].text == "roses"
    for record in (least, full):
        assert encode_record(decode_record(encode_record(record))) == encode_record(record)


def test_records_of_version_1_pass_through_the_store() -> None:
    records = [decode_record(line) for line in (GOLDEN / "record-v1.jsonl").read_bytes().splitlines()]
    table = to_table(ArrowRow(r, request_hash="", system_hash=None, input_chars=0) for r in records)
    for record, row in zip(records, table.to_pylist(), strict=True):
        again = from_arrow_row(row)
        assert bytes(again.messages) == bytes(record.messages)
        assert msgspec.structs.replace(again, messages=record.messages) == record


def test_a_full_record_of_version_1_sets_every_field() -> None:
    full = decode_record((GOLDEN / "record-v1.jsonl").read_bytes().splitlines()[1])
    unset = [name for name in full.__struct_fields__ if getattr(full, name) in (None, {}, [])]
    assert unset == []


@pytest.mark.parametrize(
    "name, type_",
    [
        ("adapter-v1", Adapter),
        ("adapter-v2", Adapter),
        ("dataset-v1", TaskDataset),
        ("dataset-v2", TaskDataset),
        ("callsites-v1", callsites.Registry),
    ],
)
def test_documents_of_every_version_load_and_dump_to_the_same(name: str, type_: type, tmp_path: Path) -> None:
    loaded = config.load(GOLDEN / f"{name}.yaml", type_)
    again = tmp_path / "again.yaml"
    again.write_text(config.dump(loaded), encoding="utf-8")
    assert config.load(again, type_) == loaded
    assert loaded.schema_version == int(name[-1])  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["adapter-v1", "dataset-v1", "callsites-v1"])
def test_an_unknown_key_in_a_document_is_refused_with_file_and_key(name: str, tmp_path: Path) -> None:
    types = {"adapter-v1": Adapter, "dataset-v1": TaskDataset, "callsites-v1": callsites.Registry}
    changed = tmp_path / f"{name}.yaml"
    changed.write_text((GOLDEN / f"{name}.yaml").read_text(encoding="utf-8") + "moood: 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"{name}\.yaml: .*`moood`"):
        config.load(changed, types[name])


def old_home(root: Path) -> Home:
    """A home whose artifacts were written by the first version, without `created_at` in datasets and adapters."""
    home = Home(root)
    for source, target in (
        ("dataset-v1.yaml", home.datasets / "mail.sort@11223344" / "dataset.yaml"),
        ("adapter-v1.yaml", home.adapters / "mail.sort@0a1b2c3d" / "adapter.yaml"),
        ("calibration_v1.yaml", home.calibrations / "desk.intent@0c0c0c0c" / "calibration.yaml"),
        ("evaluation_v1/scores.yaml", home.evaluations / "stand-in@0d0d0d0d" / "scores.yaml"),
        ("decision_v1.yaml", home.decisions / "support.intent@2026-11-23-0e0e0e0e.yaml"),
    ):
        target.parent.mkdir(parents=True)
        target.write_bytes((GOLDEN / source).read_bytes())
    return home


def test_a_home_of_version_1_has_its_current_artifacts(tmp_path: Path) -> None:
    home = old_home(tmp_path)
    assert home.dataset("mail.sort").name == "mail.sort@11223344"
    assert home.adapter(None).name == "mail.sort@0a1b2c3d"
    calibration = calibrations.current(home, "desk.intent", adapter="desk@11111111", dataset="desk@22222222")
    assert calibration is not None
    assert calibrations.load(calibration).created_at == datetime(2026, 11, 24, 12, tzinfo=UTC)
    for kind, fields in (
        (artifacts.EVALUATION, {"candidate": "stand-in", "dataset": "support.intent@3932e1d3"}),
        (artifacts.DECISION, {"task": "support.intent"}),
    ):
        assert artifacts.current(home, kind, **fields) is not None


def test_a_repeated_artifact_of_version_1_becomes_current_and_loads(tmp_path: Path) -> None:
    home = old_home(tmp_path)
    newer = home.calibrations / "desk.intent@0f0f0f0f" / "calibration.yaml"
    newer.parent.mkdir()
    newer.write_bytes((GOLDEN / "calibration_v2.yaml").read_bytes().replace(b"2026-11-24T12", b"2026-11-25T12"))
    assert calibrations.current(home, "desk.intent") == newer
    older = home.calibrations / "desk.intent@0c0c0c0c"
    before = calibrations.load(older / "calibration.yaml")
    artifacts.make_current(home, artifacts.CALIBRATION, older)
    assert calibrations.current(home, "desk.intent") == older / "calibration.yaml"
    again = calibrations.load(older / "calibration.yaml")
    assert msgspec.structs.replace(again, created_at=before.created_at) == before
