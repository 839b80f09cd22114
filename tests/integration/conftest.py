"""One real server of each engine for the whole session: a tiny random-weight Llama with two adapters.

tiny_base      the base model's folder
tiny_adapter   an adapter's folder as training writes it, parity.jsonl included
tiny_perturbed the same with one matrix changed, under another name
vllm_tiny      the running server with both (started again if a test killed it)
served_tiny    the same by each engine: vLLM and transformers

And `setting`: a router in front of fake model servers, each on a real port.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.train import base_models
from serving import adapter_files, engine, supervise
from serving.command import Launch
from serving.config import ServingConfig
from serving.engine import Engine
from serving.supervise import Server
from tests.fakes import router as routers
from tests.fakes import tiny_models
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.router import RunningRouter, Setting
from traffic import adapters, config
from traffic.adapters import Adapter, BaseModel, CallSitePrompts
from traffic.artifacts import Home
from traffic.callsites import Checks
from traffic.processes import cores
from traffic.prompts import MessagePattern, Template

TINY = "tiny/llama"
CALL_SITE = "desk.intent"
LABELS = ("refund", "password", "delivery")
QUESTIONS = (
    "where is my parcel?",
    "I forgot my password and cannot log in",
    "refund the invoice 12345 please",
    "Guten Tag, ich brauche eine Rechnung",
    "spam",
    "classify this message: order number 999 has not arrived yet, where is it?",
)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Hidden size 256 makes heads of 64, which vLLM's attention on CPU can do.
    return tiny_models.make(tmp_path_factory.mktemp("models") / "tiny", "llama", hidden=256)


@pytest.fixture(scope="session")
def tiny_adapter(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random, but with all the files of a trained one."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from pipeline.train import artefact, chat, parity

    folder = tmp_path_factory.mktemp("adapters") / f"{CALL_SITE}@aaaaaaaa"
    tokenizer = chat.load_tokenizer(str(tiny_base))
    base = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.bfloat16)
    torch.manual_seed(1)
    settings = LoraConfig(r=12, lora_alpha=24, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(base, settings, autocast_adapter_dtype=False)
    for name, weights in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.05)
    checkpoint = tmp_path_factory.mktemp("checkpoint")
    model.save_pretrained(checkpoint, save_embedding_layers=False)
    artefact.write_checkpoint(checkpoint, folder, TINY)
    artefact.write_tokenizer(tokenizer, folder)
    messages = [[{"role": "system", "content": "intent"}, {"role": "user", "content": text}] for text in QUESTIONS]
    prompts = [tokenizer.apply_chat_template(m, add_generation_prompt=True, return_dict=False) for m in messages]
    artefact.write_parity(parity.compute(model.unload(), folder, prompts, tokenizer, 16), folder)
    template = (folder / artefact.CHAT_TEMPLATE).read_text(encoding="utf-8")
    card = _card(folder.name, tiny_base, chat.template_sha256(template))
    (folder / "adapter.yaml").write_text(config.dump(card), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_perturbed(tiny_adapter: Path) -> Path:
    """An adapter with one of its 28 matrices negated: what a wrong file or a wrong mapping of modules does."""
    from safetensors.torch import load_file, save_file

    folder = tiny_adapter.with_name(f"{CALL_SITE}@bbbbbbbb")
    shutil.copytree(tiny_adapter, folder)
    weights = load_file(folder / "adapter_model.safetensors")
    name = next(key for key in sorted(weights) if "down_proj.lora_B" in key)
    save_file(weights | {name: -weights[name]}, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    card = adapters.load(tiny_adapter)
    changed = _card(folder.name, Path(card.base_model.path), card.chat_template_sha256)
    (folder / "adapter.yaml").write_text(config.dump(changed), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def _tiny_server(
    tiny_base: Path, tiny_adapter: Path, tiny_perturbed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Engine], Server]]:
    home = Home(tmp_path_factory.mktemp("serving"))
    files = {folder.name: adapter_files.adapter_files(folder) for folder in (tiny_adapter, tiny_perturbed)}
    started: dict[Engine, list[Server]] = {"vllm": [], "transformers": []}

    def running(name: Engine) -> Server:
        servers = started[name]
        if not servers or not servers[-1].alive():
            command = engine.COMMANDS[name](
                ServingConfig(dtype="bfloat16", max_model_len=512, max_num_seqs=16),
                Launch(
                    base_model=tiny_base,
                    adapters=files,
                    port=supervise.free_port(),
                    served_model_name=TINY,
                    chat_template=adapter_files.chat_template(files[tiny_adapter.name], tiny_base),
                    device="cpu",
                    threads=cores(),
                ),
            )
            servers.append(supervise.start(command, home.runs / f"{name}-{len(servers)}.log", home=home))
        return servers[-1]

    yield running
    for servers in started.values():
        for server in servers:
            server.stop()
    assert supervise.running(home) == []


@pytest.fixture
def vllm_tiny(_tiny_server: Callable[[Engine], Server]) -> Server:
    return _tiny_server("vllm")


@pytest.fixture
def transformers_tiny(_tiny_server: Callable[[Engine], Server]) -> Server:
    return _tiny_server("transformers")


@pytest.fixture(params=["vllm", "transformers"])
def served_tiny(_tiny_server: Callable[[Engine], Server], request: pytest.FixtureRequest) -> Server:
    return _tiny_server(request.param)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    home = Home(tmp_path / "home")
    routers.write_adapter(home, routers.ADAPTER)
    running: list[RunningRouter] = []
    with (
        FakeOpenAI(answer=routers.label_of, models=(routers.ADAPTER,)) as own,
        FakeOpenAI(answer=routers.label_of, api_key="hosted-secret") as hosted,
        FakeOpenAI(answer=routers.label_of, api_key="hosted-secret") as spare,
    ):
        routers.deploy(home, routers.deployment(routers.ADAPTER, own.base_url))

        def start(**changes: Any) -> RunningRouter:
            given = {key: changes.pop(key) for key in ("registry", "environ") if key in changes}
            endpoints = changes.pop("endpoints", setting.endpoints)
            router = RunningRouter(routers.routing(endpoints, **changes), home, **given)
            running.append(router.__enter__())
            return running[-1]

        setting = Setting(own, hosted, spare, home, start)
        yield setting
        for router in running:
            router.__exit__()


def _card(name: str, base: Path, template_sha256: str) -> Adapter:
    original = (MessagePattern("system", "Answer with one label."), MessagePattern("user", slot=True))
    pruned = (MessagePattern("system", "intent"), MessagePattern("user", slot=True))
    return Adapter(
        name=name,
        task=CALL_SITE,
        base_model=BaseModel(name=TINY, revision=base_models.revision_of(base), path=str(base)),
        rank=12,
        dataset=f"{CALL_SITE}@cccccccc",
        call_sites={
            CALL_SITE: CallSitePrompts(
                templates=(Template("0a1b2c3d", original, pruned),),
                request_type="intent",
                checks=Checks(labels=LABELS),
                max_tokens=16,
            )
        },
        chat_template_sha256=template_sha256,
        config={},
        metrics={},
        libraries={},
        licence="none",
    )
