"""Prints the result of a check as a table, and writes the section of docs/training.md on paths that ran per device.

    python -m benchmarks.gpu.report [FILE.json ...]       # store these as the last checks, and update the section

The last check of each device is kept in benchmarks/gpu/checks/.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.gpu.runner import Check, StepResult
from traffic.artifacts import write_atomic

ROOT = Path(__file__).resolve().parents[2]
CHECKS = Path(__file__).with_name("checks")
PAGE = ROOT / "docs" / "training.md"
BEGIN, END = "<!-- made by benchmarks/gpu/report.py -->", "<!-- end -->"
LOG_LINES = 12
"""Output lines of a failed step in the table; the JSON has more."""
PATHS = {
    "train": "LoRA through `accelerate launch`",
    "reload": "the saved adapter, reloaded",
    "nf4": "QLoRA",
    "nf4-reload": "a QLoRA adapter on the unquantised base",
    "equal": "accumulated and packed batches equal plain ones",
    "resume": "`kill -9` and resume",
    "repeat": "the same seed twice",
    "serve": "two adapters in vLLM",
}
"""Description by kind of step."""


def table(check: Check) -> list[str]:
    """All steps with their results."""
    machine = check.machine
    packages = ", ".join(f"{name} {version}" for name, version in machine.get("packages", {}).items())
    lines = [
        "",
        f"check-gpu, {check.form} form, {check.created_at}, {check.seconds:.0f} s",
        f"device {machine.get('name', 'unknown')}, {machine.get('compute_dtype', 'unknown dtype')}",
        f"python {machine.get('python')}, {packages}",
        f"{'step':46} {'status':8} {'seconds':>8}  numbers",
    ]
    lines += [
        f"{step.name:46} {step.status:8} {step.seconds:8.1f}  {numbers(step) if step.detail else ''}{_because(step)}"
        for step in check.steps
    ]
    for step in check.steps:
        lines += ["", f"log of {step.name}:", *step.log[-LOG_LINES:]] if step.log else []
    lines += _against_trl(check)
    return lines


def _because(step: StepResult) -> str:
    return f" [{step.reason}]" if step.reason else ""


def numbers(step: StepResult) -> str:
    """The results on one line; nested ones are in the JSON only."""
    flat = {name: value for name, value in step.detail.items() if not isinstance(value, dict | list)}
    return ", ".join(f"{name} {_short(value)}" for name, value in flat.items())


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)


def _against_trl(check: Check) -> list[str]:
    """Speed of each arm relative to TRL's defaults on the same rows."""
    arms = [step for step in check.steps if step.name.startswith("speed/") and step.status == "ok"]
    lines = []
    for step in arms:
        model, _, arm = step.name.removeprefix("speed/").partition("/")
        trl = check.of(f"speed/{model}/TRL defaults")
        if trl is None or trl.status != "ok":
            continue
        mfu = step.detail.get("mfu")
        times = step.detail["examples_per_second"] / trl.detail["examples_per_second"]
        lines.append(
            f"{model:14} {arm:24} {step.detail['tokens_per_second']:10,.0f} "
            f"{step.detail['examples_per_second']:10,.2f} {times:7.2f} {'-' if mfu is None else f'{mfu:.1%}':>7} "
            f"{step.detail['peak_gib']:8.2f} {step.detail['save_s']:7.2f}"
        )
    names = f"{'tokens/s':>10} {'examples/s':>10} {'x TRL':>7} {'MFU':>7} {'peak GiB':>8} {'save s':>7}"
    return ["", f"{'model':14} {'arm':24} {names}", *lines] if lines else []


# ------------------------------------------------------------------------------------------- the section of the page


def load_checks() -> list[Check]:
    """The stored checks, GPUs first. Raises: msgspec.ValidationError for an invalid file."""
    checks = [load(path) for path in sorted(CHECKS.glob("*.json"))]
    return sorted(checks, key=lambda check: (check.device != "cuda", check.machine.get("name", "")))


def load(path: Path) -> Check:
    return msgspec.json.decode(path.read_bytes(), type=Check)


def keep(check: Check, folder: Path = CHECKS) -> Path:
    """Store this as the last check of its device."""
    name = re.sub(r"[^a-z0-9]+", "-", str(check.machine.get("name", check.device)).lower()).strip("-")
    path = folder / f"{name}-{check.form}.json"
    folder.mkdir(exist_ok=True)
    # Messages and logs contain paths of this machine, which are not published.
    check.steps = [
        msgspec.structs.replace(step, log=[], reason=re.sub(r"; log: .*", "", step.reason)) for step in check.steps
    ]
    check.save(path)
    return path


def section(checks: Sequence[Check]) -> list[str]:
    """Markdown on the paths that ran, by device."""
    if not any(check.device == "cuda" for check in checks):
        lines = ["**On a GPU: not measured.** No check has run on one; `make check-gpu` is ready to."]
    else:
        lines = ["Numbers of the GPU runs: docs/LOG.md."]
    if not checks:
        return lines
    heads = [_head(check) for check in checks]
    lines += ["", f"| path | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for meaning, names in _rows(checks):
        cells = [_cell(check, [step for step in check.steps if step.name in names]) for check in checks]
        lines.append(f"| {meaning} | {' | '.join(cells)} |")
    return lines


def _rows(checks: Sequence[Check]) -> Iterator[tuple[str, list[str]]]:
    """Title of each row of the table, and the names of its steps."""
    names = list(dict.fromkeys(step.name for check in checks for step in check.steps))
    for kind, meaning in PATHS.items():
        yield meaning, [name for name in names if name.partition("/")[0] == kind]
    arms = {name: name.split("/", 2)[2] for name in names if name.startswith("speed/")}
    for arm in dict.fromkeys(arms.values()):
        yield f"timed: {arm}", [name for name in arms if arms[name] == arm]


def _head(check: Check) -> str:
    packages = check.machine.get("packages", {})
    versions = ", ".join(f"{name} {packages[name]}" for name in ("torch", "transformers", "trl") if name in packages)
    form = "" if check.form == "full" else ", tiny models"
    return f"{check.machine.get('name', check.device)}{form}, {check.created_at[:10]} ({versions})"


def _cell(check: Check, steps: Iterable[StepResult]) -> str:
    """Outcome of the steps of one row, by model if they differ."""
    outcomes = {step.name.split("/")[1]: _outcome(check, step) for step in steps}
    if len(set(outcomes.values())) == 1:
        return next(iter(outcomes.values()))
    return "; ".join(f"{model}: {outcome}" for model, outcome in outcomes.items()) or "not run"


def _outcome(check: Check, step: StepResult) -> str:
    if step.status != "ok":
        return f"{step.status}: {step.reason}"
    if check.form == "tiny" or "tokens_per_second" not in step.detail:
        return "ok"
    mfu = step.detail.get("mfu")
    return f"{step.detail['tokens_per_second']:,.0f} tokens/s" + (f", {mfu:.0%} MFU" if mfu is not None else "")


def rewrite(page: str, checks: Sequence[Check]) -> str:
    """The page with its section replaced. Raises: ValueError if it has none."""
    begin, end = page.index(BEGIN), page.index(END)
    return page[: begin + len(BEGIN)] + "\n" + "\n".join(section(checks)) + "\n" + page[end:]


def main(arguments: Sequence[str]) -> None:
    for path in arguments:
        keep(load(Path(path)))
    write_atomic(PAGE, rewrite(PAGE.read_text(encoding="utf-8"), load_checks()))


if __name__ == "__main__":
    main(sys.argv[1:])
