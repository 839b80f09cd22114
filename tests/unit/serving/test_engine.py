import sys
from pathlib import Path

import pytest

from serving import engine, transformers_args
from serving.adapter_files import AdapterFiles
from serving.command import Launch
from serving.config import ServingConfig
from traffic.errors import ConfigError, Unsupported

ADAPTERS = {"intent@1": AdapterFiles(Path("/a/intent"), 16, chat_template_sha256="c" * 64)}


def build(settings: ServingConfig, **changes: object) -> tuple[str, ...]:
    given: dict[str, object] = {"port": 8001, "served_model_name": "org/base", "chat_template": None, "device": "cpu"}
    launch = Launch(base_model=Path("/m/base"), adapters=ADAPTERS, **(given | changes))  # type: ignore[arg-type]
    command = transformers_args.command(settings, launch)
    assert command.models == ("org/base", "intent@1")
    return command.argv


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)


def test_vllm_is_chosen_if_installed() -> None:
    assert engine.choose(ServingConfig()) == "vllm"


def test_transformers_is_chosen_without_vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "vllm")
    assert engine.choose(ServingConfig()) == "transformers"


def test_a_configured_engine_is_not_replaced_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine.choose(ServingConfig(engine="transformers")) == "transformers"
    without(monkeypatch, "vllm")
    with pytest.raises(Unsupported, match="vllm"):
        engine.choose(ServingConfig(engine="vllm"))


def test_without_any_engine_the_error_names_the_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "vllm", "peft", "xgrammar")
    with pytest.raises(Unsupported, match="peft, xgrammar"):
        engine.choose(ServingConfig())


def test_the_command_line_names_model_adapters_dtype_and_limits() -> None:
    argv = build(ServingConfig(max_model_len=512, max_num_seqs=4), dtype="float32")
    assert argv[1:3] == ("-m", "serving.transformers_server")
    assert argv[argv.index("--adapter") + 1] == "intent@1=/a/intent"
    assert argv[argv.index("--dtype") + 1] == "float32"
    assert argv[argv.index("--max-model-len") + 1] == "512"
    assert argv[argv.index("--max-num-seqs") + 1] == "4"


@pytest.mark.parametrize("change", [{"quantization": "fp8"}, {"data_parallel_size": 2}, {"host": "0.0.0.0"}])  # noqa: S104
def test_settings_unsupported_by_transformers_are_refused_before_the_start(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        build(ServingConfig(**change))  # type: ignore[arg-type]
