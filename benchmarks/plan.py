"""Compares the plan of a training run with published figures, and with real runs on this machine.

    python -m benchmarks.plan [--fit] [--cpu] [--json [FILE]]

`published.yaml` has published speeds and memory with their sources, divided into two halves: the constants of
`pipeline/train/estimate.py` are fitted on the first (`--fit` repeats it and prints them) and must predict the other
within 25%. GPU measurements of `make check-gpu` in `benchmarks/gpu/checks/` are added, those of the Llama to the first
half. `--cpu` trains a small model for some steps in several configurations and compares in the same way.
"""

import argparse
import datetime as dt
import json
import math
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from benchmarks import harness
from benchmarks.gpu import report
from benchmarks.gpu.runner import Check as GpuCheck
from pipeline.train import estimate, offers
from pipeline.train.config import CONFIGS, Architecture, LoraConfig, TrainConfig
from traffic import config
from traffic.artifacts import Home
from traffic.errors import FastTierError

PUBLISHED = Path(__file__).with_name("published.yaml")
BAR = 0.25
"""Maximum error of a held-out figure."""
MAX_EFFICIENCY = 0.9
"""Upper bound of fitted efficiencies: no GPU comes closer to its data sheet."""
FITTED_NAMES = ("overhead_bytes", "logit_bytes", "launch_seconds", "dequantise", "traffic", "scaling")

SHARES = (("ampere", "peft"), ("gddr", "peft"), ("gddr", "torchtune"), ("hopper", "nemo"))
"""Fitted efficiencies; the others are assumptions."""


class Figure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of a source."""

    model: str
    device: str
    tokens: int
    """Sequences of one forward pass on one device."""
    length: int
    """Tokens of one sequence."""
    rank: int
    checkpointing: bool
    whole_logits: bool
    """Whether the logits of all positions are in memory at once."""
    half: Literal["fit", "test"]
    targets: tuple[str, ...] | None = None
    """Adapted layers; None: all linear ones."""
    quantization: Literal["none", "nf4"] = "none"
    shards: int = 1
    stack: Literal["peft", "torchtune", "nemo"] = "peft"
    speed: float | None = None
    """Tokens per second and device."""
    gib: float | None = None


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    source: str
    read: dt.date
    note: str
    figures: tuple[Figure, ...]


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`published.yaml`."""

    models: dict[str, Architecture]
    devices: tuple[estimate.Device, ...]
    sources: tuple[Source, ...]
    schema_version: Literal[1] = 1


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A published number and the planned one."""

    source: str
    what: str
    kind: Literal["tokens/s", "GiB"]
    half: Literal["fit", "test"]
    published: float
    planned: float

    @property
    def error(self) -> float:
        return self.planned / self.published - 1


def load(path: Path = PUBLISHED) -> Published:
    """Raises: NotFound, ConfigError."""
    return config.load(path, Published)


def with_checks(table: Published, measured: Sequence[GpuCheck]) -> Published:
    """The table with a source for each full check on a GPU with a known data sheet."""
    sources = []
    for check in measured:
        gpu_name = str(check.machine.get("name", ""))
        device = next((known.name for known in table.devices if offers.same_kind(known.name, gpu_name)), None)
        if check.device == "cuda" and check.form == "full" and device is not None:
            measured_figures = tuple(_measured(check, device))
            sources.append(
                Source(gpu_name, "make check-gpu", dt.date.fromisoformat(check.created_at[:10]), "", measured_figures)
            )
    return msgspec.structs.replace(table, sources=(*table.sources, *sources))


def _measured(check: GpuCheck, device: str) -> Iterator[Figure]:
    """The timed arms of a check except TRL's defaults, since the plan is for this project's training."""
    for step in check.steps:
        kind, _, rest = step.name.partition("/")
        model, _, arm = rest.partition("/")
        if kind == "speed" and step.status == "ok" and arm != "TRL defaults":
            detail = step.detail
            yield Figure(
                model=model,
                device=device,
                tokens=round(detail["tokens_per_pass"]),
                length=round(detail["tokens_per_example"]),
                rank=detail["rank"],
                checkpointing=detail["gradient_checkpointing"],
                whole_logits=False,
                half="fit" if model.startswith("llama") else "test",
                quantization=detail["quantization"],
                speed=detail["tokens_per_second"],
                gib=detail["peak_gib"],
            )


def checks(table: Published, known: estimate.Constants = estimate.FITTED) -> Iterator[Check]:
    """Every published number with the planned one."""
    devices = {device.name: device for device in table.devices}
    for source in table.sources:
        for figure in source.figures:
            arch, device = table.models[figure.model], devices[figure.device]
            lora = LoraConfig(rank=figure.rank, target_modules=figure.targets or "all-linear")
            step = estimate.Pass(
                tokens=figure.tokens,
                length=figure.length,
                logits=figure.tokens if figure.whole_logits else 0,
                checkpointing=figure.checkpointing,
                quantization=figure.quantization,
                shards=figure.shards,
                stack=figure.stack,
            )
            method = "QLoRA" if figure.quantization == "nf4" else "LoRA"
            count = f"{figure.shards}x " if figure.shards > 1 else ""
            what = f"{figure.model} {method} r{figure.rank}, {count}{figure.device}, {figure.tokens} tokens"
            if figure.speed is not None:
                seconds = estimate.pass_seconds(arch, lora, step, device, figure.shards, known)
                yield Check(
                    source=source.name, what=what, kind="tokens/s", half=figure.half,
                    published=figure.speed, planned=figure.tokens / seconds,
                )  # fmt: skip
            if figure.gib is not None:
                gib = estimate.memory_bytes(arch, lora, step, known) / estimate.GIB
                yield Check(
                    source=source.name, what=what, kind="GiB", half=figure.half, published=figure.gib, planned=gib
                )


def fit(table: Published) -> estimate.Constants:
    """The constants that minimise the squared log error on the `fit` half; assumptions are not changed."""
    import numpy as np
    from scipy.optimize import least_squares

    start = estimate.FITTED
    shares = fitted_shares(table)

    def constants(logs: Sequence[float]) -> estimate.Constants:
        values = [math.exp(value) for value in logs]
        efficiency = {family: dict(known) for family, known in start.efficiency.items()}
        for (family, stack), value in zip(shares, values[len(FITTED_NAMES) + 1 :], strict=True):
            efficiency[family][stack] = value  # type: ignore[index]
        compiled = values[len(FITTED_NAMES)]
        return msgspec.structs.replace(
            start,
            **dict(zip(FITTED_NAMES, values, strict=False)),
            kept={"peft": start.kept["peft"], "torchtune": compiled, "nemo": compiled},
            efficiency=efficiency,
        )

    def errors(logs: Sequence[float]) -> Any:
        fitted = (check for check in checks(table, constants(logs)) if check.half == "fit")
        return np.array([math.log(check.planned / check.published) for check in fitted])

    first = [getattr(start, name) for name in FITTED_NAMES] + [start.kept["torchtune"]]
    first += [start.efficiency[family][stack] for family, stack in shares]  # type: ignore[index]
    # A robust loss, so that one outlier does not change all constants.
    most = [math.inf] * (len(first) - len(shares)) + [math.log(MAX_EFFICIENCY)] * len(shares)
    begin = [min(math.log(value), bound - 0.01) for value, bound in zip(first, most, strict=True)]
    result = least_squares(errors, begin, bounds=([-math.inf] * len(first), most), loss="soft_l1", f_scale=0.1)
    return constants(result.x)


def fitted_shares(table: Published) -> list[tuple[str, str]]:
    """Efficiencies with figures in the table: those of SHARES, and those of measured GPUs."""
    families = {device.name: device.family for device in table.devices}
    every = [figure for source in table.sources for figure in source.figures if figure.speed and figure.half == "fit"]
    pairs = dict.fromkeys((families[figure.device], figure.stack) for figure in every)
    return [*SHARES, *(share for share in pairs if share not in SHARES)]


def figures(results: Sequence[Check]) -> dict[str, Any]:
    """All checks, and their summary by half and kind."""
    summary = [
        {
            "half": half,
            "kind": kind,
            "figures": len(errors),
            "within_25_percent": sum(error <= BAR for error in errors),
            "median_error": statistics.median(errors),
            "largest_error": max(errors),
        }
        for half in ("fit", "test")
        for kind in ("tokens/s", "GiB")
        if (errors := [abs(check.error) for check in results if (check.half, check.kind) == (half, kind)])
    ]
    return {"rows": [msgspec.to_builtins(check) | {"error": check.error} for check in results], "summary": summary}


def table(figures: dict[str, Any]) -> list[str]:
    """The figures as text."""
    lines = [f"{'half':5} {'source':17} {'what':62} {'published':>18} {'planned':>9} {'error':>7}"]
    for row in figures["rows"]:
        missed = "" if abs(row["error"]) <= BAR else "  MISSED"
        lines.append(
            f"{row['half']:5} {row['source']:17} {row['what']:62} {row['published']:>9,.6g} {row['kind']:8} "
            f"{row['planned']:>9,.4g} {row['error']:>+7.1%}{missed}"
        )
    lines += [
        f"{row['half']:5} {row['kind']:8} {row['within_25_percent']} of {row['figures']} within {BAR:.0%}; "
        f"median error {row['median_error']:.1%}, largest {row['largest_error']:.1%}"
        for row in figures["summary"]
    ]
    return lines


def measured_on(table: Published) -> list[str]:
    """Device and date of each measured source."""
    return [f"{source.name}, {source.read}" for source in table.sources if source.source == "make check-gpu"]


CPU_CASES: tuple[tuple[Literal["fit", "test"], tuple[str, ...]], ...] = (
    ("fit", ()),
    ("fit", ("batch_size=4", "effective_batch=4")),
    ("fit", ("gradient_checkpointing=true",)),
    ("test", ("batch_size=8", "effective_batch=8")),
    ("test", ("batch_size=32", "effective_batch=32")),
    ("test", ("lora.rank=64", "lora.alpha=128")),
    ("test", ("batch_size=8", "effective_batch=8", "gradient_checkpointing=true")),
)
"""Overrides of the shipped configuration to train with; the constants for CPUs were fitted on the first half."""


def measure(options: argparse.Namespace, progress: Callable[[str], None]) -> list[Check]:
    """Real steps on this machine's CPU compared with their plan. Raises: FastTierError."""
    from benchmarks.train import make_dataset
    from pipeline import train

    results: list[Check] = []
    with tempfile.TemporaryDirectory(prefix="bench-plan-") as scratch:
        home = Home(Path(options.home)) if options.home else Home(Path(scratch))
        data = home.dataset(options.dataset) if options.dataset else make_dataset(home, 3000)
        for half, changes in CPU_CASES:
            what = f"{options.config.stem}, {' '.join(changes) or 'as shipped'}"
            progress(what)
            chosen = config.load(options.config, TrainConfig, ["device=cpu", *changes])
            calibration = train.plan_run(chosen, data, home=home, probe_steps=options.steps).calibration
            assert calibration is not None
            pairs: tuple[tuple[Literal["tokens/s", "GiB"], float, float], ...] = (
                ("tokens/s", calibration.tokens_per_second, calibration.planned_tokens_per_second),
                ("GiB", calibration.peak_gib, calibration.planned_peak_gib),
            )
            results += [
                Check(source="this machine", what=what, kind=kind, half=half, published=measured, planned=planned)
                for kind, measured, planned in pairs
            ]
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--fit", action="store_true", help="fit the constants again, print and use them")
    parser.add_argument("--cpu", action="store_true", help="compare with training on this machine instead")
    parser.add_argument("--config", type=Path, default=CONFIGS / "smollm2-135m.yaml", help="what --cpu trains")
    parser.add_argument("--steps", type=int, default=8, help="steps of each training with --cpu")
    parser.add_argument("--home", help="home that holds --dataset")
    parser.add_argument("--dataset", help="task, task@hash or folder (default: the demo's help desk, generated)")
    options = parser.parse_args(arguments)
    try:
        published = with_checks(load(), report.load_checks())
        known = fit(published) if options.fit else estimate.FITTED
        results = measure(options, harness.progress) if options.cpu else list(checks(published, known))
    except FastTierError as error:
        harness.progress(f"bench-plan: {error}")
        raise SystemExit(2) from None
    told = figures(results) | {"constants": msgspec.to_builtins(known), "measured_on": measured_on(published)}
    devices = ", ".join(told["measured_on"]) or "published figures alone, no GPU was here"
    lines = [f"constants {json.dumps(told['constants'])}", f"fitted on {devices}"] if options.fit else []
    harness.show(told, options.json, [*lines, *table(told)])


if __name__ == "__main__":
    main()
