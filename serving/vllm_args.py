"""The vLLM command line and environment, from a configuration, a base model and its adapters.

`command` is pure: the same arguments give the same `Command`, and nothing is read, started or
looked up. Secrets are named, never held. What needs the file system stands beside it.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from traffic import adapters, config
from traffic.adapters import ComputeDtype
from traffic.errors import ConfigError, InputError, Unsupported
from traffic.tiers import is_loopback

Device = Literal["cpu", "cuda"]

PROJECT = Path(__file__).resolve().parent.parent
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What --max-lora-rank accepts (vLLM 0.32, vllm/config/lora.py)."""
CHAT_TEMPLATE = "chat_template.jinja"
Positive = Annotated[int, msgspec.Meta(ge=1)]


class ServingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`configs/serving/*.yaml`: how vLLM runs, whatever it serves."""

    host: str = "127.0.0.1"
    """Address to listen on. Any but loopback needs `api_key_env`."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """0: a free one."""
    api_key_env: str | None = None
    """Environment variable with the key that clients must send."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """auto: what the caller measured as fastest on this CPU; on a GPU vLLM's choice, the type of the base model's
    weights where the card has it (bfloat16), else float16."""
    max_model_len: Positive = 4096
    """Longest prompt plus answer, in tokens; a longer request is refused."""
    max_num_seqs: Positive = 64
    """Most requests in one batch."""
    max_num_batched_tokens: Positive | None = None
    """Most tokens in one step. None: vLLM's choice."""
    enable_prefix_caching: bool = True
    """Keep the KV cache of shared prompt beginnings."""
    generation_config: str = "vllm"
    """vllm: neutral sampling defaults. auto: those in the model's folder, which change answers silently."""
    logprobs_mode: Literal["raw_logprobs", "processed_logprobs"] = "raw_logprobs"
    """raw: before a grammar masks tokens, so that confidence keeps its meaning under a label set."""
    quantization: Literal["fp8", "bitsandbytes"] | None = None
    """Quantise the base model's weights at load (GPU)."""
    data_parallel_size: Positive = 1
    """Replicas of the model, one per GPU; better than splitting a model that fits one."""
    gpu_memory_utilization: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.9
    """Share of GPU memory for weights and KV cache (GPU)."""
    cpu_kv_cache_gib: Positive = 1
    """Memory for the KV cache (CPU)."""
    cpu_threads: Positive | None = None
    """Threads of the matrix products (CPU). None: one per core that this process may use."""
    grouped_lora: bool = True
    """Apply adapters as matrix products (CPU): serving/cpu_lora.py says why."""
    max_loras: Positive | None = None
    """Most adapters in one batch. None: all that are loaded."""
    env: dict[str, str] = {}
    """More environment variables for vLLM. Never a key: those come from `api_key_env`."""
    args: tuple[str, ...] = ()
    """More vLLM arguments, after all others."""


class AdapterFiles(msgspec.Struct, frozen=True):
    """What the command line needs to know about one adapter."""

    path: Path
    rank: int
    base_model: str = ""
    """Base model's name; adapters of different ones cannot share a server."""
    chat_template_sha256: str = ""
    target_modules: tuple[str, ...] = ()
    """Modules that it changes. Empty: unknown."""


class Command(msgspec.Struct, frozen=True):
    """A process to start: its arguments, and its environment on top of the caller's."""

    argv: tuple[str, ...]
    env: dict[str, str]
    host: str
    port: int
    models: tuple[str, ...]
    """Names that it serves: the base model's, then the adapters'."""
    dtype: str = "auto"
    """Type that the model computes in, as --dtype says."""
    secrets: dict[str, str] = {}
    """Variable of the child -> variable of ours that holds the value: it is looked up when the process starts."""

    @property
    def base_url(self) -> str:
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104  (compared, not bound)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/v1"


def command(
    config: ServingConfig,
    base_model: Path,
    adapters: Mapping[str, AdapterFiles],
    *,
    port: int,
    served_model_name: str,
    chat_template: Path | None,
    device: Device,
    python: Path | None = None,
    threads: int | None = None,
    dtype: ComputeDtype | None = None,
) -> Command:
    """The vLLM server for one base model and its adapters.

    `port` is the one to listen on (`config.port` is the caller's wish), `threads` the CPU threads where the
    configuration leaves them open, `dtype` this machine's compute dtype where the configuration says auto, `python`
    the interpreter that has vLLM.
    Raises: ConfigError if it would listen beyond loopback without a key, or the adapters do not fit together;
        Unsupported if a rank is beyond what vLLM serves.
    """
    _refuse_open_door(config)
    _refuse_mixture(adapters, served_model_name)
    argv = [str(python or sys.executable), "-m", "vllm.entrypoints.openai.api_server"]
    argv += ["--model", str(base_model), "--served-model-name", served_model_name]
    argv += ["--host", config.host, "--port", str(port)]
    chosen: str = config.dtype if config.dtype != "auto" else dtype or "auto"
    argv += ["--dtype", chosen, "--max-model-len", str(config.max_model_len)]
    argv += ["--max-num-seqs", str(config.max_num_seqs)]
    if config.max_num_batched_tokens is not None:
        argv += ["--max-num-batched-tokens", str(config.max_num_batched_tokens)]
    argv.append("--enable-prefix-caching" if config.enable_prefix_caching else "--no-enable-prefix-caching")
    argv += ["--generation-config", config.generation_config, "--logprobs-mode", config.logprobs_mode]
    if chat_template is not None:
        argv += ["--chat-template", str(chat_template)]
    argv.append("--disable-uvicorn-access-log")
    argv += _lora_arguments(config, adapters, served_model_name)
    argv += _device_arguments(config, adapters, device)
    return Command(
        argv=(*argv, *config.args),
        env=_environment(config, device, threads) | config.env,
        host=config.host,
        port=port,
        models=(served_model_name, *adapters),
        dtype=chosen,
        secrets={"VLLM_API_KEY": config.api_key_env} if config.api_key_env else {},
    )


def _lora_arguments(config: ServingConfig, adapters: Mapping[str, AdapterFiles], base: str) -> list[str]:
    if not adapters:
        return []
    modules = [
        json.dumps({"name": name, "path": str(files.path), "base_model_name": base}) for name, files in adapters.items()
    ]
    loaded = str(config.max_loras or len(adapters))
    rank = lora_rank(max(files.rank for files in adapters.values()))
    arguments = ["--enable-lora", "--max-lora-rank", str(rank), "--max-loras", loaded]
    arguments += ["--max-cpu-loras", str(max(len(adapters), int(loaded)))]
    targets = sorted({module for files in adapters.values() for module in files.target_modules})
    if targets and all(files.target_modules for files in adapters.values()):
        # Without this vLLM also wraps the embedding and the output layer, which costs time; on CPU it
        # then dies when two requests ask for prompt log-probabilities at once.
        arguments += ["--lora-target-modules", *targets]
    return [*arguments, "--lora-modules", *modules]


def _device_arguments(config: ServingConfig, adapters: Mapping[str, AdapterFiles], device: Device) -> list[str]:
    if device == "cpu":
        if config.quantization:
            raise ConfigError(f"quantization: {config.quantization} needs a GPU; leave it out on a CPU")
        return ["--worker-cls", "serving.cpu_lora.Worker"] if adapters and config.grouped_lora else []
    arguments = ["--gpu-memory-utilization", f"{config.gpu_memory_utilization:g}"]
    if config.quantization:
        arguments += ["--quantization", config.quantization]
    if config.data_parallel_size > 1:
        arguments += ["--data-parallel-size", str(config.data_parallel_size)]
    return arguments


def _environment(config: ServingConfig, device: Device, threads: int | None) -> dict[str, str]:
    # Offline: the base model is a folder, and a server that asks a hub at start is one that fails without it.
    common = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if device == "cuda":
        return common
    cores = config.cpu_threads or threads
    return common | {
        "VLLM_CPU_KVCACHE_SPACE": str(config.cpu_kv_cache_gib),
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        # Threads that wait sleep. Spinning takes the cores from the router and from the server's own front end: on two
        # busy cores requests then took 20 times as long.
        "OMP_WAIT_POLICY": "PASSIVE",
        # The engine runs its worker itself: one process, and one import of everything, less.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        # For serving.cpu_lora, where the project is not installed.
        "PYTHONPATH": str(PROJECT),
        **({"OMP_NUM_THREADS": str(cores)} if cores else {}),
    }


def lora_rank(rank: int) -> int:
    """The smallest --max-lora-rank that fits: a larger one than needed slows serving. Raises: Unsupported."""
    fitting = next((allowed for allowed in LORA_RANKS if allowed >= rank), None)
    if fitting is None:
        raise Unsupported(f"LoRA rank {rank}: vLLM serves at most {LORA_RANKS[-1]}")
    return fitting


def _refuse_open_door(config: ServingConfig) -> None:
    if not is_loopback(config.host) and not config.api_key_env:
        raise ConfigError(
            f"host: {config.host} can be reached from other machines; "
            "set api_key_env to the environment variable that holds the key, or use 127.0.0.1"
        )


def _refuse_mixture(adapters: Mapping[str, AdapterFiles], served_model_name: str) -> None:
    for what, values in (
        ("base models", {files.base_model for files in adapters.values()}),
        ("chat templates", {files.chat_template_sha256 for files in adapters.values()}),
    ):
        if len(values) > 1:
            raise ConfigError(
                f"the adapters {', '.join(adapters)} were trained with different {what}; serve them apart"
            )
    if served_model_name in adapters:
        raise ConfigError(f"{served_model_name!r} names both the base model and an adapter; give one another name")


class _PeftConfig(msgspec.Struct, frozen=True):
    """The slice of PEFT's adapter_config.json that serving needs."""

    r: int
    target_modules: list[str] | str = []


def adapter_files(folder: Path) -> AdapterFiles:
    """What `command` needs of an adapter's folder. Raises: NotFound, ConfigError, InputError."""
    card = adapters.load(folder)
    if card.merged:
        raise InputError(f"{card.name} is a merged model, served by itself and not on a base model")
    path = folder / "adapter_config.json"
    try:
        peft = msgspec.json.decode(path.read_bytes(), type=_PeftConfig)
    except FileNotFoundError:
        raise InputError(f"{path} is missing: the folder holds no PEFT adapter") from None
    except msgspec.DecodeError as error:
        raise InputError(f"{path}: {error}") from None
    modules: Any = peft.target_modules
    return AdapterFiles(
        path=folder.resolve(),
        rank=peft.r,
        base_model=card.base_model.name,
        chat_template_sha256=card.chat_template_sha256,
        # PEFT also allows a pattern instead of names; vLLM does not.
        target_modules=tuple(sorted(modules)) if isinstance(modules, list) else (),
    )


def chat_template(files: AdapterFiles, base_model: Path) -> Path:
    """The file with the chat template that an adapter was trained with: its own copy, or the base model's.

    Raises: InputError if neither has the hash that adapter.yaml states.
    """
    for path in (files.path / CHAT_TEMPLATE, base_model / CHAT_TEMPLATE):
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == files.chat_template_sha256:
            return path.resolve()
    raise InputError(
        f"{files.path}: neither its {CHAT_TEMPLATE} nor that of {base_model} is the one it was trained with; "
        "its prompts would be rendered differently: train it again"
    )


def model_template(model: Path) -> Path | None:
    """The chat template to serve a folder of weights with, beside no adapter: a merged model's own, checked.

    None for a base model, which vLLM serves with what its tokenizer says. Raises: InputError, ConfigError.
    """
    if not (model / "adapter.yaml").is_file():
        return None
    card = adapters.load(model)
    files = AdapterFiles(model.resolve(), card.rank, chat_template_sha256=card.chat_template_sha256)
    return chat_template(files, model)


def detect_device() -> Device:
    """cuda where `nvidia-smi` lists a GPU, else cpu; without importing torch."""
    found = shutil.which("nvidia-smi")
    if not found:
        return "cpu"
    listed = subprocess.run([found, "-L"], capture_output=True, check=False, timeout=60)
    return "cuda" if listed.returncode == 0 and listed.stdout.strip() else "cpu"


def load_config(device: Device, path: Path | None = None, overrides: tuple[str, ...] = ()) -> ServingConfig:
    """The configuration at `path`, or the one that ships for this device."""
    shipped = config.CONFIGS / "serving" / ("gpu.yaml" if device == "cuda" else "cpu.yaml")
    return config.load(path or shipped, ServingConfig, overrides)


def interpreter() -> Path:
    """The Python that has vLLM: `.venv-serve` where `make setup` made one (GPU boxes), else this one."""
    apart = PROJECT / ".venv-serve" / "bin" / "python"
    return apart if apart.is_file() else Path(sys.executable)
