"""Evaluation against a fake OpenAI server on a real port, with the real SDK."""

import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline import evaluate
from pipeline.evaluate import scores
from pipeline.evaluate.config import (
    AdapterConfig,
    BaseConfig,
    CandidatesConfig,
    ClassicalConfig,
    GivenPrice,
    HostedConfig,
    TeacherConfig,
)
from pipeline.evaluate.endpoints import Endpoint
from pipeline.evaluate.report import EvaluateSummary
from serving.supervise import Server
from tests.fakes.openai_server import FakeOpenAI, Reply, broken_body, cut, garbage, held, ok, slow, status
from tests.fakes.task_datasets import LABELS, TEXTS, make
from traffic import config, prices
from traffic.adapters import Adapter, BaseModel
from traffic.artifacts import Home
from traffic.errors import EndpointError, NotEnoughData

pytestmark = pytest.mark.models

KEY_VARIABLE = "EVALUATE_TEST_KEY"
KEY = "sk-test-do-not-show-this"
N = 24


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def dataset(home: Home) -> Path:
    return make(home.datasets, others=N)


def right(body: dict[str, object]) -> str:
    """The label that follows from the text of the request."""
    text = str(body["messages"][-1]["content"])  # type: ignore[index]
    return next(label for label in LABELS if text.startswith(TEXTS[label].split("{")[0]))


def hosted(server: FakeOpenAI, **changes: object) -> HostedConfig:
    fields = {"name": "hosted", "base_url": server.base_url, "model": "small"} | changes
    price = GivenPrice(input_mtok_usd=1.0, output_mtok_usd=10.0)
    return HostedConfig(**({"price": price} | fields))  # type: ignore[arg-type]


def run(home: Home, dataset: Path, *candidates: object, concurrency: int = 4, **changes: object) -> EvaluateSummary:
    settings = {"latency_sample": 0, "max_retries": 2, "timeout_s": 20.0} | {
        key: changes.pop(key) for key in ("latency_sample", "max_retries", "timeout_s") if key in changes
    }
    chosen = CandidatesConfig(candidates=candidates, concurrency=concurrency, **settings)  # type: ignore[arg-type]
    return evaluate.run(dataset, chosen, home=home, endpoints={}, **changes)  # type: ignore[arg-type]


def test_correct_answers_score_1_with_tokens_latency_and_cost(home: Home, dataset: Path) -> None:
    with FakeOpenAI(answer=right) as server:
        summary = run(home, dataset, TeacherConfig(name="teacher"), hosted(server), latency_sample=5)
        asked = [chat.body for chat in server.chats]
    [teacher, found] = summary.scores
    assert (found.n, found.failed, found.metrics["accuracy"].value) == (N, 0, 1.0)
    assert found.comparison is not None
    assert (found.comparison.against, found.comparison.both) == ("teacher", N)
    assert found.latency is not None
    assert found.latency_loaded is not None
    assert (found.latency.n, found.latency.concurrency) == (5, 1)
    assert (found.latency_loaded.n, found.latency_loaded.concurrency) == (N - 5, 4)
    rows = pq.read_table(summary.folders["hosted"] / "predictions.parquet").to_pylist()
    assert [row["correct"] for row in rows] == [True] * N
    cost = [(row["input_tokens"] * 1.0 + row["output_tokens"] * 10.0) / 1e6 for row in rows]
    assert [row["cost_usd"] for row in rows] == pytest.approx(cost)
    assert found.cost.usd_per_1k == pytest.approx(1000 * sum(cost) / N)
    assert teacher.cost.usd_per_1k == pytest.approx(0.01)
    # What the application sent, not the pruned prompt.
    assert {body["messages"][0]["content"] for body in asked} == {"Answer with one label."}
    assert len(asked) == N


def test_concurrency_reaches_but_never_exceeds_the_limit(home: Home, dataset: Path) -> None:
    gate = threading.Event()
    with FakeOpenAI(answer=right, default=held(gate)) as server:
        thread = threading.Thread(target=run, args=(home, dataset, hosted(server, max_concurrency=3)))
        thread.start()
        server.wait_for(lambda fake: fake.in_flight == 3)
        gate.set()
        thread.join(30)
        assert server.most_in_flight == 3
        assert len(server.chats) == N


def test_a_rate_limited_request_is_retried_after_the_stated_time(home: Home, dataset: Path) -> None:
    with FakeOpenAI(answer=right) as server:
        server.script(status(429, retry_after=0.01), status(503), ok())
        [found] = run(home, dataset, hosted(server)).scores
        assert len(server.chats) == N + 2
    assert (found.failed, found.metrics["accuracy"].value) == (0, 1.0)
    assert any("retried" in note for note in found.notes)


def test_a_second_run_sends_no_requests_and_finds_the_same_evaluation(home: Home, dataset: Path) -> None:
    with FakeOpenAI(answer=right) as server:
        first = run(home, dataset, hosted(server), limit=10)
        assert len(server.chats) == 10
        again = run(home, dataset, hosted(server), limit=10)
        assert len(server.chats) == 10
        wider = run(home, dataset, hosted(server))
        assert len(server.chats) == N
    assert again.folders == first.folders
    assert again.scores[0].mlflow_run_id == first.scores[0].mlflow_run_id
    assert wider.folders != first.folders
    assert wider.scores[0].n == N


def test_an_interrupted_run_continues_where_it_stopped(home: Home, dataset: Path) -> None:
    with FakeOpenAI(answer=right) as server:
        server.script(*[ok()] * 7)
        server.default = status(500)
        with pytest.raises(EndpointError, match="the same command continues"):
            run(home, dataset, hosted(server), max_retries=0, concurrency=1)
        answered = 7
        server.default = ok()
        before = len(server.chats)
        [found] = run(home, dataset, hosted(server), concurrency=1).scores
        assert len(server.chats) - before == N - answered
    assert (found.failed, found.metrics["accuracy"].value) == (0, 1.0)


def test_a_refused_key_is_reported_by_its_variable_only(
    home: Home, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with FakeOpenAI(answer=right, api_key="another") as server, pytest.raises(EndpointError) as caught:
        run(home, dataset, hosted(server, api_key_env=KEY_VARIABLE))
    message = str(caught.value)
    assert KEY_VARIABLE in message
    assert "401" in message
    assert "\n" not in message
    assert KEY not in message
    assert "sk-" not in message


def test_the_key_is_sent_to_its_server_and_written_to_no_file(
    home: Home, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with FakeOpenAI(answer=right, api_key=KEY) as server:
        server.script(status(400, message=f"bad request from {KEY}"))
        [found] = run(home, dataset, hosted(server, api_key_env=KEY_VARIABLE)).scores
    assert found.failed == 1
    for path in home.root.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path


def test_the_key_of_another_provider_is_not_sent(home: Home, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FakeOpenAI(answer=right) as server:
        run(home, dataset, hosted(server), limit=2)
        assert all(KEY not in chat.headers.get("authorization", "") for chat in server.chats)


def test_a_hosted_candidate_without_its_key_is_skipped_with_the_reason(
    home: Home, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with FakeOpenAI(answer=right) as server:
        summary = run(home, dataset, TeacherConfig(name="teacher"), hosted(server, api_key_env=KEY_VARIABLE))
        assert server.asked == []
    assert summary.skipped == {"hosted": f"the environment variable {KEY_VARIABLE} is not set"}
    assert f"skipped hosted: the environment variable {KEY_VARIABLE} is not set" in summary.lines()


def test_nothing_left_to_evaluate_is_an_error(home: Home, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with FakeOpenAI() as server, pytest.raises(NotEnoughData, match=KEY_VARIABLE):
        run(home, dataset, hosted(server, api_key_env=KEY_VARIABLE))


@pytest.mark.parametrize(
    "fault, counts_as_failed",
    [(garbage(), False), (broken_body(), True), (cut(), True), (status(400), True)],
    ids=["garbage", "broken body", "cut", "bad request"],
)
def test_an_unusable_answer_counts_as_wrong(home: Home, dataset: Path, fault: Reply, counts_as_failed: bool) -> None:
    with FakeOpenAI(answer=right) as server:
        server.script(fault, fault, fault)
        [found] = run(home, dataset, hosted(server), max_retries=0).scores
    assert found.n == N
    assert found.failed == (3 if counts_as_failed else 0)
    assert found.metrics["accuracy"].value == pytest.approx((N - 3) / N)
    assert found.metrics["format_ok"].value == pytest.approx((N - 3) / N)


def test_a_timeout_counts_as_wrong(home: Home, dataset: Path) -> None:
    with FakeOpenAI(answer=right) as server:
        server.script(slow(30))
        [found] = run(home, dataset, hosted(server), max_retries=0, timeout_s=0.5).scores
    assert found.failed == 1
    assert "some requests failed: no answer within 0.5 s" in found.notes


def test_an_unreachable_server_stops_the_run(home: Home, dataset: Path) -> None:
    with FakeOpenAI() as server:
        gone = hosted(server)
    with pytest.raises(
        EndpointError, match=r"candidate hosted: http://127\.0\.0\.1:\d+/v1: 1\d of 1\d requests failed"
    ):
        run(home, dataset, gone, max_retries=0)


def test_an_unknown_model_stops_the_run(home: Home, dataset: Path) -> None:
    with FakeOpenAI(models=("another",)) as server, pytest.raises(EndpointError, match=r"does not serve .*'small'"):
        run(home, dataset, hosted(server))


def test_confidence_falls_with_the_probability_of_the_answer(home: Home, dataset: Path) -> None:
    with FakeOpenAI(answer=right, default=ok(confidence=0.6)) as server:
        summary = run(home, dataset, hosted(server, logprobs=True), limit=3)
    [row, *_] = pq.read_table(summary.folders["hosted"] / "predictions.parquet").to_pylist()
    assert row["min_margin"] == pytest.approx(0.6 - 0.2)


def test_own_models_use_their_served_names_and_cost_the_machine_at_the_measured_load(
    home: Home, dataset: Path, tmp_path: Path
) -> None:
    folder = home.adapters / "support.intent@0a1b2c3d"
    folder.mkdir(parents=True)
    (folder / "adapter.yaml").write_text(config.dump(adapter_card(folder.name, dataset.name, tmp_path)))
    own = CandidatesConfig(
        candidates=(AdapterConfig(name="adapter"), BaseConfig(name="base")), concurrency=4, latency_sample=6
    )
    with FakeOpenAI(answer=right, models=(folder.name, "org/tiny")) as server:
        [need] = evaluate.needs_server(own, dataset, home)
        endpoints = {name: Endpoint(server.base_url, served) for name, served in need.candidates.items()}
        summary = evaluate.run(dataset, own, home=home, endpoints=endpoints)
        asked = {model: [c.body for c in server.chats if c.body["model"] == model] for model in server.models}
    # One request more than items: the one that warms the server up is no answer.
    assert {model: len(bodies) for model, bodies in asked.items()} == {folder.name: N + 1, "org/tiny": N + 1}
    assert {body["messages"][0]["content"] for body in asked[folder.name]} == {"intent"}
    assert all(body["structured_outputs"] == {"choice": list(LABELS)} for body in asked["org/tiny"])
    assert all(body["logprobs"] and body["temperature"] == 0 for body in asked[folder.name])
    machine = prices.load_machines().get("cpu-2core")
    for found in summary.scores:
        assert found.cost.requests_per_s is not None
        busy_s = 1 / found.cost.requests_per_s
        assert found.cost.usd_per_1k == pytest.approx(1000 * busy_s * machine.usd_per_hour / 3600)
        assert found.cost.concurrency == 4
        assert found.latency is not None
        assert found.latency.n == 6
    assert summary.scores[0].adapter == folder.name
    assert summary.scores[1].comparison is not None
    assert summary.scores[1].comparison.against == "adapter"


def test_an_own_model_without_a_server_is_an_error_that_names_the_option(
    home: Home, dataset: Path, tmp_path: Path
) -> None:
    chosen = CandidatesConfig(candidates=(BaseConfig(name="base", model=str(tmp_path)),))
    with pytest.raises(EndpointError, match="pass --endpoint base=URL"):
        evaluate.run(dataset, chosen, home=home, endpoints={})


def test_an_adapter_of_another_dataset_is_reported_as_possible_leakage(
    home: Home, dataset: Path, tmp_path: Path
) -> None:
    folder = home.adapters / "support.intent@0a1b2c3d"
    folder.mkdir(parents=True)
    card = adapter_card(folder.name, "support.intent@ffffffff", tmp_path)
    (folder / "adapter.yaml").write_text(config.dump(card))
    chosen = CandidatesConfig(candidates=(AdapterConfig(name="adapter"),))
    with FakeOpenAI(answer=right) as server:
        endpoints = {"adapter": Endpoint(server.base_url, folder.name)}
        [found] = evaluate.run(dataset, chosen, home=home, endpoints=endpoints, limit=3).scores
    assert any("it may have seen these items" in note for note in found.notes)


def adapter_card(name: str, dataset: str, weights: Path) -> Adapter:
    return Adapter(
        name=name,
        task="support.intent",
        base_model=BaseModel(name="org/tiny", revision="abc", path=str(weights)),
        rank=8,
        dataset=dataset,
        call_sites={},
        chat_template_sha256="0" * 64,
        config={},
        metrics={},
        libraries={},
        licence="apache-2.0",
    )


def test_human_labels_give_the_teacher_a_separate_evaluation(home: Home, dataset: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    ids = [row["record_id"] for row in pq.read_table(dataset / "test.parquet").to_pylist()]
    answers = [row["logged"]["text"] for row in pq.read_table(dataset / "test.parquet").to_pylist()]
    # The teacher was wrong on the first of the ten that were labelled.
    truth = [next(label for label in LABELS if label != answers[0]), *answers[1:10]]
    labels.write_text("id,label\n" + "".join(f"{i},{label}\n" for i, label in zip(ids, truth, strict=False)))
    agreement = run(home, dataset, TeacherConfig(name="teacher"))
    human = run(home, dataset, TeacherConfig(name="teacher"), labels=labels)
    assert agreement.scores[0].metrics["accuracy"].value == 1.0
    assert agreement.reference == "logged"
    assert human.scores[0].metrics["accuracy"].value == pytest.approx(0.9)
    assert (human.n, human.without_label) == (10, N - 10)
    assert human.folders["teacher"] != agreement.folders["teacher"]
    assert human.reference == "labels"


def test_every_candidate_has_an_mlflow_run_with_the_same_metric_names(home: Home, dataset: Path) -> None:
    import mlflow

    with FakeOpenAI(answer=lambda body: "refund") as server:
        summary = run(
            home,
            dataset,
            TeacherConfig(name="teacher"),
            ClassicalConfig(name="classical"),
            hosted(server, simulated=True),
        )
    client = mlflow.MlflowClient(tracking_uri=home.mlflow_uri)
    runs = {each.candidate: client.get_run(str(each.mlflow_run_id)) for each in summary.scores}
    common = {"accuracy", "accuracy_low", "accuracy_high", "macro_f1", "latency_p50_ms", "latency_p95_ms", "n"}
    for name, found in runs.items():
        assert common | {"cost_per_1k_usd"} <= set(found.data.metrics), name
        assert found.data.tags["stage"] == "evaluate"
        assert found.data.tags["candidate"] == name
        assert found.info.status == "FINISHED"
        files = [file.path for file in client.list_artifacts(found.info.run_id)]
        assert files == ["predictions.json", "predictions.parquet", "scores.yaml"]
        # MLflow's own table: the items of several runs side by side.
        shown = mlflow.load_table("predictions.json", run_ids=[found.info.run_id])
        rows = pq.read_table(summary.folders[name] / "predictions.parquet").to_pylist()
        assert list(shown["correct"]) == [row["correct"] for row in rows]
    assert runs["hosted"].data.tags["simulated"] == "true"
    assert "simulated" not in runs["teacher"].data.tags
    assert runs["hosted"].data.metrics["accuracy"] == pytest.approx(0.25)
    assert any("SIMULATED" in line for line in summary.lines())


def test_items_are_logged_as_traces_if_configured(home: Home, dataset: Path) -> None:
    import mlflow

    teacher = CandidatesConfig(candidates=(TeacherConfig(name="teacher"),), traces=3)
    summary = evaluate.run(dataset, teacher, home=home, endpoints={})
    found = mlflow.search_traces(run_id=summary.scores[0].mlflow_run_id, return_type="list")
    assert len(found) == 3
    scores_of = [{each.name: each.value for each in trace.info.assessments} for trace in found]
    assert all(each["correct"] is True and each["score"] == 1.0 for each in scores_of)
    assert {each["reference"] for each in scores_of} <= set(LABELS)


def test_a_classical_model_is_fitted_and_skipped_for_free_text(home: Home, dataset: Path) -> None:
    [found] = run(home, dataset, ClassicalConfig(name="classical")).scores
    assert found.metrics["accuracy"].value > 0.9
    card = dataset / "dataset.yaml"
    card.write_text(card.read_text().replace("request_type: intent", "request_type: rewrite"))
    summary = run(home, dataset, TeacherConfig(name="teacher"), ClassicalConfig(name="classical"))
    assert list(summary.skipped) == ["classical"]


def test_written_scores_load_again(home: Home, dataset: Path) -> None:
    summary = run(home, dataset, TeacherConfig(name="teacher"), ClassicalConfig(name="classical"))
    for found in summary.scores:
        assert scores.load(summary.folders[found.candidate]) == found


def test_adapter_and_base_on_a_real_vllm_are_scored(
    vllm_tiny: Server, tiny_base: Path, tiny_adapter: Path, home: Home, dataset: Path
) -> None:
    chosen = CandidatesConfig(
        candidates=(
            TeacherConfig(name="teacher"),
            AdapterConfig(name="adapter", adapter=str(tiny_adapter)),
            BaseConfig(name="base", model=str(tiny_base)),
        ),
        concurrency=8,
        latency_sample=4,
    )
    base_name = next(name for name in vllm_tiny.models if "@" not in name)
    endpoints = {
        "adapter": Endpoint(vllm_tiny.base_url, tiny_adapter.name),
        "base": Endpoint(vllm_tiny.base_url, base_name),
    }
    summary = evaluate.run(dataset, chosen, home=home, endpoints=endpoints)
    rows = {name: pq.read_table(folder / "predictions.parquet").to_pylist() for name, folder in summary.folders.items()}
    # The weights are random: what it says is of no matter, but a label set is kept to and a free answer is not.
    assert {row["output"] for row in rows["base"]} <= set(LABELS)
    assert not {row["output"] for row in rows["adapter"]} <= set(LABELS)
    for name in ("adapter", "base"):
        assert [row["error"] for row in rows[name]] == [None] * N
        assert all(-1 <= row["min_margin"] <= row["mean_margin"] <= 1 for row in rows[name])
        assert all(row["input_tokens"] > 0 and row["output_tokens"] > 0 for row in rows[name])
    # The pruned prompt is the shorter one, as the server itself counts.
    assert sum(row["input_tokens"] for row in rows["adapter"]) < sum(row["input_tokens"] for row in rows["base"])
    adapter = summary.scores[1]
    assert adapter.adapter == tiny_adapter.name
    assert adapter.cost.usd_per_1k is not None
    assert adapter.latency_loaded is not None
    assert adapter.latency_loaded.n == N - 4
