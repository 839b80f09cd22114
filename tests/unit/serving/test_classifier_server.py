"""The classifier server: OpenAI's API over n-gram models, parity check, parsing by the router."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from serving import classifier_parity
from serving.classifier_server.api import Api
from serving.classifier_server.engine import Engine
from tests.classifiers import make_classifier
from traffic import classifiers, confidence
from traffic.classifier_model import Model
from traffic.errors import InputError, NotFound

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_classifier(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    with TestClient(Api(Engine([Model(folder)], max_batch=4)).app()) as client:
        yield client


def ask(client: TestClient, folder: Path, text: str, **more: Any) -> dict[str, Any]:
    body = {"model": folder.name, "messages": [{"role": "user", "content": text}], **more}
    answer: dict[str, Any] = client.post(CHAT, json=body).json()
    return answer


def test_the_answer_is_a_label_and_its_rivals_are_the_other_labels(client: TestClient, folder: Path) -> None:
    answer = ask(client, folder, "charged twice on my invoice", logprobs=True, top_logprobs=5)
    choice = answer["choices"][0]
    assert choice["message"]["content"] == "billing"
    assert choice["finish_reason"] == "stop"
    content = choice["logprobs"]["content"]
    assert {top_logprob["token"] for top_logprob in content[0]["top_logprobs"]} == {"billing", "access", "shipping"}
    signals = confidence.from_openai_logprobs(content)
    assert signals is not None
    p = sorted((Model(folder).site("support.topic").log_probabilities(["charged twice on my invoice"])[0][0]).tolist())
    assert signals.min_logprob == pytest.approx(p[-1], abs=1e-6)
    assert 0 < signals.min_margin < 1


def test_the_system_message_is_not_part_of_the_text(client: TestClient, folder: Path) -> None:
    plain = ask(client, folder, "locked out", logprobs=True)
    body = {
        "model": folder.name,
        "messages": [
            {"role": "system", "content": "invoice invoice refund"},
            {"role": "user", "content": "locked out"},
        ],
        "logprobs": True,
    }
    assert client.post(CHAT, json=body).json()["choices"] == plain["choices"]


def test_a_stream_has_the_same_answer(client: TestClient, folder: Path) -> None:
    body = {
        "model": folder.name,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "where is my parcel"}]}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    lines = [line for line in client.post(CHAT, json=body).text.splitlines() if line]
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    assert chunks[0]["choices"][0]["delta"]["content"] == "shipping"
    assert chunks[1]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["completion_tokens"] == 1


@pytest.mark.parametrize(
    "change, status",
    [
        ({"model": "another"}, 404),
        ({"n": 2}, 400),
        ({"tools": [{"type": "function"}]}, 400),
        ({"messages": []}, 400),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400),
        ({"messages": [{"role": "user", "content": "x" * 300_000}]}, 400),
        ({"top_logprobs": 99}, 400),
        ({"messages": 5}, 400),
    ],
)
def test_unsupported_parameters_are_refused(client: TestClient, folder: Path, change: Any, status: int) -> None:
    body = {"model": folder.name, "messages": [{"role": "user", "content": "x"}], **change}
    answer = client.post(CHAT, json=body)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == status


def test_an_invalid_body_gets_400(client: TestClient) -> None:
    for data in (b"", b"\xff", b"[" * 100_000, b"{}"):
        assert client.post(CHAT, content=data).status_code == 400


def test_a_configured_key_is_required(folder: Path) -> None:
    with TestClient(Api(Engine([Model(folder)], max_batch=4), api_key="secret").app()) as client:
        assert client.get("/v1/models").status_code == 401
        assert client.get("/health").status_code == 200
        models = client.get("/v1/models", headers={"Authorization": "Bearer secret"}).json()
        assert [row["id"] for row in models["data"]] == [folder.name]


def test_a_guard_marks_out_of_distribution_texts(folder: Path) -> None:
    site = Model(folder).site("support.topic")
    (answer,) = site.answers(["zzz"])
    assert answer.distance is None
    assert not answer.unlike_training


def test_parity_items_have_the_outputs_of_the_model(folder: Path) -> None:
    items = classifiers.load_parity(folder)
    site = Model(folder).site("support.topic")
    answers = site.answers([item.text for item in items])
    assert [answer.text for answer in answers] == [item.answer for item in items]
    for answer, item in zip(answers, items, strict=True):
        assert answer.logprob == pytest.approx(classifier_parity._expected(item, site.model), abs=1e-5)


def test_every_file_can_be_read_by_another_user(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o644}


def test_a_folder_without_its_heads_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    card = classifiers.load(folder)
    (tmp_path / classifiers.FILE).write_bytes((folder / classifiers.FILE).read_bytes())
    with pytest.raises(NotFound, match=r"model\.safetensors"):
        Model(tmp_path)
    heads = tmp_path / card.models["support.topic"].folder
    heads.mkdir()
    (heads / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError):
        Model(tmp_path)


def test_a_card_cannot_refer_to_files_outside_its_folder(folder: Path, tmp_path: Path) -> None:
    from traffic import config

    card = classifiers.load(folder)
    site = msgspec.structs.replace(card.models["support.topic"], folder="../elsewhere")
    changed = msgspec.structs.replace(card, models={"support.topic": site})
    (tmp_path / classifiers.FILE).write_text(config.dump(changed))
    with pytest.raises(InputError, match="outside the folder"):
        Model(tmp_path)
