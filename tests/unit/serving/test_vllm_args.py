import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import adapter_files, vllm_args
from serving.adapter_files import AdapterFiles
from serving.command import PROJECT, Command, Launch
from serving.config import Device, ServingConfig, load_config
from serving.vllm_args import LORA_RANKS, command
from traffic import config
from traffic.errors import ConfigError, InputError, Unsupported

BASE = Path("/models/base")
PYTHON = Path("/venv/bin/python")
LINEAR = ("down_proj", "q_proj")


def adapter(path: str = "/a/intent", rank: int = 16, **changes: object) -> AdapterFiles:
    fields: dict[str, object] = {"base_model": "org/base", "chat_template_sha256": "c" * 64, "target_modules": LINEAR}
    return AdapterFiles(Path(path), rank, **(fields | changes))  # type: ignore[arg-type]


def build(
    settings: ServingConfig, *, device: Device = "cpu", dtype: str | None = None, **adapters: AdapterFiles
) -> Command:
    return command(
        settings,
        Launch(
            base_model=BASE,
            adapters=adapters,
            port=8001,
            served_model_name="org/base",
            chat_template=Path("/a/intent/chat_template.jinja") if adapters else None,
            device=device,
            python=PYTHON,
            threads=2,
            dtype=dtype,
        ),
    )


def value_of(argv: tuple[str, ...], option: str) -> str:
    return argv[argv.index(option) + 1]


def test_one_adapter_on_cpu_gives_this_command_line() -> None:
    arguments = build(ServingConfig(dtype="bfloat16"), intent=adapter())
    assert arguments.argv == (
        *("/venv/bin/python", "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", "/models/base", "--served-model-name", "org/base"),
        *("--host", "127.0.0.1", "--port", "8001"),
        *("--dtype", "bfloat16", "--max-model-len", "4096", "--max-num-seqs", "64"),
        *("--enable-prefix-caching", "--generation-config", "vllm", "--logprobs-mode", "raw_logprobs"),
        *("--chat-template", "/a/intent/chat_template.jinja", "--disable-uvicorn-access-log"),
        *("--enable-lora", "--max-lora-rank", "16", "--max-loras", "1", "--max-cpu-loras", "1"),
        *("--lora-target-modules", "down_proj", "q_proj"),
        *("--lora-modules", '{"name": "intent", "path": "/a/intent", "base_model_name": "org/base"}'),
        *("--worker-cls", "serving.cpu_lora.Worker"),
    )
    assert arguments.env == {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_WAIT_POLICY": "PASSIVE",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "PYTHONPATH": str(PROJECT),
        "OMP_NUM_THREADS": "2",
    }
    assert arguments.models == ("org/base", "intent")
    assert arguments.base_url == "http://127.0.0.1:8001/v1"


def test_the_base_model_alone_on_gpu_gives_this_command_line() -> None:
    settings = ServingConfig(quantization="fp8", data_parallel_size=2, enable_prefix_caching=False)
    arguments = build(settings, device="cuda")
    assert arguments.argv[3:] == (
        *("--model", "/models/base", "--served-model-name", "org/base"),
        *("--host", "127.0.0.1", "--port", "8001"),
        *("--dtype", "auto", "--max-model-len", "4096", "--max-num-seqs", "64"),
        *("--no-enable-prefix-caching", "--generation-config", "vllm", "--logprobs-mode", "raw_logprobs"),
        "--disable-uvicorn-access-log",
        *("--gpu-memory-utilization", "0.9", "--quantization", "fp8", "--data-parallel-size", "2"),
    )
    assert arguments.env == {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}


def test_two_adapters_share_a_server_that_fits_the_larger_rank_and_all_modules() -> None:
    arguments = build(ServingConfig(), intent=adapter(rank=8), spam=adapter("/a/spam", 20, target_modules=("v_proj",)))
    assert value_of(arguments.argv, "--max-lora-rank") == "32"
    assert value_of(arguments.argv, "--max-loras") == "2"
    modules = arguments.argv[arguments.argv.index("--lora-modules") + 1 :][:2]
    assert [json.loads(module)["name"] for module in modules] == ["intent", "spam"]
    targets = arguments.argv.index("--lora-target-modules")
    assert arguments.argv[targets + 1 : targets + 4] == ("down_proj", "q_proj", "v_proj")


def test_modules_are_not_restricted_if_those_of_one_adapter_are_unknown() -> None:
    arguments = build(ServingConfig(), intent=adapter(), spam=adapter("/a/spam", target_modules=()))
    assert "--lora-target-modules" not in arguments.argv


def test_gpu_uses_vllms_own_worker() -> None:
    assert "--worker-cls" not in build(ServingConfig(), device="cuda", intent=adapter()).argv


def test_configured_arguments_and_variables_come_last() -> None:
    arguments = build(ServingConfig(args=("--seed", "7"), env={"VLLM_CPU_KVCACHE_SPACE": "9"}, cpu_threads=1))
    assert arguments.argv[-2:] == ("--seed", "7")
    assert arguments.env["VLLM_CPU_KVCACHE_SPACE"] == "9"
    assert arguments.env["OMP_NUM_THREADS"] == "1"


@given(st.integers(1, 512))
def test_the_rank_is_the_smallest_that_vllm_accepts_and_fits(rank: int) -> None:
    chosen = vllm_args.lora_rank(rank)
    assert chosen in LORA_RANKS
    assert chosen >= rank
    assert not any(rank <= allowed < chosen for allowed in LORA_RANKS)


def test_a_rank_that_vllm_does_not_support_is_refused() -> None:
    with pytest.raises(Unsupported, match="LoRA rank 600: vLLM serves at most 512"):
        build(ServingConfig(), intent=adapter(rank=600))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "gpu-box", ""])  # noqa: S104
def test_listening_beyond_loopback_without_a_key_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="api_key_env"):
        build(ServingConfig(host=host))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_loopback_needs_no_key(host: str) -> None:
    assert build(ServingConfig(host=host)).secrets == {}


def test_a_command_refers_to_a_key_by_variable_only() -> None:
    arguments = build(ServingConfig(host="0.0.0.0", api_key_env="SERVE_KEY"))  # noqa: S104
    assert arguments.secrets == {"VLLM_API_KEY": "SERVE_KEY"}
    assert "--api-key" not in arguments.argv
    assert arguments.base_url == "http://127.0.0.1:8001/v1"


def test_an_ipv6_address_is_bracketed_in_the_url() -> None:
    assert build(ServingConfig(host="::1")).base_url == "http://[::1]:8001/v1"


@pytest.mark.parametrize(
    "change, what",
    [({"base_model": "org/other"}, "base models"), ({"chat_template_sha256": "d"}, "chat templates")],
)
def test_incompatible_adapters_are_refused(change: dict[str, str], what: str) -> None:
    with pytest.raises(ConfigError, match=f"different {what}"):
        build(ServingConfig(), intent=adapter(), spam=adapter("/a/spam", **change))


def test_an_adapter_named_like_the_base_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="names both"):
        build(ServingConfig(), **{"org/base": adapter()})


def test_quantisation_on_cpu_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a GPU"):
        build(ServingConfig(quantization="fp8"))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_shipped_configurations_load(device: Device) -> None:
    assert load_config(device).dtype == "auto"


@pytest.mark.parametrize(
    "configured, measured, dtype",
    [
        ("auto", "float32", "float32"),
        ("auto", "bfloat16", "bfloat16"),
        ("auto", None, "auto"),
        ("float16", "float32", "float16"),
    ],
)
def test_auto_dtype_is_that_of_the_machine(configured: str, measured: str | None, dtype: str) -> None:
    arguments = build(ServingConfig(dtype=configured), intent=adapter(), dtype=measured)
    assert arguments.argv[arguments.argv.index("--dtype") + 1] == dtype
    assert arguments.dtype == dtype


def test_every_shipped_serving_file_loads() -> None:
    for path in sorted((config.CONFIGS / "serving").glob("*.yaml")):
        assert config.load(path, ServingConfig).host == "127.0.0.1"


def test_the_chat_template_is_the_one_with_the_hash_it_was_trained_with(tmp_path: Path) -> None:
    own, base = tmp_path / "adapter", tmp_path / "base"
    own.mkdir()
    base.mkdir()
    (base / "chat_template.jinja").write_text("abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    files = adapter(str(own), chat_template_sha256=digest)
    assert adapter_files.chat_template(files, base) == base / "chat_template.jinja"
    (own / "chat_template.jinja").write_text("abc")
    assert adapter_files.chat_template(files, base) == own / "chat_template.jinja"


def test_an_adapter_without_its_chat_template_is_refused(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text("another")
    with pytest.raises(InputError, match="train it again"):
        adapter_files.chat_template(adapter(str(tmp_path)), tmp_path)
