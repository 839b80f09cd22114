"""Checks training on this machine's GPU in several steps, within ten minutes and without a network.

    make check-gpu                                   # or: python3 -m benchmarks.gpu [--json FILE] [--seconds 570]
    python3 -m benchmarks.gpu --wheels FOLDER        # missing packages come from `make check-gpu-wheels`
    python3 -m benchmarks.gpu --tiny                 # the same steps with tiny models, also on a CPU
    python3 -m benchmarks.gpu --only train,speed --models qwen2.5-7b

An 8B Llama and a 7B Qwen2 with random weights, created on the device, run the shipped configurations: LoRA, QLoRA,
packing with each available attention, compared with TRL's defaults. Results are written to the JSON file after every
step. Without a GPU only --tiny works.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--seconds", type=float, default=570.0, help="time for everything")
    parser.add_argument("--tiny", action="store_true", help="tiny models of the same kinds")
    parser.add_argument("--cpu", action="store_true", help="use the CPU even if there is a GPU")
    parser.add_argument("--models", default="", help="names of configurations, separated by commas; default both")
    parser.add_argument("--only", default="", help="kinds of steps, separated by commas; required steps run too")
    parser.add_argument("--serve", action="store_true", help="also start vLLM on a CPU")
    parser.add_argument("--scratch", type=Path, help="folder for weights and runs, 80 GB without --tiny")
    parser.add_argument("--offline", action="store_true", help="fetch no kernels from the hub (as with --wheels)")
    parser.add_argument("--wheels", type=Path, help="folder of wheels for packages that are missing here")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(arguments)
    # Before any library is imported; steps are child processes and inherit it.
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
    if options.cpu or options.offline or options.wheels is not None:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if options.wheels is not None:
        from benchmarks.gpu import wheels

        wheels.use(options.wheels, ROOT)
    from benchmarks.gpu import check

    return check.run(options)


if __name__ == "__main__":
    sys.exit(main())
