"""Two adapters of one base model on vLLM: parity with training, and requests per second for short answers."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from benchmarks.gpu import steps
from benchmarks.gpu.runner import Note, Step, showing
from benchmarks.gpu.setup import Setup, rows_of
from pipeline.train import compute_dtype
from serving import adapter_files, parity, supervise, vllm_args
from serving.command import Launch
from serving.config import load_config
from traffic import adapters
from traffic.processes import cores

REQUESTS = {"full": 512, "tiny": 16}
CONCURRENCY = 64
ANSWER_TOKENS = 8
START_SECONDS = 240.0


def schedule(setup: Setup, model: str, *, wanted: bool) -> Iterator[Step]:
    """Steps for a second adapter, then the server. `wanted`: whether this kind of device serves."""
    absent = None if vllm_args.interpreter() else "vLLM is not installed"
    if not wanted:
        absent = "on a CPU only with --serve; the project's tests cover serving there"
    first, second = f"train/{model}", f"second/{model}"
    yield Step(
        name=second, run=steps.forked, arguments=(setup, second, model, "seed=1"), after=(first,), limit_s=120,
        absent=absent,
    )  # fmt: skip
    yield Step(
        name=f"serve/{model}", run=served, arguments=(setup, model, first, second), after=(first, second),
        limit_s=START_SECONDS + 60, absent=absent,
    )  # fmt: skip


def served(note: Note, setup: Setup, model: str, *runs: str) -> None:
    """Serve both runs' adapters, check each against its parity.jsonl, then measure with alternating requests."""
    names = [_published(setup, run) for run in runs]
    folders = {name: setup.home.adapters / name for name in names}
    files = {name: adapter_files.adapter_files(folder) for name, folder in folders.items()}
    base = setup.base(model)
    shipped = load_config(setup.device)
    command = vllm_args.command(
        shipped,
        Launch(
            base_model=base.path,
            adapters=files,
            port=supervise.free_port(shipped.host),
            served_model_name=base.name,
            chat_template=adapter_files.chat_template(files[names[0]], base.path),
            device=setup.device,
            python=vllm_args.interpreter(),
            threads=cores(),
            dtype=compute_dtype.of_weights(base.path, "cpu") if setup.device == "cpu" else None,
        ),
    )
    log = setup.root / "logs" / "vllm.log"
    began = time.monotonic()
    with showing(log), supervise.start(command, log, START_SECONDS) as server:
        note({"adapters": names, "start_s": time.monotonic() - began})
        note(_requests_per_second(setup, server.base_url, names))
        reports = [
            parity.check(
                server.base_url, folders[name], model=name, base_model=base.name,
                training_dtype=setup.compute_dtype, serving_dtype=command.dtype,
            )
            for name in names
        ]  # fmt: skip
        note({"max_logprob_gap": max(report.max_logprob_gap for report in reports)})
        for report in reports:
            steps.require(report.passed, f"{report.model}: {'; '.join(report.reasons)}")


def _published(setup: Setup, run: str) -> str:
    """Name of the adapter that this run published last."""
    weights = (setup.run_folder(run) / steps.WEIGHTS).read_bytes()
    found = [
        folder
        for folder in Path(setup.home.adapters).iterdir()
        if (folder / "adapter_model.safetensors").read_bytes() == weights
    ]
    steps.require(len(found) == 1, f"{len(found)} published adapters of {run}")
    return adapters.load(found[0]).name


def _requests_per_second(setup: Setup, url: str, names: list[str]) -> dict[str, float]:
    count = REQUESTS[setup.form]
    rows = rows_of(setup.dataset, "train", "prompt", count)

    def ask(index: int) -> int:
        body = {
            "model": names[index % len(names)], "messages": rows[index % len(rows)]["prompt"],
            "max_tokens": ANSWER_TOKENS, "temperature": 0,
        }  # fmt: skip
        status, answer = supervise.request("POST", f"{url}/chat/completions", body, timeout_s=60)
        steps.require(status == 200, f"answered {status}: {answer[:200]!r}")
        return int(msgspec.json.decode(answer)["usage"]["completion_tokens"])

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        began = time.monotonic()
        tokens = sum(pool.map(ask, range(count)))
        seconds = time.monotonic() - began
    return {"requests": count, "requests_per_second": count / seconds, "output_tokens_per_second": tokens / seconds}
