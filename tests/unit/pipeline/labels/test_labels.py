"""pipeline/labels/: export to annotators and import."""

import csv
import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import dataset as datasets
from pipeline import labels, store
from pipeline.labels import export, imports, label_studio
from pipeline.labels.items import Item, disagree
from tests.fakes import call_site_rows, task_datasets
from traffic import config
from traffic.answers import resolve
from traffic.artifacts import Home
from traffic.callsites import Checks
from traffic.errors import ConfigError, InputError, NotEnoughData, NotFound

pytestmark = pytest.mark.slow

SETS = Checks(labels=task_datasets.LABELS, multiple="comma")
NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
texts = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1).filter(str.strip)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A store and a dataset of the same requests; the last eight of them are the test split."""
    home = Home(tmp_path / "home")
    task_datasets.make(home.datasets, train=32, others=8)
    records = [call_site_rows.record(n, call_site="support.intent") for n in range(64)]
    store.append(home, records, source="test")
    return home


def evaluated(home: Home, candidate: str, outputs: dict[str, str | None], created: dt.datetime = NOW) -> None:
    folder = home.evaluations / f"{candidate}@{created:%H%M}0000"
    folder.mkdir(parents=True)
    dataset = home.dataset(None).name
    scores = {"candidate": candidate, "dataset": dataset, "split": "test", "created": created, "kind": "openai"}
    (folder / "scores.yaml").write_text(config.dump(msgspec.to_builtins(scores)))
    rows = [{"record_id": name, "output": output} for name, output in outputs.items()]
    pq.write_table(pa.Table.from_pylist(rows), folder / "predictions.parquet")


def ids_of_test_split() -> list[str]:
    return [f"r{n:05}" for n in range(56, 64)]


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))


def filled(path: Path, label: str) -> None:
    rows = read(path)
    for row in rows:
        row["label"] = label
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_an_exported_file_is_imported_once(home, tmp_path):
    out = tmp_path / "todo.csv"
    summary = export.run("support.intent", out, home=home)
    assert summary.items == summary.rows == 8
    assert [row["id"] for row in read(out)] == ids_of_test_split()
    assert "next: fill the column `label`" in "\n".join(summary.lines())
    empty = imports.run(out, home=home, now=NOW)
    assert (empty.new, empty.empty) == (0, 8)
    filled(out, "refund")
    done = imports.run(out, home=home, now=NOW)
    assert (done.read, done.new, done.by_call_site) == (8, 8, {"support.intent": 8})
    assert labels.stored(home) == dict.fromkeys(ids_of_test_split(), "refund")
    again = imports.run(out, home=home, now=NOW + dt.timedelta(days=1))
    assert (again.new, again.known) == (0, 8)
    assert len(list((home.signals / "labels").glob("*.parquet"))) == 1
    with pytest.raises(NotEnoughData, match="8 already labelled"):
        export.run("support.intent", out, home=home)


def test_a_later_label_replaces_an_earlier_one_and_both_stay_in_the_store(home, tmp_path):
    for hour, label in enumerate(("refund", "invoice")):
        path = tmp_path / f"{label}.csv"
        path.write_text(f"id,label\nr00060,{label}\n")
        imports.run(path, home=home, now=NOW + dt.timedelta(hours=hour))
    assert labels.stored(home) == {"r00060": "invoice"}
    with store.connect(home) as connection:
        assert connection.execute("select count(*) from labels").fetchone() == (2,)


def test_invalid_rows_are_reported_and_valid_ones_imported(home, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(
        'id,label,note\nr00056,refund,"two\nlines"\nr00057,refunded,\nr00099,refund,\n,refund,\n'
        "r00058,invoice,\nr00058,refund,\nr00059,delivery,a,b\n"
    )
    summary = imports.run(path, home=home, now=NOW)
    assert summary.new == 2
    assert labels.stored(home) == {"r00056": "refund", "r00058": "invoice"}
    kept = [msgspec.json.decode(line) for line in Path(summary.rejected_path).read_bytes().splitlines()]
    assert [(row["line"], row["id"]) for row in kept] == [
        (4, "r00057"),
        (5, "r00099"),
        (6, None),
        (8, "r00058"),
        (9, "r00059"),
    ]
    assert "is not one of 4 labels" in kept[0]["reason"]
    assert "no record 'r00099'" in kept[1]["reason"]
    assert "different label above" in kept[3]["reason"]
    assert f"{path}:4: " in "\n".join(summary.lines())


def test_headings_in_capitals_and_blank_rows_of_a_spreadsheet_are_read(home, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes(b"sep=;\r\nID;Label\r\n;;\r\nr00056;refund\r\n")
    summary = imports.run(path, home=home, now=NOW)
    assert (summary.read, summary.new, summary.rejected) == (1, 1, 0)


@pytest.mark.parametrize(
    "content, says",
    [
        ("name,label\na,b\n", "no column id"),
        ("id,label\nr00056,nonsense\n", ":2: label: 'nonsense' is not one of 4 labels"),
        ('id,label\nr00056,"refund\n', ":2: unexpected end of data"),
        ("[1, 2]", "Expected `object`, got `int`"),
    ],
)
def test_a_file_without_a_usable_label_is_an_error_with_its_location(home, tmp_path, content, says):
    path = tmp_path / "labels.csv"
    path.write_text(content)
    with pytest.raises(InputError) as raised:
        imports.run(path, home=home)
    assert says in str(raised.value)
    assert labels.stored(home) == {}


def test_a_missing_file_and_a_wrong_name_are_errors(home, tmp_path):
    with pytest.raises(NotFound, match="no labels file"):
        imports.run(tmp_path / "none.csv", home=home)
    with pytest.raises(ConfigError, match=r"\.json for Label Studio"):
        export.run("support.intent", tmp_path / "todo.xlsx", home=home)
    with pytest.raises(ConfigError, match="there are train, validation"):
        export.run("support.intent", tmp_path / "todo.csv", home=home, split="tset")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_saved_by_spreadsheets_is_read(home, tmp_path, delimiter):
    path = tmp_path / "labels.csv"
    path.write_bytes("id,label\r\nr00056, refund \r\n'r00057,refund\r\n".replace(",", delimiter).encode("utf-8-sig"))
    summary = imports.run(path, home=home, now=NOW)
    assert labels.stored(home) == {"r00056": "refund"}
    assert summary.rejected == 1


def test_only_disagreements_are_exported_with_every_candidates_answer(home, tmp_path):
    same: dict[str, str | None] = dict.fromkeys(ids_of_test_split(), "refund")
    evaluated(home, "teacher", same)
    out = tmp_path / "todo.csv"
    with pytest.raises(NotEnoughData, match="1 candidates are evaluated"):
        export.run("support.intent", out, home=home, disagreements=True)
    evaluated(home, "small", dict.fromkeys(ids_of_test_split(), "old"), NOW - dt.timedelta(days=1, hours=1))
    evaluated(home, "small", same | {"r00057": "=invoice", "r00058": " refund", "r00061": None})
    summary = export.run("support.intent", out, home=home, disagreements=True)
    assert (summary.items, summary.agreed, summary.candidates) == (2, 6, ("small", "teacher"))
    assert "6 of 8 are not needed" in summary.lines()[0]
    first, second = read(out)
    assert (first["id"], first["answer: small"], first["answer: teacher"]) == ("r00057", "'=invoice", "refund")
    assert (second["id"], second["answer: small"]) == ("r00061", "")


def test_samples_are_deterministic_and_suspects_require_their_file(home, tmp_path):
    out = tmp_path / "todo.csv"
    ids = []
    for _ in range(2):
        assert export.run("support.intent", out, home=home, sample=3).items == 3
        ids.append([row["id"] for row in read(out)])
    assert ids[0] == ids[1]
    with pytest.raises(NotFound, match=r"suspects\.csv"):
        export.run("support.intent", out, home=home, suspects=True)
    (home.dataset(None) / "suspects.csv").write_text("record_id,split,quality\nr00060,test,0.01\nr00001,train,0.02\n")
    assert export.run("support.intent", out, home=home, suspects=True).items == 1


def test_suspects_of_other_splits_are_named_with_the_option_that_exports_them(home, tmp_path):
    (home.dataset(None) / "suspects.csv").write_text("record_id,split,quality\nr00001,train,0.02\n")
    with pytest.raises(NotEnoughData, match="--split train"):
        export.run("support.intent", tmp_path / "todo.csv", home=home, suspects=True)
    assert export.run("support.intent", tmp_path / "todo.csv", home=home, suspects=True, split="train").items == 1


def test_label_studio_tasks_have_predictions_and_its_export_is_imported(home, tmp_path):
    evaluated(home, "small", dict.fromkeys(ids_of_test_split(), "invoice"))
    out = tmp_path / "tasks.json"
    summary = export.run("support.intent", out, home=home)
    assert '<Choice value="refund"/>' in Path(summary.interface).read_text()
    tasks = json.loads(out.read_text())
    assert tasks[0]["data"]["record_id"] == "r00056"
    predicted = {prediction["model_version"]: prediction["result"][0] for prediction in tasks[0]["predictions"]}
    assert predicted["small"] == {
        "from_name": "label",
        "to_name": "text",
        "type": "choices",
        "value": {"choices": ["invoice"]},
    }
    # What Label Studio makes of a task that somebody has worked on.
    for number, task in enumerate(tasks):
        task["id"] = number
        task["annotations"] = [{"id": 1, "was_cancelled": number == 7, "result": [predicted["small"]]}]
    out.write_text(json.dumps(tasks))
    done = imports.run(out, home=home, now=NOW)
    assert (done.new, done.empty) == (7, 1)
    assert labels.stored(home) == dict.fromkeys(ids_of_test_split()[:7], "invoice")


def annotated(*choices: str, **task: Any) -> dict[str, Any]:
    made = [
        {"result": [{"from_name": "label", "type": "choices", "value": {"choices": [choice]}}]} for choice in choices
    ]
    return {"data": {"record_id": "r1"}, "annotations": made} | task


def test_several_annotators_decide_by_majority_and_a_tie_is_refused():
    assert label_studio.label(annotated("a", "b", "b")) == "b"
    assert label_studio.label(annotated()) is None
    assert label_studio.label({"record_id": "r1", "label": "a"}) == "a"
    assert [label_studio.label({"label": value}) for value in (4, 4.0, False, None, " ")] == [
        "4", "4", "false", None, None,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="annotators disagree: 'a', 'b'"):
        label_studio.label(annotated("a", "b"))


def test_a_reviewed_annotation_stands_for_all_and_cancelled_ones_for_none():
    task = annotated("a", "a", "b", "c")
    task["annotations"][2]["ground_truth"] = True
    assert label_studio.label(task) == "b"
    task["annotations"] = [annotation | {"was_cancelled": True} for annotation in task["annotations"]]
    assert label_studio.label(task) is None


def test_several_labels_of_one_annotator_are_a_list_in_any_order():
    def control(*labels: str, name: str = "label") -> dict[str, Any]:
        return {"from_name": name, "type": "choices", "value": {"choices": list(labels)}}

    def task(*annotations: list[dict[str, Any]]) -> dict[str, Any]:
        return {"annotations": [{"result": results} for results in annotations]}

    for of_one in ([control("b", "a")], [control("a"), control("b")], [control("b", "a", name="topics")]):
        assert label_studio.label(task(of_one)) == '["a","b"]'
    assert label_studio.label(task([control("a", "b")], [control("b", "a")], [control("a")])) == '["a","b"]'
    assert label_studio.label({"label": {"choices": ["a", "b"]}}) == '["a","b"]'
    assert label_studio.label({"label": '{"choices":["a","b"]}'}) == '["a","b"]'
    assert label_studio.label(task([control("a"), control("sure", name="certainty")])) == "a"
    remarks = [
        {"from_name": "stars", "type": "rating", "value": {"rating": 4}},
        {"from_name": "why", "value": {"text": ["x"]}},
    ]
    assert label_studio.label(task([*remarks, control("a", name="topic")])) == "a"
    paths = {"from_name": "topic", "type": "taxonomy", "value": {"taxonomy": [["x", "a"], ["b"]]}}
    assert label_studio.label(task([paths])) == '["a","b"]'
    with pytest.raises(ValueError, match="no control named 'label'"):
        label_studio.label(task([control("a", name="x"), control("b", name="y")]))


def with_sets_of_labels(home: Home) -> None:
    """Every call site of the newest dataset may have several labels."""
    folder = home.dataset(None)
    card = datasets.load(folder)
    sites = {
        name: msgspec.structs.replace(site, checks=msgspec.structs.replace(site.checks, multiple="comma"))
        for name, site in card.call_sites.items()
    }
    (folder / "dataset.yaml").write_text(config.dump(msgspec.structs.replace(card, call_sites=sites)))


def test_sets_of_labels_are_imported_in_the_order_of_the_label_set(home, tmp_path):
    with_sets_of_labels(home)
    path = tmp_path / "labels.json"
    path.write_text(json.dumps([{"id": "r00056", "label": ["refund", "delivery"]}]))
    imports.run(path, home=home, now=NOW)
    assert labels.stored(home) == {"r00056": resolve("refund, delivery", SETS)}


def test_annotators_may_choose_several_labels_where_answers_are_sets(home, tmp_path):
    with_sets_of_labels(home)
    evaluated(home, "small", dict.fromkeys(ids_of_test_split(), "invoice, refund"))
    summary = export.run("support.intent", tmp_path / "tasks.json", home=home)
    assert 'choice="multiple"' in Path(summary.interface).read_text()
    first, *_ = json.loads((tmp_path / "tasks.json").read_text())
    assert first["predictions"][1]["result"][0]["value"] == {"choices": ["invoice", "refund"]}


ROW = {"id": "r00056", "label": "refund"}
CHOICE = {"from_name": "label", "value": {"choices": ["refund"]}}
NOT_GIVEN = {"id": "r00057", "label": "invoice"}


@pytest.mark.parametrize(
    "rows",
    [
        "record_id,label\nr00056, REFUND \n",
        "id,answer,label\nr00056,reject,refund\n",  # what the model answered
        "id,annotation_id,record_id,label\n901,3,r00056,refund\n",
        [ROW, {"id": "r00057", "label": None}],
        [{"record_id": "r00056", "id": 7, "label": "refund"}],
        [{"data": {"record_id": "r00056"}, "annotations": [{"result": [CHOICE]}]}],
        [
            {"meta": {"record_id": "r00056"}, "accept": ["refund"], "answer": "accept"},
            NOT_GIVEN | {"answer": "reject", "_input_hash": 5},
        ],
        [ROW, NOT_GIVEN | {"status": "discarded"}],
    ],
)
def test_rows_of_other_tools_are_imported(home, tmp_path, rows):
    path = tmp_path / "labels"
    path.write_text(rows if isinstance(rows, str) else "\n".join(map(json.dumps, rows)))
    imports.run(path, home=home, now=NOW)
    assert labels.stored(home) == {"r00056": "refund"}


def test_json_that_differs_only_in_format_is_not_a_disagreement():
    def item(*answers: str) -> Item:
        return Item("r", "s", "text", "x", {str(n): answer for n, answer in enumerate(answers)})

    assert not disagree(item('{"a": 1, "b": [2]}', '{"b":[2],"a":1}'), 2)
    assert disagree(item('{"a": 1}', '{"a": 2}'), 2)
    assert disagree(item('{"a": 1}', "{broken"), 2)
    assert disagree(item("x"), 2)
    assert not disagree(item("x"), 1)


@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=5, unique_by=lambda row: row[0].strip()))
def test_any_text_is_the_same_after_csv_and_label_studio(rows):
    items = [Item(name.strip(), "site", text, label.strip(), {"m": text}) for name, text, label in rows]
    table = list(csv.DictReader(io.StringIO(export.csv_text(items, ("m",)), newline="")))
    for row in table:
        row["label"] = row["suggested"]
    sink = io.StringIO(newline="")
    writer = csv.DictWriter(sink, table[0])
    writer.writeheader()
    writer.writerows(table)
    back = list(imports._csv_rows(Path("x.csv"), sink.getvalue()))
    assert [(task.record_id, task.label) for task in back] == [(item.record_id, item.suggested) for item in items]

    tasks = msgspec.json.decode(label_studio.tasks(items, {"site": Checks()}))
    for task, item in zip(tasks, items, strict=True):
        worked_on = task | {"annotations": [{"result": task["predictions"][0]["result"]}]}
        assert label_studio.record_id(worked_on) == item.record_id
        assert label_studio.label(worked_on) == item.suggested
