"""Real servers on CPU behind serving's own command lines: answers, parity, adapters in one batch, sudden death."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest

from serving import adapter_files, parity, register, supervise, transformers_args, vllm_args
from serving.command import Launch
from serving.config import ServingConfig, load_config
from serving.status import status
from serving.supervise import Server
from tests.fakes import router as routers
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.process_trees import ROOT, MarkedCommand, wait_for
from traffic import adapters, deployments
from traffic.adapters import ParityItem
from traffic.artifacts import Home

pytestmark = pytest.mark.models

LABELS = ["refund", "password", "delivery"]


PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser
args = make_arg_parser(FlexibleArgumentParser()).parse_args(sys.argv[1:])
validate_parsed_serve_args(args)
print(json.dumps({key: getattr(args, key) for key in ("quantization", "data_parallel_size", "max_lora_rank", "dtype")}))
"""


def test_vllm_accepts_the_command_line_of_a_gpu_box(tiny_adapter: Path, tiny_base: Path) -> None:
    files = adapter_files.adapter_files(tiny_adapter)
    made = vllm_args.command(
        load_config("cuda", overrides=("quantization=fp8", "data_parallel_size=2", "max_num_batched_tokens=4096")),
        Launch(
            base_model=tiny_base,
            adapters={tiny_adapter.name: files},
            port=8000,
            served_model_name="base",
            chat_template=adapter_files.chat_template(files, tiny_base),
            device="cuda",
        ),
    )
    done = subprocess.run(
        [sys.executable, "-c", PARSE, *made.argv[3:]], env=os.environ | made.env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    parsed = json.loads(done.stdout.splitlines()[-1])
    assert parsed == {"quantization": "fp8", "data_parallel_size": 2, "max_lora_rank": 16, "dtype": "auto"}


@pytest.fixture
def client(served_tiny: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=served_tiny.base_url, api_key="unused", max_retries=0)


def test_a_healthy_server_serves_the_base_model_and_its_adapters(served_tiny: Server, tiny_adapter: Path) -> None:
    assert served_tiny.healthy()
    assert tiny_adapter.name in supervise.served_models(served_tiny.base_url)


def test_vllm_applies_adapters_as_matrix_products(vllm_tiny: Server) -> None:
    assert "GroupedLora" in vllm_tiny.log_path.read_text(encoding="utf-8")


def test_a_chat_completion_has_logprobs_and_respects_the_label_set(client: openai.OpenAI, tiny_adapter: Path) -> None:
    answer = client.chat.completions.create(
        model=tiny_adapter.name,
        messages=[{"role": "system", "content": "intent"}, {"role": "user", "content": "where is my parcel?"}],
        max_tokens=16,
        temperature=0,
        logprobs=True,
        top_logprobs=5,
        extra_body={"structured_outputs": {"choice": LABELS}},
    )
    choice = answer.choices[0]
    assert choice.message.content in LABELS
    assert choice.finish_reason == "stop"
    assert choice.logprobs is not None
    assert choice.logprobs.content
    assert all(len(token.top_logprobs) >= 5 for token in choice.logprobs.content)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == len(choice.logprobs.content)


def test_the_adapters_chat_template_is_used(served_tiny: Server, tiny_adapter: Path) -> None:
    item = adapters.load_parity(tiny_adapter)[0]
    messages = [{"role": "system", "content": "intent"}, {"role": "user", "content": "where is my parcel?"}]
    url = f"{supervise.root(served_tiny.base_url)}/tokenize"
    status, body = supervise.request("POST", url, {"model": tiny_adapter.name, "messages": messages}, timeout_s=60)
    assert status == 200
    assert f'"tokens":{item.prompt_ids}'.replace(" ", "") in body.decode().replace(" ", "")


def test_a_served_adapter_passes_the_parity_check(served_tiny: Server, tiny_adapter: Path) -> None:
    report = parity.check(served_tiny.base_url, tiny_adapter, model=tiny_adapter.name, base_model=served_tiny.models[0])
    assert report.passed, report.lines()
    assert report.items == 6
    # Far from the limit, so that a little worse is noticed here and not by users.
    assert report.max_logprob_gap < 0.2


def test_the_base_model_under_the_adapters_name_fails_the_parity_check(served_tiny: Server, tiny_adapter: Path) -> None:
    base = served_tiny.models[0]
    report = parity.check(served_tiny.base_url, tiny_adapter, model=base, base_model=base)
    assert not report.passed
    assert not report.differs_from_base


def test_an_adapter_with_one_wrong_matrix_fails_the_parity_check(
    served_tiny: Server, tiny_adapter: Path, tiny_perturbed: Path
) -> None:
    name = tiny_perturbed.name
    report = parity.check(served_tiny.base_url, tiny_adapter, model=name, base_model=served_tiny.models[0])
    assert report.differs_from_base
    assert not report.passed


def test_base_model_and_adapters_in_one_batch_do_not_mix(
    client: openai.OpenAI, served_tiny: Server, tiny_adapter: Path
) -> None:
    items = adapters.load_parity(tiny_adapter)

    def logprobs(model: str, item: ParityItem) -> list[float]:
        answer = client.completions.create(
            model=model,
            prompt=[*item.prompt_ids, *item.completion_ids],
            max_tokens=1,
            temperature=0,
            extra_body={"prompt_logprobs": 0},
        )
        steps = answer.choices[0].model_extra["prompt_logprobs"][len(item.prompt_ids) :]  # type: ignore[index]
        return [step[str(token)]["logprob"] for step, token in zip(steps, item.completion_ids, strict=True)]

    requests = [(model, item) for item in items for model in served_tiny.models]
    alone = [logprobs(model, item) for model, item in requests]
    with ThreadPoolExecutor(len(requests)) as pool:
        together = list(pool.map(lambda request: logprobs(*request), requests))
    for (model, _), one, other in zip(requests, alone, together, strict=True):
        assert one == pytest.approx(other, abs=0.2), model
    base = [logprobs for (model, _), logprobs in zip(requests, together, strict=True) if model == served_tiny.models[0]]
    for item, found in zip(items, base, strict=True):
        assert found == pytest.approx(item.base_logprobs, abs=0.4)


def test_a_checked_adapter_can_be_registered_and_rolled_back(
    served_tiny: Server, tiny_adapter: Path, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    report = parity.check(served_tiny.base_url, tiny_adapter, model=tiny_adapter.name, base_model=served_tiny.models[0])
    endpoint = register.endpoint_of(tiny_adapter.name, served_tiny.base_url)
    request = register.DeploymentRequest(adapter=tiny_adapter, endpoint=endpoint, override="a test")
    done = register.register(home, request, report)
    assert done.registered, done.lines()
    found = deployments.load(home.deployments).lookup("desk.intent", {})
    assert found is not None
    assert found.endpoint.base_url == served_tiny.base_url
    assert status(home).unreachable == ()
    assert register.rollback(home, "desk.intent").adapter is None


def test_a_json_schema_is_enforced(client: openai.OpenAI, served_tiny: Server) -> None:
    schema = {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"], "additionalProperties": False}
    answer = client.chat.completions.create(
        model=served_tiny.models[0],
        messages=[{"role": "user", "content": "a number"}],
        max_tokens=60,
        temperature=0,
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
    )
    if answer.choices[0].finish_reason == "stop":
        assert json.loads(answer.choices[0].message.content or "") in ({"n": 1}, {"n": 2})


def test_a_stream_joins_to_the_plain_answer(client: openai.OpenAI, tiny_adapter: Path) -> None:
    request: dict[str, Any] = {
        "model": tiny_adapter.name,
        "messages": [{"role": "system", "content": "intent"}, {"role": "user", "content": "Guten Tag"}],
        "max_tokens": 24,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 2,
    }
    plain = client.chat.completions.create(**request)
    chunks = list(client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True}))
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.delta.content or "" for choice in choices) == plain.choices[0].message.content
    assert choices[-1].finish_reason == plain.choices[0].finish_reason
    tokens = [entry.token for choice in choices if choice.logprobs for entry in choice.logprobs.content or ()]
    assert plain.choices[0].logprobs is not None
    assert tokens == [entry.token for entry in plain.choices[0].logprobs.content or ()]
    assert chunks[-1].usage == plain.usage


def test_a_stop_text_ends_the_answer_before_it(client: openai.OpenAI, served_tiny: Server) -> None:
    request: dict[str, Any] = {
        "model": served_tiny.models[0],
        "messages": [{"role": "user", "content": "where is my parcel?"}],
        "max_tokens": 24,
        "temperature": 0,
    }
    whole = client.chat.completions.create(**request).choices[0].message.content or ""
    assert len(whole) > 12
    cut = client.chat.completions.create(**request, stop=[whole[8:10]]).choices[0]
    assert (cut.message.content, cut.finish_reason) == (whole[: whole.index(whole[8:10])], "stop")


@pytest.mark.parametrize(
    "change, status",
    [
        ({"model": "nobody"}, 404),
        ({"max_tokens": 100_000}, 400),
        ({"max_tokens": 0}, 400),
        ({"temperature": -1}, 400),
        ({"top_p": 0}, 400),
        ({"messages": [{"role": "user", "content": "long " * 600}]}, 400),
        ({"messages": "hello"}, 400),
        ({"logprobs": True, "top_logprobs": 1000}, 400),
        ({"structured_outputs": {"choice": []}}, 400),
    ],
)
def test_an_unsupported_request_is_refused(served_tiny: Server, change: dict[str, Any], status: int) -> None:
    body = {"model": served_tiny.models[0], "messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}
    url = f"{served_tiny.base_url}/chat/completions"
    found, answer = supervise.request("POST", url, body | change, timeout_s=60)
    assert found == status, answer
    assert json.loads(answer)["error"]["message"]


def test_a_keyed_server_is_registered_with_its_key_and_the_router_sends_it(
    tiny_base: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    shutil.copytree(tiny_adapter, home.adapters / tiny_adapter.name)
    files = {tiny_adapter.name: adapter_files.adapter_files(tiny_adapter)}
    command = transformers_args.command(
        ServingConfig(dtype="bfloat16", api_key_env="GPU_KEY"),
        Launch(
            base_model=tiny_base,
            adapters=files,
            port=supervise.free_port(),
            served_model_name="tiny",
            chat_template=adapter_files.chat_template(files[tiny_adapter.name], tiny_base),
            device="cpu",
        ),
    )
    environ = {"GPU_KEY": "k-123", "HOSTED_KEY": "hosted-secret"}
    with (
        pytest.MonkeyPatch.context() as patch,
        FakeOpenAI(answer=routers.label_of, api_key="hosted-secret") as hosted,
    ):
        patch.setenv("GPU_KEY", "k-123")
        with supervise.start(command, tmp_path / "server.log") as server:
            register_it = [sys.executable, "-m", "cli", "register", tiny_adapter.name, "--home", home.root]
            register_it += ["--url", server.base_url, "--api-key-env", "GPU_KEY", "--override", "pilot"]
            done = subprocess.run(register_it, cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            assert "k-123" not in home.deployments.read_text()
            rules = [{"name": "own", "reason": "a test", "tier": 1, "when": {"call_site": "desk.intent"}}]
            routing = routers.routing([routers.endpoint("hosted", hosted.base_url)], rules=rules)
            with routers.RunningRouter(routing, home, environ=environ) as router, routers.client(router) as asking:
                asking.chat.completions.create(
                    model="m",
                    messages=[
                        {"role": "system", "content": "Answer with one label."},
                        {"role": "user", "content": "where is my parcel?"},
                    ],
                    extra_headers={"x-fasttier-call-site": "desk.intent"},
                )
    attempts = routers.log_of(home)
    own = next(attempt for attempt in attempts if attempt.adapter == tiny_adapter.name)
    assert own.status == 200, attempts


def test_serve_uses_transformers_where_vllm_is_not_installed(tiny_adapter: Path, tmp_path: Path) -> None:
    # As on a Mac: this interpreter finds no vllm.
    (tmp_path / "sitecustomize.py").write_text('import sys; sys.modules["vllm"] = None')
    environment = {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    out = tmp_path / "served.json"
    arguments = ("serve", tiny_adapter, "--home", tmp_path / "home", "--out", out)
    with MarkedCommand(*arguments, log=tmp_path / "log", env=environment) as command:
        wait_for(lambda: out.exists() or command.process.poll() is not None, "the server is not ready", 240)
        assert command.process.poll() is None, command.log_text()
        served = json.loads(out.read_bytes())
        assert [report["passed"] for report in served["checked"]] == [True]
        assert tiny_adapter.name in supervise.served_models(served["base_url"])
        assert "serving.transformers_server" in " ".join(command.pids().values())
        assert command.kill(command.process.pid, signal.SIGTERM) == 0
    assert supervise.running(Home(tmp_path / "home")) == []


def test_killing_vllm_is_noticed_and_its_engine_ends_too(vllm_tiny: Server) -> None:
    engines = _children(vllm_tiny.pid)
    assert engines
    handles = [os.pidfd_open(pid) for pid in engines]
    os.kill(vllm_tiny.pid, signal.SIGKILL)
    assert vllm_tiny.wait() == 128 + signal.SIGKILL
    assert not vllm_tiny.alive()
    assert not vllm_tiny.healthy()
    for handle in handles:
        assert select.select([handle], [], [], 30)[0], "an engine still runs"
        os.close(handle)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
