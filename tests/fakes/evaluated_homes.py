"""A home folder as `evaluate` leaves it: a dataset, a log in the store, and evaluations with stated results.

home = make(tmp_path, requests_per_day=240, days=14)
evaluation(home, "adapter", "adapter", wrong=range(4), cost=own_cost(requests_per_s=2.0))
"""

import atexit
import datetime as dt
import functools
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import dataset as datasets
from pipeline import statistics, store
from pipeline.evaluate import predictions
from pipeline.evaluate import scores as scores_
from pipeline.evaluate.costs import Cost, Latency
from pipeline.evaluate.scores import Comparison, Parts, Scores
from pipeline.metrics import Metric
from pipeline.statistics import Interval
from tests.fakes import task_datasets
from traffic import config
from traffic.adapters import Adapter, BaseModel
from traffic.artifacts import Home, hash8
from traffic.prices import Machine, Machines, Price
from traffic.record import Record, Usage

TASK = "support.intent"
START = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
TODAY = dt.date(2026, 11, 23)
MACHINES = Machines(
    machines=(
        Machine(name="box", usd_per_hour=0.1, provider="p", source="s", date=dt.date(2026, 1, 1), cpu_cores=2),
        Machine(name="gpu", usd_per_hour=1.0, provider="p", source="s", date=dt.date(2026, 1, 1), gpu="G", gpus=1),
    )
)
PRICE = Price(input_mtok_usd=1.0, output_mtok_usd=10.0, source="prices.yaml 2026-11-01")
ADAPTER = f"{TASK}@aaaaaaaa"


def make(
    folder: Path,
    *,
    requests_per_day: int = 24,
    days: int = 14,
    items: int = 400,
    usd_per_request: float | None = 0.001,
    model: str = "big-model",
    **fields: Any,
) -> Home:
    """A home with `items` test items and an evenly spread log that begins on `START`; the teacher is evaluated.

    A copy: the first home with such arguments stays as the template of the others.
    """
    key = repr((requests_per_day, days, items, usd_per_request, model, sorted(fields.items())))
    if key not in _templates:
        home = Home(Path(_folder()) / str(len(_templates)))
        task_datasets.make(home.datasets, others=items, train=8, task=TASK)
        log(home, requests_per_day * days, 86400 / requests_per_day, cost_usd=usd_per_request, model=model, **fields)
        _adapter_card(home)
        teacher = Cost(basis="as logged", usd_per_1k=1.0, input_tokens_mean=30.0, output_tokens_mean=3.0)
        evaluation(home, "teacher", "teacher", wrong=(), cost=teacher, comparison=None, model=model)
        _templates[key] = home.root
    return Home(Path(shutil.copytree(_templates[key], folder / "home")))


_templates: dict[str, Path] = {}


@functools.cache
def _folder() -> str:
    folder = tempfile.mkdtemp(prefix="fasttier-homes-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def log(home: Home, requests: int, every_s: float, *, start: dt.datetime = START, **fields: Any) -> None:
    """Append one answered request every so many seconds."""
    given: dict[str, Any] = {
        "call_site": TASK,
        "usage": Usage(input_uncached=30, output=3),
        "source_format": "test",
        "provider": None,
    }
    offset = len(list(home.records.glob("**/*.parquet"))) * 1_000_000
    records = [
        Record(
            id=f"l{offset + index}",
            request_id=f"l{offset + index}",
            ts=start + dt.timedelta(seconds=index * every_s),
            messages=msgspec.Raw(msgspec.json.encode([{"role": "user", "content": f"question {offset + index}"}])),
            **(given | fields),
        )
        for index in range(requests)
    ]
    store.append(home, records, source="test")


def own_cost(requests_per_s: float | None = 2.0, machine: str = "box") -> Cost:
    """Of an adapter or a base model."""
    return Cost(basis="full load", machine=machine, requests_per_s=requests_per_s, concurrency=16)


def hosted_cost(usd_per_request: float | None, input_tokens: float = 30.0, output_tokens: float = 3.0) -> Cost:
    """Of a hosted model whose list price of the test items this is."""
    list_usd = (input_tokens * 1.0 + output_tokens * 10.0) / 1e6
    price = None
    if usd_per_request is not None:
        scale = usd_per_request / list_usd
        price = Price(input_mtok_usd=scale, output_mtok_usd=10 * scale, source="prices.yaml 2026-11-01")
    return Cost(
        basis="tokens x price",
        usd_per_1k=None if usd_per_request is None else 1000 * usd_per_request,
        source="prices.yaml 2026-11-01",
        price=price,
        input_tokens_mean=input_tokens,
        output_tokens_mean=output_tokens,
    )


def cpu_cost(cpu_s: float = 0.001) -> Cost:
    """Of a classical model."""
    return Cost(basis="CPU seconds", machine="box", cpu_s_per_request=cpu_s, concurrency=1)


def evaluation(
    home: Home,
    name: str,
    kind: str,
    *,
    wrong: Collection[int],
    cost: Cost,
    scores: Collection[float] | None = None,
    limit: int | None = None,
    **changes: Any,
) -> Path:
    """Write the evaluation of a candidate that is wrong on these items; `scores`: graded ones, by item."""
    folder = home.dataset(TASK)
    rows = datasets.read_split(folder, "test").to_pylist()[:limit]
    graded = list(scores) if scores is not None else [float(index not in wrong) for index in range(len(rows))]
    right = sum(index not in wrong for index in range(len(rows)))
    metric = Metric(right / len(rows), statistics.proportion_interval(right, len(rows)), len(rows))
    similarity = Metric(sum(graded) / len(rows), Interval(0.0, 1.0, 0.95), len(rows))
    fields: dict[str, Any] = {
        "candidate": name,
        "kind": kind,
        "task": TASK,
        "request_type": "intent",
        "dataset": folder.name,
        "split": "test",
        "reference": "labels",
        "labels": "0" * 64,
        "model": name,
        "adapter": ADAPTER if kind == "adapter" else None,
        "n": len(rows),
        "failed": 0,
        "without_label": 0,
        "main_metric": "accuracy" if scores is None else "similarity",
        "metrics": {"accuracy": metric} | ({} if scores is None else {"similarity": similarity}),
        "cohorts": {},
        "comparison": Comparison("teacher", 0.0, Interval(0.0, 0.0, 0.95), 1, 0, 0, 0),
        "latency": Latency(p50_ms=40.0, p95_ms=90.0, n=20, concurrency=1),
        "cost": cost,
        "created_at": dt.datetime(2026, 11, 20, tzinfo=dt.UTC),
        "mlflow_run_id": f"run-of-{name}",
    }
    result = Scores(**(fields | changes))
    target = home.evaluations / f"{name}@{hash8(msgspec.to_builtins(result), graded)}"
    target.mkdir(parents=True)
    table = [
        {
            "record_id": row["record_id"],
            "reference": "",
            "correct": place not in wrong,
            "score": graded[place],
            "cohort": row["cohort"] | {"label_source": "teacher"},
        }
        for place, row in enumerate(rows)
    ]
    pq.write_table(
        pa.Table.from_pylist(table, schema=predictions.schema(("label_source", "plan"))), target / "predictions.parquet"
    )
    (target / "scores.yaml").write_text(config.dump(result), encoding="utf-8")
    return target


def cascade_of(home: Home, tier_1: Path, *, calibrations: dict[str, str], escalated: int = 40) -> Parts:
    """Parts of a cascade of this evaluation and the teacher's."""
    first, [second] = scores_.load(tier_1), home.evaluations.glob("teacher@*")
    return Parts(
        tier_1=first.candidate,
        tier_2="teacher",
        evaluations={first.candidate: tier_1.name, "teacher": second.name},
        calibrations=calibrations,
        kept=first.n - escalated,
        kept_correct=first.n - escalated,
        escalated=escalated,
        escalated_correct=escalated,
    )


def _adapter_card(home: Home) -> None:
    card = Adapter(
        name=ADAPTER,
        task=TASK,
        base_model=BaseModel(name="org/base", revision="abc", path="/models/base"),
        rank=16,
        dataset=home.dataset(TASK).name,
        call_sites=datasets.load(home.dataset(TASK)).call_sites,
        chat_template_sha256="c" * 64,
        config={},
        metrics={"seconds": 3600.0},
        libraries={},
        licence="apache-2.0",
    )
    folder = home.adapters / ADAPTER
    folder.mkdir(parents=True)
    (folder / "adapter.yaml").write_text(config.dump(card), encoding="utf-8")
